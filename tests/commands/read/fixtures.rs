//! Directories that the Go service and its accidents left behind, each against what
//! was acknowledged: no record that is whole and committed stays away, and none is
//! printed that is not one.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::builder::Sandbox;

/// A case, the offsets that `--on-error skip` prints, the status, and what is told.
type Case = (
    &'static str,
    &'static [(u64, u64)],
    i32,
    &'static [&'static str],
);

const CASES: &[Case] = &[
    ("clean-empty", &[], 0, &[]),
    ("clean-one-segment", &[(0, 399)], 0, &[]),
    ("clean-three-segments", &[(0, 59)], 0, &[]),
    ("forked", &[(0, 4)], 3, &["segment-overlap", "offsets 1..3"]),
    ("gap-orphans", &[(0, 104)], 0, &[]),
    ("gap-torn", &[(0, 250)], 0, &[]),
    (
        "index-bit-flipped",
        &[(0, 29), (31, 59)],
        3,
        &["index-entry-damaged: 0.index 360+12"],
    ),
    (
        "index-misaligned",
        &[(0, 3)],
        3,
        &["segment-overlap: two records in 0.store", "offsets 1..2"],
    ),
    ("index-missing", &[(0, 29)], 3, &["index-missing: 0.index"]),
    ("index-shrunk", &[(0, 9)], 0, &[]),
    ("killed-empty", &[], 0, &[]),
    (
        "killed-index-ahead",
        &[(0, 242)],
        3,
        &["index-dangling: 0.index 2916+684", "offsets 243..299"],
    ),
    ("killed-one-record", &[(0, 0)], 0, &[]),
    ("killed-padding-only", &[(0, 39)], 0, &[]),
    (
        "killed-then-reopened",
        &[(0, 236)],
        3,
        &["index-dangling", "offsets 237..299"],
    ),
    (
        "killed-three-segments",
        &[(0, 159), (235, 389), (465, 623)],
        3,
        &["offsets 160..234", "offsets 390..464", "offsets 624..699"],
    ),
    (
        "length-flipped",
        &[(0, 19), (21, 59)],
        3,
        &["frame-length-damaged: 0.store 937+8"],
    ),
    ("padded-names", &[(0, 19)], 0, &[]),
    ("raft-log", &[(1, 50)], 0, &[]),
    (
        "raft-log-never-closed",
        &[(1, 374)],
        3,
        &["index-dangling", "offsets 375..400"],
    ),
    ("raw-binary", &[(0, 39)], 0, &[]),
    ("raw-clean", &[(0, 59)], 0, &[]),
    (
        "raw-torn",
        &[(0, 58)],
        3,
        &["index-dangling: 0.index 708+12", "offset 59"],
    ),
    (
        "segment-missing",
        &[(0, 19), (41, 59)],
        3,
        &["segment-gap", "offsets 20..40"],
    ),
    (
        "store-missing",
        &[(0, 18), (42, 59)],
        3,
        &["store-missing: 19.store"],
    ),
    ("store-zero-tail", &[(0, 59)], 0, &[]),
    ("stray-files", &[(0, 59)], 0, &[]),
    ("wedged", &[(0, 84)], 0, &[]),
];

/// What was acknowledged at each offset; the older of two.
fn truth(case: &str) -> Vec<(u64, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(case);
    let truth: Value = serde_json::from_slice(&fs::read(path.join("truth.json")).unwrap()).unwrap();
    let mut all: Vec<(u64, Vec<u8>)> = Vec::new();
    for record in truth["acknowledged"].as_array().unwrap() {
        let text = record["value"].as_str().unwrap();
        let value = match case {
            "raw-binary" => hex::decode(text).unwrap(),
            _ => text.as_bytes().to_vec(),
        };
        let offset = record["offset"].as_u64().unwrap();
        if all.iter().all(|(other, _)| *other != offset) {
            all.push((offset, value));
        }
    }
    all
}

/// Offset and value of each line of `--format '%o %x\n'`.
fn printed(text: &str) -> Vec<(u64, Vec<u8>)> {
    text.lines()
        .map(|line| {
            let (offset, digits) = line.split_once(' ').unwrap();
            (offset.parse().unwrap(), hex::decode(digits).unwrap())
        })
        .collect()
}

#[test]
fn each_case_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            assert!(CASES.iter().any(|(case, ..)| *case == name), "{name}");
        }
    }
}

#[test]
fn each_case_against_its_truth() {
    for (case, ranges, status, words) in CASES {
        let log = Sandbox::copy_of(case);
        let expected: Vec<(u64, Vec<u8>)> = truth(case)
            .into_iter()
            .filter(|(offset, _)| ranges.iter().any(|(a, b)| (a..=b).contains(&offset)))
            .collect();
        let format = ["--format", "%o %x\\n"];
        let ran = log.read(&[&format[..], &["--on-error", "skip"]].concat());
        let ran = ran.told(*status, words);
        assert_eq!(printed(ran.text()), expected, "{case}");

        let backwards = log.read(&[&format[..], &["--on-error", "skip", "-r"]].concat());
        let mut lines = printed(backwards.told(*status, words).text());
        lines.reverse();
        assert_eq!(lines, expected, "{case} backwards");

        let stopped = log.read(&format).told(*status, &[]);
        let stopped = printed(stopped.text());
        assert_eq!(stopped, expected[..stopped.len()], "{case} stops");
    }
}

#[test]
fn each_offset_by_itself() {
    for (case, ranges, ..) in CASES {
        let log = Sandbox::copy_of(case);
        let truth = truth(case);
        let (all, few) = (truth.len(), truth.len().div_ceil(40).max(1));
        for (offset, value) in truth
            .iter()
            .step_by(few)
            .chain(truth.iter().skip(all.max(3) - 3))
        {
            let ran = log.read(&[
                "--offset",
                &offset.to_string(),
                "--raw",
                "--on-error",
                "skip",
            ]);
            let there = ranges.iter().any(|(a, b)| (a..=b).contains(&offset));
            if there {
                assert_eq!(&ran.out, value, "{case} {offset}");
            } else {
                assert!(ran.out.is_empty() && ran.status != 0, "{case} {offset}");
            }
        }
    }
}
