//! Reads that go on: a follower beside every kind of writer, the cursor file, and the
//! command that handles records; each killed at random, too.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, and writes as a service does"
)]

mod beside;
mod cursor;
mod fingerprint;
mod go;
mod kills;
mod places;
mod replaced;
mod rewritten;
mod running;
mod search;
mod waiting;
mod worker;

use std::fmt::Write as _;
use std::ops::Range;

use proglog_testkit::Sandbox;

/// Lines `numbers`, each with its newline.
fn lines(numbers: Range<u64>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{number}");
        text
    })
}

/// Appends these numbers, a line each.
fn append(sandbox: &Sandbox, numbers: Range<u64>, options: &[&str]) {
    let mut command = sandbox.proglog();
    command.args(["append", "log", "--wait=20"]).args(options);
    command.write_stdin(lines(numbers)).assert().success();
}

/// Runs the binary, which must succeed.
fn run(sandbox: &Sandbox, arguments: &[&str]) {
    sandbox.proglog().args(arguments).assert().success();
}

/// A sandbox whose log holds the numbers up to `end`, ten to a segment.
fn numbered(end: u64) -> Sandbox {
    let sandbox = Sandbox::bare();
    append(&sandbox, 0..end, &["--max-index-bytes=120"]);
    sandbox
}

/// The first line of the cursor file: the next offset.
fn held(sandbox: &Sandbox) -> Option<String> {
    let text = std::fs::read_to_string(sandbox.path().join("cursor")).ok()?;
    let first = text.split_inclusive('\n').next();
    Some(first.unwrap_or_default().to_owned())
}
