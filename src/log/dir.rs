//! A directory that is held open by a descriptor, and the names in it. A path is resolved
//! once; afterwards every access uses the descriptor, so that renaming or replacing the
//! directory meanwhile does not redirect it. Only this file and `disk` open, list or
//! inspect anything in the directory of a log.

mod paths;
mod status;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::platform::{NAMES_ONLY, each_name, path_of, reopen, sync_directory};
use paths::or_here;
pub use paths::{is_taken, nearest, real_place};
pub use status::{FileStatus, Identity, time_at};

/// How often a file whose lease is not let go is tried again.
const RETRY: Duration = Duration::from_millis(2);

/// A directory that is held open. Clones share the descriptor.
#[derive(Debug, Clone)]
pub struct Dir(Arc<Held>);

#[derive(Debug)]
struct Held {
    directory: File,
    path: PathBuf,
    identity: Identity,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.directory.as_fd()
    }
}

impl Dir {
    /// Opens a directory by its path, links followed.
    ///
    /// # Errors
    ///
    /// The error of the operating system; `NotADirectory` for anything else.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(ErrorKind::NotFound.into());
        }
        Self::in_front(path)
    }

    /// Opens the directory in front of a name: this one, where nothing is in front of it.
    ///
    /// # Errors
    ///
    /// As [`Dir::open`].
    pub fn in_front(path: &Path) -> io::Result<Self> {
        let open = |flags| rustix::fs::open(or_here(path), flags, Mode::empty());
        Self::held(open, path)
    }

    fn held(
        open: impl Fn(OFlags) -> rustix::io::Result<rustix::fd::OwnedFd>,
        path: &Path,
    ) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match open(flags | OFlags::RDONLY) {
            // Names in it may be used all the same.
            Err(Errno::ACCESS) => open(flags | NAMES_ONLY),
            opened => opened,
        }?;
        let directory = File::from(opened);
        let identity = FileStatus::of(&directory)?.identity();
        Ok(Self(Arc::new(Held {
            directory,
            path: path.to_path_buf(),
            identity,
        })))
    }

    /// The path by which it was opened, for messages: it may name another one now.
    #[must_use]
    pub fn path(&self) -> &Path {
        or_here(&self.0.path)
    }

    /// Device and inode.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// The metadata of the directory.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn metadata(&self) -> io::Result<FileStatus> {
        FileStatus::of(self)
    }

    /// Whether its owner may have us read a file through a link in it.
    fn may_lead_to(&self, file: &FileStatus) -> io::Result<bool> {
        let owner = self.metadata()?.uid();
        let trusted = [0, rustix::process::geteuid().as_raw(), file.uid()];
        Ok(trusted.contains(&owner))
    }

    /// Whether names in it could be changed, as far as the system tells without doing it.
    ///
    /// # Errors
    ///
    /// The operating system's, as changing one would give.
    pub fn check_writable(&self) -> io::Result<()> {
        check_writable(self, OsStr::new("."))
    }

    /// Whether its path still leads to it.
    #[must_use]
    pub fn is_at_its_path(&self) -> bool {
        rustix::fs::stat(self.path()).is_ok_and(|it| FileStatus(it).identity() == self.identity())
    }

    /// Its current path, if it was moved and the system knows it.
    #[must_use]
    pub fn moved_to(&self) -> Option<PathBuf> {
        let now = path_of(self)?;
        let there = FileStatus(rustix::fs::stat(&now).ok()?);
        (there.identity() == self.identity()).then_some(now)
    }

    /// A name in it.
    #[must_use]
    pub fn at(&self, name: impl AsRef<OsStr>) -> FilePath {
        let name = name.as_ref().to_owned();
        FilePath {
            path: self.0.path.join(&name),
            dir: self.clone(),
            name,
        }
    }

    /// Its real path, without links: for messages and comparisons.
    ///
    /// # Errors
    ///
    /// The operating system's; `NotFound` if the path leads to another directory now.
    pub fn real_path(&self) -> io::Result<PathBuf> {
        let real = self.path().canonicalize()?;
        let now = FileStatus(rustix::fs::stat(&real)?);
        if now.identity() != self.identity() {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(real)
    }

    /// Its name in the directory above, which is opened through this one; `None` for the
    /// root directory.
    ///
    /// # Errors
    ///
    /// The operating system's; `NotFound` if the path leads to another directory now.
    pub fn in_parent(&self) -> io::Result<Option<FilePath>> {
        let real = self.real_path()?;
        let (Some(above), Some(name)) = (real.parent(), real.file_name()) else {
            return Ok(None);
        };
        let open = |flags| rustix::fs::openat(self, "..", flags, Mode::empty());
        let this = Self::held(open, above)?.at(name);
        if this.metadata()?.identity() != self.identity() {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(Some(this))
    }

    /// Opens it once more, for reading.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn reopen(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self, ".", flags, Mode::empty())?.into())
    }

    /// Makes its names durable.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn sync(&self) -> io::Result<()> {
        match sync_directory(self) {
            // It was opened without the right to read it.
            Err(Errno::BADF) => self.reopen()?.sync_all(),
            synced => Ok(synced?),
        }
    }

    /// Hands over every name in it, in no order.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn each_name(&self, each: impl FnMut(&OsStr)) -> io::Result<()> {
        each_name(self.reopen()?, each)
    }

    /// All names in it, in no order.
    ///
    /// # Errors
    ///
    /// As [`Dir::each_name`].
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        self.each_name(|name| names.push(name.to_owned()))?;
        Ok(names)
    }
}

/// Whether a symbolic link leads to another file or is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It leads on, for reading a log that has some: to a file of the directory's owner, or
    /// wherever a directory of our own or of root leads. Another owner could have us copy a
    /// file that he may not read.
    Followed,
    /// It is refused.
    Refused,
}

/// A name in a directory that is held open. As a path, it is for messages.
#[derive(Clone)]
pub struct FilePath {
    dir: Dir,
    name: OsString,
    path: PathBuf,
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl PartialEq for FilePath {
    fn eq(&self, other: &Self) -> bool {
        self.dir.identity() == other.dir.identity() && self.name == other.name
    }
}

impl Eq for FilePath {}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl FilePath {
    /// A name by its path: the directory in front of it is opened.
    ///
    /// # Errors
    ///
    /// The operating system's; `InvalidInput` for a path without a name at its end.
    pub fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            dir: Dir::in_front(parent)?,
            name: name.to_owned(),
            path: path.to_path_buf(),
        })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name, if it is one that stays in its directory.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for any other.
    pub fn name(&self) -> io::Result<&OsStr> {
        match self.name.as_bytes() {
            b"" | b"." | b".." => Err(ErrorKind::InvalidInput.into()),
            name if name.contains(&b'/') => Err(ErrorKind::InvalidInput.into()),
            _ => Ok(&self.name),
        }
    }

    /// The same name with another extension.
    #[must_use]
    pub fn with_extension(&self, extension: &str) -> Self {
        self.dir.at(Path::new(&self.name).with_extension(extension))
    }

    /// The metadata of the file; follows links.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn metadata(&self) -> io::Result<FileStatus> {
        self.status(AtFlags::empty())
    }

    /// The metadata of this name; does not follow links.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn link_metadata(&self) -> io::Result<FileStatus> {
        self.status(AtFlags::SYMLINK_NOFOLLOW)
    }

    fn status(&self, flags: AtFlags) -> io::Result<FileStatus> {
        Ok(FileStatus(rustix::fs::statat(
            &self.dir,
            self.name()?,
            flags,
        )?))
    }

    /// Whether it could be opened for writing, as far as the system shows without opening it.
    ///
    /// # Errors
    ///
    /// The error of the operating system that opening it would return.
    pub fn check_writable(&self) -> io::Result<()> {
        check_writable(&self.dir, self.name()?)
    }

    /// Whether it exists, and is not a broken symbolic link.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.metadata().is_ok()
    }

    /// Whether something has this name, be it a link to nothing.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.link_metadata().is_ok()
    }

    /// Whether a regular file is there, links followed.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.metadata().is_ok_and(|it| it.is_file())
    }

    /// Whether a directory is there, links followed.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.metadata().is_ok_and(|it| it.is_dir())
    }

    /// The target of the symbolic link of this name.
    ///
    /// # Errors
    ///
    /// The error of the operating system; `InvalidInput` if it is not a link.
    pub fn link_target(&self) -> io::Result<PathBuf> {
        let target = rustix::fs::readlinkat(&self.dir, self.name()?, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Opens the directory of this name. A link to one is refused.
    ///
    /// # Errors
    ///
    /// The error of the operating system; `NotADirectory` for anything else.
    pub fn open_dir(&self) -> io::Result<Dir> {
        let name = self.name()?;
        let open = |flags| {
            let flags = flags | OFlags::NOFOLLOW;
            rustix::fs::openat(&self.dir, name, flags, Mode::empty())
        };
        Dir::held(open, &self.path)
    }

    /// Opens a regular file for reading. Nothing else is waited for: a FIFO would wait for
    /// a writer.
    ///
    /// # Errors
    ///
    /// The error of the operating system; `InvalidInput` if it is not a regular file.
    pub fn open(&self, links: Links) -> io::Result<(File, FileStatus)> {
        self.open_with(OFlags::RDONLY, links)
    }

    /// The same for reading and writing. A link is refused.
    pub(super) fn open_writable(&self) -> io::Result<File> {
        let (file, _) = self.open_with(OFlags::RDWR, Links::Refused)?;
        Ok(file)
    }

    fn open_with(&self, access: OFlags, links: Links) -> io::Result<(File, FileStatus)> {
        let at_once = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let flags = access | at_once | OFlags::NOFOLLOW;
        let name = self.name()?;
        let open = |flags| rustix::fs::openat(&self.dir, name, flags, Mode::empty());
        let opened = open(flags);
        let leads_on = links == Links::Followed && matches!(opened, Err(Errno::LOOP));
        let (flags, opened) = if leads_on {
            let flags = access | at_once;
            (flags, open(flags))
        } else {
            (flags, opened)
        };
        let file = match opened {
            Err(Errno::WOULDBLOCK) => self.open_leased(access, flags)?,
            // A FIFO without a reader, or a socket.
            Err(Errno::NXIO) => return Err(ErrorKind::InvalidInput.into()),
            opened => File::from(opened?),
        };
        let status = FileStatus::of(&file)?;
        if !status.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        if leads_on && !self.dir.may_lead_to(&status)? {
            return Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "a symbolic link to a file that is not of the directory's owner",
            ));
        }
        Ok((file, status))
    }

    /// Opens a file on which another process holds a lease. The wait is on the file
    /// itself: something else may have its name meanwhile.
    fn open_leased(&self, access: OFlags, flags: OFlags) -> io::Result<File> {
        let name = self.name()?;
        let file = NAMES_ONLY | OFlags::CLOEXEC | (flags & OFlags::NOFOLLOW);
        let file = File::from(rustix::fs::openat(&self.dir, name, file, Mode::empty())?);
        if !FileStatus::of(&file)?.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        if let Some(opened) = reopen(file.as_fd(), access) {
            return Ok(opened?.into());
        }
        loop {
            match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
                Err(Errno::WOULDBLOCK) => std::thread::sleep(RETRY),
                opened => return Ok(opened?.into()),
            }
        }
    }
}

fn check_writable(dir: &Dir, name: &OsStr) -> io::Result<()> {
    let access = rustix::fs::Access::WRITE_OK;
    Ok(rustix::fs::accessat(dir, name, access, AtFlags::EACCESS)?)
}
