//! File systems that have no files without a name, no links, no move that replaces nothing,
//! as FUSE, NFS, 9p and vfat: what is mended elsewhere is mended there, whenever it ends.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use proglog::forward_to_disk;
use proglog::log::dir::{Dir, FilePath};
use proglog::log::disk::{Disk, DiskFile, Ownership, RealDisk};
use proglog::log::units::Offset;
use proglog::mend::apply::Save;
use proglog::mend::plan::Plan;
use proglog::mend::repair;
use proglog::mend::trim::{self, Keep};
use proglog_testkit::{Codec, LogBuilder, Sandbox, whole_records};

use crate::mending::cut_short::{self, ending};
use crate::mending::{library, run};

/// What a file system says of that which it cannot do.
#[derive(Clone, Copy)]
struct Lacks {
    unnamed: Option<i32>,
    link: Option<i32>,
    rename: Option<i32>,
}

const LACKS: [Lacks; 6] = [
    // FUSE and NFS.
    Lacks {
        unnamed: Some(libc::EOPNOTSUPP),
        link: None,
        rename: Some(libc::EINVAL),
    },
    // vfat before renameat2.
    Lacks {
        unnamed: Some(libc::EOPNOTSUPP),
        link: Some(libc::EPERM),
        rename: Some(libc::ENOSYS),
    },
    // An old kernel.
    Lacks {
        unnamed: Some(libc::EISDIR),
        link: Some(libc::ENOSYS),
        rename: Some(libc::ENOSYS),
    },
    Lacks {
        unnamed: Some(libc::ENOTSUP),
        link: Some(libc::EOPNOTSUPP),
        rename: Some(libc::ENOTSUP),
    },
    // A filter of system calls.
    Lacks {
        unnamed: Some(libc::EPERM),
        link: Some(libc::EPERM),
        rename: Some(libc::EPERM),
    },
    // A file without a name can be made, and gets none: no links, or no /proc.
    Lacks {
        unnamed: None,
        link: Some(libc::ENOENT),
        rename: None,
    },
];

struct Plain {
    lacks: Lacks,
    disk: Arc<dyn Disk>,
}

fn refused(errno: Option<i32>) -> io::Result<()> {
    errno.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
}

impl Disk for Plain {
    forward_to_disk! { |self| self.disk =>
        open create create_dir write_at set_len sync_data sync_dir remove remove_dir replace
    }
    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile> {
        refused(self.lacks.unnamed)?;
        self.disk.create_unnamed(dir, like)
    }
    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()> {
        refused(self.lacks.link)?;
        self.disk.link(file, path)
    }
    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        refused(self.lacks.rename)?;
        self.disk.rename(from, to)
    }
}

fn plain(lacks: Lacks, left: u64) -> Arc<dyn Disk> {
    Arc::new(Plain {
        lacks,
        disk: ending(left),
    })
}

/// One for each case.
fn codecs() -> impl Iterator<Item = Codec> {
    [Codec::Raw, Codec::Protobuf].into_iter().cycle()
}

fn log_of(codec: Codec) -> LogBuilder {
    let values: Vec<String> = (0..12).map(|n| format!("value {n}")).collect();
    LogBuilder::new(codec)
        .segment(0, &values[..4])
        .segment(4, &values[4..8])
        .segment(8, &values[8..])
}

/// Carries out what `made` plans, on a disk that ends after each number of changes and
/// lacks things: what is there is as before or as after, file by file; the same again
/// completes it, and every part is taken back.
fn ends_anywhere(
    lacks: Lacks,
    about: &str,
    build: &dyn Fn() -> Sandbox,
    made: &dyn Fn(&Path) -> Plan,
) {
    let reference = build();
    library::carry_out(&reference.log(), &made(&reference.log()));
    for left in 0.. {
        let about = format!("{about}, ended at {left}");
        let sandbox = build();
        let log = sandbox.log();
        let before = sandbox.snapshot();
        let first = made(&log);
        let done = library::try_on(&log, &first, &plain(lacks, left));
        let changed = sandbox.snapshot().contents() != before.contents();
        for name in sandbox.names() {
            let bytes = sandbox.read(&name);
            let is = |of: &[u8]| of == bytes;
            let was = before
                .contents()
                .get(Path::new(&name))
                .is_some_and(|it| is(it));
            let reference = reference.snapshot();
            let then = reference
                .contents()
                .get(Path::new(&name))
                .is_some_and(|it| is(it));
            assert!(was || then, "{about}: {name}");
        }
        let second = made(&log);
        library::try_on(&log, &second, &plain(lacks, u64::MAX))
            .unwrap_or_else(|error| panic!("{about}: {error}"));
        let after = sandbox.snapshot();
        assert_eq!(after.contents(), reference.snapshot().contents(), "{about}");
        assert!(!beside(&sandbox), "{about}");
        let undo = || library::undo_on(&log, &plain(lacks, u64::MAX));
        if !second.steps.is_empty() {
            undo();
        }
        if changed {
            undo();
        }
        let undone = sandbox.snapshot();
        assert_eq!(undone.contents(), before.contents(), "{about}");
        if done.is_ok() {
            assert!(left > 3, "{about}");
            break;
        }
    }
}

/// Whether a file that is not whole stands beside the log.
fn beside(sandbox: &Sandbox) -> bool {
    sandbox.path().join("log.proglog-new").exists()
}

#[test]
fn a_missing_index_is_made_there() {
    let names = ["0.index", "8.index"].into_iter().cycle();
    for ((lacks, codec), name) in LACKS.into_iter().zip(codecs()).zip(names) {
        let build = || {
            let sandbox = Sandbox::built(&log_of(codec));
            sandbox.remove(name);
            sandbox
        };
        let made = |log: &Path| repair::plan(&library::report(log));
        ends_anywhere(lacks, name, &build, &made);
    }
}

#[test]
fn whole_files_are_moved_there_and_back() {
    for lacks in LACKS {
        for keep in [Keep::Segments(1), Keep::UpTo(Offset(2))] {
            let build = || Sandbox::built(&log_of(Codec::Raw));
            let made = |log: &Path| match trim::plan(&library::report(log), keep) {
                Ok(plan) => plan,
                Err(error) => panic!("{error}"),
            };
            ends_anywhere(lacks, &format!("{keep:?}"), &build, &made);
        }
    }
}

/// A disk on which somebody else is faster than a move.
struct Outrun;

impl Disk for Outrun {
    forward_to_disk! { |self| RealDisk =>
        open create create_unnamed link create_dir write_at set_len sync_data sync_dir remove remove_dir replace
    }
    fn rename(&self, _: &FilePath, to: &FilePath) -> io::Result<()> {
        std::fs::write(to, "somebody else's")?;
        refused(Some(libc::EINVAL))
    }
}

#[test]
fn a_move_replaces_nothing_there() {
    let sandbox = Sandbox::built(&log_of(Codec::Raw));
    let before = sandbox.snapshot();
    let log = sandbox.log();
    let disk: Arc<dyn Disk> = Arc::new(Outrun);
    let plan = trim::plan(&library::report(&log), Keep::Segments(1)).unwrap();
    let refused = library::try_on(&log, &plan, &disk);
    assert!(refused.unwrap_err().to_string().contains("exists"));
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}

#[test]
fn a_store_is_put_together_anew_there() {
    for (lacks, codec) in LACKS.into_iter().zip(codecs()) {
        for left in 0.. {
            let mut values: Vec<String> = (0..12).map(|n| format!("value {n}")).collect();
            let of = |values: &[String]| {
                LogBuilder::new(codec)
                    .segment(0, &values[..4])
                    .segment(4, &values[4..])
            };
            let copy = Sandbox::built(&of(&values));
            // The damaged frame took more room than the record has.
            values[4].push_str(" and more");
            let sandbox = Sandbox::built(&of(&values));
            sandbox.put("4.store", 0, &[0xff; 8]);
            let before = sandbox.snapshot();
            let (log, other) = (sandbox.log(), copy.log());
            let first = cut_short::plan(&log, &other, "");
            let done = library::try_saving(&log, &first, &plain(lacks, left), Save::Beside);
            let changed = sandbox.snapshot().contents() != before.contents();
            let second = cut_short::plan(&log, &other, "");
            let disk = plain(lacks, u64::MAX);
            library::try_on(&log, &second, &disk).unwrap();
            assert_eq!(whole_records(&log, codec).len(), 12, "{left}");
            assert!(
                !beside(&sandbox),
                "{left} {:?} {:?}",
                first.steps,
                second.steps
            );
            if !second.steps.is_empty() {
                library::undo_on(&log, &disk);
            }
            if changed {
                library::undo_on(&log, &disk);
            }
            assert_eq!(sandbox.snapshot().contents(), before.contents(), "{left}");
            if done.is_ok() {
                break;
            }
        }
    }
}

/// A directory seen through FUSE; dropping it unmounts it.
struct Fuse(tempfile::TempDir, tempfile::TempDir);

impl Fuse {
    fn mount() -> Option<Self> {
        let fuse = Self(tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mounted = Command::new("bindfs")
            .args([fuse.0.path(), fuse.1.path()])
            .output();
        if mounted.is_ok_and(|it| it.status.success()) {
            return Some(fuse);
        }
        eprintln!("NOT TESTED: no bindfs, or it may not mount");
        None
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.1.path()).status();
    }
}

/// Nobody can tell on FUSE whether somebody else writes.
const UNUSED: &str = "--assume-unused";

/// Below a mount, and as one: there no place beside the log is in its file system.
#[test]
fn a_real_one() {
    for below in [true, false] {
        let Some(fuse) = Fuse::mount() else {
            return;
        };
        let log = fuse.1.path().join(if below { "log" } else { "" });
        let _ = std::fs::create_dir(&log);
        let sandbox = Sandbox::built(&log_of(Codec::Raw));
        for name in sandbox.names().iter().filter(|name| *name != "4.index") {
            std::fs::write(log.join(name), sandbox.read(name)).unwrap();
        }
        let place = tempfile::tempdir().unwrap();
        let log_name = log.to_str().unwrap().trim_end_matches('/');
        let save_to = ["--save-to", place.path().to_str().unwrap()];
        let repair = [&["repair", log_name, UNUSED][..], &save_to].concat();
        let (status, _, stderr) = run(sandbox.path(), &repair);
        assert_eq!(status, 0, "{stderr}");
        let made = std::fs::read(log.join("4.index")).unwrap();
        assert_eq!(made, sandbox.read("4.index"));
        assert_eq!(std::fs::read_dir(&log).unwrap().count(), 6);
        let trim = ["trim", log_name, "--keep-segments", "1", UNUSED];
        if !below {
            let (status, _, stderr) = run(sandbox.path(), &[&trim[..], &save_to].concat());
            assert!(status == 2 && stderr.contains("--no-save"), "{stderr}");
            continue;
        }
        let (status, _, stderr) = run(sandbox.path(), &trim);
        assert_eq!(status, 0, "{stderr}");
        let (status, _, stderr) = run(sandbox.path(), &["undo", log_name, UNUSED]);
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(std::fs::read_dir(&log).unwrap().count(), 6);
    }
}

/// A log that is a mount of its own, where nothing has no name: said before the first
/// change.
#[test]
fn what_cannot_be_replaced_is_not_begun() {
    let Some(mount) = crate::mending::disk::Mount::tmpfs("size=256k") else {
        return;
    };
    let copy = Sandbox::built(&LogBuilder::raw().segment(0, ["first", "second"]));
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a longer first", "second"]));
    sandbox.put("0.store", 0, &[0xff; 8]);
    for name in sandbox.names() {
        std::fs::write(mount.path().join(&name), sandbox.read(&name)).unwrap();
    }
    let before = proglog_testkit::Snapshot::of(mount.path());
    let first = cut_short::plan(mount.path(), &copy.log(), "");
    let place = tempfile::tempdir().unwrap();
    let save = Save::To(place.path().to_path_buf());
    let disk: Arc<dyn Disk> = Arc::new(Plain {
        lacks: LACKS[0],
        disk: Arc::new(RealDisk),
    });
    let refused = library::try_saving(mount.path(), &first, &disk, save.clone());
    let said = refused.map_err(|error| error.to_string()).unwrap_err();
    assert!(said.contains("cannot be replaced atomically"), "{said}");
    assert_eq!(proglog_testkit::Snapshot::of(mount.path()), before);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    // A missing one takes nobody's place.
    std::fs::remove_file(mount.path().join("0.index")).unwrap();
    std::fs::write(mount.path().join("0.store"), copy.read("0.store")).unwrap();
    let report = library::report(mount.path());
    let plan = repair::plan(&report);
    library::try_saving(mount.path(), &plan, &disk, save).unwrap();
    assert_eq!(
        std::fs::read(mount.path().join("0.index")).unwrap(),
        copy.read("0.index")
    );
    assert_eq!(std::fs::read_dir(mount.path()).unwrap().count(), 2);
}
