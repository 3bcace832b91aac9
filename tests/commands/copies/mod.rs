//! More than one copy of a log: `diff`, `manifest` and `verify --manifest` as a user
//! meets them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test makes and changes its own files"
)]

mod diff;
mod manifest;
mod random;

use std::fs;
use std::path::PathBuf;

use proglog_testkit::{LogBuilder, Sandbox};
use serde_json::Value;

/// What a run gave: its status, stdout, stderr.
type Ran = (i32, String, String);

fn ran(command: &mut assert_cmd::Command) -> Ran {
    let output = command
        .timeout(std::time::Duration::from_secs(60))
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn proglog(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    ran(sandbox.proglog().args(arguments))
}

/// Adds a second log beside the sandbox's own.
fn beside(sandbox: &Sandbox, name: &str, builder: &LogBuilder) -> PathBuf {
    let path = sandbox.path().join(name);
    fs::create_dir(&path).unwrap();
    for (file, bytes) in builder.files() {
        fs::write(path.join(file), bytes).unwrap();
    }
    path
}

/// The lines of a JSON stream; the last is the summary.
fn lines(text: &str) -> Vec<Value> {
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert_eq!(lines.last().unwrap()["kind"], "summary", "{text}");
    lines
}

/// `kind side first..last` of each line that is a range.
fn ranges(lines: &[Value]) -> Vec<String> {
    let text = |line: &Value, field: &str| line[field].as_str().map(str::to_owned);
    lines
        .iter()
        .filter(|line| !line["first_offset"].is_null())
        .map(|line| {
            let side = text(line, "side").map_or(String::new(), |side| format!(" {side}"));
            let kind = text(line, "kind").unwrap();
            let (first, last) = (&line["first_offset"], &line["last_offset"]);
            format!("{kind}{side} {first}..{last}")
        })
        .collect()
}
