//! A file that takes the name of another. It needs a name before, and none in the log's
//! directory will do, not for a moment: the service makes a segment of every name there.

use std::io::ErrorKind;
use std::path::Path;

use crate::log::disk::{Disk, DiskFile};
use crate::log::error::{Error, Result};

/// Gives `file`, which has no name, that of the file at `path` in the log's `directory`,
/// in one step by way of a name beside that. Where the directory is a mount of its own
/// there is none such, and the other file must go first: a kill in between leaves
/// neither. So that is done only where `is_saved`.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Config`] where the other file would be nowhere for a moment.
pub(super) fn put(
    disk: &dyn Disk,
    directory: &Path,
    file: &DiskFile,
    path: &Path,
    is_saved: bool,
) -> Result<()> {
    let log = directory.canonicalize();
    let log = log.map_err(Error::io("look at", directory))?;
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(".proglog-new");
    let beside = log.parent().unwrap_or(Path::new("/")).join(name);
    // Left by a mending that was killed.
    let _ = disk.remove(&beside);
    match disk.link(file, &beside) {
        Ok(()) => disk.replace(&beside, path),
        Err(error) if error.kind() != ErrorKind::CrossesDevices => Err(error),
        Err(_) if is_saved => {
            let removed = disk.remove(path);
            removed.and_then(|()| disk.link(file, path))
        }
        Err(_) => {
            return Err(Error::Config(format!(
                "{}: cannot be replaced in one step, for the log's directory is a mount of its \
                 own: the old file must be saved first; leave out --no-save (--save-to DIR saves \
                 it wherever there is room)",
                path.display()
            )));
        }
    }
    .map_err(Error::io("put in place", path))
}
