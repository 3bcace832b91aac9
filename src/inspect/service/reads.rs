//! The results of the service for every offset that it claims, in runs.

use std::io;

use super::compare::routes;
use super::facts::Facts;
use super::limits::ServiceConfig;
use super::open::{GoLog, GoSegment};
use super::read::Answer;
use super::{limits, loaded};
use crate::inspect::finding::OffsetRange;
use crate::log::units::Offset;

/// Runs that are kept of each kind; beyond them offsets are only counted.
pub const RUNS_MAX: usize = 1024;

/// Offsets in runs, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Runs {
    /// The first `RUNS_MAX` runs.
    pub runs: Vec<OffsetRange>,
    /// Number of offsets.
    pub offsets: u64,
}

impl Runs {
    /// Whether it does not exist.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets == 0
    }

    fn add(&mut self, range: OffsetRange) {
        self.offsets = self.offsets.saturating_add(range.records());
        if let Some(last) = self.runs.last_mut()
            && last.last.checked_add(1) == Some(range.first)
        {
            last.last = range.last;
        } else if self.runs.len() < RUNS_MAX {
            self.runs.push(range);
        }
    }
}

/// The results of the service for the offsets that it claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reads {
    /// A record with this offset.
    pub own: Runs,
    /// A record with another offset.
    pub foreign: Runs,
    /// An error.
    pub errors: Runs,
    /// Of the errors, those after making room for a length that the store does not
    /// hold, which kills a service that has not so much memory.
    pub too_long: Runs,
    /// The end of the process.
    pub panics: Runs,
    /// The first answer that is neither a record nor a plain end of file.
    pub worst: Option<(Offset, Answer)>,
}

/// Reads every offset that the service claims, as its `Read` does it. Empty where it
/// does not start. Memory: bounded.
///
/// # Errors
///
/// When the directory, a file's size or an index cannot be read. An unreadable place
/// in a store is an error for the service too, and counts as one.
pub fn reads<F: Facts>(facts: F, config: &ServiceConfig) -> io::Result<Reads> {
    let all = OffsetRange {
        first: Offset(0),
        last: Offset::MAX,
    };
    reads_of(facts, config, &[all])
}

/// The same for some offsets only, given as ascending ranges.
///
/// # Errors
///
/// As [`reads`].
pub fn reads_of<F: Facts>(
    facts: F,
    config: &ServiceConfig,
    wanted: &[OffsetRange],
) -> io::Result<Reads> {
    let config = ServiceConfig {
        max_store_bytes: limits::or_default(config.max_store_bytes),
        max_index_bytes: limits::or_default(config.max_index_bytes),
        ..*config
    };
    let opening = GoLog::open(facts, config)?;
    let mut reads = Reads::default();
    if opening.stopped.is_some() {
        return Ok(reads);
    }
    let mut log = opening.log;
    let loaded = loaded(&log);
    for route in routes(&loaded).0 {
        // Of twins, the first that claims the run; the others never come to answer.
        let from = log.segments.partition_point(|s| s.base < route.base.0);
        let claims = |s: &&GoSegment| s.base == route.base.0 && s.next > route.range.last.0;
        let segments = log.segments.get(from..).unwrap_or_default();
        if let Some(segment) = segments.iter().find(claims).cloned() {
            for wanted in wanted {
                let range = OffsetRange {
                    first: route.range.first.max(wanted.first),
                    last: route.range.last.min(wanted.last),
                };
                if range.first <= range.last {
                    reads.walk(&mut log, &segment, range)?;
                }
            }
        }
    }
    Ok(reads)
}

impl Reads {
    fn walk<F: Facts>(
        &mut self,
        log: &mut GoLog<F>,
        segment: &GoSegment,
        range: OffsetRange,
    ) -> io::Result<()> {
        // Past the entries every answer is the same: a wrong relative offset in the last
        // entry can claim 2^32 of them.
        let entries_end = segment.base.saturating_add(segment.entries());
        let mut offset = range.first;
        while offset.0 < entries_end && offset <= range.last {
            let answer = log.read_in(segment, offset.0)?;
            self.count(offset, &answer);
            let Some(next) = offset.checked_add(1) else {
                return Ok(());
            };
            offset = next;
        }
        if offset <= range.last {
            self.errors.add(OffsetRange {
                first: offset,
                last: range.last,
            });
        }
        Ok(())
    }

    fn count(&mut self, offset: Offset, answer: &Answer) {
        let one = OffsetRange {
            first: offset,
            last: offset,
        };
        match answer {
            Answer::Record { carries, .. } if *carries == offset => self.own.add(one),
            Answer::Record { .. } => self.foreign.add(one),
            Answer::Error(_) => self.errors.add(one),
            Answer::TooLong { .. } => {
                self.errors.add(one);
                self.too_long.add(one);
            }
            Answer::Panics(_) => self.panics.add(one),
        }
        let plain = matches!(answer, Answer::Record { .. } | Answer::Error("EOF"));
        if !plain && self.worst.is_none() {
            self.worst = Some((offset, answer.clone()));
        }
    }
}
