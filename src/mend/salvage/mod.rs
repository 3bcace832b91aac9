//! The salvageable content of a damaged log, as a value: every record that is valid, at
//! its offset, and the frames that have no place. Nothing is written here; the source is
//! only read.

pub mod orphans;
pub mod pieces;
mod places;
pub mod write;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::inspect::finding::OffsetRange;
use crate::inspect::listing::Listing;
use crate::inspect::report::{Options, Report, SegmentReport};
use crate::inspect::usage::Usage;
use crate::log::dir::Links;
use crate::log::error::{Error, Result, reason};
use crate::log::format::{FileKind, SEGMENT_ENTRIES_MAX};
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::mend::ranges;
use crate::mend::repair;
use crate::mend::runs::holdings;
use crate::mend::runs::run::Run;
use pieces::Pieces;
use places::{Found, Work};

/// Which side of a fork stays at its offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefer {
    /// The segment that begins first: the records from before the crash.
    Old,
    /// The one that begins last: what came after the restart.
    New,
}

/// Why frames have no place in the new log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// No entry names them, and nothing says that they are records.
    Orphan,
    /// The same records are in the new log, from another place.
    Duplicate,
    /// Other records have these offsets in the new log.
    Fork,
}

impl Why {
    /// The word in text and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orphan => "orphan",
            Self::Duplicate => "duplicate",
            Self::Fork => "fork",
        }
    }
}

/// Frames for the side log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Their segment; its offsets are those that they claim.
    pub run: Run,
    /// Whether they claim any: a raw orphan does not.
    pub claims: bool,
    /// Why they are here.
    pub why: Why,
}

/// A segment of the new log. Units: bytes of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSegment {
    /// Its base offset.
    pub base: Offset,
    /// Number of placed runs of its own.
    pub runs: usize,
    /// Number of records in them.
    pub records: u64,
    /// Number of bytes of their frames.
    pub bytes: u64,
}

/// The salvageable content.
#[derive(Debug, Clone)]
pub struct Salvage {
    /// The names and sizes in the source.
    pub listing: Listing,
    /// The processes that have it open.
    pub usage: Usage,
    /// The codec that its records show.
    pub found_codec: Option<Codec>,
    /// The new log's segments, in order.
    pub segments: Vec<NewSegment>,
    /// The runs that are its records, in order: each segment's after the one before.
    pub placed: Pieces<Run>,
    /// The frames for the side log, in the order of segments and positions.
    pub side: Pieces<Stray>,
    /// Offsets that the source claims and of which nothing is valid.
    pub lost: Vec<OffsetRange>,
    /// Files that cannot be opened, and why not.
    pub unopened: Vec<(PathBuf, String)>,
    /// Stores in another program's layout, which are left out, and the layout.
    pub foreign: Vec<(PathBuf, String)>,
    /// Offsets of which two sides of a fork have different records; a choice is needed
    /// unless it was made.
    pub forked: Vec<OffsetRange>,
    /// Offsets that are left out: their records are empty, or were other ones.
    pub undecided: Vec<Offset>,
}

impl Salvage {
    /// The codec of both logs.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.found_codec.unwrap_or(Codec::Raw)
    }

    /// Number of records of the new log.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// Number of records for the side log.
    #[must_use]
    pub fn side_records(&self) -> u64 {
        self.side.iter().map(|stray| stray.run.records()).sum()
    }
}

/// Inspects the log in `source` and decides what goes where. Of a fork the older side
/// stays if nothing is said.
///
/// # Errors
///
/// As [`Report::of`], [`Error::ForeignLayout`]; a file that cannot be opened is not an
/// error.
pub fn plan(source: &Path, prefer: Option<Prefer>, options: &Options) -> Result<Salvage> {
    let mut listing = Listing::of(source)?;
    let unopened = leave_out_unopened(&mut listing);
    // A second scan would list them again.
    let settles = options.ask_usage && unopened.is_empty();
    let once = Options {
        ask_usage: settles,
        ..*options
    };
    let mut report = Report::over(listing, &once)?;
    if options.ask_usage && !settles {
        report.usage = Usage::of(&report.listing.directory);
    }
    report.require_any_ours()?;
    let alone = repair::plan(&report);
    // Not needed any more, and there may be very many.
    report.findings = Vec::new();
    let mut work = Work::new(&report);
    let mut strays = Vec::new();
    let mut order: Vec<&SegmentReport> = report.segments.iter().collect();
    if prefer == Some(Prefer::New) {
        order.reverse();
    }
    for segment in order {
        let runs = holdings::of_segment(&report, segment, &alone)?;
        let second = orphans::second_history(&report, segment)?;
        let found = found(&report, segment, &runs, &second)?;
        if !found.is_empty() {
            strays.push(found);
        }
        // Newer than the previous one, older than the next segment. Records that a repair
        // would index again are there already.
        let mut histories = [runs, second];
        if prefer == Some(Prefer::New) {
            histories.reverse();
        }
        for history in histories {
            work.resolve(history.into())?;
        }
    }
    strays.sort_by_key(Found::segment);
    for found in strays {
        work.place_orphans(found)?;
    }
    let Work {
        placed,
        side,
        forked,
        ..
    } = work;
    Ok(Salvage {
        found_codec: report.codec,
        segments: segments(&report, &placed),
        lost: lost(&report, &placed),
        placed,
        side: in_order(side),
        unopened,
        foreign: report.foreign().filter_map(layout_in).collect(),
        forked,
        undecided: report
            .segments
            .iter()
            .filter_map(holdings::undecided)
            .map(|it| it.0)
            .collect(),
        listing: report.listing,
        usage: report.usage,
    })
}

/// The frames of a segment's store that are in neither of its histories.
fn found(report: &Report, segment: &SegmentReport, runs: &[Run], second: &[Run]) -> Result<Found> {
    // In the order of slots; that of positions is the same but for damage.
    let mut by_position = Cow::Borrowed(runs);
    if !runs.is_sorted_by_key(|run| run.position) {
        by_position.to_mut().sort_by_key(|run| run.position);
    }
    let of_second = orphans::named(second);
    let of_runs = by_position.iter().map(|run| (run.position, run.end));
    let named = ranges::merged(of_runs, of_second.iter().copied());
    let found = orphans::of(report, segment, named)?;
    Ok(Found::of(report, segment, &by_position, found))
}

/// The strays in the order of segments and positions.
fn in_order(side: Pieces<Stray>) -> Pieces<Stray> {
    let place = |stray: &Stray| (stray.run.store.segment, stray.run.position);
    if side.iter().is_sorted_by_key(place) {
        return side;
    }
    let mut side: Vec<Stray> = side.into_iter().collect();
    side.sort_by_key(place);
    side.into()
}

/// Takes the files that cannot be opened out of a listing, as if they were not there.
fn leave_out_unopened(listing: &mut Listing) -> Vec<(PathBuf, String)> {
    let mut unopened = Vec::new();
    for at in 0..listing.segments.len() {
        for kind in [FileKind::Store, FileKind::Index] {
            let Some(segment) = listing.segments.get_mut(at) else {
                continue;
            };
            let Some(file) = segment.file(kind) else {
                continue;
            };
            let path = listing.directory.file(&segment.names, kind);
            if file.no_file.is_some() {
                unopened.push((path.to_path_buf(), "is not a regular file".to_owned()));
                continue;
            }
            let Err(error) = path.open(Links::Followed) else {
                continue;
            };
            unopened.push((path.to_path_buf(), reason(&error)));
            let segment = Arc::make_mut(segment);
            match kind {
                FileKind::Store => segment.store = None,
                FileKind::Index => segment.index = None,
            }
            segment.names.remove(kind);
            if let Some(names) = listing.directory.segments.get_mut(at) {
                *names = segment.names.clone();
            }
        }
    }
    unopened
}

fn layout_in(error: Error) -> Option<(PathBuf, String)> {
    match error {
        Error::ForeignLayout { path, layout } => Some((path, layout)),
        _ => None,
    }
}

fn range(first: u64, next: u64) -> OffsetRange {
    OffsetRange {
        first: Offset(first),
        last: Offset(next.saturating_sub(1)),
    }
}

/// The segments of the new log: those of the source, and one more after each gap.
fn segments(report: &Report, placed: &Pieces<Run>) -> Vec<NewSegment> {
    let empty = |base| NewSegment {
        base,
        runs: 0,
        records: 0,
        bytes: 0,
    };
    let mut segments: Vec<NewSegment> = Vec::new();
    let mut before: Option<&Run> = None;
    for run in placed.iter() {
        let goes_on = before.is_some_and(|before| {
            before.next == run.first && before.store.segment == run.store.segment
        });
        let records = segments.last().map_or(0, |segment| segment.records);
        let room = records.saturating_add(run.records()) <= SEGMENT_ENTRIES_MAX;
        if !goes_on || !room {
            segments.push(empty(Offset(run.first)));
        }
        if let Some(segment) = segments.last_mut() {
            segment.runs += 1;
            segment.records += run.records();
            segment.bytes += run.end - run.position;
        }
        before = Some(run);
    }
    // The active segment, though nothing is in it yet.
    let end = placed.last().map_or(0, |run| run.next);
    if let Some(last) = report.segments.last().map(|last| last.listing.base())
        && (segments.is_empty() || last.0 >= end)
    {
        segments.push(empty(last));
    }
    segments
}

/// The offsets that the source claims and the new log does not have.
fn lost(report: &Report, placed: &Pieces<Run>) -> Vec<OffsetRange> {
    let mut claimed: Vec<(u64, u64)> = Vec::new();
    for (at, segment) in report.segments.iter().enumerate() {
        let base = segment.listing.base();
        let next = report
            .segments
            .get(at + 1)
            .map(|next| next.listing.base().0);
        let end = base.saturating_add(holdings::claimed(segment)).0;
        // Up to the next segment all of it was there once.
        claimed.push((base.0, next.unwrap_or(end)));
    }
    let end = claimed.iter().map(|(_, end)| *end).max().unwrap_or(0);
    let mut at = claimed.first().map_or(0, |(first, _)| *first);
    let mut lost = Vec::new();
    for run in placed.iter() {
        if at < run.first {
            lost.push(range(at, run.first));
        }
        at = at.max(run.next);
    }
    if at < end {
        lost.push(range(at, end));
    }
    lost
}

/// An error for a log that needs a choice.
///
/// # Errors
///
/// [`Error::CannotAppend`] with the offsets.
pub fn require_choice(salvage: &Salvage, prefer: Option<Prefer>) -> Result<()> {
    match salvage.forked.first() {
        Some(first) if prefer.is_none() => Err(Error::CannotAppend {
            path: salvage.listing.path().to_path_buf(),
            why: format!("the two sides of a fork have different records at offsets {first}"),
        }),
        _ => Ok(()),
    }
}
