//! Whether a saved directory is to be trusted: whether only this user, root, or the owner
//! of the log can have put into it what is there. Whoever gives us another one would have
//! us write his bytes, or read for him what he may not read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::manifest::{self, Manifest};
use super::{MANIFEST, PRIVATE};
use crate::log::disk::{Disk, DiskFile, Ownership, open_regular};
use crate::log::error::{Error, Result};
use crate::log::window::ReadFile;

/// Root, who may do everything anyway.
const ROOT: u32 = 0;

/// The permission bits by which others than the owner write.
const OTHERS_WRITE: u32 = 0o022;

/// The permission bits of a directory by which others than the owner reach its files.
const OTHERS_REACH: u32 = 0o011;

/// What is said of a link where a file of ours should be.
const LINK: &str = "is a symbolic link";

/// A saved directory that is trusted.
#[derive(Debug)]
pub struct SavedDirectory {
    path: PathBuf,
    uid: u32,
    gid: u32,
    /// Whether it belongs to this user or root, so that nobody else put anything there.
    is_ours: bool,
    /// Whether others can reach its files.
    is_open: bool,
}

impl SavedDirectory {
    /// Opens a saved directory of the log in the directory `log`.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`], [`Error::Io`].
    pub fn open(path: &Path, log: &Path) -> Result<Self> {
        let metadata = path
            .symlink_metadata()
            .map_err(Error::io("look at", path))?;
        if !metadata.is_dir() {
            return Err(untrusted(path, "is not a directory"));
        }
        let log_owner = std::fs::metadata(log).map_err(Error::io("look at", log))?;
        let uid = metadata.uid();
        let is_ours = is_own(uid);
        let is_log_owners = uid == log_owner.uid() && is_weaker(uid);
        if !is_ours && !is_log_owners {
            return Err(untrusted(path, &format!("belongs to user {uid}")));
        }
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(untrusted(path, "other users may write to it"));
        }
        let opened = Self {
            path: path.to_path_buf(),
            uid,
            gid: metadata.gid(),
            is_ours,
            is_open: metadata.mode() & OTHERS_REACH != 0,
        };
        // Root's of another log, moved to here by the owner of this one, would give him
        // that log's bytes.
        if uid != log_owner.uid()
            && !is_own(log_owner.uid())
            && opened
                .manifest()?
                .is_none_or(|it| it.inode != log_owner.ino())
        {
            let why = format!(
                "belongs to user {uid}, and the log to user {}; it is not known to be of this log",
                log_owner.uid()
            );
            return Err(untrusted(path, &why));
        }
        Ok(opened)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it that this program wrote, open.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`], [`Error::Missing`], [`Error::Io`].
    pub fn file(&self, name: &str) -> Result<ReadFile> {
        let path = self.path.join(name);
        let file = open(&path)?;
        let metadata = file
            .file()
            .metadata()
            .map_err(Error::io("look at", &path))?;
        let owner = metadata.uid();
        if owner != self.uid && !(self.is_ours && is_own(owner)) {
            return Err(untrusted(&path, &format!("belongs to user {owner}")));
        }
        if self.is_open && metadata.mode() & OTHERS_WRITE != 0 {
            return Err(untrusted(&path, "other users may write to it"));
        }
        if metadata.nlink() > 1 {
            return Err(untrusted(&path, "has a second name (a hard link)"));
        }
        Ok(file)
    }

    /// Refuses a file that was moved here if it cannot have been: in a directory of the
    /// log's owner each file is his. That of our own may hold any file of the log.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`].
    pub fn check_moved(&self, name: &str, may_be_link: bool) -> Result<()> {
        let path = self.path.join(name);
        match path.symlink_metadata() {
            Ok(it) if it.is_symlink() && !may_be_link => Err(untrusted(&path, LINK)),
            Ok(it) => self.check_owner(&it, &path),
            Err(_) => Ok(()),
        }
    }

    fn check_owner(&self, metadata: &Metadata, path: &Path) -> Result<()> {
        let owner = metadata.uid();
        if self.is_ours || owner == self.uid {
            return Ok(());
        }
        Err(untrusted(path, &format!("belongs to user {owner}")))
    }

    /// A file that was moved here, open for reading.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`], [`Error::Missing`], [`Error::Io`].
    pub fn moved(&self, name: &str) -> Result<ReadFile> {
        let path = self.path.join(name);
        let file = open(&path)?;
        let metadata = file
            .file()
            .metadata()
            .map_err(Error::io("look at", &path))?;
        self.check_owner(&metadata, &path)?;
        Ok(file)
    }

    /// What its manifest says.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`], and as [`super::read_manifest`].
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let file = self.file(MANIFEST)?;
        let opened = file.file().try_clone();
        manifest::parse(opened.map_err(Error::io("read", file.path()))?, file.path())
    }

    /// Whether something of that name is in it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.path.join(name).symlink_metadata().is_ok()
    }

    /// Creates a file in it, which belongs to the owner of the directory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn create(&self, disk: &dyn Disk, name: &str) -> Result<DiskFile> {
        let path = self.path.join(name);
        let like = Ownership::new(self.uid, self.gid, PRIVATE);
        disk.create(&path, Some(like))
            .map_err(Error::io("create", &path))
    }
}

/// Opens a regular file, and no link to one.
fn open(path: &Path) -> Result<ReadFile> {
    match open_regular(path) {
        Ok(file) => ReadFile::of(file, path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Missing {
            path: path.to_path_buf(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            Err(untrusted(path, "is not a regular file"))
        }
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => Err(untrusted(path, LINK)),
        Err(error) => Err(Error::io("open", path)(error)),
    }
}

fn untrusted(path: &Path, why: &str) -> Error {
    Error::Untrusted {
        path: path.to_path_buf(),
        why: why.to_owned(),
    }
}

/// Whether a user is this one or root.
fn is_own(uid: u32) -> bool {
    uid == ROOT || uid == rustix::process::geteuid().as_raw()
}

/// Whether this user may do everything that the other may: root may, but for users whom
/// his container does not know. All of those have one number.
fn is_weaker(uid: u32) -> bool {
    rustix::process::geteuid().is_root() && (knows_all_users() || uid != unknown_user())
}

/// The number that stands for every user whom the container does not know.
fn unknown_user() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(65534)
}

/// Whether this process is in no container with users of its own.
fn knows_all_users() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let figures: Vec<&str> = map.split_ascii_whitespace().collect();
    figures == ["0", "0", "4294967295"]
}

/// Refuses a place for saved directories that somebody else has made: a directory of his,
/// or a symbolic link.
///
/// # Errors
///
/// [`Error::Untrusted`].
pub fn check_parent(parent: &Path, log: &Path) -> Result<()> {
    let Ok(metadata) = parent.symlink_metadata() else {
        return Ok(());
    };
    let uid = metadata.uid();
    if is_own(uid) {
        return Ok(());
    }
    if metadata.is_symlink() {
        let why = format!("is a symbolic link of user {uid}");
        return Err(untrusted(parent, &why));
    }
    let log_owner = std::fs::metadata(log).map_err(Error::io("look at", log))?;
    if uid == log_owner.uid() && is_weaker(uid) {
        return Ok(());
    }
    Err(untrusted(parent, &format!("belongs to user {uid}")))
}
