//! The places of the fields in the payload of a record: the reverse of the encoding in
//! `record`, keys, numbers and lengths only, so that the value need not be in memory.
//!
//! It takes exactly the payloads that prost 0.14 takes, which `tests/engine/codec.rs` holds; it
//! neither recurses nor allocates. How fields are distinguished at all is known to
//! `wire`.

use std::convert::Infallible;
use std::ops::Range;

use super::wire::{Bytes, DecodeError, LayoutError, Wire, checked_key, fail, to_usize};

// A key is field number << 3 | wire type.
pub(super) const VALUE_KEY: u8 = 0x0a;
pub(super) const OFFSET_KEY: u8 = 0x10;
pub(super) const TERM_KEY: u8 = 0x18;
pub(super) const TYPE_KEY: u8 = 0x20;

/// A decoded payload, except the bytes of its value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// Which bytes of the payload are the value; empty if it does not exist.
    pub value: Range<u64>,
    /// The embedded offset; 0 if it does not exist.
    pub offset: u64,
    /// Which bytes of the payload are the offset's varint, without the key.
    pub offset_field: Option<Range<u64>>,
    /// The Raft term.
    pub term: u64,
    /// The Raft log type.
    pub record_type: u32,
    /// Whether there are fields we do not know.
    pub has_unknown: bool,
}

/// Lays out the record in `bytes`, reading keys, numbers and lengths only.
///
/// Of a field that is there twice the last one counts.
///
/// # Errors
///
/// Where and why the bytes are not a record, or the error of the source.
#[inline]
pub fn layout<B: Bytes>(bytes: &mut B) -> Result<Layout, LayoutError<B::Error>> {
    let mut layout = Layout::default();
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            Field::Value(range) => layout.value = range,
            Field::Offset(offset, range) => {
                layout.offset = offset;
                layout.offset_field = Some(range);
            }
            Field::Term(term) => layout.term = term,
            Field::Type(record_type) => layout.record_type = record_type,
            Field::Unknown(_) => layout.has_unknown = true,
        }
    }
    Ok(layout)
}

/// The places of all values of the record in `bytes`, the ones that do not count too.
///
/// # Errors
///
/// As [`layout`].
pub(super) fn values<B: Bytes>(bytes: &mut B) -> Result<Vec<Range<u64>>, LayoutError<B::Error>> {
    let mut values = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        if let Field::Value(range) = field {
            values.push(range);
        }
    }
    Ok(values)
}

/// Lays out the record in a payload that is in memory.
///
/// # Errors
///
/// Why the payload is not a record.
#[inline]
pub fn layout_of(mut payload: &[u8]) -> Result<Layout, DecodeError> {
    match usual_layout(payload) {
        Some(layout) => Ok(layout),
        None => layout(&mut payload).map_err(illegal),
    }
}

/// The result of [`layout`], computed faster, for a payload such as the encoder writes;
/// `None` for any other. Most of the time of a check is spent here.
#[inline]
fn usual_layout(payload: &[u8]) -> Option<Layout> {
    let position = |rest: &[u8]| (payload.len() - rest.len()) as u64;
    let mut layout = Layout::default();
    let mut rest = payload;
    if let [VALUE_KEY, after @ ..] = rest {
        let (length, after) = short_varint(after)?;
        rest = after.get(to_usize(length)..)?;
        layout.value = position(after)..position(rest);
    }
    if let [OFFSET_KEY, after @ ..] = rest {
        (layout.offset, rest) = short_varint(after)?;
        layout.offset_field = Some(position(after)..position(rest));
    }
    if let [TERM_KEY, after @ ..] = rest {
        (layout.term, rest) = short_varint(after)?;
    }
    if let [TYPE_KEY, after @ ..] = rest {
        let (record_type, after) = short_varint(after)?;
        (layout.record_type, rest) = (low_32_bits(record_type), after);
    }
    rest.is_empty().then_some(layout)
}

/// The varint of at most five bytes that these begin with, and what follows it.
#[inline]
fn short_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = bytes;
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        rest = after;
        if *byte < 0x80 {
            return Some((number, rest));
        }
    }
    None
}

/// The record in a payload, unknown fields included.
pub(super) fn illegal(error: LayoutError<Infallible>) -> DecodeError {
    match error {
        LayoutError::Illegal { what, .. } => what,
        LayoutError::Source(never) => match never {},
    }
}

/// A field of the payload.
pub(super) enum Field {
    Value(Range<u64>),
    Offset(u64, Range<u64>),
    Term(u64),
    Type(u32),
    /// The complete field, key included.
    Unknown(Range<u64>),
}

/// The fields of a payload, one after another.
pub(super) struct Fields<'b, B> {
    wire: Wire<'b, B>,
}

impl<'b, B: Bytes> Fields<'b, B> {
    #[inline]
    pub(super) fn new(bytes: &'b mut B) -> Self {
        Self {
            wire: Wire::new(bytes),
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Field>, LayoutError<B::Error>> {
        let wire = &mut self.wire;
        if wire.is_at_end() {
            return Ok(None);
        }
        let start = wire.at();
        let key = wire.varint()?;
        let from = wire.at();
        // A known field with another wire type has another key, and goes to `skip`.
        let field = match u8::try_from(key) {
            Ok(VALUE_KEY) => Field::Value(wire.delimited()?),
            Ok(OFFSET_KEY) => Field::Offset(wire.varint()?, from..wire.at()),
            Ok(TERM_KEY) => Field::Term(wire.varint()?),
            Ok(TYPE_KEY) => Field::Type(low_32_bits(wire.varint()?)),
            _ => {
                skip_unknown(wire, key, start)?;
                Field::Unknown(start..wire.at())
            }
        };
        Ok(Some(field))
    }
}

/// Steps over the rest of the field whose key began at `at`, groups and all. Inside a
/// group nothing is known: our numbers may have any wire type there.
#[cold]
#[inline(never)]
fn skip_unknown<B: Bytes>(
    wire: &mut Wire<'_, B>,
    key: u64,
    at: u64,
) -> Result<(), LayoutError<B::Error>> {
    let (field, wire_type) = checked_key(key, at)?;
    if let Some(expected) = known_wire_type(field) {
        let what = DecodeError::WrongWireType {
            field,
            expected,
            got: wire_type,
        };
        return fail(at, what);
    }
    wire.skip(field, wire_type, at)
}

/// The wire type of a field of the schema.
fn known_wire_type(field: u32) -> Option<u8> {
    [VALUE_KEY, OFFSET_KEY, TERM_KEY, TYPE_KEY]
        .into_iter()
        .find(|key| u32::from(key >> 3) == field)
        .map(|key| key & 7)
}

/// A `uint32` is a varint of up to 64 bits, of which the upper half is dropped.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "what protobuf prescribes, and prost and Go do"
)]
fn low_32_bits(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::super::record::{
        decode, encode_head, encode_tail, encoded_len, is_canonical_with_value, is_prefix,
    };
    use super::super::units::Offset;
    use super::super::wire::{END_GROUP, LENGTH_DELIMITED, START_GROUP, VARINT};
    use super::*;

    fn layout_error(mut payload: &[u8]) -> (u64, DecodeError) {
        match layout(&mut payload) {
            Err(LayoutError::Illegal { at, what }) => (at, what),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_layout_says_where_things_stand() {
        let bytes = b"\x0a\x02ab\x10\x80\x02\x18\x05\x20\x01";
        let want = Layout {
            value: 2..4,
            offset: 256,
            offset_field: Some(5..7),
            term: 5,
            record_type: 1,
            has_unknown: false,
        };
        assert_eq!(layout_of(bytes), Ok(want.clone()));
        assert_eq!(layout(&mut &bytes[..]), Ok(want));
        assert_eq!(layout_of(b""), Ok(Layout::default()));

        // The last one wins, an empty or a zero one too.
        let twice = layout_of(b"\x10\x09\x0a\x01a\x0a\x00\x10\x00").unwrap();
        assert_eq!((twice.value, twice.offset), (7..7, 0));
        assert_eq!(twice.offset_field, Some(8..9));
        // The upper half of a uint32 is dropped.
        let upper = layout_of(b"\x20\x81\x80\x80\x80\x10").unwrap();
        assert_eq!(upper.record_type, 1);
    }

    #[test]
    fn what_is_illegal_and_where() {
        let wrong = |field, expected, got| DecodeError::WrongWireType {
            field,
            expected,
            got,
        };
        let long = [0xff; 10];
        for (bytes, at, what) in [
            (&b"\x10"[..], 1, DecodeError::CutShort),
            (b"\x10\x80", 1, DecodeError::CutShort),
            (b"\x10\x01\x8a", 2, DecodeError::CutShort),
            (b"\x2b", 1, DecodeError::CutShort),
            (
                b"\x0a\x03ab",
                1,
                DecodeError::LengthPastEnd { length: 3, left: 2 },
            ),
            (
                b"\x29\x00\x00",
                1,
                DecodeError::LengthPastEnd { length: 8, left: 2 },
            ),
            (&long, 0, DecodeError::LongVarint),
            (
                b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                1,
                DecodeError::LongVarint,
            ),
            (
                b"\x80\x80\x80\x80\x10",
                0,
                DecodeError::LargeKey { key: 1 << 32 },
            ),
            (b"\x10\x01\x00\x00", 2, DecodeError::FieldZero),
            (
                b"\x2e",
                0,
                DecodeError::NoWireType {
                    field: 5,
                    wire_type: 6,
                },
            ),
            (b"\x08\x01", 0, wrong(1, LENGTH_DELIMITED, VARINT)),
            (b"\x12\x00", 0, wrong(2, VARINT, LENGTH_DELIMITED)),
            (b"\x1b", 0, wrong(3, VARINT, START_GROUP)),
            (b"\x24", 0, wrong(4, VARINT, END_GROUP)),
            (b"\x2c", 0, DecodeError::UnmatchedEnd { field: 5 }),
            (b"\x2b\x34", 1, DecodeError::UnmatchedEnd { field: 6 }),
            (&[0x2b; 101], 100, DecodeError::TooDeep),
        ] {
            assert_eq!(layout_error(bytes), (at, what), "{bytes:02x?}");
            assert_eq!(layout_of(bytes), Err(what), "{bytes:02x?}");
            assert_eq!(decode(bytes), Err(what), "{bytes:02x?}");
            assert_eq!(is_prefix(bytes), what.is_cut_short(), "{bytes:02x?}");
            assert!(!is_canonical_with_value(bytes), "{bytes:02x?}");
        }
    }

    #[test]
    fn the_value_is_never_read_and_a_source_may_fail() {
        /// A terabyte of value, then an offset; fails at `bad`.
        struct Huge {
            head: Vec<u8>,
            tail: Vec<u8>,
            bad: u64,
        }
        const VALUE_BYTES: u64 = 1 << 40;
        impl Bytes for Huge {
            type Error = u64;
            fn len(&self) -> u64 {
                (self.head.len() + self.tail.len()) as u64 + VALUE_BYTES
            }
            fn byte(&mut self, at: u64) -> Result<u8, u64> {
                if at == self.bad {
                    return Err(at);
                }
                let head = self.head.get(to_usize(at));
                let tail = || self.tail[to_usize(at - VALUE_BYTES) - self.head.len()];
                Ok(head.copied().unwrap_or_else(tail))
            }
        }
        let mut huge = Huge {
            head: Vec::new(),
            tail: Vec::new(),
            bad: u64::MAX,
        };
        encode_head(VALUE_BYTES, &mut huge.head);
        encode_tail(Offset(300), 0, 0, &mut huge.tail);
        let head = huge.head.len() as u64;
        assert_eq!(
            encoded_len(VALUE_BYTES, Offset(300), 0, 0),
            Bytes::len(&huge)
        );
        let layout_found = layout(&mut huge).unwrap();
        assert_eq!(layout_found.value, head..head + VALUE_BYTES);
        assert_eq!(layout_found.offset, 300);
        huge.bad = head + VALUE_BYTES + 1;
        assert_eq!(layout(&mut huge), Err(LayoutError::Source(huge.bad)));
    }
}
