//! Taking a change back from what was saved of it, byte for byte: each place must
//! still hold what the change left there, or already what stood there before, so that
//! an undo that was cut short is simply run again.

mod restore;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::directory::Directory;
use crate::log::disk::{Disk, DiskFile};
use crate::log::error::{Error, Result};
use crate::log::lock::DirectoryLock;
use crate::log::window::{ReadFile, STREAM_BYTES, Window};
use crate::mend::exclusive::{Exclusive, Others};
use crate::mend::runs::fill::UNFINISHED;
use crate::mend::saved::{self, Change, ChangeKind, MANIFEST, Manifest, UNDONE};
pub use restore::into;

/// A saved change of a log.
#[derive(Debug, Clone)]
pub struct SavedChange {
    /// Its directory.
    pub path: PathBuf,
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
    let entries = match std::fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", parent)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list", parent))?.path();
        if let Ok(change) = load(&path) {
            found.push(change);
        }
    }
    // By time, and by number where several fall into one second.
    found.sort_by_key(|change: &SavedChange| {
        let name = change.path.file_name().unwrap_or_default().to_owned();
        (change.manifest.time.clone(), name.len(), name)
    });
    Ok(found)
}

/// One saved change.
///
/// # Errors
///
/// As [`saved::read_manifest`].
pub fn load(path: &Path) -> Result<SavedChange> {
    Ok(SavedChange {
        path: path.to_path_buf(),
        manifest: saved::read_manifest(path)?,
        undone: path.join(UNDONE).exists(),
    })
}

/// Whether a path is a saved directory rather than a log.
#[must_use]
pub fn is_saved(path: &Path) -> bool {
    path.join(MANIFEST).is_file()
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
    let directory = Directory::list(lock.path())?;
    if !directory.segments.is_empty() {
        others.wait_for_writers(&directory)?;
    }
    let paths = changed_files(change, &directory);
    let exclusive = Exclusive::take(&**disk, &paths, others)?;
    let job = Undo {
        change,
        log: lock.path(),
        disk: &**disk,
        exclusive: &exclusive,
    };
    job.check(&directory)?;
    for number in (0..change.manifest.changes.len()).rev() {
        exclusive.check(lock.path())?;
        job.put_back(number)?;
    }
    let mark = change.path.join(UNDONE);
    if !mark.exists() {
        disk.create(&mark, None)
            .map_err(Error::io("create", &mark))?;
        disk.sync_dir(&change.path)
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
fn changed_files(change: &SavedChange, directory: &Directory) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for change in &change.manifest.changes {
        let path = directory.path.join(&change.file);
        let written = !matches!(change.kind, ChangeKind::Move { .. });
        if written && path.exists() && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Bytes that are compared at once.
const COMPARED_BYTES: u64 = 64 * 1024;

/// Bytes that may stand in a file from a position on.
struct Layer {
    position: u64,
    bytes: u64,
    /// Up to here zeros may stand: a cut's zeros are not stored, and a file that is
    /// growing again has them for a moment.
    zeros_to: u64,
    window: Window,
}

impl Layer {
    /// Strikes the bytes from `at` on that are as this layer has them.
    fn explain(&mut self, at: u64, here: &[u8], unexplained: &mut [bool]) -> Result<()> {
        for (place, (byte, flag)) in (at..).zip(here.iter().zip(unexplained.iter_mut())) {
            let unfinished = [0, UNFINISHED].contains(byte);
            if unfinished && place >= self.position && place < self.zeros_to {
                *flag = false;
            }
        }
        let first = at.max(self.position);
        let end = (at + here.len() as u64).min(self.position + self.bytes);
        let Some(count) = end.checked_sub(first).filter(|count| *count > 0) else {
            return Ok(());
        };
        let count = usize::try_from(count).unwrap_or(0);
        let skip = usize::try_from(first - at).unwrap_or(0);
        let bytes = self.window.bytes(first - self.position, count)?;
        let pairs = here.iter().zip(unexplained.iter_mut()).skip(skip);
        for ((byte, flag), expected) in pairs.zip(bytes) {
            *flag &= byte != expected;
        }
        Ok(())
    }
}

/// An undo on its way.
struct Undo<'a> {
    change: &'a SavedChange,
    log: &'a Path,
    disk: &'a dyn Disk,
    exclusive: &'a Exclusive,
}

impl Undo<'_> {
    fn changed(&self, file: &str, why: &str) -> Error {
        Error::CannotAppend {
            path: self.log.to_path_buf(),
            why: format!("{file} {why} since the change; nothing was put back"),
        }
    }

    fn stored(&self, number: usize, extension: &str) -> Result<ReadFile> {
        ReadFile::open(&self.change.path.join(format!("{number}.{extension}")))
    }

    /// A file that is open for changing, as a reader sees it. Opened by name it would
    /// wait for our own lease.
    fn readable(&self, path: &Path) -> Result<ReadFile> {
        let Ok(file) = self.exclusive.file(path) else {
            // A rehearsal holds none.
            return ReadFile::open(path);
        };
        let file = file.file().try_clone().map_err(Error::io("read", path))?;
        ReadFile::of(file, path)
    }

    /// Whether every file is as the change left it, or as it was before it.
    fn check(&self, directory: &Directory) -> Result<()> {
        let manifest = &self.change.manifest;
        let changed = |name: &str| manifest.changes.iter().any(|change| change.file == name);
        for names in &directory.segments {
            for name in [&names.store, &names.index].into_iter().flatten() {
                let name = name.display().to_string();
                let before = manifest.files.iter().find(|file| file.name == name);
                match before {
                    _ if changed(&name) => {}
                    None => return Err(self.changed(&name, "was made")),
                    Some(before) => {
                        let path = directory.path.join(&name);
                        let now = std::fs::metadata(&path).map_err(Error::io("look at", &path))?;
                        if now.len() != before.bytes {
                            return Err(self.changed(&name, "changed its size"));
                        }
                    }
                }
            }
        }
        for file in &manifest.files {
            if !changed(&file.name) && !directory.path.join(&file.name).exists() {
                return Err(self.changed(&file.name, "went away"));
            }
        }
        for (number, change) in manifest.changes.iter().enumerate() {
            self.check_change(number, change)?;
        }
        Ok(())
    }

    fn check_change(&self, number: usize, change: &Change) -> Result<()> {
        let path = self.log.join(&change.file);
        let name = &change.file;
        let place = self.change.path.join(format!("{number}.moved"));
        let size = |path: &Path| std::fs::metadata(path).ok().map(|m| m.len());
        match change.kind {
            ChangeKind::Move { bytes } => {
                match (size(&place), size(&path)) {
                    (Some(there), None) if there == bytes => Ok(()),
                    // Put back by an undo that was cut short.
                    (None, Some(here)) if here == bytes => Ok(()),
                    (Some(_), Some(_)) => Err(self.changed(name, "was made again")),
                    _ => Err(self.changed(name, "or what was saved of it changed")),
                }
            }
            ChangeKind::Replace { bytes, size_after } => match (size(&place), size(&path)) {
                (Some(there), Some(here))
                    if there == bytes && [bytes, size_after].contains(&here) =>
                {
                    Ok(())
                }
                (None, Some(here)) if here == bytes => Ok(()),
                _ => Err(self.changed(name, "or what was saved of it changed")),
            },
            ChangeKind::Create { bytes } => match std::fs::metadata(&path) {
                Ok(metadata) if metadata.len() != bytes => {
                    Err(self.changed(name, "changed its size"))
                }
                _ => Ok(()),
            },
            ChangeKind::Write {
                position, bytes, ..
            } => {
                let file = self.readable(&path)?;
                if file.file_bytes > self.most_bytes(name) {
                    return Err(self.changed(name, "has grown"));
                }
                self.compare(name, &file, position, position + bytes)
            }
            ChangeKind::Cut {
                size_before,
                size_after,
                ..
            } => {
                let file = self.readable(&path)?;
                if file.file_bytes < size_after || file.file_bytes > self.most_bytes(name) {
                    return Err(self.changed(name, "changed its size"));
                }
                self.compare(name, &file, size_after, size_before)
            }
        }
    }

    /// The largest that a file was or became; another of its changes may make it grow.
    fn most_bytes(&self, name: &str) -> u64 {
        let changes = self.change.manifest.changes.iter();
        let sizes = changes
            .filter(|change| change.file == name)
            .map(|change| match change.kind {
                ChangeKind::Write {
                    position,
                    bytes,
                    size_before,
                    ..
                } => size_before.max(position.saturating_add(bytes)),
                ChangeKind::Cut { size_before, .. } => size_before,
                ChangeKind::Create { bytes } | ChangeKind::Move { bytes } => bytes,
                ChangeKind::Replace { bytes, size_after } => bytes.max(size_after),
            });
        sizes.max().unwrap_or(0)
    }

    /// The bytes that may stand in a file, each from a position on: what was there
    /// before, and what the change wrote.
    fn layers(&self, name: &str) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        for (number, change) in self.change.manifest.changes.iter().enumerate() {
            if change.file != name {
                continue;
            }
            let mut add = |extension, position, bytes, zeros_to| -> Result<()> {
                let file = self.stored(number, extension)?;
                layers.push(Layer {
                    position,
                    bytes: file.file_bytes.min(bytes),
                    zeros_to,
                    window: Window::new(file, STREAM_BYTES),
                });
                Ok(())
            };
            match change.kind {
                ChangeKind::Write {
                    position,
                    bytes,
                    before_bytes,
                    ..
                } => {
                    add("before", position, before_bytes, 0)?;
                    // A write that was cut short may leave zeros, as a cut does.
                    add("after", position, bytes, position + bytes)?;
                }
                ChangeKind::Cut {
                    size_before,
                    size_after,
                    stored_bytes,
                } => add("before", size_after, stored_bytes, size_before)?,
                ChangeKind::Create { .. }
                | ChangeKind::Move { .. }
                | ChangeKind::Replace { .. } => {}
            }
        }
        Ok(layers)
    }

    /// The sizes of the cut that the change made to a file, before and after.
    fn cut_of(&self, name: &str) -> Option<(u64, u64)> {
        let changes = self.change.manifest.changes.iter();
        changes
            .filter(|change| change.file == name)
            .find_map(|change| match change.kind {
                ChangeKind::Cut {
                    size_before,
                    size_after,
                    ..
                } => Some((size_before, size_after)),
                _ => None,
            })
    }

    /// Whether each byte from `from` to `to` is one of those that may stand there.
    fn compare(&self, name: &str, file: &ReadFile, from: u64, to: u64) -> Result<()> {
        let end = file.file_bytes.min(to);
        let mut window = Window::new(file.clone(), STREAM_BYTES);
        let mut layers = self.layers(name)?;
        let mut at = from;
        while at < end {
            let count = usize::try_from((end - at).min(COMPARED_BYTES)).unwrap_or(0);
            let here = window.bytes(at, count)?;
            let mut unexplained = vec![true; count];
            for layer in &mut layers {
                layer.explain(at, here, &mut unexplained)?;
            }
            if unexplained.contains(&true) {
                return Err(self.changed(name, "holds other bytes"));
            }
            at += count as u64;
        }
        Ok(())
    }

    fn put_back(&self, number: usize) -> Result<()> {
        let Some(change) = self.change.manifest.changes.get(number) else {
            return Ok(());
        };
        let path = self.log.join(&change.file);
        match change.kind {
            ChangeKind::Move { .. } => {
                let place = self.change.path.join(format!("{number}.moved"));
                if place.exists() {
                    self.disk
                        .rename(&place, &path)
                        .map_err(Error::io("move back", &path))?;
                    self.sync_directories()?;
                }
                Ok(())
            }
            ChangeKind::Replace { bytes, .. } => {
                let place = self.change.path.join(format!("{number}.moved"));
                match self.disk.replace(&place, &path) {
                    Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                        let file = self.exclusive.file(&path)?;
                        self.resize(file, bytes)?;
                        let before = self.stored(number, "moved")?;
                        saved::copy(self.disk, &before, 0, bytes, file, 0)?;
                        return self.sync(file);
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    replaced => replaced.map_err(Error::io("move back", &path))?,
                }
                self.sync_directories()
            }
            ChangeKind::Create { .. } => {
                if path.exists() {
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
                saved::copy(self.disk, &before, 0, before_bytes, file, position)?;
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
                saved::copy(self.disk, &before, 0, stored_bytes, file, size_after)?;
                self.resize(file, size_before)?;
                self.sync(file)
            }
        }
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
        for path in [self.log, &self.change.path] {
            self.disk.sync_dir(path).map_err(Error::io("sync", path))?;
        }
        Ok(())
    }
}
