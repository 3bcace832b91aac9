//! What the library finds in each fixture: exactly the findings that the design lists
//! for it, whole records counted truly.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proglog::inspect::finding::Severity;
use proglog::inspect::report::{Options, Report};
use proglog::log::record::Codec;
use proglog_testkit::{Sandbox, cases, truth, whole_records};

/// The findings of each case that has any: id, severity, offsets.
const EXPECTED: &[(&str, &[&str])] = &[
    ("gap-orphans", &["store-dead-bytes note"]),
    ("gap-torn", &["store-dead-bytes note"]),
    ("forked", &["segment-overlap error 1..3"]),
    ("index-bit-flipped", &["index-entry-damaged error 30"]),
    (
        "index-misaligned",
        &["index-misaligned error 1..2", "segment-overlap error 1..2"],
    ),
    ("index-missing", &["index-missing error 0..29"]),
    ("index-shrunk", &["store-unindexed-tail error 10..49"]),
    ("killed-empty", &["index-padded warning"]),
    ("killed-one-record", &["index-padded warning"]),
    ("killed-padding-only", &["index-padded warning"]),
    (
        "killed-index-ahead",
        &["index-dangling error 243..299", "index-padded warning"],
    ),
    (
        "raft-log-never-closed",
        &["index-dangling error 375..400", "index-padded warning"],
    ),
    (
        "killed-then-reopened",
        &[
            "index-dangling error 237..299",
            "index-padded warning",
            "store-unindexed-tail warning",
        ],
    ),
    (
        "killed-three-segments",
        &[
            "index-dangling error 160..234",
            "index-dangling error 390..464",
            "index-dangling error 624..699",
            "index-padded warning",
            "index-padded warning",
            "index-padded warning",
        ],
    ),
    ("length-flipped", &["frame-length-damaged error 20"]),
    ("padded-names", &["padded-name note"]),
    ("raw-torn", &["index-dangling error 59"]),
    ("segment-missing", &["segment-gap error 20..40"]),
    ("store-missing", &["store-missing error 19..41"]),
    ("store-zero-tail", &["store-zero-tail warning"]),
    ("stray-files", &["stray-name warning", "stray-name warning"]),
    (
        "wedged",
        &["index-full warning", "store-unindexed-tail warning"],
    ),
];

fn found(case: &str) -> Vec<String> {
    let sandbox = Sandbox::of(case);
    let report = Report::of(&sandbox.log(), &Options::default()).unwrap();
    let mut found: Vec<String> = report
        .findings
        .iter()
        .map(|finding| {
            let offsets = finding
                .offsets
                .filter(|_| finding.severity == Severity::Error);
            let offsets = offsets.map_or(String::new(), |offsets| format!(" {offsets}"));
            format!("{} {}{offsets}", finding.id, finding.severity)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn each_fixture_has_the_findings_that_are_listed_and_no_others() {
    let _no_forks = crate::FORKS.read();
    let expected: BTreeMap<_, _> = EXPECTED.iter().copied().collect();
    let mut wrong = Vec::new();
    for case in cases() {
        let found = found(&case);
        let listed = expected.get(case.as_str()).copied().unwrap_or_default();
        if found != listed {
            wrong.push(format!("{case}: found {found:?}, listed {listed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whole_records_are_counted_as_the_oracle_counts_them() {
    let _no_forks = crate::FORKS.read();
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let report = Report::of(&sandbox.log(), &Options::default()).unwrap();
        let truth = truth(&case);
        let whole = whole_records(&sandbox.log(), truth.codec);
        assert_eq!(report.records(), whole.len() as u64, "{case}");
        let codec = report.codec.map(Codec::as_str);
        if !whole.is_empty() {
            assert_eq!(codec, Some(truth.codec.as_str()), "{case}");
        }
    }
}
