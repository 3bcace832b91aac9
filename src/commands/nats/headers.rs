//! The headers of a message, and the name of a log. Documented in `docs/scale.md`.

use async_nats::header::{
    NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_MESSAGE_ID,
};
use async_nats::{HeaderMap, HeaderName};
use proglog::Record;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use ring::digest;

use super::{Trouble, no};

/// The record's offset, decimal.
const OFFSET: &str = "Proglog-Offset";
/// The Raft term, decimal; absent if it is 0.
const TERM: &str = "Proglog-Term";
/// The Raft log's type of record, decimal; absent if it is 0.
const TYPE: &str = "Proglog-Type";
/// The log's codec; absent if it is raw.
const CODEC: &str = "Proglog-Codec";
/// The log's name.
const LOG: &str = "Proglog-Log";

/// The most bytes of all headers, besides the names of the stream. Units: bytes.
const BYTES_MAX: u64 = 454;

/// The name of a record, and of the log that it is the first of in a stream: 16 hex digits
/// of its digest, `-`, and its offset.
pub fn name_of(record: &Record) -> String {
    name(
        record.offset(),
        record.term(),
        record.record_type(),
        record.value(),
    )
}

fn name(offset: Offset, term: u64, record_type: u32, value: &[u8]) -> String {
    let mut digest = digest::Context::new(&digest::SHA256);
    digest.update(b"proglog log 1\0");
    for number in [offset.0, term, u64::from(record_type)] {
        digest.update(&number.to_be_bytes());
    }
    digest.update(value);
    let head = digest.finish().as_ref().first_chunk().copied();
    let digits = u64::from_be_bytes(head.unwrap_or_default());
    format!("{digits:016x}-{offset}")
}

/// The offset of the record that gave a log its name.
pub fn named_by(log: &str) -> Option<Offset> {
    let (_, offset) = log.rsplit_once('-')?;
    offset.parse().ok().map(Offset)
}

/// The headers of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
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

impl Headers {
    /// Encodes the headers of the message with this id. The last message of the stream must
    /// have the expected sequence, and id.
    pub fn encode(&self, id: &str, expected: Option<(u64, Option<&str>)>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id);
        if let Some((sequence, behind)) = expected {
            headers.insert(NATS_EXPECTED_LAST_SEQUENCE, sequence.to_string());
            if let Some(behind) = behind {
                headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, behind);
            }
        }
        let mut insert = |name, value: String| headers.insert(HeaderName::from_static(name), value);
        insert(LOG, self.log.clone());
        insert(OFFSET, self.offset.to_string());
        if self.term != 0 {
            insert(TERM, self.term.to_string());
        }
        if self.record_type != 0 {
            insert(TYPE, self.record_type.to_string());
        }
        if self.codec != Codec::Raw {
            insert(CODEC, self.codec.to_string());
        }
        headers
    }

    /// The most bytes that the headers of a stream's messages take.
    pub fn bytes_max(stream: &str) -> u64 {
        BYTES_MAX + 2 * stream.len() as u64
    }

    /// Parses the headers of the message with this sequence.
    pub fn parse(headers: Option<&HeaderMap>, sequence: u64) -> Result<Self, Trouble> {
        let field = |name| Some(headers?.get(name)?.as_str());
        let invalid = |name: &str| {
            no(format!(
                "message {sequence} has no valid {name} header: proglog push did not send it"
            ))
        };
        let number = |name, absent: Option<u64>| match field(name) {
            None => absent.ok_or_else(|| invalid(name)),
            Some(text) => text.parse::<u64>().map_err(|_| invalid(name)),
        };
        let log = field(LOG).filter(|log| named_by(log).is_some());
        Ok(Self {
            offset: Offset(number(OFFSET, None)?),
            term: number(TERM, Some(0))?,
            record_type: u32::try_from(number(TYPE, Some(0))?).map_err(|_| invalid(TYPE))?,
            codec: match field(CODEC) {
                None => Codec::Raw,
                Some(name) => name.parse().map_err(|_| invalid(CODEC))?,
            },
            log: log.ok_or_else(|| invalid(LOG))?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderValue;

    use super::*;

    fn headers() -> Headers {
        Headers {
            offset: Offset(70),
            term: 3,
            record_type: 1,
            codec: Codec::Protobuf,
            log: name(Offset(0), 0, 0, b""),
        }
    }

    #[test]
    fn headers_there_and_back() {
        let encoded = headers().encode("70", Some((63, Some("69"))));
        assert_eq!(Headers::parse(Some(&encoded), 64).unwrap(), headers());
        let get = |name: &'static str| encoded.get(name).map(HeaderValue::as_str);
        assert_eq!(get("Nats-Expected-Last-Sequence"), Some("63"));
        assert_eq!(get("Nats-Msg-Id"), Some("70"));
        assert_eq!(get("Nats-Expected-Last-Msg-Id"), Some("69"));
        let plain = Headers {
            term: 0,
            record_type: 0,
            codec: Codec::Raw,
            ..headers()
        };
        let encoded = plain.encode("S", None);
        assert_eq!(encoded.len(), 3);
        assert_eq!(Headers::parse(Some(&encoded), 64).unwrap(), plain);
    }

    #[test]
    fn headers_of_other_publishers_are_refused() {
        assert!(Headers::parse(None, 1).is_err());
        for (name, value) in [
            (OFFSET, "-1"),
            (TYPE, "4294967296"),
            (LOG, "46d9422c8cc1e5ef"),
        ] {
            let mut encoded = headers().encode("S", None);
            encoded.insert(HeaderName::from_static(name), value);
            assert!(Headers::parse(Some(&encoded), 1).is_err(), "{name}");
        }
    }

    #[test]
    fn a_log_is_named_by_a_record() {
        let name = |offset, term, value: &[u8]| name(Offset(offset), term, 0, value);
        assert_eq!(name(0, 0, b"ab"), "46d9422c8cc1e5ef-0");
        assert_ne!(name(0, 0, b"ab"), name(0, 1, b"ab"));
        assert_ne!(name(0, 0, b"ab"), name(0, 0, b"ac"));
        assert_eq!(named_by(&name(7, 0, b"ab")), Some(Offset(7)));
    }

    #[test]
    fn no_headers_are_longer_than_the_longest() {
        let widest = Headers {
            offset: Offset::MAX,
            term: u64::MAX,
            record_type: u32::MAX,
            codec: Codec::Protobuf,
            log: format!("{:016x}-{}", u64::MAX, u64::MAX),
        };
        let id = format!("STREAM-{0}-{0}", widest.log);
        let encoded = widest.encode(&id, Some((u64::MAX, Some(&id))));
        let bytes: usize = encoded
            .iter()
            .map(|(name, values)| {
                let name: &str = name.as_ref();
                name.len() + values[0].as_str().len() + ": \r\n".len()
            })
            .sum();
        let bytes = (bytes + "NATS/1.0\r\n\r\n".len()) as u64;
        let most = Headers::bytes_max("STREAM");
        assert!(bytes <= most && most < bytes + 20, "{bytes} {most}");
    }
}
