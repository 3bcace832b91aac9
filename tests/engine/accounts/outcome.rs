//! What must come of a harmed log, exactly, and all commands run to see it.

use std::collections::BTreeMap;

use proglog_testkit::{Codec, Sandbox};

use super::forge::{Files, proto, raw};
use super::run::{Case, Said, compare_dry_run, run_in, same_contents};

/// Values by offset.
pub type Records = BTreeMap<u64, Vec<u8>>;

/// What an append of one line does.
#[derive(Debug, Clone, Copy)]
pub enum Append {
    /// It gets this offset; nothing is cut.
    Gets(u64),
    /// It gets this offset, or refuses with status 3.
    MayGet(u64),
    /// It refuses with status 3 and changes nothing.
    Refuses,
}

/// What must come of a log.
pub struct Outcome {
    /// Ids that verify must find; any of a group separated by `|`.
    pub finds: &'static [&'static str],
    /// Ids that it must not find.
    pub finds_not: &'static [&'static str],
    /// Numbers of records, one of which a finding must name; any if empty.
    pub count: Vec<u64>,
    /// Statuses of repair.
    pub repair: &'static [i32],
    /// What is readable afterwards, all of it.
    pub records: Option<Records>,
    /// Whether a repair may cut the stores.
    pub cuts: bool,
    pub append: Append,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            finds: &[],
            finds_not: &["foreign-dialect"],
            count: Vec::new(),
            repair: &[0],
            records: None,
            cuts: false,
            append: Append::Refuses,
        }
    }
}

pub fn text(n: u64) -> Vec<Vec<u8>> {
    (0..n)
        .map(|i| format!("record number {i}").into_bytes())
        .collect()
}

/// Lines of different lengths.
pub fn lines(n: u64) -> Vec<Vec<u8>> {
    (0..n)
        .map(|i| {
            "some words of a line, more or less "
                .repeat(1 + (i * 5 % 7) as usize)
                .into_bytes()
        })
        .collect()
}

pub fn numbered(first: u64, values: &[Vec<u8>]) -> Records {
    (first..).zip(values.iter().cloned()).collect()
}

/// A pair of this codec.
pub fn made(codec: Codec, base: u64, values: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    match codec {
        Codec::Raw => raw(values),
        Codec::Protobuf => proto(values, base, 0, 0),
    }
}

/// The records of a log, as `read` gives them behind any damage.
pub fn read(sandbox: &Sandbox) -> (Records, Said) {
    read_of(sandbox, "log")
}

pub fn read_of(sandbox: &Sandbox, log: &str) -> (Records, Said) {
    let arguments = ["read", "--json", "--on-error", "skip", log];
    let said = run_in(sandbox.path(), &arguments, "");
    let record = |line: &serde_json::Value| {
        let value = line["value"].as_str()?.as_bytes().to_vec();
        Some((line["offset"].as_u64()?, value))
    };
    (said.json().iter().filter_map(record).collect(), said)
}

/// Whether every store still begins with the bytes that it had.
pub fn stores_kept(files: &Files, sandbox: &Sandbox) -> bool {
    let names = sandbox.names();
    let kept = |name: &String, bytes: &Vec<u8>| {
        names.contains(name) && sandbox.read(name).starts_with(bytes)
    };
    files
        .iter()
        .all(|(name, bytes)| name.ends_with("index") || kept(name, bytes))
}

/// Which records these are, for messages.
pub fn brief(records: &Records) -> String {
    let first = records
        .iter()
        .take(3)
        .map(|(o, v)| format!("{o} {}", v.escape_ascii()));
    format!(
        "{} records: {}",
        records.len(),
        first.collect::<Vec<_>>().join(", ")
    )
}

/// Runs every command on a copy of its own; gives what is not as it must be.
pub fn check(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = &case.name;
    let verify = case.untouched(&["verify", "--json", "log"], "", &mut wrong);
    check_verify(name, &verify, outcome, &mut wrong);

    let dry = [
        &["repair", "--dry-run", "log"][..],
        &["repair", "--dry-run", "--json", "log"],
    ]
    .map(|arguments| case.untouched(arguments, "", &mut wrong));
    let (text, _, _) = case.run(&["repair", "log"], "");
    let (json, repaired, same) = case.run(&["repair", "--json", "log"], "");
    compare_dry_run(name, [&dry[0], &dry[1]], [&text, &json], &mut wrong);
    if !outcome.repair.contains(&json.status) {
        wrong.push(format!("{name}: repair: {}", json.all()));
    }
    if !outcome.cuts && !stores_kept(&case.files, &repaired) {
        wrong.push(format!("{name}: repair cut a store: {}", text.all()));
    }
    if let Some(expected) = &outcome.records {
        let (found, said) = read(&repaired);
        if found != *expected {
            wrong.push(format!(
                "{name}: after repair {}, expected {}: {}{}",
                brief(&found),
                brief(expected),
                text.all(),
                said.err
            ));
        }
    }
    check_again(case, &repaired, &json, same, &mut wrong);
    check_append(case, outcome, &mut wrong);
    wrong
}

pub fn check_verify(name: &str, verify: &Said, outcome: &Outcome, wrong: &mut Vec<String>) {
    let found = verify.findings();
    if verify.status != 3 {
        wrong.push(format!("{name}: verify: {}", verify.all()));
    }
    for group in outcome.finds {
        if !group
            .split('|')
            .any(|id| found.iter().any(|found| found == id))
        {
            wrong.push(format!("{name}: verify finds {found:?}, not {group}"));
        }
    }
    for id in outcome.finds_not {
        if found.iter().any(|found| found == id) {
            wrong.push(format!("{name}: verify finds {id}"));
        }
    }
    if !outcome.count.is_empty() {
        let is = |value: &serde_json::Value| {
            value.as_u64().is_some_and(|it| outcome.count.contains(&it))
        };
        let named = |line: &serde_json::Value| {
            line["kind"] == "finding" && (is(&line["records"]) || is(&line["frames"]))
        };
        if !verify.json().iter().any(named) {
            wrong.push(format!(
                "{name}: no finding of {:?} records: {}",
                outcome.count,
                verify.all()
            ));
        }
    }
}

/// A second repair does nothing, verify ends as the repair did, undo restores.
pub fn check_again(
    case: &Case,
    repaired: &Sandbox,
    first: &Said,
    same: bool,
    wrong: &mut Vec<String>,
) {
    let name = &case.name;
    let after = repaired.snapshot();
    let verify = run_in(repaired.path(), &["verify", "--json", "log"], "");
    if verify.status != first.status || verify.findings() != first.findings() {
        wrong.push(format!(
            "{name}: repair: {}verify: {}",
            first.all(),
            verify.all()
        ));
    }
    let again = run_in(repaired.path(), &["repair", "--json", "log"], "");
    if repaired.snapshot() != after || again.status != first.status {
        wrong.push(format!(
            "{name}: first repair: {}second: {}",
            first.all(),
            again.all()
        ));
    }
    if !same {
        let undo = run_in(repaired.path(), &["undo", "log"], "");
        let before = case.sandbox().snapshot();
        if undo.status != 0 || !same_contents(&repaired.snapshot(), &before) {
            wrong.push(format!("{name}: undo: {}", undo.all()));
        }
    }
}

pub fn check_append(case: &Case, outcome: &Outcome, wrong: &mut Vec<String>) {
    let name = &case.name;
    let arguments = ["append", "--print-offsets", "log"];
    let (said, appended, same) = case.run(&arguments, "one more line\n");
    if !outcome.cuts && !stores_kept(&case.files, &appended) {
        wrong.push(format!("{name}: append cut a store: {}", said.all()));
    }
    let gets = |offset: u64| said.status == 0 && said.out.trim() == offset.to_string();
    let refuses = said.status == 3 && same;
    let right = match outcome.append {
        Append::Gets(offset) => gets(offset),
        Append::MayGet(offset) => gets(offset) || refuses,
        Append::Refuses => refuses,
    };
    if !right {
        wrong.push(format!(
            "{name}: append, {:?}: {}",
            outcome.append,
            said.all()
        ));
    }
    if let (0, Some(expected)) = (said.status, &outcome.records) {
        let (mut found, _) = read(&appended);
        found.retain(|_, value| value != b"one more line");
        if found != *expected {
            wrong.push(format!(
                "{name}: after append {}: {}",
                brief(&found),
                said.all()
            ));
        }
    }
}

/// Salvages; what is in the new log must be `expected`.
pub fn salvages(case: &Case, options: &[&str], expected: &Records, wrong: &mut Vec<String>) {
    let sandbox = case.sandbox();
    let mut arguments = vec!["salvage", "log", "new"];
    arguments.extend(options);
    let said = run_in(sandbox.path(), &arguments, "");
    let (found, _) = read_of(&sandbox, "new");
    if found != *expected {
        wrong.push(format!(
            "{}: salvage {options:?}: {}, expected {}: {}",
            case.name,
            brief(&found),
            brief(expected),
            said.all()
        ));
    }
}
