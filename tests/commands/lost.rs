//! `info` counts the records that `verify` reports as lost, and none that are there.

use proglog_testkit::{LogBuilder, Sandbox, cases, frames, json, run};
use serde_json::Value;

fn info(sandbox: &Sandbox) -> Vec<Value> {
    let (status, lines, stderr) = run(sandbox, &["info", "log", "--json"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    json(&lines)
}

/// What is lost in the middle of a log, and what only seems to be: as `verify` says it.
#[test]
fn every_entry_without_a_record_is_lost() {
    let three = || Sandbox::of("clean-three-segments");
    let lost = |sandbox: &Sandbox| {
        let lines = info(sandbox);
        let summary = lines.last().unwrap()["lost"].as_u64().unwrap();
        let rows = lines.iter().filter(|line| line["kind"] == "segment");
        let rows = rows.filter_map(|row| row["lost"].as_u64());
        assert_eq!(rows.sum::<u64>(), summary);
        let (_, verified, _) = run(sandbox, &["verify", "log", "--json"]);
        let verified = json(&verified).into_iter();
        let found = verified.filter(|line| {
            let is_entry = |id| line["id"] == id;
            let ids = [
                "index-dangling",
                "index-entry-damaged",
                "store-missing",
                "frame-length-damaged",
                "record-undecodable",
                "record-offset-mismatch",
            ];
            ids.into_iter().any(is_entry) && line["record_whole"] != true
        });
        let found = found.filter_map(|line| line["records"].as_u64());
        assert_eq!(found.sum::<u64>(), summary, "{lines:?}");
        summary
    };
    for case in cases() {
        lost(&Sandbox::of(&case));
    }
    let whole = three();
    assert_eq!(lost(&whole), 0);
    // The files of one segment, of two, and a gap: nothing names its offsets.
    let sandbox = three();
    sandbox.remove("0.store");
    let first = lost(&sandbox);
    assert!(first > 0);
    sandbox.remove("23.store");
    assert!(lost(&sandbox) > first);
    let (_, text, _) = run(&sandbox, &["info", "log"]);
    assert!(text.contains("entries without an intact record"), "{text}");
    sandbox.remove("23.index");
    assert_eq!(lost(&sandbox), first);
    // A length, two of them, an entry whose record is intact.
    let sandbox = three();
    let starts = |sandbox: &Sandbox, name| {
        let frames = frames(&sandbox.read(name));
        frames.iter().map(|it| it.0).collect::<Vec<_>>()
    };
    sandbox.flip("23.store", 8 * starts(&sandbox, "23.store")[3]);
    assert_eq!(lost(&sandbox), 1);
    let row = &info(&sandbox)[1];
    assert_eq!((&row["segment"], &row["lost"]), (&23.into(), &1.into()));
    assert_eq!(
        (&row["first_lost_offset"], &row["last_lost_offset"]),
        (&26.into(), &26.into())
    );
    sandbox.flip("0.store", 8 * starts(&three(), "0.store")[5]);
    assert_eq!(lost(&sandbox), 2);
    sandbox.flip("0.index", 8 * 12 * 9);
    assert_eq!(lost(&sandbox), 2);
}

/// A first record without a byte is there, whatever an interrupted append left after it.
#[test]
fn an_empty_record_before_an_unfinished_batch_is_read() {
    for codec in ["raw", "protobuf"] {
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, [""]));
        let mut store = sandbox.read("0.store");
        store.extend([0xff, 0, 0, 0, 0, 0, 0, 2, 0x10, 1]);
        sandbox.write("0.store", &store);
        let (status, stdout, stderr) = run(&sandbox, &["read", "log", "--codec", codec]);
        assert_eq!((status, stdout.as_str()), (0, "\n"), "{codec}: {stderr}");
    }
}
