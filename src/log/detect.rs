//! Which codec a log has, which is written down nowhere: a few intact frames of its first
//! and of its last segment show it.

use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::format::{FileKind, LENGTH_BYTES, frame_end};
use super::index::Index;
use super::live;
use super::record::{self, Codec, LayoutError};
use super::segment::{Segment, hides_segment};
use super::units::{Offset, Position};
use super::walk::{PAYLOAD_IN_MEMORY_MAX, layout_in};
use super::window::{LOOKUP_BYTES, ReadFile, Window};
use crate::scan::codec::{self, Evidence};

/// Frames that are inspected, from each end of a segment.
const SAMPLES: u64 = 8;

/// Fewer samples than this decide nothing alone.
const FEW: u64 = 3;

/// Segments from each end of a log that are searched for evidence: one damaged segment must
/// not decide.
const EVIDENCE_SEGMENTS: usize = 4;

/// Bytes of keys and numbers that are inspected in all of a segment's samples: a bound on
/// the work that made-up bytes can cause. (A raw value ends the scan of it early.)
const DECODED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The result of the samples.
#[derive(Debug, Default, Clone, Copy)]
struct Votes {
    /// Samples above offset 0.
    above: u64,
    /// Of these, those that decode and have their own offset.
    carry: u64,
    /// Whether record 0 is protobuf by its bytes; `None` without a record 0.
    zero: Option<bool>,
    /// Whether record 0 has a payload at all.
    zero_empty: bool,
    /// Samples with another offset than their place, and entries without a frame.
    astray: u64,
}

/// A codec, and how much that is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detected {
    /// The codec of most samples.
    pub codec: Codec,
    /// Whether that is certain: the samples are committed records, or they have their
    /// offsets. The rest of an interrupted first append may look like anything.
    pub certain: bool,
}

impl Votes {
    /// Whether no sample speaks against the others.
    fn is_unanimous(self) -> bool {
        let all_or_none = self.carry == self.above || self.carry == 0;
        self.codec().is_some() && all_or_none && self.astray == 0
    }

    fn codec(self) -> Option<Codec> {
        if self.above > 0 {
            let most = self.carry > 0 && self.carry * 2 >= self.above;
            return Some(if most { Codec::Protobuf } else { Codec::Raw });
        }
        match self.zero {
            None => None,
            Some(_) if self.zero_empty => None,
            Some(true) => Some(Codec::Protobuf),
            Some(false) => Some(Codec::Raw),
        }
    }
}

/// The codec of the log in `directory`, or `None` where no record shows it.
///
/// # Errors
///
/// [`Error::Io`] and [`Error::Shrunk`]; files that are missing or unreadable show
/// nothing.
pub fn detect(directory: &Directory) -> Result<Option<Codec>> {
    Ok(judge(directory)?.map(|detected| detected.codec))
}

/// The same, and whether that is beyond doubt.
///
/// # Errors
///
/// As [`detect`].
pub fn judge(directory: &Directory) -> Result<Option<Detected>> {
    let files = Files {
        directory,
        instead: &|_| Ok(None),
    };
    live::undisturbed(|| judge_once(&files))
}

/// The files of a segment as they would be.
#[derive(Clone)]
pub(crate) struct Mended {
    /// The pair; its index is empty where it does not exist.
    pub pair: Segment,
    /// Whether there is an index.
    pub has_index: bool,
}

/// Supplies the segments that would differ from those on disk.
type Instead<'a> = &'a dyn Fn(Offset) -> Result<Option<Mended>>;

/// The codec that the log will show after some of its segments are replaced: `instead`
/// supplies these.
///
/// # Errors
///
/// As [`detect`], and those of `instead`.
pub(crate) fn detect_with(directory: &Directory, instead: Instead<'_>) -> Result<Option<Detected>> {
    judge_once(&Files { directory, instead })
}

/// The files of a log, some of which may be other ones than on the disk.
struct Files<'a> {
    directory: &'a Directory,
    instead: Instead<'a>,
}

impl Files<'_> {
    fn pair(&self, names: &SegmentNames) -> Result<Option<Segment>> {
        Ok(match (self.instead)(names.base)? {
            Some(mended) => Some(mended.pair).filter(|_| mended.has_index),
            None => Segment::open(self.directory, names).ok(),
        })
    }

    fn store(&self, names: &SegmentNames) -> Result<ReadFile> {
        match (self.instead)(names.base)? {
            Some(mended) => Ok(mended.pair.store),
            None => ReadFile::open(&self.directory.file(names, FileKind::Store)),
        }
    }

    fn index(&self, names: &SegmentNames) -> Result<Option<ReadFile>> {
        Ok(match (self.instead)(names.base)? {
            Some(mended) => Some(mended.pair.index).filter(|_| mended.has_index),
            None => ReadFile::open(&self.directory.file(names, FileKind::Index)).ok(),
        })
    }
}

fn judge_once(files: &Files<'_>) -> Result<Option<Detected>> {
    let detected = |votes: Votes, committed| {
        votes.codec().map(|codec| Detected {
            codec,
            certain: committed || (codec == Codec::Protobuf && votes.above > 0),
        })
    };
    // If anything is committed, unacknowledged bytes do not count.
    let committed = sample(files, true)?;
    let (votes, is_committed) = if committed.codec().is_some() {
        (committed, true)
    } else {
        (sample(files, false)?, false)
    };
    if votes.is_unanimous() && votes.above >= FEW && is_committed {
        return Ok(detected(votes, is_committed));
    }
    let evidence = evidence(files)?;
    let by_evidence = evidence.codec().map(|codec| Detected {
        codec,
        certain: is_committed || evidence.numbered > 0,
    });
    if !votes.is_unanimous() || votes.above < FEW {
        // A damaged length may hide all frames but one, and values may look like records.
        if let Some(found) = by_evidence {
            return Ok(Some(found));
        }
    }
    // Frames that follow each other and are no records of a protobuf log are a raw log's.
    let raw = evidence.confirmed == 0 && evidence.frames >= FEW;
    Ok(detected(votes, is_committed || raw).or(by_evidence))
}

/// The evidence of the first and of the last segments that hold anything.
fn evidence(files: &Files<'_>) -> Result<Evidence> {
    let segments = &files.directory.segments;
    let (mut found, first) = evidence_of(files, segments.iter())?;
    let rest = segments.get(first..).unwrap_or_default();
    found = found.and(evidence_of(files, rest.iter().rev())?.0);
    Ok(found)
}

/// The evidence of the first of `segments` whose store is not empty, and how many segments
/// that took.
fn evidence_of<'a>(
    files: &Files<'_>,
    segments: impl Iterator<Item = &'a SegmentNames>,
) -> Result<(Evidence, usize)> {
    let (mut found, mut looked, mut filled) = (Evidence::default(), 0, 0);
    for names in segments {
        if filled == EVIDENCE_SEGMENTS {
            break;
        }
        looked += 1;
        if !names.has(FileKind::Store) {
            continue;
        }
        let store = match files.store(names) {
            Ok(store) => store,
            Err(error) if hides_segment(&error) => continue,
            Err(error) => return Err(error),
        };
        if store.file_bytes > 0 {
            let index = files.index(names)?;
            found = found.and(codec::evidence(&store, index.as_ref(), names.base)?);
            filled += 1;
        }
    }
    Ok((found, looked))
}

/// Samples the first and the last segment that has a frame; `committed` leaves out those
/// whose index has no entry.
fn sample(files: &Files<'_>, committed: bool) -> Result<Votes> {
    let mut votes = Votes::default();
    let segments = &files.directory.segments;
    let first = sample_next(files, segments.iter(), committed, &mut votes)?;
    let rest = segments.get(first.unwrap_or(0) + 1..);
    if first.is_some() {
        let rest = rest.unwrap_or_default().iter().rev();
        sample_next(files, rest, committed, &mut votes)?;
    }
    Ok(votes)
}

/// Samples the first of `segments` that has an intact frame; returns its number.
fn sample_next<'a>(
    files: &Files<'_>,
    segments: impl Iterator<Item = &'a SegmentNames>,
    committed: bool,
    votes: &mut Votes,
) -> Result<Option<usize>> {
    for (number, names) in segments.enumerate() {
        let sampled = Sampler::open(files, names).and_then(|mut sampler| {
            if committed && sampler.is_uncommitted {
                return Ok(false);
            }
            sampler.sample(votes)
        });
        match sampled {
            Ok(true) => return Ok(Some(number)),
            Ok(false) | Err(Error::Unreadable { .. }) => {}
            Err(error) if hides_segment(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// One segment whose frames are sampled.
struct Sampler {
    base: Offset,
    store: Window,
    /// The entries, if any.
    index: Option<Index>,
    /// Number of entries, and number of those that name intact frames.
    entries: u64,
    whole: u64,
    /// Whether there is an index, and no entry in it.
    is_uncommitted: bool,
    /// Bytes of fields that may still be decoded.
    fuel: u64,
}

/// An intact frame.
struct Sample {
    end: Position,
    /// The offset in it, if it decodes.
    carried: Carried,
    /// Whether it is, byte for byte, what an encoder writes.
    canonical: bool,
    empty: bool,
}

/// The offset in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carried {
    /// None: it is not a record, or has offset 0.
    None,
    /// The one of its place.
    Own,
    /// Another one.
    Other,
}

impl Sample {
    fn carries(&self) -> bool {
        self.carried == Carried::Own
    }
}

impl Sampler {
    fn open(files: &Files<'_>, names: &SegmentNames) -> Result<Self> {
        let store = files.store(names)?;
        let mut sampler = Self {
            base: names.base,
            store: Window::new(store, LOOKUP_BYTES),
            index: None,
            entries: 0,
            whole: 0,
            is_uncommitted: false,
            fuel: DECODED_BYTES_MAX,
        };
        // Without an index the frames follow each other, as far as is known.
        if let Some(segment) = files.pair(names)?
            && let Ok(entries) = segment.bisect_entries(None)
        {
            if entries == 0 {
                sampler.is_uncommitted = true;
                return Ok(sampler);
            }
            sampler.index = Some(segment.entries(LOOKUP_BYTES));
            sampler.entries = entries;
            sampler.whole = segment.whole_entries(entries).unwrap_or(0);
        }
        Ok(sampler)
    }

    /// Samples the first and the last frames; returns whether there is any.
    fn sample(&mut self, votes: &mut Votes) -> Result<bool> {
        let mut any = false;
        let mut follows = Some(Position(0));
        let mut slot = 0;
        while slot < SAMPLES && (follows.is_some() || slot < self.entries) {
            // After the last entry there may be what no commit finished.
            if self.index.is_some() && slot >= self.entries {
                break;
            }
            follows = self.sample_slot(slot, follows, votes)?;
            any |= follows.is_some();
            slot += 1;
        }
        for slot in self.whole.saturating_sub(SAMPLES).max(slot)..self.whole {
            any |= self.sample_slot(slot, None, votes)?.is_some();
        }
        Ok(any)
    }

    /// Inspects the frame that `slot`'s entry names and at the one that follows the frame
    /// before, since either the entry or a length may be wrong. Gives the end of the
    /// better one, if any is complete.
    fn sample_slot(
        &mut self,
        slot: u64,
        follows: Option<Position>,
        votes: &mut Votes,
    ) -> Result<Option<Position>> {
        let Some(offset) = self.base.checked_add(slot) else {
            return Ok(None);
        };
        let named = self.named(slot);
        let mut best: Option<Sample> = None;
        for position in [named, follows.filter(|it| Some(*it) != named)] {
            let Some(position) = position else { continue };
            let sample = self.frame(offset, position)?;
            if best.as_ref().is_none_or(|best| !best.carries()) {
                // One that is empty says nothing.
                let weak = best.as_ref().is_none_or(|best| best.empty);
                best = sample.filter(|it| it.carries() || weak).or(best);
            }
        }
        let Some(best) = best else {
            // What the entry or a length says is wrong.
            votes.astray += u64::from(named.is_some());
            return Ok(None);
        };
        votes.astray += u64::from(best.carried == Carried::Other);
        if offset.0 > 0 {
            // Nothing speaks for a codec, nor do the zeros of bytes that got lost.
            votes.above += u64::from(!best.empty);
            votes.carry += u64::from(best.carries());
        } else {
            votes.zero = Some(best.canonical);
            votes.zero_empty = best.empty;
        }
        Ok(Some(best.end))
    }

    /// The position of the frame according to the entry of `slot`.
    fn named(&mut self, slot: u64) -> Option<Position> {
        if slot >= self.entries {
            return None;
        }
        let entry = self.index.as_mut()?.entry(slot).ok()?;
        (u64::from(entry.relative.0) == slot).then_some(entry.position)
    }

    /// Inspects the frame at `position`, if it is complete.
    fn frame(&mut self, offset: Offset, position: Position) -> Result<Option<Sample>> {
        let limit = self.store.file_bytes();
        if position.0.saturating_add(LENGTH_BYTES) > limit || self.fuel == 0 {
            return Ok(None);
        }
        let payload_bytes = self.store.length_at(position.0)?;
        let Some(end) = frame_end(position, payload_bytes, limit) else {
            return Ok(None);
        };
        let start = position.0 + LENGTH_BYTES;
        let (layout, decoded) = match layout_in(&mut self.store, start, payload_bytes) {
            Ok(layout) => {
                let value_bytes = layout.value.end - layout.value.start;
                (Some(layout), payload_bytes - value_bytes)
            }
            Err(LayoutError::Illegal { at, .. }) => (None, at),
            Err(LayoutError::Source(error)) => return Err(error),
        };
        self.fuel = self.fuel.saturating_sub(decoded);
        let canonical = offset.0 == 0
            && match usize::try_from(payload_bytes) {
                Ok(count) if payload_bytes <= PAYLOAD_IN_MEMORY_MAX => {
                    record::is_canonical_with_value(self.store.bytes(start, count)?)
                }
                // Too large to encode again for this; its fields are in order and fill
                // it.
                _ => layout
                    .as_ref()
                    .is_some_and(|layout| !layout.has_unknown && layout.value.end > 0),
            };
        Ok(Some(Sample {
            end,
            carried: match layout.map(|layout| layout.offset) {
                Some(carried) if carried == offset.0 => Carried::Own,
                Some(1..) => Carried::Other,
                _ => Carried::None,
            },
            canonical,
            empty: payload_bytes == 0,
        }))
    }
}
