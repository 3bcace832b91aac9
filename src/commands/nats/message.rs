//! The metadata of a message: its headers, and the name that identifies the log.
//! Documented in `docs/scale.md`.

use async_nats::header::{
    NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_STREAM,
    NATS_MESSAGE_ID,
};
use async_nats::{HeaderMap, HeaderName, HeaderValue};
use proglog::log::record::{Codec, Record};
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

/// The name of a log: a digest of the first record that its stream got, and of that one's
/// offset, in 16 hex digits. Two logs that begin alike have one name; `agree` compares
/// more.
pub fn log_name(first: &Record) -> String {
    let mut digest = digest::Context::new(&digest::SHA256);
    digest.update(b"proglog log 1\0");
    for number in [first.offset.0, first.term, u64::from(first.record_type)] {
        digest.update(&number.to_be_bytes());
    }
    digest.update(&first.value);
    let head = digest.finish().as_ref().first_chunk().copied();
    format!("{:016x}", u64::from_be_bytes(head.unwrap_or_default()))
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
    /// `after` is the message that must be before it, where that is known.
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
        headers.insert(HeaderName::from_static(LOG), self.log.as_str());
        headers.insert(HeaderName::from_static(OFFSET), self.offset.to_string());
        // A sequence alone is not enough: another client's message could take it, and the
        // next message of this log would follow that one.
        if let Some(behind) = behind {
            headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, id(behind));
        }
        if self.term != 0 {
            headers.insert(HeaderName::from_static(TERM), self.term.to_string());
        }
        if self.record_type != 0 {
            headers.insert(HeaderName::from_static(TYPE), self.record_type.to_string());
        }
        if self.codec != Codec::Raw {
            headers.insert(HeaderName::from_static(CODEC), self.codec.to_string());
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
            log: log_name(&Record::default()),
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
            log: log_name(&Record::default()),
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
        headers.insert(HeaderName::from_static(OFFSET), "-1");
        assert!(Stamp::of(Some(&headers), 1).is_err());
        let mut headers = stamp().headers("S", 64, None);
        headers.insert(HeaderName::from_static(TYPE), "4294967296");
        assert!(Stamp::of(Some(&headers), 1).is_err());
    }

    #[test]
    fn a_log_is_told_by_its_first_record() {
        let name = |offset, term, value: &[u8]| {
            log_name(&Record {
                value: value.to_vec(),
                offset: Offset(offset),
                term,
                ..Record::default()
            })
        };
        assert_eq!(name(0, 0, b"ab"), "46d9422c8cc1e5ef");
        assert_ne!(name(0, 0, b"ab"), name(1, 0, b"ab"));
        assert_ne!(name(0, 0, b"ab"), name(0, 1, b"ab"));
        assert_ne!(name(0, 0, b"ab"), name(0, 0, b"ac"));
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
