//! Whether frames that entries name already may wait in a writer's buffer.

use std::sync::Arc;

use super::finding::{Finding, FindingId};
use super::listing::Listing;
use super::report::{Options, Report};
use super::usage::{Buffered, only};
use crate::log::directory::Directory;
use crate::log::format::FileKind;
use crate::log::live;
use crate::log::units::Offset;

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
