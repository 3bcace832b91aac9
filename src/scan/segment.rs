//! The facts about a segment before its store is divided into frames.

use super::bytes::Bytes;
use super::cost;
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;
use crate::log::record::Codec;

/// The facts about the segment that the search for the cheapest path needs.
pub(super) struct Segment {
    pub codec: Codec,
    /// Base offset of the segment.
    pub base: u64,
    /// The start of the path: the slot of the first frame, and its position.
    pub slot: u64,
    pub from: u64,
    /// Offsets that a record of this segment can have.
    pub offsets: std::ops::Range<u64>,
    /// (position, slot) of each entry that names a place in the store, in this order.
    pub named: Vec<(u64, u64)>,
    /// Whether the index is padded, as a mapped one of a running service is, which is
    /// never after the store.
    pub padded: bool,
    /// Whether the index holds nothing but entries, up to its end.
    pub unpadded: bool,
    /// Number of unused slots at the end of the index; `None` if there is anything but
    /// these after its first entries.
    pub unused_slots: Option<u64>,
    /// Whether an unfinished batch follows: what is before it was durable.
    pub marked: bool,
    /// The largest frame that is known. Units: bytes.
    pub largest: u64,
    /// The first frames, in ascending order, of rows that were displaced differently from the
    /// frames before them. Units: bytes in the store.
    pub breaks: Vec<u64>,
}

/// The maximum size of a commit. Units: bytes.
const COMMIT_BYTES: u64 = crate::log::writer::COMMIT_STORE_BYTES;

impl Segment {
    /// The slots of the entries that name `position`.
    pub fn slots_at(&self, position: u64) -> impl Iterator<Item = u64> + '_ {
        let from = self.named.partition_point(|it| it.0 < position);
        let rest = self.named.get(from..).unwrap_or_default().iter();
        rest.take_while(move |it| it.0 == position).map(|it| it.1)
    }

    /// Whether the entry of `slot` names `position`.
    pub fn is_claimed(&self, position: u64, slot: u64) -> bool {
        self.named.binary_search(&(position, slot)).is_ok()
    }

    pub fn is_named(&self, position: u64) -> bool {
        self.slots_at(position).next().is_some()
    }

    /// The offset of the intact frame at `position`, in canonical encoding, or in any if
    /// an entry names it.
    pub fn carried(&self, store: &mut Bytes, position: u64) -> Result<Option<u64>> {
        let Some(end) = store.end(position)? else {
            return Ok(None);
        };
        let start = position + LENGTH_BYTES;
        let mut offset = store.canonical(start, end)?;
        if offset.is_none() && self.is_named(position) {
            offset = store.legal(start, end)?;
        }
        let empty = end == start && position > 0 && !self.is_named(position);
        Ok(offset.filter(|offset| *offset > 0 || (self.base == 0 && !empty)))
    }

    /// Whether an entry names an intact frame here, and its record does not contradict
    /// it.
    pub fn names(&self, store: &mut Bytes, position: u64) -> Result<bool> {
        if !self.is_named(position) {
            return Ok(false);
        }
        if self.codec == Codec::Raw {
            return Ok(true);
        }
        let carried = self.carried(store, position)?;
        let slot = carried.and_then(|offset| offset.checked_sub(self.base));
        Ok(slot.is_some_and(|slot| self.is_claimed(position, slot)))
    }

    /// Whether the newest entry that names a place in the store names this one.
    pub fn is_newest(&self, position: u64) -> bool {
        self.named.last().is_some_and(|it| it.0 == position)
    }

    /// Whether nothing but the frame that was being written can be here.
    pub fn surely_torn(&self, position: u64) -> bool {
        self.padded && self.is_newest(position)
    }

    /// Whether `bytes` at `position` may be of one commit that was interrupted: entries are
    /// written when their frames are durable, so none names a place there.
    pub fn is_within_commit(&self, position: u64, bytes: u64) -> bool {
        let unnamed = self.named.last().is_none_or(|it| it.0 < position);
        self.unpadded && unnamed && bytes <= COMMIT_BYTES.saturating_add(self.largest)
    }

    /// Whether `position..` may be what an interrupted append left (R7): the length that
    /// it begins with must be possible, not only its size.
    pub fn may_be_torn(&self, store: &mut Bytes, position: u64) -> Result<bool> {
        let left = store.size.saturating_sub(position);
        if left > 0 && left < LENGTH_BYTES {
            return Ok(true);
        }
        // A frame is not larger than the commit that it is of.
        let most = COMMIT_BYTES.saturating_add(self.largest);
        let longer = store.length(position)?.is_some_and(|length| {
            let claimed = length.saturating_add(LENGTH_BYTES);
            length > 0 && claimed > left && claimed <= most
        });
        let in_commit = longer && self.is_within_commit(position, left);
        Ok(in_commit || self.is_likely_torn(store, position)?)
    }

    /// Whether the length at `position` is one that this segment's frames have, and ends
    /// after the store: evidence for the frame that leads here.
    pub fn is_likely_torn(&self, store: &mut Bytes, position: u64) -> Result<bool> {
        let left = store.size.saturating_sub(position);
        let limit = (2 * self.largest).max(cost::TORN_BYTES);
        let newest = self.is_newest(position);
        if left >= limit && !newest {
            return Ok(false);
        }
        let Some(length) = store.length(position)? else {
            return Ok(left > 0 && position >= store.zeros);
        };
        let claimed = length.saturating_add(LENGTH_BYTES);
        let newest = newest && length >> 32 == 0;
        Ok(length > 0 && claimed > left && (claimed <= limit || newest))
    }
}
