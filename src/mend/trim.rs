//! The plans of `trim`: segments from the front, records from the back. Each leaves
//! a log without a gap, wherever a crash interrupts it.

use super::plan::{Plan, Step};
use crate::inspect::check_directory::claimed_records;
use crate::inspect::report::{Report, SegmentReport};
use crate::log::directory::Directory;
use crate::log::error::{Error, Result};
use crate::log::format::{ENTRY_BYTES, FileKind, LENGTH_BYTES, frame_end};
use crate::log::index::Index;
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::units::Offset;
use crate::log::window::LOOKUP_BYTES;
use crate::scan::layouts;

/// The part that remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Segments with records from this offset on; never less than the last one with a store.
    From(Offset),
    /// Records up to this offset, which stays too.
    UpTo(Offset),
    /// The last segments whose files have at most this many bytes; at least one, and those
    /// with records from the first one's base on.
    Bytes(u64),
    /// This many of the last segments that have a store; at least one, and those with records
    /// from the first one's base on.
    Segments(u64),
}

/// The plan that keeps the given part, over a report that inspected names and sizes.
///
/// # Errors
///
/// [`Error::Config`] for an offset that the log does not have,
/// [`Error::CannotAppend`] where the record to keep is damaged,
/// [`Error::ForeignLayout`] where no segment to remove shows a record, [`Error::Io`].
pub fn plan(report: &Report, keep: Keep) -> Result<Plan> {
    let segments = &report.segments;
    let mut plan = Plan::over(report);
    let first_of = |kept: usize| {
        let first = segments.len().saturating_sub(kept.max(1));
        segments.get(first).map(|first| first.listing.base())
    };
    let from = match keep {
        Keep::From(offset) => Some(offset),
        Keep::Bytes(bytes) => {
            let mut left = bytes;
            let fits = |segment: &&SegmentReport| {
                let rest = left.checked_sub(file_bytes(segment));
                left = rest.unwrap_or(0);
                rest.is_some()
            };
            first_of(segments.iter().rev().take_while(fits).count())
        }
        Keep::Segments(count) => {
            let mut left = count;
            let counts = |segment: &&SegmentReport| {
                let is_kept = left > 0;
                left = left.saturating_sub(u64::from(segment.listing.has_store()));
                is_kept
            };
            first_of(segments.iter().rev().take_while(counts).count())
        }
        Keep::UpTo(offset) => {
            drop_after(report, offset, &mut plan)?;
            return Ok(plan);
        }
    };
    // An older segment of a fork may have records that are not older than those that stay.
    let mut dropped = 0;
    // Never the last one that has a store.
    let last = segments.iter().rposition(|it| it.listing.has_store());
    for pair in segments.windows(2).take(last.unwrap_or(0)) {
        let [segment, next] = pair else { break };
        let ends_before = |from| Ok(next.listing.base() <= from && reach(report, segment)? <= from);
        if !from.map_or(Ok(false), ends_before)? {
            break;
        }
        dropped += 1;
    }
    let removed = segments.iter().take(dropped);
    layouts::require_record(
        &report.listing.directory,
        removed.clone().map(|segment| &segment.listing.names),
    )?;
    // Front to back, the index first: a store alone can be given its index again.
    for segment in removed {
        move_away(segment, [FileKind::Index, FileKind::Store], &mut plan);
    }
    Ok(plan)
}

/// The offset after the last one that a segment claims. Where it may claim those of the
/// next segment, its index is searched for entries after padding.
fn reach(report: &Report, segment: &SegmentReport) -> Result<Offset> {
    let (listing, directory) = (&segment.listing, &report.listing.directory);
    let base = listing.base();
    let mut claimed = claimed_records(segment, report.codec);
    let room = directory.next_base(base).map(|next| next.since(base));
    let slots = listing
        .index
        .as_ref()
        .map_or(0, |it| it.bytes / ENTRY_BYTES);
    if room.is_some_and(|room| slots > room) && listing.is_readable_pair() {
        let path = directory.file(&listing.names, FileKind::Index);
        claimed = claimed.max(Index::open(&path, LOOKUP_BYTES)?.named_end()?);
    }
    Ok(base.saturating_add(claimed))
}

fn file_bytes(segment: &SegmentReport) -> u64 {
    let bytes = |file: &Option<crate::inspect::listing::FileFacts>| {
        file.as_ref().map_or(0, |file| file.bytes)
    };
    bytes(&segment.listing.store) + bytes(&segment.listing.index)
}

fn move_away(segment: &SegmentReport, kinds: [FileKind; 2], plan: &mut Plan) {
    for kind in kinds {
        if let Some(file) = segment.listing.file(kind) {
            plan.steps.push(Step::MoveAway {
                base: segment.listing.base(),
                kind,
                bytes: file.bytes,
            });
        }
    }
}

/// Removes the records above `last`, from the back: segments first, so that no
/// crash leaves a gap.
fn drop_after(report: &Report, last: Offset, plan: &mut Plan) -> Result<()> {
    if last < report.lowest_offset() {
        return Err(Error::Config(format!(
            "offset {last} is not in the log, which begins at {}",
            report.lowest_offset()
        )));
    }
    // Half a segment has no records, but may claim offsets.
    let whole_ones = report
        .segments
        .last()
        .is_some_and(|it| it.listing.base() > last);
    // Records that no index names count: a repair would bring them back.
    let mut end = report.next_offset();
    for segment in &report.segments {
        end = end.max(reach(report, segment)?);
    }
    if last >= end && !whole_ones {
        return Ok(());
    }
    let Some(next) = last.checked_add(1) else {
        return Ok(());
    };
    let mut ended = false;
    for segment in report.segments.iter().rev() {
        let base = segment.listing.base();
        if ended && reach(report, segment)? <= next {
            continue;
        }
        if base > next {
            move_away(segment, [FileKind::Index, FileKind::Store], plan);
            continue;
        }
        if base == next {
            // Stays as the empty active segment, so that no full one is active.
            cut(segment, 0, 0, plan);
            continue;
        }
        let (entries, store_end) = end_of(report, segment, last)?;
        cut(segment, entries, store_end, plan);
        // An older segment of a fork may have records above it too.
        ended = true;
    }
    Ok(())
}

fn cut(segment: &SegmentReport, entries: u64, store_end: u64, plan: &mut Plan) {
    let base = segment.listing.base();
    let ends = [
        (FileKind::Index, entries * ENTRY_BYTES),
        (FileKind::Store, store_end),
    ];
    for (kind, to) in ends {
        if let Some(file) = segment.listing.file(kind)
            && file.bytes > to
        {
            plan.steps.push(Step::Cut {
                base,
                kind,
                from: file.bytes,
                to,
            });
        }
    }
}

/// Entries and store bytes of a segment that ends with the record at `last`.
fn end_of(report: &Report, segment: &SegmentReport, last: Offset) -> Result<(u64, u64)> {
    let directory: &Directory = &report.listing.directory;
    let damaged = |why: &str| Error::CannotAppend {
        path: directory.path.clone(),
        why: format!("offset {last}: {why}"),
    };
    if segment.by_account || !segment.listing.is_readable_pair() {
        return Err(damaged("the index does not name all records"));
    }
    let pair = Segment::open(directory, &segment.listing.names)?;
    let slot = last.since(pair.base);
    let codec = report.codec.unwrap_or(Codec::Raw);
    if slot >= pair.entries_for(slot, codec)? {
        return Err(damaged("it has no entry"));
    }
    let mut walk = pair.walk(codec, slot + 1, LOOKUP_BYTES);
    let entry = walk.index().entry(slot)?;
    if u64::from(entry.relative.0) != slot {
        return Err(damaged("its entry is damaged"));
    }
    let limit = pair.store.file_bytes;
    if entry.position.0.saturating_add(LENGTH_BYTES) > limit {
        return Err(damaged("its frame is not in the store"));
    }
    let payload_bytes = walk.store().length_at(entry.position.0)?;
    let Some(end) = frame_end(entry.position, payload_bytes, limit) else {
        return Err(damaged("its frame is incomplete"));
    };
    // A damaged entry or length must not cut other records, or a part of this one.
    let mut neighbor = |slot: u64| -> Result<Option<u64>> {
        let entry = walk.index().entry(slot)?;
        Ok((u64::from(entry.relative.0) == slot).then_some(entry.position.0))
    };
    if let Some(before) = slot.checked_sub(1)
        && let Some(before) = neighbor(before)?
        && before.saturating_add(LENGTH_BYTES) > entry.position.0
    {
        return Err(damaged("its entry is damaged"));
    }
    let has_next = pair.entries_for(slot + 1, codec)? > slot + 1;
    match if has_next { neighbor(slot + 1)? } else { None } {
        Some(next) if next < end.0 => Err(damaged("its length or the next entry is damaged")),
        // Bytes that no record has may be in between.
        Some(next) => Ok((slot + 1, next.min(limit))),
        None => Ok((slot + 1, end.0)),
    }
}
