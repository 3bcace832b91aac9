//! Owner, group, permission bits and access control lists of new files: those of another
//! file, or fewer rights where they cannot be kept. Only files and directories that were
//! just created are changed, and only by their descriptors.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::log::dir::{FilePath, FileStatus, Links};
use crate::log::platform::{read_acl, set_acl};

/// The permission bits that are copied: a set-user-ID bit never is.
const PERMISSIONS: u32 = 0o777;

/// The permission bits of the owner.
pub(super) const OWNERS: u32 = 0o700;

/// The attributes in which Linux keeps the access control list of a file, and the default
/// one for new files.
const ACLS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

/// Owner, group, permissions and access control lists that a new file gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits; none of those beyond 0777.
    pub mode: u32,
    /// The lists named by [`ACLS`], as the system has them.
    acls: [Option<Vec<u8>>; 2],
}

impl Ownership {
    /// The ownership of an open file or directory. Where its access control lists cannot
    /// be read, only the owner keeps a right.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        let status = FileStatus::of(&file)?;
        let mut found = Self::new(status.uid(), status.gid(), status.mode());
        for (name, acl) in ACLS.into_iter().zip(&mut found.acls) {
            match read_acl(&file, name) {
                Ok(read) => *acl = read,
                Err(_) => found.mode &= OWNERS,
            }
        }
        Ok(found)
    }

    /// The ownership of a regular file, if it can be opened. A link has none.
    #[must_use]
    pub fn at(path: &FilePath) -> Option<Self> {
        let (file, _) = path.open(Links::Refused).ok()?;
        Self::of(file).ok()
    }

    /// The ownership with these permission bits, without access control lists.
    #[must_use]
    pub fn new(uid: u32, gid: u32, mode: u32) -> Self {
        Self {
            uid,
            gid,
            mode: mode & PERMISSIONS,
            acls: [None, None],
        }
    }

    /// That of this process, with these permission bits.
    #[must_use]
    pub fn of_this_process(mode: u32) -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Self::new(uid.as_raw(), gid.as_raw(), mode)
    }

    /// The rights that both give; `None` where they have different owners.
    #[must_use]
    pub fn common(self, other: &Self) -> Option<Self> {
        if self.uid != other.uid {
            return None;
        }
        let mode = self.mode & other.mode;
        Some(if self.gid == other.gid && self.acls == other.acls {
            Self { mode, ..self }
        } else {
            Self::new(self.uid, self.gid, mode & OWNERS)
        })
    }
}

/// Whether a user is this one or root, who may do everything anyway.
#[must_use]
pub fn is_own(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// The first file whose owner could not be kept.
static NOT_KEPT: OnceLock<(PathBuf, u32)> = OnceLock::new();

/// The first file that this process created and could not give to the owner that it was to
/// have, and that owner's user id.
#[must_use]
pub fn owner_not_kept() -> Option<(&'static Path, u32)> {
    NOT_KEPT.get().map(|(path, uid)| (path.as_path(), *uid))
}

/// Gives a file or directory that was just created its intended ownership. If the process
/// may not change it, the file keeps its owner, without permissions for users who would
/// not have them: `verify` reports that as `owner-differs`.
pub(super) fn take_ownership(file: &File, like: &Ownership, path: &Path) -> io::Result<()> {
    let now = file.metadata()?;
    let mut mode = like.mode;
    if (now.uid(), now.gid()) != (like.uid, like.gid) {
        let own = |uid| as_allowed(fchown(file, uid, Some(like.gid)));
        if !own(Some(like.uid))? {
            if now.uid() != like.uid {
                NOT_KEPT.get_or_init(|| (path.to_path_buf(), like.uid));
            }
            if now.gid() != like.gid && !own(None)? {
                // Users who get access by the group now are "others" for the model file.
                let both = (mode >> 3) & mode & 0o7;
                mode = (mode & OWNERS) | (both << 3) | both;
            }
        }
    }
    let is_dir = now.is_dir();
    for (name, acl) in ACLS.into_iter().zip(&like.acls) {
        let is_access = name == ACLS[0];
        if (is_access || is_dir) && !set_acl(file, name, acl.as_deref()) {
            mode &= OWNERS;
        }
    }
    // A directory keeps that it hands on its group.
    let mode = mode | (now.mode() & !PERMISSIONS & 0o7777);
    if file.metadata()?.mode() & 0o7777 != mode {
        as_allowed(file.set_permissions(PermissionsExt::from_mode(mode)))?;
    }
    Ok(())
}

/// Whether a file has its intended ownership: a process may not change it, the file
/// system has no ownership, or the user has no number in this container.
fn as_allowed(done: io::Result<()>) -> io::Result<bool> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match done {
        Ok(()) => Ok(true),
        Err(error) if [PermissionDenied, Unsupported, InvalidInput].contains(&error.kind()) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_files_have_in_common_is_no_wider_than_either() {
        let one = Ownership::new(1, 10, 0o640);
        let common = |other: &Ownership| one.clone().common(other);
        assert_eq!(common(&one), Some(one.clone()));
        assert_eq!(common(&Ownership::new(2, 10, 0o640)), None);
        let narrower = Ownership::new(1, 10, 0o604);
        assert_eq!(common(&narrower), Some(Ownership::new(1, 10, 0o600)));
        let other_group = Ownership::new(1, 20, 0o660);
        assert_eq!(common(&other_group), Some(Ownership::new(1, 10, 0o600)));
        let mut with_list = one.clone();
        with_list.acls[0] = Some(vec![1]);
        assert_eq!(common(&with_list), Some(Ownership::new(1, 10, 0o600)));
    }

    #[test]
    fn without_its_access_control_list_a_file_is_its_owners_alone() {
        let file = tempfile::tempfile().unwrap();
        let mode = || file.metadata().unwrap().mode() & PERMISSIONS;
        let own = Ownership::of_this_process(0o644);
        take_ownership(&file, &own, Path::new("file")).unwrap();
        assert_eq!(mode(), 0o644);
        // No system takes such a list.
        let mut with_list = own;
        with_list.acls[0] = Some(vec![1]);
        take_ownership(&file, &with_list, Path::new("file")).unwrap();
        assert_eq!(mode(), 0o600);
    }
}
