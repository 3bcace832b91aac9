//! The mark of a change that is complete, in the directory of what it saved.

use std::path::Path;

use crate::log::disk::Disk;
use crate::log::error::{Error, Result};

/// The name that marks a change as complete: what was written to a file later than this
/// mark was not written by the change.
const DONE: &str = "done";

/// Marks the change that is saved in a directory as complete.
///
/// # Errors
///
/// [`Error::Io`].
pub fn mark(disk: &dyn Disk, saved: &Path) -> Result<()> {
    let path = saved.join(DONE);
    let mark = disk
        .create(&path, None)
        .map_err(Error::io("create", &path))?;
    disk.sync_data(&mark).map_err(Error::io("sync", &path))?;
    disk.sync_dir(saved).map_err(Error::io("sync", saved))
}

/// Whether a file was written to after the change was complete.
#[must_use]
pub fn is_written_since(saved: &Path, file: &Path) -> bool {
    let written = |path: &Path| std::fs::metadata(path).and_then(|it| it.modified());
    matches!((written(file), written(&saved.join(DONE))), (Ok(file), Ok(done)) if file > done)
}
