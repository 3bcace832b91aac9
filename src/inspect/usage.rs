//! Who has the log open: asked without disturbing anybody.

use std::time::SystemTime;

use super::listing::Listing;
use crate::log::lock::DirectoryLock;
use crate::log::processes::{self, Process, Use};

/// Who has a log open for writing.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Whether somebody writes; `None` where that cannot be known.
    pub in_use: Option<bool>,
    /// Those who do, as far as the system names them.
    pub writers: Vec<Process>,
    /// The proglog that holds the directory's lock.
    pub lock_holder: Option<u32>,
}

impl Usage {
    /// Asks the kernel about the first and the last segment's files.
    #[must_use]
    pub fn of(listing: &Listing) -> Self {
        let lock_holder =
            DirectoryLock::holder(listing.path()).filter(|pid| *pid != std::process::id());
        let (in_use, writers) = match processes::in_use(&listing.directory.telling_files()) {
            Use::NoWriter => (Some(lock_holder.is_some()), Vec::new()),
            Use::Writers(writers) => (Some(true), writers),
            Use::Unknown { .. } => (None, Vec::new()),
        };
        Self {
            in_use,
            writers,
            lock_holder,
        }
    }

    /// Whether a writer is known to live.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.in_use == Some(true)
    }

    /// When the first of the writers started, if that is known of all.
    #[must_use]
    pub fn writing_since(&self) -> Option<SystemTime> {
        let mut earliest: Option<SystemTime> = None;
        for writer in &self.writers {
            let started = writer.started?;
            earliest = Some(earliest.map_or(started, |earliest| earliest.min(started)));
        }
        earliest
    }
}
