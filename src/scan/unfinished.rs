//! The unfinished batch: the bytes in a store of an append of ours that was interrupted
//! before the batch was durable. Nothing of it was acknowledged, and its bytes are not
//! frames, whatever they look like.
//!
//! The batch begins after the last committed frame, or after the chain of intact frames
//! that continues it: a large append commits one batch while it writes the next. It
//! begins with a marked length (see [`is_marked_length`]) and reaches to the end of the
//! store, or to the next frame that an entry names: a service that was started on such a
//! store appends after it.

use crate::log::damage::Damage;
use crate::log::error::{Result, readable};
use crate::log::format::{LENGTH_BYTES, SECTOR_BYTES, is_marked_length};
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::units::Position;
use crate::log::walk::{Flow, Visitor, record_at};
use crate::log::window::{LOOKUP_BYTES, Window};

/// Finds the unfinished batch after the last entry of a segment: its position in the store.
///
/// # Errors
///
/// [`Error::Shrunk`](crate::log::error::Error::Shrunk),
/// [`Error::Io`](crate::log::error::Error::Io); unreadable bytes are no batch.
pub fn in_segment(segment: &Segment, codec: Codec) -> Result<Option<u64>> {
    let entries = segment.count_entries(Some(codec))?;
    let mut walk = segment.walk(codec, entries, LOOKUP_BYTES);
    walk.seek(entries)?;
    let mut damaged = Damaged(false);
    let _ = walk.run(entries, &mut damaged)?;
    if damaged.0 {
        return Ok(None);
    }
    let mut chain = Chain {
        codec,
        position: walk.end().0,
        carried: segment.base.0.checked_add(entries),
    };
    let store = walk.store();
    while chain.step(store)? {}
    let found = chain.position < store.file_bytes() && is_marked(store, chain.position)?;
    Ok(found.then_some(chain.position))
}

/// Whether a walk found damage.
struct Damaged(bool);

impl Visitor for Damaged {
    const PAYLOADS: bool = false;

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
/// As [`in_segment`].
pub fn is_marked(store: &mut Window, position: u64) -> Result<bool> {
    let rest = store.file_bytes().saturating_sub(position);
    let count = usize::try_from(rest.min(LENGTH_BYTES)).unwrap_or(0);
    let bytes = readable(store.bytes(position, count))?;
    Ok(bytes.is_some_and(is_marked_length))
}

/// The first aligned sector of zeros between two places of a store: a page of a frame
/// that never reached the disk, in a store without syncs.
///
/// # Errors
///
/// As [`in_segment`].
pub fn zero_sector(store: &mut Window, from: u64, to: u64) -> Result<Option<u64>> {
    let mut at = from.next_multiple_of(SECTOR_BYTES);
    while at.saturating_add(SECTOR_BYTES) <= to {
        let count = usize::try_from(SECTOR_BYTES).unwrap_or(0);
        let bytes = readable(store.bytes(at, count))?;
        if bytes.is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0)) {
            return Ok(Some(at));
        }
        at += SECTOR_BYTES;
    }
    Ok(None)
}

/// Frames that continue a log after its last entry, one after the other.
#[derive(Debug, Clone, Copy)]
struct Chain {
    codec: Codec,
    /// The end of the last one. Bytes.
    position: u64,
    /// The offset of the next one in a protobuf log.
    carried: Option<u64>,
}

impl Chain {
    /// Takes the next frame, if one is there.
    fn step(&mut self, store: &mut Window) -> Result<bool> {
        let end = match self.codec {
            Codec::Raw => store.frame_end_at(self.position)?,
            Codec::Protobuf => {
                let record = record_at(store, self.position)?;
                let record = record.filter(|(_, record)| Some(record.offset) == self.carried);
                self.carried = self.carried.and_then(|carried| carried.checked_add(1));
                record.map(|(end, _)| end)
            }
        };
        let Some(Position(next)) = end else {
            return Ok(false);
        };
        if next == self.position + LENGTH_BYTES {
            let data = store.data_from(self.position);
            if data.is_none_or(|data| data.start >= next) {
                // A hole may have very many of them, and they were never written.
                return Ok(false);
            }
        }
        self.position = next;
        Ok(true)
    }
}
