//! The content of a payload: the bytes of a `Record`.
//!
//! ```text
//! message Record { bytes value = 1; uint64 offset = 2; uint64 term = 3; uint32 type = 4; }
//!
//! head                    | value ... | tail
//! 0a | length (varint)    | bytes     | 10 offset | 18 term | 20 type   (varints)
//! ```
//!
//! Each field is absent when it is zero or empty, so an empty record is no bytes at all.
//! Fields we do not know are after and are kept. Where the fields are in a payload is
//! found by `layout`, which never needs the value in memory. Source: `api/v1/log.proto`
//! of *Distributed Services with Go*.

use std::ops::Range;

pub use super::codec::{Codec, UnknownCodec};
use super::layout::{Field, Fields, OFFSET_KEY, TERM_KEY, TYPE_KEY, VALUE_KEY, illegal};
pub use super::layout::{Layout, layout, layout_of};
use super::units::Offset;
use super::wire::to_usize;
pub use super::wire::{Bytes, DecodeError, LayoutError};

/// One record of a protobuf log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The value.
    pub value: Vec<u8>,
    /// The record's number in the log, the one check that the format has.
    pub offset: Offset,
    /// The Raft term; 0 in a log that is not Raft's.
    pub term: u64,
    /// The Raft log type, `type` in the schema; 0 in a log that is not Raft's.
    pub record_type: u32,
    /// The fields we do not know, keys included, in their order.
    pub unknown: Vec<u8>,
}

impl Record {
    /// The payload of this record, byte for byte as Go's `proto.Marshal` writes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use proglog::log::record::Record;
    ///
    /// let record = Record { value: b"a".to_vec(), ..Record::default() };
    /// assert_eq!(record.encode(), [0x0a, 1, b'a']);
    /// assert!(Record::default().encode().is_empty());
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let value_bytes = self.value.len() as u64;
        let known = encoded_len(value_bytes, self.offset, self.term, self.record_type);
        let mut out = Vec::with_capacity(to_usize(known).saturating_add(self.unknown.len()));
        encode_head(value_bytes, &mut out);
        out.extend_from_slice(&self.value);
        encode_tail(self.offset, self.term, self.record_type, &mut out);
        out.extend_from_slice(&self.unknown);
        out
    }
}

/// The bytes that such a record takes, without unknown fields; 2^64 - 1 if more.
#[must_use]
pub fn encoded_len(value_bytes: u64, offset: Offset, term: u64, record_type: u32) -> u64 {
    let field = |n: u64| if n == 0 { 0 } else { 1 + varint_len(n) };
    let rest = field(value_bytes) + field(offset.0) + field(term) + field(u64::from(record_type));
    value_bytes.saturating_add(rest)
}

/// Appends the bytes before a value of `value_len` bytes; nothing if it is empty.
#[inline]
pub fn encode_head(value_len: u64, out: &mut Vec<u8>) {
    encode_number(VALUE_KEY, value_len, out);
}

/// Appends the bytes after the value.
#[inline]
pub fn encode_tail(offset: Offset, term: u64, record_type: u32, out: &mut Vec<u8>) {
    encode_number(OFFSET_KEY, offset.0, out);
    encode_number(TERM_KEY, term, out);
    encode_number(TYPE_KEY, u64::from(record_type), out);
}

#[inline]
fn encode_number(key: u8, mut number: u64, out: &mut Vec<u8>) {
    if number == 0 {
        return;
    }
    out.push(key);
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Seven bits to a byte; 0 takes one too.
fn varint_len(number: u64) -> u64 {
    u64::from((number | 1).ilog2() / 7 + 1)
}

///
/// # Errors
///
/// Why the payload is not a record.
///
/// # Examples
///
/// ```
/// use proglog::log::record::decode;
/// use proglog::log::units::Offset;
///
/// let record = decode(&[0x0a, 1, b'a', 0x10, 0xac, 2])?;
/// assert_eq!((record.value.as_slice(), record.offset), (&b"a"[..], Offset(300)));
/// # Ok::<(), proglog::log::record::DecodeError>(())
/// ```
pub fn decode(payload: &[u8]) -> Result<Record, DecodeError> {
    let layout = layout_of(payload)?;
    Ok(Record {
        value: part(payload, &layout.value).to_vec(),
        offset: Offset(layout.offset),
        term: layout.term,
        record_type: layout.record_type,
        unknown: if layout.has_unknown {
            unknown_fields(payload)?
        } else {
            Vec::new()
        },
    })
}

fn unknown_fields(mut payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let whole = payload;
    let mut unknown = Vec::new();
    let mut fields = Fields::new(&mut payload);
    while let Some(field) = fields.next().map_err(illegal)? {
        if let Field::Unknown(range) = field {
            unknown.extend_from_slice(part(whole, &range));
        }
    }
    Ok(unknown)
}

/// Whether these bytes may be the beginning of a record that was interrupted: the decoder
/// runs out of bytes before it meets anything illegal.
///
/// So is an intact record, and so are no bytes at all. A number that the cut goes through
/// is not judged.
#[must_use]
pub fn is_prefix(payload: &[u8]) -> bool {
    match layout_of(payload) {
        Ok(_) => true,
        Err(error) => error.is_cut_short(),
    }
}

/// Whether the payload begins with a value and is, byte for byte, the encoding of the
/// record in it. Raw bytes are hardly ever so by chance.
#[must_use]
pub fn is_canonical_with_value(payload: &[u8]) -> bool {
    payload.first() == Some(&VALUE_KEY)
        && decode(payload).is_ok_and(|record| record.encode() == payload)
}

/// These bytes of the payload, which the decoder has found to be in it.
fn part<'p>(payload: &'p [u8], range: &Range<u64>) -> &'p [u8] {
    payload
        .get(to_usize(range.start)..to_usize(range.end))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8], offset: u64, term: u64, record_type: u32) -> Record {
        Record {
            value: value.to_vec(),
            offset: Offset(offset),
            term,
            record_type,
            unknown: Vec::new(),
        }
    }

    #[test]
    fn records_byte_for_byte() {
        for (record, bytes) in [
            (Record::default(), &b""[..]),
            (record(b"a", 0, 0, 0), b"\x0a\x01a"),
            (record(b"", 1, 0, 0), b"\x10\x01"),
            (record(b"a", 127, 0, 0), b"\x0a\x01a\x10\x7f"),
            (record(b"a", 128, 0, 0), b"\x0a\x01a\x10\x80\x01"),
            (record(b"a", 300, 0, 0), b"\x0a\x01a\x10\xac\x02"),
            (record(b"a", 1, 2, 3), b"\x0a\x01a\x10\x01\x18\x02\x20\x03"),
            (record(b"", 0, 1 << 35, 0), b"\x18\x80\x80\x80\x80\x80\x01"),
            (
                record(b"", u64::MAX, 0, u32::MAX),
                b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x20\xff\xff\xff\xff\x0f",
            ),
        ] {
            assert_eq!(record.encode(), bytes, "{record:?}");
            assert_eq!(decode(bytes).as_ref(), Ok(&record), "{bytes:02x?}");
            let known = encoded_len(
                record.value.len() as u64,
                record.offset,
                record.term,
                record.record_type,
            );
            assert_eq!(known, bytes.len() as u64, "{record:?}");
            assert_eq!(
                is_canonical_with_value(bytes),
                !record.value.is_empty(),
                "{record:?}"
            );
        }
        let long = record(&[7; 300], 0, 0, 0).encode();
        assert_eq!((long.len(), &long[..3]), (303, &[0x0a, 0xac, 2][..]));
        assert_eq!(encoded_len(u64::MAX, Offset(1), 0, 0), u64::MAX);
    }

    #[test]
    fn unknown_fields_are_kept_and_moved_behind() {
        // A group with our own numbers and other wire types in it, a string, a fixed32.
        let group = b"\x2b\x0d1234\x12\x01x\x2c";
        let bytes = [
            &group[..],
            b"\x0a\x01a",
            b"\x32\x01b",
            b"\x10\x07",
            b"\x3dwxyz",
        ]
        .concat();
        let got = decode(&bytes).unwrap();
        assert_eq!((got.value.as_slice(), got.offset), (&b"a"[..], Offset(7)));
        assert_eq!(got.unknown, [&group[..], b"\x32\x01b\x3dwxyz"].concat());
        let encoded = got.encode();
        assert_eq!(encoded, [b"\x0a\x01a\x10\x07", &got.unknown[..]].concat());
        assert_eq!(decode(&encoded), Ok(got));
        assert!(is_canonical_with_value(&encoded));
        assert!(!is_canonical_with_value(&bytes));
    }

    #[test]
    fn every_prefix_of_a_record() {
        let whole = [
            &record(&[b'v'; 130], 300, 1 << 63, 70_000).encode()[..],
            b"\x2b\x2d1234\x29xxxxxxxx\x33\x34\x2c\x3a\x02zz",
        ]
        .concat();
        // At the end of a field, and nowhere else, a shorter record ends too.
        let ends = [0, 133, 136, 147, 151, 169, 173];
        for cut in 0..=whole.len() {
            let prefix = &whole[..cut];
            assert!(is_prefix(prefix), "{cut}");
            assert_eq!(decode(prefix).is_ok(), ends.contains(&cut), "{cut}");
        }
    }

    #[test]
    fn canonical_means_nothing_is_said_in_another_way() {
        for bytes in [
            &b""[..],
            b"\x0a\x00",
            b"\x10\x01",
            b"\x10\x01\x0a\x01a",
            b"\x0a\x81\x00a",
            b"\x8a\x00\x01a",
            b"\x0a\x01a\x10\x00",
            b"\x0a\x01a\x10\x81\x00",
            b"\x0a\x01a\x18\x01\x10\x01",
            b"\x0a\x01a\x0a\x01a",
            b"\x0a\x01a\x20\x81\x80\x80\x80\x10",
            b"\x0a\x01ab",
        ] {
            assert!(!is_canonical_with_value(bytes), "{bytes:02x?}");
        }
        assert!(is_canonical_with_value(b"\x0a\x01a\x28\x80\x00"));
    }
}
