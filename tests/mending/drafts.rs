//! Indexes that are made while the store is looked at are the ones that a plan would make
//! by itself, whatever the store ends with; what a disk does to them is seen before they
//! get a name. And what an earlier look told is told again only where nothing changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proglog::inspect::finding::FindingId;
use proglog::inspect::listing::Listing;
use proglog::inspect::look::{Aids, Before};
use proglog::inspect::report::{Options, Report};
use proglog::log::dir::Dir;
use proglog::log::disk::{Disk, DiskFile, RealDisk};
use proglog::log::units::Offset;
use proglog::mend::draft::Drafts;
use proglog::mend::plan::{self, Step};
use proglog_testkit::{Codec, LogBuilder, Sandbox, frame, pb};

use crate::library;

/// More than one piece of a store.
const VALUES: u64 = 30_000;

/// What a disk does to the first writes to files without a name.
#[derive(Clone, Copy)]
enum Fault {
    None,
    /// It is full.
    Full,
    /// A byte arrives as another.
    Flipped,
    /// They go elsewhere.
    Shifted,
    /// Their end is gone.
    Short,
}

struct Faulty {
    fault: Fault,
    left: AtomicU64,
}

impl Faulty {
    fn disk(fault: Fault, writes: u64) -> Arc<dyn Disk> {
        Arc::new(Self {
            fault,
            left: AtomicU64::new(writes),
        })
    }
}

impl Disk for Faulty {
    real! { open create create_unnamed link create_dir sync_data sync_dir remove remove_dir rename }
    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        let fetched = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        let fault = match fetched {
            Ok(_) if file.path().is_dir() => self.fault,
            _ => Fault::None,
        };
        match fault {
            Fault::None | Fault::Short => RealDisk.write_at(file, bytes, position),
            Fault::Full => Err(io::ErrorKind::StorageFull.into()),
            Fault::Flipped => {
                // Of its first entry: the last one may be of a frame that is not sure.
                let mut bytes = bytes.to_vec();
                bytes[11] ^= 1;
                RealDisk.write_at(file, &bytes, position)
            }
            Fault::Shifted => RealDisk.write_at(file, bytes, position + 12),
        }
    }
    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()> {
        let gone = match self.fault {
            Fault::Short if file.path().is_dir() => 12,
            _ => 0,
        };
        RealDisk.set_len(file, bytes - gone)
    }
}

fn values(count: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|number| vec![b'v'; 150 + usize::try_from(number % 97).unwrap()])
}

fn log_of(codec: Codec) -> Sandbox {
    let builder = LogBuilder::new(codec).segment(0, values(VALUES));
    let sandbox = Sandbox::built(&builder);
    fs::remove_file(sandbox.log().join("0.index")).unwrap();
    sandbox
}

/// Repairs with drafts; gives how many entries were taken from them.
fn repair(log: &Path, disk: &Arc<dyn Disk>) -> BTreeMap<Offset, u64> {
    let drafts = Drafts::new(Arc::clone(disk));
    drafts.begin_in(&Dir::open(log).unwrap());
    let aids = Aids {
        drafting: Some(&drafts),
        before: None,
    };
    let listing = Listing::of(log).unwrap();
    let report = Report::with(listing, &Options::default(), aids).unwrap();
    let plan = plan::repair(&report);
    let builds = |step: &Step| matches!(step, Step::BuildIndex { .. });
    assert!(plan.steps.iter().any(builds), "{:?}", plan.steps);
    library::try_with(log, &plan, disk, Some(&drafts)).unwrap();
    drafts.made()
}

#[test]
fn a_drafted_index_is_the_one_that_the_plan_makes() {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let next = pb(b"refused", VALUES, 0, 0);
    let ends = [
        (Codec::Raw, Vec::new()),
        (Codec::Protobuf, Vec::new()),
        (Codec::Protobuf, frame(&next)),
        (Codec::Protobuf, [frame(&next), frame(&next)].concat()),
        (Codec::Protobuf, frame(&next)[..20].to_vec()),
        (Codec::Protobuf, vec![0; 5000]),
        (
            Codec::Protobuf,
            [frame(&pb(b"again", VALUES - 1, 0, 0)), frame(&next)].concat(),
        ),
    ];
    for (number, (codec, end)) in ends.iter().enumerate() {
        let mut made = Vec::new();
        for drafting in [false, true] {
            let sandbox = log_of(*codec);
            let store = [sandbox.read("0.store"), end.clone()].concat();
            sandbox.write("0.store", &store);
            let log = sandbox.log();
            if drafting {
                let drafted = repair(&log, &disk);
                let least = VALUES - 1;
                assert!(drafted[&Offset(0)] >= least, "{number}: {drafted:?}");
            } else {
                let plan = plan::repair(&library::report(&log));
                library::try_on(&log, &plan, &disk).unwrap();
            }
            assert!(library::report(&log).is_clean(), "{number}");
            made.push((sandbox.read("0.index"), sandbox.read("0.store")));
        }
        assert!(made[0] == made[1], "{number}");
    }
}

#[test]
fn what_a_disk_makes_of_a_draft_is_seen() {
    for codec in [Codec::Raw, Codec::Protobuf] {
        for fault in [Fault::Full, Fault::Flipped, Fault::Shifted, Fault::Short] {
            let sandbox = log_of(codec);
            let log = sandbox.log();
            let drafted = repair(&log, &Faulty::disk(fault, 1));
            assert_eq!(drafted, BTreeMap::new());
            assert!(library::report(&log).is_clean());
            assert_eq!(library::report(&log).records(), VALUES);
        }
        let sandbox = log_of(codec);
        let drafted = repair(&sandbox.log(), &Faulty::disk(Fault::None, 0));
        assert_eq!(drafted.len(), 1);
    }
}

#[test]
fn short_stores_take_no_draft_from_a_long_one() {
    const SHORT: u64 = 70;
    let mut builder = LogBuilder::new(Codec::Raw);
    for base in 0..SHORT {
        builder = builder.segment(base, values(1));
    }
    let sandbox = Sandbox::built(&builder.segment(SHORT, values(VALUES)));
    for base in 0..=SHORT {
        fs::remove_file(sandbox.log().join(format!("{base}.index"))).unwrap();
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let drafted = repair(&sandbox.log(), &disk);
    assert_eq!(drafted, BTreeMap::from([(Offset(SHORT), VALUES)]));
    assert!(library::report(&sandbox.log()).is_clean());
}

/// Changes a byte of a length and leaves the file as old as it was.
fn damage_secretly(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn a_second_look_looks_at_what_changed() {
    let builder = LogBuilder::new(Codec::Raw);
    let sandbox = Sandbox::built(&builder.segment(0, values(9)).segment(9, values(4)));
    let log = sandbox.log();
    let report = library::report(&log);
    assert!(report.is_clean());
    let again = |changed: &[u64], made: &[(u64, u64)]| {
        let before = Before {
            report: &report,
            changed: changed.iter().copied().map(Offset).collect::<BTreeSet<_>>(),
            drafted: made.iter().map(|&(base, it)| (Offset(base), it)).collect(),
        };
        let aids = Aids {
            before: Some(&before),
            drafting: None,
        };
        let options = Options::default();
        let after = Report::with(Listing::of(&log).unwrap(), &options, aids).unwrap();
        assert_eq!(after.segments.len(), 2);
        let damages = |id: &&FindingId| **id == FindingId::FrameLengthDamaged;
        let ids: Vec<FindingId> = after.findings.iter().map(|it| it.id).collect();
        (ids.iter().filter(damages).count(), after.records())
    };
    assert_eq!(again(&[], &[]), (0, 13));
    damage_secretly(&log.join("0.store"));
    assert_eq!(again(&[], &[]), (0, 13), "it was looked at");
    assert_eq!(again(&[9], &[]), (0, 13), "it was looked at");
    assert_eq!(again(&[0], &[]), (1, 12), "it was not looked at");
    // What was made of the frames as they were seen need not be looked at twice.
    assert_eq!(again(&[0], &[(0, 9)]), (0, 13), "it was looked at");
    // More entries than there are were never made.
    assert_eq!(again(&[0], &[(0, 10)]), (1, 12), "it was not looked at");
    // A file with another time is another file.
    let file = File::options().write(true).open(log.join("0.store"));
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    file.unwrap().set_modified(long_ago).unwrap();
    assert_eq!(again(&[], &[]), (1, 12), "it was not looked at");
    assert_eq!(again(&[0], &[(0, 9)]), (1, 12), "it was not looked at");
}
