//! The start of a read that continues, and its end if known: the requested range, the
//! last records of it, the cursor.

use proglog::log::reader::LogReader;
use proglog::log::units::Offset;

use super::select::{self, Range};
use super::{Arguments, Outcome};
use crate::commands::offsets::{Place, Resolved};
use crate::commands::{Globals, say};

/// The start.
pub enum Begin {
    /// At `from`, up to `last` included.
    At {
        /// The first offset.
        from: Offset,
        /// The last one, if any.
        last: Option<Offset>,
    },
    /// There is nothing to read.
    Nothing(Outcome),
}

/// The part of a log to read. `cursor` is the offset in a cursor file.
pub fn begin(
    log: &mut LogReader,
    arguments: &Arguments,
    globals: Globals,
    cursor: Option<Offset>,
) -> anyhow::Result<Begin> {
    let follows = arguments.going_on.follows();
    let (next, lowest) = (log.next_offset()?, log.lowest_offset());
    let mut asked = arguments.selected.span().resolve(next)?;
    if let Some(at) = cursor {
        asked.from = Some(i128::from(at.0));
        if asked.to.is_some_and(|to| to < i128::from(at.0)) {
            return Ok(Begin::Nothing(Outcome::Done));
        }
    }
    if let Some(outcome) = before_the_log(asked, arguments, lowest) {
        return Ok(Begin::Nothing(outcome));
    }
    let range = Range::within(asked, lowest);
    if asked.from.is_some_and(|from| from < i128::from(lowest.0)) && !globals.quiet {
        say(&format!("note: the log begins at offset {lowest}"));
    }
    if arguments.count == Some(0) || (arguments.tail == Some(0) && !follows) {
        return Ok(Begin::Nothing(Outcome::Done));
    }
    let mut from = range.from;
    if let Some(records) = arguments.tail {
        from = select::tail(log, range, records)?;
    }
    if follows {
        return Ok(Begin::At {
            from,
            last: range.last,
        });
    }
    if from > next {
        return Ok(Begin::Nothing(not_yet(from, next)));
    }
    // The end is fixed now, so that a busy log ends too.
    let end = range.end(log.claimed_end()?);
    Ok(match end.0.checked_sub(1).map(Offset) {
        Some(last) if last >= from => Begin::At {
            from,
            last: Some(last),
        },
        _ => Begin::Nothing(Outcome::Done),
    })
}

/// The error if all requested records are before the log.
pub fn before_the_log(asked: Resolved, arguments: &Arguments, lowest: Offset) -> Option<Outcome> {
    let to = asked.to.filter(|to| *to < i128::from(lowest.0))?;
    Some(Outcome::No(match arguments.selected.span().to {
        Some(Place::FromEnd(back)) => {
            format!("offset -{back} from the end is before the log, which begins at {lowest}")
        }
        _ => format!("offset {to} is no longer in the log, which begins at {lowest}"),
    }))
}

/// The answer where the first offset is not there yet.
pub fn not_yet(from: Offset, next: Offset) -> Outcome {
    Outcome::No(format!(
        "offset {from} is not in the log yet: the next offset is {next}"
    ))
}
