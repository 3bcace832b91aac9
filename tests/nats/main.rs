//! `push` and `pull` against a real nats-server: both ways, cut short on both sides,
//! and everything that is refused. Skipped, and says so, where there is no nats-server.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod client;
mod copies;
mod faults;
mod follow;
#[path = "../commands/help.rs"]
mod help;
mod refusals;
mod retention;
mod server;
mod ways;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use proglog_testkit::Sandbox;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// proglog with its words, in a sandbox; ended after a while.
fn proglog(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    proglog_testkit::proglog()
        .current_dir(sandbox.path())
        .args(arguments)
        .timeout(Duration::from_secs(120))
        .output()
        .unwrap()
}

/// The same, which must end with this status; gives stdout and stderr.
fn ends(sandbox: &Sandbox, arguments: &[&str], status: i32) -> (String, String) {
    let output = proglog(sandbox, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(status),
        "{arguments:?}\n{out}{err}"
    );
    (out, err)
}

/// The same, refused: the status, words that must be said, and nothing on stdout.
fn refused(sandbox: &Sandbox, arguments: &[&str], status: i32, words: &[&str]) {
    let (out, err) = ends(sandbox, arguments, status);
    for word in words {
        assert!(err.contains(word), "{word:?} is not in: {err}");
    }
    assert!(err.starts_with("error: "), "{err}");
    assert_eq!(out, "");
}

/// Starts proglog in a sandbox.
fn spawn(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    Command::new(proglog_testkit::proglog().get_program())
        .current_dir(sandbox.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A log of numbered lines, in segments of 1 MiB.
fn numbered(sandbox: &Sandbox, records: u64) {
    append(sandbox, "log", &["--max-store-bytes=1MiB"], &lines(records));
}

/// Numbered lines.
fn lines(records: u64) -> String {
    (0..records).fold(String::new(), |lines, n| lines + &format!("record {n}\n"))
}

fn append(sandbox: &Sandbox, log: &str, options: &[&str], lines: &str) {
    proglog_testkit::proglog()
        .current_dir(sandbox.path())
        .args(["append", log])
        .args(options)
        .write_stdin(lines)
        .assert()
        .success();
}

/// Offset, value, term and type of every record of a log, as `read --json` tells them.
fn records(sandbox: &Sandbox, log: &str) -> Vec<(u64, String, u64, u64)> {
    let (out, err) = ends(sandbox, &["read", log, "--json"], 0);
    assert_eq!(err, "");
    let record = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| line[name].as_u64().unwrap_or(0);
        let value = line.get("value").or(line.get("value_base64"));
        let value = value.unwrap().as_str().unwrap().to_owned();
        (number("offset"), value, number("term"), number("type"))
    };
    out.lines().map(record).collect()
}

/// Whether two logs hold the same records under the same offsets.
fn assert_same(sandbox: &Sandbox, one: &str, other: &str) {
    ends(sandbox, &["diff", one, other], 0);
    let (one, other) = (records(sandbox, one), records(sandbox, other));
    assert_eq!(one.len(), other.len());
    let differs = one.iter().zip(&other).find(|(a, b)| a != b);
    assert_eq!(differs, None);
}

/// The most memory that a process has had so far. Units: bytes.
fn memory(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Whether a directory is not there, or has nothing in it.
fn is_untouched(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut names| names.next().is_none()) || !path.exists()
}
