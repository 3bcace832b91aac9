//! `proglog repair --replica` as a user meets it: over all fixtures, and where it must
//! refuse, leave something, or say what it does not take.

#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use proglog_testkit::{
    LogBuilder, Sandbox, Snapshot, Truth, cases, json, of_kind, run, truth, whole_records,
};

/// Two histories: which one counts is a human's to say.
const TWO_HISTORIES: [&str; 2] = ["forked", "index-misaligned"];

/// The copy is written as `copy`, beside the log.
fn write_copy(sandbox: &Sandbox, builder: &LogBuilder) {
    let other = Sandbox::built(builder);
    std::process::Command::new("cp")
        .arg("-r")
        .arg(other.log())
        .arg(sandbox.path().join("copy"))
        .status()
        .unwrap();
}

/// A copy of what was acknowledged, in segments that begin where those of the case do.
fn sound_copy(sandbox: &Sandbox, truth: &Truth) -> LogBuilder {
    let mut builder = LogBuilder::new(truth.codec);
    let (_, records, _) = run(sandbox, &["read", "log", "--json", "--on-error", "skip"]);
    let records = json(&records);
    if records.iter().any(|record| record.get("term").is_some()) {
        // A segment for each record: its term stands nowhere but in the log.
        for (offset, value) in &truth.acknowledged {
            let found = records.iter().find(|it| it["offset"] == *offset);
            let number = |field: &str| found.and_then(|it| it.get(field)?.as_u64()).unwrap_or(0);
            let kind = u32::try_from(number("type")).unwrap();
            builder = builder.raft(number("term"), kind).segment(*offset, [value]);
        }
        return builder;
    }
    let stems = truth.files.keys().filter_map(|name| name.split_once('.'));
    let mut bases: Vec<u64> = stems.filter_map(|(stem, _)| stem.parse().ok()).collect();
    bases.sort_unstable();
    bases.dedup();
    for (at, base) in bases.iter().enumerate() {
        let next = bases.get(at + 1).copied().unwrap_or(u64::MAX);
        let mine = truth.acknowledged.iter();
        let mine = mine.filter(|(offset, _)| (*base..next).contains(offset));
        builder = builder.segment(*base, mine.map(|(_, value)| value.clone()));
    }
    builder
}

#[test]
fn every_fixture_gets_back_all_that_was_acknowledged() {
    let mut mended = 0;
    for case in cases() {
        let truth = truth(&case);
        let sandbox = Sandbox::of(&case);
        write_copy(&sandbox, &sound_copy(&sandbox, &truth));
        let copy = Snapshot::of(&sandbox.path().join("copy"));
        let before = sandbox.snapshot();
        let dry = ["repair", "log", "--replica", "copy", "--dry-run", "--json"];
        let (foretold, planned, stderr) = run(&sandbox, &dry);
        assert_eq!(sandbox.snapshot(), before, "{case}");
        let (status, done, _) = run(&sandbox, &["repair", "log", "--replica", "copy", "--json"]);
        assert_eq!(status, foretold, "{case}: {planned}{stderr}{done}");
        assert_eq!(Snapshot::of(&sandbox.path().join("copy")), copy, "{case}");
        if TWO_HISTORIES.contains(&case.as_str()) {
            assert_eq!(status, 3, "{case}: {stderr}");
            assert_eq!(sandbox.snapshot(), before, "{case}");
            continue;
        }
        let (planned, done) = (json(&planned), json(&done));
        assert_eq!(
            of_kind(&planned, "taken"),
            of_kind(&done, "taken"),
            "{case}"
        );
        assert!(of_kind(&done, "lost").is_empty(), "{case}: {done:?}");
        let names_stay = case == "stray-files";
        let expected = if names_stay { 3 } else { 0 };
        assert_eq!(status, expected, "{case}: {done:?}");
        let after = whole_records(&sandbox.log(), truth.codec);
        for record in &truth.acknowledged {
            assert!(after.contains(record), "{case}: {}", record.0);
        }
        if !names_stay {
            let (verified, said, _) = run(&sandbox, &["verify", "log", "-q"]);
            assert_eq!((verified, said.as_str()), (0, ""), "{case}");
        }
        if sandbox.snapshot() != before {
            mended += 1;
            assert_eq!(run(&sandbox, &["undo", "log"]).0, 0, "{case}");
            let after = sandbox.snapshot();
            assert_eq!(after.contents(), before.contents(), "{case}");
        }
    }
    assert!(mended > 12, "{mended}");
}

fn ten() -> LogBuilder {
    let values: Vec<String> = (0..10).map(|n| format!("value {n}")).collect();
    LogBuilder::raw()
        .segment(0, &values[..4])
        .segment(4, &values[4..8])
        .segment(8, &values[8..])
}

#[test]
fn copies_that_differ_are_refused_and_the_first_difference_is_shown() {
    let sandbox = Sandbox::built(&ten());
    write_copy(&sandbox, &ten());
    // In the value of record 5, and damage that would need the copy.
    sandbox.flip("4.store", 8 * (15 + 8 + 2));
    sandbox.remove("8.store");
    let before = sandbox.snapshot();
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!((status, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("differ in record 5"), "{stderr}");
    assert!(stderr.contains("nothing was changed"), "{stderr}");
    let json_too = ["repair", "log", "--replica", "copy", "--json", "--dry-run"];
    let (status, stdout, _) = run(&sandbox, &json_too);
    assert_eq!(status, 3);
    let line = &json(&stdout)[0];
    assert_eq!(line["kind"], "difference");
    assert_eq!(
        (&line["offset"], &line["position"]),
        (&5.into(), &15.into())
    );
    assert_eq!(line["differs_at"], 25);
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn only_what_is_needed_is_taken_and_the_rest_is_named() {
    let sandbox = Sandbox::built(&ten());
    let longer: Vec<String> = (0..12).map(|n| format!("value {n}")).collect();
    write_copy(&sandbox, &LogBuilder::raw().segment(0, &longer));
    // Record 6, and nothing behind 9.
    sandbox.flip("4.store", 8 * 37);
    let before = sandbox.snapshot();
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy", "--json"]);
    assert_eq!(status, 0, "{stdout}{stderr}");
    let lines = json(&stdout);
    let taken = of_kind(&lines, "taken");
    assert_eq!(taken.len(), 1, "{stdout}");
    assert_eq!(
        (&taken[0]["first_offset"], &taken[0]["records"]),
        (&6.into(), &1.into())
    );
    assert_eq!(of_kind(&lines, "change").len(), 1, "{stdout}");
    assert_eq!(of_kind(&lines, "not-taken")[0]["first_offset"], 10);
    assert!(stderr.contains("not restored: 10..11"), "{stderr}");
    assert_eq!(
        whole_records(&sandbox.log(), proglog_testkit::Codec::Raw).len(),
        10
    );
    assert_eq!(run(&sandbox, &["undo", "log"]).0, 0);
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}

#[test]
fn what_does_not_fit_in_place_is_put_together_anew_and_taken_back() {
    let sandbox = Sandbox::built(&ten());
    write_copy(&sandbox, &ten());
    // Five bytes of record 1 are gone: all behind them stands elsewhere.
    let mut bytes = sandbox.read("0.store");
    bytes.drain(20..25);
    sandbox.write("0.store", &bytes);
    let before = sandbox.snapshot();
    for save in [&["--save-to", "saved"][..], &["--no-save"]] {
        let mut arguments = vec!["repair", "log", "--replica", "copy"];
        arguments.extend(save);
        let (status, stdout, stderr) = run(&sandbox, &arguments);
        assert_eq!(status, 0, "{stdout}{stderr}");
        let after = whole_records(&sandbox.log(), proglog_testkit::Codec::Raw);
        assert_eq!(after.len(), 10);
        let names: Vec<_> = std::fs::read_dir(sandbox.path()).unwrap().collect();
        assert!(names.iter().all(|it| {
            !it.as_ref()
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .ends_with("proglog-new")
        }));
        if save.len() == 2 {
            let (undone, _, stderr) = run(&sandbox, &["undo", "log", "--save-to", "saved"]);
            assert_eq!(undone, 0, "{stderr}");
            assert_eq!(sandbox.snapshot().contents(), before.contents());
        }
    }
}

#[test]
fn a_copy_that_is_none_is_refused() {
    let sandbox = Sandbox::built(&ten());
    sandbox.cut("8.store", 3);
    let before = sandbox.snapshot();
    write_copy(
        &sandbox,
        &LogBuilder::protobuf().segment(0, ["a", "b", "c"]),
    );
    let (status, _, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("codec"), "{stderr}");
    for itself in ["log", "./log/../log"] {
        let (status, _, stderr) = run(&sandbox, &["repair", "log", "--replica", itself]);
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains("not a copy"), "{stderr}");
    }
    let (status, _, stderr) = run(&sandbox, &["repair", "log", "--replica", "nowhere"]);
    assert_eq!(status, 2, "{stderr}");
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn what_a_rebuilt_index_names_is_not_called_not_taken() {
    let sandbox = Sandbox::built(&ten());
    write_copy(&sandbox, &ten());
    sandbox.remove("8.index");
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert!(!stderr.contains("not restored"), "{stderr}");
}

#[test]
fn records_behind_a_gap_are_not_offered_to_append() {
    let sandbox = Sandbox::built(&ten());
    let more = ["x", "y"];
    let copy = ten().segment(10, more).segment(20, more).segment(30, more);
    write_copy(&sandbox, &copy);
    let (status, _, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!(status, 0, "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{stderr}");
    assert!(lines[0].contains("--expect-offset 10"), "{stderr}");
    for (line, gap) in [(lines[1], "12..19"), (lines[2], "22..29")] {
        assert!(!line.contains("--expect-offset"), "{stderr}");
        assert!(
            line.contains("cannot be added") && line.contains(gap),
            "{stderr}"
        );
    }
    let pasted = lines[0].split("to add them: ").nth(1).unwrap();
    let binary = std::path::PathBuf::from(sandbox.proglog().get_program());
    let pasted = pasted.replace("proglog ", &format!("{} ", binary.display()));
    let added = std::process::Command::new("sh")
        .args(["-ec", &pasted])
        .current_dir(sandbox.path())
        .status();
    assert!(added.unwrap().success(), "{pasted}");
    let after = whole_records(&sandbox.log(), proglog_testkit::Codec::Raw);
    assert_eq!(after.len(), 12, "{after:?}");
}

#[test]
fn a_log_with_no_record_in_common_is_refused() {
    let sandbox = Sandbox::built(&ten());
    write_copy(&sandbox, &LogBuilder::raw().segment(10, ["x", "y"]));
    sandbox.append_bytes("8.store", b"torn");
    let before = sandbox.snapshot();
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!((status, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("no record in common"), "{stderr}");
    assert_eq!(sandbox.snapshot(), before);
    // One that holds nothing has nothing to compare.
    for name in ["0.store", "4.store", "8.store"] {
        sandbox.remove(name);
    }
    std::fs::remove_dir_all(sandbox.path().join("copy")).unwrap();
    write_copy(&sandbox, &ten());
    let (status, _, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!(status, 0, "{stderr}");
}

/// A manifest of the log as it is, as `manifest`.
fn write_manifest(sandbox: &Sandbox) {
    let (status, stdout, stderr) = run(sandbox, &["manifest", "log"]);
    assert_eq!(status, 0, "{stderr}");
    std::fs::write(sandbox.path().join("manifest"), stdout).unwrap();
}

const PROVEN: [&str; 6] = [
    "repair",
    "log",
    "--replica",
    "copy",
    "--manifest",
    "manifest",
];

#[test]
fn a_manifest_says_which_copy_is_right() {
    let sandbox = Sandbox::built(&ten());
    write_manifest(&sandbox);
    write_copy(&sandbox, &ten());
    let sound = sandbox.snapshot();
    // In the value of record 5; and the newest record is gone.
    sandbox.flip("4.store", 8 * (15 + 8 + 2));
    sandbox.cut("8.store", 15);
    sandbox.cut("8.index", 12);
    assert_eq!(run(&sandbox, &PROVEN[..4]).0, 3);
    let before = sandbox.snapshot();
    let dry = [&PROVEN[..], &["--dry-run"]].concat();
    let (status, stdout, stderr) = run(&sandbox, &dry);
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert_eq!(sandbox.snapshot(), before);
    let (status, stdout, stderr) = run(&sandbox, &[&PROVEN[..], &["--json"]].concat());
    assert_eq!(status, 0, "{stdout}{stderr}");
    let lines = json(&stdout);
    let taken: Vec<_> = of_kind(&lines, "taken")
        .iter()
        .map(|it| (it["first_offset"].as_u64(), it["records"].as_u64()))
        .collect();
    assert_eq!(taken, [(Some(5), Some(1)), (Some(9), Some(1))], "{stdout}");
    assert_eq!(sandbox.snapshot().contents(), sound.contents());
    assert_eq!(run(&sandbox, &["undo", "log"]).0, 0);
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}

#[test]
fn what_no_copy_has_right_stays_and_is_told() {
    for wrong_here in [true, false] {
        let sandbox = Sandbox::built(&ten());
        write_manifest(&sandbox);
        let mut values: Vec<String> = (0..10).map(|n| format!("value {n}")).collect();
        values[5] = "VALUE 5".to_owned();
        write_copy(&sandbox, &LogBuilder::raw().segment(0, &values));
        if wrong_here {
            sandbox.flip("4.store", 8 * (15 + 8 + 2));
        }
        let before = sandbox.snapshot();
        let (foretold, stdout, stderr) = run(&sandbox, &[&PROVEN[..], &["--dry-run"]].concat());
        assert_eq!(
            stdout.contains("record-changed"),
            wrong_here,
            "{stdout}{stderr}"
        );
        let (status, stdout, stderr) = run(&sandbox, &PROVEN);
        assert_eq!(status, foretold, "{stdout}{stderr}");
        assert_eq!(status, if wrong_here { 3 } else { 0 }, "{stdout}{stderr}");
        assert_eq!(stdout.contains("record-changed"), wrong_here, "{stdout}");
        assert_eq!(sandbox.snapshot(), before);
    }
    let sandbox = Sandbox::built(&ten());
    write_copy(&sandbox, &ten());
    std::fs::write(sandbox.path().join("manifest"), "none\n").unwrap();
    assert_eq!(run(&sandbox, &PROVEN).0, 2);
}

#[test]
fn an_empty_record_that_only_the_copy_knows_is_kept() {
    let empty = LogBuilder::protobuf().segment(0, [""]);
    let sandbox = Sandbox::built(&empty);
    write_copy(&sandbox, &empty);
    let sound = sandbox.snapshot();
    sandbox.remove("0.index");
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert_eq!(sandbox.snapshot().contents(), sound.contents(), "{stdout}");
}

#[test]
fn with_q_what_is_lost_is_told_all_the_same() {
    for dry in [true, false] {
        let sandbox = Sandbox::of("killed-index-ahead");
        let arguments = ["repair", "log", "-q", "--dry-run"];
        let (status, stdout, _) = run(&sandbox, &arguments[..if dry { 4 } else { 3 }]);
        assert_eq!(status, 0);
        assert!(stdout.starts_with("lost     243..299"), "{stdout}");
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
    }
    let sandbox = Sandbox::of("length-flipped");
    let (status, stdout, _) = run(&sandbox, &["repair", "log", "-q", "--dry-run"]);
    assert_eq!(status, 3);
    assert!(stdout.contains("frame-length-damaged"), "{stdout}");
}

#[test]
fn a_name_that_something_else_has_is_not_given_to_a_new_file() {
    for (there, other) in [("5.store", "5.index"), ("8.index", "8.store")] {
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b", "c", "d", "e"]));
        sandbox.write(other, &[]);
        sandbox.make_directory(there);
        let before = sandbox.snapshot();
        let (foretold, planned, _) = run(&sandbox, &["repair", "log", "--dry-run"]);
        assert!(planned.contains("nothing to change"), "{planned}");
        let (status, stdout, stderr) = run(&sandbox, &["repair", "log"]);
        assert_eq!((foretold, status), (3, 3), "{stdout}{stderr}");
        assert_eq!(sandbox.snapshot(), before);
        let (status, _, stderr) = run(&sandbox, &["salvage", "log", "new"]);
        assert_eq!(status, 2, "{stderr}");
        assert!(
            stderr.contains(&format!("{there}: is not a regular file")),
            "{stderr}"
        );
    }
}

#[test]
fn an_index_that_lost_bytes_inside_costs_no_frame() {
    let values: Vec<String> = (0..10).map(|n| format!("value {n}")).collect();
    let one = LogBuilder::raw().segment(0, &values);
    for at in (0..105).step_by(7) {
        let sandbox = Sandbox::built(&one);
        write_copy(&sandbox, &one);
        let sound = sandbox.snapshot();
        let mut bytes = sandbox.read("0.index");
        bytes.drain(at..at + 15);
        sandbox.write("0.index", &bytes);
        let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
        assert_eq!(status, 0, "{at}: {stdout}{stderr}");
        assert!(!stderr.contains("not restored"), "{at}: {stderr}");
        assert_eq!(sandbox.snapshot().contents(), sound.contents(), "{at}");
    }
}

#[test]
fn a_codec_that_nothing_committed_shows_is_the_copys() {
    let values: Vec<String> = (0..8).map(|n| format!("value {n}")).collect();
    let sound = LogBuilder::protobuf().segment(0, &values);
    let sandbox = Sandbox::built(&sound);
    write_copy(&sandbox, &sound);
    let before = sandbox.snapshot();
    sandbox.remove("0.index");
    // The first byte of each record but one: no field has this number.
    let mut at = 8 + 9;
    for _ in 1..8 {
        sandbox.put("0.store", at + 8, &[0xff]);
        at += 8 + 11;
    }
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert_eq!(sandbox.snapshot().contents(), before.contents(), "{stdout}");
}

/// A record that took the place of another one of the same size is not the change's.
#[test]
fn a_record_that_came_later_is_not_undone() {
    let sandbox = Sandbox::built(&ten());
    write_copy(&sandbox, &ten());
    sandbox.remove("8.store");
    assert_eq!(run(&sandbox, &["repair", "log", "--replica", "copy"]).0, 0);
    let all = whole_records(&sandbox.log(), proglog_testkit::Codec::Raw);
    let (last, value) = all.last().unwrap();
    let before_last = (last - 1).to_string();
    let trim = ["trim", "log", "--after", &before_last, "--no-save"];
    assert_eq!(run(&sandbox, &trim).0, 0);
    let value = "x".repeat(value.len());
    let append = sandbox
        .proglog()
        .args(["append", "log"])
        .write_stdin(value)
        .output();
    assert!(append.unwrap().status.success());
    let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
    assert_ne!(status, 0, "{stderr}");
    assert!(stderr.contains("was written to"), "{stderr}");
    let kept = whole_records(&sandbox.log(), proglog_testkit::Codec::Raw);
    assert_eq!(kept.len(), all.len());
}

/// Records that come from the copy show the codec.
#[test]
fn records_of_the_copy_show_the_codec() {
    let two = LogBuilder::raw().segment(0, ["a", "b"]);
    let sandbox = Sandbox::built(&two);
    write_copy(&sandbox, &two);
    std::fs::remove_file(sandbox.file("0.store")).unwrap();
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!(status, 0, "{stderr}");
    assert!(!stdout.contains("shows the codec"), "{stdout}");
}
