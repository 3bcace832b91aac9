//! Nobody else is in the way: files opened for changing, with a lease on each where
//! the kernel grants one. Whoever opens them meanwhile waits until we let go. A writer
//! that waits before the first change is let in, and the leases are taken again when it
//! has closed the files, as long as there is time to wait.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::log::dir::FilePath;
use crate::log::directory::Directory;
use crate::log::disk::{Disk, DiskFile};
use crate::log::error::{Error, Result};
use crate::log::format::ENTRY_BYTES;
use crate::log::lease::{Grant, Pending, WriteLease};
use crate::log::lock::Wait;
use crate::log::processes::{self, Use};
use crate::log::segment::Segment;

/// How often somebody who is in the way is looked after again.
const RETRY: Duration = Duration::from_millis(20);

/// Files that are looked for in /proc at once, which takes some memory for each.
const FILES_AT_ONCE: usize = 8192;

/// What is done about other processes.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    /// How long they are waited for.
    pub wait: Wait,
    /// Whether to go on where it cannot be known if somebody writes.
    pub assume_unused: bool,
    /// Asked while waiting; true ends it.
    pub interrupted: &'a dyn Fn() -> bool,
}

impl Others<'_> {
    /// Waits until no other process has the log open for writing. Opens nothing for
    /// writing itself.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] with the processes, [`Error::UseUnknown`].
    pub fn wait_for_writers(&self, directory: &Directory) -> Result<()> {
        let files = directory.telling_files();
        self.retry(|| match processes::in_use(&files) {
            Use::NoWriter => Ok(()),
            Use::Writers(writers) => Err(Error::InUse {
                path: directory.path.clone(),
                processes: writers.iter().map(|writer| writer.pid).collect(),
            }),
            Use::Unknown { .. } if self.assume_unused || !looks_open(directory) => Ok(()),
            Use::Unknown { .. } => Err(Error::UseUnknown {
                path: directory.path.clone(),
                why: "an index is padded, as a running service leaves it".to_owned(),
            }),
        })
    }

    /// Waits until no other process has one of `files` open, be it for reading, as far
    /// as /proc tells. Opens nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] with the processes.
    pub fn wait_for_anybody(&self, files: &[FilePath]) -> Result<()> {
        self.retry(|| {
            let users = |some: &[FilePath]| {
                let some: Vec<PathBuf> = some.iter().map(|it| it.to_path_buf()).collect();
                processes::users_of(&some).processes
            };
            let users = files.chunks(FILES_AT_ONCE).flat_map(users);
            let mut processes: Vec<u32> = users.map(|user| user.pid).collect();
            processes.sort_unstable();
            processes.dedup();
            match files.first() {
                Some(path) if !processes.is_empty() => Err(Error::InUse {
                    path: path.to_path_buf(),
                    processes,
                }),
                _ => Ok(()),
            }
        })
    }

    /// Tries again while the answer is "in use" and there is time to wait.
    fn retry<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let deadline = self.wait.deadline();
        loop {
            match attempt() {
                Err(Error::InUse { path, processes }) => {
                    if (self.interrupted)() || deadline.is_some_and(|end| Instant::now() >= end) {
                        return Err(Error::InUse { path, processes });
                    }
                    std::thread::sleep(RETRY);
                }
                other => return other,
            }
        }
    }
}

/// Whether an index is padded, the one sign of a log that a service has open.
fn looks_open(directory: &Directory) -> bool {
    directory.segments.iter().rev().take(8).any(|names| {
        Segment::open(directory, names).is_ok_and(|segment| {
            let entries = segment.bisect_entries(None).unwrap_or(0);
            entries * ENTRY_BYTES + ENTRY_BYTES <= segment.index.file_bytes
        })
    })
}

/// Files that are open for changing, each with its lease.
pub struct Exclusive {
    files: BTreeMap<PathBuf, DiskFile>,
    leases: RefCell<Vec<WriteLease>>,
    /// Whether a step may have been done already.
    begun: Cell<bool>,
    /// When it was last known that nobody waits.
    nobody_waits: Cell<Instant>,
}

impl Default for Exclusive {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            leases: RefCell::default(),
            begun: Cell::new(false),
            nobody_waits: Cell::new(Instant::now()),
        }
    }
}

impl Exclusive {
    /// Opens files for changing and takes a lease on each. Where the kernel cannot
    /// say who has them open, /proc has been asked before.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if somebody else has one open, a reader too;
    /// [`Error::SymbolicLink`], [`Error::Io`].
    pub fn take(disk: &dyn Disk, paths: &[FilePath], others: &Others<'_>) -> Result<Self> {
        others.retry(|| {
            let mut exclusive = Self::default();
            for path in paths {
                let file = open(disk, path)?;
                exclusive.lease(path, &file, others)?;
                exclusive.files.insert(path.to_path_buf(), file);
            }
            Ok(exclusive)
        })
    }

    fn lease(&self, path: &Path, file: &DiskFile, others: &Others<'_>) -> Result<()> {
        // Who comes for a file before this one waits meanwhile, so that those who are
        // there can leave before others come.
        let waits = others.wait != Wait::AtMost(Duration::ZERO);
        let (grant, users) = processes::look_again(
            || match WriteLease::take(file.file()) {
                Grant::Refused => {
                    let users = processes::users_of(&[path.to_path_buf()]).processes;
                    (Grant::Refused, users)
                }
                grant => (grant, Vec::new()),
            },
            |(grant, users)| matches!(grant, Grant::Refused) && (waits || users.is_empty()),
        );
        match grant {
            Grant::Held(lease) => self.leases.borrow_mut().push(lease),
            Grant::Refused => {
                return Err(Error::InUse {
                    path: path.to_path_buf(),
                    processes: users.iter().map(|user| user.pid).collect(),
                });
            }
            // A lease needs one descriptor more: that none is left says nothing of others.
            Grant::Unknown(error) if crate::log::error::is_out_of_descriptors(&error) => {
                return Err(Error::io("take a lease on", path)(error));
            }
            Grant::Unknown(_) => {}
        }
        Ok(())
    }

    /// The open file under a path.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if it was not opened.
    pub fn file(&self, path: &Path) -> Result<&DiskFile> {
        self.files.get(path).ok_or_else(|| Error::Missing {
            path: path.to_path_buf(),
        })
    }

    /// Waits until the first step may be done: until no writer waits to open one of the
    /// files, and nobody who may have been let in. They get in, and the leases are taken
    /// again; then `unchanged` is asked whether everything is as it was.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] when the time is over; those of `unchanged`, [`Error::Io`].
    pub fn begin(
        &self,
        directory: &Path,
        others: &Others<'_>,
        unchanged: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let mut let_in = false;
        others.retry(|| {
            let mut ready = Ok(());
            if std::mem::replace(&mut let_in, true) {
                ready = self.lease_again(others).and_then(|()| unchanged());
            }
            let ready = ready.and_then(|()| self.check(directory));
            if ready.is_err() {
                self.leases.borrow_mut().clear();
            }
            ready
        })
    }

    fn lease_again(&self, others: &Others<'_>) -> Result<()> {
        for (path, file) in &self.files {
            self.lease(path, file, others)?;
        }
        self.nobody_waits.set(Instant::now());
        Ok(())
    }

    /// Asked before each step: whether whoever waits is still held back. To let them in
    /// half way would show them a log that is half mended, to which a service appends.
    /// Before the first step a writer is not held back: it may know the log's files by
    /// name already, and would make those anew that go.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if a writer waits before the first step, or somebody has waited
    /// for so long that the kernel may have let them in.
    pub fn check(&self, directory: &Path) -> Result<()> {
        let leases = self.leases.borrow();
        let pending = leases.iter().map(WriteLease::pending).max();
        let held_back = match pending.unwrap_or(Pending::None) {
            Pending::None => {
                self.nobody_waits.set(Instant::now());
                true
            }
            Pending::Writer if !self.begun.get() => false,
            Pending::Reader | Pending::Writer => {
                self.nobody_waits.get().elapsed() < held_back_for()
            }
        };
        if !held_back {
            return Err(Error::InUse {
                path: directory.to_path_buf(),
                processes: Vec::new(),
            });
        }
        self.begun.set(true);
        Ok(())
    }
}

/// Opens a file for changing.
fn open(disk: &dyn Disk, path: &FilePath) -> Result<DiskFile> {
    let link = path.link_metadata().map_err(Error::io("look at", path))?;
    if link.is_symlink() {
        return Err(Error::SymbolicLink {
            path: path.to_path_buf(),
        });
    }
    if !link.is_file() {
        return Err(Error::not_a_file(path, link.is_dir()));
    }
    disk.open(path).map_err(Error::io("open", path))
}

/// How long others are surely kept waiting: half of what the kernel gives us.
fn held_back_for() -> Duration {
    let text = std::fs::read_to_string("/proc/sys/fs/lease-break-time").unwrap_or_default();
    Duration::from_secs(text.trim().parse().unwrap_or(0) / 2)
}
