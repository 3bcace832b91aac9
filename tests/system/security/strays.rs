//! Directories with very many names: what each name costs does not grow with their
//! number, and what is printed is bounded. The limit is that of every run of the binary,
//! a minute; what grows with the square of the names takes many.

use std::fs::{self, File};
use std::path::Path;

use proglog_testkit::{LogBuilder, memory_directory, proglog};

/// Names in a directory.
const NAMES: usize = 300_000;

/// What a command prints, and that it ends with this status.
fn printed(dir: &Path, arguments: &str, status: i32) -> String {
    let arguments = arguments.split(' ');
    let run = proglog()
        .args(arguments)
        .current_dir(dir)
        .assert()
        .code(status);
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

fn log_with(dir: &Path, name: impl Fn(usize) -> String) {
    let log = dir.join("log");
    fs::create_dir(&log).unwrap();
    for (name, bytes) in LogBuilder::raw().segment(0, ["one", "two"]).files() {
        fs::write(log.join(name), bytes).unwrap();
    }
    for number in 0..NAMES {
        File::create(log.join(name(number))).unwrap();
    }
}

#[test]
fn stray_names_are_counted() {
    let directory = memory_directory();
    let dir = directory.path();
    log_with(dir, |number| format!("stray-{number}"));
    for command in ["verify log", "verify -q log", "repair --dry-run log"] {
        let text = printed(dir, command, 3);
        assert!(
            text.lines().count() < 200,
            "{command}: {}",
            text.lines().count()
        );
        assert!(
            text.contains("299976 more (--json lists all)"),
            "{command}: {text}"
        );
    }
    for command in ["verify --json log", "repair --dry-run --json log"] {
        let text = printed(dir, command, 3);
        let findings = text.lines().filter(|line| line.contains("stray-name"));
        assert_eq!(findings.count(), NAMES, "{command}");
    }
    for command in [
        "info log",
        "read log",
        "dump-index log",
        "diff log log",
        "manifest log",
    ] {
        let text = printed(dir, command, 0);
        assert!(text.lines().count() < 200, "{command}");
    }
}

#[test]
fn second_names_are_counted() {
    let directory = memory_directory();
    let dir = directory.path();
    // Half of them padded names of segments of their own, half second names of those.
    log_with(dir, |number| {
        format!("{}{}.store", "0".repeat(1 + number % 2), 2 + number / 2)
    });
    for command in ["verify log", "repair --dry-run log"] {
        let text = printed(dir, command, 3);
        assert!(
            text.lines().count() < 300,
            "{command}: {}",
            text.lines().count()
        );
        assert!(
            text.contains("149976 more (--json lists all)"),
            "{command}: {text}"
        );
    }
    assert!(printed(dir, "verify --json log", 3).lines().count() > NAMES);
}
