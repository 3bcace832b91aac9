//! Mending through the library: each fixture is mended as far as no guess is needed,
//! nothing readable is lost, a second repair changes nothing, and undo gives the
//! damaged original back byte for byte.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proglog::inspect::finding::Severity;
use proglog::inspect::look::Before;
use proglog::inspect::report::{Options, Report};
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::plan::Plan;
use proglog::mend::repair;
use proglog::mend::session::{OpenOptions, Session};
use proglog::mend::trim::{self, Keep};
use proglog::mend::{saved, undo};
use proglog_testkit::{LogBuilder, Sandbox, Snapshot, cases, frame, pb, truth, whole_records};

/// What stays an error or a warning after a repair, for a human to decide.
const LEFT: &[(&str, &[&str])] = &[
    ("forked", &["segment-overlap"]),
    ("index-misaligned", &["index-misaligned", "segment-overlap"]),
    ("killed-three-segments", &["segment-gap", "segment-gap"]),
    ("length-flipped", &["frame-length-damaged"]),
    ("segment-missing", &["segment-gap"]),
    ("store-missing", &["store-missing"]),
    ("stray-files", &["stray-name", "stray-name"]),
];

fn lock(log: &Path) -> DirectoryLock {
    DirectoryLock::take(log, Wait::AtMost(Duration::ZERO), &|| false).unwrap()
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn options() -> OpenOptions {
    OpenOptions {
        assume_unused: true,
        ..OpenOptions::default()
    }
}

fn report(log: &Path) -> Report {
    Report::of(log, &Options::default()).unwrap()
}

fn repair(log: &Path) -> Plan {
    let lock = lock(log);
    let plan = repair::plan(&report(log));
    let options = ApplyOptions {
        disk: &disk(),
        save: Save::Beside,
        others: crate::others(),
        command: "repair",
    };
    apply(&plan, &lock, &options).unwrap();
    plan
}

fn problems(report: &Report) -> Vec<String> {
    let bad = report
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note);
    let mut ids: Vec<String> = bad.map(|finding| finding.id.to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn each_fixture_is_mended_and_loses_nothing() {
    let _no_forks = crate::FORKS.read();
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let log = sandbox.log();
        let codec = truth(&case).codec;
        let before = whole_records(&log, codec);
        let plan = repair(&log);
        let after = whole_records(&log, codec);
        let left = LEFT.iter().find(|(name, _)| *name == case);
        let left = left.map_or(&[][..], |(_, left)| left);
        assert_eq!(problems(&report(&log)), left, "{case}: {:?}", plan.steps);
        for record in &before {
            assert!(after.contains(record), "{case}: lost {}", record.0);
        }
        let snapshot = sandbox.snapshot();
        let again = repair(&log);
        assert!(again.steps.is_empty(), "{case}: {:?}", again.steps);
        assert_eq!(sandbox.snapshot(), snapshot, "{case}");
    }
}

/// Of offsets that two segments claim a reader gets the older one's: repair must not make
/// it reach further than it did, and says beforehand that it leaves that to a human.
#[test]
fn an_older_history_is_not_mended_over_a_newer_one() {
    let _no_forks = crate::FORKS.read();
    let old = (0..6).map(|number| format!("old {number}"));
    let new = (3..6).map(|number| format!("new {number}"));
    let builder = LogBuilder::new(proglog_testkit::Codec::Protobuf);
    let sandbox = Sandbox::built(&builder.segment(0, old).segment(3, new));
    let log = sandbox.log();
    // The numbers of entries 3 to 5 of the older segment.
    for slot in 3..6 {
        sandbox.put("0.index", slot * 12, &[0xff; 4]);
    }
    let before = sandbox.snapshot();
    let plan = repair(&log);
    assert!(plan.steps.is_empty(), "{:?}", plan.steps);
    let left: Vec<String> = plan.left.iter().map(|it| it.id.to_string()).collect();
    assert!(left.contains(&"needs-decision".to_owned()), "{left:?}");
    assert!(left.contains(&"segment-overlap".to_owned()), "{left:?}");
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn acknowledged_records_that_are_whole_in_the_store_are_there_afterwards() {
    let _no_forks = crate::FORKS.read();
    for (case, count) in [
        ("index-shrunk", 50),
        ("index-missing", 30),
        ("index-bit-flipped", 60),
        ("killed-padding-only", 40),
        ("killed-one-record", 1),
        ("wedged", 85),
        ("gap-orphans", 105),
        ("gap-torn", 251),
        ("killed-index-ahead", 243),
    ] {
        let sandbox = Sandbox::of(case);
        repair(&sandbox.log());
        let truth = truth(case);
        let records = whole_records(&sandbox.log(), truth.codec);
        assert_eq!(records.len(), count, "{case}");
        for record in records {
            assert!(truth.acknowledged.contains(&record), "{case}: {}", record.0);
        }
    }
}

#[test]
fn undo_gives_the_damaged_original_back() {
    let _no_forks = crate::FORKS.read();
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let log = sandbox.log();
        let original = sandbox.snapshot();
        let damaged = original.contents();
        let plan = repair(&log);
        let parent = saved::parent_for(&log.canonicalize().unwrap(), None).unwrap();
        let changes = undo::list(&parent).unwrap();
        assert_eq!(changes.is_empty(), plan.steps.is_empty(), "{case}");
        if let Some(change) = changes.last() {
            let elsewhere = sandbox.path().join("as-it-was");
            undo::into(change, &log, &elsewhere, &RealDisk).unwrap();
            for (name, bytes) in damaged.clone() {
                if let Ok(copied) = std::fs::read(elsewhere.join(name)) {
                    assert_eq!(copied, bytes, "{case}: {name:?}");
                }
            }
            let lock = lock(&log);
            undo::undo(change, &lock, &disk(), &crate::others()).unwrap();
        }
        assert_eq!(sandbox.snapshot().contents(), damaged, "{case}");
    }
}

#[test]
fn undo_refuses_a_log_that_went_on() {
    let _no_forks = crate::FORKS.read();
    let sandbox = Sandbox::of("killed-padding-only");
    let log = sandbox.log();
    repair(&log);
    sandbox.append_bytes("0.index", &[0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 7, 131]);
    let went_on: Snapshot = sandbox.snapshot();
    let parent = saved::parent_for(&log.canonicalize().unwrap(), None).unwrap();
    let change = undo::list(&parent).unwrap().pop().unwrap();
    let refused = undo::undo(&change, &lock(&log), &disk(), &crate::others());
    assert!(refused.is_err());
    assert_eq!(sandbox.snapshot(), went_on);
}

#[test]
fn a_plan_is_not_carried_out_on_other_files_than_it_saw() {
    let _no_forks = crate::FORKS.read();
    let sandbox = Sandbox::of("killed-index-ahead");
    let log = sandbox.log();
    let plan = repair::plan(&report(&log));
    sandbox.append_bytes("0.store", b"x");
    let changed = sandbox.snapshot();
    let options = ApplyOptions {
        disk: &disk(),
        save: Save::Beside,
        others: crate::others(),
        command: "repair",
    };
    assert!(apply(&plan, &lock(&log), &options).is_err());
    assert_eq!(sandbox.snapshot(), changed);
}

#[test]
fn a_protobuf_commit_that_was_cut_short_is_taken_back_whole() {
    let _no_forks = crate::FORKS.read();
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, ["a", "b"]));
    let sound = sandbox.snapshot();
    // The first length of a commit is marked until all the rest is durable.
    let mut first = frame(&pb(b"c", 2, 0, 0));
    first[0] = 0xff;
    sandbox.append_bytes("0.store", &first);
    for offset in 3..6 {
        sandbox.append_bytes("0.store", &frame(&pb(b"later", offset, 0, 0)));
    }
    let log = sandbox.log();
    assert_eq!(problems(&report(&log)), ["store-torn-tail"]);
    let session = Session::open(&log, &options(), &disk(), &|| false).unwrap();
    assert!(session.recovered().is_some());
    assert_eq!(session.writer().next_offset(), Some(Offset(2)));
    drop(session);
    assert_eq!(sandbox.snapshot().contents(), sound.contents());
}

#[test]
fn the_first_commit_of_a_protobuf_log_that_was_cut_short_makes_no_record_up() {
    let _no_forks = crate::FORKS.read();
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, [""; 0]));
    let sound = sandbox.snapshot();
    let mut first = frame(&pb(b"a", 0, 0, 0));
    first[0] = 0xff;
    sandbox.append_bytes("0.store", &first);
    sandbox.append_bytes("0.store", &frame(&pb(b"b", 1, 0, 0)));
    let log = sandbox.log();
    let mut options = options();
    options.config.codec = Some(Codec::Protobuf);
    let session = Session::open(&log, &options, &disk(), &|| false).unwrap();
    assert_eq!(session.writer().next_offset(), Some(Offset(0)));
    drop(session);
    assert_eq!(sandbox.snapshot().contents(), sound.contents());
}

/// No plan of a repair loses a record; one of a trim does.
#[test]
fn a_repair_that_loses_records_is_undone() {
    let _no_forks = crate::FORKS.read();
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b"]).segment(2, ["c"]));
    let log = sandbox.log();
    let sound = sandbox.snapshot();
    let before = report(&log);
    let plan = trim::plan(&before, Keep::UpTo(Offset(0))).unwrap();
    let options = ApplyOptions {
        disk: &disk(),
        save: Save::Beside,
        others: crate::others(),
        command: "repair",
    };
    let scan =
        |listing, known: &Before<'_>| Report::once(listing, &Options::default(), Some(known));
    let done = repair::carry_out(&plan, &lock(&log), &before, &options, scan);
    assert!(
        matches!(done, Err(Error::Reverted { records: 2 })),
        "{done:?}"
    );
    assert_eq!(sandbox.snapshot().contents(), sound.contents());
}
