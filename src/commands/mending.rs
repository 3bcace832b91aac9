//! What the commands that change a log share: their options, the lock, the plan shown
//! or carried out, and what is said afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proglog::inspect::report::{Options, Report};
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::lock::DirectoryLock;
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::plan::Plan;

use super::waiting::Waiting;
use super::{Globals, say, stdout};
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

    /// Looks at the log, under its lock if it will be changed.
    pub fn look(
        &self,
        dir: &Path,
        options: &Options,
    ) -> anyhow::Result<(Option<DirectoryLock>, Report)> {
        let lock = if self.dry_run {
            None
        } else {
            // What is no log is said before anything is waited for.
            proglog::log::directory::Directory::list(dir)?.require_log()?;
            Some(DirectoryLock::take(
                dir,
                self.waiting.for_proglog(),
                &|| false,
            )?)
        };
        let report = Report::of(dir, options)?;
        Ok((lock, report))
    }

    /// Shows a plan, and carries it out if that was asked for. Gives where the bytes
    /// were saved.
    pub fn carry_out(
        &self,
        plan: &Plan,
        lock: Option<&DirectoryLock>,
        report: &Report,
        command: &str,
        globals: Globals,
    ) -> anyhow::Result<Option<PathBuf>> {
        let mut out = stdout()?;
        if self.json {
            words::steps_json(&mut out, plan, report, self.dry_run)?;
        } else if !globals.quiet {
            words::steps_text(&mut out, plan, report, self.dry_run)?;
        }
        std::io::Write::flush(&mut out)?;
        let Some(lock) = lock else { return Ok(None) };
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let options = ApplyOptions {
            disk: &disk,
            save: self.save(),
            others: self.waiting.others(),
            command,
        };
        let saved = apply(plan, lock, &options)?;
        if let Some(saved) = &saved
            && !globals.quiet
        {
            say(&format!(
                "saved in {}; take it back with: proglog undo {}",
                super::quote(saved),
                super::quote(lock.path())
            ));
        }
        Ok(saved)
    }
}
