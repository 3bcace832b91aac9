//! The lock between two proglogs: an exclusive flock on the directory itself, which
//! leaves no file there. The Go service knows nothing of it; see `lease` for that.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::dir::{Dir, Identity};
use super::error::{Error, Result};
use super::platform;
use super::processes;

/// How often a lock that is taken is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// How long to wait for another process to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// At most so long; zero is not at all.
    AtMost(Duration),
    /// Without limit.
    Forever,
}

impl Wait {
    /// The moment at which waiting ends, if it ends, and if a clock can show it.
    #[must_use]
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::AtMost(duration) => Instant::now().checked_add(duration),
            Self::Forever => None,
        }
    }
}

/// Whether a directory's path still leads to it.
///
/// # Errors
///
/// [`Error::Moved`] if it does not.
pub fn check_path(dir: &Dir) -> Result<()> {
    if dir.is_at_its_path() {
        return Ok(());
    }
    Err(Error::Moved {
        path: dir.path().to_path_buf(),
        now: dir.moved_to(),
    })
}

/// An exclusive lock on a log's directory, held until it is dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    /// Holds the lock.
    _locked: File,
    dir: Dir,
}

impl DirectoryLock {
    /// Takes the lock, waiting as `wait` says. `interrupted` is asked between tries.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if another process keeps it, [`Error::Io`] for the rest: some
    /// file systems have no such locks.
    pub fn take(path: &Path, wait: Wait, interrupted: &dyn Fn() -> bool) -> Result<Self> {
        let dir = Dir::open(path).map_err(Error::io("open", path))?;
        Self::take_in(dir, wait, interrupted)
    }

    /// The same of a directory that is open.
    ///
    /// # Errors
    ///
    /// As [`DirectoryLock::take`].
    pub fn take_in(dir: Dir, wait: Wait, interrupted: &dyn Fn() -> bool) -> Result<Self> {
        let path = dir.path().to_path_buf();
        let path = path.as_path();
        // The lock ends with this descriptor, whichever other processes hold the
        // directory.
        let directory = dir.reopen().map_err(Error::io("open", path))?;
        let deadline = wait.deadline();
        // A process that asks the kernel for the open files of another holds a lock that
        // was just dropped for an instant.
        let try_lock = || {
            let taken = |tried: &_| matches!(tried, Err(TryLockError::WouldBlock));
            processes::look_again(|| directory.try_lock(), taken)
        };
        loop {
            match try_lock() {
                Ok(()) => {
                    return Ok(Self {
                        _locked: directory,
                        dir,
                    });
                }
                Err(TryLockError::WouldBlock) => {
                    if interrupted() || deadline.is_some_and(|end| Instant::now() >= end) {
                        return Err(Error::InUse {
                            path: path.to_path_buf(),
                            processes: Self::holder(&dir).into_iter().collect(),
                        });
                    }
                    std::thread::sleep(RETRY);
                }
                Err(TryLockError::Error(source)) => {
                    return Err(Error::Io {
                        action: "lock",
                        path: path.to_path_buf(),
                        source,
                    });
                }
            }
        }
    }

    /// The process that holds the lock on `dir` now, as the kernel lists it. Asking takes
    /// no lock, so it blocks no process.
    #[must_use]
    pub fn holder(dir: &Dir) -> Option<u32> {
        Self::holder_of(dir.identity())
    }

    /// The process that holds a lock on this file or directory now.
    #[must_use]
    pub fn holder_of(Identity { device, inode }: Identity) -> Option<u32> {
        let (major, minor) = platform::device_numbers(device);
        let wanted = format!("{major:02x}:{minor:02x}:{inode}");
        let locks = platform::locks()?;
        locks.lines().find_map(|line| {
            // 1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF
            let mut words = line.split_whitespace().skip(1);
            let (kind, _, access) = (words.next()?, words.next()?, words.next()?);
            let (pid, inode) = (words.next()?, words.next()?);
            (kind == "FLOCK" && access == "WRITE" && inode == wanted)
                .then(|| pid.parse().ok())
                .flatten()
                // A lock may outlive the process that took it, in one that it started.
                .filter(|pid: &u32| platform::process_name(*pid).is_some())
        })
    }

    /// The locked directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The locked directory itself.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Whether the path still leads to the locked directory: if a log is moved, its path
    /// may lead to the next one.
    ///
    /// # Errors
    ///
    /// [`Error::Moved`] if it does not.
    pub fn check_path(&self) -> Result<()> {
        check_path(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_longer_than_a_clock_can_show_waits_forever() {
        assert_eq!(Wait::AtMost(Duration::MAX).deadline(), None);
        assert!(Wait::AtMost(Duration::ZERO).deadline().is_some());
    }
}
