//! Which bytes of a file are a hole or zeros: large ones are passed over without a read.

use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::error::{Result, readable};
use super::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES};

impl ReadFile {
    /// The next stretch of the file from `position` on that is not a hole, as far as the
    /// file system reports: bytes outside are zeros that need not be read. Moves the
    /// descriptor's own offset, which positioned reads ignore.
    #[must_use]
    pub fn data_from(&self, position: u64) -> Option<Range<u64>> {
        let rest = position..self.file_bytes;
        if rest.is_empty() {
            return None;
        }
        match seek(self.file(), SeekFrom::Data(position)) {
            // Appended after it was opened.
            Ok(start) if start >= self.file_bytes => None,
            Ok(start) => {
                let end = seek(self.file(), SeekFrom::Hole(start)).unwrap_or(self.file_bytes);
                Some(start.max(position)..end.clamp(start, self.file_bytes))
            }
            Err(Errno::NXIO) => None,
            // A file system without hole reporting.
            Err(_) => Some(rest),
        }
    }

    /// The first byte from `from` on that is not zero.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn first_nonzero(&self, from: u64) -> Result<Option<u64>> {
        let mut block = Vec::new();
        let mut at = from;
        let mut read_bytes = LOOKUP_BYTES as u64;
        while let Some(data) = self.data_from(at) {
            at = data.start;
            while at < data.end {
                let count = usize::try_from((data.end - at).min(read_bytes)).unwrap_or(0);
                block.resize(count, 0);
                self.read_at(&mut block, at)?;
                if let Some(found) = block.iter().position(|&byte| byte != 0) {
                    return Ok(Some(at + found as u64));
                }
                at += count as u64;
                read_bytes = STREAM_BYTES as u64;
            }
        }
        Ok(None)
    }

    /// Where the zeros begin that reach the file's end; unreadable bytes are none.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`], [`Error::Io`].
    pub fn zeros_from(&self) -> Result<u64> {
        let from = readable(self.nonzero_end(self.file_bytes))?;
        Ok(from.unwrap_or(self.file_bytes))
    }

    /// The byte after the last one before `limit` that is not zero; 0 if all are.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::read_at`].
    pub fn nonzero_end(&self, limit: u64) -> Result<u64> {
        let mut end = limit.min(self.file_bytes);
        let mut block = Vec::new();
        let mut stride = STREAM_BYTES as u64;
        while end > 0 {
            let start = end.saturating_sub(stride);
            match self.data_from(start).filter(|data| data.start < end) {
                // A hole: search further back in longer strides.
                None => {
                    end = start;
                    stride = stride.saturating_mul(2);
                }
                // Far back there is data again: halve the way to its end.
                Some(data) if end - start > STREAM_BYTES as u64 => {
                    let middle = start + (end - start) / 2;
                    let behind = self.data_from(middle.max(data.start));
                    if behind.is_some_and(|behind| behind.start < end) {
                        stride = (end - middle).max(STREAM_BYTES as u64);
                    } else {
                        end = middle.max(data.start + 1);
                        stride = (end - start).max(STREAM_BYTES as u64);
                    }
                }
                Some(data) => {
                    let from = data.start.max(start);
                    let count = usize::try_from(end - from).unwrap_or(STREAM_BYTES);
                    block.resize(count, 0);
                    self.read_at(&mut block, from)?;
                    if let Some(last) = last_nonzero(&block) {
                        return Ok(from + last as u64 + 1);
                    }
                    end = from;
                    stride = STREAM_BYTES as u64;
                }
            }
        }
        Ok(0)
    }
}

/// The last byte that is not zero, whole chunks at a time: padding can be 128 MiB.
fn last_nonzero(bytes: &[u8]) -> Option<usize> {
    let mut end = bytes.len();
    for chunk in bytes.rchunks(4096) {
        if chunk.iter().any(|&byte| byte != 0) {
            let last = chunk.iter().rposition(|&byte| byte != 0).unwrap_or(0);
            return Some(end - chunk.len() + last);
        }
        end -= chunk.len();
    }
    None
}
