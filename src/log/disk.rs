//! Everything that changes the disk, and nothing else does. Tests wrap [`Disk`] to
//! record what passes here and to make it fail here. Who holds which lock or lease
//! is not known here.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that changes the disk"
)]

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

use super::dir::{Dir, FilePath, FileStatus};

/// A file that was opened for writing, and the name under which it was.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    path: PathBuf,
}

impl DiskFile {
    /// The open file; readers may use it, writers go through [`Disk`].
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The path under which it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Owner, group and mode that a new file gets: those of its twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Ownership {
    /// The ownership of the file that `metadata` tells of.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
        }
    }
}

impl From<FileStatus> for Ownership {
    fn from(status: FileStatus) -> Self {
        Self {
            uid: status.uid(),
            gid: status.gid(),
            mode: status.mode() & 0o7777,
        }
    }
}

/// The operations that change a disk. [`RealDisk`] carries them out.
///
/// # Errors
///
/// Each gives the operating system's error as it is.
#[expect(
    clippy::missing_errors_doc,
    reason = "all of them fail alike: the trait says how"
)]
pub trait Disk: Send + Sync {
    /// Opens an existing regular file for reading and writing. No `O_APPEND`:
    /// pwrite would ignore its position.
    fn open(&self, path: &FilePath) -> io::Result<DiskFile>;
    /// Creates a file that must not exist; `like` gives owner, group and mode, which is
    /// 0666 less the umask without it.
    fn create(&self, path: &FilePath, like: Option<Ownership>) -> io::Result<DiskFile>;
    /// Creates a file without a name in the file system of `dir`.
    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile>;
    /// Gives an unnamed file its name, which must be free.
    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()>;
    /// Creates a directory with these permission bits (less the umask).
    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()>;
    /// Writes at a position; may write less, as pwrite.
    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize>;
    /// Cuts or stretches a file.
    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()>;
    /// Makes a file's bytes and size durable (fdatasync).
    fn sync_data(&self, file: &DiskFile) -> io::Result<()>;
    /// Makes a directory's names durable.
    fn sync_dir(&self, dir: &Dir) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &FilePath) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &FilePath) -> io::Result<()>;
    /// Moves a file to another name, which must be free.
    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()>;
    /// Gives a directory owner, group and mode, as far as this process may.
    fn own_dir(&self, _dir: &Dir, _like: Ownership) -> io::Result<()> {
        Ok(())
    }
    /// Moves a file to the name of another, which is gone at that moment. A disk that
    /// cannot is one of a test's that never mends with another copy.
    fn replace(&self, _from: &FilePath, _to: &FilePath) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Writes all of `bytes`, going on after short writes and interruptions.
///
/// # Errors
///
/// The first error that is no interruption; `WriteZero` if nothing more is taken.
pub fn write_all_at(
    disk: &dyn Disk,
    file: &DiskFile,
    mut bytes: &[u8],
    mut position: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write_at(file, bytes, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                position = position.saturating_add(written as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives the file at `path` other bytes, or makes it: wholly or not at all, also in a
/// power cut. `temporary` is a name beside it, which is made anew: a file that somebody
/// else put there is not written to.
///
/// # Errors
///
/// The operating system's; the file is as it was then, or as it was to be.
pub fn replace(path: &FilePath, temporary: &FilePath, bytes: &[u8]) -> io::Result<()> {
    match RealDisk.remove(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut made = RealDisk.create(temporary, None)?;
    let mut replaced = || {
        take_ownership(&made.file, path.metadata().ok().map(Ownership::from))?;
        made.file.write_all(bytes)?;
        made.file.sync_all()?;
        RealDisk.replace(temporary, path)
    };
    if let Err(error) = replaced() {
        let _ = RealDisk.remove(temporary);
        return Err(error);
    }
    RealDisk.sync_dir(path.dir())
}

/// Opens a regular file that is only there to be locked; makes it where it is missing.
///
/// # Errors
///
/// The operating system's; `InvalidInput` for what is no regular file.
pub fn open_lock(path: &FilePath) -> io::Result<File> {
    // A FIFO would wait for a reader.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK;
    let file = open(path, flags, 0o666)?;
    if !FileStatus::of(&file)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// Opens what has this name, if it is no link.
fn open(path: &FilePath, flags: OFlags, mode: u32) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode);
    Ok(rustix::fs::openat(path.dir(), path.name()?, flags, mode)?.into())
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// Sets owner and mode as the twin has them. A process that may not give files away
/// leaves them its own, in the twin's group where it may: `verify` tells of that as
/// `owner-differs`.
fn take_ownership(file: &File, like: Option<Ownership>) -> io::Result<()> {
    let Some(like) = like else { return Ok(()) };
    let now = Ownership::of(&file.metadata()?);
    if (now.uid, now.gid) != (like.uid, like.gid) {
        let own = |uid| as_allowed(std::os::unix::fs::fchown(file, uid, Some(like.gid)));
        let _ = own(Some(like.uid))? || own(None)?;
    }
    if now.mode != like.mode {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(like.mode);
        as_allowed(file.set_permissions(mode))?;
    }
    Ok(())
}

/// Whether a file was given what it was to have: a process may not, or the file system has
/// no such thing.
fn as_allowed(done: io::Result<()>) -> io::Result<bool> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match done {
        Ok(()) => Ok(true),
        Err(error) if [PermissionDenied, Unsupported, InvalidInput].contains(&error.kind()) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &FilePath) -> io::Result<DiskFile> {
        Ok(DiskFile {
            file: path.open_writable()?,
            path: path.to_path_buf(),
        })
    }

    fn create(&self, path: &FilePath, like: Option<Ownership>) -> io::Result<DiskFile> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = open(path, flags, like.map_or(0o666, |like| like.mode))?;
        take_ownership(&file, like)?;
        Ok(DiskFile {
            file,
            path: path.to_path_buf(),
        })
    }

    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(like.map_or(0o666, |like| like.mode));
        let file = File::from(rustix::fs::openat(dir, ".", flags, mode)?);
        take_ownership(&file, like)?;
        Ok(DiskFile {
            file,
            path: dir.path().to_path_buf(),
        })
    }

    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()> {
        let descriptor = format!("/proc/self/fd/{}", file.file.as_raw_fd());
        let follow = AtFlags::SYMLINK_FOLLOW;
        Ok(rustix::fs::linkat(
            CWD,
            descriptor,
            path.dir(),
            path.name()?,
            follow,
        )?)
    }

    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()> {
        let mode = Mode::from_raw_mode(mode);
        Ok(rustix::fs::mkdirat(path.dir(), path.name()?, mode)?)
    }

    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        file.file.write_at(bytes, position)
    }

    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()> {
        file.file.set_len(bytes)
    }

    fn sync_data(&self, file: &DiskFile) -> io::Result<()> {
        file.file.sync_data()
    }

    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        dir.sync()
    }

    fn remove(&self, path: &FilePath) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            path.dir(),
            path.name()?,
            AtFlags::empty(),
        )?)
    }

    fn remove_dir(&self, path: &FilePath) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            path.dir(),
            path.name()?,
            AtFlags::REMOVEDIR,
        )?)
    }

    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(
            from.dir(),
            from.name()?,
            to.dir(),
            to.name()?,
            RenameFlags::NOREPLACE,
        )?)
    }

    fn own_dir(&self, dir: &Dir, like: Ownership) -> io::Result<()> {
        take_ownership(&dir.reopen()?, Some(like))
    }

    fn replace(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        Ok(rustix::fs::renameat(
            from.dir(),
            from.name()?,
            to.dir(),
            to.name()?,
        )?)
    }
}
