//! `proglog undo DIR`: takes the newest change back, byte for byte, from what was
//! saved of it; refuses if the files have changed since.
//!
//! ```console
//! $ proglog undo log
//! undone: repair of 2026-11-22T10:00:00Z (2 changes)
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::lock::DirectoryLock;
use proglog::mend::saved;
use proglog::mend::undo::{self, SavedChange};

use super::mending::is_full;
use super::waiting::Waiting;
use super::{Failure, Globals, Status, quote, stdout};
use crate::render::json_line::JsonLine;

const EXAMPLES: &str = "\
proglog undo log                  take the newest change back
proglog undo log --list           what can be taken back
proglog undo log --into old-log   the log as it was, in a new directory";

/// Take the last change back
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The log's directory, or a saved directory
    #[arg(value_name = "DIR|SAVED")]
    pub dir: PathBuf,
    /// List the saved changes
    #[arg(long)]
    list: bool,
    /// Write the log as it was into a new directory instead
    #[arg(long, value_name = "NEWDIR", conflicts_with = "list")]
    into: Option<PathBuf>,
    /// Where changes were saved, if not beside the log
    #[arg(long, value_name = "DIR")]
    save_to: Option<PathBuf>,
    /// Say what would be put back; open nothing for writing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    if arguments.list {
        return list(arguments);
    }
    let (change, log) = choose(arguments)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    if let Some(target) = &arguments.into {
        if !arguments.dry_run {
            refuse_inside(target, &log)?;
            undo::into(&change, &log, target, &*disk)?;
        }
    } else {
        let others = arguments.waiting.others();
        let done = if arguments.dry_run {
            undo::rehearse(&change, &log, &disk, &others)
        } else {
            let lock = DirectoryLock::take(&log, arguments.waiting.for_proglog(), &|| false)?;
            undo::undo(&change, &lock, &disk, &others)
        };
        done.map_err(|error| {
            let hint = format!(
                "proglog undo {} --into NEWDIR writes the log as it was elsewhere",
                quote(&change.path)
            );
            match &error {
                Error::CannotAppend { why, .. } => {
                    anyhow::Error::from(Failure::new(Status::No, why.clone()).hint(hint))
                }
                // Half of it may be back.
                Error::Io { source, .. } if is_full(source) => {
                    Failure::new(Status::Failed, error.to_string())
                        .hint("make room and run it again, which completes what was begun")
                        .into()
                }
                _ => error.into(),
            }
        })?;
    }
    let mut out = stdout()?;
    if arguments.json {
        writeln!(out, "{}", as_json(&change, arguments.dry_run))?;
    } else if !globals.quiet {
        let verb = if arguments.dry_run {
            "would undo"
        } else {
            "undone"
        };
        writeln!(out, "{verb}: {}", in_words(&change))?;
    }
    out.flush()?;
    Ok(Status::Done)
}

/// Output of ours has no place in a log.
fn refuse_inside(target: &Path, log: &Path) -> anyhow::Result<()> {
    saved::parent_for(&log.canonicalize()?, Some(target))?;
    Ok(())
}

fn parent(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    let real = arguments
        .dir
        .canonicalize()
        .map_err(|_| Error::NoDirectory {
            path: arguments.dir.clone(),
        })?;
    Ok(saved::parent_for(&real, arguments.save_to.as_deref())?)
}

/// The change that is meant, and the log it belongs to.
fn choose(arguments: &Arguments) -> anyhow::Result<(SavedChange, PathBuf)> {
    if undo::is_saved(&arguments.dir) {
        let change = undo::load(&arguments.dir)?;
        if change.undone && arguments.into.is_none() {
            return Err(Failure::new(Status::No, "this change was taken back already").into());
        }
        let log = change.manifest.log.clone();
        return Ok((change, log));
    }
    let changes = undo::list_of(&parent(arguments)?, &arguments.dir)?;
    let open = |change: &SavedChange| !change.undone;
    match changes.into_iter().rev().find(open) {
        Some(change) => Ok((change, arguments.dir.clone())),
        None => Err(Failure::new(
            Status::No,
            format!("{}: nothing to undo", arguments.dir.display()),
        )
        .hint("--save-to DIR, if the change was saved elsewhere")
        .into()),
    }
}

fn list(arguments: &Arguments) -> anyhow::Result<Status> {
    let mut out = stdout()?;
    for change in undo::list_of(&parent(arguments)?, &arguments.dir)? {
        if arguments.json {
            writeln!(out, "{}", as_json(&change, false))?;
        } else {
            let undone = if change.undone { ", undone" } else { "" };
            let words = in_words(&change);
            writeln!(out, "{words}{undone}: {}", quote(&change.path))?;
        }
    }
    out.flush()?;
    Ok(Status::Done)
}

fn in_words(change: &SavedChange) -> String {
    let manifest = &change.manifest;
    let changes = crate::render::prose::count(manifest.changes.len() as u64, "change");
    format!(
        "{} of {} ({changes})",
        crate::render::prose::escaped(&manifest.command),
        crate::render::prose::escaped(&manifest.time)
    )
}

fn as_json(change: &SavedChange, dry_run: bool) -> JsonLine {
    JsonLine::of("saved")
        .text("path", change.path.display().to_string())
        .text("command", &change.manifest.command)
        .text("time", &change.manifest.time)
        .count("changes", change.manifest.changes.len())
        .flag("undone", change.undone)
        .flag("dry_run", dry_run)
}
