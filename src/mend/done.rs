//! The mark of a change that is complete, in the directory of what it saved. It says how
//! the files that the change made or replaced were then: of these nothing else tells
//! whether somebody has written to them since.

use std::fmt::Write as _;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::log::disk::{Disk, write_all_at};
use crate::log::error::{Error, Result};

/// The name that marks a change as complete.
const DONE: &str = "done";

/// Marks the change that is saved in a directory as complete. `made` are the files that
/// it made or replaced.
///
/// # Errors
///
/// [`Error::Io`].
pub fn mark<'a>(disk: &dyn Disk, saved: &Path, made: impl Iterator<Item = &'a Path>) -> Result<()> {
    let mut lines = String::new();
    for file in made {
        let metadata = std::fs::metadata(file).map_err(Error::io("look at", file))?;
        // Writing to memory does not fail.
        let _ = writeln!(lines, "{} {}", modified(&metadata), name_of(file));
    }
    let path = saved.join(DONE);
    let mark = disk
        .create(&path, None)
        .map_err(Error::io("create", &path))?;
    write_all_at(disk, &mark, lines.as_bytes(), 0).map_err(Error::io("write", &path))?;
    disk.sync_data(&mark).map_err(Error::io("sync", &path))?;
    disk.sync_dir(saved).map_err(Error::io("sync", saved))
}

/// Whether a file that the change made or replaced was written to after the change was
/// complete.
#[must_use]
pub fn is_written_since(saved: &Path, file: &Path) -> bool {
    let done = saved.join(DONE);
    let (Ok(lines), Ok(now)) = (std::fs::read_to_string(&done), std::fs::metadata(file)) else {
        return false;
    };
    let name = name_of(file);
    let mut lines = lines.lines().filter_map(|line| line.split_once(' '));
    match lines.find(|(_, file)| *file == name) {
        // Not "later than": a clock may be set back.
        Some((then, _)) => modified(&now) != then,
        // An older version's mark names no file.
        None => std::fs::metadata(&done).is_ok_and(|done| {
            let time = |it: &Metadata| (it.mtime(), it.mtime_nsec());
            time(&now) > time(&done)
        }),
    }
}

fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.display().to_string()
}

fn modified(metadata: &Metadata) -> String {
    format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec())
}
