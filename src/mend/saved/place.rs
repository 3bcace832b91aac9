//! Where saved directories stand, and how they are named.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::MANIFEST;
use crate::log::create::{create_directories, create_directory};
use crate::log::dir::{Dir, FilePath, nearest, real_place};
use crate::log::disk::Disk;
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
    let leads_to = real_place(&parent).map_err(Error::io("look at", &parent))?;
    if leads_to.starts_with(real) {
        return Err(Error::Config(format!(
            "{}: nothing of ours may stand in the log's directory",
            parent.display()
        )));
    }
    Ok(parent)
}

/// The name of the directory in which all changes of a log are saved.
fn name_for(real: &Path) -> OsString {
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push(".proglog-saved");
    name
}

/// Whether a change of the log in `real` is saved beside it, where the log's name leads
/// to it.
#[must_use]
pub fn is_beside(real: &Path, saved: &Path) -> bool {
    saved.parent() == Some(&real.with_file_name(name_for(real)))
}

/// The directory in which the changes of a log are saved, which may not be there yet.
#[derive(Debug)]
pub enum Parent {
    /// Beside the log.
    Beside(FilePath),
    /// In a place that somebody named.
    Named(PathBuf),
}

impl Parent {
    /// Where a change of the log in `log` is saved.
    ///
    /// # Errors
    ///
    /// As [`parent_for`], and [`Error::Io`].
    pub fn of(log: &Dir, save_to: Option<&Path>) -> Result<Self> {
        let named = log.in_parent().map_err(Error::io("look at", log.path()))?;
        let real = named.as_ref().map_or(Path::new("/"), FilePath::path);
        let place = parent_for(real, save_to)?;
        Ok(match &named {
            Some(named) if save_to.is_none() => Self::Beside(named.dir().at(name_for(real))),
            _ => Self::Named(place),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Beside(path) => path,
            Self::Named(path) => path,
        }
    }

    /// Whether whole files of the log in `log` can be moved to a directory in it, as far as
    /// that can be known beforehand.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn check_moves(&self, log: &Dir) -> Result<()> {
        let cannot = |kind: ErrorKind| Error::io("move files to", self.path())(kind.into());
        let existing = match self {
            Self::Beside(path) => path.open_dir().unwrap_or_else(|_| path.dir().clone()),
            Self::Named(path) => nearest(path).map_err(Error::io("look at", path))?,
        };
        if !in_one_mount(log, &existing) {
            return Err(cannot(ErrorKind::CrossesDevices));
        }
        if !may_write(&existing) {
            return Err(cannot(ErrorKind::PermissionDenied));
        }
        Ok(())
    }

    fn make(&self, disk: &dyn Disk) -> Result<Dir> {
        match self {
            Self::Beside(path) => create_directory(disk, path, MODE),
            Self::Named(path) => create_directories(disk, path, MODE),
        }
    }

    fn is_there(&self) -> bool {
        match self {
            Self::Beside(path) => path.is_taken(),
            Self::Named(path) => Dir::open(path).is_ok(),
        }
    }
}

/// Whether nothing may be made in a place, as opposed to one that is full.
pub(super) fn is_forbidden(error: &Error) -> bool {
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
    matches!(error, Error::Io { source, .. } if kinds.contains(&source.kind()))
}

/// A saved directory.
pub(super) struct Place {
    pub dir: Dir,
    /// Its name.
    pub at: FilePath,
    pub number: u64,
    pub time: String,
    /// The directory around it, if that was made too.
    new_parent: Option<FilePath>,
}

impl Place {
    /// Makes a new one in `parent`.
    pub fn make(disk: &dyn Disk, parent: &Parent) -> Result<Self> {
        let is_new = !parent.is_there();
        Self::make_in(disk, &parent.make(disk)?, is_new)
    }

    fn make_in(disk: &dyn Disk, parent: &Dir, is_new: bool) -> Result<Self> {
        let time = utc(SystemTime::now());
        let stem: String = time.chars().filter(|c| *c != ':').collect();
        let mut number = next_number(parent)?;
        loop {
            let at = parent.at(format!("{number:06}-{stem}"));
            match disk.create_dir(&at, MODE) {
                Ok(()) => {
                    return Ok(Self {
                        dir: at.open_dir().map_err(Error::io("open", &at))?,
                        at,
                        number,
                        time,
                        new_parent: is_new.then(|| parent.in_parent().ok().flatten()).flatten(),
                    });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Error::io("create", &at)(error)),
            }
        }
    }

    /// Makes one where the log's directory stands among others': in the user's own
    /// directory for such things, or under a name that nobody could foresee.
    pub fn elsewhere(disk: &dyn Disk, real: &Path) -> Result<Self> {
        if let Some(state) = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from)
            && state.is_absolute()
            && parent_for(real, Some(&state)).is_ok()
            && let Ok(state) = create_directories(disk, &state, MODE)
            && is_own(&state, 0o002)
            && let Ok(own) = create_directory(disk, &state.at("proglog"), MODE)
            && is_own(&own, 0o022)
            && let parent = own.at(name_for(real))
            && let is_new = !parent.is_taken()
            && let Ok(parent) = create_directory(disk, &parent, MODE)
            && is_own(&parent, 0o022)
            && let Ok(place) = Self::make_in(disk, &parent, is_new)
        {
            return Ok(place);
        }
        let temporary = Path::new(TEMPORARY);
        let temporary = Dir::open(temporary).map_err(Error::io("open", temporary))?;
        let mut tried = 0;
        loop {
            let parent = temporary.at(format!("proglog-saved-{}", random()));
            match disk.create_dir(&parent, MODE) {
                Ok(()) => {
                    let dir = parent.open_dir().map_err(Error::io("open", &parent))?;
                    return Self::make_in(disk, &dir, true);
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
        empty(disk, &self.dir);
        let _ = disk.remove_dir(&self.at);
        if let Some(parent) = &self.new_parent {
            let _ = disk.remove_dir(parent);
        }
    }
}

/// Removes what was saved of a change that is not there: nothing was changed, or it was
/// undone.
pub fn discard(disk: &dyn Disk, path: &Path) {
    if let Ok(at) = FilePath::of(path)
        && let Ok(dir) = at.open_dir()
    {
        empty(disk, &dir);
        let _ = disk.remove_dir(&at);
    }
}

fn empty(disk: &dyn Disk, saved: &Dir) {
    let mut names = saved.names().unwrap_or_default();
    names.sort_by_key(|name| name != MANIFEST);
    // What cannot be taken away is no change either: it lacks its manifest.
    for name in names {
        let _ = disk.remove(&saved.at(name));
    }
}

/// Whether a directory is this user's, and none of `others` may write to it.
fn is_own(dir: &Dir, others: u32) -> bool {
    let own = rustix::process::geteuid().as_raw();
    dir.metadata()
        .is_ok_and(|it| it.uid() == own && it.mode() & others == 0)
}

/// A name that nobody could foresee: std seeds its hashers from the system.
fn random() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// The number behind the highest one that a saved directory in `parent` has.
fn next_number(parent: &Dir) -> Result<u64> {
    let mut next = 1;
    let listed = parent.each_name(|name| {
        let number = name.to_str().and_then(number_in).unwrap_or(0);
        next = next.max(number.saturating_add(1));
    });
    listed.map_err(Error::io("list", parent.path()))?;
    Ok(next)
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
