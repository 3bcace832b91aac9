//! Reads files that another process may be writing. The Go service extends each index in
//! advance and writes its entries through a mapping; up to 4096 bytes of each store stay
//! in its memory while their entries are visible already; a store may end within a frame;
//! an index is truncated, and a segment removed, while they are read.
//!
//! So the entries are counted first, and the store's size is taken after that: then no
//! entry is ahead of the store by more than the writer's buffer. What was appended
//! meanwhile is not judged. What disagrees is read again before it is believed, and a
//! file that shrinks or vanishes is not an error but a reason to read again.

use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::format::{ENTRY_BYTES, LENGTH_BYTES};
use super::index::Index;
use super::record::Codec;
use super::segment::{Segment, is_absent};
use super::units::Position;
use super::window::{LOOKUP_BYTES, ReadFile};

/// Pauses before a log is read again that changed or disagreed with itself.
pub const PAUSES: [Duration; 5] = [
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];

/// How often an entry is read again that is half written or not there yet.
const ENTRY_TRIES: u32 = 8;

/// The pause before that.
const ENTRY_PAUSE: Duration = Duration::from_micros(200);

/// How the entries of an index are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// By reading all of the padding.
    All,
    /// By bisection, in a few reads.
    Bisect,
}

/// Whether an error says that a file shrank or vanished while it was read.
#[must_use]
pub fn is_disturbed(error: &Error) -> bool {
    matches!(error, Error::Shrunk { .. }) || is_absent(error)
}

/// Runs `read` until no file shrinks or vanishes under it, or until that happened too
/// often.
///
/// # Errors
///
/// Those of the last run.
pub fn undisturbed<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    for pause in PAUSES {
        match read() {
            Err(error) if is_disturbed(&error) => thread::sleep(pause),
            other => return other,
        }
    }
    read()
}

impl ReadFile {
    /// Takes the file's size again.
    pub(super) fn take_size(&mut self) -> Result<()> {
        let metadata = self.file().metadata();
        let metadata = metadata.map_err(Error::io("access", self.path()))?;
        self.file_bytes = metadata.len();
        self.data_bytes = metadata.blocks().saturating_mul(512);
        Ok(())
    }
}

impl Segment {
    /// Opens both files as [`Segment::open`] does, and fixes the ends that are judged.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`] and [`Segment::fix`].
    pub fn open_fixed(directory: &Directory, names: &SegmentNames, codec: Codec) -> Result<Self> {
        let mut segment = Self::open(directory, names)?;
        segment.fix(Some(codec), Count::All)?;
        Ok(segment)
    }

    /// Counts the entries, then takes the size of the store: a scan judges the files up
    /// to these two, whatever is appended meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`], [`Error::Io`]. Of an index that the disk does not give all
    /// entries are left to the scan.
    pub fn fix(&mut self, codec: Option<Codec>, count: Count) -> Result<()> {
        let entries = match self.count_stable(count) {
            Err(Error::Unreadable { .. }) => return self.store.take_size(),
            other => other?,
        };
        self.store.take_size()?;
        let slots = self.index.file_bytes / ENTRY_BYTES;
        match self.with_entry_zero(entries, slots, codec) {
            Err(Error::Unreadable { .. }) => {}
            entries => self.entries = Some(entries?),
        }
        Ok(())
    }

    /// Entries before the padding, the last of which is written to its end.
    fn count_stable(&self, count: Count) -> Result<u64> {
        let mut tries = 0;
        loop {
            let mut index = self.entries(LOOKUP_BYTES);
            let slots = index.slots();
            let entries = match count {
                Count::All => index.used_end(slots * ENTRY_BYTES)?.div_ceil(ENTRY_BYTES),
                Count::Bisect => index.bisect_end()?,
            };
            tries += 1;
            // A writer of an index without padding writes complete entries.
            if entries == slots || tries > ENTRY_TRIES || self.is_written(entries)? {
                return Ok(entries);
            }
            thread::sleep(ENTRY_PAUSE);
        }
    }

    /// Whether the last of these entries looks complete.
    fn is_written(&self, entries: u64) -> Result<bool> {
        let Some(before) = entries.checked_sub(2) else {
            return Ok(true);
        };
        let mut index = self.entries(0);
        let first = index.entry(before)?;
        let last = index.entry(before + 1)?;
        let end = first.position.0.saturating_add(LENGTH_BYTES);
        Ok(u64::from(last.relative.0) == before + 1 && last.position.0 >= end)
    }

    /// The position that the entry after the counted ones names, if it was appended since
    /// they were counted: it is at `end` or after it, where their frames end. A frame
    /// comes into the store a moment before its entry.
    ///
    /// # Errors
    ///
    /// As [`Segment::fix`].
    pub fn appended_since(&self, entries: u64, end: Position) -> Result<Option<Position>> {
        if self.entries.is_none() || self.store.file_bytes <= end.0 {
            return Ok(None);
        }
        for _ in 0..ENTRY_TRIES {
            let mut index = Index::of(self.index.clone(), 0);
            // Entry 0 looks like padding: the entry after it shows that it is an entry.
            let slot = entries.max(1);
            if slot >= index.slots() {
                return Ok(None);
            }
            match index.entry(slot) {
                Ok(next) if u64::from(next.relative.0) == slot && next.position > end => {
                    let first = if entries == 0 { end } else { next.position };
                    return Ok(Some(first));
                }
                Ok(next) if u64::from(next.relative.0) == slot && next.position == end => {
                    return Ok(Some(end));
                }
                Ok(_) => thread::sleep(ENTRY_PAUSE),
                Err(Error::Unreadable { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
