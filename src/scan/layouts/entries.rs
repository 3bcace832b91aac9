//! The entries of an index in one layout, compared with the positions of frames.

use super::frames::{Places, Store};
use super::{EntryLayout, FRAMES_MAX, Number, Order, PROOF};
use crate::log::error::Result;
use crate::log::format::{ENTRY_BYTES, LENGTH_BYTES};
use crate::log::units::Offset;
use crate::log::window::Window;

/// Our own layout.
pub(super) const OURS: EntryLayout = EntryLayout {
    offset: Number {
        bytes: 4,
        order: Order::Big,
    },
    position: Number {
        bytes: 8,
        order: Order::Big,
    },
    position_first: false,
    more_bytes: 0,
    absolute: false,
    from_one: false,
    ends: false,
    sparse: false,
};

/// The widths that are tested: of the offset, of the position, of what follows.
const WIDTHS: [(u64, u64, u64); 6] = [
    (4, 4, 0),
    (4, 8, 0),
    (8, 4, 0),
    (8, 8, 0),
    (4, 8, 4),
    (4, 8, 8),
];

/// Every tested layout, except ours.
fn others(base: Offset) -> impl Iterator<Item = EntryLayout> {
    let both = [false, true];
    // In the first segment absolute offsets are relative ones too.
    let absolutes = both.into_iter().take(if base.0 > 0 { 2 } else { 1 });
    let kinds = absolutes.flat_map(move |absolute| {
        // Entries of ours that lost their first one count from 1 and name ends.
        let counts = [(false, false), (false, true), (true, false)];
        counts.map(move |(from_one, ends)| EntryLayout {
            absolute,
            from_one,
            ends,
            ..OURS
        })
    });
    let orders = kinds.flat_map(move |kind| both.map(move |it| (kind, it)));
    let orders = orders.flat_map(|it| Order::BOTH.map(move |a| (it, a)));
    let orders = orders.flat_map(|it| Order::BOTH.map(move |b| (it, b)));
    let all = orders.flat_map(|(((kind, position_first), a), b)| {
        WIDTHS.map(move |(offset, position, more_bytes)| EntryLayout {
            offset: Number {
                bytes: offset,
                order: a,
            },
            position: Number {
                bytes: position,
                order: b,
            },
            position_first,
            more_bytes,
            ..kind
        })
    });
    all.filter(|it| *it != OURS && !(it.position_first && it.more_bytes > 0))
}

impl EntryLayout {
    /// The offset of the first entry.
    fn first(&self, base: Offset) -> u64 {
        let base = if self.absolute { base.0 } else { 0 };
        base.saturating_add(u64::from(self.from_one))
    }

    /// Whether an entry has the numbers of one of ours.
    pub(super) fn is_of_our_widths(&self) -> bool {
        (self.offset, self.position) == (OURS.offset, OURS.position)
            && !self.position_first
            && self.more_bytes == 0
    }

    /// The offset and the position of the entry at byte `at`.
    fn entry(&self, index: &mut Window, at: u64) -> Result<(u64, u64)> {
        let (offset_at, position_at) = if self.position_first {
            (at + self.position.bytes, at)
        } else {
            (at, at + self.offset.bytes)
        };
        let offset = number(index, offset_at, self.offset)?;
        Ok((offset, number(index, position_at, self.position)?))
    }
}

/// The layout but ours in which most entries name `places`, and their number; `None`
/// where these may be entries of ours that were moved.
pub(super) fn other(
    base: Offset,
    index: &mut Option<Window>,
    places: &Places,
) -> Result<Option<(EntryLayout, usize)>> {
    let mut best: Option<(EntryLayout, (usize, bool))> = None;
    for layout in others(base) {
        let named = named(index, layout, base, places)?;
        let Some(index) = index.as_mut().filter(|_| named >= 2) else {
            continue;
        };
        let end = named as u64 * layout.bytes();
        let complete = index.file_bytes() == end || is_padding(index, end, layout.bytes())?;
        if best.is_none_or(|(_, most)| (named, complete) > most) {
            best = Some((layout, (named, complete)));
        }
    }
    let (Some((layout, (named, complete))), Some(index)) = (best, index) else {
        return Ok(None);
    };
    // Entries of ours after bytes that were inserted or lost read as entries of eight and
    // four bytes, little-endian. Then the last one is not complete.
    let moved = moved(index, &places.starts)? + 1 >= named;
    Ok((!moved || complete).then_some((layout, named)))
}

/// The number of entries that name `places` in order, from the first one to the padding,
/// to the last place or to the index's end. Returns 0 if another entry is before that.
pub(super) fn named(
    index: &mut Option<Window>,
    layout: EntryLayout,
    base: Offset,
    places: &Places,
) -> Result<usize> {
    let Some(index) = index else { return Ok(0) };
    let entry_bytes = layout.bytes();
    let places = if layout.ends {
        &places.ends
    } else {
        &places.starts
    };
    let mut named = 0_usize;
    let mut at = 0;
    for (place, slot) in places.iter().take(FRAMES_MAX).zip(0..) {
        if at + entry_bytes > index.file_bytes() || (at > 0 && is_padding(index, at, entry_bytes)?)
        {
            break;
        }
        let (offset, position) = layout.entry(index, at)?;
        if Some(offset) != layout.first(base).checked_add(slot) || position != *place {
            return Ok(0);
        }
        named += 1;
        at += entry_bytes;
    }
    Ok(named)
}

/// The layout of entries, from the first to the padding, that name frames without naming
/// each, and their number. Entries of ours of which some are lost are fewer, or have no
/// equal distances.
pub(super) fn sparse(
    base: Offset,
    index: &mut Option<Window>,
    places: &Places,
) -> Result<Option<(EntryLayout, usize)>> {
    let Some(index) = index else { return Ok(None) };
    let all = others(base).chain(std::iter::once(OURS));
    for layout in all.filter(|it| !it.from_one && !it.ends) {
        let slots = named_slots(index, layout, base, places)?;
        let (Some(0), Some(&step)) = (slots.first(), slots.get(1)) else {
            continue;
        };
        let is_sparse = slots.last().is_some_and(|last| *last >= slots.len() as u64);
        let mut pairs = slots.iter().zip(slots.iter().skip(1));
        let is_regular = pairs.all(|(a, b)| a < b && (layout != OURS || b - a == step));
        let is_plain = layout != OURS && layout.more_bytes == 0;
        let least = if is_plain { 2 } else { PROOF };
        let is_moved = layout != OURS && moved(index, &places.starts)? + 1 >= slots.len();
        if slots.len() >= least && is_sparse && is_regular && !is_moved {
            let sparse = true;
            return Ok(Some((EntryLayout { sparse, ..layout }, slots.len())));
        }
    }
    Ok(None)
}

/// The slots of the entries up to the padding, if each names its frame.
fn named_slots(
    index: &mut Window,
    layout: EntryLayout,
    base: Offset,
    places: &Places,
) -> Result<Vec<u64>> {
    let bytes = layout.bytes();
    let mut slots = Vec::new();
    for number in 0..index.file_bytes() / bytes {
        let at = number * bytes;
        if number > 0 && is_padding(index, at, bytes)? {
            break;
        }
        let (offset, position) = layout.entry(index, at)?;
        let slot = offset.checked_sub(layout.first(base));
        // Frames after these were not read.
        if slot.is_some_and(|slot| slot >= FRAMES_MAX as u64) && number > 0 {
            break;
        }
        let place = slot.and_then(|slot| places.starts.get(usize::try_from(slot).ok()?));
        if place != Some(&position) {
            return Ok(Vec::new());
        }
        slots.extend(slot);
    }
    Ok(slots)
}

/// Entries of a layout, at their places, each of which names a frame of ours with a payload
/// that ends where the next one begins, or the store ends: wherever the frames between
/// them are damaged.
pub(super) fn pairs(
    index: &mut Option<Window>,
    store: &mut Store,
    layout: EntryLayout,
    base: Offset,
) -> Result<usize> {
    let Some(index) = index else { return Ok(0) };
    let slots = (index.file_bytes() / layout.bytes()).min(FRAMES_MAX as u64);
    let mut pairs = 0;
    // The end of the last frame is the start of the one that comes.
    let mut before = layout.ends.then_some(0);
    for slot in 0..=slots {
        let mut here = None;
        if slot < slots {
            let (offset, position) = layout.entry(index, slot * layout.bytes())?;
            let is_next = layout.first(base).checked_add(slot) == Some(offset);
            here = is_next.then_some(position);
        }
        if let Some(before) = before
            && let Some(end) = store.our_frame_end(before)?
            && end > before + LENGTH_BYTES
            && (here == Some(end) || end == store.file_bytes() && !layout.ends)
        {
            pairs += 1;
        }
        before = here;
    }
    Ok(pairs)
}

/// Whether the entries of a layout are intact up to the padding: offsets that count, and
/// positions that ascend by a frame of ours or more. The first one tells entries of ours of
/// which the first are lost.
fn are_intact(
    index: &mut Window,
    store: &mut Store,
    layout: EntryLayout,
    base: Offset,
) -> Result<bool> {
    let mut least = if layout.ends { LENGTH_BYTES } else { 0 };
    let bytes = layout.bytes();
    for slot in 0..(index.file_bytes() / bytes).min(FRAMES_MAX as u64) {
        let at = slot * bytes;
        if slot > 1 && is_padding(index, at, bytes)? {
            break;
        }
        let (offset, position) = layout.entry(index, at)?;
        let is_first = match (slot, layout.ends) {
            (0, false) => position == 0,
            (0, true) if layout.is_of_our_widths() && offset > 0 => {
                store.our_frame_end(0)? == Some(position)
            }
            _ => true,
        };
        let is_next = layout.first(base).checked_add(slot) == Some(offset);
        if !is_next || position < least || !is_first {
            return Ok(false);
        }
        least = position.saturating_add(LENGTH_BYTES);
    }
    Ok(true)
}

/// Whether the index holds complete entries of a layout.
pub(super) fn is_complete(index: Option<&Window>, layout: EntryLayout) -> bool {
    let bytes = index.map_or(0, Window::file_bytes);
    bytes.is_multiple_of(layout.bytes())
}

/// The layout but ours of intact entries with the most [`pairs`], if it has more than
/// `ours`.
pub(super) fn other_pairs(
    base: Offset,
    index: &mut Option<Window>,
    store: &mut Store,
    ours: usize,
) -> Result<Option<(EntryLayout, usize)>> {
    let mut best: Option<(EntryLayout, usize)> = None;
    for layout in others(base) {
        let is_intact = match index {
            Some(index) => are_intact(index, store, layout, base)?,
            None => false,
        };
        if !is_intact {
            continue;
        }
        let pairs = pairs(index, store, layout, base)?;
        if pairs > best.map_or(ours, |(_, most)| most) {
            best = Some((layout, pairs));
        }
    }
    Ok(best)
}

/// Positions and sizes of what entries of ours name one after the other, from the first
/// slot on. Units: bytes.
pub(super) fn spans(index: &mut Option<Window>, store_bytes: u64) -> Result<Vec<(u64, u64)>> {
    let Some(index) = index else {
        return Ok(Vec::new());
    };
    let slots = (index.file_bytes() / ENTRY_BYTES).min(FRAMES_MAX as u64);
    let mut spans = Vec::new();
    let mut before = None;
    for slot in 0..slots {
        let (number, end) = OURS.entry(index, slot * ENTRY_BYTES)?;
        let follows = before.is_none_or(|start| start < end);
        if number != slot || !follows || end >= store_bytes {
            break;
        }
        spans.extend(before.map(|start| (start, end - start)));
        before = Some(end);
    }
    Ok(spans)
}

/// Entries at the beginning that have the form of ours, whatever they name.
pub(super) fn in_form(index: &mut Option<Window>) -> Result<usize> {
    let Some(index) = index else { return Ok(0) };
    let slots = (index.file_bytes() / ENTRY_BYTES).min(FRAMES_MAX as u64);
    let mut end = 0;
    for slot in 0..slots {
        let (number, position) = OURS.entry(index, slot * ENTRY_BYTES)?;
        if number != slot || position < end {
            return Ok(usize::try_from(slot).unwrap_or(FRAMES_MAX));
        }
        end = position.saturating_add(LENGTH_BYTES);
    }
    Ok(usize::try_from(slots).unwrap_or(FRAMES_MAX))
}

/// The longest run of entries of ours that name their places, wherever it begins.
fn moved(index: &mut Window, places: &[u64]) -> Result<usize> {
    let end = index.file_bytes().min(FRAMES_MAX as u64 * ENTRY_BYTES);
    let mut rows = [(0_usize, 0_u64); OURS_BYTES];
    let mut longest = 0;
    for (at, row) in (0..(end + 1).saturating_sub(ENTRY_BYTES)).zip((0..rows.len()).cycle()) {
        let Some((length, next)) = rows.get_mut(row) else {
            continue;
        };
        let (slot, position) = OURS.entry(index, at)?;
        let place = usize::try_from(slot).ok().and_then(|slot| places.get(slot));
        if slot == 0 || place != Some(&position) {
            *length = 0;
            continue;
        }
        *length = if *length > 0 && slot == *next {
            *length + 1
        } else {
            1
        };
        *next = slot + 1;
        longest = longest.max(*length);
    }
    Ok(longest)
}

/// The size of an entry of ours. Units: bytes.
pub(super) const OURS_BYTES: usize = 12;

fn number(index: &mut Window, at: u64, number: Number) -> Result<u64> {
    let count = usize::try_from(number.bytes).unwrap_or(8);
    Ok(number.order.number(index.bytes(at, count)?))
}

/// Whether an index names nothing: it is missing, empty or unused.
pub(super) fn is_unused(index: &mut Option<Window>) -> Result<bool> {
    let Some(index) = index else { return Ok(true) };
    let bytes = index.file_bytes();
    Ok(bytes == 0 || index.source().nonzero_end(bytes)? == 0)
}

/// Whether the entry at `at`, or what there is of it, is unused.
fn is_padding(index: &mut Window, at: u64, bytes: u64) -> Result<bool> {
    let bytes = bytes.min(index.file_bytes().saturating_sub(at));
    let bytes = index.bytes(at, usize::try_from(bytes).unwrap_or(0))?;
    let same = |byte| bytes.iter().all(|it| *it == byte);
    Ok(!bytes.is_empty() && (same(0) || same(0xff)))
}
