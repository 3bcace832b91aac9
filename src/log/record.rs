//! What a payload says: the bytes of a `Record`, and nothing else knows its fields.
//!
//! ```text
//! message Record { bytes value = 1; uint64 offset = 2; uint64 term = 3; uint32 type = 4; }
//!
//! head                    | value ... | tail
//! 0a | length (varint)    | bytes     | 10 offset | 18 term | 20 type   (varints)
//! ```
//!
//! Each field is absent when it is zero or empty, so an empty record is no bytes at
//! all. Fields we do not know stand behind and are kept. The decoder takes exactly
//! the payloads that prost 0.14 takes, which `tests/codec.rs` holds; it neither
//! recurses nor allocates, and never needs the value in memory. Which codec a log
//! has is found elsewhere. Source: `api/v1/log.proto` of *Distributed Services with
//! Go*, <https://protobuf.dev/programming-guides/encoding/>.

use std::convert::Infallible;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::units::Offset;

// A key is field number << 3 | wire type.
const VALUE_KEY: u8 = 0x0a;
const OFFSET_KEY: u8 = 0x10;
const TERM_KEY: u8 = 0x18;
const TYPE_KEY: u8 = 0x20;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const START_GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// Groups that may stand open at once, as in prost; no field may stand in the last.
const GROUPS_MAX: usize = 100;

/// What the payloads of a log are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// The value as it is.
    Raw,
    /// A [`Record`].
    Protobuf,
}

impl Codec {
    /// The name on the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Protobuf => "protobuf",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no codec has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no codec is called {0:?}: raw or protobuf")]
pub struct UnknownCodec(pub String);

impl FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(name: &str) -> Result<Self, UnknownCodec> {
        [Self::Raw, Self::Protobuf]
            .into_iter()
            .find(|codec| codec.as_str() == name)
            .ok_or_else(|| UnknownCodec(name.to_owned()))
    }
}

/// One record of a protobuf log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// What was appended.
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

/// Appends what stands before a value of `value_len` bytes; nothing when it is empty.
#[inline]
pub fn encode_head(value_len: u64, out: &mut Vec<u8>) {
    encode_number(VALUE_KEY, value_len, out);
}

/// Appends what stands behind the value.
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

/// Why a payload is no [`Record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload ends inside a field or an open group.
    #[error("the payload ends inside a field")]
    CutShort,
    /// The payload ends inside a field whose length we know.
    #[error("a field of {length} bytes, but {left} bytes are left")]
    LengthPastEnd {
        /// Bytes that the field claims.
        length: u64,
        /// Bytes of the payload behind the length.
        left: u64,
    },
    /// A varint that 64 bits cannot hold.
    #[error("a varint of more than 64 bits")]
    LongVarint,
    /// A key that 32 bits cannot hold.
    #[error("a field's key is {key}, but the largest is 4294967295")]
    LargeKey {
        /// The key.
        key: u64,
    },
    /// A key with field number 0, which is none.
    #[error("field number 0")]
    FieldZero,
    /// Wire type 6 or 7, which mean nothing.
    #[error("field {field} has wire type {wire_type}, but the largest is 5")]
    NoWireType {
        /// The field's number.
        field: u32,
        /// Its wire type.
        wire_type: u8,
    },
    /// A field of ours with another wire type than ours.
    #[error("field {field} has wire type {got}, expected {expected}")]
    WrongWireType {
        /// The field's number.
        field: u32,
        /// The wire type that the schema gives it.
        expected: u8,
        /// The wire type it has.
        got: u8,
    },
    /// The end of a group that is not the one open.
    #[error("the end of group {field}, which is not the one open")]
    UnmatchedEnd {
        /// The number of the group that ends.
        field: u32,
    },
    /// A field inside a hundred groups.
    #[error("a field inside {GROUPS_MAX} groups")]
    TooDeep,
}

impl DecodeError {
    /// Whether the bytes ran out before anything illegal was met, so that more of
    /// them might have made a record.
    #[must_use]
    pub fn is_cut_short(self) -> bool {
        matches!(self, Self::CutShort | Self::LengthPastEnd { .. })
    }
}

/// Why a payload could not be laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError<E> {
    /// It is no record.
    #[error("byte {at} of the payload: {what}")]
    Illegal {
        /// Where in the payload the key, number or length begins that is wrong.
        at: u64,
        /// What is wrong with it.
        what: DecodeError,
    },
    /// Its bytes could not be had.
    #[error("{0}")]
    Source(E),
}

/// A payload whose bytes are fetched one at a time, most of them never.
pub trait Bytes {
    /// Why a byte cannot be had.
    type Error;

    /// The payload's length in bytes; stays the same.
    fn len(&self) -> u64;

    /// Whether it has no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The byte at `at`, which is below the length and only ever grows.
    ///
    /// # Errors
    ///
    /// When the source fails.
    fn byte(&mut self, at: u64) -> Result<u8, Self::Error>;
}

impl Bytes for &[u8] {
    type Error = Infallible;

    #[inline]
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    #[inline]
    fn byte(&mut self, at: u64) -> Result<u8, Infallible> {
        Ok(self.get(to_usize(at)).copied().unwrap_or_default())
    }
}

/// What a payload says, but for the bytes of its value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// Which bytes of the payload are the value; empty if there is none.
    pub value: Range<u64>,
    /// The embedded offset; 0 if there is none.
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
/// Of a field that stands there twice the last one counts.
///
/// # Errors
///
/// Where and why the bytes are no record, or the source's error.
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

/// Lays out the record in a payload that is in memory.
///
/// # Errors
///
/// Why the payload is no record.
#[inline]
pub fn layout_of(mut payload: &[u8]) -> Result<Layout, DecodeError> {
    match usual_layout(payload) {
        Some(layout) => Ok(layout),
        None => layout(&mut payload).map_err(illegal),
    }
}

/// What [`layout`] says, found faster, of a payload such as the encoder writes; `None`
/// of any other. Checking a log spends its time here.
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
///
/// # Errors
///
/// Why the payload is no record.
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

/// Whether these bytes may be the beginning of a record that was cut short: the
/// decoder runs out of bytes before it meets anything illegal.
///
/// So is a whole record, and so are no bytes at all. A number that the cut goes
/// through is not judged.
#[must_use]
pub fn is_prefix(payload: &[u8]) -> bool {
    match layout_of(payload) {
        Ok(_) => true,
        Err(error) => error.is_cut_short(),
    }
}

/// Whether the payload begins with a value and is, byte for byte, what the record in
/// it is encoded as. Raw bytes are hardly ever so by chance.
#[must_use]
pub fn is_canonical_with_value(payload: &[u8]) -> bool {
    payload.first() == Some(&VALUE_KEY)
        && decode(payload).is_ok_and(|record| record.encode() == payload)
}

fn illegal(error: LayoutError<Infallible>) -> DecodeError {
    match error {
        LayoutError::Illegal { what, .. } => what,
        LayoutError::Source(never) => match never {},
    }
}

/// These bytes of the payload, which the decoder has found to be in it.
fn part<'p>(payload: &'p [u8], range: &Range<u64>) -> &'p [u8] {
    payload
        .get(to_usize(range.start)..to_usize(range.end))
        .unwrap_or_default()
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

enum Field {
    Value(Range<u64>),
    Offset(u64, Range<u64>),
    Term(u64),
    Type(u32),
    /// The whole field, key included.
    Unknown(Range<u64>),
}

/// The fields of a payload, one after another.
struct Fields<'b, B> {
    bytes: &'b mut B,
    /// Where the next byte is; at most `end`.
    at: u64,
    end: u64,
}

impl<'b, B: Bytes> Fields<'b, B> {
    #[inline]
    fn new(bytes: &'b mut B) -> Self {
        let end = bytes.len();
        Self { bytes, at: 0, end }
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Field>, LayoutError<B::Error>> {
        if self.at == self.end {
            return Ok(None);
        }
        let start = self.at;
        let key = self.varint()?;
        let from = self.at;
        // A known field with another wire type has another key, and goes to `skip`.
        let field = match u8::try_from(key) {
            Ok(VALUE_KEY) => Field::Value(self.delimited()?),
            Ok(OFFSET_KEY) => Field::Offset(self.varint()?, from..self.at),
            Ok(TERM_KEY) => Field::Term(self.varint()?),
            Ok(TYPE_KEY) => Field::Type(low_32_bits(self.varint()?)),
            _ => {
                self.skip_unknown(key, start)?;
                Field::Unknown(start..self.at)
            }
        };
        Ok(Some(field))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, LayoutError<B::Error>> {
        let start = self.at;
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            if self.at == self.end {
                return fail(start, DecodeError::CutShort);
            }
            let byte = self.bytes.byte(self.at).map_err(LayoutError::Source)?;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                break;
            }
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        fail(start, DecodeError::LongVarint)
    }

    /// Steps over a length and as many bytes: those.
    #[inline]
    fn delimited(&mut self) -> Result<Range<u64>, LayoutError<B::Error>> {
        let at = self.at;
        let length = self.varint()?;
        let from = self.at;
        self.step_over(length, at)?;
        Ok(from..self.at)
    }

    /// Steps over `length` bytes of what begins at `at`.
    #[inline]
    fn step_over(&mut self, length: u64, at: u64) -> Result<(), LayoutError<B::Error>> {
        let left = self.end - self.at;
        if length > left {
            return fail(at, DecodeError::LengthPastEnd { length, left });
        }
        self.at += length;
        Ok(())
    }

    /// Steps over the rest of the field whose key began at `at`, groups and all. Inside a
    /// group nothing is known: our numbers may have any wire type there.
    #[cold]
    #[inline(never)]
    fn skip_unknown(&mut self, key: u64, mut at: u64) -> Result<(), LayoutError<B::Error>> {
        let (mut field, mut wire_type) = checked_key(key, at)?;
        if let Some(expected) = known_wire_type(field) {
            let what = DecodeError::WrongWireType {
                field,
                expected,
                got: wire_type,
            };
            return fail(at, what);
        }
        let mut open = OpenGroups::default();
        loop {
            if wire_type == END_GROUP {
                if open.pop() != Some(field) {
                    return fail(at, DecodeError::UnmatchedEnd { field });
                }
            } else if open.is_full() {
                return fail(at, DecodeError::TooDeep);
            }
            match wire_type {
                VARINT => _ = self.varint()?,
                FIXED64 => self.step_over(8, self.at)?,
                LENGTH_DELIMITED => _ = self.delimited()?,
                START_GROUP => open.push(field),
                FIXED32 => self.step_over(4, self.at)?,
                _ => {}
            }
            if open.is_empty() {
                return Ok(());
            }
            at = self.at;
            (field, wire_type) = checked_key(self.varint()?, at)?;
        }
    }
}

/// The wire type of a field of ours.
fn known_wire_type(field: u32) -> Option<u8> {
    [VALUE_KEY, OFFSET_KEY, TERM_KEY, TYPE_KEY]
        .into_iter()
        .find(|key| u32::from(key >> 3) == field)
        .map(|key| key & 7)
}

/// The field number and the wire type that a key says.
fn checked_key<E>(key: u64, at: u64) -> Result<(u32, u8), LayoutError<E>> {
    let Ok(small) = u32::try_from(key) else {
        return fail(at, DecodeError::LargeKey { key });
    };
    let (field, wire_type) = (small >> 3, (small & 7) as u8);
    if field == 0 {
        return fail(at, DecodeError::FieldZero);
    }
    if wire_type > FIXED32 {
        return fail(at, DecodeError::NoWireType { field, wire_type });
    }
    Ok((field, wire_type))
}

#[cold]
fn fail<T, E>(at: u64, what: DecodeError) -> Result<T, LayoutError<E>> {
    Err(LayoutError::Illegal { at, what })
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

/// The numbers of the groups that stand open: a stack of our own, so that no bytes
/// can overflow the thread's.
struct OpenGroups {
    fields: [u32; GROUPS_MAX],
    depth: usize,
}

impl Default for OpenGroups {
    fn default() -> Self {
        Self {
            fields: [0; GROUPS_MAX],
            depth: 0,
        }
    }
}

impl OpenGroups {
    fn is_empty(&self) -> bool {
        self.depth == 0
    }

    fn is_full(&self) -> bool {
        self.depth == GROUPS_MAX
    }

    /// Opens a group; there is room.
    fn push(&mut self, field: u32) {
        if let Some(place) = self.fields.get_mut(self.depth) {
            *place = field;
            self.depth += 1;
        }
    }

    fn pop(&mut self) -> Option<u32> {
        self.depth = self.depth.checked_sub(1)?;
        self.fields.get(self.depth).copied()
    }
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

    fn layout_error(mut payload: &[u8]) -> (u64, DecodeError) {
        match layout(&mut payload) {
            Err(LayoutError::Illegal { at, what }) => (at, what),
            other => panic!("{other:?}"),
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
    fn a_hundred_groups_and_no_more() {
        let nested = |inside: &[u8]| [&[0x2b; 100], inside, &[0x2c; 100]].concat();
        assert!(layout_of(&nested(b"")).unwrap().has_unknown);
        assert_eq!(layout_of(&nested(b"\x28\x01")), Err(DecodeError::TooDeep));
        // Neither the depth nor the number of groups costs stack or more than linear time.
        let deep = vec![0x2b; 1 << 20];
        assert_eq!(layout_of(&deep), Err(DecodeError::TooDeep));
        let wide = [0x2b, 0x2c].repeat(1 << 20);
        assert_eq!(decode(&wide).unwrap().unknown, wide);
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
        // Where a field ends, and nowhere else, a shorter record does too.
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

    #[test]
    fn codecs_have_names() {
        for codec in [Codec::Raw, Codec::Protobuf] {
            assert_eq!(codec.to_string().parse(), Ok(codec));
        }
        assert_eq!(format!("{:>5}", Codec::Raw), "  raw");
        let error = "json".parse::<Codec>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "no codec is called \"json\": raw or protobuf"
        );
    }
}
