//! What a person sees: progress on a terminal and nowhere else, tables within 80
//! columns, errors that say a thing once and how to go on.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, changes its own sandbox, and says what it skips"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use proglog_testkit::{LogBuilder, Sandbox};

/// Runs a line of shell in a directory, with `proglog` as a word of it.
fn shell(dir: &Path, line: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(dir);
    command.env("proglog", env!("CARGO_BIN_EXE_proglog"));
    command.env("TERM", "xterm");
    command.envs(environment.iter().copied());
    command.output().unwrap()
}

/// The same on a terminal of its own, and what was to be seen there.
fn on_terminal(dir: &Path, line: &str, environment: &[(&str, &str)]) -> Option<String> {
    let typed = format!("script -qec '{line}' /dev/null </dev/null");
    let output = shell(dir, &typed, environment);
    if output.status.code() == Some(127) {
        eprintln!("SKIPPED, script is not here");
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Takes the line that the cursor is on away.
const CLEAR: &str = "\r\x1b[2K";

const SLOW: &str = "(seq 5; sleep 1.4; seq 5) |";

#[test]
fn progress_is_shown_on_a_terminal_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("{SLOW} $proglog append log");
    let Some(seen) = on_terminal(dir.path(), &line, &[]) else {
        return;
    };
    assert!(seen.contains("append 5 records, 0 KiB"), "{seen:?}");
    let (before, said) = seen.split_once("appended 10 records").unwrap();
    assert!(before.ends_with(CLEAR), "{seen:?}");
    assert_eq!(said, " at offsets 0..9\r\n");

    // A signal comes while the line is there.
    let line = "sleep 2.5 | $proglog append log & sleep 1.5; kill -TERM $!; wait";
    let seen = on_terminal(dir.path(), line, &[]).unwrap();
    let (before, _) = seen.split_once("ended by SIGTERM").unwrap();
    assert!(before.contains("append 0 records"), "{seen:?}");
    assert!(before.ends_with(CLEAR), "{seen:?}");
}

#[test]
fn progress_is_not_shown_where_it_is_not_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let quiet = format!("{SLOW} $proglog append -q log");
    let loud = format!("{SLOW} $proglog append log");
    let typed = "sleep 1.4 | $proglog read log";
    for (line, environment) in [(&quiet, ("A", "")), (&loud, ("TERM", "dumb"))] {
        let Some(seen) = on_terminal(dir.path(), line, &[environment]) else {
            return;
        };
        assert!(!seen.contains('\x1b'), "{seen:?}");
    }
    let seen = on_terminal(dir.path(), typed, &[]).unwrap();
    assert!(!seen.contains('\x1b'), "{seen:?}");
    let output = shell(dir.path(), &loud, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("appended 10 records"), "{said:?}");
}

#[test]
fn tables_stand_within_80_columns() {
    let first = u64::MAX - 1000;
    let options = [
        "info log",
        "info log --all",
        "info log --sizes",
        "dump-store log",
    ];
    for segments in [2, 250] {
        let values = ["a value that goes on and on, further than there is room"; 3];
        let bases = (0..segments).map(|number| first + number * 3);
        let log = bases.fold(LogBuilder::raw(), |log, base| log.segment(base, values));
        let sandbox = Sandbox::built(&log);
        for command in options {
            let words: Vec<&str> = command.split(' ').collect();
            let output = sandbox.proglog().args(&words).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{command}");
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains(&first.to_string()), "{text}");
        }
    }
}

#[test]
fn what_the_system_says_is_said_once() {
    let sandbox = Sandbox::of("clean-one-segment");
    let output = shell(sandbox.path(), "$proglog info log >/dev/full", &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        said,
        "error: cannot write to stdout: No space left on device\n"
    );
    let locked = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(sandbox.path().join("log"), locked).unwrap();
    let output = shell(sandbox.path(), "$proglog read log", &[]);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sandbox.path().join("log"), open).unwrap();
    if output.status.success() {
        eprintln!("SKIPPED, whoever runs this may read everything");
        return;
    }
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "error: log: cannot list: Permission denied\n");
}

#[test]
fn a_record_that_memory_does_not_hold_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let line = "(echo a; head -c 250000000 /dev/zero; echo; echo c) | \
                (ulimit -v 200000; exec $proglog append log)";
    let output = shell(dir.path(), line, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("out of memory: a record has more than"),
        "{said}"
    );
    assert!(
        said.contains("1 record was appended to log, next offset 1"),
        "{said}"
    );
    let output = shell(dir.path(), "$proglog read log", &[]);
    assert_eq!(output.stdout, b"a\n");
}

/// An append that wrote nothing leaves a log whose codec nobody can see.
#[test]
fn how_to_go_on_names_the_codec_where_no_record_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in"), "0123456789\n".repeat(2000)).unwrap();
    let line = "(ulimit -f 1; exec $proglog append log in)";
    let output = shell(dir.path(), line, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let hint = said.split_once("hint: ").unwrap().1;
    assert!(hint.contains(" --codec raw --expect-offset 0"), "{said}");
    let hint = hint.replace("proglog", "$proglog");
    let output = shell(dir.path(), &hint, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("appended 2000 records at offsets 0..1999"),
        "{said}"
    );
}

#[test]
fn a_repair_that_leaves_no_record_says_what_the_next_append_needs() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["only"]));
    sandbox.cut("0.index", 0);
    sandbox.cut("0.store", 2);
    for line in ["$proglog repair log --dry-run", "$proglog repair log"] {
        let output = shell(sandbox.path(), line, &[]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("--codec raw or --codec protobuf"), "{said}");
    }
    let output = shell(sandbox.path(), "$proglog repair log --json", &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("{\"kind\":\"remark\""), "{said}");
}

#[test]
fn what_is_no_file_is_not_called_missing() {
    let sandbox = Sandbox::of("clean-one-segment");
    for (file, command) in [("0.store", "dump-store"), ("0.index", "dump-index")] {
        sandbox.remove(file);
        let line = format!("mkfifo log/{file} && $proglog {command} log");
        let output = shell(sandbox.path(), &line, &[]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            said.contains(&format!("{file} is a FIFO, not a regular file")),
            "{said}"
        );
    }
}

#[test]
fn many_files_need_no_higher_limit_of_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let line = "seq 300 | $proglog append -q log --max-store-bytes 1 && ulimit -Sn 64 \
                && $proglog trim -q log --before 250 && $proglog undo log > undone \
                && $proglog diff -q log log && $proglog read log -c 1 -- sh -c 'cat; ulimit -Sn'";
    let output = shell(dir.path(), line, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(output.stdout, b"1\n64\n");

    // Where the hard limit is low too, it says so and changes nothing.
    let line = "ls log > before; ulimit -n 64; $proglog trim log --before 250; echo $?; \
                ls log | cmp - before";
    let output = shell(dir.path(), line, &[]);
    assert_eq!(output.stdout, b"2\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("the limit is 64"), "{stderr}");
    assert!(stderr.contains("ulimit -n"), "{stderr}");
}

/// What is made of an index during the look are open files: they give way to those that
/// the repair itself needs.
#[test]
fn missing_indexes_need_no_more_descriptors_than_files() {
    const SEGMENTS: u64 = 24;
    const RECORDS: u64 = 24;
    let mut builder = LogBuilder::raw();
    for segment in 0..SEGMENTS {
        // More than one piece of a store.
        builder = builder.segment(segment * RECORDS, (0..RECORDS).map(|_| vec![b'v'; 190_000]));
    }
    let sandbox = Sandbox::built(&builder);
    let line =
        "rm log/*.index; ulimit -n 76; $proglog repair -q log --no-save && $proglog verify log";
    let output = shell(sandbox.path(), line, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("576 records"), "{stdout}");
}

#[test]
fn what_cannot_be_printed_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in ["--help", "--version", "read --help"] {
        let output = shell(
            dir.path(),
            &format!("$proglog {arguments} > /dev/full"),
            &[],
        );
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.starts_with("error: cannot write to stdout"),
            "{stderr}"
        );
    }
    let line = "seq 9 | $proglog append -q log --print-offsets > /dev/full";
    let output = shell(dir.path(), line, &[]);
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        stderr.matches("error: cannot write to stdout").count(),
        1,
        "{stderr}"
    );
}

#[test]
fn an_error_is_one_line_whatever_a_name_holds() {
    let dir = tempfile::tempdir().unwrap();
    let output = shell(
        dir.path(),
        r"$proglog verify 'no
such'",
        &[],
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr, "error: no\\nsuch: no such directory\n");
}

#[test]
fn matches_are_highlighted_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let made = "printf 'a\\033b\\nna\\303\\274\\nx\\n' | $proglog append -q log";
    assert!(shell(dir.path(), made, &[]).status.success());
    let shown = "\x1b[1;31ma\x1b[0m\\x1bb\r\nn\x1b[1;31ma\x1b[0m\u{fc}\r\n";
    let line = "$proglog read log -g a";
    let Some(seen) = on_terminal(dir.path(), line, &[("A", "")]) else {
        return;
    };
    assert_eq!(seen, shown);
    let plain = shown.replace("\x1b[1;31m", "").replace("\x1b[0m", "");
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let seen = on_terminal(dir.path(), line, &[environment]);
        assert_eq!(seen.as_deref(), Some(&*plain), "{environment:?}");
    }
    let never = on_terminal(dir.path(), "$proglog read log -g a --color never", &[]);
    assert_eq!(never.as_deref(), Some(&*plain));
    // A part of a character is not shown alone.
    let part = on_terminal(
        dir.path(),
        "$proglog read log -g \"(?-u)\\\\xfc|\\\\xc3\"",
        &[],
    );
    assert_eq!(part.as_deref(), Some("na\u{fc}\r\n"));
}
