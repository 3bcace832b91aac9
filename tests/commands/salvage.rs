//! `proglog salvage` as a user meets it: over all fixtures, forks, a disk that fails in
//! places, files that may not be opened, and targets that are refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use proglog_testkit::{
    Codec, LogBuilder, Sandbox, cases, entry, frame, json, of_kind, pb, run, truth, whole_records,
};
use serde_json::Value;

use super::closed::closed;

type Record = (u64, Vec<u8>);

/// Findings of a log, but for the holes in it.
fn findings(sandbox: &Sandbox, log: &str) -> Vec<Value> {
    let (_, stdout, _) = run(sandbox, &["verify", log, "--json"]);
    let lines = json(&stdout);
    let found = of_kind(&lines, "finding").into_iter();
    found
        // A gap stays one, and names are as the source's are.
        .filter(|it| it["id"] != "segment-gap" && it["id"] != "padded-name")
        .cloned()
        .collect()
}

fn note(sandbox: &Sandbox) -> Vec<Value> {
    json(&fs::read_to_string(sandbox.path().join("new.salvage.ndjson")).unwrap())
}

#[test]
fn every_fixture_gives_what_is_sound_and_nothing_else() {
    for case in cases() {
        let truth = truth(&case);
        let sandbox = Sandbox::of(&case);
        let before = sandbox.snapshot();
        let sound = whole_records(&sandbox.log(), truth.codec);
        let mut arguments = vec!["salvage", "log", "new", "--json"];
        let forked = ["forked", "index-misaligned"].contains(&case.as_str());
        if forked {
            let (status, stdout, stderr) = run(&sandbox, &arguments);
            assert_eq!((status, stdout.as_str()), (3, ""), "{case}: {stderr}");
            assert!(stderr.contains("--prefer old"), "{stderr}");
            assert!(!sandbox.path().join("new").exists(), "{case}");
            arguments.extend(["--prefer", "old"]);
        }
        let (status, stdout, stderr) = run(&sandbox, &arguments);
        assert_eq!(sandbox.snapshot(), before, "{case}");
        let lines = json(&stdout);
        assert_eq!(note(&sandbox), lines, "{case}");
        let side = of_kind(&lines, "side");
        if sandbox.path().join("new").exists() {
            let (verified, ..) = run(&sandbox, &["verify", "-q", "new"]);
            assert_eq!(status, verified, "{case}: {stdout}{stderr}");
        }
        let salvaged = whole_records(&sandbox.path().join("new"), truth.codec);
        for record in &sound {
            let there = salvaged.contains(record);
            assert!(there || forked, "{case}: {} is not there", record.0);
        }
        for record in &salvaged {
            let known = truth.acknowledged.contains(record) || sound.contains(record);
            assert!(known, "{case}: {} is made up", record.0);
        }
        assert!(findings(&sandbox, "new").is_empty(), "{case}");
        assert_eq!(sandbox.path().join("new.side").exists(), !side.is_empty());
        if !side.is_empty() {
            assert!(findings(&sandbox, "new.side").is_empty(), "{case}");
            let records: u64 = side.iter().map(|it| it["records"].as_u64().unwrap()).sum();
            let there = whole_records(&sandbox.path().join("new.side"), truth.codec);
            assert_eq!(there.len() as u64, records, "{case}");
        }
        // What is read again is all of it: a salvage of the new log loses nothing.
        let (_, again, _) = run(
            &sandbox,
            &["salvage", "new", "again", "--json", "--dry-run"],
        );
        assert!(of_kind(&json(&again), "side").is_empty(), "{case}");
    }
}

#[test]
fn the_mv_commands_put_it_in_place() {
    let sandbox = Sandbox::of("length-flipped");
    let (status, stdout, _) = run(&sandbox, &["salvage", "log/", "new/"]);
    assert_eq!(status, 3, "{stdout}");
    let next = stdout.split("next ").nth(1).unwrap();
    let moved = Command::new("sh")
        .args(["-ec", next])
        .current_dir(sandbox.path())
        .status();
    assert!(moved.unwrap().success(), "{next}");
    let (_, stdout, _) = run(&sandbox, &["read", "log", "--offset", "59"]);
    assert!(stdout.starts_with("00059"), "{stdout}");
    assert!(sandbox.path().join("log.damaged/0.store").exists());
}

#[test]
fn of_a_fork_one_side_keeps_its_offsets_and_the_other_is_noted() {
    let records = |sandbox: &Sandbox, log: &str| -> Vec<Record> {
        whole_records(&sandbox.path().join(log), Codec::Raw)
    };
    let build = || {
        let log = LogBuilder::raw().segment(0, ["a", "b", "c", "d"]);
        Sandbox::built(&log.segment(2, ["x", "d", "z"]))
    };
    let sandbox = build();
    let (status, _, stderr) = run(&sandbox, &["salvage", "log", "new", "--prefer", "old"]);
    assert_eq!(status, 0, "{stderr}");
    let values = |records: Vec<Record>| -> Vec<String> {
        let text = |(offset, value)| format!("{offset} {}", String::from_utf8(value).unwrap());
        records.into_iter().map(text).collect()
    };
    assert_eq!(
        values(records(&sandbox, "new")),
        ["0 a", "1 b", "2 c", "3 d", "4 z"]
    );
    assert_eq!(values(records(&sandbox, "new.side")), ["0 x", "1 d"]);
    let lines = note(&sandbox);
    let side = of_kind(&lines, "side");
    assert_eq!(side.len(), 1);
    assert_eq!(
        (&side[0]["why"], &side[0]["file"]),
        (&"fork".into(), &"2.store".into())
    );
    assert_eq!(
        (&side[0]["first_claimed"], &side[0]["last_claimed"]),
        (&2.into(), &3.into())
    );
    let sandbox = build();
    run(&sandbox, &["salvage", "log", "new", "--prefer", "new"]);
    assert_eq!(
        values(records(&sandbox, "new")),
        ["0 a", "1 b", "2 x", "3 d", "4 z"]
    );
    assert_eq!(values(records(&sandbox, "new.side")), ["0 c", "1 d"]);
    // The same records twice need no choice.
    let log = LogBuilder::raw().segment(0, ["a", "b", "c"]);
    let sandbox = Sandbox::built(&log.segment(1, ["b", "c", "d"]));
    let (status, stdout, _) = run(&sandbox, &["salvage", "log", "new"]);
    assert_eq!(status, 0, "{stdout}");
    assert!(stdout.contains("2 duplicates"), "{stdout}");
    assert_eq!(
        values(records(&sandbox, "new")),
        ["0 a", "1 b", "2 c", "3 d"]
    );
}

#[test]
fn targets_that_would_harm_or_mislead_are_refused() {
    let sandbox = Sandbox::of("clean-one-segment");
    let before = sandbox.snapshot();
    for target in ["log", "log/", "log/new", "./log/../log/a/b"] {
        let (status, _, stderr) = run(&sandbox, &["salvage", "log", target]);
        assert_eq!(status, 2, "{target}: {stderr}");
    }
    assert_eq!(sandbox.snapshot(), before);
    fs::create_dir(sandbox.path().join("new")).unwrap();
    fs::write(sandbox.path().join("new/x"), "").unwrap();
    let (status, _, stderr) = run(&sandbox, &["salvage", "log", "new"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("not empty"), "{stderr}");
    fs::remove_file(sandbox.path().join("new/x")).unwrap();
    assert_eq!(run(&sandbox, &["salvage", "log", "new"]).0, 0);
    // As one that was cut short leaves it: without the note's last line.
    let path = sandbox.path().join("new.salvage.ndjson");
    let text = fs::read_to_string(&path).unwrap();
    let cut = text.trim_end().rsplit_once('\n').unwrap().0;
    fs::write(&path, format!("{cut}\n")).unwrap();
    let (status, _, stderr) = run(&sandbox, &["salvage", "log", "new"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("was interrupted"), "{stderr}");
    // A file of the user is never to be removed: not beside the note, nor in place of it.
    fs::create_dir(sandbox.path().join("new.side")).unwrap();
    fs::write(sandbox.path().join("new.side/notes"), "mine").unwrap();
    let (_, _, mine) = run(&sandbox, &["salvage", "log", "new"]);
    assert!(!mine.contains("rm -rf"), "{mine}");
    fs::remove_dir_all(sandbox.path().join("new.side")).unwrap();
    fs::write(sandbox.path().join("other.salvage.ndjson"), "mine\n").unwrap();
    let (status, _, mine) = run(&sandbox, &["salvage", "log", "other"]);
    assert_eq!((status, mine.contains("rm -rf")), (2, false), "{mine}");
    let hint = stderr.split("start again:\nhint: ").nth(1).unwrap();
    let removed = Command::new("sh")
        .args(["-ec", hint])
        .current_dir(sandbox.path())
        .status();
    assert!(removed.unwrap().success(), "{hint}");
    assert_eq!(run(&sandbox, &["salvage", "log", "new"]).0, 0);
}

#[test]
fn a_dry_run_writes_nothing_and_says_the_same() {
    let sandbox = Sandbox::of("killed-then-reopened");
    let (foretold, dry, _) = run(&sandbox, &["salvage", "log", "new", "--dry-run", "--json"]);
    let names = fs::read_dir(sandbox.path()).unwrap().count();
    assert_eq!(names, 1);
    let (status, real, _) = run(&sandbox, &["salvage", "log", "new", "--json"]);
    assert_eq!(status, foretold);
    assert_eq!(dry.replace("\"dry_run\":true", "\"dry_run\":false"), real);
}

#[test]
fn owner_and_mode_are_kept() {
    let sandbox = Sandbox::of("clean-three-segments");
    for name in sandbox.names() {
        fs::set_permissions(sandbox.file(&name), Permissions::from_mode(0o640)).unwrap();
    }
    fs::set_permissions(sandbox.log(), Permissions::from_mode(0o750)).unwrap();
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if root {
        let chown = Command::new("chown")
            .args(["-R", "4711:4712"])
            .arg(sandbox.log())
            .status();
        assert!(chown.unwrap().success());
    }
    assert_eq!(run(&sandbox, &["salvage", "log", "new"]).0, 0);
    for (old, new) in [
        ("log", "new"),
        ("log/0.store", "new/0.store"),
        ("log/23.index", "new/23.index"),
    ] {
        let of = |name: &str| {
            let facts = fs::metadata(sandbox.path().join(name)).unwrap();
            (facts.uid(), facts.gid(), facts.mode())
        };
        assert_eq!(of(old), of(new), "{new}");
    }
}

#[test]
fn files_that_may_not_be_opened_are_named() {
    let sandbox = Sandbox::of("clean-three-segments");
    let Some(run) = closed(&sandbox, &["23.store"]) else {
        return;
    };
    let (status, stdout, stderr) = run(&["salvage", "log", "new", "--json"]);
    let lines = json(&stdout);
    assert_eq!(status, 2, "{stdout}{stderr}");
    assert!(stderr.contains("cannot open log/23.store"), "{stderr}");
    assert_eq!(of_kind(&lines, "unopened").len(), 1, "{stdout}");
    let lost = of_kind(&lines, "lost");
    assert_eq!(
        (lost.len(), &lost[0]["first_offset"]),
        (1, &23.into()),
        "{stdout}"
    );
    let there = whole_records(&sandbox.path().join("new"), Codec::Protobuf);
    assert_eq!(there.len(), 40, "{stdout}");
}

#[test]
fn what_is_in_the_way_is_called_what_it_is() {
    let sandbox = Sandbox::of("clean-one-segment");
    let other = LogBuilder::raw().segment(0, ["a"]);
    fs::rename(Sandbox::built(&other).log(), sandbox.path().join("other")).unwrap();
    let (status, _, stderr) = run(&sandbox, &["salvage", "log", "other"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("other is a log already"), "{stderr}");
    assert_eq!(run(&sandbox, &["salvage", "log", "new"]).0, 0);
    // Killed behind the note's last line.
    let (status, _, stderr) = run(&sandbox, &["salvage", "log", "new"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(
        stderr.contains("an earlier salvage of log into it is complete"),
        "{stderr}"
    );
    assert!(
        stderr.contains("hint: mv log log.damaged\nhint: mv new log\n"),
        "{stderr}"
    );
    fs::remove_dir_all(sandbox.path().join("new")).unwrap();
    let (status, _, stderr) = run(&sandbox, &["salvage", "log", "new"]);
    assert_eq!(status, 2, "{stderr}");
    let note = "error: new.salvage.ndjson: the note of an earlier salvage exists";
    assert!(stderr.starts_with(note), "{stderr}");
    assert!(stderr.contains("remove it"), "{stderr}");
}

/// A record whose bytes are zeros up to the end of the store is not taken for an empty one.
#[test]
fn zeros_that_may_have_been_a_record_are_left_out() {
    for bytes in 1..=17 {
        let values = ["a".to_owned(), "b".to_owned(), "c".repeat(bytes)];
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, &values));
        let mut store = sandbox.read("0.store");
        let last = store.len() - 8 - bytes;
        store[last..].fill(0);
        sandbox.write("0.store", &store);
        let before = sandbox.snapshot();
        for command in ["verify", "repair"] {
            let (status, stdout, _) = run(&sandbox, &[command, "log"]);
            assert_eq!(status, 3, "{bytes}: {stdout}");
            assert!(
                stdout.contains("zeros that may have been a record"),
                "{stdout}"
            );
            assert!(!stdout.contains("no committed record is lost"), "{stdout}");
        }
        assert_eq!(sandbox.snapshot(), before, "{bytes}");
        let (status, stdout, stderr) = run(&sandbox, &["salvage", "log", "new"]);
        assert_eq!(status, 3, "{bytes}: {stdout}");
        assert!(stderr.contains("offset 2 is left out"), "{stderr}");
        assert!(stdout.contains("lost     2: 1 record"), "{stdout}");
        let there = whole_records(&sandbox.path().join("new"), Codec::Raw);
        assert_eq!(there.len(), 2, "{bytes}");
    }
}

#[test]
fn with_q_what_is_lost_is_told_all_the_same() {
    let sandbox = Sandbox::of("length-flipped");
    let (status, stdout, _) = run(&sandbox, &["salvage", "log", "new", "-q"]);
    assert_eq!((status, stdout.as_str()), (3, "lost     20: 1 record\n"));
}

#[test]
fn while_somebody_writes_there_no_mv_is_offered() {
    let sandbox = Sandbox::of("clean-one-segment");
    let held = fs::OpenOptions::new()
        .append(true)
        .open(sandbox.file("0.store"))
        .unwrap();
    let (status, stdout, stderr) = run(&sandbox, &["salvage", "log", "new"]);
    drop(held);
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert!(!stdout.contains("mv "), "{stdout}");
    assert!(stdout.contains("stop the service first"), "{stdout}");
    let summary = note(&sandbox);
    assert!(summary.last().unwrap().get("next").is_none(), "{summary:?}");
}

/// Frames between records that carry an offset behind which there is none, one of
/// another place, or the next ones in a row: each record is somewhere, once.
#[test]
fn frames_that_no_entry_names_are_placed_where_they_fit() {
    let frame = |offset: u64, value: &str| frame(&pb(value.as_bytes(), offset, 0, 0));
    let mut store = Vec::new();
    let mut index = Vec::new();
    for (slot, offset) in [(0_u32, 0), (1, 1)] {
        index.extend(entry(slot, store.len() as u64));
        store.extend(frame(offset, "named"));
        store.extend(frame(u64::MAX, "behind all"));
    }
    // Of two under one offset the last one may be acknowledged, and is the record.
    for offset in [5, 6, 6] {
        store.extend(b"junk");
        store.extend(frame(offset, "nobody's"));
    }
    for offset in [8, 9, 10, 10] {
        store.extend(frame(offset, "in a row"));
    }
    let sandbox = Sandbox::empty();
    sandbox.write("0.store", &store);
    sandbox.write("0.index", &index);
    let (status, stdout, stderr) = run(&sandbox, &["salvage", "log", "new", "--json"]);
    assert_eq!(status, 3, "{stdout}{stderr}");
    let new = whole_records(&sandbox.path().join("new"), Codec::Protobuf);
    let offsets: Vec<u64> = new.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [0, 1, 5, 6, 8, 9, 10], "{stdout}");
    let beside = whole_records(&sandbox.path().join("new.side"), Codec::Protobuf);
    let values = beside
        .iter()
        .map(|(_, value)| str::from_utf8(value).unwrap());
    let expected = ["behind all", "behind all", "nobody's", "in a row"];
    assert!(values.eq(expected), "{stdout}");
}

/// Each of very many places begins a record of 6 MiB by its fields, of an offset before
/// the segment: the search for what nothing points to ends all the same.
#[test]
fn frames_that_claim_those_behind_them_are_not_searched_for_ever() {
    const VALUE: usize = 6 << 20;
    let field = [0x0a, 0x80, 0x80, 0x80, 0x03];
    let length = ((field.len() + VALUE) as u64).to_be_bytes();
    let claims = [&length[..], &field, &[1; 51]].concat().repeat(200);
    let first = frame(&pb(b"first", 5, 0, 0));
    let last = frame(&pb(b"last", 6, 0, 0));
    let store = [&first[..], &claims, &vec![1; VALUE], &last].concat();
    let sandbox = Sandbox::empty();
    sandbox.write("5.store", &store);
    let at = (store.len() - last.len()) as u64;
    sandbox.write("5.index", &[entry(0, 0), entry(1, at)].concat());
    let (status, stdout, stderr) = run(&sandbox, &["salvage", "log", "new", "--json"]);
    assert_eq!(status, 0, "{stderr}");
    let lines = json(&stdout);
    assert_eq!(of_kind(&lines, "summary")[0]["records"], 2, "{stdout}");
}

/// Entries that inserted bytes displaced show the offsets of their records, though a person
/// must decide what the inserted frames are.
#[test]
fn frames_that_were_inserted_take_no_offset_of_others() {
    let values: Vec<String> = (0..40_usize)
        .map(|number| format!("{number:03} {}", "v".repeat(number * number % 41)))
        .collect();
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, &values));
    let store = sandbox.read("0.store");
    let at = |slot: usize| -> usize { values[..slot].iter().map(|it| it.len() + 8).sum() };
    for from in [17, 19] {
        let inserted = [&store[..at(20)], &store[at(from)..]].concat();
        sandbox.write("0.store", &inserted);
        let _ = fs::remove_dir_all(sandbox.path().join("new"));
        let _ = fs::remove_dir_all(sandbox.path().join("new.side"));
        let _ = fs::remove_file(sandbox.path().join("new.salvage.ndjson"));
        let (_, stdout, stderr) = run(&sandbox, &["salvage", "log", "new"]);
        let found = whole_records(&sandbox.path().join("new"), Codec::Raw);
        assert_eq!(found.len(), 40, "{stdout}{stderr}");
        for (offset, value) in found {
            let wanted = &values[usize::try_from(offset).unwrap()];
            assert_eq!(value, wanted.as_bytes(), "offset {offset}");
        }
        let side = fs::read(sandbox.path().join("new.side").join("0.store")).unwrap();
        assert_eq!(side, store[at(from)..at(20)]);
    }
}
