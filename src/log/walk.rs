//! The walk along a segment's entries and frames, and the one definition of what is
//! valid: entry i is valid if its relative offset is i, its frame begins where the one
//! before ends (in a protobuf log: not before; in a raw log: or after appends that were
//! not acknowledged), ends within the store and not past the next valid entry's position,
//! and, in a protobuf log, its record decodes and has offset base + i. A record is
//! committed if its entry is valid.
//!
//! The hot loop is here; if entries and frames disagree, `judge` decides which is wrong,
//! and the walk continues after it.

use std::ops::{ControlFlow, Range};

use super::damage::Damage;
use super::error::{Error, Result};
use super::format::{Entry, LENGTH_BYTES, decode_length, frame_end};
use super::index::Index;
pub use super::payload::PAYLOAD_IN_MEMORY_MAX;
pub(crate) use super::payload::{layout_in, record_at, record_in};
use super::progress::WALKED;
use super::record::{self, Codec, Layout, LayoutError};
use super::units::{Offset, Position};
use super::window::Window;

/// Bytes that may be decoded on suspicion in the smallest store.
const FUEL_LEAST: u64 = 4 * 1024 * 1024;

/// Bytes that may be searched for recognisable records in any store.
const SEARCH_MAX: u64 = 128 * 1024 * 1024;

/// Entries inspected in one turn of the hot loop.
const BLOCK_ENTRIES: u64 = 16 * 1024;

/// A committed record and where it is.
#[derive(Debug)]
pub struct Committed<'a> {
    /// The number of its entry, counted from the segment's base.
    pub slot: u64,
    /// Position of its frame in the store.
    pub position: Position,
    /// Bytes of its payload.
    pub payload_bytes: u64,
    /// The payload, if requested and at most [`PAYLOAD_IN_MEMORY_MAX`].
    pub payload: Option<&'a [u8]>,
    /// The places of the fields in the payload of a protobuf log's record.
    pub layout: Option<Layout>,
}

/// Whether the walk continues.
pub type Flow = ControlFlow<()>;

/// The receiver of the results of a walk; it passes over what it does not take.
pub trait Visitor {
    /// Whether [`Committed::payload`] is wanted.
    const PAYLOADS: bool;

    /// A committed record.
    ///
    /// # Errors
    ///
    /// The visitor's own; it ends the walk.
    fn record(&mut self, _record: &Committed<'_>) -> Result<Flow> {
        Ok(Flow::Continue(()))
    }

    /// The same for the usual case, with the bytes of the value inside the payload:
    /// `None` if it wants [`Visitor::record`]. Only if payloads are wanted.
    ///
    /// # Errors
    ///
    /// The visitor's own; it ends the walk.
    #[inline]
    fn value(&mut self, _slot: u64, _payload: &[u8], _value: Range<u64>) -> Result<Option<Flow>> {
        Ok(None)
    }

    /// Bytes of the store before the frame of `slot` that no entry names.
    ///
    /// # Errors
    ///
    /// The visitor's own; it ends the walk.
    fn dead_bytes(&mut self, _slot: u64, _position: Position, _bytes: u64) -> Result<Flow> {
        Ok(Flow::Continue(()))
    }

    /// Slots that are not valid.
    ///
    /// # Errors
    ///
    /// The visitor's own; it ends the walk.
    fn damage(&mut self, _damage: Damage) -> Result<Flow> {
        Ok(Flow::Continue(()))
    }
}

/// One segment that is walked along.
#[derive(Debug)]
pub struct Walk {
    pub(super) base: Offset,
    pub(super) codec: Codec,
    pub(super) index: Index,
    pub(super) store: Window,
    /// Real entries: those before the padding.
    pub(super) entries: u64,
    /// The next slot to inspect.
    pub(super) slot: u64,
    /// End of the last valid frame.
    pub(super) end: Position,
    /// Misaligned entries after the last slot, if found.
    pub(super) misaligned: Option<Damage>,
    /// Bytes that may still be decoded on suspicion: a bound on the work that
    /// made-up bytes can cause.
    pub(super) fuel: u64,
    /// Bytes that may still be searched for the next record.
    pub(super) search_fuel: u64,
}

/// The content at a position where the frame of a slot might be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// The record of the slot, as far as the codec shows.
    Record { payload_bytes: u64, end: Position },
    /// A frame that does not end within the store, or no complete length field.
    NotWhole { payload_bytes: Option<u64> },
    /// An intact frame whose payload is not a Record.
    Undecodable { payload_bytes: u64 },
    /// A record of another offset, and where the offset is in the store.
    Carries {
        payload_bytes: u64,
        end: Position,
        offset: u64,
        field: Option<(u64, u64)>,
    },
    /// The disk fails here.
    Unreadable,
}

/// The layout of a large record's payload, if it has this offset.
fn layout_carrying(
    window: &mut Window,
    frame: u64,
    payload_bytes: u64,
    carried: Option<u64>,
) -> Result<Option<Layout>> {
    let layout = record_in(window, frame + LENGTH_BYTES, payload_bytes)?;
    Ok(layout.filter(|layout| carried == Some(layout.offset)))
}

impl Walk {
    /// A walk over the first `entries` of an index, from slot 0.
    #[must_use]
    pub fn new(base: Offset, codec: Codec, index: Index, store: Window, entries: u64) -> Self {
        // The fields of a record are decoded a few times at most; holes hold none.
        let fuel = store.source().data_bytes().saturating_mul(4);
        let fuel = fuel.saturating_add(FUEL_LEAST);
        Self {
            base,
            codec,
            index,
            store,
            entries,
            slot: 0,
            end: Position(0),
            misaligned: None,
            search_fuel: fuel.min(SEARCH_MAX),
            fuel,
        }
    }

    /// Begins at `slot` instead, whose frame is expected at `position`. The caller knows
    /// that it is there, or that nothing better is known.
    #[must_use]
    pub fn starting_at(mut self, slot: u64, position: Position) -> Self {
        self.slot = slot;
        self.end = position;
        self
    }

    /// Finds a place to begin from which `slot` is judged as a walk from 0 would: a valid
    /// entry shortly before it.
    ///
    /// # Errors
    ///
    /// As [`Walk::run`].
    pub fn seek(&mut self, slot: u64) -> Result<()> {
        const TRIES: u64 = 64;
        let slot = slot.min(self.entries);
        let first = slot.saturating_sub(2);
        for start in (first.saturating_sub(TRIES)..=first).rev() {
            if start == 0 {
                break;
            }
            let Ok(entry) = self.index.entry(start) else {
                continue;
            };
            if self.confirmed(start, entry)? {
                self.slot = start;
                self.end = entry.position;
                return Ok(());
            }
        }
        self.slot = 0;
        self.end = Position(0);
        Ok(())
    }

    /// Number of entries in the walk.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The next slot that the walk will inspect.
    #[must_use]
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// End of the last valid frame.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// The index, for inspecting entries beside the walk.
    pub fn index(&mut self) -> &mut Index {
        &mut self.index
    }

    /// The store, for inspecting bytes beside the walk.
    pub fn store(&mut self) -> &mut Window {
        &mut self.store
    }

    /// Walks to `to` (excluded) or to the last entry, or until the visitor breaks.
    ///
    /// # Errors
    ///
    /// The visitor's, [`Error::Shrunk`], and [`Error::Io`]. Unreadable bytes are
    /// damage, not an error.
    pub fn run<V: Visitor>(&mut self, to: u64, visitor: &mut V) -> Result<Flow> {
        // The judge may find that fewer entries are real.
        while self.slot < to.min(self.entries) {
            if self.chain(to.min(self.entries), visitor)?.is_break() {
                return Ok(Flow::Break(()));
            }
            if self.slot < to.min(self.entries) && self.judge(to, visitor)?.is_break() {
                return Ok(Flow::Break(()));
            }
        }
        match self
            .misaligned
            .take_if(|_| self.slot >= self.entries && self.slot < to)
        {
            Some(damage) => visitor.damage(damage),
            None => Ok(Flow::Continue(())),
        }
    }

    /// Follows entries as long as each names the place where the frame before ends.
    /// Stops at the first slot of which that cannot be said.
    fn chain<V: Visitor>(&mut self, to: u64, visitor: &mut V) -> Result<Flow> {
        while self.slot < to {
            let first = self.slot;
            // One entry more than is walked: each frame's end is compared with it.
            let end = self.entries.min(to.saturating_add(1));
            let count = (end - first).min(BLOCK_ENTRIES + 1);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let Ok(block) = self.index.entries(first, count) else {
                return Ok(Flow::Continue(()));
            };
            let reaches_end = first + block.len() as u64 == self.entries;
            let limit = self.store.file_bytes();
            let mut position = self.end.0;
            let mut slot = first;
            let mut entries = block.iter().map(Entry::decode);
            let Some(mut entry) = entries.next() else {
                return Ok(Flow::Continue(()));
            };
            let flow = loop {
                if slot >= to
                    || u64::from(entry.relative.0) != slot
                    || entry.position.0 != position
                    || position.saturating_add(LENGTH_BYTES) > limit
                {
                    break None;
                }
                let head = match self.store.bytes(position, 8) {
                    Ok(head) => head,
                    Err(Error::Unreadable { .. }) => break None,
                    Err(error) => return Err(error),
                };
                let payload_bytes = decode_length(head.try_into().unwrap_or_default());
                let Some(end) = frame_end(Position(position), payload_bytes, limit) else {
                    break None;
                };
                let next = entries.next();
                match next {
                    Some(next)
                        if next.position == end && u64::from(next.relative.0) == slot + 1 => {}
                    // After the last frame there may be the rest of its record.
                    None if reaches_end && (end.0 == limit || self.codec == Codec::Raw) => {}
                    // The block ends, or something is wrong.
                    _ => break None,
                }
                let mut committed = Committed {
                    slot,
                    position: Position(position),
                    payload_bytes,
                    payload: None,
                    layout: None,
                };
                let mut taken = None;
                let small = payload_bytes <= PAYLOAD_IN_MEMORY_MAX;
                if small && (V::PAYLOADS || self.codec == Codec::Protobuf) {
                    #[expect(clippy::cast_possible_truncation, reason = "at most 8 MiB")]
                    let count = payload_bytes as usize;
                    let payload = match self.store.bytes(position + LENGTH_BYTES, count) {
                        Ok(payload) => payload,
                        Err(Error::Unreadable { .. }) => break None,
                        Err(error) => return Err(error),
                    };
                    if self.codec == Codec::Protobuf {
                        match record::layout_of(payload) {
                            Ok(layout) if self.base.0.checked_add(slot) == Some(layout.offset) => {
                                committed.layout = Some(layout);
                            }
                            _ => break None,
                        }
                    }
                    if V::PAYLOADS {
                        let value = committed.layout.as_ref().map(|layout| &layout.value);
                        let value = value.map_or(0..payload_bytes, Range::clone);
                        taken = visitor.value(slot, payload, value)?;
                        committed.payload = Some(payload);
                    }
                } else if self.codec == Codec::Protobuf {
                    let carried = self.base.0.checked_add(slot);
                    committed.layout =
                        layout_carrying(&mut self.store, position, payload_bytes, carried)?;
                    if committed.layout.is_none() {
                        break None;
                    }
                }
                let flow = taken.map_or_else(|| visitor.record(&committed), Ok)?;
                position = end.0;
                slot += 1;
                if flow.is_break() {
                    break Some(flow);
                }
                match next {
                    Some(next) => entry = next,
                    None => break None,
                }
            };
            let stuck = slot == first;
            self.advance(slot, Position(position));
            if let Some(flow) = flow {
                return Ok(flow);
            }
            // A block that ended begins again; a disagreement is for `judge`.
            if stuck || slot < first + (count as u64).saturating_sub(1) {
                return Ok(Flow::Continue(()));
            }
        }
        Ok(Flow::Continue(()))
    }

    /// The slots before `slot` are done, and the last valid frame ended at `end`.
    fn advance(&mut self, slot: u64, end: Position) {
        WALKED.add_records(slot - self.slot);
        self.slot = slot;
        self.end = end;
    }

    /// The content at `position`, compared with the expected content of `slot`.
    pub(super) fn fit(&mut self, slot: u64, position: Position) -> Result<Fit> {
        let limit = self.store.file_bytes();
        if position.0.saturating_add(LENGTH_BYTES) > limit {
            return Ok(Fit::NotWhole {
                payload_bytes: None,
            });
        }
        let payload_bytes = match self.store.length_at(position.0) {
            Ok(payload_bytes) => payload_bytes,
            Err(Error::Unreadable { .. }) => return Ok(Fit::Unreadable),
            Err(error) => return Err(error),
        };
        let Some(end) = frame_end(position, payload_bytes, limit) else {
            return Ok(Fit::NotWhole {
                payload_bytes: Some(payload_bytes),
            });
        };
        if self.codec == Codec::Raw {
            return Ok(Fit::Record { payload_bytes, end });
        }
        if self.fuel == 0 {
            return Ok(Fit::Undecodable { payload_bytes });
        }
        let start = position.0 + LENGTH_BYTES;
        let layout = layout_in(&mut self.store, start, payload_bytes);
        let cost = match &layout {
            Ok(layout) => payload_bytes - (layout.value.end - layout.value.start),
            Err(LayoutError::Illegal { at, .. }) => (*at).min(payload_bytes),
            Err(LayoutError::Source(_)) => 0,
        };
        self.fuel = self.fuel.saturating_sub(cost + 1);
        match layout {
            Ok(layout) if self.base.0.checked_add(slot) == Some(layout.offset) => {
                Ok(Fit::Record { payload_bytes, end })
            }
            Ok(layout) => Ok(Fit::Carries {
                payload_bytes,
                end,
                offset: layout.offset,
                field: layout
                    .offset_field
                    .map(|field| (start + field.start, field.end - field.start)),
            }),
            Err(LayoutError::Illegal { .. }) => Ok(Fit::Undecodable { payload_bytes }),
            Err(LayoutError::Source(Error::Unreadable { .. })) => Ok(Fit::Unreadable),
            Err(LayoutError::Source(error)) => Err(error),
        }
    }

    /// Passes the visitor a record that was found outside the hot loop.
    pub(super) fn tell<V: Visitor>(
        &mut self,
        slot: u64,
        position: Position,
        payload_bytes: u64,
        visitor: &mut V,
    ) -> Result<Flow> {
        let start = position.0 + LENGTH_BYTES;
        let layout = match self.codec {
            Codec::Raw => None,
            Codec::Protobuf => layout_in(&mut self.store, start, payload_bytes).ok(),
        };
        let count = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
        let payload = if V::PAYLOADS && payload_bytes <= PAYLOAD_IN_MEMORY_MAX {
            match self.store.bytes(start, count) {
                Ok(payload) => Some(payload),
                Err(Error::Unreadable { .. }) => {
                    let frame_bytes = payload_bytes.saturating_add(LENGTH_BYTES);
                    return visitor.damage(Damage::unreadable_frame(slot, position, frame_bytes));
                }
                Err(error) => return Err(error),
            }
        } else {
            None
        };
        visitor.record(&Committed {
            slot,
            position,
            payload_bytes,
            payload,
            layout,
        })
    }

    /// Whether `entry` is `slot`'s beyond doubt: by its record's own offset in a
    /// protobuf log, by its frame's end being the next entry's position in a raw one.
    pub(super) fn confirmed(&mut self, slot: u64, entry: Entry) -> Result<bool> {
        if u64::from(entry.relative.0) != slot {
            return Ok(false);
        }
        let Fit::Record { end, payload_bytes } = self.fit(slot, entry.position)? else {
            return Ok(false);
        };
        let has_its_place = slot > 0 || entry.position.0 == 0;
        if self.codec == Codec::Protobuf {
            // Refused appends may be before the first record; eight zeros have offset 0
            // wherever they are.
            return Ok(has_its_place || payload_bytes > 0);
        }
        if !has_its_place {
            return Ok(false);
        }
        if slot + 1 >= self.entries {
            return Ok(end.0 == self.store.file_bytes());
        }
        let Ok(next) = self.index.entry(slot + 1) else {
            return Ok(false);
        };
        Ok(next.position == end && u64::from(next.relative.0) == slot + 1)
    }
}
