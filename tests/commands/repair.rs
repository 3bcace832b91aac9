//! `proglog repair` as a user meets it, over all fixtures: the dry run foretells and
//! changes nothing, the real run does those steps, twice is once, records come back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use proglog_testkit::{
    Codec, LogBuilder, Sandbox, cases, frame, json, pb, run, transcript, truth, whole_records,
};
use serde_json::Value;

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .filter(|line| line.get("kind").unwrap() == kind)
        .collect()
}

/// The steps without what says that they were not carried out.
fn steps(lines: &[Value]) -> Vec<Value> {
    let mut steps: Vec<Value> = of_kind(lines, "change").into_iter().cloned().collect();
    for step in &mut steps {
        step.as_object_mut().unwrap().remove("dry_run");
    }
    steps
}

#[test]
fn transcripts_of_all_fixtures() {
    let mut wrong = Vec::new();
    for case in cases() {
        let arguments = ["repair", "log", "--dry-run"];
        wrong.extend(transcript(&case, "repair-dry-run", &arguments).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_dry_run_changes_nothing_and_foretells_the_real_one() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let before = sandbox.snapshot();
        let (foretold, dry, _) = run(&sandbox, &["repair", "log", "--dry-run", "--json"]);
        assert_eq!(sandbox.snapshot(), before, "{case}");
        assert!(!sandbox.path().join("log.proglog-saved").exists(), "{case}");
        let (status, real, stderr) = run(&sandbox, &["repair", "log", "--json"]);
        assert_eq!(status, foretold, "{case}: {stderr}");
        let (dry, real) = (json(&dry), json(&real));
        assert_eq!(steps(&dry), steps(&real), "{case}");
        assert_eq!(of_kind(&dry, "lost"), of_kind(&real, "lost"), "{case}");
        assert_eq!(of_kind(&dry, "remark"), of_kind(&real, "remark"), "{case}");
        for lines in [&dry, &real] {
            assert_eq!(
                lines.last().unwrap().get("kind").unwrap(),
                "summary",
                "{case}"
            );
        }
        let changed = !steps(&real).is_empty();
        assert_eq!(sandbox.snapshot() != before, changed, "{case}");
    }
}

#[test]
fn what_was_acknowledged_and_is_whole_reads_back_at_its_offset() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let truth = truth(&case);
        let before = whole_records(&sandbox.log(), truth.codec);
        run(&sandbox, &["repair", "log"]);
        let after = whole_records(&sandbox.log(), truth.codec);
        for record in before
            .iter()
            .filter(|record| truth.acknowledged.contains(record))
        {
            assert!(after.contains(record), "{case}: {}", record.0);
            let offset = record.0.to_string();
            // Of an offset that two histories claim, only one is read.
            if ["forked", "index-misaligned"].contains(&case.as_str()) {
                continue;
            }
            if record.0 % 16 == 0 {
                let arguments = ["read", "log", "--raw", "--offset", &offset];
                let read = sandbox.proglog().args(arguments).output().unwrap();
                assert_eq!(read.stdout, record.1, "{case}: {offset}");
            }
        }
        for (offset, value) in &after {
            let acknowledged = truth
                .acknowledged
                .iter()
                .any(|it| it == &(*offset, value.clone()));
            assert!(acknowledged || case == "forked", "{case}: {offset} is new");
        }
    }
}

#[test]
fn the_service_serves_what_is_left_and_takes_the_next() {
    // Left to a human, or not the service's.
    let left = [
        "forked",
        "index-misaligned",
        "length-flipped",
        "padded-names",
        "stray-files",
    ];
    for case in cases() {
        let other = case.starts_with("raw") || case == "store-missing" || case == "segment-missing";
        if other || left.contains(&case.as_str()) {
            continue;
        }
        let sandbox = Sandbox::of(&case);
        run(&sandbox, &["repair", "log"]);
        let limit = [
            "verify",
            "log",
            "--service",
            "--json",
            "--max-index-bytes",
            "1200000",
        ];
        let (_, stdout, stderr) = run(&sandbox, &limit);
        let lines = json(&stdout);
        let views = of_kind(&lines, "service");
        assert!(!views.is_empty(), "{case}: {stderr}");
        for view in views {
            assert_eq!(view.get("hidden").unwrap(), 0, "{case}: {view}");
            assert_eq!(view.get("next_append").unwrap(), "works", "{case}: {view}");
        }
    }
}

#[test]
fn repairing_again_writes_nothing() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let (first, _, _) = run(&sandbox, &["repair", "log"]);
        let repaired = sandbox.snapshot();
        let (again, stdout, _) = run(&sandbox, &["repair", "log"]);
        assert!(
            stdout.starts_with("nothing to change\n"),
            "{case}: {stdout}"
        );
        assert_eq!(sandbox.snapshot(), repaired, "{case}");
        assert_eq!(again, first, "{case}");
    }
}

#[test]
fn a_raft_log_that_loses_entries_is_remarked_on() {
    let sandbox = Sandbox::of("raft-log-never-closed");
    for arguments in [&["repair", "log", "--dry-run"][..], &["repair", "log"]] {
        let (_, stdout, _) = run(&sandbox, arguments);
        let words = "if a cluster node has lost entries, it is safer to empty it and let it rejoin";
        let said: Vec<&str> = stdout.split_whitespace().collect();
        assert!(said.join(" ").contains(words), "{stdout}");
    }
    let (_, stdout, _) = run(&Sandbox::of("killed-index-ahead"), &["repair", "log"]);
    assert!(!stdout.contains("cluster"), "{stdout}");
}

#[test]
fn the_saved_bytes_go_where_they_are_told_to() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let before = sandbox.snapshot();
    for inside in ["log", "log/saved", "log/../log/x"] {
        for dry_run in [&[][..], &["--dry-run"]] {
            let arguments = [&["repair", "log", "--save-to", inside][..], dry_run].concat();
            let (status, _, stderr) = run(&sandbox, &arguments);
            assert_eq!(status, 2, "{inside}: {stderr}");
            assert_eq!(sandbox.snapshot(), before, "{inside}");
        }
    }
    let (status, _, stderr) = run(&sandbox, &["repair", "log", "--save-to", "kept here"]);
    assert_eq!(status, 0, "{stderr}");
    let command = "proglog undo log --save-to 'kept here'";
    assert!(stderr.contains(command), "{stderr}");
    assert!(!sandbox.path().join("log.proglog-saved").exists());
    let (status, _, stderr) = run(&sandbox, &["undo", "log", "--save-to", "kept here"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(sandbox.snapshot().contents(), before.contents());
    let (status, _, _) = run(&sandbox, &["repair", "log", "--no-save"]);
    assert_eq!(status, 0);
    assert!(!sandbox.path().join("log.proglog-saved").exists());
}

#[test]
fn an_empty_record_alone_in_its_segment_is_a_record() {
    let records = LogBuilder::raw().segment(0, ["a"]).segment(1, [""]);
    let sandbox = Sandbox::built(&records);
    let before = sandbox.snapshot();
    let (status, stdout, _) = run(&sandbox, &["repair", "log"]);
    assert_eq!(
        (status, sandbox.snapshot() == before),
        (0, true),
        "{stdout}"
    );
    let mut append = sandbox.proglog();
    append
        .args(["append", "log"])
        .write_stdin("b\n")
        .assert()
        .success();
    let after = whole_records(&sandbox.log(), Codec::Raw);
    let values: Vec<&[u8]> = after.iter().map(|(_, value)| value.as_slice()).collect();
    assert_eq!(values, [&b"a"[..], b"", b"b"]);
}

#[test]
fn an_adopted_raw_tail_becomes_records() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b", "c"]));
    sandbox.cut("0.index", 12);
    let (status, stdout, _) = run(&sandbox, &["repair", "log", "--adopt-tail"]);
    assert_eq!(status, 0, "{stdout}");
    assert_eq!(whole_records(&sandbox.log(), Codec::Raw).len(), 3);
}

#[test]
fn a_symbolic_link_is_never_changed() {
    let sandbox = Sandbox::of("killed-padding-only");
    let elsewhere = sandbox.path().join("elsewhere");
    let index = sandbox.read("0.index");
    std::fs::rename(sandbox.file("0.index"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, sandbox.file("0.index")).unwrap();
    for dry_run in [&["repair", "log", "--dry-run"][..], &["repair", "log"]] {
        let (status, _, stderr) = run(&sandbox, dry_run);
        assert_eq!(status, 3, "{stderr}");
        assert!(stderr.contains("0.index is a symbolic link"), "{stderr}");
        assert_eq!(std::fs::read(&elsewhere).unwrap(), index);
    }
}

/// Three segments with padded indexes.
fn padded() -> Sandbox {
    let sandbox = Sandbox::built(
        &LogBuilder::raw()
            .segment(0, ["a", "b"])
            .segment(2, ["c", "d"])
            .segment(4, ["e", "f"]),
    );
    for name in ["0.index", "2.index", "4.index"] {
        sandbox.write(name, &[sandbox.read(name), vec![0; 36]].concat());
    }
    sandbox
}

#[test]
fn a_link_or_a_directory_keeps_no_other_segment_from_being_mended() {
    for command in ["repair", "truncate-index"] {
        for of in ["0", "2", "4"] {
            for half in ["store", "index"] {
                let sandbox = padded();
                let name = format!("{of}.{half}");
                let elsewhere = sandbox.path().join("elsewhere");
                std::fs::rename(sandbox.file(&name), &elsewhere).unwrap();
                std::os::unix::fs::symlink("../elsewhere", sandbox.file(&name)).unwrap();
                let before = sandbox.snapshot();
                let (foretold, _, _) = run(&sandbox, &[command, "log", "--dry-run"]);
                let (status, _, stderr) = run(&sandbox, &[command, "log"]);
                assert_eq!((status, foretold), (3, 3), "{command} {name}: {stderr}");
                assert!(
                    stderr.contains(&format!("{name} is a symbolic link")),
                    "{stderr}"
                );
                for index in ["0", "2", "4"] {
                    let bytes = if index == of { 60 } else { 24 };
                    assert_eq!(sandbox.bytes(&format!("{index}.index")), bytes, "{name}");
                }
                let (again, stdout, _) = run(&sandbox, &[command, "log"]);
                assert!(
                    again == 3 && stdout.starts_with("nothing to change"),
                    "{stdout}"
                );
                assert_eq!(run(&sandbox, &["undo", "log"]).0, 0);
                assert_eq!(sandbox.snapshot().contents(), before.contents());
            }
        }
    }
    let sandbox = padded();
    sandbox.remove("0.store");
    sandbox.make_directory("0.store");
    assert_eq!(run(&sandbox, &["repair", "log"]).0, 3);
    assert_eq!(sandbox.bytes("4.index"), 24);
}

/// Junk between frames, and the entry behind it wrong: no record is in it, and none is lost.
#[test]
fn junk_between_frames_costs_no_readable_record() {
    let values = ["one", "two", "three", "four"];
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, values));
    let store = sandbox.read("0.store");
    let last = store.len() - frame(&pb(b"four", 3, 0, 0)).len();
    let junk = [&[0xff; 8][..], b"garbage!"].concat();
    let store = [&store[..last], &junk, &store[last..]].concat();
    sandbox.write("0.store", &store);
    let read = || run(&sandbox, &["read", "log", "--on-error", "skip"]);
    let all = "one\ntwo\nthree\nfour\n";
    let before = sandbox.snapshot();
    let index = sandbox.read("0.index");
    assert_eq!(read().1, all);
    for options in [&["--dry-run"][..], &[], &["--no-save"]] {
        sandbox.write("0.index", &index);
        let arguments = [&["repair", "log"], options].concat();
        let (status, stdout, stderr) = run(&sandbox, &arguments);
        assert_eq!(status, 0, "{options:?}: {stdout}{stderr}");
        assert_eq!(sandbox.read("0.store"), store, "{options:?}");
        let changed = sandbox.snapshot().contents() != before.contents();
        assert_eq!(changed, options != ["--dry-run"]);
        let sound = if changed { 0 } else { 3 };
        let (status, stdout, stderr) = read();
        assert_eq!((status, stdout.as_str()), (sound, all), "{stderr}");
    }
}

/// Of a long row of empty records the first few are no more records than the rest.
#[test]
fn drop_tail_cuts_a_whole_row_of_empty_records() {
    let hello = b"\0\0\0\0\0\0\0\x05hello";
    for (before, kept) in [(&b""[..], 2), (hello, 3)] {
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b"]));
        let tail = [before, &[0; 2000], hello].concat();
        let mut store = std::fs::read(sandbox.file("0.store")).unwrap();
        let end = store.len() + before.len();
        store.extend(&tail);
        std::fs::write(sandbox.file("0.store"), store).unwrap();
        assert_eq!(run(&sandbox, &["repair", "log"]).0, 3);
        let (status, out, err) = run(&sandbox, &["repair", "log", "--drop-tail"]);
        assert_eq!(status, 0, "{out}{err}");
        assert_eq!(sandbox.bytes("0.store"), end as u64, "{out}");
        let (status, out, _) = run(&sandbox, &["verify", "log", "--json"]);
        assert_eq!(status, 0);
        assert_eq!(json(&out).pop().unwrap()["records"], kept);
    }
}

/// Record 0 has no payload if its value is empty: the next one still has its own number.
#[test]
fn an_empty_first_record_does_not_hide_the_codec() {
    let two = LogBuilder::protobuf().segment(0, ["", "two"]);
    let sandbox = Sandbox::built(&two);
    let before = sandbox.snapshot();
    sandbox.write("0.index", b"");
    let output = sandbox.proglog().args(["repair", "log"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}
