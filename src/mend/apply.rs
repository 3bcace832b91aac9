//! Carries out a plan: scan again, save the bytes to be removed, change in an order that
//! a crash may interrupt anywhere, each change durable before the next.

mod save;
mod whole;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::done;
use super::entries;
use super::exclusive::{self, Exclusive, Others};
use super::gather::Gather;
use super::guarded::Guarded;
use super::kept;
use super::named;
use super::plan::{NewEntries, Plan, Step};
use super::runs::assembly::Assembly;
use crate::log::dir::{Dir, FilePath};
use crate::log::directory::Directory;
use crate::log::disk::{Disk, DiskFile, Ownership, write_all_at};
use crate::log::durable::{cut, sync, sync_dir};
use crate::log::error::{Error, Result};
use crate::log::format::{ENTRY_BYTES, Entry, FileKind};
use crate::log::lock::DirectoryLock;
use crate::log::units::Offset;
use crate::log::window::{ReadFile, STREAM_BYTES};

/// The place for removed bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Save {
    /// To a directory beside the log; where none can be made there, to one of the user's
    /// own, unless whole files are moved.
    #[default]
    Beside,
    /// To a directory in this one.
    To(PathBuf),
    /// Nowhere.
    Nowhere,
}

/// How a plan is carried out.
pub struct ApplyOptions<'a> {
    /// The disk.
    pub disk: &'a Arc<dyn Disk>,
    /// The place for removed bytes.
    pub save: Save,
    /// The policy for other processes.
    pub others: Others<'a>,
    /// The command's name, for the manifest.
    pub command: &'a str,
}

/// Carries out `plan` on the log whose directory is locked. Gives the directory in
/// which the bytes were saved that went.
///
/// # Errors
///
/// [`Error::InUse`], [`Error::UseUnknown`]; [`Error::CannotAppend`] if the files are
/// not as the plan saw them; [`Error::Io`]. After an error the log is as the last
/// complete step left it, and the same command completes it.
pub fn apply(
    plan: &Plan,
    lock: &DirectoryLock,
    options: &ApplyOptions<'_>,
) -> Result<Option<PathBuf>> {
    named::clear(&**options.disk, lock.dir());
    if plan.steps.is_empty() {
        return Ok(None);
    }
    let directory = Directory::list_in(lock.dir())?;
    options.others.wait_for_writers(&directory)?;
    check_seen(plan, &directory)?;
    let paths = changed_files(plan, &directory);
    let disk = &**options.disk;
    // Asked before our own leases are in the way.
    let batch_only = kept::cuts_only_a_batch(plan, &directory)?;
    let exclusive = Exclusive::take(disk, &paths, &options.others)?;
    check_seen(plan, &directory)?;
    let guarded = Guarded {
        disk,
        exclusive: &exclusive,
    };
    let job = Job {
        plan,
        directory: &directory,
        disk: &guarded,
        exclusive: &exclusive,
        saves: options.save != Save::Nowhere,
    };
    for step in &plan.steps {
        if let Step::Assemble { from: Some(_), .. } = step {
            let (base, kind) = step.file();
            named::check_replace(disk, &directory.dir, &job.path(base, kind), job.saves)?;
        }
    }
    let (saved, moved) = match job.save(&options.save, options.command) {
        Err(Error::Io { .. }) if batch_only => (None, Vec::new()),
        saved => saved?,
    };
    // The bytes may be in the page cache only: they must not be lost after something was
    // written that relies on them.
    let begin = || {
        for path in &paths {
            sync(disk, exclusive.file(path)?)?;
        }
        let unchanged = || check_seen(plan, &directory);
        exclusive.begin(&directory.path, &options.others, unchanged)?;
        lock.check_path()
    };
    if let Err(error) = begin() {
        // Nothing was changed, so there is nothing to undo.
        if let Some(saved) = saved {
            saved.discard(disk);
        }
        return Err(error);
    }
    for (number, step) in plan.steps.iter().enumerate() {
        let place = moved.iter().find(|(at, _)| *at == number);
        job.carry_out(step, place.map(|(_, place)| place))
            .map_err(|error| exclusive.explain(&directory.path, error))?;
    }
    let Some(saved) = saved else { return Ok(None) };
    let made = job.made();
    done::mark(disk, &saved, made.iter())?;
    Ok(Some(saved.path().to_path_buf()))
}

/// Whether `apply` would begin: no process has the files open, and the bytes to be
/// removed can be saved. Opens nothing for writing.
///
/// # Errors
///
/// As [`apply`] before its first change.
pub fn rehearse(plan: &Plan, log: &Dir, save: &Save, others: &Others<'_>) -> Result<()> {
    let directory = Directory::list_in(log)?;
    if plan.steps.is_empty() {
        return others.wait_for_writers(&directory);
    }
    let in_place = |step: &Step| {
        matches!(
            step,
            Step::WriteEntries { .. }
                | Step::Fill { .. }
                | Step::Cut { .. }
                | Step::Overwrite { .. }
        )
    };
    let changes_names = !plan.steps.iter().all(in_place);
    let files = changed_files(plan, &directory);
    exclusive::rehearse(&directory, &files, changes_names, others)?;
    save::place(plan, log, save).map(drop)
}

/// Writes one byte over a range of a file.
fn overwrite(disk: &dyn Disk, file: &DiskFile, range: &Range<u64>, byte: u8) -> Result<()> {
    let count = |bytes: u64| usize::try_from(bytes).map_or(STREAM_BYTES, |it| it.min(STREAM_BYTES));
    let bytes = vec![byte; count(range.end - range.start)];
    let mut at = range.start;
    while at < range.end {
        let piece = bytes.get(..count(range.end - at)).unwrap_or_default();
        write_all_at(disk, file, piece, at).map_err(Error::io("write", file.path()))?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Whether every file is as the plan saw it.
fn check_seen(plan: &Plan, directory: &Directory) -> Result<()> {
    let changed = |name: &str, why: String| Error::CannotAppend {
        path: directory.path.clone(),
        why: format!("{name} {why} since the plan was made; run the command again"),
    };
    for seen in plan.seen() {
        let path = directory.dir.at(&seen.name);
        let Ok(metadata) = path.metadata() else {
            return Err(changed(&seen.name, "was removed".to_owned()));
        };
        if metadata.len() != seen.bytes || metadata.modified() != seen.modified {
            let now = metadata.len();
            return Err(changed(
                &seen.name,
                format!("changed ({} -> {now} bytes)", seen.bytes),
            ));
        }
    }
    Ok(())
}

/// The files that a plan changes, and those of the first segment. A symbolic link that is
/// moved away is not changed, nor is its target.
fn changed_files(plan: &Plan, directory: &Directory) -> Vec<FilePath> {
    let there = |base, kind| {
        let names = directory.segment(base).filter(|names| names.has(kind))?;
        Some(directory.file(names, kind))
    };
    let is_link = |path: &FilePath| path.link_metadata().is_ok_and(|it| it.is_symlink());
    let changed = plan.steps.iter().flat_map(|step| {
        let (base, kind) = step.file();
        let file = there(base, kind);
        match step {
            Step::MoveAway { .. } => [file.filter(|path| !is_link(path)), None],
            // Entries represent frames: both are made durable first.
            _ => [file, there(base, FileKind::Store)],
        }
    });
    exclusive::files(directory, changed.flatten())
}

/// A plan that is being carried out.
struct Job<'a> {
    plan: &'a Plan,
    directory: &'a Directory,
    disk: &'a dyn Disk,
    exclusive: &'a Exclusive,
    /// Whether the bytes that go are kept elsewhere.
    saves: bool,
}

impl Job<'_> {
    fn path(&self, base: Offset, kind: FileKind) -> FilePath {
        let names = self.directory.segment(base);
        match names {
            Some(names) => self.directory.file(names, kind),
            None => self
                .directory
                .dir
                .at(crate::log::format::file_name(base, kind)),
        }
    }

    fn name(path: &Path) -> String {
        path.file_name()
            .map(|name| name.display().to_string())
            .unwrap_or_default()
    }

    /// The files that are new, or have taken another's name.
    fn made(&self) -> Vec<FilePath> {
        let is_new = |step: &&Step| {
            matches!(
                step,
                Step::CreateEmpty { .. } | Step::BuildIndex { .. } | Step::Assemble { .. }
            )
        };
        let files = self.plan.steps.iter().filter(is_new).map(Step::file);
        files.map(|(base, kind)| self.path(base, kind)).collect()
    }

    /// Makes entries from the store's frames, in pieces.
    fn make_entries(
        &self,
        base: Offset,
        wanted: &NewEntries,
        put: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let store = self.exclusive.readable(&self.path(base, FileKind::Store))?;
        let mut gather = Gather::to(put);
        entries::make(&store, wanted, |entry: Entry| gather.add(&entry.encode()))?;
        gather.finish()
    }

    fn carry_out(&self, step: &Step, place: Option<&FilePath>) -> Result<()> {
        let (base, kind) = step.file();
        let path = self.path(base, kind);
        match step.clone() {
            Step::CreateEmpty { .. } => {
                let file = self
                    .disk
                    .create(&path, self.twin(base, kind))
                    .map_err(Error::io("create", &path))?;
                sync(self.disk, &file)?;
                self.sync_directory()
            }
            Step::BuildIndex { entries, .. } => self.build_index(base, &path, &entries),
            Step::WriteEntries { entries, .. } => {
                let file = self.exclusive.file(&path)?;
                self.write_entries(base, file, entries.first_slot, &entries)?;
                sync(self.disk, file)
            }
            Step::Fill {
                position,
                bytes,
                assembly,
                ..
            } => {
                let file = self.exclusive.file(&path)?;
                if let (FileKind::Store, Some(made)) = (kind, self.plan.assemblies.get(assembly)) {
                    let here = self.here(made)?;
                    let (disk, here) = (self.disk, here.as_ref());
                    return super::runs::fill::store(disk, file, made, here, position, bytes);
                }
                let mut at = position;
                self.stream(assembly, kind, position, bytes, &mut |piece| {
                    write_all_at(self.disk, file, piece, at).map_err(Error::io("write", &path))?;
                    at += piece.len() as u64;
                    Ok(())
                })?;
                sync(self.disk, file)
            }
            Step::Assemble { to, assembly, .. } => self.assemble(base, kind, to, assembly),
            Step::Overwrite { values, byte, .. } => {
                let file = self.exclusive.file(&path)?;
                for value in values.iter() {
                    overwrite(self.disk, file, value, byte)?;
                }
                sync(self.disk, file)
            }
            Step::Cut { to, .. } => {
                let file = self.exclusive.file(&path)?;
                cut(self.disk, file, to)
            }
            Step::MoveAway { .. } => {
                match place {
                    Some(place) => named::move_file(self.disk, &path, place),
                    None => self.disk.remove(&path),
                }
                .map_err(Error::io("move away", &path))?;
                if let Some(parent) = place.map(FilePath::dir) {
                    sync_dir(self.disk, parent)?;
                }
                self.sync_directory()
            }
        }
    }

    fn sync_directory(&self) -> Result<()> {
        sync_dir(self.disk, &self.directory.dir)
    }

    /// Owner and mode for a new file: those of the one that it replaces, of its twin, or
    /// of the first segment.
    fn twin(&self, base: Offset, kind: FileKind) -> Option<Ownership> {
        let twin = match kind {
            FileKind::Store => FileKind::Index,
            FileKind::Index => FileKind::Store,
        };
        let first = self.directory.segments.first();
        let models = [
            Some(self.path(base, kind)),
            Some(self.path(base, twin)),
            first.map(|names| self.directory.file(names, FileKind::Store)),
            first.map(|names| self.directory.file(names, FileKind::Index)),
        ];
        let mut models = models.into_iter().flatten();
        models.find_map(|path| self.exclusive.ownership(&path))
    }

    fn write_entries(
        &self,
        base: Offset,
        file: &DiskFile,
        first_slot: u64,
        wanted: &NewEntries,
    ) -> Result<()> {
        let mut position = first_slot * ENTRY_BYTES;
        self.make_entries(base, wanted, &mut |piece| {
            write_all_at(self.disk, file, piece, position)
                .map_err(Error::io("write", file.path()))?;
            position += piece.len() as u64;
            Ok(())
        })
    }

    /// Bytes of a segment that is put together.
    fn stream(
        &self,
        assembly: usize,
        kind: FileKind,
        position: u64,
        bytes: u64,
        put: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Some(assembly) = self.plan.assemblies.get(assembly) else {
            return Ok(());
        };
        let here = self.here(assembly)?;
        assembly.stream(kind, position, bytes, here.as_ref(), put)
    }

    /// The store of a segment that is put together, if it is there and open.
    fn here(&self, assembly: &Assembly) -> Result<Option<ReadFile>> {
        let path = self.path(assembly.base, FileKind::Store);
        if self.exclusive.file(&path).is_err() {
            return Ok(None);
        }
        // The file that was there when all began, also where another has its name now.
        self.exclusive.readable(&path).map(Some)
    }
}
