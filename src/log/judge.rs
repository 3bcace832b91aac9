//! Who is wrong where an entry and its frame disagree: the entry, the frame's length,
//! the payload, or both. A walk stops there; this finds the next entry that is beyond
//! doubt, holds what lies between against it, and hands the walk on behind it.
//! Nothing here repairs or prints.

use super::damage::{Damage, DamageKind};
use super::error::{Error, Result};
use super::format::{ENTRY_BYTES, Entry, FileKind, LENGTH_BYTES, frame_end};
use super::record::{self, Codec, LayoutError};
use super::units::Position;
use super::walk::{Fit, Flow, Visitor, Walk, layout_in};

/// Frames that are followed anew behind each damaged one of a raw log: a bound, so
/// that many damaged frames do not cost their number squared.
const RETRY_FRAMES: u64 = 1024;

/// Bytes that are searched for the next record of a protobuf log.
const RESYNC_BYTES: u64 = 64 * 1024 * 1024;

/// The slots from the first doubtful one to the next that is beyond doubt.
#[derive(Debug, Clone, Copy)]
struct Region {
    /// The first slot in doubt.
    slot: u64,
    /// Where its frame is expected: the end of the last sound frame.
    position: Position,
    /// The slot behind the region: beyond doubt, or the number of entries.
    anchor: u64,
    /// Where the anchor's frame begins, or the end of the store.
    limit: Position,
    /// Whether there is an anchor.
    anchored: bool,
}

impl Walk {
    /// Judges the slots from the walk's own on, tells the visitor, and moves the walk
    /// behind them. Makes progress by at least one slot.
    pub(super) fn judge<V: Visitor>(&mut self, visitor: &mut V) -> Result<Flow> {
        if let Some(flow) = self.judge_neighbours(visitor)? {
            return Ok(flow);
        }
        let mut region = self.region()?;
        if !region.anchored
            && let Some(damage) = self.misaligned(region.slot)?
        {
            // What follows is no slot of ours: the walk ends here.
            self.entries = region.slot;
            return visitor.damage(damage);
        }
        let mut exact = self.lengths_fit(region, u64::MAX)?;
        while region.slot < region.anchor {
            let flow = if exact || self.codec == Codec::Protobuf {
                match self.fit(region.slot, region.position)? {
                    Fit::Record { payload_bytes, end } if end <= region.limit => {
                        let flow = self.frame_found(region, payload_bytes, visitor)?;
                        region.slot += 1;
                        region.position = end;
                        flow
                    }
                    _ => self.frame_damaged(&mut region, visitor)?,
                }
            } else {
                let flow = self.frame_damaged(&mut region, visitor)?;
                exact = region.slot < region.anchor && self.lengths_fit(region, RETRY_FRAMES)?;
                flow
            };
            self.slot = region.slot;
            self.end = region.position;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        self.slot = region.anchor;
        if region.anchored {
            // What is left before the anchor belongs to a frame that was told of.
            self.end = region.limit;
        }
        Ok(Flow::Continue(()))
    }

    /// The usual case of a protobuf log that was mended by hand: both neighbours are
    /// beyond doubt, and bytes that no entry names lie between or before them.
    fn judge_neighbours<V: Visitor>(&mut self, visitor: &mut V) -> Result<Option<Flow>> {
        let slot = self.slot;
        let Ok(entry) = self.index.entry(slot) else {
            return Ok(None);
        };
        if self.codec == Codec::Raw || entry.position < self.end || !self.confirmed(slot, entry)? {
            return Ok(None);
        }
        let Fit::Record { payload_bytes, end } = self.fit(slot, entry.position)? else {
            return Ok(None);
        };
        let gap = entry.position.0 - self.end.0;
        if gap > 0 {
            if !self.begins_as_frame(self.end, gap)? {
                return Ok(None);
            }
            if visitor.dead_bytes(slot, self.end, gap)?.is_break() {
                return Ok(Some(Flow::Break(())));
            }
        }
        if slot + 1 < self.entries
            && let Ok(next) = self.index.entry(slot + 1)
            && next.position != end
            && self.confirmed(slot + 1, next)?
        {
            // The next one is beyond doubt too: then this one must end where that
            // begins, or be followed by what a refused append leaves.
            let expected = next
                .position
                .0
                .saturating_sub(entry.position.0 + LENGTH_BYTES);
            let overlaps = next.position < end;
            if overlaps || !self.begins_as_frame(end, next.position.0 - end.0)? {
                let flow = visitor.damage(Damage {
                    kind: DamageKind::Length,
                    first_slot: slot,
                    last_slot: slot,
                    file: FileKind::Store,
                    position: entry.position.0,
                    bytes: LENGTH_BYTES,
                    got: Some(payload_bytes),
                    expected: Some(expected),
                    frame: Some(entry.position),
                    record_whole: false,
                })?;
                self.slot = slot + 1;
                self.end = next.position.max(self.end);
                return Ok(Some(flow));
            }
        }
        let flow = self.tell(slot, entry.position, payload_bytes, visitor)?;
        self.slot = slot + 1;
        self.end = end;
        Ok(Some(flow))
    }

    /// Looks for the next entry that is beyond doubt.
    fn region(&mut self) -> Result<Region> {
        let (slot, position) = (self.slot, self.end);
        let mut anchor = slot + 1;
        while anchor < self.entries {
            if let Ok(entry) = self.index.entry(anchor)
                && entry.position.0 >= position.0.saturating_add(LENGTH_BYTES)
                && self.confirmed(anchor, entry)?
            {
                return Ok(Region {
                    slot,
                    position,
                    anchor,
                    limit: entry.position,
                    anchored: true,
                });
            }
            anchor += 1;
        }
        Ok(Region {
            slot,
            position,
            anchor: self.entries,
            limit: Position(self.store.file_bytes()),
            anchored: false,
        })
    }

    /// Whether the lengths from the region's position lead, in exactly as many frames
    /// as it has slots, to its end: then the lengths are right and the entries wrong.
    /// (A protobuf log's records speak for themselves.)
    fn lengths_fit(&mut self, region: Region, frames_max: u64) -> Result<bool> {
        let frames = region.anchor - region.slot;
        if self.codec == Codec::Protobuf || frames > frames_max {
            return Ok(false);
        }
        let mut position = region.position;
        for _ in 0..frames {
            if position.0.saturating_add(LENGTH_BYTES) > region.limit.0 {
                return Ok(false);
            }
            let payload_bytes = match self.store.length_at(position.0) {
                Ok(payload_bytes) => payload_bytes,
                Err(Error::Unreadable { .. }) => return Ok(false),
                Err(error) => return Err(error),
            };
            match frame_end(position, payload_bytes, region.limit.0) {
                Some(end) => position = end,
                None => return Ok(false),
            }
        }
        Ok(position == region.limit)
    }

    /// The region's first record stands where it is expected: is its entry right?
    fn frame_found<V: Visitor>(
        &mut self,
        region: Region,
        payload_bytes: u64,
        visitor: &mut V,
    ) -> Result<Flow> {
        let slot = region.slot;
        let entry = match self.index.entry(slot) {
            Ok(entry) => entry,
            Err(Error::Unreadable { .. }) => {
                return visitor.damage(unreadable_entry(slot, Some(region.position)));
            }
            Err(error) => return Err(error),
        };
        if u64::from(entry.relative.0) == slot && entry.position == region.position {
            return self.tell(slot, region.position, payload_bytes, visitor);
        }
        visitor.damage(wrong_entry(slot, entry, Some(region.position)))
    }

    /// The region's first record does not stand where it is expected.
    fn frame_damaged<V: Visitor>(&mut self, region: &mut Region, visitor: &mut V) -> Result<Flow> {
        let slot = region.slot;
        let entry = match self.index.entry(slot) {
            Ok(entry) => entry,
            Err(Error::Unreadable { .. }) => {
                region.slot += 1;
                return visitor.damage(unreadable_entry(slot, None));
            }
            Err(error) => return Err(error),
        };
        let agrees = u64::from(entry.relative.0) == slot && entry.position == region.position;
        if agrees {
            return self.frame_at_its_place(region, visitor);
        }
        // A raw frame at the expected place cannot be told from any other, but raw
        // frames follow each other without gaps: the entry is wrong.
        if self.codec == Codec::Raw
            && let Fit::Record { end, .. } = self.fit(slot, region.position)?
            && end <= region.limit
            && u64::from(entry.relative.0) == slot
            && (region.anchored || entry.position.0 < region.limit.0)
        {
            let position = region.position;
            region.slot += 1;
            region.position = end;
            return visitor.damage(wrong_entry(slot, entry, Some(position)));
        }
        if !region.anchored {
            return self.trailing(region, visitor);
        }
        // Both are wrong. Go on at the next record that can be recognised.
        let found = self.resync(region)?;
        let (next_slot, next_position) = found.unwrap_or((region.anchor, region.limit));
        let mut damage = wrong_entry(slot, entry, None);
        damage.last_slot = next_slot - 1;
        damage.bytes = (next_slot - slot) * ENTRY_BYTES;
        region.slot = next_slot;
        region.position = next_position;
        visitor.damage(damage)
    }

    /// The entry names the expected place, but the frame there is not the slot's.
    fn frame_at_its_place<V: Visitor>(
        &mut self,
        region: &mut Region,
        visitor: &mut V,
    ) -> Result<Flow> {
        let (slot, position) = (region.slot, region.position);
        let Some(next_position) = self.next_place(*region)? else {
            if !region.anchored {
                return self.trailing(region, visitor);
            }
            let found = self.resync(region)?;
            let (next_slot, next) = found.unwrap_or((region.anchor, region.limit));
            let got = self.store.length_at(position.0).ok();
            region.slot = slot + 1;
            region.position = next;
            let mut damage = wrong_length(slot, position, got, None);
            damage.last_slot = next_slot - 1;
            region.slot = next_slot;
            return visitor.damage(damage);
        };
        let expected = next_position.0.saturating_sub(position.0 + LENGTH_BYTES);
        let damage = self.wrong_frame(slot, position, expected)?;
        region.slot += 1;
        region.position = next_position;
        visitor.damage(damage)
    }

    /// What is wrong with the frame at `position`, which should have `expected` bytes.
    fn wrong_frame(&mut self, slot: u64, position: Position, expected: u64) -> Result<Damage> {
        let frame_bytes = expected.saturating_add(LENGTH_BYTES);
        Ok(match self.fit(slot, position)? {
            Fit::Unreadable => Damage {
                kind: DamageKind::Unreadable,
                bytes: frame_bytes,
                ..wrong_length(slot, position, None, None)
            },
            Fit::NotWhole { payload_bytes } => {
                wrong_length(slot, position, payload_bytes, Some(expected))
            }
            Fit::Record { payload_bytes, .. }
            | Fit::Undecodable { payload_bytes }
            | Fit::Carries { payload_bytes, .. }
                if payload_bytes != expected =>
            {
                wrong_length(slot, position, Some(payload_bytes), Some(expected))
            }
            Fit::Record { .. } | Fit::Undecodable { .. } => Damage {
                kind: DamageKind::Undecodable,
                bytes: frame_bytes,
                ..wrong_length(slot, position, None, None)
            },
            Fit::Carries { offset, field, .. } => {
                let (at, bytes) = field.unwrap_or((position.0, frame_bytes));
                Damage {
                    kind: DamageKind::OffsetMismatch,
                    position: at,
                    bytes,
                    ..wrong_length(slot, position, Some(offset), self.base.0.checked_add(slot))
                }
            }
        })
    }

    /// Where the frame behind the region's first must begin, if anything says so.
    fn next_place(&mut self, region: Region) -> Result<Option<Position>> {
        let next_slot = region.slot + 1;
        if region.anchored && next_slot == region.anchor {
            return Ok(Some(region.limit));
        }
        let least = region.position.0.saturating_add(LENGTH_BYTES);
        if next_slot < region.anchor
            && let Ok(next) = self.index.entry(next_slot)
            && u64::from(next.relative.0) == next_slot
            && next.position.0 >= least
            && next.position.0.saturating_add(LENGTH_BYTES) <= region.limit.0
            && (region.anchored || self.codec == Codec::Raw)
        {
            return Ok(Some(next.position));
        }
        if !region.anchored && next_slot >= region.anchor {
            return self.natural_end(region.slot, region.position);
        }
        Ok(None)
    }

    /// Where the store's last record ends by its own fields, if its length is wrong
    /// but the rest of the store is exactly its payload (protobuf only).
    fn natural_end(&mut self, slot: u64, position: Position) -> Result<Option<Position>> {
        let end = self.store.file_bytes();
        let start = position.0.saturating_add(LENGTH_BYTES);
        if self.codec == Codec::Raw || start > end {
            return Ok(None);
        }
        match layout_in(&mut self.store, start, end - start) {
            Ok(layout) if self.base.0.checked_add(slot) == Some(layout.offset) => {
                Ok(Some(Position(end)))
            }
            Ok(_) | Err(LayoutError::Illegal { .. }) => match self.fit(slot, position)? {
                // The frame fills the store exactly: the payload is wrong, not its end.
                Fit::Undecodable { payload_bytes } | Fit::Carries { payload_bytes, .. }
                    if start + payload_bytes == end =>
                {
                    Ok(Some(Position(end)))
                }
                _ => Ok(None),
            },
            Err(LayoutError::Source(Error::Unreadable { .. })) => Ok(Some(Position(end))),
            Err(LayoutError::Source(error)) => Err(error),
        }
    }

    /// The rest of the index, none of whose entries is sound.
    fn trailing<V: Visitor>(&mut self, region: &mut Region, visitor: &mut V) -> Result<Flow> {
        let slot = region.slot;
        let end = self.store.file_bytes();
        let entry = self.index.entry(slot).unwrap_or_default();
        let mut past_end = None;
        for candidate in slot..region.anchor {
            let Ok(entry) = self.index.entry(candidate) else {
                continue;
            };
            if let Fit::NotWhole { payload_bytes } = self.fit(candidate, entry.position)? {
                past_end = Some((candidate, entry, payload_bytes));
                break;
            }
        }
        let Some((_, past, payload_bytes)) = past_end else {
            // All are whole, none is right: each for itself.
            let agrees = u64::from(entry.relative.0) == slot && entry.position == region.position;
            region.slot += 1;
            let damage = match self.fit(slot, entry.position)? {
                Fit::Undecodable { payload_bytes }
                | Fit::Carries { payload_bytes, .. }
                | Fit::Record { payload_bytes, .. }
                    if agrees =>
                {
                    let damage = self.wrong_frame(slot, entry.position, payload_bytes)?;
                    region.position =
                        frame_end(entry.position, payload_bytes, end).unwrap_or(region.position);
                    damage
                }
                Fit::Unreadable if agrees => self.wrong_frame(slot, entry.position, 0)?,
                _ => wrong_entry(slot, entry, None),
            };
            return visitor.damage(damage);
        };
        let expected = past
            .position
            .0
            .saturating_add(LENGTH_BYTES)
            .saturating_add(payload_bytes.unwrap_or_default());
        let damage = Damage {
            kind: DamageKind::Dangling,
            first_slot: slot,
            last_slot: region.anchor - 1,
            file: FileKind::Index,
            position: slot * ENTRY_BYTES,
            bytes: (region.anchor - slot) * ENTRY_BYTES,
            got: Some(end),
            expected: Some(expected),
            frame: Some(entry.position),
            record_whole: false,
        };
        region.slot = region.anchor;
        visitor.damage(damage)
    }

    /// The next record of the region that can be recognised by its own offset.
    fn resync(&mut self, region: &Region) -> Result<Option<(u64, Position)>> {
        if self.codec == Codec::Raw {
            return Ok(None);
        }
        let first = region.position.0.saturating_add(1);
        let last = region.limit.0.min(first.saturating_add(RESYNC_BYTES));
        for at in first..last {
            let wanted = region.slot..region.anchor;
            let position = Position(at);
            if let Fit::Carries { offset, end, .. } = self.fit(u64::MAX, position)?
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

    /// Whether the bytes at `position` begin as a frame does: with a length and the
    /// beginning of a Record. That is what refused and torn appends leave.
    pub(super) fn begins_as_frame(&mut self, position: Position, bytes: u64) -> Result<bool> {
        if bytes < LENGTH_BYTES {
            let head = self
                .store
                .bytes(position.0, usize::try_from(bytes).unwrap_or(0))?;
            return Ok(head.iter().all(|&byte| byte == 0));
        }
        let length = self.store.length_at(position.0)?;
        let rest = bytes - LENGTH_BYTES;
        // More than the rest: torn. Zero: a commit that was cut short.
        let payload_bytes = if length == 0 { rest } else { rest.min(length) };
        let count = usize::try_from(payload_bytes.min(64 * 1024)).unwrap_or(0);
        let head = self.store.bytes(position.0 + LENGTH_BYTES, count)?;
        Ok(length < 1 << 40
            && (record::is_prefix(head) || (length == 0 && begins_with_field(head))))
    }

    /// Whether entries go on at a place that no 12-byte boundary falls on: each of
    /// them, to the end of the file, names a frame that carries its offset.
    fn misaligned(&mut self, slot: u64) -> Result<Option<Damage>> {
        let file_bytes = self.index.file_bytes();
        let aligned_end = slot * ENTRY_BYTES;
        let Some(nonzero) = self.first_nonzero(aligned_end)? else {
            return Ok(None);
        };
        let earliest = nonzero.saturating_sub(ENTRY_BYTES - 1).max(aligned_end);
        for start in earliest..=nonzero {
            if start % ENTRY_BYTES == 0 {
                continue;
            }
            let mut at = start;
            let mut first = None;
            while at + ENTRY_BYTES <= file_bytes {
                let bytes = self.index.bytes(at, 12)?;
                let entry = Entry::decode(&bytes.try_into().unwrap_or_default());
                let relative = u64::from(entry.relative.0);
                let expected = first.map_or(relative, |first| first + (at - start) / ENTRY_BYTES);
                if relative != expected
                    || !matches!(self.fit(relative, entry.position)?, Fit::Record { .. })
                {
                    break;
                }
                first = Some(first.unwrap_or(relative));
                at += ENTRY_BYTES;
            }
            let (Some(first), true) = (first, self.first_nonzero(at)?.is_none()) else {
                continue;
            };
            return Ok(Some(Damage {
                kind: DamageKind::Misaligned,
                first_slot: first,
                last_slot: first + (at - start) / ENTRY_BYTES - 1,
                file: FileKind::Index,
                position: start,
                bytes: at - start,
                got: Some(start % ENTRY_BYTES),
                expected: Some(0),
                frame: None,
                record_whole: true,
            }));
        }
        Ok(None)
    }

    /// The first byte of the index from `from` on that is not zero.
    fn first_nonzero(&mut self, from: u64) -> Result<Option<u64>> {
        let file_bytes = self.index.file_bytes();
        let mut at = from;
        while at < file_bytes {
            let count = usize::try_from((file_bytes - at).min(64 * 1024)).unwrap_or(0);
            let bytes = self.index.bytes(at, count)?;
            if let Some(found) = bytes.iter().position(|&byte| byte != 0) {
                return Ok(Some(at + found as u64));
            }
            at += count as u64;
        }
        Ok(None)
    }
}

/// Whether a field of a Record begins here.
fn begins_with_field(payload: &[u8]) -> bool {
    matches!(payload.first(), None | Some(0x0a | 0x10 | 0x18 | 0x20))
}

fn wrong_entry(slot: u64, entry: Entry, frame: Option<Position>) -> Damage {
    let relative_wrong = u64::from(entry.relative.0) != slot;
    let (got, expected) = match frame {
        Some(frame) if entry.position != frame => (Some(entry.position.0), Some(frame.0)),
        _ if relative_wrong => (Some(u64::from(entry.relative.0)), Some(slot)),
        _ => (Some(entry.position.0), None),
    };
    Damage {
        kind: DamageKind::Entry,
        first_slot: slot,
        last_slot: slot,
        file: FileKind::Index,
        position: slot * ENTRY_BYTES,
        bytes: ENTRY_BYTES,
        got,
        expected,
        frame,
        record_whole: frame.is_some(),
    }
}

fn unreadable_entry(slot: u64, frame: Option<Position>) -> Damage {
    Damage {
        kind: DamageKind::Unreadable,
        first_slot: slot,
        last_slot: slot,
        file: FileKind::Index,
        position: slot * ENTRY_BYTES,
        bytes: ENTRY_BYTES,
        got: None,
        expected: None,
        frame,
        record_whole: frame.is_some(),
    }
}

fn wrong_length(slot: u64, position: Position, got: Option<u64>, expected: Option<u64>) -> Damage {
    Damage {
        kind: DamageKind::Length,
        first_slot: slot,
        last_slot: slot,
        file: FileKind::Store,
        position: position.0,
        bytes: LENGTH_BYTES,
        got,
        expected,
        frame: Some(position),
        record_whole: false,
    }
}
