//! `proglog repair DIR --replica COPY`: restores damaged and missing records from another
//! copy of the same log, after every record that both hold was found to be the same. The
//! copy is only read; it may be damaged itself, in use, and without some segments.
//!
//! ```console
//! $ proglog repair log --replica copy --dry-run
//! would be changed, in this order:
//!   23.store: 1044 bytes put together (23.store is not there)
//! taken    23..42: 20 records, copy/23.store 0+1044 to 23.store 0
//! ```

use std::io::Write;
use std::path::Path;

use proglog::inspect::finding::OffsetRange;
use proglog::inspect::report::{Options, Report};
use proglog::log::format::{FileKind, file_name};
use proglog::log::units::Offset;
use proglog::mend::replica::manifest as replica_manifest;
use proglog::mend::replica::{self, ReplicaPlan, Taken, Verdict};
use proglog::mend::runs::agree::{Difference, Side};

use super::super::mending::Mending;
use super::super::verify::held_against;
use super::super::{Failure, Globals, Status, quote, stdout};
use crate::render::finding_json::line;
use crate::render::json_line::JsonLine;
use crate::render::prose::{count, escaped};
use crate::render::quote::quote as quoted;

/// Ranges that are printed one by one in text; the rest is counted.
const RANGES_MAX: usize = 40;

/// Both copies inspected, and what to do. `before` is checked again where the copy alone
/// shows what its records are.
pub fn plan(
    before: Report,
    (copy, manifest): (&Path, Option<&[u8]>),
    options: &Options,
    mending: &Mending,
) -> anyhow::Result<(Report, ReplicaPlan)> {
    let log = before.listing.path().to_path_buf();
    let (before, there) = replica::look(before, copy, options)?;
    let proof = match manifest {
        Some(manifest) => match replica_manifest::proof(&before, &there, manifest)? {
            Ok(proof) => Some(proof),
            Err(error) => return Err(held_against::explained(&error)),
        },
        None => None,
    };
    match replica::plan_with(&before, &there, proof.as_ref())? {
        Verdict::Plan(plan) => Ok((before, *plan)),
        Verdict::Strangers => Err(Failure::new(
            Status::Damage,
            format!(
                "{} and {} have no record in common: cannot tell whether one is a copy of the \
                 other; nothing was changed",
                quote(&log),
                quote(copy)
            ),
        )
        .hint("a manifest of this log decides it: --manifest FILE")
        .into()),
        Verdict::Differ(difference) => {
            if mending.json {
                let mut out = stdout()?;
                writeln!(out, "{}", difference_json(&before, &difference))?;
                out.flush()?;
            }
            Err(refusal(&difference, &log, copy))
        }
    }
}

fn refusal(difference: &Difference, log: &Path, copy: &Path) -> anyhow::Error {
    let [here, there] = &difference.sides;
    let offset = difference.offset;
    Failure::new(
        Status::Damage,
        format!(
            "the copies differ in record {offset}, which is intact in both: {}, {}; nothing was \
             changed",
            side(here),
            side(there)
        ),
    )
    .hint("the format cannot tell which one is right; a manifest can: --manifest FILE")
    .hints([log, copy].map(|log| format!("proglog read {} {offset} --hex", quote(log))))
    .into()
}

/// `log/0.store 120+40 has "abc" at 139`.
fn side(side: &Side) -> String {
    let shown = side.shown.escape_ascii();
    format!(
        "{} {}+{} has \"{shown}\" at {}",
        quoted(&side.store),
        side.position,
        side.bytes,
        side.differs_at
    )
}

fn difference_json(report: &Report, difference: &Difference) -> JsonLine {
    let [here, there] = &difference.sides;
    line("difference", report)
        .number("offset", difference.offset.0)
        .text("file", here.store.display().to_string())
        .number("position", here.position)
        .number("bytes", here.bytes)
        .number("differs_at", here.differs_at)
        .text("replica_file", there.store.display().to_string())
        .number("replica_position", there.position)
        .number("replica_bytes", there.bytes)
        .number("replica_differs_at", there.differs_at)
}

/// The restored and the refused ranges, after the steps.
pub fn tell(
    out: &mut impl Write,
    plan: &ReplicaPlan,
    report: &Report,
    json: bool,
) -> std::io::Result<()> {
    if json {
        for taken in &plan.taken {
            writeln!(out, "{}", taken_json(report, taken))?;
        }
        for range in &plan.not_taken {
            let line = line("not-taken", report)
                .number("first_offset", range.first.0)
                .number("last_offset", range.last.0)
                .number("records", range.records());
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    for taken in plan.taken.iter().take(RANGES_MAX) {
        writeln!(
            out,
            "restored {}: {}, {} {}+{} to {} {}",
            taken.offsets,
            count(taken.offsets.records(), "record"),
            escaped(&taken.from.display().to_string()),
            taken.position,
            taken.bytes,
            file_name(taken.segment, FileKind::Store),
            taken.at
        )?;
    }
    if plan.taken.len() > RANGES_MAX {
        let more = plan.taken.len() - RANGES_MAX;
        writeln!(
            out,
            "restored ... and {} (--json lists all)",
            count(more as u64, "more range")
        )?;
    }
    Ok(())
}

fn taken_json(report: &Report, taken: &Taken) -> JsonLine {
    line("taken", report)
        .number("first_offset", taken.offsets.first.0)
        .number("last_offset", taken.offsets.last.0)
        .number("records", taken.offsets.records())
        .number("segment", taken.segment.0)
        .number("position", taken.at)
        .number("bytes", taken.bytes)
        .text("replica_file", taken.from.display().to_string())
        .number("replica_position", taken.position)
}

/// Prints on stderr the records of the copy that this log does not claim to have had.
pub fn say_not_taken(plan: &ReplicaPlan, log: &Path, copy: &Path, globals: Globals) {
    if globals.quiet {
        return;
    }
    let lowest = plan.lowest;
    let mut have_up_to = plan.next;
    for range in &plan.not_taken {
        let before = range.last < lowest;
        let records = count(range.records(), "record");
        let copy = quote(copy);
        if before {
            super::super::say(&format!(
                "not restored: {range} ({records}): this log begins after them, as a trimmed log \
                 does"
            ));
            continue;
        }
        let (first, next) = (range.first, plan.next);
        let missing_from = next.max(have_up_to);
        have_up_to = range.last.saturating_add(1);
        if first > next {
            // An append numbers on from the log's end.
            super::super::say(&format!(
                "not restored: {range} ({records}): nothing shows that this log had them, and they \
                 cannot be added: the next record here gets offset {next}, and the copy does \
                 not have {}",
                OffsetRange {
                    first: missing_from,
                    last: Offset(first.0 - 1)
                }
            ));
            continue;
        }
        let to = if plan.not_taken.last() == Some(range) {
            String::new()
        } else {
            format!(" --to {}", range.last)
        };
        super::super::say(&format!(
            "not restored: {range} ({records}): nothing shows that this log had them; to add them: \
             proglog read {copy} --from {first}{to} --json | proglog append {} --input json \
             --expect-offset {first}",
            quote(log),
        ));
    }
}
