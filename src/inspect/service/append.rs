//! The behavior of the service for the next record: `Log.Append` of both editions, and
//! whether the record could be read back.

use std::io;

use super::facts::Facts;
use super::limits::Edition;
use super::open::{Failure, GoLog, GoSegment};
use super::payload;
use super::read::Answer;
use crate::log::format::{ENTRY_BYTES, Entry, encode_length};
use crate::log::units::{Offset, Position, RelativeOffset};

/// The outcome of one append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The answer of the service.
    pub outcome: Outcome,
    /// The base of the segment that takes it, or would.
    pub segment: Option<Offset>,
    /// The segment that the later edition opens before it, or tries to.
    pub rolls_before: Option<Roll>,
    /// The segment that the first edition opens after it, or tries to.
    pub rolls_after: Option<Roll>,
    /// Position of its entry, written or not. Units: bytes of the index; if it is not a
    /// multiple of 12, no reader finds it.
    pub entry_at: u64,
    /// The result of reading its offset afterwards; `None` if it was not acknowledged.
    pub read_back: Option<ReadBack>,
}

/// The answer to an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged, under an offset that no record of the log has.
    Works {
        /// The offset.
        offset: Offset,
    },
    /// Acknowledged, under an offset that a record of the log has already.
    Repeats {
        /// The offset.
        offset: Offset,
    },
    /// An error; yet the frame, with its offset, remains in the store.
    Refused {
        /// The offset.
        offset: Offset,
        /// The error text of the service.
        error: &'static str,
    },
    /// A segment cannot be opened before the append: an error, and nothing is written.
    DoesNotRoll {
        /// Why.
        why: Failure,
    },
    /// The end of the process.
    Panics {
        /// Why.
        why: Failure,
    },
}

/// A segment that an append opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    /// Its base offset.
    pub base: Offset,
    /// The kind of place.
    pub kind: RollKind,
    /// Why it does not open. For a roll after the append: the record is in, but the
    /// answer is this error, or the process dies of it.
    pub failure: Option<Failure>,
}

/// Whether a new segment begins where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollKind {
    /// After every record of the log.
    AtTheEnd,
    /// Not after every record of the log: from here on two sides of a fork share offsets.
    Forks,
    /// On the base of a segment that is open already: a twin on the same two files.
    Twin,
    /// After offset 0, which no record ever gets: an empty log's highest offset is 0.
    Skips,
}

/// The result of reading the offset of an acknowledged append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadBack {
    /// The record.
    Itself,
    /// Another record, or other bytes in its place.
    Another {
        /// The base of the segment that answers.
        segment: Offset,
        /// The answer.
        answer: Answer,
    },
    /// Out of range.
    OutOfRange,
}

/// Which offsets records of the log have.
pub(super) trait Taken {
    /// Whether one has `offset`.
    fn has(&self, offset: Offset) -> bool;
    /// The largest of them.
    fn highest(&self) -> Option<Offset>;
}

impl<F: Facts> GoLog<F> {
    /// `HighestOffset`: an empty log answers 0, as one with record 0 alone does.
    pub(super) fn highest(&self) -> u64 {
        let next = self.segments.last().map_or(0, |segment| segment.next);
        next.saturating_sub(1)
    }

    /// `Log.Append` of a record with a value of one byte.
    pub(super) fn append(&mut self, taken: &dyn Taken) -> io::Result<Append> {
        let mut append = Append {
            outcome: Outcome::Refused {
                offset: Offset(0),
                error: "EOF",
            },
            segment: None,
            rolls_before: None,
            rolls_after: None,
            entry_at: 0,
            read_back: None,
        };
        if self.config.edition == Edition::Later && self.is_maxed() {
            let roll = self.roll(self.highest().wrapping_add(1), taken)?;
            let failure = roll.failure.clone();
            append.rolls_before = Some(roll);
            if let Some(why) = failure {
                append.outcome = if why.is_panic() {
                    Outcome::Panics { why }
                } else {
                    Outcome::DoesNotRoll { why }
                };
                return Ok(append);
            }
        }
        self.append_to_active(&mut append, taken)?;
        let (Outcome::Works { offset } | Outcome::Repeats { offset }) = append.outcome else {
            return Ok(append);
        };
        if self.config.edition == Edition::First && self.is_maxed() {
            append.rolls_after = Some(self.roll(offset.0.wrapping_add(1), taken)?);
        }
        Ok(append)
    }

    /// `segment.Append` of the active segment.
    fn append_to_active(&mut self, append: &mut Append, taken: &dyn Taken) -> io::Result<()> {
        let Some(active) = self.segments.last_mut() else {
            return Ok(());
        };
        let offset = Offset(active.next);
        append.segment = Some(Offset(active.base));
        append.entry_at = active.index_bytes;
        let payload = payload::sample(offset);
        let mut frame = encode_length(payload.len() as u64).to_vec();
        frame.extend(payload);
        let position = active.store_bytes;
        // O_APPEND: the frame goes to the end of the file, wherever it thinks that is.
        let file_bytes = self.disk.bytes(&active.store_name)?;
        self.disk.put(&active.store_name, file_bytes, &frame)?;
        active.store_bytes = active.store_bytes.saturating_add(frame.len() as u64);
        if active.mapped_bytes < active.index_bytes.saturating_add(ENTRY_BYTES) {
            append.outcome = Outcome::Refused {
                offset,
                error: "EOF",
            };
            return Ok(());
        }
        let relative = active.next.wrapping_sub(active.base) & u64::from(u32::MAX);
        let entry = Entry {
            relative: RelativeOffset(u32::try_from(relative).unwrap_or(u32::MAX)),
            position: Position(position),
        };
        self.disk
            .put(&active.index_name, active.index_bytes, &entry.encode())?;
        active.index_bytes += ENTRY_BYTES;
        active.next = active.next.wrapping_add(1);
        append.outcome = if taken.has(offset) {
            Outcome::Repeats { offset }
        } else {
            Outcome::Works { offset }
        };
        append.read_back = Some(self.read_back(offset, Position(position))?);
        Ok(())
    }

    /// `newSegment`, and what kind of place it opens.
    fn roll(&mut self, base: u64, taken: &dyn Taken) -> io::Result<Roll> {
        let kind = if self.segments.iter().any(|segment| segment.base == base) {
            RollKind::Twin
        } else if taken.highest().is_some_and(|highest| highest.0 >= base) {
            RollKind::Forks
        } else if self
            .segments
            .last()
            .is_some_and(|active| active.next == 0 && base == 1)
        {
            RollKind::Skips
        } else {
            RollKind::AtTheEnd
        };
        let failure = self.new_segment(base)?.err();
        Ok(Roll {
            base: Offset(base),
            kind,
            failure,
        })
    }

    fn is_maxed(&self) -> bool {
        let active = self.segments.last();
        active.is_some_and(|active| active.is_maxed(&self.config))
    }

    /// `Log.Read` of the record that the active segment just took: from the first segment
    /// that claims the offset.
    fn read_back(&mut self, offset: Offset, written_at: Position) -> io::Result<ReadBack> {
        let claims = |s: &GoSegment| s.base <= offset.0 && offset.0 < s.next;
        let Some(segment) = self.segments.iter().find(|s| claims(s)).cloned() else {
            return Ok(ReadBack::OutOfRange);
        };
        let answer = self.read_in(&segment, offset.0)?;
        let active = self.segments.last().map(|active| active.base);
        Ok(match answer {
            Answer::Record { position, .. }
                if position == written_at && active == Some(segment.base) =>
            {
                ReadBack::Itself
            }
            answer => ReadBack::Another {
                segment: Offset(segment.base),
                answer,
            },
        })
    }
}
