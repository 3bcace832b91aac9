//! The log on disk: its ends, single records, and its records in order. Every scan opens
//! it again.

use std::ops::{ControlFlow, Range};
use std::path::Path;

use proglog::inspect::finding::OffsetRange;
use proglog::log::error::Error;
use proglog::log::follow::{Follower, Pass, Step};
use proglog::log::reader::{Item, LogReader, Obstacle, RecordView};
use proglog::log::record::{Codec, Record};
use proglog::log::units::Offset;
use proglog::scan::layouts;

use super::headers::name_of;
use super::{Trouble, cannot};
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
    /// Its codec, if that must not be detected.
    pub codec: Option<Codec>,
}

impl Source<'_> {
    fn reader(&self) -> Result<LogReader, Error> {
        let mut log = LogReader::open(self.path)?;
        layouts::require_ours(log.directory())?;
        if let Some(codec) = self.codec {
            log.set_codec(codec);
        }
        Ok(log)
    }

    /// The offsets of the first record and the next one.
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

    /// The log's codec; raw if no record shows it.
    pub fn codec(&self) -> Result<Codec, Error> {
        self.reader()?.codec()
    }

    /// Reads one record; `None` if the log does not have it.
    pub fn record(&self, offset: Offset) -> Result<Option<Record>, Trouble> {
        let mut found = None;
        let _ = self.reader()?.lookup::<Trouble>(offset, |item| {
            match item {
                Item::Record(record) => found = Some(read(record, VALUE_BYTES_MAX)?),
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

    /// The name that a record gives its log; `None` if the log does not have it.
    pub fn name(&self, offset: Offset) -> Result<Option<String>, Trouble> {
        let bounds = self.bounds()?;
        let record = bounds.contains(&offset).then(|| self.record(offset));
        Ok(record.transpose()?.flatten().as_ref().map(name_of))
    }

    /// The error for records that cannot be read.
    fn unreadable(&self, obstacle: &Obstacle, first: Offset, last: Option<Offset>) -> Trouble {
        let last = last.unwrap_or(first);
        let offsets = prose::offsets(&[OffsetRange { first, last }]);
        let log = quote(self.path);
        let message = format!("{log}: {offsets} cannot be read: {}", obstacle.summary());
        Failure::new(Status::Damage, message)
            .hint(format!("proglog verify {log}"))
            .into()
    }
}

/// Reads a record into memory, unless its value is larger than `bytes_max`.
fn read(record: &RecordView<'_>, bytes_max: u64) -> Result<Record, Trouble> {
    let (offset, bytes) = (record.offset, record.value.len());
    if bytes > bytes_max {
        return Err(cannot(format!(
            "offset {offset} has {bytes} bytes: the server accepts at most {bytes_max} besides \
             the headers (max_payload, or the stream's max_msg_size)"
        )));
    }
    Ok(Record {
        value: record.value.to_vec()?,
        offset,
        term: record.term,
        record_type: record.record_type,
        ..Record::default()
    })
}

/// The records of a log, in order, up to an end.
pub struct Feed<'a> {
    source: Source<'a>,
    follower: Follower,
    end: Offset,
    value_bytes_max: u64,
}

impl<'a> Feed<'a> {
    /// The records of a range, which have at most so many bytes.
    pub fn new(
        source: Source<'a>,
        range: Range<Offset>,
        value_bytes_max: u64,
    ) -> Result<Self, Error> {
        let mut follower = Follower::of(&mut source.reader()?, range.start)?;
        if let Some(codec) = source.codec {
            follower.set_codec(codec);
        }
        Ok(Self {
            source,
            follower,
            end: range.end,
            value_bytes_max,
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
        let (end, bytes_max) = (self.end, self.value_bytes_max);
        let pass = self.follower.pass::<Trouble>(|record| {
            let record = match read(record, bytes_max) {
                // First the records before it; it comes again.
                Err(_) if !records.is_empty() => return Ok(Step::Leave),
                read => read?,
            };
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
        let obstacle = match pass {
            _ if !records.is_empty() => return Ok(records),
            Pass::Blocked(blocked) => blocked.obstacles.into_iter().next(),
            Pass::Gone { first, last } => Some((Obstacle::Gap, first, Some(last))),
            _ => None,
        };
        if let Some((obstacle, first, last)) = obstacle {
            return Err(self.source.unreadable(&obstacle, first, last));
        }
        // The next attempt compares it with the stream.
        let log = quote(self.source.path);
        Err(Trouble::Passing(format!("{log} changed where it was read")))
    }

    /// Whether there may be records after the end.
    pub fn has_grown(&mut self) -> Result<bool, Error> {
        if !self.follower.changed() {
            return Ok(false);
        }
        let pass = self.follower.pass::<Error>(|_| Ok(Step::Leave))?;
        Ok(pass != Pass::End)
    }
}
