//! Records on their way from the log to stdout, and what stands in their way: where
//! a read begins to go on again, when it stops, and whether it met damage.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::str::FromStr;

use proglog::log::directory::Directory;
use proglog::log::follow::Blocked;
use proglog::log::reader::{Item, LogReader, Obstacle, RecordView, Taker};
use proglog::log::units::Offset;
use proglog::log::walk::Flow;

use super::obstacle::{self, GoesOn, Trouble};
use super::output::Output;
use super::select::Range;
use crate::commands::{quote, say};
use crate::render::record::{Printer, WriteError};

/// What damage does to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It ends there.
    Stop,
    /// It goes on behind it.
    Skip,
}

impl FromStr for OnError {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "stop" => Ok(Self::Stop),
            "skip" => Ok(Self::Skip),
            _ => Err("stop or skip"),
        }
    }
}

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
    writer_is_live: fn(&Directory) -> bool,
    /// Offsets from here on are not asked for, or were not there at the start.
    end: Offset,
    /// The last offset that was asked for, if there is one.
    last: Option<Offset>,
    /// Records that may still be printed; not 0.
    left: u64,
    backwards: bool,
    /// Records before this offset are printed without further ado, but for the last one
    /// of those that may be.
    plain_before: Offset,
    /// What was met and not told yet: first it must be seen where the log goes on.
    pending: Option<Trouble>,
    /// Whether the read is over but for where the log goes on.
    stopped: bool,
    damaged: bool,
    printed: bool,
    met: bool,
}

impl Delivery {
    pub fn new(
        directory: Directory,
        printer: Printer,
        out: BufWriter<Output>,
        on_error: OnError,
        writer_is_live: fn(&Directory) -> bool,
    ) -> Self {
        Self {
            directory,
            printer,
            out,
            on_error,
            writer_is_live,
            end: Offset::MAX,
            last: None,
            left: u64::MAX,
            backwards: false,
            plain_before: Offset(0),
            pending: None,
            stopped: false,
            damaged: false,
            printed: false,
            met: false,
        }
    }

    /// Prints so many records at most.
    pub fn limit(&mut self, records: Option<u64>) {
        self.left = records.unwrap_or(u64::MAX);
    }

    /// Whether a record was printed.
    pub fn printed(&self) -> bool {
        self.printed
    }

    /// Whether damage stood in the way.
    pub fn damaged(&self) -> bool {
        self.damaged
    }

    /// Whether anything came: a record, or something in the way of one.
    pub fn came(&self) -> bool {
        self.printed || self.met
    }

    /// Prints a range in order. What was asked for is held against the items here
    /// rather than in the log, so that it is seen where the log goes on behind.
    pub fn run(&mut self, log: &mut LogReader, range: Range) -> anyhow::Result<()> {
        self.end = range.end(log.claimed_end()?);
        self.last = range.last;
        self.backwards = false;
        let flow = log.read_to::<WriteError>(range.from, Offset::MAX, self);
        let flow = flow.map_err(error)?;
        if flow.is_continue() {
            self.tell(GoesOn::Nowhere).map_err(error)?;
        }
        Ok(())
    }

    /// Prints a range from behind.
    pub fn run_backwards(&mut self, log: &mut LogReader, range: Range) -> anyhow::Result<()> {
        let (next, claimed) = (log.next_offset()?, log.claimed_end()?);
        self.end = range.end(claimed);
        self.last = range.last;
        self.backwards = true;
        // What is lost at the end stops nobody: nothing selected lies behind it.
        let _ = log
            .read::<WriteError>(next.max(range.from), Offset::MAX, |item| match item {
                Item::Record(_) => Ok(ControlFlow::Continue(())),
                obstacle @ Item::Obstacle { .. } => self.item(obstacle),
            })
            .map_err(error)?;
        self.tell(GoesOn::Unknown).map_err(error)?;
        self.stopped = false;
        let end = range.end(next);
        let flow = log.read_reverse::<WriteError>(range.from, end, |item| self.item(item));
        if flow.map_err(error)?.is_continue() {
            self.tell(GoesOn::Unknown).map_err(error)?;
        }
        Ok(())
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
                self.printer.print(record, &mut self.out)?;
                self.printed = true;
                self.left = self.left.wrapping_sub(1);
                if self.left == 0 || self.is_last(record.offset) {
                    return Ok(ControlFlow::Break(()));
                }
                if !self.backwards && self.printer.is_plain() {
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

    /// Whether nothing behind this offset was asked for.
    fn is_last(&self, offset: Offset) -> bool {
        self.last == Some(offset) && !self.backwards
    }

    /// A record behind an obstacle, or behind the end: whether the read goes on with
    /// it (`None`), goes on without it, or is over.
    #[cold]
    fn record_behind(&mut self, record: &RecordView<'_>) -> Result<Option<Flow>, WriteError> {
        if self.stopped
            && self
                .pending
                .as_ref()
                .is_some_and(|it| it.claims(record.offset))
        {
            // One of the doubled offsets: the log goes on behind them.
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
        self.met = true;
        trouble.buffered = trouble.is_dangling() && (self.writer_is_live)(&self.directory);
        self.damaged |= !trouble.buffered;
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

    /// Tells of what was met, behind the records that come before it.
    fn tell(&mut self, goes_on: GoesOn) -> Result<(), WriteError> {
        let Some(trouble) = self.pending.take() else {
            return Ok(());
        };
        self.out.flush()?;
        say(&trouble.line(goes_on));
        if trouble.buffered {
            return Ok(());
        }
        let directory = quote(&self.directory.path);
        if let (GoesOn::At(offset), true) = (goes_on, self.stopped) {
            let onwards = if self.backwards { "--to" } else { "--from" };
            say(&format!(
                "hint: proglog read {directory} {onwards} {offset}, or --on-error skip; \
                 proglog verify {directory} tells all"
            ));
        } else if self.stopped && goes_on == GoesOn::Nowhere {
            say(&format!("hint: proglog verify {directory} tells all"));
        }
        Ok(())
    }

    /// Tells of what stands in the way of a read that goes from pass to pass, and says
    /// whether it goes on behind it.
    pub fn blocked(&mut self, directory: &Directory, blocked: &Blocked) -> anyhow::Result<bool> {
        self.directory = directory.clone();
        self.end = Offset::MAX;
        for (obstacle, first, last) in &blocked.obstacles {
            let _ = self.obstacle(obstacle, *first, *last).map_err(error)?;
        }
        let goes_on = blocked.goes_on.map_or(GoesOn::Nowhere, GoesOn::At);
        self.tell(goes_on).map_err(error)?;
        Ok(!self.stopped)
    }

    /// Puts out what is held back.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        Ok(self.out.flush()?)
    }

    /// Puts out what is still held back; gives whether damage was met.
    pub fn finish(mut self) -> anyhow::Result<bool> {
        self.out.flush().map_err(WriteError::from)?;
        Ok(self.damaged)
    }
}

impl Taker<WriteError> for Delivery {
    #[inline]
    fn item(&mut self, item: Item<'_>) -> Result<Flow, WriteError> {
        Self::item(self, item)
    }

    #[inline]
    fn value(&mut self, offset: Offset, payload: &[u8], value: &[u8]) -> Result<bool, WriteError> {
        if offset >= self.plain_before || self.left <= 1 {
            return Ok(false);
        }
        self.left -= 1;
        self.printer.print_plain(payload, value, &mut self.out)?;
        Ok(true)
    }
}

/// The engine's errors as they are, for what is said and hinted at goes by them.
pub fn error(error: WriteError) -> anyhow::Error {
    match error {
        WriteError::Log(error) => error.into(),
        output @ WriteError::Output(_) => output.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::path::Path;

    use super::*;
    use crate::render::record::Shape;

    /// Reads all of a fixture; gives whether it met damage, and how many lines came.
    fn read_all(case: &str, writer_is_live: fn(&Directory) -> bool) -> (bool, usize) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(case)
            .join("log");
        let mut log = LogReader::open(&path).unwrap();
        let printer = Printer {
            shape: Shape::Lines,
            no_decode: false,
            terminal: false,
        };
        let mut file = tempfile::tempfile().unwrap();
        let out = BufWriter::new(Output::plain(file.try_clone().unwrap()));
        let directory = log.directory().clone();
        let mut delivery = Delivery::new(directory, printer, out, OnError::Stop, writer_is_live);
        let all = Range {
            from: log.lowest_offset(),
            last: None,
        };
        delivery.run(&mut log, all).unwrap();
        let damaged = delivery.finish().unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        (damaged, text.lines().count())
    }

    #[test]
    fn what_a_live_writer_holds_in_its_buffer_is_no_damage() {
        assert_eq!(read_all("killed-index-ahead", |_| false), (true, 243));
        assert_eq!(read_all("killed-index-ahead", |_| true), (false, 243));
        // Any other damage is, whoever writes.
        assert_eq!(read_all("length-flipped", |_| true), (true, 20));
    }
}
