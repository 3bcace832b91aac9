//! The items of a log reader: records and obstacles; and the walks along one segment that
//! produce them.

use std::ops::{ControlFlow, Range};

use super::damage::{Damage, DamageKind};
use super::error::{Error, Result};
use super::format::{FileKind, LENGTH_BYTES};
use super::payload::values_in;
use super::record::{Codec, Layout};
use super::segment::Segment;
use super::units::{Offset, Position};
use super::walk::{Committed, Flow, Visitor, Walk};
use super::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};
use super::wire::{LayoutError, to_usize};

/// The default byte of a redacted value.
pub const FILL: u8 = b'*';

/// Bytes of a record: in memory, or their place if they are too many.
#[derive(Debug, Clone)]
pub enum Content<'a> {
    /// The bytes.
    Memory(&'a [u8]),
    /// The file that holds them, where they begin, and how many they are.
    File(ReadFile, u64, u64),
}

impl Content<'_> {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, _, bytes) => *bytes,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All bytes in memory, however many they are.
    ///
    /// # Errors
    ///
    /// As reading the store: [`Error::Shrunk`], [`Error::Unreadable`], [`Error::Io`].
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.pieces(|piece| {
            bytes.extend_from_slice(piece);
            Ok::<(), Error>(())
        })?;
        Ok(bytes)
    }

    /// The byte that all of them are, of two or more: a redacted value is so. Every single
    /// byte is, so there only the usual fill byte counts.
    ///
    /// # Errors
    ///
    /// As reading the store.
    pub fn redacted(&self) -> Result<Option<u8>> {
        let mut fill = None;
        let mut alike = true;
        self.pieces(|piece| {
            let fill = *fill.get_or_insert(piece.first().copied().unwrap_or_default());
            alike &= piece.iter().all(|byte| *byte == fill);
            Ok::<(), Error>(())
        })?;
        let counts = |fill: &u8| self.len() > 1 || *fill == FILL;
        Ok(fill.filter(|fill| alike && !self.is_empty() && counts(fill)))
    }

    /// Hands over all bytes, in pieces of bounded size.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn pieces<E: From<Error>>(
        &self,
        mut piece: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        match self {
            Self::Memory(bytes) => piece(bytes),
            Self::File(file, start, bytes) => {
                let mut window = Window::new(file.clone(), STREAM_BYTES);
                let mut at = 0;
                while at < *bytes {
                    let count = (*bytes - at).min(STREAM_BYTES as u64);
                    let count_here = usize::try_from(count).unwrap_or(STREAM_BYTES);
                    piece(window.bytes(start + at, count_here)?)?;
                    at += count;
                }
                Ok(())
            }
        }
    }
}

/// One record as a reader gets it.
#[derive(Debug, Clone)]
pub struct RecordView<'a> {
    /// The record's number in the log.
    pub offset: Offset,
    /// The base offset of its segment.
    pub segment: Offset,
    /// Position of its frame in the store.
    pub position: Position,
    /// The value.
    pub value: Content<'a>,
    /// The frame's payload: in a protobuf log the encoded message.
    pub payload: Content<'a>,
    /// The Raft term, in a protobuf log.
    pub term: u64,
    /// The Raft type, in a protobuf log.
    pub record_type: u32,
}

impl RecordView<'_> {
    /// Where in its store the values of the record are: of one that is there twice the last
    /// one counts, but both are there.
    ///
    /// # Errors
    ///
    /// Reading's; [`Error::CannotAppend`] if the record is not as it was a moment ago.
    pub(crate) fn values_in(&self, store: &mut Window, codec: Codec) -> Result<Vec<Range<u64>>> {
        let (start, bytes) = (self.position.0 + LENGTH_BYTES, self.payload.len());
        if codec == Codec::Raw {
            return Ok(std::iter::once(start..start + bytes).collect());
        }
        values_in(store, start, bytes).map_err(|error| match error {
            LayoutError::Source(error) => error,
            LayoutError::Illegal { .. } => Error::CannotAppend {
                path: store.source().path().to_path_buf(),
                why: format!("offset {} changed while it was read", self.offset),
            },
        })
    }
}

/// Something that is in the way of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "cli"), non_exhaustive)]
pub enum Obstacle {
    /// Entries or frames of one segment that are not valid.
    Damage {
        /// The segment's base offset.
        segment: Offset,
        /// The problem.
        damage: Damage,
    },
    /// Offsets that are in no segment.
    Gap,
    /// Offsets that two segments claim; the older one's come next.
    Overlap {
        /// The base of the segment that claims them too.
        newer: Offset,
    },
    /// Records that the index does not name, or names wrongly; they come next, according
    /// to the store.
    Unindexed {
        /// The segment's base offset.
        segment: Offset,
        /// Whether the index is missing.
        missing: bool,
    },
    /// Offsets that two records of one segment claim; those of the older history come next.
    Contested {
        /// The segment's base offset.
        segment: Offset,
    },
    /// A segment of which one file is missing or no regular file.
    Unpaired {
        /// The segment's base offset.
        segment: Offset,
        /// The half that is missing.
        missing: FileKind,
    },
    /// A segment that another program wrote, in another layout.
    Foreign {
        /// The segment's base offset.
        segment: Offset,
        /// The layout.
        layout: String,
    },
}

impl Obstacle {
    /// What is wrong, in a few words.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        match self {
            Self::Damage { damage, .. } => damage.kind.summary(),
            Self::Gap => "no segment contains them",
            Self::Overlap { .. } => "two segments claim them; the older records follow",
            Self::Unindexed { .. } => "the index has no entries for the records, which follow",
            Self::Contested { .. } => "two records claim each of them; the older ones follow",
            Self::Unpaired { missing, .. } => match missing {
                FileKind::Store => "the store is missing",
                FileKind::Index => "the index is missing",
            },
            Self::Foreign { .. } => "the segment has another program's layout",
        }
    }

    /// The segment of which entries name frames that are not there.
    #[must_use]
    pub fn dangling(&self) -> Option<Offset> {
        match self {
            Self::Damage { segment, damage } if damage.kind == DamageKind::Dangling => {
                Some(*segment)
            }
            _ => None,
        }
    }

    /// Whether the records of the offsets concerned follow all the same.
    #[must_use]
    pub fn is_followed_by_records(&self) -> bool {
        matches!(
            self,
            Self::Overlap { .. } | Self::Unindexed { .. } | Self::Contested { .. }
        )
    }
}

/// An item, in the order of the log.
#[derive(Debug)]
pub enum Item<'a> {
    /// A committed record.
    Record(&'a RecordView<'a>),
    /// Offsets `first..=last` cannot be read; `last` is `None` if unknown.
    Obstacle {
        /// The obstacle.
        obstacle: Obstacle,
        /// The first offset concerned.
        first: Offset,
        /// The last offset concerned.
        last: Option<Offset>,
    },
}

/// The receiver of the items.
pub trait Taker<E> {
    /// Takes an item.
    ///
    /// # Errors
    ///
    /// The taker's own; it ends the reading.
    fn item(&mut self, item: Item<'_>) -> std::result::Result<Flow, E>;

    /// Takes a record of which only the value or the payload matters; `false` if it wants
    /// the item. Records are many: fields common to all are in the items.
    ///
    /// # Errors
    ///
    /// The taker's own; it ends the reading.
    #[inline]
    fn value(
        &mut self,
        _offset: Offset,
        _payload: &[u8],
        _value: &[u8],
    ) -> std::result::Result<bool, E> {
        Ok(false)
    }
}

/// A function that takes items.
pub(super) struct Each<F>(pub F);

impl<E, F> Taker<E> for Each<F>
where
    F: FnMut(Item<'_>) -> std::result::Result<Flow, E>,
{
    #[inline]
    fn item(&mut self, item: Item<'_>) -> std::result::Result<Flow, E> {
        (self.0)(item)
    }
}

/// The slots of valid records from one on: the first, and the last.
#[derive(Default)]
struct Sound {
    from: u64,
    first_only: bool,
    found: Option<u64>,
}

impl Visitor for Sound {
    const PAYLOADS: bool = false;

    fn record(&mut self, record: &Committed<'_>) -> Result<Flow> {
        if record.slot >= self.from {
            self.found = Some(record.slot);
            if self.first_only {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The first of these slots whose record is valid.
pub(super) fn first_sound(
    segment: &Segment,
    codec: Codec,
    entries: u64,
    slots: Range<u64>,
) -> Result<Option<u64>> {
    look_for_sound(segment, codec, entries, slots, true)
}

/// The last of these slots whose record is valid.
pub(super) fn last_sound(
    segment: &Segment,
    codec: Codec,
    entries: u64,
    slots: Range<u64>,
) -> Result<Option<u64>> {
    look_for_sound(segment, codec, entries, slots, false)
}

fn look_for_sound(
    segment: &Segment,
    codec: Codec,
    entries: u64,
    slots: Range<u64>,
    first_only: bool,
) -> Result<Option<u64>> {
    let mut walk = segment.walk(codec, entries, LOOKUP_BYTES);
    walk.seek(slots.start)?;
    let mut sound = Sound {
        from: slots.start,
        first_only,
        found: None,
    };
    let _ = walk.run(slots.end, &mut sound)?;
    Ok(sound.found)
}

/// Walks along the requested part of one segment (first and last offset). The walk begins
/// before it.
pub(super) fn walk_segment<E: From<Error>>(
    segment: &Segment,
    mut walk: Walk,
    (first, last): (Offset, Offset),
    taker: &mut impl Taker<E>,
) -> std::result::Result<Flow, E> {
    let first_slot = first.since(segment.base);
    let end_slot = last.since(segment.base).saturating_add(1);
    let end_slot = end_slot.min(walk.entries());
    let mut adapter = Adapter {
        segment,
        first_slot,
        end_slot,
        taker,
        failure: None,
    };
    let flow = walk.run(end_slot, &mut adapter);
    if let Some(failure) = adapter.failure {
        return Err(failure);
    }
    Ok(flow?)
}

/// Makes records of slots.
struct Adapter<'s, T, E> {
    segment: &'s Segment,
    first_slot: u64,
    end_slot: u64,
    taker: &'s mut T,
    /// The error of the receiver, passed through the walk.
    failure: Option<E>,
}

impl<T: Taker<E>, E> Adapter<'_, T, E> {
    /// A record whose payload is not in memory.
    #[cold]
    fn large_record(&mut self, record: &Committed<'_>) -> Flow {
        let start = record.position.0 + LENGTH_BYTES;
        let file = |range: Range<u64>| {
            Content::File(
                self.segment.store.clone(),
                start + range.start,
                range.end - range.start,
            )
        };
        let layout = record.layout.clone().unwrap_or(Layout {
            value: 0..record.payload_bytes,
            ..Layout::default()
        });
        let view = RecordView {
            offset: self.segment.base.saturating_add(record.slot),
            segment: self.segment.base,
            position: record.position,
            value: file(layout.value),
            payload: file(0..record.payload_bytes),
            term: layout.term,
            record_type: layout.record_type,
        };
        self.hand(Item::Record(&view))
    }

    #[inline]
    fn hand(&mut self, item: Item<'_>) -> Flow {
        match self.taker.item(item) {
            Ok(flow) => flow,
            Err(error) => self.failed(error),
        }
    }

    #[cold]
    fn failed(&mut self, error: E) -> Flow {
        self.failure = Some(error);
        ControlFlow::Break(())
    }
}

impl<T: Taker<E>, E> Visitor for Adapter<'_, T, E> {
    const PAYLOADS: bool = true;

    #[inline]
    fn record(&mut self, record: &Committed<'_>) -> Result<Flow> {
        // A walk begins before the first slot, where it finds a footing.
        if record.slot < self.first_slot || record.slot >= self.end_slot {
            return Ok(ControlFlow::Continue(()));
        }
        let (Some(payload), layout) = (record.payload, &record.layout) else {
            return Ok(self.large_record(record));
        };
        let (value, term, record_type) = match layout {
            None => (payload, 0, 0),
            Some(layout) => {
                let range = usize::try_from(layout.value.start).unwrap_or(usize::MAX)
                    ..usize::try_from(layout.value.end).unwrap_or(usize::MAX);
                let value = payload.get(range).unwrap_or_default();
                (value, layout.term, layout.record_type)
            }
        };
        let view = RecordView {
            offset: self.segment.base.saturating_add(record.slot),
            segment: self.segment.base,
            position: record.position,
            value: Content::Memory(value),
            payload: Content::Memory(payload),
            term,
            record_type,
        };
        Ok(self.hand(Item::Record(&view)))
    }

    #[inline]
    fn value(&mut self, slot: u64, payload: &[u8], value: Range<u64>) -> Result<Option<Flow>> {
        if slot < self.first_slot || slot >= self.end_slot {
            return Ok(None);
        }
        let offset = self.segment.base.saturating_add(slot);
        let value = payload.get(to_usize(value.start)..to_usize(value.end));
        Ok(
            match self.taker.value(offset, payload, value.unwrap_or_default()) {
                Ok(true) => Some(ControlFlow::Continue(())),
                Ok(false) => None,
                Err(error) => Some(self.failed(error)),
            },
        )
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        let base = self.segment.base;
        let (mut first, mut last) = (damage.first_slot, damage.last_slot);
        // Entries off their boundaries claim slots that may be before their place.
        if damage.kind != DamageKind::Misaligned {
            if last < self.first_slot || first >= self.end_slot {
                return Ok(ControlFlow::Continue(()));
            }
            first = first.max(self.first_slot);
            last = last.min(self.end_slot - 1);
        }
        let first = base.saturating_add(first);
        let last = base.saturating_add(last);
        Ok(self.hand(Item::Obstacle {
            obstacle: Obstacle::Damage {
                segment: base,
                damage,
            },
            first,
            last: Some(last),
        }))
    }
}
