//! Leases (`fcntl(F_SETLEASE)`), by which the kernel reports whether another process has
//! a file open, and which one is opening it. It covers hard links, bind mounts,
//! containers, and closed descriptors that are still mapped.
//!
//! | another process is  | `WriteLease::take` | `probe_writer` |
//! |---------------------|--------------------|----------------|
//! | no process          | `Held`             | `Free`         |
//! | a reader            | `Refused`          | `Free`         |
//! | a writer            | `Refused`          | `Writer`       |
//!
//! A writer is a process with an open file description with write access, even if only
//! through a mapping; other descriptors of this process count too. `processes` knows the
//! names.
//!
//! On overlayfs (the root of a container, for example) a process that closed the
//! descriptor and kept the mapping is not seen: there the mapping is of the file below.
//! Nor is a process that writes to the layers below the mount, which overlayfs forbids.
//!
//! The kernel answers the owner of the file, and processes with `CAP_LEASE`. Root in a
//! container does not have it, but may ask as the owner: by its file system user id
//! (setfsuid(2)).
//!
//! Source: fcntl(2), "Leases"; `check_conflicting_open` in Linux's `fs/locks.c`.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{OFlags, fcntl_getfl};
use signal_hook::consts::SIGIO;

/// Whether a process writes to a file.
#[derive(Debug)]
pub enum Probe {
    /// No process has it open for writing; there may be readers.
    Free,
    /// As `Free`, but for mappings whose descriptors are closed: the file is on
    /// overlayfs.
    FreeButForMappings,
    /// A process has it open for writing.
    Writer,
    /// As `Free`, as far as this kernel knows; but its files can be written on other
    /// machines, or below the mount (FUSE). The file system's name.
    FreeHere(String),
    /// The kernel cannot say: not the owner's process (and no `CAP_LEASE`), a file
    /// system without leases, not Linux.
    Unknown(io::Error),
}

/// Outcome of a lease request.
#[derive(Debug)]
pub enum Grant {
    /// Exclusive access: another process that opens the file must wait.
    Held(WriteLease),
    /// Another process has the file open, if only for reading.
    Refused,
    /// The kernel cannot say, as with [`Probe::Unknown`].
    Unknown(io::Error),
}

/// The process that waits in `open` until the lease is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pending {
    /// No process; the lease is held.
    None,
    /// A reader, or one that has waited so long that the kernel let it in. A writer
    /// may follow at any time.
    Reader,
    /// A writer, or the lease is lost: the kernel gives one answer for both, and lets a
    /// waiting writer in after `/proc/sys/fs/lease-break-time`, 45 seconds.
    Writer,
}

/// Whether another process has `file` open for writing.
///
/// `file` must be open for reading only, and hold no lease: the probe is a read lease
/// that is let go at once. A writer that opens the file at this very instant waits
/// as long; one that opens it with `O_NONBLOCK` then would see `EWOULDBLOCK`.
#[must_use]
pub fn probe_writer(file: &File) -> Probe {
    // A writable descriptor would find itself.
    match fcntl_getfl(file) {
        Ok(flags) if flags & OFlags::ACCMODE == OFlags::RDONLY => {}
        Ok(_) => return Probe::Unknown(ErrorKind::InvalidInput.into()),
        Err(error) => return Probe::Unknown(error.into()),
    }
    // The writer that waits for our instant has SIGIO sent to us.
    if let Err(error) = install_handler() {
        return Probe::Unknown(error);
    }
    match set(file.as_fd(), Lease::Read) {
        Ok(()) => {
            let_go(file);
            match reach(file) {
                Reach::All => Probe::Free,
                Reach::AllButMappings => Probe::FreeButForMappings,
                Reach::Here(name) => Probe::FreeHere(name),
            }
        }
        Err(error) if means_in_use(file, &error) => Probe::Writer,
        Err(error) => match reach(file) {
            Reach::Here(name) => Probe::FreeHere(name),
            Reach::All | Reach::AllButMappings => Probe::Unknown(error),
        },
    }
}

/// The processes whose opens this kernel sees.
#[derive(Debug, PartialEq, Eq)]
enum Reach {
    /// Of everybody.
    All,
    /// Not of mappings without a descriptor: on overlayfs.
    AllButMappings,
    /// Those that come through this mount on this machine. The name of the file system.
    Here(String),
}

/// Of a file or directory on a file system to which others can write without this kernel's
/// knowledge, the name of that file system.
#[must_use]
pub fn elsewhere(file: impl AsFd) -> Option<String> {
    match reach(file) {
        Reach::Here(name) => Some(name),
        Reach::All | Reach::AllButMappings => None,
    }
}

/// The promise that no other process has a file open, until dropped.
///
/// Every other open of the file waits meanwhile, one by this process too, which
/// would hang on its own lease for 45 seconds. So hold it briefly, and open before.
#[derive(Debug)]
pub struct WriteLease {
    /// The same open file description as the caller's. The lease belongs to the
    /// description, so it ends with this value in whatever order the two are dropped.
    file: File,
}

impl WriteLease {
    /// Takes the lease on `file`, which may be open for reading, writing or both.
    ///
    /// One lease for one open file description: a second on the same is granted, and
    /// the first to be dropped ends both.
    #[must_use]
    pub fn take(file: &File) -> Grant {
        let file = match install_handler().and_then(|_| file.try_clone()) {
            Ok(file) => file,
            Err(error) => return Grant::Unknown(error),
        };
        match set(file.as_fd(), Lease::Write) {
            Ok(()) => Grant::Held(Self { file }),
            Err(error) if means_in_use(&file, &error) => Grant::Refused,
            Err(error) => Grant::Unknown(error),
        }
    }

    /// Which process waits for this lease to be released.
    #[must_use]
    pub fn pending(&self) -> Pending {
        match get(self.file.as_fd()) {
            Ok(Lease::Write) => Pending::None,
            Ok(Lease::Read) => Pending::Reader,
            // An unanswered question is not a promise.
            Ok(Lease::None) | Err(_) => Pending::Writer,
        }
    }
}

impl Drop for WriteLease {
    fn drop(&mut self) {
        let_go(&self.file);
    }
}

/// Ends the lease on `file`. It can fail only where it does not exist: it was lost.
fn let_go(file: &File) {
    let _ = set(file.as_fd(), Lease::None);
}

/// Whether this refusal means that a process has the file open. NFS and SMB refuse
/// likewise if the server has made no promise, which means nothing.
fn means_in_use(file: &File, error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock && !promised_by_a_server(file)
}

/// The kernel sends SIGIO if a process opens a file on which we hold a lease; here it is
/// available as a descriptor to poll, which is readable after the signal.
#[derive(Debug)]
pub struct Breaks {
    arrived: UnixStream,
}

impl Breaks {
    /// Whether a signal arrived since the last call. It names no file, and is also sent
    /// for the instant of a probe: [`WriteLease::pending`] tells the meaning.
    #[must_use]
    pub fn take(&self) -> bool {
        let mut came = false;
        let mut bytes = [0; 64];
        loop {
            match (&self.arrived).read(&mut bytes) {
                Ok(0) => return came,
                Ok(_) => came = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return came, // it would block: all is read
            }
        }
    }
}

impl AsFd for Breaks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

/// Installs the handler for SIGIO, which would end a process that holds a lease, and
/// returns the descriptor to poll. Only the first call does anything.
///
/// # Errors
///
/// No descriptors are left, or the handler cannot be installed.
pub fn install_handler() -> io::Result<&'static Breaks> {
    static BREAKS: OnceLock<Breaks> = OnceLock::new();
    static INSTALLING: Mutex<()> = Mutex::new(());

    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(breaks) = BREAKS.get() {
        return Ok(breaks);
    }
    let (arrived, signal) = UnixStream::pair()?;
    arrived.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGIO, signal)?;
    Ok(BREAKS.get_or_init(|| Breaks { arrived }))
}

/// The kinds of lease on an open file description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    None,
    Read,
    Write,
}

#[cfg(target_os = "linux")]
use linux::{get, promised_by_a_server, reach, set};

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

    use super::super::filesystem::{self, OVERLAY, SERVED};
    use super::{Lease, Reach};

    /// Whether a server decides about the leases on `file`.
    pub(super) fn promised_by_a_server(file: &File) -> bool {
        filesystem::kind(file).is_some_and(|kind| SERVED.contains(&kind))
    }

    /// The processes whose opens of `file` the kernel sees.
    pub(super) fn reach(file: impl AsFd) -> Reach {
        match filesystem::kind(file) {
            Some(OVERLAY) => Reach::AllButMappings,
            Some(kind) if filesystem::is_local(kind) => Reach::All,
            kind => Reach::Here(filesystem::name(kind)),
        }
    }

    /// Takes, changes or ends the lease on the description behind `fd`: as the owner of
    /// the file if that is required and this process may.
    pub(super) fn set(fd: BorrowedFd<'_>, lease: Lease) -> io::Result<()> {
        let kind = match lease {
            Lease::None => libc::F_UNLCK,
            Lease::Read => libc::F_RDLCK,
            Lease::Write => libc::F_WRLCK,
        };
        let ask = || fcntl(fd, libc::F_SETLEASE, kind).map(|_| ());
        match ask() {
            Err(refused) if refused.raw_os_error() == Some(libc::EACCES) => {
                let owner = rustix::fs::fstat(fd)?.st_uid;
                let as_owner = FsUser::take(owner).map(|_owner| ask());
                as_owner.unwrap_or(Err(refused))
            }
            answer => answer,
        }
    }

    /// This thread's file system user id is another's, until dropped.
    struct FsUser {
        before: u32,
    }

    impl FsUser {
        /// `None` where this process may not take it.
        fn take(user: u32) -> Option<Self> {
            // Each call returns the previous id, whether it changed or not.
            let taken = Self {
                before: set_fs_user(user),
            };
            (set_fs_user(u32::MAX) == user).then_some(taken)
        }
    }

    impl Drop for FsUser {
        fn drop(&mut self) {
            // It was the effective one, which a process may always go back to.
            set_fs_user(self.before);
        }
    }

    /// Returns the previous one; a number that is not a user's id changes nothing.
    #[expect(unsafe_code, reason = "rustix does not have it")]
    fn set_fs_user(user: u32) -> u32 {
        // SAFETY: the call takes and gives plain integers, and changes this thread alone.
        let before = unsafe { libc::setfsuid(user) };
        before.cast_unsigned()
    }

    /// The lease on the description behind `fd`, or the one that is asked of it.
    pub(super) fn get(fd: BorrowedFd<'_>) -> io::Result<Lease> {
        match fcntl(fd, libc::F_GETLEASE, 0)? {
            libc::F_WRLCK => Ok(Lease::Write),
            libc::F_RDLCK => Ok(Lease::Read),
            _ => Ok(Lease::None),
        }
    }

    #[expect(unsafe_code, reason = "rustix has no leases")]
    fn fcntl(fd: BorrowedFd<'_>, command: i32, argument: i32) -> io::Result<i32> {
        // SAFETY: the descriptor is open while it is borrowed, and both lease commands
        // take and give plain integers: the kernel touches none of our memory.
        let answer = unsafe { libc::fcntl(fd.as_raw_fd(), command, argument) };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(answer)
    }
}

#[cfg(not(target_os = "linux"))]
use elsewhere::{get, promised_by_a_server, reach, set};

/// Leases are Linux's alone.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};

    use super::{Lease, Reach};

    pub(super) fn promised_by_a_server(_: &File) -> bool {
        false
    }

    pub(super) fn reach(_: impl AsFd) -> Reach {
        Reach::AllButMappings
    }

    pub(super) fn set(_: BorrowedFd<'_>, _: Lease) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn get(_: BorrowedFd<'_>) -> io::Result<Lease> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handler_is_installed_once_and_tells_of_the_signal() {
        let breaks = install_handler().unwrap();
        assert!(std::ptr::eq(breaks, install_handler().unwrap()));
        signal_hook::low_level::raise(SIGIO).unwrap();
        assert!(breaks.take());
        assert!(!breaks.take());
    }

    #[test]
    fn a_probe_needs_a_descriptor_that_only_reads() {
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(
            probe_writer(&file),
            Probe::Unknown(error) if error.kind() == ErrorKind::InvalidInput
        ));
    }

    #[test]
    fn what_is_no_file_has_no_lease() {
        let directory = File::open(std::env::temp_dir()).unwrap();
        assert!(matches!(WriteLease::take(&directory), Grant::Unknown(_)));
        assert!(matches!(probe_writer(&directory), Probe::Unknown(_)));
    }
}
