//! Offsets that are valid in both logs, compared: the bytes of their frames at once, or
//! record by record.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::{Compared, Opened, Side, Verdict};
use crate::inspect::coverage;
use crate::inspect::finding::{FindingId, OffsetRange};
use crate::log::damage::Damage;
use crate::log::error::{Error, Result, readable};
use crate::log::format::LENGTH_BYTES;
use crate::log::record::{self, Codec};
use crate::log::segment::Segment;
use crate::log::units::{Offset, Position};
use crate::log::walk::{Committed, Flow, PAYLOAD_IN_MEMORY_MAX, Visitor, Walk};
use crate::log::window::{STREAM_BYTES, Window};

/// Bytes of both stores that are compared with each other at once: they stay in the
/// processor's cache.
const BLOCK_BYTES: usize = 128 * 1024;

/// Records that are taken from a log at once.
const BATCH_RECORDS: u64 = 512;

/// Bytes of their values that are kept; the others are read again.
const BATCH_BYTES: usize = 1024 * 1024;

/// In what two records differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// In the value, from this byte of it on; the end of one may be the first difference.
    Value(u64),
    /// In the Raft term.
    Term,
    /// In the Raft log's type.
    Type,
    /// In fields of the message that proglog does not know.
    OtherFields,
}

/// Two records of one offset that are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Their offset.
    pub offset: Offset,
    /// The kind of difference.
    pub what: What,
    /// Its place in A.
    pub a: Spot,
    /// Its place in B.
    pub b: Spot,
}

/// One of two records that differ. Units: bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The base offset of its segment.
    pub segment: Offset,
    /// The store's name.
    pub file: String,
    /// Position of its frame in the store.
    pub position: u64,
    /// Position of its value in the store.
    pub value_position: u64,
    /// Bytes of the value.
    pub length: u64,
    /// The Raft term.
    pub term: u64,
    /// The Raft log's type.
    pub record_type: u32,
}

/// Whether the frames of these offsets are byte for byte the same in both stores; they
/// are adjacent in both. An unreadable place counts as different.
pub(super) fn same_bytes(a: &Opened, b: &Opened, offsets: OffsetRange) -> Result<bool> {
    let between = |side: &Opened| {
        let slot = |offset: Offset| offset.since(side.segment.base);
        coverage::frames_between(&side.segment, slot(offsets.first), slot(offsets.last))
    };
    let both = (between(a), between(b));
    let ((a_start, a_end), (b_start, b_end)) = match both {
        (Ok(a), Ok(b)) => (a, b),
        (Err(error), _) | (_, Err(error)) => return if_unreadable(error),
    };
    let bytes = a_end.saturating_sub(a_start);
    if bytes != b_end.saturating_sub(b_start) {
        return Ok(false);
    }
    let block = usize::try_from(bytes).map_or(BLOCK_BYTES, |it| it.min(BLOCK_BYTES));
    let mut blocks = (vec![0; block], vec![0; block]);
    let mut at = 0;
    while at < bytes {
        let count = usize::try_from(bytes - at).map_or(block, |left| left.min(block));
        let (Some(of_a), Some(of_b)) = (blocks.0.get_mut(..count), blocks.1.get_mut(..count))
        else {
            return Ok(false);
        };
        let read = a.segment.store.read_at(of_a, a_start + at);
        if let Err(error) = read.and_then(|()| b.segment.store.read_at(of_b, b_start + at)) {
            return if_unreadable(error);
        }
        if of_a != of_b {
            return Ok(false);
        }
        at += count as u64;
    }
    Ok(true)
}

fn if_unreadable(error: Error) -> Result<bool> {
    match error {
        Error::Unreadable { .. } => Ok(false),
        error => Err(error),
    }
}

/// Compares record by record.
pub(super) fn compare(
    a: &Opened,
    b: &Opened,
    offsets: OffsetRange,
) -> Result<(Vec<Compared>, Option<Difference>)> {
    let mut found = (Vec::new(), None);
    let mut from_a = Cursor::new(a, offsets)?;
    let mut from_b = Cursor::new(b, offsets)?;
    let mut next = Some(offsets.first);
    while let Some(offset) = next.filter(|next| *next <= offsets.last) {
        from_a.fill(offset)?;
        from_b.fill(offset)?;
        let verdict = match (from_a.take(offset), from_b.take(offset)) {
            (Some(of_a), Some(of_b)) => match differ(&from_a, &of_a, &from_b, &of_b) {
                Ok(None) => Verdict::Equal,
                Ok(Some(what)) => {
                    if found.1.is_none() {
                        found.1 = Some(Difference {
                            offset,
                            what,
                            a: of_a.spot(a),
                            b: of_b.spot(b),
                        });
                    }
                    Verdict::Differs
                }
                Err(Trouble::Unreadable(side)) => Verdict::Damaged {
                    side,
                    id: FindingId::StoreUnreadable,
                },
                Err(Trouble::Other(error)) => return Err(error),
            },
            // It was intact when the log was inspected.
            (None, Some(_)) => from_a.damaged(offset, Some(Side::A)),
            (Some(_), None) => from_b.damaged(offset, Some(Side::B)),
            (None, None) => from_a.damaged(offset, None),
        };
        add(&mut found.0, offset, verdict);
        next = offset.checked_add(1);
    }
    Ok(found)
}

fn add(ranges: &mut Vec<Compared>, offset: Offset, verdict: Verdict) {
    match ranges.last_mut() {
        Some(last) if last.verdict == verdict => last.offsets.last = offset,
        _ => ranges.push(Compared {
            offsets: OffsetRange {
                first: offset,
                last: offset,
            },
            verdict,
        }),
    }
}

/// Why two records could not be compared with each other to their ends.
enum Trouble {
    /// The disk reports an error, on both sides if neither is known. (A walk has not read
    /// what it does not keep in memory.)
    Unreadable(Option<Side>),
    Other(Error),
}

/// The items of both sides.
fn both<A, B>(a: Result<A>, b: Result<B>) -> std::result::Result<(A, B), Trouble> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(Error::Unreadable { .. }), Err(Error::Unreadable { .. })) => {
            Err(Trouble::Unreadable(None))
        }
        (Err(Error::Unreadable { .. }), Ok(_)) => Err(Trouble::Unreadable(Some(Side::A))),
        (Ok(_), Err(Error::Unreadable { .. })) => Err(Trouble::Unreadable(Some(Side::B))),
        (Err(Error::Unreadable { .. }) | Ok(_), Err(error)) | (Err(error), _) => {
            Err(Trouble::Other(error))
        }
    }
}

/// In what two records differ, if they do.
fn differ(
    a: &Cursor<'_>,
    of_a: &Taken,
    b: &Cursor<'_>,
    of_b: &Taken,
) -> std::result::Result<Option<What>, Trouble> {
    if let Some(at) = first_difference(a, of_a, b, of_b)? {
        return Ok(Some(What::Value(at)));
    }
    if (a.side.codec, b.side.codec) != (Codec::Protobuf, Codec::Protobuf) {
        return Ok(None);
    }
    if of_a.term != of_b.term {
        return Ok(Some(What::Term));
    }
    if of_a.record_type != of_b.record_type {
        return Ok(Some(What::Type));
    }
    if of_a.has_unknown || of_b.has_unknown {
        let (in_a, in_b) = both(other_fields(a, of_a), other_fields(b, of_b))?;
        return Ok((in_a != in_b).then_some(What::OtherFields));
    }
    Ok(None)
}

/// The first byte at which two values differ.
fn first_difference(
    a: &Cursor<'_>,
    of_a: &Taken,
    b: &Cursor<'_>,
    of_b: &Taken,
) -> std::result::Result<Option<u64>, Trouble> {
    let shorter = of_a.bytes.min(of_b.bytes);
    if let (Some(in_a), Some(in_b)) = (a.kept(of_a), b.kept(of_b)) {
        return Ok(unequal(in_a, in_b).map_or_else(
            || (of_a.bytes != of_b.bytes).then_some(shorter),
            |at| Some(at as u64),
        ));
    }
    let mut windows = (
        Window::new(a.side.segment.store.clone(), BLOCK_BYTES),
        Window::new(b.side.segment.store.clone(), BLOCK_BYTES),
    );
    let mut at = 0;
    while at < shorter {
        let count = usize::try_from(shorter - at).map_or(BLOCK_BYTES, |it| it.min(BLOCK_BYTES));
        let in_a = windows.0.bytes(of_a.start + at, count);
        let in_b = windows.1.bytes(of_b.start + at, count);
        let (in_a, in_b) = both(in_a, in_b)?;
        if let Some(found) = unequal(in_a, in_b) {
            return Ok(Some(at + found as u64));
        }
        at += count as u64;
    }
    Ok((of_a.bytes != of_b.bytes).then_some(shorter))
}

/// The first place within both at which they differ.
fn unequal(a: &[u8], b: &[u8]) -> Option<usize> {
    let both = a.len().min(b.len());
    if a.get(..both) == b.get(..both) {
        return None;
    }
    a.iter().zip(b).position(|(a, b)| a != b)
}

/// The fields that we do not know; of a message too large for memory, all of it.
fn other_fields(cursor: &Cursor<'_>, taken: &Taken) -> Result<Vec<u8>> {
    let bytes = taken.payload_bytes;
    let Ok(count) = usize::try_from(bytes.min(PAYLOAD_IN_MEMORY_MAX)) else {
        return Ok(Vec::new());
    };
    let mut window = Window::new(cursor.side.segment.store.clone(), count.max(1));
    let payload = window.bytes(taken.position.0 + LENGTH_BYTES, count)?;
    Ok(match record::decode(payload) {
        Ok(record) => record.unknown,
        Err(_) => payload.to_vec(),
    })
}

/// One record during the comparison.
#[derive(Debug)]
struct Taken {
    slot: u64,
    position: Position,
    payload_bytes: u64,
    /// Position of the value in the store, and its length.
    start: u64,
    bytes: u64,
    /// Its position in the kept bytes, if kept.
    kept: Option<usize>,
    term: u64,
    record_type: u32,
    has_unknown: bool,
}

impl Taken {
    fn spot(&self, side: &Opened) -> Spot {
        Spot {
            segment: side.segment.base,
            file: side.store.clone(),
            position: self.position.0,
            value_position: self.start,
            length: self.bytes,
            term: self.term,
            record_type: self.record_type,
        }
    }
}

/// The records of one log, some at a time.
struct Cursor<'a> {
    side: &'a Opened,
    walk: Walk,
    batch: Batch,
    /// The slot up to which the batch goes.
    filled: u64,
    /// The slot after the last one that is wanted.
    end: u64,
}

#[derive(Default)]
struct Batch {
    taken: VecDeque<Taken>,
    kept: Vec<u8>,
    first: u64,
    /// Slots that turned out not to be valid: the first and the last, and the finding.
    damaged: Vec<(u64, u64, FindingId)>,
}

impl<'a> Cursor<'a> {
    fn new(side: &'a Opened, offsets: OffsetRange) -> Result<Self> {
        let segment: &Segment = &side.segment;
        let mut walk = segment.walk(side.codec, side.entries, STREAM_BYTES);
        let first = offsets.first.since(segment.base);
        // The slots are valid, so the entry is right.
        let entry = readable(walk.index().entry(first))?;
        let position = entry.map_or(Position(0), |entry| entry.position);
        let batch = Batch {
            first,
            ..Batch::default()
        };
        Ok(Self {
            side,
            walk: walk.starting_at(first, position),
            batch,
            filled: first,
            end: offsets.last.since(segment.base).saturating_add(1),
        })
    }

    /// Takes more records where those up to `offset` were used.
    fn fill(&mut self, offset: Offset) -> Result<()> {
        let slot = offset.since(self.side.segment.base);
        if slot < self.filled {
            return Ok(());
        }
        self.batch.taken.clear();
        self.batch.kept.clear();
        self.batch.damaged.retain(|(_, last, _)| *last >= slot);
        self.filled = slot.saturating_add(BATCH_RECORDS).min(self.end);
        let _ = self.walk.run(self.filled, &mut self.batch)?;
        Ok(())
    }

    /// The record of an offset, if it is intact.
    fn take(&mut self, offset: Offset) -> Option<Taken> {
        let slot = offset.since(self.side.segment.base);
        while self.batch.taken.front().is_some_and(|it| it.slot < slot) {
            self.batch.taken.pop_front();
        }
        let is_it = self.batch.taken.front().is_some_and(|it| it.slot == slot);
        is_it.then(|| self.batch.taken.pop_front())?
    }

    fn kept(&self, taken: &Taken) -> Option<&[u8]> {
        let start = taken.kept?;
        let end = start.checked_add(usize::try_from(taken.bytes).ok()?)?;
        self.batch.kept.get(start..end)
    }

    /// The finding of a record that was intact.
    fn damaged(&self, offset: Offset, side: Option<Side>) -> Verdict {
        let slot = offset.since(self.side.segment.base);
        let mut damaged = self.batch.damaged.iter();
        let found = damaged.find(|(first, last, _)| (*first..=*last).contains(&slot));
        let id = found.map_or(FindingId::StoreUnreadable, |(_, _, id)| *id);
        Verdict::Damaged { side, id }
    }
}

impl Visitor for Batch {
    const PAYLOADS: bool = true;

    fn record(&mut self, record: &Committed<'_>) -> Result<Flow> {
        if record.slot < self.first {
            return Ok(ControlFlow::Continue(()));
        }
        let layout = record.layout.as_ref();
        let value = layout.map_or(0..record.payload_bytes, |layout| layout.value.clone());
        let mut kept = None;
        let range = (usize::try_from(value.start), usize::try_from(value.end));
        if let (Some(payload), (Ok(start), Ok(end))) = (record.payload, range)
            && let Some(bytes) = payload.get(start..end)
            && self.kept.len() + bytes.len() <= BATCH_BYTES
        {
            kept = Some(self.kept.len());
            self.kept.extend_from_slice(bytes);
        }
        self.taken.push_back(Taken {
            slot: record.slot,
            position: record.position,
            payload_bytes: record.payload_bytes,
            start: record.position.0 + LENGTH_BYTES + value.start,
            bytes: value.end - value.start,
            kept,
            term: layout.map_or(0, |layout| layout.term),
            record_type: layout.map_or(0, |layout| layout.record_type),
            has_unknown: layout.is_some_and(|layout| layout.has_unknown),
        });
        Ok(ControlFlow::Continue(()))
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        let id = FindingId::from(damage.kind);
        self.damaged.push((damage.first_slot, damage.last_slot, id));
        Ok(ControlFlow::Continue(()))
    }
}
