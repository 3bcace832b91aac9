//! Bytes of a file through a buffer of bounded size, by positioned reads. Nothing
//! is mapped: a file that shrinks under a reader is an error, not a SIGBUS.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Error, Result};

/// Bytes read at once where a file is read through: the kernel is called once for
/// several hundred KiB.
pub const STREAM_BYTES: usize = 512 * 1024;

/// Bytes read at once where one record is looked up.
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
}

impl ReadFile {
    /// Opens a regular file. Anything else under the name is never opened, since
    /// opening a FIFO waits and opening a device may do anything.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::NotAFile`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let missing_or = |action| {
            move |source: io::Error| match source.kind() {
                io::ErrorKind::NotFound => Error::Missing {
                    path: path.to_path_buf(),
                },
                _ => Error::Io {
                    action,
                    path: path.to_path_buf(),
                    source,
                },
            }
        };
        let metadata = std::fs::metadata(path).map_err(missing_or("look at"))?;
        if !metadata.is_file() {
            return Err(Error::NotAFile {
                path: path.to_path_buf(),
            });
        }
        let file = File::open(path).map_err(missing_or("open"))?;
        Self::of(file, path)
    }

    /// Wraps a file that is open already.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if its size cannot be told.
    pub fn of(file: File, path: &Path) -> Result<Self> {
        let file_bytes = file.metadata().map_err(Error::io("look at", path))?.len();
        Ok(Self {
            file: Arc::new(file),
            path: path.to_path_buf(),
            file_bytes,
        })
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

    /// Reads until `least` bytes are there or the file ends; gives their count.
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
    /// How many bytes of the buffer are the file's.
    filled: usize,
    /// How many bytes are read at once.
    read_bytes: usize,
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
        }
    }

    /// The file's size when it was opened. Units: bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.source.file_bytes
    }

    /// The file behind the window.
    #[must_use]
    pub fn source(&self) -> &ReadFile {
        &self.source
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

    #[cold]
    fn refill(&mut self, position: u64, count: usize) -> Result<()> {
        let rest = self.source.file_bytes.saturating_sub(position);
        if (count as u64) > rest {
            return Err(self.source.shrunk());
        }
        let wanted = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(self.read_bytes.max(count));
        self.filled = 0;
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
            // What was read ahead may be unreadable where what is asked for is not.
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
        Ok(())
    }
}
