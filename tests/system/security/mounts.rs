//! File systems, real ones, each in a mount namespace of its own: every command does there
//! what it does elsewhere. Where others may write unseen it first says that it cannot tell.

use std::path::PathBuf;

use crate::security::lacking::{System, cases, done};
use crate::security::shell::in_mounts;

/// A file system, and the shell's commands that mount it on `$mount`; `$scratch` is a
/// directory to begin with.
struct FileSystem {
    name: &'static str,
    mount: &'static str,
    /// Whether others may write to it unseen.
    is_unseen: bool,
}

const FILE_SYSTEMS: [FileSystem; 12] = [
    FileSystem {
        name: "ext4",
        mount: "truncate -s 256M $scratch/image; mkfs.ext4 -q $scratch/image; \
                mount -o loop $scratch/image $mount",
        is_unseen: false,
    },
    FileSystem {
        name: "xfs",
        mount: "truncate -s 400M $scratch/image; mkfs.xfs -q $scratch/image; \
                mount -o loop $scratch/image $mount",
        is_unseen: false,
    },
    FileSystem {
        name: "btrfs",
        mount: "truncate -s 256M $scratch/image; mkfs.btrfs -q $scratch/image; \
                mount -o loop $scratch/image $mount",
        is_unseen: false,
    },
    FileSystem {
        name: "ext2",
        mount: "truncate -s 64M $scratch/image; mkfs.ext2 -q $scratch/image; \
                mount -o loop $scratch/image $mount",
        is_unseen: false,
    },
    FileSystem {
        name: "ramfs",
        mount: "mount -t ramfs none $mount",
        is_unseen: false,
    },
    FileSystem {
        name: "tmpfs",
        mount: "mount -t tmpfs none $mount",
        is_unseen: false,
    },
    FileSystem {
        name: "overlayfs",
        mount: "mount -t tmpfs none $scratch; cd $scratch; mkdir lower upper work; \
                mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none $mount",
        is_unseen: false,
    },
    FileSystem {
        name: "bindfs",
        mount: "bindfs $scratch $mount",
        is_unseen: true,
    },
    FileSystem {
        name: "ntfs-3g",
        mount: "truncate -s 256M $scratch/image; mkntfs -q -Q -F $scratch/image >&2; \
                ntfs-3g $scratch/image $mount",
        is_unseen: true,
    },
    FileSystem {
        name: "exfat-fuse",
        mount: "truncate -s 256M $scratch/image; mkfs.exfat $scratch/image >&2; \
                loop=$(losetup --find --show $scratch/image); \
                mount.exfat-fuse $loop $mount >&2; losetup --detach $loop",
        is_unseen: true,
    },
    FileSystem {
        name: "fuse-overlayfs",
        mount: "cd $scratch; mkdir lower upper work; \
                fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work $mount",
        is_unseen: true,
    },
    FileSystem {
        name: "mergerfs",
        mount: "mkdir $scratch/one $scratch/two; mergerfs $scratch/one:$scratch/two $mount",
        is_unseen: true,
    },
];

/// Where the child finds its mount, and which file system it is.
const MOUNT: &str = "PROGLOG_TEST_MOUNT";
const NAME: &str = "PROGLOG_TEST_FILE_SYSTEM";

/// How the child says that there is no such file system here.
const CANNOT_MOUNT: i32 = 77;

#[test]
fn every_command_on_every_file_system() {
    if let Some(mount) = std::env::var_os(MOUNT) {
        return on_file_system(&PathBuf::from(mount), &std::env::var(NAME).unwrap());
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("file systems: SKIPPED: not root");
        return;
    }
    for system in FILE_SYSTEMS {
        let directory = tempfile::tempdir().unwrap();
        let [mount, scratch] = ["mount", "scratch"].map(|name| directory.path().join(name));
        std::fs::create_dir(&mount).unwrap();
        std::fs::create_dir(&scratch).unwrap();
        let script = format!(
            "(set -e; {}) || exit {CANNOT_MOUNT}; \"$@\"; status=$?; umount $mount; exit $status",
            system.mount
        );
        let mut child = in_mounts(&script, std::env::current_exe().unwrap());
        child.args([
            "security::mounts::every_command_on_every_file_system",
            "--exact",
            "--nocapture",
        ]);
        child.env("mount", &mount).env("scratch", &scratch);
        child.env(MOUNT, &mount).env(NAME, system.name);
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => eprintln!("{}", said.lines().last().unwrap_or_default()),
            Some(CANNOT_MOUNT) => eprintln!(
                "file systems: SKIPPED, {}: cannot be mounted here: {}",
                system.name,
                said.trim()
            ),
            _ => panic!("{}: {said}", system.name),
        }
    }
}

fn on_file_system(mount: &std::path::Path, name: &str) {
    let system = FILE_SYSTEMS.iter().find(|it| it.name == name).unwrap();
    let mut wrong = Vec::new();
    let (mut same, mut unseen) = (0, 0);
    let (plain, assuming) = (System::plain(), System::assuming_unused());
    for case in cases() {
        let expected = done(&case, &plain, None).unwrap();
        let mut there = done(&case, &plain, Some(mount)).unwrap();
        let said = there.status;
        if said == Some(4) && system.is_unseen && there.changed_nothing() {
            unseen += 1;
            there = done(&case, &assuming, Some(mount)).unwrap();
        }
        if there.is_as(&expected) {
            same += 1;
        } else {
            wrong.push(format!(
                "{case}: {said:?}, {:?}: {}",
                there.status, there.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(unseen > 0, system.is_unseen);
    // Nor does the library create anything for a log that it refuses.
    let new = mount.join("new");
    let opened = proglog::Appender::open(new.join("log"));
    let is_refused = matches!(opened, Err(proglog::Error::UseUnknown { .. }));
    assert_eq!(
        (is_refused, !new.exists()),
        (system.is_unseen, system.is_unseen)
    );
    eprintln!("file systems: {name}: {same} commands did the same, {unseen} when told to go on");
}
