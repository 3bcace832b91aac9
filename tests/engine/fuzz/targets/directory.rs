//! A directory with arbitrary contents: verified, repaired, verified again, taken back.
//! A byte says the codec or leaves it to be detected; then for each file a byte for its
//! kind and its base, its length (u16) and its bytes. What was read is read after the
//! repair too, or the repair is one that the command takes back; a second repair does
//! nothing; undo gives every byte back.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proglog::inspect::finding::{Finding, Severity};
use proglog::inspect::report::{Options, Report};
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::log::reader::{Item, LogReader};
use proglog::log::record::Codec;
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::exclusive::Others;
use proglog::mend::repair;
use proglog::mend::{saved, undo};

use super::scratch::{Scratch, codec, sized, split_first};

/// Bases that inputs name by their number: near to each other and far, and the ends.
const BASES: &[u64] = &[
    0,
    1,
    2,
    3,
    5,
    8,
    100,
    255,
    1 << 32,
    (1 << 32) + 2,
    u64::MAX - 1,
    u64::MAX,
];

/// At most so many files, so that an input stays quick.
const FILES_MAX: usize = 12;

pub fn run(data: &[u8]) {
    let (first, mut rest) = split_first(data);
    let told = (first & 2 != 0).then(|| codec(first));
    let scratch = Scratch::new();
    for _ in 0..FILES_MAX {
        let Some((kind, more)) = rest.split_first() else {
            break;
        };
        let (bytes, more) = sized(more);
        rest = more;
        let base = BASES[usize::from(kind >> 1) % BASES.len()];
        let kind = if kind & 1 == 0 { "store" } else { "index" };
        scratch.write(&format!("{base}.{kind}"), bytes);
    }
    let before = scratch.files();
    if before.is_empty() {
        return;
    }
    let log = scratch.log();
    let report = verify(&log, told);
    assert_eq!(scratch.files(), before, "looking changed something");
    let Some(codec) = report.codec else {
        return;
    };
    let read_before = read(&log, codec);

    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let lock = DirectoryLock::take(&log, Wait::AtMost(Duration::ZERO), &|| false).unwrap();
    let plan = repair::plan(&report);
    let options = ApplyOptions {
        disk: &disk,
        save: Save::Beside,
        others: others(),
        command: "repair",
    };
    apply(&plan, &lock, &options).unwrap_or_else(|error| panic!("{error}: {:?}", plan.steps));

    // As anybody will find it, who is told as much as before.
    let after = verify(&log, told);
    let read_after = read(&log, codec);
    let take_back = || {
        if !plan.steps.is_empty() {
            let parent = saved::parent_for(&log.canonicalize().unwrap(), None).unwrap();
            let change = undo::list(&parent).unwrap().pop().unwrap();
            undo::undo(&change, &lock, &disk, &others()).unwrap();
        }
        assert_eq!(scratch.files(), before, "undo: {:?}", plan.steps);
    };
    // As the command does.
    if report.records_lost_in(&after) > 0 {
        return take_back();
    }
    for record in &read_before {
        assert!(
            read_after.contains(record),
            "{} is lost: {:?}",
            record.0,
            plan.steps
        );
    }
    let again = repair::plan(&after);
    assert!(
        again.steps.is_empty(),
        "{:?}, then {:?}",
        plan.steps,
        again.steps
    );
    // What stays was told beforehand, and nothing else was.
    let (left, found) = (places(&plan.left), places(&after.findings));
    assert_eq!(left, found, "{:?}: left, and found", plan.steps);

    take_back();
}

/// The errors and warnings, and the segments and files they are about.
fn places(findings: &[Finding]) -> Vec<String> {
    let serious = findings.iter().filter(|it| it.severity != Severity::Note);
    let mut places: Vec<String> = serious
        .map(|it| format!("{} {:?} {:?} {:?}", it.id, it.segment, it.place, it.offsets))
        .collect();
    places.sort();
    places
}

fn verify(log: &Path, codec: Option<Codec>) -> Report {
    let options = Options {
        codec,
        threads: 1,
        ..Options::default()
    };
    Report::of(log, &options).unwrap()
}

/// Offset and value of what a reader gets.
fn read(log: &Path, codec: Codec) -> Vec<(u64, Vec<u8>)> {
    let mut records = Vec::new();
    let mut reader = match LogReader::open(log) {
        Ok(reader) => reader,
        Err(Error::NotALog { .. }) => return records,
        Err(error) => panic!("{error}"),
    };
    reader.set_codec(codec);
    let (lowest, next) = (reader.lowest_offset(), reader.next_offset().unwrap());
    let done = reader.read(lowest, next, |item| {
        if let Item::Record(record) = item {
            let mut value = Vec::new();
            record.value.pieces(|piece| {
                value.extend_from_slice(piece);
                Ok::<_, Error>(())
            })?;
            records.push((record.offset.0, value));
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    });
    let _ = done.unwrap();
    records
}

fn others() -> Others<'static> {
    Others {
        wait: Wait::AtMost(Duration::ZERO),
        assume_unused: true,
        interrupted: &|| false,
    }
}
