//! `proglog explain`: every finding is explained, and a word that is nearly an id gets
//! the id.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proglog::inspect::finding::FindingId;
use proglog_testkit::{Said, json, proglog, said};

/// The parts of each text, in order.
const HEADINGS: [&str; 6] = [
    "EXAMPLE",
    "CAUSE",
    "IMPACT",
    "GO SERVICE",
    "REMEDY",
    "SEE ALSO",
];

fn is_heading(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_uppercase())
}

fn explain(arguments: &[&str]) -> Said {
    said(proglog().arg("explain").args(arguments).output().unwrap())
}

#[test]
fn every_id_is_explained() {
    for id in FindingId::ALL {
        let (status, stdout, stderr) = explain(&[id.as_str()]);
        assert_eq!((status, stderr.as_str()), (0, ""));
        assert_eq!(stdout, id.explanation());
        let title: Vec<&str> = stdout.lines().next().unwrap().split(" - ").collect();
        assert_eq!((title[0], title[2]), (id.as_str(), id.summary()));
        let headings: Vec<&str> = stdout.lines().filter(|line| is_heading(line)).collect();
        assert_eq!(headings, HEADINGS, "{id}");
        assert!(
            stdout.lines().all(|line| line.chars().count() <= 80),
            "{id}"
        );
    }
}

#[test]
fn the_list_names_each_once_in_a_line() {
    let (status, stdout, _) = explain(&[]);
    assert_eq!(status, 0);
    for id in FindingId::ALL {
        let named = |line: &&str| line.split_whitespace().next() == Some(id.as_str());
        assert_eq!(stdout.lines().filter(named).count(), 1, "{id}");
    }
    assert!(stdout.lines().all(|line| line.len() <= 80), "{stdout}");
    for heading in ["error:", "error or warning:", "warning:", "note:"] {
        assert!(stdout.lines().any(|line| line == heading), "{heading}");
    }
}

#[test]
fn json_has_all_fields() {
    let (_, stdout, _) = explain(&["--json"]);
    let lines = json(&stdout);
    assert_eq!(lines.len(), FindingId::ALL.len());
    for (line, id) in lines.iter().zip(FindingId::ALL) {
        assert_eq!(line["id"], id.as_str());
        assert_eq!(line["summary"], id.summary());
        assert_eq!(line["text"], id.explanation());
    }
    let (_, one, _) = explain(&["segment-gap", "--json"]);
    assert_eq!(one.lines().count(), 1);
}

#[test]
fn an_unknown_id_gets_the_nearest() {
    let (status, stdout, stderr) = explain(&["index-paded"]);
    assert_eq!((status, stdout.as_str()), (2, ""));
    assert!(stderr.contains("did you mean index-padded?"), "{stderr}");
    let (_, _, stderr) = explain(&["gap"]);
    assert!(stderr.contains("did you mean segment-gap?"), "{stderr}");
    let (_, _, stderr) = explain(&["whatever-else"]);
    assert!(stderr.ends_with("hint: proglog explain\n"), "{stderr}");
}

#[test]
fn help_has_examples_and_statuses() {
    for command in ["verify", "explain"] {
        let output = proglog().args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        assert!(
            help.contains("Examples:\n") && help.contains("Exit status:\n"),
            "{help}"
        );
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    }
    let output = proglog().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        help.contains(" verify ") && help.contains("  explain "),
        "{help}"
    );
}
