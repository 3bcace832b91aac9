//! The plan of `truncate-index`: each index is cut to its real entries, no store is
//! touched. Says where a store would keep bytes that a later append buries.

use super::plan::{Plan, cut};
use crate::inspect::report::Report;
use crate::log::damage::DamageKind;
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::units::Offset;

/// Why `truncate-index` does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buried {
    /// The segment.
    pub base: Offset,
    /// Position of the bytes without entries.
    pub position: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// The first index that is not read as it is: it names records by entries in other
/// places, so that none of them may be cut.
#[must_use]
pub fn misread(report: &Report) -> Option<String> {
    let mut segments = report.segments.iter();
    let misread = segments.find(|it| it.by_account && it.listing.index.is_some())?;
    Some(misread.listing.file_name(FileKind::Index))
}

/// The plan of `truncate-index`: each index that is read as it is is cut to its real
/// entries, no store is touched. Entries that name nothing are cut too where all before
/// them are right: else more of them would seem to name nothing then. Reports which stores
/// would keep bytes that a later append buries; without `leave_tail` those are a reason to
/// do nothing.
#[must_use]
pub fn plan(report: &Report) -> (Plan, Vec<Buried>) {
    let mut plan = Plan::over(report);
    let mut buried = Vec::new();
    for segment in &report.segments {
        let Some(facts) = segment.facts.as_ref().filter(|_| !segment.by_account) else {
            continue;
        };
        let end = match facts.damages.as_slice() {
            [damage] if damage.kind == DamageKind::Dangling => facts.next_slot() * ENTRY_BYTES,
            _ => facts.rest.map_or(facts.index_bytes, |rest| rest.position),
        };
        let step = cut(facts.base, FileKind::Index, facts.index_bytes, end);
        let Some(step) = step else { continue };
        if let Some(link) = segment.listing.link() {
            plan.links.push(link);
            continue;
        }
        plan.steps.push(step);
        if facts.tail().bytes > 0 {
            buried.push(Buried {
                base: facts.base,
                position: facts.tail().position,
                bytes: facts.tail().bytes,
            });
        }
    }
    (plan, buried)
}
