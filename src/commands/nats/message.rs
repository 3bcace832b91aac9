//! The metadata of a message: its headers, and the name that identifies the log.
//! Documented in `docs/scale.md`.

use async_nats::header::{
    NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_STREAM,
    NATS_MESSAGE_ID,
};
use async_nats::{HeaderMap, HeaderName, HeaderValue};
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

/// Makes the name of a log: a digest of the first record that its stream got, and of that
/// one's offset. Two logs that begin alike have one name; `agree` compares more.
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

    /// The name: 16 hex digits.
    pub fn finish(self) -> String {
        let digest = self.0.finish();
        let first = digest.as_ref().iter().take(8);
        first.map(|byte| format!("{byte:02x}")).collect()
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
    /// The log's name.
    pub log: String,
}

impl Stamp {
    /// The headers of the message; it is stored as `sequence` of `stream` or not at all.
    /// `behind` is the message that must be before it, where that is known.
    pub fn headers(&self, stream: &str, sequence: u64, behind: Option<Offset>) -> HeaderMap {
        // The server knows by it that two messages are one.
        let id = |offset: Offset| format!("{}-{offset}", self.log);
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id(self.offset));
        headers.insert(NATS_EXPECTED_STREAM, stream);
        headers.insert(
            NATS_EXPECTED_LAST_SEQUENCE,
            sequence.saturating_sub(1).to_string(),
        );
        headers.insert(LOG, self.log.as_str());
        headers.insert(OFFSET, self.offset.to_string());
        // A sequence alone is not enough: another client's message could take it, and the
        // next message of this log would follow that one.
        if let Some(behind) = behind {
            headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, id(behind));
        }
        if self.term != 0 {
            headers.insert(TERM, self.term.to_string());
        }
        if self.record_type != 0 {
            headers.insert(TYPE, self.record_type.to_string());
        }
        if self.codec != Codec::Raw {
            headers.insert(CODEC, self.codec.to_string());
        }
        headers
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
        let headers = widest.headers(stream, u64::MAX, Some(Offset::MAX));
        let bytes = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
            let values: usize = values.iter().map(|value| value.as_str().len()).sum();
            AsRef::<str>::as_ref(name).len() + values + HEAD_BYTES.1
        };
        (HEAD_BYTES.0 + headers.iter().map(bytes).sum::<usize>()) as u64
    }

    /// Reads the headers of the message with this sequence.
    pub fn of(headers: Option<&HeaderMap>, sequence: u64) -> Result<Self, Trouble> {
        let field = |name: &'static str| {
            headers
                .and_then(|headers| headers.get(name))
                .map(HeaderValue::as_str)
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
            log: log.to_owned(),
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
            digest.finish()
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
