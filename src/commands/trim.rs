//! `proglog trim DIR`: drops the oldest segments, or the newest records.
//!
//! ```console
//! $ proglog trim log --before 1000
//! changing, in this order:
//!   0.index: taken away whole (6000 bytes)
//!   0.store: taken away whole (52000 bytes)
//! the log begins at offset 500 now
//! ```

use std::io::Write;
use std::path::PathBuf;

use proglog::inspect::report::{Options, Report};
use proglog::log::units::Offset;
use proglog::mend::trim::{self, Keep};
use serde_json::json;

use super::mending::Mending;
use super::options;
use super::{Globals, Status, quote, say, stdout};

/// What `trim` can be told.
#[derive(Debug, clap::Args)]
#[command(after_help = options::after_help(
    "proglog trim log --before 100000    drop segments whose records are all below\n\
     proglog trim log --keep-bytes 10G   drop the oldest segments beyond 10 GiB\n\
     proglog trim log --after 41227      drop the records above 41227"
))]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Arguments {
    /// The log's directory
    dir: PathBuf,
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
    let (lock, report) = mending.look(&arguments.dir, &options)?;
    let Some(keep) = arguments.keep() else {
        return Ok(Status::Failed);
    };
    let plan = trim::plan(&report, keep)?;
    let saved = mending.carry_out(&plan, lock.as_ref(), &report, "trim", globals)?;
    let dir = quote(&arguments.dir);
    if !mending.dry_run && !plan.steps.is_empty() && !globals.quiet {
        let now = Report::of(&arguments.dir, &options)?;
        let (lowest, next) = (now.lowest_offset(), now.next_offset());
        say(&format!(
            "{dir} begins at offset {lowest} now; next offset {next}"
        ));
        if let Some(saved) = &saved {
            say(&format!(
                "space is freed when the saved files are gone: rm -r {}",
                quote(saved)
            ));
        }
    }
    if mending.json {
        let summary = json!({
            "kind": "summary", "dry_run": mending.dry_run, "steps": plan.steps.len(),
            "saved": saved.map(|path| path.display().to_string()),
        });
        let mut out = stdout()?;
        writeln!(out, "{summary}")?;
        out.flush()?;
    }
    Ok(Status::Done)
}
