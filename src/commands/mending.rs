//! The common part of the commands that change a log: options, lock, printing or carrying
//! out the plan, and the messages afterwards.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proglog::inspect::listing::Listing;
use proglog::inspect::report::{Options, Report};
use proglog::log::directory::Directory;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::{Error, is_out_of_descriptors};
use proglog::log::lock::DirectoryLock;
use proglog::log::reader::LogReader;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::mend::apply::{ApplyOptions, Save, apply, rehearse};
use proglog::mend::plan::{Plan, Step};
use proglog::mend::saved;

use super::progress::Bar;
use super::waiting::Waiting;
use super::{Failure, Globals, options, quote, say, status_of, stdout};
use crate::render::plan::{self as words, Purpose};

/// The options that every repairing command has.
#[derive(Debug, Clone, clap::Args)]
pub struct Mending {
    /// Print the changes; open nothing for writing
    #[arg(long)]
    pub dry_run: bool,
    /// Save the removed bytes in a new directory below DIR
    #[arg(long, value_name = "DIR", conflicts_with = "no_save")]
    pub save_to: Option<PathBuf>,
    /// Do not save the removed bytes; the change cannot be undone
    #[arg(long)]
    pub no_save: bool,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    pub codec: Option<Codec>,
    #[command(flatten)]
    pub waiting: Waiting,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

/// The offset from which negative ones count in a change: after the last record that the log
/// shows in any way, so that none of them is taken for another.
pub fn claimed_end(report: &Report) -> anyhow::Result<Offset> {
    let mut log = LogReader::open_in(&report.listing.directory.dir)?;
    if let Some(codec) = report.codec {
        log.set_codec(codec);
    }
    Ok(log.claimed_end()?.max(report.next_append()))
}

impl Mending {
    /// The place for removed bytes.
    pub fn save(&self) -> Save {
        match (&self.save_to, self.no_save) {
            (_, true) => Save::Nowhere,
            (Some(parent), false) => Save::To(parent.clone()),
            (None, false) => Save::Beside,
        }
    }

    /// Scans the log, under its lock if it will be changed, and when no process writes to
    /// it any more: an open log of a writer looks like the log of a killed one.
    pub fn look(
        &self,
        dir: &Path,
        options: &Options,
        globals: Globals,
    ) -> anyhow::Result<(Option<DirectoryLock>, Report)> {
        // A directory that is not a log is reported before any wait.
        Directory::list(dir)?.require_log()?;
        let lock = if self.dry_run {
            None
        } else {
            let wait = self.waiting.for_proglog();
            Some(DirectoryLock::take(dir, wait, &|| false)?)
        };
        let directory = match &lock {
            Some(lock) => Directory::list_in(lock.dir())?,
            None => Directory::list(dir)?,
        };
        let held = directory.dir.clone();
        match self.waiting.others().wait_for_writers(&directory) {
            // The plan is printed first, then that the use is unknown.
            Err(Error::UseUnknown { .. }) if self.dry_run => {}
            nobody => nobody?,
        }
        // A log may have very many segments, and the report lists them again.
        drop(directory);
        if let Some(save_to) = &self.save_to {
            let real = held.real_path().map_err(Error::io("access", dir))?;
            saved::parent_for(&real, Some(save_to))?;
        }
        let segment = options.segment.map(|base| base.0);
        let _bar = Bar::for_look("look", dir, segment, globals);
        let listing = Listing::of_dir(&held)?;
        let report = match &lock {
            Some(_) => Report::once(listing, options, None)?,
            None => Report::over(listing, options)?,
        };
        report.require_ours()?;
        Ok((lock, report))
    }

    /// Carries a plan out, unless this is a dry run, and prints it. Returns the place
    /// where the removed bytes are saved.
    pub fn carry_out(
        &self,
        plan: &Plan,
        lock: Option<&DirectoryLock>,
        report: &Report,
        command: &str,
        globals: Globals,
    ) -> anyhow::Result<Option<PathBuf>> {
        let saved = match lock {
            Some(lock) => {
                let disk: Arc<dyn Disk> = Arc::new(RealDisk);
                apply(plan, lock, &self.apply_options(&disk, command))
                    .map_err(|error| with_hint(error, plan, lock.path()))?
            }
            None => None,
        };
        let purpose = match command {
            "trim" => Purpose::RemoveRecords,
            _ => Purpose::Repair,
        };
        self.tell(plan, lock, (report, saved.as_deref()), purpose, globals)?;
        Ok(saved)
    }

    /// Prints what was changed and where it was saved; without a lock, what would be
    /// changed, and whether the change could begin.
    pub fn tell(
        &self,
        plan: &Plan,
        lock: Option<&DirectoryLock>,
        (report, saved): (&Report, Option<&Path>),
        purpose: Purpose,
        globals: Globals,
    ) -> anyhow::Result<()> {
        let mut out = stdout()?;
        if self.json {
            words::steps_json(&mut out, plan, report, self.dry_run)?;
        } else if !globals.quiet {
            words::steps_text(&mut out, plan, report, (purpose, self.dry_run))?;
        }
        out.flush()?;
        for link in &plan.links {
            say(&format!(
                "note: {link} is a symbolic link, which proglog reads but never changes: its \
                 segment is left unchanged"
            ));
        }
        let Some(lock) = lock else {
            // Printed first: it also helps a user who must wait with the change.
            let others = self.waiting.others();
            let log = report.listing.path();
            rehearse(plan, &report.listing.directory.dir, &self.save(), &others)
                .map_err(|error| with_hint(error, plan, log))?;
            return Ok(());
        };
        if let Some(saved) = saved
            && !globals.quiet
        {
            say(&format!(
                "saved in {}\nundo with: {}",
                quote(saved),
                crate::render::undo::command(lock.path(), saved)
            ));
        }
        Ok(())
    }

    /// How a plan is carried out.
    pub fn apply_options<'a>(&self, disk: &'a Arc<dyn Disk>, command: &'a str) -> ApplyOptions<'a> {
        ApplyOptions {
            disk,
            save: self.save(),
            others: self.waiting.others(),
            command,
        }
    }
}

/// An error, and the way out where there is one.
pub fn with_hint(error: Error, plan: &Plan, log: &Path) -> anyhow::Error {
    match hint(&error, plan, log) {
        Some(hint) => Failure::new(status_of(&error), error.to_string())
            .hint(hint)
            .into(),
        None => error.into(),
    }
}

/// The way out where bytes that go cannot be saved.
fn hint(error: &Error, plan: &Plan, log: &Path) -> Option<String> {
    let (source, path) = match error {
        Error::Io { source, path, .. } => (source, path),
        Error::NotReverted { saved, .. } => return Some(crate::render::undo::command(log, saved)),
        Error::Reverted { .. } => return Some(format!("proglog verify {}", quote(log))),
        _ => return None,
    };
    if is_out_of_descriptors(source) {
        return super::more_descriptors(source);
    }
    let moves_files = plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::MoveAway { .. }));
    let again = "the same command, run again, completes the change";
    let is_full = is_full(source);
    Some(match source.kind() {
        _ if is_full && moves_files => {
            format!("--no-save frees the space at once but cannot be undone; {again}")
        }
        ErrorKind::CrossesDevices | ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
            if moves_files =>
        {
            "whole files are moved: use --save-to with a directory on the log's file system, or \
             --no-save"
                .to_owned()
        }
        kind if is_full || (is_forbidden(kind) && !path.starts_with(log)) => {
            format!("{ELSEWHERE}; {again}")
        }
        _ => again.to_owned(),
    })
}

/// The options if the removed bytes cannot be saved.
pub const ELSEWHERE: &str =
    "--save-to DIR saves the removed data elsewhere; --no-save saves nothing and cannot be undone";

/// Whether the disk is full.
pub fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// Whether nothing may be written there.
pub fn is_forbidden(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
    )
}
