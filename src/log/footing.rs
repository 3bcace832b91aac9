//! Revalidates the last record read: whether the last record that a follower delivered is
//! still valid; and makes all of them durable before the caller stores its position.

use std::io::ErrorKind;
use std::path::Path;

use super::dir::Dir;
use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::format::{FileKind, LENGTH_BYTES, frame_end};
use super::reader::{Content, RecordView};
use super::segment::{Segment, hides_segment};
use super::units::{Offset, Position};
use super::window::{LOOKUP_BYTES, ReadFile, Window};

/// Bytes at each end of a payload by which it is known again.
const KNOWN_BYTES: usize = 64;

/// The result for the records that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewritten {
    /// The directory is gone, or holds no segment any more.
    Removed,
    /// Another directory has its name.
    Replaced,
    /// The log does not reach this offset any more.
    Cut(Offset),
    /// Another record has this offset.
    Changed(Offset),
    /// A segment that was not there claims this offset too.
    Forked {
        /// The segment's base offset.
        segment: Offset,
        /// The last offset that was read.
        offset: Offset,
    },
}

/// The last record that was read: as long as it is valid, so do those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footing {
    /// The base of its segment.
    pub segment: Offset,
    /// Its own offset.
    pub offset: Offset,
    position: Position,
    payload_bytes: u64,
    /// Its first and last bytes, if it was in memory.
    known: Option<([u8; KNOWN_BYTES], [u8; KNOWN_BYTES])>,
}

/// The first and the last bytes of a payload; a short one is filled up with zeros.
fn ends_of(payload: &[u8]) -> ([u8; KNOWN_BYTES], [u8; KNOWN_BYTES]) {
    let (mut head, mut tail) = ([0; KNOWN_BYTES], [0; KNOWN_BYTES]);
    let count = payload.len().min(KNOWN_BYTES);
    let fill = |to: &mut [u8; KNOWN_BYTES], from: Option<&[u8]>| {
        if let (Some(to), Some(from)) = (to.get_mut(..count), from) {
            to.copy_from_slice(from);
        }
    };
    fill(&mut head, payload.get(..count));
    fill(&mut tail, payload.get(payload.len() - count..));
    (head, tail)
}

impl Footing {
    #[inline]
    pub fn of(record: &RecordView<'_>) -> Self {
        Self {
            segment: record.segment,
            offset: record.offset,
            position: record.position,
            payload_bytes: record.payload.len(),
            known: match &record.payload {
                Content::Memory(payload) => Some(ends_of(payload)),
                Content::File(..) => None,
            },
        }
    }

    /// Whether this is the record, as it was or with its value redacted.
    pub fn is_of(&self, record: &RecordView<'_>) -> Result<bool> {
        let now = Self::of(record);
        let known = self.known;
        Ok(now == *self || Self { known, ..now } == *self && record.value.redacted()?.is_some())
    }

    /// The result for the record, if it changed. A segment whose files are being replaced
    /// gives no result.
    pub fn lost(&self, directory: &Directory) -> Result<Option<Rewritten>> {
        let cut = Some(Rewritten::Cut(self.offset));
        let changed = Some(Rewritten::Changed(self.offset));
        let Some(names) = names_of(directory, self.segment) else {
            let trimmed = directory
                .segments
                .first()
                .is_some_and(|first| first.base > self.offset);
            return Ok(if trimmed { None } else { cut });
        };
        let segment = match Segment::open(directory, names) {
            Ok(segment) => segment,
            Err(error) if hides_segment(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let slot = self.offset.since(self.segment);
        let mut index = segment.entries(LOOKUP_BYTES);
        if slot >= index.slots() {
            return Ok(cut);
        }
        let entry = index.entry(slot)?;
        if slot > 0 && entry.is_zero() {
            return Ok(cut);
        }
        if u64::from(entry.relative.0) != slot || entry.position != self.position {
            return Ok(changed);
        }
        let store_bytes = segment.store.file_bytes;
        if frame_end(self.position, self.payload_bytes, store_bytes).is_none() {
            return Ok(cut);
        }
        let mut store = Window::new(segment.store, LOOKUP_BYTES);
        if store.length_at(self.position.0)? != self.payload_bytes {
            return Ok(changed);
        }
        if let (Some(known), Ok(count)) = (self.known, usize::try_from(self.payload_bytes)) {
            // It was in memory before, so it is not too large for it.
            let payload = store.bytes(self.position.0 + LENGTH_BYTES, count)?;
            if ends_of(payload) != known {
                return Ok(changed);
            }
        }
        Ok(None)
    }
}

/// The names of the segment that begins at `base`.
pub(super) fn names_of(directory: &Directory, base: Offset) -> Option<&SegmentNames> {
    let at = directory.segment_of(base)?;
    directory
        .segments
        .get(at)
        .filter(|names| names.base == base)
}

/// Makes the records read durable: every segment that holds one of the offsets from
/// `from` up to `next` (excluded), store before index, and the directory. A position
/// stored afterwards is within the log after a power cut.
///
/// # Errors
///
/// [`Error::Io`]. A removed segment or directory is not an error.
pub fn sync_read(dir: &Dir, from: Offset, next: Offset) -> Result<()> {
    let directory = match Directory::list_in(dir) {
        // Removed: nothing of it is left to sync.
        Err(Error::NoDirectory { .. }) => return Ok(()),
        listed => listed?,
    };
    let sync = |file: &std::fs::File, path: &Path| match file.sync_data() {
        // A file system that cannot be written has nothing to sync.
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Err(Error::io("sync", path)(error))
        }
        _ => Ok(()),
    };
    let first = directory.segment_of(from).unwrap_or(0);
    let segments = directory.segments.get(first..).unwrap_or_default();
    for names in segments.iter().take_while(|names| names.base < next) {
        for kind in [FileKind::Store, FileKind::Index] {
            let path = directory.file(names, kind);
            match ReadFile::open(&path) {
                Ok(file) => sync(file.file(), &path)?,
                Err(error) if hides_segment(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let opened = dir.reopen().map_err(Error::io("open", dir.path()))?;
    sync(&opened, dir.path())
}
