//! What mending would change, as a value: findings in, steps out, no file touched.
//! The policy of repair stands here and nowhere else: the least change, nothing that
//! an entry commits is cut, nothing is guessed.

use std::time::SystemTime;

use crate::inspect::finding::{Detail, Finding, FindingId, Severity};
use crate::inspect::listing::FileFacts;
use crate::inspect::report::{Report, SegmentReport};
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
}

impl Step {
    /// The segment and the half that the step changes.
    #[must_use]
    pub fn file(&self) -> (Offset, FileKind) {
        match *self {
            Self::CreateEmpty { base, kind }
            | Self::Cut { base, kind, .. }
            | Self::MoveAway { base, kind, .. } => (base, kind),
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
    /// Errors and warnings that stay, for a human to decide.
    pub left: Vec<Finding>,
    /// Every file of the log as the plan saw it.
    pub seen: Vec<Seen>,
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
            left: Vec::new(),
            seen: files
                .filter(|file| file.no_file.is_none())
                .map(Seen::of)
                .collect(),
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
    plan.left = report
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note && !is_mended(finding, &plan))
        .cloned()
        .collect();
    plan
}

/// Whether a plan takes care of a finding.
fn is_mended(finding: &Finding, plan: &Plan) -> bool {
    let touches = |wanted: FileKind| {
        plan.steps.iter().any(|step| {
            let (base, kind) = step.file();
            Some(base) == finding.segment && kind == wanted
        })
    };
    match finding.id {
        FindingId::IndexPadded
        | FindingId::IndexPartialEntry
        | FindingId::IndexDangling
        | FindingId::IndexMissing
        | FindingId::IndexMisaligned => touches(FileKind::Index),
        FindingId::IndexEntryDamaged => matches!(
            finding.detail,
            Detail::Entry {
                record_whole: true,
                ..
            }
        ),
        FindingId::StoreTornTail | FindingId::StoreZeroTail | FindingId::StoreMissing => {
            touches(FileKind::Store)
        }
        FindingId::StoreUnindexedTail => touches(FileKind::Store) || touches(FileKind::Index),
        _ => false,
    }
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
    /// Where the store ends afterwards; `None` where it is left as it is.
    store_end: Option<u64>,
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
        if misaligned.is_some_and(|damage| damage.first_slot < facts.entries) {
            // Two histories: only a human can choose.
            return Vec::new();
        }
        let mut steps: Vec<Step> = facts
            .damages
            .iter()
            .filter_map(|damage| rewritten_entries(base, damage))
            .collect();
        let tail = self.tail(&facts.tail, facts.next_slot());
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
        if let Some(end) = tail.store_end {
            steps.extend(cut(base, FileKind::Store, facts.store_bytes, end));
        }
        steps
    }

    /// Frames behind the last committed one are adopted where the log proves that
    /// they are records, cut where nobody was promised them, and else left.
    fn tail(&self, tail: &Tail, next_slot: u64) -> TailPlan {
        let cut_all = TailPlan {
            adopt: None,
            store_end: Some(tail.position),
        };
        let leave = TailPlan {
            adopt: None,
            store_end: None,
        };
        let room = self.room.map(|room| room.saturating_sub(next_slot));
        let entries = |count, follow| NewEntries {
            first_slot: next_slot,
            count,
            from: Position(tail.position),
            follow,
        };
        if tail.bytes == 0 {
            return leave;
        }
        if self.is_protobuf() {
            if tail.ahead > 0 || room.is_some_and(|room| tail.continuing > room) {
                return leave;
            }
            let adopt = (tail.continuing > 0).then(|| entries(tail.continuing, Follow::Sequence));
            return TailPlan {
                adopt,
                store_end: Some(tail.continuing_end),
            };
        }
        if tail.frames == 0 {
            return if self.last || room == Some(0) {
                cut_all
            } else {
                leave
            };
        }
        let adopt = TailPlan {
            adopt: Some(entries(tail.frames, Follow::Lengths)),
            store_end: Some(tail.frames_end),
        };
        match room {
            None if self.adopt_tail => adopt,
            None | Some(0) => cut_all,
            Some(room) if tail.is_frames_only() && tail.frames == room => adopt,
            Some(_) => leave,
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
        if tail.ahead > 0 || too_many || (count == 0 && !self.last) {
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
        if self.last || self.room == Some(count) {
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

fn cut(base: Offset, kind: FileKind, from: u64, to: u64) -> Option<Step> {
    (to < from).then_some(Step::Cut {
        base,
        kind,
        from,
        to,
    })
}

/// Why `truncate-index` does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buried {
    /// The segment.
    pub base: Offset,
    /// Where the bytes begin that no entry would name.
    pub position: u64,
    /// How many they are.
    pub bytes: u64,
}

/// The plan of `truncate-index`: each index is cut to its real entries, no store is
/// touched. Says which stores would keep bytes that a later append buries; without
/// `leave_tail` those are a reason to do nothing.
#[must_use]
pub fn truncate_index(report: &Report) -> (Plan, Vec<Buried>) {
    let mut plan = Plan::over(report);
    let mut buried = Vec::new();
    for facts in report.segments.iter().filter_map(|s| s.facts.as_ref()) {
        let end = facts.next_slot() * ENTRY_BYTES;
        let step = cut(facts.base, FileKind::Index, facts.index_bytes, end);
        let Some(step) = step else { continue };
        plan.steps.push(step);
        if facts.tail.bytes > 0 {
            buried.push(Buried {
                base: facts.base,
                position: facts.tail.position,
                bytes: facts.tail.bytes,
            });
        }
    }
    (plan, buried)
}
