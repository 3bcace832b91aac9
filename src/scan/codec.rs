//! The codec of a segment, by the same evidence as its account: frames with an offset
//! that their place, a neighbor or an entry confirms.

use super::account::Input;
use super::bytes::Bytes;
use super::evidence::explore;
use super::path::{Kind, Piece};
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;
use crate::log::index::Index;
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::log::window::{LOOKUP_BYTES, ReadFile};

/// Bytes from the beginning of each file that are asked.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Frames of a segment that speak for a codec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Frames with a confirmed offset.
    pub confirmed: u64,
    /// Of these, frames with another offset than 0.
    pub numbered: u64,
    /// Frames that hold a value, if the log is raw.
    pub frames: u64,
    /// Stretches that hold no frame, if the log is raw.
    pub gaps: u64,
    /// Whether any entry names a place in the store.
    pub is_promised: bool,
    /// The segments that were asked.
    pub segments: u64,
}

impl Evidence {
    /// The evidence of several segments.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        // Frames without entries, which anything may have left, say nothing against others.
        let is_promised = self.is_promised || other.is_promised;
        let frames = |it: Self| {
            let counts = it.is_promised || !is_promised;
            if counts {
                it.frames
            } else {
                it.confirmed.min(it.frames)
            }
        };
        Self {
            confirmed: self.confirmed + other.confirmed,
            numbered: self.numbered + other.numbered,
            frames: frames(self) + frames(other),
            gaps: self.gaps + other.gaps,
            is_promised,
            segments: self.segments + other.segments,
        }
    }

    /// The codec for this evidence: protobuf if most frames have a confirmed offset.
    /// After damage, which hides them, and among several segments, of which one may be in
    /// another's place, a quarter is enough.
    #[must_use]
    pub fn codec(self) -> Option<Codec> {
        let weight = if self.gaps > 0 || self.segments > 1 {
            4
        } else {
            2
        };
        // A record without an offset is little evidence.
        let frames = self.frames + u64::from(self.numbered == 0);
        if self.confirmed > 0 && self.confirmed * weight >= frames {
            return Some(Codec::Protobuf);
        }
        (self.frames > 0).then_some(Codec::Raw)
    }
}

/// The evidence of one segment, by the beginning of its files.
///
/// # Errors
///
/// Reading's.
pub fn evidence(store: &ReadFile, index: Option<&ReadFile>, base: Offset) -> Result<Evidence> {
    let beginning = |file: &ReadFile| {
        let mut file = file.clone();
        file.file_bytes = file.file_bytes.min(BYTES_MAX);
        file
    };
    let (store, index) = (beginning(store), index.map(beginning));
    let mut found = Evidence {
        segments: 1,
        ..Evidence::default()
    };
    let mut raw: Vec<Piece> = Vec::new();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let input = Input {
            store: &store,
            index: index.as_ref(),
            base,
            codec,
            next_base: None,
            sound_entries: 0,
            trust_tail: false,
        };
        let mut bytes = Bytes::new(&store)?;
        let mut entries = Index::of(input.index_file(), LOOKUP_BYTES);
        let Some(explored) = explore(&input, &mut bytes, &mut entries)? else {
            continue;
        };
        // The bytes of an unfinished batch are unknown.
        let end = explored.unfinished_batch(&mut bytes)?.unwrap_or(bytes.size);
        let path = explored.path.iter().filter(|piece| piece.start < end);
        if codec == Codec::Raw {
            found.is_promised = !explored.segment.named.is_empty();
            // Bytes after the last entry were not acknowledged.
            let last = explored.segment.named.last().map_or(u64::MAX, |it| it.0);
            let filled = path.clone().filter(|piece| is_filled(piece));
            found.frames = filled.filter(|piece| piece.start <= last).count() as u64;
            found.gaps = path.filter(|piece| is_gap(piece)).count() as u64;
            raw = explored.path;
            continue;
        }
        let (mut gaps, mut is_anchored) = (false, false);
        let mut carried = Vec::new();
        // Record 0 has no payload if its value is empty.
        let mut empty = 0;
        for piece in path {
            empty += u64::from(piece.start == 0 && piece.end == LENGTH_BYTES && base.0 == 0);
            gaps |= is_gap(piece);
            // A record may have a wrong length; a value may hold a log of its own.
            let start = piece.start + LENGTH_BYTES;
            let holds = matches!(piece.kind, Kind::Frame | Kind::Gap) && piece.end > start;
            if holds && !is_inside(piece, &raw) {
                // Many byte sequences are a record in some encoding; one with an offset
                // is rare.
                let offset = match bytes.canonical(start, piece.end)? {
                    None if piece.kind == Kind::Frame => {
                        let offset = explored.segment.carried(&mut bytes, piece.start)?;
                        offset.filter(|offset| *offset > 0)
                    }
                    offset => offset,
                };
                if offset.is_some() || piece.kind == Kind::Frame {
                    carried.push((piece.start, offset, gaps));
                }
            }
        }
        let is_padding = explored.segment.padded && explored.segment.named == [(0, 0)];
        for (at, &(start, offset, behind_gap)) in carried.iter().enumerate() {
            let Some(offset) = offset else { continue };
            let neighbour = |at: Option<usize>| {
                let neighbour = at.and_then(|at| carried.get(at));
                neighbour.and_then(|it| it.1)
            };
            let before = neighbour(at.checked_sub(1));
            let after = neighbour(Some(at + 1));
            let follows = |a: Option<u64>, b: Option<u64>| match (a, b) {
                (Some(a), Some(b)) => a == b || a.checked_add(1) == Some(b),
                _ => false,
            };
            // A service that was started on padding takes it for the entry of the first record.
            let behind_padding = start == 0 && is_padding && base.0.checked_add(1) == Some(offset);
            let in_place = base.checked_add(empty + at as u64) == Some(Offset(offset))
                || offset == base.0
                || behind_padding;
            // Numbers of an application may ascend too: if entries show which offsets
            // frames have, one of them must have its own.
            let is_named = explored.segment.is_named(start);
            let named = explored.segment.names(&mut bytes, start)?;
            is_anchored |= named && offset > 0;
            let by_neighbours = behind_gap || !is_named || is_anchored || behind_padding;
            if named
                || (by_neighbours
                    && (in_place || follows(before, Some(offset)) || follows(Some(offset), after)))
            {
                found.confirmed += 1;
                found.numbered += u64::from(offset > 0);
            }
        }
    }
    Ok(found)
}

fn is_filled(piece: &Piece) -> bool {
    piece.kind == Kind::Frame && piece.end > piece.start + LENGTH_BYTES
}

fn is_gap(piece: &Piece) -> bool {
    matches!(piece.kind, Kind::Gap | Kind::Torn)
}

/// Whether a frame is a part of the payload of one of the raw frames of `path`, complete or
/// interrupted. One that leads to no other frame may be none itself.
fn is_inside(frame: &Piece, path: &[Piece]) -> bool {
    let at = path.partition_point(|piece| piece.end <= frame.start);
    let leads_on = path.get(at + 1).is_none_or(|next| next.kind != Kind::Gap);
    path.get(at).is_some_and(|raw| {
        let holds = matches!(raw.kind, Kind::Frame | Kind::Torn) && leads_on;
        holds && raw.start + LENGTH_BYTES <= frame.start && frame.end <= raw.end
    })
}
