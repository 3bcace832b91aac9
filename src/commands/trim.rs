//! `proglog trim DIR`: drops the oldest segments, or the newest records.
//!
//! ```console
//! $ proglog trim log --before 1000
//! changed, in this order:
//!   0.index: taken away whole (6000 bytes)
//!   0.store: taken away whole (52000 bytes)
//! log begins at offset 500 now; next offset 1200
//! ```

use std::io::Write;
use std::path::PathBuf;

use proglog::inspect::report::{Options, Report};
use proglog::log::units::Offset;
use proglog::mend::plan::{Plan, Step};
use proglog::mend::trim::{self, Keep};

use super::mending::Mending;
use super::options;
use super::{Failure, Globals, Status, quote, say, stdout};
use crate::render::json_line::JsonLine;

const EXAMPLES: &str = "\
proglog trim log --before 100000    drop segments whose records are all below
proglog trim log --keep-bytes 10G   drop the oldest segments beyond 10 GiB
proglog trim log --after 41227      drop the records above 41227";

const USAGE: &str = "\
proglog trim [OPTIONS] --before <N> <DIR>
       proglog trim [OPTIONS] --after <N> <DIR>
       proglog trim [OPTIONS] --keep-bytes <SIZE> <DIR>
       proglog trim [OPTIONS] --keep-segments <K> <DIR>";

/// Drop the oldest segments, or the newest records
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, override_usage = USAGE)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Drop whole segments whose records are all below N; never the last
    #[arg(long, value_name = "N", group = "what")]
    before: Option<u64>,
    /// Drop the records above N; N itself stays
    #[arg(long, value_name = "N", group = "what")]
    after: Option<u64>,
    /// Drop the oldest segments until the log has at most so many bytes
    #[arg(long, value_name = "SIZE", group = "what", value_parser = options::size)]
    keep_bytes: Option<u64>,
    /// Drop the oldest segments but so many
    #[arg(long, value_name = "K", group = "what")]
    keep_segments: Option<u64>,
    #[command(flatten)]
    mending: Mending,
}

impl Arguments {
    fn keep(&self) -> Option<Keep> {
        self.before
            .map(|offset| Keep::From(Offset(offset)))
            .or(self.after.map(|offset| Keep::UpTo(Offset(offset))))
            .or(self.keep_bytes.map(Keep::Bytes))
            .or(self.keep_segments.map(Keep::Segments))
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let mending = &arguments.mending;
    let options = Options {
        quick: true,
        ..Options::default()
    };
    let (lock, report) = mending.look(&arguments.dir, &options, None, globals)?;
    let Some(keep) = arguments.keep() else {
        return Ok(Status::Failed);
    };
    let lowest = report.lowest_offset();
    if let Keep::UpTo(last) = keep
        && last < lowest
    {
        let dir = arguments.dir.display();
        let why = format!("{dir}: offset {last} is not in the log, which begins at {lowest}");
        return Err(Failure::new(Status::No, why).into());
    }
    let plan = trim::plan(&report, keep)?;
    let saved = mending.carry_out(&plan, lock.as_ref(), (&report, None), "trim", globals)?;
    let dir = quote(&arguments.dir);
    drop(lock);
    let (lowest, next) = ends(&plan, keep, &report);
    if !plan.steps.is_empty() && !globals.quiet {
        let begins = if mending.dry_run {
            "would begin"
        } else {
            "begins"
        };
        let now = if mending.dry_run { "" } else { " now" };
        say(&format!(
            "{dir} {begins} at offset {lowest}{now}; next offset {next}"
        ));
        for name in links(&plan, &report) {
            say(&format!(
                "note: {name} is a symbolic link: what it leads to stays where it is"
            ));
        }
        if let Some(saved) = &saved {
            say(&format!(
                "space is freed when the saved files are gone: rm -r {}",
                quote(saved)
            ));
        }
    }
    if mending.json {
        let summary = JsonLine::of("summary")
            .flag("dry_run", mending.dry_run)
            .count("steps", plan.steps.len())
            .number("lowest_offset", lowest.0)
            .number("next_offset", next.0)
            .text_if("saved", saved.map(|path| path.display().to_string()));
        let mut out = stdout()?;
        writeln!(out, "{summary}")?;
        out.flush()?;
    }
    Ok(Status::Done)
}

/// The lowest and the next offset of the log that the plan leaves.
fn ends(plan: &Plan, keep: Keep, report: &Report) -> (Offset, Offset) {
    let away = plan.steps.iter().filter_map(|step| match *step {
        Step::MoveAway { base, .. } => Some(base),
        _ => None,
    });
    let mut gone: Vec<Offset> = away.collect();
    gone.sort_unstable();
    let mut bases = report.segments.iter().map(|s| s.listing.base());
    let lowest = bases.find(|base| gone.binary_search(base).is_err());
    let next = match keep {
        Keep::UpTo(last) if !plan.steps.is_empty() => last.saturating_add(1),
        _ => report.next_offset(),
    };
    (lowest.unwrap_or_else(|| report.lowest_offset()), next)
}

/// The symbolic links that are taken away.
fn links<'a>(plan: &'a Plan, report: &'a Report) -> impl Iterator<Item = String> + 'a {
    plan.steps.iter().filter_map(|step| {
        let Step::MoveAway { base, kind, .. } = *step else {
            return None;
        };
        let listing = &report.segment(base)?.listing;
        let is_link = listing.file(kind).is_some_and(|file| file.is_link);
        is_link.then(|| listing.file_name(kind))
    })
}
