//! What the commands that change a log share: their options, the lock, the plan shown
//! or carried out, and what is said afterwards.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proglog::inspect::listing::Listing;
use proglog::inspect::look::Aids;
use proglog::inspect::report::{Options, Report};
use proglog::log::directory::Directory;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::{Error, is_out_of_descriptors};
use proglog::log::lock::DirectoryLock;
use proglog::mend::apply::{ApplyOptions, Save, apply, rehearse};
use proglog::mend::draft::Drafts;
use proglog::mend::plan::Plan;
use proglog::mend::saved;

use super::progress::Bar;
use super::waiting::Waiting;
use super::{Failure, Globals, quote, say, status_of, stdout};
use crate::render::plan as words;

/// The options that every mending command has.
#[derive(Debug, Clone, clap::Args)]
pub struct Mending {
    /// Print the plan; open nothing for writing
    #[arg(long)]
    pub dry_run: bool,
    /// Save the bytes that go in a directory below this one
    #[arg(long, value_name = "DIR", conflicts_with = "no_save")]
    pub save_to: Option<PathBuf>,
    /// Do not save the bytes that go: there is no undo then
    #[arg(long)]
    pub no_save: bool,
    #[command(flatten)]
    pub waiting: Waiting,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

impl Mending {
    /// Where the bytes go that are taken away.
    pub fn save(&self) -> Save {
        match (&self.save_to, self.no_save) {
            (_, true) => Save::Nowhere,
            (Some(parent), false) => Save::To(parent.clone()),
            (None, false) => Save::Beside,
        }
    }

    /// Looks at the log, under its lock if it will be changed, and when nobody writes
    /// to it any more: what a writer leaves open looks like what a killed one leaves.
    pub fn look(
        &self,
        dir: &Path,
        options: &Options,
        drafts: Option<&Drafts>,
        globals: Globals,
    ) -> anyhow::Result<(Option<DirectoryLock>, Report)> {
        // What is no log is said before anything is waited for.
        Directory::list(dir)?.require_log()?;
        let lock = if self.dry_run {
            None
        } else {
            let wait = self.waiting.for_proglog();
            Some(DirectoryLock::take(dir, wait, &|| false)?)
        };
        let directory = Directory::list(dir)?;
        self.waiting.others().wait_for_writers(&directory)?;
        // A log may have very many segments, and the report lists them again.
        drop(directory);
        if let Some(save_to) = &self.save_to {
            let real = dir.canonicalize().map_err(Error::io("look at", dir))?;
            saved::parent_for(&real, Some(save_to))?;
        }
        let segment = options.segment.map(|base| base.0);
        let _bar = Bar::for_look("look", dir, segment, globals);
        let aids = Aids {
            // A dry run writes nothing at all.
            drafting: drafts.filter(|_| lock.is_some()).map(|it| it as _),
            before: None,
        };
        let report = Report::with(Listing::of(dir)?, options, aids)?;
        report.require_ours()?;
        Ok((lock, report))
    }

    /// Carries a plan out, if that was asked for, and shows it. Gives where the bytes
    /// were saved.
    pub fn carry_out(
        &self,
        plan: &Plan,
        lock: Option<&DirectoryLock>,
        (report, drafts): (&Report, Option<&Drafts>),
        command: &str,
        globals: Globals,
    ) -> anyhow::Result<Option<PathBuf>> {
        let saved = match lock {
            Some(lock) => self.apply(plan, lock, drafts, command)?,
            None => None,
        };
        let mut out = stdout()?;
        if self.json {
            words::steps_json(&mut out, plan, report, self.dry_run)?;
        } else if !globals.quiet {
            words::steps_text(&mut out, plan, report, self.dry_run)?;
        }
        out.flush()?;
        let Some(lock) = lock else {
            // Shown first: it is of use also to whoever must wait with it.
            let others = self.waiting.others();
            rehearse(plan, report.listing.path(), &self.save(), &others)?;
            return Ok(None);
        };
        if let Some(saved) = &saved
            && !globals.quiet
        {
            // Only beside the log it is found by the log's name.
            let what = if self.save_to.is_some() {
                saved.as_path()
            } else {
                lock.path()
            };
            say(&format!(
                "saved in {}\ntake it back with: proglog undo {}",
                quote(saved),
                quote(what)
            ));
        }
        Ok(saved)
    }

    fn apply(
        &self,
        plan: &Plan,
        lock: &DirectoryLock,
        drafts: Option<&Drafts>,
        command: &str,
    ) -> anyhow::Result<Option<PathBuf>> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let options = ApplyOptions {
            disk: &disk,
            save: self.save(),
            others: self.waiting.others(),
            command,
            drafts,
        };
        apply(plan, lock, &options).map_err(|error| {
            let message = error.to_string();
            match hint(&error) {
                Some(hint) => Failure::new(status_of(&error), message).hint(hint).into(),
                None => error.into(),
            }
        })
    }
}

/// The way out where bytes that go cannot be saved.
fn hint(error: &Error) -> Option<String> {
    let Error::Io { source, .. } = error else {
        return None;
    };
    if is_out_of_descriptors(source) {
        return super::more_descriptors(source);
    }
    Some(match source.kind() {
        ErrorKind::CrossesDevices => {
            "whole files are moved: --save-to a directory on the log's own file system, or \
             --no-save"
                .to_owned()
        }
        ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::PermissionDenied => {
            "--save-to DIR saves elsewhere what goes; run again, the same command completes \
             what was begun"
                .to_owned()
        }
        _ => "run again, the same command completes what was begun".to_owned(),
    })
}
