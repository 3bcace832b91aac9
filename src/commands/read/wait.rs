//! Waits for more to read: woken by inotify where it works, with periodic checks where it
//! reports nothing; until a signal arrives, the reader of the output goes away, or
//! nothing arrives for too long.

use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use proglog::log::platform::Watch;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::output::timespec;
use crate::commands::signals::Signals;

/// How often a scan is taken without being woken.
const LOOK: Duration = Duration::from_millis(40);

/// The least time between two checks: each may delay a writer for an instant.
const REST: Duration = Duration::from_millis(1);

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing new.
    Nothing,
    /// Something that it will be time for very soon.
    Soon,
    /// Something.
    Now,
}

/// Why waiting is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// There may be something new, or it is time for another check.
    Changed,
    /// Nothing came for as long as was allowed.
    Idle,
    /// The reader of the output is gone.
    Closed,
    /// A signal came.
    Signal,
}

/// The state of a wait.
pub struct Waiter {
    signals: Rc<Signals>,
    /// The output, if its reader can hang up.
    stdout: Option<File>,
    watch: Option<Watch>,
    until_idle: Option<Duration>,
    idle_since: Instant,
    /// When the last check was.
    checked: Option<Instant>,
}

impl Waiter {
    /// Waits for signals and, if records go there, for stdout to be closed.
    pub fn new(
        signals: &Rc<Signals>,
        until_idle: Option<Duration>,
        stdout: Option<&File>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            signals: Rc::clone(signals),
            stdout: stdout.map(File::try_clone).transpose()?,
            watch: None,
            until_idle,
            idle_since: Instant::now(),
            checked: None,
        })
    }

    /// Is woken by what happens in this directory too.
    pub fn watch(&mut self, directory: &Path) {
        self.watch = Watch::on(directory);
    }

    /// Something came: the time without anything begins again.
    pub fn not_idle(&mut self) {
        self.idle_since = Instant::now();
    }

    /// Waits until `look` returns something, or until `due`.
    pub fn wait(
        &mut self,
        due: Option<Instant>,
        mut look: impl FnMut() -> Look,
    ) -> std::io::Result<Woken> {
        loop {
            let rested = self.checked.map_or(REST, |checked| checked.elapsed());
            std::thread::sleep(REST.saturating_sub(rested));
            if let Some(watch) = &self.watch {
                // Before the scan, so that nothing is slept over.
                watch.drain();
            }
            if self.signals.raised().is_some() {
                return Ok(Woken::Signal);
            }
            let now = Instant::now();
            let seen = look();
            self.checked = Some(Instant::now());
            if seen == Look::Now || due.is_some_and(|due| now >= due) {
                return Ok(Woken::Changed);
            }
            let idle = self.until_idle.map(|idle| self.idle_since + idle);
            if idle.is_some_and(|end| now >= end) {
                return Ok(Woken::Idle);
            }
            let longest = if seen == Look::Soon { REST } else { LOOK };
            let next = [due, idle].into_iter().flatten().min();
            let timeout = next.map_or(longest, |next| next.duration_since(now).min(longest));
            if self.poll(timeout)? {
                return Ok(Woken::Closed);
            }
        }
    }

    /// Sleeps until something happens; whether the output is closed.
    fn poll(&self, timeout: Duration) -> std::io::Result<bool> {
        let wake = self.signals.wake();
        let mut waiting = vec![PollFd::new(&wake, PollFlags::IN)];
        if let Some(stdout) = &self.stdout {
            waiting.push(PollFd::new(stdout, PollFlags::empty()));
        }
        if let Some(watch) = &self.watch {
            waiting.push(PollFd::new(watch, PollFlags::IN));
        }
        match poll(&mut waiting, Some(&timespec(timeout))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let closed = PollFlags::ERR | PollFlags::HUP;
        Ok(self.stdout.is_some()
            && waiting
                .get(1)
                .is_some_and(|stdout| stdout.revents().intersects(closed)))
    }
}
