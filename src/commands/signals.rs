//! Signals that must not end an append or a follower halfway: SIGINT, SIGTERM and SIGHUP
//! are noted and wake the waiting thread. Work that does not check for signals and may be
//! interrupted anywhere is [`interruptible`]: it does not delay the end. (SIGXFSZ is an
//! error of the write in every command; SIGPIPE is ignored by every Rust program, so that
//! the write fails instead.)

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
#[cfg(feature = "browse")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};

/// How long interruptible work may continue after a signal: it may be about to end by
/// itself, with a better message than the signal's.
const GRACE: Duration = Duration::from_millis(500);

/// Interval between the checks after that.
const INTERVAL: Duration = Duration::from_millis(10);

/// Number of nested pieces of interruptible work.
static INTERRUPTIBLE: AtomicUsize = AtomicUsize::new(0);

/// Work that a signal may end at any place, with the process: it reads, or it changes a
/// log in a crash-safe way. It may take long: terabytes of holes, a pipe without a
/// reader.
pub fn interruptible<T>(work: impl FnOnce() -> T) -> T {
    INTERRUPTIBLE.fetch_add(1, Ordering::SeqCst);
    let done = work();
    INTERRUPTIBLE.fetch_sub(1, Ordering::SeqCst);
    done
}

/// A part of interruptible work that must come to its own end.
pub fn uninterruptible<T>(work: impl FnOnce() -> T) -> T {
    let around = INTERRUPTIBLE.swap(0, Ordering::SeqCst);
    let done = work();
    INTERRUPTIBLE.store(around, Ordering::SeqCst);
    done
}

/// The message if a signal ends the process in interruptible work.
static LAST_WORDS: Mutex<String> = Mutex::new(String::new());

/// Sets the message if a signal ends the process in interruptible work.
pub fn last_words(words: String) {
    *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner) = words;
}

/// Ends the process by a signal, in the middle of interruptible work.
fn end_at_once(signal: i32) {
    let words = LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    // Not where stderr would be waited for.
    let stderr = io::stderr();
    let mut taken = [PollFd::new(&stderr, PollFlags::OUT)];
    if !words.is_empty() && poll(&mut taken, Some(&Timespec::default())) == Ok(1) {
        let line = format!("ended by {}: {words}\n", name(signal));
        let _ = rustix::io::write(&stderr, line.as_bytes());
    }
    let _ = end_by(signal);
}

/// Ends the process by the signal that makes `wake` readable, if it is in interruptible
/// work then. Without a thread, that work is waited for.
pub fn watch(wake: UnixStream, raised: Arc<AtomicUsize>) {
    let run = move || {
        while poll(&mut [PollFd::new(&wake, PollFlags::IN)], None).is_err() {}
        let end = Instant::now() + GRACE;
        loop {
            let signal = i32::try_from(raised.load(Ordering::SeqCst)).unwrap_or(0);
            if Instant::now() >= end && signal != 0 && INTERRUPTIBLE.load(Ordering::SeqCst) > 0 {
                end_at_once(signal);
            }
            thread::sleep(INTERVAL);
        }
    };
    let _ = thread::Builder::new().spawn(run);
}

/// The signals received by this process.
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
        Self::of(&[SIGINT, SIGTERM, SIGHUP])
    }

    /// The same for these signals.
    pub fn of(signals: &[i32]) -> io::Result<Self> {
        let raised = Arc::new(AtomicUsize::new(0));
        let (wake, waker) = UnixStream::pair()?;
        for signal in not_ignored(signals) {
            let Ok(number) = usize::try_from(signal) else {
                continue;
            };
            // The number is stored first, so that the woken thread finds it.
            signal_hook::flag::register_usize(signal, Arc::clone(&raised), number)?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        watch(wake.try_clone()?, Arc::clone(&raised));
        Ok(Self { raised, wake })
    }

    /// The signal that asks for an end, if there was one.
    pub fn raised(&self) -> Option<i32> {
        i32::try_from(self.raised.load(Ordering::SeqCst))
            .ok()
            .filter(|&signal| signal != 0)
    }

    /// A descriptor that becomes readable with the first signal.
    pub fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Whether a signal came that does not ask for an end.
#[cfg(feature = "browse")]
pub struct Noted(Arc<AtomicBool>);

#[cfg(feature = "browse")]
impl Noted {
    /// Takes a signal over, unless it is ignored.
    pub fn install(signal: i32) -> io::Result<Self> {
        let noted = Arc::new(AtomicBool::new(false));
        for signal in not_ignored(&[signal]) {
            signal_hook::flag::register(signal, Arc::clone(&noted))?;
        }
        Ok(Self(noted))
    }

    /// Whether it came since this was asked last.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// Stops the process until it is continued, as SIGTSTP does, which is taken over: where no
/// shell could continue it, the system does not stop it.
#[cfg(feature = "browse")]
pub fn stop() -> io::Result<()> {
    signal_hook::low_level::raise(signal_hook::consts::signal::SIGTTOU)
}

/// The name of a signal.
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
