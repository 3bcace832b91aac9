//! Two copies of one log, compared by offset, whatever the boundaries of their segments
//! and the framing of their codecs: ranges of offsets at which they are equal, differ,
//! or only one can say something.
//!
//! Both logs are inspected first, as verify does; then the records that are intact in both are compared:
//! large pieces of the stores as bytes, and record by record (`records`) where these are
//! not the same. The files as they are, byte by byte, are for `files`.

pub mod files;
mod records;

use std::ops::ControlFlow;
use std::sync::Arc;

use super::coverage::{self, State, Stretch, stretches};
use super::finding::{FindingId, OffsetRange};
use super::report::Report;
use super::rounds;
use crate::log::error::{Error, Result};
use crate::log::record::Codec;
use crate::log::segment::{Segment, is_absent};
use crate::log::threads;
use crate::log::units::Offset;
use crate::log::walk::Flow;
pub use records::{Difference, Spot, What};

/// Bytes of a store that are compared as one piece of work.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;

/// Records that one piece of work has at most.
const PIECE_RECORDS: u64 = 64 * 1024;

/// One of the two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that was named first.
    A,
    /// The other one.
    B,
}

/// The relation of two logs at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same value; and, where both are protobuf, term and type.
    Equal,
    /// Two records that are not the same.
    Differs,
    /// The other log does not have this offset.
    Only(Side),
    /// Damage, on both sides where `side` is `None`: whether they are equal cannot be
    /// said. The other side may be valid, damaged or without the offset.
    Damaged {
        /// Where.
        side: Option<Side>,
        /// The id of the finding (in A, if both are damaged).
        id: FindingId,
    },
}

/// Consecutive offsets with the same verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// The offsets, both ends included.
    pub offsets: OffsetRange,
    /// The result there.
    pub verdict: Verdict,
}

/// Number of records of each verdict.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Equal in both.
    pub equal: u64,
    /// In both, and not the same.
    pub differing: u64,
    /// In A only.
    pub only_a: u64,
    /// In B only.
    pub only_b: u64,
    /// Damaged in one of them or in both.
    pub damaged: u64,
    /// The first offset at which two records differ.
    pub first: Option<Difference>,
}

impl Tally {
    /// Whether nothing but equal records was found.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differing == 0 && self.only_a == 0 && self.only_b == 0 && self.damaged == 0
    }

    fn count(&mut self, range: Compared) {
        let sum = match range.verdict {
            Verdict::Equal => &mut self.equal,
            Verdict::Differs => &mut self.differing,
            Verdict::Only(Side::A) => &mut self.only_a,
            Verdict::Only(Side::B) => &mut self.only_b,
            Verdict::Damaged { .. } => &mut self.damaged,
        };
        *sum = sum.saturating_add(range.offsets.records());
    }
}

/// Compares two logs and hands over every range, in the order of the offsets; ranges
/// that meet and have the same verdict are one. Both logs are taken as they were when
/// their reports were made.
///
/// # Errors
///
/// The callback's, and reading's; unreadable bytes are damage.
///
/// # Examples
///
/// ```no_run
/// use std::ops::ControlFlow;
///
/// use proglog::inspect::compare::{EVERYTHING, Verdict, compare};
/// use proglog::inspect::report::{Options, Report};
/// use proglog::log::error::Error;
///
/// let a = Report::of("log".as_ref(), &Options::default())?;
/// let b = Report::of("copy".as_ref(), &Options::default())?;
/// let tally = compare(&a, &b, EVERYTHING, |range| {
///     if range.verdict != Verdict::Equal {
///         println!("{} {:?}", range.offsets, range.verdict);
///     }
///     Ok::<_, Error>(ControlFlow::Continue(()))
/// })?;
/// assert!(tally.is_equal());
/// # Ok::<(), Error>(())
/// ```
pub fn compare<E: From<Error>>(
    a: &Report,
    b: &Report,
    within: OffsetRange,
    mut each: impl FnMut(Compared) -> std::result::Result<Flow, E>,
) -> std::result::Result<Tally, E> {
    let threads = threads::number(a.options.threads);
    let mut tally = Tally::default();
    let mut pending: Option<Compared> = None;
    let pieces = Pieces::new(a, b, within);
    let flow = rounds::in_rounds(pieces, threads, do_piece, |answer: Answer| {
        if tally.first.is_none() {
            tally.first = answer.first;
        }
        for range in answer.ranges {
            tally.count(range);
            match &mut pending {
                Some(last) if follows(*last, range) => last.offsets.last = range.offsets.last,
                _ => {
                    let told = pending.replace(range);
                    if let Some(told) = told
                        && each(told)?.is_break()
                    {
                        pending = None;
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok::<_, E>(ControlFlow::Continue(()))
    })?;
    if let Some(last) = pending.filter(|_| flow.is_continue()) {
        let _ = each(last)?;
    }
    Ok(tally)
}

/// All offsets that there are.
pub const EVERYTHING: OffsetRange = OffsetRange {
    first: Offset(0),
    last: Offset::MAX,
};

fn follows(last: Compared, range: Compared) -> bool {
    last.verdict == range.verdict && last.offsets.last.checked_add(1) == Some(range.offsets.first)
}

/// The result of a piece of work.
#[derive(Debug, Default)]
struct Answer {
    ranges: Vec<Compared>,
    first: Option<Difference>,
}

/// One segment of each log, open, and what its records are.
#[derive(Debug)]
struct Pair {
    a: Opened,
    b: Opened,
}

/// A segment that is compared.
#[derive(Debug)]
struct Opened {
    segment: Segment,
    codec: Codec,
    entries: u64,
    /// The store's name.
    store: String,
}

/// A piece of work.
enum Piece {
    /// The verdicts that the reports imply.
    Told(Compared),
    /// Offsets that are valid in both; whether frames are adjacent in both.
    Both {
        pair: Arc<Pair>,
        offsets: OffsetRange,
        contiguous: bool,
    },
    /// Offsets that neither log has any more.
    Nothing,
    /// A segment that could not be opened.
    Failed(std::sync::Mutex<Option<Error>>),
}

fn do_piece(piece: &Piece) -> Result<Answer> {
    match piece {
        Piece::Told(range) => Ok(Answer {
            ranges: vec![*range],
            first: None,
        }),
        Piece::Both {
            pair,
            offsets,
            contiguous,
        } => {
            let (a, b) = (&pair.a, &pair.b);
            // The same bytes hold the same frames; unreferenced bytes in them, or another
            // codec, need a comparison of records.
            if *contiguous && a.codec == b.codec && records::same_bytes(a, b, *offsets)? {
                return Ok(Answer {
                    ranges: vec![Compared {
                        offsets: *offsets,
                        verdict: Verdict::Equal,
                    }],
                    first: None,
                });
            }
            let (ranges, first) = records::compare(a, b, *offsets)?;
            Ok(Answer { ranges, first })
        }
        Piece::Nothing => Ok(Answer::default()),
        Piece::Failed(error) => {
            let error = error.lock().ok().and_then(|mut error| error.take());
            error.map_or_else(|| Ok(Answer::default()), Err)
        }
    }
}

/// Cuts what two logs claim into pieces of work, in the order of the offsets.
struct Pieces<'a> {
    reports: [&'a Report; 2],
    stretches: [Vec<Stretch>; 2],
    at: [usize; 2],
    next: Option<Offset>,
    last: Offset,
    /// The pair that was opened last, and the numbers of its segments.
    open: Option<([usize; 2], Arc<Pair>)>,
    /// The remaining part of a range that is valid in both.
    rest: Option<([usize; 2], OffsetRange)>,
}

impl<'a> Pieces<'a> {
    fn new(a: &'a Report, b: &'a Report, within: OffsetRange) -> Self {
        Self {
            reports: [a, b],
            stretches: [stretches(a), stretches(b)],
            at: [0, 0],
            next: Some(within.first),
            last: within.last,
            open: None,
            rest: None,
        }
    }

    /// The next range of offsets over which both sides stay the same, and its content.
    fn range(&mut self) -> Option<(OffsetRange, [Option<State>; 2])> {
        loop {
            let next = self.next.filter(|next| *next <= self.last)?;
            let mut last = self.last;
            let mut states = [None, None];
            for ((list, at), state) in self.stretches.iter().zip(&mut self.at).zip(&mut states) {
                while list.get(*at).is_some_and(|it| it.offsets.last < next) {
                    *at += 1;
                }
                match list.get(*at) {
                    Some(it) if it.offsets.first <= next => {
                        *state = Some(it.state);
                        last = last.min(it.offsets.last);
                    }
                    Some(it) => last = last.min(Offset(it.offsets.first.0 - 1)),
                    None => {}
                }
            }
            self.next = last.checked_add(1);
            if states != [None, None] {
                return Some((OffsetRange { first: next, last }, states));
            }
        }
    }

    fn pair(&mut self, segments: [usize; 2]) -> Result<Arc<Pair>> {
        if let Some((open, pair)) = &self.open
            && *open == segments
        {
            return Ok(Arc::clone(pair));
        }
        let [a, b] = self.reports;
        let [of_a, of_b] = segments;
        let pair = Arc::new(Pair {
            a: open(a, of_a)?,
            b: open(b, of_b)?,
        });
        self.open = Some((segments, Arc::clone(&pair)));
        Ok(pair)
    }

    /// A range of which one side's segment was removed since it was inspected.
    fn removed(&self, segments: [usize; 2], offsets: OffsetRange) -> Piece {
        let [there_a, there_b] =
            [0, 1].map(|side| match (self.reports.get(side), segments.get(side)) {
                (Some(report), Some(segment)) => open(report, *segment).is_ok(),
                _ => false,
            });
        let verdict = match (there_a, there_b) {
            (true, _) => Verdict::Only(Side::A),
            (_, true) => Verdict::Only(Side::B),
            (false, false) => return Piece::Nothing,
        };
        Piece::Told(Compared { offsets, verdict })
    }

    /// The next piece of a range that is valid in both.
    fn piece(&mut self, segments: [usize; 2], offsets: OffsetRange) -> Piece {
        let pair = match self.pair(segments) {
            Ok(pair) => pair,
            // Removed since the scan: by a trim, say.
            Err(error) if is_absent(&error) => return self.removed(segments, offsets),
            Err(error) => return Piece::Failed(std::sync::Mutex::new(Some(error))),
        };
        let records = piece_records(&pair.a.segment, pair.a.entries);
        let last = offsets.first.saturating_add(records - 1).min(offsets.last);
        if let Some(first) = last.checked_add(1).filter(|first| *first <= offsets.last) {
            let last = offsets.last;
            self.rest = Some((segments, OffsetRange { first, last }));
        }
        let offsets = OffsetRange {
            first: offsets.first,
            last,
        };
        let facts = self.reports.iter().zip(segments).map(|(report, segment)| {
            let segment = report.segments.get(segment)?;
            segment.facts.as_ref()
        });
        let contiguous = facts.into_iter().all(|facts| {
            facts.is_some_and(|facts| {
                let slot = |offset: Offset| offset.since(facts.base);
                coverage::is_contiguous(facts, slot(offsets.first), slot(offsets.last))
            })
        });
        Piece::Both {
            pair,
            offsets,
            contiguous,
        }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if let Some((segments, offsets)) = self.rest.take() {
            return Some(self.piece(segments, offsets));
        }
        let (offsets, states) = self.range()?;
        let verdict = match states {
            [
                Some(State::Sound { segment: a }),
                Some(State::Sound { segment: b }),
            ] => {
                return Some(self.piece([a, b], offsets));
            }
            [Some(State::Damaged { id }), Some(State::Damaged { .. })] => {
                Verdict::Damaged { side: None, id }
            }
            [Some(State::Damaged { id }), _] => Verdict::Damaged {
                side: Some(Side::A),
                id,
            },
            [_, Some(State::Damaged { id })] => Verdict::Damaged {
                side: Some(Side::B),
                id,
            },
            [Some(State::Sound { .. }), None] => Verdict::Only(Side::A),
            [None, _] => Verdict::Only(Side::B),
        };
        Some(Piece::Told(Compared { offsets, verdict }))
    }
}

/// Number of records of a segment in a piece of work.
fn piece_records(segment: &Segment, entries: u64) -> u64 {
    let each = segment.store.file_bytes / entries.max(1);
    (PIECE_BYTES / each.max(1)).clamp(1, PIECE_RECORDS)
}

fn open(report: &Report, segment: usize) -> Result<Opened> {
    let segment = report.segments.get(segment);
    let found = segment.and_then(|segment| Some((segment, segment.facts.as_ref()?)));
    let Some((segment, facts)) = found else {
        let path = report.listing.path().to_path_buf();
        return Err(Error::Missing { path });
    };
    Ok(Opened {
        segment: coverage::open(report, segment)?,
        codec: report.codec.unwrap_or(Codec::Raw),
        entries: facts.entries,
        store: coverage::store_name(segment),
    })
}
