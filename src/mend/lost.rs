//! The acknowledged records that a plan gives up: entries of an index as it was found name
//! them, and neither a record nor a damaged entry has their offset afterwards.

use super::plan::{BySegment, Plan, Step};
use crate::inspect::finding::OffsetRange;
use crate::inspect::report::Report;
use crate::log::format::FileKind;
use crate::log::units::Offset;

/// Records that entries promise and no file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Their offsets.
    pub range: OffsetRange,
    /// Whether new records will get these offsets: else a gap stays.
    pub given_again: bool,
}

/// What `plan` gives up, in the order of the offsets.
#[must_use]
pub fn of(plan: &Plan, report: &Report) -> Vec<Lost> {
    let steps = BySegment::of(plan);
    let mut lost = Vec::new();
    for segment in &report.segments {
        let Some(account) = &segment.account else {
            continue;
        };
        let base = segment.listing.base();
        let cuts_index = |step: &&Step| {
            let kind = FileKind::Index;
            matches!(step, Step::Cut { kind: of, .. } if *of == kind)
        };
        let first = if plan.assemblies.iter().any(|made| made.base == base) {
            account.end_slot
        } else if steps.steps(base).iter().any(cuts_index) {
            // Where entries remain, a finding names their loss.
            steps.records_after(segment, report.codec)
        } else {
            continue;
        };
        let range = account.lost_from(first).and_then(|slots| {
            let range = OffsetRange {
                first: base.saturating_add(*slots.start()),
                last: base.saturating_add(*slots.end()),
            };
            not_assembled(plan, range)
        });
        lost.extend(range.map(|range| Lost {
            range,
            given_again: report.is_last(segment),
        }));
    }
    lost
}

/// The part of a range of offsets that no assembly of the plan has.
fn not_assembled(plan: &Plan, range: OffsetRange) -> Option<OffsetRange> {
    let parts = plan.assemblies.iter().flat_map(|made| &made.parts);
    let mut runs: Vec<(u64, u64)> = parts.map(|part| (part.run.first, part.run.next)).collect();
    runs.sort_unstable();
    let mut first = range.first.0;
    for (from, next) in runs {
        if from <= first && first < next {
            first = next;
        }
    }
    (first <= range.last.0).then_some(OffsetRange {
        first: Offset(first),
        last: range.last,
    })
}
