//! The entries of an index: how many of them are real, and which they are. Whether an
//! entry is valid is decided by `walk`, since that takes the store.

use super::dir::FilePath;
use super::error::{Result, readable};
use super::format::{ENTRY_BYTES, Entry, UNUSED};
use super::window::{LOOKUP_BYTES, ReadFile, Window};

/// An index that is open for reading.
#[derive(Debug)]
pub struct Index {
    window: Window,
}

impl Index {
    /// Opens an index; `read_bytes` is the size of one read.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::open`].
    pub fn open(path: &FilePath, read_bytes: usize) -> Result<Self> {
        Ok(Self::of(ReadFile::open(path)?, read_bytes))
    }

    /// An index in a file that is open already.
    #[must_use]
    pub fn of(file: ReadFile, read_bytes: usize) -> Self {
        Self {
            window: Window::new(file, read_bytes),
        }
    }

    /// The file's size when it was opened. Units: bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.window.file_bytes()
    }

    /// The file of the index.
    #[must_use]
    pub fn source(&self) -> &ReadFile {
        self.window.source()
    }

    /// Number of complete entries in the file, padding included.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.file_bytes() / ENTRY_BYTES
    }

    /// The entry in `slot`.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn entry(&mut self, slot: u64) -> Result<Entry> {
        let entries = self.entries(slot, 1)?;
        Ok(entries.first().map(Entry::decode).unwrap_or_default())
    }

    /// The first of the first `entries` slots whose entry names a later position than this one,
    /// or cannot be read; `entries` if none does. The positions ascend.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`], [`Error::Io`].
    pub fn slot_after(&mut self, position: u64, entries: u64) -> Result<u64> {
        let (mut low, mut high) = (0, entries);
        while low < high {
            let middle = low + (high - low) / 2;
            match readable(self.entry(middle))? {
                Some(entry) if entry.position.0 <= position => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The bytes of `count` entries from `slot` on, and at least of one.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    #[inline]
    pub fn entries(&mut self, slot: u64, count: usize) -> Result<&[[u8; 12]]> {
        let bytes = self.window.bytes(slot * ENTRY_BYTES, count * 12)?;
        let (entries, _) = bytes.as_chunks::<12>();
        Ok(entries)
    }

    /// Raw bytes of the file, wherever entries begin.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn bytes(&mut self, position: u64, count: usize) -> Result<&[u8]> {
        self.window.bytes(position, count)
    }

    /// Number of entries before the padding at the end, found by bisection: right for
    /// every index without a hole, at the cost of a few reads. An index whose entries are
    /// all unused counts as 0, though its first may be real.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn bisect_end(&mut self) -> Result<u64> {
        let slots = self.slots();
        if slots == 0 || !self.entry(slots - 1)?.is_unused() {
            return Ok(slots);
        }
        // Entry `low - 1` is real or low is 0; entry `high` is zero.
        let (mut low, mut high) = (0, slots - 1);
        // Entry 0 is zero in every valid index, so slot 0 decides nothing.
        while low < high {
            let middle = low + (high - low) / 2;
            if middle > 0 && self.entry(middle)?.is_unused() {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        if low == 1 && self.entry(0)?.is_unused() {
            return Ok(0);
        }
        Ok(low)
    }

    /// The byte after the last nonzero one before `limit`, found by reading every byte
    /// from there back: a hole before real entries does not mislead it.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn nonzero_end(&mut self, limit: u64) -> Result<u64> {
        match self.window.whole()? {
            // Too small to search for holes.
            Some(all) => {
                let before =
                    usize::try_from(limit).map_or(all, |limit| all.get(..limit).unwrap_or(all));
                let last = before.iter().rposition(|&byte| byte != 0);
                Ok(last.map_or(0, |last| last as u64 + 1))
            }
            None => self.window.source().nonzero_end(limit),
        }
    }

    /// As [`Index::nonzero_end`], without slots of 0xff at the end: unused too.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn used_end(&mut self, limit: u64) -> Result<u64> {
        let mut end = self.nonzero_end(limit)?;
        while let Some(start) = self.unused_from(end)? {
            end = self.nonzero_end(start)?;
        }
        Ok(end)
    }

    /// The slot after the one that the last entry names, at whatever byte it begins:
    /// after padding a service does not continue at the 12-byte boundaries. 0 if nothing
    /// there follows an entry.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn named_end(&mut self) -> Result<u64> {
        let used = self.used_end(self.file_bytes())?;
        // Its last bytes may be zeros.
        for end in used..(used + ENTRY_BYTES).min(self.file_bytes() + 1) {
            let Some(at) = end.checked_sub(2 * ENTRY_BYTES) else {
                continue;
            };
            let bytes = self.bytes(at, 24)?;
            let mut entries = bytes.as_chunks::<12>().0.iter().map(Entry::decode);
            if let (Some(before), Some(last)) = (entries.next(), entries.next())
                && before.relative.0.checked_add(1) == Some(last.relative.0)
                && before.position < last.position
            {
                return Ok(u64::from(last.relative.0) + 1);
            }
        }
        Ok(0)
    }

    /// The first of the slots of 0xff that end at `end`, if any.
    fn unused_from(&mut self, end: u64) -> Result<Option<u64>> {
        let mut start = end;
        let mut count = ENTRY_BYTES;
        while start > 0 {
            count = count.min(start);
            let bytes = usize::try_from(count).unwrap_or(LOOKUP_BYTES);
            let block = self.window.bytes(start - count, bytes)?;
            if let Some(last) = block.iter().rposition(|byte| *byte != UNUSED) {
                start -= count - last as u64 - 1;
                break;
            }
            start -= count;
            count = LOOKUP_BYTES as u64;
        }
        // The last byte of an entry may be 0xff too.
        let start = start.next_multiple_of(ENTRY_BYTES);
        Ok((start + ENTRY_BYTES <= end).then_some(start))
    }

    /// The first slot from `slot` on whose entry is not all zeros.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn next_nonzero(&mut self, slot: u64) -> Result<Option<u64>> {
        let found = self.window.source().first_nonzero(slot * ENTRY_BYTES)?;
        Ok(found.map(|position| position / ENTRY_BYTES))
    }
}
