//! One segment that is open for reading: its two files as they were at one moment, how
//! many of its entries are real, and which of those name intact frames. Readers never
//! write; the writing half of a segment is `writer`.

use super::dir::FilePath;
use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result, readable};
use super::format::{ENTRY_BYTES, Entry, FileKind, LENGTH_BYTES, frame_end, is_marked_length};
use super::index::Index;
use super::record::Codec;
use super::units::{Offset, Position};
use super::walk::Walk;
use super::window::{LOOKUP_BYTES, ReadFile, Window};

/// Entries that are inspected together where the last complete one is searched.
const ENTRIES_FROM_BEHIND: u64 = 256;

/// A segment's two files, open for reading.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The offset of the segment's first record.
    pub base: Offset,
    /// The frames.
    pub store: ReadFile,
    /// The entries.
    pub index: ReadFile,
    /// Number of real entries, if [`Segment::fix`] has counted them.
    pub entries: Option<u64>,
    /// The base offset of the next segment.
    pub next_base: Option<Offset>,
}

impl Segment {
    /// Opens both files. The index comes first, so that beside a writer that syncs
    /// frames before entries each entry seen has its frame.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::open`].
    pub fn open(directory: &Directory, names: &SegmentNames) -> Result<Self> {
        Self::open_by(directory, names, ReadFile::open)
    }

    /// The same of files that were regular ones when their directory was listed.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::open`].
    pub fn open_listed(directory: &Directory, names: &SegmentNames) -> Result<Self> {
        Self::open_by(directory, names, ReadFile::open_listed)
    }

    fn open_by(
        directory: &Directory,
        names: &SegmentNames,
        open: fn(&FilePath) -> Result<ReadFile>,
    ) -> Result<Self> {
        let index = open(&directory.file(names, FileKind::Index))?;
        let store = open(&directory.file(names, FileKind::Store))?;
        Ok(Self {
            base: names.base,
            store,
            index,
            entries: None,
            next_base: directory.next_base(names.base),
        })
    }

    /// Opens a store alone, with an index that has no entry.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::open`].
    pub fn without_index(directory: &Directory, names: &SegmentNames) -> Result<Self> {
        let store = ReadFile::open(&directory.file(names, FileKind::Store))?;
        let next_base = directory.next_base(names.base);
        Ok(Self::of_store(names.base, store, next_base))
    }

    /// A store that is open already, with an index that has no entry.
    pub(crate) fn of_store(base: Offset, store: ReadFile, next_base: Option<Offset>) -> Self {
        let mut index = store.clone();
        index.file_bytes = 0;
        Self {
            base,
            store,
            index,
            entries: Some(0),
            next_base,
        }
    }

    /// The entries, read `read_bytes` at once.
    #[must_use]
    pub fn entries(&self, read_bytes: usize) -> Index {
        Index::of(self.index.clone(), read_bytes)
    }

    /// A walk along the first `entries` entries.
    #[must_use]
    pub fn walk(&self, codec: Codec, entries: u64, read_bytes: usize) -> Walk {
        Walk::new(
            self.base,
            codec,
            self.entries(read_bytes),
            Window::new(self.store.clone(), read_bytes),
            entries,
        )
    }

    /// Number of real entries, found by bisection: for lookups.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn bisect_entries(&self, codec: Option<Codec>) -> Result<u64> {
        self.bisect_entries_in(&mut self.entries(LOOKUP_BYTES), codec)
    }

    /// The same by an index that is open already.
    pub(crate) fn bisect_entries_in(&self, index: &mut Index, codec: Option<Codec>) -> Result<u64> {
        if let Some(entries) = self.entries {
            return Ok(entries);
        }
        let entries = index.bisect_end()?;
        self.with_entry_zero(entries, index.slots(), codec)
    }

    /// The same for the lookup of one slot: if its entry lies after a hole that misled
    /// the bisection, all of the padding is read.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn entries_for(&self, slot: u64, codec: Codec) -> Result<u64> {
        let entries = self.bisect_entries(Some(codec))?;
        let mut index = self.entries(LOOKUP_BYTES);
        if slot < entries || slot >= index.slots() || index.entry(slot)?.is_unused() {
            return Ok(entries);
        }
        self.count_entries(Some(codec))
    }

    /// Number of real entries, by a scan of all of the padding: for reading to the end,
    /// recovery and verify.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn count_entries(&self, codec: Option<Codec>) -> Result<u64> {
        self.count_entries_in(&mut self.entries(LOOKUP_BYTES), codec)
    }

    /// The same by an index that is open already.
    pub(crate) fn count_entries_in(&self, index: &mut Index, codec: Option<Codec>) -> Result<u64> {
        if let Some(entries) = self.entries {
            return Ok(entries);
        }
        let slots = index.slots();
        let end = index.used_end(slots * ENTRY_BYTES)?;
        self.with_entry_zero(end.div_ceil(ENTRY_BYTES), slots, codec)
    }

    /// The same; all slots if the disk does not give the padding.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`], [`Error::Io`].
    pub(crate) fn entries_or_slots(&self, codec: Codec) -> Result<u64> {
        self.entries_or_slots_in(&mut self.entries(LOOKUP_BYTES), codec)
    }

    /// The same by an index that is open already.
    pub(crate) fn entries_or_slots_in(&self, index: &mut Index, codec: Codec) -> Result<u64> {
        let entries = readable(self.count_entries_in(index, Some(codec)))?;
        Ok(entries.unwrap_or(self.index.file_bytes / ENTRY_BYTES))
    }

    /// Entry 0 is all zeros, like padding; it is real if the store holds an intact frame
    /// at 0. An empty one is a record at offset 0, and anywhere in a raw log, but never
    /// elsewhere in a protobuf log. If the codec is unknown, it is one if the store holds
    /// nothing else.
    pub(super) fn with_entry_zero(
        &self,
        entries: u64,
        slots: u64,
        codec: Option<Codec>,
    ) -> Result<u64> {
        let store_bytes = self.store.file_bytes;
        if entries > 0 || slots == 0 || store_bytes < LENGTH_BYTES {
            return Ok(entries);
        }
        let mut store = Window::new(self.store.clone(), LOOKUP_BYTES);
        let payload_bytes = store.length_at(0)?;
        let whole = frame_end(Position(0), payload_bytes, store_bytes).is_some();
        let record = match codec {
            _ if payload_bytes > 0 => true,
            Some(Codec::Raw) => true,
            // A length after it, of an unfinished batch too, or the one at 0 was lost.
            _ if self.base.0 == 0 => {
                store_bytes < 2 * LENGTH_BYTES
                    || store.length_at(LENGTH_BYTES)? >> 32 == 0
                    || is_marked_length(store.bytes(LENGTH_BYTES, 8)?)
            }
            Some(Codec::Protobuf) => false,
            None => store_bytes == LENGTH_BYTES,
        };
        Ok(u64::from(whole && record))
    }

    /// Number of the first `entries` entries that name frames that end within the store,
    /// as far as positions and lengths show: the rest, at the end, dangles.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn whole_entries(&self, entries: u64) -> Result<u64> {
        let mut index = self.entries(LOOKUP_BYTES);
        let mut store = Window::new(self.store.clone(), LOOKUP_BYTES);
        self.whole_entries_in(&mut index, &mut store, entries)
    }

    /// The same by an index and a store that are open already.
    pub(crate) fn whole_entries_in(
        &self,
        index: &mut Index,
        store: &mut Window,
        entries: u64,
    ) -> Result<u64> {
        let limit = self.store.file_bytes;
        let mut ends_within = |slot: u64, entry: Entry| -> Result<bool> {
            let position = entry.position;
            if u64::from(entry.relative.0) != slot
                || position.0.saturating_add(LENGTH_BYTES) > limit
            {
                return Ok(false);
            }
            let payload_bytes = store.length_at(position.0)?;
            Ok(frame_end(position, payload_bytes, limit).is_some())
        };
        // From the end, not by bisection: a damaged entry in the middle decides nothing.
        let mut end = entries;
        while end > 0 {
            let start = end.saturating_sub(ENTRIES_FROM_BEHIND);
            let count = usize::try_from(end - start).unwrap_or_default();
            let block = index.entries(start, count)?;
            for (slot, entry) in (start..end).rev().zip(block.iter().rev()) {
                if ends_within(slot, Entry::decode(entry))? {
                    return Ok(slot + 1);
                }
            }
            let is_hole = block
                .iter()
                .all(|entry| entry.iter().all(|&byte| byte == 0));
            end = if is_hole && start > 0 {
                // All of it is passed in one step, but for slot 0.
                let end = index.nonzero_end(start * ENTRY_BYTES)?;
                end.div_ceil(ENTRY_BYTES).max(1)
            } else {
                start
            };
        }
        Ok(0)
    }

    /// The same, with a scan of the last of these records, where the codec allows one.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn sound_entries(&self, codec: Codec, entries: u64) -> Result<u64> {
        let mut whole = self.whole_entries(entries)?;
        if codec == Codec::Protobuf && whole < entries {
            let mut walk = self.walk(codec, entries, LOOKUP_BYTES);
            while whole > 0 {
                let entry = walk.index().entry(whole - 1)?;
                if walk.confirmed(whole - 1, entry)? {
                    break;
                }
                whole = if entry.is_zero() {
                    // A hole is skipped in one step.
                    let end = walk.index().nonzero_end((whole - 1) * ENTRY_BYTES)?;
                    end.div_ceil(ENTRY_BYTES)
                } else {
                    whole - 1
                };
            }
        }
        Ok(whole)
    }
}

/// Whether an error says that a segment cannot be read, but others perhaps can.
#[must_use]
pub fn hides_segment(error: &Error) -> bool {
    is_absent(error) || is_closed(error) || matches!(error, Error::ForeignLayout { .. })
}

/// Whether an error says that a file cannot be opened, by this user or from this disk.
#[must_use]
pub fn is_closed(error: &Error) -> bool {
    // A link that is refused is an error of its own, not the system's.
    matches!(error, Error::Io { action: "open", source, .. }
        if matches!(source.raw_os_error(), Some(libc::EACCES | libc::EIO)))
}

/// Whether an error says that there is nothing to open, rather than that it failed.
#[must_use]
pub fn is_absent(error: &Error) -> bool {
    matches!(error, Error::Missing { .. } | Error::NotAFile { .. })
}
