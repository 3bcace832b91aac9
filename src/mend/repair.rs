//! The plan of `repair`: `policy` decides for each segment, `rehearsal` checks that the
//! steps are sufficient, `left` predicts what stays. No file is changed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::apply::{ApplyOptions, apply};
use super::plan::{BySegment, Plan, Step};
use super::policy::Policy;
use super::{left, rehearsal, saved, undo};
use crate::inspect::listing::Listing;
use crate::inspect::look::Before;
use crate::inspect::report::{Report, SegmentReport};
use crate::inspect::scan::SegmentFacts;
use crate::log::detect::{Detected, Mended, detect_with};
use crate::log::error::{Error, Result};
use crate::log::lock::DirectoryLock;
use crate::log::record::Codec;
use crate::log::units::Offset;

/// The plan of `repair`.
#[must_use]
pub fn plan(report: &Report) -> Plan {
    plan_foreseen(report).0
}

/// Carries a plan out and scans the log again. A repair after which fewer records can be read
/// is a failure, whatever its plan promised: it is undone. Gives where the removed bytes are
/// saved, and the report afterwards.
///
/// # Errors
///
/// [`Error::Reverted`], [`Error::NotReverted`]; as [`apply()`], and those of the scan.
pub fn carry_out(
    plan: &Plan,
    lock: &DirectoryLock,
    before: &Report,
    options: &ApplyOptions<'_>,
    scan: impl FnOnce(Listing, &Before<'_>) -> Result<Report>,
) -> Result<(Option<PathBuf>, Report)> {
    let saved = apply(plan, lock, options)?;
    let known = Before {
        report: before,
        changed: plan.changed(),
    };
    let after = scan(Listing::of_dir(lock.dir())?, &known)?;
    let records = before.records_lost_in(&after);
    let Some(saved) = saved.as_ref().filter(|_| records > 0).cloned() else {
        return Ok((saved, after));
    };
    let change = undo::load(&saved);
    if let Err(error) = change.and_then(|it| undo::undo(&it, lock, options.disk, &options.others)) {
        return Err(Error::NotReverted {
            records,
            saved,
            source: Box::new(error),
        });
    }
    saved::discard(&**options.disk, &saved);
    Err(Error::Reverted { records })
}

/// [`plan`], with the segments as they will be, where that was tried out.
pub(super) fn plan_foreseen(report: &Report) -> (Plan, BTreeMap<Offset, SegmentReport>) {
    let mut plan = Plan::over(report);
    let mut afterwards = BTreeMap::new();
    for (at, segment) in report.segments.iter().enumerate() {
        let next_base = report.segments.get(at + 1).map(|next| next.listing.base());
        let policy = Policy {
            last: report.is_last(segment),
            room: next_base.map(|next| next.since(segment.listing.base())),
        };
        let settled = rehearsal::settle(report, segment, &policy);
        if let Some(link) = segment.listing.link() {
            // The other segments need not wait for it.
            plan.links
                .extend((!settled.steps.is_empty()).then_some(link));
            continue;
        }
        plan.steps.extend(settled.steps);
        afterwards.extend(settled.after.map(|after| (after.listing.base(), after)));
    }
    if changes_codec(&plan, report, &afterwards) {
        // The removed or added bytes show the codec.
        plan.hides_codec = true;
        plan.steps.clear();
        afterwards.clear();
    }
    plan.left = left::foreseen(&plan, report, &afterwards);
    (plan, afterwards)
}

/// Whether the log would show another codec afterwards, or none while its stores still
/// hold something: then its records could not be decoded any more.
fn changes_codec(
    plan: &Plan,
    report: &Report,
    afterwards: &BTreeMap<Offset, SegmentReport>,
) -> bool {
    if report.options.codec.is_some() {
        return false;
    }
    let then = shown_after(plan, report, afterwards);
    let is_empty = |segment: &SegmentReport| {
        let after = afterwards.get(&segment.listing.base()).unwrap_or(segment);
        let store = after.listing.store.as_ref();
        store.is_none_or(|store| store.bytes == 0)
    };
    // A log that shows no codec is read as a raw one.
    let raw = Codec::Raw;
    then.map_or(raw, |then| then.codec) != report.codec.unwrap_or(raw)
        && !(then.is_none() && report.segments.iter().all(is_empty))
}

/// The codec that the log would show afterwards: the same, if the plan does not change what
/// shows it.
pub(super) fn shown_after(
    plan: &Plan,
    report: &Report,
    afterwards: &BTreeMap<Offset, SegmentReport>,
) -> Option<Detected> {
    let steps = BySegment::of(plan);
    // An index built for all frames of a store shows the same as the store alone.
    let is_made = |base: Offset| {
        let after = afterwards.get(&base).and_then(|after| after.facts.as_ref());
        let steps = steps.steps(base);
        after.is_some_and(SegmentFacts::is_clean) && matches!(steps[..], [Step::BuildIndex { .. }])
    };
    let same = report.codec.map(|codec| Detected {
        codec,
        certain: false,
    });
    let mut changed = plan.steps.iter().map(|step| step.file().0);
    if changed.all(is_made) {
        return same;
    }
    // The last segment is cached: it is requested again.
    let last: RefCell<Option<Mended>> = RefCell::default();
    let instead = |base| {
        let steps = steps.steps(base);
        let Some(segment) = report.segment(base).filter(|_| !steps.is_empty()) else {
            return Ok(None);
        };
        let mut last = last.borrow_mut();
        if is_made(base) {
            return Ok(None);
        }
        if last.as_ref().is_none_or(|last| last.pair.base != base) {
            *last = rehearsal::mended(report, segment, &steps)?;
        }
        Ok(last.clone())
    };
    // Errors of reading are reported when the plan is carried out.
    detect_with(&report.listing.directory, &instead).unwrap_or(same)
}
