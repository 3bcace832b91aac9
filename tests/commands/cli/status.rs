//! Exit statuses: a dry run has the status of the run, and `repair` and `salvage` that of
//! `verify` on their result.

use proglog_testkit::{Sandbox, cases, run};

use super::words;

/// Every command that has a dry run, with the options that change what it does.
const DRY_RUNS: &[&str] = &[
    "repair log",
    "repair log --adopt-tail",
    "repair log --drop-tail",
    "repair log --no-save",
    "repair log --max-index-bytes 1024",
    "repair log --codec raw",
    "repair log --codec protobuf",
    "repair log --save-to missing",
    "truncate-index log",
    "truncate-index log --leave-tail",
    "truncate-index log --segment 0",
    "truncate-index log --segment 7",
    "trim log --keep-segments 1",
    "trim log --keep-bytes 1K",
    "trim log --before 10",
    "trim log --before 100000",
    "trim log --after 10",
    "trim log --after -1",
    "trim log --after -100000",
    "undo log",
    "undo log --into new",
    "salvage log new",
    "salvage log new --prefer old",
    "salvage log new --codec raw",
];

#[test]
fn a_dry_run_has_the_status_of_the_run() {
    let mut wrong = Vec::new();
    for case in cases() {
        for command in DRY_RUNS {
            let sandbox = Sandbox::of(&case);
            let before = sandbox.snapshot();
            let dry = run(&sandbox, &[&words(command)[..], &["--dry-run"]].concat());
            assert_eq!(sandbox.snapshot(), before, "{case}: {command}");
            let real = run(&sandbox, &words(command));
            if dry.0 != real.0 {
                wrong.push(format!("{case}: {command}: {dry:?} but {real:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_second_repair_and_an_undo_have_the_same_status_dry_and_real() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        for command in ["repair log", "repair log", "undo log", "undo log"] {
            let dry = run(&sandbox, &[&words(command)[..], &["--dry-run"]].concat());
            let real = run(&sandbox, &words(command));
            assert_eq!(dry.0, real.0, "{case}: {command}: {dry:?} but {real:?}");
        }
    }
}

/// The status of `verify`, and the records of which nothing is left, as the last line of
/// `--json` has them.
#[test]
fn repair_and_salvage_end_as_verify_of_the_result_does() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let (repaired, _, _) = run(&sandbox, &words("repair log"));
        let (verified, _, _) = run(&sandbox, &words("verify log"));
        assert_eq!(repaired, verified, "{case}");
        let sandbox = Sandbox::of(&case);
        let (salvaged, _, stderr) = run(&sandbox, &words("salvage log new --prefer old"));
        if sandbox.path().join("new").is_dir() {
            let (verified, stdout, _) = run(&sandbox, &words("verify new"));
            assert_eq!(salvaged, verified, "{case}: {stdout}{stderr}");
        }
    }
}

#[test]
fn a_dry_run_counts_its_changes() {
    for (case, none) in [("clean-one-segment", true), ("killed-padding-only", false)] {
        for command in ["repair log", "truncate-index log"] {
            for dry_run in [&["--dry-run"][..], &[]] {
                let sandbox = Sandbox::of(case);
                let arguments = [&words(command)[..], &["--json"], dry_run].concat();
                let (_, stdout, _) = run(&sandbox, &arguments);
                let last: serde_json::Value =
                    serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
                let changes = last["changes"].as_u64().unwrap();
                assert_eq!(changes == 0, none, "{case}: {command}: {stdout}");
                let lines = stdout.matches("\"kind\":\"change\"").count();
                assert_eq!(u64::try_from(lines).unwrap(), changes, "{stdout}");
            }
        }
    }
}

#[test]
fn lost_records_are_named_on_stdout() {
    for command in ["repair log", "salvage log new"] {
        for options in [&[][..], &["-q"], &["--dry-run"], &["--dry-run", "-q"]] {
            let sandbox = Sandbox::of("killed-index-ahead");
            let (_, stdout, stderr) = run(&sandbox, &[&words(command)[..], options].concat());
            let told = stdout.lines().any(|line| {
                line.starts_with("lost") && line.contains("243..299") && line.contains("57")
            });
            assert!(told, "{command} {options:?}: {stdout}{stderr}");
        }
    }
}

#[test]
fn records_that_are_removed_on_purpose_are_called_records() {
    let sandbox = Sandbox::of("clean-three-segments");
    for dry_run in [&["--dry-run"][..], &[]] {
        let (status, stdout, stderr) = run(
            &sandbox,
            &[&words("trim log --after 50")[..], dry_run].concat(),
        );
        assert_eq!(status, 0, "{stderr}");
        assert!(stdout.contains("9 records removed"), "{stdout}");
        assert!(!stdout.contains("without records"), "{stdout}");
    }
    // Lost records are lost before they are cut.
    let sandbox = Sandbox::of("killed-index-ahead");
    let (_, stdout, _) = run(&sandbox, &words("trim log --after 239"));
    assert!(
        stdout.contains("3 records removed, 57 entries without records"),
        "{stdout}"
    );
    let sandbox = Sandbox::of("killed-index-ahead");
    let (_, stdout, _) = run(&sandbox, &words("repair log"));
    assert!(stdout.contains("57 entries without records"), "{stdout}");
    assert!(!stdout.contains("removed"), "{stdout}");
}
