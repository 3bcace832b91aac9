//! The fingerprint of the last record read. A cursor file keeps it after the offset, so
//! that a log that was recreated, or truncated and appended to, is distinguished from the
//! log that was read.

use std::fmt;
use std::ops::ControlFlow;

use proglog::log::error::Error;
use proglog::log::reader::{Item, LogReader, Obstacle, RecordView};
use proglog::log::units::Offset;

use super::obstacle::{self, Trouble};

/// A record's offset, the length of its payload, and the digest of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    offset: Offset,
    bytes: u64,
    digest: blake3::Hash,
}

/// Result of comparing a fingerprint with the log.
pub enum Comparison {
    /// The log holds the record.
    Same,
    /// The log begins after the record: there is nothing to compare.
    Trimmed,
    /// The record has the same length, and its value is one byte over and over.
    Redacted,
    /// The log holds another record at this offset.
    Changed,
    /// The log holds no record at this offset.
    Missing,
    /// The record cannot be read.
    Damaged(Trouble),
}

impl Fingerprint {
    /// Takes the fingerprint of a record.
    ///
    /// # Errors
    ///
    /// As reading the store.
    pub fn new(record: &RecordView<'_>) -> Result<Self, Error> {
        let mut hasher = blake3::Hasher::new();
        record.payload.pieces(|piece| {
            hasher.update(piece);
            Ok::<(), Error>(())
        })?;
        Ok(Self {
            offset: record.offset,
            bytes: record.payload.len(),
            digest: hasher.finalize(),
        })
    }

    /// Parses the line that [`Display`](fmt::Display) writes.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut value = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=');
        let fingerprint = Self {
            offset: Offset(value("offset")?.parse().ok()?),
            bytes: value("length")?.parse().ok()?,
            digest: blake3::Hash::from_hex(value("blake3")?).ok()?,
        };
        // Exactly the written form, so that a truncated line is not misread.
        (fingerprint.to_string() == line).then_some(fingerprint)
    }

    /// The record's offset.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Compares the record with the record of the log at its offset.
    ///
    /// # Errors
    ///
    /// As [`LogReader::lookup`].
    pub fn compare(&self, log: &mut LogReader) -> Result<Comparison, Error> {
        if self.offset < log.lowest_offset() {
            return Ok(Comparison::Trimmed);
        }
        let directory = log.directory().clone();
        let mut found = Comparison::Missing;
        let _ = log.lookup::<Error>(self.offset, |item| {
            match item {
                Item::Record(record) => found = self.compare_record(record)?,
                // The record that was there first comes next.
                Item::Obstacle {
                    obstacle: Obstacle::Overlap { .. },
                    ..
                } => {}
                Item::Obstacle {
                    obstacle,
                    first,
                    last,
                } => {
                    if let Some(trouble) = obstacle::describe(&directory, &obstacle, first, last) {
                        found = Comparison::Damaged(trouble);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    fn compare_record(&self, record: &RecordView<'_>) -> Result<Comparison, Error> {
        Ok(if record.payload.len() != self.bytes {
            Comparison::Changed
        } else if Self::new(record)?.digest == self.digest {
            Comparison::Same
        } else if record.value.redacted()?.is_some() {
            Comparison::Redacted
        } else {
            Comparison::Changed
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.to_hex();
        write!(
            f,
            "offset={} length={} blake3={digest}",
            self.offset, self.bytes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proglog::log::reader::Content;

    #[test]
    fn a_line_is_read_back_and_nothing_else_is() {
        let fingerprint = Fingerprint {
            offset: Offset(u64::MAX),
            bytes: 7,
            digest: blake3::hash(b"payload"),
        };
        let line = fingerprint.to_string();
        assert_eq!(Fingerprint::parse(&line), Some(fingerprint));
        for wrong in [
            line.get(1..).unwrap(),
            line.get(..line.len() - 1).unwrap(),
            &format!("{line} "),
            &line.replace("length=7", "length=+7"),
            &line.replace(' ', "  "),
            "",
        ] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_value_of_one_byte_over_and_over_is_redacted() {
        let redacted = |value| Content::Memory(value).redacted().unwrap().is_some();
        assert!(redacted(b"xxxxx") && redacted(b"\0\0") && redacted(b"*"));
        assert!(!redacted(b"xxxxy") && !redacted(b"x") && !redacted(b""));
    }
}
