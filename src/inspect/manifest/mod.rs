//! Digests of a log's records, kept outside of it: the checksum that the format lacks.
//! `make` takes them, `line` knows how they are written and read, `check` holds a log
//! against them.
//!
//! A digest is BLAKE3 over the frames of a run of records, length fields included, in
//! their order. It depends on neither the segments' boundaries nor on what lies between
//! or after the frames: a copy with other segments fits the same manifest, and one with
//! another codec does not.

pub mod check;
pub mod line;
pub mod make;

use super::coverage;
use super::finding::OffsetRange;
use super::report::{Report, SegmentReport};
use crate::log::error::{Error, Result};
use crate::log::format::LENGTH_BYTES;
use crate::log::progress::WALKED;
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::units::Offset;
use crate::log::window::{LOOKUP_BYTES, Window};

/// Runs begin at multiples of this offset, whatever the segments, and so have at most
/// as many records.
pub const RUN_RECORDS: u64 = 1024;

/// A run ends with the record that reaches this many bytes.
pub const RUN_BYTES: u64 = 1024 * 1024;

/// Bytes that are read at once for a digest: they stay in the processor's cache.
const BLOCK_BYTES: usize = 128 * 1024;

/// A digest. Shape: 32 bytes.
pub type Digest = [u8; 32];

/// The first line of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The log's codec; `None` where no record shows it.
    pub codec: Option<Codec>,
}

/// A run of records and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The base of the segment that held them when the manifest was made.
    pub segment: Offset,
    /// Their offsets, both ends included.
    pub offsets: OffsetRange,
    /// Bytes of their frames.
    pub bytes: u64,
    /// The digest of their frames.
    pub digest: Digest,
}

/// The runs of one segment together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentDigest {
    /// Its base.
    pub segment: Offset,
    /// The first and the last offset that have a digest.
    pub offsets: OffsetRange,
    /// Number of records with a digest.
    pub records: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// The digest of their runs.
    pub digest: Digest,
}

/// The last line of a manifest; without it, the manifest is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Number of segments with a digest.
    pub segments: u64,
    /// Number of runs.
    pub runs: u64,
    /// Number of records in them.
    pub records: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Whether there were records that have no digest, because they are damaged.
    pub damaged: bool,
    /// The digest of all runs.
    pub digest: Digest,
}

/// Gathers runs to one digest. Shape: of each run its segment, first and last offset and
/// bytes as u64, big-endian, then its digest: 64 bytes.
#[derive(Debug, Default)]
pub struct Gathered {
    hasher: blake3::Hasher,
    /// Number of runs.
    pub runs: u64,
    /// Number of records in them.
    pub records: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// The first and the last of their offsets.
    pub offsets: Option<OffsetRange>,
}

impl Gathered {
    /// Adds the next run.
    pub fn add(&mut self, run: &Run) {
        let offsets = run.offsets;
        for number in [run.segment.0, offsets.first.0, offsets.last.0, run.bytes] {
            self.hasher.update(&number.to_be_bytes());
        }
        self.hasher.update(&run.digest);
        self.runs += 1;
        self.records = self.records.saturating_add(run.offsets.records());
        self.bytes = self.bytes.saturating_add(run.bytes);
        let first = self.offsets.map_or(offsets.first, |before| before.first);
        let last = offsets.last;
        self.offsets = Some(OffsetRange { first, last });
    }

    /// The digest of the runs so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.hasher.finalize().as_bytes()
    }
}

/// Adds the frames of valid slots to a digest, `first` and `last` included; returns their
/// number of bytes.
fn add_frames(
    hasher: &mut blake3::Hasher,
    report: &SegmentReport,
    segment: &Segment,
    (first, last): (u64, u64),
) -> Result<u64> {
    let facts = report.facts.as_ref();
    if facts.is_some_and(|facts| coverage::is_contiguous(facts, first, last)) {
        let (start, end) = coverage::frames_between(segment, first, last)?;
        return add_bytes(hasher, segment, start, end);
    }
    let mut index = segment.entries(LOOKUP_BYTES);
    let mut store = Window::new(segment.store.clone(), LOOKUP_BYTES);
    let mut bytes = 0_u64;
    for slot in first..=last {
        let position = index.entry(slot)?.position.0;
        let length = store.length_at(position)?;
        let end = position.saturating_add(LENGTH_BYTES).saturating_add(length);
        bytes = bytes.saturating_add(add_bytes(hasher, segment, position, end)?);
    }
    Ok(bytes)
}

fn add_bytes(hasher: &mut blake3::Hasher, segment: &Segment, start: u64, end: u64) -> Result<u64> {
    let bytes = end.saturating_sub(start);
    let block = usize::try_from(bytes).map_or(BLOCK_BYTES, |it| it.min(BLOCK_BYTES));
    let mut buffer = vec![0; block];
    let mut at = start;
    while at < end {
        let count = usize::try_from(end - at).map_or(block, |left| left.min(block));
        let Some(part) = buffer.get_mut(..count) else {
            break;
        };
        segment.store.read_at(part, at)?;
        hasher.update(part);
        WALKED.add_bytes(count as u64);
        at += count as u64;
    }
    Ok(bytes)
}

/// A segment of a report, open as it was when the report was made.
fn open(report: &Report, number: usize) -> Result<(&SegmentReport, Segment)> {
    let Some(segment) = report.segments.get(number) else {
        let path = report.listing.path().to_path_buf();
        return Err(Error::Missing { path });
    };
    Ok((segment, coverage::open(report, segment)?))
}
