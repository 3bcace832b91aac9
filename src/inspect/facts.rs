//! The facts about one segment. Those of a clean segment are a few figures, because a log
//! may have very many; anomalies are kept apart.

use std::ops::Deref;

use super::tail::Tail;
use crate::log::damage::{Damage, DamageKind};
use crate::log::format::ENTRY_BYTES;
use crate::log::units::{Offset, Position};

/// Bytes between two committed frames that no entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadBytes {
    /// The slot of the frame after them.
    pub slot: u64,
    /// Position in the store.
    pub position: Position,
    /// Number of bytes.
    pub bytes: u64,
}

/// Bytes of the index after its last real entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRest {
    /// Position in the file.
    pub position: u64,
    /// Number of bytes.
    pub bytes: u64,
    /// Whether all of them are padding: zeros, or slots of 0xff.
    pub padding: bool,
    /// Whether they end in 0xff, with which other programs fill unused slots.
    pub unused: bool,
}

/// The result of a scan of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFacts {
    /// The offset of the segment's first record.
    pub base: Offset,
    /// Size of the store. Bytes.
    pub store_bytes: u64,
    /// Size of the index. Bytes.
    pub index_bytes: u64,
    /// Entries before the padding, valid or not.
    pub entries: u64,
    /// Committed records that are intact.
    pub records: u64,
    /// The end of the last valid frame, and the slot after it.
    pub end: Position,
    /// Anomalies; in most segments empty; see `Deref`.
    pub(super) unclean: Option<Box<Unclean>>,
}

/// Anomalies: everything that a clean commit does not leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unclean {
    /// Slots that are not valid, in order; consecutive ones with the same cause are one
    /// item.
    pub damages: Vec<Damage>,
    /// Places of damage beyond those.
    pub damages_uncounted: u64,
    /// Bytes between committed frames, in order.
    pub dead: Vec<DeadBytes>,
    /// Places of unreferenced bytes beyond those.
    pub dead_uncounted: u64,
    /// The bytes after the last valid frame, if any.
    pub(super) tail: Option<Tail>,
    /// The position that the last real entry names; 0 where all is clean.
    pub last_position: u64,
    /// The bytes after the last entry of the index.
    pub rest: Option<IndexRest>,
}

/// Of a clean segment.
static CLEAN: Unclean = Unclean {
    damages: Vec::new(),
    damages_uncounted: 0,
    dead: Vec::new(),
    dead_uncounted: 0,
    tail: None,
    last_position: 0,
    rest: None,
};

/// The anomalies are the usual question about the facts of a segment. They are kept apart
/// because many segments have none.
impl Deref for SegmentFacts {
    type Target = Unclean;

    fn deref(&self) -> &Unclean {
        self.unclean.as_deref().unwrap_or(&CLEAN)
    }
}

impl SegmentFacts {
    /// Of a segment with an entry for each of its `records` and nothing else.
    #[must_use]
    pub(crate) fn sound(base: Offset, records: u64, store_bytes: u64) -> Self {
        Self {
            base,
            store_bytes,
            index_bytes: records * ENTRY_BYTES,
            entries: records,
            records,
            end: Position(store_bytes),
            unclean: None,
        }
    }

    /// Whether all of it is as a clean commit leaves it.
    #[must_use]
    pub(crate) fn is_clean(&self) -> bool {
        self.unclean.is_none()
    }

    /// The bytes after the last valid frame.
    #[must_use]
    pub fn tail(&self) -> Tail {
        self.tail.unwrap_or_else(|| Tail::none_at(self.end))
    }

    /// The slot after the last entry that counts: entries at the end that name nothing do
    /// not.
    #[must_use]
    pub fn next_slot(&self) -> u64 {
        match self.damages.last() {
            Some(last) if last.kind == DamageKind::Dangling => last.first_slot,
            _ => self.entries,
        }
    }

    /// The offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.base.saturating_add(self.next_slot())
    }

    /// The offset after the last one that an entry claims.
    #[must_use]
    pub fn claimed_end(&self) -> Offset {
        let claimed = self.damages.iter().map(|damage| damage.last_slot + 1).max();
        self.base
            .saturating_add(self.entries.max(claimed.unwrap_or(0)))
    }

    /// Number of slots that are valid here but not in a later scan of the segment.
    #[must_use]
    pub fn records_lost_in(&self, later: &Self) -> u64 {
        let later_damages = later
            .damages
            .iter()
            .map(|d| (d.first_slot, d.last_slot + 1));
        let gone = (later.entries, self.entries);
        later_damages
            .chain((gone.0 < gone.1).then_some(gone))
            .map(|(first, end)| self.sound_between(first, end.min(self.entries)))
            .sum()
    }

    /// Number of valid slots from `first` up to `end` (excluded).
    pub(crate) fn sound_between(&self, first: u64, end: u64) -> u64 {
        let from = self.damages.partition_point(|d| d.last_slot < first);
        let within = self.damages.get(from..).unwrap_or_default().iter();
        let damaged: u64 = within
            .take_while(|damage| damage.first_slot < end)
            .map(|d| {
                end.min(d.last_slot + 1)
                    .saturating_sub(first.max(d.first_slot))
            })
            .sum();
        end.saturating_sub(first).saturating_sub(damaged)
    }

    /// The first damage of a kind.
    #[must_use]
    pub fn first_damage(&self, kind: DamageKind) -> Option<&Damage> {
        self.damages.iter().find(|damage| damage.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_clean_segment_the_tail_is_nothing_at_its_end() {
        assert_eq!(CLEAN, Unclean::default());
        let facts = SegmentFacts {
            base: Offset(7),
            store_bytes: 90,
            index_bytes: 36,
            entries: 3,
            records: 3,
            end: Position(90),
            unclean: None,
        };
        let tail = facts.tail();
        assert_eq!(
            (tail.position, tail.bytes, tail.continuing_end),
            (90, 0, 90)
        );
        assert_eq!(
            (facts.next_offset(), facts.claimed_end()),
            (Offset(10), Offset(10))
        );
    }
}
