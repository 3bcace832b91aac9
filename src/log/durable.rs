//! What a change needs to survive a power cut.

use std::os::unix::fs::{FileExt, MetadataExt};

use super::dir::Dir;
use super::disk::{Disk, DiskFile};
use super::error::{Error, Result};
use super::format::LENGTH_MARK;

/// Makes a file's bytes and size durable.
///
/// # Errors
///
/// [`Error::Io`].
pub fn sync(disk: &dyn Disk, file: &DiskFile) -> Result<()> {
    disk.sync_data(file).map_err(Error::io("sync", file.path()))
}

/// The largest block of a file system that is taken into account. Units: bytes.
const BLOCK_BYTES_MAX: u64 = 4096;

/// Cuts a file to `bytes` if it is larger, durably. A file system zeroes the rest of the last block before
/// the new size is durable, and a crash in between must not leave zeros with frames after
/// them. So the blocks after it go first; of a marked batch all but the mark.
///
/// # Errors
///
/// [`Error::Io`].
pub fn cut(disk: &dyn Disk, file: &DiskFile, bytes: u64) -> Result<()> {
    let error = || Error::io("cut", file.path());
    let now = file.file().metadata().map_err(error())?;
    if now.len() <= bytes {
        return Ok(());
    }
    let mut first = [0];
    let count = file.file().read_at(&mut first, bytes).map_err(error())?;
    let is_marked = count == 1 && first == [LENGTH_MARK];
    let block = now.blksize().clamp(1, BLOCK_BYTES_MAX);
    let before = if is_marked {
        bytes + 1
    } else {
        bytes.next_multiple_of(block)
    };
    if now.len() > before && before > bytes {
        disk.set_len(file, before).map_err(error())?;
        sync(disk, file)?;
    }
    disk.set_len(file, bytes).map_err(error())?;
    sync(disk, file)
}

/// Makes a directory's names durable.
///
/// # Errors
///
/// [`Error::Io`].
pub fn sync_dir(disk: &dyn Disk, directory: &Dir) -> Result<()> {
    disk.sync_dir(directory)
        .map_err(Error::io("sync", directory.path()))
}
