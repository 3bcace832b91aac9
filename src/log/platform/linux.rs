//! Linux: see `platform`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{
    Advice, AtFlags, MemfdFlags, Mode, OFlags, RawDir, RenameFlags, StatxFlags, XattrFlags,
    fadvise, fgetxattr, fremovexattr, fsetxattr, memfd_create, statx,
};
use rustix::io::Errno;

use super::filesystem::{self, OVERLAY, SERVED};
use super::{Lease, Reach};

/// Bytes of names per request to the system.
const LISTED_BYTES: usize = 64 * 1024;

/// More bytes than a list of access rights has. The system takes no longer ones.
const ACL_BYTES_MAX: usize = 64 * 1024;

/// Opens a directory for the use of its names alone, which needs no right to list them.
pub(crate) const NAMES_ONLY: OFlags = OFlags::PATH;

/// Whether a file is open as [`NAMES_ONLY`] says: by such a descriptor nothing is read.
pub(crate) fn opens_nothing(flags: OFlags) -> bool {
    flags.contains(OFlags::PATH)
}

/// The link by which this process opens what is open under a descriptor once more.
fn descriptor(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Opens an open file once more, without its name; `None` if the system cannot (no `/proc`).
#[must_use]
pub fn reopen(file: BorrowedFd<'_>, flags: OFlags) -> Option<rustix::io::Result<OwnedFd>> {
    match rustix::fs::open(descriptor(file), flags | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => None,
        opened => Some(opened),
    }
}

pub(super) fn current_path(file: BorrowedFd<'_>) -> Option<PathBuf> {
    fs::read_link(descriptor(file)).ok()
}

/// Hands over every name in a directory but `.` and `..`, in no order.
pub(crate) fn each_name(directory: File, mut each: impl FnMut(&OsStr)) -> io::Result<()> {
    // The names are inspected where the system put them: std makes two strings of each.
    let mut buffer = Vec::with_capacity(LISTED_BYTES);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name => each(OsStr::from_bytes(name)),
        }
    }
    Ok(())
}

/// Creates a file without a name in the file system of a directory.
pub(crate) fn create_unnamed(dir: impl AsFd, mode: Mode) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, ".", flags, mode)?.into())
}

/// The path from which an unnamed file can be linked.
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
pub(crate) fn link_source(file: &File) -> io::Result<String> {
    Ok(descriptor(file.as_fd()))
}

/// Starts writeback of a stretch that the kernel has. Units: bytes.
pub(crate) fn write_back(file: &File, begin: u64, bytes: NonZeroU64) {
    // Advice that bytes will not be needed again begins to write them. Those that are not on
    // the disk yet stay in memory; a kernel that does nothing of it leaves more to the sync.
    let _ = fadvise(file, begin, Some(bytes), Advice::DontNeed);
}

/// A file in memory.
///
/// # Errors
///
/// The operating system's.
pub fn memory_file() -> io::Result<File> {
    Ok(memfd_create("proglog index", MemfdFlags::CLOEXEC)?.into())
}

/// Whether two directories of one file system are in one mount, as far as that is known: a file
/// system may be mounted twice, and no file moves between the two.
pub(crate) fn in_one_mount(one: impl AsFd, other: impl AsFd) -> bool {
    let wanted = StatxFlags::MNT_ID;
    let mount = |dir: BorrowedFd<'_>| {
        let told = statx(dir, "", AtFlags::EMPTY_PATH, wanted).ok()?;
        let known = told.stx_mask & wanted.bits() != 0;
        Some(known.then_some(told.stx_mnt_id))
    };
    mount(one.as_fd()) == mount(other.as_fd())
}

/// The number of the file system that a file is on.
pub(crate) fn file_system(file: impl AsFd) -> Option<u32> {
    u32::try_from(rustix::fs::fstatfs(file).ok()?.f_type).ok()
}

/// Whether a server decides about the leases on `file`.
pub(crate) fn promised_by_a_server(file: &File) -> bool {
    file_system(file).is_some_and(|kind| SERVED.contains(&kind))
}

/// The processes whose opens of `file` the kernel sees.
pub(crate) fn reach(file: impl AsFd) -> Reach {
    match file_system(file) {
        Some(OVERLAY) => Reach::AllButMappings,
        Some(kind) if filesystem::is_local(kind) => Reach::All,
        kind => Reach::Here(filesystem::name(kind)),
    }
}

/// Takes, changes or ends the lease on the description behind `fd`: as the owner of the file
/// if that is required and this process may.
pub(crate) fn set_lease(fd: BorrowedFd<'_>, lease: Lease) -> io::Result<()> {
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

/// The lease on the description behind `fd`, or the one that is asked of it.
pub(crate) fn lease_on(fd: BorrowedFd<'_>) -> io::Result<Lease> {
    match fcntl(fd, libc::F_GETLEASE, 0)? {
        libc::F_WRLCK => Ok(Lease::Write),
        libc::F_RDLCK => Ok(Lease::Read),
        _ => Ok(Lease::None),
    }
}

#[expect(unsafe_code, reason = "rustix has no leases")]
fn fcntl(fd: BorrowedFd<'_>, command: i32, argument: i32) -> io::Result<i32> {
    // SAFETY: the descriptor is open while it is borrowed, and both lease commands take and
    // give plain integers: the kernel touches none of our memory.
    let answer = unsafe { libc::fcntl(fd.as_raw_fd(), command, argument) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(answer)
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

/// How long the kernel holds a process back that opens a file under a lease.
pub(crate) fn lease_break_time() -> Duration {
    let text = fs::read_to_string("/proc/sys/fs/lease-break-time").unwrap_or_default();
    Duration::from_secs(text.trim().parse().unwrap_or(0))
}

/// The command's name of a process, at most 15 bytes.
pub(crate) fn process_name(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok()
}

/// The locks of all processes, a line each: see `lock`.
pub(crate) fn locks() -> Option<String> {
    fs::read_to_string("/proc/locks").ok()
}

/// How long the machine has been up, in the same count as `/proc/PID/stat`'s.
pub(crate) fn uptime() -> Option<Duration> {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(clock).ok()
}

/// Where the entries of all processes are.
pub(crate) const PROCESSES: Option<&str> = Some("/proc");

/// The number that represents every user unknown to the container.
pub(crate) fn unknown_user() -> u32 {
    let text = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(65534)
}

/// Whether this process is in no container with users of its own.
pub(crate) fn knows_all_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let figures: Vec<&str> = map.split_ascii_whitespace().collect();
    figures == ["0", "0", "4294967295"]
}

/// The device with these numbers.
pub(crate) fn device(major: u32, minor: u32) -> u64 {
    rustix::fs::makedev(major, minor)
}

/// The numbers of a device.
pub(crate) fn device_numbers(device: u64) -> (u32, u32) {
    (rustix::fs::major(device), rustix::fs::minor(device))
}

/// An access control list of a file; `None` where it has none.
pub(crate) fn read_acl(file: impl AsFd, name: &str) -> rustix::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(ACL_BYTES_MAX);
    match fgetxattr(file, name, rustix::buffer::spare_capacity(&mut bytes)) {
        Ok(_) => {
            bytes.shrink_to_fit();
            Ok(Some(bytes))
        }
        Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets the access control list of a file, or removes it. Returns whether that succeeded.
pub(crate) fn set_acl(file: &File, name: &str, acl: Option<&[u8]>) -> bool {
    match acl {
        Some(acl) => fsetxattr(file, name, acl, XattrFlags::empty()).is_ok(),
        None => matches!(
            fremovexattr(file, name),
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS)
        ),
    }
}

/// Renames a file to a name that must be free.
pub(crate) fn rename_to_free(
    (from, name): (impl AsFd, &OsStr),
    (to, new_name): (impl AsFd, &OsStr),
) -> io::Result<()> {
    let flags = RenameFlags::NOREPLACE;
    Ok(rustix::fs::renameat_with(from, name, to, new_name, flags)?)
}

/// Sets the size of a pipe, if the file is one and may have it. Units: bytes.
pub fn widen_pipe(pipe: impl AsFd, bytes: usize) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, bytes);
}

/// A directory that is watched.
#[derive(Debug)]
pub struct Watch {
    events: OwnedFd,
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl Watch {
    /// Watches a directory, if the system lets us: there may be too many watches.
    #[must_use]
    pub fn on(directory: &Path) -> Option<Self> {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

        let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        // Closing shows that a writer lets go, which a lock does not.
        let what = WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
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
