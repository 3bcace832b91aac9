//! Frames of a store that are not records of the log: refused appends, frames without
//! entries because an index was cut or a neighbor lost, a second history after the first.
//! `salvage` finds them and decides where they belong.

use std::sync::Arc;

use super::pieces::Pieces;
use super::{Stray, Why};
use crate::inspect::report::{Report, SegmentReport};
use crate::inspect::resync::{encoded_at, record_frame_at};
use crate::inspect::scan::SegmentFacts;
use crate::log::error::Result;
use crate::log::format::{FileKind, LENGTH_BYTES};
use crate::log::record::Codec;
use crate::log::units::{Offset, Position};
use crate::log::walk::record_in;
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};
use crate::mend::ranges::Ranges;
use crate::mend::runs::holdings;
use crate::mend::runs::run::{Run, StoreFile};
use crate::scan::account::Unreferenced;
use crate::scan::unfinished;

/// Bytes of one store that are searched for records that nothing points to.
const SEARCH_MAX: u64 = 256 * 1024 * 1024;

/// Whether a store has frames, and none of them has an offset of its segment.
#[must_use]
pub fn is_another_store(segment: &SegmentReport) -> bool {
    let account = segment.account.as_ref();
    account.is_some_and(|account| account.end_slot == 0)
}

/// The bytes of these runs, all of one store, which are records already.
#[must_use]
pub fn named(runs: &[Run]) -> Ranges {
    Ranges::of(runs.iter().map(|run| (run.position, run.end)))
}

/// The intact frames of a segment's store outside of `named`, which is in the order of
/// the file, as these are. Each stray is a series of adjacent frames with consecutive
/// offsets, or without offsets.
///
/// # Errors
///
/// Reading's; unreadable bytes are passed over.
pub fn of(
    report: &Report,
    segment: &SegmentReport,
    named: impl Iterator<Item = (u64, u64)>,
) -> Result<Pieces<Stray>> {
    let path = report
        .listing
        .directory
        .file(&segment.listing.names, FileKind::Store);
    let facts = segment.facts.as_ref();
    let tail = segment
        .lone_store()
        .copied()
        .or(facts.map(SegmentFacts::tail));
    let Some(tail) = tail else {
        return Ok(Pieces::default());
    };
    let mut store = ReadFile::open(&path)?;
    let limit = facts.map_or(tail.bytes, |facts| facts.store_bytes);
    store.file_bytes = store.file_bytes.min(limit);
    let mut scan = Scan {
        zeros_from: store.zeros_from()?,
        window: Window::new(store, STREAM_BYTES),
        // A store without a record of this segment may be another segment's.
        base: if is_another_store(segment) {
            Offset(0)
        } else {
            segment.listing.base()
        },
        fuel: SEARCH_MAX,
        file: Arc::new(StoreFile {
            path,
            segment: segment.listing.base(),
        }),
        found: Pieces::default(),
    };
    if report.codec == Some(Codec::Protobuf) {
        let mut at = 0;
        for (from, to) in named {
            scan.search(at, from)?;
            at = at.max(to);
        }
        let end = if tail.unfinished {
            tail.torn_position.min(limit)
        } else {
            limit
        };
        scan.search(at, end)?;
        return Ok(scan.found);
    }
    // Only its place after the previous one distinguishes a raw frame from other bytes: at the
    // end, or between records, where the account has found it.
    let between = segment.account.iter().flat_map(|it| &it.unreferenced);
    let between = between.filter(|it| it.kind == Unreferenced::Unnumbered);
    let between = between.map(|it| (it.position, it.frames));
    let between = between.take_while(|(position, _)| *position < tail.frames_position);
    let mut named = named.peekable();
    for (mut at, frames) in between.chain([(tail.frames_position, tail.frames)]) {
        for _ in 0..frames {
            let Some(Position(end)) = scan.window.frame_end_at(at)? else {
                break;
            };
            while named.next_if(|(_, to)| *to <= at).is_some() {}
            let is_named = named.peek().is_some_and(|(from, _)| *from <= at);
            if !is_named && at < scan.zeros_from {
                scan.add(at, end, None)?;
            }
            at = end;
        }
    }
    Ok(scan.found)
}

/// The records of another history in one segment: each has an offset that a record before
/// it has too.
///
/// # Errors
///
/// Reading's.
pub fn second_history(report: &Report, segment: &SegmentReport) -> Result<Vec<Run>> {
    let Some(account) = segment
        .account
        .as_ref()
        .filter(|it| !it.contested.is_empty())
    else {
        return Ok(Vec::new());
    };
    let path = report
        .listing
        .directory
        .file(&segment.listing.names, FileKind::Store);
    let mut window = Window::new(ReadFile::open(&path)?, LOOKUP_BYTES);
    let file = Arc::new(StoreFile {
        path,
        segment: segment.listing.base(),
    });
    let mut runs = Vec::new();
    for contested in &account.contested {
        let position = contested.position.0;
        let Some(Position(end)) = window.frame_end_at(position)? else {
            continue;
        };
        if contested.offset < Offset::MAX && window.is_readable(position, end)? {
            holdings::push(
                &mut runs,
                Run {
                    store: Arc::clone(&file),
                    first: contested.offset.0,
                    next: contested.offset.0 + 1,
                    position,
                    end,
                },
            );
        }
    }
    Ok(runs)
}

/// A store that is searched.
struct Scan {
    window: Window,
    base: Offset,
    /// Bytes that may still be searched.
    fuel: u64,
    /// Zeros from here to the end.
    zeros_from: u64,
    file: Arc<StoreFile>,
    found: Pieces<Stray>,
}

impl Scan {
    /// Finds the intact records between two places.
    fn search(&mut self, from: u64, to: u64) -> Result<()> {
        let to = to.min(self.zeros_from);
        let (mut at, mut follows, mut data_end) = (from, true, from);
        while at < to && self.fuel > 0 {
            if at >= data_end {
                // A hole contains no record, except the beginning of its length.
                let Some(data) = self.window.data_from(at) else {
                    break;
                };
                data_end = data.end;
                let start = data.start.saturating_sub(LENGTH_BYTES);
                follows &= start <= at;
                at = at.max(start);
                continue;
            }
            if let Some((end, carries)) = self.record_at(at, to, follows)? {
                self.add(at, end, Some(carries))?;
                (at, follows) = (end, true);
            } else if follows && unfinished::is_marked(&mut self.window, at)? {
                break;
            } else {
                self.fuel = self.fuel.saturating_sub(1);
                (at, follows) = (at + 1, false);
            }
        }
        Ok(())
    }

    fn add(&mut self, position: u64, end: u64, carries: Option<u64>) -> Result<()> {
        if !self.window.is_readable(position, end)? {
            return Ok(());
        }
        // After the highest offset there is no next one: a frame with it claims nothing.
        let carries = carries.filter(|carries| *carries < u64::MAX);
        if let Some(Stray { run, claims, .. }) = self.found.last_mut()
            && run.end == position
            && claims.then_some(run.next) == carries
        {
            run.end = end;
            run.next += 1;
            return Ok(());
        }
        let first = carries.unwrap_or(0);
        self.found.push(Stray {
            run: Run {
                store: Arc::clone(&self.file),
                first,
                next: first + 1,
                position,
                end,
            },
            claims: carries.is_some(),
            why: Why::Orphan,
        });
        Ok(())
    }

    /// The end of the record's frame at `at` and its offset. If no frame is known to
    /// begin there it must be, byte for byte, the output of an encoder.
    fn record_at(&mut self, at: u64, limit: u64, follows: bool) -> Result<Option<(u64, u64)>> {
        let found = if follows {
            let start = at + LENGTH_BYTES;
            match record_frame_at(&mut self.window, at, limit)? {
                Some(end) => record_in(&mut self.window, start, end - start)?
                    .map(|record| (end, record.offset)),
                None => None,
            }
        } else {
            encoded_at(&mut self.window, at, limit, &mut self.fuel)?
                .map(|(end, offset)| (end, offset.0))
        };
        Ok(found.filter(|(_, carries)| *carries >= self.base.0))
    }
}
