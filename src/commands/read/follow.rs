//! Starts a read that continues: opens the log and the cursor file, and selects what is
//! read. `session` goes through it from pass to pass.

use std::rc::Rc;

use proglog::log::follow::Follower;
use proglog::log::reader::LogReader;
use proglog::log::units::Offset;

use super::cursor::Cursor;
use super::open::{Opened, await_log, not_come};
use super::output::Output;
use super::range::Range;
use super::select::{self, Selection};
use super::session::{Session, delivery};
use super::wait::Waiter;
use super::{Arguments, Outcome, resume};
use crate::commands::offsets::not_yet;
use crate::commands::signals::{self, Signals};
use crate::commands::{Globals, Status, raw_stdout};
use crate::render::record::Printer;

/// Runs such a read.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let signals = Rc::new(Signals::install()?);
    // The cursor advances after the handled records, whatever comes between.
    let result = signals::interruptible(|| follow(arguments, globals, &signals));
    if let Some(signal) = signals.raised() {
        // In any case, the signal asked for an end.
        signals::end_by(signal)?;
    }
    result
}

fn follow(
    arguments: &Arguments,
    globals: Globals,
    signals: &Rc<Signals>,
) -> anyhow::Result<Status> {
    let going_on = &arguments.going_on;
    let cursor = going_on.cursor_file.as_deref();
    let cursor = cursor.map(|path| Cursor::open(path, &arguments.dir));
    let cursor = cursor.transpose()?;
    let stdout = raw_stdout()?;
    let printing = going_on.command.is_empty();
    let mut waiter = Waiter::new(signals, going_on.until_idle, printing.then_some(&stdout))?;
    let (mut log, awaited) = match await_log(arguments, globals, &mut waiter)? {
        Opened::Log(open) => (open.log, open.awaited),
        Opened::Not(woken) => return Ok(not_come(arguments, woken)),
    };
    waiter.not_idle();
    let held = cursor.as_ref().and_then(Cursor::held);
    let damaged = match (&going_on.cursor_file, held) {
        (Some(path), Some(held)) => {
            resume::check(path, held, &mut log, arguments.on_error, globals)?
        }
        _ => false,
    };
    let saved = cursor.as_ref().and_then(Cursor::saved);
    let search = arguments.search.search()?;
    let selection = super::undisturbed(&mut log, arguments, |log| {
        let selection = select::select(log, arguments, globals, search.as_ref(), saved)?;
        match selection {
            Selection::Records { read, matching } if !going_on.follows() => {
                once(log, read, matching)
            }
            selection => Ok(selection),
        }
    })?;
    let (Range { mut from, last }, mut matching) = match selection {
        Selection::Records { read, matching } => (read, matching),
        Selection::Nothing(outcome) => {
            let outcome = outcome.searched(arguments, search.is_some());
            return outcome.into_status(damaged);
        }
    };
    if awaited && arguments.tail.is_some() {
        // All records that arrived since the wait for the log began are new.
        from = log.lowest_offset();
        matching.from = from;
    }
    if let Some(cursor) = &cursor {
        cursor.rehearse()?;
    }
    waiter.watch(&arguments.dir);
    let mut follower = Follower::of(&mut log, from)?;
    if let Some(codec) = arguments.codec {
        follower.set_codec(codec);
    }
    let printer = if printing {
        arguments.printer(globals, search.as_ref())
    } else {
        Printer::plain(arguments.output.shape(), arguments.no_decode)
    };
    let output = Output::that_ends(stdout, signals);
    let mut delivery = delivery(arguments, &printer, output, log.directory(), search.clone());
    delivery.limit(arguments.count);
    delivery.search_in(matching);
    let mut session = Session {
        arguments,
        globals,
        signals: Rc::clone(signals),
        waiter,
        delivery,
        follower,
        printer,
        cursor,
        from,
        last,
        left: arguments.count.unwrap_or(u64::MAX),
        search,
        found: false,
        standing: None,
        damaged,
        disturbed: 0,
        leaves: None,
    };
    let outcome = session.run();
    // Records read before an error or a signal are printed and count all the same.
    let settled = session.settle(true);
    let in_vain = session.delivery.is_in_vain() && !session.found;
    let outcome = outcome.map(|outcome| outcome.searched(arguments, in_vain));
    let ended = outcome.and_then(|outcome| settled.map(|()| outcome));
    Outcome::status(ended, session.damaged || session.delivery.damaged())
}

/// The part of a range that is there now: the end is fixed, so that a busy log ends too.
fn once(log: &mut LogReader, read: Range, matching: Range) -> anyhow::Result<Selection> {
    let next = log.next_offset()?;
    if matching.from > next {
        return Ok(Selection::Nothing(Outcome::No(not_yet(
            matching.from,
            next,
        ))));
    }
    let end = read.end(log.claimed_end()?);
    let last = end.0.checked_sub(1).map(Offset);
    Ok(match last.filter(|last| *last >= read.from) {
        None => Selection::Nothing(Outcome::Done),
        last => {
            let read = Range { last, ..read };
            Selection::Records { read, matching }
        }
    })
}
