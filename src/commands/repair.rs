//! `proglog repair DIR`: repairs what needs no guess, and reports what remains.
//!
//! ```console
//! $ proglog repair log --dry-run
//! would change, in this order:
//!   0.index: 12288 -> 2916 bytes (243 entries kept; 57 entries without records,
//!     8688 bytes of padding)
//!   0.store: 12288 -> 12272 bytes (16 bytes cut)
//! lost     243..299: 57 records; these offsets will be reused
//! ```

mod with_replica;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proglog::inspect::finding::{Finding, FindingId, Severity};
use proglog::inspect::look::Before;
use proglog::inspect::report::{Options, Report, TailDecision};
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::record::{Codec, Layout};
use proglog::log::walk::{Committed, Flow, Visitor};
use proglog::log::window::LOOKUP_BYTES;
use proglog::mend::lost::{self, Lost};
use proglog::mend::plan::{Plan, Step};
use proglog::mend::repair;
use proglog::mend::replica::ReplicaPlan;

use super::mending::{Mending, with_hint};
use super::options;
use super::progress::Bar;
use super::verify::held_against;
use super::{Globals, Status, stdout};
use crate::render::finding_json::line;
use crate::render::json_line::JsonLine;
use crate::render::plan::Purpose;
use crate::render::prose::{self, count, either};

const EXAMPLES: &str = "\
proglog repair log --dry-run     show the changes
proglog repair log               make them; save removed bytes beside the log
proglog repair log --replica b   restore lost records from another copy
proglog repair log --replica b --manifest m
                                 m shows which copy is right
proglog undo log                 undo the repair";

/// Repair what needs no guess
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Add the frames at the end as records even if they may be incomplete
    #[arg(long)]
    adopt_tail: bool,
    /// Cut the bytes after the last record even if they cannot be identified
    #[arg(long, conflicts_with = "adopt_tail")]
    drop_tail: bool,
    /// Restore damaged and missing records from another copy of the log
    #[arg(long, value_name = "COPY")]
    replica: Option<PathBuf>,
    /// If the copies differ, use the records that match a manifest printed by `proglog
    /// manifest`; - is standard input
    #[arg(long, value_name = "FILE", requires = "replica")]
    manifest: Option<PathBuf>,
    /// Assume this MaxIndexBytes of the service
    #[arg(long, value_name = "SIZE", value_parser = options::size)]
    max_index_bytes: Option<u64>,
    #[command(flatten)]
    mending: Mending,
}

impl Arguments {
    /// The decision of a person about the end of the log.
    fn tail(&self) -> TailDecision {
        match (self.adopt_tail, self.drop_tail) {
            (true, _) => TailDecision::Adopt,
            (_, true) => TailDecision::Drop,
            _ => TailDecision::Leave,
        }
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let mending = &arguments.mending;
    let manifest = match &arguments.manifest {
        Some(path) => Some(held_against::read(path)?),
        None => None,
    };
    let mut options = Options {
        max_index_bytes: arguments.max_index_bytes,
        tail: arguments.tail(),
        codec: mending.codec,
        ..Options::default()
    };
    let (lock, before) = mending.look(&arguments.dir, &options, globals)?;
    let (before, helped) = if let Some(copy) = &arguments.replica {
        let manifest = manifest.as_deref();
        let (before, helped) = with_replica::plan(before, (copy, manifest), &options, mending)?;
        options.codec = before.codec;
        (before, helped)
    } else {
        let helped = ReplicaPlan {
            plan: repair::plan(&before),
            ..ReplicaPlan::default()
        };
        (before, helped)
    };
    let plan = &helped.plan;
    let lost = lost::of(plan, &before);
    let raft = (!lost.is_empty() && is_raft_log(&before)?).then_some(RAFT);
    let remarks = [raft, about_limit(plan, &before), about_codec(plan, &before)];
    let Some(lock) = lock else {
        mending.tell(plan, None, (&before, None), Purpose::Repair, globals)?;
        if let Some(copy) = &arguments.replica {
            tell_of_copy(&helped, &before, copy, mending, globals)?;
        }
        return foretell(plan, &before, &lost, remarks, mending, globals);
    };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let apply_options = mending.apply_options(&disk, "repair");
    let scan = |listing, known: &Before<'_>| {
        let _bar = Bar::for_look("verify", &arguments.dir, None, globals);
        Report::once(listing, &options, Some(known))
    };
    let (saved, mut after) = repair::carry_out(plan, &lock, &before, &apply_options, scan)
        .map_err(|error| with_hint(error, plan, lock.path()))?;
    if let Some(manifest) = manifest {
        let mut manifest = held_against::of_bytes(manifest)?;
        let held = manifest.check(&mut after)?;
        held.status(Status::Done)?;
    }
    // Said only once it is sure that it stays.
    let known = (&before, saved.as_deref());
    mending.tell(plan, Some(&lock), known, Purpose::Repair, globals)?;
    if let Some(copy) = &arguments.replica {
        tell_of_copy(&helped, &before, copy, mending, globals)?;
    }
    drop(lock);
    let mut out = stdout()?;
    told(&mut out, &before, &lost, remarks, mending, globals)?;
    if mending.json {
        let is_left = |finding: &&Finding| finding.severity != Severity::Note;
        for finding in after.findings.iter().filter(is_left) {
            crate::render::finding_json::finding(&mut out, &after, finding, None, false)?;
        }
        let summary = line("summary", &before)
            .flag("dry_run", false)
            .count("changes", plan.steps.len())
            .number("records", after.records())
            .number("next_offset", after.next_offset().0)
            .count("errors", after.count(Severity::Error))
            .count("warnings", after.count(Severity::Warning))
            .text_if("saved", saved.map(|path| path.display().to_string()));
        writeln!(out, "{summary}")?;
    } else {
        super::verify::tell(&mut out, &arguments.dir, &after, globals)?;
    }
    out.flush()?;
    Ok(if after.is_clean() {
        Status::Done
    } else {
        Status::Damage
    })
}

/// The records restored from the other copy.
fn tell_of_copy(
    helped: &ReplicaPlan,
    before: &Report,
    copy: &Path,
    mending: &Mending,
    globals: Globals,
) -> anyhow::Result<()> {
    if mending.json || !globals.quiet {
        let mut out = stdout()?;
        with_replica::tell(&mut out, helped, before, mending.json)?;
        out.flush()?;
    }
    with_replica::say_not_taken(helped, before.listing.path(), copy, globals);
    Ok(())
}

/// The remark if the log's last index is full for a service with its present limit, and no
/// file will show it any more.
fn about_limit(plan: &Plan, before: &Report) -> Option<&'static str> {
    let is_full = |findings: &[Finding]| findings.iter().any(|it| it.id == FindingId::IndexFull);
    (is_full(&before.findings) && !is_full(&plan.left)).then_some(LIMIT)
}

/// The messages of a dry run besides the plan; its status is that of the real run.
fn foretell(
    plan: &Plan,
    before: &Report,
    lost: &[Lost],
    remarks: Remarks,
    mending: &Mending,
    globals: Globals,
) -> anyhow::Result<Status> {
    let mut out = stdout()?;
    told(&mut out, before, lost, remarks, mending, globals)?;
    if mending.json {
        for finding in &plan.left {
            crate::render::finding_json::finding(&mut out, before, finding, None, false)?;
        }
        let summary = line("summary", before)
            .flag("dry_run", true)
            .count("changes", plan.steps.len())
            .count("left", plan.left.len());
        writeln!(out, "{summary}")?;
    } else {
        crate::render::plan::left(&mut out, &plan.left)?;
    }
    out.flush()?;
    Ok(if plan.left.is_empty() {
        Status::Done
    } else {
        Status::Damage
    })
}

/// The message if a Raft log loses entries.
const RAFT: &str = "a Raft log: if a cluster node has lost entries, it is safer to empty it and \
                    let it rejoin";

/// The message if refused frames showed that the index is full.
const LIMIT: &str = "the index is full: the service's MaxIndexBytes must be a multiple of 12";

/// The message if nothing shows the codec of the next record.
const UNSHOWN: &str = "no record remains that shows the codec: the next append needs --codec \
                       raw or --codec protobuf";

const HIDDEN: &str = "nothing is changed: only the bytes to be removed show the codec, and the \
                      rest would be read in another one; choose it with --codec";

/// The remark if the codec is in question.
fn about_codec(plan: &Plan, before: &Report) -> Option<&'static str> {
    if plan.hides_codec {
        return Some(HIDDEN);
    }
    shows_no_codec(plan, before).then_some(UNSHOWN)
}

/// Whether a valid log without records will be left.
fn shows_no_codec(plan: &Plan, before: &Report) -> bool {
    let adopts = |step: &Step| matches!(step, Step::BuildIndex { .. } | Step::WriteEntries { .. });
    let gains = plan.steps.iter().any(adopts) || !plan.assemblies.is_empty();
    before.records() == 0 && plan.left.is_empty() && !gains
}

/// Whether the records have a term and a type, as those of a Raft log do. Reads the first
/// intact record of each segment: every entry has a term.
fn is_raft_log(report: &Report) -> anyhow::Result<bool> {
    if report.codec != Some(Codec::Protobuf) {
        return Ok(false);
    }
    for segment in &report.segments {
        let whole = segment
            .facts
            .as_ref()
            .is_some_and(|facts| facts.records > 0);
        if !whole {
            continue;
        }
        let pair = segment.open(&report.listing.directory)?;
        let mut first = First::default();
        let entries = pair.count_entries(report.codec)?;
        // It stops at the first record on purpose.
        let _ = pair
            .walk(Codec::Protobuf, entries, LOOKUP_BYTES)
            .run(entries, &mut first)?;
        if let Some(raft) = first.raft {
            return Ok(raft);
        }
    }
    Ok(false)
}

/// Stops at the first intact record.
#[derive(Default)]
struct First {
    raft: Option<bool>,
}

impl Visitor for First {
    const PAYLOADS: bool = false;

    fn record(&mut self, record: &Committed<'_>) -> proglog::log::error::Result<Flow> {
        let raft = |layout: &Layout| layout.term > 0 || layout.record_type > 0;
        self.raft = Some(record.layout.as_ref().is_some_and(raft));
        Ok(ControlFlow::Break(()))
    }
}

/// What a person should know beside the steps.
type Remarks = [Option<&'static str>; 3];

/// The lines besides the steps: lost records and remarks.
fn told(
    out: &mut impl Write,
    report: &Report,
    lost: &[Lost],
    remarks: Remarks,
    mending: &Mending,
    globals: Globals,
) -> std::io::Result<()> {
    for lost in lost {
        if mending.json {
            writeln!(out, "{}", lost_json(report, *lost))?;
        } else {
            lost_line(out, *lost)?;
        }
    }
    for remark in remarks.into_iter().flatten() {
        if mending.json {
            writeln!(out, "{}", line("remark", report).text("message", remark))?;
        } else if !globals.quiet {
            prose::labelled(out, "remark", remark)?;
        }
    }
    Ok(())
}

fn lost_json(report: &Report, lost: Lost) -> JsonLine {
    line("lost", report)
        .number("first_offset", lost.range.first.0)
        .number("last_offset", lost.range.last.0)
        .number("records", lost.range.records())
        .flag("given_again", lost.given_again)
}

fn lost_line(out: &mut impl Write, lost: Lost) -> std::io::Result<()> {
    let what = if lost.given_again {
        either(
            lost.range.records(),
            "its offset will be reused",
            "these offsets will be reused",
        )
    } else {
        "a gap remains"
    };
    let records = count(lost.range.records(), "record");
    prose::labelled(out, "lost", &format!("{}: {records}; {what}", lost.range))
}
