//! Removes saved changes, which cannot be undone then, and what interrupted commands have
//! left beside them.

use std::time::SystemTime;

use super::SavedChange;
use crate::log::dir::{Dir, FilePath};
use crate::log::disk::Disk;
use crate::log::durable::sync_dir;
use crate::log::error::{Error, Result};
use crate::log::lock::DirectoryLock;
use crate::mend::done::DONE;
use crate::mend::saved::remains::{self, Remains, unless_filled};
use crate::mend::saved::{MANIFEST, SavedDirectory, UNDONE};

/// The bytes of the files in a saved directory that removing it frees: those of a file
/// with another name stay.
fn freed_bytes(dir: &Dir) -> Result<u64> {
    let names = dir.names().map_err(Error::io("list", dir.path()))?;
    let files = names.iter().flat_map(|name| dir.at(name).link_metadata());
    Ok(files
        .filter(|file| file.links() < 2)
        .map(|file| file.data_bytes())
        .sum())
}

impl SavedChange {
    /// When it was made, if its manifest says so.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.manifest.time).ok()
    }

    /// Whether it was certainly made by a change of the log in the directory `log`, and not
    /// of another one that is gone.
    #[must_use]
    pub fn is_of(&self, log: &Dir) -> bool {
        self.names(log) || self.manifest.inode == log.identity().inode
    }

    /// Number of bytes that [`SavedChange::remove`] frees.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn freed_bytes(&self) -> Result<u64> {
        freed_bytes(&self.dir)
    }

    /// Removes it, the copies first, and the notes that it is done or undone after the
    /// manifest: after an interruption it is still listed, and removing it again completes
    /// that, or it is one of the [`Leftovers`].
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if another process fills it, [`Error::Untrusted`], [`Error::Io`].
    pub fn remove(&self, at: &FilePath, lock: &DirectoryLock, disk: &dyn Disk) -> Result<()> {
        SavedDirectory::of(&self.dir, lock.dir())?;
        let _locked = unless_filled(&self.dir).ok_or_else(|| Error::InUse {
            path: self.path.clone(),
            processes: DirectoryLock::holder(&self.dir).into_iter().collect(),
        })?;
        let mut names = self.dir.names().map_err(Error::io("list", &self.path))?;
        let last = [MANIFEST, DONE, UNDONE];
        names.sort_by_key(|name| last.iter().position(|it| name == it));
        for name in names {
            if name == MANIFEST {
                sync_dir(disk, &self.dir)?;
            }
            let file = self.dir.at(&name);
            disk.remove(&file).map_err(Error::io("remove", &file))?;
        }
        disk.remove_dir(at).map_err(Error::io("remove", at))?;
        sync_dir(disk, at.dir())
    }
}

/// What commands that were interrupted have left in `parent`, the place beside the log.
/// Nothing was changed by them.
pub struct Leftovers(Vec<Remains>);

impl Leftovers {
    /// Those of the log in the directory `log`.
    #[must_use]
    pub fn of(parent: &Dir, log: &Dir) -> Self {
        Self(remains::find(parent, log))
    }

    /// Number of bytes that [`Leftovers::remove`] frees.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn freed_bytes(&self) -> Result<u64> {
        self.0.iter().map(|left| freed_bytes(&left.dir)).sum()
    }

    /// Number of directories.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Removes them.
    pub fn remove(&self, disk: &dyn Disk, _lock: &DirectoryLock) {
        for left in &self.0 {
            left.remove(disk);
        }
    }
}
