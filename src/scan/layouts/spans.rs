//! Frames whose size follows from a number in them in another way than in ours, where
//! entries of ours name them: a length that counts itself, a header, frames padded to a
//! multiple of their alignment.

use std::collections::BTreeSet;
use std::fmt;

use super::entries;
use super::frames::{OURS, Store};
use super::{Number, Order, PROOF};
use crate::log::error::Result;
use crate::log::window::Window;

/// The number may begin up to here. Units: bytes.
const HEADER_BYTES_MAX: u64 = 16;

/// Widths of the number. Units: bytes.
const WIDTHS: [u64; 3] = [8, 4, 2];

/// Frames begin at multiples of this. Units: bytes.
const ALIGNMENTS: [u64; 3] = [1, 8, 4];

/// Fewer frames prove nothing: their sizes follow from many a number.
const FRAMES_MIN: usize = 4;

/// How the size of a frame follows from a number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanLayout {
    /// Where the number begins in a frame. Units: bytes.
    pub at: u64,
    /// The number.
    pub number: Number,
    /// What is added to it. Units: bytes.
    pub more_bytes: i64,
    /// Frames are padded to a multiple of this; 1 where they are not. Units: bytes.
    pub alignment: u64,
}

impl fmt::Display for SpanLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, number, .. } = self;
        let (bytes, order) = (number.bytes, number.order);
        write!(
            f,
            "frames whose size is the {order} number of {bytes} bytes at byte {at}"
        )?;
        match self.more_bytes {
            0 => {}
            more @ 1.. => write!(f, ", plus {more} bytes")?,
            less => write!(f, ", less {} bytes", less.unsigned_abs())?,
        }
        if self.alignment > 1 {
            write!(f, ", padded to a multiple of {}", self.alignment)?;
        }
        Ok(())
    }
}

/// The layout of frames that entries of ours name, if three or more of them have another
/// size than their length says, and every size follows from a number in its frame.
pub(super) fn other(index: &mut Option<Window>, store: &mut Store) -> Result<Option<SpanLayout>> {
    let spans = entries::spans(index, store.file_bytes())?;
    let sizes: BTreeSet<u64> = spans.iter().map(|(_, bytes)| *bytes).collect();
    if spans.len() < FRAMES_MIN || sizes.len() < 2 {
        return Ok(None);
    }
    let mut wrong = 0;
    for (start, bytes) in &spans {
        let end = store.our_frame_end(*start)?;
        // Zeros are what was never written.
        let is_there = store.number(*start, OURS.length)? > 0;
        wrong += usize::from(is_there && end != Some(start + bytes));
    }
    if wrong < PROOF {
        return Ok(None);
    }
    // Frames of ours that were moved follow each other still.
    let may_be_moved = store.resumed()? * 2 >= spans.len();
    for bytes in WIDTHS {
        for order in Order::BOTH {
            for at in 0..=HEADER_BYTES_MAX {
                let number = Number { bytes, order };
                let mut numbers = Vec::with_capacity(spans.len());
                for (start, bytes) in &spans {
                    if at + number.bytes > *bytes {
                        break;
                    }
                    numbers.push(store.number(start + at, number)?);
                }
                let is_in_place = at == 0 && number == OURS.length;
                let found = rule(&spans, &numbers, (at, number));
                if found.is_some() && (is_in_place || !may_be_moved) {
                    return Ok(found);
                }
            }
        }
    }
    Ok(None)
}

/// The rule by which the sizes of `spans` follow from `numbers`, one for each.
fn rule(spans: &[(u64, u64)], numbers: &[u64], (at, number): (u64, Number)) -> Option<SpanLayout> {
    if numbers.len() < spans.len() || numbers.iter().all(|it| Some(it) == numbers.first()) {
        return None;
    }
    let more = spans.iter().zip(numbers).map(|((_, bytes), number)| {
        let bytes = i64::try_from(*bytes).ok()?;
        bytes.checked_sub_unsigned(*number)
    });
    let more: Vec<i64> = more.collect::<Option<_>>()?;
    let (least, most) = (*more.iter().min()?, *more.iter().max()?);
    let is_aligned = |alignment: u64| spans.iter().all(|(start, _)| start % alignment == 0);
    let fits = |alignment: &u64| most.abs_diff(least) < *alignment && is_aligned(*alignment);
    let alignment = ALIGNMENTS.into_iter().find(fits)?;
    (least.unsigned_abs() <= 2 * HEADER_BYTES_MAX).then_some(SpanLayout {
        at,
        number,
        more_bytes: least,
        alignment,
    })
}
