//! Taking a change back from what was saved of it, byte for byte: each place must
//! still hold what the change left there, or already what stood there before, so that
//! an undo that was cut short is simply run again.

mod check;
mod restore;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::dir::{Dir, FilePath};
use crate::log::directory::Directory;
use crate::log::disk::{Disk, DiskFile, Ownership};
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::lock::DirectoryLock;
use crate::log::window::ReadFile;
use crate::mend::copying::copy;
use crate::mend::exclusive::{Exclusive, Others};
use crate::mend::guarded::Guarded;
use crate::mend::named::{self, Unnamed};
use crate::mend::saved::{self, ChangeKind, MANIFEST, Manifest, UNDONE};
pub use restore::into;

/// A saved change of a log.
#[derive(Debug, Clone)]
pub struct SavedChange {
    /// Where it is.
    pub path: PathBuf,
    /// The directory itself: its files are opened through it.
    pub dir: Dir,
    /// What its manifest says.
    pub manifest: Manifest,
    /// Whether it has been taken back.
    pub undone: bool,
}

/// The saved changes in a directory, the newest last. What has no whole manifest was
/// cut short before it changed anything, and is left out.
///
/// # Errors
///
/// [`Error::Io`]; a directory that is not there holds none.
pub fn list(parent: &Path) -> Result<Vec<SavedChange>> {
    let listed = Dir::open(parent).and_then(|parent| Ok((parent.names()?, parent)));
    let (names, parent) = match listed {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", parent)(error)),
    };
    let mut found = Vec::new();
    for name in names {
        if let Ok(dir) = parent.at(name).open_dir()
            && let Ok(change) = load_in(dir)
        {
            found.push(change);
        }
    }
    // By number; an older version's by time, and where several fall into one second by
    // the number in the name.
    found.sort_by_key(|change: &SavedChange| {
        let name = change.path.file_name().unwrap_or_default().to_owned();
        let manifest = &change.manifest;
        (manifest.number, manifest.time.clone(), name.len(), name)
    });
    Ok(found)
}

/// The same, without the changes of other logs. A log that was moved is not another one:
/// nothing is left where it was.
///
/// # Errors
///
/// As [`list`].
pub fn list_of(parent: &Path, log: &Path) -> Result<Vec<SavedChange>> {
    let identity = |path: &Path| Dir::open(path).map(|it| it.identity()).ok();
    let this = identity(log);
    let mut found = list(parent)?;
    found.retain(|change| {
        let of = identity(&change.manifest.log);
        of.is_none() || of == this
    });
    Ok(found)
}

/// One saved change.
///
/// # Errors
///
/// As [`saved::read_manifest`].
pub fn load(path: &Path) -> Result<SavedChange> {
    load_in(Dir::open(path).map_err(Error::io("open", path))?)
}

fn load_in(dir: Dir) -> Result<SavedChange> {
    Ok(SavedChange {
        path: dir.path().to_path_buf(),
        manifest: saved::read_manifest(&dir)?,
        undone: dir.at(UNDONE).is_taken(),
        dir,
    })
}

/// Where to look for a file that was moved to `place`: a symbolic link is followed as if
/// it stood in the log still.
fn followed(log: &Dir, place: FilePath) -> FilePath {
    let target = place.link_target().ok();
    let target = target.and_then(|target| FilePath::of(&log.path().join(target)).ok());
    target.unwrap_or(place)
}

/// Whether a path is a saved directory rather than a log.
#[must_use]
pub fn is_saved(path: &Path) -> bool {
    Dir::open(path).is_ok_and(|it| it.at(MANIFEST).is_file())
}

/// Puts back what `change` took away.
///
/// # Errors
///
/// [`Error::CannotAppend`] if the log has changed since, [`Error::InUse`],
/// [`Error::Io`]. Run again, it completes what was cut short.
pub fn undo(
    change: &SavedChange,
    lock: &DirectoryLock,
    disk: &Arc<dyn Disk>,
    others: &Others<'_>,
) -> Result<()> {
    let directory = Directory::list_in(lock.dir())?;
    if !directory.segments.is_empty() {
        others.wait_for_writers(&directory)?;
    }
    let paths = changed_files(change, &directory);
    let exclusive = Exclusive::take(&**disk, &paths, others)?;
    let guarded = Guarded {
        disk: &**disk,
        exclusive: &exclusive,
    };
    let job = Undo {
        change,
        log: lock.dir(),
        disk: &guarded,
        exclusive: &exclusive,
    };
    job.check(&directory)?;
    exclusive.begin(lock.path(), others, || job.check(&directory))?;
    lock.check_path()?;
    for number in (0..change.manifest.changes.len()).rev() {
        job.put_back(number)
            .map_err(|error| exclusive.explain(lock.path(), error))?;
    }
    let mark = change.dir.at(UNDONE);
    if !mark.is_there() {
        disk.create(&mark, None)
            .map_err(Error::io("create", &mark))?;
        disk.sync_dir(&change.dir)
            .map_err(Error::io("sync", &change.path))?;
    }
    Ok(())
}

/// Whether [`undo`] would put everything back. Opens nothing for writing.
///
/// # Errors
///
/// As [`undo`] before its first change.
pub fn rehearse(
    change: &SavedChange,
    log: &Path,
    disk: &Arc<dyn Disk>,
    others: &Others<'_>,
) -> Result<()> {
    let directory = Directory::list(log)?;
    let log = &directory.dir;
    if !directory.segments.is_empty() {
        others.wait_for_writers(&directory)?;
    }
    others.wait_for_anybody(&changed_files(change, &directory))?;
    let job = Undo {
        change,
        log,
        disk: &**disk,
        exclusive: &Exclusive::default(),
    };
    job.check(&directory)
}

/// The files that are there and will be written to.
fn changed_files(change: &SavedChange, directory: &Directory) -> Vec<FilePath> {
    let mut paths: Vec<FilePath> = Vec::new();
    for change in &change.manifest.changes {
        let path = directory.dir.at(&change.file);
        let written = !matches!(change.kind, ChangeKind::Move { .. });
        if written && path.is_there() && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// An undo on its way.
struct Undo<'a> {
    change: &'a SavedChange,
    log: &'a Dir,
    disk: &'a dyn Disk,
    exclusive: &'a Exclusive,
}

impl Undo<'_> {
    fn changed(&self, file: &str, why: &str) -> Error {
        Error::CannotAppend {
            path: self.log.path().to_path_buf(),
            why: format!("{file} {why} since the change; nothing was put back"),
        }
    }

    fn stored(&self, number: usize, extension: &str) -> Result<ReadFile> {
        ReadFile::open_own(&self.change.dir.at(format!("{number}.{extension}")))
    }

    /// A file that is open for changing, as a reader sees it. Opened by name it would
    /// wait for our own lease.
    fn readable(&self, path: &FilePath) -> Result<ReadFile> {
        let Ok(file) = self.exclusive.file(path) else {
            // A rehearsal holds none.
            return ReadFile::open(path);
        };
        let file = file.file().try_clone().map_err(Error::io("read", path))?;
        ReadFile::of(file, path)
    }

    fn put_back(&self, number: usize) -> Result<()> {
        let Some(change) = self.change.manifest.changes.get(number) else {
            return Ok(());
        };
        let path = self.log.at(&change.file);
        match change.kind {
            ChangeKind::Move { .. } => {
                let place = self.change.dir.at(format!("{number}.moved"));
                if place.is_taken() {
                    let moved = named::move_file(self.disk, &place, &path);
                    moved.map_err(Error::io("move back", &path))?;
                    self.sync_directories()?;
                }
                Ok(())
            }
            ChangeKind::Replace { bytes, .. } => {
                let place = self.change.dir.at(format!("{number}.moved"));
                match self.disk.replace(&place, &path) {
                    Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                        let before = self.stored(number, "moved")?;
                        let Ok(file) = self.exclusive.file(&path) else {
                            return self.make_again(&path, &before);
                        };
                        self.resize(file, bytes)?;
                        copy(self.disk, &before, 0, bytes, file, 0)?;
                        return self.sync(file);
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    replaced => replaced.map_err(Error::io("move back", &path))?,
                }
                self.sync_directories()
            }
            ChangeKind::Create { .. } => {
                if path.is_there() {
                    self.disk
                        .remove(&path)
                        .map_err(Error::io("remove", &path))?;
                    self.sync_directories()?;
                }
                Ok(())
            }
            ChangeKind::Write {
                position,
                before_bytes,
                size_before,
                ..
            } => {
                let before = self.stored(number, "before")?;
                let file = self.exclusive.file(&path)?;
                copy(self.disk, &before, 0, before_bytes, file, position)?;
                if self.cut_of(&change.file).is_none() {
                    self.resize(file, size_before)?;
                }
                self.sync(file)
            }
            ChangeKind::Cut {
                size_before,
                size_after,
                stored_bytes,
            } => {
                let before = self.stored(number, "before")?;
                let file = self.exclusive.file(&path)?;
                copy(self.disk, &before, 0, stored_bytes, file, size_after)?;
                self.resize(file, size_before)?;
                self.sync(file)
            }
        }
    }

    /// A file that is missing, with the owner and mode of its twin: whole or not at all.
    fn make_again(&self, path: &FilePath, before: &ReadFile) -> Result<()> {
        let twins =
            [FileKind::Store, FileKind::Index].map(|kind| path.with_extension(kind.extension()));
        let twin = twins.iter().find_map(|twin| twin.metadata().ok());
        let like = twin.map(Ownership::from);
        let made = Unnamed::create(self.disk, self.log, path, like)?;
        copy(self.disk, before, 0, before.file_bytes, made.file(), 0)?;
        self.sync(made.file())?;
        made.name(path)?;
        self.sync_directories()
    }

    fn resize(&self, file: &DiskFile, bytes: u64) -> Result<()> {
        let path = file.path();
        let now = file.file().metadata().map_err(Error::io("look at", path))?;
        if now.len() == bytes {
            return Ok(());
        }
        self.disk
            .set_len(file, bytes)
            .map_err(Error::io("resize", path))
    }

    fn sync(&self, file: &DiskFile) -> Result<()> {
        self.disk
            .sync_data(file)
            .map_err(Error::io("sync", file.path()))
    }

    fn sync_directories(&self) -> Result<()> {
        for dir in [self.log, &self.change.dir] {
            let synced = self.disk.sync_dir(dir);
            synced.map_err(Error::io("sync", dir.path()))?;
        }
        Ok(())
    }
}
