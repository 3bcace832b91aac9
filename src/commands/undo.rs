//! `proglog undo DIR`: undoes the newest change, byte for byte, from its saved data;
//! refuses if the files have changed since, or if another user can have made the saved
//! data.
//!
//! ```console
//! $ proglog undo log
//! undone: repair of 2026-11-22T10:00:00Z (2 changes)
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proglog::log::dir::{Dir, FilePath};
use proglog::log::directory::Directory;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::lock::DirectoryLock;
use proglog::mend::saved::{self, MANIFEST, Parent};
use proglog::mend::undo::prune::Leftovers;
use proglog::mend::undo::{self, SavedChange};

use super::mending::is_full;
use super::options;
use super::waiting::Waiting;
use super::{Failure, Globals, Status, again, quote, say, stdout};
use crate::render::undo as words;

const EXAMPLES: &str = "\
proglog undo log                  undo the newest change
proglog undo log --list           list what can be undone
proglog undo log --prune --keep 3 remove all but the newest 3 saved changes
proglog undo log --into old-log   the earlier log, in a new directory";

/// Undo the last change
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Arguments {
    /// The log's directory, or a saved directory beside it
    #[arg(value_name = "DIR|SAVED")]
    pub dir: PathBuf,
    /// List the saved changes
    #[arg(long)]
    list: bool,
    /// Write the earlier log to a new directory instead
    #[arg(long, value_name = "NEWDIR", conflicts_with = "list")]
    into: Option<PathBuf>,
    /// Remove saved changes, which cannot be undone then; print what that frees
    #[arg(long, conflicts_with_all = ["list", "into"])]
    prune: bool,
    /// With --prune: only those made before TIME, such as 12h or 30d
    #[arg(long, value_name = "TIME", requires = "prune", value_parser = options::seconds)]
    older_than: Option<Duration>,
    /// With --prune: keep the newest N
    #[arg(long, value_name = "N", requires = "prune", value_parser = options::number)]
    keep: Option<u64>,
    /// Find the saved changes in DIR instead of beside the log
    #[arg(long, value_name = "DIR")]
    save_to: Option<PathBuf>,
    /// Print what would be changed or removed; open nothing for writing
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
    if arguments.prune {
        return prune(arguments, globals);
    }
    let (change, log) = choose(arguments, globals)?;
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
            let elsewhere = words::free_name(&log, ".undone");
            let hint = again(&format!("--into {}", quote(&elsewhere)));
            match &error {
                Error::CannotAppend { why, .. } => anyhow::Error::from(
                    Failure::new(Status::No, why.clone())
                        .hint("to write the log as it was to a new directory:")
                        .hint(hint),
                ),
                // Half of it may be back.
                Error::Io { source, .. } if is_full(source) => {
                    Failure::new(Status::Failed, error.to_string())
                        .hint("free some space and run it again to complete the change")
                        .into()
                }
                _ => error.into(),
            }
        })?;
    }
    let mut out = stdout()?;
    let shown = words::View {
        change: &change,
        log: &log,
        into: arguments.into.as_deref(),
        dry_run: arguments.dry_run,
    };
    if arguments.json {
        shown.json(&mut out)?;
    } else if !globals.quiet {
        shown.text(&mut out)?;
    }
    out.flush()?;
    Ok(Status::Done)
}

/// Output must not go into a log.
fn refuse_inside(target: &Path, log: &Path) -> anyhow::Result<()> {
    saved::parent_for(&log.canonicalize()?, Some(target))?;
    Ok(())
}

/// The log, and where changes of it are saved, as far as there are any.
fn places(dir: &Path, save_to: Option<&Path>) -> anyhow::Result<(Dir, Vec<FilePath>)> {
    let log = Directory::open(dir)?;
    let places = match Parent::of(&log, save_to)?.open(&log)? {
        Some(parent) => undo::places(&parent)?,
        None => Vec::new(),
    };
    Ok((log, places))
}

/// The change that is meant, and the log it belongs to. That is the one on the command
/// line, or the one beside which the saved directory is: never one that only a manifest
/// names.
fn choose(arguments: &Arguments, globals: Globals) -> anyhow::Result<(SavedChange, PathBuf)> {
    if undo::is_saved(&arguments.dir) {
        return choose_saved(arguments, globals);
    }
    let (log, places) = places(&arguments.dir, arguments.save_to.as_deref())?;
    let mut refused = Vec::new();
    for place in places.iter().rev() {
        match undo::load_of(place, &log) {
            Ok(Some(change)) if !change.undone => {
                tell_of_refused(&refused);
                return Ok((change, arguments.dir.clone()));
            }
            Ok(_) => {}
            Err(error) => refused.push(error),
        }
    }
    // A directory inside the log is not a saved change, whatever it contains.
    if log.at(MANIFEST).is_taken() {
        refused.push(Error::Untrusted {
            path: arguments.dir.join(MANIFEST),
            why: "is in the log's directory, where nothing is saved".to_owned(),
        });
    }
    tell_of_refused(&refused);
    let nothing = format!("{}: nothing to undo", arguments.dir.display());
    Err(match refused.len() {
        0 => Failure::new(Status::No, nothing)
            .hint("if the change was saved elsewhere: --save-to DIR"),
        _ => Failure::new(Status::Failed, format!("{nothing} that is trusted")),
    }
    .into())
}

/// The change in the saved directory that was named.
fn choose_saved(arguments: &Arguments, globals: Globals) -> anyhow::Result<(SavedChange, PathBuf)> {
    let given = &arguments.dir;
    let saved = given.canonicalize().map_err(Error::io("access", given))?;
    let refused = |why: &str| {
        let message = format!("{}: not trusted: {why}", given.display());
        Failure::new(Status::Failed, message)
    };
    let Some(path) = saved::log_of(&saved).filter(|_| arguments.save_to.is_none()) else {
        let parent = saved.parent().unwrap_or(Path::new("/"));
        let hint = format!("name the log, and --save-to {}", quote(parent));
        let refused = refused("it is not beside the log that it belongs to");
        return Err(refused.hint(hint).into());
    };
    let (log, places) = places(&path, None)?;
    let change = match places.iter().find(|place| place.path() == saved) {
        Some(place) => undo::load_of(place, &log)?,
        None => None,
    };
    let Some(change) = change else {
        let why = format!("it is not a saved change of {}", path.display());
        return Err(refused(&why).into());
    };
    if change.undone && arguments.into.is_none() {
        return Err(Failure::new(Status::No, "this change is already undone").into());
    }
    if !globals.quiet {
        say(&format!("the log is {}", quote(&path)));
    }
    Ok((change, path))
}

fn tell_of_refused(refused: &[Error]) {
    for error in refused {
        say(&format!("note: skipped: {error}"));
    }
}

/// The changes in some places that are trusted, the oldest first.
fn trusted<'a>(log: &Dir, places: &'a [FilePath]) -> Vec<(&'a FilePath, SavedChange)> {
    let mut trusted = Vec::new();
    let mut refused = Vec::new();
    for place in places {
        match undo::load_of(place, log) {
            Ok(change) => trusted.extend(change.map(|change| (place, change))),
            Err(error) => refused.push(error),
        }
    }
    tell_of_refused(&refused);
    trusted
}

fn list(arguments: &Arguments) -> anyhow::Result<Status> {
    let mut out = stdout()?;
    let (log, places) = places(&arguments.dir, arguments.save_to.as_deref())?;
    for (_, change) in trusted(&log, &places) {
        if arguments.json {
            writeln!(out, "{}", words::saved(&change, &arguments.dir, false))?;
        } else {
            let undone = if change.undone { ", undone" } else { "" };
            let words = words::in_words(&change);
            writeln!(out, "{words}{undone}: {}", quote(&change.path))?;
        }
    }
    out.flush()?;
    Ok(Status::Done)
}

/// Removes saved changes, under the log's lock: no other command saves meanwhile.
fn prune(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let save_to = arguments.save_to.as_deref();
    if undo::is_saved(&arguments.dir) {
        let what = format!("{}: is a saved change", arguments.dir.display());
        let hint = "name the log; --keep and --older-than choose among its saved changes";
        return Err(Failure::new(Status::Failed, what).hint(hint).into());
    }
    // The lock of a file would be refused in the words of the system.
    Directory::open(&arguments.dir)?;
    let lock = if arguments.dry_run {
        None
    } else {
        let wait = arguments.waiting.for_proglog();
        Some(DirectoryLock::take(&arguments.dir, wait, &|| false)?)
    };
    let (log, places) = places(&arguments.dir, save_to)?;
    let now = SystemTime::now();
    // A time in the future is not old.
    let is_old = |change: &SavedChange, than| {
        let made = change.time();
        made.is_some_and(|made| now.duration_since(made).is_ok_and(|age| age > than))
    };
    let mut changes = trusted(&log, &places);
    // Elsewhere there may be those of another log.
    changes.retain(|(_, change)| save_to.is_none() || change.is_of(&log));
    let keep = usize::try_from(arguments.keep.unwrap_or(0)).unwrap_or(usize::MAX);
    changes.truncate(changes.len().saturating_sub(keep));
    changes.retain(|(_, change)| arguments.older_than.is_none_or(|age| is_old(change, age)));

    let mut out = stdout()?;
    let mut pruned = words::Pruned::new(&arguments.dir, arguments.dry_run);
    let says = !globals.quiet;
    for (place, change) in &changes {
        let bytes = change.freed_bytes()?;
        if let Some(lock) = &lock {
            change.remove(place, lock, &RealDisk)?;
        }
        pruned.change(&mut out, change, bytes, (arguments.json, says))?;
    }
    let beside = Parent::of(&log, save_to)?;
    if let (None, Some(parent)) = (save_to, beside.open(&log)?) {
        let left = Leftovers::of(&parent, &log);
        pruned.leftovers(left.count(), left.freed_bytes()?);
        if let Some(lock) = &lock {
            left.remove(&RealDisk, lock);
        }
    }
    pruned.summary(&mut out, (arguments.json, says))?;
    out.flush()?;
    Ok(Status::Done)
}
