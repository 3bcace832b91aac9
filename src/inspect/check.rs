//! The checks: facts in, findings out. Each is a small function named after what it
//! detects; none opens a file except to repeat a measurement.

use super::check_directory;
use super::check_segment;
use super::finding::{self, Finding};
use super::report::Report;

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
    finding::sort(&mut findings);
    findings
}
