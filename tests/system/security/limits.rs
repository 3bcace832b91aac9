//! Limits and clocks: whatever is missing is an error in words, never a panic (101) nor a
//! signal.

use crate::security::shell::{bash, logs, status};

const COMMANDS: &[&str] = &[
    "append log",
    "append new",
    "append cut",
    "read log",
    "read -r cut",
    "read log -f --until-idle 0",
    "read log --cursor-file cursor",
    "read log --cursor-file cursor -- cksum",
    "verify cut",
    "verify --json cut",
    "verify log --manifest cut",
    "info cut",
    "explain index-dangling",
    "dump-index cut",
    "dump-store cut",
    "repair cut",
    "repair cut --dry-run",
    "repair cut --replica log",
    "undo mended",
    "undo --list mended",
    "trim log --before 2",
    "trim log --after 2",
    "truncate-index log",
    "diff log other",
    "diff --files log other",
    "manifest log",
    "salvage cut new",
    "completions bash",
    "man",
    "--help",
    "nonsense",
];

/// Runs every command between these words of a shell, each on logs of its own.
fn none_panics(before: &str, after: &str) {
    for command in COMMANDS {
        let sandbox = logs();
        let made = "cp -r cut mended; $proglog repair -q mended >/dev/null; seq 300 >input";
        assert_eq!(status(sandbox.path(), made), 0);
        // The shell itself must still be able to start it.
        let line = format!("{before} $proglog {command} <input {after}");
        let output = bash(sandbox.path(), &line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        assert!(
            code.is_some_and(|code| code <= 4),
            "{line}: {:?}: {said}",
            output.status
        );
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
}

#[test]
fn few_descriptors() {
    for descriptors in [4, 5, 6, 8, 12] {
        none_panics(&format!("ulimit -n {descriptors};"), ">out");
    }
}

#[test]
fn little_memory() {
    // In KiB: from what the binary is barely loaded with up to more than it takes.
    for memory in [12_000, 14_000, 16_000, 17_000, 18_000, 20_000, 60_000] {
        let limit = format!("ulimit -v {memory}; $proglog --version >out || exit 2;");
        none_panics(&limit, ">out");
    }
}

#[test]
fn small_files() {
    for blocks in [0, 1] {
        let piped = "| cat >/dev/null; exit ${PIPESTATUS[0]}";
        none_panics(&format!("ulimit -f {blocks};"), piped);
    }
}

#[test]
fn any_clock() {
    let probe = bash(std::path::Path::new("/"), "faketime -f @0 date");
    if !probe.status.success() {
        eprintln!("SKIPPED: faketime is not here");
        return;
    }
    for clock in ["@-100000", "@-62135596801", "@4200000000", "@300000000000"] {
        none_panics(&format!("faketime -f {clock}"), ">out");
    }
}
