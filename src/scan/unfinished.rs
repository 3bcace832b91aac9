//! The unfinished batch: the bytes in a store of an append of ours that was interrupted
//! before the batch was durable. Nothing of it was acknowledged, and its bytes are not
//! frames, whatever they look like. This module is the only one that recognizes it.
//!
//! The batch begins after the last committed frame, or after the chain of intact frames
//! that continues it: a large append commits one batch while it writes the next. It
//! begins with a marked length (see [`is_marked_length`]), or with the zeros of a first
//! sector that never reached the disk. It reaches to the end of the store, or to the next
//! frame that an entry names: a service that was started on such a store appends after
//! it.

use crate::log::damage::Damage;
use crate::log::error::{Error, Result};
use crate::log::format::{
    ENTRY_BYTES, LENGTH_BYTES, SECTOR_BYTES, encode_length, frame_end, is_marked_length,
};
use crate::log::record::{Codec, LayoutError};
use crate::log::segment::Segment;
use crate::log::units::{Offset, Position};
use crate::log::walk::{Committed, Flow, Visitor, layout_in};
use crate::log::window::{LOOKUP_BYTES, Window};
use crate::log::writer::COMMIT_STORE_BYTES;

/// Bytes that one append writes before it waits for the disk: a batch, the batch after
/// it, and nothing more.
const APPEND_BYTES: u64 = 2 * COMMIT_STORE_BYTES;

/// The largest payload of a torn frame, if the frames before it are smaller than half of
/// it: a length that is read one byte too far is larger.
const TORN_PAYLOAD_BYTES: u64 = 4 * 1024;

/// Zero bytes of lengths after a lost sector that make a chain: chance gives one in 2^32.
const PROOF_BYTES: u64 = 4;

/// A place in a store after which no entry names a frame, at least for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// The segment's base offset.
    pub base: Offset,
    /// The slot after the last committed frame.
    pub slot: u64,
    /// The end of the last committed frame. Bytes.
    pub position: u64,
    /// Position of the next frame that an entry names, or the end of the store. Bytes.
    pub end: u64,
    /// Number of zero entries at the end of the index: a batch can lack its first sector
    /// only if the frames before it fill them. `None` if it cannot at all: the index is
    /// missing or damaged, or the segment is not the last one.
    pub zero_entries: Option<u64>,
}

/// An unfinished batch. Units: bytes of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Its start: the end of the chain.
    pub position: u64,
    /// Its end.
    pub end: u64,
    /// Whether it begins with a mark; else with the zeros of a lost sector.
    pub marked: bool,
}

/// Finds the unfinished batch after a committed frame.
///
/// # Errors
///
/// [`Error::Shrunk`], [`Error::Io`]; unreadable bytes are no batch.
pub fn find(store: &mut Window, codec: Codec, behind: Behind) -> Result<Option<Unfinished>> {
    let mut chain = Chain::new(codec, behind);
    while chain.step(store, behind.end)? {}
    find_at(store, codec, behind, (chain.position, chain.frames))
}

/// The same if the chain is known: its end, and its number of frames. (In a raw log it
/// may have run into the zeros of a lost sector, which look like empty frames.)
///
/// # Errors
///
/// As [`find`].
pub fn find_at(
    store: &mut Window,
    codec: Codec,
    behind: Behind,
    (position, frames): (u64, u64),
) -> Result<Option<Unfinished>> {
    if position >= behind.end {
        return Ok(None);
    }
    let found = |position, marked| Unfinished {
        position,
        end: behind.end,
        marked,
    };
    if is_marked(store, position)? {
        return Ok(Some(found(position, true)));
    }
    let in_one_append = position.saturating_sub(behind.position) <= APPEND_BYTES;
    if !in_one_append || behind.zero_entries.is_none_or(|entries| entries > frames) {
        return Ok(None);
    }
    let mut chain = Chain::new(codec, behind);
    if codec == Codec::Protobuf {
        // No zeros are a frame there.
        (chain.position, chain.frames) = (position, frames);
    }
    while chain.position <= position {
        let filled = behind.zero_entries.is_some_and(|it| it <= chain.frames);
        // Without an entry the store may have lost its index, and then a sector; but no
        // such loss begins where a frame ends.
        let filled = filled && (behind.slot > 0 || !chain.position.is_multiple_of(SECTOR_BYTES));
        // The first zeros count. Those of a length in two sectors may be an empty frame.
        if filled && chain.empty <= 1 && lacks_sector(store, &chain, behind.end)? {
            return Ok(Some(found(chain.position, false)));
        }
        if !chain.step(store, behind.end)? {
            break;
        }
    }
    Ok(None)
}

/// Finds the unfinished batch after the last entry of a segment.
///
/// # Errors
///
/// As [`find`].
pub fn in_segment(segment: &Segment, codec: Codec) -> Result<Option<Unfinished>> {
    let entries = segment.count_entries(Some(codec))?;
    let mut walk = segment.walk(codec, entries, LOOKUP_BYTES);
    walk.seek(entries)?;
    let mut damaged = Damaged(false);
    let _ = walk.run(entries, &mut damaged)?;
    let zeros = segment
        .index
        .file_bytes
        .saturating_sub(entries * ENTRY_BYTES);
    let behind = Behind {
        base: segment.base,
        slot: entries,
        position: walk.end().0,
        end: segment.store.file_bytes,
        zero_entries: (segment.is_last && !damaged.0).then(|| zeros.div_ceil(ENTRY_BYTES)),
    };
    if damaged.0 {
        return Ok(None);
    }
    find(walk.store(), codec, behind)
}

/// Whether a walk found damage.
struct Damaged(bool);

impl Visitor for Damaged {
    const PAYLOADS: bool = false;

    fn record(&mut self, _: &Committed<'_>) -> Result<Flow> {
        Ok(Flow::Continue(()))
    }

    fn dead_bytes(&mut self, _: u64, _: Position, _: u64) -> Result<Flow> {
        Ok(Flow::Continue(()))
    }

    fn damage(&mut self, _: Damage) -> Result<Flow> {
        self.0 = true;
        Ok(Flow::Continue(()))
    }
}

/// Whether the bytes at `position` are a marked length, or the part of one that the store
/// holds.
///
/// # Errors
///
/// As [`find`].
pub fn is_marked(store: &mut Window, position: u64) -> Result<bool> {
    let rest = store.file_bytes().saturating_sub(position);
    let count = usize::try_from(rest.min(LENGTH_BYTES)).unwrap_or(0);
    match store.bytes(position, count) {
        Ok(bytes) => Ok(is_marked_length(bytes)),
        Err(Error::Unreadable { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The first aligned sector of zeros between two places of a store: a page of a frame
/// that never reached the disk, in a store without syncs.
///
/// # Errors
///
/// As [`find`].
pub fn zero_sector(store: &mut Window, from: u64, to: u64) -> Result<Option<u64>> {
    let mut at = from.next_multiple_of(SECTOR_BYTES);
    while at.saturating_add(SECTOR_BYTES) <= to {
        let count = usize::try_from(SECTOR_BYTES).unwrap_or(0);
        match store.bytes(at, count) {
            Ok(bytes) if bytes.iter().all(|&byte| byte == 0) => return Ok(Some(at)),
            Ok(_) | Err(Error::Unreadable { .. }) => {}
            Err(error) => return Err(error),
        }
        at += SECTOR_BYTES;
    }
    Ok(None)
}

/// Whether a batch begins at the end of `chain` whose first sector never reached the
/// disk: at least 8 zeros up to the next sector, other bytes after them, and no frames
/// that continue there.
fn lacks_sector(store: &mut Window, chain: &Chain, end: u64) -> Result<bool> {
    let begin = chain.position;
    let sector = (begin + 1).next_multiple_of(SECTOR_BYTES);
    if sector - begin < LENGTH_BYTES || sector >= end || end - begin > APPEND_BYTES {
        return Ok(false);
    }
    let zeros = usize::try_from(sector - begin).unwrap_or(0);
    match store.bytes(begin, zeros) {
        Ok(bytes) if bytes.iter().all(|&byte| byte == 0) => {}
        Ok(_) | Err(Error::Unreadable { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    let other = match store.source().first_nonzero(sector) {
        Err(Error::Unreadable { .. }) => return Ok(false),
        other => other?,
    };
    if other.is_none_or(|other| other >= end) {
        return Ok(false);
    }
    Ok(!continues(store, chain, sector, end)?)
}

/// Whether the frames of a raw log continue in what may be the zeros of a lost sector, as
/// blank lines of a text do: they reach the end of the store, zeros up to it, a mark or a
/// torn frame. Bytes from the middle of a value may look like one frame; so frames that
/// end in a torn one must show more.
fn continues(store: &mut Window, chain: &Chain, sector: u64, end: u64) -> Result<bool> {
    if chain.codec == Codec::Protobuf {
        return Ok(false);
    }
    let zeros_from = match store.source().nonzero_end(end) {
        Err(Error::Unreadable { .. }) => end,
        other => other?,
    };
    let mut chain = *chain;
    let (mut values, mut proof) = (0_u64, 0_u64);
    loop {
        let position = chain.position;
        if position >= zeros_from || is_marked(store, position)? {
            return Ok(values > 0);
        }
        let stepped = chain.step(store, end)?;
        if position.saturating_add(LENGTH_BYTES) > end {
            return Ok(values > 1 || proof >= PROOF_BYTES);
        }
        let payload_bytes = match store.length_at(position) {
            Ok(payload_bytes) => payload_bytes,
            Err(Error::Unreadable { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        if stepped && payload_bytes == 0 {
            continue;
        }
        // Of a length in two sectors only the second part is there.
        let lost = sector.saturating_sub(position).min(LENGTH_BYTES);
        let zeros = encode_length(payload_bytes);
        let zeros = zeros.iter().take_while(|&&byte| byte == 0).count() as u64;
        let likely = payload_bytes <= TORN_PAYLOAD_BYTES.max(chain.largest.saturating_mul(2));
        if likely {
            proof += zeros.saturating_sub(lost);
        }
        if !stepped {
            return Ok(likely && (values > 1 || proof >= PROOF_BYTES));
        }
        values += 1;
        if values > 1 && proof >= PROOF_BYTES {
            return Ok(true);
        }
    }
}

/// Frames that continue a log after its last entry, one after the other.
#[derive(Debug, Clone, Copy)]
struct Chain {
    codec: Codec,
    /// The end of the last one. Bytes.
    position: u64,
    frames: u64,
    /// The offset of the next one in a protobuf log.
    carried: Option<u64>,
    /// The largest payload. Bytes.
    largest: u64,
    /// Number of empty frames at its end.
    empty: u64,
}

impl Chain {
    fn new(codec: Codec, behind: Behind) -> Self {
        Self {
            codec,
            position: behind.position,
            frames: 0,
            carried: behind.base.0.checked_add(behind.slot),
            largest: 0,
            empty: 0,
        }
    }

    /// Takes the next frame, if one is there.
    fn step(&mut self, store: &mut Window, end: u64) -> Result<bool> {
        if self.position.saturating_add(LENGTH_BYTES) > end {
            return Ok(false);
        }
        let payload_bytes = match store.length_at(self.position) {
            Ok(payload_bytes) => payload_bytes,
            Err(Error::Unreadable { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let Some(Position(next)) = frame_end(Position(self.position), payload_bytes, end) else {
            return Ok(false);
        };
        if self.codec == Codec::Protobuf {
            match layout_in(store, self.position + LENGTH_BYTES, payload_bytes) {
                Ok(layout) if Some(layout.offset) == self.carried => {}
                Err(LayoutError::Source(error @ (Error::Shrunk { .. } | Error::Io { .. }))) => {
                    return Err(error);
                }
                _ => return Ok(false),
            }
            self.carried = self.carried.and_then(|carried| carried.checked_add(1));
        }
        if payload_bytes == 0 {
            let data = store.data_from(self.position);
            if data.is_none_or(|data| data.start >= next) {
                // A hole may have very many of them, and they were never written.
                return Ok(false);
            }
            self.empty += 1;
        } else {
            self.empty = 0;
        }
        self.position = next;
        self.frames += 1;
        self.largest = self.largest.max(payload_bytes);
        Ok(true)
    }
}
