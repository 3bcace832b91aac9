//! The metadata of a file, without opening it.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, Stat};

/// Device and inode: what makes two names the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// The metadata of a file, without opening it.
#[derive(Debug, Clone, Copy)]
pub struct FileStatus(pub(super) Stat);

impl FileStatus {
    /// Of a file that is open.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self(rustix::fs::fstat(file)?))
    }

    /// Which kind of file it is.
    #[must_use]
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.0.st_mode)
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind().is_file()
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind().is_dir()
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.kind().is_symlink()
    }

    /// Its size. Units: bytes.
    #[expect(clippy::len_without_is_empty, reason = "named as std's metadata")]
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::try_from(self.0.st_size).unwrap_or(0)
    }

    /// How much room it takes. Units: bytes.
    #[must_use]
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    pub fn data_bytes(&self) -> u64 {
        u64::try_from(self.0.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512)
    }

    /// Its owner.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.0.st_uid
    }

    /// Number of hard links.
    #[must_use]
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    pub fn links(&self) -> u64 {
        u64::from(self.0.st_nlink)
    }

    /// Its group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.0.st_gid
    }

    /// Its kind and its permission bits.
    #[must_use]
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    pub fn mode(&self) -> u32 {
        u32::from(self.0.st_mode)
    }

    /// Device and inode.
    #[must_use]
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    pub fn identity(&self) -> Identity {
        Identity {
            device: u64::try_from(self.0.st_dev).unwrap_or(0),
            inode: u64::from(self.0.st_ino),
        }
    }

    /// When it was last written: seconds since the epoch, and nanoseconds since then.
    #[must_use]
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    pub fn modified_at(&self) -> (i64, u32) {
        let rest = u32::try_from(self.0.st_mtime_nsec).unwrap_or(0);
        (i64::from(self.0.st_mtime), rest)
    }

    /// When it was last written; `None` for what no clock can show.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        let (second, rest) = self.modified_at();
        time_at(second, rest)
    }
}

/// A time by its seconds since the epoch, and nanoseconds since then.
#[must_use]
pub fn time_at(second: i64, rest: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(second.unsigned_abs());
    let second = if second < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    second?.checked_add(Duration::from_nanos(rest.into()))
}
