//! Bytes that the disk does not give. Where a process has no page, its memory under
//! `/proc` answers EIO, as a disk does: no root and no device is needed for that.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

use proglog::log::damage::{Damage, DamageKind};
use proglog::log::dir::FilePath;
use proglog::log::error::Result;
use proglog::log::index::Index;
use proglog::log::record::Codec;
use proglog::log::units::{Offset, Position};
use proglog::log::walk::{Committed, Flow, Visitor, Walk};
use proglog::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};
use proglog_testkit::{Sandbox, entry, frame, pb};

use super::memory::alone;

const PAGE: usize = 4096;
const PAGES: usize = 5;
/// The page that is missing.
const HOLE: std::ops::Range<usize> = 2 * PAGE..3 * PAGE;

#[derive(Default)]
struct Seen<const PAYLOADS: bool> {
    records: Vec<u64>,
    damages: Vec<Damage>,
}

impl<const WANTED: bool> Visitor for Seen<WANTED> {
    const PAYLOADS: bool = WANTED;

    fn record(&mut self, record: &Committed<'_>) -> Result<Flow> {
        self.records.push(record.slot);
        Ok(ControlFlow::Continue(()))
    }

    fn dead_bytes(&mut self, _: u64, _: Position, _: u64) -> Result<Flow> {
        panic!("no bytes are dead");
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        self.damages.push(damage);
        Ok(ControlFlow::Continue(()))
    }
}

/// Memory with `bytes` in it, but for the page of [`HOLE`]; gives its address.
#[expect(unsafe_code, reason = "a page can be given back in no other way")]
fn memory_with_a_hole(bytes: &[u8]) -> usize {
    assert_eq!(bytes.len(), PAGES * PAGE);
    // SAFETY: a new mapping at no fixed address; it is filled before it is shared, and
    // nobody else knows the page that is given back.
    unsafe {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let start = libc::mmap(std::ptr::null_mut(), bytes.len(), access, kind, -1, 0);
        assert_ne!(start, libc::MAP_FAILED);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast(), bytes.len());
        assert_eq!(libc::munmap(start.byte_add(HOLE.start), PAGE), 0);
        start as usize
    }
}

/// Walks along frames in such memory; gives the slots that lie in no hole, and what
/// was seen.
fn walk<const PAYLOADS: bool>(codec: Codec, read_bytes: usize) -> (Vec<u64>, Seen<PAYLOADS>) {
    let (mut store, mut places) = (Vec::new(), Vec::new());
    for slot in 0.. {
        let value = [b'x'; 100];
        let made = match codec {
            Codec::Raw => frame(&value),
            Codec::Protobuf => frame(&pb(&value, slot, 0, 0)),
        };
        if store.len() + made.len() > PAGES * PAGE {
            break;
        }
        places.push(store.len()..store.len() + made.len());
        store.extend(made);
    }
    let end = store.len();
    store.resize(PAGES * PAGE, 0);
    let start = memory_with_a_hole(&store);
    let memory = File::open("/proc/self/mem").unwrap();
    let mut memory = ReadFile::of(memory, Path::new("memory.store")).unwrap();
    memory.file_bytes = (start + end) as u64;
    let entries: Vec<u8> = (0..)
        .zip(&places)
        .flat_map(|(slot, place)| entry(slot, (start + place.start) as u64))
        .collect();
    let sandbox = Sandbox::empty();
    sandbox.write("0.index", &entries);
    let index = Index::open(&FilePath::of(&sandbox.file("0.index")).unwrap(), read_bytes).unwrap();
    let store = Window::new(memory, read_bytes);
    let mut walk = Walk::new(Offset(0), codec, index, store, places.len() as u64)
        .starting_at(0, Position(start as u64));
    let mut seen = Seen::default();
    assert!(walk.run(u64::MAX, &mut seen).unwrap().is_continue());
    let whole = (0..).zip(&places);
    let whole = whole.filter(|(_, it)| it.end <= HOLE.start || it.start >= HOLE.end);
    (whole.map(|(slot, _)| slot).collect(), seen)
}

#[test]
fn bytes_that_cannot_be_read_cost_their_records_only() {
    let _alone = alone();
    for codec in [Codec::Raw, Codec::Protobuf] {
        for read_bytes in [LOOKUP_BYTES, STREAM_BYTES] {
            let (whole, seen) = walk::<true>(codec, read_bytes);
            assert_eq!(seen.records, whole, "{codec} {read_bytes}");
            let lost: u64 = seen.damages.iter().map(Damage::slots).sum();
            let slots = whole.last().unwrap() + 1;
            assert_eq!(lost + whole.len() as u64, slots, "{codec} {read_bytes}");
            let unreadable = |it: &Damage| it.kind == DamageKind::Unreadable;
            assert!(seen.damages.iter().all(unreadable), "{:?}", seen.damages);
        }
    }
}

/// Whoever wants no values does not read a raw log's; its lengths it must read.
#[test]
fn a_walk_without_values_goes_on_too() {
    let _alone = alone();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let (whole, seen) = walk::<false>(codec, STREAM_BYTES);
        assert!(
            whole.iter().all(|slot| seen.records.contains(slot)),
            "{codec}"
        );
        assert!(!seen.damages.is_empty(), "{codec}");
    }
}
