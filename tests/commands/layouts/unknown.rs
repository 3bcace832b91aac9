//! Frames of ours under an index that fits no layout, one bit of a length flipped in
//! another program's log, and files that are no logs at all.

use proglog::scan::layouts::EntryLayout;
use proglog_testkit::{Sandbox, entry, frame, memory_directory};

use super::commands::{is_left_alone, sandbox, texts};
use super::made::{OUR_ENTRIES, OUR_FRAMES, all_entries, files, recognised};

/// Makes the entry of a record: its slot, where its frame begins, and the frame's size.
type Entry<'a> = &'a dyn Fn(u32, u64, u64) -> Vec<u8>;

/// Indexes that programs write, none of them in a layout that is tested for.
const KINDS: &[(&str, Entry<'_>)] = &[
    ("text", &|slot, at, _| format!("{slot} {at}\n").into_bytes()),
    ("JSON", &|slot, at, _| {
        format!("{{\"offset\":{slot},\"at\":{at}}}\n").into_bytes()
    }),
    ("header", &|slot, at, _| {
        let header: &[u8] = if slot == 0 { b"IDX\0\0\0\0\x01" } else { b"" };
        [header, &entry(slot, at)].concat()
    }),
    ("times", &|slot, _, _| {
        entry(slot, 1_700_000_000_000 + 997 * u64::from(slot))
    }),
    ("offsets and times", &|slot, _, _| {
        let time = 1_700_000_000_000 + 997 * u64::from(slot);
        [u64::from(slot).to_be_bytes(), time.to_be_bytes()].concat()
    }),
    ("lengths", &|slot, _, bytes| entry(slot, bytes - 8)),
    ("lengths alone", &|_, _, bytes| {
        let mut number = bytes.to_be_bytes();
        number.reverse();
        number.to_vec()
    }),
    ("positions", &|_, at, _| at.to_be_bytes().to_vec()),
    ("positions and lengths", &|_, at, bytes| {
        [&at.to_be_bytes()[..], &bytes.to_be_bytes()[4..]].concat()
    }),
];

/// A store of frames of ours, and an index.
fn log(count: u64, made: Entry<'_>) -> (Vec<u8>, Vec<u8>) {
    let (mut store, mut index) = (Vec::new(), Vec::new());
    for (text, slot) in texts(count).iter().zip(0..) {
        let frame = frame(&[text.as_slice(), &b"............"[..slot as usize * 7 % 13]].concat());
        index.extend(made(slot, store.len() as u64, frame.len() as u64));
        store.extend(frame);
    }
    (store, index)
}

/// Every command leaves such a log alone.
#[test]
fn an_index_of_an_unknown_layout_is_left_alone() {
    for (kind, made) in KINDS {
        let (store, index) = log(60, made);
        let words = if *kind == "header" {
            "perhaps an index with a header of 8 bytes"
        } else {
            "perhaps an index of"
        };
        is_left_alone(&sandbox(&[(0, store, index)]), words);
    }
}

/// Entries for a part of the records.
#[test]
fn entries_for_a_part_of_the_records_are_recognised() {
    let wide = |slot: u32, at: u64| [[0; 4].as_slice(), &entry(slot, at)].concat();
    let (store, ours) = log(20, &|slot, at, _| match slot % 5 {
        0 => entry(slot, at),
        _ => Vec::new(),
    });
    let words = "entries of 12 bytes: u32 offset, u64 position, not one for each record";
    is_left_alone(&sandbox(&[(0, store, ours)]), words);
    let (store, wide) = log(20, &|slot, at, _| match slot % 7 {
        0 | 3 => wide(slot, at),
        _ => Vec::new(),
    });
    let words = "entries of 16 bytes: u64 offset, u64 position, not one for each record";
    is_left_alone(&sandbox(&[(0, store, wide)]), words);
}

/// The same with fewer records, and with padding after the entries.
#[test]
fn an_index_of_an_unknown_layout_is_recognised() {
    let directory = memory_directory();
    for (kind, made) in KINDS {
        for count in [30, 100, 2000] {
            for padding in [0, 1000] {
                let (store, mut index) = log(count, made);
                index.resize(index.len() + padding, 0);
                let found = recognised(directory.path(), 0, &store, Some(&index));
                assert!(
                    found.is_some_and(|it| it.perhaps),
                    "{kind}, {count} records: {found:?}"
                );
            }
        }
    }
}

/// Few entries with the positions of all frames, and nothing else of ours.
#[test]
fn positions_of_all_frames_in_other_entries_are_recognised() {
    let directory = memory_directory();
    let kinds: &[(&str, Entry<'_>)] = &[
        ("u64", &|_, at, _| at.to_be_bytes().to_vec()),
        ("u32", &|_, at, _| at.to_be_bytes()[4..].to_vec()),
        ("u32 little-endian", &|_, at, _| {
            at.swap_bytes().to_be_bytes()[..4].to_vec()
        }),
        ("u16, u32", &|slot, at, _| {
            [&slot.to_be_bytes()[2..], &at.to_be_bytes()[4..]].concat()
        }),
        ("u16, u64", &|slot, at, _| {
            [&slot.to_be_bytes()[2..], &at.to_be_bytes()[..]].concat()
        }),
        ("u8, u64 little-endian", &|slot, at, _| {
            [&slot.to_be_bytes()[3..], &at.swap_bytes().to_be_bytes()[..]].concat()
        }),
        ("u64, u64, u64", &|slot, at, bytes| {
            [u64::from(slot), at, bytes].map(u64::to_be_bytes).concat()
        }),
    ];
    for (kind, made) in kinds {
        for count in [3, 4, 5, 7, 13] {
            let (store, index) = log(count, made);
            let found = recognised(directory.path(), 0, &store, Some(&index));
            assert!(found.is_some(), "{kind}, {count} records");
        }
    }
}

/// What a person does whose own index was overwritten by another file.
#[test]
fn without_such_an_index_the_store_is_repaired() {
    let (store, index) = log(60, KINDS[0].1);
    let log = sandbox(&[(0, store.clone(), index)]);
    let repair = |status| {
        let mut ran = log.proglog();
        ran.arg("repair").arg(log.log()).assert().code(status);
    };
    repair(3);
    std::fs::rename(log.log().join("0.index"), log.path().join("0.index")).unwrap();
    repair(0);
    assert_eq!(log.read("0.store"), store);
    let ran = log.proglog().arg("read").arg(log.log()).assert().success();
    let lines = String::from_utf8_lossy(&ran.get_output().stdout).into_owned();
    assert_eq!(lines.lines().count(), 60);
}

/// One bit of a length does not make the entries ours.
#[test]
fn a_flipped_length_does_not_hide_the_layout_of_the_entries() {
    let directory = memory_directory();
    let mut missed = Vec::new();
    for layout in all_entries(100) {
        // Absolute ends may be entries of ours without the first ones.
        let is_ours = EntryLayout {
            absolute: false,
            ends: false,
            ..layout
        } == OUR_ENTRIES;
        if is_ours && (layout.absolute || !layout.ends) {
            continue;
        }
        for count in [6, 20] {
            let values = texts(count);
            let (store, index) = files(100, &values, OUR_FRAMES, layout);
            let mut start = 0;
            for value in &values {
                // Behind the first one it is as likely that an entry of ours is wrong.
                let bits: &[usize] = if is_ours && start == 0 {
                    &[]
                } else {
                    &[0, 3, 9]
                };
                for bit in bits {
                    let mut store = store.clone();
                    store[start + 7 - bit / 8] ^= 1 << (bit % 8);
                    let found = recognised(directory.path(), 100, &store, Some(&index));
                    if found.and_then(|it| it.entries).is_none() {
                        missed.push(format!("{layout}: {count} records, bit {bit} at {start}"));
                    }
                }
                start += 8 + value.len();
            }
        }
    }
    assert!(
        missed.is_empty(),
        "{}:\n{}",
        missed.len(),
        missed.join("\n")
    );
}

/// Files of other programs that have such a name: `repair` makes no index beside them,
/// and `trim` does not remove them.
#[test]
fn files_without_a_frame_are_left_alone() {
    let sqlite = [b"SQLite format 3\0\x10\0\x01\x01\0\x40 ", &[0; 3000][..]].concat();
    let zip = [b"PK\x03\x04\x14\0\0\0\x08\0", &[0x5a; 500][..]].concat();
    for file in [&sqlite, &zip, &b"a line of text\n".repeat(50)] {
        let sandbox = Sandbox::empty();
        sandbox.write("0.store", file);
        sandbox.write("10.store", file);
        let before = sandbox.snapshot();
        for arguments in [
            &["repair"] as &[&str],
            &["repair", "--dry-run"],
            &["trim", "--keep-segments", "1"],
            &["trim", "--keep-segments", "1", "--dry-run"],
        ] {
            let (command, options) = arguments.split_first().unwrap();
            let mut ran = sandbox.proglog();
            ran.arg(command).arg(sandbox.log()).args(options);
            ran.write_stdin("a line\n").assert().code(3);
            assert_eq!(sandbox.snapshot(), before, "{arguments:?}");
        }
    }
}
