//! Healthy logs of every layout, whole and as a killed program leaves them.

use fastrand::Rng;
use proglog::scan::layouts::{EntryLayout, FrameLayout, Order};
use proglog_testkit::{memory_directory, pb, report};

use super::made::{OUR_ENTRIES, OUR_FRAMES, all_entries, all_frames, files, recognised};

/// Sorts of payloads.
pub const SORTS: usize = 6;

/// The payloads of a log: text, records, and small binary values.
pub fn payloads(sort: usize, count: u64, rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut bytes = |most: usize| -> Vec<u8> {
        let count = rng.usize(1..=most);
        (0..count).map(|_| rng.u8(..)).collect()
    };
    (0..count)
        .map(|number| match sort {
            0 => format!("record number {number}").into_bytes(),
            1 => pb(format!("record number {number}").as_bytes(), number, 0, 0),
            2 => bytes(3),
            3 => bytes(300),
            4 => number.to_be_bytes().to_vec(),
            _ => pb(&bytes(4), number, 1, 0),
        })
        .collect()
}

/// How the files end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Whole,
    /// The index is padded with zeros, the last frame is torn.
    Killed,
    /// The index is padded with 0xff.
    Unused,
    /// Zeros follow the last frame.
    Zeros,
}

const ENDS: [End; 4] = [End::Whole, End::Killed, End::Unused, End::Zeros];

/// The files of a log that ends like this.
fn made(
    base: u64,
    payloads: &[Vec<u8>],
    (frames, entries): (FrameLayout, EntryLayout),
    end: End,
    rng: &mut Rng,
) -> (Vec<u8>, Vec<u8>) {
    let (mut store, mut index) = files(base, payloads, frames, entries);
    match end {
        End::Whole => {}
        End::Killed => {
            let last = payloads.last().map_or(0, Vec::len);
            store.truncate(store.len() - rng.usize(1..=last.min(8)));
            index.resize(1020, 0);
        }
        End::Unused => index.resize(1020, 0xff),
        End::Zeros => {
            store.resize(store.len() + 700, 0);
            index.resize(4096, 0);
        }
    }
    (store, index)
}

#[test]
fn a_healthy_log_of_any_layout_is_recognised() {
    let directory = memory_directory();
    let mut rng = Rng::with_seed(1);
    let mut missed = Vec::new();
    let (mut logs, mut hardly, mut few, mut renamed) = (0, 0, 0, 0);
    let mut check = |base, layouts: (FrameLayout, EntryLayout), count, end, sort| {
        let (frames, entries) = layouts;
        let payloads = payloads(sort, count, &mut rng);
        let (store, index) = made(base, &payloads, layouts, end, &mut rng);
        let found = recognised(directory.path(), base, &store, Some(&index));
        let right = found.is_some_and(|found| {
            let as_ours = found.entries.is_none() && entries == OUR_ENTRIES;
            // Of small numbers several layouts have the same bytes.
            let as_wide = found
                .entries
                .is_some_and(|it| it.bytes() == entries.bytes());
            found.frames.is_some() != (frames == OUR_FRAMES) && (as_ours || as_wide)
        });
        logs += 1;
        renamed +=
            usize::from(right && found.and_then(|it| it.frames).unwrap_or(OUR_FRAMES) != frames);
        if right {
            let weak = count == 2 && (frames == OUR_FRAMES || end == End::Killed);
            assert!(
                weak || !found.is_some_and(|found| found.perhaps),
                "{frames}; {entries}"
            );
        } else if found.is_some() && (count == 2 || entries.ends && end == End::Killed) {
            // Two entries of many a layout are those of another one too.
            renamed += 1;
        } else if (entries.from_one || entries.ends) && (count == 2 || end == End::Killed) {
            few += 1;
        } else if end == End::Killed && (count <= 3 || entries.position_first)
            || end == End::Zeros && count == 2
        {
            // A whole frame or two are little, zeros may be part of a record, and entries of
            // twelve bytes may be ours that were moved.
            hardly += 1;
        } else {
            missed.push(format!(
                "{frames}; {entries}; base {base}, {count} records, {end:?}, sort {sort}: {}",
                found.map_or(String::new(), |it| it.to_string())
            ));
        }
    };
    for base in [0, 7] {
        for frames in all_frames() {
            for entries in all_entries(base) {
                if (frames, entries) == (OUR_FRAMES, OUR_ENTRIES) {
                    continue;
                }
                for count in [2, 3, 20] {
                    for end in ENDS {
                        let sorts = if base == 0 { SORTS } else { 2 };
                        for sort in 0..sorts {
                            check(base, (frames, entries), count, end, sort);
                        }
                    }
                }
            }
        }
    }
    report(&format!(
        "{logs} logs of other layouts, {} not recognised, {renamed} under another name",
        missed.len() + hardly + few
    ));
    assert!(
        missed.is_empty(),
        "{} of {logs}:\n{}",
        missed.len(),
        missed.join("\n")
    );
    assert!(hardly * 1000 < logs, "{hardly} of {logs}");
    assert!(few * 50 < logs, "{few} of {logs}");
    assert!(renamed * 16 < logs, "{renamed} of {logs}");
}

/// A single frame is recognised by a length of eight bytes, or by a checksum that is one.
#[test]
fn a_single_frame_needs_a_proof() {
    let directory = memory_directory();
    let mut rng = Rng::with_seed(2);
    for frames in all_frames() {
        if frames == OUR_FRAMES {
            continue;
        }
        for sort in [0, 1, 3] {
            let payloads = payloads(sort, 1, &mut rng);
            let (store, _) = files(0, &payloads, frames, OUR_ENTRIES);
            let found = recognised(directory.path(), 0, &store, None);
            let is_long = frames.length.bytes == 8 && frames.checksum.is_none();
            let is_crc = frames.checksum.is_some_and(|(bytes, _)| bytes == 4);
            if is_long || is_crc {
                assert_eq!(found.and_then(|it| it.frames), Some(frames), "{frames}");
            } else {
                assert_eq!(found, None, "{frames}");
            }
        }
    }
}

/// More frames and entries than are read, and a store that ends in a hole.
#[test]
fn a_long_log_is_recognised_by_its_beginning() {
    let directory = memory_directory();
    let payloads: Vec<_> = (0..5000).map(|it| format!("{it}").into_bytes()).collect();
    for frames in all_frames() {
        for order in [Order::Big, Order::Little] {
            let mut entries = OUR_ENTRIES;
            entries.offset.order = order;
            let (store, index) = files(0, &payloads, frames, entries);
            let found = recognised(directory.path(), 0, &store, Some(&index));
            let ours = (frames, entries) == (OUR_FRAMES, OUR_ENTRIES);
            assert_eq!(found.is_none(), ours, "{frames}; {entries}");
        }
    }
}

/// Makes a frame of a payload.
type Made<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// Frames whose size follows from a number in them in a way that is not ours.
#[test]
fn any_size_that_follows_from_a_number_is_recognised() {
    let directory = memory_directory();
    let mut rng = Rng::with_seed(5);
    let with = |head: &[u8], payload: &[u8]| [head, payload].concat();
    let counts_itself = |it: &[u8]| with(&(it.len() as u64 + 8).to_be_bytes(), it);
    let short = |it: &[u8]| {
        let bytes = u16::try_from(it.len()).unwrap();
        with(&bytes.to_be_bytes(), it)
    };
    let kind_behind = |it: &[u8]| with(&(it.len() as u64).to_be_bytes(), &with(&[1], it));
    let kind_before = |it: &[u8]| with(&[1], &with(&(it.len() as u64).to_be_bytes(), it));
    let time_before = |it: &[u8]| {
        let time = 1_700_000_000_000_u64.to_be_bytes();
        with(&time, &with(&(it.len() as u64).to_be_bytes(), it))
    };
    let length_behind = |it: &[u8]| {
        let bytes = (it.len() as u64).to_be_bytes();
        with(&bytes, &with(it, &bytes))
    };
    let padded = |it: &[u8]| {
        let mut frame = with(&(it.len() as u64).to_be_bytes(), it);
        frame.resize(frame.len().next_multiple_of(8), 0);
        frame
    };
    let kinds: [(&str, Made<'_>); 7] = [
        ("counts itself", &counts_itself),
        ("short", &short),
        ("kind behind", &kind_behind),
        ("kind before", &kind_before),
        ("time before", &time_before),
        ("length behind", &length_behind),
        ("padded", &padded),
    ];
    for (name, frame) in kinds {
        for round in 0..50 {
            let count = rng.usize(10..40);
            let payloads: Vec<Vec<u8>> = (0..count)
                .map(|at| {
                    // Most of these need no padding.
                    let bytes = if round % 3 == 0 {
                        [15, 16, 24][at % 3]
                    } else {
                        rng.usize(1..300)
                    };
                    vec![b'a' + u8::try_from(at % 26).unwrap(); bytes]
                })
                .collect();
            let (mut store, mut index) = (Vec::new(), Vec::new());
            for (payload, slot) in payloads.iter().zip(0_u32..) {
                index.extend(slot.to_be_bytes());
                index.extend((store.len() as u64).to_be_bytes());
                store.extend(frame(payload));
            }
            if round % 2 == 0 {
                index.resize(4096, 0);
            }
            let found = recognised(directory.path(), 0, &store, Some(&index));
            assert!(
                found.is_some_and(|it| !it.perhaps),
                "{name}, {count} records: {found:?}"
            );
        }
    }
}
