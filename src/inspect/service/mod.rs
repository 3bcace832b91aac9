//! A model of the Go service of *Distributed Services with Go*: for a directory, the
//! segments it would load, the offsets it would report, the records it would hide and
//! serve, and the result of its next appends.
//!
//! `open`, `read` and `append` follow the Go code step by step on a directory whose
//! changed parts are in memory (`planned`); here its result is compared with the content
//! of the log. Nothing on disk is touched. The caller must know that the log belongs to
//! the service (protobuf, not raw).
//!
//! [`model`] inspects each file's size and at each index's last entry: O(segments).
//! [`reads()`] inspects every record that the service would serve.

mod append;
mod compare;
mod facts;
mod limits;
mod open;
mod payload;
mod planned;
mod read;
mod reads;

use std::collections::BTreeSet;
use std::io;

pub use append::{Append, Outcome, ReadBack, Roll, RollKind};
pub use facts::{DirFacts, Facts, FileFact};
pub use limits::{BOOK_LIMIT_BYTES, Edition, Given, ServiceConfig, Source, Sources, assume};
pub use open::Failure;
pub use planned::Planned;
pub use read::Answer;
pub use reads::{RUNS_MAX, Reads, Runs, reads, reads_of};

use self::compare::{Numbers, compare, pads_on_close, routes};
use self::open::{GoLog, Stopped};
use super::finding::OffsetRange;
use crate::log::format::{ENTRY_BYTES, parse_name};
use crate::log::units::Offset;

/// A run of records that a segment holds: the committed ones, and those that a repair
/// would adopt, where the caller wants these to count as hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The segment's base offset.
    pub base: Offset,
    /// The records' offsets.
    pub range: OffsetRange,
    /// Whether the segment's files bear the names that the service would open, without
    /// leading zeros.
    pub plain_names: bool,
}

/// A segment that the service loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// Its base offset.
    pub base: Offset,
    /// Complete entries that the service takes the index to hold, padding and all.
    pub entries: u64,
    /// The next offset according to the service. Below the base past 2^64 - 1: Go wraps.
    pub next: Offset,
    /// The size that it takes the index to have, which is what its close cuts it to.
    pub index_bytes: u64,
    /// Whether an earlier one has the same base: a twin on the same two files.
    pub twin: bool,
}

/// Offsets that the service answers from one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The segment's base offset.
    pub base: Offset,
    /// The offsets; not each of them needs to be readable.
    pub range: OffsetRange,
}

/// Offsets that a segment claims though an earlier one with another base answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Double {
    /// The base of the segment that is never asked.
    pub shadowed: Offset,
    /// The offsets.
    pub range: OffsetRange,
}

/// Records of one segment that the service would not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// The base of the segment that holds them.
    pub base: Offset,
    /// Their offsets. The service may serve other records under them.
    pub range: OffsetRange,
}

/// Why the service does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFailure {
    /// The segment that it was about to load.
    pub base: Offset,
    /// Why; the segments before it stay stretched.
    pub why: Failure,
    /// Records whose entries it has cut off by then.
    pub destroys: Vec<OffsetRange>,
}

/// The view of the service on a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceView {
    /// The configuration it was modelled with.
    pub config: ServiceConfig,
    /// The segments, in the order in which it loads them; the last one is active.
    pub segments: Vec<Loaded>,
    /// Bases of segments that it does not open.
    pub skipped: Vec<Offset>,
    /// Files that it creates on open.
    pub creates: Vec<String>,
    /// Bases of indexes that its clean close leaves longer than it found them.
    pub pads_on_close: Vec<Offset>,
    /// Why it does not start; then it reports nothing, and hides everything.
    pub failure: Option<OpenFailure>,
    /// The lowest offset that it reports.
    pub lowest: Option<Offset>,
    /// The highest offset that it reports; 0 for an empty log too.
    pub highest: Option<Offset>,
    /// Which segment answers which offsets, ascending.
    pub routes: Vec<Route>,
    /// Offsets that two segments claim.
    pub doubles: Vec<Double>,
    /// Records of the log that it would not serve.
    pub hidden: Vec<Hidden>,
    /// Number of records of the log that it would serve.
    pub visible_records: u64,
    /// Number of records of the log that it would not serve.
    pub hidden_records: u64,
    /// Its next two appends; empty if it does not start.
    pub appends: Vec<Append>,
}

/// Appends that are modelled. The later edition may refuse one and then continue; the
/// first edition may take one and then refuse every other.
const APPENDS: usize = 2;

impl ServiceView {
    /// The segment that answers for `offset`, or `None` where it is out of range.
    #[must_use]
    pub fn served_by(&self, offset: Offset) -> Option<Offset> {
        let at = self.routes.partition_point(|r| r.range.last < offset);
        let route = self.routes.get(at)?;
        (route.range.first <= offset).then_some(route.base)
    }

    /// Its next append, or `None` if the service does not start.
    #[must_use]
    pub fn next_append(&self) -> Option<&Append> {
        self.appends.first()
    }

    /// Whether it starts, serves every record of the log, each from its own segment, and
    /// takes appends that can be read back.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let sound = |append: &Append| {
            let rolls = [&append.rolls_before, &append.rolls_after];
            matches!(append.outcome, Outcome::Works { .. })
                && append.read_back == Some(ReadBack::Itself)
                && rolls
                    .into_iter()
                    .flatten()
                    .all(|roll| roll.kind == RollKind::AtTheEnd && roll.failure.is_none())
        };
        self.failure.is_none()
            && self.hidden.is_empty()
            && self.doubles.is_empty()
            && self.appends.iter().all(sound)
    }
}

/// The view of the service on the directory, given the records in the log.
///
/// Memory: O(segments + `held`).
///
/// # Errors
///
/// When the directory, a file's size or an index's last entry cannot be read.
pub fn model<F: Facts>(
    mut facts: F,
    config: &ServiceConfig,
    held: &[Held],
) -> io::Result<ServiceView> {
    let config = ServiceConfig {
        max_store_bytes: limits::or_default(config.max_store_bytes),
        max_index_bytes: limits::or_default(config.max_index_bytes),
        ..*config
    };
    let named = named_bases(&mut facts)?;
    let opening = GoLog::open(facts, config)?;
    let mut log = opening.log;
    let opened: Vec<u64> = log.segments.iter().map(|segment| segment.base).collect();
    let stopped_at = opening.stopped.as_ref().map(|stopped| stopped.base);
    let skipped = named
        .into_iter()
        .filter(|base| opened.binary_search(&base.0).is_err())
        .filter(|base| stopped_at.is_none_or(|stop| base.0 < stop))
        .collect();
    let mut view = ServiceView {
        config,
        segments: loaded(&log),
        skipped,
        creates: std::mem::take(&mut log.created),
        pads_on_close: Vec::new(),
        failure: opening
            .stopped
            .map(|stopped| failure(stopped, &config, held)),
        lowest: None,
        highest: None,
        routes: Vec::new(),
        doubles: Vec::new(),
        hidden: Vec::new(),
        visible_records: 0,
        hidden_records: 0,
        appends: Vec::new(),
    };
    if view.failure.is_none() {
        view.pads_on_close = pads_on_close(&view.segments);
        view.lowest = opened.first().copied().map(Offset);
        view.highest = Some(Offset(log.highest()));
        (view.routes, view.doubles) = routes(&view.segments);
    }
    compare(&mut view, held);
    if view.failure.is_none() {
        let taken = Numbers::of(held);
        for _ in 0..APPENDS {
            let append = log.append(&taken)?;
            let after = append.rolls_after.as_ref();
            let failure = after.and_then(|roll| roll.failure.as_ref());
            let died = matches!(append.outcome, Outcome::Panics { .. })
                || failure.is_some_and(Failure::is_panic);
            view.appends.push(append);
            if died {
                break;
            }
        }
    }
    Ok(view)
}

/// The bases of the segments whose names the service would recognize.
fn named_bases<F: Facts>(facts: &mut F) -> io::Result<BTreeSet<Offset>> {
    let names = facts.names()?;
    let segments = names.iter().filter_map(|name| parse_name(name));
    Ok(segments
        .filter(|name| !name.zero_padded)
        .map(|name| name.base)
        .collect())
}

fn loaded<F: Facts>(log: &GoLog<F>) -> Vec<Loaded> {
    let mut before = None;
    let loaded = |segment: &open::GoSegment| {
        let twin = before.replace(segment.base) == Some(segment.base);
        Loaded {
            base: Offset(segment.base),
            entries: segment.entries(),
            next: Offset(segment.next),
            index_bytes: segment.index_bytes,
            twin,
        }
    };
    log.segments.iter().map(loaded).collect()
}

/// Which records the service has cut out of an index when it dies of having cut it.
fn failure(stopped: Stopped, config: &ServiceConfig, held: &[Held]) -> OpenFailure {
    let whole = config.max_index_bytes / ENTRY_BYTES;
    let cut = stopped.index_bytes / ENTRY_BYTES > whole
        && matches!(stopped.why, Failure::PastMapping { .. });
    let first_cut = stopped.base.checked_add(whole).filter(|_| cut);
    let destroyed = |held: &Held| {
        let first = Offset(first_cut?).max(held.range.first);
        let mine = held.base.0 == stopped.base && held.plain_names;
        let range = OffsetRange {
            first,
            last: held.range.last,
        };
        (mine && first <= range.last).then_some(range)
    };
    OpenFailure {
        base: Offset(stopped.base),
        destroys: held.iter().filter_map(destroyed).collect(),
        why: stopped.why,
    }
}

#[cfg(test)]
mod tests;
