//! The inputs of an account: the sections of the index, the cheapest path through the
//! store, and its frames with their numbers.

use std::ops::Range;

use super::account::Input;
use super::bytes::Bytes;
use super::candidates::{self, Search};
use super::frames::{self, Doubt, Frame};
use super::number_protobuf::{self, IndexState};
use super::path::{self, Piece, Segment};
use super::sections::{self, Sections};
use super::{cost, number_raw};
use crate::log::error::Result;
use crate::log::format::{ENTRY_BYTES, LENGTH_BYTES};
use crate::log::index::Index;
use crate::log::record::Codec;

/// Number of entries before the first fault that are searched for the largest frame.
const ENTRIES_BEFORE: u64 = 64;

/// Missing records whose entries are written however few bytes the store has (not counting
/// holes).
const MISSING_MAX: u64 = 1 << 20;

/// The inputs of the account.
pub(super) struct Evidence {
    pub segment: Segment,
    pub sections: Sections,
    pub index: IndexState,
    pub path: Vec<Piece>,
    pub frames: Vec<Frame>,
    pub doubts: Vec<Doubt>,
    pub table: candidates::Candidates,
}

/// The cheapest path through a store, and the inputs of its search.
pub(super) struct Explored {
    pub segment: Segment,
    pub sections: Sections,
    pub path: Vec<Piece>,
    table: candidates::Candidates,
}

impl Explored {
    /// The start of an unfinished batch: a mark after which no entry names a place. Empty
    /// records may be before it.
    pub fn unfinished_batch(&self, store: &mut Bytes) -> Result<Option<u64>> {
        let last = self.segment.named.last().map(|it| it.0);
        for piece in &self.path {
            if matches!(piece.kind, path::Kind::Gap | path::Kind::Torn) {
                let mark = store.first_nonzero(piece.start)?;
                let unnamed = last.is_none_or(|last| last < mark);
                let behind_records = (mark - piece.start).is_multiple_of(LENGTH_BYTES);
                if unnamed && behind_records && mark < piece.end && store.is_marked(mark)? {
                    return Ok(Some(mark));
                }
            }
        }
        Ok(None)
    }
}

/// Divides the index and finds the cheapest way through the store; `None` if there is more
/// than is judged at once.
pub(super) fn explore(
    input: &Input<'_>,
    store: &mut Bytes,
    index: &mut Index,
) -> Result<Option<Explored>> {
    let first = first_place(input, store, index)?;
    explore_from(first, input, store, index)
}

/// The same from a slot and its position on, or from the start if the entry there is wrong.
fn explore_from(
    first: (u64, u64),
    input: &Input<'_>,
    store: &mut Bytes,
    index: &mut Index,
) -> Result<Option<Explored>> {
    let (slot, from) = first;
    let Some(mut sections) = sections::divide(index, store, slot * ENTRY_BYTES)? else {
        return Ok(None);
    };
    if slot > 0 && sections.restarts_before(from) {
        // The frames of those entries were lost: a later service wrote others in their place.
        return explore_from((0, 0), input, store, index);
    }
    let mut named = sections.named(from..store.size);
    if input.codec == Codec::Raw && sections.may_be_displaced(store)? {
        // Where frames are is found out by the entries alone that are right.
        let mut leading = sections.leading(store)?;
        // After the last one a frame may be torn.
        let last = named.last().filter(|last| leading.last() != Some(last));
        leading.extend(last);
        let Some(mut bare) = search(input, store, index, first, (sections, leading, false))? else {
            return Ok(None);
        };
        bare.segment.named = named;
        let placed = bare.sections.put_in_place(&bare.segment, &bare.path);
        sections = placed.unwrap_or(bare.sections);
        let is_elsewhere = |claim: (u64, u64)| claim.0 == slot && claim.1 != from;
        if slot > 0 && sections.claims().any(is_elsewhere) {
            return explore_from((0, 0), input, store, index);
        }
        named = sections.named(from..store.size);
    }
    search(input, store, index, first, (sections, named, true))
}

impl Sections {
    /// The entries that name a place in a part of the store, as (position, slot), ascending.
    fn named(&self, part: Range<u64>) -> Vec<(u64, u64)> {
        let claims = self
            .claims()
            .filter(|(_, position)| part.contains(position));
        let mut named: Vec<_> = claims.map(|(slot, position)| (position, slot)).collect();
        named.sort_unstable();
        named.dedup();
        named
    }
}

/// Finds the cheapest path through the store from `slot` at `from` on, by what entries name:
/// all of them, or some.
fn search(
    input: &Input<'_>,
    store: &mut Bytes,
    index: &mut Index,
    (slot, from): (u64, u64),
    (sections, named, all_named): (Sections, Vec<(u64, u64)>, bool),
) -> Result<Option<Explored>> {
    let base = input.base.0;
    let slots = store.size / 9 + index.file_bytes() / ENTRY_BYTES + 2;
    let mut segment = Segment {
        codec: input.codec,
        base,
        slot,
        from,
        offsets: base..base.saturating_add(slots),
        named,
        padded: sections.is_padded(),
        unpadded: index.file_bytes() > 0 && sections.rest.is_empty(),
        unused_slots: sections.unused_slots(),
        marked: store.size < input.store.file_bytes,
        largest: largest(store, index, slot)?,
        breaks: sections.breaks.clone(),
    };
    let mut before = None;
    for at in 0..segment.named.len() {
        let Some((position, _)) = segment.named.get(at).copied() else {
            break;
        };
        if before.replace(position) == Some(position) {
            continue;
        }
        if let Some(end) = store.end(position)?
            && segment.names(store, position)?
        {
            segment.largest = segment.largest.max(end - position);
        }
    }
    let search = Search {
        from,
        codec: input.codec,
        offsets: segment.offsets.clone(),
        named: &segment.named,
    };
    let Some(table) = candidates::find(store, &search)? else {
        return Ok(None);
    };
    let Some(path) = path::find(&segment, store, &table, all_named)? else {
        return Ok(None);
    };
    Ok(Some(Explored {
        segment,
        sections,
        path,
        table,
    }))
}

impl Evidence {
    pub fn gather(
        input: &Input<'_>,
        explored: Explored,
        store: &mut Bytes,
        index: &mut Index,
    ) -> Result<Self> {
        let Explored {
            segment,
            sections,
            path,
            table,
        } = explored;
        let slot = segment.slot;
        let state = IndexState {
            sound: is_sound(&segment, store, index, &sections, &path)?,
            padded: segment.padded,
            entries: slot.max(
                sections
                    .runs
                    .iter()
                    .map(|run| run.slot + run.positions.len() as u64)
                    .max()
                    .unwrap_or(0),
            ),
        };
        let mut path = empty_records_at_end(&segment, state, path);
        if input.codec == Codec::Raw {
            path = frames::without_lost_zeros(&segment, path);
        }
        let mut frames = frames::of_path(&path, &segment.breaks);
        let lives = sections.lives();
        let doubts = match input.codec {
            Codec::Raw => {
                let next = input.next_base.map(|next| next.0);
                number_raw::number(&segment, store, &path, &lives, next, &mut frames)?
            }
            Codec::Protobuf => {
                number_protobuf::number(&segment, store, &path, &lives, state, &mut frames)?
            }
        };
        if let Some(room) = input
            .next_base
            .and_then(|next| next.0.checked_sub(segment.base))
        {
            // No frame without an entry takes an offset of the next segment.
            for frame in frames.iter_mut().filter(|frame| !frame.named) {
                if frame.slot.is_some_and(|slot| slot >= room) {
                    frame.slot = None;
                    frame.state = frames::State::Unnumbered;
                }
            }
        }
        frames.sort_unstable_by_key(|frame| (frame.start, frame.end));
        within_room(&segment, store, &mut frames);
        Ok(Self {
            segment,
            sections,
            index: state,
            path,
            frames,
            doubts,
            table,
        })
    }
}

/// Limit of zeros at the end of a raw store whose index does not explain them: a few are
/// empty records.
fn empty_records_at_end(segment: &Segment, index: IndexState, mut path: Vec<Piece>) -> Vec<Piece> {
    let Some(last) = path.last().copied() else {
        return path;
    };
    let bytes = last.end - last.start;
    let few = bytes % LEAST_FRAME == 0 && bytes <= LEAST_FRAME * cost::EMPTY_ROW;
    if segment.codec == Codec::Raw && !index.sound && last.kind == path::Kind::Zeros && few {
        path.pop();
        let mut start = last.start;
        while start < last.end {
            let end = start + LEAST_FRAME;
            path.push(Piece {
                start,
                end,
                kind: path::Kind::Frame,
            });
            start = end;
        }
    }
    path
}

/// Takes the numbers of frames behind more missing ones than the store can have held: an
/// offset in a record or an entry must not say how large an index gets.
fn within_room(segment: &Segment, store: &Bytes, frames: &mut [Frame]) {
    let mut room = MISSING_MAX.saturating_add(store.data_bytes() / LEAST_FRAME);
    let mut next = segment.slot;
    for frame in frames {
        let Some(slot) = frame.slot else { continue };
        let missing = slot.saturating_sub(next);
        if missing > room {
            frame.slot = None;
            frame.state = frames::State::Unnumbered;
        } else {
            room -= missing;
            next = next.max(slot.saturating_add(1));
        }
    }
}

/// The start of the account: at the last entry that is known to be right, so that the
/// next frames are compared with the frame before them.
pub(super) fn first_place(
    input: &Input<'_>,
    store: &Bytes,
    index: &mut Index,
) -> Result<(u64, u64)> {
    let Some(slot) = input.sound_entries.checked_sub(1) else {
        return Ok((0, 0));
    };
    if slot >= index.slots() {
        return Ok((0, 0));
    }
    let position = index.entry(slot)?.position.0;
    Ok(if position < store.size {
        (slot, position)
    } else {
        (0, 0)
    })
}

/// The largest of some frames right before `slot`.
fn largest(store: &mut Bytes, index: &mut Index, slot: u64) -> Result<u64> {
    let mut largest = 0;
    for before in slot.saturating_sub(ENTRIES_BEFORE)..slot {
        let position = index.entry(before)?.position.0;
        if let Some(end) = store.end(position)? {
            largest = largest.max(end - position);
        }
    }
    Ok(largest)
}

/// Whether the index is one run of entries from slot 0 that name frames, or lie after the
/// last one, and then padding only.
fn is_sound(
    segment: &Segment,
    store: &mut Bytes,
    index: &Index,
    sections: &Sections,
    path: &[Piece],
) -> Result<bool> {
    let is_junk = sections.corrected || sections.rest.iter().any(|rest| !rest.padding);
    if index.file_bytes() == 0 || is_junk {
        return Ok(false);
    }
    let [run] = sections.runs.as_slice() else {
        return Ok(sections.runs.is_empty());
    };
    if run.at != run.slot * ENTRY_BYTES || run.slot != segment.slot {
        return Ok(false);
    }
    if run.positions == [0] {
        return Ok(true);
    }
    // Entries that name nothing are the last ones, and begin where no frame is.
    let mut dangling = None;
    for &position in &run.positions {
        let whole = segment.names(store, position)? && store.end(position)?.is_some();
        match (whole, dangling) {
            (true, Some(_)) => return Ok(false),
            (false, None) => dangling = Some(position),
            _ => {}
        }
    }
    let begins_no_frame = |position: u64| {
        let at = path.partition_point(|piece| piece.start < position);
        let piece = path.get(at);
        piece.is_some_and(|it| it.start == position && it.kind != path::Kind::Frame)
    };
    Ok(dangling.is_none_or(|it| it == store.size || begins_no_frame(it)))
}

/// The minimum size of a frame. Units: bytes.
pub(super) const LEAST_FRAME: u64 = LENGTH_BYTES;
