//! The protobuf wire format: keys, varints, lengths and groups, in any message. `layout`
//! knows the fields of a record.
//!
//! ```text
//! key (varint)              | what follows
//! field << 3 | 0 varint     | a varint: seven bits to a byte, the low ones first
//! field << 3 | 1 fixed64    | 8 bytes
//! field << 3 | 2 delimited  | length (varint), as many bytes
//! field << 3 | 3 group      | fields, then field << 3 | 4
//! field << 3 | 5 fixed32    | 4 bytes
//! ```
//!
//! It neither recurses nor allocates, and skips what it need not read. Source:
//! <https://protobuf.dev/programming-guides/encoding/>.

use std::convert::Infallible;
use std::ops::Range;

pub(super) const VARINT: u8 = 0;
const FIXED64: u8 = 1;
pub(super) const LENGTH_DELIMITED: u8 = 2;
pub(super) const START_GROUP: u8 = 3;
pub(super) const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// Groups that may be open at once, as in prost; no field may be in the last.
const GROUPS_MAX: usize = 100;

/// Why a payload is no [`Record`](super::record::Record).
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
        /// Bytes of the payload after the length.
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
    /// A key with field number 0, which is invalid.
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
    /// A field of the schema with another wire type.
    #[error("field {field} has wire type {got}, expected {expected}")]
    WrongWireType {
        /// The field's number.
        field: u32,
        /// The wire type in the schema.
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
    /// It is not a record.
    #[error("byte {at} of the payload: {what}")]
    Illegal {
        /// Position in the payload of the invalid key, number or length.
        at: u64,
        /// The problem.
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

/// A position or a length in memory; what no memory holds is past its end.
pub(super) fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A payload from which one item after another is taken.
pub(super) struct Wire<'b, B> {
    bytes: &'b mut B,
    /// Position of the next byte; at most `end`.
    at: u64,
    end: u64,
}

impl<'b, B: Bytes> Wire<'b, B> {
    #[inline]
    pub(super) fn new(bytes: &'b mut B) -> Self {
        let end = bytes.len();
        Self { bytes, at: 0, end }
    }

    /// Position of the next byte.
    #[inline]
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// Takes a number.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, LayoutError<B::Error>> {
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
    pub(super) fn delimited(&mut self) -> Result<Range<u64>, LayoutError<B::Error>> {
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

    /// Steps over the rest of the field whose key began at `at`, groups and all.
    pub(super) fn skip(
        &mut self,
        mut field: u32,
        mut wire_type: u8,
        mut at: u64,
    ) -> Result<(), LayoutError<B::Error>> {
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

/// The field number and the wire type that a key says.
pub(super) fn checked_key<E>(key: u64, at: u64) -> Result<(u32, u8), LayoutError<E>> {
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
pub(super) fn fail<T, E>(at: u64, what: DecodeError) -> Result<T, LayoutError<E>> {
    Err(LayoutError::Illegal { at, what })
}

/// The numbers of the open groups: an explicit stack, so that no bytes can overflow the
/// stack of the thread.
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
    use super::super::layout::layout_of;
    use super::super::record::decode;
    use super::*;

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
}
