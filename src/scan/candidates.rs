//! Every place of a store at which an intact frame may begin, and where its chain leads:
//! found in one pass from the end of the store to its beginning, with a table of the
//! results after it.

use super::bytes::Bytes;
use super::cost::TORN_BYTES;
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;
use crate::log::record::Codec;

/// Places that are kept; a store with more of them is not divided into frames.
pub const CANDIDATES_MAX: usize = 16 * 1024 * 1024;

/// Chains that are followed to the store's end.
const CHAINS_MAX: usize = 16;

/// Bytes that are searched at once.
const BLOCK_BYTES: u64 = 64 * 1024;

/// Positions take the lower 48 bits.
const POSITION_BITS: u32 = 48;
const ENDS: u64 = 1 << 63;
const LINKS_SHIFT: u32 = 61;
const MINE: u64 = 1 << 60;

/// A place at which an intact frame may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate(u64);

impl Candidate {
    pub fn position(self) -> u64 {
        self.0 & ((1 << POSITION_BITS) - 1)
    }

    /// Number of frames in its chain that are not empty: 0, 1, or 2 and more.
    pub fn links(self) -> u64 {
        (self.0 >> LINKS_SHIFT) & 3
    }

    /// Whether its chain reaches the store's end: exactly, in zeros, or in a torn frame.
    pub fn ends(self) -> bool {
        self.0 & ENDS != 0
    }

    /// Whether its record has an offset of this segment.
    pub fn mine(self) -> bool {
        self.0 & MINE != 0
    }

    /// Whether a way through the store may begin here without anything leading to it.
    pub fn is_start(self, codec: Codec) -> bool {
        match codec {
            Codec::Raw => self.links() >= 2 || (self.links() == 1 && self.ends()),
            Codec::Protobuf => self.mine(),
        }
    }
}

/// All candidates of a store, in descending order of position.
#[derive(Debug, Default)]
pub(super) struct Candidates(Vec<Candidate>);

impl Candidates {
    pub fn ascending(&self) -> impl Iterator<Item = Candidate> {
        self.0.iter().rev().copied()
    }

    pub fn find(&self, position: u64) -> Option<Candidate> {
        // Lookups while the table grows are near its end.
        let near = self.0.iter().rev().take(8);
        if let Some(found) = near.copied().find(|it| it.position() >= position) {
            if found.position() == position {
                return Some(found);
            }
            if self.0.last().is_some_and(|last| last.position() > position) {
                return None;
            }
        }
        let at = self
            .0
            .binary_search_by(|it| position.cmp(&it.position()))
            .ok()?;
        self.0.get(at).copied()
    }

    /// Whether certain frames begin inside `start..end`: they lead to the store's end, or
    /// one to the other, or have an offset of this segment.
    pub fn any_frames(&self, start: u64, end: u64) -> bool {
        let from = self.0.partition_point(|it| it.position() >= end);
        let inside = self.0.get(from..).unwrap_or_default().iter();
        inside
            .take_while(|it| it.position() >= start)
            .any(|it| it.links() >= 2 || (it.links() == 1 && (it.ends() || it.mine())))
    }

    /// Whether an intact frame with a payload may begin at `start` or later.
    pub fn any_filled(&self, start: u64) -> bool {
        let mut behind = self.0.iter().take_while(|it| it.position() >= start);
        behind.any(|it| it.links() >= 1)
    }

    /// Whether two frames or more lead from a place after `start` to the very end of the
    /// store's bytes: those of a value that was interrupted do not.
    pub fn any_chain_to_the_end(&self, store: &mut Bytes, start: u64) -> Result<bool> {
        let behind = self.ascending().filter(|it| it.position() >= start);
        let chains = behind.filter(|it| it.links() >= 2 && it.ends());
        for first in chains.take(CHAINS_MAX) {
            let mut at = first.position();
            while let Some(end) = store.end(at)?.filter(|_| at < store.zeros) {
                at = end;
            }
            if at >= store.zeros {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The facts about the segment that the search needs.
pub(super) struct Search<'a> {
    /// Its start.
    pub from: u64,
    pub codec: Codec,
    /// Offsets of this segment. (A record has one of them.)
    pub offsets: std::ops::Range<u64>,
    /// Positions that entries name, in ascending order.
    pub named: &'a [(u64, u64)],
}

/// The content of a place, before the content after it is known.
struct Place {
    position: u64,
    end: u64,
    mine: bool,
}

/// Finds the candidates; `None` if there are too many.
pub(super) fn find(store: &mut Bytes, search: &Search<'_>) -> Result<Option<Candidates>> {
    let mut table = Candidates::default();
    let mut places = Vec::new();
    let last = search.named.last().map_or(0, |(position, _)| position + 1);
    // Zeros at the end are frames only where entries name them.
    let mut stop = store.zeros.max(last.min(store.size));
    while stop > search.from {
        let start = stop.saturating_sub(BLOCK_BYTES).max(search.from);
        places.clear();
        collect(store, search, start..stop, &mut places)?;
        for place in places.iter().rev() {
            if let Some(candidate) = judge(store, search, &table, place)? {
                if table.0.len() >= CANDIDATES_MAX {
                    return Ok(None);
                }
                table.0.push(candidate);
            }
        }
        let empty = |it: &Place| it.end == it.position + LENGTH_BYTES;
        let all_zero = places.len() as u64 == stop - start && places.iter().all(empty);
        stop = start;
        if all_zero {
            // Of a long row of zeros only its end leads to anything.
            stop = stop.min(store.nonzero_end(stop)?.saturating_add(LENGTH_BYTES));
        }
    }
    Ok(Some(table))
}

/// Every place in a block whose eight bytes are a possible length.
fn collect(
    store: &mut Bytes,
    search: &Search<'_>,
    range: std::ops::Range<u64>,
    places: &mut Vec<Place>,
) -> Result<()> {
    let size = store.size;
    let count = (range.end - range.start + LENGTH_BYTES - 1).min(size - range.start);
    let count = usize::try_from(count).unwrap_or(0);
    let Some(block) = store.block(range.start, count)? else {
        if range.end - range.start > 512 {
            // The disk fails in a part of it.
            let middle = range.start + (range.end - range.start) / 2;
            collect(store, search, range.start..middle, places)?;
            return collect(store, search, middle..range.end, places);
        }
        return Ok(());
    };
    let mut at = 0;
    while let Some(found) = memchr::memchr(0, block.get(at..).unwrap_or_default()) {
        at += found;
        let Some(bytes) = block.get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            break;
        };
        let position = range.start + at as u64;
        let length = crate::log::format::decode_length(*bytes);
        if position < range.end && length <= size - position - LENGTH_BYTES {
            places.push(Place {
                position,
                end: position + LENGTH_BYTES + length,
                mine: false,
            });
        }
        at += 1;
    }
    if search.codec == Codec::Protobuf {
        for place in places.iter_mut().filter(|it| range.contains(&it.position)) {
            let start = place.position + LENGTH_BYTES;
            let named = search
                .named
                .binary_search_by_key(&place.position, |it| it.0);
            let empty = place.end == start && place.position > 0 && named.is_err();
            let offset = store.canonical(start, place.end)?.filter(|_| !empty);
            place.mine = offset.is_some_and(|offset| search.offsets.contains(&offset));
        }
    }
    Ok(())
}

/// Where the chain of a place leads, by the results after it.
fn judge(
    store: &mut Bytes,
    search: &Search<'_>,
    table: &Candidates,
    place: &Place,
) -> Result<Option<Candidate>> {
    let named = search
        .named
        .binary_search_by_key(&place.position, |it| it.0);
    if place.position >= store.zeros && named.is_err() {
        return Ok(None);
    }
    let next = table.find(place.end);
    let filled = u64::from(place.end > place.position + LENGTH_BYTES);
    let links = next.map_or(0, Candidate::links) + filled;
    let ends = match next {
        Some(next) => next.ends(),
        None => place.end >= store.zeros || may_be_torn(store, place.end)?,
    };
    let mut bits = place.position | (links.min(2) << LINKS_SHIFT);
    if ends {
        bits |= ENDS;
    }
    if place.mine {
        bits |= MINE;
    }
    Ok(Some(Candidate(bits)))
}

/// Whether the bytes from `position` to the store's end may be a frame that an
/// interrupted append left, whatever the segment's other frames are.
pub(super) fn may_be_torn(store: &mut Bytes, position: u64) -> Result<bool> {
    let left = store.size - position;
    if left < LENGTH_BYTES {
        return Ok(position >= store.zeros);
    }
    // Most places are far from the end: nothing is read for them.
    if left >= TORN_BYTES {
        return Ok(false);
    }
    let Some(length) = store.length(position)? else {
        return Ok(false);
    };
    let claimed = length.saturating_add(LENGTH_BYTES);
    Ok(length > 0 && claimed > left && claimed <= TORN_BYTES)
}
