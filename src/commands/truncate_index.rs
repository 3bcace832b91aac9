//! `proglog truncate-index DIR`: cuts each index to its real entries, and nothing
//! else. Where a store would keep bytes that no entry names, a later append would bury
//! them, so `repair` is the better command.
//!
//! ```console
//! $ proglog truncate-index log
//! changed, in this order:
//!   0.index: 4096 -> 480 bytes (40 entries kept; 3616 bytes of padding)
//! ```

use std::path::PathBuf;

use proglog::inspect::report::Options;
use proglog::log::units::Offset;
use proglog::mend::truncate;

use super::mending::Mending;
use super::{Failure, Globals, Status, options, quote, stdout};
use crate::render::finding_json::line;

const EXAMPLES: &str = "\
proglog truncate-index log --dry-run       what would be cut
proglog truncate-index log --segment 0     one index only
proglog undo log                           undo it";

/// Cut the padding of indexes
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Cut only the index with this base offset
    #[arg(long, value_name = "BASE", value_parser = options::number)]
    segment: Option<u64>,
    /// Proceed even if a store keeps bytes without an entry
    #[arg(long)]
    leave_tail: bool,
    #[command(flatten)]
    mending: Mending,
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let options = Options {
        segment: arguments.segment.map(Offset),
        codec: arguments.mending.codec,
        ..Options::default()
    };
    let mending = &arguments.mending;
    let (lock, report) = mending.look(&arguments.dir, &options, globals)?;
    if let Some(index) = truncate::misread(&report) {
        let why = "entries name records, but not in their place, and would be cut";
        return Err(Failure::new(
            Status::Damage,
            format!("{index}: {why}; nothing was changed"),
        )
        .hint(format!(
            "proglog repair {} --dry-run",
            quote(&arguments.dir)
        ))
        .into());
    }
    let (plan, buried) = truncate::plan(&report);
    if let Some(first) = buried.first()
        && !arguments.leave_tail
    {
        return Err(Failure::new(
            Status::Damage,
            format!(
                "{}.store {}+{}: these bytes would have no entry, and the next append would \
                 follow them; nothing was changed",
                first.base, first.position, first.bytes
            ),
        )
        .hint("repair changes both files; --leave-tail cuts the index anyway")
        .hint(format!(
            "proglog repair {} --dry-run",
            quote(&arguments.dir)
        ))
        .into());
    }
    let saved = mending.carry_out(&plan, lock.as_ref(), &report, "truncate-index", globals)?;
    if mending.json {
        let summary = line("summary", &report)
            .flag("dry_run", mending.dry_run)
            .count("changes", plan.steps.len())
            .text_if("saved", saved.map(|path| path.display().to_string()));
        let mut out = stdout()?;
        std::io::Write::write_all(&mut out, format!("{summary}\n").as_bytes())?;
        std::io::Write::flush(&mut out)?;
    }
    Ok(if plan.links.is_empty() {
        Status::Done
    } else {
        Status::Damage
    })
}
