//! The frames of the cheapest path, and what becomes of each.

use super::bytes::Bytes;
use super::path::{Kind, Piece, Segment};
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;

/// Facts about a frame besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// Nothing is wrong with it.
    #[default]
    Intact,
    /// Its payload is not a record, or has another offset than its place.
    Payload,
    /// Its length is wrong; where it ends is known from elsewhere.
    Length,
    /// Eight zero bytes where a record was.
    Zeros,
    /// A part of a damaged frame's value.
    Inside,
    /// An append that the service refused: proven.
    Refused,
    /// A record under an offset that a later one has too.
    Repeated,
    /// A record of another history under an offset that is taken.
    Second,
    /// Its offset is unknown.
    Unnumbered,
}

/// A frame. Units: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub start: u64,
    pub end: u64,
    /// Frames of one group follow each other without a gap.
    pub group: u32,
    /// Its number, counted from the segment's base.
    pub slot: Option<u64>,
    /// The offset in its record.
    pub carried: Option<u64>,
    /// Whether an entry names it, and nothing contradicts that.
    pub named: bool,
    pub state: State,
}

impl Frame {
    pub fn is_empty(&self) -> bool {
        self.end - self.start == 8
    }

    /// Whether its value can be read at its offset.
    pub fn is_readable(&self) -> bool {
        self.slot.is_some() && self.state == State::Intact
    }
}

/// Why a person decides what becomes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// Two histories claim the same offsets.
    TwoHistories,
    /// Entries disagree about which frame has which offset.
    EntriesDisagree,
    /// Intact frames without an offset.
    Unnumbered,
    /// More empty records in a row than chance explains, that no entry names.
    EmptyRow,
    /// Zeros that may have been a record.
    ZerosOrRecord,
    /// Bytes at the end that hold intact frames which lead to the end.
    HoldsFrames,
    /// Bytes at the end that are more than an interrupted append leaves.
    LongRemainder,
    /// A frame at the end parts of which may never have arrived.
    MayBeUnwritten,
    /// The index names records, and the store is empty.
    StoreEmpty,
}

impl Doubt {
    /// Whether the decision is about bytes after the last record.
    #[must_use]
    pub fn is_about_the_tail(&self) -> bool {
        matches!(
            self,
            Self::Unnumbered
                | Self::EmptyRow
                | Self::ZerosOrRecord
                | Self::HoldsFrames
                | Self::LongRemainder
                | Self::MayBeUnwritten
        )
    }
}

/// The frames of a path, with the group that each is in: one begins after each gap, and at
/// each of `breaks`, which are in ascending order.
pub(super) fn of_path(path: &[Piece], breaks: &[u64]) -> Vec<Frame> {
    let mut group = 0;
    let mut frames = Vec::new();
    for piece in path {
        if piece.kind != Kind::Frame {
            group += 1;
            continue;
        }
        if breaks.binary_search(&piece.start).is_ok() {
            group += 1;
        }
        frames.push(Frame {
            start: piece.start,
            end: piece.end,
            group,
            slot: None,
            carried: None,
            named: false,
            state: State::Intact,
        });
    }
    frames
}

/// The path with a gap instead of each row of empty frames that cannot all be records: no
/// entry names one of them, and an entry after them counts fewer records.
pub(super) fn without_lost_zeros(segment: &Segment, path: Vec<Piece>) -> Vec<Piece> {
    let mut kept: Vec<Piece> = Vec::with_capacity(path.len());
    // The slot of the next frame, and the lowest that an entry can still give.
    let (mut slot, mut least) = (segment.slot, segment.slot);
    // The longest row since the last frame that is named: where it begins, how many.
    let (mut row, mut longest) = ((0, 0), (0, 0));
    for piece in path {
        if piece.kind != Kind::Frame {
            // The following frames are numbered on their own.
            kept.push(piece);
            (slot, longest) = (u64::MAX, (0, 0));
            continue;
        }
        let named = segment.slots_at(piece.start).find(|it| *it >= least);
        if let Some(named) = named {
            let more = slot.saturating_sub(named);
            if slot < u64::MAX && more > 0 && longest.1 as u64 >= more {
                let (from, count) = longest;
                let start = kept.get(from).map_or(0, |it| it.start);
                let end = kept.get(from + count - 1).map_or(start, |it| it.end);
                let kind = Kind::Gap;
                kept.splice(from..from + count, [Piece { start, end, kind }]);
            }
            (slot, least) = (named, named + 1);
            longest = (0, 0);
        }
        if named.is_some() || piece.end > piece.start + LENGTH_BYTES {
            row = (kept.len() + 1, 0);
        } else {
            row.1 += 1;
            if row.1 > longest.1 {
                longest = row;
            }
        }
        kept.push(piece);
        slot = slot.saturating_add(1);
    }
    kept
}

/// Whether the frame at `position` is lost completely or in part: the store ends there, or in a
/// frame that ends before.
pub(super) fn is_lost(store: &mut Bytes, path: &[Piece], position: u64) -> Result<bool> {
    let last = path.last().filter(|it| it.end == store.size);
    let torn = last.filter(|it| matches!(it.kind, Kind::Torn | Kind::Gap));
    let start = torn.map(|it| it.start);
    if position <= store.size {
        return Ok(position == store.size || start == Some(position));
    }
    let Some(start) = start else {
        return Ok(false);
    };
    let end = store
        .length(start)?
        .map(|length| (start + LENGTH_BYTES).saturating_add(length));
    Ok(end.is_none_or(|end| end <= position))
}

/// The start of the gap that ends at `end`.
pub(super) fn gap_before(path: &[Piece], end: u64) -> Option<u64> {
    let at = path.partition_point(|piece| piece.end < end);
    let piece = path.get(at)?;
    (piece.kind == Kind::Gap && piece.end == end).then_some(piece.start)
}

/// Whether a gap begins at `start`.
pub(super) fn begins_gap(path: &[Piece], start: u64) -> bool {
    let at = path.partition_point(|piece| piece.start < start);
    path.get(at)
        .is_some_and(|piece| piece.kind == Kind::Gap && piece.start == start)
}
