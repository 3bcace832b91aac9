//! Whether a saved directory is trusted: whether only this user, root, or the owner of
//! the log can have created its content. Otherwise another user could make this one write
//! his bytes, or read files for him that he may not read.

use std::path::Path;

use super::manifest::{self, Manifest};
use super::{MANIFEST, PRIVATE};
use crate::log::dir::{Dir, FilePath, FileStatus, Links};
use crate::log::disk::{Disk, DiskFile, Ownership, is_own};
use crate::log::error::{Error, Result};
use crate::log::platform::{knows_all_users, unknown_user};
use crate::log::window::ReadFile;

/// The permission bits by which others than the owner write.
const OTHERS_WRITE: u32 = 0o022;

/// The bit of a directory in which each user renames only his own files.
const STICKY: u32 = 0o1000;

/// The permission bits of a directory by which others than the owner reach its files.
const OTHERS_REACH: u32 = 0o011;

/// The error for a link in place of a file of ours.
const LINK: &str = "is a symbolic link";

/// A saved directory that is trusted.
#[derive(Debug)]
pub struct SavedDirectory {
    dir: Dir,
    uid: u32,
    gid: u32,
    /// Whether it belongs to this user or root, so that no other process put anything
    /// there.
    is_ours: bool,
    /// The permission bits with which others could change its files although they may not
    /// change those of the log.
    refused: u32,
}

impl SavedDirectory {
    /// A directory as one of the log in the directory `log`.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`], [`Error::Io`].
    pub fn of(dir: &Dir, log: &Dir) -> Result<Self> {
        let path = dir.path();
        let status = dir.metadata().map_err(Error::io("access", path))?;
        let of_log = log.metadata().map_err(Error::io("access", log.path()))?;
        check_owner(&status, &of_log, path)?;
        let refused = OTHERS_WRITE & !writers(&of_log);
        if status.mode() & refused != 0 {
            return Err(untrusted(path, "other users may write to it"));
        }
        let uid = status.uid();
        let opened = Self {
            dir: dir.clone(),
            uid,
            gid: status.gid(),
            is_ours: is_own(uid),
            refused: match status.mode() & OTHERS_REACH {
                0 => 0,
                _ => refused,
            },
        };
        // Root's of another log, moved to here by the owner of this one, would give him
        // that log's bytes.
        let owner = of_log.uid();
        if uid != owner {
            let inode = opened.manifest()?.map(|manifest| manifest.inode);
            if inode != Some(log.identity().inode) {
                let why = format!(
                    "belongs to user {uid}, and the log to user {owner}; it does not name this \
                     log"
                );
                return Err(untrusted(path, &why));
            }
        }
        Ok(opened)
    }

    /// A file in it that this program wrote, open.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`], [`Error::Missing`], [`Error::Io`].
    pub fn file(&self, name: &str) -> Result<ReadFile> {
        let path = self.dir.at(name);
        let (file, status) = open(&path)?;
        let owner = status.uid();
        if owner != self.uid && !(self.is_ours && is_own(owner)) {
            return Err(untrusted(&path, &format!("belongs to user {owner}")));
        }
        if status.mode() & self.refused != 0 {
            return Err(untrusted(&path, "other users may write to it"));
        }
        if status.links() > 1 {
            return Err(untrusted(&path, "has a second name (a hard link)"));
        }
        Ok(file)
    }

    /// A file that was moved here, open for reading.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`], [`Error::Missing`], [`Error::Io`].
    pub fn moved(&self, name: &str) -> Result<ReadFile> {
        let path = self.dir.at(name);
        let (file, status) = open(&path)?;
        self.check_moved_owner(&status, &path)?;
        Ok(file)
    }

    /// Refuses a file that was moved here if it cannot have been: in a directory of the
    /// log's owner each file is his. That of our own may hold any file of the log.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`].
    pub fn check_moved(&self, name: &str, may_be_link: bool) -> Result<()> {
        let path = self.dir.at(name);
        match path.link_metadata() {
            Ok(it) if it.is_symlink() && !may_be_link => Err(untrusted(&path, LINK)),
            Ok(it) => self.check_moved_owner(&it, &path),
            Err(_) => Ok(()),
        }
    }

    fn check_moved_owner(&self, status: &FileStatus, path: &Path) -> Result<()> {
        let owner = status.uid();
        if self.is_ours || owner == self.uid {
            return Ok(());
        }
        Err(untrusted(path, &format!("belongs to user {owner}")))
    }

    /// The content of its manifest.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`], and as [`super::read_manifest`].
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let file = self.file(MANIFEST)?;
        let opened = file.file().try_clone();
        manifest::parse(opened.map_err(Error::io("read", file.path()))?, file.path())
    }

    /// Creates a file in it, which belongs to the owner of the directory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn create(&self, disk: &dyn Disk, name: &str) -> Result<DiskFile> {
        let path = self.dir.at(name);
        let like = Ownership::new(self.uid, self.gid, PRIVATE);
        disk.create(&path, Some(like))
            .map_err(Error::io("create", &path))
    }
}

/// The permission bits by which others may replace the files of a log anyway: where a file
/// system has no modes, all of them.
fn writers(of_log: &FileStatus) -> u32 {
    match of_log.mode() & STICKY {
        0 => of_log.mode() & OTHERS_WRITE,
        _ => 0,
    }
}

/// Opens a regular file, and no link to one.
fn open(path: &FilePath) -> Result<(ReadFile, FileStatus)> {
    match path.open(Links::Refused) {
        Ok((file, status)) => Ok((ReadFile::of(file, path)?, status)),
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

/// Whether this user may do everything that the other may: root may, except for users
/// unknown to its container. All of those have one number.
fn is_weaker(uid: u32) -> bool {
    rustix::process::geteuid().is_root() && (knows_all_users() || uid != unknown_user())
}

/// Refuses a directory that neither this user, nor root, nor, for root, the owner of the
/// log has made.
///
/// # Errors
///
/// [`Error::Untrusted`].
pub(super) fn check_owner(status: &FileStatus, of_log: &FileStatus, path: &Path) -> Result<()> {
    let uid = status.uid();
    if is_own(uid) || (uid == of_log.uid() && is_weaker(uid)) {
        return Ok(());
    }
    Err(untrusted(path, &format!("belongs to user {uid}")))
}

/// Opens the directory beside a log in which all its saved directories are. A symbolic link
/// to it is followed if this user or root has made it.
///
/// # Errors
///
/// [`Error::Untrusted`], [`Error::Io`].
pub(super) fn open_parent(at: &FilePath, log: &Dir) -> Result<Dir> {
    let link = at.link_metadata().map_err(Error::io("open", at))?;
    let opened = if !link.is_symlink() {
        at.open_dir()
    } else if is_own(link.uid()) {
        Dir::open(at)
    } else {
        let why = format!("is a symbolic link of user {}", link.uid());
        return Err(untrusted(at, &why));
    };
    let opened = opened.map_err(Error::io("open", at))?;
    let look = |dir: &Dir| dir.metadata().map_err(Error::io("access", at));
    check_owner(&look(&opened)?, &look(log)?, at)?;
    Ok(opened)
}
