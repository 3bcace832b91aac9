//! Wakes up when something happens in a directory, by inotify. It wakes and reports
//! nothing more: a mapped file (the Go service's index) and a network file system cause
//! no events, so the caller also checks from time to time.
//!
//! Only the directory is watched, whose events name its files too. A watch on a file
//! would hold its inode, which kernels before 5.3 count as a reader: no write lease would
//! be granted any more.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// A directory that is watched.
#[derive(Debug)]
pub struct Watch {
    #[cfg(target_os = "linux")]
    events: std::os::fd::OwnedFd,
    #[cfg(not(target_os = "linux"))]
    events: std::fs::File,
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

#[cfg(target_os = "linux")]
impl Watch {
    /// Watches a directory, if the system lets us: there may be too many watches.
    #[must_use]
    pub fn on(directory: &Path) -> Option<Self> {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

        let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        let what = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        add_watch(&events, directory, what).ok()?;
        Some(Self { events })
    }

    /// Forgets what has happened so far.
    pub fn drain(&self) {
        // Larger than the longest event, or the kernel returns none.
        let mut events = [0; 4096];
        while rustix::io::read(&self.events, &mut events).is_ok_and(|bytes| bytes > 0) {}
    }
}

#[cfg(not(target_os = "linux"))]
impl Watch {
    /// Only Linux has inotify.
    #[must_use]
    pub fn on(_: &Path) -> Option<Self> {
        None
    }

    /// Forgets what has happened so far.
    pub fn drain(&self) {}
}
