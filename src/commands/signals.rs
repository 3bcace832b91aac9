//! Signals that must not end an append or a follower halfway: SIGINT, SIGTERM and
//! SIGHUP are noted and wake whoever waits. (SIGXFSZ is an error of the write in every
//! command; SIGPIPE is ignored by every Rust program, so that the write fails instead.)

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};

/// What has been signalled, for as long as the process lives.
pub struct Signals {
    /// The signal's number, 0 while there was none.
    raised: Arc<AtomicUsize>,
    /// Readable once there was one.
    wake: UnixStream,
}

impl Signals {
    /// Takes the signals over. What was ignored stays so: a shell that starts a
    /// command in the background, or nohup, wants that.
    pub fn install() -> io::Result<Self> {
        let raised = Arc::new(AtomicUsize::new(0));
        let (wake, waker) = UnixStream::pair()?;
        for signal in not_ignored(&[SIGINT, SIGTERM, SIGHUP]) {
            let Ok(number) = usize::try_from(signal) else {
                continue;
            };
            // The number comes first, so that whoever is woken finds it.
            signal_hook::flag::register_usize(signal, Arc::clone(&raised), number)?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Self { raised, wake })
    }

    /// The signal that asks for an end, if there was one.
    pub fn raised(&self) -> Option<i32> {
        i32::try_from(self.raised.load(Ordering::SeqCst))
            .ok()
            .filter(|&signal| signal != 0)
    }

    /// What becomes readable with the first signal.
    pub fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// What a person calls a signal.
pub fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("a signal")
}

/// Ends the process as the signal would have.
pub fn end_by(signal: i32) -> io::Result<()> {
    signal_hook::low_level::emulate_default_handler(signal)
}

/// Those of some signals that the process was not started with as ignored.
pub fn not_ignored(signals: &[i32]) -> Vec<i32> {
    let ignored = ignored_signals();
    let is_ignored = |signal: i32| ignored & (1 << (signal - 1)) != 0;
    let mut signals = signals.to_vec();
    signals.retain(|&signal| !is_ignored(signal));
    signals
}

/// The signals that the process was started with as ignored; bit n - 1 is signal n.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
