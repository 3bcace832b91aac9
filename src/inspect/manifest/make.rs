//! Computes the digests of a log: of the records that were committed and intact when its
//! report was made.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use super::{Gathered, RUN_BYTES, RUN_RECORDS, Run, SegmentDigest, Summary, add_frames, open};
use crate::inspect::coverage::{self, State, stretches};
use crate::inspect::finding::{FindingId, OffsetRange, Severity};
use crate::inspect::report::{Report, SegmentReport};
use crate::inspect::rounds;
use crate::log::error::{Error, Result};
use crate::log::segment::{Segment, is_absent};
use crate::log::threads;
use crate::log::units::Offset;

/// Blocks of [`RUN_RECORDS`] offsets that are one piece of work.
const PIECE_BLOCKS: u64 = 16;

/// The parts of a manifest, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A run of records.
    Run(Run),
    /// The segment whose runs came last.
    Segment(SegmentDigest),
    /// A run that the disk does not give back: no part of the manifest.
    Unreadable(OffsetRange),
}

/// Whether damage of a log removes records from its manifest, or hides some: then the
/// manifest does not describe the intended content. A known gap does neither.
#[must_use]
pub fn is_damaged(report: &Report) -> bool {
    report.findings.iter().any(|finding| {
        finding.severity == Severity::Error
            && finding.id != FindingId::SegmentGap
            && !finding.may_be_buffered()
    })
}

/// Takes all digests of a log, several at once, and hands them over in order.
///
/// # Errors
///
/// The callback's, and reading's.
pub fn make<E: From<Error>>(
    report: &Report,
    mut each: impl FnMut(Part) -> std::result::Result<(), E>,
) -> std::result::Result<Summary, E> {
    let mut all = Gathered::default();
    let mut segments = 0;
    let mut open: Option<(Offset, Gathered)> = None;
    let pieces = Pieces::new(report);
    let threads = threads::number(report.options.threads);
    let mut damaged = is_damaged(report);
    let _ = rounds::in_rounds(pieces, threads, Piece::runs, |runs: Vec<Taken>| {
        for run in runs {
            let run = match run {
                Ok(run) => run,
                Err(offsets) => {
                    damaged = true;
                    each(Part::Unreadable(offsets))?;
                    continue;
                }
            };
            if let Some((segment, gathered)) = open.take_if(|(it, _)| *it != run.segment) {
                segments += 1;
                each(closed(segment, &gathered))?;
            }
            each(Part::Run(run))?;
            all.add(&run);
            let (_, gathered) = open.get_or_insert_with(|| (run.segment, Gathered::default()));
            gathered.add(&run);
        }
        Ok::<_, E>(ControlFlow::Continue(()))
    })?;
    if let Some((segment, gathered)) = open {
        segments += 1;
        each(closed(segment, &gathered))?;
    }
    Ok(Summary {
        segments,
        runs: all.runs,
        records: all.records,
        bytes: all.bytes,
        damaged,
        digest: all.digest(),
    })
}

fn closed(segment: Offset, gathered: &Gathered) -> Part {
    let (first, last) = (segment, segment);
    let offsets = gathered.offsets.unwrap_or(OffsetRange { first, last });
    Part::Segment(SegmentDigest {
        segment,
        offsets,
        records: gathered.records,
        bytes: gathered.bytes,
        digest: gathered.digest(),
    })
}

/// A run, or the offsets of one that the disk does not give back.
type Taken = std::result::Result<Run, OffsetRange>;

/// Some blocks of one segment, all valid.
struct Piece<'a> {
    segment: std::result::Result<Arc<(&'a SegmentReport, Segment)>, Mutex<Option<Error>>>,
    offsets: OffsetRange,
}

impl Piece<'_> {
    fn runs(&self) -> Result<Vec<Taken>> {
        let open = match &self.segment {
            Ok(open) => open,
            Err(error) => {
                let error = error.lock().ok().and_then(|mut error| error.take());
                // Records removed since the scan have no digest.
                let error = error.filter(|error| !is_absent(error));
                return error.map_or_else(|| Ok(Vec::new()), Err);
            }
        };
        let (report, segment) = (open.0, &open.1);
        let mut runs = Vec::new();
        let mut first = Some(self.offsets.first);
        while let Some(from) = first.filter(|first| *first <= self.offsets.last) {
            // To the next multiple, or to the byte limit.
            let last = Offset(from.0 | (RUN_RECORDS - 1)).min(self.offsets.last);
            let offsets = match cut(segment, from, last) {
                Ok(last) => OffsetRange { first: from, last },
                Err(Error::Unreadable { .. }) => OffsetRange { first: from, last },
                Err(error) => return Err(error),
            };
            runs.push(match take(report, segment, offsets) {
                Ok(run) => Ok(run),
                Err(Error::Unreadable { .. }) => Err(offsets),
                Err(error) => return Err(error),
            });
            first = offsets.last.checked_add(1);
        }
        Ok(runs)
    }
}

fn take(report: &SegmentReport, segment: &Segment, offsets: OffsetRange) -> Result<Run> {
    let slot = |offset: Offset| offset.since(segment.base);
    let slots = (slot(offsets.first), slot(offsets.last));
    let mut hasher = blake3::Hasher::new();
    let bytes = add_frames(&mut hasher, report, segment, slots)?;
    Ok(Run {
        segment: segment.base,
        offsets,
        bytes,
        digest: *hasher.finalize().as_bytes(),
    })
}

/// The last offset of the run that begins at `first`: the one whose frame reaches the
/// limit, or `last`.
fn cut(segment: &Segment, first: Offset, last: Offset) -> Result<Offset> {
    let slot = first.since(segment.base);
    let count = usize::try_from(last.since(first)).unwrap_or(0);
    if count == 0 {
        return Ok(last);
    }
    let mut index = segment.entries(0);
    let start = index.entry(slot)?.position.0;
    // The start of each following frame: the one before ends there at the latest.
    let next = index.entries(slot + 1, count)?.iter();
    let full = next
        .map(crate::log::format::Entry::decode)
        .position(|entry| entry.position.0.saturating_sub(start) >= RUN_BYTES);
    Ok(full.map_or(last, |records| first.saturating_add(records as u64)))
}

/// Divides the valid records of a log into pieces of work.
struct Pieces<'a> {
    report: &'a Report,
    stretches: std::vec::IntoIter<coverage::Stretch>,
    open: Option<(usize, Arc<(&'a SegmentReport, Segment)>)>,
    rest: Option<(usize, OffsetRange)>,
}

impl<'a> Pieces<'a> {
    fn new(report: &'a Report) -> Self {
        Self {
            report,
            stretches: stretches(report).into_iter(),
            open: None,
            rest: None,
        }
    }

    fn segment(&mut self, number: usize) -> Result<Arc<(&'a SegmentReport, Segment)>> {
        if let Some((open, segment)) = &self.open
            && *open == number
        {
            return Ok(Arc::clone(segment));
        }
        let segment = Arc::new(open(self.report, number)?);
        self.open = Some((number, Arc::clone(&segment)));
        Ok(segment)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (number, offsets) = match self.rest.take() {
            Some(rest) => rest,
            None => self.stretches.find_map(|stretch| match stretch.state {
                State::Sound { segment } => Some((segment, stretch.offsets)),
                State::Damaged { .. } => None,
            })?,
        };
        let whole = Offset(offsets.first.0 | (PIECE_BLOCKS * RUN_RECORDS - 1));
        let last = whole.min(offsets.last);
        if let Some(first) = last.checked_add(1).filter(|first| *first <= offsets.last) {
            let last = offsets.last;
            self.rest = Some((number, OffsetRange { first, last }));
        }
        let first = offsets.first;
        Some(Piece {
            segment: self
                .segment(number)
                .map_err(|error| Mutex::new(Some(error))),
            offsets: OffsetRange { first, last },
        })
    }
}
