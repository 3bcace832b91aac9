//! The findings that `repair --replica` leaves: those that will still exist when segments
//! were assembled with records of another copy. `left` does the same for a repair alone.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::inspect::finding::{Finding, FindingId, OffsetRange, Severity};
use crate::inspect::report::Report;
use crate::log::units::Offset;
use crate::mend::plan::{BySegment, Plan};
use crate::mend::ranges::Ranges;
use crate::mend::runs::assembly::{Assembly, Source};
use crate::mend::runs::run::Run;

/// Records that a plan takes from the other copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Their offsets.
    pub offsets: OffsetRange,
    /// The segment here that gets them.
    pub segment: Offset,
    /// Position of their frames in its store. Bytes.
    pub at: u64,
    /// The store that they come from.
    pub from: PathBuf,
    /// Their position there, and number of bytes.
    pub position: u64,
    /// See `position`.
    pub bytes: u64,
}

/// Whether a finding is about the content of a segment's files, not about names or
/// owners.
pub(super) fn is_about_content(id: FindingId) -> bool {
    !matches!(
        id,
        FindingId::NotAFile
            | FindingId::IndexOverLimit
            | FindingId::SegmentGap
            | FindingId::SegmentOverlap
    ) && !id.is_about_names()
}

/// The offsets that assemblies hold.
pub(super) fn held_by(assemblies: &[Assembly]) -> Ranges {
    let parts = assemblies.iter().flat_map(|it| &it.parts);
    Ranges::of(parts.map(|it| (it.run.first, it.run.next)))
}

/// Whether the assembly resolves a finding.
pub(super) fn is_mended(finding: &Finding, whole: &BTreeSet<Offset>, held: &Ranges) -> bool {
    if finding.severity == Severity::Note {
        return true;
    }
    let is_held = || {
        finding
            .offsets
            .is_some_and(|range| held.holds_all(range.first.0, range.last.0))
    };
    match finding.segment {
        _ if finding.id == FindingId::SegmentGap => false,
        Some(base) if finding.id == FindingId::IndexFull => {
            finding.is_full_by_frames() && whole.contains(&base)
        }
        Some(base) if is_about_content(finding.id) => whole.contains(&base) || is_held(),
        _ => false,
    }
}

/// The gaps between segments that stay beside the new ones.
pub(super) fn gaps(left: &mut Vec<Finding>, plan: &Plan, here: &Report) {
    let old = |base: Offset| here.listing.segment_at(base).is_some();
    let touched: BTreeSet<Offset> = plan.assemblies.iter().map(|it| it.base).collect();
    let new: BTreeSet<Offset> = touched.iter().copied().filter(|it| !old(*it)).collect();
    left.retain(|finding| {
        let behind = finding.segment.is_some_and(|base| touched.contains(&base));
        let filled = |gap: OffsetRange| new.range(gap.first..=gap.last).next().is_some();
        finding.id != FindingId::SegmentGap || !(behind || finding.offsets.is_some_and(filled))
    });
    let steps = BySegment::of(plan);
    let mut ends: Vec<(Offset, Offset)> = here
        .segments
        .iter()
        .map(|segment| {
            let base = segment.listing.base();
            (
                base,
                base.saturating_add(steps.records_after(segment, here.codec)),
            )
        })
        .collect();
    let made = plan.assemblies.iter().filter(|it| new.contains(&it.base));
    ends.extend(made.map(|it| (it.base, it.base.saturating_add(it.entries()))));
    ends.sort_unstable();
    for pair in ends.windows(2) {
        if let [(before, end), (base, _)] = pair
            && end < base
            && (touched.contains(before) || new.contains(base))
        {
            left.push(
                Finding::new(FindingId::SegmentGap, Severity::Error)
                    .in_segment(*before)
                    .offsets(*end, Offset(base.0 - 1)),
            );
        }
    }
}

/// The records that an assembly takes from the other copy.
pub(super) fn taken_by(assembly: &Assembly) -> Vec<Taken> {
    let parts = assembly.parts.iter();
    let taken = parts.filter(|part| part.source == Source::Elsewhere);
    taken
        .map(|part| Taken {
            offsets: OffsetRange {
                first: Offset(part.run.first),
                last: Offset(part.run.next - 1),
            },
            segment: assembly.base,
            at: part.at,
            from: part.run.store.path.to_path_buf(),
            position: part.run.position,
            bytes: part.run.end - part.run.position,
        })
        .collect()
}

/// The records of the other copy before the first record here and after the last.
pub(super) fn not_taken(theirs: &[Run], lowest: u64, next: u64) -> Vec<OffsetRange> {
    let outside = theirs.iter().flat_map(|run| {
        let outside = [
            (run.first, run.next.min(lowest)),
            (run.first.max(next), run.next),
        ];
        outside.into_iter().filter(|(first, next)| first < next)
    });
    let mut ranges: Vec<OffsetRange> = Vec::new();
    for (first, next) in outside {
        match ranges.last_mut() {
            Some(last) if last.last.0 + 1 == first => last.last = Offset(next - 1),
            _ => ranges.push(OffsetRange {
                first: Offset(first),
                last: Offset(next - 1),
            }),
        }
    }
    ranges
}
