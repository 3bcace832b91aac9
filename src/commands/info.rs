//! `proglog info`: what is there, at a glance.
//!
//! ```text
//! $ proglog info log
//! SEGMENT  RECORDS  OFFSETS   STORE  INDEX  PADDING  STATE
//!       0      160  0..159     8192   6000     3180  160..234 lost, padded
//!     235*     155  235..389   8192   6000     3240  390..464 lost, padded
//! ...
//! ```
//!
//! It looks at names, sizes and the ends of segments only, so that its cost depends
//! on the number of segments and not on that of records; `--sizes` reads everything.

use std::path::PathBuf;

use clap::Args;
use proglog::inspect::overview::Overview;
use proglog::inspect::report::{Options, Report};
use proglog::inspect::sizes::Sizes;
use proglog::log::error::Error;
use proglog::log::record::Codec;

use super::{Globals, Status, quote, stdout};
use crate::render::info::{self, View};

const EXAMPLES: &str = "\
proglog info log
proglog info log --all --sizes
proglog info log --json | jq 'select(.kind == \"summary\").next_offset'";

const NOTES: &str = "\
It looks at the ends of the segments; `proglog verify` looks at everything.
Damage that is shown does not change the exit status.";

/// The options of `info`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Show each segment, clean ones too
    #[arg(long)]
    all: bool,
    /// Read all records and show how their sizes are distributed
    #[arg(long)]
    sizes: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    /// Take the log for raw or protobuf instead of looking
    #[arg(long, value_name = "CODEC")]
    codec: Option<Codec>,
}

/// Prints what is known of the log.
pub fn run(arguments: &Arguments, _: Globals) -> anyhow::Result<Status> {
    let options = Options {
        quick: true,
        codec: arguments.codec,
        ask_usage: true,
        ..Options::default()
    };
    let report = match Report::of(&arguments.dir, &options) {
        Err(Error::NotADirectory { path }) => {
            return Err(super::dump::is_a_file(&path, "info", false).into());
        }
        other => other?,
    };
    let sizes = if arguments.sizes && report.require_ours().is_ok() {
        let codec = report.codec.unwrap_or(Codec::Raw);
        Some(Sizes::of(&report.listing, codec)?)
    } else {
        None
    };
    let view = View {
        overview: Overview::of(&report),
        report: &report,
        sizes,
        verify: format!("proglog verify {}", quote(&arguments.dir)),
        all: arguments.all,
    };
    let mut out = stdout()?;
    if arguments.json {
        info::json(&mut out, &view)?;
    } else {
        info::text(&mut out, &view)?;
    }
    Ok(Status::Done)
}
