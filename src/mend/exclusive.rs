//! No other process is in the way: files opened for changing, with a lease on each where
//! the kernel grants one. A process that opens them meanwhile waits until we let go. A
//! writer that waits before the first change is let in, and the leases are taken again
//! when it has closed the files, as long as there is time to wait.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::log::dir::{Dir, FilePath, FileStatus, Identity};
use crate::log::directory::{Directory, SegmentNames};
use crate::log::disk::{Disk, DiskFile, Ownership};
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::lease::{self, Grant, Pending, WriteLease};
use crate::log::lock::Wait;
use crate::log::processes::{self, Unseen, Use};
use crate::log::window::ReadFile;
use crate::mend::leases::Leases;

/// Interval between two checks for a process in the way.
const RETRY: Duration = Duration::from_millis(20);

/// Files that are searched for in /proc at once, which takes some memory for each.
const FILES_AT_ONCE: usize = 8192;

/// The policy for other processes.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    /// How long they are waited for.
    pub wait: Wait,
    /// Whether to proceed if it is unknown whether a process writes.
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
            Use::Unknown { .. } if self.assume_unused => Ok(()),
            Use::Unknown { why, .. } => Err(Error::UseUnknown {
                path: directory.path.clone(),
                why,
            }),
        })
    }

    /// The same before a log is created in a directory, or below it: if the use would be
    /// unknown afterwards, that is reported before anything is created.
    ///
    /// # Errors
    ///
    /// [`Error::UseUnknown`].
    pub fn check_new(&self, dir: &Dir) -> Result<()> {
        match lease::elsewhere(dir) {
            Some(name) if !self.assume_unused => Err(Error::UseUnknown {
                path: dir.path().to_path_buf(),
                why: Unseen::Elsewhere(name),
            }),
            _ => Ok(()),
        }
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

/// The files that a change opens: those of the first segment that has regular ones, whose
/// leases keep a service from starting meanwhile, and those that it changes.
pub(super) fn files(
    directory: &Directory,
    changed: impl Iterator<Item = FilePath>,
) -> Vec<FilePath> {
    let halves = |names: &SegmentNames| {
        let kinds = [FileKind::Store, FileKind::Index].into_iter();
        let there = kinds.filter(|kind| names.has(*kind));
        there.map(|kind| directory.file(names, kind)).collect()
    };
    let is_regular = |path: &FilePath| path.link_metadata().is_ok_and(|it| it.is_file());
    let mut segments = directory.segments.iter().map(halves);
    let first = segments.find(|paths: &Vec<FilePath>| paths.iter().all(is_regular));
    let mut added = HashSet::new();
    let files = first.into_iter().flatten().chain(changed);
    files
        .filter(|path| added.insert(path.to_path_buf()))
        .collect()
}

/// Whether [`Exclusive::take`] would get all of `files`, as far as the system and /proc
/// show, and whether names could be changed if that is needed. Waits until no other process
/// has one open, even for reading. Opens nothing.
///
/// # Errors
///
/// As [`Exclusive::take`].
pub(super) fn rehearse(
    directory: &Directory,
    files: &[FilePath],
    changes_names: bool,
    others: &Others<'_>,
) -> Result<()> {
    others.wait_for_writers(directory)?;
    for path in files {
        let link = path.link_metadata().map_err(Error::io("access", path))?;
        check_kind(path, &link)?;
        path.check_writable().map_err(Error::io("open", path))?;
    }
    others.retry(|| nobody_has(files))?;
    if changes_names {
        let writable = directory.dir.check_writable();
        writable.map_err(Error::io("change", &directory.path))?;
    }
    Ok(())
}

/// Whether no other process has one of `files` open, as far as /proc shows.
fn nobody_has(files: &[impl AsRef<Path>]) -> Result<()> {
    let mut processes = Vec::new();
    for some in files.chunks(FILES_AT_ONCE) {
        let some: Vec<PathBuf> = some.iter().map(|it| it.as_ref().to_path_buf()).collect();
        let users = processes::users_of(&some).processes;
        processes.extend(users.iter().map(|user| user.pid));
    }
    processes.sort_unstable();
    processes.dedup();
    match files.first() {
        Some(path) if !processes.is_empty() => Err(Error::InUse {
            path: path.as_ref().to_path_buf(),
            processes,
        }),
        _ => Ok(()),
    }
}

/// Files that are open for changing, each with its lease.
#[derive(Default)]
pub struct Exclusive {
    files: BTreeMap<PathBuf, DiskFile>,
    held: Mutex<Held>,
}

/// Exclusive access.
#[derive(Default)]
struct Held {
    leases: Leases,
    /// Whether a step may have been done already.
    begun: bool,
}

impl Exclusive {
    /// Opens files for changing and takes a lease on each. Where the kernel cannot tell
    /// who has them open, /proc was checked before.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if another process has one open, a reader too;
    /// [`Error::SymbolicLink`], [`Error::SharedFile`], [`Error::Io`].
    pub fn take(disk: &dyn Disk, paths: &[FilePath], others: &Others<'_>) -> Result<Self> {
        others.retry(|| {
            let mut exclusive = Self::default();
            let mut taken = HashMap::new();
            for path in paths {
                let (identity, file) = open(disk, path, &taken)?;
                taken.insert(identity, path);
                exclusive.lease(path, &file, others)?;
                exclusive.files.insert(path.to_path_buf(), file);
            }
            Ok(exclusive)
        })
    }

    fn lease(&self, path: &Path, file: &DiskFile, others: &Others<'_>) -> Result<()> {
        // A process that opens a file before this one waits meanwhile, so that existing
        // users can leave before others come.
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
            Grant::Held(lease) => self.held().leases.add(lease),
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

    /// An open file as a reader sees it. Opened by name it would wait for our own lease.
    ///
    /// # Errors
    ///
    /// As [`Exclusive::file`], [`Error::Io`].
    pub fn readable(&self, path: &Path) -> Result<ReadFile> {
        let file = self.file(path)?.file().try_clone();
        ReadFile::of(file.map_err(Error::io("read", path))?, path)
    }

    /// Owner and mode of a file, which may be open.
    pub(super) fn ownership(&self, path: &FilePath) -> Option<Ownership> {
        match self.file(path) {
            // Opened by name it would wait for our own lease.
            Ok(file) => Ownership::of(file.file()).ok(),
            Err(_) => Ownership::at(path),
        }
    }

    /// Waits until the first step may be done: until no writer waits to open one of the
    /// files, and no process that may have been let in has one open. Waiting processes
    /// get in, and the leases are taken again; then `unchanged` checks whether everything
    /// is as it was.
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
            let ready = ready
                .and_then(|()| self.look_at_unleased())
                .and_then(|()| self.check(directory));
            if ready.is_err() {
                self.held().leases.clear();
            }
            ready
        })
    }

    /// Where the kernel gave no lease, /proc shows who came since it was checked.
    fn look_at_unleased(&self) -> Result<()> {
        if self.held().leases.len() >= self.files.len() {
            return Ok(());
        }
        let files: Vec<&PathBuf> = self.files.keys().collect();
        nobody_has(&files)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease_again(&self, others: &Others<'_>) -> Result<()> {
        for (path, file) in &self.files {
            self.lease(path, file, others)?;
        }
        Ok(())
    }

    /// Checked before the first step: whether the waiting processes are still held back.
    /// Letting them in half way would show them a log that is half repaired, to which a
    /// service appends. Before the first step a writer is not held back: it may know the
    /// files of the log by name already, and would create removed files again.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if a writer waits before the first step, or a process has waited
    /// for so long that the kernel may have let it in.
    pub fn check(&self, directory: &Path) -> Result<()> {
        let mut held = self.held();
        if !held.hold_back() {
            return Err(Error::InUse {
                path: directory.to_path_buf(),
                processes: Vec::new(),
            });
        }
        held.begun = true;
        Ok(())
    }

    /// The same directly before each change to the disk, once the steps have begun.
    ///
    /// # Errors
    ///
    /// `ResourceBusy`; [`Exclusive::explain`] converts it into an error of the engine.
    pub(super) fn check_again(&self) -> io::Result<()> {
        let mut held = self.held();
        if held.begun && !held.hold_back() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        Ok(())
    }

    /// An error of a step, or of a process that may have been let in.
    pub(super) fn explain(&self, directory: &Path, error: Error) -> Error {
        match &error {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => {
                self.check(directory).err().unwrap_or(error)
            }
            _ => error,
        }
    }
}

impl Held {
    /// Whether no process waits that may have been let in.
    fn hold_back(&mut self) -> bool {
        let may_begin = self.begun || self.leases.pending() != Pending::Writer;
        may_begin && self.leases.hold_back(Pending::Reader)
    }
}

/// Opens a file for changing, unless it is one of those that are taken: it would wait for
/// our own lease.
fn open(
    disk: &dyn Disk,
    path: &FilePath,
    taken: &HashMap<Identity, &FilePath>,
) -> Result<(Identity, DiskFile)> {
    let link = path.link_metadata().map_err(Error::io("access", path))?;
    check_kind(path, &link)?;
    if let Some(other) = taken.get(&link.identity()) {
        return Err(Error::SharedFile {
            path: path.to_path_buf(),
            other: other.to_path_buf(),
        });
    }
    let file = disk.open(path).map_err(Error::io("open", path))?;
    let opened = FileStatus::of(file.file()).map_err(Error::io("access", path))?;
    Ok((opened.identity(), file))
}

/// Refuses a file that is not regular, or a symbolic link.
fn check_kind(path: &FilePath, link: &FileStatus) -> Result<()> {
    if link.is_symlink() {
        return Err(Error::SymbolicLink {
            path: path.to_path_buf(),
        });
    }
    if !link.is_file() {
        return Err(Error::not_a_file(path, link.is_dir()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::disk::RealDisk;
    use crate::mend::guarded::Guarded;
    use crate::mend::leases::held_back_for;
    use rustix::fs::{Mode, OFlags};

    /// A file of the log, opened for changing, after the first step.
    fn taken(directory: &Path) -> (PathBuf, Exclusive) {
        let path = directory.join("0.store");
        let others = Others {
            wait: Wait::AtMost(Duration::from_secs(10)),
            assume_unused: false,
            interrupted: &|| false,
        };
        let file = FilePath::of(&path).unwrap();
        drop(RealDisk.create(&file, None).unwrap());
        let exclusive = Exclusive::take(&RealDisk, &[file], &others).unwrap();
        exclusive.begin(directory, &others, || Ok(())).unwrap();
        (path, exclusive)
    }

    /// Each operation on the disk that others would see is refused.
    fn no_operation_is_done(path: &Path, exclusive: &Exclusive) {
        let guarded = Guarded {
            disk: &RealDisk,
            exclusive,
        };
        let (there, file) = (FilePath::of(path).unwrap(), exclusive.file(path).unwrap());
        let free = there.dir().at("free");
        let refused = [
            guarded.create(&free, None).map(drop),
            guarded.link(file, &free),
            guarded.write_at(file, b"x", 0).map(drop),
            guarded.set_len(file, 9),
            guarded.rename(&there, &free),
            guarded.replace(&there, &free),
            guarded.remove(&there),
        ];
        for (number, operation) in refused.into_iter().enumerate() {
            let kind = operation.map_err(|error| error.kind());
            assert_eq!(kind, Err(io::ErrorKind::ResourceBusy), "{number}");
        }
        assert!(there.is_there() && !free.is_there());
    }

    #[test]
    fn who_has_waited_for_long_ends_the_steps() {
        let directory = tempfile::tempdir().unwrap();
        let (path, exclusive) = taken(directory.path());
        if exclusive.held().leases.len() == 0 {
            return; // there are none here
        }
        exclusive.check_again().unwrap();
        // It does not wait, but the kernel notes that it came.
        let comes = rustix::fs::open(&path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty());
        assert!(comes.is_err());
        exclusive.check_again().unwrap();
        let long_ago = Instant::now().checked_sub(held_back_for());
        exclusive.held().leases.nobody_waits = long_ago.unwrap();
        no_operation_is_done(&path, &exclusive);
        let busy = exclusive.check_again().unwrap_err();
        let error = exclusive.explain(directory.path(), Error::io("write", &path)(busy));
        assert!(matches!(error, Error::InUse { .. }), "{error}");
    }
}
