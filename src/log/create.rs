//! Creates missing parts of a log: directories, and the empty pair of a new segment, each
//! name durable before anything is written after it.

use std::io;
use std::path::Path;

use super::dir::{Dir, FilePath};
use super::disk::{Disk, DiskFile, Ownership, is_own};
use super::durable::sync_dir;
use super::error::{Error, Result};
use super::format::{FileKind, NameStyle};
use super::units::Offset;

/// The two files of the active segment as they were found, to continue from.
pub struct Tail {
    /// The segment's base offset.
    pub base: Offset,
    /// The store, open for writing.
    pub store: DiskFile,
    /// The index, open for writing.
    pub index: DiskFile,
    /// Bytes of the store, all of them frames that entries commit.
    pub store_bytes: u64,
    /// Entries of the index, all of them valid.
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
    directory: &Dir,
    (style, base): (NameStyle, Offset),
    [store_like, index_like]: [Option<Ownership>; 2],
) -> Result<Tail> {
    let path = |kind| directory.at(style.file_name(base, kind));
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
                Err(Error::io("sync", directory.path())(source))
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

/// Creates a directory and its missing parents, and makes each name durable; also that of
/// the last existing one, because its creator may have been killed before that. Returns
/// the directory.
///
/// # Errors
///
/// [`Error::Io`].
pub fn create_directories(disk: &dyn Disk, path: &Path, mode: u32) -> Result<Dir> {
    if path.as_os_str().is_empty() {
        return Dir::in_front(path).map_err(Error::io("open", Path::new(".")));
    }
    let failed = match Dir::open(path) {
        Ok(dir) => {
            let named = dir.in_parent().map_err(Error::io("access", path))?;
            let above = named.as_ref().map_or(&dir, FilePath::dir);
            sync_above(disk, above, false)?;
            return Ok(dir);
        }
        Err(error) => error,
    };
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::io("open", path)(failed));
    };
    if failed.kind() != io::ErrorKind::NotFound {
        return Err(Error::io("create", path)(failed));
    }
    let above = create_directories(disk, above, mode)?;
    create_directory(disk, &above.at(name), mode)
}

/// Creates a directory in one that is there, and makes its name durable. Gives it; one
/// that is there already is given too.
///
/// # Errors
///
/// [`Error::Io`].
pub fn create_directory(disk: &dyn Disk, path: &FilePath, mode: u32) -> Result<Dir> {
    let is_new = match disk.create_dir(path, mode) {
        Ok(()) => true,
        // It was there, or another user was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(Error::io("create", path)(error)),
    };
    let dir = path.open_dir().map_err(Error::io("open", path))?;
    sync_above(disk, path.dir(), is_new)?;
    Ok(dir)
}

/// Makes the name of a directory durable.
fn sync_above(disk: &dyn Disk, above: &Dir, is_new: bool) -> Result<()> {
    match disk.sync_dir(above) {
        // A process without read permission cannot have created anything there just now.
        Err(error) if !is_new && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(Error::io("sync", above.path())),
    }
}

/// Creates the directories above a path. Gives its name in the last of them, which stays
/// open: another user may rename it.
///
/// # Errors
///
/// [`Error::Io`]; `InvalidInput` for a path without a name at its end.
pub fn create_above(disk: &dyn Disk, path: &Path) -> Result<FilePath> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        let kind = io::ErrorKind::InvalidInput;
        return Err(Error::io("create", path)(kind.into()));
    };
    Ok(create_directories(disk, parent, 0o777)?.at(name))
}

/// Creates a directory for a copy of a log: with the owner, group and mode of another, as
/// far as this process may. One that is there already keeps its own. Gives it.
///
/// # Errors
///
/// [`Error::Untrusted`] for a symbolic link of another user, [`Error::Moved`] for one that
/// leads elsewhere now, [`Error::Io`].
pub fn create_directory_like(disk: &dyn Disk, at: &FilePath, like: Ownership) -> Result<Dir> {
    if at.is_taken() {
        return open_own(at);
    }
    disk.create_dir(at, like.mode & 0o700)
        .map_err(Error::io("create", at))?;
    let dir = at.open_dir().map_err(Error::io("open", at))?;
    disk.own_dir(&dir, like).map_err(Error::io("own", at))?;
    sync_dir(disk, at.dir())?;
    Ok(dir)
}

/// Opens a directory. A symbolic link that another user has made is refused: it would lead
/// us to where he may write nothing.
fn open_own(at: &FilePath) -> Result<Dir> {
    let link = at.link_metadata().map_err(Error::io("access", at))?;
    if !link.is_symlink() {
        return at.open_dir().map_err(Error::io("open", at));
    }
    if !is_own(link.uid()) {
        return Err(Error::Untrusted {
            path: at.to_path_buf(),
            why: format!("is a symbolic link of user {}", link.uid()),
        });
    }
    let target = at.metadata().map_err(Error::io("access", at))?;
    let dir = Dir::open(at).map_err(Error::io("open", at))?;
    if dir.identity() != target.identity() {
        return Err(Error::Moved {
            path: at.to_path_buf(),
            now: None,
        });
    }
    Ok(dir)
}
