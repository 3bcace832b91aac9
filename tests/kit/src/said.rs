//! What a run of the binary gave, as values to compare.

use std::process::Output;

use serde_json::Value;

use crate::Sandbox;

/// The status, stdout and stderr of a run.
pub type Said = (i32, String, String);

/// Runs `proglog` with these arguments in a sandbox.
#[expect(
    clippy::must_use_candidate,
    reason = "its effect may be all that is wanted"
)]
pub fn run(sandbox: &Sandbox, arguments: &[&str]) -> Said {
    said(sandbox.proglog().args(arguments).output().expect("a run"))
}

/// What a run gave that ended by itself, not by a signal.
#[must_use]
pub fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    let Some(status) = output.status.code() else {
        panic!("{}: {out}{err}", output.status);
    };
    (status, out, err)
}

/// The lines of JSON in `text`.
#[must_use]
pub fn json(text: &str) -> Vec<Value> {
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parse).collect()
}

/// Those of the lines that have this `kind`.
#[must_use]
pub fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}
