//! Where saved directories stand, and how they are named.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::trust::check_parent;
use super::{MANIFEST, PRIVATE};
use crate::log::create::create_directories;
use crate::log::disk::{Disk, DiskFile, Ownership, random_name};
use crate::log::error::{Error, Result};
use crate::mend::named::{in_one_mount, may_write};

/// Permission bits of what holds saved bytes: they may be secret.
const MODE: u32 = 0o700;

/// Where directories of random name are made that outlast a restart.
const TEMPORARY: &str = "/var/tmp";

/// How often another random name is tried.
const TRIES: usize = 8;

/// Where the bytes are saved that a change to the log in `real` takes away.
///
/// # Errors
///
/// [`Error::Config`] for a place inside the log's directory.
pub fn parent_for(real: &Path, save_to: Option<&Path>) -> Result<PathBuf> {
    let parent = match save_to {
        Some(parent) => parent.to_path_buf(),
        None => real.with_file_name(name_for(real)),
    };
    let existing = existing(&parent);
    let canonical = existing
        .canonicalize()
        .map_err(Error::io("look at", existing))?;
    if canonical.starts_with(real) {
        return Err(Error::Config(format!(
            "{}: nothing of ours may stand in the log's directory",
            parent.display()
        )));
    }
    Ok(parent)
}

/// What the name of the directory ends with in which all changes of a log are saved.
const SAVED: &str = ".proglog-saved";

/// The name of that directory.
fn name_for(real: &Path) -> OsString {
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push(SAVED);
    name
}

/// The log of a saved directory by where that is: beside it. `None` where no log is there.
#[must_use]
pub fn log_of(saved: &Path) -> Option<PathBuf> {
    let parent = saved.parent()?;
    let name = parent.file_name()?.to_str()?.strip_suffix(SAVED)?;
    let log = parent.with_file_name(name);
    (!name.is_empty() && log.is_dir()).then_some(log)
}

/// A place that may not be there yet: the part of it that is.
fn existing(place: &Path) -> &Path {
    let mut existing = place;
    while !existing.exists() {
        match existing.parent() {
            Some(above) if !above.as_os_str().is_empty() => existing = above,
            _ => return Path::new("."),
        }
    }
    existing
}

/// Whether a change of the log in `real` is saved beside it, where the log's name leads
/// to it.
#[must_use]
pub fn is_beside(real: &Path, saved: &Path) -> bool {
    saved.parent() == Some(&real.with_file_name(name_for(real)))
}

/// Whether whole files of the log in `real` can be moved to a directory in `parent`, as
/// far as that can be known beforehand.
///
/// # Errors
///
/// [`Error::Io`].
pub fn check_moves(real: &Path, parent: &Path) -> Result<()> {
    let existing = existing(parent);
    if !in_one_mount(real, existing) {
        return Err(Error::io("move files to", parent)(
            ErrorKind::CrossesDevices.into(),
        ));
    }
    if !may_write(existing) {
        return Err(Error::io("move files to", parent)(
            ErrorKind::PermissionDenied.into(),
        ));
    }
    Ok(())
}

/// Whether nothing may be made in a place, as opposed to one that is full.
pub(super) fn is_forbidden(error: &Error) -> bool {
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
    match error {
        Error::Io { source, .. } => kinds.contains(&source.kind()),
        // The place beside the log is somebody else's.
        Error::Untrusted { .. } => true,
        _ => false,
    }
}

/// A saved directory.
pub(super) struct Place {
    pub path: PathBuf,
    pub number: u64,
    pub time: String,
    /// Whose its files are.
    owner: Ownership,
    /// Whether the directory around it was made too.
    parent_is_new: bool,
}

impl Place {
    /// Makes a new one in `parent`, of this user or of `owner`. So is the directory beside
    /// the log that holds all of them: he goes on saving there.
    pub fn make(
        disk: &dyn Disk,
        parent: &Path,
        real: &Path,
        owner: Option<&Ownership>,
    ) -> Result<Self> {
        let is_beside = *parent == *real.with_file_name(name_for(real));
        if is_beside {
            check_parent(parent, real)?;
        }
        let parent_is_new = !parent.exists();
        create_directories(disk, parent, MODE)?;
        if parent_is_new && is_beside {
            give(disk, parent, owner)?;
        }
        Self::make_in(disk, parent, parent_is_new, owner)
    }

    fn make_in(
        disk: &dyn Disk,
        parent: &Path,
        parent_is_new: bool,
        owner: Option<&Ownership>,
    ) -> Result<Self> {
        let time = utc(SystemTime::now());
        let stem: String = time.chars().filter(|c| *c != ':').collect();
        let mut number = next_number(parent)?;
        let path = loop {
            let path = parent.join(format!("{number:06}-{stem}"));
            match disk.create_dir(&path, MODE) {
                Ok(()) => break path,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Error::io("create", &path)(error)),
            }
        };
        give(disk, &path, owner)?;
        let owner = owner.map(|owner| Ownership::new(owner.uid, owner.gid, PRIVATE));
        Ok(Self {
            path,
            number,
            time,
            owner: owner.unwrap_or_else(|| Ownership::of_this_process(PRIVATE)),
            parent_is_new,
        })
    }

    /// Creates a file in it.
    pub fn create(&self, disk: &dyn Disk, name: &str) -> Result<DiskFile> {
        let path = self.path.join(name);
        disk.create(&path, Some(self.owner.clone()))
            .map_err(Error::io("create", &path))
    }

    /// Makes one where the log's directory stands among others': in the user's own
    /// directory for such things, or under a name that nobody could foresee.
    pub fn elsewhere(disk: &dyn Disk, real: &Path, owner: Option<&Ownership>) -> Result<Self> {
        if let Some(state) = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from)
            && state.is_absolute()
            && let own = state.join("proglog")
            && let parent = own.join(name_for(real))
            && parent_for(real, Some(&parent)).is_ok()
            && create_directories(disk, &parent, MODE).is_ok()
            && is_own(&state, 0o002)
            && [&own, &parent].into_iter().all(|path| is_own(path, 0o022))
            && let Ok(place) = Self::make_in(disk, &parent, false, owner)
        {
            return Ok(place);
        }
        let mut tried = 0;
        loop {
            let parent = Path::new(TEMPORARY).join(format!("proglog-saved-{}", random_name()));
            match disk.create_dir(&parent, MODE) {
                Ok(()) => {
                    give(disk, &parent, owner)?;
                    return Self::make_in(disk, &parent, true, owner);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tried < TRIES => {
                    tried += 1;
                }
                Err(error) => return Err(Error::io("create", &parent)(error)),
            }
        }
    }

    /// Takes it away with all that is in it, the manifest first.
    pub fn discard(self, disk: &dyn Disk) {
        discard(disk, &self.path);
        if let Some(parent) = self.path.parent().filter(|_| self.parent_is_new) {
            let _ = disk.remove_dir(parent);
        }
    }
}

/// Gives a directory that was just created to the owner of what it is to hold.
fn give(disk: &dyn Disk, path: &Path, owner: Option<&Ownership>) -> Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let like = Ownership::new(owner.uid, owner.gid, MODE);
    disk.own_dir(path, like).map_err(Error::io("own", path))
}

/// Removes what was saved of a change that is not there: nothing was changed, or it was
/// undone.
pub fn discard(disk: &dyn Disk, path: &Path) {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort_by_key(|path| !path.ends_with(MANIFEST));
    // What cannot be taken away is no change either: it lacks its manifest.
    for file in files {
        let _ = disk.remove(&file);
    }
    let _ = disk.remove_dir(path);
}

/// Whether a directory is this user's, and none of `others` may write to it.
fn is_own(path: &Path, others: u32) -> bool {
    let own = rustix::process::geteuid().as_raw();
    std::fs::symlink_metadata(path)
        .is_ok_and(|it| it.is_dir() && it.uid() == own && it.mode() & others == 0)
}

/// The number behind the highest one that a saved directory in `parent` has.
fn next_number(parent: &Path) -> Result<u64> {
    let mut next = 1;
    for entry in std::fs::read_dir(parent).map_err(Error::io("list", parent))? {
        let name = entry.map_err(Error::io("list", parent))?.file_name();
        let number = name.to_str().and_then(number_in).unwrap_or(0);
        next = next.max(number.saturating_add(1));
    }
    Ok(next)
}

/// What puts the saved directories of one place into the order in which they were made: the
/// number in the name; of an older version's, the time, and then the number behind it.
pub(crate) fn order_of(name: &str) -> (u64, &str, usize, &str) {
    let number = number_in(name);
    let time = match number {
        Some(_) => name.split_once('-').map(|(_, time)| time),
        None => name.rsplit_once('-').map(|(time, _)| time),
    };
    (number.unwrap_or(0), time.unwrap_or(name), name.len(), name)
}

/// The number in the name of a saved directory, which an older version's lacks.
fn number_in(name: &str) -> Option<u64> {
    let (number, time) = name.split_once('-')?;
    let numbered = time.ends_with('Z') && number.bytes().all(|byte| byte.is_ascii_digit());
    numbered.then(|| number.parse().ok()).flatten()
}

/// A time as it is written down, or the nearest one that can be: a clock may stand before
/// 1970.
fn utc(time: SystemTime) -> String {
    let latest = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, latest)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_or_behind_9999_stops_nothing() {
        let day = Duration::from_secs(86_400);
        assert_eq!(utc(UNIX_EPOCH - day), "1970-01-01T00:00:00Z");
        assert_eq!(utc(UNIX_EPOCH + day), "1970-01-02T00:00:00Z");
        assert_eq!(utc(UNIX_EPOCH + day * 3_650_000), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn numbers_are_read_and_those_of_older_names_are_not() {
        assert_eq!(number_in("000017-2026-01-02T030405Z"), Some(17));
        assert_eq!(number_in("1000000-2026-01-02T030405Z"), Some(1_000_000));
        assert_eq!(number_in("2026-01-02T030405Z-17"), None);
        assert_eq!(number_in("-2026-01-02T030405Z"), None);
        assert_eq!(number_in("manifest.json"), None);
    }
}
