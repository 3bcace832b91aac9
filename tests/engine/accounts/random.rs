//! Thousands of random damages of random logs, compared with what their bytes say of
//! themselves. Every kind of violation is counted, and shown with three seeds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use proglog_testkit::{Codec, Snapshot, memory_directory, report, variable};

use super::damage::{Harmed, write};
use super::engine;
use super::judge::{MADE_UP, Truth};
use super::made::{Made, make};
use super::run::{Said, compare_dry_run, run_in, same_contents};

/// How many cases are run without `PROGLOG_ACCOUNT_CASES`.
const CASES: u64 = 2000;

/// Seeds beyond these that failed once, each for a reason of its own: they are run too.
const FAILED_ONCE: [u64; 10] = [
    5_000_081, 5_000_414, 5_000_666, 5_003_824, 5_007_483, 5_007_651, 5_008_251, 5_009_040,
    7_006_988, 7_011_264,
];

/// Of so many cases one is repaired by the binary as well.
const BY_BINARY: u64 = 20;

/// One of so many cases may be left to a person although each of its records is determinable.
const LEFT: u64 = 50;

/// One of so many may be taken for another layout, which costs nothing.
const FOREIGN: u64 = 1000;

const READ_MADE_UP: &str = "read makes a record up";
const REPAIR_MADE_UP: &str = "R2 repair makes a record up";

/// What came of one case.
#[derive(Default)]
struct Result {
    /// Kind and description.
    violations: Vec<(&'static str, String)>,
    intact: u64,
    determinable: u64,
    /// Determinable records that were left to a person: nothing was cut, status 3.
    left: u64,
    /// ... in a segment without a dispute.
    left_needlessly: bool,
    /// Taken for another layout, which costs nothing.
    foreign: bool,
    cannot: bool,
}

impl Result {
    fn add(&mut self, kind: &'static str, what: impl Into<String>) {
        self.violations.push((kind, what.into()));
    }
}

/// The log of a seed, harmed.
fn harmed(seed: u64) -> (Made, Harmed) {
    let mut rng = Rng::with_seed(seed);
    let made = make(&mut rng);
    let mut harmed = Harmed::of(&made);
    for _ in 0..rng.u8(..4) {
        harmed.damage(&mut rng);
    }
    (made, harmed)
}

/// One case in a directory of its own.
fn one(seed: u64, directory: &Path) -> Result {
    let (made, harmed) = harmed(seed);
    let mut truth = Truth::of(&made, &harmed);
    let mut result = Result {
        intact: truth.intact.len() as u64,
        determinable: truth.determinable.len() as u64,
        ..Result::default()
    };
    let log = directory.join("log");
    std::fs::create_dir(&log).unwrap();
    write(&harmed, &log);
    let before = Snapshot::of(&log);
    let codec = match engine::verify(&log) {
        Ok(verified) => verified.codec,
        Err(error) => {
            result.add("verify fails", error.to_string());
            return result;
        }
    };
    if Snapshot::of(&log) != before {
        result.add("verify writes", "");
    }
    if codec != Some(made.codec) {
        match truth.determinable.len() {
            // Too few to know the codec: nothing else can be asked for.
            0..=2 => truth.forget(),
            many if codec.is_some() => {
                result.add("codec", format!("{codec:?} with {many} records"));
            }
            _ => {}
        }
    }
    result.cannot = codec.is_none();
    match engine::read(&log, codec.or(Some(made.codec))) {
        Ok(given) => {
            for (kind, what) in truth.wrong(&given) {
                let kind = if kind == MADE_UP {
                    READ_MADE_UP
                } else {
                    "read gives a wrong offset"
                };
                result.add(kind, what);
            }
        }
        Err(error) => result.add("read fails", error.to_string()),
    }
    repair(&truth, &log, &before, &mut result);
    let copy = directory.join("append");
    std::fs::create_dir(&copy).unwrap();
    write(&harmed, &copy);
    append(&truth, &copy, codec, &mut result);
    if seed.is_multiple_of(BY_BINARY) {
        by_binary(&harmed, directory, &mut result);
    }
    result
}

fn repair(truth: &Truth<'_>, log: &Path, before: &Snapshot, result: &mut Result) {
    let repaired = match engine::repair(log) {
        Ok(repaired) => repaired,
        Err(error) => return result.add("repair fails", error.to_string()),
    };
    let steps = &repaired.steps;
    let after = Snapshot::of(log);
    for cut in truth.cut(&after) {
        result.add("R1 repair cuts a frame", format!("{cut}\n    {steps}"));
    }
    let layout = |id: &String| id == "foreign-dialect";
    // The finding names the segment, whose records are not read.
    let is_foreign = repaired.after.ids.iter().any(layout);
    result.foreign = is_foreign && !truth.harmed.foreign;
    // The codec is what the log shows.
    let given = match engine::read(log, repaired.after.codec.or(Some(truth.made.codec))) {
        Ok(given) => given,
        Err(error) => return result.add("read fails", error.to_string()),
    };
    for place in &truth.determinable {
        if Truth::is_given(place, &given) {
            continue;
        }
        // Its frame is where it was: see R1.
        if repaired.status == 3 {
            result.left += 1;
            result.left_needlessly |= !truth.histories.contains(&place.base);
        } else {
            let what = format!(
                "{}, status {}\n    {steps}",
                place.describe(),
                repaired.status
            );
            result.add("R2 a determinable record is not given", what);
        }
    }
    for (kind, what) in truth.wrong(&given) {
        let kind = if kind == MADE_UP {
            REPAIR_MADE_UP
        } else {
            "R2 repair gives a wrong offset"
        };
        result.add(kind, format!("{what}\n    {steps}"));
    }
    let said = [&repaired.lost[..], &repaired.after.offsets].concat();
    // Where a person decides, the findings say so, and all entries are there.
    let index = |snapshot: &Snapshot, base: u64| {
        let file = snapshot.get(&format!("{base}.index"));
        file.map(|file| file.bytes.clone())
    };
    let decision = repaired.after.ids.iter().any(|id| id == "needs-decision");
    let decided = |offset: &u64| {
        let base = truth.base_of(*offset);
        let same = index(before, base) == index(&after, base);
        repaired.changes && !is_foreign && !(decision && same)
    };
    if let Some(offset) = truth.unsaid(&given, &said).find(decided) {
        let what = format!("{offset}, said {said:?}\n    {steps}");
        result.add("R1 a lost record is not named", what);
    }
    if repaired.foretold != repaired.after.ids {
        let found = &repaired.after.ids;
        let what = format!("said {:?}, found {found:?}\n    {steps}", repaired.foretold);
        result.add("R4 what remains is not what was said", what);
    }
    // Where nothing is left, nothing shows the codec any more; then a log is read as raw.
    let (was, is) = (repaired.before.codec, repaired.after.codec);
    let is_empty = |(name, bytes): (&Path, &[u8])| {
        bytes.is_empty() || name.extension().is_none_or(|it| it != "store")
    };
    let is_sound = repaired.after.ids.is_empty();
    let nothing = is.is_none() && (is_sound || after.contents().into_iter().all(is_empty));
    if is.unwrap_or(Codec::Raw) != was.unwrap_or(Codec::Raw) && !nothing {
        let what = format!("{was:?}, then {is:?}\n    {steps}");
        result.add("R4 a repair changes what the codec is", what);
    }
    if repaired.cost > 0 {
        result.add("R4 a repair that the command takes back", steps.clone());
    }
    match engine::repair(log) {
        Err(error) => result.add("second repair fails", error.to_string()),
        Ok(again) => {
            if again.changes || Snapshot::of(log) != after {
                let what = format!("{steps}\n    then {}", again.steps);
                result.add("R5 a second repair changes something", what);
                // The test below undoes one change only.
                let _ = engine::undo(log);
            } else if ![0, repaired.status].contains(&again.status) {
                let what = format!("{} then {}", repaired.status, again.status);
                result.add("R5 a second repair ends otherwise", what);
            }
        }
    }
    if !repaired.changes && after != *before {
        result.add("R4 a repair without steps writes", "");
    }
    if repaired.changes {
        if let Err(error) = engine::undo(log) {
            return result.add("undo fails", error.to_string());
        }
        if !same_contents(&Snapshot::of(log), before) {
            result.add("undo restores other bytes", steps.clone());
        }
    }
}

const MORE: &[u8] = b"one more record";

fn append(truth: &Truth<'_>, log: &Path, codec: Option<Codec>, result: &mut Result) {
    let before = Snapshot::of(log);
    let read = |codec| engine::read(log, codec).unwrap_or_default();
    let known = codec.or(Some(truth.made.codec));
    let given = read(known);
    let told = if codec.is_none() {
        Some(truth.made.codec)
    } else {
        None
    };
    let appended = engine::append(log, told, MORE);
    let after = Snapshot::of(log);
    for cut in truth.cut(&after) {
        result.add("R1 append cuts a frame", cut);
    }
    match appended {
        Err(error) => {
            if before != after {
                result.add("R6 append refuses and writes", error.to_string());
            }
        }
        Ok(offset) => {
            let last = truth.made.segments.last().unwrap().base;
            let mut places = truth.determinable.iter();
            if let Some(place) = places.rfind(|place| place.base == last)
                && place.frame.offset >= offset
            {
                let what = format!("{offset} is given again: {}", place.describe());
                result.add("R6 append gives an offset again", what);
            }
            let now = read(known);
            for place in &truth.determinable {
                if Truth::is_given(place, &given) && !Truth::is_given(place, &now) {
                    result.add("R6 append loses a record", place.describe());
                }
            }
            if !now
                .iter()
                .any(|given| given.offset == offset && given.value == MORE)
            {
                result.add("R6 the appended record is not given", offset.to_string());
            }
        }
    }
}

/// The status and the words of a dry run are those of the run, by the binary itself.
fn by_binary(harmed: &Harmed, directory: &Path, result: &mut Result) {
    let mut wrong = Vec::new();
    let mut run = |arguments: &[&str]| -> Said {
        let place = directory.join("binary");
        std::fs::create_dir_all(place.join("log")).unwrap();
        write(harmed, &place.join("log"));
        let before = Snapshot::of(&place.join("log"));
        let said = run_in(&place, arguments, "");
        if arguments.contains(&"--dry-run") && Snapshot::of(&place.join("log")) != before {
            result.add("R4 a dry run writes", "");
        }
        std::fs::remove_dir_all(&place).unwrap();
        said
    };
    let dry = [
        run(&["repair", "--dry-run", "log"]),
        run(&["repair", "--dry-run", "--json", "log"]),
    ];
    let real = [run(&["repair", "log"]), run(&["repair", "--json", "log"])];
    compare_dry_run("", [&dry[0], &dry[1]], [&real[0], &real[1]], &mut wrong);
    for what in wrong {
        result.add("R4 the run is not what the dry run said", what);
    }
}

/// Runs a seed; a panic is a violation.
fn caught(seed: u64, directory: &Path) -> Result {
    catch_unwind(AssertUnwindSafe(|| one(seed, directory))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let mut result = Result::default();
        result.add("panic", text.unwrap_or_else(|| "no text".to_owned()));
        result
    })
}

/// What a seed's log is, for whoever reproduces it.
fn about(seed: u64) -> String {
    let (made, harmed) = harmed(seed);
    format!(
        "seed {seed}: {:?}, {:?}; {:?}",
        made.codec, made.history, harmed.done
    )
}

/// One seed, its directories kept.
fn keep(seed: u64) {
    let directory = std::env::temp_dir().join(format!("proglog-account-{seed}"));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(directory.join("run")).unwrap();
    let (made, harmed) = harmed(seed);
    for name in ["harmed", "repaired", "sound"] {
        std::fs::create_dir(directory.join(name)).unwrap();
    }
    write(&harmed, &directory.join("harmed"));
    write(&harmed, &directory.join("repaired"));
    write(&Harmed::of(&made), &directory.join("sound"));
    let _ = engine::repair(&directory.join("repaired"));
    report(&about(seed));
    report(&format!(
        "kept in {}: sound, harmed, repaired",
        directory.display()
    ));
    let result = one(seed, &directory.join("run"));
    for (kind, what) in &result.violations {
        report(&format!("{kind}: {what}"));
    }
    let truth = Truth::of(&made, &harmed);
    for place in &truth.intact {
        let known = truth.is_determinable(place);
        report(&format!(
            "  {}{}",
            place.describe(),
            if known { ", determinable" } else { "" }
        ));
    }
    assert!(
        result.violations.is_empty(),
        "{} violations",
        result.violations.len()
    );
}

#[test]
fn random_damages_cost_no_record_that_can_be_determined() {
    if let Some(seed) = variable("PROGLOG_ACCOUNT_SEED") {
        return keep(seed);
    }
    let cases = variable("PROGLOG_ACCOUNT_CASES").unwrap_or(CASES);
    let first = variable("PROGLOG_ACCOUNT_FIRST").unwrap_or(0);
    let next = AtomicU64::new(0);
    let results = Mutex::new(BTreeMap::new());
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let root = memory_directory();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let seed = match number.checked_sub(cases) {
                        None => Some(first + number),
                        Some(more) => FAILED_ONCE.get(more as usize).copied(),
                    };
                    let Some(seed) = seed else { return };
                    let directory = root.path().join(seed.to_string());
                    std::fs::create_dir(&directory).unwrap();
                    let result = caught(seed, &directory);
                    let _ = std::fs::remove_dir_all(&directory);
                    results.lock().unwrap().insert(seed, result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let sum = |of: &dyn Fn(&Result) -> u64| results.values().map(of).sum::<u64>();
    let seeds = |of: &dyn Fn(&Result) -> bool| -> Vec<u64> {
        results
            .iter()
            .filter(|it| of(it.1))
            .map(|it| *it.0)
            .collect()
    };
    let left = seeds(&|result| result.left_needlessly);
    let foreign = seeds(&|result| result.foreign);
    report(&format!(
        "{cases} cases in {:?}: {} intact frames, {} determinable; {} left to a person, those of \
         {} cases without a dispute; {} cases taken for another layout; {} without a codec; {} \
         violate",
        started.elapsed(),
        sum(&|result| result.intact),
        sum(&|result| result.determinable),
        sum(&|result| result.left),
        left.len(),
        foreign.len(),
        seeds(&|result| result.cannot).len(),
        seeds(&|result| !result.violations.is_empty()).len(),
    ));
    report(&format!(
        "left to a person without a dispute: {:?}",
        few(&left)
    ));
    let mut summary = summary(&results);
    for (what, seeds, most) in [
        ("left to a person without a dispute", left, cases / LEFT),
        ("taken for another layout", foreign, cases / FOREIGN),
    ] {
        if seeds.len() as u64 > most + 1 {
            let _ = writeln!(
                summary,
                "{what}: {} cases, such as {:?}",
                seeds.len(),
                few(&seeds)
            );
        }
    }
    assert!(summary.is_empty(), "{summary}");
}

/// The first of them.
fn few(seeds: &[u64]) -> &[u64] {
    &seeds[..seeds.len().min(20)]
}

/// Each kind of violation: in how many cases, and three of them.
fn summary(results: &BTreeMap<u64, Result>) -> String {
    let mut kinds: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for (seed, result) in results {
        for (kind, what) in &result.violations {
            let seeds = kinds.entry(kind).or_default();
            if seeds.last().is_none_or(|last| last.0 != *seed) {
                seeds.push((*seed, what));
            }
        }
    }
    let mut wrong = String::new();
    for (kind, found) in &kinds {
        let mut text = format!("{kind}: {} cases\n", found.len());
        for (seed, what) in found.iter().take(3) {
            let what: String = what.chars().take(600).collect();
            let _ = writeln!(text, "  {}\n    {what}", about(*seed));
        }
        let more: Vec<u64> = found.iter().skip(3).map(|it| it.0).collect();
        let _ = writeln!(text, "  also {:?}", few(&more));
        wrong.push_str(&text);
    }
    wrong
}
