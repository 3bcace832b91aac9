//! `proglog repair DIR`: mends what needs no guessing, and says what it left.
//!
//! ```console
//! $ proglog repair log --dry-run
//! would change, in this order:
//!   0.index: 12288 -> 2916 bytes (243 entries kept)
//!   0.store: 12288 -> 12272 bytes (16 bytes cut)
//! lost     243..299: 57 records; these offsets will be given again
//! ```

use std::io::Write;
use std::path::PathBuf;

use proglog::inspect::finding::{FindingId, OffsetRange, Severity};
use proglog::inspect::report::{Options, Report};
use proglog::log::damage::DamageKind;
use proglog::mend::plan::{self, Plan, RepairOptions};
use serde_json::json;

use super::mending::Mending;
use super::options;
use super::{Globals, Status, stdout};

/// What `repair` can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = options::after_help(
    "proglog repair log --dry-run     what would be changed\n\
     proglog repair log               do it; what goes is saved beside the log\n\
     proglog undo log                 take it back"
))]
pub struct Arguments {
    /// The log's directory
    dir: PathBuf,
    /// Take whole frames at the end of a raw log for records
    #[arg(long)]
    adopt_tail: bool,
    /// The service's MaxIndexBytes
    #[arg(long, value_name = "SIZE", value_parser = options::size)]
    max_index_bytes: Option<u64>,
    #[command(flatten)]
    mending: Mending,
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let mending = &arguments.mending;
    let options = Options {
        max_index_bytes: arguments.max_index_bytes,
        ..Options::default()
    };
    let (lock, before) = mending.look(&arguments.dir, &options)?;
    let repair = RepairOptions {
        adopt_tail: arguments.adopt_tail,
    };
    let plan = plan::repair(&before, repair);
    let saved = mending.carry_out(&plan, lock.as_ref(), &before, "repair", globals)?;
    let lost = lost(&before);
    if mending.dry_run {
        return foretell(&plan, &lost, mending, globals);
    }
    drop(lock);
    let after = Report::of(&arguments.dir, &options)?;
    let mut out = stdout()?;
    if mending.json {
        for range in &lost {
            writeln!(out, "{}", lost_json(*range))?;
        }
        let summary = json!({
            "kind": "summary", "dry_run": false, "steps": plan.steps.len(),
            "saved": saved.map(|path| path.display().to_string()),
            "records": after.records(), "next_offset": after.next_offset().0,
            "errors": after.count(Severity::Error), "warnings": after.count(Severity::Warning),
        });
        writeln!(out, "{summary}")?;
    } else {
        if !globals.quiet {
            lost_text(&mut out, &lost, &before)?;
        }
        super::verify::tell(&mut out, &arguments.dir, &after, globals)?;
    }
    out.flush()?;
    // What the service's configuration must mend stays, though no file shows it now.
    let clean = after.is_clean() && !has_full_index(&before);
    Ok(if clean { Status::Done } else { Status::Damage })
}

/// Whether the log's last index is full for a service with its present limit.
fn has_full_index(report: &Report) -> bool {
    let findings = &report.findings;
    findings.iter().any(|f| f.id == FindingId::IndexFull)
}

/// What a dry run says beside the plan; ends as the real run would.
fn foretell(
    plan: &Plan,
    lost: &[Lost],
    mending: &Mending,
    globals: Globals,
) -> anyhow::Result<Status> {
    let mut out = stdout()?;
    let gap = lost.iter().any(|lost| !lost.given_again);
    if mending.json {
        for range in lost {
            writeln!(out, "{}", lost_json(*range))?;
        }
        let summary = json!({
            "kind": "summary", "dry_run": true, "steps": plan.steps.len(),
            "left": plan.left.len(),
        });
        writeln!(out, "{summary}")?;
    } else if !globals.quiet {
        for lost in lost {
            lost_line(&mut out, *lost)?;
        }
        for finding in &plan.left {
            let words = crate::render::words::message(finding);
            writeln!(out, "left     {}: {words}", finding.id)?;
        }
    }
    out.flush()?;
    Ok(if plan.left.is_empty() && !gap {
        Status::Done
    } else {
        Status::Damage
    })
}

/// Records that entries promise and no file holds.
#[derive(Debug, Clone, Copy)]
struct Lost {
    range: OffsetRange,
    /// Whether new records will get these offsets: else a gap stays.
    given_again: bool,
}

fn lost(report: &Report) -> Vec<Lost> {
    let mut lost = Vec::new();
    for segment in &report.segments {
        let Some(facts) = &segment.facts else {
            continue;
        };
        let Some(damage) = facts.first_damage(DamageKind::Dangling) else {
            continue;
        };
        // Frames that carry these very offsets are adopted.
        let first = damage.first_slot + facts.tail.continuing;
        if first <= damage.last_slot {
            lost.push(Lost {
                range: OffsetRange {
                    first: facts.base.saturating_add(first),
                    last: facts.base.saturating_add(damage.last_slot),
                },
                given_again: report.is_last(segment),
            });
        }
    }
    lost
}

fn lost_json(lost: Lost) -> serde_json::Value {
    json!({
        "kind": "lost", "first_offset": lost.range.first.0, "last_offset": lost.range.last.0,
        "records": lost.range.records(), "given_again": lost.given_again,
    })
}

fn lost_line(out: &mut impl Write, lost: Lost) -> std::io::Result<()> {
    let what = if lost.given_again {
        "these offsets will be given again"
    } else {
        "a gap stays"
    };
    let records = crate::render::prose::count(lost.range.records(), "record");
    writeln!(out, "lost     {}: {records}; {what}", lost.range)
}

fn lost_text(out: &mut impl Write, lost: &[Lost], report: &Report) -> std::io::Result<()> {
    for one in lost {
        lost_line(out, *one)?;
    }
    if has_full_index(report) {
        writeln!(
            out,
            "left     index-full: set the service's MaxIndexBytes to a multiple of 12"
        )?;
    }
    Ok(())
}
