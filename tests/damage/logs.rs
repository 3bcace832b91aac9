//! The small logs that are damaged, and what each of their bytes is: worked out from
//! the description of the format, not by the product.

use std::collections::BTreeMap;

use proglog_testkit::{Codec, LogBuilder, Sandbox};

/// What a byte of a log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// The relative offset of an entry.
    Relative,
    /// The position of an entry.
    Position,
    /// The length before a payload.
    Length,
    /// The varint of an embedded offset.
    Offset,
    /// Keys, the length of a value, term and type: what else is in a message.
    Message,
    /// A value.
    Value,
}

/// One byte of a log and where it belongs.
#[derive(Debug, Clone)]
pub struct Byte {
    /// The file it is in.
    pub file: String,
    /// Where in the file.
    pub at: u64,
    /// What it says.
    pub sort: Sort,
    /// The record that it belongs to.
    pub offset: u64,
    /// Where the field begins that it is part of (of an entry: the entry).
    pub field: u64,
    /// How long that field is.
    pub field_bytes: u64,
    /// Where the record's frame ends in the store.
    pub frame_end: u64,
    /// Whether the record is its segment's last.
    pub last: bool,
    /// Whether the segment has no other record.
    pub only: bool,
}

/// A log, what it holds, and what its bytes are.
pub struct Made {
    /// For messages.
    pub name: &'static str,
    /// Raw or protobuf.
    pub codec: Codec,
    /// A copy of its own on the disk.
    pub sandbox: Sandbox,
    /// Each record's value.
    pub records: BTreeMap<u64, Vec<u8>>,
    /// Where each one is: base, position, bytes of its payload.
    pub places: BTreeMap<u64, (u64, u64, u64)>,
    /// Each file.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Every byte of every file.
    pub bytes: Vec<Byte>,
}

impl Made {
    /// Makes the files what they are in `files`.
    pub fn write(&self, files: &BTreeMap<String, Vec<u8>>) {
        for (name, bytes) in files {
            self.sandbox.write(name, bytes);
        }
    }
}

const LONG: &[u8] = b"thirty bytes of text, or there";
const ZEROS: &[u8] = &[0; 16];
/// Lengths, were they not within a value: of frames that the log does not have.
const LENGTHS: &[u8] = b"\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\xff\0\0\x03";

type Segments = &'static [(u64, &'static [&'static [u8]])];

const THREE: Segments = &[
    (
        0,
        &[b"alpha", b"", &[0; 8], LONG, LENGTHS, b"z", b"", b"", b"x"],
    ),
    (9, &[b"", b"b", ZEROS, b"four", ZEROS, LONG]),
    (15, &[LONG, b"", b"zeros behind\0\0\0\0\0\0\0\0\0\0\0\0\0"]),
];

/// Segments that end in nothing, and that have one record.
const ENDS: Segments = &[
    (0, &[LONG]),
    (1, &[b"a", b""]),
    (3, &[b""]),
    (4, &[b"bc"]),
    (5, &[ZEROS, ZEROS]),
];

/// What the Raft log's first offset is.
const FROM_ONE: Segments = &[(1, &[b"", LONG]), (3, &[b"c"]), (4, &[LONG, b"", b"last"])];

/// All logs that are damaged.
pub fn all() -> Vec<Made> {
    let protobuf = |segments, terms: &[(u64, u32)]| {
        let mut builder = LogBuilder::protobuf();
        for (at, (base, values)) in (0..).zip(segments as Segments) {
            if let Some((term, kind)) = terms.get(at) {
                builder = builder.raft(*term, *kind);
            }
            builder = builder.segment(*base, *values);
        }
        builder
    };
    let raw = |segments| {
        let add = |builder: LogBuilder, (base, values): &(u64, &'static [&[u8]])| {
            builder.segment(*base, *values)
        };
        (segments as Segments).iter().fold(LogBuilder::raw(), add)
    };
    vec![
        make("raw", Codec::Raw, THREE, &raw(THREE)),
        make("raw, ends", Codec::Raw, ENDS, &raw(ENDS)),
        make("protobuf", Codec::Protobuf, THREE, &protobuf(THREE, &[])),
        make(
            "protobuf with terms",
            Codec::Protobuf,
            THREE,
            &protobuf(THREE, &[(0, 0), (3, 1), (1 << 60, u32::MAX)]),
        ),
        make(
            "protobuf, ends",
            Codec::Protobuf,
            ENDS,
            &protobuf(ENDS, &[]),
        ),
        make(
            "protobuf from 1 with terms",
            Codec::Protobuf,
            FROM_ONE,
            &protobuf(FROM_ONE, &[(1, 0), (2, 2), (300, 1)]),
        ),
    ]
}

fn make(name: &'static str, codec: Codec, segments: Segments, builder: &LogBuilder) -> Made {
    let sandbox = Sandbox::built(builder);
    let mut records = BTreeMap::new();
    let mut places = BTreeMap::new();
    let mut bytes = Vec::new();
    for (base, values) in segments {
        let store = sandbox.read(&format!("{base}.store"));
        let mut position = 0;
        for (slot, value) in (0..).zip(*values) {
            records.insert(base + slot, value.to_vec());
            let length = store[position..position + 8].try_into().unwrap();
            let payload = position + 8;
            let end = payload + usize::try_from(u64::from_be_bytes(length)).unwrap();
            let place = (*base, position as u64, (end - payload) as u64);
            places.insert(base + slot, place);
            let mut add = |file: &str, sort, field: usize, count: usize, at: usize| {
                bytes.push(Byte {
                    file: format!("{base}.{file}"),
                    at: at as u64,
                    sort,
                    offset: base + slot,
                    field: field as u64,
                    field_bytes: count as u64,
                    frame_end: end as u64,
                    last: slot + 1 == values.len() as u64,
                    only: values.len() == 1,
                });
            };
            let entry = usize::try_from(slot).unwrap() * 12;
            for at in 0..12 {
                let sort = if at < 4 {
                    Sort::Relative
                } else {
                    Sort::Position
                };
                add("index", sort, entry, 12, entry + at);
            }
            for at in position..payload {
                add("store", Sort::Length, position, 8, at);
            }
            for (sort, field) in fields(codec, &store[payload..end]) {
                let field = payload + field.start..payload + field.end;
                for at in field.clone() {
                    add("store", sort, field.start, field.len(), at);
                }
            }
            position = end;
        }
        assert_eq!(position, store.len(), "{name}: {base}.store");
    }
    Made {
        name,
        codec,
        sandbox,
        records,
        places,
        files: builder.files(),
        bytes,
    }
}

/// What the bytes of a payload are, as the encoder of a Record writes them.
fn fields(codec: Codec, payload: &[u8]) -> Vec<(Sort, std::ops::Range<usize>)> {
    if codec == Codec::Raw {
        return vec![(Sort::Value, 0..payload.len())];
    }
    let mut fields = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        let start = at + 1;
        let end = start + payload[start..].iter().position(|b| *b < 0x80).unwrap() + 1;
        fields.push((Sort::Message, at..start));
        let number = if payload[at] == 0x10 {
            Sort::Offset
        } else {
            Sort::Message
        };
        fields.push((number, start..end));
        at = end;
        if payload[start - 1] == 0x0a {
            assert_eq!(end, start + 1, "a value of less than 128 bytes");
            at = end + usize::from(payload[start]);
            fields.push((Sort::Value, end..at));
        }
    }
    fields
}
