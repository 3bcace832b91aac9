//! Where saved directories stand, and how they are named.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::log::create::create_directories;
use crate::log::disk::Disk;
use crate::log::error::{Error, Result};

/// Permission bits of what holds saved bytes: they may be secret.
const MODE: u32 = 0o700;

/// Where the bytes are saved that a change to the log in `real` takes away.
///
/// # Errors
///
/// [`Error::Config`] for a place inside the log's directory.
pub fn parent_for(real: &Path, save_to: Option<&Path>) -> Result<PathBuf> {
    let parent = if let Some(parent) = save_to {
        parent.to_path_buf()
    } else {
        let mut name = real.file_name().unwrap_or_default().to_owned();
        name.push(".proglog-saved");
        real.parent().unwrap_or(Path::new("/")).join(name)
    };
    // The place may not exist yet: what counts is the part of it that does.
    let mut existing = parent.as_path();
    while !existing.exists() {
        match existing.parent() {
            Some(above) if !above.as_os_str().is_empty() => existing = above,
            _ => {
                existing = Path::new(".");
                break;
            }
        }
    }
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

/// Makes a new saved directory in `parent`. Gives it, its number, and its time.
pub(super) fn make(disk: &dyn Disk, parent: &Path) -> Result<(PathBuf, u64, String)> {
    create_directories(disk, parent, MODE)?;
    let time = utc(SystemTime::now());
    let stem: String = time.chars().filter(|c| *c != ':').collect();
    let mut number = next_number(parent)?;
    loop {
        let path = parent.join(format!("{number:06}-{stem}"));
        match disk.create_dir(&path, MODE) {
            Ok(()) => return Ok((path, number, time)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
    }
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
