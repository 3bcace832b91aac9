//! Where a read that goes on begins, and where it ends if that is known: the range
//! that was asked for, the last records of it, the cursor.

use std::path::Path;

use proglog::log::reader::LogReader;
use proglog::log::units::Offset;

use super::select::{self, Asked};
use super::{Arguments, Outcome};
use crate::commands::{Failure, Globals, Status, quote, say};

/// Where to begin.
pub enum Begin {
    /// At `from`, up to `last` included.
    At {
        /// The first offset.
        from: Offset,
        /// The last one, if there is one.
        last: Option<Offset>,
    },
    /// There is nothing to read.
    Nothing(Outcome),
}

/// What to read of a log. `cursor` is what a cursor file holds, and which it is.
pub fn begin(
    log: &mut LogReader,
    arguments: &Arguments,
    globals: Globals,
    cursor: Option<(Offset, &Path)>,
) -> anyhow::Result<Begin> {
    let follows = arguments.going_on.follows();
    let (next, lowest) = (log.next_offset()?, log.lowest_offset());
    let mut asked = select::resolve(arguments.from, arguments.to, next)?;
    if let Some((at, path)) = cursor {
        check_cursor(at, path, arguments, lowest, next)?;
        asked.from = Some(i128::from(at.0));
        if asked.to.is_some_and(|to| to < i128::from(at.0)) {
            return Ok(Begin::Nothing(Outcome::Done));
        }
    }
    if let Some(outcome) = before_the_log(&asked, arguments, lowest) {
        return Ok(Begin::Nothing(outcome));
    }
    let range = asked.within(lowest);
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

/// The answer where all that was asked for is before the log.
pub fn before_the_log(asked: &Asked, arguments: &Arguments, lowest: Offset) -> Option<Outcome> {
    let to = asked.to.filter(|to| *to < i128::from(lowest.0))?;
    Some(Outcome::No(match arguments.to {
        Some(select::Place::FromEnd(back)) => {
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

/// A cursor outside the log: what it stands for is gone, or was taken back.
fn check_cursor(
    at: Offset,
    path: &Path,
    arguments: &Arguments,
    lowest: Offset,
    next: Offset,
) -> Result<(), Failure> {
    let file = path.display();
    let log = quote(&arguments.dir);
    let (message, onwards) = if at < lowest {
        let last = lowest.0 - 1;
        let gone = format!(
            "cursor file {file}: offsets {at}..{last} are gone: the log begins at {lowest}"
        );
        (gone, lowest)
    } else if at > next {
        let last = at.0 - 1;
        let back = format!(
            "cursor file {file}: offsets {next}..{last} were taken back: the log ends before {next}"
        );
        (back, next)
    } else {
        return Ok(());
    };
    Err(Failure::new(Status::No, message).hint(format!(
        "to go on there: echo {onwards} > {}; proglog info {log} shows the log",
        quote(path)
    )))
}
