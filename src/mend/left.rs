//! The findings that a plan leaves: the errors and warnings that will still exist
//! afterwards, for a person to decide. The status of a dry run depends on them as that of
//! the real run does.

use std::collections::BTreeMap;

use super::plan::{BySegment, Plan, Step};
use crate::inspect::check_directory::{between, claimed_records};
use crate::inspect::check_segment;
use crate::inspect::finding::{self, Detail, Finding, FindingId, Severity};
use crate::inspect::report::{Report, SegmentReport};
use crate::inspect::scan::SegmentFacts;
use crate::log::format::FileKind;
use crate::log::units::Offset;

/// The errors and warnings that stay, and those that the plan brings about; some of the
/// segments are known as they will be `afterwards`.
pub(super) fn foreseen(
    plan: &Plan,
    report: &Report,
    afterwards: &BTreeMap<Offset, SegmentReport>,
) -> Vec<Finding> {
    let steps = BySegment::of(plan);
    let told_anew = |finding: &Finding| {
        let after = finding.segment.and_then(|base| afterwards.get(&base));
        after.is_some() && is_found_in_files(finding.id)
    };
    let mut left: Vec<Finding> = report
        .findings
        .iter()
        .filter(|finding| !is_between_segments(finding) && !told_anew(finding))
        .filter(|finding| !is_mended(finding, &steps, report))
        .cloned()
        .collect();
    for after in afterwards.values() {
        let mut found = Vec::new();
        check_segment::segment(report, after, &mut found);
        left.extend(found.into_iter().filter(|it| is_found_in_files(it.id)));
    }
    left.retain(|finding| finding.severity != Severity::Note);
    finding::sort(&mut left);
    // The ends of segments may leave a gap then, or no longer overlap.
    let then = report.segments.iter().map(|segment| {
        let after = afterwards.get(&segment.listing.base());
        after.unwrap_or(segment)
    });
    let records_after = |segment: &SegmentReport| {
        let base = segment.listing.base();
        if let Some(after) = afterwards.get(&base) {
            return claimed_records(after, report.codec);
        }
        steps.records_after(segment, report.codec)
    };
    between(then, records_after, &mut left);
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

/// Whether a finding is found again in the future files of a segment: not one about their
/// names or owners.
fn is_found_in_files(id: FindingId) -> bool {
    !matches!(id, FindingId::NotAFile | FindingId::OffsetOverflow) && !id.is_about_names()
}

/// Whether a plan takes care of a finding.
fn is_mended(finding: &Finding, by: &BySegment<'_>, report: &Report) -> bool {
    let steps = finding.segment.map_or(Vec::new(), |base| by.steps(base));
    let touches = |wanted: FileKind| steps.iter().any(|step| step.file().1 == wanted);
    let cuts = |wanted: FileKind, end: u64| {
        let cuts = |step: &Step| matches!(step, Step::Cut { kind, to, .. } if *kind == wanted && *to < end);
        steps.iter().any(|step| cuts(step))
    };
    // Frames after the last record that become records.
    let segment = finding.segment.and_then(|base| report.segment(base));
    let facts = segment.and_then(|segment| segment.facts.as_ref());
    let adopts = || {
        let next_slot = facts.map_or(0, SegmentFacts::next_slot);
        steps.iter().any(|step| {
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
        // Not where the padding after them alone is cut.
        FindingId::IndexDangling => adopts() || cuts(FileKind::Index, end),
        FindingId::IndexMisaligned | FindingId::IndexMissing => touches(FileKind::Index),
        // Not in a segment that is left to a human as it is.
        FindingId::IndexEntryDamaged => {
            let whole = matches!(
                finding.detail,
                Detail::Entry {
                    record_whole: true,
                    ..
                }
            );
            whole && touches(FileKind::Index)
        }
        FindingId::OffsetOverflow => {
            let first = finding.place.as_ref().map_or(0, |place| place.position);
            cuts(FileKind::Index, first.saturating_add(1))
        }
        FindingId::StoreTornTail | FindingId::StoreZeroTail => cuts(FileKind::Store, end),
        FindingId::StoreUnindexedTail => cuts(FileKind::Store, end) || adopts(),
        FindingId::StoreMissing => touches(FileKind::Store),
        FindingId::IndexFull => finding.is_full_by_frames() && touches(FileKind::Store),
        _ => false,
    }
}
