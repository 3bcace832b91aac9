//! Everything that changes the disk, and nothing else does. Tests wrap [`Disk`] to
//! record what passes here and to make it fail here. Who holds which lock or lease
//! is not known here.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that changes the disk"
)]

use std::ffi::CString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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
    fn open(&self, path: &Path) -> io::Result<DiskFile>;
    /// Creates a file that must not exist; `like` gives owner, group and mode, which is
    /// 0666 less the umask without it.
    fn create(&self, path: &Path, like: Option<Ownership>) -> io::Result<DiskFile>;
    /// Creates a file without a name in the file system of `dir`.
    fn create_unnamed(&self, dir: &Path, like: Option<Ownership>) -> io::Result<DiskFile>;
    /// Gives an unnamed file its name, which must be free.
    fn link(&self, file: &DiskFile, path: &Path) -> io::Result<()>;
    /// Creates a directory with these permission bits (less the umask).
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Writes at a position; may write less, as pwrite.
    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize>;
    /// Cuts or stretches a file.
    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()>;
    /// Makes a file's bytes and size durable (fdatasync).
    fn sync_data(&self, file: &DiskFile) -> io::Result<()>;
    /// Makes a directory's names durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Moves a file to another name, which must be free.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a directory owner, group and mode, as far as this process may.
    fn own_dir(&self, _path: &Path, _like: Ownership) -> io::Result<()> {
        Ok(())
    }
    /// Moves a file to the name of another, which is gone at that moment. A disk that
    /// cannot is one of a test's that never mends with another copy.
    fn replace(&self, _from: &Path, _to: &Path) -> io::Result<()> {
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
pub fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(temporary)?;
    let mut replaced = || {
        take_ownership(&file, fs::metadata(path).ok().as_ref().map(Ownership::of))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    };
    if let Err(error) = replaced() {
        let _ = fs::remove_file(temporary);
        return Err(error);
    }
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    RealDisk.sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Opens a regular file that is only there to be locked; makes it where it is missing.
///
/// # Errors
///
/// The operating system's; `InvalidInput` for what is no regular file.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        // A FIFO would wait for a reader.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
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
    fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        Ok(DiskFile {
            file,
            path: path.to_path_buf(),
        })
    }

    fn create(&self, path: &Path, like: Option<Ownership>) -> io::Result<DiskFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(like.map_or(0o666, |like| like.mode))
            .open(path)?;
        take_ownership(&file, like)?;
        Ok(DiskFile {
            file,
            path: path.to_path_buf(),
        })
    }

    fn create_unnamed(&self, dir: &Path, like: Option<Ownership>) -> io::Result<DiskFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_TMPFILE)
            .mode(like.map_or(0o666, |like| like.mode))
            .open(dir)?;
        take_ownership(&file, like)?;
        Ok(DiskFile {
            file,
            path: dir.to_path_buf(),
        })
    }

    fn link(&self, file: &DiskFile, path: &Path) -> io::Result<()> {
        let descriptor = CString::new(format!("/proc/self/fd/{}", file.file.as_raw_fd()))?;
        rustix::fs::linkat(
            rustix::fs::CWD,
            descriptor.as_c_str(),
            rustix::fs::CWD,
            path,
            rustix::fs::AtFlags::SYMLINK_FOLLOW,
        )?;
        Ok(())
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::DirBuilder::new().mode(mode).create(path)
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

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        rustix::fs::renameat_with(
            rustix::fs::CWD,
            from,
            rustix::fs::CWD,
            to,
            rustix::fs::RenameFlags::NOREPLACE,
        )?;
        Ok(())
    }

    fn own_dir(&self, path: &Path, like: Ownership) -> io::Result<()> {
        take_ownership(&File::open(path)?, Some(like))
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
}
