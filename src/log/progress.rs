//! The progress of long work: two counters for a display. They are increased once per
//! block of entries or buffer, so that counting costs nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes and records read by all walks and windows of this process.
pub static WALKED: Progress = Progress::new();

/// Records and bytes that were dealt with so far. It only grows.
#[derive(Debug, Default)]
pub struct Progress {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Counts records that were dealt with.
    pub fn add_records(&self, records: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    /// Counts bytes that were dealt with.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The records so far, and the bytes.
    #[must_use]
    pub fn now(&self) -> (u64, u64) {
        (
            self.records.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}
