//! An index entry by entry, each with the judgement that `verify` makes of it: what
//! `dump-index` prints. Walks in bounded memory; continues after damage; the words are
//! `render`'s.

use std::ops::ControlFlow;

use super::finding::FindingId;
use super::usage::Buffered;
use crate::log::damage::{Damage, DamageKind};
use crate::log::directory::{Directory, SegmentNames};
use crate::log::error::{Error, Result, readable};
use crate::log::format::{ENTRY_BYTES, Entry, FileKind, LENGTH_BYTES};
use crate::log::index::Index;
use crate::log::live::{self, Count};
use crate::log::record::Codec;
use crate::log::segment::{Segment, is_absent};
use crate::log::units::{Offset, Position, RelativeOffset};
use crate::log::walk::{Committed, Flow, Visitor};
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};

/// The values that differ from those that the rest of the log implies. A value that is as
/// expected, or without a known expectation, is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Under which id `verify` reports it.
    pub id: FindingId,
    /// The relative offset that the entry's place demands.
    pub relative: Option<u64>,
    /// The expected position of the frame of the slot.
    pub position: Option<u64>,
    /// The expected value of the length field there. Bytes.
    pub payload_bytes: Option<u64>,
    /// The offset in the record there, if it differs from its own.
    pub carries: Option<u64>,
    /// In whose buffer the frame waits, if it waits in one: then nothing is wrong.
    pub buffered: Option<Buffered>,
}

/// One entry as it is in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView {
    /// Its number, counted from the segment's base; `None` off the 12-byte boundaries.
    pub slot: Option<u64>,
    /// Position in the index.
    pub index_position: u64,
    /// The decoded entry.
    pub entry: Entry,
    /// The offset that it claims by its place; `None` past 2^64 - 1.
    pub offset: Option<Offset>,
    /// The value of the length field at the position that it names, if that is in the
    /// store and can be read. Bytes.
    pub payload_bytes: Option<u64>,
    /// The finding; `None` for a valid entry.
    pub fault: Option<Fault>,
}

/// An item of an index, in the order of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryItem {
    /// An entry, valid or not.
    Entry(EntryView),
    /// An entry that the disk does not give back.
    Unreadable {
        /// Its number.
        slot: u64,
        /// Position in the index.
        index_position: u64,
    },
    /// Zeros that are no entry. Units: bytes.
    Padding {
        /// Position in the index.
        position: u64,
        /// Number of bytes.
        bytes: u64,
    },
    /// Bytes at the end that make no complete entry.
    Partial {
        /// Position in the index.
        position: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

impl EntryItem {
    /// Position in the index, and number of bytes.
    #[must_use]
    pub fn place(&self) -> (u64, u64) {
        match self {
            Self::Entry(view) => (view.index_position, ENTRY_BYTES),
            Self::Unreadable { index_position, .. } => (*index_position, ENTRY_BYTES),
            Self::Padding { position, bytes } => (*position, *bytes),
            Self::Partial { position, bytes } => (*position, bytes.len() as u64),
        }
    }

    /// Whether byte `position` of the index belongs to it.
    #[must_use]
    pub fn covers(&self, position: u64) -> bool {
        let (start, bytes) = self.place();
        position >= start && position - start < bytes
    }
}

/// One segment whose index is dumped.
#[derive(Debug)]
pub struct IndexDump {
    base: Offset,
    codec: Codec,
    index: ReadFile,
    store: Option<ReadFile>,
    /// Real entries: those before the padding.
    pub entries: u64,
}

impl IndexDump {
    /// Opens a segment; `None` if it has no index. One without store is dumped too.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::open`].
    pub fn open(directory: &Directory, names: &SegmentNames, codec: Codec) -> Result<Option<Self>> {
        live::undisturbed(|| Self::open_once(directory, names, codec))
    }

    fn open_once(
        directory: &Directory,
        names: &SegmentNames,
        codec: Codec,
    ) -> Result<Option<Self>> {
        let open = |kind| match ReadFile::open(&directory.file(names, kind)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        };
        // The index first, as everywhere.
        let Some(index) = open(FileKind::Index)? else {
            return Ok(None);
        };
        let store = open(FileKind::Store)?;
        let mut dump = Self {
            base: names.base,
            codec,
            index,
            store,
            entries: 0,
        };
        dump.entries = match dump.pair() {
            Some(mut pair) => {
                pair.fix(Some(codec), Count::All)?;
                dump.store = Some(pair.store.clone());
                pair.count_entries(Some(codec))
            }
            None => dump.count_without_store(),
        }
        .or_else(|error| match error {
            Error::Unreadable { .. } => Ok(dump.index.file_bytes / ENTRY_BYTES),
            error => Err(error),
        })?;
        Ok(Some(dump))
    }

    /// The index's size. Units: bytes.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.index.file_bytes
    }

    /// The store's size, if any. Units: bytes.
    #[must_use]
    pub fn store_bytes(&self) -> Option<u64> {
        self.store.as_ref().map(|store| store.file_bytes)
    }

    fn pair(&self) -> Option<Segment> {
        Some(Segment {
            base: self.base,
            store: self.store.clone()?,
            index: self.index.clone(),
            entries: None,
            next_base: None,
        })
    }

    fn count_without_store(&self) -> Result<u64> {
        let mut index = Index::of(self.index.clone(), LOOKUP_BYTES);
        let slots = index.slots();
        Ok(index.used_end(slots * ENTRY_BYTES)?.div_ceil(ENTRY_BYTES))
    }

    /// Passes the items of the index from `slot` on, until the callback breaks.
    ///
    /// # Errors
    ///
    /// The callback's; [`Error::Shrunk`], [`Error::Io`].
    pub fn each<E: From<Error>>(
        &self,
        slot: u64,
        each: impl FnMut(&EntryItem) -> std::result::Result<Flow, E>,
    ) -> std::result::Result<(), E> {
        let store = self.store.clone();
        let mut judge = Judge {
            base: self.base,
            first_slot: slot,
            index: Index::of(self.index.clone(), LOOKUP_BYTES),
            store: store.map(|store| Window::new(store, LOOKUP_BYTES)),
            end: slot.min(self.entries) * ENTRY_BYTES,
            each,
            failed: None,
        };
        let flow = match self.pair() {
            Some(pair) => {
                let mut walk = pair.walk(self.codec, self.entries, STREAM_BYTES);
                walk.seek(slot)?;
                walk.run(u64::MAX, &mut judge)
            }
            None => judge.without_store(slot, self.entries),
        };
        if let Some(error) = judge.failed.take() {
            return Err(error);
        }
        if flow?.is_continue() {
            let _ = judge.rest()?;
        }
        judge.failed.map_or(Ok(()), Err)
    }
}

/// Turns the results of a walk into items.
struct Judge<F, E> {
    base: Offset,
    /// Slots before it are walked along but not handed over.
    first_slot: u64,
    index: Index,
    store: Option<Window>,
    /// The end in the index of the last item passed on.
    end: u64,
    each: F,
    /// The callback's error, which is not the walk's.
    failed: Option<E>,
}

impl<F, E> Judge<F, E>
where
    F: FnMut(&EntryItem) -> std::result::Result<Flow, E>,
{
    #[inline]
    fn hand(&mut self, item: &EntryItem) -> Flow {
        match (self.each)(item) {
            Ok(flow) => flow,
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// One slot of a damage: actual and expected values.
    fn damaged_slot(&mut self, slot: u64, damage: &Damage) -> Result<Flow> {
        let index_position = if damage.kind == DamageKind::Misaligned {
            damage.position + (slot - damage.first_slot) * ENTRY_BYTES
        } else {
            slot * ENTRY_BYTES
        };
        self.end = index_position + ENTRY_BYTES;
        let bytes = match self.index.bytes(index_position, 12) {
            Ok(bytes) => bytes.try_into().unwrap_or_default(),
            Err(Error::Unreadable { .. }) => {
                return Ok(self.hand(&EntryItem::Unreadable {
                    slot,
                    index_position,
                }));
            }
            Err(error) => return Err(error),
        };
        let entry = Entry::decode(&bytes);
        let misaligned = damage.kind == DamageKind::Misaligned;
        let view = EntryView {
            slot: (!misaligned).then_some(slot),
            index_position,
            entry,
            offset: self.base.checked_add(slot),
            payload_bytes: self.payload_bytes_at(entry.position)?,
            fault: Some(fault(slot, entry, damage)),
        };
        Ok(self.hand(&EntryItem::Entry(view)))
    }

    /// The length field at a position, if it lies in the store and can be read.
    fn payload_bytes_at(&mut self, position: Position) -> Result<Option<u64>> {
        let Some(store) = &mut self.store else {
            return Ok(None);
        };
        if position.0.saturating_add(LENGTH_BYTES) > store.file_bytes() {
            return Ok(None);
        }
        readable(store.length_at(position.0))
    }

    /// All entries of an index whose store is gone.
    fn without_store(&mut self, from: u64, entries: u64) -> Result<Flow> {
        let lost = |slot| Damage {
            kind: DamageKind::Dangling,
            first_slot: slot,
            last_slot: slot,
            file: FileKind::Store,
            position: 0,
            bytes: 0,
            got: None,
            expected: None,
            frame: None,
            record_whole: false,
            unfinished: false,
        };
        for slot in from..entries {
            if self.damaged_slot(slot, &lost(slot))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The rest after the last entry: padding, and possibly a partial entry.
    fn rest(&mut self) -> Result<Flow> {
        let file_bytes = self.index.file_bytes();
        let rest = file_bytes.saturating_sub(self.end);
        if rest == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        // A part of an entry is shorter than one, and is at the end.
        let position = (file_bytes / ENTRY_BYTES * ENTRY_BYTES).max(self.end);
        let count = usize::try_from(file_bytes - position).unwrap_or(0);
        let part = match self.index.bytes(position, count) {
            Ok(bytes) if bytes.iter().any(|&byte| byte != 0) => bytes.to_vec(),
            Ok(_) | Err(Error::Unreadable { .. }) => Vec::new(),
            // Truncated since: a service that closes its index removes the padding.
            Err(Error::Shrunk { .. }) => return Ok(ControlFlow::Continue(())),
            Err(error) => return Err(error),
        };
        if part.is_empty() {
            return Ok(self.padding_up_to(file_bytes));
        }
        if self.padding_up_to(position).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let bytes = part;
        Ok(self.hand(&EntryItem::Partial { position, bytes }))
    }

    /// Hands over the zeros between the last item and `position`, if any.
    fn padding_up_to(&mut self, position: u64) -> Flow {
        let bytes = position.saturating_sub(self.end);
        if bytes == 0 {
            return ControlFlow::Continue(());
        }
        let start = self.end;
        self.end = position;
        self.hand(&EntryItem::Padding {
            position: start,
            bytes,
        })
    }
}

impl<F, E> Visitor for Judge<F, E>
where
    F: FnMut(&EntryItem) -> std::result::Result<Flow, E>,
{
    const PAYLOADS: bool = false;

    #[inline]
    fn record(&mut self, record: &Committed<'_>) -> Result<Flow> {
        let slot = record.slot;
        if slot < self.first_slot {
            return Ok(ControlFlow::Continue(()));
        }
        self.end = (slot + 1) * ENTRY_BYTES;
        let relative = RelativeOffset(u32::try_from(slot).unwrap_or(u32::MAX));
        let view = EntryView {
            slot: Some(slot),
            index_position: slot * ENTRY_BYTES,
            entry: Entry {
                relative,
                position: record.position,
            },
            offset: self.base.checked_add(slot),
            payload_bytes: Some(record.payload_bytes),
            fault: None,
        };
        Ok(self.hand(&EntryItem::Entry(view)))
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        let misaligned = damage.kind == DamageKind::Misaligned;
        if misaligned && self.padding_up_to(damage.position).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let first = if misaligned {
            damage.first_slot
        } else {
            damage.first_slot.max(self.first_slot)
        };
        for slot in first..=damage.last_slot {
            if self.damaged_slot(slot, &damage)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The meaning of the damage for one of its slots. Figures refer to its first slot.
fn fault(slot: u64, entry: Entry, damage: &Damage) -> Fault {
    let mut fault = Fault {
        id: FindingId::from(damage.kind),
        relative: None,
        position: None,
        payload_bytes: None,
        carries: None,
        buffered: None,
    };
    if damage.kind == DamageKind::Dangling && damage.file == FileKind::Store {
        fault.id = FindingId::StoreMissing;
    }
    if damage.kind != DamageKind::Misaligned && u64::from(entry.relative.0) != slot {
        fault.relative = Some(slot);
    }
    if slot != damage.first_slot {
        return fault;
    }
    match damage.kind {
        DamageKind::Entry => {
            let frame = damage.frame.filter(|frame| *frame != entry.position);
            fault.position = frame.map(|frame| frame.0);
        }
        DamageKind::Length => fault.payload_bytes = damage.expected,
        DamageKind::OffsetMismatch => fault.carries = damage.got,
        _ => {}
    }
    fault
}
