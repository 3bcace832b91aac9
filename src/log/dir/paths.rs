//! Questions about paths before their directories are opened.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Dir;

/// Opens the directory at `path`, or the nearest one above it that is there.
///
/// # Errors
///
/// The operating system's.
pub fn nearest(path: &Path) -> io::Result<Dir> {
    match Dir::in_front(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match path.parent() {
            Some(above) => nearest(above),
            None => Err(error),
        },
        opened => opened,
    }
}

/// The directory in front of a name that has none.
pub(super) fn or_here(parent: &Path) -> &Path {
    if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    }
}

/// The target of a path, whose last component may not exist yet.
///
/// # Errors
///
/// The operating system's.
pub fn real_place(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut existing = absolute.as_path();
    let mut missing = Vec::new();
    while existing.symlink_metadata().is_err() {
        let Some(above) = existing.parent() else {
            break;
        };
        missing.push(existing.file_name().unwrap_or_default().to_owned());
        existing = above;
    }
    let mut real = existing.canonicalize()?;
    real.extend(missing.into_iter().rev());
    Ok(real)
}

/// Whether something has the name at the end of a path, be it a link to nothing.
#[must_use]
pub fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
