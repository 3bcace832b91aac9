//! Stdout: how it is written, the exit status if its reader goes away, and the files that
//! it must not be.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;

use proglog::log::dir::{Dir, FileStatus};
use proglog::log::platform::widen_pipe;

use super::{Failure, Status, quote};

/// Bytes gathered before they go to stdout.
pub const OUTPUT_BYTES: usize = 256 * 1024;

/// Requested capacity of a pipe behind stdout; Linux allows 1 MiB.
const PIPE_BYTES: usize = 1024 * 1024;

/// The stdout of a command whose exit status is a result: once the reader of the pipe is
/// gone, further output is dropped, and the command ends as if it had been read.
pub struct Stdout {
    file: File,
    closed: bool,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        match self.file.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Stdout without the line buffering of std, which costs a call per line. A closed pipe
/// is not an error.
pub fn stdout() -> io::Result<BufWriter<Stdout>> {
    let stdout = Stdout {
        file: raw_stdout()?,
        closed: false,
    };
    Ok(BufWriter::with_capacity(OUTPUT_BYTES, stdout))
}

/// The same for a command that only prints: a closed pipe is an error, which ends the
/// command (see [`super::conclude`]).
pub fn streamed_stdout() -> io::Result<BufWriter<File>> {
    Ok(BufWriter::with_capacity(OUTPUT_BYTES, raw_stdout()?))
}

/// The same without a buffer. The capacity of a pipe is set to the size of one write, so
/// that neither side waits often.
pub fn raw_stdout() -> io::Result<File> {
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // No pipe, or one that must not grow: nothing is lost.
    widen_pipe(&stdout, PIPE_BYTES);
    Ok(stdout)
}

/// Whether a person inspects stdout.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Refuses a stdout that is a file in one of these logs' directories (`>> log/0.store`):
/// the output would go into the log, and the service reads every name there as a base
/// offset.
pub fn refuse_stdout_in(logs: &[&Path]) -> Result<(), Failure> {
    let Some(stdout) = FileStatus::of(io::stdout())
        .ok()
        .filter(FileStatus::is_file)
    else {
        return Ok(());
    };
    for log in logs {
        // The command reports a path that is not a directory.
        let Ok(dir) = Dir::open(log) else { continue };
        let mut same = None;
        // Links are followed, for a segment's file may be one.
        let _ = dir.each_name(|name| {
            let named = || dir.at(name).metadata();
            if same.is_none() && named().is_ok_and(|it| it.identity() == stdout.identity()) {
                same = Some(name.to_owned());
            }
        });
        let Some(name) = same else { continue };
        let path = dir.at(name);
        let message = format!("stdout: {} is in the log's directory", quote(&path));
        let is_segments = proglog::log::format::parse_name(path.name().unwrap_or_default());
        let failure = Failure::new(Status::Failed, message);
        return Err(match is_segments {
            Some(_) => failure.hint("write to another directory"),
            None => failure
                .hint("write to another directory, and move this file away:")
                .hint(format!("mv -n {} {}/..", quote(&path), quote(log))),
        });
    }
    Ok(())
}

/// Runs before the standard library, which opens /dev/null for closed descriptors: then
/// output to a closed stdout would be lost silently, and a cursor advanced past it. A
/// descriptor that cannot be used in that direction takes its place, so that each use is
/// an error.
extern "C" fn keep_closed() {
    use rustix::fs::{Mode, OFlags};
    let stdin = (rustix::stdio::stdin(), OFlags::WRONLY);
    let stdout = (rustix::stdio::stdout(), OFlags::RDONLY);
    for (descriptor, access) in [stdin, stdout] {
        if rustix::io::fcntl_getfd(descriptor).is_err()
            && let Ok(file) = rustix::fs::open("/dev/null", access, Mode::empty())
        {
            // It has the lowest number that is free: this one.
            std::mem::forget(file);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "no other code runs before the standard library's"
)]
// SAFETY: the section holds pointers to functions that the C library calls once, before
// main, in one thread; this one makes system calls only.
#[unsafe(link_section = ".init_array")]
#[used]
static KEEP_CLOSED: extern "C" fn() = keep_closed;
