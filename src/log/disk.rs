//! Everything that changes the disk, and nothing else does. Tests wrap [`Disk`] to
//! record what passes here and to make it fail here. Who holds which lock or lease
//! is not known here.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that changes the disk"
)]

mod ownership;

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ownership::{OWNERS, take_ownership};
pub use ownership::{Ownership, owner_not_kept};

/// How often another temporary name is tried.
const TRIES: usize = 8;

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
    /// Gives a directory that was just created owner, group and mode, as far as this
    /// process may. One that is not empty is another, and refused.
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
/// power cut. A file of another user that has the temporary name is left alone.
///
/// # Errors
///
/// The operating system's; the file is as it was then, or as it was to be.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, temporary) = create_beside(path)?;
    let mut replaced = || {
        let like = match open_regular(path) {
            Ok(before) => Some(Ownership::of(&before)?),
            // What cannot be opened or is no file is replaced by a file of our own.
            Err(_) => None,
        };
        give(&file, like.as_ref(), path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    if let Err(error) = replaced() {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    RealDisk.sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Whether [`replace`] could make a file there that does not exist yet.
///
/// # Errors
///
/// The operating system's.
pub fn try_beside(path: &Path) -> io::Result<()> {
    let (_, temporary) = create_beside(path)?;
    fs::remove_file(temporary)
}

/// Creates a file of a temporary name beside another. The name is the same each time, so
/// that what a killed process left is removed; where that is not our own file, another.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let own = rustix::process::geteuid().as_raw();
    let mut temporary = hidden_beside(path, "new");
    for _ in 0..TRIES {
        match fs::symlink_metadata(&temporary) {
            Ok(there) if there.is_file() && there.uid() == own => fs::remove_file(&temporary)?,
            Ok(_) => temporary = hidden_beside(path, &format!("new-{}", random_name())),
            Err(_) => {}
        }
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary);
        match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return Ok((created?, temporary)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A hidden name beside a file.
#[must_use]
pub fn hidden_beside(path: &Path, what: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".proglog-");
    name.push(what);
    path.with_file_name(name)
}

/// A name that nobody could foresee: std seeds its hashers from the system.
#[must_use]
pub fn random_name() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// Opens a regular file for reading. A link is refused, and nothing is waited for.
///
/// # Errors
///
/// The operating system's; `InvalidInput` for what is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// Opens a regular file that is only there to be locked; makes it where it is missing.
///
/// # Errors
///
/// The operating system's; `InvalidInput` for what is no regular file.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    match created {
        // Locked, it need not be writable; and to create what is there is refused where the
        // kernel protects shared directories.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match open_regular(path) {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
            opened => opened,
        },
        created => created,
    }
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// Whoever may rename a directory that was just created may put another one in its place:
/// one with anything in it is not given away.
fn check_new(directory: &File) -> io::Result<()> {
    let mut entries = rustix::fs::Dir::read_from(directory)?;
    let is_name = |name: &std::ffi::CStr| ![&b"."[..], b".."].contains(&name.to_bytes());
    let named = entries.find(|entry| !entry.as_ref().is_ok_and(|it| !is_name(it.file_name())));
    match named {
        None => Ok(()),
        Some(_) => Err(io::Error::other(
            "another directory is in the place of the one that was just created",
        )),
    }
}

/// The permission bits with which a file is created: until it has the ownership that it is
/// to have, nobody else gets in.
fn first_mode(like: Option<&Ownership>) -> u32 {
    like.map_or(0o666, |like| like.mode & OWNERS)
}

fn give(file: &File, like: Option<&Ownership>, path: &Path) -> io::Result<()> {
    like.map_or(Ok(()), |like| take_ownership(file, like, path))
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
            .mode(first_mode(like.as_ref()))
            .open(path)?;
        give(&file, like.as_ref(), path)?;
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
            .mode(first_mode(like.as_ref()))
            .open(dir)?;
        give(&file, like.as_ref(), dir)?;
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
        let made = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY)
            .open(path)?;
        check_new(&made)?;
        take_ownership(&made, &like, path)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
}
