//! A log whose directory is a mount of its own: no other name is in its file system, so
//! that no file there can be replaced in one step. What it held is in the directory or
//! saved, whenever the mending ends.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proglog::forward_to_disk;
use proglog::log::dir::FilePath;
use proglog::log::disk::{Disk, DiskFile};
use proglog::mend::apply::Save;
use proglog_testkit::{Codec, LogBuilder, Sandbox, whole_records};

use crate::mending::cut_short::{ending, plan};
use crate::mending::library;

/// A disk on which only names in one directory are in its file system.
struct Mounted {
    log: PathBuf,
    /// What it says of the others.
    error: i32,
    disk: Arc<dyn Disk>,
}

impl Mounted {
    fn within(&self, path: &Path) -> io::Result<()> {
        let log = self.log.canonicalize()?;
        let parent = path.parent().unwrap_or(Path::new("")).canonicalize()?;
        if parent == log {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(self.error))
    }
}

impl Disk for Mounted {
    forward_to_disk! { |self| self.disk =>
        open create create_unnamed create_dir write_at set_len sync_data sync_dir remove remove_dir
    }
    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()> {
        self.within(path)?;
        self.disk.link(file, path)
    }
    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        self.within(from)?;
        self.within(to)?;
        self.disk.rename(from, to)
    }
    fn replace(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        self.within(from)?;
        self.within(to)?;
        self.disk.replace(from, to)
    }
}

/// The directory around the log may also be one that its owner may not write to.
const ERRORS: [i32; 3] = [libc::EXDEV, libc::EACCES, libc::EROFS];

fn mounted(log: &Path, error: i32, left: u64) -> Arc<dyn Disk> {
    Arc::new(Mounted {
        log: log.to_path_buf(),
        error,
        disk: ending(left),
    })
}

/// A log of which a store must be put together anew, since a frame of it took more room
/// than the record has, and a copy that lacks the end.
fn damaged(codec: Codec) -> (Sandbox, Sandbox) {
    let mut values: Vec<String> = (0..12).map(|n| format!("value {n}")).collect();
    let log = |values: &[String]| {
        LogBuilder::new(codec)
            .segment(0, &values[..4])
            .segment(4, &values[4..8])
            .segment(8, &values[8..])
    };
    let copy = Sandbox::built(&log(&values));
    copy.remove("8.store");
    values[4].push_str(" and more");
    let sandbox = Sandbox::built(&log(&values));
    sandbox.put("4.store", 0, &[0xff; 8]);
    (sandbox, copy)
}

#[test]
fn what_is_not_saved_is_not_replaced() {
    for error in ERRORS {
        let (sandbox, copy) = damaged(Codec::Raw);
        let (log, other) = (sandbox.log(), copy.log());
        let before = sandbox.snapshot();
        let first = plan(&log, &other, "");
        let disk = mounted(&log, error, u64::MAX);
        let refused = library::try_saving(&log, &first, &disk, Save::Nowhere);
        let said = refused.map_err(|error| error.to_string()).unwrap_err();
        assert!(said.contains("--save-to"), "{said}");
        assert_eq!(sandbox.snapshot().contents(), before.contents());
        // Saved it is done.
        library::try_saving(&log, &first, &disk, Save::Beside).unwrap();
        assert_eq!(whole_records(&log, Codec::Raw).len(), 12);
        library::undo(&log);
        assert_eq!(sandbox.snapshot().contents(), before.contents());
    }
}

#[test]
fn what_is_saved_can_be_put_back_wherever_it_ends() {
    let mut without = 0;
    for (codec, error) in [Codec::Raw, Codec::Protobuf, Codec::Raw]
        .into_iter()
        .zip(ERRORS)
    {
        for left in 0.. {
            let (sandbox, copy) = damaged(codec);
            let (log, other) = (sandbox.log(), copy.log());
            let before = sandbox.snapshot();
            let first = plan(&log, &other, "");
            let ended = library::try_on(&log, &first, &mounted(&log, error, left)).is_err();
            without += u32::from(!log.join("4.store").exists());
            if sandbox.snapshot().contents() != before.contents() {
                library::undo(&log);
            }
            let undone = sandbox.snapshot();
            assert_eq!(undone.contents(), before.contents(), "{codec:?} {left}");
            if !ended {
                break;
            }
        }
    }
    assert!(without > 0, "it never ended between the two steps");
}
