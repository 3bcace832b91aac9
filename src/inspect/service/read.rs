//! The result of reading an offset from the service: `segment.Read`, with `index.Read`,
//! `store.Read` and `proto.Unmarshal` below it.

use std::io;

use super::facts::Facts;
use super::open::{Failure, GoLog, GoSegment};
use super::payload;
use crate::log::format::{LENGTH_BYTES, decode_length};
use crate::log::units::{Offset, Position};

/// The largest allocation of Go on 64-bit Linux; above it `make` panics. Units: bytes.
const GO_ALLOCATION_MAX: u64 = 1 << 48;

/// How much of a payload is inspected; a longer value is passed over, for none of its
/// bytes matters to whether the payload is a Record.
const LOOK_BYTES: u64 = 4096;

/// The result of reading an offset from the segment that the service selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A record.
    Record {
        /// Position of its frame.
        position: Position,
        /// The offset in it, which may differ from the requested one.
        carries: Offset,
    },
    /// An error.
    Error(&'static str),
    /// An error, after it made room for a length that the store does not hold. Where
    /// memory does not suffice, the process dies of it.
    TooLong {
        /// The value of the length field. Units: bytes.
        claimed: u64,
    },
    /// The end of the process.
    Panics(Failure),
}

impl<F: Facts> GoLog<F> {
    /// `segment.Read`. An error of the disk is an answer where the service gets one from
    /// a read, and an error here where the mapping of an index would give it a SIGBUS.
    pub(super) fn read_in(&mut self, segment: &GoSegment, offset: u64) -> io::Result<Answer> {
        let entry = offset.wrapping_sub(segment.base);
        let position = match self.index_read(segment, entry)? {
            Err(failure) => return Ok(Answer::Panics(failure)),
            Ok(None) => return Ok(Answer::Error("EOF")),
            Ok(Some(entry)) => entry.position,
        };
        if i64::try_from(position.0).is_err() {
            return Ok(Answer::Error("negative offset"));
        }
        match self.store_read(segment, position) {
            Ok(answer) => Ok(answer),
            Err(_) => Ok(Answer::Error("input/output error")),
        }
    }

    /// `store.Read` and the unmarshalling.
    fn store_read(&mut self, segment: &GoSegment, position: Position) -> io::Result<Answer> {
        let name = segment.store_name.as_str();
        let mut length = [0; 8];
        if self.disk.read_at(name, position.0, &mut length)? < length.len() {
            return Ok(Answer::Error("EOF"));
        }
        let claimed = decode_length(length);
        if claimed > GO_ALLOCATION_MAX {
            let file = name.to_owned();
            return Ok(Answer::Panics(Failure::Length { file, claimed }));
        }
        let start = position.0.saturating_add(LENGTH_BYTES);
        // The size noted on open is the file's: a twin, which could add to it unseen, never
        // gets an entry in.
        if claimed > segment.store_bytes.saturating_sub(start) {
            return Ok(Answer::TooLong { claimed });
        }
        Ok(match self.carried_offset(name, start, claimed)? {
            Some(carries) => Answer::Record { position, carries },
            None => Answer::Error("proto: cannot parse invalid wire-format data"),
        })
    }

    /// The offset in the payload of `bytes` at `start`.
    fn carried_offset(&mut self, name: &str, start: u64, bytes: u64) -> io::Result<Option<Offset>> {
        if bytes <= LOOK_BYTES {
            self.look(name, start, bytes)?;
            return Ok(self.disk.carried_offset(&self.payload));
        }
        self.look(name, start, LOOK_BYTES)?;
        let Some(rest) = behind_value(&self.payload).filter(|rest| *rest <= bytes) else {
            return Ok(None);
        };
        let rest_bytes = bytes - rest;
        if rest_bytes > LOOK_BYTES {
            return Ok(None);
        }
        self.look(name, start + rest, rest_bytes)?;
        self.payload.splice(..0, [VALUE_KEY, 0]);
        Ok(self.disk.carried_offset(&self.payload))
    }

    /// Fills `payload`; `bytes` is at most `LOOK_BYTES`.
    fn look(&mut self, name: &str, start: u64, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes.min(LOOK_BYTES)).unwrap_or(0);
        self.payload.clear();
        self.payload.resize(bytes, 0);
        let got = self.disk.read_at(name, start, &mut self.payload)?;
        self.payload.truncate(got);
        Ok(())
    }
}

/// The key of a Record's value, which comes first where the service writes one.
const VALUE_KEY: u8 = 0x0a;

/// The end of the value at the beginning of a payload.
fn behind_value(head: &[u8]) -> Option<u64> {
    let mut rest = head.strip_prefix(&[VALUE_KEY])?;
    let value_bytes = payload::varint(&mut rest)?;
    let before = head.len() - rest.len();
    value_bytes.checked_add(before as u64)
}
