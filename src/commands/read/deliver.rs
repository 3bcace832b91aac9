//! Passes records from the log to stdout, and handles obstacles: where a read resumes,
//! when it stops, and whether it met damage.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use proglog::log::directory::Directory;
use proglog::log::follow::Blocked;
use proglog::log::live::{self, PAUSES};
use proglog::log::reader::{Item, LogReader, Obstacle, RecordView, Taker};
use proglog::log::units::Offset;
use proglog::log::walk::Flow;

use super::doubt::{Doubt, Outcome};
use super::obstacle::{self, GoesOn, Trouble};
use super::output::Output;
use super::range::{OnError, Range};
use super::search::{Search, Verdict};
use super::unwrapped;
use crate::commands::{again, quote, say, say_hints};
use crate::render::field::WriteError;
use crate::render::record::Printer;

/// Records that are printed as they come.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them goes with any other"
)]
pub struct Delivery {
    directory: Directory,
    printer: Printer,
    out: BufWriter<Output>,
    on_error: OnError,
    /// The check of an obstacle before it is reported; `None` if the caller has waited
    /// already.
    doubt: Option<Doubt>,
    /// Whether something in the way was gone when it was checked again.
    again: bool,
    /// The place to continue: forwards from here, backwards up to here.
    next: Offset,
    /// Offsets from here on are not requested, or did not exist at the start.
    end: Offset,
    /// The last requested offset, if any.
    last: Option<Offset>,
    /// Records that may still be printed; not 0.
    left: u64,
    backwards: bool,
    /// Records before this offset are printed without further ado, but for the last one
    /// of those that may be.
    plain_before: Offset,
    /// Obstacles not reported yet: the place where the log continues must be known first.
    pending: Option<Trouble>,
    /// Whether the read is over but for where the log continues.
    stopped: bool,
    damaged: bool,
    /// Whether a record came, or something in the way of one.
    came: bool,
    search: Option<Search>,
    /// Whether a record was found by the search.
    found: bool,
}

impl Delivery {
    pub fn new(
        directory: Directory,
        printer: Printer,
        out: BufWriter<Output>,
        on_error: OnError,
        doubt: Option<Doubt>,
        search: Option<Search>,
    ) -> Self {
        Self {
            directory,
            printer,
            out,
            on_error,
            doubt,
            again: false,
            next: Offset(0),
            end: Offset::MAX,
            last: None,
            left: u64::MAX,
            backwards: false,
            plain_before: Offset(0),
            pending: None,
            stopped: false,
            damaged: false,
            came: false,
            search,
            found: false,
        }
    }

    /// Prints at most this many records. Those that are found by a search count.
    pub fn limit(&mut self, records: Option<u64>) {
        self.left = records.unwrap_or(u64::MAX);
    }

    /// Number of records that may still be printed.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Whether all records that may be were printed.
    pub fn is_done(&self) -> bool {
        self.left == 0 && self.search.as_ref().is_none_or(Search::is_complete)
    }

    /// Whether there was a search and it found nothing.
    pub fn is_in_vain(&self) -> bool {
        self.search.is_some() && !self.found
    }

    /// Sets the offsets whose records the search may find.
    pub fn search_in(&mut self, matching: Range) {
        if let Some(search) = &mut self.search {
            search.within = matching;
        }
    }

    /// Whether damage was in the way.
    pub fn damaged(&self) -> bool {
        self.damaged
    }

    /// Whether anything came: a record, or something in the way of one.
    pub fn came(&self) -> bool {
        self.came
    }

    /// Begins with the lookup of one record.
    pub fn begin_one(&mut self) {
        (self.came, self.end, self.last) = (false, Offset::MAX, None);
        self.plain_before = Offset(0);
    }

    /// Whether damage ended the read.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Prints a range in order. The range is checked here rather than in the log, so that
    /// the place where the log continues is found.
    pub fn run(&mut self, log: &mut LogReader, range: Range) -> anyhow::Result<()> {
        self.directory = log.directory().clone();
        self.end = range.end(log.claimed_end()?);
        self.last = range.last;
        self.backwards = false;
        self.next = range.from;
        let mut pauses = PAUSES.iter();
        loop {
            let from = self.next.max(log.lowest_offset());
            if from > self.next && from < self.end {
                let (first, last) = (self.next, from.0 - 1);
                self.out
                    .flush()
                    .map_err(WriteError::from)
                    .map_err(unwrapped)?;
                say(&format!(
                    "note: offsets {first}..{last} are gone: they were trimmed before they were read"
                ));
            }
            let flow = log.read_to::<WriteError>(from, Offset::MAX, self);
            if self.goes_again(log, &flow, &mut pauses)? {
                continue;
            }
            if flow.map_err(unwrapped)?.is_continue() {
                self.tell(GoesOn::Nowhere).map_err(unwrapped)?;
            }
            return Ok(());
        }
    }

    /// Whether the log is to be read again from where the read came to: something in the
    /// way is gone, or a file shrank. Lists the log's directory again.
    fn goes_again(
        &mut self,
        log: &mut LogReader,
        flow: &Result<Flow, WriteError>,
        pauses: &mut std::slice::Iter<'_, Duration>,
    ) -> anyhow::Result<bool> {
        if let Err(WriteError::Log(error)) = flow
            && live::is_disturbed(error)
            && let Some(pause) = pauses.next()
        {
            std::thread::sleep(*pause);
            self.again = true;
        }
        if !self.take_again() {
            return Ok(false);
        }
        log.list_again()?;
        self.directory = log.directory().clone();
        Ok(true)
    }

    /// Whether something in the way was gone when it was checked again.
    pub fn take_again(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }

    /// Prints a range from the end.
    pub fn run_backwards(&mut self, log: &mut LogReader, range: Range) -> anyhow::Result<()> {
        self.directory = log.directory().clone();
        let (next, claimed) = (log.next_offset()?, log.claimed_end()?);
        self.end = range.end(claimed);
        self.last = range.last;
        self.backwards = true;
        let mut pauses = PAUSES.iter();
        loop {
            // Losses at the end do not stop the read: no selected record follows.
            let flow =
                log.read::<WriteError>(next.max(range.from), Offset::MAX, |item| match item {
                    Item::Record(_) => Ok(ControlFlow::Continue(())),
                    obstacle @ Item::Obstacle { .. } => {
                        let flow = self.item(obstacle)?;
                        // Records that arrived since then are not requested.
                        if self.take_again() {
                            return Ok(ControlFlow::Continue(()));
                        }
                        Ok(flow)
                    }
                });
            if !self.goes_again(log, &flow, &mut pauses)? {
                let _ = flow.map_err(unwrapped)?;
                break;
            }
        }
        self.tell(GoesOn::Unknown).map_err(unwrapped)?;
        self.stopped = false;
        self.next = range.end(next);
        let mut pauses = PAUSES.iter();
        loop {
            let (from, end) = (range.from.max(log.lowest_offset()), self.next);
            let flow = log.read_reverse::<WriteError>(from, end, |item| self.item(item));
            if self.goes_again(log, &flow, &mut pauses)? {
                continue;
            }
            if flow.map_err(unwrapped)?.is_continue() {
                self.tell(GoesOn::Unknown).map_err(unwrapped)?;
            }
            return Ok(());
        }
    }

    /// Takes the next item of the log.
    #[inline]
    pub fn item(&mut self, item: Item<'_>) -> Result<Flow, WriteError> {
        match item {
            Item::Record(record) => {
                if (self.pending.is_some() || self.stopped || record.offset >= self.end)
                    && let Some(flow) = self.record_behind(record)?
                {
                    return Ok(flow);
                }
                self.print(record)?;
                self.came = true;
                self.next = if self.backwards {
                    record.offset
                } else {
                    record.offset.saturating_add(1)
                };
                if self.is_done() || self.is_last(record.offset) {
                    return Ok(ControlFlow::Break(()));
                }
                if !self.backwards && self.is_plain() {
                    self.plain_before = self.end.min(self.last.unwrap_or(Offset::MAX));
                }
                Ok(ControlFlow::Continue(()))
            }
            Item::Obstacle {
                obstacle,
                first,
                last,
            } => self.obstacle(&obstacle, first, last),
        }
    }

    /// Prints a record, unless it is searched for and not found.
    #[inline]
    fn print(&mut self, record: &RecordView<'_>) -> Result<(), WriteError> {
        let mut counts = true;
        if let Some(search) = &mut self.search {
            match search.judge(record, self.left > 0)? {
                Verdict::Skip => return Ok(()),
                Verdict::Context => counts = false,
                Verdict::Match => self.found = true,
            }
            let (separates, kept) = search.before();
            if separates {
                self.printer.separate(&mut self.out)?;
            }
            for record in kept {
                self.printer.print(&record.view(), &mut self.out)?;
            }
        }
        self.left -= u64::from(counts);
        self.printer.print(record, &mut self.out)
    }

    /// Whether of a record its bytes alone decide what is printed.
    fn is_plain(&self) -> bool {
        let has_context = self.search.as_ref().is_some_and(|it| it.reach() > 0);
        self.printer.is_plain() && !has_context
    }

    /// Whether no offset after this one was requested.
    fn is_last(&self, offset: Offset) -> bool {
        self.last == Some(offset) && !self.backwards
    }

    /// A record after an obstacle, or after the end: whether the read continues with it
    /// (`None`), continues without it, or is over.
    #[cold]
    fn record_behind(&mut self, record: &RecordView<'_>) -> Result<Option<Flow>, WriteError> {
        if self.stopped
            && self
                .pending
                .as_ref()
                .is_some_and(|it| it.claims(record.offset))
        {
            // One of the doubled offsets: the log continues after them.
            return Ok(Some(ControlFlow::Continue(())));
        }
        self.tell(GoesOn::At(record.offset))?;
        let behind_end = record.offset >= self.end && self.end < Offset::MAX;
        if self.stopped || behind_end {
            return Ok(Some(ControlFlow::Break(())));
        }
        Ok(None)
    }

    #[cold]
    fn obstacle(
        &mut self,
        obstacle: &Obstacle,
        first: Offset,
        last: Option<Offset>,
    ) -> Result<Flow, WriteError> {
        self.plain_before = Offset(0);
        let asked = self.last.is_none_or(|last| first <= last);
        let since_start = first < self.end || !matches!(obstacle, Obstacle::Damage { .. });
        if !asked || !since_start {
            self.tell(GoesOn::Unknown)?;
            return Ok(ControlFlow::Break(()));
        }
        let Some(mut trouble) = obstacle::describe(&self.directory, obstacle, first, last) else {
            return Ok(ControlFlow::Continue(()));
        };
        // A read that has stopped at frames in a buffer asks after no more of them.
        let same = self
            .pending
            .as_ref()
            .filter(|_| self.stopped && obstacle.dangling().is_some())
            .and_then(|pending| pending.buffered)
            .map(Outcome::Buffered);
        let outcome = same.unwrap_or_else(|| match &mut self.doubt {
            Some(doubt) => doubt.judge(&self.directory, obstacle, first),
            None => Outcome::Damage,
        });
        match outcome {
            Outcome::Gone => {
                self.again = true;
                self.next = match last {
                    Some(last) if self.backwards => last.saturating_add(1),
                    _ => first,
                };
                return Ok(ControlFlow::Break(()));
            }
            Outcome::Buffered(buffered) => trouble.buffered = Some(buffered),
            Outcome::Damage => self.damaged = true,
        }
        self.came = true;
        if !self.backwards && !matches!(obstacle, Obstacle::Overlap { .. }) {
            self.next = last.map_or(first, |last| last.saturating_add(1));
        }
        self.stopped |= self.on_error == OnError::Stop;
        if let Some(pending) = &mut self.pending
            && pending.absorb(&trouble)
        {
            return Ok(ControlFlow::Continue(()));
        }
        self.tell(GoesOn::Unknown)?;
        self.pending = Some(trouble);
        Ok(ControlFlow::Continue(()))
    }

    /// Reports the obstacles, after the records that come before them.
    fn tell(&mut self, goes_on: GoesOn) -> Result<(), WriteError> {
        let Some(trouble) = self.pending.take() else {
            return Ok(());
        };
        // Reported also if the reader closed the pipe.
        let flushed = self.out.flush();
        say(&trouble.line(goes_on));
        flushed?;
        if trouble.buffered.is_some() {
            return Ok(());
        }
        let directory = quote(&self.directory.path);
        if let (GoesOn::At(offset), true) = (goes_on, self.stopped) {
            let onwards = if self.backwards { "--to" } else { "--from" };
            say_hints(&[
                format!("proglog read {directory} {onwards} {offset}"),
                again("--on-error skip"),
                format!("proglog verify {directory}"),
            ]);
        } else if self.stopped && goes_on == GoesOn::Nowhere {
            say_hints(&[format!("proglog verify {directory}")]);
        }
        Ok(())
    }

    /// Reports an obstacle of a read that goes from pass to pass, and returns whether it
    /// continues after it.
    pub fn blocked(&mut self, directory: &Directory, blocked: &Blocked) -> anyhow::Result<bool> {
        self.directory = directory.clone();
        self.end = Offset::MAX;
        for (obstacle, first, last) in &blocked.obstacles {
            let _ = self.obstacle(obstacle, *first, *last).map_err(unwrapped)?;
        }
        let goes_on = blocked.goes_on.map_or(GoesOn::Nowhere, GoesOn::At);
        self.tell(goes_on).map_err(unwrapped)?;
        Ok(!self.stopped)
    }

    /// Flushes the buffered output.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        Ok(self.out.flush()?)
    }
}

impl Taker<WriteError> for Delivery {
    #[inline]
    fn item(&mut self, item: Item<'_>) -> Result<Flow, WriteError> {
        Self::item(self, item)
    }

    #[inline]
    fn value(&mut self, offset: Offset, payload: &[u8], value: &[u8]) -> Result<bool, WriteError> {
        if offset >= self.plain_before {
            return Ok(false);
        }
        if let Some(search) = &self.search {
            if !search.is_match_in(value) {
                self.next = offset.saturating_add(1);
                return Ok(true);
            }
            self.found = true;
        }
        if self.left <= 1 {
            return Ok(false);
        }
        self.left -= 1;
        self.printer.print_plain(payload, value, &mut self.out)?;
        self.next = offset.saturating_add(1);
        Ok(true)
    }
}
