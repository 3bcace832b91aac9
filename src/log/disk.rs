//! Everything that changes the disk, and nothing else does. Tests wrap [`Disk`] to
//! record what passes here and to make it fail here. Who holds which lock or lease
//! is not known here.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that changes the disk"
)]

mod ownership;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags};

use super::dir::{Dir, FilePath, Links};
use super::platform;
use ownership::{OWNERS, take_ownership};
pub use ownership::{Ownership, is_own, owner_not_kept};

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
/// Each returns the error of the operating system unchanged.
pub trait Disk: Send + Sync {
    /// Opens an existing regular file for reading and writing. No `O_APPEND`:
    /// pwrite would ignore its position.
    fn open(&self, path: &FilePath) -> io::Result<DiskFile>;
    /// Creates a file that must not exist; `like` supplies owner, group and mode, which
    /// is 0666 less the umask without it.
    fn create(&self, path: &FilePath, like: Option<Ownership>) -> io::Result<DiskFile>;
    /// Creates a file without a name in the file system of `dir`.
    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile>;
    /// Links an unnamed file at its name, which must be free.
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
    /// Sets owner, group and mode of a directory that was just created, as far as this
    /// process may. One that is not empty is another, and refused.
    fn own_dir(&self, _dir: &Dir, _like: Ownership) -> io::Result<()> {
        Ok(())
    }
    /// Moves a file to the name of another, which is gone at that moment. A disk that
    /// cannot is one of a test's that never repairs with another copy.
    fn replace(&self, _from: &FilePath, _to: &FilePath) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Methods of a [`Disk`] that another carries out: `|self| DISK => NAME...`, where `DISK` may
/// also return an error of the operating system.
#[doc(hidden)] // for the tests, whose disks differ in a few methods
#[macro_export]
macro_rules! forward_to_disk {
    (|$this:ident| $disk:expr => $($name:ident)+) => {
        $($crate::forward_to_disk! { @$name $this, $disk })+
    };
    (@@ $this:ident, $disk:expr, $name:ident($($argument:ident: $of:ty),+) -> $gives:ty) => {
        fn $name(&$this, $($argument: $of),+) -> std::io::Result<$gives> {
            ($disk).$name($($argument),+)
        }
    };
    (@open $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, open(
            path: &$crate::log::dir::FilePath
        ) -> $crate::log::disk::DiskFile }
    };
    (@create $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, create(
            path: &$crate::log::dir::FilePath,
            like: Option<$crate::log::disk::Ownership>
        ) -> $crate::log::disk::DiskFile }
    };
    (@create_unnamed $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, create_unnamed(
            dir: &$crate::log::dir::Dir,
            like: Option<$crate::log::disk::Ownership>
        ) -> $crate::log::disk::DiskFile }
    };
    (@link $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, link(
            file: &$crate::log::disk::DiskFile,
            path: &$crate::log::dir::FilePath
        ) -> () }
    };
    (@create_dir $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, create_dir(
            path: &$crate::log::dir::FilePath,
            mode: u32
        ) -> () }
    };
    (@write_at $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, write_at(
            file: &$crate::log::disk::DiskFile,
            bytes: &[u8],
            position: u64
        ) -> usize }
    };
    (@set_len $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, set_len(
            file: &$crate::log::disk::DiskFile,
            bytes: u64
        ) -> () }
    };
    (@sync_data $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, sync_data(
            file: &$crate::log::disk::DiskFile
        ) -> () }
    };
    (@sync_dir $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, sync_dir(
            dir: &$crate::log::dir::Dir
        ) -> () }
    };
    (@own_dir $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, own_dir(
            dir: &$crate::log::dir::Dir,
            like: $crate::log::disk::Ownership
        ) -> () }
    };
    (@remove $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, remove(
            path: &$crate::log::dir::FilePath
        ) -> () }
    };
    (@remove_dir $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, remove_dir(
            path: &$crate::log::dir::FilePath
        ) -> () }
    };
    (@rename $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, rename(
            from: &$crate::log::dir::FilePath,
            to: &$crate::log::dir::FilePath
        ) -> () }
    };
    (@replace $($to:tt)+) => {
        $crate::forward_to_disk! { @@ $($to)+, replace(
            from: &$crate::log::dir::FilePath,
            to: &$crate::log::dir::FilePath
        ) -> () }
    };
}

/// Writes all of `bytes`, continuing after short writes and interruptions.
///
/// # Errors
///
/// The first error that is not an interruption; `WriteZero` if nothing more is taken.
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

/// Returns the file at `path` other bytes, or makes it: wholly or not at all, also in a
/// power cut. A file of another user that has the temporary name is left alone.
///
/// # Errors
///
/// The operating system's; the file is as it was then, or as it was to be.
pub fn replace(path: &FilePath, bytes: &[u8]) -> io::Result<()> {
    let (mut made, temporary) = create_beside(path)?;
    let mut replaced = || {
        let like = match path.open(Links::Refused) {
            Ok((before, _)) => Some(Ownership::of(&before)?),
            // A file that cannot be opened or is not regular is replaced by a new one.
            Err(_) => None,
        };
        give(&made.file, like.as_ref(), path)?;
        made.file.write_all(bytes)?;
        made.file.sync_all()?;
        RealDisk.replace(&temporary, path)
    };
    if let Err(error) = replaced() {
        let _ = RealDisk.remove(&temporary);
        return Err(error);
    }
    RealDisk.sync_dir(path.dir())
}

/// Whether [`replace`] could make a file there that does not exist yet.
///
/// # Errors
///
/// The operating system's.
pub fn try_beside(path: &FilePath) -> io::Result<()> {
    let (_, temporary) = create_beside(path)?;
    RealDisk.remove(&temporary)
}

/// Creates a file with a temporary name beside another. The name is the same each time,
/// so that the leftover of a killed process is removed; if that is not our own file,
/// another name is used.
fn create_beside(path: &FilePath) -> io::Result<(DiskFile, FilePath)> {
    let own = rustix::process::geteuid().as_raw();
    let name = path.name()?;
    let mut temporary = path.dir().at(hidden(name, "new"));
    for _ in 0..TRIES {
        match temporary.link_metadata() {
            Ok(there) if there.is_file() && there.uid() == own => RealDisk.remove(&temporary)?,
            Ok(_) => {
                temporary = path
                    .dir()
                    .at(hidden(name, &format!("new-{}", random_name())));
            }
            Err(_) => {}
        }
        match RealDisk.create(&temporary, None) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return Ok((created?, temporary)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The name of a hidden file beside another.
#[must_use]
pub fn hidden(name: &OsStr, what: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".proglog-");
    hidden.push(what);
    hidden
}

/// An unpredictable name: std seeds its hashers from the system.
#[must_use]
pub fn random_name() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// Opens a regular file that is only there to be locked; makes it where it is missing.
///
/// # Errors
///
/// The error of the operating system; `InvalidInput` if it is not a regular file.
pub fn open_lock(path: &FilePath) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    match open(path, flags, 0o666) {
        // If locked, it need not be writable; and creating an existing file is refused
        // where the kernel protects shared directories.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match path.open(Links::Refused) {
                Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                    Err(io::ErrorKind::InvalidInput.into())
                }
                opened => opened.map(|(file, _)| file),
            }
        }
        created => created,
    }
}

/// Opens what has this name, if it is not a link.
fn open(path: &FilePath, flags: OFlags, mode: u32) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(path.dir(), path.name()?, flags, platform::mode(mode))?.into())
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// A user who may rename a directory that was just created may put another one in its
/// place: a directory with any content is not given away.
fn check_new(directory: &Dir) -> io::Result<()> {
    let mut is_empty = true;
    directory.each_name(|_| is_empty = false)?;
    if is_empty {
        return Ok(());
    }
    Err(io::Error::other(
        "another directory is in the place of the one that was just created",
    ))
}

/// The permission bits with which a file is created: until it has the ownership that it
/// is to have, no other process gets in.
fn first_mode(like: Option<&Ownership>) -> u32 {
    like.map_or(0o666, |like| like.mode & OWNERS)
}

fn give(file: &File, like: Option<&Ownership>, path: &Path) -> io::Result<()> {
    like.map_or(Ok(()), |like| take_ownership(file, like, path))
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
        let file = open(path, flags, first_mode(like.as_ref()))?;
        give(&file, like.as_ref(), path)?;
        Ok(DiskFile {
            file,
            path: path.to_path_buf(),
        })
    }

    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile> {
        let mode = platform::mode(first_mode(like.as_ref()));
        let file = platform::create_unnamed(dir, mode)?;
        give(&file, like.as_ref(), dir.path())?;
        Ok(DiskFile {
            file,
            path: dir.path().to_path_buf(),
        })
    }

    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()> {
        let source = platform::link_source(&file.file)?;
        let follow = AtFlags::SYMLINK_FOLLOW;
        Ok(rustix::fs::linkat(
            CWD,
            source,
            path.dir(),
            path.name()?,
            follow,
        )?)
    }

    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()> {
        let mode = platform::mode(mode);
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
        platform::rename_to_free((from.dir(), from.name()?), (to.dir(), to.name()?))
    }

    fn own_dir(&self, dir: &Dir, like: Ownership) -> io::Result<()> {
        check_new(dir)?;
        take_ownership(&dir.reopen()?, &like, dir.path())
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
