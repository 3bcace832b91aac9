//! What the commands say to a log of another program, and that they leave it alone.

use proglog::scan::layouts::{EntryLayout, FrameLayout};
use proglog_testkit::{Sandbox, entry, frame, json};

use super::made::{OUR_ENTRIES, OUR_FRAMES, all_entries, all_frames, crc32c, files};

/// Commands that would change a log, and what stands behind its directory.
const WRITERS: &[&[&str]] = &[
    &["append"],
    &["append", "--no-recover"],
    &["append", "--codec", "raw"],
    &["append", "--codec", "protobuf"],
    &["repair"],
    &["repair", "--dry-run"],
    &["repair", "--adopt-tail"],
    &["trim", "--keep-segments", "1"],
    &["trim", "--before", "1"],
    &["trim", "--after", "1"],
    &["trim", "--after", "1", "--dry-run"],
    &["truncate-index"],
    &["truncate-index", "--leave-tail"],
    &["truncate-index", "--dry-run"],
];

pub fn texts(count: u64) -> Vec<Vec<u8>> {
    let text = |number| format!("record number {number}").into_bytes();
    (0..count).map(text).collect()
}

pub fn sandbox(log: &[(u64, Vec<u8>, Vec<u8>)]) -> Sandbox {
    let sandbox = Sandbox::empty();
    for (base, store, index) in log {
        sandbox.write(&format!("{base}.store"), store);
        sandbox.write(&format!("{base}.index"), index);
    }
    sandbox
}

/// No command changes a byte, and each one that reads values prints none.
pub fn is_left_alone(sandbox: &Sandbox, layout: &str) {
    let before = sandbox.snapshot();
    let beside = std::fs::read_dir(sandbox.path()).unwrap().count();
    let log = sandbox.log();
    for arguments in WRITERS {
        let (command, options) = arguments.split_first().unwrap();
        let ran = sandbox
            .proglog()
            .arg(command)
            .arg(&log)
            .args(options)
            .write_stdin("a line\n")
            .assert()
            .code(3);
        let said = String::from_utf8_lossy(&ran.get_output().stderr).into_owned();
        assert!(said.contains(layout), "{arguments:?}: {said}");
        assert_eq!(ran.get_output().stdout, b"", "{arguments:?}");
        assert_eq!(sandbox.snapshot(), before, "{arguments:?}");
    }
    let new = sandbox.path().join("new");
    let salvaged = sandbox
        .proglog()
        .arg("salvage")
        .arg(&log)
        .arg(&new)
        .assert();
    salvaged.code(3);
    for arguments in [
        &["read"] as &[&str],
        &["read", "-n", "1"],
        &["read", "-f", "-c", "1"],
        &["manifest"],
    ] {
        let (command, options) = arguments.split_first().unwrap();
        let ran = sandbox
            .proglog()
            .arg(command)
            .arg(&log)
            .args(options)
            .assert()
            .code(3);
        assert_eq!(ran.get_output().stdout, b"", "{arguments:?}");
    }
    let ran = sandbox.proglog().arg("diff").args([&log, &log]).assert();
    assert_eq!(ran.code(3).get_output().stdout, b"");
    let ran = sandbox
        .proglog()
        .args(["verify", "--json"])
        .arg(&log)
        .assert()
        .code(3);
    let lines = json(&String::from_utf8_lossy(&ran.get_output().stdout));
    let finding = lines
        .iter()
        .find(|line| line["id"] == "foreign-dialect")
        .expect("the finding");
    assert!(
        finding["layout"].as_str().unwrap().contains(layout),
        "{finding}"
    );
    for command in ["info", "dump-index", "dump-store"] {
        let ran = sandbox.proglog().arg(command).arg(&log).assert().success();
        let output = ran.get_output();
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8_lossy(&said)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let words = layout.split(':').next().unwrap();
        assert!(
            said.contains(words) || command == "info",
            "{command}: {said}"
        );
        assert!(
            said.contains("another") || command != "info",
            "{command}: {said}"
        );
    }
    assert_eq!(sandbox.snapshot(), before);
    assert_eq!(std::fs::read_dir(sandbox.path()).unwrap().count(), beside);
}

fn of(frames: FrameLayout, entries: EntryLayout, count: u64) -> (Vec<u8>, Vec<u8>) {
    files(0, &texts(count), frames, entries)
}

#[test]
fn every_command_leaves_another_layout_alone() {
    for frames in all_frames().into_iter().filter(|it| *it != OUR_FRAMES) {
        let (store, index) = of(frames, OUR_ENTRIES, 20);
        is_left_alone(&sandbox(&[(0, store, index)]), "lengths of");
    }
    for entries in all_entries(0).into_iter().filter(|it| *it != OUR_ENTRIES) {
        let (store, index) = of(OUR_FRAMES, entries, 20);
        // Of small numbers two of these have the same bytes.
        let layout = format!("entries of {} bytes", entries.bytes());
        is_left_alone(&sandbox(&[(0, store, index)]), &layout);
    }
}

/// A single frame with a checksum, a killed program's log, two records.
#[test]
fn little_evidence_is_enough() {
    let payload = b"\x0a\x0frecord number 0";
    let checksum = crc32c(payload).to_be_bytes();
    let before = [&checksum, frame(payload).as_slice()].concat();
    let layout = "lengths of 8 bytes, big-endian, a checksum of 4 bytes before the length";
    is_left_alone(&sandbox(&[(0, before, entry(0, 0))]), layout);
    let behind = [frame(payload).as_slice(), &checksum].concat();
    let layout = "lengths of 8 bytes, big-endian, a checksum of 4 bytes after the payload";
    is_left_alone(&sandbox(&[(0, behind, entry(0, 0))]), layout);

    let little = all_entries(0).into_iter().find(|it| {
        it.to_string()
            == "entries of 12 bytes: u32 little-endian offset, u64 little-endian position"
    });
    let (mut store, mut index) = of(OUR_FRAMES, little.unwrap(), 40);
    store.truncate(store.len() - 5);
    index.resize(1020, 0);
    is_left_alone(&sandbox(&[(0, store, index)]), "u32 little-endian offset");

    let wide = all_entries(0)
        .into_iter()
        .find(|it| it.bytes() == 16)
        .unwrap();
    let (store, index) = of(OUR_FRAMES, wide, 2);
    is_left_alone(
        &sandbox(&[(0, store, index)]),
        "perhaps entries of 16 bytes",
    );
}

/// One segment of another layout makes the log another program's.
#[test]
fn one_segment_is_enough() {
    let wide = all_entries(0)
        .into_iter()
        .find(|it| it.bytes() == 16)
        .unwrap();
    let ours = |base| {
        let (store, index) = of(OUR_FRAMES, OUR_ENTRIES, 20);
        (base, store, index)
    };
    let other = |base| {
        let (store, index) = of(OUR_FRAMES, wide, 20);
        (base, store, index)
    };
    let empty = |base| (base, Vec::new(), Vec::new());
    for log in [
        vec![ours(0), other(20)],
        vec![other(0), ours(20)],
        vec![other(0), empty(20)],
        vec![
            ours(0),
            ours(20),
            ours(40),
            other(60),
            ours(80),
            ours(100),
            empty(120),
        ],
    ] {
        is_left_alone(
            &sandbox(&log),
            "entries of 16 bytes: u64 offset, u64 position",
        );
    }
}

/// A store whose index is missing.
#[test]
fn a_lone_store_is_recognised() {
    let layout = all_frames()
        .into_iter()
        .find(|it| it.length.bytes == 4)
        .unwrap();
    let (store, _) = of(layout, OUR_ENTRIES, 20);
    let sandbox = Sandbox::empty();
    sandbox.write("0.store", &store);
    is_left_alone(&sandbox, "lengths of 4 bytes, big-endian");
}

/// Unused slots of 0xff are padding, as zeros are.
#[test]
fn unused_slots_are_padding() {
    let (store, index) = of(OUR_FRAMES, OUR_ENTRIES, 40);
    let padded = [index.as_slice(), &[0xff; 540]].concat();
    let made = || sandbox(&[(0, store.clone(), padded.clone())]);
    let run = |sandbox: &Sandbox, command: &str, status: i32| {
        let mut ran = sandbox.proglog();
        let ran = ran.arg(command).arg(sandbox.log()).write_stdin("a line\n");
        let ran = ran.assert().code(status);
        String::from_utf8_lossy(&ran.get_output().stdout).into_owned()
    };
    let log = made();
    let said = run(&log, "verify", 3);
    assert!(said.contains("index-padded  nothing lost"), "{said}");
    assert!(said.contains("45 unused entries"), "{said}");
    assert_eq!(run(&log, "read", 0).lines().count(), 40);
    run(&log, "repair", 0);
    assert_eq!(log.read("0.index"), index);
    assert_eq!(log.read("0.store"), store);
    run(&log, "verify", 0);
    let log = made();
    run(&log, "append", 0);
    assert_eq!(run(&log, "read", 0).lines().count(), 41);
    run(&log, "verify", 0);
    // Neither beside a single entry of zeros, nor behind zeros, are they entries.
    let (store, index) = of(OUR_FRAMES, OUR_ENTRIES, 1);
    let log = sandbox(&[(
        0,
        store,
        [index.as_slice(), &[0; 100], &[0xff; 100]].concat(),
    )]);
    run(&log, "repair", 0);
    assert_eq!(log.read("0.index"), [0; 12]);
}
