//! The policy of repair, here and nowhere else: the least change, nothing that an
//! entry commits is cut, nothing is guessed. Decides from the facts of one segment; what
//! comes of it is `rehearsal`'s to find out.

use super::plan::{Follow, NewEntries, Step, cut};
use crate::inspect::report::SegmentReport;
use crate::inspect::scan::SegmentFacts;
use crate::inspect::tail::Tail;
use crate::log::damage::{Damage, DamageKind};
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::record::Codec;
use crate::log::units::{Offset, Position};

/// What is decided the same way for every part of a segment.
pub(super) struct Policy {
    pub(super) codec: Option<Codec>,
    /// Whether this is the active segment.
    pub(super) last: bool,
    /// How many records fit before the next segment's base.
    pub(super) room: Option<u64>,
    pub(super) adopt_tail: bool,
}

/// What becomes of the bytes behind the last committed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TailPlan {
    /// Frames that become records.
    adopt: Option<NewEntries>,
    /// Where the store ends afterwards.
    store_end: u64,
}

impl Policy {
    fn is_protobuf(&self) -> bool {
        self.codec == Some(Codec::Protobuf)
    }

    /// The steps that one segment needs, looked at as it stands.
    pub(super) fn segment(&self, segment: &SegmentReport) -> Vec<Step> {
        if segment.little_endian {
            return Vec::new();
        }
        let base = segment.listing.base();
        if let Some(facts) = &segment.facts {
            return self.pair(facts);
        }
        // A name that something else has cannot be given to a new file.
        let is_free = |kind| segment.listing.file(kind).is_none();
        if let Some(tail) = segment.lone_store().filter(|_| is_free(FileKind::Index)) {
            return self.lone_store(base, tail);
        }
        if segment.lone_index() == Some(0) && self.last && is_free(FileKind::Store) {
            let bytes = segment.listing.index.as_ref().map_or(0, |file| file.bytes);
            let mut steps = vec![Step::CreateEmpty {
                base,
                kind: FileKind::Store,
            }];
            steps.extend(cut(base, FileKind::Index, bytes, 0));
            return steps;
        }
        Vec::new()
    }

    fn pair(&self, facts: &SegmentFacts) -> Vec<Step> {
        let base = facts.base;
        let misaligned = facts.first_damage(DamageKind::Misaligned);
        if misaligned.is_some_and(|damage| damage.first_slot != facts.entries) {
            // Two histories, or none at all: only a human can choose.
            return Vec::new();
        }
        let mut steps: Vec<Step> = facts
            .damages
            .iter()
            .filter_map(|damage| rewritten_entries(base, damage))
            .collect();
        let Some(tail) = self.tail(facts) else {
            // The entries say more of such a tail than nothing would.
            if !self.last && misaligned.is_none() {
                let end = facts.entries * ENTRY_BYTES;
                steps.extend(cut(base, FileKind::Index, facts.index_bytes, end));
            }
            return steps;
        };
        let adopted = tail.adopt.map_or(0, |entries| entries.count);
        let index_end = (facts.next_slot() + adopted) * ENTRY_BYTES;
        let write = tail
            .adopt
            .map(|entries| Step::WriteEntries { base, entries });
        let cut_store = cut(base, FileKind::Store, facts.store_bytes, tail.store_end);
        if misaligned.is_some() {
            // The wrong ones go first, or they would stand behind the new ones.
            let aligned_end = facts.entries * ENTRY_BYTES;
            steps.extend(cut(base, FileKind::Index, facts.index_bytes, aligned_end));
            steps.extend(write);
            steps.extend(cut_store);
        } else {
            steps.extend(write);
            let cut_index = cut(base, FileKind::Index, facts.index_bytes, index_end);
            if facts.first_damage(DamageKind::Dangling).is_some() {
                // They alone say whose bytes those are: whoever goes on after a crash
                // needs them until the bytes are gone.
                steps.extend(cut_store.into_iter().chain(cut_index));
            } else {
                steps.extend(cut_index.into_iter().chain(cut_store));
            }
        }
        steps
    }

    /// Frames behind the last committed one are adopted where the log proves that
    /// they are records, cut where nobody was promised them, and else left to a human:
    /// `None`.
    fn tail(&self, facts: &SegmentFacts) -> Option<TailPlan> {
        let tail = &facts.tail();
        let next_slot = facts.next_slot();
        let nothing_adopted = TailPlan {
            adopt: None,
            store_end: tail.position,
        };
        let room = self.room.map(|room| room.saturating_sub(next_slot));
        let adopt = |count, follow, store_end| TailPlan {
            adopt: (count > 0).then_some(NewEntries {
                first_slot: next_slot,
                count,
                from: Position(tail.position),
                follow,
            }),
            store_end,
        };
        if tail.bytes == 0 && !ends_in_wreckage(facts) {
            return Some(nothing_adopted);
        }
        if !ends_where_known(facts) || ends_in_wreckage(facts) {
            return None;
        }
        if self.is_protobuf() {
            let fits = room.is_none_or(|room| tail.continuing <= room);
            return (fits && goes_on_cleanly(tail, next_slot))
                .then(|| adopt(tail.continuing, Follow::Sequence, tail.continuing_end));
        }
        if let Some(damage) = facts.first_damage(DamageKind::Misaligned) {
            // The misaligned entries count the frames.
            let agree = tail.is_frames_only() && tail.frames == damage.slots();
            return agree.then(|| adopt(tail.frames, Follow::Lengths, tail.frames_end));
        }
        if tail.frames == 0 {
            // In a sealed segment they may be records whose entries are gone, unless
            // entries name them.
            let named = facts.first_damage(DamageKind::Dangling).is_some();
            let nothing = self.last || named || room == Some(0) || tail.unfinished.is_some();
            return nothing.then_some(nothing_adopted);
        }
        match room {
            // A page of them may be missing.
            None if tail.zero_sector.is_some() && !self.adopt_tail => None,
            None => Some(adopt(tail.frames, Follow::Lengths, tail.frames_end)),
            Some(0) => Some(nothing_adopted),
            Some(room) if tail.is_frames_only() && tail.frames == room => {
                Some(adopt(tail.frames, Follow::Lengths, tail.frames_end))
            }
            Some(_) => None,
        }
    }

    /// A store whose index is gone gets a new one from its frames.
    fn lone_store(&self, base: Offset, tail: &Tail) -> Vec<Step> {
        if tail.bytes == 0 {
            return vec![Step::CreateEmpty {
                base,
                kind: FileKind::Index,
            }];
        }
        let (count, end) = if self.is_protobuf() {
            (tail.continuing, tail.continuing_end)
        } else {
            (tail.frames, tail.frames_end)
        };
        let too_many = self.room.is_some_and(|room| count > room);
        let unclear = self.is_protobuf() && !goes_on_cleanly(tail, 0);
        if unclear || too_many || (count == 0 && !self.last) {
            return Vec::new();
        }
        let entries = NewEntries {
            first_slot: 0,
            count,
            from: Position(0),
            follow: if self.is_protobuf() {
                Follow::Sequence
            } else {
                Follow::Lengths
            },
        };
        let mut steps = vec![Step::BuildIndex { base, entries }];
        if self.last || self.is_protobuf() || self.room == Some(count) {
            steps.extend(cut(
                base,
                FileKind::Store,
                tail.bytes,
                end.max(tail.position),
            ));
        }
        steps
    }
}

/// Whether it is known where the last record ends: not behind entries at the end that
/// are wrong while nothing tells the right ones. What lies there may be their frames.
fn ends_where_known(facts: &SegmentFacts) -> bool {
    if facts.damages_uncounted > 0 {
        return false;
    }
    let Some(last) = facts.damages.last() else {
        return true;
    };
    last.last_slot + 1 < facts.entries
        || matches!(last.kind, DamageKind::Dangling | DamageKind::Misaligned)
        || rewritten_entries(facts.base, last).is_some()
}

/// Whether what stands right before the entries without frames is damaged itself:
/// cut off, they would make it the end, which tells even less of it.
fn ends_in_wreckage(facts: &SegmentFacts) -> bool {
    let [.., before, last] = facts.damages.as_slice() else {
        return false;
    };
    last.kind == DamageKind::Dangling
        && before.last_slot + 1 == last.first_slot
        && rewritten_entries(facts.base, before).is_none()
}

/// Whether frames of a protobuf log can be adopted as they stand: none of them is
/// ahead of the sequence, the first record of a segment begins its store, and nothing
/// but whole frames lies before and between them: behind other bytes the record before
/// them would be one whose length is wrong, and could not be read any more.
fn goes_on_cleanly(tail: &Tail, next_slot: u64) -> bool {
    let first_at_its_place = next_slot > 0 || tail.continuing == 0 || tail.continuing_position == 0;
    let torn_between = tail.torn_bytes > 0 && tail.torn_position < tail.continuing_end;
    tail.ahead == 0 && first_at_its_place && !torn_between
}

/// Entries that are wrong while the store knows the right ones.
fn rewritten_entries(base: Offset, damage: &Damage) -> Option<Step> {
    let frame = damage.frame?;
    if damage.kind != DamageKind::Entry || !damage.record_whole {
        return None;
    }
    Some(Step::WriteEntries {
        base,
        entries: NewEntries {
            first_slot: damage.first_slot,
            count: damage.slots(),
            from: frame,
            follow: Follow::Lengths,
        },
    })
}
