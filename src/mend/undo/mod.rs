//! Undoes a change from its saved data, byte for byte: each place must still hold the
//! bytes that the change left there, or already the previous ones, so that an interrupted
//! undo is simply run again.

mod check;
pub mod prune;
mod restore;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::dir::{Dir, FilePath, is_taken};
use crate::log::directory::Directory;
use crate::log::disk::{Disk, DiskFile, Ownership};
use crate::log::durable::{sync, sync_dir};
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::lock::DirectoryLock;
use crate::log::window::ReadFile;
use crate::mend::copying::copy;
use crate::mend::exclusive::{self, Exclusive, Others};
use crate::mend::guarded::Guarded;
use crate::mend::named::{self, Unnamed};
use crate::mend::saved::{self, ChangeKind, MANIFEST, Manifest, SavedDirectory, UNDONE};
pub use restore::into;

/// A saved change of a log.
#[derive(Debug, Clone)]
pub struct SavedChange {
    /// The saved directory.
    pub path: PathBuf,
    /// The directory itself: its files are opened through it.
    pub dir: Dir,
    /// The content of its manifest.
    pub manifest: Manifest,
    /// Whether it has been undone.
    pub undone: bool,
}

/// The places of saved changes in a directory, in the order in which they were made. What
/// is there may be none, and another user's.
///
/// # Errors
///
/// [`Error::Io`].
pub fn places(parent: &Dir) -> Result<Vec<FilePath>> {
    let names = parent.names().map_err(Error::io("list", parent.path()))?;
    // We give no other names.
    let mut names: Vec<String> = names.into_iter().flat_map(OsString::into_string).collect();
    names.sort_by(|one, other| saved::order_of(one).cmp(&saved::order_of(other)));
    Ok(names.into_iter().map(|name| parent.at(name)).collect())
}

/// The saved changes in a directory, the newest last. What has no complete manifest was
/// interrupted before it changed anything, and is left out.
///
/// # Errors
///
/// As [`places`]; a directory that is not there holds none.
pub fn list(parent: &Path) -> Result<Vec<SavedChange>> {
    let parent = match Dir::open(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(Error::io("list", parent))?,
    };
    let loaded = |at: FilePath| load_in(at.open_dir().ok()?).ok().flatten();
    Ok(places(&parent)?.into_iter().filter_map(loaded).collect())
}

/// The change that is saved in a directory, if it is one of the log in the directory `log`.
/// A log that was moved is not another one: nothing is left where it was.
///
/// # Errors
///
/// [`Error::Untrusted`] if another user can have made it, [`Error::Config`] for what we
/// do not write, [`Error::Io`].
pub fn load_of(at: &FilePath, log: &Dir) -> Result<Option<SavedChange>> {
    if !at.link_metadata().is_ok_and(|it| it.is_dir()) {
        return Ok(None);
    }
    let dir = at.open_dir().map_err(Error::io("open", at))?;
    // Ended before it changed anything.
    let manifest = dir.at(MANIFEST).link_metadata();
    if manifest.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(None);
    }
    // The path in a manifest of another user is never resolved: it could lead to a mount
    // of his that does not answer.
    let saved = SavedDirectory::of(&dir, log)?;
    let change = saved.manifest()?.map(|manifest| change_in(dir, manifest));
    Ok(change.filter(|change| change.names(log) || !is_taken(&change.manifest.log)))
}

/// One saved change.
///
/// # Errors
///
/// As [`saved::read_manifest`]; [`Error::Config`] for one that was interrupted.
pub fn load(path: &Path) -> Result<SavedChange> {
    let dir = FilePath::of(path).and_then(|at| at.open_dir());
    let change = load_in(dir.map_err(Error::io("open", path))?)?;
    change.ok_or_else(|| {
        let path = path.display();
        Error::Config(format!(
            "{path}: it was interrupted before anything was changed"
        ))
    })
}

fn load_in(dir: Dir) -> Result<Option<SavedChange>> {
    let manifest = saved::read_manifest(&dir)?;
    Ok(manifest.map(|manifest| change_in(dir, manifest)))
}

fn change_in(dir: Dir, manifest: Manifest) -> SavedChange {
    SavedChange {
        path: dir.path().to_path_buf(),
        manifest,
        undone: dir.at(UNDONE).is_taken(),
        dir,
    }
}

impl SavedChange {
    /// Whether the path in its manifest leads to the log in the directory `log`.
    fn names(&self, log: &Dir) -> bool {
        let of = Dir::open(&self.manifest.log).map(|it| it.identity());
        of.is_ok_and(|of| of == log.identity())
    }

    /// The saved directory, if it may belong to the log in the directory `log`, and still
    /// has the content that was shown.
    fn open(&self, log: &Dir) -> Result<SavedDirectory> {
        let saved = SavedDirectory::of(&self.dir, log)?;
        if saved.manifest()?.as_ref() == Some(&self.manifest) {
            return Ok(saved);
        }
        Err(Error::Untrusted {
            path: self.path.clone(),
            why: "changed while it was read".to_owned(),
        })
    }
}

/// The place to search for a file that was moved to `place`: a symbolic link is followed
/// as if it were still in the log.
fn followed(log: &Dir, place: FilePath) -> FilePath {
    let target = place.link_target().ok();
    let target = target.and_then(|target| FilePath::of(&log.path().join(target)).ok());
    target.unwrap_or(place)
}

/// Whether a path is a saved directory rather than a log. In a log's directory a manifest
/// is a stray file.
#[must_use]
pub fn is_saved(path: &Path) -> bool {
    Dir::open(path).is_ok_and(|it| {
        let is_log = Directory::list_in(&it).is_ok_and(|names| !names.segments.is_empty());
        it.at(MANIFEST).is_file() && !is_log
    })
}

/// Restores what `change` removed.
///
/// # Errors
///
/// [`Error::CannotAppend`] if the log has changed since, [`Error::InUse`], [`Error::Io`].
/// Run again, it completes an interrupted undo.
pub fn undo(
    change: &SavedChange,
    lock: &DirectoryLock,
    disk: &Arc<dyn Disk>,
    others: &Others<'_>,
) -> Result<()> {
    let saved = change.open(lock.dir())?;
    let directory = Directory::list_in(lock.dir())?;
    others.wait_for_writers(&directory)?;
    let paths = changed_files(change, &directory);
    let exclusive = Exclusive::take(&**disk, &paths, others)?;
    let guarded = Guarded {
        disk: &**disk,
        exclusive: &exclusive,
    };
    let job = Undo {
        change,
        saved: &saved,
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
    if !change.dir.at(UNDONE).is_taken() {
        saved.create(&**disk, UNDONE)?;
        sync_dir(&**disk, &change.dir)?;
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
    let saved = change.open(log)?;
    let in_place =
        |kind: &ChangeKind| matches!(kind, ChangeKind::Write { .. } | ChangeKind::Cut { .. });
    let changes_names = !change.manifest.changes.iter().all(|it| in_place(&it.kind));
    let files = changed_files(change, &directory);
    exclusive::rehearse(&directory, &files, changes_names, others)?;
    let job = Undo {
        change,
        saved: &saved,
        log,
        disk: &**disk,
        exclusive: &Exclusive::default(),
    };
    job.check(&directory)
}

/// The files that are there and will be written to, and those of the first segment.
fn changed_files(change: &SavedChange, directory: &Directory) -> Vec<FilePath> {
    let changes = change.manifest.changes.iter();
    let written = changes.filter(|change| !matches!(change.kind, ChangeKind::Move { .. }));
    let there = written.map(|change| directory.dir.at(&change.file));
    exclusive::files(directory, there.filter(FilePath::is_there))
}

/// An undo that is being carried out.
struct Undo<'a> {
    change: &'a SavedChange,
    saved: &'a SavedDirectory,
    log: &'a Dir,
    disk: &'a dyn Disk,
    exclusive: &'a Exclusive,
}

impl Undo<'_> {
    fn changed(&self, file: &str, why: &str) -> Error {
        Error::CannotAppend {
            path: self.log.path().to_path_buf(),
            why: format!("{file} {why} since the change; nothing was restored"),
        }
    }

    /// Bytes that were saved: as many as the manifest says.
    fn stored(&self, number: usize, extension: &str, bytes: u64) -> Result<ReadFile> {
        let file = self.saved.file(&format!("{number}.{extension}"))?;
        if file.file_bytes == bytes {
            return Ok(file);
        }
        Err(Error::Untrusted {
            path: file.path().to_path_buf(),
            why: format!("has {} bytes, and {bytes} were saved", file.file_bytes),
        })
    }

    /// A file as a reader sees it.
    fn readable(&self, path: &FilePath) -> Result<ReadFile> {
        match self.exclusive.readable(path) {
            // A rehearsal holds none.
            Err(Error::Missing { .. }) => ReadFile::open(path),
            held => held,
        }
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
                        let before = self.saved.moved(&format!("{number}.moved"))?;
                        let Ok(file) = self.exclusive.file(&path) else {
                            return self.make_again(&path, &before);
                        };
                        self.resize(file, bytes)?;
                        copy(self.disk, &before, 0, bytes, file, 0)?;
                        return sync(self.disk, file);
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
                let before = self.stored(number, "before", before_bytes)?;
                let file = self.exclusive.file(&path)?;
                copy(self.disk, &before, 0, before_bytes, file, position)?;
                if self.cut_of(&change.file).is_none() {
                    self.resize(file, size_before)?;
                }
                sync(self.disk, file)
            }
            ChangeKind::Cut {
                size_before,
                size_after,
                stored_bytes,
            } => {
                let before = self.stored(number, "before", stored_bytes)?;
                let file = self.exclusive.file(&path)?;
                copy(self.disk, &before, 0, stored_bytes, file, size_after)?;
                self.resize(file, size_before)?;
                sync(self.disk, file)
            }
        }
    }

    /// A file that is missing, with the owner and mode of its twin: complete or not at all.
    fn make_again(&self, path: &FilePath, before: &ReadFile) -> Result<()> {
        let twins =
            [FileKind::Store, FileKind::Index].map(|kind| path.with_extension(kind.extension()));
        let twin = twins.iter().find_map(|twin| self.exclusive.ownership(twin));
        // The copy that was saved has its owner at least.
        let like = twin.or_else(|| Ownership::of(before.file()).ok());
        let made = Unnamed::create(self.disk, self.log, path, like.as_ref())?;
        copy(self.disk, before, 0, before.file_bytes, made.file(), 0)?;
        sync(self.disk, made.file())?;
        made.name(path)?;
        self.sync_directories()
    }

    fn resize(&self, file: &DiskFile, bytes: u64) -> Result<()> {
        let path = file.path();
        let now = file.file().metadata().map_err(Error::io("access", path))?;
        if now.len() == bytes {
            return Ok(());
        }
        self.disk
            .set_len(file, bytes)
            .map_err(Error::io("resize", path))
    }

    fn sync_directories(&self) -> Result<()> {
        for dir in [self.log, &self.change.dir] {
            sync_dir(self.disk, dir)?;
        }
        Ok(())
    }
}
