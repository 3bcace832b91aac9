//! Bytes of a file through a buffer of bounded size, by positioned reads. Nothing
//! is mapped: a file that shrinks under a reader is an error, not a SIGBUS.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dir::{FilePath, FileStatus, Links};
use super::error::{Error, Result, readable};
use super::format::{LENGTH_BYTES, frame_end};
use super::progress::WALKED;
use super::units::Position;

/// Bytes per read that only checks that they can be read.
const TRIED_BYTES: u64 = 64 * 1024;

/// Bytes read at once where a file is read through: the kernel is called once for
/// several hundred KiB.
pub const STREAM_BYTES: usize = 256 * 1024;

/// Bytes per read for the lookup of one record.
pub const LOOKUP_BYTES: usize = 4 * 1024;

/// The unit in which a disk fails.
const PAGE_BYTES: usize = 4096;

/// A regular file that is open for reading, as large as it was when it was opened.
#[derive(Debug, Clone)]
pub struct ReadFile {
    file: Arc<File>,
    path: PathBuf,
    /// Its size when it was opened. Units: bytes.
    pub file_bytes: u64,
    /// Number of its bytes then that were not a hole. Units: bytes.
    pub(super) data_bytes: u64,
}

impl ReadFile {
    /// Opens a regular file, links followed. Anything else under the name is never
    /// opened, since opening a device may do anything.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::NotAFile`], [`Error::Io`].
    pub fn open(path: &FilePath) -> Result<Self> {
        let metadata = path.metadata().map_err(Error::missing_or("access", path))?;
        if !metadata.is_file() {
            return Err(Error::not_a_file(path, metadata.is_dir()));
        }
        Self::open_listed(path)
    }

    /// Opens a file that was a regular one when its directory was listed, which saves a
    /// `stat`. If it is something else by now, the open does not block.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::open`].
    pub fn open_listed(path: &FilePath) -> Result<Self> {
        let (file, status) = path
            .open(Links::Followed)
            .map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput => Error::not_a_file(path, path.is_dir()),
                _ => Error::missing_or("open", path)(error),
            })?;
        Ok(Self::with(file, path, status))
    }

    /// Wraps a file that is open already.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if its size cannot be read.
    pub fn of(file: File, path: &Path) -> Result<Self> {
        let status = FileStatus::of(&file).map_err(Error::io("access", path))?;
        Ok(Self::with(file, path, status))
    }

    fn with(file: File, path: &Path, status: FileStatus) -> Self {
        Self {
            file: Arc::new(file),
            path: path.to_path_buf(),
            file_bytes: status.len(),
            data_bytes: status.data_bytes(),
        }
    }

    /// Number of its bytes that are not a hole, as far as the file system reports. Units:
    /// bytes.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes.min(self.file_bytes)
    }

    /// The path under which it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Reads exactly `buffer.len()` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`] where the file ends before, [`Error::Unreadable`] where the
    /// disk fails.
    pub fn read_at(&self, buffer: &mut [u8], position: u64) -> Result<()> {
        let wanted = buffer.len();
        if self.fill(buffer, position, wanted)? < wanted {
            return Err(self.shrunk());
        }
        Ok(())
    }

    /// Reads until at least `least` bytes are available or the file ends; returns their
    /// count.
    fn fill(&self, buffer: &mut [u8], position: u64, least: usize) -> Result<usize> {
        let mut filled = 0;
        while filled < least {
            let rest = buffer.get_mut(filled..).unwrap_or_default();
            match self.file.read_at(rest, position + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Unreadable {
                        path: self.path.clone(),
                        position: position + filled as u64,
                        bytes: (buffer.len() - filled) as u64,
                        source,
                    });
                }
            }
        }
        Ok(filled)
    }

    fn shrunk(&self) -> Error {
        Error::Shrunk {
            path: self.path.clone(),
            expected: self.file_bytes,
            file_bytes: self.file.metadata().map_or(0, |metadata| metadata.len()),
        }
    }
}

/// A buffer that slides over a file.
#[derive(Debug)]
pub struct Window {
    source: ReadFile,
    buffer: Vec<u8>,
    /// Position of the buffer's first byte in the file.
    start: u64,
    /// Number of bytes of the file in the buffer.
    filled: usize,
    /// Number of bytes per read.
    read_bytes: usize,
    /// Bytes that are not a hole, as of the last query.
    data: Range<u64>,
    bytes_read: u64,
}

impl Window {
    /// A window on `source` that reads `read_bytes` at once.
    #[must_use]
    pub fn new(source: ReadFile, read_bytes: usize) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            read_bytes,
            data: 0..0,
            bytes_read: 0,
        }
    }

    /// The file's size when it was opened. Units: bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.source.file_bytes
    }

    /// The file of the window.
    #[must_use]
    pub fn source(&self) -> &ReadFile {
        &self.source
    }

    /// Number of bytes per read. Units: bytes.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes as u64
    }

    /// Number of bytes read so far. Units: bytes.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Whether one read returns the whole file.
    fn is_small(&self) -> bool {
        self.source.file_bytes <= self.read_bytes.min(LOOKUP_BYTES) as u64
    }

    /// All bytes of the file, if one small read returns them.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn whole(&mut self) -> Result<Option<&[u8]>> {
        if !self.is_small() {
            return Ok(None);
        }
        let count = usize::try_from(self.source.file_bytes).unwrap_or(0);
        self.bytes(0, count).map(Some)
    }

    /// As [`ReadFile::data_from`], asked again only after the last answer: the kernel may
    /// inspect every page up to the next hole.
    #[must_use]
    pub fn data_from(&mut self, position: u64) -> Option<Range<u64>> {
        if !self.data.contains(&position) {
            self.data = self.source.data_from(position)?;
        }
        Some(position.max(self.data.start)..self.data.end)
    }

    /// The `count` bytes at `position`. The caller has compared them with the file's
    /// size, so that a length from the disk never sizes the buffer.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    #[inline]
    pub fn bytes(&mut self, position: u64, count: usize) -> Result<&[u8]> {
        let at = position.wrapping_sub(self.start);
        let inside =
            position >= self.start && at.saturating_add(count as u64) <= self.filled as u64;
        if !inside {
            self.refill(position, count)?;
        }
        // Inside the buffer, whose length is a usize.
        #[expect(clippy::cast_possible_truncation, reason = "at is below filled")]
        let at = position.wrapping_sub(self.start) as usize;
        self.buffer
            .get(at..at + count)
            .ok_or_else(|| self.source.shrunk())
    }

    /// The eight bytes at `position` as a big-endian number.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    #[inline]
    pub fn length_at(&mut self, position: u64) -> Result<u64> {
        let bytes = self.bytes(position, 8)?;
        let bytes: [u8; 8] = bytes.try_into().unwrap_or_default();
        Ok(super::format::decode_length(bytes))
    }

    /// The end of the frame at `position`, if its length can be read and stays within the
    /// file.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`], [`Error::Io`].
    #[inline]
    pub fn frame_end_at(&mut self, position: u64) -> Result<Option<Position>> {
        let limit = self.file_bytes();
        if position.saturating_add(LENGTH_BYTES) > limit {
            return Ok(None);
        }
        let length = readable(self.length_at(position))?;
        Ok(length.and_then(|length| frame_end(Position(position), length, limit)))
    }

    /// Whether the disk can read the bytes from `from` up to `to` (excluded).
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`], [`Error::Io`].
    pub fn is_readable(&mut self, from: u64, to: u64) -> Result<bool> {
        let mut at = from;
        // A hole can be read.
        while let Some(data) = self.data_from(at).filter(|data| data.start < to) {
            at = data.start;
            let count = (to.min(data.end) - at).min(TRIED_BYTES);
            match self.bytes(at, usize::try_from(count).unwrap_or(0)) {
                Ok(_) => at += count,
                Err(Error::Unreadable { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    #[cold]
    fn refill(&mut self, position: u64, count: usize) -> Result<()> {
        let rest = self.source.file_bytes.saturating_sub(position);
        if (count as u64) > rest {
            return Err(self.source.shrunk());
        }
        if self.is_small() && self.filled == 0 && position > 0 {
            // All of it at once, because the bytes before are often requested next.
            // Unreadable bytes do not affect readable ones.
            let all = usize::try_from(self.source.file_bytes).unwrap_or(0);
            if self.refill(0, all).is_ok() {
                return Ok(());
            }
        }
        let (reach, had_any) = (
            self.read_bytes as u64,
            std::mem::take(&mut self.filled) as u64,
        );
        let near = self.start.saturating_sub(reach)..=self.start + had_any + reach;
        let is_near = had_any > 0 && near.contains(&position);
        if is_near && position < self.start && count < self.read_bytes {
            // A step back: the bytes before are probably requested next.
            let end = position + count as u64;
            let first = end.saturating_sub(self.read_bytes as u64);
            let before = usize::try_from(end - first).unwrap_or(count);
            if self.refill(first, before).is_ok() {
                return Ok(());
            }
        }
        // What lies far away is probably a single length.
        let most = if had_any > 0 && !is_near {
            LOOKUP_BYTES
        } else {
            self.read_bytes
        };
        let wanted = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(most.max(count));
        self.start = position;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        } else if wanted <= self.read_bytes && self.buffer.len() > self.read_bytes {
            // A large record has passed: give its room back.
            self.buffer.truncate(self.read_bytes.max(wanted));
            self.buffer.shrink_to_fit();
        }
        let buffer = self.buffer.get_mut(..wanted).unwrap_or_default();
        let filled = match self.source.fill(buffer, position, count) {
            // The read-ahead may be unreadable while the requested bytes are not.
            Err(Error::Unreadable { .. }) if wanted > count => {
                let page = count.next_multiple_of(PAGE_BYTES).min(wanted);
                let least = buffer.get_mut(..page).unwrap_or_default();
                match self.source.fill(least, position, count) {
                    Err(Error::Unreadable { .. }) if page > count => {
                        let exact = buffer.get_mut(..count).unwrap_or_default();
                        self.source.fill(exact, position, count)?
                    }
                    other => other?,
                }
            }
            other => other?,
        };
        if filled < count {
            return Err(self.source.shrunk());
        }
        self.filled = filled;
        self.bytes_read += filled as u64;
        WALKED.add_bytes(filled as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_any_more_is_neither_read_nor_waited_for() {
        let directory = FilePath::of(&std::env::temp_dir()).unwrap();
        let opened = ReadFile::open_listed(&directory);
        assert!(matches!(opened, Err(Error::NotAFile { .. })), "{opened:?}");
        let gone = ReadFile::open_listed(&directory.dir().at("proglog-has-no-such-file"));
        assert!(matches!(gone, Err(Error::Missing { .. })), "{gone:?}");
    }
}
