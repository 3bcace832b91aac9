//! Which codec a segment has, by the same evidence as its account: frames that carry an
//! offset which their place, a neighbour or an entry confirms.

use super::account::Input;
use super::bytes::Bytes;
use super::evidence::explore;
use super::path::Kind;
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
    /// Frames that carry a confirmed offset.
    pub confirmed: u64,
    /// Of these, frames that carry another offset than 0.
    pub numbered: u64,
    /// Frames that hold a value, if the log is raw.
    pub frames: u64,
}

impl Evidence {
    /// The evidence of several segments.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            confirmed: self.confirmed + other.confirmed,
            numbered: self.numbered + other.numbered,
            frames: self.frames + other.frames,
        }
    }

    /// The codec that it speaks for: protobuf where at least half of the frames carry a
    /// confirmed offset, of which each counts double, for damage hides them.
    #[must_use]
    pub fn codec(self) -> Option<Codec> {
        if self.confirmed > 0 && self.confirmed * 4 >= self.frames {
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
    let mut found = Evidence::default();
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
        // Nobody knows what the bytes of an unfinished batch are.
        let end = explored.unfinished_batch(&mut bytes)?.unwrap_or(bytes.size);
        let frames = explored
            .path
            .iter()
            .filter(|piece| piece.kind == Kind::Frame && piece.start < end);
        let filled = frames.filter(|piece| piece.end > piece.start + LENGTH_BYTES);
        if codec == Codec::Raw {
            found.frames = filled.count() as u64;
            continue;
        }
        let mut carried = Vec::new();
        for piece in filled {
            let offset = bytes.canonical(piece.start + LENGTH_BYTES, piece.end)?;
            carried.push((piece.start, offset));
        }
        for (at, (start, offset)) in carried.iter().enumerate() {
            let Some(offset) = *offset else { continue };
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
            let in_place = base.checked_add(at as u64) == Some(Offset(offset)) || offset == base.0;
            if in_place
                || follows(before, Some(offset))
                || follows(Some(offset), after)
                || explored.segment.names(&mut bytes, *start)?
            {
                found.confirmed += 1;
                found.numbered += u64::from(offset > 0);
            }
        }
    }
    Ok(found)
}
