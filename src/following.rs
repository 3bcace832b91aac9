//! Following a log as a library offers it: [`Follow`].

use std::ops::RangeBounds;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::inspect::standing::{Answer, Standing};
use crate::log::error::Result;
use crate::log::follow::{Blocked, Follower, Pass, Step};
use crate::log::platform::Watch;
use crate::log::units::Offset;
use crate::records::{Block, Read, ReadError, Reader, bounds};

/// The longest time between two checks of a log: its index may change without an event.
const INTERVAL: Duration = Duration::from_millis(20);

impl Reader {
    /// The records of a range, as they are committed: at the end of the log the iterator waits
    /// for more. It ends after the last offset of the range, if there is one, and after an
    /// error of the engine.
    ///
    /// An obstacle is reported when it lasts and no writer can be about to remove it.
    pub fn follow(&self, range: impl RangeBounds<Offset>) -> Follow {
        let (from, end) = bounds(&range);
        Follow::new(self.clone(), from, end)
    }
}

/// The iterator of [`Reader::follow`]: `next` waits for a record. It ends after the range and
/// after an error of the engine.
#[derive(Debug)]
pub struct Follow {
    reader: Reader,
    follower: Option<Follower>,
    watch: Option<Watch>,
    /// Whether the last pass found nothing.
    is_idle: bool,
    from: Offset,
    end: Offset,
    block: Block,
    /// What is in the way.
    standing: Option<Standing>,
}

impl Follow {
    pub(crate) fn new(reader: Reader, from: Offset, end: Offset) -> Self {
        Self {
            reader,
            follower: None,
            watch: None,
            is_idle: false,
            from,
            end,
            block: Block::default(),
            standing: None,
        }
    }

    /// Waits until something may have changed, at most for `timeout`: then the answer may be
    /// `None` though the range has not ended.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Read> {
        self.until(Instant::now().checked_add(timeout))
    }

    fn until(&mut self, deadline: Option<Instant>) -> Option<Read> {
        loop {
            if let Some(item) = self.block.pop() {
                return Some(item);
            }
            if self.from >= self.end {
                return None;
            }
            if !self.is_idle || self.is_due() {
                let came = self.pass().unwrap_or_else(|error| {
                    self.end = self.from;
                    self.block.push(Err(error));
                    true
                });
                self.is_idle = !came;
                if came {
                    continue;
                }
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
            self.wait(deadline);
        }
    }

    /// Whether a pass may find something, after one that found nothing. A pass opens files,
    /// which other processes notice.
    fn is_due(&mut self) -> bool {
        let is_due = |standing: &Standing| standing.due <= Instant::now();
        self.follower.as_mut().is_none_or(Follower::changed)
            || self.standing.as_ref().is_some_and(is_due)
    }

    /// Takes what has come; whether there was anything.
    fn pass(&mut self) -> std::result::Result<bool, ReadError> {
        let mut follower = match self.follower.take() {
            Some(follower) => follower,
            None => self.begin()?,
        };
        let (reader, block, end) = (&self.reader, &mut self.block, self.end);
        let pass = follower.pass::<ReadError>(|record| {
            if record.offset >= end {
                return Ok(Step::Leave);
            }
            block.push(reader.record(record)?);
            let is_last = record.offset.saturating_add(1) >= end;
            Ok(if is_last || block.is_full() {
                Step::Last
            } else {
                Step::Next
            })
        })?;
        let mut came = follower.next() > self.from;
        match pass {
            Pass::Stopped if !came => {
                self.from = self.end;
                return Ok(true);
            }
            Pass::Stopped | Pass::End => self.standing = None,
            Pass::Blocked(blocked) if !came => {
                came = self.obstructed(&mut follower, blocked);
            }
            Pass::Blocked(_) => {}
            Pass::Gone { first, last } => {
                self.block.push(Err(ReadError::Gone { first, last }));
                follower.skip_to(last.saturating_add(1));
                came = true;
            }
            Pass::Rewritten(_) => return Err(ReadError::Rewritten { next: self.from }),
        }
        self.from = self.from.max(follower.next());
        self.follower = Some(follower);
        Ok(came)
    }

    fn begin(&mut self) -> Result<Follower> {
        let mut log = self.reader.log()?;
        self.from = self.from.max(log.lowest_offset());
        self.watch = Watch::on(&log.directory().path);
        let mut follower = Follower::of(&mut log, self.from)?;
        if let Some(codec) = self.reader.codec() {
            follower.set_codec(codec);
        }
        Ok(follower)
    }

    /// Something is in the way: reports it if it lasts and no writer can be about to remove
    /// it. Returns whether reading continues after it.
    fn obstructed(&mut self, follower: &mut Follower, blocked: Blocked) -> bool {
        match Standing::meet(&mut self.standing, &blocked, follower) {
            Answer::Wait => return false,
            Answer::Passed => return true,
            Answer::Damage => {}
        }
        if let Some(next) = blocked.goes_on {
            follower.skip_to(next);
        }
        for (obstacle, first, last) in blocked.obstacles {
            let error = ReadError::obstacle(obstacle, first, last);
            self.block.push(Err(error));
        }
        true
    }

    fn wait(&self, deadline: Option<Instant>) {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.unwrap_or(INTERVAL).min(INTERVAL);
        match &self.watch {
            Some(watch) => {
                let timeout = Timespec::try_from(timeout).ok();
                let _ = poll(&mut [PollFd::new(watch, PollFlags::IN)], timeout.as_ref());
                // Before the check, so that nothing is slept over.
                watch.drain();
            }
            None => thread::sleep(timeout),
        }
    }
}

impl Iterator for Follow {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        self.until(None)
    }
}
