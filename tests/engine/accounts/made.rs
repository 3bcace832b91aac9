//! A log as one of many histories leaves it, with the truth about every frame: whose it
//! is, where it stands, and what an entry says of it.

use fastrand::Rng;
use proglog_testkit::{Codec, choose, entry, frame, pb};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An acknowledged record.
    Record,
    /// What an append left that was refused.
    Refused,
    /// A record that was written and whose entry was not: nobody knows.
    Unindexed,
}

/// A frame of a store.
#[derive(Debug, Clone)]
pub struct Frame {
    pub position: usize,
    pub bytes: Vec<u8>,
    pub value: Vec<u8>,
    pub offset: u64,
    pub kind: Kind,
    /// Whether its value holds frames itself.
    pub nested: bool,
}

/// An entry of an index.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Where it stands.
    pub at: usize,
    pub slot: u32,
    pub position: u64,
}

/// A pair of files and what is in them.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    pub base: u64,
    pub store: Vec<u8>,
    pub index: Vec<u8>,
    pub frames: Vec<Frame>,
    pub entries: Vec<Entry>,
    /// Where an unfinished batch begins with a mark.
    pub mark: Option<usize>,
}

/// A log and how it came about.
#[derive(Debug, Clone)]
pub struct Made {
    pub codec: Codec,
    pub segments: Vec<Segment>,
    pub history: Vec<String>,
}

/// The life after which frames were passed over: the entries after them name what is lost.
const PASSED_OVER: &str = "refused, then lost";

impl Made {
    /// Whether a service went on at its first offsets again: then raw frames dispute them.
    pub fn restarted(&self) -> bool {
        self.history.iter().any(|line| line.contains("restarted"))
    }

    /// Whether frames are there that a later entry of the same offset passed over.
    pub fn passed_over(&self) -> bool {
        self.history.iter().any(|line| line.contains(PASSED_OVER))
    }
}

/// What the values of a log are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Text,
    Binary,
    Equal,
    Empty,
    Nested,
    Zeros,
    Large,
}

const VALUES: &[Values] = &[
    Values::Text,
    Values::Text,
    Values::Binary,
    Values::Binary,
    Values::Equal,
    Values::Empty,
    Values::Nested,
    Values::Zeros,
    Values::Large,
];

impl Values {
    fn value(self, rng: &mut Rng, codec: Codec, number: u64) -> (Vec<u8>, bool) {
        let mut bytes = |count: usize| -> Vec<u8> { (0..count).map(|_| rng.u8(..)).collect() };
        let value = match self {
            Self::Text => format!(
                "record number {number} {}",
                "and so on ".repeat(number as usize % 4)
            )
            .into_bytes(),
            Self::Binary => bytes((number * 13 % 40) as usize + 1),
            Self::Equal => bytes(16),
            Self::Empty if number.is_multiple_of(3) => format!("line {number}").into_bytes(),
            Self::Empty => Vec::new(),
            Self::Nested if number % 2 == 1 => {
                let first = rng.u64(..8);
                let frames = first..first + rng.u64(1..5);
                let value = frames.flat_map(|i| match codec {
                    Codec::Raw => frame(format!("inside {i}").as_bytes()),
                    Codec::Protobuf => frame(&pb(format!("inside {i}").as_bytes(), i, 0, 0)),
                });
                return (value.collect(), true);
            }
            Self::Nested => format!("around {number}").into_bytes(),
            Self::Zeros => vec![0; (number * 7 % 40) as usize],
            Self::Large => bytes([3, 700, 5000, 40][number as usize % 4]),
        };
        (value, false)
    }
}

/// A log under construction.
struct Maker<'a> {
    rng: &'a mut Rng,
    codec: Codec,
    values: Values,
    number: u64,
    segment: Segment,
}

impl Maker<'_> {
    fn push(&mut self, offset: u64, kind: Kind) {
        let (value, nested) = self.values.value(self.rng, self.codec, self.number);
        self.number += 1;
        let bytes = match self.codec {
            Codec::Raw => frame(&value),
            Codec::Protobuf => frame(&pb(&value, offset, 0, 0)),
        };
        let position = self.segment.store.len();
        self.segment.store.extend(&bytes);
        self.segment.frames.push(Frame {
            position,
            bytes,
            value,
            offset,
            kind,
            nested,
        });
    }

    fn name(&mut self, offset: u64) {
        let position = self.segment.frames.last().unwrap().position as u64;
        let slot = u32::try_from(offset - self.segment.base).unwrap();
        let at = self.segment.index.len();
        self.segment.index.extend(entry(slot, position));
        self.segment.entries.push(Entry { at, slot, position });
    }

    /// Acknowledged records from `first` on.
    fn records(&mut self, first: u64, count: u64) {
        for offset in first..first + count {
            self.push(offset, Kind::Record);
            self.name(offset);
        }
    }

    /// The store's buffer is lost: its last bytes from this size on.
    fn lose(&mut self, size: usize) {
        let segment = &mut self.segment;
        segment.store.truncate(size);
        // The last one may be torn: it is never whole again.
        segment.frames.retain(|frame| frame.position < size);
    }

    fn mark(&mut self, position: usize) {
        self.segment.store[position] = 0xff;
        self.segment.mark = Some(position);
    }

    fn pad(&mut self, size: usize) {
        let index = &mut self.segment.index;
        if index.len() < size {
            index.resize(size, 0);
        }
    }
}

/// A limit of an index that is not full with this many bytes.
fn limit(rng: &mut Rng, bytes: usize) -> usize {
    let sizes = [100, 500, 1020, 1024, 4096, bytes + 1000];
    let sizes: Vec<usize> = sizes
        .into_iter()
        .filter(|size| *size > bytes + 12)
        .collect();
    *choose(rng, &sizes)
}

/// A random log: closed or killed segments, and, in one of two, a life with restarts and
/// refused appends.
pub fn make(rng: &mut Rng) -> Made {
    let codec = *choose(rng, &[Codec::Raw, Codec::Protobuf]);
    let lively = rng.bool();
    let values = *choose(rng, VALUES);
    let mut base = *choose(rng, &[0, 0, 0, 1, 7, 1000, 1 << 33]);
    let mut made = Made {
        codec,
        segments: Vec::new(),
        history: vec![format!("{values:?} from {base}")],
    };
    let count = rng.usize(1..=5);
    for number in 0..count {
        let mut maker = Maker {
            rng,
            codec,
            values,
            number: base % 1000,
            segment: Segment {
                base,
                ..Segment::default()
            },
        };
        let n = *choose(maker.rng, &[1, 2, 3, 5, 8, 12, 20, 40]);
        let last = number + 1 == count;
        let what = match (last, lively) {
            (false, _) => {
                maker.records(base, n);
                "closed"
            }
            (true, false) => ending(&mut maker, base, n),
            (true, true) => life(&mut maker, base, n),
        };
        let segment = maker.segment;
        made.history.push(format!(
            "{base}: {what}, {} frames, {} entries",
            segment.frames.len(),
            segment.entries.len()
        ));
        base += n;
        made.segments.push(segment);
    }
    made
}

/// The last segment of a log without restarts.
fn ending(maker: &mut Maker<'_>, base: u64, n: u64) -> &'static str {
    match maker.rng.u8(..6) {
        0 => "empty",
        1 => {
            maker.records(base, n);
            let size = limit(maker.rng, maker.segment.index.len());
            maker.pad(size);
            "killed with all in the store"
        }
        2 => {
            maker.records(base, n);
            let from = maker.segment.frames[maker.rng.usize(..n as usize)].position;
            let size = maker.rng.usize(from..=maker.segment.store.len());
            maker.lose(size);
            let size = limit(maker.rng, maker.segment.index.len());
            maker.pad(size);
            "killed with a buffer lost"
        }
        3 => {
            maker.records(base, n);
            for offset in base + n..base + n + maker.rng.u64(1..4) {
                maker.push(offset, Kind::Unindexed);
            }
            "killed before its entries"
        }
        _ => {
            maker.records(base, n);
            "closed"
        }
    }
}

/// The last segment of a service that was killed, restarted and refused appends.
fn life(maker: &mut Maker<'_>, base: u64, n: u64) -> &'static str {
    match maker.rng.u8(..11) {
        // The index is full: appends are refused under one offset.
        0 => {
            maker.records(base, n);
            for _ in 0..maker.rng.u64(1..6) {
                maker.push(base + n, Kind::Refused);
            }
            "refused at its end"
        }
        // Refused, then restarted with a larger limit: it goes on behind.
        1 => {
            maker.records(base, n);
            for _ in 0..maker.rng.u64(1..6) {
                maker.push(base + n, Kind::Refused);
            }
            let more = maker.rng.u64(1..6);
            maker.records(base + n, more);
            "refused, then goes on"
        }
        // Killed, restarted with the same limit: full of padding, wedged at base+1.
        2 => {
            maker.records(base, n);
            let size = limit(maker.rng, maker.segment.index.len());
            maker.pad(size);
            for _ in 0..maker.rng.u64(1..6) {
                maker.push(base + 1, Kind::Refused);
            }
            "killed and wedged"
        }
        // Killed with an empty segment and wedged.
        3 => {
            let size = limit(maker.rng, 0);
            maker.pad(size);
            for _ in 0..maker.rng.u64(2..9) {
                maker.push(base + 1, Kind::Refused);
            }
            "wedged while empty"
        }
        // Killed, restarted with a larger limit: it goes on at base+1.
        4 | 5 => {
            maker.records(base, n);
            if maker.rng.bool() {
                let size = maker.rng.usize(..=maker.segment.store.len());
                maker.lose(size);
            }
            let size = limit(maker.rng, maker.segment.index.len());
            maker.pad(size);
            let more = maker.rng.u64(1..25);
            maker.records(base + 1, more);
            if maker.rng.bool() {
                let size = limit(maker.rng, maker.segment.index.len());
                maker.pad(size);
                "restarted with a larger limit, killed"
            } else {
                "restarted with a larger limit"
            }
        }
        // Killed with an empty segment, restarted with a larger limit.
        6 => {
            let size = limit(maker.rng, 0);
            maker.pad(size);
            maker.records(base + 1, n);
            if maker.rng.bool() {
                let size = limit(maker.rng, maker.segment.index.len());
                maker.pad(size);
            }
            "restarted on padding alone"
        }
        // Refused, restarted with a larger limit, killed before its records were written.
        7 => {
            maker.records(base, n);
            for _ in 0..maker.rng.u64(1..4) {
                maker.push(base + n, Kind::Refused);
            }
            let size = maker.segment.store.len();
            let more = maker.rng.u64(1..6);
            maker.records(base + n, more);
            maker.lose(size);
            let size = limit(maker.rng, maker.segment.index.len());
            maker.pad(size);
            PASSED_OVER
        }
        // An interrupted append of ours, on whose rest a service goes on.
        8 => interrupted(maker, base, n),
        _ => batch(maker, base, n),
    }
}

/// The rest of an interrupted append, and records after it.
fn interrupted(maker: &mut Maker<'_>, base: u64, n: u64) -> &'static str {
    maker.records(base, n);
    let size = maker.segment.store.len();
    maker.push(base + n, Kind::Unindexed);
    maker.segment.frames.pop();
    match maker.rng.u8(..3) {
        0 => maker.mark(size),
        1 => maker.segment.store[size..].fill(0),
        _ => {
            let end = maker.rng.usize(size + 1..=size + 8);
            maker.segment.store.truncate(end);
        }
    }
    let more = maker.rng.u64(1..6);
    maker.records(base + n, more);
    "interrupted, then goes on"
}

/// A batch whose first length is a mark: it was never acknowledged.
fn batch(maker: &mut Maker<'_>, base: u64, n: u64) -> &'static str {
    maker.records(base, n);
    // One batch is committed but for its entries while the next is written.
    let next = base + n + maker.rng.u64(..2) * 2;
    for offset in base + n..next {
        maker.push(offset, Kind::Unindexed);
    }
    let size = maker.segment.store.len();
    for offset in next..next + maker.rng.u64(1..4) {
        maker.push(offset, Kind::Unindexed);
    }
    maker.segment.frames.retain(|frame| frame.position < size);
    maker.mark(size);
    if maker.rng.bool() {
        let end = maker.rng.usize(size + 8..=maker.segment.store.len());
        maker.segment.store.truncate(end);
    }
    "an unfinished batch"
}
