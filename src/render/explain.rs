//! The list of all findings: severity and summary of each.

use std::io::{self, Write};

use proglog::inspect::finding::FindingId;

use super::prose::COLUMNS;

/// Prints all ids below the severities that they can have.
///
/// # Errors
///
/// Writing's.
pub fn list(out: &mut impl Write) -> io::Result<()> {
    let mut severities: Vec<&str> = Vec::new();
    for id in FindingId::ALL {
        let severity = severity(*id);
        if !severities.contains(&severity) {
            severities.push(severity);
        }
    }
    // The worst first.
    severities.sort_by_key(|severity| {
        let order = ["error", "error or warning", "warning", "note"];
        order.iter().position(|one| one == severity)
    });
    for severity in severities {
        writeln!(out, "{severity}:")?;
        for id in FindingId::ALL {
            if self::severity(*id) == severity {
                writeln!(out, "  {id:22}  {}", line(*id))?;
            }
        }
    }
    writeln!(
        out,
        "\nproglog explain ID: the bytes, causes, impact and remedy of one finding"
    )
}

/// The severity that the long text begins with.
fn severity(id: FindingId) -> &'static str {
    let first = id.explanation().lines().next().unwrap_or_default();
    first.split(" - ").nth(1).unwrap_or_default()
}

/// One line that fits: the long text's own summary where the other is too long.
fn line(id: FindingId) -> &'static str {
    let summary = id.summary();
    if summary.len() <= COLUMNS - 26 {
        return summary;
    }
    let first = id.explanation().lines().next().unwrap_or_default();
    first.splitn(3, " - ").nth(2).unwrap_or(summary)
}
