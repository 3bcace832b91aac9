//! Which processes have the log open: asked without disturbing them.

use std::sync::Arc;
use std::time::SystemTime;

use super::finding::{Finding, FindingId};
use super::listing::Listing;
use super::report::{Options, Report};
use crate::log::directory::{Directory, SegmentNames};
use crate::log::format::FileKind;
use crate::log::live;
use crate::log::lock::DirectoryLock;
use crate::log::processes::{self, Process, Unseen, Use};
use crate::log::units::Offset;

/// In whose buffer frames wait that entries name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffered {
    /// A writer has the log open.
    Live,
    /// Unknown whether a process has it open.
    Unknown,
}

/// The state of frames that were missing when their entries were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// They came.
    There,
    /// They may wait in a writer's buffer.
    Buffered(Buffered),
    /// They are lost.
    Lost,
}

/// Asks about the frames that the last entries of a segment name: as `verify` judges it.
#[must_use]
pub fn awaited(directory: &Directory, segment: Offset) -> Awaited {
    let options = Options {
        quick: true,
        segment: Some(segment),
        ask_usage: true,
        ..Options::default()
    };
    // Of this segment alone: a log may have very many, each with a buffer.
    let Some(names) = directory.segment(segment) else {
        return Awaited::Lost;
    };
    let listing = Listing {
        directory: only(directory, names),
        segments: vec![Arc::new(Listing::segment(&directory.dir, names))],
    };
    let awaited = match live::undisturbed(|| Report::over(listing.clone(), &options)) {
        Ok(report) => judged(&report, segment),
        Err(_) => Awaited::Lost,
    };
    // A writer wrote its buffer before it removed the segment.
    let removed = !directory.file(names, FileKind::Store).is_there();
    if removed { Awaited::There } else { awaited }
}

/// The result of a report for the frames that the last entries of a segment name.
fn judged(report: &Report, segment: Offset) -> Awaited {
    let mut findings = report.findings.iter();
    let same = |it: &&Finding| it.id == FindingId::IndexDangling && it.segment == Some(segment);
    match findings.find(same) {
        None => Awaited::There,
        Some(finding) if finding.use_unknown => Awaited::Buffered(Buffered::Unknown),
        Some(finding) if finding.may_be_buffered() => Awaited::Buffered(Buffered::Live),
        Some(_) => Awaited::Lost,
    }
}

/// A log's directory with the files of one segment alone.
fn only(directory: &Directory, names: &SegmentNames) -> Directory {
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
