//! What append refuses, and what it leaves as it was.

use std::fs;
use std::process::Stdio;

use crate::append::{Sandbox, bases, lines, raw, stderr};

#[test]
fn nothing_is_made_without_records() {
    let sandbox = Sandbox::new();
    for options in [
        &[][..],
        &["-0"],
        &["--input=json"],
        &["--input=frames"],
        &["--json"],
    ] {
        let assert = sandbox.append(options).assert().success();
        assert!(stderr(&assert).contains("appended 0 records"));
        assert!(!sandbox.log().exists());
    }
    assert_eq!(
        sandbox.appended(&["--json"], ""),
        "{\"log\":\"log\",\"records\":0,\"bytes\":0,\"segments\":0}\n"
    );
}

#[test]
fn a_new_log_is_made_in_a_missing_or_an_empty_directory_only() {
    let sandbox = Sandbox::new();
    let no_create = sandbox
        .append(&["--no-create"])
        .write_stdin("a\n")
        .assert()
        .code(2);
    assert!(stderr(&no_create).contains("log: no such directory"));
    fs::create_dir(sandbox.log()).unwrap();
    sandbox
        .append(&["--no-create"])
        .write_stdin("a\n")
        .assert()
        .code(2);
    assert!(sandbox.names().is_empty());
    fs::write(sandbox.path("log/other"), "").unwrap();
    let assert = sandbox.append(&[]).write_stdin("a\n").assert().code(2);
    assert!(
        stderr(&assert).contains("it contains other"),
        "{}",
        stderr(&assert)
    );
    assert_eq!(sandbox.names(), ["other"]);
    fs::remove_file(sandbox.path("log/other")).unwrap();
    sandbox.appended(&[], "a\n");
    assert_eq!(sandbox.values(), raw(&["a"]));
}

#[test]
fn a_file_is_no_log() {
    let sandbox = Sandbox::new();
    sandbox.file("log", "x");
    let assert = sandbox.append(&[]).write_stdin("a\n").assert().code(2);
    assert!(stderr(&assert).contains("log: is not a directory"));
    assert_eq!(fs::read(sandbox.log()).unwrap(), b"x");
}

#[test]
fn all_files_are_opened_before_the_first_append() {
    let sandbox = Sandbox::new();
    sandbox.file("one", "a\n");
    for missing in ["missing", "."] {
        let assert = sandbox.append(&["one", missing]).assert().code(2);
        assert!(stderr(&assert).contains(&format!("error: {missing}: cannot open")));
        assert!(!sandbox.log().exists());
    }
}

#[test]
fn a_file_of_the_log_is_no_input() {
    let sandbox = Sandbox::new();
    sandbox.appended(&[], "a\n");
    let assert = sandbox.append(&["log/0.store"]).assert().code(2);
    assert!(stderr(&assert).contains("is both an input and a file of the log"));
    assert_eq!(sandbox.values(), raw(&["a"]));
}

#[test]
fn an_existing_log_keeps_its_codec_and_its_first_offset() {
    let sandbox = Sandbox::new();
    sandbox.appended(&[], lines(0..20));
    sandbox
        .append(&["--codec=protobuf"])
        .write_stdin("a\n")
        .assert()
        .code(2);
    sandbox
        .append(&["--initial-offset=1"])
        .write_stdin("a\n")
        .assert()
        .code(2);
    sandbox.appended(&["--codec=raw", "--initial-offset=0"], "a\n");
    assert_eq!(sandbox.values().len(), 21);
}

#[test]
fn a_log_without_a_record_needs_its_codec() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.log()).unwrap();
    for name in ["log/5.store", "log/5.index"] {
        sandbox.file(name, "");
    }
    let assert = sandbox.append(&[]).write_stdin("a\n").assert().code(2);
    assert!(stderr(&assert).contains("hint: choose one: --codec raw or --codec protobuf"));
    sandbox.appended(&["--codec=raw"], "a\n");
    assert_eq!(bases(&sandbox.log()), [5]);
}

/// No record can follow the largest offset: the missing half of a segment there is not made.
#[test]
fn a_log_without_a_free_offset_stays_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.appended(&[], lines(0..3));
    sandbox.file("log/18446744073709551615.store", "");
    let assert = sandbox.append(&[]).write_stdin("a\n").assert().code(3);
    assert!(stderr(&assert).contains("no record can follow it"));
    assert!(!sandbox.log().join("18446744073709551615.index").exists());
}

#[test]
fn options_that_cannot_be() {
    let sandbox = Sandbox::new();
    for options in [
        &["-0", "-d", "x"][..],
        &["-0", "--input=lines"],
        &["-d", ""],
        &["--input=csv"],
        &["--codec=xml"],
        &["--max-store-bytes=0"],
        &["--max-index-bytes=11"],
        &["--wait=-1"],
        &["--wait=soon"],
        &["--wait=1e30"],
        &["--wait=3000000001"],
        &["--save-to=x", "--no-save"],
    ] {
        sandbox.append(options).write_stdin("a\n").assert().code(2);
        assert!(!sandbox.log().exists(), "{options:?}");
    }
    for wait in ["--wait", "--wait=0", "--wait=0.5", "--wait=5m"] {
        sandbox.appended(&[wait], "a\n");
    }
}

#[test]
fn a_stdout_that_fails_changes_nothing() {
    for closed in [">/dev/full", ">&-", "| :"] {
        let sandbox = Sandbox::new();
        sandbox.file("input", lines(0..50_000));
        let binary = assert_cmd::cargo::cargo_bin("proglog");
        let script = format!(
            "set -o pipefail; {} append log --print-offsets --json input {closed}",
            binary.display()
        );
        let status = std::process::Command::new("bash")
            .args(["-c", &script])
            .current_dir(sandbox.path(""))
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{closed}");
        assert_eq!(sandbox.values().len(), 50_000);
    }
}

/// Runs in a tmpfs of its own where that can be had.
fn on_small_tmpfs(size: &str, test: impl FnOnce(&Sandbox)) {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("disk")).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
        .arg(sandbox.path("disk"))
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: cannot mount a tmpfs here (needs root)");
        return;
    }
    let tested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&sandbox)));
    let unmounted = std::process::Command::new("umount")
        .arg(sandbox.path("disk"))
        .status();
    assert!(unmounted.unwrap().success());
    if let Err(panic) = tested {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_full_disk_says_how_to_go_on() {
    on_small_tmpfs("2m", |sandbox| {
        let all = lines(0..100_000);
        sandbox.file("input", &all);
        std::os::unix::fs::symlink("disk/log", sandbox.log()).unwrap();
        fs::create_dir(sandbox.path("disk/log")).unwrap();
        let options = [
            "input",
            "--json",
            "--print-offsets",
            "--max-index-bytes=12000",
        ];
        let assert = sandbox.append(&options).assert().code(2);
        let output = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        let summary: serde_json::Value =
            serde_json::from_str(output.lines().last().unwrap()).unwrap();
        let committed = summary["records"].as_u64().unwrap();
        assert!(committed >= 1000, "{summary}");
        assert_eq!(output.lines().count() as u64, committed + 1);
        let said = stderr(&assert);
        assert!(said.contains("No space left"), "{said}");
        let expected = format!(
            "hint: tail -n +{} input | proglog append log --max-index-bytes 12000 --expect-offset {committed}\n",
            committed + 1
        );
        assert!(said.ends_with(&expected), "{said}");
        assert_eq!(sandbox.values().len() as u64, committed);
        // The hint does what it says, once there is room.
        let dir = sandbox.path("disk/log");
        let moved = sandbox.path("moved");
        fs::create_dir(&moved).unwrap();
        for name in sandbox.names() {
            fs::copy(dir.join(&name), moved.join(&name)).unwrap();
        }
        fs::remove_file(sandbox.log()).unwrap();
        fs::rename(&moved, sandbox.log()).unwrap();
        let binary = assert_cmd::cargo::cargo_bin("proglog");
        let hint = expected
            .trim()
            .trim_start_matches("hint: ")
            .replace("proglog", &binary.display().to_string());
        let status = std::process::Command::new("sh")
            .args(["-c", &hint])
            .current_dir(sandbox.path(""))
            .status();
        assert!(status.unwrap().success());
        assert_eq!(sandbox.values(), raw(&all.lines().collect::<Vec<_>>()));
    });
}

#[test]
fn a_read_only_directory_stays_as_it_is() {
    on_small_tmpfs("1m", |sandbox| {
        fs::create_dir(sandbox.path("disk/log")).unwrap();
        std::os::unix::fs::symlink("disk/log", sandbox.log()).unwrap();
        sandbox.appended(&[], "a\n");
        let remounted = std::process::Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(sandbox.path("disk"))
            .status();
        assert!(remounted.unwrap().success());
        let assert = sandbox.append(&[]).write_stdin("b\n").assert().code(2);
        assert!(stderr(&assert).contains("Read-only file system"));
        assert_eq!(sandbox.values(), raw(&["a"]));
    });
}

#[test]
fn a_file_size_limit_is_an_error_and_no_death() {
    let sandbox = Sandbox::new();
    sandbox.file("input", lines(0..20_000));
    let binary = assert_cmd::cargo::cargo_bin("proglog");
    // Commits of 1000 records each, until a store's fourth would pass 40 KiB.
    let script = format!("ulimit -f 40; exec {} append log input", binary.display());
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("File too large"), "{said}");
    assert!(
        said.contains("no record was appended to log, next offset 0"),
        "{said}"
    );
    assert!(sandbox.values().is_empty());
}
