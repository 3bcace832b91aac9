//! Evidence for a frame or an entry of a region in doubt: lengths that lead to the next
//! valid entry, fields that continue after a length, an offset in a record. `judge`
//! decides.

use super::error::{Error, Result};
use super::format::{LENGTH_BYTES, decode_length, frame_end, is_marked_length};
use super::record::{self, Codec};
use super::units::Position;
use super::walk::{Fit, Walk, record_in};

/// Bytes that are searched for the next record of a protobuf log.
const RESYNC_BYTES: u64 = 64 * 1024 * 1024;

/// Frames that are followed by their lengths alone: a bound on the cost of a hole.
pub(super) const FRAMES_MAX: u64 = 1 << 26;

/// Frames that are followed again after each damaged one of a raw log: a bound, so that
/// many damaged frames do not cost their number squared.
pub(super) const RETRY_FRAMES: u64 = 1024;

/// The slots from the first doubtful one to the next that is beyond doubt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    /// The first slot in doubt.
    pub(super) slot: u64,
    /// The expected position of its frame: the end of the last valid frame.
    pub(super) position: Position,
    /// The slot after the region: beyond doubt, or the number of entries.
    pub(super) anchor: u64,
    /// The position of the anchor's frame, or the end of the store.
    pub(super) limit: Position,
    /// Whether there is an anchor.
    pub(super) anchored: bool,
    /// Entries before this slot are known to name intact frames.
    pub(super) whole_to: u64,
}

impl Walk {
    /// Whether the lengths from the region's position lead, in exactly as many frames
    /// as it has slots, to its end: then the lengths are right and the entries wrong.
    /// (A protobuf log's records speak for themselves.)
    pub(super) fn lengths_fit(&mut self, region: Region, frames_max: u64) -> Result<bool> {
        let frames = region.anchor - region.slot;
        if self.codec == Codec::Protobuf || frames > frames_max {
            return Ok(false);
        }
        Ok(self.follow_lengths(region.position, frames)? == Some(region.limit))
    }

    /// The first entry after `slot` of a raw log that names the very place to which the
    /// lengths lead from `position`, in as many frames as there are slots between.
    pub(super) fn anchor_by_lengths(
        &mut self,
        slot: u64,
        mut position: Position,
    ) -> Result<Option<(u64, Position)>> {
        if self.codec == Codec::Protobuf {
            return Ok(None);
        }
        let last = self.entries.min(slot.saturating_add(RETRY_FRAMES));
        for next in slot.saturating_add(1)..last {
            let Some(end) = self.follow_lengths(position, 1)? else {
                return Ok(None);
            };
            position = end;
            if let Ok(entry) = self.index.entry(next)
                && u64::from(entry.relative.0) == next
                && entry.position == position
            {
                return Ok(Some((next, position)));
            }
        }
        Ok(None)
    }

    /// Whether the anchor of a raw log's region is wrong: the lengths lead past it, in as
    /// many frames as there are entries, to the position in the entry after it, or to the
    /// end of the store. Then either one length is wrong, or the anchor's position, and
    /// by chance a frame can be read at the wrong place. That is the shorter of the two
    /// that end there: a value that ends in zeros ends in an empty frame. Takes the
    /// anchor into the region if so.
    pub(super) fn lengths_speak_against_anchor(&mut self, region: &mut Region) -> Result<bool> {
        if self.codec == Codec::Protobuf || !region.anchored {
            return Ok(false);
        }
        let mut wider = *region;
        wider.anchor += 1;
        wider.anchored = wider.anchor < self.entries;
        wider.limit = if wider.anchored {
            match self.index.entry(wider.anchor) {
                Ok(entry) => entry.position,
                Err(Error::Unreadable { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        } else {
            Position(self.store.file_bytes())
        };
        if region.anchor - region.slot > FRAMES_MAX {
            return Ok(false);
        }
        let before = self.follow_lengths(region.position, region.anchor - region.slot)?;
        if before.is_none_or(|before| before >= region.limit)
            || !self.lengths_fit(wider, FRAMES_MAX)?
        {
            return Ok(false);
        }
        *region = wider;
        Ok(true)
    }

    /// The end of `frames` frames from `position` on, by their lengths alone.
    pub(super) fn follow_lengths(
        &mut self,
        mut position: Position,
        frames: u64,
    ) -> Result<Option<Position>> {
        let limit = self.store.file_bytes();
        for _ in 0..frames {
            if position.0.saturating_add(LENGTH_BYTES) > limit {
                return Ok(None);
            }
            let payload_bytes = match self.store.length_at(position.0) {
                Ok(payload_bytes) => payload_bytes,
                Err(Error::Unreadable { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            match frame_end(position, payload_bytes, limit) {
                Some(end) => position = end,
                None => return Ok(None),
            }
        }
        Ok(Some(position))
    }

    /// Whether nothing speaks against a raw frame that is complete and where its entry says,
    /// though what comes after it is wrong. An empty frame may be nothing but the zeros
    /// of bytes that got lost.
    pub(super) fn is_plausible(
        &mut self,
        region: Region,
        payload_bytes: u64,
        end: Position,
    ) -> bool {
        if end > region.limit || payload_bytes > 0 {
            return end <= region.limit;
        }
        let next_slot = region.slot + 1;
        let next = match self.index.entry(next_slot.min(self.entries)) {
            Ok(next) if next_slot < self.entries => next,
            _ => return end == region.limit,
        };
        let past_end = next.position.0.saturating_add(LENGTH_BYTES) > self.store.file_bytes();
        let promised = u64::from(next.relative.0) == next_slot && past_end;
        next.position == end || (end == region.limit && !promised)
    }

    /// The expected position of the frame after the first of the region, if known.
    pub(super) fn next_place(&mut self, region: Region) -> Result<Option<Position>> {
        let next_slot = region.slot + 1;
        if region.anchored && next_slot == region.anchor {
            return Ok(Some(region.limit));
        }
        let least = region.position.0.saturating_add(LENGTH_BYTES);
        if next_slot < region.anchor
            && let Ok(next) = self.index.entry(next_slot)
            && next.position.0 >= least
            && next.position.0.saturating_add(LENGTH_BYTES) <= region.limit.0
            && (region.anchored || self.codec == Codec::Raw)
            && (u64::from(next.relative.0) == next_slot
                || self.leads_on(next_slot, next.position, region)?)
        {
            return Ok(Some(next.position));
        }
        if !region.anchored && next_slot >= region.anchor {
            return self.natural_end(region.slot, region.position);
        }
        Ok(None)
    }

    /// Whether a raw frame at `position` ends where the one after it is said to begin,
    /// whatever the entry says besides.
    pub(super) fn leads_on(
        &mut self,
        slot: u64,
        position: Position,
        region: Region,
    ) -> Result<bool> {
        let Fit::Record { end, .. } = self.fit(slot, position)? else {
            return Ok(false);
        };
        if self.codec == Codec::Protobuf || slot + 1 >= region.anchor {
            return Ok(end == region.limit);
        }
        Ok(self
            .index
            .entry(slot + 1)
            .is_ok_and(|next| next.position == end))
    }

    /// The end of the last record of the store by its own fields, if its length is wrong
    /// but the rest of the store is exactly its payload (protobuf only).
    pub(super) fn natural_end(
        &mut self,
        slot: u64,
        position: Position,
    ) -> Result<Option<Position>> {
        let end = self.store.file_bytes();
        let start = position.0.saturating_add(LENGTH_BYTES);
        if self.codec == Codec::Raw || start > end {
            return Ok(None);
        }
        if self.is_record(slot, position, Position(end))? {
            return Ok(Some(Position(end)));
        }
        match self.fit(slot, position)? {
            // The frame fills the store exactly: the payload is wrong, not its end.
            Fit::Undecodable { payload_bytes } | Fit::Carries { payload_bytes, .. }
                if start + payload_bytes == end =>
            {
                Ok(Some(Position(end)))
            }
            Fit::Unreadable => Ok(Some(Position(end))),
            _ => Ok(None),
        }
    }

    /// Whether the bytes after the length at `position`, up to `end`, are the slot's
    /// record, whatever the length says.
    pub(super) fn is_record(
        &mut self,
        slot: u64,
        position: Position,
        end: Position,
    ) -> Result<bool> {
        let start = position.0.saturating_add(LENGTH_BYTES);
        let Some(payload_bytes) = end.0.checked_sub(start) else {
            return Ok(false);
        };
        let layout = record_in(&mut self.store, start, payload_bytes)?;
        let offset = self.base.0.checked_add(slot);
        Ok(layout.is_some_and(|layout| offset == Some(layout.offset)))
    }

    /// The next record of the region that can be recognized by its own offset.
    pub(super) fn resync(&mut self, region: &Region) -> Result<Option<(u64, Position)>> {
        if self.codec == Codec::Raw {
            return Ok(None);
        }
        let first = region.position.0.saturating_add(1);
        let last = region.limit.0.min(first.saturating_add(RESYNC_BYTES));
        let mut at = first;
        let mut data_end = first;
        while at < last && self.search_fuel > 0 && self.fuel > 0 {
            if at >= data_end {
                // A hole contains no record, except the beginning of its length.
                let Some(data) = self.store.data_from(at) else {
                    break;
                };
                data_end = data.end;
                at = at.max(data.start.saturating_sub(LENGTH_BYTES));
                continue;
            }
            let position = Position(at);
            at += 1;
            let read_before = self.store.bytes_read();
            let fit = self.fit(u64::MAX, position)?;
            // Random reads use this place alone.
            let read = self.store.bytes_read() - read_before;
            let leaps = read.saturating_sub(self.store.read_bytes());
            self.search_fuel = self.search_fuel.saturating_sub(1 + leaps);
            let wanted = region.slot..region.anchor;
            if let Fit::Carries { offset, end, .. } = fit
                && end <= region.limit
                && let Some(slot) = offset.checked_sub(self.base.0)
                && wanted.contains(&slot)
                && slot > region.slot
            {
                return Ok(Some((slot, position)));
            }
        }
        Ok(None)
    }

    /// Whether the bytes at `position` begin as a frame does: with a length, marked or
    /// not, and the beginning of a Record. That is what refused and torn appends leave.
    pub(super) fn begins_as_frame(&mut self, position: Position, bytes: u64) -> Result<bool> {
        match self.begins_with_length(position, bytes) {
            Err(Error::Unreadable { .. }) => Ok(false),
            other => other,
        }
    }

    fn begins_with_length(&mut self, position: Position, bytes: u64) -> Result<bool> {
        if bytes < LENGTH_BYTES {
            let head = self
                .store
                .bytes(position.0, usize::try_from(bytes).unwrap_or(0))?;
            return Ok(head.iter().all(|&byte| byte == 0) || is_marked_length(head));
        }
        let head = self.store.bytes(position.0, 8)?;
        if is_marked_length(head) {
            return Ok(true);
        }
        let length = decode_length(head.try_into().unwrap_or_default());
        let rest = bytes - LENGTH_BYTES;
        // More than the rest: torn. Zero: its first bytes never reached the disk.
        let payload_bytes = if length == 0 { rest } else { rest.min(length) };
        let count = usize::try_from(payload_bytes.min(64 * 1024)).unwrap_or(0);
        let head = self.store.bytes(position.0 + LENGTH_BYTES, count)?;
        Ok(length < 1 << 40
            && (record::is_prefix(head) || (length == 0 && begins_with_field(head))))
    }
}

/// Whether a field of a Record begins here.
fn begins_with_field(payload: &[u8]) -> bool {
    matches!(payload.first(), None | Some(0x0a | 0x10 | 0x18 | 0x20))
}
