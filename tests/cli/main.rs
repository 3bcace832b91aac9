//! The command line as one piece: the same rule in every command. Suggestions, offsets
//! and ranges, exit statuses, the wording of errors, names in JSON, colors, completions.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test changes its own sandbox, fails by panicking and names what it skips"
)]

mod offsets;
mod suggestions;

use proglog_testkit::{LogBuilder, Sandbox};

/// Runs the binary in a sandbox: its status, stdout, stderr.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> (i32, String, String) {
    run_with(sandbox, arguments, "")
}

/// Runs the binary with this on its stdin.
fn run_with(sandbox: &Sandbox, arguments: &[&str], stdin: &str) -> (i32, String, String) {
    let output = sandbox
        .proglog()
        .args(arguments)
        .write_stdin(stdin)
        .output()
        .unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Splits a command at its spaces.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// A raw log of records 0..19 in two segments, 0 and 10.
fn twenty() -> Sandbox {
    let values = |from: u64| (from..from + 10).map(|n| format!("value {n}"));
    Sandbox::built(
        &LogBuilder::raw()
            .segment(0, values(0))
            .segment(10, values(10)),
    )
}
