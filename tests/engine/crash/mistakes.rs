//! Mistakes made on purpose, each of which must be noticed: a disk that leaves out or
//! puts off what the product asked of it, and plans that a careless mender makes. The
//! product itself knows nothing of them.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use proglog::inspect::report::Report;
use proglog::log::config::Limits;
use proglog::log::dir::{Dir, FilePath};
use proglog::log::disk::{Disk, DiskFile, Ownership};
use proglog::log::error::Error;
use proglog::log::format::{ENTRY_BYTES, FileKind, LENGTH_MARK};
use proglog::log::record::Codec;
use proglog::log::units::{Offset, Position};
use proglog::mend::plan::{NewEntries, Plan, Step};
use proglog_testkit::{Sandbox, frames, report, truth};
use prost::Message as _;

use crate::crash::appending::Script;
use crate::crash::lab::{Bench, Job, Lab};
use crate::crash::mending::{self, LOG, Mender};
use crate::crash::reading::Numbered;
use crate::crash::recorder::{FileId, Recorder};
use crate::crash::redacting;
use crate::crash::scenarios::{self, Patient, RULES, WIDE, explore_mending, explore_script};

/// What is done wrong on the way to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    NoStoreSync,
    NoDirectorySync,
    NoParentSync,
    NoSyncOfWhatWasFound,
    IndexBeforeStore,
    RollWithoutCommit,
    AcknowledgedBeforeSync,
    TemporaryName,
    /// A mark that must be durable first is not synced.
    MarkNotFirst,
    /// A batch has no mark.
    NoMark,
}

/// A disk that makes one mistake.
struct Careless {
    mistake: Mistake,
    recorder: Arc<Recorder>,
    /// Syncs that were put off.
    held: Mutex<Vec<FileId>>,
    /// Whether this process has changed anything.
    changed: AtomicBool,
    temporary: Mutex<Option<FilePath>>,
    /// Whether the next sync of bytes is left out.
    skips: AtomicBool,
}

impl Careless {
    fn new(mistake: Mistake, recorder: Arc<Recorder>) -> Self {
        Self {
            mistake,
            recorder,
            held: Mutex::default(),
            changed: AtomicBool::new(false),
            temporary: Mutex::default(),
            skips: AtomicBool::new(false),
        }
    }

    /// Before each operation: what was put off until now.
    fn catch_up(&self) -> io::Result<()> {
        if self.mistake == Mistake::IndexBeforeStore {
            return Ok(());
        }
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        held.into_iter()
            .try_for_each(|file| self.recorder.sync_id(file))
    }

    /// After each change; one that fails ends the process.
    fn change<T>(&self, result: io::Result<T>) -> io::Result<T> {
        self.changed.store(result.is_ok(), Ordering::Relaxed);
        result
    }

    fn leaves_found(&self) -> bool {
        self.mistake == Mistake::NoSyncOfWhatWasFound && !self.changed.load(Ordering::Relaxed)
    }
}

fn is(file: &DiskFile, kind: FileKind) -> bool {
    file.path()
        .extension()
        .is_some_and(|extension| extension == kind.extension())
}

impl Disk for Careless {
    fn open(&self, path: &FilePath) -> io::Result<DiskFile> {
        self.recorder.open(path)
    }

    fn create(&self, path: &FilePath, like: Option<Ownership>) -> io::Result<DiskFile> {
        if self.mistake == Mistake::RollWithoutCommit {
            self.held.lock().unwrap().clear();
        }
        self.catch_up()?;
        self.change(self.recorder.create(path, like))
    }

    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile> {
        self.catch_up()?;
        if self.mistake == Mistake::TemporaryName {
            let path = dir.at("index.tmp");
            *self.temporary.lock().unwrap() = Some(path.clone());
            return self.recorder.create(&path, like);
        }
        self.change(self.recorder.create_unnamed(dir, like))
    }

    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()> {
        self.catch_up()?;
        match self.temporary.lock().unwrap().take() {
            Some(temporary) => self.recorder.rename(&temporary, path),
            None => self.change(self.recorder.link(file, path)),
        }
    }

    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()> {
        self.catch_up()?;
        self.change(self.recorder.create_dir(path, mode))
    }

    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.catch_up()?;
        let marks = bytes.first() == Some(&LENGTH_MARK);
        if self.mistake == Mistake::NoMark && marks {
            let unmarked = [&[0], &bytes[1..]].concat();
            return self.change(self.recorder.write_at(file, &unmarked, position));
        }
        if self.mistake == Mistake::MarkNotFirst && marks && bytes.len() == 1 {
            self.skips.store(true, Ordering::Relaxed);
        }
        self.change(self.recorder.write_at(file, bytes, position))
    }

    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()> {
        self.catch_up()?;
        self.change(self.recorder.set_len(file, bytes))
    }

    fn sync_data(&self, file: &DiskFile) -> io::Result<()> {
        self.catch_up()?;
        if self.leaves_found() || self.skips.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        match self.mistake {
            Mistake::NoStoreSync if is(file, FileKind::Store) => return Ok(()),
            Mistake::IndexBeforeStore if is(file, FileKind::Store) => {
                self.held.lock().unwrap().push(self.recorder.id(file)?);
                return Ok(());
            }
            Mistake::RollWithoutCommit => {
                self.held.lock().unwrap().push(self.recorder.id(file)?);
                return Ok(());
            }
            Mistake::AcknowledgedBeforeSync if is(file, FileKind::Index) => {
                self.held.lock().unwrap().push(self.recorder.id(file)?);
                return Ok(());
            }
            _ => {}
        }
        self.recorder.sync_data(file)?;
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        held.into_iter()
            .try_for_each(|file| self.recorder.sync_id(file))
    }

    fn sync_dir(&self, path: &Dir) -> io::Result<()> {
        self.catch_up()?;
        let is_log = path.path().ends_with(LOG);
        if self.leaves_found()
            || (self.mistake == Mistake::NoDirectorySync && is_log)
            || (self.mistake == Mistake::NoParentSync && !is_log)
        {
            return Ok(());
        }
        self.recorder.sync_dir(path)
    }

    fn remove(&self, path: &FilePath) -> io::Result<()> {
        self.change(self.recorder.remove(path))
    }

    fn remove_dir(&self, path: &FilePath) -> io::Result<()> {
        self.change(self.recorder.remove_dir(path))
    }

    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        self.change(self.recorder.rename(from, to))
    }
}

/// Mistakes that were noticed.
static NOTICED: AtomicUsize = AtomicUsize::new(0);

/// Tells how many that are by now.
fn tell() {
    let noticed = NOTICED.load(Ordering::Relaxed);
    report(&format!(
        "seeded mistakes: {noticed} noticed so far, none missed"
    ));
}

/// Runs jobs that are wrong, and tells which violation was found first.
fn must_be_noticed(what: &str, wanted: &'static str, jobs: Vec<Job<'_>>) {
    let began = Instant::now();
    let lab = Lab::for_a_mistake(wanted);
    lab.run(jobs);
    let violations = lab.violations();
    let found = violations
        .iter()
        .find(|violation| violation.contains(wanted));
    let Some(found) = found else {
        panic!("{what} is not noticed: {violations:?}");
    };
    let seconds = began.elapsed().as_secs_f64();
    let found: String = found.chars().take(150).collect();
    NOTICED.fetch_add(1, Ordering::Relaxed);
    println!("{what} is noticed ({seconds:.2} s): {found}");
}

/// Runs a script over a disk that makes a mistake.
fn script_job(mistake: Mistake, script: Script) -> Job<'static> {
    Job {
        part: "mistake",
        name: format!("{mistake:?}"),
        run: Box::new(move |bench: &Bench<'_>| {
            explore_script(&script, RULES, bench, &|recorder| {
                Arc::new(Careless::new(mistake, recorder))
            });
        }),
    }
}

fn script_named(codec: Codec, wanted: &str) -> Script {
    let scripts = scenarios::scripts(codec);
    let found = scripts.into_iter().find(|(name, _)| *name == wanted);
    found.unwrap().1
}

#[test]
fn mistakes_on_the_way_to_the_disk_are_noticed() {
    let _no_forks = crate::FORKS.read();
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (mistake, script, wanted) in [
            (Mistake::NoStoreSync, "batches", "lacks acknowledged"),
            (Mistake::NoDirectorySync, "batches", "lacks acknowledged"),
            (
                Mistake::NoParentSync,
                "new-parents",
                "the directory is gone",
            ),
            // Nothing acknowledged is lost, but entries stand for frames that are not.
            (Mistake::IndexBeforeStore, "batches", "damaged: "),
            (
                Mistake::RollWithoutCommit,
                "rolls-by-store",
                "lacks acknowledged",
            ),
            (
                Mistake::AcknowledgedBeforeSync,
                "batches",
                "lacks acknowledged",
            ),
        ] {
            let job = script_job(mistake, script_named(codec, script));
            must_be_noticed(&format!("{mistake:?} ({codec})"), wanted, vec![job]);
        }
        // A protobuf record that is torn does not decode.
        if codec == Codec::Raw {
            for mistake in [Mistake::MarkNotFirst, Mistake::NoMark] {
                let job = script_job(mistake, script_named(codec, "sectors"));
                let what = format!("{mistake:?} ({codec})");
                must_be_noticed(&what, "are not what was sent", vec![job]);
            }
        }
        let redacts = Job {
            part: "mistake",
            name: "redact".to_owned(),
            run: Box::new(move |bench: &Bench<'_>| {
                redacting::explore(codec, bench, &|recorder| {
                    Arc::new(Careless::new(Mistake::NoStoreSync, recorder))
                });
            }),
        };
        let what = format!("a redaction that is not synced ({codec})");
        must_be_noticed(&what, "what was done does not last", vec![redacts]);
        let limits = Limits {
            max_store_bytes: 120,
            ..WIDE
        };
        let script = scenarios::killed(codec, limits, &[&[30, 40], &[60, 9]]);
        let jobs = (0..scenarios::operations(&script)).map(|killed_after| {
            let mut script = script.clone();
            script.runs[0].killed_after = Some(killed_after);
            script_job(Mistake::NoSyncOfWhatWasFound, script)
        });
        let what = format!("NoSyncOfWhatWasFound ({codec})");
        must_be_noticed(&what, "lacks acknowledged", jobs.collect());
    }
    tell();
}

fn patient(case: &str, mender: Mender) -> Patient {
    Patient {
        name: case.to_owned(),
        sandbox: Sandbox::of(case),
        codec: match truth(case).codec {
            proglog_testkit::Codec::Raw => Codec::Raw,
            proglog_testkit::Codec::Protobuf => Codec::Protobuf,
        },
        mender,
        keeps: |_| true,
    }
}

fn mending_job(patient: Patient, mistake: Option<Mistake>) -> Job<'static> {
    Job {
        part: "mistake",
        name: patient.name.clone(),
        run: Box::new(move |bench: &Bench<'_>| {
            explore_mending(&patient, bench, &|recorder| match mistake {
                Some(mistake) => Arc::new(Careless::new(mistake, recorder)),
                None => recorder,
            });
        }),
    }
}

#[test]
fn a_temporary_name_in_the_directory_is_noticed() {
    let _no_forks = crate::FORKS.read();
    let job = mending_job(
        patient("index-missing", mending::repair),
        Some(Mistake::TemporaryName),
    );
    must_be_noticed("a temporary name", "nobody expects: index.tmp", vec![job]);
    tell();
}

/// The frames of each pair, as one who knows no index sees them.
fn naive_frames(report: &Report) -> Vec<(Offset, Vec<Numbered>)> {
    let pairs = report
        .listing
        .segments
        .iter()
        .filter(|segment| segment.is_readable_pair());
    pairs
        .map(|segment| {
            let path = report
                .listing
                .directory
                .file(&segment.names, FileKind::Store);
            (segment.base(), frames(&std::fs::read(path).unwrap()))
        })
        .collect()
}

/// Cuts each segment at the first frame that is not the next record's.
#[expect(clippy::unnecessary_wraps, reason = "a mender may refuse")]
fn cut_at_the_first_bad_frame(report: &Report) -> Result<Plan, Error> {
    let mut plan = Plan::over(report);
    for (base, frames) in naive_frames(report) {
        let good = (base.0..)
            .zip(&frames)
            .take_while(|(offset, (_, payload))| {
                let record = proglog_testkit::Record::decode(payload.as_slice());
                record.is_ok_and(|record| record.offset == *offset)
            });
        let (count, end) = good.fold((0, 0), |(count, _), (_, (position, payload))| {
            (count + 1, position + 8 + payload.len() as u64)
        });
        for segment in report
            .listing
            .segments
            .iter()
            .filter(|it| it.base() == base)
        {
            for (kind, to) in [
                (FileKind::Index, count * ENTRY_BYTES),
                (FileKind::Store, end),
            ] {
                let from = segment.file(kind).unwrap().bytes;
                if to < from {
                    plan.steps.push(Step::Cut {
                        base,
                        kind,
                        from,
                        to,
                    });
                }
            }
        }
    }
    Ok(plan)
}

/// Numbers the frames of each store anew.
#[expect(clippy::unnecessary_wraps, reason = "a mender may refuse")]
fn rebuild_blindly(report: &Report) -> Result<Plan, Error> {
    let mut plan = Plan::over(report);
    plan.codec = Some(Codec::Raw);
    for (base, frames) in naive_frames(report) {
        let entries = NewEntries::of_frames(0, frames.len() as u64, Position(0));
        plan.steps.push(Step::WriteEntries { base, entries });
    }
    Ok(plan)
}

#[test]
fn a_careless_mender_is_noticed() {
    let _no_forks = crate::FORKS.read();
    for case in ["gap-torn", "gap-orphans"] {
        let job = mending_job(patient(case, cut_at_the_first_bad_frame), None);
        let what = format!("cutting at the first bad frame of {case}");
        must_be_noticed(&what, "is gone", vec![job]);
    }
    for case in ["gap-torn", "gap-orphans"] {
        let job = mending_job(patient(case, rebuild_blindly), None);
        must_be_noticed(&format!("rebuilding {case} blindly"), "is gone", vec![job]);
    }
    tell();
}
