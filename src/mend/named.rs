//! Files that get their names when they are complete, and files that are moved to free
//! names. If the file system supports neither unnamed files nor such a move (FUSE, NFS,
//! 9p, vfat), a file is created beside the log's directory and renamed: also atomic. None
//! is created in the log's directory, not for a moment: the service makes a segment of
//! every name there. The one exception is a missing half, if the directory is a mount
//! point: under a name that the service reads as its twin's.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{Access, AtFlags, accessat};

use super::copying::copy;
use crate::log::dir::{Dir, FilePath, FileStatus};
use crate::log::disk::{Disk, DiskFile, Ownership};
use crate::log::durable::sync;
use crate::log::error::{Error, Result};
use crate::log::platform;
use crate::log::window::ReadFile;

/// The suffix of files that are not complete yet.
const NEW: &str = "proglog-new";

/// Whether this is how a file system says that it has no such operation.
fn is_unsupported(error: &io::Error) -> bool {
    // A filter of system calls may return EPERM; a missing permission is reported by the
    // next call.
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::InvalidInput
    ) || error.raw_os_error() == Some(libc::EPERM)
}

/// Moves a file to a name that must be free.
pub(super) fn move_file(disk: &dyn Disk, from: &FilePath, to: &FilePath) -> io::Result<()> {
    match disk.rename(from, to) {
        Err(error) if is_unsupported(&error) => {
            // Under the log's lock no other proglog creates it meanwhile.
            if to.is_taken() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            disk.replace(from, to)
        }
        moved => moved,
    }
}

/// A file that has no name in the log's directory yet.
pub(super) struct Unnamed<'a> {
    disk: &'a dyn Disk,
    log: &'a Dir,
    file: DiskFile,
    /// The name that it has elsewhere, until it gets its own.
    temporary: Option<FilePath>,
}

impl<'a> Unnamed<'a> {
    /// Makes one that is to become the file at `path` in the directory `log`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Config`] where another file is at `path` and cannot be
    /// replaced in one step.
    pub fn create(
        disk: &'a dyn Disk,
        log: &'a Dir,
        path: &FilePath,
        like: Option<&Ownership>,
    ) -> Result<Self> {
        let made = disk.create_unnamed(log, like.cloned());
        let of_no_use = |error: &io::Error| {
            // Old kernels open the directory, and refuse that.
            is_unsupported(error) || error.kind() == ErrorKind::IsADirectory
        };
        match made {
            Err(error) if of_no_use(&error) => Self::temporary(disk, log, path, like),
            made => Ok(Self {
                disk,
                log,
                file: made.map_err(Error::io("make a file without a name in", log.path()))?,
                temporary: None,
            }),
        }
    }

    /// The same under a name elsewhere.
    fn temporary(
        disk: &'a dyn Disk,
        log: &'a Dir,
        path: &FilePath,
        like: Option<&Ownership>,
    ) -> Result<Self> {
        let mut failed = None;
        for place in places(log, path)? {
            // Left by a repairing that was killed.
            remove_left(disk, log, &place);
            match disk.create(&place, like.cloned()) {
                Ok(file) => {
                    return Ok(Self {
                        disk,
                        log,
                        file,
                        temporary: Some(place),
                    });
                }
                Err(error) => failed = Some(Error::io("create", &place)(error)),
            }
        }
        Err(failed.unwrap_or_else(|| no_place(path)))
    }

    /// The file, open for writing.
    pub fn file(&self) -> &DiskFile {
        &self.file
    }

    /// Links it at its name, which must be free. It must be durable.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn name(mut self, path: &FilePath) -> Result<()> {
        match self.temporary.take() {
            None => name(self.disk, self.log, &self.file, path),
            Some(temporary) => {
                let moved = move_file(self.disk, &temporary, path);
                if moved.is_err() {
                    self.temporary = Some(temporary);
                }
                moved.map_err(Error::io("name", path))
            }
        }
    }

    /// Renames it over another file, which is gone at that moment. It must be durable.
    /// Where nothing can be beside the log's directory, which may be a mount of its own,
    /// the other file must go first, and a kill in between leaves neither: so that is
    /// done only where `is_saved`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Config`] where the other file would be nowhere for a moment.
    pub fn replace(mut self, path: &FilePath, is_saved: bool) -> Result<()> {
        let failed = Error::io("put in place", path);
        if let Some(temporary) = &self.temporary {
            self.disk.replace(temporary, path).map_err(failed)?;
            self.temporary = None;
            return Ok(());
        }
        let linked = match beside(self.log)? {
            Some(beside) => {
                let _ = self.disk.remove(&beside);
                self.disk.link(&self.file, &beside).map(|()| beside)
            }
            None => Err(ErrorKind::CrossesDevices.into()),
        };
        match linked {
            Ok(beside) => self.disk.replace(&beside, path).map_err(failed),
            Err(error) if is_linkless(&error) => {
                let copied = copy_of(self.disk, self.log, &self.file, path)?;
                copied.replace(path, is_saved)
            }
            Err(error) if !is_no_place(&error) => Err(failed(error)),
            Err(_) if is_saved => {
                self.disk.remove(path).map_err(failed)?;
                self.name(path)
            }
            Err(_) => Err(unsaved(path)),
        }
    }
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = self.disk.remove(temporary);
        }
    }
}

/// Whether a file without a name cannot be given one: the file system has no links, or
/// /proc, by which it is found, is not there.
fn is_linkless(error: &io::Error) -> bool {
    is_unsupported(error) || error.kind() == ErrorKind::NotFound
}

/// Links a file without a name at `path`, which must be free. It must be durable.
///
/// # Errors
///
/// [`Error::Io`].
fn name(disk: &dyn Disk, log: &Dir, file: &DiskFile, path: &FilePath) -> Result<()> {
    match disk.link(file, path) {
        Err(error) if is_linkless(&error) => copy_of(disk, log, file, path)?.name(path),
        named => named.map_err(Error::io("name", path)),
    }
}

/// A file under a temporary name with the bytes of one that has none and cannot get one.
fn copy_of<'a>(
    disk: &'a dyn Disk,
    log: &'a Dir,
    file: &DiskFile,
    path: &FilePath,
) -> Result<Unnamed<'a>> {
    let source = file.file().try_clone().map_err(Error::io("read", path))?;
    let like = Ownership::of(&source).map_err(Error::io("access", path))?;
    let source = ReadFile::of(source, path)?;
    let copied = Unnamed::temporary(disk, log, path, Some(&like))?;
    copy(disk, &source, 0, source.file_bytes, &copied.file, 0)?;
    sync(disk, &copied.file)?;
    Ok(copied)
}

/// Before the first change: whether another file can be put in the place of the one at
/// `path`.
///
/// # Errors
///
/// As [`Unnamed::create`] and [`Unnamed::replace`].
pub(super) fn check_replace(
    disk: &dyn Disk,
    log: &Dir,
    path: &FilePath,
    is_saved: bool,
) -> Result<()> {
    let made = Unnamed::create(disk, log, path, None)?;
    let has_room = |beside: FilePath| in_one_mount(beside.dir(), log) && may_write(beside.dir());
    if made.temporary.is_none() && !is_saved && !beside(log)?.is_some_and(has_room) {
        return Err(unsaved(path));
    }
    Ok(())
}

/// Whether names may be made in a directory.
pub(super) fn may_write(directory: &Dir) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    accessat(directory, ".", access, AtFlags::EACCESS).is_ok()
}

/// Whether no file of the log's file system can have a name there.
fn is_no_place(error: &io::Error) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem};
    [CrossesDevices, PermissionDenied, ReadOnlyFilesystem].contains(&error.kind())
}

fn unsaved(path: &Path) -> Error {
    Error::Config(format!(
        "{}: cannot be replaced atomically: no file of its file system can be created beside \
         the log's directory, so the old file must be saved first; omit --no-save (--save-to \
         DIR saves it where there is space)",
        path.display()
    ))
}

/// Whether a file can be moved from one directory to the other, as far as that is known
/// beforehand.
pub(super) fn in_one_mount(one: &Dir, other: &Dir) -> bool {
    one.identity().device == other.identity().device && platform::in_one_mount(one, other)
}

/// Removes the leftovers beside the log of a change that was killed; its lock is held.
pub(super) fn clear(disk: &dyn Disk, log: &Dir) {
    if let Ok(Some(left)) = beside(log) {
        remove_left(disk, log, &left);
    }
}

/// Removes a temporary file that a killed command left, if it belongs to this user or to the
/// owner of the log.
fn remove_left(disk: &dyn Disk, log: &Dir, left: &FilePath) {
    let own = rustix::process::geteuid().as_raw();
    let owner = log.metadata().map_or(own, |it| it.uid());
    let is_ours = |it: FileStatus| it.is_file() && [own, owner].contains(&it.uid());
    if left.link_metadata().is_ok_and(is_ours) {
        let _ = disk.remove(left);
    }
}

/// The name beside the log's directory for a file that is not complete yet, if the log is not
/// in the root directory itself.
fn beside(log: &Dir) -> Result<Option<FilePath>> {
    let log = log.in_parent().map_err(Error::io("access", log.path()))?;
    Ok(log.map(|log| {
        let mut name = log.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(NEW);
        log.dir().at(name)
    }))
}

/// Possible places for a file that is to become the one at `path`, the best place first.
fn places(log: &Dir, path: &FilePath) -> Result<Vec<FilePath>> {
    let mut places = Vec::new();
    // Else it cannot be renamed from there.
    places.extend(beside(log)?.filter(|beside| in_one_mount(beside.dir(), log)));
    if !path.is_taken() {
        places.push(path.with_extension(NEW));
    }
    Ok(places)
}

fn no_place(path: &Path) -> Error {
    Error::Config(format!(
        "{}: cannot be replaced atomically: the log's directory is a mount point, on a file \
         system without unnamed files (O_TMPFILE); copy the log to another disk (cp -a), repair \
         it there, and copy it back",
        path.display()
    ))
}
