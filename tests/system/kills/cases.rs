//! Commands that change a log, each with the log that it is tried on, and what must
//! hold when one of them fails half way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proglog_testkit::{Codec, LogBuilder, entry, frame, proglog, whole_records};

use crate::kills::damaged::{self, Files};

/// A command and its log.
pub struct Case {
    /// What it is called in messages.
    pub name: &'static str,
    codec: Codec,
    files: Files,
    /// A command that goes before, unhindered.
    first: Option<&'static [&'static str]>,
    arguments: Vec<&'static str>,
    /// The records on stdin, a line each.
    lines: Vec<Vec<u8>>,
}

/// What the command does where nothing hinders it.
pub struct Reference {
    code: Option<i32>,
    files: Files,
    kept: Vec<(u64, Vec<u8>)>,
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let lines = || (0..24).map(|n| format!("new {n}").into_bytes()).collect();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let sound = LogBuilder::new(codec)
            .segment(5, ["a", "bc", "def"])
            .segment(8, ["ghij", "klmno", "p"])
            .segment(11, ["q", "rst"])
            .files();
        let case = |name, files: Files, arguments: &[&'static str]| Case {
            name,
            codec,
            files,
            first: None,
            arguments: arguments.to_vec(),
            lines: Vec::new(),
        };
        let append = |name, files, more: &[&'static str]| {
            let name_of_codec = codec.as_str();
            let options = ["append", "--print-offsets", "--codec", name_of_codec];
            Case {
                lines: lines(),
                ..case(name, files, &[&options[..], more].concat())
            }
        };
        let rolling = ["--max-store-bytes", "200"];
        cases.push(append("append", sound.clone(), &[]));
        cases.push(append("append that rolls", sound.clone(), &rolling));
        cases.push(append("append to a new log", Files::new(), &rolling));
        let mut torn = sound.clone();
        torn.get_mut("11.store")
            .unwrap()
            .extend(&frame(b"torn")[..9]);
        torn.get_mut("11.index").unwrap().extend(&entry(2, 90)[..5]);
        cases.push(append("append that recovers", torn.clone(), &[]));
        let mut damaged = torn;
        damaged.get_mut("5.index").unwrap().extend([0; 120]);
        cases.push(case(
            "truncate-index",
            damaged.clone(),
            &["truncate-index", "--leave-tail"],
        ));
        damaged.get_mut("8.store").unwrap().extend([0; 600]);
        damaged.remove("5.index");
        cases.push(case("repair", damaged.clone(), &["repair"]));
        cases.push(Case {
            first: Some(&["repair"]),
            ..case("undo", damaged, &["undo"])
        });
        cases.push(case(
            "trim from the front",
            sound.clone(),
            &["trim", "--before", "11"],
        ));
        cases.push(case(
            "trim from the back",
            sound.clone(),
            &["trim", "--after", "9"],
        ));
        cases.push(Case {
            first: Some(&["trim", "--before", "11"]),
            ..case("undo of a trim", sound, &["undo"])
        });
    }
    cases
}

impl Case {
    /// Makes the log in `root`, as it is before the command.
    pub fn prepare(&self, root: &Path) {
        if !self.files.is_empty() {
            damaged::write(&self.files, &root.join("log"));
        }
        fs::write(input(root), self.lines.join(&b'\n')).unwrap();
        if let Some(first) = self.first {
            let output = run_these(first, root, &[]);
            assert!(output.status.success(), "{}: {output:?}", self.name);
        }
    }

    /// Runs the command behind `prefix`, a command that starts another.
    pub fn run(&self, root: &Path, prefix: &[String]) -> Output {
        run_these(&self.arguments, root, prefix)
    }

    /// What an unhindered run does in `root`, which is prepared.
    pub fn reference(&self, root: &Path) -> Reference {
        let before = self.records(root);
        let output = self.run(root, &[]);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 3)), "{}: {output:?}", self.name);
        let mut kept = self.records(root);
        kept.retain(|record| before.contains(record));
        Reference {
            code,
            files: damaged::read(&root.join("log")),
            kept,
        }
    }

    /// What must hold after a run that was hindered: it failed with 2 and named one of
    /// `names`, or came to its end all the same; nothing acknowledged is lost, and
    /// unhindered the same command, or the next append, goes on. Says whether it failed.
    pub fn check(
        &self,
        root: &Path,
        output: &Output,
        reference: &Reference,
        names: &[&str],
        about: &str,
    ) -> bool {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let about = format!("{} {}, {about}", self.codec.as_str(), self.name);
        let code = output.status.code();
        let failed = code != reference.code;
        if failed {
            assert_eq!(code, Some(2), "{about}: {said}");
            let says_which = names.is_empty() && said.contains("log")
                || names.iter().any(|name| said.contains(name));
            assert!(says_which, "{about}: none of {names:?} is named: {said}");
        }
        let there = self.records(root);
        for record in &reference.kept {
            assert!(there.contains(record), "{about}: {} is lost", record.0);
        }
        if self.lines.is_empty() {
            let again = self.run(root, &[]);
            // The command had come to its end, and failed behind it.
            let nothing_left = self.first.is_some() && again.status.code() == Some(1);
            assert!(
                again.status.code() == reference.code || nothing_left,
                "{about}: {said}; again: {again:?}"
            );
            let now = damaged::read(&root.join("log"));
            assert_eq!(now, reference.files, "{about}: {said}: run again");
        } else {
            self.check_append(root, output, &there, &about);
        }
        failed
    }

    fn check_append(&self, root: &Path, output: &Output, there: &[(u64, Vec<u8>)], about: &str) {
        let about = format!("{about}: {}", String::from_utf8_lossy(&output.stderr));
        let acknowledged = String::from_utf8_lossy(&output.stdout).into_owned();
        for (offset, line) in acknowledged.lines().zip(&self.lines) {
            let record = (offset.parse().unwrap(), line.clone());
            assert!(there.contains(&record), "{about}: {offset} is lost");
        }
        // Half of what was sent may be there; the next append goes on behind it.
        let next = self.run(root, &[]);
        assert!(next.status.success(), "{about}: next: {next:?}");
        let all = self.records(root);
        let before = usize::from(!self.files.is_empty()) * 8;
        let behind: Vec<&Vec<u8>> = all[before..].iter().map(|(_, value)| value).collect();
        let (some, whole) = behind.split_at(behind.len() - self.lines.len());
        assert!(
            whole.iter().copied().eq(&self.lines),
            "{about}: the next append"
        );
        assert!(
            some.len() <= self.lines.len() && some.iter().zip(&self.lines).all(|(a, b)| *a == b),
            "{about}: what is there is no prefix"
        );
        let verify = run_these(&["verify", "-q"], root, &[]);
        assert!(verify.status.success(), "{about}: {verify:?}");
    }

    fn records(&self, root: &Path) -> Vec<(u64, Vec<u8>)> {
        let log = root.join("log");
        if log.exists() {
            whole_records(&log, self.codec)
        } else {
            Vec::new()
        }
    }
}

fn input(root: &Path) -> PathBuf {
    root.join("input")
}

fn run_these(arguments: &[&str], root: &Path, prefix: &[String]) -> Output {
    Command::new("timeout")
        .args(["-s", "KILL", "60"])
        .args(prefix)
        .arg(proglog().get_program())
        .args(arguments)
        .arg(root.join("log"))
        .env("LC_ALL", "C")
        .stdin(fs::File::open(input(root)).unwrap())
        .output()
        .unwrap()
}
