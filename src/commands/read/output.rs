//! The output of records: stdout, or the stdin of a command. A follower that ends by a
//! signal also ends if its output is not read.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use proglog::log::platform::reopen;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::commands::signals::Signals;

/// How long a reader that takes nothing may take after a signal.
const LAST_CHANCE: Duration = Duration::from_millis(400);

/// An output that is open.
pub struct Output {
    file: File,
    /// Whether the file reports an error instead of blocking, and the event that wakes us
    /// then.
    signals: Option<Rc<Signals>>,
    /// Whether the output was not read for this long after a signal.
    given_up: bool,
}

impl Output {
    /// An output that waits as long as it takes.
    pub fn plain(file: File) -> Self {
        Self {
            file,
            signals: None,
            given_up: false,
        }
    }

    /// An output that stops blocking after a signal. A pipe or a terminal is opened once
    /// more for that, because the flags of stdout itself are shared with other processes.
    pub fn that_ends(stdout: File, signals: &Rc<Signals>) -> Self {
        // If opened again, a descriptor for reading only would take the printed bytes.
        let is_writable = rustix::fs::fcntl_getfl(&stdout)
            .is_ok_and(|flags| flags & OFlags::ACCMODE != OFlags::RDONLY);
        let waits = stdout.metadata().is_ok_and(|metadata| {
            metadata.file_type().is_fifo() || metadata.file_type().is_char_device()
        });
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        match reopen(stdout.as_fd(), flags) {
            Some(Ok(file)) if waits && is_writable => Self {
                file: file.into(),
                signals: Some(Rc::clone(signals)),
                given_up: false,
            },
            _ => Self::plain(stdout),
        }
    }

    /// Waits until there is room; an error where a signal came and it does not exist.
    fn wait_for_room(&self, signals: &Signals) -> io::Result<()> {
        let mut end = None;
        loop {
            let raised = signals.raised().is_some();
            let end = raised.then(|| *end.get_or_insert_with(|| Instant::now() + LAST_CHANCE));
            let timeout = end.map(|end| timespec(end.saturating_duration_since(Instant::now())));
            let wake = signals.wake();
            let mut waiting = vec![PollFd::new(&self.file, PollFlags::OUT)];
            if !raised {
                waiting.push(PollFd::new(&wake, PollFlags::IN));
            }
            match poll(&mut waiting, timeout.as_ref()) {
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if waiting.first().is_some_and(|it| !it.revents().is_empty()) {
                return Ok(());
            }
        }
    }
}

/// A time as `poll` takes it.
pub fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

impl Write for Output {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.given_up {
            return Err(ErrorKind::TimedOut.into());
        }
        loop {
            match (self.file.write(bytes), &self.signals) {
                (Err(error), Some(signals)) if error.kind() == ErrorKind::WouldBlock => {
                    if let Err(error) = self.wait_for_room(signals) {
                        self.given_up = true;
                        return Err(error);
                    }
                }
                (written, _) => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
