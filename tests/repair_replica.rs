//! `proglog repair --replica` as a user meets it: over all fixtures, and where it must
//! refuse, leave something, or say what it does not take.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use proglog_testkit::{LogBuilder, Sandbox, Snapshot, Truth, cases, truth, whole_records};
use serde_json::Value;

/// Two histories: which one counts is a human's to say.
const TWO_HISTORIES: [&str; 2] = ["forked", "index-misaligned"];

fn run(sandbox: &Sandbox, arguments: &[&str]) -> (i32, String, String) {
    let output = sandbox.proglog().args(arguments).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn json(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn kinds<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let of = |line: &&Value| line.get("kind").unwrap() == kind;
    lines.iter().filter(of).collect()
}

/// The copy is written as `copy`, beside the log.
fn write_copy(sandbox: &Sandbox, builder: &LogBuilder) {
    let other = Sandbox::built(builder);
    std::process::Command::new("cp")
        .arg("-r")
        .arg(other.log())
        .arg(sandbox.path().join("copy"))
        .status()
        .unwrap();
}

/// A copy of what was acknowledged, in segments that begin where those of the case do.
fn sound_copy(sandbox: &Sandbox, truth: &Truth) -> LogBuilder {
    let mut builder = LogBuilder::new(truth.codec);
    let (_, records, _) = run(sandbox, &["read", "log", "--json", "--on-error", "skip"]);
    let records = json(&records);
    if records.iter().any(|record| record.get("term").is_some()) {
        // A segment for each record: its term stands nowhere but in the log.
        for (offset, value) in &truth.acknowledged {
            let found = records.iter().find(|it| it["offset"] == *offset);
            let number = |field: &str| found.and_then(|it| it.get(field)?.as_u64()).unwrap_or(0);
            let kind = u32::try_from(number("type")).unwrap();
            builder = builder.raft(number("term"), kind).segment(*offset, [value]);
        }
        return builder;
    }
    let stems = truth.files.keys().filter_map(|name| name.split_once('.'));
    let mut bases: Vec<u64> = stems.filter_map(|(stem, _)| stem.parse().ok()).collect();
    bases.sort_unstable();
    bases.dedup();
    for (at, base) in bases.iter().enumerate() {
        let next = bases.get(at + 1).copied().unwrap_or(u64::MAX);
        let mine = truth.acknowledged.iter();
        let mine = mine.filter(|(offset, _)| (*base..next).contains(offset));
        builder = builder.segment(*base, mine.map(|(_, value)| value.clone()));
    }
    builder
}

#[test]
fn every_fixture_gets_back_all_that_was_acknowledged() {
    let mut mended = 0;
    for case in cases() {
        let truth = truth(&case);
        let sandbox = Sandbox::of(&case);
        write_copy(&sandbox, &sound_copy(&sandbox, &truth));
        let copy = Snapshot::of(&sandbox.path().join("copy"));
        let before = sandbox.snapshot();
        let dry = ["repair", "log", "--replica", "copy", "--dry-run", "--json"];
        let (foretold, planned, stderr) = run(&sandbox, &dry);
        assert_eq!(sandbox.snapshot(), before, "{case}");
        let (status, done, _) = run(&sandbox, &["repair", "log", "--replica", "copy", "--json"]);
        assert_eq!(status, foretold, "{case}: {planned}{stderr}{done}");
        assert_eq!(Snapshot::of(&sandbox.path().join("copy")), copy, "{case}");
        if TWO_HISTORIES.contains(&case.as_str()) {
            assert_eq!(status, 3, "{case}: {stderr}");
            assert_eq!(sandbox.snapshot(), before, "{case}");
            continue;
        }
        let (planned, done) = (json(&planned), json(&done));
        assert_eq!(kinds(&planned, "taken"), kinds(&done, "taken"), "{case}");
        assert!(kinds(&done, "lost").is_empty(), "{case}: {done:?}");
        let names_stay = ["padded-names", "stray-files"].contains(&case.as_str());
        let full = case == "wedged";
        let expected = if names_stay || full { 3 } else { 0 };
        assert_eq!(status, expected, "{case}: {done:?}");
        let after = whole_records(&sandbox.log(), truth.codec);
        for record in &truth.acknowledged {
            assert!(after.contains(record), "{case}: {}", record.0);
        }
        if !names_stay {
            let (verified, said, _) = run(&sandbox, &["verify", "log", "-q"]);
            assert_eq!((verified, said.as_str()), (0, ""), "{case}");
        }
        if sandbox.snapshot() != before {
            mended += 1;
            assert_eq!(run(&sandbox, &["undo", "log"]).0, 0, "{case}");
            let after = sandbox.snapshot();
            assert_eq!(after.contents(), before.contents(), "{case}");
        }
    }
    assert!(mended > 12, "{mended}");
}

fn ten() -> LogBuilder {
    let values: Vec<String> = (0..10).map(|n| format!("value {n}")).collect();
    LogBuilder::raw()
        .segment(0, &values[..4])
        .segment(4, &values[4..8])
        .segment(8, &values[8..])
}

#[test]
fn copies_that_differ_are_refused_and_the_first_difference_is_shown() {
    let sandbox = Sandbox::built(&ten());
    write_copy(&sandbox, &ten());
    // In the value of record 5, and damage that would need the copy.
    sandbox.flip("4.store", 8 * (15 + 8 + 2));
    sandbox.remove("8.store");
    let before = sandbox.snapshot();
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!((status, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("differ in record 5"), "{stderr}");
    assert!(stderr.contains("nothing was changed"), "{stderr}");
    let json_too = ["repair", "log", "--replica", "copy", "--json", "--dry-run"];
    let (status, stdout, _) = run(&sandbox, &json_too);
    assert_eq!(status, 3);
    let line = &json(&stdout)[0];
    assert_eq!(line["kind"], "difference");
    assert_eq!(
        (&line["offset"], &line["position"]),
        (&5.into(), &15.into())
    );
    assert_eq!(line["differs_at"], 25);
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn only_what_is_needed_is_taken_and_the_rest_is_named() {
    let sandbox = Sandbox::built(&ten());
    let longer: Vec<String> = (0..12).map(|n| format!("value {n}")).collect();
    write_copy(&sandbox, &LogBuilder::raw().segment(0, &longer));
    // Record 6, and nothing behind 9.
    sandbox.flip("4.store", 8 * 37);
    let before = sandbox.snapshot();
    let (status, stdout, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy", "--json"]);
    assert_eq!(status, 0, "{stdout}{stderr}");
    let lines = json(&stdout);
    let taken = kinds(&lines, "taken");
    assert_eq!(taken.len(), 1, "{stdout}");
    assert_eq!(
        (&taken[0]["first_offset"], &taken[0]["records"]),
        (&6.into(), &1.into())
    );
    assert_eq!(kinds(&lines, "step").len(), 1, "{stdout}");
    assert_eq!(kinds(&lines, "not-taken")[0]["first_offset"], 10);
    assert!(stderr.contains("not taken: 10..11"), "{stderr}");
    assert_eq!(
        whole_records(&sandbox.log(), proglog_testkit::Codec::Raw).len(),
        10
    );
    assert_eq!(run(&sandbox, &["undo", "log"]).0, 0);
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}

#[test]
fn what_does_not_fit_in_place_is_put_together_anew_and_taken_back() {
    let sandbox = Sandbox::built(&ten());
    write_copy(&sandbox, &ten());
    // Five bytes of record 1 are gone: all behind them stands elsewhere.
    let mut bytes = sandbox.read("0.store");
    bytes.drain(20..25);
    sandbox.write("0.store", &bytes);
    let before = sandbox.snapshot();
    for save in [&["--save-to", "saved"][..], &["--no-save"]] {
        let mut arguments = vec!["repair", "log", "--replica", "copy"];
        arguments.extend(save);
        let (status, stdout, stderr) = run(&sandbox, &arguments);
        assert_eq!(status, 0, "{stdout}{stderr}");
        let after = whole_records(&sandbox.log(), proglog_testkit::Codec::Raw);
        assert_eq!(after.len(), 10);
        let names: Vec<_> = std::fs::read_dir(sandbox.path()).unwrap().collect();
        assert!(names.iter().all(|it| {
            !it.as_ref()
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .ends_with("proglog-new")
        }));
        if save.len() == 2 {
            let (status, _, stderr) = run(&sandbox, &["undo", "saved"]);
            let saved = std::fs::read_dir(sandbox.path().join("saved")).unwrap();
            let saved = saved.last().unwrap().unwrap().path();
            let undone = if status == 0 {
                0
            } else {
                run(&sandbox, &["undo", saved.to_str().unwrap()]).0
            };
            assert_eq!(undone, 0, "{stderr}");
            assert_eq!(sandbox.snapshot().contents(), before.contents());
        }
    }
}

#[test]
fn a_copy_that_is_none_is_refused() {
    let sandbox = Sandbox::built(&ten());
    sandbox.cut("8.store", 3);
    let before = sandbox.snapshot();
    write_copy(
        &sandbox,
        &LogBuilder::protobuf().segment(0, ["a", "b", "c"]),
    );
    let (status, _, stderr) = run(&sandbox, &["repair", "log", "--replica", "copy"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("codec"), "{stderr}");
    for itself in ["log", "./log/../log"] {
        let (status, _, stderr) = run(&sandbox, &["repair", "log", "--replica", itself]);
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains("no copy"), "{stderr}");
    }
    let (status, _, stderr) = run(&sandbox, &["repair", "log", "--replica", "nowhere"]);
    assert_eq!(status, 2, "{stderr}");
    assert_eq!(sandbox.snapshot(), before);
}
