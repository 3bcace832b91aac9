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
    &["redact", "0"],
    &["redact", "0", "--dry-run"],
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

/// No command that would change the log changes a byte.
fn is_not_written(sandbox: &Sandbox, layout: &str) {
    let before = sandbox.snapshot();
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
}

/// No command changes a byte, and each one that reads values prints none.
pub fn is_left_alone(sandbox: &Sandbox, layout: &str) {
    let before = sandbox.snapshot();
    let beside = std::fs::read_dir(sandbox.path()).unwrap().count();
    is_not_written(sandbox, layout);
    let log = sandbox.log();
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

/// One segment of another layout: nothing is written, and the others are read and salvaged.
#[test]
fn the_other_segments_are_read() {
    let wide = all_entries(0)
        .into_iter()
        .find(|it| it.bytes() == 16)
        .unwrap();
    let lengths = all_frames()
        .into_iter()
        .find(|it| it.length.bytes == 4)
        .unwrap();
    let layouts = [
        (OUR_FRAMES, wide, "entries of 16 bytes"),
        (lengths, OUR_ENTRIES, "lengths of 4 bytes, big-endian"),
    ];
    let empty = |base| (base, Vec::new(), Vec::new());
    for (frames, entries, layout) in layouts {
        let of = |base: u64, is_ours: bool| {
            let (frames, entries) = if is_ours {
                (OUR_FRAMES, OUR_ENTRIES)
            } else {
                (frames, entries)
            };
            let text = |number| format!("record number {number}").into_bytes();
            let texts: Vec<_> = (base..base + 20).map(text).collect();
            let (store, index) = files(0, &texts, frames, entries);
            (base, store, index)
        };
        // All of it is another program's.
        is_left_alone(&sandbox(&[of(0, false), empty(20)]), layout);
        // The last one is more than four segments from each end.
        for (foreign, segments) in [(0, 2), (1, 2), (1, 3), (3, 7), (5, 11)] {
            let log: Vec<_> = (0..segments).map(|at| of(at * 20, at != foreign)).collect();
            let sandbox = sandbox(&log);
            let before = sandbox.snapshot();
            let others = (0..segments * 20).filter(|offset| offset / 20 != foreign);
            let others: Vec<u64> = others.collect();
            if segments < 9 {
                is_not_written(&sandbox, layout);
            }
            let run = |arguments: &[&str]| {
                let mut command = sandbox.proglog();
                let ran = command.current_dir(sandbox.path()).args(arguments).assert();
                let output = ran.code(3).get_output().clone();
                let [out, err] = [output.stdout, output.stderr];
                [out, err].map(|it| String::from_utf8(it).unwrap())
            };
            let values = |offsets: &mut dyn Iterator<Item = &u64>| -> String {
                offsets.fold(String::new(), |text, it| {
                    text + &format!("record number {it}\n")
                })
            };
            let [out, err] = run(&["read", "log", "--on-error", "skip"]);
            assert_eq!(out, values(&mut others.iter()), "{err}");
            let file = format!("{}.store", foreign * 20);
            let told = format!("foreign-dialect: {file} has another program's layout: {layout}");
            assert!(err.contains(&told), "{err}");
            let [out, _] = run(&["read", "log"]);
            let before_it = others.iter().take_while(|it| **it < foreign * 20);
            assert_eq!(out, values(&mut before_it.into_iter()));
            let [out, _] = run(&["read", "log", "-r", "--on-error", "skip"]);
            assert_eq!(out, values(&mut others.iter().rev()));
            let [out, err] = run(&["read", "log", &(foreign * 20 + 7).to_string()]);
            assert!(out.is_empty() && err.contains(&told), "{err}");
            let cursor = [
                "read",
                "log",
                "--cursor-file",
                "cursor",
                "--on-error",
                "skip",
            ];
            assert_eq!(run(&cursor)[0], values(&mut others.iter()));
            let [out, err] = run(&["salvage", "log", "new", "--json"]);
            assert!(err.contains(&format!("log/{file} is left out")), "{err}");
            let lines = json(&out);
            let foreign_line = lines.iter().find(|line| line["kind"] == "foreign").unwrap();
            assert_eq!(foreign_line["file"], file.as_str());
            let summary = lines.last().unwrap();
            assert_eq!(summary["records"], others.len() as u64, "{summary}");
            assert_eq!(summary["side_records"], 0, "{summary}");
            let read = sandbox
                .proglog()
                .current_dir(sandbox.path())
                .args(["read", "new", "--on-error", "skip"])
                .output();
            assert_eq!(
                read.unwrap().stdout,
                values(&mut others.iter()).into_bytes()
            );
            let [_, err] = run(&["manifest", "log"]);
            assert!(err.contains("foreign-dialect"), "{err}");
            let [out, _] = run(&["diff", "log", "new", "-q"]);
            assert_eq!(out, "", "only damage differs");
            assert_eq!(sandbox.snapshot(), before);
        }
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
