//! The binary, run in a sandbox, and what it said.

use std::path::Path;

use proglog_testkit::{Sandbox, Snapshot, proglog};
use serde_json::Value;

use super::forge::{self, Files};

/// One run: status, stdout, stderr.
#[derive(Debug, Clone)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The lines of stdout as JSON.
    pub fn json(&self) -> Vec<Value> {
        let lines = self.out.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The ids of findings that are no notes, sorted, each once.
    pub fn findings(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .json()
            .iter()
            .filter(|line| line["kind"] == "finding" && line["severity"] != "note")
            .map(|line| line["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// All that it said, in one text.
    pub fn all(&self) -> String {
        format!("status {}\n{}{}", self.status, self.out, self.err)
    }
}

/// Runs the binary in a directory.
pub fn run_in(directory: &Path, arguments: &[&str], input: &str) -> Said {
    // Until a process has become its program it holds every descriptor of this one, and
    // with them files that a library call of another thread asks a lease for.
    let _forks = crate::FORKS.write();
    let output = proglog()
        .current_dir(directory)
        .args(arguments)
        .write_stdin(input)
        .output()
        .unwrap();
    Said {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A log, the case's name for messages, and commands run on a fresh copy each.
pub struct Case {
    pub name: String,
    pub files: Files,
}

impl Case {
    pub fn new(name: impl Into<String>, files: Files) -> Self {
        Self {
            name: name.into(),
            files,
        }
    }

    pub fn sandbox(&self) -> Sandbox {
        forge::sandbox(&self.files)
    }

    /// Runs a command on a fresh copy; gives what it said and the copy.
    pub fn run(&self, arguments: &[&str], input: &str) -> (Said, Sandbox, bool) {
        let sandbox = self.sandbox();
        let before = sandbox.snapshot();
        let said = run_in(sandbox.path(), arguments, input);
        let same = sandbox.snapshot() == before;
        (said, sandbox, same)
    }

    /// A command that must leave every byte, size and time alone.
    pub fn untouched(&self, arguments: &[&str], input: &str, wrong: &mut Vec<String>) -> Said {
        let (said, _, same) = self.run(arguments, input);
        if !same {
            wrong.push(format!(
                "{}: {arguments:?} changed the log: {}",
                self.name,
                said.all()
            ));
        }
        said
    }
}

/// What a dry run and the run must have in common, from `--json`: everything but the
/// summary and what says which of the two it was.
pub fn common(said: &Said) -> Vec<String> {
    let mut lines = Vec::new();
    for mut line in said.json() {
        let kind = line["kind"].as_str().unwrap_or_default().to_owned();
        if kind == "summary" {
            continue;
        }
        if kind == "finding" {
            if line["severity"] != "note" {
                lines.push(format!("finding {}", line["id"].as_str().unwrap()));
            }
            continue;
        }
        if let Some(object) = line.as_object_mut() {
            object.remove("dry_run");
        }
        lines.push(line.to_string());
    }
    // What remains is told in another order than what is found.
    let steps = lines.iter().position(|line| line.starts_with("finding"));
    if let Some(findings) = steps {
        lines[findings..].sort();
    }
    lines.dedup();
    lines
}

/// The lines of the text output that say what changes, in this order, and what is lost.
pub fn changes(said: &Said) -> Vec<&str> {
    let lines = said.out.lines().skip(1);
    let steps = lines.take_while(|line| line.starts_with("  "));
    let lost = said.out.lines().filter(|line| line.starts_with("lost "));
    steps.chain(lost).collect()
}

/// Whether a dry run said what the run does: problems are added to `wrong`.
pub fn compare_dry_run(name: &str, dry: [&Said; 2], real: [&Said; 2], wrong: &mut Vec<String>) {
    let [dry_text, dry_json] = dry;
    let [real_text, real_json] = real;
    if dry_text.status != real_text.status || dry_json.status != real_json.status {
        wrong.push(format!(
            "{name}: dry run: status {}, run: status {}\n{}{}",
            dry_text.status,
            real_text.status,
            dry_text.all(),
            real_text.all()
        ));
    }
    if changes(dry_text) != changes(real_text) {
        wrong.push(format!(
            "{name}: dry run: {}run: {}",
            dry_text.all(),
            real_text.all()
        ));
    }
    if common(dry_json) != common(real_json) {
        wrong.push(format!(
            "{name}: dry run: {}run: {}",
            dry_json.all(),
            real_json.all()
        ));
    }
}

/// The files of a snapshot under `log`, without times.
pub fn same_contents(a: &Snapshot, b: &Snapshot) -> bool {
    a.contents() == b.contents()
}

/// Fails with the beginnings of a few of what is wrong, and how much there is of it.
pub fn none(wrong: &[String]) {
    let brief = |text: &String| text.chars().take(600).collect::<String>();
    let shown: Vec<String> = wrong.iter().take(15).map(brief).collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        shown.join("\n")
    );
}
