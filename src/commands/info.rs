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

use super::progress::Bar;
use super::{Globals, Status, options, quote, stdout};
use crate::render::info::{self, View};

const EXAMPLES: &str = "\
proglog info log
proglog info log --all --sizes
proglog info logs/*                     one block for each log
proglog info log --json | jq 'select(.kind == \"summary\").next_offset'";

const NOTES: &str = "\
In the table, * marks the active segment, to which records are appended. info
reads only the ends of the segments; `proglog verify` reads everything. Damage
does not change the exit status.";

/// The options of `info`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
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
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
}

/// Prints an overview of each log.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    super::for_each_log(&arguments.dirs, |dir, follows| {
        one(arguments, dir, follows, globals)
    })
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
    let report = match Report::of(dir, &options) {
        Err(Error::NotADirectory { path }) => {
            return Err(super::dump::is_a_file(&path, "info", false).into());
        }
        other => other?,
    };
    let bar = Bar::for_look("info", dir, None, globals);
    let sizes = if arguments.sizes && report.require_ours().is_ok() {
        let codec = report.codec.unwrap_or(Codec::Raw);
        Some(Sizes::of(&report.listing, codec)?)
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
