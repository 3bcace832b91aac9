//! The leases on files that are open for changing, and how long they hold others back: the
//! kernel lets a process in that has waited for long.

use std::time::{Duration, Instant};

use crate::log::lease::{Pending, WriteLease};
use crate::log::platform;

/// Leases that are held together.
#[derive(Debug)]
pub(super) struct Leases {
    held: Vec<WriteLease>,
    /// The last time when no process was known to wait.
    pub nobody_waits: Instant,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            nobody_waits: Instant::now(),
        }
    }
}

impl Leases {
    /// Adds one that was just granted.
    pub fn add(&mut self, lease: WriteLease) {
        if self.held.is_empty() {
            self.nobody_waits = Instant::now();
        }
        self.held.push(lease);
    }

    /// Lets all of them go.
    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// Number of leases.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Which process waits to open the files.
    pub fn pending(&self) -> Pending {
        let pending = self.held.iter().map(WriteLease::pending).max();
        pending.unwrap_or(Pending::None)
    }

    /// Whether no process of this kind, or of one that does more, waits that the kernel may
    /// have let in. Bytes not written by then must not be written.
    pub fn hold_back(&mut self, who: Pending) -> bool {
        match self.pending() {
            Pending::None => {
                self.nobody_waits = Instant::now();
                true
            }
            pending => pending < who || self.nobody_waits.elapsed() < held_back_for(),
        }
    }
}

/// How long other processes are certainly held back: half of the kernel's limit.
pub(super) fn held_back_for() -> Duration {
    platform::lease_break_time() / 2
}
