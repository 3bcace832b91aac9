//! Opening a log for appending together with what a crash makes necessary first.

use std::path::PathBuf;
use std::sync::Arc;

use crate::log::config::Config;
use crate::log::disk::Disk;
use crate::log::error::Result;
use crate::log::lock::{DirectoryLock, Wait};
use crate::log::open;
use crate::log::writer::Writer;

/// How a log is opened for appending.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Limits, codec, first offset.
    pub config: Config,
    /// How long another proglog is waited for.
    pub wait: Wait,
    /// How long any other program is waited for.
    pub wait_for_others: Wait,
    /// Whether a tail that a crash left is refused instead of recovered.
    pub no_recover: bool,
    /// Where the bytes that recovery cuts are saved; beside the log if `None`.
    pub save_to: Option<PathBuf>,
    /// Whether they are not saved at all.
    pub no_save: bool,
    /// Whether to go on where it cannot be known if another process writes.
    pub assume_unused: bool,
}

/// A log that is open for appending, and locked.
pub struct Session {
    /// Where records go.
    pub writer: Writer,
    /// What was recovered on opening, in words for stderr; empty if nothing was.
    pub recovered: Vec<String>,
    lock: DirectoryLock,
}

impl Session {
    /// Takes the log's lock and opens it; makes a new log in an empty directory.
    /// `interrupted` is asked while waiting.
    ///
    /// # Errors
    ///
    /// As [`DirectoryLock::take`] and [`open::open`].
    pub fn open(
        path: &std::path::Path,
        options: &OpenOptions,
        disk: &Arc<dyn Disk>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let lock = DirectoryLock::take(path, options.wait, interrupted)?;
        let writer = open::open(&lock, &options.config, disk)?;
        Ok(Self {
            writer,
            recovered: Vec::new(),
            lock,
        })
    }

    /// The lock that the session holds.
    #[must_use]
    pub fn lock(&self) -> &DirectoryLock {
        &self.lock
    }
}
