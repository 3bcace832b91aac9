//! Saved directories of commands that ended while they saved: nothing was changed, so
//! nothing is undone with them. The next command that saves beside the log removes them.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};

use super::{MANIFEST, SavedDirectory};
use crate::log::dir::{Dir, FilePath};
use crate::log::disk::Disk;

/// A lock on a saved directory while it is filled, if the file system has locks: its
/// manifest is written last.
#[derive(Debug)]
pub(super) struct Filling {
    _locked: Option<File>,
}

impl Filling {
    pub fn begin(dir: &Dir) -> Self {
        let locked = dir.reopen().ok();
        Self {
            _locked: locked.filter(|locked| locked.try_lock().is_ok()),
        }
    }
}

/// Removes what ended commands have left in `parent`, the place beside the log `log`. What
/// is not certain to be of that kind stays.
pub(super) fn remove(disk: &dyn Disk, parent: &Dir, log: &Dir) {
    for name in parent.names().unwrap_or_default() {
        if name.to_str().and_then(number_in).is_some() {
            let _ = remove_one(disk, &parent.at(name), log);
        }
    }
}

fn remove_one(disk: &dyn Disk, at: &FilePath, log: &Dir) -> Option<()> {
    let dir = at.open_dir().ok()?;
    SavedDirectory::of(&dir, log).ok()?;
    let locked = dir.reopen().ok()?;
    match locked.try_lock() {
        Ok(()) | Err(TryLockError::Error(_)) => {}
        // Another log was here under this name, and is being repaired.
        Err(TryLockError::WouldBlock) => return None,
    }
    // Listed under the lock: it may have been completed until then.
    let names = dir.names().ok()?;
    if names.iter().all(|name| is_copy(name)) {
        discard_dir(disk, at, &dir);
    }
    Some(())
}

/// Whether a name is that of a copy of bytes that are still in the log. A manifest makes
/// the directory complete, and a moved file may be the only one.
fn is_copy(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.split_once('.'));
    name.is_some_and(|(number, extension)| {
        number.parse::<usize>().is_ok() && ["before", "after"].contains(&extension)
    })
}

/// Removes a saved directory that is open, the manifest first.
pub(super) fn discard_dir(disk: &dyn Disk, at: &FilePath, dir: &Dir) {
    empty(disk, dir);
    let _ = disk.remove_dir(at);
}

fn empty(disk: &dyn Disk, saved: &Dir) {
    let mut names = saved.names().unwrap_or_default();
    names.sort_by_key(|name| name != MANIFEST);
    // A directory that cannot be removed is not a change either: it lacks its manifest.
    for name in names {
        let _ = disk.remove(&saved.at(name));
    }
}

/// The number in the name of a saved directory, which an older version's lacks.
pub(super) fn number_in(name: &str) -> Option<u64> {
    let (number, time) = name.split_once('-')?;
    let numbered = time.ends_with('Z') && number.bytes().all(|byte| byte.is_ascii_digit());
    numbered.then(|| number.parse().ok()).flatten()
}
