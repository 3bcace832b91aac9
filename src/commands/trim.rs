//! `proglog trim DIR`: drops the oldest segments, or the newest records.
//!
//! ```console
//! $ proglog trim log --before 1000
//! changed, in this order:
//!   0.index: removed (6000 bytes)
//!   0.store: removed (52000 bytes)
//! log begins at offset 500 now; next offset 1200
//! ```

use std::io::Write;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use proglog::inspect::listing::FileFacts;
use proglog::inspect::report::{Options, Report, SegmentReport};
use proglog::log::units::Offset;
use proglog::mend::plan::{Plan, Step};
use proglog::mend::trim::{self, Keep};

use super::mending::{Mending, claimed_end};
use super::offsets::Place;
use super::options;
use super::{Failure, Globals, Status, quote, say, stdout};
use crate::render::finding_json::line;

const EXAMPLES: &str = "\
proglog trim log --before 100000    remove segments below that offset
proglog trim log --keep-bytes 10G   remove the oldest segments beyond 10 GiB
proglog trim log --older-than 30d   remove the oldest segments written before
proglog trim log --after 41227      remove the records after 41227";

const USAGE: &str = "\
proglog trim [OPTIONS] --before <N> <DIR>
       proglog trim [OPTIONS] --after <N> <DIR>
       proglog trim [OPTIONS] --keep-bytes <SIZE> <DIR>
       proglog trim [OPTIONS] --keep-segments <K> <DIR>
       proglog trim [OPTIONS] --keep-records <N> <DIR>
       proglog trim [OPTIONS] --older-than <TIME> <DIR>";

/// Remove the oldest segments or the newest records
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, override_usage = USAGE)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Remove segments whose records are all below N; never the last segment
    #[arg(long, value_name = "N", group = "what")]
    before: Option<Place>,
    /// Remove the records after offset N; -1 is the last record
    #[arg(long, value_name = "N", group = "what")]
    after: Option<Place>,
    /// Remove the oldest segments until the log has at most SIZE bytes; never the last
    #[arg(long, value_name = "SIZE", group = "what", value_parser = options::size)]
    keep_bytes: Option<u64>,
    /// Keep the newest K segments
    #[arg(long, value_name = "K", group = "what", value_parser = options::positive)]
    keep_segments: Option<NonZeroU64>,
    /// Remove the oldest segments of which the newest N records need none
    #[arg(long, value_name = "N", group = "what", value_parser = options::positive)]
    keep_records: Option<NonZeroU64>,
    /// Remove the oldest segments last written before TIME, such as 12h or 30d; never the last
    #[arg(long, value_name = "TIME", group = "what", value_parser = options::seconds)]
    older_than: Option<Duration>,
    #[command(flatten)]
    mending: Mending,
}

impl Arguments {
    /// The part that remains.
    ///
    /// # Errors
    ///
    /// An offset from the end is before offset 0: status 1.
    fn keep(&self, report: &Report) -> anyhow::Result<Option<Keep>> {
        let offset = |place: Place| {
            let offset = place.resolve(claimed_end(report)?);
            u64::try_from(offset).map(Offset).map_err(|_| {
                let dir = quote(report.listing.path());
                let why = format!("{dir}: offset {place} from the end is before the log");
                anyhow::Error::from(Failure::new(Status::No, why))
            })
        };
        if let Some(place) = self.before {
            return offset(place).map(|offset| Some(Keep::From(offset)));
        }
        if let Some(place) = self.after {
            return offset(place).map(|offset| Some(Keep::UpTo(offset)));
        }
        if let Some(records) = self.keep_records {
            let first = report.next_offset().0.saturating_sub(records.get());
            return Ok(Some(Keep::From(Offset(first))));
        }
        if let Some(age) = self.older_than {
            return Ok(Some(Keep::From(younger(report, age))));
        }
        let bytes = self.keep_bytes.map(Keep::Bytes);
        Ok(bytes.or(self
            .keep_segments
            .map(|number| Keep::Segments(number.get()))))
    }
}

/// The base of the first segment whose store was written since then, or at a time that is not
/// known.
fn younger(report: &Report, age: Duration) -> Offset {
    let now = SystemTime::now();
    let is_older = |segment: &&SegmentReport| {
        let store = segment.listing.store.as_ref();
        let written = store.and_then(FileFacts::modified);
        // A time in the future is not old.
        written.is_some_and(|written| now.duration_since(written).is_ok_and(|it| it > age))
    };
    let first = report.segments.iter().find(|it| !is_older(it));
    let end = report.next_offset();
    first.map_or(end, |first| first.listing.base().min(end))
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let mending = &arguments.mending;
    let options = Options {
        quick: true,
        codec: arguments.mending.codec,
        ..Options::default()
    };
    let (lock, mut report) = mending.look(&arguments.dir, &options, globals)?;
    if arguments.after.is_some() {
        report.look_at_end()?;
        report.require_ours()?;
    }
    let Some(keep) = arguments.keep(&report)? else {
        return Ok(Status::Failed);
    };
    refuse_outside(keep, &report)?;
    let plan = trim::plan(&report, keep)?;
    let saved = mending.carry_out(&plan, lock.as_ref(), &report, "trim", globals)?;
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
                "note: {name} is a symbolic link: its target stays where it is"
            ));
        }
        if let Some(saved) = &saved {
            say(&format!(
                "to free the space, remove the saved files: rm -r {}",
                quote(saved)
            ));
        }
    }
    if mending.json {
        let summary = line("summary", &report)
            .flag("dry_run", mending.dry_run)
            .count("changes", plan.steps.len())
            .number("lowest_offset", lowest.0)
            .number("next_offset", next.0)
            .text_if("saved", saved.map(|path| path.display().to_string()));
        let mut out = stdout()?;
        writeln!(out, "{summary}")?;
        out.flush()?;
    }
    Ok(Status::Done)
}

/// Refuses an offset that the log does not reach: every record below it, or all records
/// above it, would be dropped.
fn refuse_outside(keep: Keep, report: &Report) -> Result<(), Failure> {
    let (lowest, next) = (report.lowest_offset(), report.next_offset());
    let dir = quote(report.listing.path());
    let why = match keep {
        Keep::UpTo(last) if last < lowest => {
            format!("{dir}: offset {last} is not in the log, which begins at {lowest}")
        }
        Keep::From(offset) if offset > next => {
            format!("{dir}: offset {offset} is not in the log: the next offset is {next}")
        }
        _ => return Ok(()),
    };
    Err(Failure::new(Status::No, why))
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

/// The symbolic links that are removed.
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
