//! Sparse files are saved, put back and salvaged sparse, and shown in a few lines.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use proglog_testkit::{LogBuilder, Sandbox, entry, frame, pb};

use crate::security::shell::{bash, logs, status};

/// A hole: small enough for ext4, and far more than a test may write. Units: bytes.
const HOLE: u64 = 256 << 30;

/// What a whole test may take of a disk. Units: bytes.
const DISK_BYTES: u64 = 4 << 20;

/// Stretches a file by a hole, with bytes behind it; whether the file system can.
fn stretch(path: &Path, behind: &[u8]) -> bool {
    let file = File::options().write(true).open(path).unwrap();
    let end = file.metadata().unwrap().len() + HOLE;
    if file.set_len(end).is_err() {
        eprintln!("SKIPPED: no sparse files of terabytes here");
        return false;
    }
    file.write_all_at(behind, end).unwrap();
    true
}

/// How much room everything below a directory takes. Units: bytes.
fn disk_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => disk_bytes(&entry.path()),
            metadata => metadata.blocks() * 512,
        })
        .sum()
}

fn runs(sandbox: &Sandbox, line: &str, expected: i32) {
    let output = bash(sandbox.path(), &format!("timeout 60 $proglog {line}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(expected), "{line}: {said}");
    let taken = disk_bytes(sandbox.path());
    assert!(taken < DISK_BYTES, "{line}: {taken} bytes");
}

/// Whether a file is as it was: its size, and its bytes around the hole.
fn is(path: &Path, before: &[u8], behind: &[u8]) {
    let file = File::open(path).unwrap();
    let end = before.len() as u64 + HOLE;
    assert_eq!(file.metadata().unwrap().len(), end + behind.len() as u64);
    let mut bytes = vec![0; before.len() + 4096];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes.starts_with(before) && bytes[before.len()..].iter().all(|&byte| byte == 0));
    let mut bytes = vec![0; behind.len()];
    file.read_exact_at(&mut bytes, end).unwrap();
    assert_eq!(bytes, behind);
}

#[test]
fn a_cut_of_terabytes_is_saved_and_put_back() {
    for (name, repair) in [
        ("0.index", "repair log"),
        ("0.store", "repair --drop-tail log"),
    ] {
        let sandbox = logs();
        let before = sandbox.read(name);
        if !stretch(&sandbox.file(name), b"x") {
            return;
        }
        runs(&sandbox, "verify -q log", 3);
        runs(&sandbox, repair, 0);
        // The first zeros of a store may be empty records.
        assert!(sandbox.bytes(name) < 4096);
        runs(&sandbox, "undo --dry-run log", 0);
        runs(&sandbox, "undo --into other-place log", 0);
        is(
            &sandbox.path().join("other-place").join(name),
            &before,
            b"x",
        );
        runs(&sandbox, "undo log", 0);
        is(&sandbox.file(name), &before, b"x");
    }
}

#[test]
fn an_undo_that_was_cut_short_is_run_again() {
    let sandbox = logs();
    let before = sandbox.read("0.index");
    if !stretch(&sandbox.file("0.index"), b"x") {
        return;
    }
    runs(&sandbox, "repair log", 0);
    // It had stretched the file, and not more.
    let file = File::options().write(true).open(sandbox.file("0.index"));
    file.unwrap()
        .set_len(before.len() as u64 + HOLE + 1)
        .unwrap();
    runs(&sandbox, "undo log", 0);
    is(&sandbox.file("0.index"), &before, b"x");
}

#[test]
fn a_record_of_a_terabyte_is_salvaged_and_trimmed() {
    let sandbox = logs();
    // Its length is that of the hole, and one more record is behind it.
    let store = sandbox.read("0.store");
    let position = store.len() as u64;
    let mut head = store.clone();
    head.extend(HOLE.to_be_bytes());
    sandbox.write("0.store", &head);
    let last = [&3_u64.to_be_bytes()[..], b"end"].concat();
    let mut index = sandbox.read("0.index");
    index.extend(entry(4, position));
    index.extend(entry(5, position + 8 + HOLE));
    sandbox.write("0.index", &index);
    if !stretch(&sandbox.file("0.store"), &last) {
        return;
    }
    runs(&sandbox, "verify -q log", 0);
    runs(&sandbox, "salvage log new", 0);
    is(&sandbox.path().join("new/0.store"), &head, &last);
    assert_eq!(fs::read(sandbox.path().join("new/0.index")).unwrap(), index);
    runs(&sandbox, "trim --after 3 log", 0);
    assert_eq!(sandbox.read("0.store"), store);
    runs(&sandbox, "undo log", 0);
    is(&sandbox.file("0.store"), &head, &last);
    assert_eq!(sandbox.read("0.index"), index);
    assert_eq!(
        status(
            sandbox.path(),
            "$proglog read log --offset 5 | grep -qx end"
        ),
        0
    );
}

/// The records behind a hole carry offsets far away: their index would have a line for each
/// offset between.
#[test]
fn offsets_behind_a_hole_do_not_size_an_index() {
    for with_index in [true, false] {
        let sandbox = logs();
        let frames = |offsets: std::ops::Range<u64>| -> Vec<u8> {
            offsets.flat_map(|it| frame(&pb(b"v", it, 0, 0))).collect()
        };
        let before = frames(0..4);
        sandbox.write("0.store", &before);
        sandbox.write("0.index", &[]);
        if with_index {
            let entries = [entry(0, 0), entry(1, 11), entry(2, 24)];
            sandbox.write("0.index", &entries.concat());
        }
        let end = u64::from(u32::MAX);
        if !stretch(&sandbox.file("0.store"), &frames(end - 3..end)) {
            return;
        }
        runs(&sandbox, "verify -q log", 3);
        runs(&sandbox, "repair --dry-run log", 3);
        runs(&sandbox, "repair log", 3);
        assert!(sandbox.bytes("0.index") < 4096);
        runs(&sandbox, "read --from 3 log", 0);
    }
}

/// A terabyte of holes is no line for each eight bytes of it.
#[test]
fn empty_frames_in_a_row_are_one_line() {
    let dump = |blanks: usize, options: &str| {
        let values = [vec!["a"], vec![""; blanks], vec!["b"]].concat();
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(7, values));
        let output = bash(
            sandbox.path(),
            &format!("$proglog dump-store log {options}"),
        );
        assert_eq!(output.status.code(), Some(0));
        (sandbox, String::from_utf8(output.stdout).unwrap())
    };
    let (_, text) = dump(63, "");
    assert!(!text.contains("zeros"), "{text}");
    let (_, text) = dump(1000, "");
    let row = "zeros  9+8000: 1000 empty records, offsets 8..1007\n";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("1002 frames shown"), "{text}");
    let (_, text) = dump(1000, "--json | sed -n 2,3p");
    let row = "\"position\":9,\"bytes\":8000,\"frames\":1000,\"offset\":8}\n";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("\"offset\":1008,"), "{text}");
    for (range, shown) in [("8..8", 1000), ("1007..1008", 1001), ("1008", 1), ("7", 1)] {
        let (_, text) = dump(1000, range);
        assert!(
            text.contains(&format!("\n{shown} frame")),
            "{range}: {text}"
        );
    }
    let (sandbox, _) = dump(1000, "");
    if !stretch(&sandbox.file("7.store"), b"\0\0\0\0\0\0\0\x01c") {
        return;
    }
    for codec in ["raw", "protobuf"] {
        let line = format!("timeout 20 $proglog dump-store log --codec={codec}");
        let output = bash(sandbox.path(), &line);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.len() < 2000);
    }
}
