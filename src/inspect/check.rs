//! The checks: facts in, findings out. Each is a small function with the name of what
//! it looks for; none opens a file except to ask the same question again.

use super::check_directory;
use super::check_segment;
use super::finding::Finding;
use super::report::Report;
use crate::log::error::{Error, Result};
use crate::log::format::LENGTH_BYTES;
use crate::log::segment::Segment;
use crate::log::window::{LOOKUP_BYTES, Window};

/// Everything worth telling of a log, in the order of severity and place.
#[must_use]
pub fn findings(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_directory::names(report, &mut findings);
    check_directory::owners(report, &mut findings);
    for segment in &report.segments {
        check_segment::segment(report, segment, &mut findings);
    }
    check_directory::neighbours(report, &mut findings);
    sort(&mut findings);
    findings
}

/// The order in which findings are told: severity, then place.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| {
        let position = finding.place.as_ref().map(|place| place.position);
        (finding.severity, finding.segment, position)
    });
}

/// Whether a segment of which nothing makes sense makes sense with the least
/// significant byte first.
///
/// # Errors
///
/// Reading's.
pub fn is_little_endian(segment: &Segment, facts: &super::scan::SegmentFacts) -> Result<bool> {
    const FRAMES: usize = 8;
    let limit = segment.store.file_bytes;
    if facts.records > 0 || facts.tail().frames > 0 || limit < LENGTH_BYTES {
        return Ok(false);
    }
    let mut store = Window::new(segment.store.clone(), LOOKUP_BYTES);
    let mut position = 0_u64;
    for _ in 0..FRAMES {
        if position == limit {
            break;
        }
        if position.saturating_add(LENGTH_BYTES) > limit {
            return Ok(false);
        }
        // The bytes the other way round: what a foreign program wrote.
        let length = match store.length_at(position) {
            Ok(length) => length.swap_bytes(),
            // Bytes that the disk does not give say nothing of their order.
            Err(Error::Unreadable { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        match position
            .checked_add(LENGTH_BYTES)
            .and_then(|p| p.checked_add(length))
        {
            Some(end) if end <= limit && length > 0 => position = end,
            _ => return Ok(false),
        }
    }
    Ok(true)
}
