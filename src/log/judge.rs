//! Decides what is wrong if an entry and its frame disagree: the entry, the frame's
//! length, the payload, or both. A walk stops there; this finds the next certain entry,
//! compares everything before it with it, and the walk continues after it. Nothing here
//! repairs or prints.

use super::damage::{Damage, DamageKind};
use super::error::{Error, Result};
use super::evidence::{FRAMES_MAX, RETRY_FRAMES, Region};
use super::format::{ENTRY_BYTES, Entry, FileKind, LENGTH_BYTES};
use super::record::Codec;
use super::units::{Position, RelativeOffset};
use super::walk::{Fit, Flow, Visitor, Walk};

impl Walk {
    /// Judges the slots from the walk's own on, reports to the visitor, and moves the
    /// walk after them, or to `to`. Makes progress by at least one slot.
    pub(super) fn judge<V: Visitor>(&mut self, to: u64, visitor: &mut V) -> Result<Flow> {
        if let Some(flow) = self.judge_neighbours(visitor)? {
            return Ok(flow);
        }
        let mut region = self.region()?;
        if !region.anchored
            && let Some(damage) = self.misaligned(region.slot)?
        {
            // The next bytes are not a slot: the walk ends there.
            self.entries = self.entries_before(damage.position)?.max(region.slot);
            self.misaligned = Some(damage);
            if region.slot >= self.entries {
                return Ok(Flow::Continue(()));
            }
            region = self.region()?;
        }
        let lost = self.lost_slot(region)?;
        let mut exact = lost.is_none() && self.lengths_fit(region, FRAMES_MAX)?;
        if !exact && self.lengths_speak_against_anchor(&mut region)? {
            exact = true;
        }
        while region.slot < region.anchor.min(to) {
            let flow = if lost == Some(region.slot) {
                self.trailing(&mut region, visitor)?
            } else if exact || self.codec == Codec::Protobuf {
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
                exact = lost.is_none()
                    && region.slot < region.anchor
                    && self.lengths_fit(region, RETRY_FRAMES)?;
                flow
            };
            self.slot = region.slot;
            self.end = region.position;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        if region.slot >= region.anchor && region.anchored {
            // The rest before the anchor belongs to a frame that was reported.
            self.end = region.limit;
        }
        Ok(Flow::Continue(()))
    }

    /// The usual case of a protobuf log that was repaired by hand: both neighbors are
    /// beyond doubt, and bytes that no entry names lie between or before them.
    pub(super) fn judge_neighbours<V: Visitor>(&mut self, visitor: &mut V) -> Result<Option<Flow>> {
        let slot = self.slot;
        let Ok(entry) = self.index.entry(slot) else {
            return Ok(None);
        };
        if self.codec == Codec::Raw {
            return self.judge_between(slot, entry, visitor);
        }
        if entry.position < self.end || !self.confirmed(slot, entry)? {
            return Ok(None);
        }
        let Fit::Record { payload_bytes, end } = self.fit(slot, entry.position)? else {
            return Ok(None);
        };
        let gap = entry.position.0 - self.end.0;
        if gap > 0 && visitor.dead_bytes(slot, self.end, gap)?.is_break() {
            return Ok(Some(Flow::Break(())));
        }
        if slot + 1 < self.entries
            && let Ok(next) = self.index.entry(slot + 1)
            && next.position != end
            && (matches!(self.fit(slot + 1, next.position)?, Fit::Record { .. })
                || (payload_bytes == 0
                    && u64::from(next.relative.0) == slot + 1
                    && next.position > end
                    && next.position.0 <= self.store.file_bytes()))
        {
            // The next record is certain too, if not its entry: then this one must end
            // where that begins, or be followed by the rest of a refused append.
            let expected = next
                .position
                .0
                .saturating_sub(entry.position.0 + LENGTH_BYTES);
            let overlaps = next.position < end;
            // An empty record and less than a length: both are the zeros of a lost frame.
            let lost = payload_bytes == 0 && next.position.0 < end.0.saturating_add(LENGTH_BYTES);
            // The following bytes may be the other fields of its record, or not belong to
            // a record.
            let longer = !overlaps
                && !self.begins_as_frame(end, next.position.0 - end.0)?
                && self.is_record(slot, entry.position, next.position)?;
            if overlaps || lost || longer {
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
                    unfinished: false,
                })?;
                self.slot = slot + 1;
                self.end = next.position.max(self.end);
                return Ok(Some(flow));
            }
        }
        let limit = Position(self.store.file_bytes());
        if slot + 1 == self.entries && end < limit && self.is_record(slot, entry.position, limit)? {
            // The bytes after the last frame are the other fields of its record.
            let expected = limit.0 - entry.position.0 - LENGTH_BYTES;
            let damage = Damage::length(slot, entry.position, Some(payload_bytes), Some(expected));
            self.slot = slot + 1;
            self.end = limit;
            return visitor.damage(damage).map(Some);
        }
        let flow = self.tell(slot, entry.position, payload_bytes, visitor)?;
        self.slot = slot + 1;
        self.end = end;
        Ok(Some(flow))
    }

    /// Searches for the next entry that is beyond doubt.
    pub(super) fn region(&mut self) -> Result<Region> {
        let (slot, position) = (self.slot, self.end);
        let mut anchor = slot + 1;
        while anchor < self.entries {
            let entry = self.index.entry(anchor);
            if entry.as_ref().is_ok_and(|entry| entry.is_zero()) {
                anchor = self.hole_end(anchor)?;
                continue;
            }
            // A record of a protobuf log says itself that none is before it.
            let least = match self.codec {
                Codec::Raw => position.0.saturating_add(LENGTH_BYTES),
                Codec::Protobuf => position.0,
            };
            if let Ok(entry) = entry
                && entry.position.0 >= least
                && self.confirmed(anchor, entry)?
            {
                return Ok(Region {
                    slot,
                    position,
                    anchor,
                    limit: entry.position,
                    anchored: true,
                    whole_to: slot,
                });
            }
            anchor += 1;
        }
        if let Some((anchor, limit)) = self.anchor_by_lengths(slot, position)? {
            return Ok(Region {
                slot,
                position,
                anchor,
                limit,
                anchored: true,
                whole_to: slot,
            });
        }
        Ok(Region {
            slot,
            position,
            anchor: self.entries,
            limit: Position(self.store.file_bytes()),
            anchored: false,
            whole_to: slot,
        })
    }

    /// The region's first record is where it is expected: is its entry right?
    pub(super) fn frame_found<V: Visitor>(
        &mut self,
        region: Region,
        payload_bytes: u64,
        visitor: &mut V,
    ) -> Result<Flow> {
        let slot = region.slot;
        let entry = match self.index.entry(slot) {
            Ok(entry) => entry,
            Err(Error::Unreadable { .. }) => {
                return visitor.damage(Damage::unreadable_entry(slot, Some(region.position)));
            }
            Err(error) => return Err(error),
        };
        if u64::from(entry.relative.0) == slot && entry.position == region.position {
            return self.tell(slot, region.position, payload_bytes, visitor);
        }
        visitor.damage(Damage::entry(slot, entry, Some(region.position)))
    }

    /// The region's first record does not be where it is expected.
    pub(super) fn frame_damaged<V: Visitor>(
        &mut self,
        region: &mut Region,
        visitor: &mut V,
    ) -> Result<Flow> {
        let slot = region.slot;
        let entry = match self.index.entry(slot) {
            Ok(entry) => entry,
            Err(Error::Unreadable { .. }) => {
                region.slot += 1;
                return visitor.damage(Damage::unreadable_entry(slot, None));
            }
            Err(error) => return Err(error),
        };
        let agrees = u64::from(entry.relative.0) == slot && entry.position == region.position;
        if agrees {
            return self.frame_at_its_place(region, visitor);
        }
        // A raw frame at the expected place cannot be distinguished from any other, but
        // raw frames follow each other without gaps: the entry is wrong.
        if self.codec == Codec::Raw
            && let Fit::Record { end, .. } = self.fit(slot, region.position)?
            && end <= region.limit
            && self.is_misled(slot, entry, end, *region)?
        {
            let position = region.position;
            region.slot += 1;
            region.position = end;
            return visitor.damage(Damage::entry(slot, entry, Some(position)));
        }
        if !region.anchored {
            return self.trailing(region, visitor);
        }
        // Both are wrong. Continue at the next record that can be recognized.
        let found = self.resync(region)?;
        let (next_slot, next_position) = found.unwrap_or((region.anchor, region.limit));
        let mut damage = Damage::entry(slot, entry, None);
        damage.last_slot = next_slot - 1;
        damage.bytes = (next_slot - slot) * ENTRY_BYTES;
        region.slot = next_slot;
        region.position = next_position;
        visitor.damage(damage)
    }

    /// The entry names the expected place, but the frame there is not the slot's.
    pub(super) fn frame_at_its_place<V: Visitor>(
        &mut self,
        region: &mut Region,
        visitor: &mut V,
    ) -> Result<Flow> {
        let (slot, position) = (region.slot, region.position);
        if let Fit::Record { payload_bytes, end } = self.fit(slot, position)?
            && end <= region.limit
            && !self.speaks_against(slot + 1, end, *region)?
        {
            region.slot += 1;
            region.position = end;
            if payload_bytes == 0
                && let Some(next) = self.place_behind_zeros(slot + 1, end)?
            {
                // A frame of which nothing arrived.
                let expected = next.0 - position.0 - LENGTH_BYTES;
                region.position = next.min(region.limit);
                return visitor.damage(Damage::length(slot, position, Some(0), Some(expected)));
            }
            return self.tell(slot, position, payload_bytes, visitor);
        }
        let Some(next_position) = self.next_place(*region)? else {
            if self.codec == Codec::Raw
                && let Fit::Record { payload_bytes, end } = self.fit(slot, position)?
                && self.is_plausible(*region, payload_bytes, end)
            {
                // Nothing speaks against it: what comes after is wrong.
                region.slot += 1;
                region.position = end;
                return self.tell(slot, position, payload_bytes, visitor);
            }
            if !region.anchored {
                return self.trailing(region, visitor);
            }
            let found = self.resync(region)?;
            let (next_slot, next) = found.unwrap_or((region.anchor, region.limit));
            let got = self.store.length_at(position.0).ok();
            region.slot = slot + 1;
            region.position = next;
            let mut damage = Damage::length(slot, position, got, None);
            damage.last_slot = next_slot - 1;
            region.slot = next_slot;
            return visitor.damage(damage);
        };
        if self.codec == Codec::Raw
            && let Fit::Record { payload_bytes, end } = self.fit(slot, position)?
            && end == next_position
        {
            // Valid; the doubt was about the bytes after it, or its value is unreadable.
            region.slot += 1;
            region.position = end;
            return self.tell(slot, position, payload_bytes, visitor);
        }
        let expected = next_position.0.saturating_sub(position.0 + LENGTH_BYTES);
        let mut damage = self.wrong_frame(slot, position, expected)?;
        if next_position == position
            && let Fit::Carries { offset, .. } = self.fit(slot, position)?
        {
            // The next record is where this one should: it is not in the store.
            damage.kind = DamageKind::OffsetMismatch;
            damage.got = Some(offset);
            damage.expected = self.base.0.checked_add(slot);
        }
        region.slot += 1;
        region.position = next_position;
        visitor.damage(damage)
    }

    /// Whether an entry of a raw log is `slot`'s though it does not name the frame at the
    /// region's position, which ends at `end`: the entry after it names that end, or one
    /// half of it is right while the other leads nowhere, or a crash interrupted the
    /// write of it.
    fn is_misled(
        &mut self,
        slot: u64,
        entry: Entry,
        end: Position,
        region: Region,
    ) -> Result<bool> {
        let next = self.index.entry(slot + 1).unwrap_or_default();
        let followed = slot + 1 < region.anchor
            && u64::from(next.relative.0) == slot + 1
            && next.position == end;
        let unfinished = u32::try_from(slot).is_ok_and(|relative| {
            entry.is_unfinished(Entry {
                relative: RelativeOffset(relative),
                position: region.position,
            })
        });
        if followed || entry.position == region.position || (unfinished && !entry.is_zero()) {
            return Ok(true);
        }
        let nowhere = !self.speaks_against(slot, region.position, region)?;
        let within = region.anchored || entry.position < region.limit;
        // If the next valid frame begins elsewhere, the length of this one is wrong as
        // well.
        let leads_on = !region.anchored || slot + 1 < region.anchor || end == region.limit;
        Ok(u64::from(entry.relative.0) == slot && within && nowhere && leads_on)
    }

    /// Whether the entry of `slot` shows that the frame before it does not end at `end`:
    /// it is beyond doubt, or it names an intact frame after that place. One that names
    /// nothing, or a place inside that frame, is itself the one that is wrong.
    fn speaks_against(&mut self, slot: u64, end: Position, region: Region) -> Result<bool> {
        if slot >= region.anchor {
            return Ok(region.anchored);
        }
        let Ok(entry) = self.index.entry(slot) else {
            return Ok(false);
        };
        if u64::from(entry.relative.0) != slot || entry.position <= end {
            return Ok(false);
        }
        Ok(matches!(self.fit(slot, entry.position)?,
            Fit::Record { end, .. } if end <= region.limit))
    }

    /// The place that the entry of `slot` names, if that is later than `end`, where the
    /// frame before it seems to end, and nothing but zeros follow there.
    fn place_behind_zeros(&mut self, slot: u64, end: Position) -> Result<Option<Position>> {
        let Ok(entry) = self.index.entry(slot) else {
            return Ok(None);
        };
        let is_next = slot < self.entries
            && u64::from(entry.relative.0) == slot
            && entry.position.0 <= self.store.file_bytes();
        if self.codec != Codec::Raw || !is_next || entry.position <= end {
            return Ok(None);
        }
        let count = (self.store.file_bytes() - end.0).min(LENGTH_BYTES);
        let behind = self
            .store
            .bytes(end.0, usize::try_from(count).unwrap_or(0))?;
        let zeros = count > 0 && behind.iter().all(|&byte| byte == 0);
        Ok(zeros.then_some(entry.position))
    }

    /// The problem of the frame at `position`, which should have `expected` bytes.
    pub(super) fn wrong_frame(
        &mut self,
        slot: u64,
        position: Position,
        expected: u64,
    ) -> Result<Damage> {
        let frame_bytes = expected.saturating_add(LENGTH_BYTES);
        Ok(match self.fit(slot, position)? {
            Fit::Unreadable => Damage::unreadable_frame(slot, position, frame_bytes),
            Fit::NotWhole { payload_bytes } => {
                Damage::length(slot, position, payload_bytes, Some(expected))
            }
            Fit::Record { payload_bytes, .. }
            | Fit::Undecodable { payload_bytes }
            | Fit::Carries { payload_bytes, .. }
                if payload_bytes != expected =>
            {
                Damage::length(slot, position, Some(payload_bytes), Some(expected))
            }
            Fit::Record { .. } | Fit::Undecodable { .. } => Damage {
                kind: DamageKind::Undecodable,
                bytes: frame_bytes,
                ..Damage::length(slot, position, None, None)
            },
            Fit::Carries { offset, field, .. } => {
                let (at, bytes) = field.unwrap_or((position.0, frame_bytes));
                Damage {
                    kind: DamageKind::OffsetMismatch,
                    position: at,
                    bytes,
                    ..Damage::length(slot, position, Some(offset), self.base.0.checked_add(slot))
                }
            }
        })
    }
}
