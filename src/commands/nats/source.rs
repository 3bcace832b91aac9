//! The log on disk: its ends, its records, and why they cannot be read. Every use opens it
//! again, because it may have changed or been replaced.

use std::ops::Range;
use std::path::Path;

use proglog::inspect::finding::OffsetRange;
use proglog::log::error::Error;
use proglog::log::live::is_disturbed;
use proglog::log::reader::{LogReader, Obstacle};
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::{ReadError, Reader, Record};

use super::headers::name_of;
use super::{Trouble, cannot};
use crate::commands::{Failure, Status, quote};
use crate::render::prose;

/// No message holds more: the most that the server's `max_payload` may be. Units: bytes.
pub const VALUE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A log that is read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its directory.
    pub path: &'a Path,
    /// Its codec, if that must not be detected.
    pub codec: Option<Codec>,
}

impl Source<'_> {
    /// Opens it, for values of at most so many bytes.
    pub fn reader(&self, value_bytes_max: u64) -> Result<Reader, Error> {
        let reader = Reader::open(self.path)?.with_max_value_bytes(value_bytes_max);
        Ok(match self.codec {
            Some(codec) => reader.with_codec(codec),
            None => reader,
        })
    }

    /// The offsets of the first record and the next one.
    pub fn bounds(&self) -> Result<Range<Offset>, Error> {
        self.reader(VALUE_BYTES_MAX)?.read_offsets()
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
        let detected = || LogReader::open(self.path)?.codec();
        self.codec.map_or_else(detected, Ok)
    }

    /// Reads one record; `None` if the log does not have it.
    pub fn record(&self, offset: Offset) -> Result<Option<Record>, Trouble> {
        let record = self.reader(VALUE_BYTES_MAX)?.get(offset);
        record.map_err(|error| self.unreadable(error))
    }

    /// The name that a record gives its log; `None` if the log does not have it.
    pub fn name(&self, offset: Offset) -> Result<Option<String>, Trouble> {
        let record = self
            .bounds()?
            .contains(&offset)
            .then(|| self.record(offset));
        Ok(record.transpose()?.flatten().as_ref().map(name_of))
    }

    /// The log is not the one that it was: the next attempt compares it with the stream.
    pub fn changed(&self) -> Trouble {
        Trouble::Passing(format!("{} changed where it was read", quote(self.path)))
    }

    /// Why records cannot be read.
    pub fn unreadable(&self, error: ReadError) -> Trouble {
        let (obstacle, first, last) = match error {
            ReadError::Obstacle {
                obstacle,
                first,
                last,
                ..
            } => (obstacle, first, last.unwrap_or(first)),
            ReadError::Gone { first, last, .. } => (Obstacle::Gap, first, last),
            ReadError::ValueTooLarge {
                offset, bytes, max, ..
            } => {
                return cannot(format!(
                    "offset {offset} has {bytes} bytes: the server accepts at most {max} besides \
                     the headers (max_payload, or the stream's max_msg_size)"
                ));
            }
            ReadError::Stopped(error) if !is_disturbed(&error) => return error.into(),
            _ => return self.changed(),
        };
        self.obstructed(&obstacle, OffsetRange { first, last })
    }

    /// The error for an obstacle in the place of records.
    pub fn obstructed(&self, obstacle: &Obstacle, offsets: OffsetRange) -> Trouble {
        let (log, offsets) = (quote(self.path), prose::offsets(&[offsets]));
        let message = format!("{log}: {offsets} cannot be read: {}", obstacle.summary());
        Failure::new(Status::Damage, message)
            .hint(format!("proglog verify {log}"))
            .into()
    }
}
