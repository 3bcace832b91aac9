//! Making what a log lacks: directories, and the empty pair of a new segment, each
//! name durable before anything is written behind it.

use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile, Ownership};
use super::error::{Error, Result};
use super::format::{FileKind, NameStyle};
use super::units::Offset;

/// The two files of the active segment as they were found, to go on from.
pub struct Tail {
    /// The segment's base offset.
    pub base: Offset,
    /// The store, open for writing.
    pub store: DiskFile,
    /// The index, open for writing.
    pub index: DiskFile,
    /// Bytes of the store, all of them frames that entries commit.
    pub store_bytes: u64,
    /// Entries of the index, all of them sound.
    pub entries: u64,
    /// Whether the files or their names may not be durable yet.
    pub found: bool,
}

/// Creates the empty pair of a new segment and makes its names durable. What of it
/// was made is removed again if the rest cannot be.
///
/// # Errors
///
/// [`Error::Io`].
pub fn create_pair(
    disk: &dyn Disk,
    directory: &Path,
    (style, base): (NameStyle, Offset),
    [store_like, index_like]: [Option<Ownership>; 2],
) -> Result<Tail> {
    let path = |kind| directory.join(style.file_name(base, kind));
    let (store_path, index_path) = (path(FileKind::Store), path(FileKind::Index));
    let store = disk
        .create(&store_path, store_like)
        .map_err(Error::io("create", &store_path))?;
    let made = disk
        .create(&index_path, index_like)
        .map_err(Error::io("create", &index_path))
        .and_then(|index| match disk.sync_dir(directory) {
            Ok(()) => Ok(index),
            Err(source) => {
                let _ = disk.remove(&index_path);
                Err(Error::io("sync", directory)(source))
            }
        });
    match made {
        Ok(index) => Ok(Tail {
            base,
            store,
            index,
            store_bytes: 0,
            entries: 0,
            found: false,
        }),
        Err(error) => {
            let _ = disk.remove(&store_path);
            Err(error)
        }
    }
}

/// Creates a directory and those above it that are missing, and makes each name
/// durable; also that of the last one that is there, for whoever made it may have been
/// killed before that.
///
/// # Errors
///
/// [`Error::Io`].
pub fn create_directories(disk: &dyn Disk, path: &Path, mode: u32) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    if path.is_dir() {
        let real = path.canonicalize().map_err(Error::io("look at", path))?;
        let above = real.parent().unwrap_or(&real);
        return match disk.sync_dir(above) {
            // Whoever may not read it has not made anything there just now.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced.map_err(Error::io("sync", above)),
        };
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    create_directories(disk, parent, mode)?;
    match disk.create_dir(path, mode) {
        Ok(()) => {}
        // Another process was faster, and syncs it too.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(Error::io("create", path)(error)),
    }
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    disk.sync_dir(parent).map_err(Error::io("sync", parent))
}

/// Creates a directory for a copy of a log: with the owner, group and mode of another, as
/// far as this process may. One that is there already keeps its own.
///
/// # Errors
///
/// [`Error::Io`].
pub fn create_directory_like(disk: &dyn Disk, path: &Path, like: Ownership) -> Result<()> {
    let is_new = path.symlink_metadata().is_err();
    create_directories(disk, path, like.mode)?;
    if is_new {
        disk.own_dir(path, like).map_err(Error::io("own", path))?;
    }
    Ok(())
}
