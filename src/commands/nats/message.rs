//! The metadata of a message: its headers, and the name that identifies the log.
//! Documented in `docs/scale.md`.

use std::fmt;

use async_nats::header::{
    NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_STREAM,
    NATS_MESSAGE_ID,
};
use async_nats::{HeaderMap, HeaderName};
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use ring::digest;

use super::{Trouble, no};

/// The record's offset, decimal.
const OFFSET: &str = "Proglog-Offset";
/// The Raft term, decimal; absent when it is 0.
const TERM: &str = "Proglog-Term";
/// The Raft log's type of record, decimal; absent when it is 0.
const TYPE: &str = "Proglog-Type";
/// The log's codec; absent when it is raw.
const CODEC: &str = "Proglog-Codec";
/// The log's name.
const LOG: &str = "Proglog-Log";

/// Overhead of the headers besides names and values, as counted by the server: a first
/// line, an end, and four bytes each. Units: bytes.
const HEAD_BYTES: (usize, usize) = ("NATS/1.0\r\n\r\n".len(), ": \r\n".len());

/// The name of a log: a digest of the first record that its stream got, and of that
/// one's offset. Two logs that begin alike have one name; `agree` compares more.
#[derive(Clone, PartialEq, Eq)]
pub struct LogId(String);

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Makes a [`LogId`] of a record that comes in pieces.
pub struct LogDigest(digest::Context);

impl LogDigest {
    /// Hashes the fields before the value.
    pub fn new(offset: Offset, term: u64, record_type: u32) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"proglog log 1\0");
        for number in [offset.0, term, u64::from(record_type)] {
            context.update(&number.to_be_bytes());
        }
        Self(context)
    }

    /// Takes the next piece of the value.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The name.
    pub fn finish(self) -> LogId {
        let digest = self.0.finish();
        let first = digest.as_ref().iter().take(8);
        let number = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        LogId(format!("{number:016x}"))
    }
}

/// The headers of a message, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The record's offset.
    pub offset: Offset,
    /// The Raft term.
    pub term: u64,
    /// The Raft log's type of record.
    pub record_type: u32,
    /// The log's codec.
    pub codec: Codec,
    /// Which log it is.
    pub log: LogId,
}

impl Stamp {
    /// The name under which the server knows a message to be the same one.
    pub fn message_id(log: &LogId, offset: Offset) -> String {
        format!("{log}-{offset}")
    }

    /// The headers of the message; it is stored as `sequence` of `stream` or not at all.
    /// `after` is the message that must be before it, where that is known.
    pub fn headers(&self, stream: &str, sequence: u64, behind: Option<Offset>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.fields(stream, sequence, behind) {
            headers.insert(name, value);
        }
        headers
    }

    fn fields(
        &self,
        stream: &str,
        sequence: u64,
        behind: Option<Offset>,
    ) -> Vec<(HeaderName, String)> {
        let mut fields = vec![
            (NATS_MESSAGE_ID, Self::message_id(&self.log, self.offset)),
            (NATS_EXPECTED_STREAM, stream.to_owned()),
            (
                NATS_EXPECTED_LAST_SEQUENCE,
                (sequence.saturating_sub(1)).to_string(),
            ),
            (HeaderName::from_static(LOG), self.log.to_string()),
            (HeaderName::from_static(OFFSET), self.offset.to_string()),
        ];
        // A sequence alone is not enough: another client's message could take it, and the
        // next message of this log would follow that one.
        if let Some(behind) = behind {
            fields.push((
                NATS_EXPECTED_LAST_MESSAGE_ID,
                Self::message_id(&self.log, behind),
            ));
        }
        if self.term != 0 {
            fields.push((HeaderName::from_static(TERM), self.term.to_string()));
        }
        if self.record_type != 0 {
            fields.push((HeaderName::from_static(TYPE), self.record_type.to_string()));
        }
        if self.codec != Codec::Raw {
            fields.push((HeaderName::from_static(CODEC), self.codec.to_string()));
        }
        fields
    }

    /// The most bytes that the headers of any record of a stream take.
    pub fn headers_bytes_max(stream: &str) -> u64 {
        let widest = Self {
            offset: Offset::MAX,
            term: u64::MAX,
            record_type: u32::MAX,
            codec: Codec::Protobuf,
            log: LogDigest::new(Offset(0), 0, 0).finish(),
        };
        let fields = widest.fields(stream, u64::MAX, Some(Offset::MAX));
        let bytes: usize = fields
            .iter()
            .map(|(name, value)| AsRef::<str>::as_ref(name).len() + value.len() + HEAD_BYTES.1)
            .sum();
        (bytes + HEAD_BYTES.0) as u64
    }

    /// Reads the headers of the message with this sequence.
    pub fn of(headers: Option<&HeaderMap>, sequence: u64) -> Result<Self, Trouble> {
        let field = |name: &'static str| {
            headers
                .and_then(|headers| headers.get(name))
                .map(async_nats::HeaderValue::as_str)
        };
        let wrong = |name: &str| {
            no(format!(
                "message {sequence} has no valid {name} header: proglog push did not send it"
            ))
        };
        let number = |name: &'static str, none: Option<u64>| match field(name) {
            None => none.ok_or_else(|| wrong(name)),
            Some(text) => text.parse::<u64>().map_err(|_| wrong(name)),
        };
        let log = field(LOG).ok_or_else(|| wrong(LOG))?;
        Ok(Self {
            offset: Offset(number(OFFSET, None)?),
            term: number(TERM, Some(0))?,
            record_type: u32::try_from(number(TYPE, Some(0))?).map_err(|_| wrong(TYPE))?,
            codec: match field(CODEC) {
                None => Codec::Raw,
                Some(name) => name.parse().map_err(|_| wrong(CODEC))?,
            },
            log: LogId(log.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            offset: Offset(70),
            term: 3,
            record_type: 1,
            codec: Codec::Protobuf,
            log: LogDigest::new(Offset(7), 0, 0).finish(),
        }
    }

    #[test]
    fn headers_there_and_back() {
        let headers = stamp().headers("S", 64, Some(Offset(69)));
        assert_eq!(Stamp::of(Some(&headers), 64).unwrap(), stamp());
        let get = |name: &'static str| headers.get(name).unwrap().as_str();
        assert_eq!(get("Nats-Expected-Last-Sequence"), "63");
        assert_eq!(get("Nats-Msg-Id"), format!("{}-70", stamp().log));
        assert_eq!(
            get("Nats-Expected-Last-Msg-Id"),
            format!("{}-69", stamp().log)
        );
        assert_eq!(get("Nats-Expected-Stream"), "S");
        let plain = Stamp {
            term: 0,
            record_type: 0,
            codec: Codec::Raw,
            ..stamp()
        };
        let headers = plain.headers("S", 64, None);
        assert_eq!(headers.len(), 5);
        assert_eq!(Stamp::of(Some(&headers), 64).unwrap(), plain);
    }

    #[test]
    fn headers_of_strangers_are_none() {
        assert!(Stamp::of(None, 1).is_err());
        let mut headers = stamp().headers("S", 64, None);
        headers.insert(OFFSET, "-1");
        assert!(Stamp::of(Some(&headers), 1).is_err());
        let mut headers = stamp().headers("S", 64, None);
        headers.insert(TYPE, "4294967296");
        assert!(Stamp::of(Some(&headers), 1).is_err());
    }

    #[test]
    fn a_log_is_told_by_its_first_record() {
        let id = |offset, term, pieces: &[&str]| {
            let mut digest = LogDigest::new(Offset(offset), term, 0);
            for piece in pieces {
                digest.update(piece.as_bytes());
            }
            digest.finish().to_string()
        };
        assert_eq!(id(0, 0, &["ab"]), id(0, 0, &["a", "b"]));
        assert_eq!(id(0, 0, &["ab"]).len(), 16);
        assert_ne!(id(0, 0, &["ab"]), id(1, 0, &["ab"]));
        assert_ne!(id(0, 0, &["ab"]), id(0, 1, &["ab"]));
        assert_ne!(id(0, 0, &["ab"]), id(0, 0, &["ac"]));
    }

    #[test]
    fn no_headers_are_longer_than_the_longest() {
        let headers = stamp().headers("STREAM", 64, Some(Offset(69)));
        let bytes: usize = headers
            .iter()
            .map(|(name, values)| {
                let name: &str = name.as_ref();
                name.len() + values[0].as_str().len() + 4
            })
            .sum();
        let most = usize::try_from(Stamp::headers_bytes_max("STREAM")).unwrap();
        assert!(bytes + 12 < most && most < 600, "{bytes} {most}");
    }
}
