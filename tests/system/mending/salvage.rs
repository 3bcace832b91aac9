//! A thousand damaged logs at random: salvage gives every record that is sound, and no
//! other; the new log is clean but for its holes, and so is the side log. It alone:
//! `PROGLOG_TEST_SEED=17 cargo test --test system mending::salvage`; `PROGLOG_TEST_RUNS` for more.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use proglog::forward_to_disk;
use proglog::inspect::finding::{FindingId, Severity};
use proglog::inspect::report::Options;
use proglog::log::dir::{Dir, FilePath};
use proglog::log::disk::{Disk, DiskFile, Ownership, RealDisk};
use proglog::log::units::Offset;
use proglog::mend::salvage::write::{self, Targets};
use proglog::mend::salvage::{self, Prefer};
use proglog_testkit::{Codec, LogBuilder, Sandbox, frame, pb, variable, whole_records};

use crate::mending::library;
use crate::mending::random::{Random, damage, make};

const RUNS: u64 = 300;

fn one(seed: u64, records: &Cell<u64>, beside: &Cell<u64>) {
    let mut random = Random::of(seed ^ 0x5a1e);
    for _ in 0..8 {
        random.next();
    }
    let made = make(&mut random);
    let told: Vec<String> = (0..=random.below(4))
        .map(|_| damage(&made, &mut random))
        .collect();
    let log = made.sandbox.log();
    let about = format!(
        "seed {seed}, {:?} {:?}: {told:?}",
        made.codec, made.segments
    );
    let codec = match made.codec {
        Codec::Raw => proglog::log::record::Codec::Raw,
        Codec::Protobuf => proglog::log::record::Codec::Protobuf,
    };
    let whole = whole_records(&log, made.codec);
    let mut sound = whole.clone();
    sound.retain(|record| made.records.contains(record));
    let names = made.sandbox.names().into_iter();
    let stores: Vec<Vec<u8>> = names
        .filter(|name| name.ends_with("store"))
        .map(|name| made.sandbox.read(&name))
        .collect();
    let before = made.sandbox.snapshot();

    let options = Options {
        codec: Some(codec),
        ..Options::default()
    };
    let salvaged = salvage::plan(&log, Some(Prefer::Old), &options).unwrap();
    let targets = Targets::beside(&made.sandbox.path().join("new"));
    write::write(&salvaged, &targets, &RealDisk, std::iter::empty(), "{}").unwrap();
    assert_eq!(made.sandbox.snapshot(), before, "{about}");

    let new = whole_records(&targets.log, made.codec);
    assert_eq!(new.len() as u64, salvaged.records(), "{about}");
    for record in &sound {
        // An empty record with zeros after it may have been another one.
        let undecided = record.1.is_empty() && salvaged.undecided.contains(&Offset(record.0));
        let kept = undecided || new.contains(record);
        assert!(kept, "lost {}: {about}", record.0);
    }
    for record in &new {
        let frame = match made.codec {
            Codec::Raw => frame(&record.1),
            Codec::Protobuf => frame(&pb(&record.1, record.0, 0, 0)),
        };
        let stood = stores
            .iter()
            .any(|it| it.windows(frame.len()).any(|it| it == frame));
        // A bit in a key makes another field of a value: still a record.
        assert!(
            stood || whole.contains(record),
            "made up {}: {about}",
            record.0
        );
    }
    clean(&targets.log, codec, true, &about);
    if !salvaged.side.is_empty() {
        clean(&targets.side, codec, false, &about);
        let side = whole_records(&targets.side, made.codec).len() as u64;
        assert_eq!(side, salvaged.side_records(), "{about}");
        beside.set(beside.get() + side);
    }
    records.set(records.get() + new.len() as u64);
}

/// Whether a log has nothing but holes, if it may have these.
fn clean(log: &Path, codec: proglog::log::record::Codec, holes: bool, about: &str) {
    let report = library::report_as(log, Some(codec));
    let found: Vec<_> = report
        .findings
        .iter()
        .filter(|it| it.severity != Severity::Note)
        .filter(|it| !holes || it.id != FindingId::SegmentGap)
        .collect();
    assert!(found.is_empty(), "{about}\n{found:#?}");
}

#[test]
fn what_is_sound_is_salvaged_and_nothing_else() {
    let (records, beside) = (Cell::new(0), Cell::new(0));
    if let Some(seed) = variable("PROGLOG_TEST_SEED") {
        return one(seed, &records, &beside);
    }
    let mut wrong = Vec::new();
    let runs = variable("PROGLOG_TEST_RUNS").unwrap_or(RUNS);
    for seed in 0..runs {
        let run = std::panic::AssertUnwindSafe(|| one(seed, &records, &beside));
        if std::panic::catch_unwind(run).is_err() {
            wrong.push(seed);
        }
    }
    eprintln!(
        "{runs} logs: {} records salvaged, {} to side logs",
        records.get(),
        beside.get()
    );
    assert!(wrong.is_empty(), "seeds {wrong:?}");
}

/// The last line of the note.
const END: &str = "{\"kind\":\"end\"}";

/// A disk that knows the files and directories whose changes no sync has made durable.
#[derive(Default)]
struct Unsynced {
    paths: Mutex<BTreeSet<PathBuf>>,
    files: Mutex<usize>,
}

impl Unsynced {
    fn note(&self, path: &Path) -> RealDisk {
        self.paths.lock().unwrap().insert(path.to_path_buf());
        RealDisk
    }

    fn synced(&self, path: &Path) -> RealDisk {
        self.paths.lock().unwrap().remove(path);
        RealDisk
    }
}

impl Disk for Unsynced {
    forward_to_disk! { |self| RealDisk =>
        open create_unnamed link remove remove_dir rename replace own_dir
    }
    fn create(&self, path: &FilePath, like: Option<Ownership>) -> io::Result<DiskFile> {
        self.note(path);
        *self.files.lock().unwrap() += 1;
        self.note(path.dir().path()).create(path, like)
    }
    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()> {
        self.note(path.dir().path()).create_dir(path, mode)
    }
    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        if bytes.starts_with(END.as_bytes()) {
            assert_eq!(*self.paths.lock().unwrap(), BTreeSet::new());
        }
        self.note(file.path()).write_at(file, bytes, position)
    }
    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()> {
        self.note(file.path()).set_len(file, bytes)
    }
    fn sync_data(&self, file: &DiskFile) -> io::Result<()> {
        self.synced(file.path()).sync_data(file)
    }
    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        self.synced(dir.path()).sync_dir(dir)
    }
}

#[test]
fn all_of_it_is_durable_before_the_note_says_so() {
    let mut log = LogBuilder::raw();
    for base in 0..40 {
        log = log.segment(base, ["one", "two"]);
    }
    let sandbox = Sandbox::built(&log);
    let salvaged = salvage::plan(&sandbox.log(), Some(Prefer::Old), &Options::default());
    let targets = Targets::beside(&sandbox.path().join("new"));
    let disk = Unsynced::default();
    write::write(&salvaged.unwrap(), &targets, &disk, std::iter::empty(), END).unwrap();
    assert_eq!(*disk.paths.lock().unwrap(), BTreeSet::new());
    // The note, the side log, and segments enough for every thread.
    assert!(*disk.files.lock().unwrap() > 2 * 40);
    assert!(targets.side.join("0.store").exists());
}
