//! Stdout that nobody reads, that is closed, or that is a file of the log itself.

use std::fs;

use crate::security::shell::{bash, logs, status};

/// Whatever becomes of stdout, these end with the status of the log.
const TELLING: &[(&str, i32)] = &[
    ("diff log other", 1),
    ("diff --json log other", 1),
    ("diff --files log other", 1),
    ("diff -q log other", 1),
    ("diff log cut", 3),
    ("diff log log", 0),
    ("verify cut", 3),
    ("verify log", 0),
    ("salvage --dry-run cut new", 0),
    ("salvage cut new", 0),
    ("salvage --json cut new", 0),
    ("manifest cut", 3),
    ("manifest log", 0),
    ("read cut", 3),
    ("read --json cut", 3),
    ("read log --offset 9", 1),
    ("dump-index log --from 9", 1),
    ("dump-store log --from 9", 1),
    ("repair --dry-run strays", 3),
    ("repair strays", 3),
    ("repair --json strays", 3),
    ("repair cut", 0),
    ("truncate-index padded --dry-run", 0),
    ("trim --before 2 --dry-run log", 0),
    ("undo --list mended", 0),
    ("info cut", 0),
];

/// Makes the logs anew that the commands are run on.
const MAKE: &str = "rm -rf new* strays mended padded cursor *.proglog-saved; cp -r log strays; \
    cp -r cut mended; cp -r log padded; truncate -s +120 padded/0.index; : > strays/stray; \
    $proglog repair mended >/dev/null 2>&1;";

#[test]
fn a_pipe_that_nobody_reads_keeps_the_status() {
    let sandbox = logs();
    for (command, expected) in TELLING {
        // The reader is gone before the command begins.
        let line = format!(
            "{MAKE} (until [ -e gone ]; do sleep 0.01; done; $proglog {command} 2>err; \
             echo $? >status) | (exec <&-; : >gone); cat status; rm gone status"
        );
        let output = bash(sandbox.path(), &line);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = fs::read_to_string(sandbox.path().join("err")).unwrap();
        assert_eq!(printed.trim(), expected.to_string(), "{command}: {err}");
        assert!(!err.contains("stdout"), "{command}: {err}");
        // The cut log is made anew too.
        let anew = "rm -rf cut; cp -r log cut && truncate -s -1 cut/0.store";
        assert_eq!(status(sandbox.path(), anew), 0);
    }
}

#[test]
fn damage_is_told_where_nobody_reads_the_records() {
    let sandbox = logs();
    let line = "(until [ -e gone ]; do sleep 0.01; done; $proglog read cut) | (exec <&-; : >gone)";
    let said = bash(sandbox.path(), line).stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("index-dangling"), "{said}");
}

#[test]
fn a_closed_stdout_is_an_error_and_moves_no_cursor() {
    let sandbox = logs();
    let dir = sandbox.path();
    for command in [
        "read log",
        "read log --cursor-file cursor",
        "read log --cursor-file cursor -c 2",
        "read log --cursor-file cursor -f --until-idle 0.1",
        "verify log",
        "info log",
        "diff log other",
        "manifest log",
        "dump-index log",
        "dump-store log",
        "salvage --dry-run log new",
        "explain index-dangling",
        "completions bash",
    ] {
        for closed in [">&-", "<&- >&-", "<&- >&- 2>&-"] {
            let got = status(dir, &format!("$proglog {command} {closed}"));
            assert_eq!(got, 2, "{command} {closed}");
            assert!(!dir.join("cursor").exists(), "{command} {closed}");
        }
    }
    // /dev/null is no closed stdout, whoever opened it and how.
    for open in [">/dev/null", "1<>/dev/null"] {
        let line = format!("$proglog read log --cursor-file cursor -c 2 {open}");
        assert_eq!(status(dir, &line), 0, "{open}");
        assert!(dir.join("cursor").exists(), "{open}");
        fs::remove_file(dir.join("cursor")).unwrap();
    }
    // Nothing is printed there.
    assert_eq!(status(dir, "echo x | $proglog append -q log >&-"), 0);
}

#[test]
fn a_closed_stdin_is_no_empty_input() {
    let sandbox = logs();
    let before = sandbox.snapshot();
    assert_eq!(status(sandbox.path(), "$proglog append log <&-"), 2);
    assert_eq!(
        status(sandbox.path(), "$proglog verify log --manifest - <&-"),
        2
    );
    assert_eq!(status(sandbox.path(), "$proglog append log </dev/null"), 0);
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn a_closed_stderr_stops_nobody() {
    let sandbox = logs();
    for (command, expected) in TELLING {
        let line = format!("{MAKE} $proglog {command} 2>&- >/dev/null");
        assert_eq!(status(sandbox.path(), &line), *expected, "{command}");
        let anew = "rm -rf cut; cp -r log cut && truncate -s -1 cut/0.store";
        assert_eq!(status(sandbox.path(), anew), 0);
    }
}

#[test]
fn a_file_of_the_log_is_no_stdout() {
    let sandbox = logs();
    let dir = sandbox.path();
    assert_eq!(
        status(dir, "ln -s $PWD/log/0.store linked && ln log/0.store hard"),
        0
    );
    let before = sandbox.snapshot();
    for command in [
        "read log",
        "read log -f --until-idle 0",
        "read log --cursor-file cursor",
        "verify log",
        "info log",
        "dump-index log",
        "dump-store log",
        "diff log other",
        "diff other log",
        "manifest log",
        "salvage log new",
        "repair log",
        "trim --before 2 log",
        "truncate-index log",
        "undo log",
        "append log",
    ] {
        for file in ["log/0.store", "log/0.index", "linked", "hard"] {
            let line = format!("echo x | $proglog {command} >>{file}");
            let output = bash(dir, &line);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{line}: {said}");
            assert!(said.contains("is in the log's directory"), "{line}: {said}");
            assert_eq!(sandbox.snapshot(), before, "{line}");
        }
    }
    // A log whose file is a link is read through it.
    let line = "mkdir far && cp log/* far/ && mkdir near && ln -s $PWD/far/0.* near/";
    assert_eq!(status(dir, line), 0);
    assert_eq!(status(dir, "$proglog read near >>far/0.store"), 2);
    assert_eq!(status(dir, "$proglog read near >>far/other"), 0);
}
