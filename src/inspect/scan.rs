//! Finds the facts of one segment: the number of intact records, the invalid slots, the
//! bytes after the last committed frame. Continues after damage; judges nothing.

use std::ops::ControlFlow;

use super::facts::Unclean;
pub use super::facts::{DeadBytes, IndexRest, SegmentFacts};
use super::tail::{self, Tail, TailStart};
use crate::log::damage::{Damage, DamageKind, Damages, PLACES_MAX};
use crate::log::error::{Error, Result, readable};
use crate::log::format::ENTRY_BYTES;
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::threads;
use crate::log::units::Position;
use crate::log::walk::{Committed, Flow, Visitor, Walk};
use crate::log::window::{LOOKUP_BYTES, STREAM_BYTES, Window};
use crate::log::writer::COMMIT_INDEX_BYTES;

/// Entries below which a segment is not worth more than one thread.
const PART_ENTRIES: u64 = 100_000;

/// Scans a segment, in `threads` parts where that pays.
///
/// # Errors
///
/// [`Error::Shrunk`], [`Error::Io`]; unreadable bytes are facts.
pub fn scan(segment: &Segment, codec: Codec, threads: usize) -> Result<SegmentFacts> {
    scan_in_parts(segment, codec, threads, PART_ENTRIES)
}

/// The same in parts of at least `part_entries` entries; the result is the same.
///
/// # Errors
///
/// As [`scan`].
pub fn scan_in_parts(
    segment: &Segment,
    codec: Codec,
    threads: usize,
    part_entries: u64,
) -> Result<SegmentFacts> {
    let mut index = segment.entries(STREAM_BYTES);
    let entries = segment.entries_or_slots_in(&mut index, codec)?;
    if threads > 1
        && entries <= segment.base.room()
        && entries >= part_entries.saturating_mul(2)
        && let Some((found, end)) = scan_parts(segment, codec, entries, threads, part_entries)?
    {
        return facts(segment, codec, (entries, found, end), false);
    }
    let store = Window::new(segment.store.clone(), STREAM_BYTES);
    let walk = Walk::new(segment.base, codec, index, store, entries);
    scan_slots(segment, codec, walk, 0, false)
}

/// The same for the entries that one commit can have written, which is all of them in a
/// padded index; earlier ones are assumed valid.
///
/// # Errors
///
/// As [`scan`].
pub fn scan_last_commit(segment: &Segment, codec: Codec) -> Result<SegmentFacts> {
    let mut index = segment.entries(STREAM_BYTES);
    let entries = segment.entries_or_slots_in(&mut index, codec)?;
    let padded = (entries + 1) * ENTRY_BYTES <= segment.index.file_bytes;
    let in_one_commit = COMMIT_INDEX_BYTES as u64 / ENTRY_BYTES;
    let first_slot = if padded {
        0
    } else {
        entries.saturating_sub(in_one_commit)
    };
    let store = Window::new(segment.store.clone(), STREAM_BYTES);
    let walk = Walk::new(segment.base, codec, index, store, entries);
    scan_slots(segment, codec, walk, first_slot, false)
}

/// Scans the slots from `first_slot` on, along a walk that did not begin.
fn scan_slots(
    segment: &Segment,
    codec: Codec,
    mut walk: Walk,
    first_slot: u64,
    quick: bool,
) -> Result<SegmentFacts> {
    let entries = walk.entries();
    walk.seek(first_slot.min(entries))?;
    let skipped = walk.slot();
    let mut found = Found::default();
    // A frame that has no offset is not a record.
    let flow = walk.run(entries.min(segment.base.room()), &mut found)?;
    let records = found.records + skipped;
    if flow.is_continue() {
        let _ = walk.run(entries, &mut found)?;
    }
    found.records = records;
    let walked = (walk.entries(), found, walk.end());
    facts(segment, codec, walked, quick)
}

/// The result of a walk along `entries` entries, and the bytes after its end. A `quick`
/// scan assumes that the padding is zero.
fn facts(
    segment: &Segment,
    codec: Codec,
    (entries, found, end): (u64, Found, Position),
    quick: bool,
) -> Result<SegmentFacts> {
    let padding = segment
        .index
        .file_bytes
        .saturating_sub(entries * ENTRY_BYTES);
    let misaligned =
        matches!(found.damages.list.last(), Some(last) if last.kind == DamageKind::Misaligned);
    let rest = if quick && padding >= ENTRY_BYTES && !misaligned {
        Some(IndexRest {
            position: entries * ENTRY_BYTES,
            bytes: padding,
            padding: true,
            unused: false,
        })
    } else {
        index_rest(segment, entries, &found)?
    };
    let next = match found.damages.list.last() {
        Some(last) if last.kind == DamageKind::Dangling => last.first_slot,
        _ => entries,
    };
    let start = TailStart {
        base: segment.base,
        slot: next,
        position: end,
    };
    let mut store = segment.store.clone();
    if next == entries
        && !misaligned
        && let Some(appended) = segment.appended_since(entries, end)?
    {
        store.file_bytes = store.file_bytes.min(appended.0);
    }
    let tail = tail::look(&store, codec, start, |_| Ok::<_, Error>(()))?;
    let mut unclean = Unclean {
        damages: found.damages.list,
        damages_uncounted: found.damages.uncounted,
        dead: found.dead,
        dead_uncounted: found.dead_uncounted,
        tail: (tail != Tail::none_at(end)).then_some(tail),
        last_position: 0,
        rest,
    };
    let unclean = if unclean == Unclean::default() {
        None
    } else {
        unclean.last_position = last_position(segment, entries)?;
        Some(Box::new(unclean))
    };
    Ok(SegmentFacts {
        base: segment.base,
        store_bytes: store.file_bytes,
        index_bytes: segment.index.file_bytes,
        entries,
        records: found.records,
        end,
        unclean,
    })
}

/// The position that the last entry names, valid or not.
fn last_position(segment: &Segment, entries: u64) -> Result<u64> {
    let Some(last) = entries.checked_sub(1) else {
        return Ok(0);
    };
    let entry = readable(segment.entries(LOOKUP_BYTES).entry(last))?;
    Ok(entry.map_or(0, |entry| entry.position.0))
}

/// The results of a walk.
#[derive(Debug, Default)]
struct Found {
    records: u64,
    damages: Damages,
    dead: Vec<DeadBytes>,
    dead_uncounted: u64,
    /// Whether to stop at the first thing that is not valid.
    stop: bool,
}

impl Visitor for Found {
    const PAYLOADS: bool = false;

    #[inline]
    fn record(&mut self, _: &Committed<'_>) -> Result<Flow> {
        self.records += 1;
        Ok(ControlFlow::Continue(()))
    }

    fn dead_bytes(&mut self, slot: u64, position: Position, bytes: u64) -> Result<Flow> {
        if self.dead.len() < PLACES_MAX {
            self.dead.push(DeadBytes {
                slot,
                position,
                bytes,
            });
        } else {
            self.dead_uncounted += 1;
        }
        Ok(self.flow())
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        self.damages.add(damage);
        Ok(self.flow())
    }
}

impl Found {
    fn flow(&self) -> Flow {
        if self.stop {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Scans a segment in parts at once. Each part begins where its first entry says; if the
/// part before does not end there, or anything at all is not valid, the answer is `None`,
/// and one walk from the beginning finds out.
fn scan_parts(
    segment: &Segment,
    codec: Codec,
    entries: u64,
    threads: usize,
    part_entries: u64,
) -> Result<Option<(Found, Position)>> {
    let parts = (entries / part_entries.max(1)).min(threads as u64).max(1);
    let bound = |part: u64| entries / parts * part + (entries % parts) * part / parts;
    let mut index = segment.entries(LOOKUP_BYTES);
    let mut starts = Vec::new();
    for part in 0..parts {
        let slot = bound(part);
        let position = match (slot, index.entry(slot)) {
            (0, _) => Position(0),
            (_, entry) => match readable(entry)? {
                Some(entry) => entry.position,
                None => return Ok(None),
            },
        };
        starts.push((slot, position, bound(part + 1)));
    }
    let results = threads::on_each(&starts, threads, |&(slot, position, to)| {
        walk_part(segment, codec, entries, slot, position, to)
    });
    let mut whole = Found::default();
    let mut end = Position(0);
    for (result, (_, start, _)) in results.into_iter().zip(starts) {
        let (found, part_end, sound) = result?;
        if !sound || start != end {
            return Ok(None);
        }
        whole.records += found.records;
        end = part_end;
    }
    Ok(Some((whole, end)))
}

fn walk_part(
    segment: &Segment,
    codec: Codec,
    entries: u64,
    slot: u64,
    position: Position,
    to: u64,
) -> Result<(Found, Position, bool)> {
    let mut walk: Walk = segment
        .walk(codec, entries, STREAM_BYTES)
        .starting_at(slot, position);
    let mut found = Found {
        stop: true,
        ..Found::default()
    };
    let flow = walk.run(to, &mut found)?;
    let sound = flow.is_continue() && found.damages.list.is_empty() && found.dead.is_empty();
    Ok((found, walk.end(), sound))
}

/// The bytes of the index after its last entry. Misaligned entries are damage already,
/// and so is everything before them.
fn index_rest(segment: &Segment, entries: u64, found: &Found) -> Result<Option<IndexRest>> {
    let mut position = entries * ENTRY_BYTES;
    if let Some(damage) = found.damages.list.last()
        && damage.kind == DamageKind::Misaligned
    {
        position = damage.position + damage.bytes;
    }
    let bytes = segment.index.file_bytes.saturating_sub(position);
    if bytes == 0 {
        return Ok(None);
    }
    let mut index = segment.entries(LOOKUP_BYTES);
    // Complete entries were counted, and none follows; one that is there now came since.
    let partial = segment.index.file_bytes / ENTRY_BYTES * ENTRY_BYTES;
    let Some(end) = readable(index.used_end(segment.index.file_bytes))? else {
        return Ok(None);
    };
    let padding = end <= partial.max(position);
    Ok(Some(IndexRest {
        position,
        bytes,
        padding,
        unused: padding && index.bytes(position, 1)?.first() == Some(&0xff),
    }))
}

/// The end of a segment only, in time that does not depend on its size: for a quick scan.
/// Records before the last commit are assumed intact.
///
/// # Errors
///
/// As [`scan`].
pub fn scan_end(segment: &Segment, codec: Codec) -> Result<SegmentFacts> {
    const ENTRIES: u64 = 64;
    // Small reads, each of which serves for all that follows.
    let mut index = segment.entries(LOOKUP_BYTES);
    let mut store = Window::new(segment.store.clone(), LOOKUP_BYTES);
    let entries = segment.bisect_entries_in(&mut index, Some(codec))?;
    let whole = segment.whole_entries_in(&mut index, &mut store, entries)?;
    let first_slot = whole.saturating_sub(ENTRIES);
    let walk = Walk::new(segment.base, codec, index, store, entries);
    scan_slots(segment, codec, walk, first_slot, true)
}
