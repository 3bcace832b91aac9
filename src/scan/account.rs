//! The account of a segment: what each byte of its two files is, by the reading that needs
//! the fewest faults.

use std::ops::RangeInclusive;

pub use super::frames::Doubt;
use crate::log::error::Result;
use crate::log::format::Entry;
use crate::log::record::Codec;
use crate::log::units::{Offset, Position, RelativeOffset};
use crate::log::window::{ReadFile, Window};

/// Bytes that a running service keeps of its store in memory.
pub(super) const SERVICE_BUFFER_BYTES: u64 = 4096;

/// The two files of a segment, and known facts.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The store, up to where it is judged.
    pub store: &'a ReadFile,
    /// The index, if any.
    pub index: Option<&'a ReadFile>,
    /// The segment's base offset.
    pub base: Offset,
    /// The log's codec.
    pub codec: Codec,
    /// The base offset of the next segment.
    pub next_base: Option<Offset>,
    /// Number of entries from slot 0 on that are known to be right.
    pub sound_entries: u64,
    /// Whether frames without entries are trusted: a person decided so.
    pub trust_tail: bool,
}

impl Input<'_> {
    /// The index, or one that has no entry.
    pub(super) fn index_file(&self) -> ReadFile {
        let mut file = self.index.unwrap_or(self.store).clone();
        if self.index.is_none() {
            file.file_bytes = 0;
        }
        file
    }
}

/// Entries of an index, for consecutive slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entries {
    /// The first slot.
    pub first_slot: u64,
    /// Number of slots.
    pub count: u64,
    /// The position that the first entry names. Units: bytes.
    pub position: Position,
    /// Whether each next entry names the end of the frame before; else all name the same
    /// position, for their frames are not there.
    pub follow: bool,
}

impl Entries {
    /// Hands over the entries, and whether the frame is there that each names.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub(crate) fn each(
        &self,
        store: &mut Window,
        mut each: impl FnMut(Entry, bool) -> Result<()>,
    ) -> Result<()> {
        let mut position = self.position;
        for slot in self.first_slot..self.first_slot.saturating_add(self.count) {
            let end = if self.follow {
                store.frame_end_at(position.0)?
            } else {
                Some(position)
            };
            let relative = u32::try_from(slot);
            let entry = Entry {
                relative: RelativeOffset(relative.unwrap_or(u32::MAX)),
                position,
            };
            each(entry, end.is_some() && relative.is_ok())?;
            position = end.unwrap_or(position);
        }
        Ok(())
    }
}

/// Why the records of some offsets cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// Their bytes are damaged where the record should be.
    Missing,
    /// The frame's length is wrong; its value is intact.
    Length,
    /// The payload is damaged, or has another offset.
    Payload,
    /// Eight zero bytes are where the record was.
    Zeros,
}

/// Offsets whose records cannot be read, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged {
    /// The first offset.
    pub first: Offset,
    /// The last offset.
    pub last: Offset,
    /// Why.
    pub loss: Loss,
}

/// The kind of bytes without an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unreferenced {
    /// Between two records that follow each other: no record is missing.
    Dead,
    /// Bytes where records were.
    Junk,
    /// An append that the service refused.
    Refused,
    /// An earlier copy of a record whose offset a later one has.
    Repeated,
    /// A record of another history.
    Second,
    /// An intact frame that nothing numbers.
    Unnumbered,
    /// A frame that the store's end cuts short.
    Torn,
    /// Zeros up to the store's end.
    Zeros,
}

/// Bytes of the store that no entry names. Units: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Position in the file.
    pub position: u64,
    /// Number of bytes.
    pub bytes: u64,
    /// Number of frames, if they are frames.
    pub frames: u64,
    /// Their kind.
    pub kind: Unreferenced,
}

/// A wrong entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongEntry {
    /// Its slot.
    pub slot: u64,
    /// The position that it names, or its relative offset where that is wrong.
    pub got: u64,
    /// The right entry.
    pub expected: u64,
}

/// A record under an offset that another record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contested {
    /// The offset that both claim.
    pub offset: Offset,
    /// Position of the frame.
    pub position: Position,
}

/// The meaning of every byte of a segment, from its first fault on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The first slot that the account speaks of; the entries before it are right.
    pub first_slot: u64,
    /// The entries from there on, as they should be.
    pub entries: Vec<Entries>,
    /// Number of entries that the index should have in all.
    pub slots: u64,
    /// Records from `first_slot` on that can be read by these entries.
    pub records: u64,
    /// Records among these that no entry of the index names.
    pub unindexed: u64,
    /// The slot after the last record, readable or not.
    pub end_slot: u64,
    /// The slot after the last one that an entry of the index as it was found names, or
    /// the first slot.
    pub promised_end: u64,
    /// The entries that are not in the index as they should be, in ascending order.
    pub writes: Vec<Entries>,
    /// The first wrong entry that is not padding.
    pub first_wrong: Option<WrongEntry>,
    /// Unused slots up to the index's end: the byte at which they begin, and their bytes.
    pub padding: Option<(u64, u64)>,
    /// Entries of the index that are at another place than their own: the byte at which
    /// the first one begins, and the slots that they name, the last one excluded.
    pub misplaced: Option<(u64, u64, u64)>,
    /// Whether the index is nothing but entries from slot 0 and padding, all of them right.
    pub index_sound: bool,
    /// Whether the index is to be left as it is until a person has decided.
    pub keep_index: bool,
    /// Where the store may be cut; its size if nothing may be cut.
    pub store_end: u64,
    /// The end of the last record, readable or not. Units: bytes.
    pub records_end: u64,
    /// Offsets without a readable record.
    pub damaged: Vec<Damaged>,
    /// Bytes of the store that no record has.
    pub unreferenced: Vec<Stretch>,
    /// Records of another history.
    pub contested: Vec<Contested>,
    /// The reasons for a decision by a person; empty if none is needed.
    pub doubts: Vec<Doubt>,
}

impl Account {
    /// Of a segment whose `slots` entries are all right, with nothing after its last
    /// frame.
    #[must_use]
    pub fn sound(slots: u64, records: u64, store_end: u64, padded: bool) -> Self {
        Self {
            first_slot: slots,
            entries: Vec::new(),
            slots,
            records: records.saturating_sub(slots),
            unindexed: 0,
            end_slot: slots,
            promised_end: slots,
            writes: Vec::new(),
            misplaced: None,
            first_wrong: None,
            padding: None,
            index_sound: !padded,
            keep_index: false,
            store_end,
            records_end: store_end,
            damaged: Vec::new(),
            unreferenced: Vec::new(),
            contested: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// The slots of acknowledged records that are lost if the log ends before slot `end`:
    /// entries of the index as it was found name them, and the last one all before it.
    #[must_use]
    pub fn lost_from(&self, end: u64) -> Option<RangeInclusive<u64>> {
        (end < self.promised_end).then(|| end..=self.promised_end - 1)
    }

    /// Whether nothing is unusual but frames that continue where the index ends.
    #[must_use]
    pub fn is_plain_tail(&self) -> bool {
        self.first_wrong.is_none()
            && self.misplaced.is_none()
            && self.contested.is_empty()
            && self.damaged.is_empty()
            && self.entries.iter().filter(|run| run.follow).count() <= 1
    }

    /// The same after a person decided to remove the bytes at the end that are not
    /// records.
    #[must_use]
    pub fn without_tail(mut self) -> Self {
        if self.keep_index {
            return self;
        }
        self.store_end = self.store_end.min(self.records_end);
        // Without the zeros after it the last record is an empty one.
        self.records += u64::from(self.doubts.contains(&Doubt::ZerosOrRecord));
        self.doubts.retain(|doubt| !doubt.is_about_the_tail());
        let end = self.end_slot;
        for runs in [&mut self.entries, &mut self.writes] {
            runs.retain(|run| run.first_slot < end);
        }
        self.slots = self.slots.min(end.max(self.first_slot));
        self
    }
}
