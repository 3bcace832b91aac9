//! Scans a log that other processes may be writing, repeatedly until the result is
//! stable: a finding counts if a second scan reports it too. Results of the first scan
//! are reused for segments that did not change.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::finding::{Finding, FindingId, Severity};
use super::listing::{FileFacts, Listing, SegmentListing};
use super::look::Before;
use super::report::{Options, Report};
use super::usage::Usage;
use crate::log::error::Result;
use crate::log::live::{self, PAUSES};
use crate::log::units::Offset;

/// How long something must last between two scans to be a finding.
const PATIENCE: Duration = Duration::from_millis(10);

/// The same for two-step writes of a writer.
const LONG_PATIENCE: Duration = Duration::from_millis(100);

impl Report {
    /// Inspects the log in `path`.
    ///
    /// # Errors
    ///
    /// [`NoDirectory`](crate::log::error::Error::NoDirectory),
    /// [`NotADirectory`](crate::log::error::Error::NotADirectory),
    /// [`NotALog`](crate::log::error::Error::NotALog),
    /// [`Config`](crate::log::error::Error::Config) for a segment that is not there,
    /// [`Io`](crate::log::error::Error::Io).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use proglog::inspect::report::{Options, Report};
    ///
    /// let report = Report::of("data".as_ref(), &Options::default())?;
    /// for finding in &report.findings {
    ///     println!("{} {}", finding.severity, finding.id);
    /// }
    /// # Ok::<(), proglog::log::error::Error>(())
    /// ```
    pub fn of(path: &Path, options: &Options) -> Result<Self> {
        Self::over(Listing::of(path)?, options)
    }

    /// The same of the files in a listing, and of no others.
    ///
    /// # Errors
    ///
    /// As [`Report::of`].
    pub fn over(listing: Listing, options: &Options) -> Result<Self> {
        settled(listing, options)
    }
}

/// Scans until no file shrinks meanwhile, and until the findings are those of the
/// previous scan. A caller that locks the log asks for no usage, and no process
/// interferes.
///
/// # Errors
///
/// As [`Report::of`].
pub(super) fn settled(listing: Listing, options: &Options) -> Result<Report> {
    if !options.ask_usage {
        return Report::once(listing, options, None);
    }
    let dir = listing.directory.dir.clone();
    let mut listing = Some(listing);
    let mut before: Option<Report> = None;
    let mut rested = Duration::ZERO;
    for pause in PAUSES {
        let now = match listing.take() {
            Some(listing) => listing,
            None => Listing::of_dir(&dir)?,
        };
        match look(now, options, before.as_ref()) {
            Err(error) if live::is_disturbed(&error) => {}
            Err(error) => return Err(error),
            Ok(report) => {
                let keys_now = keys(&report);
                let told_twice = before.as_ref().is_some_and(|it| keys(it) == keys_now);
                let patience = if keys_now.iter().any(|(id, ..)| takes_two_steps(*id)) {
                    LONG_PATIENCE
                } else {
                    PATIENCE
                };
                if (told_twice && rested >= patience) || !is_doubtful(&report) {
                    return Ok(report);
                }
                before = Some(report);
            }
        }
        thread::sleep(pause);
        rested = pause;
    }
    let mut last = look(Listing::of_dir(&dir)?, options, before.as_ref())?;
    if let Some(before) = before {
        let told = keys(&before);
        last.findings
            .retain(|finding| !is_trouble(finding) || told.contains(&key(finding)));
    }
    Ok(last)
}

/// Whether a finding is about two things that a writer creates or removes one after the
/// other: the two files of a segment, a frame and its entry.
fn takes_two_steps(id: FindingId) -> bool {
    matches!(
        id,
        FindingId::IndexMissing
            | FindingId::StoreMissing
            | FindingId::SegmentGap
            | FindingId::StoreUnindexedTail
            | FindingId::NeedsDecision
    )
}

/// A scan that reuses earlier results for segments without problems.
fn look(listing: Listing, options: &Options, before: Option<&Report>) -> Result<Report> {
    let Some(report) = before else {
        return Report::once(listing, options, None);
    };
    let troubled = report.findings.iter().filter(|finding| is_trouble(finding));
    let before = Before {
        report,
        changed: troubled.filter_map(|finding| finding.segment).collect(),
    };
    Report::once(listing, options, Some(&before))
}

/// A difference that a live writer explains is not a finding, even if no writer is known: but
/// it explains for an instant only that a store is empty whose index is closed.
fn is_trouble(finding: &Finding) -> bool {
    let is_lasting = finding.use_unknown && finding.id != FindingId::NeedsDecision;
    finding.severity != Severity::Note && !is_lasting
}

/// Whether a report has problems that a second scan may not find.
fn is_doubtful(report: &Report) -> bool {
    let mut troubled = report.findings.iter().filter(|finding| is_trouble(finding));
    let Some(first) = troubled.next() else {
        return false;
    };
    // A writer may have come, or gone, since it was asked after.
    report.usage.in_use != Some(false)
        || Usage::of(&report.listing.directory).in_use != Some(false)
        || std::iter::once(first)
            .chain(troubled)
            .filter_map(|finding| finding.segment)
            .collect::<BTreeSet<Offset>>()
            .into_iter()
            .any(|base| has_changed(report, base))
}

/// Whether a segment's files are other ones than at the beginning of the scan.
fn has_changed(report: &Report, base: Offset) -> bool {
    let listed = report.listing.segment_at(base);
    listed.is_none_or(|listed| {
        let now = Listing::segment(&report.listing.directory.dir, &listed.names);
        differs(listed.store.as_ref(), now.store.as_ref())
            || differs(listed.index.as_ref(), now.index.as_ref())
            || appeared(report, listed)
    })
}

/// Whether a missing file exists now: another process was creating the pair.
fn appeared(report: &Report, segment: &SegmentListing) -> bool {
    use crate::log::format::FileKind::{Index, Store};
    let there = |kind| {
        report
            .listing
            .directory
            .file(&segment.names, kind)
            .is_there()
    };
    !segment.names.is_pair() && there(Store) && there(Index)
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

/// The key that identifies a finding in two scans.
type Key = (FindingId, Option<Offset>, Option<(String, u64)>);

fn keys(report: &Report) -> BTreeSet<Key> {
    let troubled = report.findings.iter().filter(|finding| is_trouble(finding));
    troubled.map(key).collect()
}

fn key(finding: &Finding) -> Key {
    let place = finding.place.as_ref();
    let place = place.map(|place| (place.file.clone(), place.position));
    (finding.id, finding.segment, place)
}
