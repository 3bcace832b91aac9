//! What mending would change, as a value: findings in, steps out, no file touched.
//! The policy of repair stands here and nowhere else: the least change, nothing that
//! an entry commits is cut, nothing is guessed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::assembly::Assembly;
use super::left;
use crate::inspect::check_directory::claimed_records;
use crate::inspect::finding::Finding;
use crate::inspect::listing::FileFacts;
use crate::inspect::report::{Report, SegmentReport};
use crate::inspect::run::Mark;
use crate::inspect::scan::SegmentFacts;
use crate::inspect::tail::Tail;
use crate::log::damage::{Damage, DamageKind};
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::record::Codec;
use crate::log::units::{Offset, Position};

/// How the frames of new entries are found in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// One behind the other, by their lengths.
    Lengths,
    /// Those that carry the next offset, whatever lies between them.
    Sequence,
}

/// Entries to be made from frames that are in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEntries {
    /// The slot of the first one.
    pub first_slot: u64,
    /// How many.
    pub count: u64,
    /// Where to look for the first one's frame.
    pub from: Position,
    /// How the frames are found.
    pub follow: Follow,
}

/// One change to one file. Sizes and positions are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Creates the missing half of an empty last segment.
    CreateEmpty {
        /// The segment.
        base: Offset,
        /// The half.
        kind: FileKind,
    },
    /// Makes a missing index anew, written whole before it gets its name.
    BuildIndex {
        /// The segment.
        base: Offset,
        /// Its entries.
        entries: NewEntries,
    },
    /// Writes entries that are missing or wrong.
    WriteEntries {
        /// The segment.
        base: Offset,
        /// The entries.
        entries: NewEntries,
    },
    /// Cuts a file's end off.
    Cut {
        /// The segment.
        base: Offset,
        /// The half.
        kind: FileKind,
        /// Its size now.
        from: u64,
        /// Its size then.
        to: u64,
    },
    /// Moves a whole file to the saved directory.
    MoveAway {
        /// The segment.
        base: Offset,
        /// The half.
        kind: FileKind,
        /// Its size.
        bytes: u64,
    },
    /// Writes bytes of an assembly over what stands there, or behind the end.
    Fill {
        /// The segment.
        base: Offset,
        /// The half.
        kind: FileKind,
        /// Where.
        position: u64,
        /// How many.
        bytes: u64,
        /// Which of the plan's assemblies.
        assembly: usize,
    },
    /// Makes a whole file from an assembly, in place of the one that is there.
    Assemble {
        /// The segment.
        base: Offset,
        /// The half.
        kind: FileKind,
        /// Its size now, if it is there.
        from: Option<u64>,
        /// Its size then.
        to: u64,
        /// Which of the plan's assemblies.
        assembly: usize,
    },
}

impl Step {
    /// The segment and the half that the step changes.
    #[must_use]
    pub fn file(&self) -> (Offset, FileKind) {
        match *self {
            Self::CreateEmpty { base, kind }
            | Self::Cut { base, kind, .. }
            | Self::MoveAway { base, kind, .. }
            | Self::Fill { base, kind, .. }
            | Self::Assemble { base, kind, .. } => (base, kind),
            Self::BuildIndex { base, .. } | Self::WriteEntries { base, .. } => {
                (base, FileKind::Index)
            }
        }
    }
}

/// A file as the plan saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name in the log's directory.
    pub name: String,
    /// Its size. Bytes.
    pub bytes: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

impl Seen {
    fn of(file: &FileFacts) -> Self {
        Self {
            name: file.name.clone(),
            bytes: file.bytes,
            modified: file.modified,
        }
    }
}

/// What would be changed, in this order.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The log's codec.
    pub codec: Option<Codec>,
    /// The changes.
    pub steps: Vec<Step>,
    /// Segments put together with the help of another copy.
    pub assemblies: Vec<Assembly>,
    /// Errors and warnings that stay, for a human to decide.
    pub left: Vec<Finding>,
    /// Every file of the log as the plan saw it.
    pub seen: Vec<Seen>,
    /// Slots of stores without index at which threads can begin, by their base.
    pub marks: BTreeMap<Offset, Vec<Mark>>,
}

impl Plan {
    /// A plan that changes nothing yet, over the files of `report`.
    #[must_use]
    pub fn over(report: &Report) -> Self {
        let files = report.listing.segments.iter().flat_map(|segment| {
            let halves = [segment.index.as_ref(), segment.store.as_ref()];
            halves.into_iter().flatten()
        });
        Self {
            codec: report.codec,
            steps: Vec::new(),
            assemblies: Vec::new(),
            left: Vec::new(),
            seen: files
                .filter(|file| file.no_file.is_none())
                .map(Seen::of)
                .collect(),
            marks: report
                .segments
                .iter()
                .filter(|segment| !segment.lone_marks.is_empty())
                .map(|segment| (segment.listing.base(), segment.lone_marks.clone()))
                .collect(),
        }
    }

    /// How many records a segment holds afterwards, damaged ones included: up to where
    /// its entries go.
    #[must_use]
    pub fn records_after(&self, segment: &SegmentReport, codec: Option<Codec>) -> u64 {
        let base = segment.listing.base();
        let of_index = |step: &&Step| step.file() == (base, FileKind::Index);
        let steps: Vec<&Step> = self.steps.iter().filter(of_index).collect();
        let cut_to = steps.iter().rev().find_map(|step| match step {
            Step::Cut { to, .. } => Some(to / ENTRY_BYTES),
            _ => None,
        });
        let written_to = steps.iter().rev().find_map(|step| match step {
            Step::BuildIndex { entries, .. } | Step::WriteEntries { entries, .. } => {
                Some(entries.first_slot + entries.count)
            }
            _ => None,
        });
        let made = self.assemblies.iter().find(|made| made.base == base);
        if let Some(made) = made.filter(|made| made.closed) {
            return made.entries();
        }
        let written_to = written_to.max(made.map(Assembly::entries));
        let before = claimed_records(segment, codec);
        match (cut_to, &segment.facts) {
            (Some(kept), _) => kept.max(written_to.unwrap_or(0)),
            (None, Some(_)) => before.max(written_to.unwrap_or(0)),
            (None, None) => written_to.unwrap_or(before),
        }
    }

    /// Whether entries are taken away: records that somebody was promised.
    #[must_use]
    pub fn cuts_entries(&self, report: &Report) -> bool {
        report.segments.iter().any(|segment| {
            let facts = segment.facts.as_ref();
            let dangling = facts.and_then(|facts| facts.first_damage(DamageKind::Dangling));
            dangling.is_some()
                && self.steps.iter().any(|step| {
                    matches!(step, Step::Cut { base, kind: FileKind::Index, .. }
                        if *base == segment.listing.base())
                })
        })
    }
}

/// What a repair may do beyond its policy.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepairOptions {
    /// Whether whole frames at the end of a raw log are taken for records.
    pub adopt_tail: bool,
}

/// The plan of `repair`.
#[must_use]
pub fn repair(report: &Report, options: RepairOptions) -> Plan {
    let mut plan = Plan::over(report);
    for (at, segment) in report.segments.iter().enumerate() {
        let next_base = report.segments.get(at + 1).map(|next| next.listing.base());
        let policy = Policy {
            codec: report.codec,
            last: report.is_last(segment),
            room: next_base.map(|next| next.since(segment.listing.base())),
            adopt_tail: options.adopt_tail,
        };
        plan.steps.extend(policy.segment(segment));
    }
    plan.left = left::of(&plan, report);
    plan
}

/// What is decided the same way for every part of a segment.
struct Policy {
    codec: Option<Codec>,
    /// Whether this is the active segment.
    last: bool,
    /// How many records fit before the next segment's base.
    room: Option<u64>,
    adopt_tail: bool,
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

    fn segment(&self, segment: &SegmentReport) -> Vec<Step> {
        if segment.little_endian {
            return Vec::new();
        }
        let base = segment.listing.base();
        if let Some(facts) = &segment.facts {
            return self.pair(facts);
        }
        if let Some(tail) = &segment.lone_store {
            return self.lone_store(base, tail);
        }
        if segment.lone_index == Some(0) && self.last {
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
        if misaligned.is_some() {
            // The wrong ones go first, or they would stand behind the new ones.
            let aligned_end = facts.entries * ENTRY_BYTES;
            steps.extend(cut(base, FileKind::Index, facts.index_bytes, aligned_end));
            steps.extend(write);
        } else {
            steps.extend(write);
            steps.extend(cut(base, FileKind::Index, facts.index_bytes, index_end));
        }
        steps.extend(cut(
            base,
            FileKind::Store,
            facts.store_bytes,
            tail.store_end,
        ));
        steps
    }

    /// Frames behind the last committed one are adopted where the log proves that
    /// they are records, cut where nobody was promised them, and else left to a human:
    /// `None`.
    fn tail(&self, facts: &SegmentFacts) -> Option<TailPlan> {
        let tail = &facts.tail;
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
            return (self.last || named || room == Some(0)).then_some(nothing_adopted);
        }
        match room {
            None if self.adopt_tail => Some(adopt(tail.frames, Follow::Lengths, tail.frames_end)),
            None | Some(0) => Some(nothing_adopted),
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

/// The step that cuts a file, if it is longer.
pub(super) fn cut(base: Offset, kind: FileKind, from: u64, to: u64) -> Option<Step> {
    (to < from).then_some(Step::Cut {
        base,
        kind,
        from,
        to,
    })
}
