//! A plan in words and as JSON lines: what a dry run prints is what is carried out.

use std::io::{self, Write};

use proglog::inspect::report::Report;
use proglog::log::format::{ENTRY_BYTES, FileKind};
use proglog::mend::plan::{Plan, Step};
use proglog::mend::recover::Recovered;
use serde_json::json;

/// Steps that are printed one by one in text; the rest is counted.
const STEPS_MAX: usize = 40;

/// The name of the file that a step changes.
fn file_of(step: &Step, report: &Report) -> String {
    let (base, kind) = step.file();
    let segment = report.listing.segments.iter().find(|s| s.base() == base);
    segment.map_or_else(
        || proglog::log::format::file_name(base, kind),
        |segment| segment.file_name(kind),
    )
}

/// The plan for people.
pub fn steps_text(
    out: &mut impl Write,
    plan: &Plan,
    report: &Report,
    dry_run: bool,
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
        let file = file_of(step, report);
        writeln!(out, "  {}", step_text(step, &file))?;
    }
    if plan.steps.len() > STEPS_MAX {
        let more = plan.steps.len() - STEPS_MAX;
        writeln!(out, "  ... and {more} more (--json has them all)")?;
    }
    Ok(())
}

/// What a recovery did before an append, a line each, for stderr.
pub fn recovery(recovered: &Recovered, log: &str) -> Vec<String> {
    let mut lines: Vec<String> = recovered
        .plan
        .steps
        .iter()
        .map(|step| {
            let (base, kind) = step.file();
            let file = proglog::log::format::file_name(base, kind);
            format!("recovered {log}: {}", step_text(step, &file))
        })
        .collect();
    if let Some(saved) = &recovered.saved {
        lines.push(format!(
            "recovered {log}: what was cut is saved in {}",
            super::quote::quote(saved)
        ));
    }
    lines
}

fn step_text(step: &Step, file: &str) -> String {
    match *step {
        Step::CreateEmpty { .. } => format!("{file}: created empty, beside its twin"),
        Step::BuildIndex { entries, .. } => {
            format!("{file}: made anew with {} entries", entries.count)
        }
        Step::WriteEntries { entries, .. } => format!(
            "{file}: {} entries written at {}+{}",
            entries.count,
            entries.first_slot * ENTRY_BYTES,
            entries.count * ENTRY_BYTES
        ),
        Step::Cut {
            kind: FileKind::Index,
            from,
            to,
            ..
        } => format!(
            "{file}: {from} -> {to} bytes ({} entries kept)",
            to / ENTRY_BYTES
        ),
        Step::Cut { from, to, .. } => {
            format!("{file}: {from} -> {to} bytes ({} bytes cut)", from - to)
        }
        Step::MoveAway { bytes, .. } => format!("{file}: taken away whole ({bytes} bytes)"),
    }
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
            "kind": "step", "action": action(step), "segment": base.0,
            "file": file_of(step, report), "dry_run": dry_run,
        });
        let figures: &[(&str, u64)] = &match *step {
            Step::CreateEmpty { .. } => [("size_before", 0), ("size_after", 0)],
            Step::BuildIndex { entries, .. } => [
                ("entries", entries.count),
                ("size_after", entries.count * ENTRY_BYTES),
            ],
            Step::WriteEntries { entries, .. } => [
                ("position", entries.first_slot * ENTRY_BYTES),
                ("bytes", entries.count * ENTRY_BYTES),
            ],
            Step::Cut { from, to, .. } => [("size_before", from), ("size_after", to)],
            Step::MoveAway { bytes, .. } => [("size_before", bytes), ("bytes", bytes)],
        };
        for (name, figure) in figures {
            if let Some(object) = line.as_object_mut() {
                object.insert((*name).to_owned(), json!(figure));
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn action(step: &Step) -> &'static str {
    match step {
        Step::CreateEmpty { .. } => "create",
        Step::BuildIndex { .. } => "build-index",
        Step::WriteEntries { .. } => "write-entries",
        Step::Cut { .. } => "cut",
        Step::MoveAway { .. } => "move-away",
    }
}
