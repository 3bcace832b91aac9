//! The log as the source of a push: its records in order, its ends, and single records
//! compared with messages. Every scan opens it again.

use std::ops::{ControlFlow, Range};
use std::path::Path;

use proglog::inspect::finding::OffsetRange;
use proglog::log::error::Error;
use proglog::log::follow::{Follower, Pass, Step};
use proglog::log::reader::{Item, LogReader, Obstacle, RecordView};
use proglog::log::record::{Codec, Record};
use proglog::log::units::Offset;
use proglog::scan::layouts;

use super::message::log_name;
use super::{Trouble, cannot, no};
use crate::commands::signals::Signals;
use crate::commands::{Failure, Status, quote};
use crate::render::prose;

/// Limits of what is read at a time: bytes of values, and records.
const BATCH: (usize, usize) = (512 * 1024, 1024);

/// No message holds more: the most that the server's `max_payload` may be. Units: bytes.
const VALUE_BYTES_MAX: u64 = 64 * 1024 * 1024;

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

    /// Reads one record, if it is there and valid, and a message may hold it.
    pub fn record(&self, offset: Offset) -> Result<Option<Record>, Trouble> {
        let mut found = None;
        let _ = self.reader()?.lookup::<Trouble>(offset, |item| {
            match item {
                Item::Record(record) if record.value.len() > VALUE_BYTES_MAX => {}
                Item::Record(record) => found = Some(owned(record)?),
                Item::Obstacle {
                    obstacle,
                    first,
                    last,
                } => return Err(self.unreadable(&obstacle, first, last)),
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// The name of a log whose stream begins with this record; `None` if it is not there.
    pub fn name(&self, first: Offset) -> Result<Option<String>, Trouble> {
        Ok(self.record(first)?.as_ref().map(log_name))
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
        let last = last.unwrap_or(first);
        let offsets = prose::offsets(&[OffsetRange { first, last }]);
        let log = quote(self.path);
        let message = format!("{log}: {offsets} cannot be read: {what}");
        Failure::new(Status::Damage, message)
            .hint(format!("proglog verify {log}"))
            .into()
    }
}

/// A record in memory.
fn owned(record: &RecordView<'_>) -> Result<Record, Error> {
    Ok(Record {
        value: record.value.to_vec()?,
        offset: record.offset,
        term: record.term,
        record_type: record.record_type,
        ..Record::default()
    })
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
            let record = owned(record)?;
            bytes += record.value.len();
            let is_last = record.offset.saturating_add(1) >= end;
            records.push(record);
            let is_full = bytes >= BATCH.0 || records.len() >= BATCH.1;
            Ok(if is_full || is_last {
                Step::Last
            } else {
                Step::Next
            })
        })?;
        let why = match pass {
            // First what came before it; it comes again.
            _ if !records.is_empty() => return Ok(records),
            Pass::Blocked(blocked) => blocked.obstacles.into_iter().next(),
            Pass::Gone { first, last } => Some((Obstacle::Gap, first, Some(last))),
            _ => None,
        };
        if let Some((obstacle, first, last)) = why {
            return Err(self.source.unreadable(&obstacle, first, last));
        }
        // The next attempt compares it with the stream.
        let log = quote(self.source.path);
        Err(Trouble::Passing(format!("{log} changed where it was read")))
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
