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

use proglog_testkit::{LogBuilder, Sandbox, json};
use serde_json::Value;

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
    let lines = json(text);
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
