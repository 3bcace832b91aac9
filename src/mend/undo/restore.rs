//! The log as it was before a change, written elsewhere from the present log and the
//! saved data. The log itself is not changed: that is `undo`.

use std::path::Path;

use super::{SavedChange, followed};
use crate::log::create::{create_above, create_directory_like};
use crate::log::dir::{Dir, FilePath};
use crate::log::directory::Directory;
use crate::log::disk::{Disk, Ownership};
use crate::log::durable::sync_dir;
use crate::log::error::{Error, Result};
use crate::log::lock::check_path;
use crate::log::window::ReadFile;
use crate::mend::copying::copy;
use crate::mend::saved::{ChangeKind, SavedDirectory};

/// Writes the log as it was before `change` into a new directory; the log itself is
/// only read, and may have grown since.
///
/// # Errors
///
/// [`Error::NotEmpty`] if something is in `target`, [`Error::CannotAppend`] if a file
/// lacks bytes that it had, [`Error::Moved`] if the new directory was moved meanwhile,
/// [`Error::Io`].
pub fn into(change: &SavedChange, log: &Path, target: &Path, disk: &dyn Disk) -> Result<()> {
    let log = &Dir::open(log).map_err(Error::io("open", log))?;
    let saved = change.open(log)?;
    let like = Ownership::of(log).map_err(Error::io("access", log.path()))?;
    let target = create_above(disk, target)?;
    let target = &create_directory_like(disk, &target, like)?;
    let there = Directory::list_in(target)?;
    if let Some(name) = there.first_name() {
        return Err(Error::NotEmpty {
            path: target.path().to_path_buf(),
            name,
        });
    }
    for file in &change.manifest.files {
        let number = change
            .manifest
            .changes
            .iter()
            .position(|c| c.file == file.name && is_kept_whole(c.kind));
        let moved = number.map(|number| change.dir.at(format!("{number}.moved")));
        let source = match moved.filter(FilePath::is_taken) {
            Some(moved) => open_moved(&saved, moved, log)?,
            None => ReadFile::open(&log.at(&file.name))?,
        };
        restore_into(
            (change, &saved),
            &file.name,
            file.bytes,
            &source,
            target,
            disk,
        )?;
    }
    sync_dir(disk, target)?;
    check_path(target)
}

/// A file that was moved away. A link that was is followed as when it was read in the log.
fn open_moved(saved: &SavedDirectory, moved: FilePath, log: &Dir) -> Result<ReadFile> {
    let name = moved.name().map_err(Error::io("open", &moved))?;
    let name = name.display().to_string();
    if moved.link_target().is_err() {
        return saved.moved(&name);
    }
    saved.check_moved(&name, true)?;
    ReadFile::open(&followed(log, moved))
}

/// Whether the file as it was is in the saved directory.
fn is_kept_whole(kind: ChangeKind) -> bool {
    matches!(kind, ChangeKind::Move { .. } | ChangeKind::Replace { .. })
}

fn restore_into(
    (change, saved): (&SavedChange, &SavedDirectory),
    name: &str,
    size_before: u64,
    source: &ReadFile,
    target: &Dir,
    disk: &dyn Disk,
) -> Result<()> {
    let like = Ownership::of(source.file()).map_err(Error::io("access", source.path()))?;
    let path = target.at(name);
    let file = disk
        .create(&path, Some(like))
        .map_err(Error::io("create", &path))?;
    let mut kept = size_before;
    for change in change.manifest.changes.iter().filter(|c| c.file == name) {
        if let ChangeKind::Cut { size_after, .. } = change.kind {
            kept = kept.min(size_after);
        }
    }
    if source.file_bytes < kept {
        return Err(Error::CannotAppend {
            path: source.path().to_path_buf(),
            why: format!("has {} bytes and had {kept}", source.file_bytes),
        });
    }
    copy(disk, source, 0, kept, &file, 0)?;
    for (number, one) in change.manifest.changes.iter().enumerate() {
        if one.file != name {
            continue;
        }
        let stored = || saved.file(&format!("{number}.before"));
        match one.kind {
            ChangeKind::Write {
                position,
                before_bytes,
                ..
            } => copy(disk, &stored()?, 0, before_bytes, &file, position)?,
            ChangeKind::Cut {
                size_after,
                stored_bytes,
                ..
            } => copy(disk, &stored()?, 0, stored_bytes, &file, size_after)?,
            ChangeKind::Create { .. } | ChangeKind::Move { .. } | ChangeKind::Replace { .. } => {}
        }
    }
    disk.set_len(&file, size_before)
        .and_then(|()| disk.sync_data(&file))
        .map_err(Error::io("write", &path))
}
