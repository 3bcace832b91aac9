//! `proglog redact DIR OFFSET...`: overwrites the values of records in place, for good.
//!
//! ```console
//! $ proglog redact log 42 --yes
//! changed, in this order:
//!   0.store: 1 value overwritten (12 bytes)
//! ```

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use proglog::inspect::finding::OffsetRange;
use proglog::inspect::report::{Options, Report};
use proglog::log::reader::FILL;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::mend::redact::{self, Holder, Refused};

use super::mending::{Mending, claimed_end};
use super::offsets::Span;
use super::waiting::Waiting;
use super::{Failure, Globals, Status, again, options, quote, say, stdout};
use crate::render::escape::delimiter;
use crate::render::finding_json::line;

const EXAMPLES: &str = "\
proglog redact log 42 --dry-run    what would be overwritten, and where else it may be
proglog redact log 42 --yes        overwrite the value of one record
proglog redact log 42 50..59 --yes of several";

const NOTES: &str = "\
Nothing is saved: it cannot be undone. Lengths, offsets and the index stay as they are.
The value becomes as many fill bytes. If the command is interrupted, each 512 bytes of a
value are as before or overwritten; run again, it completes. A disk may keep old blocks
(snapshots, copy-on-write, flash), and copies elsewhere are not searched.";

/// Overwrite values for good
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Offsets: N, or a range A..B (both ends included); -1 is the last record
    #[arg(value_name = "OFFSET", required_unless_present = "range")]
    offsets: Vec<Span>,
    // One that begins with a minus sign: see `cli::typed`.
    #[arg(long = "range", value_name = "RANGE", hide = true)]
    range: Vec<Span>,
    /// The byte that is written; accepts \n \t \0 \\ \xHH [default: *]
    #[arg(long, value_name = "BYTE", value_parser = fill, allow_hyphen_values = true)]
    fill: Option<u8>,
    /// Overwrite: without it, nothing is done
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Print what would be overwritten; open nothing for writing
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
    #[command(flatten)]
    waiting: Waiting,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

fn fill(text: &str) -> Result<u8, String> {
    match delimiter(OsStr::new(text))?.as_slice() {
        [byte] => Ok(*byte),
        _ => Err("not one byte".to_owned()),
    }
}

impl Arguments {
    /// The offsets in a log; the ends that are not given are the log's.
    fn ranges(&self, report: &Report) -> anyhow::Result<Vec<OffsetRange>> {
        let (lowest, next) = (report.lowest_offset(), claimed_end(report)?);
        let spans = self.offsets.iter().chain(&self.range);
        let range = |span: &Span| {
            let resolved = span.resolve(next)?;
            let mut range = resolved.offsets()?;
            if resolved.from.is_none() {
                range.first = lowest;
            }
            if resolved.to.is_none() {
                range.last = Offset(next.0.saturating_sub(1)).max(range.first);
            }
            // Below 0 there is no offset to name.
            if let Some(from @ ..0) = resolved.from {
                let what = format!("offset {from} is before the log");
                return Err(Failure::new(Status::No, what));
            }
            Ok(range)
        };
        Ok(spans.map(range).collect::<Result<_, _>>()?)
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let mending = Mending {
        dry_run: !arguments.yes,
        save_to: None,
        no_save: true,
        codec: arguments.codec,
        waiting: arguments.waiting,
        json: arguments.json,
    };
    let options = Options {
        quick: true,
        codec: arguments.codec,
        ..Options::default()
    };
    let (lock, report) = mending.look(&arguments.dir, &options, globals)?;
    let log = quote(&arguments.dir);
    let ranges = arguments.ranges(&report)?;
    let byte = arguments.fill.unwrap_or(FILL);
    let redaction = redact::plan(&report, &ranges, byte)?.map_err(|refused| match refused {
        Refused::Missing(offset) => {
            let (lowest, next) = (report.lowest_offset(), report.next_offset());
            let what = format!(
                "{log}: no record at offset {offset}: the log has {lowest} up to {next} (excluded); \
                 nothing was changed"
            );
            Failure::new(Status::No, what)
        }
        Refused::Damaged(offset, obstacle) => {
            let what = format!(
                "{log}: offset {offset}: {}; nothing was changed",
                obstacle.summary()
            );
            Failure::new(Status::Damage, what).hint(format!("proglog verify {log}"))
        }
    })?;
    if !arguments.yes && !arguments.dry_run {
        let values = crate::render::prose::count(redaction.records() as u64, "value");
        let what = format!("{values} would be overwritten for good, and nothing is saved");
        return Err(Failure::new(Status::Failed, what)
            .hint("to see where else the old values may be: --dry-run; to continue:")
            .hint(again("--yes"))
            .into());
    }
    let holders = redaction.holders(&report.listing.directory.dir, &options)?;
    mending.carry_out(&redaction.plan, lock.as_ref(), &report, "redact", globals)?;
    drop(lock);
    if arguments.json {
        let mut out = stdout()?;
        for place in &holders.places {
            let (holder, path) = name_of(place);
            let path = path.map(|path| path.display().to_string());
            let line = line("holder", &report).text("holder", holder);
            writeln!(out, "{}", line.text_if("path", path))?;
        }
        let summary = line("summary", &report)
            .flag("dry_run", mending.dry_run)
            .count("records", redaction.records())
            .count("changes", redaction.plan.steps.len())
            .count("holders", holders.places.len())
            .flag("all_searched", holders.all);
        writeln!(out, "{summary}")?;
        out.flush()?;
    }
    for place in &holders.places {
        say(&format!("note: {}", in_words(place, &log)));
    }
    if !holders.all {
        say("note: not every directory below the log's parent could be searched for saved changes");
    }
    if !globals.quiet {
        say(&format!(
            "note: copies elsewhere, and what was made of the records, may hold the old values too\n\
             note: a manifest made before reports these records as changed; to make a new one: \
             proglog manifest {log} > MANIFEST"
        ));
    }
    Ok(Status::Done)
}

/// What may hold old values, and where it is.
fn name_of(holder: &Holder) -> (&'static str, Option<&Path>) {
    match holder {
        Holder::Saved(path) => ("saved-change", Some(path)),
        Holder::Log(path) => ("log", Some(path)),
        Holder::Unreferenced => ("unreferenced", None),
    }
}

/// The same for people. They must know it also where they want no other messages.
fn in_words(holder: &Holder, log: &str) -> String {
    match holder {
        Holder::Saved(path) => format!(
            "the saved change {} may still hold old values; `undo --prune` of its log removes it",
            quote(path)
        ),
        Holder::Log(path) => {
            let path = quote(path);
            format!("the log {path} may still hold old values: if it is a copy, redact it too")
        }
        Holder::Unreferenced => format!(
            "bytes in {log} that are no record may still hold old values: proglog verify {log}"
        ),
    }
}
