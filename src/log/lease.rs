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

use super::platform::{Lease, Reach, lease_on, promised_by_a_server, reach, set_lease};

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
    match set_lease(file.as_fd(), Lease::Read) {
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
        match set_lease(file.as_fd(), Lease::Write) {
            Ok(()) => Grant::Held(Self { file }),
            Err(error) if means_in_use(&file, &error) => Grant::Refused,
            Err(error) => Grant::Unknown(error),
        }
    }

    /// Which process waits for this lease to be released.
    #[must_use]
    pub fn pending(&self) -> Pending {
        match lease_on(self.file.as_fd()) {
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
    let _ = set_lease(file.as_fd(), Lease::None);
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
