//! Checking and repairing as a library offers it: [`Report`], [`Plan`], [`Undo`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::inspect::finding::Finding;
use crate::inspect::listing::Listing;
use crate::inspect::look::Before;
use crate::inspect::report::{self, Options};
use crate::log::disk::{Disk, RealDisk};
use crate::log::error::{Error, Result};
use crate::log::lock::{DirectoryLock, Wait};
use crate::log::units::Offset;
use crate::mend::apply::{ApplyOptions, Save};
use crate::mend::exclusive::Others;
use crate::mend::plan::{self, Step};
use crate::mend::{repair, undo};

/// What is wrong with a log. Nothing is changed to find out.
///
/// # Examples
///
/// ```
/// # use proglog::{Appender, Report};
/// # let parent = tempfile::tempdir()?;
/// # let dir = parent.path().join("log");
/// # let mut log = Appender::open(&dir)?;
/// # log.append("a")?;
/// # log.commit()?;
/// # drop(log);
/// # std::fs::OpenOptions::new().append(true).open(dir.join("0.index"))?.set_len(1024)?;
/// let report = Report::scan(&dir)?;
/// for finding in report.findings() {
///     println!("{finding}");
/// }
/// let plan = report.plan();
/// println!("{plan}");
/// let undo = plan.apply()?;
/// assert!(Report::scan(&dir)?.is_clean());
/// undo.undo()?;
/// # assert_eq!(std::fs::metadata(dir.join("0.index"))?.len(), 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    report: report::Report,
}

impl Report {
    /// Reads all of the log in a directory, also while another process writes it.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirectory`], [`Error::NotADirectory`], [`Error::NotALog`],
    /// [`Error::Io`].
    pub fn scan(dir: impl AsRef<Path>) -> Result<Self> {
        let options = Options {
            ask_usage: true,
            ..Options::default()
        };
        let report = report::Report::of(dir.as_ref(), &options)?;
        Ok(Self { report })
    }

    /// Whether there is neither an error nor a warning.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.report.is_clean()
    }

    /// What was found, the most severe first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.report.findings
    }

    /// Number of intact records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.report.records()
    }

    /// The offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.report.next_offset()
    }

    /// How to repair what needs no guess. Reads the segments concerned again, and changes
    /// nothing.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan {
            log: self.report.listing.path().to_path_buf(),
            inner: repair::plan(&self.report),
            assume_unused: false,
        }
    }
}

/// The changes that repair a log, in their order; [`fmt::Display`] prints a line for each.
#[derive(Debug, Clone)]
pub struct Plan {
    log: PathBuf,
    inner: plan::Plan,
    assume_unused: bool,
}

impl Plan {
    /// The changes, in their order.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        let change = |step| Change::of(&self.inner, step);
        self.inner.steps.iter().map(change)
    }

    /// What will remain: it needs a decision by a person, or cannot be repaired.
    #[must_use]
    pub fn remaining(&self) -> &[Finding] {
        &self.inner.left
    }

    /// Continues where the system cannot say whether another process writes the log, as on
    /// every system but Linux; [`Undo::undo`] too. The caller asserts that none does.
    #[must_use]
    pub fn assume_unused(mut self, assume: bool) -> Self {
        self.assume_unused = assume;
        self
    }

    /// Carries the plan out. The removed bytes are saved in a directory beside the log, from
    /// which [`Undo::undo`] restores them. A plan without changes does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::CannotAppend`] if the log changed since the report, or if a readable record
    /// would be lost: the log is as before then. [`Error::InUse`], [`Error::UseUnknown`],
    /// [`Error::ForeignLayout`], [`Error::SymbolicLink`]; [`Error::Io`], after which the log
    /// is as the last complete change left it, and a new plan completes the repair.
    pub fn apply(&self) -> Result<Undo> {
        let lock = DirectoryLock::take(&self.log, NO_WAIT, &|| false)?;
        let options = Options::default();
        let scan =
            |listing, before: Option<&Before<'_>>| report::Report::once(listing, &options, before);
        let before = scan(Listing::of_dir(lock.dir())?, None)?;
        before.require_ours()?;
        let plan = repair::plan(&before);
        if plan.steps != self.inner.steps {
            return Err(Error::CannotAppend {
                path: self.log.clone(),
                why: "the log changed since the plan was made; nothing was repaired".to_owned(),
            });
        }
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let options = ApplyOptions {
            disk: &disk,
            save: Save::Beside,
            others: others(self.assume_unused),
            command: "repair",
        };
        let again = |listing, before: &Before<'_>| scan(listing, Some(before));
        let (saved, _) = repair::carry_out(&plan, &lock, &before, &options, again)?;
        Ok(Undo {
            log: self.log.clone(),
            saved,
            assume_unused: self.assume_unused,
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in self.changes() {
            writeln!(f, "{change}")?;
        }
        Ok(())
    }
}

/// One change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The name of the file in the log's directory.
    pub file: String,
    /// What happens to it.
    pub action: Action,
}

/// What happens to a file. Units: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It is created, empty.
    Create,
    /// It is created with entries for this number of records.
    Build {
        /// The number of records.
        records: u64,
    },
    /// Entries are written for this number of records.
    Write {
        /// The number of records.
        records: u64,
    },
    /// Its end is cut off.
    Cut {
        /// Its size now.
        from: u64,
        /// Its size then.
        to: u64,
    },
    /// It is moved to the saved directory.
    Move {
        /// Its size.
        bytes: u64,
    },
    /// Bytes from another copy replace others.
    Restore {
        /// The number of bytes.
        bytes: u64,
    },
    /// Values are overwritten for good.
    Overwrite {
        /// The number of bytes.
        bytes: u64,
    },
}

impl Change {
    fn of(plan: &plan::Plan, step: &Step) -> Self {
        let (base, kind) = step.file();
        let action = match step {
            Step::CreateEmpty { .. } => Action::Create,
            Step::BuildIndex { entries, .. } => Action::Build {
                records: entries.count,
            },
            Step::WriteEntries { entries, .. } => Action::Write {
                records: entries.count,
            },
            Step::Cut { from, to, .. } => Action::Cut {
                from: *from,
                to: *to,
            },
            Step::MoveAway { bytes, .. } => Action::Move { bytes: *bytes },
            Step::Fill { bytes, .. } | Step::Assemble { to: bytes, .. } => {
                Action::Restore { bytes: *bytes }
            }
            Step::Overwrite { values, .. } => Action::Overwrite {
                bytes: values.iter().map(|value| value.end - value.start).sum(),
            },
        };
        Self {
            file: plan.file_name(base, kind),
            action,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        match self.action {
            Action::Create => f.write_str("create an empty file"),
            Action::Build { records } => write!(f, "create with entries for {records} records"),
            Action::Write { records } => write!(f, "write entries for {records} records"),
            Action::Cut { from, to } => write!(f, "cut from {from} to {to} bytes"),
            Action::Move { bytes } => write!(f, "move away ({bytes} bytes)"),
            Action::Restore { bytes } => write!(f, "restore {bytes} bytes"),
            Action::Overwrite { bytes } => write!(f, "overwrite {bytes} bytes of values"),
        }
    }
}

/// A change that was carried out and can be undone.
#[derive(Debug)]
#[must_use = "dropping it keeps the change; the saved bytes stay"]
pub struct Undo {
    log: PathBuf,
    saved: Option<PathBuf>,
    assume_unused: bool,
}

impl Undo {
    /// The directory of the saved bytes; `None` if nothing was changed.
    #[must_use]
    pub fn saved(&self) -> Option<&Path> {
        self.saved.as_deref()
    }

    /// Restores the log as it was.
    ///
    /// # Errors
    ///
    /// [`Error::CannotAppend`] if the log changed since; [`Error::InUse`],
    /// [`Error::UseUnknown`], [`Error::Untrusted`], [`Error::Io`]. Called again, it completes
    /// what was interrupted.
    pub fn undo(&self) -> Result<()> {
        let Some(saved) = &self.saved else {
            return Ok(());
        };
        let lock = DirectoryLock::take(&self.log, NO_WAIT, &|| false)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let others = others(self.assume_unused);
        undo::undo(&undo::load(saved)?, &lock, &disk, &others)
    }
}

/// Other processes are not waited for.
const NO_WAIT: Wait = Wait::AtMost(Duration::ZERO);

fn others(assume_unused: bool) -> Others<'static> {
    Others {
        wait: NO_WAIT,
        assume_unused,
        interrupted: &|| false,
    }
}
