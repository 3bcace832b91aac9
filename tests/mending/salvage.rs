//! A thousand damaged logs at random: salvage gives every record that is sound, and no
//! other; the new log is clean but for its holes, and so is the side log. It alone:
//! `PROGLOG_TEST_SEED=17 cargo test --test mending salvage`; `PROGLOG_TEST_RUNS` for more.

use std::cell::Cell;
use std::path::Path;

use proglog::inspect::finding::{FindingId, Severity};
use proglog::inspect::report::Options;
use proglog::log::disk::RealDisk;
use proglog::mend::salvage::write::{self, Targets};
use proglog::mend::salvage::{self, Prefer};
use proglog_testkit::{Codec, frame, pb, whole_records};

use crate::library;
use crate::random::{Random, damage, make};

const RUNS: u64 = 1000;

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
        assert!(new.contains(record), "lost {}: {about}", record.0);
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
    if let Ok(seed) = std::env::var("PROGLOG_TEST_SEED") {
        return one(seed.parse().unwrap(), &records, &beside);
    }
    let mut wrong = Vec::new();
    let runs = std::env::var("PROGLOG_TEST_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
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
