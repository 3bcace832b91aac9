//! Which processes have the log open: asked without disturbing them.

use std::time::SystemTime;

use crate::log::directory::{Directory, SegmentNames};
use crate::log::format::FileKind;
use crate::log::lock::DirectoryLock;
use crate::log::processes::{self, Process, Unseen, Use};

/// In whose buffer frames wait that entries name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffered {
    /// A writer has the log open.
    Live,
    /// Unknown whether a process has it open.
    Unknown,
}

/// A log's directory with the files of one segment alone.
pub(super) fn only(directory: &Directory, names: &SegmentNames) -> Directory {
    let halves = [FileKind::Store, FileKind::Index].map(|kind| names.file_name(kind));
    Directory::of_names(&directory.dir, halves.to_vec())
}

/// The processes that have a log open for writing.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Whether a process writes; `None` if unknown.
    pub in_use: Option<bool>,
    /// Why it cannot be known, where it was asked.
    pub unseen: Option<Unseen>,
    /// The writers, as far as the system names them.
    pub writers: Vec<Process>,
    /// The proglog that holds the directory's lock.
    pub lock_holder: Option<u32>,
}

impl Usage {
    /// Asks the kernel about the first and the last segment's files.
    #[must_use]
    pub fn of(directory: &Directory) -> Self {
        let lock_holder =
            DirectoryLock::holder(&directory.dir).filter(|pid| *pid != std::process::id());
        let locked = lock_holder.is_some();
        let told = |in_use, writers| (in_use, None, writers);
        let (in_use, unseen, writers) = match processes::in_use(&directory.telling_files()) {
            Use::NoWriter => told(Some(locked), Vec::new()),
            Use::Writers(writers) => told(Some(true), writers),
            Use::Unknown { .. } if locked => told(Some(true), Vec::new()),
            Use::Unknown { why, .. } => (None, Some(why), Vec::new()),
        };
        Self {
            in_use,
            unseen,
            writers,
            lock_holder,
        }
    }

    /// Asks about the files of one segment alone: a service has all of them open.
    #[must_use]
    pub fn of_segment(directory: &Directory, names: &SegmentNames) -> Self {
        Self::of(&only(directory, names))
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
