//! A repair that ends at any of its changes to the disk: the same command completes it,
//! and each part of it is taken back byte for byte. Alone, the log is then as if nothing
//! had come between; with `--replica` it has every record that either copy holds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proglog::forward_to_disk;
use proglog::inspect::report::Options;
use proglog::log::disk::{Disk, DiskFile, RealDisk};
use proglog::mend::plan::Plan;
use proglog::mend::repair;
use proglog::mend::replica::{self, Verdict};
use proglog_testkit::{Codec, LogBuilder, Sandbox, whole_records};

use crate::mending::library;

/// A disk that fails from one of its operations on.
struct Ending {
    left: AtomicU64,
}

impl Ending {
    fn next(&self) -> io::Result<RealDisk> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other("the end"));
        }
        self.left.store(left - 1, Ordering::Relaxed);
        Ok(RealDisk)
    }
}

impl Disk for Ending {
    forward_to_disk! { |self| RealDisk => open create_unnamed create_dir sync_data sync_dir own_dir }
    forward_to_disk! { |self| self.next()? => create link set_len remove remove_dir rename replace }
    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        if self.next().is_err() {
            // Half of what is written arrives.
            RealDisk.write_at(file, &bytes[..bytes.len() / 2], position)?;
            return Err(io::Error::other("the end"));
        }
        RealDisk.write_at(file, bytes, position)
    }
}

/// A disk that ends after `left` changes.
pub fn ending(left: u64) -> Arc<dyn Disk> {
    Arc::new(Ending {
        left: AtomicU64::new(left),
    })
}

/// What another copy mends.
pub fn plan(log: &Path, copy: &Path, about: &str) -> Plan {
    let options = Options::default();
    let (here, there) = replica::look(library::report(log), copy, &options).unwrap();
    match replica::plan(&here, &there).unwrap() {
        Verdict::Plan(plan) => plan.plan,
        other => panic!("{about}: {other:?}"),
    }
}

fn log_of(codec: Codec) -> LogBuilder {
    let values: Vec<String> = (0..12)
        .map(|n| format!("value {n} {}", "v".repeat(n)))
        .collect();
    LogBuilder::new(codec)
        .segment(0, &values[..4])
        .segment(4, &values[4..8])
        .segment(8, &values[8..])
}

type Damage = fn(&Sandbox, &Sandbox);

/// What is done to the log, and to its copy.
const DAMAGES: [(&str, Damage); 4] = [
    ("a frame in place", |log, copy| {
        log.put("4.store", 20, &[0xff; 12]);
        log.put("4.index", 12, &[7; 12]);
        copy.flip("0.store", 0);
    }),
    ("a pair that is missing", |log, _| {
        log.remove("4.store");
        log.remove("4.index");
    }),
    ("an end that is missing", |log, copy| {
        log.cut("8.store", 40);
        copy.remove("0.store");
    }),
    ("a store put together anew", |log, copy| {
        let mut bytes = log.read("4.store");
        bytes.drain(20..25);
        log.write("4.store", &bytes);
        copy.remove("8.store");
    }),
];

fn shorten(log: &Sandbox, name: &str, bytes: u64) {
    log.cut(name, log.bytes(name) - bytes);
}

/// What is wrong with a segment of a log: the first, one between two, or the last.
const ALONE: [fn(&Sandbox, u64); 7] = [
    // A frame that did not arrive whole, and padding behind its entry.
    |log, base| {
        shorten(log, &format!("{base}.store"), 3);
        log.append_bytes(&format!("{base}.index"), &[0; 60]);
    },
    // Several frames that did not, and the last of them only by a part of its length.
    |log, base| shorten(log, &format!("{base}.store"), 30),
    // Bytes that no entry names.
    |log, base| log.append_bytes(&format!("{base}.store"), b"\0\0\0"),
    |log, base| log.append_bytes(&format!("{base}.store"), &[0; 4096]),
    |log, base| shorten(log, &format!("{base}.index"), 5),
    |log, base| log.remove(&format!("{base}.index")),
    |log, base| log.put(&format!("{base}.index"), 12, &[0; 12]),
];

/// The saved directories of commands that ended while they saved.
fn without_manifest(sandbox: &Sandbox) -> Vec<PathBuf> {
    let parent = std::fs::read_dir(sandbox.path().join("log.proglog-saved"));
    let saved = parent.into_iter().flatten();
    let saved = saved.map(|entry| entry.unwrap().path());
    saved
        .filter(|saved| !saved.join("manifest.json").exists())
        .collect()
}

/// What may be the only copy of something stays, and so does what is being filled.
#[test]
fn remains_of_an_ended_command_are_removed_and_nothing_else() {
    let sandbox = Sandbox::built(&log_of(Codec::Raw));
    let parent = sandbox.path().join("log.proglog-saved");
    let make = |number: &str, names: &[&str]| {
        let saved = parent.join(format!("{number}-2026-01-02T030405Z"));
        std::fs::create_dir_all(&saved).unwrap();
        for name in names {
            std::fs::write(saved.join(name), b"bytes").unwrap();
        }
        saved
    };
    make("000001", &["0.before", "0.after", "17.before"]);
    make("000002", &[]);
    let mut kept = vec![
        make("000003", &["0.before", "1.moved"]),
        make("000004", &["0.before", "notes"]),
        make("000005", &["0.before", "manifest.json"]),
        make("mine", &["0.before"]),
        make("000006", &["0.before"]),
    ];
    let filled = std::fs::File::open(kept.last().unwrap()).unwrap();
    filled.lock().unwrap();
    shorten(&sandbox, "8.store", 3);
    library::repair(&sandbox.log());
    let mut left: Vec<PathBuf> = std::fs::read_dir(&parent)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    left.sort();
    kept.sort();
    let (new, old): (Vec<_>, Vec<_>) = left.into_iter().partition(|path| !kept.contains(path));
    assert_eq!(old, kept);
    assert_eq!(new.len(), 1);
    assert!(new[0].join("manifest.json").exists());
}

#[test]
fn a_repair_alone_that_ends_anywhere_goes_on_as_if_it_had_not() {
    let mut ends = 0;
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (number, damage) in ALONE.iter().enumerate() {
            for base in [0, 4, 8] {
                let damaged = || {
                    let sandbox = Sandbox::built(&log_of(codec));
                    damage(&sandbox, base);
                    sandbox
                };
                let whole = damaged();
                library::repair(&whole.log());
                for left in 0.. {
                    let about = format!("{codec:?}, damage {number} of {base}, ended at {left}");
                    let sandbox = damaged();
                    let log = sandbox.log();
                    let before = sandbox.snapshot();
                    let first = repair::plan(&library::report(&log));
                    let ended = library::try_on(&log, &first, &ending(left)).is_err();
                    let changed = sandbox.snapshot().contents() != before.contents();
                    let second = library::repair(&log);
                    if !second.steps.is_empty() {
                        let remains = without_manifest(&sandbox);
                        assert!(remains.is_empty(), "{about}: {remains:?}");
                    }
                    let after = sandbox.snapshot();
                    assert_eq!(
                        after.contents(),
                        whole.snapshot().contents(),
                        "{about}: {:?}, then {:?}",
                        first.steps,
                        second.steps
                    );
                    if !second.steps.is_empty() {
                        library::undo(&log);
                    }
                    if changed {
                        library::undo(&log);
                    }
                    let undone = sandbox.snapshot();
                    assert_eq!(undone.contents(), before.contents(), "{about}");
                    if !ended {
                        break;
                    }
                    ends += 1;
                }
            }
        }
    }
    assert!(ends > 50, "{ends}");
}

#[test]
fn a_repair_from_a_copy_that_ends_anywhere_is_completed() {
    let mut ends = 0;
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (what, damage) in DAMAGES {
            for left in 0.. {
                let sandbox = Sandbox::built(&log_of(codec));
                let copy = Sandbox::built(&log_of(codec));
                let records = whole_records(&sandbox.log(), codec);
                damage(&sandbox, &copy);
                let damaged = sandbox.snapshot();
                let (log, other) = (sandbox.log(), copy.log());
                let disk = ending(left);
                let first = plan(&log, &other, "");
                let about = format!("{codec:?}, {what}, ended at {left}: {:?}", first.steps);
                assert!(!first.steps.is_empty(), "{about}");
                let ended = library::try_on(&log, &first, &disk).is_err();
                let changed = sandbox.snapshot().contents() != damaged.contents();
                let second = plan(&log, &other, &about);
                library::carry_out(&log, &second);
                let after = whole_records(&log, codec);
                let missing = records.iter().filter(|it| !after.contains(it));
                let missing: Vec<_> = missing.collect();
                assert!(
                    missing.is_empty(),
                    "{about}\n{:?}\n{missing:?}",
                    second.steps
                );
                assert!(library::report(&log).is_clean(), "{about}");
                if !second.steps.is_empty() {
                    library::undo(&log);
                }
                if changed {
                    library::undo(&log);
                }
                let undone = sandbox.snapshot();
                assert_eq!(undone.contents(), damaged.contents(), "{about}");
                if !ended {
                    break;
                }
                ends += 1;
            }
        }
    }
    assert!(ends > 50, "{ends}");
}
