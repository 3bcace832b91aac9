//! Which codec a log has, which is written down nowhere: a few whole frames of its
//! first and of its last segment show it.

use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::format::{FileKind, LENGTH_BYTES, frame_end};
use super::record::{self, Codec, LayoutError};
use super::segment::{Segment, is_absent};
use super::units::{Offset, Position};
use super::walk::{PAYLOAD_IN_MEMORY_MAX, layout_in};
use super::window::{LOOKUP_BYTES, ReadFile, Window};

/// Frames that are looked at, from each end of a segment.
const SAMPLES: u64 = 8;

/// What the samples showed.
#[derive(Debug, Default, Clone, Copy)]
struct Votes {
    /// Samples above offset 0.
    above: u64,
    /// Of these, the ones that decode and carry their own offset.
    carry: u64,
    /// Whether record 0 is protobuf by its bytes; `None` without a record 0.
    zero: Option<bool>,
    /// Whether record 0 has a payload at all.
    zero_empty: bool,
}

impl Votes {
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
    let mut votes = Votes::default();
    let first = sample_next(directory, directory.segments.iter(), &mut votes)?;
    let rest = directory.segments.get(first.unwrap_or(0) + 1..);
    if first.is_some() {
        sample_next(directory, rest.unwrap_or_default().iter().rev(), &mut votes)?;
    }
    Ok(votes.codec())
}

/// Samples the first of `segments` that has a whole frame; says which one it was.
fn sample_next<'a>(
    directory: &Directory,
    segments: impl Iterator<Item = &'a SegmentNames>,
    votes: &mut Votes,
) -> Result<Option<usize>> {
    for (number, names) in segments.enumerate() {
        match sample_segment(directory, names, votes) {
            Ok(true) => return Ok(Some(number)),
            Ok(false) | Err(Error::Unreadable { .. }) => {}
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn sample_segment(directory: &Directory, names: &SegmentNames, votes: &mut Votes) -> Result<bool> {
    let store = ReadFile::open(&directory.file(names, FileKind::Store))?;
    let mut window = Window::new(store, LOOKUP_BYTES);
    let mut position = Position(0);
    let mut slot = 0;
    while slot < SAMPLES {
        match sample_frame(&mut window, names.base, slot, position, votes)? {
            Some(end) => position = end,
            None => break,
        }
        slot += 1;
    }
    let from_front = slot;
    if slot == SAMPLES
        && let Ok(segment) = Segment::open(directory, names)
    {
        let whole = segment.whole_entries(segment.bisect_entries()?)?;
        let mut index = segment.entries(LOOKUP_BYTES);
        for slot in whole.saturating_sub(SAMPLES).max(from_front)..whole {
            let entry = index.entry(slot)?;
            sample_frame(&mut window, names.base, slot, entry.position, votes)?;
        }
    }
    Ok(from_front > 0)
}

/// Looks at one frame, if it is whole; gives its end.
fn sample_frame(
    store: &mut Window,
    base: Offset,
    slot: u64,
    position: Position,
    votes: &mut Votes,
) -> Result<Option<Position>> {
    let limit = store.file_bytes();
    if position.0.saturating_add(LENGTH_BYTES) > limit {
        return Ok(None);
    }
    let payload_bytes = store.length_at(position.0)?;
    let Some(end) = frame_end(position, payload_bytes, limit) else {
        return Ok(None);
    };
    let start = position.0 + LENGTH_BYTES;
    let Some(offset) = base.checked_add(slot) else {
        return Ok(None);
    };
    let layout = match layout_in(store, start, payload_bytes) {
        Ok(layout) => Some(layout),
        Err(LayoutError::Illegal { .. }) => None,
        Err(LayoutError::Source(error)) => return Err(error),
    };
    if offset.0 > 0 {
        votes.above += 1;
        if layout.is_some_and(|layout| layout.offset == offset.0) {
            votes.carry += 1;
        }
        return Ok(Some(end));
    }
    votes.zero_empty = payload_bytes == 0;
    let canonical = match usize::try_from(payload_bytes) {
        Ok(count) if payload_bytes <= PAYLOAD_IN_MEMORY_MAX => {
            record::is_canonical_with_value(store.bytes(start, count)?)
        }
        // Too large to encode anew for this; its fields are in order and fill it.
        _ => layout.is_some_and(|layout| !layout.has_unknown && layout.value.end > 0),
    };
    votes.zero = Some(canonical);
    Ok(Some(end))
}
