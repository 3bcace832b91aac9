//! A plan in words and as JSON lines: a dry run prints the plan that is carried out.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use proglog::inspect::finding::{Finding, FindingId};
use proglog::inspect::report::Report;
use proglog::log::damage::DamageKind;
use proglog::log::format::{ENTRY_BYTES, FileKind};
use proglog::mend::plan::{Plan, Step};
use proglog::mend::recover::Recovered;
use proglog::mend::saved::is_beside;
use serde_json::json;

use super::finding_json::log;
use super::prose::{columns, count, escaped, escaped_json, labelled, wrapped};
use super::quote::quote;
use super::words;

/// Steps that are printed one by one in text; the rest is counted.
const STEPS_MAX: usize = 40;

/// Limit of listed findings of one id that a plan leaves; the others are counted.
const LEFT_MAX: usize = 24;

/// The name of the file that a step changes.
fn file_of(step: &Step, report: &Report) -> String {
    let (base, kind) = step.file();
    report.segment(base).map_or_else(
        || proglog::log::format::file_name(base, kind),
        |segment| segment.listing.file_name(kind),
    )
}

/// The plan for people.
pub fn steps_text(
    out: &mut impl Write,
    plan: &Plan,
    report: &Report,
    (purpose, dry_run): (Purpose, bool),
) -> io::Result<()> {
    if plan.steps.is_empty() {
        return writeln!(out, "nothing to change");
    }
    let tense = if dry_run {
        "would be changed"
    } else {
        "changed"
    };
    writeln!(out, "{tense}, in this order:")?;
    for step in plan.steps.iter().take(STEPS_MAX) {
        let file = escaped(&file_of(step, report));
        let text = step_text(step, &file, CutOff::by(step, purpose, report));
        let mut indent = 2;
        for line in wrapped(&text, columns().saturating_sub(4)) {
            writeln!(out, "{:indent$}{line}", "")?;
            indent = 4;
        }
    }
    if plan.steps.len() > STEPS_MAX {
        let more = plan.steps.len() - STEPS_MAX;
        writeln!(out, "  ... and {more} more (--json lists all)")?;
    }
    Ok(())
}

/// The result of a recovery before an append, a line each, for stderr.
pub fn recovery(recovered: &Recovered, path: &Path) -> Vec<String> {
    let log = quote(path);
    let mut lines: Vec<String> = recovered
        .plan
        .steps
        .iter()
        .map(|step| {
            let (base, kind) = step.file();
            let file = recovered.plan.file_name(base, kind);
            format!(
                "recovered {log}: {}",
                step_text(step, &file, CutOff::default())
            )
        })
        .collect();
    if let Some(saved) = &recovered.saved {
        let place = quote(saved);
        lines.push(format!(
            "recovered {log}: the removed bytes are saved in {place}"
        ));
        let beside = path.canonicalize().is_ok_and(|it| is_beside(&it, saved));
        if !beside {
            // The name of the log alone does not lead there.
            lines.push(format!(
                "recovered {log}: to write the log before recovery to a new directory:"
            ));
            lines.push(format!(
                "hint: {} --into {}",
                super::undo::command(path, saved),
                quote(&super::undo::free_name(path, ".before"))
            ));
        }
    }
    lines
}

/// The purpose of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To keep every record.
    Repair,
    /// To remove intact records.
    RemoveRecords,
}

/// The parts of an index that a cut removes.
#[derive(Debug, Clone, Copy, Default)]
struct CutOff {
    /// Complete entries of intact records.
    records: u64,
    /// Complete entries of which the records are lost.
    entries: u64,
    /// Zeros after the last entry. Bytes.
    padding: u64,
    /// Other bytes after it.
    partial: u64,
}

impl CutOff {
    fn by(step: &Step, purpose: Purpose, report: &Report) -> Self {
        let Step::Cut {
            base,
            kind: FileKind::Index,
            to,
            ..
        } = *step
        else {
            return Self::default();
        };
        let facts = report.segments.iter().filter_map(|s| s.facts.as_ref());
        let Some(facts) = facts.into_iter().find(|facts| facts.base == base) else {
            return Self::default();
        };
        let (position, bytes, is_padding) = match facts.rest {
            Some(rest) => (rest.position.max(to), rest.bytes, rest.padding),
            None => (facts.index_bytes, 0, true),
        };
        let rest = bytes.min(facts.index_bytes.saturating_sub(position));
        let slots = (to / ENTRY_BYTES)..(position.max(to) / ENTRY_BYTES);
        let lost = facts.first_damage(DamageKind::Dangling);
        let lost_from = lost.map_or(slots.end, |damage| damage.first_slot);
        let intact = match purpose {
            Purpose::RemoveRecords => lost_from.clamp(slots.start, slots.end) - slots.start,
            Purpose::Repair => 0,
        };
        Self {
            records: intact,
            entries: slots.end - slots.start - intact,
            padding: if is_padding { rest } else { 0 },
            partial: if is_padding { 0 } else { rest },
        }
    }

    /// `; 57 entries without records, 8688 bytes of padding`, or nothing.
    fn text(self) -> String {
        let mut parts = Vec::new();
        if self.records > 0 {
            parts.push(format!("{} removed", count(self.records, "record")));
        }
        if self.entries > 0 {
            parts.push(format!("{} without records", count(self.entries, "entry")));
        }
        if self.padding > 0 {
            parts.push(format!("{} of padding", count(self.padding, "byte")));
        }
        if self.partial > 0 {
            parts.push(format!(
                "{} of a partial entry",
                count(self.partial, "byte")
            ));
        }
        if parts.is_empty() {
            return String::new();
        }
        format!("; {}", parts.join(", "))
    }
}

fn step_text(step: &Step, file: &str, off: CutOff) -> String {
    match step.clone() {
        Step::CreateEmpty { .. } => format!("{file}: created empty"),
        Step::BuildIndex { entries, .. } => {
            format!("{file}: rebuilt with {}", count(entries.count, "entry"))
        }
        Step::WriteEntries { entries, .. } => format!(
            "{file}: {} written at {}+{}",
            count(entries.count, "entry"),
            entries.first_slot * ENTRY_BYTES,
            entries.count * ENTRY_BYTES
        ),
        Step::Cut {
            kind: FileKind::Index,
            from,
            to,
            ..
        } => format!(
            "{file}: {from} -> {to} bytes ({} kept{})",
            count(to / ENTRY_BYTES, "entry"),
            off.text()
        ),
        Step::Cut { from, to, .. } => {
            format!(
                "{file}: {from} -> {to} bytes ({} cut)",
                count(from - to, "byte")
            )
        }
        Step::Fill {
            kind: FileKind::Index,
            position,
            bytes,
            ..
        } => format!(
            "{file}: {} written at {position}+{bytes}",
            count(bytes / ENTRY_BYTES, "entry")
        ),
        Step::Fill {
            position, bytes, ..
        } => format!("{file}: frames written at {position}+{bytes}"),
        Step::Assemble { from: None, to, .. } => {
            format!("{file}: rebuilt ({})", count(to, "byte"))
        }
        Step::Assemble {
            from: Some(from),
            to,
            ..
        } => format!("{file}: {from} -> {to} bytes (reassembled)"),
        Step::MoveAway { bytes, .. } => {
            format!("{file}: removed ({})", count(bytes, "byte"))
        }
        Step::Overwrite { values, .. } => format!(
            "{file}: {} overwritten ({})",
            count(values.len() as u64, "value"),
            count(bytes_of(&values), "byte")
        ),
    }
}

/// Number of bytes in ranges.
fn bytes_of(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// The plan for programs: a line per step.
pub fn steps_json(
    out: &mut impl Write,
    plan: &Plan,
    report: &Report,
    dry_run: bool,
) -> io::Result<()> {
    for step in &plan.steps {
        let (base, _) = step.file();
        let mut line = json!({
            "kind": "change", "log": log(report), "action": action(step), "segment": base.0,
            "file": file_of(step, report), "dry_run": dry_run,
        });
        let figures = match step.clone() {
            Step::CreateEmpty { .. } => vec![("size_before", 0), ("size_after", 0)],
            Step::BuildIndex { entries, .. } => vec![
                ("entries", entries.count),
                ("size_after", entries.count * ENTRY_BYTES),
            ],
            Step::WriteEntries { entries, .. } => vec![
                ("entries", entries.count),
                ("position", entries.first_slot * ENTRY_BYTES),
                ("bytes", entries.count * ENTRY_BYTES),
            ],
            Step::Cut {
                kind: FileKind::Index,
                from,
                to,
                ..
            } => vec![
                ("size_before", from),
                ("size_after", to),
                ("entries_kept", to / ENTRY_BYTES),
                (
                    "entries_cut",
                    CutOff::by(step, Purpose::Repair, report).entries,
                ),
                ("padding", CutOff::by(step, Purpose::Repair, report).padding),
            ],
            Step::Cut { from, to, .. }
            | Step::Assemble {
                from: Some(from),
                to,
                ..
            } => vec![("size_before", from), ("size_after", to)],
            Step::Fill {
                kind: FileKind::Index,
                position,
                bytes,
                ..
            } => vec![
                ("entries", bytes / ENTRY_BYTES),
                ("position", position),
                ("bytes", bytes),
            ],
            Step::Fill {
                position, bytes, ..
            } => vec![("position", position), ("bytes", bytes)],
            Step::Assemble { from: None, to, .. } => vec![("size_after", to)],
            Step::MoveAway { bytes, .. } => vec![("size_before", bytes), ("bytes", bytes)],
            Step::Overwrite { values, .. } => vec![
                ("values", values.len() as u64),
                ("bytes", bytes_of(&values)),
            ],
        };
        for (name, figure) in figures {
            if let Some(object) = line.as_object_mut() {
                object.insert(name.to_owned(), json!(figure));
            }
        }
        writeln!(out, "{}", escaped_json(&line.to_string()))?;
    }
    Ok(())
}

/// The findings that a plan leaves, one per line; of many with one id the others are
/// counted.
///
/// # Errors
///
/// Writing's.
pub fn left(out: &mut impl Write, left: &[Finding]) -> io::Result<()> {
    let mut told: BTreeMap<FindingId, usize> = BTreeMap::new();
    for finding in left {
        let told = told.entry(finding.id).or_default();
        *told += 1;
        if *told <= LEFT_MAX {
            let words = words::message(finding);
            labelled(out, "left", &format!("{}: {words}", finding.id))?;
        }
    }
    for (id, told) in told {
        let more = told.saturating_sub(LEFT_MAX);
        if more > 0 {
            labelled(
                out,
                "left",
                &format!("{id}: ... and {more} more (--json lists all)"),
            )?;
        }
    }
    Ok(())
}

fn action(step: &Step) -> &'static str {
    match step {
        Step::CreateEmpty { .. } => "create",
        Step::BuildIndex { .. } => "build-index",
        Step::Cut { .. } => "cut",
        Step::MoveAway { .. } => "move-away",
        Step::WriteEntries { .. }
        | Step::Fill {
            kind: FileKind::Index,
            ..
        } => "write-entries",
        Step::Fill { .. } => "write-frames",
        Step::Assemble { .. } => "assemble",
        Step::Overwrite { .. } => "overwrite",
    }
}
