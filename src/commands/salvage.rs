//! `proglog salvage SRC DST`: writes a new, clean log from all readable records of a
//! damaged one: the same offsets, codec, owner and mode, a new segment after each gap.
//! Frames without a place go to a side log, `DST.side`; `DST.salvage.ndjson` lists where
//! each of them was. The source is only read.
//!
//! ```console
//! $ proglog salvage log new
//! new: 1 segment, 40 records, offsets 0..39, protobuf
//! side     new.side: 5 records (5 orphans)
//!          new.salvage.ndjson says where they were
//! next     mv log log.damaged
//!          mv new log
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use proglog::inspect::report::Options;
use proglog::log::directory::Directory;
use proglog::log::disk::RealDisk;
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::mend::salvage::write::{self, Targets};
use proglog::mend::salvage::{self, NewSegment, Prefer, Salvage};

use super::mending::is_full;
use super::progress::Bar;
use super::{Failure, Globals, Status, again, options, quote, say, stdout};
use crate::render::undo::free_name;
use crate::render::{in_use, salvage as words};

const EXAMPLES: &str = "\
proglog salvage log new --dry-run       what would be written and lost
proglog salvage log new
proglog salvage log new --prefer old    of a fork, the older side";

/// Copy all readable records of a damaged log to a new one
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The damaged log's directory, which is only read
    pub src: PathBuf,
    /// The new log's directory, missing or empty
    dst: PathBuf,
    /// Keep the offsets of this side of a fork: old or new
    #[arg(long, value_name = "SIDE")]
    prefer: Option<Side>,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
    /// Print what would be written; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// A side of a fork, as it is typed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Side {
    // The records from before the crash.
    Old,
    // The records from after the restart.
    New,
}

impl From<Side> for Prefer {
    fn from(side: Side) -> Self {
        match side {
            Side::Old => Self::Old,
            Side::New => Self::New,
        }
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let source = without_slash(&arguments.src);
    let target = without_slash(&arguments.dst);
    let targets = Targets::beside(&target);
    // A source that is not a log is said first.
    Directory::list(&source)?.require_log()?;
    targets
        .check(&source)
        .map_err(|error| refused(&error, &source, &targets))?;
    let prefer = arguments.prefer.map(Prefer::from);
    let options = Options {
        codec: arguments.codec,
        ask_usage: true,
        ..Options::default()
    };
    let passes = (None, u64::from(!arguments.dry_run));
    let bar = Bar::for_passes("salvage", &source, passes, globals);
    let salvage = salvage::plan(&source, prefer, &options)?;
    if salvage.usage.in_use != Some(false) && !globals.quiet {
        let facts = in_use::facts(&salvage.usage);
        say(&format!(
            "{facts}: records written from now on are not in the new log"
        ));
    }
    for (path, why) in &salvage.unopened {
        say(&format!("cannot open {}: {why}", quote(path)));
    }
    for (path, layout) in &salvage.foreign {
        say(&format!(
            "{} is left out: another program's layout: {layout}",
            quote(path)
        ));
    }
    for offset in &salvage.undecided {
        say(&format!(
            "offset {offset} is left out: zeros that may have been a record"
        ));
    }
    if let Err(error) = salvage::require_choice(&salvage, prefer) {
        return Err(choice(&error));
    }
    let view = words::View {
        salvage: &salvage,
        source: &source,
        targets: &targets,
        dry_run: arguments.dry_run,
        moves: (!salvage.usage.is_written()).then(|| moves(&source, &target)),
    };
    if !arguments.dry_run {
        write(&view)?;
    }
    drop(bar);
    let mut out = stdout()?;
    if arguments.json {
        for line in view.lines() {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "{}", view.summary())?;
    } else if globals.quiet {
        // The missing records are the findings.
        view.lost(&mut out)?;
    } else {
        view.text(&mut out)?;
    }
    out.flush()?;
    Ok(status(&salvage))
}

/// The status of `verify` for the new log, which is clean but for gaps; 2 if a file of the
/// source cannot be opened. What is undecided or left out is damage too.
fn status(salvage: &Salvage) -> Status {
    let is_in_part = !salvage.undecided.is_empty() || !salvage.foreign.is_empty();
    let mut segments = salvage.segments.iter().zip(salvage.segments.iter().skip(1));
    let is_gap =
        |(one, next): (&NewSegment, &NewSegment)| one.base.saturating_add(one.records) != next.base;
    if !salvage.unopened.is_empty() {
        Status::Failed
    } else if segments.any(is_gap) || is_in_part {
        Status::Damage
    } else {
        Status::Done
    }
}

fn write(view: &words::View<'_>) -> anyhow::Result<()> {
    let note = view.lines().map(|line| line.to_string());
    let end = view.summary().to_string();
    write::write(view.salvage, view.targets, &RealDisk, note, &end).map_err(|error| {
        let message = error.to_string();
        let there = match &error {
            Error::Io { source, .. } if is_full(source) => " with a target that has more space",
            _ => "",
        };
        Failure::new(super::status_of(&error), message)
            .hint(format!("the new log is incomplete; to start again{there}:"))
            .hint(removal(view.targets))
            .into()
    })
}

/// The command that removes the output of a salvage.
fn removal(targets: &Targets) -> String {
    let [log, side, note] = [&targets.log, &targets.side, &targets.note].map(|path| quote(path));
    format!("rm -rf {log} {side} {note}")
}

/// The hint if the target exists.
fn refused(error: &Error, source: &Path, targets: &Targets) -> anyhow::Error {
    let status = super::status_of(error);
    let note = earlier_note(&targets.note);
    let is_note = matches!(error, Error::Config(_)) && !matches!(note, Note::None);
    if !is_note && !matches!(error, Error::NotEmpty { .. }) {
        return Failure::new(status, error.to_string()).into();
    }
    let elsewhere = "name a directory that does not exist yet";
    let log = quote(&targets.log);
    let is_there = targets.log.symlink_metadata().is_ok();
    let one = |hint: &str| vec![hint.to_owned()];
    let (message, hints) = match (note, error) {
        (Note::CutShort, _) if is_of_salvage(&targets.log) && is_of_salvage(&targets.side) => (
            format!("{log}: an earlier salvage into it was interrupted"),
            vec!["to start again:".to_owned(), removal(targets)],
        ),
        (Note::Complete(of), _) if is_there => {
            let mut hints = one(elsewhere);
            if of == source {
                hints = one("to put it in place:");
                hints.extend(moves(source, &targets.log));
            }
            let message = format!(
                "{log}: an earlier salvage of {} into it is complete",
                quote(&of)
            );
            (message, hints)
        }
        (Note::Complete(_), Error::Config(_)) => (
            error.to_string(),
            vec![format!("keep it elsewhere or remove it, or {elsewhere}")],
        ),
        (_, Error::NotEmpty { path, .. }) if is_log(path) => {
            (format!("{} is a log already", quote(path)), one(elsewhere))
        }
        (_, Error::NotEmpty { path, name }) => (
            format!("{} is not empty: it contains {}", quote(path), quote(name)),
            one(elsewhere),
        ),
        _ => (error.to_string(), one(elsewhere)),
    };
    Failure::new(status, message).hints(hints).into()
}

fn is_log(path: &Path) -> bool {
    Directory::list(path).is_ok_and(|there| !there.segments.is_empty())
}

/// Whether nothing is there but what a salvage makes: other files are the user's.
fn is_of_salvage(path: &Path) -> bool {
    match Directory::list(path) {
        Ok(there) => there.strays.is_empty(),
        Err(error) => matches!(error, Error::NoDirectory { .. }),
    }
}

/// The content of the note of an earlier salvage.
enum Note {
    None,
    /// Its last line is missing.
    CutShort,
    /// Everything was written, from this log.
    Complete(PathBuf),
}

fn earlier_note(path: &Path) -> Note {
    let is_file = path.symlink_metadata().is_ok_and(|it| it.is_file());
    let Some(file) = is_file.then(|| File::open(path).ok()).flatten() else {
        return Note::None;
    };
    // Line by line: a note may have a line for each of many records.
    let mut lines = BufReader::new(file).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    if !first.is_empty() && !words::is_note(&first) {
        return Note::None;
    }
    let last = lines.last().unwrap_or(first);
    match words::source_in(&last) {
        Some(source) => Note::Complete(source),
        None => Note::CutShort,
    }
}

fn choice(error: &Error) -> anyhow::Error {
    Failure::new(Status::Damage, format!("{error}; nothing was written"))
        .hint(
            "old keeps the records from before the crash, new those from after the restart; the \
             others go to the side log",
        )
        .hints(["old", "new"].map(|side| again(&format!("--prefer {side}"))))
        .into()
}

/// A path without the slash that a shell puts after it.
fn without_slash(path: &Path) -> PathBuf {
    path.components().as_path().to_path_buf()
}

/// The two commands that put the new log in place; the name for the old one is free.
fn moves(source: &Path, target: &Path) -> [String; 2] {
    let away = free_name(source, ".damaged");
    let (source, target, away) = (quote(source), quote(target), quote(&away));
    [
        format!("mv {source} {away}"),
        format!("mv {target} {source}"),
    ]
}
