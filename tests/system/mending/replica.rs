//! A thousand pairs of damaged copies of one log, at random: `repair --replica` leaves
//! every record that either copy holds sound, is clean where each record is sound in
//! one of them, is done after one run, and is taken back byte for byte. It alone:
//! `PROGLOG_TEST_SEED=17 cargo test --test system mending::replica`; `PROGLOG_TEST_RUNS` for more.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;

use proglog::inspect::finding::{Finding, FindingId, Severity};
use proglog::inspect::report::Options;
use proglog::mend::replica::{self, ReplicaPlan, Verdict};
use proglog_testkit::{Codec, LogBuilder, Sandbox, frame, pb, variable, whole_records};

use crate::mending::library;
use crate::mending::random::{Made, Random, damage, make};

const RUNS: u64 = 300;

type Record = (u64, Vec<u8>);

/// What became of a pair.
#[derive(Default)]
struct Counts {
    mended: Cell<u64>,
    clean: Cell<u64>,
    taken: Cell<u64>,
    not_taken: Cell<u64>,
    rewritten: Cell<u64>,
    differ: Cell<u64>,
    unknown: Cell<u64>,
    strangers: Cell<u64>,
}

fn add(count: &Cell<u64>, number: u64) {
    count.set(count.get() + number);
}

/// Another copy of the log that was made: its files, or the same records in other
/// segments; now and then without one of them.
fn copy(made: &Made, random: &mut Random) -> Made {
    let sandbox = if random.below(3) == 0 && !made.records.is_empty() {
        let mut builder = LogBuilder::new(made.codec);
        let (mut at, first) = (0, made.records[0].0);
        while at < made.records.len() {
            let count = usize::try_from(1 + random.below(15)).unwrap();
            let end = (at + count).min(made.records.len());
            let values = made.records[at..end].iter().map(|(_, value)| value.clone());
            builder = builder.segment(first + at as u64, values.collect::<Vec<_>>());
            at = end;
        }
        Sandbox::built(&builder)
    } else {
        let sandbox = Sandbox::empty();
        for name in made.sandbox.names() {
            sandbox.write(&name, &made.sandbox.read(&name));
        }
        sandbox
    };
    if random.below(4) == 0 {
        let names = sandbox.names();
        let stems: BTreeSet<&str> = names.iter().filter_map(|n| n.split('.').next()).collect();
        let at = usize::try_from(random.below(stems.len() as u64)).unwrap();
        if stems.len() > 1
            && let Some(stem) = stems.into_iter().nth(at)
        {
            sandbox.remove(&format!("{stem}.store"));
            sandbox.remove(&format!("{stem}.index"));
        }
    }
    Made {
        sandbox,
        codec: made.codec,
        segments: made.segments.clone(),
        records: made.records.clone(),
        frames: Vec::new(),
    }
}

/// The offset behind the last one that the log says it has: by a record, by an entry
/// that knows its place, or by the last segment's name.
fn claimed_end(sandbox: &Sandbox, sound: &[Record]) -> u64 {
    let mut end = sound
        .iter()
        .map(|(offset, _)| offset + 1)
        .max()
        .unwrap_or(0);
    for name in sandbox.names() {
        let (stem, kind) = name.split_once('.').unwrap();
        let base: u64 = stem.parse().unwrap();
        end = end.max(base);
        if kind != "index" {
            continue;
        }
        for (slot, entry) in (0_u32..).zip(sandbox.read(&name).chunks_exact(12)) {
            let zero = entry.iter().all(|byte| *byte == 0);
            if entry[..4] == slot.to_be_bytes() && !zero {
                end = end.max(base + u64::from(slot) + 1);
            }
        }
    }
    end
}

/// The offset behind the last one that an entry of the last segment may stand for,
/// whatever is in it.
fn most_claimed(sandbox: &Sandbox) -> u64 {
    let of = |name: &String| -> u64 {
        let Some(base) = name.strip_suffix(".index") else {
            return 0;
        };
        let bytes = sandbox.read(name);
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        base.parse::<u64>().unwrap() + end.div_ceil(12) as u64
    };
    sandbox.names().iter().map(of).max().unwrap_or(0)
}

/// Takes bytes out of a store, or puts some in: what lies behind stands elsewhere.
fn shift(made: &Made, random: &mut Random) -> String {
    let names = made.sandbox.names();
    let stores: Vec<String> = names
        .into_iter()
        .filter(|it| it.ends_with("store"))
        .collect();
    if stores.is_empty() {
        return String::new();
    }
    let name = random.one_of(&stores).clone();
    let mut bytes = made.sandbox.read(&name);
    let at = usize::try_from(random.below(bytes.len() as u64 + 1)).unwrap();
    let count = usize::try_from(1 + random.below(20)).unwrap();
    if random.below(2) == 0 {
        bytes.drain(at..(at + count).min(bytes.len()));
    } else {
        let more = random.bytes(count as u64);
        bytes.splice(at..at, more);
    }
    made.sandbox.write(&name, &bytes);
    format!("shift {name} {at} {count}")
}

fn plan(log: &Path, copy: &Path) -> Result<Verdict, proglog::log::error::Error> {
    let options = Options::default();
    let (here, there) = replica::look(library::report(log), copy, &options)?;
    replica::plan(&here, &there)
}

#[expect(
    clippy::too_many_lines,
    reason = "one pair, from its making to its undoing"
)]
fn one(seed: u64, counts: &Counts) {
    let mut random = Random::of(seed ^ 0x5eed);
    for _ in 0..8 {
        random.next();
    }
    let made = make(&mut random);
    let other = copy(&made, &mut random);
    let mut told = Vec::new();
    for (who, side) in [("here", &made), ("there", &other)] {
        for _ in 0..=random.below(3) {
            let damaged = match random.below(8) {
                0 => shift(side, &mut random),
                _ => damage(side, &mut random),
            };
            told.push(format!("{who} {damaged}"));
        }
    }
    let unindexed = told.iter().any(|it| it.starts_with("here unindexed"));
    let log = made.sandbox.log();
    let copy = other.sandbox.log();
    let about = format!(
        "seed {seed}, {:?} {:?}: {told:?}",
        made.codec, made.segments
    );
    let sound = |log: &Path| -> Vec<Record> {
        let mut found = whole_records(log, made.codec);
        // What damage makes up is no record.
        found.retain(|record| made.records.contains(record));
        found
    };
    let (ours, theirs) = (sound(&log), sound(&copy));
    let (end, most) = (
        claimed_end(&made.sandbox, &ours),
        most_claimed(&made.sandbox),
    );
    let first = made
        .sandbox
        .names()
        .iter()
        .map(|name| name.split_once('.').unwrap().0.parse().unwrap())
        .min()
        .unwrap_or(0);
    let damaged = made.sandbox.snapshot();
    let replica_before = other.sandbox.snapshot();

    let stores: Vec<Vec<u8>> = [&made.sandbox, &other.sandbox]
        .into_iter()
        .flat_map(|sandbox| {
            let names = sandbox
                .names()
                .into_iter()
                .filter(|it| it.ends_with("store"));
            names.map(|name| sandbox.read(&name)).collect::<Vec<_>>()
        })
        .collect();
    let ReplicaPlan {
        plan: mending,
        taken,
        ..
    } = match plan(&log, &copy) {
        Ok(Verdict::Plan(plan)) => *plan,
        Ok(Verdict::Differ(difference)) => {
            add(&counts.differ, 1);
            let value = |records: &[Record]| {
                let found = records
                    .iter()
                    .find(|(offset, _)| *offset == difference.offset.0);
                found.cloned()
            };
            // At least one of them is not what was appended.
            let (our, their) = (value(&ours), value(&theirs));
            assert!(our.is_none() || their.is_none(), "{difference:?}: {about}");
            return;
        }
        Ok(Verdict::Strangers) => {
            add(&counts.strangers, 1);
            let both = |record: &Record| theirs.contains(record);
            assert!(!ours.iter().any(both), "{about}");
            return;
        }
        Err(error) => {
            assert!(error.to_string().contains("codec"), "{error}: {about}");
            add(&counts.unknown, 1);
            return;
        }
    };
    let expected = match made.codec {
        Codec::Raw => proglog::log::record::Codec::Raw,
        Codec::Protobuf => proglog::log::record::Codec::Protobuf,
    };
    if mending.codec != Some(expected) {
        add(&counts.unknown, 1);
        return;
    }
    let about = format!("{about}\n{:#?}", mending.steps);
    add(
        &counts.taken,
        taken.iter().map(|it| it.offsets.records()).sum(),
    );
    let rewritten = mending.steps.iter().filter(|step| {
        matches!(
            step,
            proglog::mend::plan::Step::Assemble { from: Some(_), .. }
        )
    });
    add(&counts.rewritten, rewritten.count() as u64);
    library::carry_out(&log, &mending);
    assert_eq!(
        other.sandbox.snapshot(),
        replica_before,
        "the copy: {about}"
    );

    let after = whole_records(&log, made.codec);
    for record in &ours {
        assert!(after.contains(record), "lost {}: {about}", record.0);
    }
    let wanted = theirs
        .iter()
        .filter(|(offset, _)| (first..end).contains(offset));
    let held: BTreeSet<u64> = ours
        .iter()
        .chain(wanted.clone())
        .map(|(offset, _)| *offset)
        .collect();
    let all = (first..end.max(most)).all(|offset| held.contains(&offset));
    for record in wanted {
        let there = after.contains(record);
        assert!(there || !all, "not taken {}: {about}", record.0);
        add(&counts.not_taken, u64::from(!there));
    }
    for record in &after {
        let made_up = !made.records.contains(record);
        // Damage in a value shows nowhere; other frames may have been there.
        let frame = match made.codec {
            Codec::Raw => frame(&record.1),
            Codec::Protobuf => frame(&pb(&record.1, record.0, 0, 0)),
        };
        let stood = |store: &Vec<u8>| store.windows(frame.len()).any(|it| it == frame);
        assert!(
            !made_up || stores.iter().any(stood),
            "made up {}: {about}",
            record.0
        );
    }
    let report = library::report_as(&log, mending.codec);
    let problems = report
        .findings
        .iter()
        .filter(|f| f.severity != Severity::Note);
    let problems: Vec<_> = problems.collect();
    // Of frames that nobody committed one may be damaged.
    let uncommitted = |finding: &&Finding| {
        let behind = finding.offsets.map(|it| it.first.0 >= end.max(most));
        behind.unwrap_or(finding.id == FindingId::NeedsDecision) && unindexed
    };
    let clean = problems.iter().all(uncommitted);
    assert!(!all || clean, "not clean: {about}\n{problems:#?}");
    let left: Vec<_> = mending.left.iter().map(|it| it.id.to_string()).collect();
    assert_eq!(
        left.is_empty(),
        problems.is_empty(),
        "foretold {left:?}, found {problems:#?}: {about}"
    );
    add(&counts.mended, 1);
    add(&counts.clean, u64::from(all));

    if let Ok(Verdict::Plan(again)) = plan(&log, &copy) {
        assert!(
            again.plan.steps.is_empty(),
            "again {:?}: {about}",
            again.plan.steps
        );
    }
    if !mending.steps.is_empty() {
        library::undo(&log);
    }
    assert_eq!(
        made.sandbox.snapshot().contents(),
        damaged.contents(),
        "undone: {about}"
    );
}

#[test]
fn a_second_copy_mends_what_it_holds_sound() {
    let counts = Counts::default();
    if let Some(seed) = variable("PROGLOG_TEST_SEED") {
        return one(seed, &counts);
    }
    let mut wrong = Vec::new();
    let runs = variable("PROGLOG_TEST_RUNS").unwrap_or(RUNS);
    for seed in 0..runs {
        let run = std::panic::AssertUnwindSafe(|| one(seed, &counts));
        if std::panic::catch_unwind(run).is_err() {
            wrong.push(seed);
        }
    }
    eprintln!(
        "{runs} pairs: {} mended, {} of them with every record sound in one copy; {} records \
         taken, {} not (what lies around them is lost in both), {} files put together anew; {} pairs differ, {} have nothing in common, \
         {} of unknown codec",
        counts.mended.get(),
        counts.clean.get(),
        counts.taken.get(),
        counts.not_taken.get(),
        counts.rewritten.get(),
        counts.differ.get(),
        counts.strangers.get(),
        counts.unknown.get()
    );
    assert!(wrong.is_empty(), "seeds {wrong:?}");
    let most = runs * 6 / 10;
    assert!(counts.mended.get() > most && counts.clean.get() > runs / 5);
}
