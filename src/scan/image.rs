//! An index in memory, which is read as one on disk is.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::account::Account;
use crate::log::error::{Error, Result};
use crate::log::format::ENTRY_BYTES;
use crate::log::platform::memory_file;
use crate::log::window::{ReadFile, STREAM_BYTES, Window};

/// The largest index that is put together in memory. Units: bytes.
pub const INDEX_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// An index in memory.
pub(crate) struct Image<'a> {
    file: File,
    /// Of the index that it represents.
    path: &'a Path,
    /// Its size. Units: bytes.
    pub bytes: u64,
}

impl<'a> Image<'a> {
    pub fn new(path: &'a Path) -> Result<Self> {
        let file = memory_file().map_err(Error::io("try out", path))?;
        Ok(Self {
            file,
            path,
            bytes: 0,
        })
    }

    pub fn put(&mut self, position: u64, bytes: &[u8]) -> Result<()> {
        let put = || {
            (&self.file).seek(SeekFrom::Start(position))?;
            (&self.file).write_all(bytes)
        };
        put().map_err(Error::io("try out", self.path))?;
        self.bytes = self.bytes.max(position + bytes.len() as u64);
        Ok(())
    }

    /// Takes the first bytes of an index.
    pub fn copy(&mut self, index: &ReadFile) -> Result<()> {
        let mut buffer = vec![0; STREAM_BYTES];
        while self.bytes < index.file_bytes {
            let count = (index.file_bytes - self.bytes).min(STREAM_BYTES as u64);
            let count = usize::try_from(count).unwrap_or(STREAM_BYTES);
            let piece = buffer.get_mut(..count).unwrap_or_default();
            index.read_at(piece, self.bytes)?;
            self.put(self.bytes, piece)?;
        }
        Ok(())
    }

    pub fn read(self) -> Result<ReadFile> {
        let mut index = ReadFile::of(self.file, self.path)?;
        index.file_bytes = self.bytes;
        Ok(index)
    }
}

/// The index that an account says the segment should have; `None` if it is too large.
///
/// # Errors
///
/// Reading's.
pub fn of_account(
    account: &Account,
    store: &ReadFile,
    index: Option<&ReadFile>,
    path: &Path,
) -> Result<Option<ReadFile>> {
    if account.slots.saturating_mul(ENTRY_BYTES) > INDEX_BYTES_MAX {
        return Ok(None);
    }
    let mut image = Image::new(path)?;
    if let Some(index) = index {
        let mut before = index.clone();
        before.file_bytes = before.file_bytes.min(account.first_slot * ENTRY_BYTES);
        image.copy(&before)?;
    }
    let mut window = Window::new(store.clone(), STREAM_BYTES);
    let mut gathered = Vec::new();
    for run in &account.entries {
        run.each(&mut window, |entry, _| {
            gathered.extend_from_slice(&entry.encode());
            if gathered.len() >= STREAM_BYTES {
                image.put(image.bytes, &gathered)?;
                gathered.clear();
            }
            Ok(())
        })?;
    }
    image.put(image.bytes, &gathered)?;
    image.read().map(Some)
}
