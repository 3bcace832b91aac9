//! Compares two copies of a log: every record that is intact in both, up to the first
//! difference. Does not decide which copy is right.

use std::path::PathBuf;

use super::run::{Cursor, Frames, Run};
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;
use crate::log::record::{self, Codec};
use crate::log::units::Offset;
use crate::log::walk::PAYLOAD_IN_MEMORY_MAX;

/// Bytes that are compared at once.
const COMPARED_BYTES: u64 = 64 * 1024;

/// Bytes of a difference that are shown.
const SHOWN_BYTES: u64 = 16;

/// A record that two copies have and that differs. Units: bytes of the stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its offset.
    pub offset: Offset,
    /// Its place in either copy, and the first difference.
    pub sides: [Side; 2],
}

/// One copy's side of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The store.
    pub store: PathBuf,
    /// Position of the frame.
    pub position: u64,
    /// Number of bytes of the frame.
    pub bytes: u64,
    /// Position in the store of the first byte that differs.
    pub differs_at: u64,
    /// That byte and some after it, as far as the frame goes.
    pub shown: Vec<u8>,
}

/// Runs of two copies, compared with each other pair by pair.
#[derive(Debug, Default)]
pub struct Comparison {
    ours: Cursor,
    theirs: Cursor,
}

impl Comparison {
    /// The first record that both runs have and that differs. Pairs that come in the
    /// order of their offsets are compared in one pass over each run.
    ///
    /// # Errors
    ///
    /// Reading's.
    pub fn first_difference(
        &mut self,
        our: &Run,
        their: &Run,
        codec: Codec,
    ) -> Result<Option<Difference>> {
        let (from, to) = (our.first.max(their.first), our.next.min(their.next));
        if from >= to {
            return Ok(None);
        }
        let ours = self.ours.at(our, from)?;
        let theirs = self.theirs.at(their, from)?;
        for offset in from..to {
            let place = (ours.next_frame()?, theirs.next_frame()?);
            if let Some(sides) = compare(ours, theirs, place, codec)? {
                return Ok(Some(Difference {
                    offset: Offset(offset),
                    sides,
                }));
            }
        }
        Ok(None)
    }
}

/// The first record that both have and that differs. Each side's runs do not overlap.
///
/// # Errors
///
/// Reading's.
pub fn first_difference(ours: &[Run], theirs: &[Run], codec: Codec) -> Result<Option<Difference>> {
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    let (mut ours, mut theirs) = (ours.into_iter(), theirs.into_iter());
    let (mut our_run, mut their_run) = (ours.next(), theirs.next());
    let mut comparison = Comparison::default();
    while let (Some(our), Some(their)) = (our_run, their_run) {
        let found = comparison.first_difference(our, their, codec)?;
        if found.is_some() {
            return Ok(found);
        }
        if our.next <= their.next {
            our_run = ours.next();
        } else {
            their_run = theirs.next();
        }
    }
    Ok(None)
}

/// Whether there is any offset of which both have a record.
#[must_use]
pub fn have_common(ours: &[Run], theirs: &[Run]) -> bool {
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    while let (Some(our), Some(their)) = (ours.peek(), theirs.peek()) {
        if our.first.max(their.first) < our.next.min(their.next) {
            return true;
        }
        if our.next <= their.next {
            ours.next();
        } else {
            theirs.next();
        }
    }
    false
}

fn sorted(runs: &[Run]) -> Vec<&Run> {
    let mut runs: Vec<&Run> = runs.iter().collect();
    runs.sort_by_key(|run| run.first);
    runs
}

/// The sides of a record if they differ. The places are begin and end of its frames.
fn compare(
    ours: &mut Frames,
    theirs: &mut Frames,
    places: ((u64, u64), (u64, u64)),
    codec: Codec,
) -> Result<Option<[Side; 2]>> {
    let ((our_begin, our_end), (their_begin, their_end)) = places;
    let bytes = (our_end - our_begin).min(their_end - their_begin);
    let mut equal = 0;
    while equal < bytes {
        let count = (bytes - equal).min(COMPARED_BYTES);
        let size = usize::try_from(count).unwrap_or(0);
        let our = ours.window().bytes(our_begin + equal, size)?;
        let their = theirs.window().bytes(their_begin + equal, size)?;
        if let Some(at) = our.iter().zip(their).position(|(a, b)| a != b) {
            equal += at as u64;
            break;
        }
        equal += count;
    }
    if equal == bytes && our_end - our_begin == their_end - their_begin {
        return Ok(None);
    }
    if codec == Codec::Protobuf && says_the_same(ours, theirs, places)? {
        return Ok(None);
    }
    let side = |frames: &mut Frames, (begin, end): (u64, u64)| -> Result<Side> {
        let differs_at = begin + equal;
        let count = end.saturating_sub(differs_at).min(SHOWN_BYTES);
        let window = frames.window();
        Ok(Side {
            store: window.source().path().to_path_buf(),
            position: begin,
            bytes: end - begin,
            differs_at,
            shown: window
                .bytes(differs_at, usize::try_from(count).unwrap_or(0))?
                .to_vec(),
        })
    };
    Ok(Some([side(ours, places.0)?, side(theirs, places.1)?]))
}

/// Whether two payloads that differ are one record all the same: an encoder may put
/// fields in another order.
fn says_the_same(
    ours: &mut Frames,
    theirs: &mut Frames,
    places: ((u64, u64), (u64, u64)),
) -> Result<bool> {
    let decoded = |frames: &mut Frames, (begin, end): (u64, u64)| {
        let payload_bytes = end - begin - LENGTH_BYTES;
        if payload_bytes > PAYLOAD_IN_MEMORY_MAX {
            return Ok(None);
        }
        let count = usize::try_from(payload_bytes).unwrap_or(0);
        let payload = frames.window().bytes(begin + LENGTH_BYTES, count)?;
        Ok(record::decode(payload).ok())
    };
    let (our, their) = (decoded(ours, places.0)?, decoded(theirs, places.1)?);
    Ok(our.is_some() && our == their)
}
