//! Somebody swaps the log's directory for a link to another log, or a file of it for a
//! FIFO, at any moment of a change: the log that was opened is the one that is changed, or
//! nothing is, and nobody waits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proglog::forward_to_disk;
use proglog::inspect::listing::Listing;
use proglog::inspect::report::{Options, Report};
use proglog::log::dir::FilePath;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::reader::LogReader;
use proglog::log::units::Offset;
use proglog::mend::repair;
use proglog::mend::trim::{self, Keep};
use proglog_testkit::{Sandbox, Snapshot};

use crate::mending::library;

/// A disk on which the log's directory is swapped before one of the operations.
struct Swapping {
    log: PathBuf,
    other: PathBuf,
    left: AtomicU64,
}

impl Swapping {
    fn next(&self) -> io::Result<RealDisk> {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        if left == 0 {
            std::fs::rename(&self.log, self.log.with_file_name("away"))?;
            std::os::unix::fs::symlink(&self.other, &self.log)?;
        }
        Ok(RealDisk)
    }
}

impl Disk for Swapping {
    forward_to_disk! { |self| RealDisk => write_at set_len sync_data own_dir }
    forward_to_disk! { |self| self.next()? =>
        open create create_unnamed link create_dir sync_dir remove remove_dir rename replace
    }
}

type Change<'a> = &'a dyn Fn(&Path, &Arc<dyn Disk>) -> Result<(), Error>;

/// Swaps the log's directory before each operation in turn, while `change` is made to it.
fn swap_at_each(case: &str, prepare: fn(&Path), change: Change<'_>) {
    let (mut changed, mut refused) = (0, 0);
    for at in 0.. {
        let (sandbox, other) = (Sandbox::of(case), Sandbox::of(case));
        prepare(&sandbox.log());
        prepare(&other.log());
        let (log, before) = (sandbox.log(), other.snapshot());
        let beside = |sandbox: &Sandbox| std::fs::read_dir(sandbox.path()).unwrap().count();
        let beside_before = beside(&other);
        let disk: Arc<dyn Disk> = Arc::new(Swapping {
            log: log.clone(),
            other: other.log(),
            left: AtomicU64::new(at),
        });
        let ended = change(&log, &disk);
        let what = format!("{case}, swapped at {at}: {ended:?}");
        assert_eq!(other.snapshot(), before, "{what}");
        assert_eq!(beside(&other), beside_before, "{what}");
        let away = sandbox.path().join("away");
        if !away.exists() {
            ended.unwrap();
            break;
        }
        let is_as_before = Snapshot::of(&away).contents() == before.contents();
        assert_eq!(is_as_before, ended.is_err(), "{what}");
        match ended {
            Ok(()) => changed += 1,
            Err(Error::Moved { path, now }) => {
                assert_eq!(path, log);
                assert_eq!(now, Some(away.canonicalize().unwrap()));
                refused += 1;
            }
            // The name beside the log's directory is asked for.
            Err(Error::Io { .. }) => refused += 1,
            Err(error) => panic!("{what}: {error}"),
        }
    }
    assert!(changed > 0 && refused > 0, "{case}: {changed}, {refused}");
}

fn as_it_is(_: &Path) {}

#[test]
fn a_repair_changes_the_log_that_it_opened_or_none() {
    swap_at_each("killed-index-ahead", as_it_is, &|log, disk| {
        let plan = repair::plan(&library::report(log));
        library::try_on(log, &plan, disk)
    });
}

#[test]
fn a_trim_changes_the_log_that_it_opened_or_none() {
    let keeps = [Keep::UpTo(Offset(1)), Keep::Segments(1)];
    for keep in keeps {
        swap_at_each("clean-three-segments", as_it_is, &|log, disk| {
            let plan = trim::plan(&library::report(log), keep)?;
            library::try_on(log, &plan, disk)
        });
    }
}

#[test]
fn an_undo_changes_the_log_that_it_opened_or_none() {
    let repaired = |log: &Path| {
        library::repair(log);
    };
    swap_at_each("killed-index-ahead", repaired, &library::try_undo_on);
}

#[test]
fn nobody_waits_for_a_fifo_that_took_a_files_place() {
    for half in ["0.store", "0.index"] {
        let sandbox = Sandbox::of("clean-three-segments");
        let listing = Listing::of(&sandbox.log()).unwrap();
        let mut reader = LogReader::open(&sandbox.log()).unwrap();
        let file = FilePath::of(&sandbox.file(half)).unwrap();
        sandbox.remove(half);
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.file(half), mode).unwrap();
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let options = Options {
                ask_usage: false,
                ..Options::default()
            };
            let report = Report::over(listing, &options);
            let end = reader.next_offset();
            let opened = RealDisk.open(&file).map(|_| ());
            let _ = ended.send((report.map(|_| ()), end, opened));
        });
        let (_, _, opened) = end.recv_timeout(Duration::from_secs(20)).expect("it hangs");
        assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
