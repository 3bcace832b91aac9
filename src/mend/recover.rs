//! The recovery of a log before an append: the plan of `repair`, limited to the results
//! of a crash of a writer. Anything else needs a decision.

use crate::inspect::finding::{Detail, Finding, FindingId, Severity};
use crate::inspect::listing::Listing;
use crate::inspect::report::{Options, Report, SegmentReport, TailDecision};
use crate::log::error::{Error, Result};
use crate::log::format::{ENTRY_BYTES, LENGTH_BYTES};
use crate::log::lock::DirectoryLock;
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::log::writer::COMMIT_STORE_BYTES;
use crate::scan::account::Doubt;
use crate::scan::cost::EMPTY_ROW;

use super::apply::{ApplyOptions, Save, apply};
use super::plan::Plan;
use super::repair;
use super::{kept, lost};

/// The result of a recovery.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// The plan that was carried out.
    pub plan: Plan,
    /// The report that it was made from.
    pub findings: Vec<Finding>,
    /// The place of the saved bytes; `None` also if the removed bytes held nothing.
    pub saved: Option<std::path::PathBuf>,
}

/// The plan that recovers the end of a log, from a scan of what one commit can have
/// written.
///
/// # Errors
///
/// [`Error::CannotAppend`] if the end of the log is not the result of a crash,
/// [`Error::OffsetsExhausted`] if no record could follow.
pub fn plan(lock: &DirectoryLock, codec: Option<Codec>) -> Result<(Report, Plan)> {
    let options = Options {
        tail_only: true,
        codec,
        ..Options::default()
    };
    let listing = Listing::of_dir(lock.dir())?;
    let mut report = Report::over(listing.clone(), &options)?;
    if report.segments.last().is_some_and(ends_in_empty_records) {
        let tail = TailDecision::Drop;
        report = Report::over(listing, &Options { tail, ..options })?;
    }
    let last = report.segments.last().map(|segment| segment.listing.base());
    if last == Some(Offset::MAX) {
        // No record would follow: an append that is refused changes nothing.
        let last = Offset(Offset::MAX.0 - 1);
        return Err(Error::OffsetsExhausted { last });
    }
    let (plan, afterwards) = repair::plan_foreseen(&report);
    // The records that remain would say that the codec is another one.
    let shown = repair::shown_after(&plan, &report, &afterwards);
    if shown.is_some_and(|then| then.certain && Some(then.codec) != report.codec) {
        return Err(Error::CannotAppend {
            path: lock.path().to_path_buf(),
            why: "only the bytes to be removed show its codec".to_owned(),
        });
    }
    let completes = kept::completes_entries(&plan, &report.listing.directory)?;
    for finding in &report.findings {
        // Entries on their way to the disk that did not arrive, or not completely.
        let is_completed = finding.id == FindingId::IndexEntryDamaged && completes;
        if finding.severity != Severity::Note && !is_completed && !may_be_a_crash(&report, finding)
        {
            return Err(Error::CannotAppend {
                path: lock.path().to_path_buf(),
                why: match &finding.offsets {
                    Some(offsets) => format!("{} at offsets {offsets}", finding.id),
                    None => finding.id.to_string(),
                },
            });
        }
    }
    if let Some(left) = plan.left.iter().find(|left| is_about_the_end(left)) {
        return Err(Error::CannotAppend {
            path: lock.path().to_path_buf(),
            why: left.id.to_string(),
        });
    }
    if let Some(lost) = lost::of(&plan, &report).first() {
        return Err(Error::CannotAppend {
            path: lock.path().to_path_buf(),
            why: format!("acknowledged records are lost: offsets {}", lost.range),
        });
    }
    Ok((report, plan))
}

/// Recovers the end of a log. What it removes is saved, unless that holds nothing.
///
/// # Errors
///
/// As [`plan()`] and [`apply`].
pub fn recover(
    lock: &DirectoryLock,
    codec: Option<Codec>,
    mut options: ApplyOptions<'_>,
) -> Result<Recovered> {
    let (report, plan) = plan(lock, codec)?;
    if kept::loses_nothing(&plan, &report.listing.directory)? {
        options.save = Save::Nowhere;
    }
    let saved = apply(&plan, lock, &options)?;
    Ok(Recovered {
        plan,
        findings: report.findings,
        saved,
    })
}

/// Whether a segment ends in zeros as an interrupted append of empty records leaves them:
/// frames that no entry names, so that none was acknowledged.
fn ends_in_empty_records(segment: &SegmentReport) -> bool {
    let zeros = segment.facts.as_ref().map_or(0, |it| it.tail().zero_bytes);
    // Their entries may be there in part.
    let is_unused = unused_entries(segment) <= zeros / LENGTH_BYTES;
    segment.account.as_ref().is_some_and(|account| {
        account.doubts == [Doubt::ZerosOrRecord] && is_unused && zeros <= EMPTY_ROW * LENGTH_BYTES
    })
}

/// Unused entries that are no service's padding, beside those of frames that continue the
/// log: the first entries that an interrupted append wrote may be there in part.
const UNUSED_MAX: u64 = 16;

/// Unused entries at the end of a segment's index: an append of ours leaves no more of them
/// than it was writing.
fn unused_entries(segment: &SegmentReport) -> u64 {
    let padding = segment.account.as_ref().and_then(|it| it.padding);
    padding.map_or(0, |(_, bytes)| bytes / ENTRY_BYTES)
}

/// Whether a crash of a writer leaves this, and recovery may repair it.
fn may_be_a_crash(report: &Report, finding: &Finding) -> bool {
    let active = report.segments.last();
    match finding.id {
        FindingId::IndexPadded | FindingId::IndexPartialEntry => true,
        FindingId::IndexEntryDamaged => matches!(
            finding.detail,
            Detail::Entry {
                record_whole: true,
                unfinished: true
            }
        ),
        // A roll that was interrupted: one empty file without its twin. The names become
        // durable beside the first frames.
        FindingId::IndexMissing => {
            active
                .and_then(|segment| segment.lone_store())
                .is_some_and(|tail| {
                    tail.bytes == tail.zero_bytes || (tail.unfinished && tail.frames == 0)
                })
        }
        FindingId::StoreMissing => active.and_then(SegmentReport::lone_index) == Some(0),
        FindingId::StoreTornTail | FindingId::StoreZeroTail | FindingId::StoreUnindexedTail => {
            active
                .and_then(|segment| Some((segment, segment.facts.as_ref()?)))
                .is_some_and(|(segment, facts)| {
                    let tail = facts.tail();
                    if tail.unfinished {
                        // A service that was started on it may have written after it.
                        return unused_entries(segment) <= tail.continuing + UNUSED_MAX;
                    }
                    let last_begins = match (tail.torn_bytes, tail.frames) {
                        (0, 0) => tail.bytes,
                        (0, _) => tail.last_frame_position - tail.position,
                        _ => tail.torn_position.saturating_sub(tail.position),
                    };
                    last_begins.min(tail.bytes) <= COMMIT_STORE_BYTES
                        || tail.continuing_end == facts.store_bytes
                })
        }
        // Findings elsewhere do not prevent an append; verify reports them.
        _ => !is_about_the_end(finding),
    }
}

fn is_about_the_end(finding: &Finding) -> bool {
    finding.id != FindingId::IndexFull && !finding.id.is_about_names()
}
