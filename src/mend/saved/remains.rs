//! Saved directories of commands that ended while they saved: nothing was changed, so
//! nothing is undone with them. The next command that saves beside the log removes them.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};

use super::{MANIFEST, SavedDirectory, UNDONE};
use crate::log::dir::{Dir, FilePath};
use crate::log::disk::Disk;
use crate::mend::done::DONE;

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

/// What ended commands have left in `parent`, the place beside the log `log`. What is not
/// certain to be of that kind is not in it.
pub(in crate::mend) fn find(parent: &Dir, log: &Dir) -> Vec<Remains> {
    let names = parent.names().unwrap_or_default().into_iter();
    let numbered = names.filter(|name| name.to_str().and_then(number_in).is_some());
    numbered
        .filter_map(|name| Remains::at(parent.at(name), log))
        .collect()
}

/// What an ended command left, which no other process fills or removes meanwhile.
pub(in crate::mend) struct Remains {
    at: FilePath,
    pub dir: Dir,
    _locked: File,
}

impl Remains {
    fn at(at: FilePath, log: &Dir) -> Option<Self> {
        let dir = at.open_dir().ok()?;
        SavedDirectory::of(&dir, log).ok()?;
        let locked = unless_filled(&dir)?;
        // Listed under the lock: it may have been completed until then.
        let names = dir.names().ok()?;
        names.iter().all(|name| is_copy(name)).then_some(Self {
            at,
            dir,
            _locked: locked,
        })
    }

    pub fn remove(&self, disk: &dyn Disk) {
        discard_dir(disk, &self.at, &self.dir);
    }
}

/// Keeps a saved directory from being filled, unless a process fills it: another log was
/// here under this name, and is being repaired.
pub(in crate::mend) fn unless_filled(dir: &Dir) -> Option<File> {
    let locked = dir.reopen().ok()?;
    match locked.try_lock() {
        Ok(()) | Err(TryLockError::Error(_)) => Some(locked),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Whether a name is that of a copy of bytes that are still in the log, or of a note about a
/// manifest, which was pruned. A manifest makes the directory complete, and a moved file may
/// be the only one.
fn is_copy(name: &OsStr) -> bool {
    if [DONE, UNDONE].iter().any(|note| name == *note) {
        return true;
    }
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
