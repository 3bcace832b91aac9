//! A read that continues from pass to pass: as records arrive (`-f`), with a cursor file,
//! for the stdin of a command. While it waits it holds no file of the log open; an
//! obstacle is reported only if it persists, because beside a writer an entry may be half
//! written and a frame may be in a buffer.

use std::io::BufWriter;
use std::rc::Rc;
use std::time::Duration;

use proglog::inspect::standing::{Answer, Standing};
use proglog::log::directory::Directory;
use proglog::log::error::Error;
use proglog::log::follow::{Blocked, Follower, Pass, Rewritten, Step};
use proglog::log::reader::Item;
use proglog::log::units::Offset;

use super::cursor::Cursor;
use super::deliver::Delivery;
use super::doubt::Doubt;
use super::fingerprint::Fingerprint;
use super::open::{Opened, await_log};
use super::output::Output;
use super::search::Search;
use super::wait::{Look, Waiter, Woken};
use super::worker::Worker;
use super::{Arguments, Outcome, unwrapped};
use crate::commands::signals::{self, Signals};
use crate::commands::{Failure, Globals, OUTPUT_BYTES, Status, quote, say};
use crate::render::field::WriteError;
use crate::render::record::Printer;

/// How often a log that shrinks is checked again, without `-f` or with `-F`.
const DISTURBED_MAX: u32 = 20;

/// How long it is left alone in between.
const DISTURBED_REST: Duration = Duration::from_millis(20);

/// Records of one run of the command, with `-f` and without `--batch`.
const BATCH_RECORDS: u64 = 1000;

/// A read that continues.
pub struct Session<'a> {
    pub arguments: &'a Arguments,
    pub globals: Globals,
    pub signals: Rc<Signals>,
    pub waiter: Waiter,
    pub follower: Follower,
    pub printer: Printer,
    pub delivery: Delivery,
    pub cursor: Option<Cursor>,
    /// The first offset of the read.
    pub from: Offset,
    /// Nothing after this offset is read.
    pub last: Option<Offset>,
    /// Records that commands may still get.
    pub left: u64,
    pub search: Option<Search>,
    /// Whether the search found a record for a command.
    pub found: bool,
    /// The obstacle.
    pub standing: Option<Standing>,
    /// Whether damage was passed over.
    pub damaged: bool,
    /// How often a file shrank under a pass.
    pub disturbed: u32,
    /// What happened to the log, while the rest of it is read and another one is to be
    /// followed.
    pub leaves: Option<Rewritten>,
}

/// The fingerprint of the last record read, or why it cannot be taken.
type Taken = Result<Option<Fingerprint>, Rewritten>;

/// The action after a pass.
enum Next {
    Pass,
    Wait,
    End(Outcome),
}

/// Where records are printed to.
pub fn delivery(
    arguments: &Arguments,
    printer: &Printer,
    output: Output,
    directory: &Directory,
    search: Option<Search>,
) -> Delivery {
    let out = BufWriter::with_capacity(OUTPUT_BYTES, output);
    // A follower has waited for the buffer of a writer already.
    let follows = arguments.going_on.follows();
    let doubt = (!follows).then(|| Doubt::new(arguments.codec));
    Delivery::new(
        directory.clone(),
        printer.clone(),
        out,
        arguments.on_error,
        doubt,
        search,
    )
}

impl Session<'_> {
    /// Reads until the end that was asked for.
    pub fn run(&mut self) -> anyhow::Result<Outcome> {
        loop {
            let before = self.follower.next();
            let pass = if self.arguments.going_on.command.is_empty() {
                self.print()?
            } else {
                self.work()?
            };
            if self.follower.next() != before {
                self.standing = None;
                self.waiter.not_idle();
            }
            self.settle(false)?;
            match self.after(pass)? {
                Next::Pass => {}
                Next::End(outcome) => return Ok(outcome),
                Next::Wait => {
                    self.settle(true)?;
                    let due = self.standing.as_ref().map(|it| it.due);
                    let follower = &mut self.follower;
                    match self.waiter.wait(due, || look(follower))? {
                        Woken::Changed => {}
                        // Damage is not passed over because nothing follows it.
                        Woken::Idle
                            if self.standing.as_ref().is_some_and(Standing::is_undecided) =>
                        {
                            self.waiter.not_idle();
                        }
                        Woken::Idle => return Ok(self.idle()),
                        Woken::Closed | Woken::Signal => return Ok(Outcome::Done),
                    }
                }
            }
        }
    }

    /// Whether nothing more was requested.
    fn is_done(&self) -> bool {
        self.left == 0
            || self.delivery.is_done()
            || self.last.is_some_and(|last| self.follower.next() > last)
    }

    /// Prints what has come.
    fn print(&mut self) -> anyhow::Result<Pass> {
        let cursor = self.cursor.as_ref();
        // Now and then a scan of the clock: a backlog may be long.
        let pause =
            |offset: Offset| offset.0.is_multiple_of(4096) && cursor.is_some_and(Cursor::is_due);
        let follower = &mut self.follower;
        let pass = hand(
            follower,
            &mut self.delivery,
            self.last,
            &self.signals,
            pause,
        );
        let pass = pass.map_err(unwrapped)?;
        self.delivery.flush()?;
        Ok(pass)
    }

    /// Returns what has come to the command, if anything has.
    fn work(&mut self) -> anyhow::Result<Pass> {
        // Records that the search does not find need no command.
        let (search, last, signals) = (self.search.as_ref(), self.last, &self.signals);
        let pass = self.follower.pass::<WriteError>(|record| {
            let is_asked = last.is_none_or(|last| record.offset <= last);
            let is_over = !is_asked || signals.raised().is_some();
            let skips =
                !is_over && search.map_or(Ok(false), |it| it.is_match(record).map(|is| !is))?;
            Ok(if skips { Step::Next } else { Step::Leave })
        });
        let pass = pass.map_err(unwrapped)?;
        if self.search.is_some() {
            self.advance()?;
        }
        if pass != Pass::Stopped || self.signals.raised().is_some() || self.is_done() {
            return Ok(pass);
        }
        // A signal lets the command finish.
        signals::uninterruptible(|| self.run_command())
    }

    /// Runs the command once, with a batch of records.
    fn run_command(&mut self) -> anyhow::Result<Pass> {
        let before = self.follower.next();
        let going_on = &self.arguments.going_on;
        let batch = match going_on.batch {
            Some(batch) => batch.get(),
            None if going_on.follows() => BATCH_RECORDS,
            None => u64::MAX,
        };
        let (worker, stdin) = Worker::start(&going_on.command)?;
        let directory = self.follower.directory().clone();
        let mut delivery = delivery(
            self.arguments,
            &self.printer,
            Output::plain(stdin),
            &directory,
            self.search.clone(),
        );
        let limit = batch.min(self.left);
        delivery.limit(Some(limit));
        let follower = &mut self.follower;
        let fed = hand(follower, &mut delivery, self.last, &self.signals, |_| false);
        let taken = limit - delivery.left();
        // Its end of input: after the last intact record.
        let flushed = delivery.flush();
        drop(delivery);
        // Of the delivered records, before the command can take its time.
        let fingerprint = self.fingerprint();
        let ended = worker.wait()?;
        if ended.code() != 0 {
            self.stays(&ended.words(), before);
            self.settle(true)?;
            // The status is the command's, and all messages and output are written.
            if self.signals.raised().is_none() {
                self.cursor = None;
                std::process::exit(ended.code().into());
            }
            return Ok(Pass::Stopped);
        }
        let written = fed.and(flushed);
        if ended.left_unread() || written.as_ref().is_err_and(is_closed) {
            let words = format!("{} before it had read all its records", ended.words());
            self.stays(&words, before);
            let hint = "the command must read its input to the end";
            return Err(Failure::new(Status::No, words).hint(hint).into());
        }
        written.map_err(unwrapped)?;
        self.left -= taken;
        self.found = true;
        self.save(fingerprint?)?;
        Ok(Pass::Stopped)
    }

    fn stays(&self, words: &str, cursor: Offset) {
        if self.cursor.is_some() && !self.globals.quiet {
            say(&format!("note: {words}: the cursor stays at {cursor}"));
        }
    }

    /// The fingerprint of the last record read, if a cursor file is to keep it.
    fn fingerprint(&self) -> Result<Taken, Error> {
        let next = self.follower.next();
        let is_new = |cursor: &Cursor| next > self.from && cursor.saved() != Some(next);
        if !self.cursor.as_ref().is_some_and(is_new) {
            return Ok(Ok(None));
        }
        self.follower.last_read(Fingerprint::new)
    }

    fn save(&mut self, fingerprint: Taken) -> anyhow::Result<()> {
        let fingerprint = fingerprint.map_err(|what| self.rewritten(what))?;
        let next = self.follower.next();
        match &mut self.cursor {
            Some(cursor) if next > self.from && cursor.saved() != Some(next) => {
                let dir = &self.follower.directory().dir;
                cursor.save(dir, self.from, next, fingerprint)
            }
            _ => Ok(()),
        }
    }

    /// Flushes the output and then advances the cursor.
    pub fn settle(&mut self, at_rest: bool) -> anyhow::Result<()> {
        self.delivery.flush()?;
        let due = self.cursor.as_ref().is_some_and(Cursor::is_due);
        if self.arguments.going_on.command.is_empty() && (at_rest || due) {
            return self.advance();
        }
        Ok(())
    }

    /// Moves the cursor past what was read.
    fn advance(&mut self) -> anyhow::Result<()> {
        match self.fingerprint()? {
            // The next pass finds that out, and follows another log.
            Err(Rewritten::Removed) if self.arguments.going_on.retry => Ok(()),
            fingerprint => self.save(fingerprint),
        }
    }

    fn after(&mut self, pass: Pass) -> anyhow::Result<Next> {
        if self.signals.raised().is_some() || self.is_done() {
            return Ok(Next::End(Outcome::Done));
        }
        match pass {
            Pass::Stopped => Ok(Next::Pass),
            Pass::End | Pass::Rewritten(Rewritten::Removed) if self.leaves.is_some() => {
                self.reopen()
            }
            Pass::Rewritten(what @ (Rewritten::Removed | Rewritten::Replaced))
                if self.arguments.going_on.retry =>
            {
                // The rest of the log is read where it is now.
                self.follower.stay();
                self.standing = None;
                self.leaves = Some(what);
                Ok(Next::Pass)
            }
            // A directory loses its files before it is gone.
            Pass::Gone { .. } | Pass::Rewritten(_)
                if self.arguments.going_on.retry && self.disturbed < DISTURBED_MAX =>
            {
                self.disturbed += 1;
                std::thread::sleep(DISTURBED_REST);
                Ok(Next::Pass)
            }
            Pass::End if self.arguments.going_on.follows() => Ok(Next::Wait),
            Pass::End => Ok(Next::End(Outcome::Done)),
            Pass::Blocked(blocked) => self.blocked(&blocked),
            Pass::Gone { first, last } => self.gone(first, last),
            Pass::Rewritten(what) => Err(self.rewritten(what).into()),
        }
    }

    /// Follows the log that has the name now, from its start.
    fn reopen(&mut self) -> anyhow::Result<Next> {
        self.settle(true)?;
        let (arguments, globals) = (self.arguments, self.globals);
        if let (Some(what), false) = (self.leaves.take(), globals.quiet) {
            let log = arguments.dir.display();
            let what = what_happened(what);
            say(&format!(
                "note: {log}: {what}: following another log from its start"
            ));
        }
        let mut log = match await_log(arguments, globals, &mut self.waiter)? {
            Opened::Log(open) => open.log,
            Opened::Not(Woken::Idle) => return Ok(Next::End(self.idle())),
            Opened::Not(_) => return Ok(Next::End(Outcome::Done)),
        };
        self.waiter.not_idle();
        self.waiter.watch(&arguments.dir);
        self.disturbed = 0;
        self.from = log.lowest_offset();
        self.follower = Follower::of(&mut log, self.from)?;
        if let Some(codec) = arguments.codec {
            self.follower.set_codec(codec);
        }
        if let Some(cursor) = &mut self.cursor {
            cursor.restart(self.from)?;
        }
        Ok(Next::Pass)
    }

    /// Offsets that vanished before they were read.
    fn gone(&mut self, first: Offset, last: Offset) -> anyhow::Result<Next> {
        let log = quote(&self.arguments.dir);
        let next = last.saturating_add(1);
        let message =
            format!("offsets {first}..{last} are gone: they were trimmed before they were read");
        Err(Failure::new(Status::No, message)
            .hint(format!("proglog read {log} --from {next}"))
            .into())
    }

    /// The message if the log is not the one that was read.
    fn rewritten(&self, what: Rewritten) -> Failure {
        let log = self.arguments.dir.display();
        let failure = Failure::new(
            Status::Damage,
            format!("{log}: history was rewritten: {}", what_happened(what)),
        );
        let failure = match what {
            Rewritten::Removed | Rewritten::Replaced => {
                failure.hint("-F follows a log that is replaced")
            }
            _ => failure.hint(format!("proglog info {}", quote(&self.arguments.dir))),
        };
        failure.hint("then start again, with --from or a new cursor file")
    }

    /// Nothing came for so long.
    fn idle(&mut self) -> Outcome {
        let left = self.left.min(self.delivery.left());
        if self.arguments.count.is_some() && left > 0 {
            return Outcome::No(format!(
                "{left} of the requested records did not arrive: the next offset is {}",
                self.follower.next()
            ));
        }
        Outcome::Done
    }

    /// Something is in the way: wait for it to go, pass over it, or end.
    fn blocked(&mut self, blocked: &Blocked) -> anyhow::Result<Next> {
        // No writer is waited for in a log that is left.
        let follows = self.arguments.going_on.follows() && self.leaves.is_none();
        if !follows && blocked.obstacles.is_empty() {
            // A file shrank while it was read: the next pass finds out why.
            self.disturbed += 1;
            if self.disturbed > DISTURBED_MAX {
                let message = "the log's files are shrinking while being read";
                return Err(Failure::new(Status::Failed, message).into());
            }
            std::thread::sleep(DISTURBED_REST);
            return Ok(Next::Pass);
        }
        if follows {
            match Standing::meet(&mut self.standing, blocked, &mut self.follower) {
                Answer::Wait => return Ok(Next::Wait),
                Answer::Passed => return Ok(Next::Pass),
                Answer::Damage => {}
            }
        }
        let directory = self.follower.directory();
        let goes_on = self.delivery.blocked(directory, blocked)?;
        if self.delivery.take_again() {
            return Ok(Next::Pass);
        }
        self.damaged |= self.delivery.damaged();
        match blocked.goes_on {
            Some(offset) if goes_on => {
                self.follower.skip_to(offset);
                Ok(Next::Pass)
            }
            None if goes_on && follows => Ok(Next::Wait),
            None if goes_on && self.leaves.is_some() => self.reopen(),
            _ => Ok(Next::End(Outcome::Done)),
        }
    }
}

/// Hands what has come to a delivery: none after an offset, none after a signal. Ends after a
/// record at which `pause` is true.
fn hand(
    follower: &mut Follower,
    delivery: &mut Delivery,
    last: Option<Offset>,
    signals: &Signals,
    pause: impl Fn(Offset) -> bool,
) -> Result<Pass, WriteError> {
    follower.pass(|record| {
        if signals.raised().is_some() || last.is_some_and(|last| record.offset > last) {
            return Ok(Step::Leave);
        }
        let over = delivery.item(Item::Record(record))?.is_break();
        Ok(
            if over || last == Some(record.offset) || pause(record.offset) {
                Step::Last
            } else {
                Step::Next
            },
        )
    })
}

/// Why the records read are not valid any more.
fn what_happened(what: Rewritten) -> String {
    match what {
        Rewritten::Removed => "it was removed".to_owned(),
        Rewritten::Replaced => "another directory has its name".to_owned(),
        Rewritten::Cut(offset) => {
            format!("offset {offset} was read and then removed")
        }
        Rewritten::Changed(offset) => {
            format!("offset {offset} was read and is a different record now")
        }
        Rewritten::Forked { segment, offset } => {
            format!("offset {offset} was read, and a new segment begins at {segment}: a fork")
        }
    }
}

/// Whether it is time for another pass.
fn look(follower: &mut Follower) -> Look {
    if follower.changed() {
        Look::Now
    } else if follower.is_held_up() {
        Look::Soon
    } else {
        Look::Nothing
    }
}

fn is_closed(error: &WriteError) -> bool {
    matches!(error, WriteError::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
}
