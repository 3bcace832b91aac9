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
use crate::log::error::{Error, Result};
use crate::log::format::{LENGTH_BYTES, SECTOR_BYTES, is_marked_length};
use crate::log::record::{Codec, LayoutError};
use crate::log::segment::Segment;
use crate::log::units::Position;
use crate::log::walk::{Flow, Visitor, layout_in};
use crate::log::window::{LOOKUP_BYTES, Window};

/// Finds the unfinished batch after the last entry of a segment: its position in the store.
///
/// # Errors
///
/// [`Error::Shrunk`], [`Error::Io`]; unreadable bytes are no batch.
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
/// As [`in_segment`].
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
        let Some(Position(next)) = store.frame_end_at(self.position)? else {
            return Ok(false);
        };
        let payload_bytes = next - self.position - LENGTH_BYTES;
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
        }
        self.position = next;
        Ok(true)
    }
}
