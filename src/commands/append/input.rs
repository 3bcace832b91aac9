//! The source of the bytes: files, pipes, a terminal; one buffer for all of them. Detects
//! that an input pauses and that a signal ends it. `framing` divides the bytes into
//! records.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use memchr::memmem;
use proglog::log::error::reason;
use proglog::log::format::{decode_length, encode_length};
use proglog::log::platform::{memory_file, path_of, widen_pipe};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::commands::signals::Signals;
use crate::commands::{Failure, Status};

/// The buffer's first size; more only for a record that is longer. Units: bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// With less room than this the buffer grows rather than being filled in small
/// pieces. Units: bytes.
const ROOM_BYTES: usize = 64 * 1024;

/// Capacity requested for a pipe on stdin. Units: bytes.
const PIPE_BYTES: usize = 1024 * 1024;

/// One input, open.
pub struct Input {
    file: File,
    /// The path as it was given; `None` is stdin.
    pub path: Option<PathBuf>,
    /// Device and inode: the identity of a file.
    pub identity: (u64, u64),
    /// Whether it is a regular file, which never pauses, and how long it is.
    pub file_bytes: Option<u64>,
}

/// The outcome of waiting for input.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    /// More bytes are in the buffer.
    Bytes,
    /// Nothing came in time.
    Paused,
    /// The input has ended.
    End,
    /// A signal came.
    Signal(i32),
}

/// Opens all inputs: files, or stdin where there are none; or records that were given as
/// arguments, as frames in memory.
pub fn open_all(files: &[PathBuf], messages: &[OsString]) -> anyhow::Result<Vec<Input>> {
    let failure = |name: &str, error: &io::Error| {
        let message = format!("{name}: cannot open: {}", reason(error));
        anyhow::Error::from(Failure::new(Status::Failed, message))
    };
    if !messages.is_empty() {
        let input = Input::of(messages).map_err(|error| failure("--message", &error))?;
        return Ok(vec![input]);
    }
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin } else { files };
    let open = |path: &PathBuf| {
        Input::open(path).map_err(|error| failure(&path.display().to_string(), &error))
    };
    files.iter().map(open).collect()
}

impl Input {
    fn of(messages: &[OsString]) -> io::Result<Self> {
        let mut frames = Vec::new();
        for message in messages {
            frames.extend_from_slice(&encode_length(message.len() as u64));
            frames.extend_from_slice(message.as_bytes());
        }
        let file = memory_file()?;
        (&file).write_all(&frames)?;
        (&file).rewind()?;
        let metadata = file.metadata()?;
        Ok(Self {
            file,
            path: None,
            identity: (metadata.dev(), metadata.ino()),
            file_bytes: Some(frames.len() as u64),
        })
    }

    /// Opens a file, or stdin for `-`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let stdin = path.as_os_str() == "-";
        let file = if stdin {
            File::from(io::stdin().as_fd().try_clone_to_owned()?)
        } else {
            File::open(path)?
        };
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.file_type().is_fifo() {
            // Fewer calls; without the permission, the pipe keeps its size.
            widen_pipe(&file, PIPE_BYTES);
        }
        Ok(Self {
            file,
            path: (!stdin).then(|| path.to_path_buf()),
            identity: (metadata.dev(), metadata.ino()),
            file_bytes: metadata.is_file().then_some(metadata.len()),
        })
    }

    /// Whether a person types it.
    pub fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// Its name in messages.
    pub fn name(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None => "stdin".to_owned(),
        }
    }

    /// The regular file that this is and a path under which others find it too: of a
    /// redirected stdin, the one that the kernel knows.
    pub fn regular_path(&self) -> Option<PathBuf> {
        self.file_bytes?;
        match &self.path {
            Some(path) => Some(path.clone()),
            None => path_of(io::stdin()).filter(|path| path.is_absolute() && path.exists()),
        }
    }

    /// Reads more into the buffer. Waits for it for up to `patience`, or without a limit.
    pub fn fill(
        &self,
        buffer: &mut Buffer,
        signals: &Signals,
        patience: Option<Duration>,
    ) -> io::Result<Filled> {
        loop {
            if let Some(signal) = signals.raised() {
                return Ok(Filled::Signal(signal));
            }
            // A read that blocks would be taken up again after a signal.
            if self.file_bytes.is_none() && !self.wait(signals, patience)? {
                if signals.raised().is_none() {
                    return Ok(Filled::Paused);
                }
                continue;
            }
            match buffer.read(&self.file) {
                Ok(0) => return Ok(Filled::End),
                Ok(_) => return Ok(Filled::Bytes),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether there is something to read; not if nothing comes in time, or a signal.
    fn wait(&self, signals: &Signals, patience: Option<Duration>) -> io::Result<bool> {
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let wake = signals.wake();
        let mut waiting = [
            PollFd::new(&self.file, PollFlags::IN),
            PollFd::new(&wake, PollFlags::IN),
        ];
        loop {
            match poll(&mut waiting, timeout.as_ref()) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let [input, _] = &waiting;
            // Hung up and broken inputs too: the read distinguishes them.
            return Ok(!input.revents().is_empty());
        }
    }
}

/// Whether the next read may do better.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

/// Bytes that were read and not yet taken.
pub struct Buffer {
    bytes: Vec<u8>,
    /// Number of bytes at the front that are consumed.
    taken: usize,
}

impl Buffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(BUFFER_BYTES),
            taken: 0,
        }
    }

    /// The bytes that wait.
    pub fn waiting(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Takes this many of them.
    pub fn take(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes).min(self.bytes.len());
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }

    /// Reads as much as is there and has room.
    fn read(&mut self, file: &File) -> io::Result<usize> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.capacity() - self.bytes.len() < ROOM_BYTES {
            // Doubles: growth follows the bytes that arrived, never a length field.
            let reserved = self.bytes.try_reserve(ROOM_BYTES);
            reserved
                .or_else(|_| self.bytes.try_reserve_exact(ROOM_BYTES))
                .map_err(|_| {
                    let bytes = self.bytes.len();
                    io::Error::other(format!(
                        "out of memory: a record has more than {bytes} bytes"
                    ))
                })?;
        }
        let read = rustix::io::read(file, rustix::buffer::spare_capacity(&mut self.bytes));
        Ok(read?)
    }
}

/// The value of `--input` for an input whose first bytes are not text but what `read`
/// prints with the option of that name.
pub fn other_format(bytes: &[u8]) -> Option<&'static str> {
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let place: &[u8] = b",\"segment\":";
    if line.starts_with(b"{\"offset\":") && memmem::find(line, place).is_some() {
        return Some("json");
    }
    let length = bytes.first_chunk().map(|length| decode_length(*length));
    // No text begins with four zero bytes.
    length
        .filter(|length| u32::try_from(*length).is_ok())
        .map(|_| "frames")
}
