//! What only Linux has: leases, `/proc`, unnamed files, inotify, and a few flags. `linux` uses
//! it; `portable` has the same functions for all other systems, where a writer that takes no
//! lock cannot be seen. `.ci/portable` tests `portable` on Linux.

use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{Mode, RawMode};

#[cfg(all(target_os = "linux", not(proglog_portable)))]
mod filesystem;
#[cfg(all(target_os = "linux", not(proglog_portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(proglog_portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(proglog_portable)))]
pub(crate) use linux::*;
#[cfg(all(target_os = "linux", not(proglog_portable)))]
pub use linux::{Watch, memory_file, reopen, widen_pipe};
#[cfg(not(all(target_os = "linux", not(proglog_portable))))]
pub(crate) use portable::*;
#[cfg(not(all(target_os = "linux", not(proglog_portable))))]
pub use portable::{Watch, memory_file, reopen, widen_pipe};

/// Waits until a directory's names are on the disk, not only in its cache.
#[cfg(target_vendor = "apple")]
pub(crate) use rustix::fs::fcntl_fullfsync as sync_directory;
#[cfg(not(target_vendor = "apple"))]
pub(crate) use rustix::fs::fsync as sync_directory;

/// The kinds of lease on an open file description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    None,
    Read,
    Write,
}

/// The processes whose opens this kernel sees.
#[derive(Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "`portable` knows one answer only")]
pub(crate) enum Reach {
    /// Of everybody.
    All,
    /// Not of mappings without a descriptor: on overlayfs.
    AllButMappings,
    /// Those that come through this mount on this machine. The name of the file system.
    Here(String),
}

/// Permission bits as the system has them.
pub(crate) fn mode(bits: u32) -> Mode {
    // None is above 0o7777, which every system's type holds.
    Mode::from_raw_mode(RawMode::try_from(bits & 0o7777).unwrap_or(0))
}

/// The path of an open file or directory, if the system knows it: where it is now.
#[must_use]
pub fn path_of(file: impl AsFd) -> Option<PathBuf> {
    current_path(file.as_fd())
}
