//! `proglog trim`: from the front, from the back, by size and by number; at the
//! boundaries; the log goes on afterwards.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::fs::File;
use std::time::{Duration, SystemTime};

use proglog_testkit::{Codec, LogBuilder, Sandbox, json, run, whole_records};

/// Segments 10..13, 14..16, 17..19.
fn log() -> Sandbox {
    let values = |base: u64, count: u64| (base..base + count).map(|n| format!("value {n}"));
    Sandbox::built(
        &LogBuilder::raw()
            .segment(10, values(10, 4))
            .segment(14, values(14, 3))
            .segment(17, values(17, 3)),
    )
}

fn offsets(sandbox: &Sandbox) -> Vec<u64> {
    let records = whole_records(&sandbox.log(), Codec::Raw);
    for (offset, value) in &records {
        assert_eq!(value, format!("value {offset}").as_bytes());
    }
    records.into_iter().map(|(offset, _)| offset).collect()
}

/// Trims a fresh log, after a dry run that must say the same and change nothing; gives
/// the offsets that are left. Then the log goes on, and undo would not be right; without
/// that it brings everything back.
fn trimmed(option: &str, value: &str) -> Vec<u64> {
    let sandbox = log();
    let before = sandbox.snapshot();
    let (foretold, dry, _) = run(&sandbox, &["trim", "log", option, value, "--dry-run"]);
    assert_eq!(sandbox.snapshot(), before);
    let (status, real, stderr) = run(&sandbox, &["trim", "log", option, value]);
    assert_eq!((status, foretold), (0, 0), "{stderr}");
    assert_eq!(dry.replace("would be changed", "changed"), real);
    let left = offsets(&sandbox);
    if real != "nothing to change\n" {
        let lowest = left.first().unwrap();
        let next = left.last().unwrap() + 1;
        let says = format!("log begins at offset {lowest} now; next offset {next}");
        assert!(stderr.contains(&says), "{stderr}");
        assert_eq!(run(&sandbox, &["verify", "log"]).0, 0);
        let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(sandbox.snapshot().contents(), before.contents());
        run(&sandbox, &["trim", "log", option, value, "--no-save"]);
        assert_eq!(offsets(&sandbox), left);
        let mut append = sandbox.proglog();
        let line = format!("value {next}\n");
        append
            .args(["append", "log"])
            .write_stdin(line)
            .assert()
            .success();
        assert_eq!(offsets(&sandbox).last(), Some(&next));
    }
    left
}

#[test]
fn before_an_offset() {
    let all: Vec<u64> = (10..20).collect();
    for (before, lowest) in [
        ("0", 10),
        ("10", 10),
        ("13", 10),
        ("14", 14),
        ("16", 14),
        ("17", 17),
        ("19", 17),
        // The next offset: never the last.
        ("20", 17),
    ] {
        let left: Vec<u64> = all
            .iter()
            .copied()
            .filter(|offset| *offset >= lowest)
            .collect();
        assert_eq!(trimmed("--before", before), left, "{before}");
    }
}

#[test]
fn after_an_offset() {
    for after in 10..23 {
        let left: Vec<u64> = (10..=after.min(19)).collect();
        assert_eq!(trimmed("--after", &after.to_string()), left, "{after}");
    }
}

#[test]
fn after_an_offset_below_the_log() {
    let sandbox = log();
    let before = sandbox.snapshot();
    for dry_run in [&["--dry-run"][..], &[]] {
        let arguments = [&["trim", "log", "--after", "9"][..], dry_run].concat();
        let (status, _, stderr) = run(&sandbox, &arguments);
        assert_eq!(status, 1, "{stderr}");
        assert!(
            stderr.contains("offset 9 is not in the log, which begins at 10"),
            "{stderr}"
        );
        assert_eq!(sandbox.snapshot(), before);
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn by_number_of_records_and_by_age() {
    for (keep, lowest) in [
        ("1", 17),
        ("3", 17),
        ("4", 14),
        ("6", 14),
        ("7", 10),
        ("99", 10),
    ] {
        let left: Vec<u64> = (lowest..20).collect();
        assert_eq!(trimmed("--keep-records", keep), left, "{keep}");
    }
    let (status, _, stderr) = run(&log(), &["trim", "log", "--keep-records", "0"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("must be at least 1"), "{stderr}");

    for (age, lowest) in [("50d", 10), ("30d", 14), ("10d", 17), ("0", 17)] {
        let sandbox = log();
        for (base, days) in [("10", 40), ("14", 20), ("17", 40)] {
            let store = File::open(sandbox.file(&format!("{base}.store"))).unwrap();
            store.set_modified(SystemTime::now() - days * DAY).unwrap();
        }
        let (status, _, stderr) = run(&sandbox, &["trim", "log", "--older-than", age]);
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(offsets(&sandbox), (lowest..20).collect::<Vec<_>>(), "{age}");
    }
    // What is written in the future is not old, nor is anything after it.
    let sandbox = log();
    let store = File::open(sandbox.file("10.store")).unwrap();
    store.set_modified(SystemTime::now() + DAY).unwrap();
    let (status, _, _) = run(&sandbox, &["trim", "log", "--older-than", "0"]);
    assert_eq!((status, offsets(&sandbox).len()), (0, 10));
    let (status, _, stderr) = run(&sandbox, &["trim", "log", "--older-than", "soon"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("not a time"), "{stderr}");
}

#[test]
fn by_number_and_by_size() {
    for (keep, lowest) in [("1", 17), ("2", 14), ("3", 10), ("9", 10)] {
        let left: Vec<u64> = (lowest..20).collect();
        assert_eq!(trimmed("--keep-segments", keep), left, "{keep}");
    }
    // The last segment is never removed.
    let (status, _, stderr) = run(&log(), &["trim", "log", "--keep-segments", "0"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("must be at least 1"), "{stderr}");
    // A record takes 16 bytes of store and 12 of index: 84, 84 and 112 bytes.
    for (keep, lowest) in [
        ("0", 17),
        ("84", 17),
        ("167", 17),
        ("168", 14),
        ("279", 14),
        ("1K", 10),
    ] {
        let left: Vec<u64> = (lowest..20).collect();
        assert_eq!(trimmed("--keep-bytes", keep), left, "{keep}");
    }
}

#[test]
fn exactly_one_of_them() {
    let sandbox = log();
    assert_eq!(run(&sandbox, &["trim", "log"]).0, 2);
    let both = ["trim", "log", "--before", "14", "--after", "16"];
    assert_eq!(run(&sandbox, &both).0, 2);
}

#[test]
fn json_lines() {
    let sandbox = log();
    let mut steps = Vec::new();
    for dry_run in [&["--dry-run"][..], &[]] {
        let arguments = [&["trim", "log", "--before", "17", "--json"][..], dry_run].concat();
        let (_, stdout, _) = run(&sandbox, &arguments);
        let lines = json(&stdout);
        let summary = lines.last().unwrap();
        assert_eq!(summary.get("lowest_offset").unwrap(), 17);
        assert_eq!(summary.get("next_offset").unwrap(), 20);
        steps.push(lines.len());
    }
    assert_eq!(steps, [5, 5]);
}

#[test]
fn a_store_that_is_a_link_is_in_nobodys_way() {
    for (option, value, left) in [
        ("--keep-segments", "1", 17..20),
        ("--before", "14", 14..20),
        ("--after", "15", 10..16),
    ] {
        for of in ["10", "14"] {
            let sandbox = log();
            let name = format!("{of}.store");
            let elsewhere = sandbox.path().join("elsewhere");
            std::fs::rename(sandbox.file(&name), &elsewhere).unwrap();
            std::os::unix::fs::symlink("../elsewhere", sandbox.file(&name)).unwrap();
            let store = std::fs::read(&elsewhere).unwrap();
            let before = sandbox.snapshot();
            let trim = ["trim", "log", option, value];
            let (foretold, _, _) = run(&sandbox, &[&trim[..], &["--dry-run"]].concat());
            let (status, _, stderr) = run(&sandbox, &trim);
            assert_eq!(std::fs::read(&elsewhere).unwrap(), store);
            if (option, of) == ("--after", "14") {
                // The link itself would have to be cut.
                assert_eq!((status, foretold), (2, 2), "{stderr}");
                assert_eq!(sandbox.snapshot(), before);
                continue;
            }
            assert_eq!((status, foretold), (0, 0), "{option} {of}: {stderr}");
            assert_eq!(offsets(&sandbox), left.clone().collect::<Vec<_>>());
            let (status, _, stderr) = run(&sandbox, &["undo", "log", "--into", "old"]);
            assert_eq!(status, 0, "{stderr}");
            assert_eq!(
                std::fs::read(sandbox.path().join("old").join(&name)).unwrap(),
                store
            );
            let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
            assert_eq!(status, 0, "{stderr}");
            assert_eq!(sandbox.snapshot().contents(), before.contents());
            assert!(sandbox.file(&name).is_symlink());
        }
    }
}

/// A damaged entry or length next to the end costs no other record.
#[test]
fn a_damaged_end_cuts_nothing_else() {
    let values: Vec<String> = (0..20).map(|number| format!("value {number}")).collect();
    let frame = |slot: usize| -> usize { values[..slot].iter().map(|it| 8 + it.len()).sum() };
    let made = || Sandbox::built(&LogBuilder::raw().segment(0, &values));
    let sandbox = made();
    let mut index = sandbox.read("0.index");
    index[124..132].fill(0);
    sandbox.write("0.index", &index);
    let (status, _, stderr) = run(&sandbox, &["trim", "log", "--after", "10"]);
    assert_eq!(status, 3, "{stderr}");
    assert_eq!(sandbox.bytes("0.store"), frame(20) as u64);
    for (length, status) in [(2, 0), (200, 3)] {
        let sandbox = made();
        let mut store = sandbox.read("0.store");
        store[frame(10) + 7] = length;
        sandbox.write("0.store", &store);
        let (found, _, stderr) = run(&sandbox, &["trim", "log", "--after", "10"]);
        assert_eq!(found, status, "{stderr}");
        let end = if status == 0 { frame(11) } else { frame(20) };
        assert_eq!(sandbox.bytes("0.store"), end as u64, "{length}");
    }
}

/// Records without an index would come back with the next repair.
#[test]
fn records_that_no_index_names_are_not_taken_for_nothing() {
    for gone in ["17.index", "17.store"] {
        let sandbox = log();
        std::fs::remove_file(sandbox.file(gone)).unwrap();
        let before = sandbox.snapshot();
        for dry_run in [&["--dry-run"][..], &[]] {
            let arguments = [&["trim", "log", "--after", "18"], dry_run].concat();
            let (status, stdout, stderr) = run(&sandbox, &arguments);
            assert_eq!((status, stdout.as_str()), (3, ""), "{gone}: {stderr}");
            assert!(stderr.contains("does not name all records"), "{stderr}");
            assert_eq!(sandbox.snapshot(), before);
        }
        let (status, _, stderr) = run(&sandbox, &["trim", "log", "--after", "15"]);
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(offsets(&sandbox), [10, 11, 12, 13, 14, 15]);
    }
}

/// What holds no records is none of the segments that stay.
#[test]
fn an_index_without_a_store_is_not_the_segment_that_stays() {
    for (option, value) in [
        ("--keep-segments", "1"),
        ("--keep-bytes", "1"),
        ("--keep-bytes", "100"),
        ("--older-than", "1h"),
        ("--before", "20"),
    ] {
        let sandbox = log();
        sandbox.write("20.index", &[0, 0, 0, 0]);
        for name in ["10.store", "14.store", "17.store"] {
            let store = File::options()
                .write(true)
                .open(sandbox.file(name))
                .unwrap();
            let hours = if name == "17.store" { 0 } else { 2 };
            let time = SystemTime::now() - Duration::from_secs(hours * 3600);
            store.set_modified(time).unwrap();
        }
        let (_, _, stderr) = run(&sandbox, &["trim", "log", option, value]);
        assert_eq!(
            offsets(&sandbox),
            [17, 18, 19],
            "{option} {value}: {stderr}"
        );
    }
}

/// `-1` is what `read -1` names: a record without an entry is not taken for none.
#[test]
fn an_offset_from_the_end_counts_the_records_without_entries() {
    for (gone, command) in [
        ("17.index", &["trim", "log", "--after", "-1"][..]),
        ("17.store", &["trim", "log", "--after", "-1"]),
        ("17.index", &["redact", "log", "-1", "--yes"]),
        ("17.store", &["redact", "log", "-1", "--yes"]),
    ] {
        let sandbox = log();
        std::fs::remove_file(sandbox.file(gone)).unwrap();
        let before = sandbox.snapshot();
        let (status, stdout, stderr) = run(&sandbox, command);
        assert_eq!(status, 3, "{gone}, {command:?}: {stdout}{stderr}");
        assert_eq!(sandbox.snapshot(), before);
    }
}
