//! The log's directory is moved away, and another log takes its name, while an append goes
//! on: nothing is written to that one, and all that was printed is in the one that was
//! opened.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use crate::append::{Sandbox, payloads, placed};

fn spawn(sandbox: &Sandbox, options: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("proglog"));
    command
        .current_dir(sandbox.path(""))
        .args(["append", "log", "--print-offsets"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Another log, as a salvage makes one to be put in place.
fn other(sandbox: &Sandbox) -> Vec<Vec<u8>> {
    sandbox.appended(&[], "one\ntwo\n");
    fs::rename(sandbox.log(), sandbox.path("new")).unwrap();
    payloads(&sandbox.path("new"))
}

/// The two commands that put it in place.
fn put_in_place(sandbox: &Sandbox) {
    fs::rename(sandbox.log(), sandbox.path("log.damaged")).unwrap();
    fs::rename(sandbox.path("new"), sandbox.log()).unwrap();
}

/// Checks how it ended, where `printed` are the offsets that were told.
fn check(sandbox: &Sandbox, ended: &Output, printed: usize, other: &[Vec<u8>]) {
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    let damaged = sandbox.path("log.damaged");
    assert!(said.contains("log: was moved or replaced"), "{said}");
    let now = damaged.canonicalize().unwrap();
    assert!(said.contains(now.to_str().unwrap()), "{said}");
    assert!(said.contains(&format!("{printed} record")), "{said}");
    assert!(
        said.contains(&format!("--expect-offset {printed}")),
        "{said}"
    );
    assert_eq!(placed(&damaged).len(), printed, "{said}");
    assert_eq!(payloads(&sandbox.log()), other, "{said}");
    for log in [&damaged, &sandbox.log()] {
        let mut verify = Command::new(assert_cmd::cargo::cargo_bin("proglog"));
        let verified = verify.arg("verify").arg(log).output().unwrap();
        assert!(verified.status.success(), "{}: {verified:?}", log.display());
    }
}

fn count_lines(mut out: impl BufRead) -> usize {
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    text.lines().count()
}

#[test]
fn a_pause_in_which_the_log_is_replaced_ends_the_append() {
    for keeps_lock in [&[][..], &["--expect-offset", "0"]] {
        let sandbox = Sandbox::new();
        let other = other(&sandbox);
        let mut child = spawn(&sandbox, keeps_lock);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"a\n").unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "0\n");
        put_in_place(&sandbox);
        input.write_all(b"b\n").unwrap();
        drop(input);
        let more = count_lines(out);
        let ended = child.wait_with_output().unwrap();
        check(&sandbox, &ended, 1 + more, &other);
        assert_eq!(more, 0);
    }
}

/// A stream that never pauses: the moment between two commits is as good as any other.
#[test]
fn a_stream_under_which_the_log_is_replaced_ends() {
    for limits in [&[][..], &["--max-store-bytes", "4096"], &["--no-sync"]] {
        let sandbox = Sandbox::new();
        let other = other(&sandbox);
        let mut child = spawn(&sandbox, limits);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut input = child.stdin.take().unwrap();
        // Until the append has ended.
        let sender =
            thread::spawn(move || while input.write_all(b"a line of a stream\n").is_ok() {});
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        put_in_place(&sandbox);
        let printed = 1 + count_lines(out);
        let ended = child.wait_with_output().unwrap();
        sender.join().unwrap();
        check(&sandbox, &ended, printed, &other);
    }
}

#[test]
fn a_log_that_is_gone_is_not_made_again() {
    let sandbox = Sandbox::new();
    let mut child = spawn(&sandbox, &[]);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"a\n").unwrap();
    out.read_line(&mut String::new()).unwrap();
    fs::remove_dir_all(sandbox.log()).unwrap();
    input.write_all(b"b\n").unwrap();
    drop(input);
    assert_eq!(count_lines(out), 0);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("was moved or replaced"), "{said}");
    assert!(!Path::exists(&sandbox.log()));
}
