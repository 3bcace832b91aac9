//! Entries of a raw log that leave bytes out, or name no frame of their own: what services
//! leave that refuse appends, that are started on the rest of an interrupted append, or on
//! padding.

use super::damage::Damage;
use super::error::{Error, Result};
use super::evidence::{RETRY_FRAMES, Region};
use super::format::{ENTRY_BYTES, Entry, LENGTH_BYTES, decode_length, is_marked_length};
use super::units::Position;
use super::walk::{Fit, Flow, Visitor, Walk};
use super::window::Window;

/// Lengths from here on are no interrupted append's.
const UNFINISHED_MAX: u64 = 1 << 32;

/// Whether bytes between two frames were left by appends that were not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unacknowledged {
    /// They belong to a record.
    No,
    /// By what they look like.
    Likely,
    /// A mark shows it.
    Marked,
}

impl Unacknowledged {
    fn likely(is: bool) -> Self {
        if is { Self::Likely } else { Self::No }
    }
}

/// Whether appends that were not acknowledged left the bytes of a raw log from the end of
/// the frame at `frame` up to a place that an entry names: frames that a service refused,
/// then what an interrupted append leaves. Anything but a mark and frames with values may
/// also be the rest of that frame, if one bit of its length is wrong. `next` is the place
/// that the entry after that one names.
///
/// # Errors
///
/// Reading's.
pub(crate) fn unacknowledged(
    store: &mut Window,
    frame: Option<u64>,
    from: u64,
    to: u64,
    next: Option<u64>,
) -> Result<Unacknowledged> {
    let to = to.min(store.file_bytes());
    let length = |end: u64, frame: u64| end.saturating_sub(frame + LENGTH_BYTES);
    let is_one_bit =
        frame.is_some_and(|frame| (length(from, frame) ^ length(to, frame)).is_power_of_two());
    let (mut position, mut filled) = (from, false);
    while position < to {
        let count = (to - position).min(LENGTH_BYTES);
        let head = store.bytes(position, usize::try_from(count).unwrap_or(0))?;
        let Some(length) = head.first_chunk::<8>() else {
            let zeros = head.iter().all(|&byte| byte == 0);
            return Ok(Unacknowledged::likely(zeros && !is_one_bit));
        };
        // A part of a mark is not enough: the end of a value may look so.
        if is_marked_length(length) {
            return Ok(Unacknowledged::Marked);
        }
        let length = decode_length(*length);
        let end = (position + LENGTH_BYTES).saturating_add(length);
        if end > to {
            // One that leads on is no torn frame: the place inside it is the wrong one, if it
            // is the only one.
            let size = store.file_bytes();
            let leads_on = frame.is_none()
                && next.is_none_or(|next| end <= next)
                && (end == size || (end < size && store.frame_end_at(end)?.is_some()));
            return Ok(Unacknowledged::likely(
                !is_one_bit && !leads_on && length < UNFINISHED_MAX,
            ));
        }
        filled |= length > 0;
        position = end;
    }
    Ok(Unacknowledged::likely(filled || !is_one_bit))
}

impl Walk {
    /// A frame of a raw log before or after appends that were not acknowledged: nothing
    /// else can be between two frames.
    pub(super) fn judge_between<V: Visitor>(
        &mut self,
        slot: u64,
        entry: Entry,
        visitor: &mut V,
    ) -> Result<Option<Flow>> {
        if entry.position < self.end || u64::from(entry.relative.0) != slot {
            return Ok(None);
        }
        if let Some(next) = self.slot_with_the_place(slot, entry.position)? {
            // The frame there is that one's: those before it are not in the store.
            let mut damage = Damage::entry(slot, entry, None);
            damage.last_slot = next - 1;
            damage.bytes = (next - slot) * ENTRY_BYTES;
            self.slot = next;
            return visitor.damage(damage).map(Some);
        }
        let next = match self.index.entry(slot + 1) {
            Ok(next) if slot + 1 < self.entries => Some(next),
            _ => None,
        };
        let before = if entry.position > self.end {
            let own = next.filter(|next| u64::from(next.relative.0) == slot + 1);
            let next = own.map(|next| next.position.0);
            self.unacknowledged(None, self.end, entry.position, next)?
        } else {
            Unacknowledged::No
        };
        if before == Unacknowledged::No && entry.position > self.end {
            return Ok(None);
        }
        let Fit::Record { payload_bytes, end } = self.fit(slot, entry.position)? else {
            return Ok(None);
        };
        let behind = match next {
            Some(next) if u64::from(next.relative.0) == slot + 1 && next.position > end => {
                match self.unacknowledged(Some(entry.position), end, next.position, None)? {
                    // Eight zero bytes may be what is left of a record.
                    Unacknowledged::Likely => {
                        payload_bytes > 0 && self.leads_to_next(slot + 1, next.position)?
                    }
                    left => left == Unacknowledged::Marked,
                }
            }
            _ => false,
        };
        let followed = match next {
            Some(next) => next.position == end,
            None => before == Unacknowledged::Marked || self.leads_to_next(slot, entry.position)?,
        };
        if !behind && (before == Unacknowledged::No || !followed) {
            return Ok(None);
        }
        let gap = entry.position.0 - self.end.0;
        if gap > 0 && visitor.dead_bytes(slot, self.end, gap)?.is_break() {
            return Ok(Some(Flow::Break(())));
        }
        let flow = self.tell(slot, entry.position, payload_bytes, visitor)?;
        self.slot = slot + 1;
        self.end = end;
        Ok(Some(flow))
    }

    /// The slot of the region whose entry names the end of the store, if frames are before
    /// it: they were refused, and the record is lost.
    pub(super) fn lost_slot(&mut self, region: Region) -> Result<Option<u64>> {
        if region.anchored || region.position >= region.limit {
            return Ok(None);
        }
        let end = region.anchor.min(region.slot.saturating_add(RETRY_FRAMES));
        for slot in region.slot..end {
            match self.index.entry(slot) {
                Ok(entry) if entry.position < region.limit => {}
                Ok(entry) => {
                    let is_lost = entry.position == region.limit;
                    return Ok(
                        Some(slot).filter(|_| is_lost && u64::from(entry.relative.0) == slot)
                    );
                }
                Err(Error::Unreadable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The last of the slots after `slot` whose entries name the same place, if the frame
    /// there is its: the entry after it names the frame's end, or no frame follows.
    fn slot_with_the_place(&mut self, slot: u64, position: Position) -> Result<Option<u64>> {
        let mut last = slot;
        let next = loop {
            let next = self.index.entry(last + 1);
            match next.ok().filter(|_| last + 1 < self.entries) {
                Some(next) if u64::from(next.relative.0) != last + 1 => return Ok(None),
                Some(next) if next.position == position => last += 1,
                next => break next,
            }
        };
        let frame = self.fit(last, position)?;
        let Fit::Record { payload_bytes, end } = frame else {
            return Ok(None);
        };
        let is_its = match next {
            Some(next) => next.position == end,
            // Eight zero bytes may be what is left of a record.
            None => {
                payload_bytes > 0
                    && self.index.file_bytes() == (last + 1) * ENTRY_BYTES
                    && !matches!(self.fit(last + 1, end)?, Fit::Record { .. })
            }
        };
        Ok((last > slot && is_its).then_some(last))
    }

    /// Whether the frame that the entry of `slot` names at `position` is confirmed by what
    /// comes after it: it ends before the place of the next entry, or with the store.
    fn leads_to_next(&mut self, slot: u64, position: Position) -> Result<bool> {
        let Fit::Record { end, .. } = self.fit(slot, position)? else {
            return Ok(false);
        };
        match self.index.entry(slot + 1) {
            Ok(next) if slot + 1 < self.entries => {
                Ok(u64::from(next.relative.0) == slot + 1 && next.position >= end)
            }
            _ => Ok(end.0 == self.store.file_bytes()),
        }
    }

    /// The same of the store of the walk; what the disk does not give is not known.
    pub(super) fn unacknowledged(
        &mut self,
        frame: Option<Position>,
        from: Position,
        to: Position,
        next: Option<u64>,
    ) -> Result<Unacknowledged> {
        let frame = frame.map(|frame| frame.0);
        match unacknowledged(&mut self.store, frame, from.0, to.0, next) {
            Err(Error::Unreadable { .. }) => Ok(Unacknowledged::No),
            other => other,
        }
    }
}
