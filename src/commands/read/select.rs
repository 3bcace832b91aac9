//! Which records of a log `read` selects: the requested range or the position of a cursor,
//! the part of it that the log has, and where the first or the last records of it begin or
//! end.

use std::ops::ControlFlow;

use proglog::log::reader::{Item, LogReader};
use proglog::log::units::Offset;
use proglog::log::walk::Flow;

use super::range::{OnError, Range};
use super::search::Search;
use super::{Arguments, Outcome, unwrapped};
use crate::commands::{Globals, say};
use crate::render::field::WriteError;

/// The part of a log to read.
pub enum Selection {
    /// The records of a range. A search has its matches in `matching`, and its context in
    /// all of `read`.
    Records { read: Range, matching: Range },
    /// There is nothing to read.
    Nothing(Outcome),
}

/// Selects what to read. `cursor` is the offset in a cursor file.
pub fn select(
    log: &mut LogReader,
    arguments: &Arguments,
    globals: Globals,
    search: Option<&Search>,
    cursor: Option<Offset>,
) -> anyhow::Result<Selection> {
    let (next, lowest) = (log.next_offset()?, log.lowest_offset());
    let mut asked = arguments.selected.span().resolve(next)?;
    if let Some(at) = cursor {
        asked.from = Some(i128::from(at.0));
        if asked.to.is_some_and(|to| to < i128::from(at.0)) {
            return Ok(Selection::Nothing(Outcome::Done));
        }
    }
    if let Err(before) = arguments.selected.span().check_end(asked.to, lowest) {
        return Ok(Selection::Nothing(Outcome::No(before.message)));
    }
    let range = Range::within(asked, lowest);
    if asked.from.is_some_and(|from| from < i128::from(lowest.0)) && !globals.quiet {
        say(&format!("note: the log begins at offset {lowest}"));
    }
    let follows = arguments.going_on.follows();
    if arguments.count == Some(0) || (arguments.tail == Some(0) && !follows) {
        return Ok(Selection::Nothing(Outcome::Done));
    }
    let mut matching = range;
    if let Some(records) = arguments.tail {
        matching.from = tail(log, range, records, search)?;
    }
    if let (Some(records), true) = (arguments.count, arguments.reverse) {
        let skip = arguments.on_error == OnError::Skip;
        matching.last = head(log, matching, records, skip, search)?;
    }
    let reach = search.map_or(0, Search::reach);
    Ok(Selection::Records {
        read: matching.widened(reach, range),
        matching,
    })
}

/// The offset of the first of the last `records` intact records of a range that match.
fn tail(
    log: &mut LogReader,
    range: Range,
    records: u64,
    search: Option<&Search>,
) -> anyhow::Result<Offset> {
    let next = log.next_offset()?;
    let mut begin = range.end(next).max(range.from);
    let mut missing = records;
    let mut step = 0_u64;
    while missing > 0 && begin > range.from {
        // Each offset is a record as a rule; where many are not, larger steps.
        step = missing.max(step.saturating_mul(2));
        let low = Offset(begin.0.saturating_sub(step)).max(range.from);
        let found = count(log, low, begin, search)?;
        if found > missing {
            return nth(log, low, begin, found - missing, search);
        }
        missing -= found;
        begin = low;
    }
    Ok(begin)
}

/// The last of the first `records` offsets of a range, or, where damage is skipped or records
/// are searched, of its first `records` records that match.
fn head(
    log: &mut LogReader,
    range: Range,
    records: u64,
    skip: bool,
    search: Option<&Search>,
) -> anyhow::Result<Option<Offset>> {
    let last = if skip || search.is_some() {
        let next = log.next_offset()?;
        nth(log, range.from, range.end(next), records, search)?
    } else {
        range.from.saturating_add(records)
    };
    let last = Offset(last.0.saturating_sub(1));
    Ok(Some(range.last.map_or(last, |asked| asked.min(last))))
}

/// Number of records that match.
fn count(
    log: &mut LogReader,
    from: Offset,
    end: Offset,
    search: Option<&Search>,
) -> anyhow::Result<u64> {
    let mut records = 0;
    each_match(log, from, end, search, |_| {
        records += 1;
        ControlFlow::Continue(())
    })?;
    Ok(records)
}

/// The offset of the match after `records` others; `end` where it does not exist.
fn nth(
    log: &mut LogReader,
    from: Offset,
    end: Offset,
    records: u64,
    search: Option<&Search>,
) -> anyhow::Result<Offset> {
    let (mut left, mut found) = (records, end);
    each_match(log, from, end, search, |offset| {
        if left == 0 {
            found = offset;
            return ControlFlow::Break(());
        }
        left -= 1;
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn each_match(
    log: &mut LogReader,
    from: Offset,
    end: Offset,
    search: Option<&Search>,
    mut each: impl FnMut(Offset) -> Flow,
) -> anyhow::Result<()> {
    let read = log.read::<WriteError>(from, end, |item| match item {
        Item::Record(record) if search.map_or(Ok(true), |it| it.is_match(record))? => {
            Ok(each(record.offset))
        }
        _ => Ok(ControlFlow::Continue(())),
    });
    read.map(drop).map_err(unwrapped)
}
