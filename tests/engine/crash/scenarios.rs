//! What is tried: scripts of appends with and without kills, and mendings of logs that
//! are damaged or only too long.

use std::sync::Arc;

use proglog::inspect::report::Report;
use proglog::log::config::Limits;
use proglog::log::disk::Disk;
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::mend::plan::Plan;
use proglog::mend::trim::{self, Keep};
use proglog_testkit::{LogBuilder, Sandbox, truth};

use crate::crash::append_checks::{self, Rules};
use crate::crash::appending::{Run, Script, Size};
use crate::crash::lab::{Bench, Job, Lab, scaled};
use crate::crash::mending::{self, LOG, Mender, Mending};
use crate::crash::recorder::Recorder;
use crate::crash::states::Random;
use crate::crash::tree::Tree;

/// Limits that nothing here reaches.
pub const WIDE: Limits = Limits {
    max_store_bytes: 1 << 20,
    max_index_bytes: 12 << 10,
};

/// How an append is checked where nothing is wrong.
pub const RULES: Rules = Rules {
    repair: mending::repair,
    second_crash_of: 400,
    junk: false,
};

/// Makes of a recorder what the product writes to.
pub type MakesDisk<'d> = dyn Fn(Arc<Recorder>) -> Arc<dyn Disk> + 'd;

/// The disk as it is.
pub fn as_it_is(recorder: Arc<Recorder>) -> Arc<dyn Disk> {
    recorder
}

fn run(batches: &[&[Size]]) -> Run {
    Run {
        batches: batches.iter().map(|batch| batch.to_vec()).collect(),
        killed_after: None,
    }
}

fn name_of(codec: Codec) -> &'static str {
    match codec {
        Codec::Raw => "raw",
        Codec::Protobuf => "protobuf",
    }
}

fn script(codec: Codec, limits: Limits, runs: Vec<Run>) -> Script {
    Script {
        codec,
        base: 0,
        limits,
        no_sync: false,
        log: LOG,
        runs,
    }
}

/// The scripts that are run to their end, by name.
pub fn scripts(codec: Codec) -> Vec<(&'static str, Script)> {
    let by_store = Limits {
        max_store_bytes: 150,
        ..WIDE
    };
    let by_index = Limits {
        max_index_bytes: 40,
        ..WIDE
    };
    let several: &[&[Size]] = &[&[10, 20, 30], &[5], &[40, 1, 0, -9]];
    // The second batch begins with a length in two sectors.
    let sectors: &[&[Size]] = &[&[500], &[700, 30], &[900, 0, 12], &[0, 0, 300], &[600]];
    let rolling: &[&[Size]] = &[&[40, 40, 40, 40, 40], &[70], &[70, 0, 10], &[0, 3]];
    let mut deep = script(codec, WIDE, vec![run(&[&[12], &[7, 9]])]);
    deep.log = "a/b/log";
    let mut later = script(codec, by_index, vec![run(&[&[0], &[0, 0], &[4, -20, 0]])]);
    later.base = 5;
    let mut unsynced = script(codec, by_store, vec![run(rolling)]);
    unsynced.no_sync = true;
    vec![
        ("new-parents", deep),
        ("batches", script(codec, WIDE, vec![run(several)])),
        ("sectors", script(codec, WIDE, vec![run(sectors)])),
        (
            "a-page",
            script(
                codec,
                WIDE,
                vec![run(&[&[4000, 60, 200], &[3700], &[5, 8190]])],
            ),
        ),
        (
            "many",
            script(codec, WIDE, vec![run(&[&[1; 260], &[3], &[2, 9]])]),
        ),
        (
            "rolls-by-store",
            script(codec, by_store, vec![run(rolling)]),
        ),
        (
            "rolls-by-index",
            script(codec, by_index, vec![run(rolling)]),
        ),
        ("empty-and-later", later),
        ("no-sync", unsynced),
    ]
}

/// A script that is killed, and another process that goes on.
pub fn killed(codec: Codec, limits: Limits, first: &[&[Size]]) -> Script {
    script(
        codec,
        limits,
        vec![run(first), run(&[&[20, 33], &[50, 0, 60], &[9]])],
    )
}

/// A script of any shape.
fn made_up(codec: Codec, seed: u64) -> Script {
    let mut random = Random(seed);
    let limits = Limits {
        max_store_bytes: 150 + random.below(1800) as u64,
        max_index_bytes: 36 + random.below(360) as u64,
    };
    let mut batches = || -> Vec<Vec<Size>> {
        (0..=random.below(4))
            .map(|_| {
                let records = 1 + random.below(5);
                let sizes = (0..records).map(|_| match random.below(8) {
                    0 => 0,
                    1 => -(Size::try_from(random.below(30)).unwrap_or(0)),
                    2 => 600 + Size::try_from(random.below(900)).unwrap_or(0),
                    _ => Size::try_from(random.below(90)).unwrap_or(0),
                });
                sizes.collect()
            })
            .collect()
    };
    let runs = vec![
        Run {
            batches: batches(),
            killed_after: None,
        },
        Run {
            batches: batches(),
            killed_after: None,
        },
    ];
    let mut script = script(codec, limits, runs);
    script.base = [0, 0, 3, 1 << 40][random.below(4)];
    script
}

/// Explores a script from its last kill on.
pub fn explore_script(script: &Script, rules: Rules, bench: &Bench<'_>, disk: &MakesDisk<'_>) {
    let root = bench.put(&Tree::default());
    let from = script.runs[0].killed_after.unwrap_or_default();
    let (story, failed) = script.record(&root, disk);
    Bench::clear(&root);
    if let Some(message) = failed {
        return bench.violation(&message);
    }
    bench.explore(&story.recording, from, &[], &|bench, state| {
        append_checks::check(&story, rules, bench, state)
    });
}

/// How many operations the first run of a script makes.
pub fn operations(script: &Script) -> usize {
    let directory = crate::crash::lab::temporary();
    let mut first = script.clone();
    first.runs.truncate(1);
    first
        .record(directory.path(), &as_it_is)
        .0
        .recording
        .ops
        .len()
}

fn append_job(part: &'static str, name: String, script: Script) -> Job<'static> {
    Job {
        part,
        name,
        run: Box::new(move |bench| explore_script(&script, RULES, bench, &as_it_is)),
    }
}

/// The jobs of a script that is killed after each of its operations.
fn killed_jobs(part: &'static str, name: &str, script: &Script, every: usize) -> Vec<Job<'static>> {
    (0..operations(script))
        .step_by(every)
        .map(|killed_after| {
            let mut script = script.clone();
            script.runs[0].killed_after = Some(killed_after);
            append_job(part, format!("{name}/killed-{killed_after}"), script)
        })
        .collect()
}

fn from_the_front(report: &Report) -> Result<Plan, Error> {
    trim::plan(report, Keep::From(Offset(9)))
}

fn from_the_back(report: &Report) -> Result<Plan, Error> {
    trim::plan(report, Keep::UpTo(Offset(6)))
}

fn to_the_edge(report: &Report) -> Result<Plan, Error> {
    trim::plan(report, Keep::UpTo(Offset(3)))
}

/// Which offsets stay.
type Keeps = fn(u64) -> bool;

/// A log that is mended: what stands there, and which records must stay.
pub struct Patient {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub sandbox: Sandbox,
    /// Its codec.
    pub codec: Codec,
    /// How it is mended.
    pub mender: Mender,
    /// Which records stay.
    pub keeps: Keeps,
}

fn codec_of(codec: proglog_testkit::Codec) -> Codec {
    match codec {
        proglog_testkit::Codec::Raw => Codec::Raw,
        proglog_testkit::Codec::Protobuf => Codec::Protobuf,
    }
}

fn four_segments(codec: proglog_testkit::Codec) -> LogBuilder {
    LogBuilder::new(codec)
        .segment(0, ["a", "bb", "ccc", "dddd"])
        .segment(4, ["e", "", "g", "hh", "iii"])
        .segment(9, ["jj", "k"])
        .segment(11, ["l"])
}

/// The logs that are mended.
pub fn patients() -> Vec<Patient> {
    let mut patients = Vec::new();
    for case in [
        "killed-padding-only",
        "killed-index-ahead",
        "killed-then-reopened",
        "killed-three-segments",
        "index-bit-flipped",
        "index-missing",
        "index-misaligned",
        "index-shrunk",
        "gap-torn",
        "gap-orphans",
        "wedged",
        "raw-torn",
        "store-zero-tail",
        "store-missing",
        "length-flipped",
    ] {
        patients.push(Patient {
            name: format!("repair/{case}"),
            sandbox: Sandbox::of(case),
            codec: codec_of(truth(case).codec),
            mender: mending::repair,
            keeps: |_| true,
        });
    }
    for case in ["killed-padding-only", "killed-three-segments"] {
        patients.push(Patient {
            name: format!("truncate-index/{case}"),
            sandbox: Sandbox::of(case),
            codec: codec_of(truth(case).codec),
            mender: mending::truncate_index,
            keeps: |_| true,
        });
    }
    for codec in [
        proglog_testkit::Codec::Raw,
        proglog_testkit::Codec::Protobuf,
    ] {
        let trims: [(&str, Mender, Keeps); 3] = [
            ("before", from_the_front, |offset| offset >= 9),
            ("after", from_the_back, |offset| offset <= 6),
            ("after-edge", to_the_edge, |offset| offset <= 3),
        ];
        for (name, mender, keeps) in trims {
            patients.push(Patient {
                name: format!("trim-{name}/{}", codec.as_str()),
                sandbox: Sandbox::built(&four_segments(codec)),
                codec: codec_of(codec),
                mender,
                keeps,
            });
        }
        for (name, entries) in [("entries", 5), ("one-entry", 1)] {
            let values = (0..6).map(|n| vec![b'a' + n; 300]);
            let sandbox = Sandbox::built(&LogBuilder::new(codec).segment(0, values));
            std::fs::create_dir(sandbox.path().join(mending::COPY)).unwrap();
            for file in ["0.store", "0.index"] {
                let copy = sandbox.path().join(mending::COPY).join(file);
                std::fs::write(copy, sandbox.read(file)).unwrap();
            }
            // The other copy has records in the middle, and after the end.
            let entry = sandbox.read("0.index")[16..24].try_into();
            let second = u64::from_be_bytes(entry.unwrap_or_default());
            sandbox.cut("0.store", 700);
            sandbox.cut("0.index", 12 * entries);
            sandbox.put("0.store", second, &[0xee; 20]);
            patients.push(Patient {
                name: format!("replica-{name}/{}", codec.as_str()),
                sandbox,
                codec: codec_of(codec),
                mender: mending::from_copy,
                keeps: |_| true,
            });
        }
        let torn = Sandbox::built(&four_segments(codec));
        torn.remove("4.index");
        torn.append_bytes("11.store", &[0, 0, 0, 0, 0, 0, 0, 90, 1, 2, 3]);
        torn.pad_zeros("11.index", 60);
        torn.put("0.index", 12, &[0; 12]);
        patients.push(Patient {
            name: format!("repair-many/{}", codec.as_str()),
            sandbox: torn,
            codec: codec_of(codec),
            mender: mending::repair,
            keeps: |_| true,
        });
    }
    patients
}

/// Explores how a log is mended, and how that is taken back.
pub fn explore_mending(patient: &Patient, bench: &Bench<'_>, disk: &MakesDisk<'_>) {
    let root = bench.put(&Tree::read(patient.sandbox.path()));
    let mending = Mending::record(&root, patient.mender, patient.codec, patient.keeps, disk);
    Bench::clear(&root);
    let mending = match mending {
        Ok(mending) => mending,
        Err(error) => return bench.violation(&error.to_string()),
    };
    let classes = mending.classes();
    bench.explore(&mending.recording, 0, &classes, &|bench, state| {
        mending.check(bench, state)
    });
}

fn mending_jobs() -> Vec<Job<'static>> {
    patients()
        .into_iter()
        .map(|patient| Job {
            part: "mending",
            name: patient.name.clone(),
            run: Box::new(move |bench| explore_mending(&patient, bench, &as_it_is)),
        })
        .collect()
}

/// Everything.
pub fn all(lab: &Lab) -> Vec<Job<'static>> {
    let mut jobs = Vec::new();
    let rolling = Limits {
        max_store_bytes: 120,
        max_index_bytes: 40,
    };
    for codec in [Codec::Raw, Codec::Protobuf] {
        let word = name_of(codec);
        for (name, script) in scripts(codec) {
            jobs.push(append_job(
                "append",
                format!("append/{word}/{name}"),
                script,
            ));
        }
        let script = killed(codec, rolling, &[&[30, 40], &[0, 50], &[60, 70, 9]]);
        let name = format!("killed/{word}");
        jobs.extend(killed_jobs("killed, then on", &name, &script, 1));
        for seed in 0..scaled(lab.scale, 18) as u64 {
            let script = made_up(codec, seed);
            let name = format!("made-up/{word}/{seed}");
            jobs.push(append_job("made up", name.clone(), script.clone()));
            jobs.extend(killed_jobs("made up", &name, &script, 2));
        }
    }
    jobs.extend(mending_jobs());
    jobs.extend(crate::crash::redacting::jobs());
    jobs.push(crate::crash::pruning::job());
    jobs
}
