//! A disk that fails: at each call once, or from that call on. Nothing acknowledged is
//! lost, nobody is told of a success, the message names a file, and the same command
//! completes the work on a disk that works again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use proglog::forward_to_disk;
use proglog::log::config::Limits;
use proglog::log::disk::{Disk, DiskFile, RealDisk};
use proglog::log::record::Codec;
use proglog_testkit::report;

use crate::crash::append_checks;
use crate::crash::appending::Script;
use crate::crash::lab::{Bench, Job, Lab};
use crate::crash::mending::{self, LOG, carry_out, files, undo_all};
use crate::crash::scenarios::{self, Patient, RULES, WIDE};
use crate::crash::tree::Tree;

/// What a call answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This error.
    Errno(i32),
    /// Half of a write, once; from then on, no space.
    Short,
}

const FAULTS: [Fault; 5] = [
    Fault::Errno(libc::EIO),
    Fault::Errno(libc::ENOSPC),
    Fault::Errno(libc::EDQUOT),
    Fault::Errno(libc::EINTR),
    Fault::Short,
];

/// A disk of which the call of one number fails.
pub struct Failing {
    disk: Arc<dyn Disk>,
    fault: Fault,
    at: usize,
    for_ever: bool,
    calls: AtomicUsize,
    /// How many calls failed.
    failed: AtomicUsize,
    /// How many of them were interrupted or short writes, which are simply gone on with.
    harmless: AtomicUsize,
}

impl Failing {
    /// Fails at call `at` (from 0), and then on if it is `for_ever`.
    pub fn new(disk: Arc<dyn Disk>, fault: Fault, at: usize, for_ever: bool) -> Self {
        Self {
            disk,
            fault,
            at,
            for_ever,
            calls: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            harmless: AtomicUsize::new(0),
        }
    }

    /// Whether this call fails, and how.
    fn call(&self, write: bool) -> Option<Fault> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if number < self.at || (number > self.at && !self.for_ever) {
            return None;
        }
        let fault = match self.fault {
            Fault::Short if number > self.at => Fault::Errno(libc::ENOSPC),
            Fault::Short if !write => return None,
            // An interruption ends at some time, or nobody would come back.
            Fault::Errno(libc::EINTR) if write && number > self.at => return None,
            fault => fault,
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        let harmless = write && matches!(fault, Fault::Short | Fault::Errno(libc::EINTR));
        self.harmless
            .fetch_add(usize::from(harmless), Ordering::Relaxed);
        Some(fault)
    }

    fn unless_it_fails(&self) -> io::Result<&dyn Disk> {
        match self.call(false) {
            Some(Fault::Errno(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(Fault::Short) | None => Ok(&*self.disk),
        }
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether a call failed so that the command must not succeed.
    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) > self.harmless.load(Ordering::Relaxed)
    }
}

impl Disk for Failing {
    forward_to_disk! { |self| self.unless_it_fails()? =>
        open create create_unnamed link create_dir set_len sync_data sync_dir remove remove_dir rename
    }

    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        match self.call(true) {
            Some(Fault::Errno(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(Fault::Short) => {
                let half = bytes.len().div_ceil(2);
                self.disk.write_at(file, &bytes[..half], position)
            }
            None => self.disk.write_at(file, bytes, position),
        }
    }
}

/// What a command answered, held against what its disk did.
pub fn judge(error: Option<&str>, disk: &Failing, root: &Path) -> Result<(), String> {
    let fault = format!(
        "{:?} at call {} for ever: {}",
        disk.fault, disk.at, disk.for_ever
    );
    match error {
        None if disk.has_failed() => Err(format!("{fault}: told as a success")),
        None => Ok(()),
        Some(error) if !disk.has_failed() => Err(format!("{fault}: {error}")),
        // The directory above the root counts: its names are synced too.
        Some(error) if error.contains(&*root.parent().unwrap_or(root).to_string_lossy()) => Ok(()),
        Some(error) => Err(format!("{fault}: the message names no file: {error}")),
    }
}

/// Appends over a disk that fails, at each call in each way.
fn append_job(name: String, script: Script, runs: Arc<AtomicUsize>) -> Job<'static> {
    Job {
        part: "faults, append",
        name,
        run: Box::new(move |bench| {
            let mut calls = usize::MAX;
            for fault in FAULTS {
                for for_ever in [false, true] {
                    for at in 0.. {
                        if at >= calls {
                            break;
                        }
                        calls = one_append(&script, fault, at, for_ever, bench).max(at);
                        runs.fetch_add(1, Ordering::Relaxed);
                    }
                    calls = usize::MAX;
                }
            }
        }),
    }
}

/// One append with one fault, and then the crash states at its end; gives how many
/// calls there were.
fn one_append(
    script: &Script,
    fault: Fault,
    at: usize,
    for_ever: bool,
    bench: &Bench<'_>,
) -> usize {
    let root = bench.put(&Tree::default());
    let failing = std::cell::OnceCell::new();
    let (story, error) = script.record(&root, &|recorder| {
        let disk = Arc::new(Failing::new(recorder, fault, at, for_ever));
        let _ = failing.set(Arc::clone(&disk));
        disk
    });
    let failing = failing.get().unwrap();
    if let Err(message) = judge(error.as_deref(), failing, &root) {
        bench.violation(&message);
    }
    Bench::clear(&root);
    let name = format!("{fault:?} {at} {for_ever}");
    let last = story.recording.ops.len();
    bench.within(&name, || {
        bench.explore(&story.recording, last, &[], &|bench, state| {
            append_checks::check(&story, RULES, bench, state)
        });
    });
    failing.calls()
}

/// Mends over a disk that fails, and takes it back over one.
fn mending_job(patient: Patient, runs: Arc<AtomicUsize>) -> Job<'static> {
    Job {
        part: "faults, mending",
        name: patient.name.clone(),
        run: Box::new(move |bench| {
            let original = Tree::read(patient.sandbox.path());
            let root = bench.put(&original);
            let works: Arc<dyn Disk> = Arc::new(RealDisk);
            if let Err(error) = carry_out(&root.join(LOG), patient.mender, &works) {
                return bench.violation(&error.to_string());
            }
            let mended = files(&root);
            Bench::clear(&root);
            for fault in FAULTS {
                for for_ever in [false, true] {
                    for undo in [false, true] {
                        for at in 0.. {
                            let one = One {
                                patient: &patient,
                                original: &original,
                                mended: &mended,
                            };
                            let disk =
                                Arc::new(Failing::new(Arc::clone(&works), fault, at, for_ever));
                            if let Err(message) = one.run(&disk, undo, bench) {
                                bench.violation(&message);
                            }
                            runs.fetch_add(1, Ordering::Relaxed);
                            if disk.calls() <= at {
                                break;
                            }
                        }
                    }
                }
            }
        }),
    }
}

/// One mending with one fault.
struct One<'o> {
    patient: &'o Patient,
    original: &'o Tree,
    mended: &'o std::collections::BTreeMap<String, Vec<u8>>,
}

impl One<'_> {
    fn run(&self, failing: &Arc<Failing>, undo: bool, bench: &Bench<'_>) -> Result<(), String> {
        let root = bench.put(self.original);
        let log = root.join(LOG);
        let works: Arc<dyn Disk> = Arc::new(RealDisk);
        let disk: Arc<dyn Disk> = Arc::clone(failing) as Arc<dyn Disk>;
        let wanted = self.original.within(Path::new(LOG));
        let what = format!("{:?} at call {}", failing.fault, failing.at);
        let again = |error| format!("{what}: again: {error}");
        if undo {
            carry_out(&log, self.patient.mender, &works).map_err(again)?;
            let error = undo_all(&log, &disk).err().map(|error| error.to_string());
            judge(error.as_deref(), failing, &root)?;
        } else {
            let done = carry_out(&log, self.patient.mender, &disk);
            let error = done.err().map(|error| error.to_string());
            judge(error.as_deref(), failing, &root)?;
            carry_out(&log, self.patient.mender, &works).map_err(again)?;
            mending::same(&files(&root), self.mended, &what)?;
        }
        undo_all(&log, &works).map_err(again)?;
        mending::same(&files(&root), &wanted, &what)?;
        Bench::clear(&root);
        Ok(())
    }
}

#[test]
fn no_single_fault_loses_anything() {
    let _no_forks = crate::FORKS.read();
    let began = Instant::now();
    let lab = Lab::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let mut jobs = Vec::new();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let limits = Limits {
            max_store_bytes: 100,
            ..WIDE
        };
        let script = scenarios::killed(codec, limits, &[&[30, 60, 5], &[20]]);
        jobs.push(append_job(
            format!("faults/{codec}"),
            script,
            Arc::clone(&runs),
        ));
    }
    for patient in scenarios::patients() {
        let few = [
            "index-missing",
            "killed-index-ahead",
            "trim-",
            "repair-many",
        ];
        if few.iter().any(|name| patient.name.contains(name)) {
            jobs.push(mending_job(patient, Arc::clone(&runs)));
        }
    }
    lab.run(jobs);
    lab.tell(began);
    report(&format!(
        "faults: {} runs over a disk that fails",
        runs.load(Ordering::Relaxed)
    ));
    lab.tell_violations();
    let violations = lab.violations();
    assert!(violations.is_empty(), "{} violations", violations.len());
}
