//! A plan as a value: the changes of a log's files, in their order, and what stays. `repair`,
//! `trim`, `truncate` and `replica` make plans, and `apply` carries them out.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use super::runs::assembly::Assembly;
use crate::inspect::check_directory::claimed_records;
use crate::inspect::finding::Finding;
use crate::inspect::listing::SegmentListing;
use crate::inspect::report::{Report, SegmentReport};
use crate::log::format::{ENTRY_BYTES, FileKind, file_name};
use crate::log::record::Codec;
use crate::log::units::{Offset, Position};
use crate::scan::account::Entries;

/// Entries to be written, for consecutive slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntries {
    /// The slot of the first one.
    pub first_slot: u64,
    /// How many.
    pub count: u64,
    /// The entries, as runs whose slots follow each other.
    pub runs: Arc<[Entries]>,
}

impl NewEntries {
    /// The entries of runs whose slots follow each other.
    #[must_use]
    pub fn new(runs: Vec<Entries>) -> Self {
        let first_slot = runs.first().map_or(0, |run| run.first_slot);
        Self {
            first_slot,
            count: runs.iter().map(|run| run.count).sum(),
            runs: runs.into(),
        }
    }

    /// Those of these entries whose slots come before `end`.
    #[must_use]
    pub fn before(&self, end: u64) -> Self {
        let runs = self.runs.iter().filter(|run| run.first_slot < end);
        let clipped = runs.map(|run| Entries {
            count: run.count.min(end - run.first_slot),
            ..*run
        });
        Self {
            first_slot: self.first_slot,
            ..Self::new(clipped.collect())
        }
    }

    /// Entries that name frames from `from` on, one after the other.
    #[must_use]
    pub fn of_frames(first_slot: u64, count: u64, from: Position) -> Self {
        Self::new(vec![Entries {
            first_slot,
            count,
            position: from,
            follow: true,
        }])
    }
}

/// One change to one file. Sizes and positions are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Creates the missing half of an empty last segment.
    CreateEmpty {
        /// The segment.
        base: Offset,
        /// The half.
        kind: FileKind,
    },
    /// Makes a missing index again, written completely before it gets its name.
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
    /// Writes bytes of an assembly over existing ones, or after the end.
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
    /// Writes one byte over the values of records. What was there is never saved.
    Overwrite {
        /// The segment.
        base: Offset,
        /// Where in the store the values are.
        values: Arc<[Range<u64>]>,
        /// The byte.
        byte: u8,
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
            Self::Overwrite { base, .. } => (base, FileKind::Store),
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

/// The changes, in this order.
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
    /// Whether no step is taken because none of the remaining bytes would show the codec.
    pub hides_codec: bool,
    /// Files that would be changed, or their twins, if they were no symbolic links.
    pub links: Vec<String>,
    /// Every segment of the log as the plan saw it.
    seen: Vec<Arc<SegmentListing>>,
}

impl Plan {
    /// A plan that changes nothing yet, over the files of `report`.
    #[must_use]
    pub fn over(report: &Report) -> Self {
        Self {
            codec: report.codec,
            steps: Vec::new(),
            assemblies: Vec::new(),
            left: Vec::new(),
            hides_codec: false,
            links: Vec::new(),
            seen: report.listing.segments.clone(),
        }
    }

    /// Every file of the log as the plan saw it.
    pub fn seen(&self) -> impl Iterator<Item = Seen> {
        let halves = self
            .seen
            .iter()
            .flat_map(|segment| [FileKind::Index, FileKind::Store].map(|kind| (segment, kind)));
        halves.filter_map(|(segment, kind)| {
            let file = segment.file(kind).filter(|file| file.no_file.is_none())?;
            Some(Seen {
                name: segment.file_name(kind),
                bytes: file.bytes,
                modified: file.modified(),
            })
        })
    }

    /// The name of a segment's file: as it is, or as it would be.
    #[must_use]
    pub fn file_name(&self, base: Offset, kind: FileKind) -> String {
        let segment = self
            .seen
            .binary_search_by_key(&base, |segment| segment.base());
        segment
            .ok()
            .and_then(|at| self.seen.get(at))
            .map_or_else(|| file_name(base, kind), |segment| segment.file_name(kind))
    }

    /// The segments that it changes.
    #[must_use]
    pub fn changed(&self) -> BTreeSet<Offset> {
        self.steps.iter().map(|step| step.file().0).collect()
    }

    /// Number of records of a segment after these steps, which are all of its own:
    /// damaged ones included, up to the end of its entries.
    pub(super) fn records_by(
        &self,
        steps: &[&Step],
        segment: &SegmentReport,
        codec: Option<Codec>,
    ) -> u64 {
        let base = segment.listing.base();
        let of = |kind| {
            let of_kind = move |step: &&&Step| step.file().1 == kind;
            steps.iter().rev().filter(of_kind)
        };
        let cut_to = of(FileKind::Index).find_map(|step| match step {
            Step::Cut { to, .. } => Some(to / ENTRY_BYTES),
            _ => None,
        });
        let written_to = of(FileKind::Index).find_map(|step| match step {
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
            (None, Some(facts)) => {
                // Frames after the last entry claim nothing once they are cut.
                let cut = of(FileKind::Store).any(|step| matches!(step, Step::Cut { .. }));
                let by_entries = facts.claimed_end().since(base);
                let kept = if cut { by_entries } else { before };
                kept.max(written_to.unwrap_or(0))
            }
            (None, None) => written_to.unwrap_or(before),
        }
    }
}

/// A plan's steps by the segment that they change, there in their order.
pub struct BySegment<'a> {
    plan: &'a Plan,
    steps: Vec<(Offset, &'a Step)>,
}

impl<'a> BySegment<'a> {
    /// The steps of `plan`.
    #[must_use]
    pub fn of(plan: &'a Plan) -> Self {
        let mut steps: Vec<_> = plan.steps.iter().map(|it| (it.file().0, it)).collect();
        steps.sort_by_key(|(base, _)| *base);
        Self { plan, steps }
    }

    /// Number of records of a segment afterwards, damaged ones included: up to the end of
    /// its entries.
    #[must_use]
    pub fn records_after(&self, segment: &SegmentReport, codec: Option<Codec>) -> u64 {
        let steps = self.steps(segment.listing.base());
        self.plan.records_by(&steps, segment, codec)
    }

    /// The steps of one segment.
    pub(super) fn steps(&self, base: Offset) -> Vec<&'a Step> {
        let first = self.steps.partition_point(|(other, _)| *other < base);
        let rest = self.steps.iter().skip(first);
        rest.take_while(|(other, _)| *other == base)
            .map(|(_, step)| *step)
            .collect()
    }
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
