//! The end of an index after which no entry is certain: entries without their frames,
//! misaligned entries, holes, and wrong entries.

use super::damage::{Damage, DamageKind};
use super::error::{Error, Result};
use super::evidence::Region;
use super::format::{ENTRY_BYTES, Entry, FileKind, LENGTH_BYTES, frame_end};
use super::record::Codec;
use super::units::Position;
use super::walk::{Fit, Flow, Visitor, Walk};

impl Walk {
    /// The rest of the index, none of whose entries is valid.
    pub(super) fn trailing<V: Visitor>(
        &mut self,
        region: &mut Region,
        visitor: &mut V,
    ) -> Result<Flow> {
        let slot = region.slot;
        let entry = self.index.entry(slot).unwrap_or_default();
        let promised = self.promised_end(region)?;
        let sound = match promised {
            Some(_) => self.next_plausible(region)?,
            None => None,
        };
        if let Some((next, position)) = sound.filter(|(next, _)| *next > slot) {
            // The record that it names is not lost: only the entries before it are wrong.
            let mut damage = Damage::entry(slot, entry, None);
            damage.last_slot = next - 1;
            damage.bytes = (next - slot) * ENTRY_BYTES;
            region.slot = next;
            region.position = position;
            return visitor.damage(damage);
        }
        if let Some(expected) = promised.filter(|_| sound.is_none()) {
            let store_bytes = self.store.file_bytes();
            let damage = Damage {
                frame: Some(entry.position),
                ..Damage::dangling(slot, region.anchor - 1, store_bytes, Some(expected))
            };
            region.slot = region.anchor;
            return visitor.damage(damage);
        }
        // All are complete, none is right: each on its own, and a hole as one.
        if entry.is_zero() && slot > 0 {
            let mut damage = Damage::entry(slot, entry, None);
            region.slot = self.hole_end(slot)?;
            damage.last_slot = region.slot - 1;
            damage.bytes = (region.slot - slot) * ENTRY_BYTES;
            return visitor.damage(damage);
        }
        let agrees = u64::from(entry.relative.0) == slot && entry.position == region.position;
        region.slot += 1;
        let damage = match self.fit(slot, entry.position)? {
            Fit::Undecodable { payload_bytes }
            | Fit::Carries { payload_bytes, .. }
            | Fit::Record { payload_bytes, .. }
                if agrees =>
            {
                let end = frame_end(entry.position, payload_bytes, self.store.file_bytes());
                region.position = end.unwrap_or(region.position);
                self.wrong_frame(slot, entry.position, payload_bytes)?
            }
            Fit::Unreadable if agrees => self.wrong_frame(slot, entry.position, 0)?,
            _ => Damage::entry(slot, entry, None),
        };
        visitor.damage(damage)
    }

    /// The smallest end of a frame that an entry of the region promises and the store
    /// does not contain, if any. Inspects each entry once in all.
    pub(super) fn promised_end(&mut self, region: &mut Region) -> Result<Option<u64>> {
        let mut candidate = region.slot.max(region.whole_to);
        while candidate < region.anchor {
            let Ok(entry) = self.index.entry(candidate) else {
                candidate += 1;
                continue;
            };
            if entry.is_zero() && candidate > 0 {
                candidate = self.hole_end(candidate)?;
                continue;
            }
            if let Fit::NotWhole { payload_bytes } = self.fit(candidate, entry.position)? {
                region.whole_to = candidate;
                let length_end = entry.position.0.saturating_add(LENGTH_BYTES);
                return Ok(Some(
                    length_end.saturating_add(payload_bytes.unwrap_or_default()),
                ));
            }
            candidate += 1;
        }
        region.whole_to = region.anchor;
        Ok(None)
    }

    /// The first entry of a raw log's region against which nothing speaks but what comes
    /// before and after it, and its frame's place: its number is right, and the frame is
    /// intact and leaves room for those before it. (An empty one may be nothing but the
    /// zeros of bytes that got lost.) Entries that dangle have none after them.
    fn next_plausible(&mut self, region: &Region) -> Result<Option<(u64, Position)>> {
        if self.codec != Codec::Raw {
            return Ok(None);
        }
        let mut slot = region.slot;
        while slot < region.anchor {
            let least = (slot - region.slot).saturating_mul(LENGTH_BYTES);
            match self.index.entry(slot) {
                Ok(entry) if entry.is_zero() => slot = self.hole_end(slot)?,
                Ok(entry)
                    if u64::from(entry.relative.0) == slot
                        && entry.position.0 >= region.position.0.saturating_add(least)
                        && matches!(self.fit(slot, entry.position)?,
                            Fit::Record { payload_bytes, .. } if payload_bytes > 0) =>
                {
                    return Ok(Some((slot, entry.position)));
                }
                Ok(_) | Err(Error::Unreadable { .. }) => slot += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The first slot after a hole of zero entries that begins at `slot`.
    pub(super) fn hole_end(&mut self, slot: u64) -> Result<u64> {
        let next = match self.index.next_nonzero(slot + 1) {
            Ok(next) => next,
            Err(Error::Unreadable { .. }) => Some(slot + 1),
            Err(error) => return Err(error),
        };
        Ok(next.unwrap_or(self.entries).min(self.entries))
    }

    /// Whether entries continue at a misaligned place: each of them, to the end of the
    /// file, names a frame with its offset.
    pub(super) fn misaligned(&mut self, slot: u64) -> Result<Option<Damage>> {
        match self.find_misaligned(slot) {
            // A service that closes its index cuts off what lies after the entries.
            Err(Error::Unreadable { .. } | Error::Shrunk { .. }) => Ok(None),
            other => other,
        }
    }

    fn find_misaligned(&mut self, slot: u64) -> Result<Option<Damage>> {
        let file_bytes = self.index.file_bytes();
        let aligned_end = slot * ENTRY_BYTES;
        let Some(nonzero) = self.index.source().first_nonzero(aligned_end)? else {
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
                // The service continues at the end of the store, and never counts too
                // far; it took the entry before for real, or would be at a boundary.
                if relative != expected
                    || relative == 0
                    || relative > start / ENTRY_BYTES + 1
                    || entry.position < self.end
                    || !matches!(self.fit(relative, entry.position)?, Fit::Record { .. })
                {
                    break;
                }
                first = Some(first.unwrap_or(relative));
                at += ENTRY_BYTES;
            }
            let (Some(first), true) = (first, self.index.source().first_nonzero(at)?.is_none())
            else {
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
                unfinished: false,
            }));
        }
        Ok(None)
    }

    /// Number of entries before `position`, without the zeros there.
    pub(super) fn entries_before(&mut self, position: u64) -> Result<u64> {
        let entries = self.index.nonzero_end(position)?.div_ceil(ENTRY_BYTES);
        if entries == 0 && matches!(self.fit(0, Position(0))?, Fit::Record { .. }) {
            return Ok(1);
        }
        Ok(entries)
    }
}
