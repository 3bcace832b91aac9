//! Compares a log with a manifest: the digest of every run with all records present and
//! intact is computed again. Missing records are distinguished: trimmed at the front,
//! gone at the end, damaged or in a gap between, which verify reports anyway.

use std::io::BufRead;
use std::ops::ControlFlow;

use super::line::{ManifestError, Reader, text};
use super::{Run, add_frames, open};
use crate::inspect::coverage::{self, State, Stretch, stretches};
use crate::inspect::finding::{Detail, Figure, Finding, FindingId, OffsetRange, Severity};
use crate::inspect::report::Report;
use crate::inspect::rounds;
use crate::log::error::{Error, Result};
use crate::log::segment::is_absent;
use crate::log::threads;
use crate::log::units::Offset;

/// Runs that are read from the manifest at once.
const PIECE_RUNS: usize = 16;

/// Findings that are kept one by one; what comes beyond is counted.
const FINDINGS_MAX: usize = 20_000;

/// The outcome.
#[derive(Debug, Default)]
pub struct Checked {
    /// Runs that were compared.
    pub runs: u64,
    /// Those of them whose digest is the manifest's.
    pub same: u64,
    /// Records in these.
    pub records: u64,
    /// The last offset up to which every record of the log fits the manifest.
    pub up_to: Option<Offset>,
    /// Records that the manifest has and that were trimmed from the log's front since.
    pub trimmed: u64,
    /// Whether the manifest was read to its end.
    pub whole: bool,
    /// The mismatches, in the order of the offsets.
    pub findings: Vec<Finding>,
}

/// Compares the log of a report with a manifest, several runs at once, in bounded memory.
/// If a manifest turns out unusable, returns the error and no results: it may have been
/// edited from its first line on.
///
/// # Errors
///
/// Reading's of the log.
pub fn check<R: BufRead>(
    report: &Report,
    manifest: &mut Reader<R>,
) -> Result<(Checked, Option<ManifestError>)> {
    let mut checked = Checked::default();
    if let (Some(manifest), Some(log)) = (manifest.header().codec, report.codec)
        && manifest != log
    {
        let error = ManifestError::OtherCodec { manifest, log };
        return Ok((checked, Some(error)));
    }
    let log = Log::of(report);
    let mut failure = None;
    let mut next_fitting = log.lowest;
    let pieces = std::iter::from_fn(|| {
        let mut runs = Vec::new();
        while runs.len() < PIECE_RUNS && failure.is_none() {
            match manifest.next_run() {
                Ok(Some(run)) => runs.push(run),
                Ok(None) => break,
                Err(error) => failure = Some(error),
            }
        }
        (!runs.is_empty()).then_some(runs)
    });
    let threads = threads::number(report.options.threads);
    let _ = rounds::in_rounds(
        pieces,
        threads,
        |runs: &Vec<Run>| log.look_at(runs),
        |answers: Vec<(Run, Answer)>| {
            for (run, answer) in answers {
                checked.add(&log, &run, answer, &mut next_fitting);
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        },
    )?;
    if failure.is_some() {
        return Ok((Checked::default(), failure));
    }
    checked.whole = true;
    Ok((checked, None))
}

/// The outcome for one run.
#[derive(Clone, Copy)]
enum Answer {
    Same,
    /// The positions of its frames in each segment, and their digest.
    Changed(usize, u64, super::Digest),
    /// Some of its records are not there or damaged.
    Apart,
    /// The disk reports an error for these bytes, in which segment.
    Unreadable(usize, u64, u64),
}

/// A log that is compared with a manifest.
struct Log<'a> {
    report: &'a Report,
    stretches: Vec<Stretch>,
    /// The first offset of the log, and the last one that anything claims.
    lowest: Offset,
    last: Option<Offset>,
}

impl<'a> Log<'a> {
    fn of(report: &'a Report) -> Self {
        let stretches = stretches(report);
        Self {
            report,
            lowest: report.lowest_offset(),
            last: stretches.last().map(|stretch| stretch.offsets.last),
            stretches,
        }
    }

    fn look_at(&self, runs: &[Run]) -> Result<Vec<(Run, Answer)>> {
        let mut answers = Vec::new();
        let mut opened = None;
        for run in runs {
            let mut hasher = blake3::Hasher::new();
            let mut next = Some(run.offsets.first);
            let mut begins = None;
            let mut unreadable = None;
            while let Some(first) = next.filter(|next| *next <= run.offsets.last) {
                let Some((number, end)) = self.sound_at(first) else {
                    break;
                };
                let last = end.min(run.offsets.last);
                let known = matches!(&opened, Some((open, _)) if *open == number);
                if !known {
                    opened = match open(self.report, number) {
                        Err(error) if is_absent(&error) => None,
                        other => Some((number, other?)),
                    };
                }
                let Some((_, (segment, files))) = &opened else {
                    break;
                };
                let slots = (first.since(files.base), last.since(files.base));
                match add_frames(&mut hasher, segment, files, slots) {
                    Ok(_) => {}
                    Err(Error::Unreadable {
                        position, bytes, ..
                    }) => {
                        unreadable = Some(Answer::Unreadable(number, position, bytes));
                        break;
                    }
                    Err(error) => return Err(error),
                }
                if begins.is_none() {
                    let (start, _) = coverage::frames_between(files, slots.0, slots.0)?;
                    begins = Some((number, start));
                }
                next = last.checked_add(1);
            }
            let complete = next.is_none_or(|next| next > run.offsets.last);
            let answer = match begins.filter(|_| complete) {
                None => unreadable.unwrap_or(Answer::Apart),
                Some((segment, start)) => {
                    let digest = *hasher.finalize().as_bytes();
                    if digest == run.digest {
                        Answer::Same
                    } else {
                        Answer::Changed(segment, start, digest)
                    }
                }
            };
            answers.push((*run, answer));
        }
        Ok(answers)
    }

    /// The segment in which an offset is intact, and the last offset of which that is so.
    fn sound_at(&self, offset: Offset) -> Option<(usize, Offset)> {
        let at = self
            .stretches
            .partition_point(|stretch| stretch.offsets.last < offset);
        let stretch = self.stretches.get(at)?;
        match stretch.state {
            State::Sound { segment } if stretch.offsets.first <= offset => {
                Some((segment, stretch.offsets.last))
            }
            _ => None,
        }
    }

    /// Whether only a part of the log was inspected, which does not hold these offsets.
    fn is_elsewhere(&self, offsets: OffsetRange) -> bool {
        self.report.options.segment.is_some()
            && (offsets.first < self.lowest || self.last.is_none_or(|last| offsets.last > last))
    }
}

impl Checked {
    fn add(&mut self, log: &Log<'_>, run: &Run, answer: Answer, next_fitting: &mut Offset) {
        let records = run.offsets.records();
        match answer {
            Answer::Same => {
                self.runs += 1;
                self.same += 1;
                self.records = self.records.saturating_add(records);
                // From the log's first record on without a break.
                if run.offsets.first <= *next_fitting || !log.holds_between(*next_fitting, run) {
                    self.up_to = Some(run.offsets.last);
                    *next_fitting = run.offsets.last.saturating_add(1);
                }
            }
            Answer::Changed(segment, start, digest) => {
                self.runs += 1;
                self.found(changed(log, run, segment, start, digest));
            }
            Answer::Unreadable(segment, position, bytes) => {
                self.found(unreadable(log, run, segment, position, bytes));
            }
            Answer::Apart if log.is_elsewhere(run.offsets) => {}
            Answer::Apart => {
                let (first, last) = (run.offsets.first, run.offsets.last);
                if first < log.lowest {
                    let kept = last.0.saturating_add(1).saturating_sub(log.lowest.0);
                    self.trimmed = self.trimmed.saturating_add(records.saturating_sub(kept));
                }
                let end = log.last.map_or(log.lowest, |last| last.saturating_add(1));
                if last >= end && last >= log.lowest {
                    self.found(gone(first.max(end), last, end));
                }
            }
        }
    }

    /// Keeps a finding; one that continues where the last one of its sort ends is part of
    /// it.
    fn found(&mut self, finding: Finding) {
        if let Some(last) = self.findings.last_mut()
            && joins(last, &finding)
        {
            if let (Some(range), Some(more)) = (&mut last.offsets, finding.offsets) {
                range.last = more.last;
                last.records = Some(range.records());
            }
            if let (Some(place), Some(more)) = (&mut last.place, &finding.place) {
                place.bytes = more.position.saturating_add(more.bytes) - place.position;
            }
            // Of several runs there are several digests.
            if last.detail == Detail::None {
                (last.got, last.expected) = (None, None);
            }
        } else if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else if let Some(last) = self.findings.last_mut() {
            match &mut last.detail {
                Detail::Uncounted { places } => *places += 1,
                _ => {
                    *last = Finding::new(FindingId::RecordChanged, Severity::Error)
                        .detail(Detail::Uncounted { places: 2 });
                }
            }
        }
    }
}

impl Log<'_> {
    /// Whether the log has offsets from `first` on that are before a run.
    fn holds_between(&self, first: Offset, run: &Run) -> bool {
        let at = self
            .stretches
            .partition_point(|stretch| stretch.offsets.last < first);
        let next = self.stretches.get(at);
        next.is_some_and(|next| next.offsets.first.max(first) < run.offsets.first)
    }
}

fn joins(last: &Finding, finding: &Finding) -> bool {
    let (Some(before), Some(behind)) = (last.offsets, finding.offsets) else {
        return false;
    };
    let places = match (&last.place, &finding.place) {
        (Some(last), Some(next)) => last.file == next.file && last.position <= next.position,
        (None, None) => true,
        _ => false,
    };
    last.id == finding.id
        && last.segment == finding.segment
        && places
        && last.detail == finding.detail
        && before.last.checked_add(1) == Some(behind.first)
}

fn changed(log: &Log<'_>, run: &Run, segment: usize, start: u64, digest: super::Digest) -> Finding {
    let mut finding = Finding::new(FindingId::RecordChanged, Severity::Error)
        .offsets(run.offsets.first, run.offsets.last);
    if let Some(segment) = log.report.segments.get(segment) {
        let facts = segment.facts.as_ref();
        let within = facts.map_or(run.bytes, |it| it.store_bytes.saturating_sub(start));
        finding = finding.in_segment(segment.listing.base()).at(
            &coverage::store_name(segment),
            start,
            run.bytes.min(within),
        );
    }
    finding.got = Some(Figure::Text(text(digest)));
    finding.expected = Some(Figure::Text(text(run.digest)));
    finding
}

/// A run under which the disk fails.
fn unreadable(log: &Log<'_>, run: &Run, segment: usize, position: u64, bytes: u64) -> Finding {
    let finding = Finding::new(FindingId::StoreUnreadable, Severity::Error)
        .offsets(run.offsets.first, run.offsets.last);
    match log.report.segments.get(segment) {
        None => finding,
        Some(segment) => finding.in_segment(segment.listing.base()).at(
            &coverage::store_name(segment),
            position,
            bytes,
        ),
    }
}

/// Offsets after the log's end.
fn gone(first: Offset, last: Offset, end: Offset) -> Finding {
    Finding::new(FindingId::RecordsMissing, Severity::Error)
        .offsets(first, last)
        .detail(Detail::NotThere { end })
}
