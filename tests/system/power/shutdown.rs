//! `FS_IOC_SHUTDOWN`, as ext4, xfs and f2fs know it: from now on the file system fails
//! every call and writes nothing, not even its journal.
#![expect(unsafe_code, reason = "an ioctl that no crate wraps")]

use std::fs::File;
use std::io;

use rustix::ioctl::{Setter, ioctl, opcode};

/// `_IOR('X', 125, __u32)`: the kernel reads it, whatever its name says.
const SHUTDOWN: rustix::ioctl::Opcode = opcode::read::<u32>(b'X', 125);

/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the log is flushed.
const NO_LOG_FLUSH: u32 = 2;

/// Shuts down the file system that `file` stands on.
pub fn shut_down(file: &File) -> io::Result<()> {
    // SAFETY: the request takes a pointer to a u32, reads it and keeps nothing, and
    // Setter hands over one that lives as long as the call.
    unsafe { ioctl(file, Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }?;
    Ok(())
}
