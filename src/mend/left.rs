//! What a plan leaves: the errors and warnings that will still be there afterwards, for
//! a human to decide. A dry run ends by it as the real run will.

use super::plan::{Plan, Step};
use crate::inspect::check_directory::between;
use crate::inspect::finding::{Detail, Finding, FindingId, Severity};
use crate::inspect::report::Report;
use crate::inspect::scan::SegmentFacts;
use crate::log::format::FileKind;

/// The errors and warnings that stay, and those that the plan brings about.
pub(super) fn of(plan: &Plan, report: &Report) -> Vec<Finding> {
    let mut left: Vec<Finding> = report
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note)
        .filter(|finding| !is_between_segments(finding) && !is_mended(finding, plan, report))
        .cloned()
        .collect();
    // Where segments end then, they may leave a gap, or no longer overlap.
    between(
        report,
        |segment| plan.records_after(segment, report.codec),
        &mut left,
    );
    left
}

/// Whether a finding is about where one segment ends and the next begins.
fn is_between_segments(finding: &Finding) -> bool {
    finding.id == FindingId::SegmentGap
        || matches!(
            finding.detail,
            Detail::Overlap {
                same_segment: false,
                ..
            }
        )
}

/// Whether a plan takes care of a finding.
fn is_mended(finding: &Finding, plan: &Plan, report: &Report) -> bool {
    let steps = || {
        let of_segment = |step: &&Step| Some(step.file().0) == finding.segment;
        plan.steps.iter().filter(of_segment)
    };
    let touches = |wanted: FileKind| steps().any(|step| step.file().1 == wanted);
    let cuts = |wanted: FileKind, end: u64| {
        steps()
            .any(|step| matches!(step, Step::Cut { kind, to, .. } if *kind == wanted && *to < end))
    };
    // Frames behind the last record that become records.
    let segments = &report.segments;
    let segment = segments
        .iter()
        .find(|s| Some(s.listing.base()) == finding.segment);
    let facts = segment.and_then(|segment| segment.facts.as_ref());
    let adopts = || {
        let next_slot = facts.map_or(0, SegmentFacts::next_slot);
        steps().any(|step| {
            matches!(step, Step::WriteEntries { entries, .. } if entries.first_slot == next_slot)
        })
    };
    let end = finding
        .place
        .as_ref()
        .map_or(0, |place| place.position + place.bytes);
    match finding.id {
        FindingId::IndexPadded | FindingId::IndexPartialEntry => {
            adopts() || cuts(FileKind::Index, end)
        }
        // Not where the padding behind them alone is cut.
        FindingId::IndexDangling => adopts() || cuts(FileKind::Index, end),
        FindingId::IndexMisaligned => touches(FileKind::Index),
        // Not where the frames end before the next segment begins.
        FindingId::IndexMissing => {
            let bases = segments.iter().map(|s| s.listing.base());
            let next = bases.into_iter().find(|base| Some(*base) > finding.segment);
            let filled = segment.is_some_and(|segment| {
                let end = plan.records_after(segment, report.codec);
                next.is_none_or(|next| segment.listing.base().0.saturating_add(end) >= next.0)
            });
            touches(FileKind::Index) && filled
        }
        FindingId::IndexEntryDamaged => matches!(
            finding.detail,
            Detail::Entry {
                record_whole: true,
                ..
            }
        ),
        FindingId::StoreTornTail | FindingId::StoreZeroTail => cuts(FileKind::Store, end),
        FindingId::StoreUnindexedTail => cuts(FileKind::Store, end) || adopts(),
        FindingId::StoreMissing => touches(FileKind::Store),
        _ => false,
    }
}
