//! Copies bytes from file to file. A hole of the source takes neither space in the target
//! nor time: a file may have terabytes of them.

use crate::log::disk::{Disk, DiskFile, write_all_at};
use crate::log::error::{Error, Result};
use crate::log::window::{ReadFile, STREAM_BYTES, Window};

/// Bytes that are kept or lost together where a disk fails.
const KEPT_BYTES: u64 = 4096;

/// Copies bytes from one file to another, in pieces. Afterwards the target has all of
/// them, followed by its previous bytes.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Shrunk`], [`Error::Unreadable`].
pub fn copy(
    disk: &dyn Disk,
    source: &ReadFile,
    from: u64,
    bytes: u64,
    target: &DiskFile,
    to: u64,
) -> Result<()> {
    let copy = Copy {
        disk,
        source,
        from,
        bytes,
        target,
        to,
    };
    let mut window = Window::new(source.clone(), STREAM_BYTES);
    copy.run(|done, count| copy.piece(&mut window, done, count))
}

/// The same where the disk may not give some bytes: zeros represent them.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Shrunk`].
pub fn keep(
    disk: &dyn Disk,
    source: &ReadFile,
    from: u64,
    bytes: u64,
    target: &DiskFile,
) -> Result<()> {
    let copy = Copy {
        disk,
        source,
        from,
        bytes,
        target,
        to: 0,
    };
    let mut window = Window::new(source.clone(), STREAM_BYTES);
    copy.run(|done, count| {
        match copy.piece(&mut window, done, count) {
            Err(Error::Unreadable { .. }) => {}
            copied => return copied,
        }
        let mut at = done;
        while at < done + count {
            // One page of the disk after the other.
            let page = KEPT_BYTES - (from + at) % KEPT_BYTES;
            let count = page.min(done + count - at);
            match copy.piece(&mut window, at, count) {
                Err(Error::Unreadable { .. }) => {}
                copied => copied?,
            }
            at += count;
        }
        Ok(())
    })
}

struct Copy<'a> {
    disk: &'a dyn Disk,
    source: &'a ReadFile,
    from: u64,
    bytes: u64,
    target: &'a DiskFile,
    to: u64,
}

impl Copy<'_> {
    /// Calls `piece` for each piece of the source that is not a hole, with its place in
    /// the copy and its size.
    fn run(&self, mut piece: impl FnMut(u64, u64) -> Result<()>) -> Result<()> {
        let mut done = 0;
        while done < self.bytes {
            let (begin, end) = match self.source.data_from(self.from + done) {
                Some(data) => (data.start - self.from, data.end - self.from),
                None => (self.bytes, self.bytes),
            };
            let (begin, end) = (begin.min(self.bytes), end.min(self.bytes));
            self.zeros(done, begin)?;
            done = begin;
            while done < end {
                let count = (end - done).min(STREAM_BYTES as u64);
                piece(done, count)?;
                done += count;
            }
        }
        // Bytes that are cut off meanwhile look like a hole.
        let now = self.source.file().metadata();
        let now = now.map_err(Error::io("access", self.source.path()))?.len();
        if self.bytes > 0 && now < self.from + self.bytes {
            return Err(Error::Shrunk {
                path: self.source.path().to_path_buf(),
                expected: self.from + self.bytes,
                file_bytes: now,
            });
        }
        stretch(self.disk, self.target, self.to + self.bytes)
    }

    fn piece(&self, window: &mut Window, done: u64, count: u64) -> Result<()> {
        let here = usize::try_from(count).unwrap_or(STREAM_BYTES);
        let piece = window.bytes(self.from + done, here)?;
        write_all_at(self.disk, self.target, piece, self.to + done)
            .map_err(Error::io("write", self.target.path()))
    }

    /// Writes zeros over the bytes of the target that correspond to a hole.
    fn zeros(&self, done: u64, end: u64) -> Result<()> {
        if done == end {
            return Ok(());
        }
        let path = self.target.path();
        let there = self.target.file().try_clone();
        let there = ReadFile::of(there.map_err(Error::io("access", path))?, path)?;
        let (mut at, end) = (self.to + done, self.to + end);
        while let Some(data) = there.data_from(at).filter(|data| data.start < end) {
            at = data.start;
            while at < data.end.min(end) {
                let count = (data.end.min(end) - at).min(STREAM_BYTES as u64);
                let count = usize::try_from(count).unwrap_or(STREAM_BYTES);
                let piece = ZEROS.get(..count).unwrap_or_default();
                write_all_at(self.disk, self.target, piece, at)
                    .map_err(Error::io("write", path))?;
                at += count as u64;
            }
        }
        Ok(())
    }
}

/// Zeros for the bytes of a hole.
static ZEROS: [u8; STREAM_BYTES] = [0; STREAM_BYTES];

/// Bytes as returned by [`Window::bytes`], at most [`STREAM_BYTES`]; a hole is not read.
///
/// # Errors
///
/// As [`Window::bytes`].
pub fn bytes(window: &mut Window, position: u64, count: usize) -> Result<&[u8]> {
    let end = position.saturating_add(count as u64);
    let is_hole = window
        .data_from(position)
        .is_none_or(|data| data.start >= end);
    if is_hole {
        let source = window.source();
        let now = source.file().metadata();
        // Bytes that are cut off meanwhile look like a hole.
        if now.is_ok_and(|now| now.len() >= end) {
            return Ok(ZEROS.get(..count).unwrap_or_default());
        }
    }
    window.bytes(position, count)
}

/// Writes bytes after the end of a file that is being created; zeros at either end of
/// them become a hole. [`stretch`] sets the size of the file.
///
/// # Errors
///
/// [`Error::Io`].
pub fn put(disk: &dyn Disk, file: &DiskFile, bytes: &[u8], at: u64) -> Result<()> {
    const BLOCK_BYTES: usize = 4096;
    if std::ptr::eq(bytes.as_ptr(), ZEROS.as_ptr()) {
        // A hole, as returned by `bytes`.
        return Ok(());
    }
    let is_data = |block: &[u8]| block != [0; BLOCK_BYTES].get(..block.len()).unwrap_or_default();
    let Some(first) = bytes.chunks(BLOCK_BYTES).position(is_data) else {
        return Ok(());
    };
    let last = bytes
        .chunks(BLOCK_BYTES)
        .rposition(is_data)
        .unwrap_or(first);
    let begin = first * BLOCK_BYTES;
    let end = ((last + 1) * BLOCK_BYTES).min(bytes.len());
    let data = bytes.get(begin..end).unwrap_or_default();
    write_all_at(disk, file, data, at + begin as u64).map_err(Error::io("write", file.path()))
}

/// Stretches a file to this size, if it is smaller.
///
/// # Errors
///
/// [`Error::Io`].
pub fn stretch(disk: &dyn Disk, file: &DiskFile, bytes: u64) -> Result<()> {
    let path = file.path();
    let now = file.file().metadata().map_err(Error::io("access", path))?;
    if now.len() >= bytes {
        return Ok(());
    }
    disk.set_len(file, bytes)
        .map_err(Error::io("stretch", path))
}
