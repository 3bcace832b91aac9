//! The bytes of made-up logs, from the description of the format alone: `prost` makes
//! the records, nothing of the product is used.

use std::collections::BTreeMap;

use prost::Message as _;

/// What the payloads of a log are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// The record's value as it is.
    Raw,
    /// A [`Record`].
    Protobuf,
}

impl Codec {
    /// The word that `--codec` takes and JSON shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Protobuf => "protobuf",
        }
    }
}

/// The message in a frame of a protobuf log (proto3: a field that is 0 is absent).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Record {
    /// The value.
    #[prost(bytes = "vec", tag = "1")]
    pub value: Vec<u8>,
    /// The record's own offset in the log.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    /// The Raft term.
    #[prost(uint64, tag = "3")]
    pub term: u64,
    /// The Raft log's type of record.
    #[prost(uint32, tag = "4")]
    pub kind: u32,
}

/// A frame: the payload's length (u64, big-endian), then the payload.
#[must_use]
pub fn frame(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u64).to_be_bytes(), payload].concat()
}

/// An index entry: relative offset (u32), position (u64), both big-endian.
#[must_use]
pub fn entry(relative: u32, position: u64) -> Vec<u8> {
    [
        relative.to_be_bytes().as_slice(),
        position.to_be_bytes().as_slice(),
    ]
    .concat()
}

/// A protobuf payload. `kind` is the field `type`.
#[must_use]
pub fn pb(value: &[u8], offset: u64, term: u64, kind: u32) -> Vec<u8> {
    Record {
        value: value.to_vec(),
        offset,
        term,
        kind,
    }
    .encode_to_vec()
}

/// Describes a log, segment by segment, and makes its files.
///
/// The segments need not follow each other: gaps and overlaps are made as they are
/// described.
#[derive(Debug, Clone)]
pub struct LogBuilder {
    codec: Codec,
    raft: (u64, u32),
    files: BTreeMap<String, Vec<u8>>,
}

impl LogBuilder {
    /// A log of this codec without any segment.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            raft: (0, 0),
            files: BTreeMap::new(),
        }
    }

    /// A raw log without any segment.
    #[must_use]
    pub fn raw() -> Self {
        Self::new(Codec::Raw)
    }

    /// A protobuf log without any segment.
    #[must_use]
    pub fn protobuf() -> Self {
        Self::new(Codec::Protobuf)
    }

    /// Gives the records of the segments that follow this term and type.
    #[must_use]
    pub fn raft(mut self, term: u64, kind: u32) -> Self {
        assert_eq!(self.codec, Codec::Protobuf, "a raw record has no term");
        self.raft = (term, kind);
        self
    }

    /// Adds the pair `<base>.store` and `<base>.index` with these values.
    #[must_use]
    pub fn segment<Values>(mut self, base: u64, values: Values) -> Self
    where
        Values: IntoIterator,
        Values::Item: AsRef<[u8]>,
    {
        let (term, kind) = self.raft;
        let (mut store, mut index) = (Vec::new(), Vec::new());
        for (relative, value) in (0_u32..).zip(values) {
            let value = value.as_ref();
            index.extend(entry(relative, store.len() as u64));
            store.extend(match self.codec {
                Codec::Raw => frame(value),
                Codec::Protobuf => frame(&pb(value, base + u64::from(relative), term, kind)),
            });
        }
        self.files.insert(format!("{base}.store"), store);
        self.files.insert(format!("{base}.index"), index);
        self
    }

    /// The names and bytes of the log's files.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.clone()
    }
}
