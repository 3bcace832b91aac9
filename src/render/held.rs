//! The words for the result of comparing a log with a manifest.

use std::fmt::Write as _;

use proglog::inspect::manifest::check::Checked;
use proglog::inspect::report::Report;

use super::prose::{count, either};

/// Which of the values the manifest covers.
pub fn values(report: &Report, checked: &Checked) -> String {
    if checked.records == 0 {
        return "values unchecked".to_owned();
    }
    let joined = checked.up_to.filter(|last| {
        // More of them than are before the first that has no digest.
        let before = last.since(report.lowest_offset()).saturating_add(1);
        checked.records <= before
    });
    match joined {
        Some(last) => format!("values checked up to offset {last}"),
        None => format!("values of {} checked", count(checked.records, "record")),
    }
}

/// The result of a manifest, in a line.
pub fn manifest(checked: &Checked) -> String {
    if !checked.whole {
        return "manifest: unusable, no values compared".to_owned();
    }
    let mut line = format!(
        "manifest: {} of {} {}, {}",
        checked.same,
        count(checked.runs, "run"),
        either(checked.runs, "matches", "match"),
        count(checked.records, "record")
    );
    if checked.trimmed > 0 {
        let _ = write!(line, "; {} trimmed since", count(checked.trimmed, "record"));
    }
    line
}

/// The remarks in the last line about unchecked parts, the longest first.
pub fn remarks(report: &Report, checked: Option<&Checked>, allowed: u64) -> Vec<String> {
    let unchecked = match checked.map(|checked| values(report, checked)) {
        Some(values) => vec![values],
        None if report.options.quick => {
            vec![
                "names, sizes and ends only".to_owned(),
                "ends only".to_owned(),
            ]
        }
        None => vec![
            "values unchecked: no manifest".to_owned(),
            "values unchecked".to_owned(),
        ],
    };
    let remark = |unchecked: &String| match allowed {
        0 => format!(" ({unchecked})"),
        allowed => format!(" ({unchecked}; {} allowed)", count(allowed, "finding")),
    };
    unchecked.iter().map(remark).collect()
}
