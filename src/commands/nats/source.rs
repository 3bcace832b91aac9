//! The log as the source of a push: its records in order, its ends, and single records
//! compared with messages. Every scan opens it again.

use std::ops::{ControlFlow, Range};
use std::path::Path;

use proglog::log::error::Error;
use proglog::log::follow::{Follower, Pass, Step};
use proglog::log::reader::{Item, LogReader, Obstacle, RecordView};
use proglog::log::record::{Codec, Record};
use proglog::log::units::Offset;
use proglog::scan::layouts;

use super::message::{LogDigest, Stamp};
use super::{Trouble, cannot, no, offsets};
use crate::commands::signals::Signals;
use crate::commands::{Failure, Status, quote};

/// Limits of what is read at a time: bytes of values, and records.
const BATCH: (usize, usize) = (512 * 1024, 1024);

/// A log that is read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its directory.
    pub path: &'a Path,
    /// Its codec, if that must not be searched for.
    pub codec: Option<Codec>,
}

impl Source<'_> {
    /// The log as it is now.
    fn reader(&self) -> Result<LogReader, Error> {
        let mut log = LogReader::open(self.path)?;
        layouts::require_ours(log.directory())?;
        if let Some(codec) = self.codec {
            log.set_codec(codec);
        }
        Ok(log)
    }

    /// The offsets that it has: of the first record, and the next.
    pub fn bounds(&self) -> Result<Range<Offset>, Error> {
        let mut log = self.reader()?;
        Ok(log.lowest_offset()..log.next_offset()?)
    }

    /// The same, or `None` if the log does not exist yet and may be created.
    pub fn bounds_if_any(&self) -> Result<Option<Range<Offset>>, Error> {
        match self.bounds() {
            Err(Error::NoDirectory { .. } | Error::NotALog { .. }) => Ok(None),
            bounds => bounds.map(Some),
        }
    }

    /// The log's codec; raw where no record shows it.
    pub fn codec(&self) -> Result<Codec, Error> {
        self.reader()?.codec()
    }

    /// Reads one record, if it exists and is valid.
    fn record<T>(
        &self,
        offset: Offset,
        mut take: impl FnMut(&RecordView<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Trouble> {
        let mut taken = None;
        let _ = self.reader()?.lookup::<Trouble>(offset, |item| {
            match item {
                Item::Record(record) => taken = Some(take(record)?),
                Item::Obstacle {
                    obstacle,
                    first,
                    last,
                } => return Err(self.unreadable(&obstacle, first, last)),
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(taken)
    }

    /// Whether it has the record of a message.
    pub fn holds(&self, stamp: &Stamp, value: &[u8]) -> Result<bool, Trouble> {
        let message = (value.len() as u64, stamp.term, stamp.record_type);
        let same = self.record(stamp.offset, |record| {
            if (record.value.len(), record.term, record.record_type) != message {
                return Ok(false);
            }
            let mut rest = Some(value);
            record.value.pieces(|piece| {
                rest = rest.and_then(|rest| rest.strip_prefix(piece));
                Ok::<(), Error>(())
            })?;
            Ok(rest.is_some())
        })?;
        Ok(same == Some(true))
    }

    /// The name of a log whose stream begins with this record; `None` if it is not there.
    pub fn id(&self, first: Offset) -> Result<Option<String>, Trouble> {
        self.record(first, |record| {
            let mut digest = LogDigest::new(first, record.term, record.record_type);
            record.value.pieces(|piece| {
                digest.update(piece);
                Ok::<(), Error>(())
            })?;
            Ok(digest.finish())
        })
    }

    /// Refuses a record that no message holds: a value of more than `value_bytes_max`. A
    /// signal ends the scan.
    pub fn check_sizes(
        &self,
        range: Range<Offset>,
        value_bytes_max: u64,
        signals: &Signals,
    ) -> Result<(), Trouble> {
        let _ = self.reader()?.read(range.start, range.end, |item| {
            if let Some(signal) = signals.raised() {
                return Err(Trouble::Signal(signal));
            }
            match item {
                Item::Record(record) if record.value.len() > value_bytes_max => {
                    Err(cannot(format!(
                        "offset {} has {} bytes: the server accepts at most {value_bytes_max} \
                         besides the headers (max_payload, or the stream's max_msg_size)",
                        record.offset,
                        record.value.len()
                    )))
                }
                Item::Record(_) => Ok(ControlFlow::Continue(())),
                // An unreadable record is reported when it is reached.
                Item::Obstacle { .. } => Ok(ControlFlow::Break(())),
            }
        })?;
        Ok(())
    }

    /// Records that are in the way of a push.
    fn unreadable(&self, obstacle: &Obstacle, first: Offset, last: Option<Offset>) -> Trouble {
        let what = match obstacle {
            Obstacle::Damage { damage, .. } => damage.to_string(),
            Obstacle::Contested { .. } => "two records claim each of them".to_owned(),
            Obstacle::Unindexed { .. } => "the index has no entries for them".to_owned(),
            Obstacle::Gap => "no segment contains them".to_owned(),
            Obstacle::Overlap { newer } => format!("segment {newer} claims them too"),
            Obstacle::Unpaired { segment, missing } => {
                format!("segment {segment} has no {missing:?}").to_lowercase()
            }
        };
        let (log, offsets) = (quote(self.path), offsets(first, last.unwrap_or(first)));
        let message = format!("{log}: {offsets} cannot be read: {what}");
        Failure::new(Status::Damage, message)
            .hint(format!("proglog verify {log}"))
            .into()
    }
}

/// The records of a log, in order, up to an end that moves as the log grows.
pub struct Feed<'a> {
    source: Source<'a>,
    follower: Follower,
    end: Offset,
}

impl<'a> Feed<'a> {
    /// From an offset up to another.
    pub fn of(source: Source<'a>, range: Range<Offset>) -> Result<Self, Error> {
        let mut follower = Follower::of(&mut source.reader()?, range.start)?;
        if let Some(codec) = source.codec {
            follower.set_codec(codec);
        }
        Ok(Self {
            source,
            follower,
            end: range.end,
        })
    }

    /// Whether all records were read.
    pub fn is_at_end(&self) -> bool {
        self.follower.next() >= self.end
    }

    /// The next records; none at the end.
    pub fn batch(&mut self) -> Result<Vec<Record>, Trouble> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        if self.is_at_end() {
            return Ok(records);
        }
        let end = self.end;
        let pass = self.follower.pass::<Error>(|record| {
            let value = record.value.to_vec()?;
            bytes += value.len();
            records.push(Record {
                value,
                offset: record.offset,
                term: record.term,
                record_type: record.record_type,
                ..Record::default()
            });
            let is_full = bytes >= BATCH.0 || records.len() >= BATCH.1;
            let is_last = record.offset.saturating_add(1) >= end;
            Ok(if is_full || is_last {
                Step::Last
            } else {
                Step::Next
            })
        })?;
        match pass {
            // First what came before it; it comes again.
            _ if !records.is_empty() => Ok(records),
            Pass::Blocked(blocked) if !blocked.obstacles.is_empty() => {
                let mut obstacles = blocked.obstacles.iter();
                let first = obstacles.next();
                first.map_or(Ok(records), |(obstacle, first, last)| {
                    Err(self.source.unreadable(obstacle, *first, *last))
                })
            }
            Pass::Gone { first, last } => {
                Err(self.source.unreadable(&Obstacle::Gap, first, Some(last)))
            }
            // The next attempt compares it with the stream.
            _ => Err(Trouble::Passing(format!(
                "{} changed where it was read",
                quote(self.source.path)
            ))),
        }
    }

    /// The offsets of what has come since the end, if anything has.
    pub fn grown(&mut self) -> Result<Option<Range<Offset>>, Trouble> {
        if !self.follower.changed() {
            return Ok(None);
        }
        // It keeps in mind what it sees.
        self.follower.pass::<Error>(|_| Ok(Step::Leave))?;
        let (known, next) = (self.end, self.source.bounds()?.end);
        if next < known {
            return Err(no(format!(
                "the log ends before offset {next} now; records up to {} were pushed",
                known.0 - 1
            )));
        }
        self.end = next;
        Ok((known < next).then_some(known..next))
    }
}
