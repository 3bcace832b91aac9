//! The bytes on disk, and nothing else knows a width.
//!
//! ```text
//! N.store   frame*            frame = length: u64 | payload: length bytes
//! N.index   entry*            entry = relative offset: u32 | position: u64
//!
//!           0               8            8+length
//! frame     | length (u64)  | payload ...|
//!           0           4               12
//! entry     | rel (u32) | position (u64)|
//! ```
//!
//! All integers are big-endian. N is the base offset in decimal without leading
//! zeros. Source: `store.go`, `index.go` and `segment.go` of *Distributed Services
//! with Go*, chapter "Write a Log Package".

use std::ffi::OsStr;
use std::fmt;

use super::units::{Offset, Position, RelativeOffset};

/// Bytes of the length field before each payload.
pub const LENGTH_BYTES: u64 = 8;

/// The unit of atomic writes; no file system has smaller holes.
pub const SECTOR_BYTES: u64 = 512;

/// Bytes of one index entry.
pub const ENTRY_BYTES: u64 = 12;

/// The byte that some programs fill unused slots of an index with, beside zero.
pub const UNUSED: u8 = 0xff;

/// Entries that one index can number: relative offsets have 32 bits.
pub const SEGMENT_ENTRIES_MAX: u64 = 1 << 32;

/// One entry of an index.
///
/// Shape: 12 bytes, relative offset (u32, big-endian), position (u64, big-endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// Which record of the segment this is.
    pub relative: RelativeOffset,
    /// Position of the frame's length field in the store.
    pub position: Position,
}

impl Entry {
    /// The entry as it is in an index.
    #[must_use]
    pub fn encode(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        let (relative, position) = bytes.split_at_mut(4);
        relative.copy_from_slice(&self.relative.0.to_be_bytes());
        position.copy_from_slice(&self.position.0.to_be_bytes());
        bytes
    }

    /// The entry that these 12 bytes say.
    #[must_use]
    pub fn decode(bytes: &[u8; 12]) -> Self {
        let [a, b, c, d, position @ ..] = *bytes;
        Self {
            relative: RelativeOffset(u32::from_be_bytes([a, b, c, d])),
            position: Position(u64::from_be_bytes(position)),
        }
    }

    /// Whether these bytes are what an interrupted write of `right` leaves: some of them,
    /// or none, and zeros. An entry may lie in two sectors, of which one arrived.
    #[must_use]
    pub fn is_unfinished(self, right: Self) -> bool {
        let mut bytes = self.encode().into_iter().zip(right.encode());
        bytes.all(|(here, right)| here == right || here == 0)
    }

    /// Whether the slot is unused: zeros, as the Go service leaves them, or 0xff.
    #[must_use]
    pub fn is_unused(self) -> bool {
        let encoded = self.encode();
        encoded == [0; 12] || encoded == [UNUSED; 12]
    }

    /// Whether all 12 bytes are zero, as padding is, and as entry 0 is too.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// The length field of a frame with a payload of `payload_bytes`.
#[must_use]
pub fn encode_length(payload_bytes: u64) -> [u8; 8] {
    payload_bytes.to_be_bytes()
}

/// The first byte of the first length of a batch that is not durable yet. No length of a
/// frame begins with it.
pub const LENGTH_MARK: u8 = 0xff;

/// The first byte of the length of a frame that is written over others and not durable yet.
/// Unlike a mark it says nothing of the bytes after the frame.
pub const LENGTH_UNFINISHED: u8 = 0xfe;

/// The length without such a first byte.
#[must_use]
pub fn finished_length(length: u64) -> u64 {
    match length.to_be_bytes() {
        [LENGTH_UNFINISHED, 0, 0, ..] => length << 8 >> 8,
        _ => length,
    }
}

/// The length field of the first frame of a batch before the batch is durable: the mark,
/// then seven true bytes.
#[must_use]
pub fn encode_marked_length(payload_bytes: u64) -> [u8; 8] {
    let mut length = encode_length(payload_bytes);
    let [mark, ..] = &mut length;
    *mark = LENGTH_MARK;
    length
}

/// Whether `bytes`, the first of a length field or all of them, are a marked length: the
/// mark, and then the length of a payload of less than 2^40 bytes. A run of 0xff is not a
/// mark.
#[must_use]
pub fn is_marked_length(bytes: &[u8]) -> bool {
    match bytes {
        [LENGTH_MARK, rest @ ..] => rest.iter().take(2).all(|&byte| byte == 0),
        _ => false,
    }
}

/// The payload bytes that this length field claims; never to be believed unchecked.
#[must_use]
pub fn decode_length(bytes: [u8; 8]) -> u64 {
    u64::from_be_bytes(bytes)
}

/// The end of the frame at `position`, if its length field is `payload_bytes` and it ends
/// within `limit`.
#[must_use]
pub fn frame_end(position: Position, payload_bytes: u64, limit: u64) -> Option<Position> {
    let end = position
        .checked_add(LENGTH_BYTES)?
        .checked_add(payload_bytes)?;
    (end.0 <= limit).then_some(end)
}

/// Which half of a segment's pair a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `N.store`: the frames.
    Store,
    /// `N.index`: the entries.
    Index,
}

impl FileKind {
    /// The extension of such a file's name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Index => "index",
        }
    }

    /// The other one of a pair.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Store => Self::Index,
            Self::Index => Self::Store,
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

/// The name that a segment's file has.
#[must_use]
pub fn file_name(base: Offset, kind: FileKind) -> String {
    format!("{base}.{kind}")
}

/// The digits of a base offset in names with leading zeros.
const PADDED_DIGITS: usize = 20;

/// How names of files write the base offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameStyle {
    /// Without leading zeros, as the Go service of the book does.
    #[default]
    Plain,
    /// With 20 digits, as a fork of it does.
    Padded,
}

impl NameStyle {
    /// The style of a name.
    #[must_use]
    pub fn of(name: &OsStr) -> Self {
        let name = name.as_encoded_bytes();
        let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == PADDED_DIGITS && name.starts_with(b"0") {
            Self::Padded
        } else {
            Self::Plain
        }
    }

    /// The name that a segment's file has.
    #[must_use]
    pub fn file_name(self, base: Offset, kind: FileKind) -> String {
        match self {
            Self::Plain => file_name(base, kind),
            Self::Padded => format!("{:020}.{kind}", base.0),
        }
    }
}

/// Whether a name is one of the files that make a Kafka partition and no log.
#[must_use]
pub fn is_kafka_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let stem = name
        .strip_suffix(b".log")
        .or_else(|| name.strip_suffix(b".timeindex"));
    stem.is_some_and(|stem| stem.len() == PADDED_DIGITS && stem.iter().all(u8::is_ascii_digit))
}

/// A name in a log's directory that is one of a segment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentName {
    /// The base offset that the name says.
    pub base: Offset,
    /// Which half of the pair.
    pub kind: FileKind,
    /// Whether the number has leading zeros, which the Go service never writes.
    pub zero_padded: bool,
}

/// The parts of `name`, or `None` if no segment has such a name.
#[must_use]
pub fn parse_name(name: &OsStr) -> Option<SegmentName> {
    let name = name.as_encoded_bytes();
    let (stem, kind) = if let Some(stem) = name.strip_suffix(b".store") {
        (stem, FileKind::Store)
    } else {
        (name.strip_suffix(b".index")?, FileKind::Index)
    };
    if stem.is_empty() {
        return None;
    }
    let mut base = 0_u64;
    for byte in stem {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        base = base.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(SegmentName {
        base: Offset(base),
        kind,
        zero_padded: stem.len() > 1 && stem.starts_with(b"0"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_twelve_bytes_big_endian() {
        let entry = Entry {
            relative: RelativeOffset(0x0102_0304),
            position: Position(0x0506_0708_090a_0b0c),
        };
        let bytes = entry.encode();
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(bytes.len() as u64, ENTRY_BYTES);
        assert_eq!(Entry::decode(&bytes), entry);
    }

    #[test]
    fn a_length_is_eight_bytes_big_endian() {
        assert_eq!(encode_length(0x0102), [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(encode_length(0x0102).len() as u64, LENGTH_BYTES);
        assert_eq!(decode_length([0, 0x40, 0, 0, 0, 0, 0, 19]), (1 << 54) + 19);
    }

    #[test]
    fn a_frame_must_end_within_the_file() {
        assert_eq!(frame_end(Position(4), 3, 15), Some(Position(15)));
        assert_eq!(frame_end(Position(4), 3, 14), None);
        assert_eq!(frame_end(Position(4), u64::MAX, u64::MAX), None);
    }

    #[test]
    fn names() {
        let parse = |name: &str| parse_name(OsStr::new(name));
        let plain = parse("23.store").expect("a segment's name");
        assert_eq!(
            (plain.base, plain.kind, plain.zero_padded),
            (Offset(23), FileKind::Store, false)
        );
        assert!(parse("000.index").expect("padded").zero_padded);
        assert!(!parse("0.index").expect("plain").zero_padded);
        assert_eq!(file_name(Offset(7), FileKind::Index), "7.index");
        for stray in [
            "LOCK",
            "0.index.bak",
            ".store",
            "+1.store",
            "-1.store",
            "1.Store",
            "18446744073709551616.store",
            "1e3.store",
            "0x1.store",
        ] {
            assert_eq!(parse(stray), None, "{stray}");
        }
        assert!(parse("18446744073709551615.store").is_some());
    }

    #[test]
    fn a_marked_length_is_the_true_one_but_for_its_first_byte() {
        for payload_bytes in [0, 1, 255, 256, 1 << 32] {
            let marked = encode_marked_length(payload_bytes);
            assert_eq!(marked[1..], encode_length(payload_bytes)[1..]);
            assert!((1..=8).all(|bytes| is_marked_length(&marked[..bytes])));
            assert!(!is_marked_length(&encode_length(payload_bytes)));
        }
        assert!(!is_marked_length(&[]));
        assert!(!is_marked_length(&[0xff; 8]));
    }
}
