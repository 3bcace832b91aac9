//! The checks: facts in, findings out. Each is a small function with the name of what
//! it looks for; none opens a file except to ask the same question again.

use std::collections::BTreeMap;

use super::check_directory;
use super::check_segment;
use super::finding::{Finding, FindingId};
use super::listing::{FileFacts, Listing, SegmentListing};
use super::report::Report;
use crate::log::format::FileKind;
use crate::log::units::Offset;

/// Everything worth telling of a log, in the order of severity and place.
#[must_use]
pub fn findings(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_directory::names(report, &mut findings);
    check_directory::owners(report, &mut findings);
    for segment in &report.segments {
        check_segment::segment(report, segment, &mut findings);
    }
    check_directory::neighbours(report, &mut findings);
    sort(&mut findings);
    findings
}

/// The order in which findings are told: severity, then place.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| {
        let position = finding.place.as_ref().map(|place| place.position);
        (finding.severity, finding.segment, position)
    });
}

/// Findings about the end of a segment count only if its files are at the end of the
/// look what they were at its beginning: what a writer did meanwhile is no damage.
pub fn keep_standing(report: &mut Report) {
    let mut findings = std::mem::take(&mut report.findings);
    let mut changed: BTreeMap<Offset, bool> = BTreeMap::new();
    let mut has_changed = |base: Offset| {
        *changed.entry(base).or_insert_with(|| {
            let listed = report.listing.segment_at(base);
            listed.is_none_or(|listed| {
                let now = Listing::segment(report.listing.path(), &listed.names);
                differs(listed.store.as_ref(), now.store.as_ref())
                    || differs(listed.index.as_ref(), now.index.as_ref())
                    || appeared(report, listed)
            })
        })
    };
    findings.retain(|finding| match finding.segment {
        Some(base) if is_about_an_end(finding.id) => !has_changed(base),
        _ => true,
    });
    report.findings = findings;
}

/// Whether a half that was missing is there now: somebody was making the pair.
fn appeared(report: &Report, segment: &SegmentListing) -> bool {
    let there = |kind| report.listing.directory.file(&segment.names, kind).exists();
    !segment.names.is_pair() && there(FileKind::Store) && there(FileKind::Index)
}

fn differs(before: Option<&FileFacts>, now: Option<&FileFacts>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => {
            (before.bytes, before.modified()) != (now.bytes, now.modified())
        }
        (None, None) => false,
        _ => true,
    }
}

/// Whether a finding is about what a writer changes while it works.
fn is_about_an_end(id: FindingId) -> bool {
    matches!(
        id,
        FindingId::IndexPadded
            | FindingId::IndexPartialEntry
            | FindingId::IndexDangling
            | FindingId::IndexMissing
            | FindingId::IndexFull
            | FindingId::StoreMissing
            | FindingId::StoreTornTail
            | FindingId::StoreUnindexedTail
            | FindingId::StoreZeroTail
    )
}
