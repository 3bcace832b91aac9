//! The places of saved directories, and their names.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::PRIVATE;
use super::remains::{self, Filling, discard_dir, number_in};
use super::trust::open_parent;
use crate::log::create::{create_directories, create_directory};
use crate::log::dir::{Dir, FilePath, nearest, real_place};
use crate::log::disk::{Disk, DiskFile, Ownership, random_name};
use crate::log::durable::sync_dir;
use crate::log::error::{Error, Result};
use crate::mend::named::{in_one_mount, may_write};

/// Permission bits of what holds saved bytes: they may be secret.
const MODE: u32 = 0o700;

/// The parent of directories with random names that survive a restart.
const TEMPORARY: &str = "/var/tmp";

/// How often another random name is tried.
const TRIES: usize = 8;

/// The place for the bytes that a change to the log in `real` removes.
///
/// # Errors
///
/// [`Error::Config`] for a place inside the log's directory.
pub fn parent_for(real: &Path, save_to: Option<&Path>) -> Result<PathBuf> {
    let parent = match save_to {
        Some(parent) => parent.to_path_buf(),
        None => real.with_file_name(name_for(real)),
    };
    let leads_to = real_place(&parent).map_err(Error::io("access", &parent))?;
    if leads_to.starts_with(real) {
        return Err(Error::Config(format!(
            "{}: is in the log's directory, where nothing is saved",
            parent.display()
        )));
    }
    Ok(parent)
}

/// The suffix of the directory that holds all saved changes of a log.
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
    log.is_dir().then_some(log)
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
    /// In a place given by the user.
    Named(PathBuf),
}

impl Parent {
    /// The place where a change of the log in `log` is saved.
    ///
    /// # Errors
    ///
    /// As [`parent_for`], and [`Error::Io`].
    pub fn of(log: &Dir, save_to: Option<&Path>) -> Result<Self> {
        let named = log.in_parent().map_err(Error::io("access", log.path()))?;
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
            Self::Named(path) => nearest(path).map_err(Error::io("access", path))?,
        };
        if !in_one_mount(log, &existing) {
            return Err(cannot(ErrorKind::CrossesDevices));
        }
        if !may_write(&existing) {
            return Err(cannot(ErrorKind::PermissionDenied));
        }
        Ok(())
    }

    /// Opens it; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`] for what another user has put beside the log, [`Error::Io`].
    pub fn open(&self, log: &Dir) -> Result<Option<Dir>> {
        match self {
            Self::Beside(path) if path.is_taken() => open_parent(path, log).map(Some),
            Self::Named(path) if self.is_there() => {
                Dir::open(path).map(Some).map_err(Error::io("open", path))
            }
            _ => Ok(None),
        }
    }

    /// Opens it, or creates it: beside the log it belongs to `owner`, who will save there
    /// later.
    fn make(&self, disk: &dyn Disk, log: &Dir, owner: Option<&Ownership>) -> Result<Dir> {
        match self {
            Self::Beside(path) => {
                let opened = match disk.create_dir(path, MODE) {
                    Ok(()) => {
                        let made = path.open_dir().map_err(Error::io("open", path))?;
                        give(disk, &made, owner)?;
                        made
                    }
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                        open_parent(path, log)?
                    }
                    Err(error) => return Err(Error::io("create", path)(error)),
                };
                // Its creator may have been killed before its name was durable.
                sync_dir(disk, path.dir())?;
                Ok(opened)
            }
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
    match error {
        Error::Io { source, .. } => kinds.contains(&source.kind()),
        // The place beside the log is another user's.
        Error::Untrusted { .. } => true,
        _ => false,
    }
}

/// A saved directory.
pub(super) struct Place {
    pub dir: Dir,
    /// Its name.
    pub at: FilePath,
    pub number: u64,
    pub time: String,
    /// The owner of its files.
    owner: Ownership,
    _filling: Filling,
    /// The directory around it, if that was made too.
    new_parent: Option<FilePath>,
}

impl Place {
    /// Makes a new one in `parent`, of this user or of `owner`.
    pub fn make(
        disk: &dyn Disk,
        parent: &Parent,
        log: &Dir,
        owner: Option<&Ownership>,
    ) -> Result<Self> {
        let is_new = !parent.is_there();
        let opened = parent.make(disk, log, owner)?;
        if matches!(parent, Parent::Beside(_)) && !is_new {
            for left in remains::find(&opened, log) {
                left.remove(disk);
            }
        }
        Self::make_in(disk, &opened, is_new, owner)
    }

    fn make_in(
        disk: &dyn Disk,
        parent: &Dir,
        is_new: bool,
        owner: Option<&Ownership>,
    ) -> Result<Self> {
        let time = utc(SystemTime::now());
        let stem: String = time.chars().filter(|c| *c != ':').collect();
        let mut number = next_number(parent)?;
        let at = loop {
            let at = parent.at(format!("{number:06}-{stem}"));
            match disk.create_dir(&at, MODE) {
                Ok(()) => break at,
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < u64::MAX => {
                    number += 1;
                }
                Err(error) => return Err(Error::io("create", &at)(error)),
            }
        };
        let dir = at.open_dir().map_err(Error::io("open", &at))?;
        give(disk, &dir, owner)?;
        let owner = owner.map(|owner| Ownership::new(owner.uid, owner.gid, PRIVATE));
        Ok(Self {
            _filling: Filling::begin(&dir),
            dir,
            at,
            number,
            time,
            owner: owner.unwrap_or_else(|| Ownership::of_this_process(PRIVATE)),
            new_parent: is_new.then(|| parent.in_parent().ok().flatten()).flatten(),
        })
    }

    /// Creates a file in it.
    pub fn create(&self, disk: &dyn Disk, name: &str) -> Result<DiskFile> {
        let path = self.dir.at(name);
        disk.create(&path, Some(self.owner.clone()))
            .map_err(Error::io("create", &path))
    }

    /// Creates one if the log's directory is shared: in the user's own directory for such
    /// data, or under an unpredictable name.
    pub fn elsewhere(disk: &dyn Disk, real: &Path, owner: Option<&Ownership>) -> Result<Self> {
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
            && let Ok(place) = Self::make_in(disk, &parent, is_new, owner)
        {
            return Ok(place);
        }
        let temporary = Path::new(TEMPORARY);
        let temporary = Dir::open(temporary).map_err(Error::io("open", temporary))?;
        let mut tried = 0;
        loop {
            let parent = temporary.at(format!("proglog-saved-{}", random_name()));
            match disk.create_dir(&parent, MODE) {
                Ok(()) => {
                    let dir = parent.open_dir().map_err(Error::io("open", &parent))?;
                    give(disk, &dir, owner)?;
                    return Self::make_in(disk, &dir, true, owner);
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
        discard_dir(disk, &self.at, &self.dir);
        if let Some(parent) = &self.new_parent {
            let _ = disk.remove_dir(parent);
        }
    }
}

/// Gives a directory that was just created to the owner of its future content.
fn give(disk: &dyn Disk, dir: &Dir, owner: Option<&Ownership>) -> Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let like = Ownership::new(owner.uid, owner.gid, MODE);
    disk.own_dir(dir, like)
        .map_err(Error::io("own", dir.path()))
}

/// Removes the saved data of a change that does not exist: nothing was changed, or it was
/// undone.
pub fn discard(disk: &dyn Disk, path: &Path) {
    if let Ok(at) = FilePath::of(path)
        && let Ok(dir) = at.open_dir()
    {
        discard_dir(disk, &at, &dir);
    }
}

/// Whether a directory is this user's, and none of `others` may write to it.
fn is_own(dir: &Dir, others: u32) -> bool {
    let own = rustix::process::geteuid().as_raw();
    dir.metadata()
        .is_ok_and(|it| it.uid() == own && it.mode() & others == 0)
}

/// The number after the highest one that a saved directory in `parent` has.
fn next_number(parent: &Dir) -> Result<u64> {
    let mut next = 1;
    let listed = parent.each_name(|name| {
        let number = name.to_str().and_then(number_in).unwrap_or(0);
        next = next.max(number.saturating_add(1));
    });
    listed.map_err(Error::io("list", parent.path()))?;
    Ok(next)
}

/// The sort key of the saved directories of one place, in the order of their creation:
/// the number in the name; for an older version's, the time, and then the number after
/// it.
pub(crate) fn order_of(name: &str) -> (u64, &str, usize, &str) {
    let number = number_in(name);
    let time = match number {
        Some(_) => name.split_once('-').map(|(_, time)| time),
        None => name.rsplit_once('-').map(|(time, _)| time),
    };
    (number.unwrap_or(0), time.unwrap_or(name), name.len(), name)
}

/// A time as it is written down, or the nearest one that can be: a clock may be before
/// 1970.
fn utc(time: SystemTime) -> String {
    let latest = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, latest)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::disk::RealDisk;

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

    #[test]
    fn behind_the_highest_number_nothing_overflows() {
        let directory = tempfile::tempdir().unwrap();
        let highest = format!("{}-2026-01-02T030405Z", u64::MAX);
        let parent = Dir::open(directory.path()).unwrap();
        RealDisk.create_dir(&parent.at(highest), MODE).unwrap();
        // In one second: the second finds the name of the first.
        let made = [(); 3].map(|()| Place::make_in(&RealDisk, &parent, false, None));
        for made in made {
            match made {
                Ok(place) => assert_eq!(place.number, u64::MAX),
                Err(error) => assert!(matches!(error, Error::Io { .. }), "{error}"),
            }
        }
    }
}
