//! Other systems than Linux: see `platform`. The kernel says nothing about other processes, so
//! a command that writes asks for `--assume-unused`.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Lease, Reach};

/// There is no such way to open a directory: one that cannot be listed is not opened.
pub(crate) const NAMES_ONLY: OFlags = OFlags::empty();

pub(crate) fn opens_nothing(_: OFlags) -> bool {
    false
}

/// Opens an open file once more, which needs `/proc`.
#[must_use]
pub fn reopen(_: BorrowedFd<'_>, _: OFlags) -> Option<rustix::io::Result<OwnedFd>> {
    None
}

#[cfg(target_vendor = "apple")]
pub(super) fn current_path(file: BorrowedFd<'_>) -> Option<PathBuf> {
    let path = rustix::fs::getpath(file).ok()?;
    Some(OsStr::from_bytes(path.as_bytes()).into())
}

#[cfg(not(target_vendor = "apple"))]
pub(super) fn current_path(_: BorrowedFd<'_>) -> Option<PathBuf> {
    None
}

pub(crate) fn each_name(directory: File, mut each: impl FnMut(&OsStr)) -> io::Result<()> {
    for entry in rustix::fs::Dir::new(directory)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name => each(OsStr::from_bytes(name)),
        }
    }
    Ok(())
}

pub(crate) fn create_unnamed(_: impl AsFd, _: Mode) -> io::Result<File> {
    Err(Errno::OPNOTSUPP.into())
}

pub(crate) fn link_source(_: &File) -> io::Result<String> {
    Err(Errno::OPNOTSUPP.into())
}

pub(crate) fn write_back(_: &File, _: u64, _: NonZeroU64) {}

/// A file without a name, in the directory for temporary files.
///
/// # Errors
///
/// The operating system's.
pub fn memory_file() -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    loop {
        // A new state has other random keys.
        let name = format!("proglog-{:016x}", RandomState::new().hash_one(0));
        let path = std::env::temp_dir().join(name);
        match rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                rustix::fs::unlink(&path)?;
                return Ok(file.into());
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn in_one_mount(_: impl AsFd, _: impl AsFd) -> bool {
    true
}

pub(crate) fn promised_by_a_server(_: &File) -> bool {
    false
}

pub(crate) fn reach(_: impl AsFd) -> Reach {
    Reach::AllButMappings
}

pub(crate) fn set_lease(_: BorrowedFd<'_>, _: Lease) -> io::Result<()> {
    Err(no_leases())
}

pub(crate) fn lease_on(_: BorrowedFd<'_>) -> io::Result<Lease> {
    Err(no_leases())
}

fn no_leases() -> io::Error {
    io::Error::new(ErrorKind::Unsupported, "only Linux has file leases")
}

pub(crate) fn lease_break_time() -> Duration {
    Duration::ZERO
}

pub(crate) fn process_name(_: u32) -> Option<String> {
    None
}

pub(crate) fn locks() -> Option<String> {
    None
}

pub(crate) fn uptime() -> Option<Duration> {
    None
}

pub(crate) const PROCESSES: Option<&str> = None;

pub(crate) fn unknown_user() -> u32 {
    65534
}

pub(crate) fn knows_all_users() -> bool {
    true
}

pub(crate) fn device(_: u32, _: u32) -> u64 {
    0
}

pub(crate) fn device_numbers(_: u64) -> (u32, u32) {
    (0, 0)
}

/// Access control lists are kept on Linux only.
#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(crate) fn read_acl(_: impl AsFd, _: &str) -> rustix::io::Result<Option<Vec<u8>>> {
    Ok(None)
}

pub(crate) fn set_acl(_: &File, _: &str, acl: Option<&[u8]>) -> bool {
    acl.is_none()
}

pub(crate) fn rename_to_free(_: (impl AsFd, &OsStr), _: (impl AsFd, &OsStr)) -> io::Result<()> {
    Err(Errno::OPNOTSUPP.into())
}

/// A pipe keeps its size.
pub fn widen_pipe(_: impl AsFd, _: usize) {}

/// A directory that is not watched: a waiting command checks it from time to time.
#[derive(Debug)]
pub struct Watch(File);

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Watch {
    /// Nothing wakes here.
    #[must_use]
    pub fn on(_: &Path) -> Option<Self> {
        None
    }

    /// Forgets what has happened so far.
    pub fn drain(&self) {}
}
