//! `proglog info`: an overview of a log.
//!
//! ```text
//! $ proglog info log
//! SEGMENT  RECORDS  OFFSETS   STORE  INDEX  PADDING  STATE
//!       0      160  0..159     8192   6000     3180  160..234 lost, padded
//!     235*     155  235..389   8192   6000     3240  390..464 lost, padded
//! ...
//! ```
//!
//! It inspects names, sizes and the ends of segments only, so that its cost depends on
//! the number of segments and not on that of records; `--sizes` reads everything.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use proglog::inspect::overview::Overview;
use proglog::inspect::report::{Options, Report};
use proglog::inspect::sizes::Sizes;
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::progress::Bar;
use super::read::open::open_in;
use super::read::range::OnError;
use super::read::{cursor, resume};
use super::{Failure, Globals, Status, options, quote, stdout};
use crate::render::info::{self, View};
use crate::render::positions::{self, Position};

const EXAMPLES: &str = "\
proglog info log
proglog info log --all --sizes
proglog info logs/*                     one block for each log
proglog info log --next-offset
proglog info log --cursor-file *.cursor  how far the readers are
proglog info log --json | jq 'select(.kind == \"summary\").records'";

const NOTES: &str = "\
In the table, * marks the active segment, to which records are appended. info
reads only the ends of the segments; `proglog verify` reads everything. Damage
does not change the exit status.";

/// The options of `info`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Arguments {
    /// The logs' directories
    #[arg(value_name = "DIR", required = true)]
    pub dirs: Vec<PathBuf>,
    /// Show every segment, clean ones too
    #[arg(long)]
    all: bool,
    /// Read all records and show the distribution of their sizes
    #[arg(long)]
    sizes: bool,
    /// Print only the next offset
    #[arg(long, conflicts_with_all = ["all", "sizes", "json"])]
    next_offset: bool,
    /// Print only how far the readers with these cursor files are: the position, which is
    /// the offset of the next record to read, and the lag in records. Status 1 if a cursor
    /// does not belong to the log
    #[arg(long, value_name = "FILE", num_args = 1..)]
    #[arg(conflicts_with_all = ["all", "sizes", "next_offset"])]
    cursor_file: Vec<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
}

/// Prints an overview of each log.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let several = arguments.dirs.len() > 1;
    if several && !arguments.cursor_file.is_empty() {
        let message = "a cursor belongs to one log, and several logs were given";
        return Err(Failure::new(Status::Failed, message).into());
    }
    super::for_each_log(&arguments.dirs, |dir, follows| {
        if arguments.next_offset {
            let next = next_offset(dir, arguments.codec)?;
            let mut out = stdout()?;
            if several {
                write!(out, "{}: ", quote(dir))?;
            }
            writeln!(out, "{next}")?;
            out.flush()?;
            return Ok(Status::Done);
        }
        if !arguments.cursor_file.is_empty() {
            return cursors(arguments, dir, globals);
        }
        one(arguments, dir, follows, globals)
    })
}

/// The offset of the next append: also where an append will first adopt the frames after
/// the last entry.
fn next_offset(dir: &Path, codec: Option<Codec>) -> anyhow::Result<Offset> {
    let mut log = open_in(dir, codec)?;
    let options = Options {
        quick: true,
        codec: Some(log.codec()?),
        segment: log.directory().segments.last().map(|last| last.base),
        ask_usage: true,
        ..Options::default()
    };
    let mut report = Report::of(dir, &options)?;
    report.look_at_unclean_end()?;
    // It ends where nothing can be read.
    report.require_ours()?;
    Ok(log.next_offset()?.max(report.next_append()))
}

/// Prints the positions of readers. An error about one of them is printed, and the others
/// follow.
fn cursors(arguments: &Arguments, dir: &Path, globals: Globals) -> anyhow::Result<Status> {
    let mut log = open_in(dir, arguments.codec)?;
    let next = log.next_offset()?;
    let (mut positions, mut status) = (Vec::new(), Status::Done);
    for file in &arguments.cursor_file {
        let held = cursor::inspect(file).and_then(|held| {
            resume::check(file, &held, &mut log, OnError::Stop, globals)?;
            Ok(held)
        });
        match held {
            Ok(held) => positions.push(Position {
                file: file.clone(),
                next: held.next,
                lag: next.since(held.next),
            }),
            Err(error) => status = status.worst(super::conclude(Err(error))),
        }
    }
    let mut out = stdout()?;
    if arguments.json {
        positions::json(&mut out, dir, &positions)?;
    } else if !positions.is_empty() {
        positions::text(&mut out, &positions)?;
    }
    out.flush()?;
    Ok(status)
}

/// Prints an overview of one log.
fn one(
    arguments: &Arguments,
    dir: &Path,
    follows: bool,
    globals: Globals,
) -> anyhow::Result<Status> {
    let options = Options {
        quick: true,
        codec: arguments.codec,
        ask_usage: true,
        ..Options::default()
    };
    let mut report = match Report::of(dir, &options) {
        Err(Error::NotADirectory { path }) => {
            return Err(super::dump::is_a_file(&path, "info", false).into());
        }
        other => other?,
    };
    report.look_at_unclean_end()?;
    let bar = Bar::for_look("info", dir, None, globals);
    let sizes = if arguments.sizes && report.require_any_ours().is_ok() {
        Some(Sizes::of(&report)?)
    } else {
        None
    };
    drop(bar);
    let several = arguments.dirs.len() > 1;
    let view = View {
        heading: several.then(|| format!("{}:", quote(dir))),
        overview: Overview::of(&report),
        report: &report,
        sizes,
        verify: format!("proglog verify {}", quote(dir)),
        all: arguments.all,
    };
    let mut out = stdout()?;
    if arguments.json {
        info::json(&mut out, &view)?;
    } else {
        if follows {
            writeln!(out)?;
        }
        info::text(&mut out, &view)?;
    }
    Ok(Status::Done)
}
