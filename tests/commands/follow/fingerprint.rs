//! The cursor file knows its log: the last record read is compared before more is read.

use std::fs;
use std::os::unix::fs::FileExt;

use proglog::log::error::Error;
use proglog::log::follow::{Follower, Rewritten, Step};
use proglog::log::reader::{LogReader, RecordView};
use proglog::log::units::Offset;
use proglog_testkit::{Codec, LogBuilder, Sandbox, cases};

use crate::follow::running::{Ended, Reading};
use crate::follow::{append, held, lines, numbered, run};

fn read(sandbox: &Sandbox, arguments: &[&str]) -> Ended {
    let all = [&["--cursor-file", "cursor"], arguments].concat();
    Reading::start(sandbox, &all).end()
}

fn cursor(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path().join("cursor")).unwrap()
}

/// Gives the log other files, and whatever is left of the old ones is gone.
fn replace(sandbox: &Sandbox, log: &LogBuilder) {
    fs::remove_dir_all(sandbox.log()).unwrap();
    fs::create_dir(sandbox.log()).unwrap();
    for (name, bytes) in log.files() {
        sandbox.write(&name, &bytes);
    }
}

/// Refused before anything is printed, whoever reads; the command in the hint is taken
/// at its word, and the read goes on at `next`.
#[track_caller]
fn is_refused(sandbox: &Sandbox, words: &str, next: &str) {
    let before = cursor(sandbox);
    for arguments in [
        &[][..],
        &["-f"],
        &["-F", "-c", "1"],
        &["--", "cat"],
        &["-q"],
    ] {
        let ended = read(sandbox, arguments);
        assert_eq!(ended.out, "", "{arguments:?}");
        ended.told(1, &[words, "hint: to accept the log as it is:\n"]);
        assert_eq!(cursor(sandbox), before, "{arguments:?}");
    }
    let said = read(sandbox, &[]).err;
    let (_, command) = said.trim_end().rsplit_once("hint: ").unwrap();
    let shell = std::process::Command::new("sh")
        .current_dir(sandbox.path())
        .args(["-c", command])
        .status();
    assert!(shell.unwrap().success(), "{command}");
    assert_eq!(read(sandbox, &[]).told(0, &[]).out, next);
    read(sandbox, &[]).told(0, &[]);
}

const ANOTHER: &str = "is not the record that was read there";

#[test]
fn a_log_that_was_recreated_is_not_read_from_the_middle() {
    for codec in [Codec::Raw, Codec::Protobuf] {
        let log = |values: &[&str]| LogBuilder::new(codec).segment(0, values);
        let others = [
            log(&["a", "b", "C", "D"]),
            log(&["a", "b", "cc", "D"]),
            log(&["a", "b", "", "D"]),
            log(&["a", "b", "C", "D"]).segment(4, [""; 0]),
        ];
        for other in others {
            let sandbox = Sandbox::built(&log(&["a", "b", "c", "d"]));
            read(&sandbox, &["-c", "3"]).told(0, &[]);
            replace(&sandbox, &other);
            is_refused(&sandbox, ANOTHER, "D\n");
        }
        // Another history with the same record there is the same as far as can be seen.
        let sandbox = Sandbox::built(&log(&["a", "b", "c"]));
        read(&sandbox, &["-c", "3"]).told(0, &[]);
        replace(&sandbox, &log(&["A", "B", "c", "d"]));
        assert_eq!(read(&sandbox, &[]).told(0, &[]).out, "d\n");
    }
}

#[test]
fn a_log_that_was_cut_and_appended_to() {
    let sandbox = numbered(25);
    read(&sandbox, &["-c", "17"]).told(0, &[]);
    run(&sandbox, &["trim", "log", "--after", "11"]);
    append(&sandbox, 50..60, &[]);
    is_refused(&sandbox, ANOTHER, &lines(55..60));
    // Cut behind the record it is the same log.
    read(&sandbox, &[]).told(0, &[]);
    let sandbox = numbered(25);
    read(&sandbox, &["-c", "17"]).told(0, &[]);
    run(&sandbox, &["trim", "log", "--after", "16"]);
    append(&sandbox, 50..52, &[]);
    assert_eq!(read(&sandbox, &[]).told(0, &[]).out, lines(50..52));
}

#[test]
fn a_record_that_is_no_longer_there() {
    let sandbox = numbered(25);
    read(&sandbox, &["-c", "17"]).told(0, &[]);
    sandbox.remove("10.store");
    sandbox.remove("10.index");
    let before = cursor(&sandbox);
    let ended = read(&sandbox, &["--from", "0"]);
    ended.told(
        1,
        &["offset 16", "no longer in the log", "echo 17 > cursor"],
    );
    assert_eq!(cursor(&sandbox), before);
}

#[test]
fn what_cannot_be_compared_is_read_on() {
    let sandbox = numbered(25);
    read(&sandbox, &["-c", "10"]).told(0, &[]);
    run(&sandbox, &["trim", "log", "--before", "10"]);
    assert_eq!(read(&sandbox, &["-c", "5"]).told(0, &[]).out, lines(10..15));
    // A bare number, as a program or a person writes it.
    for bare in ["17", "17\n", "17\r\n", " 17\n\n"] {
        fs::write(sandbox.path().join("cursor"), bare).unwrap();
        let ended = read(&sandbox, &["-c", "1"]).told(0, &[]);
        assert_eq!(ended.out, lines(17..18), "{bare:?}");
        assert_eq!(cursor(&sandbox).lines().count(), 2);
    }
    // Nothing read, nothing to compare: a log without a record, and its first ones.
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, [""; 0]));
    read(&sandbox, &[]).told(0, &[]);
    assert_eq!(held(&sandbox), None);
    fs::write(sandbox.path().join("cursor"), "0\n").unwrap();
    append(&sandbox, 0..2, &["--codec=raw"]);
    assert_eq!(read(&sandbox, &[]).told(0, &[]).out, lines(0..2));
    // Recreated empty.
    replace(&sandbox, &LogBuilder::raw().segment(0, [""; 0]));
    read(&sandbox, &[]).told(1, &["past the end of the log: offsets 0..1 were removed"]);
    assert_eq!(held(&sandbox).as_deref(), Some("2\n"));
}

#[test]
fn a_second_line_that_is_no_fingerprint_is_refused() {
    let sandbox = numbered(5);
    read(&sandbox, &["-c", "2"]).told(0, &[]);
    let whole = cursor(&sandbox);
    let line = whole.lines().nth(1).unwrap();
    for text in [
        "2\nx".to_owned(),
        format!("2\n{line}x\n"),
        format!("2\n{}\n", &line[..line.len() - 1]),
        format!("2\n{line}\n{line}\n"),
        format!("2\n\n{line}\n"),
        format!("{line}\n2\n"),
        format!("2\n{}", " ".repeat(300)),
    ] {
        fs::write(sandbox.path().join("cursor"), &text).unwrap();
        let ended = read(&sandbox, &[]).told(2, &["cursor file cursor: ", "name another file"]);
        assert_eq!(ended.out, "", "{text:?}");
        assert_eq!(cursor(&sandbox), text);
    }
}

#[test]
fn a_redacted_record_is_a_note() {
    let note = ["note: cursor file cursor: offset 1", "redacted"];
    for codec in [Codec::Raw, Codec::Protobuf] {
        // The value begins behind the length and, in a protobuf log, its key.
        let head = if codec == Codec::Raw { 8 } else { 10 };
        let sandbox = Sandbox::built(&LogBuilder::new(codec).segment(0, ["secret", "hidden", "c"]));
        read(&sandbox, &["-c", "2"]).told(0, &[]);
        let store = sandbox.read("0.store");
        let at = store.windows(6).position(|it| it == b"hidden").unwrap();
        assert!(at > head);
        sandbox.put("0.store", at as u64, b"******");
        assert_eq!(read(&sandbox, &[]).told(0, &note).out, "c\n");
        read(&sandbox, &[]).told(0, &[]);
        sandbox.put("0.store", at as u64, b"*****x");
        fs::write(sandbox.path().join("cursor"), "2").unwrap();
        read(&sandbox, &[]).told(0, &[]);
    }
    // One byte is always one byte over and over: only the usual one counts.
    for (byte, redacted) in [(b"*", true), (b"x", false)] {
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b", "c"]));
        read(&sandbox, &["-c", "2"]).told(0, &[]);
        sandbox.put("0.store", 17, byte);
        if redacted {
            read(&sandbox, &[]).told(0, &note);
        } else {
            is_refused(&sandbox, ANOTHER, "c\n");
        }
    }
}

#[test]
fn a_damaged_record_there_is_damage() {
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, ["a", "b", "c", "d"]));
    read(&sandbox, &["-c", "2"]).told(0, &[]);
    let before = cursor(&sandbox);
    // The key of the second record's value.
    let at = sandbox
        .read("0.store")
        .windows(3)
        .position(|it| it == b"\x0a\x01b");
    sandbox.put("0.store", at.unwrap() as u64, b"\xff");
    let words = ["record-undecodable", "offset 1", "echo 2 > cursor"];
    for arguments in [&[][..], &["-f"], &["--", "cat"]] {
        assert_eq!(read(&sandbox, arguments).told(3, &words).out, "");
        assert_eq!(cursor(&sandbox), before);
    }
    let skip = ["--on-error", "skip"];
    let ended = read(&sandbox, &skip).told(3, &["record-undecodable"]);
    assert_eq!(ended.out, "c\nd\n");
    read(&sandbox, &[]).told(0, &[]);
}

/// Whatever the log is like, it is the same log: piece by piece comes what comes at once.
#[test]
fn a_damaged_log_is_read_on_piece_by_piece() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let skip = ["--on-error", "skip"];
        let whole = Reading::start(&sandbox, &skip).end();
        if whole.status.code() == Some(2) {
            continue; // not a log that can be read
        }
        let (mut pieces, mut left) = (String::new(), 1000);
        loop {
            let piece = read(&sandbox, &[&skip[..], &["-c", "17"]].concat());
            let status = piece.status.code();
            assert!(matches!(status, Some(0 | 3)), "{case}: {}", piece.err);
            left -= 1;
            if piece.out.is_empty() || left == 0 {
                break;
            }
            pieces += &piece.out;
        }
        assert_eq!(pieces, whole.out, "{case}");
    }
}

/// All of a record counts, however large it is.
#[test]
fn a_record_that_is_not_held_in_memory() {
    let sandbox = Sandbox::bare();
    let value = vec![b'a'; 9 * 1024 * 1024];
    let mut append = sandbox.proglog();
    append.args(["append", "log", "-q", "--input", "whole"]);
    append.write_stdin(value).assert().success();
    crate::follow::append(&sandbox, 1..3, &["-q"]);
    read(&sandbox, &["-c", "1"]).told(0, &[]);
    let before = cursor(&sandbox);
    assert_eq!(read(&sandbox, &[]).told(0, &[]).out, lines(1..3));
    fs::write(sandbox.path().join("cursor"), before).unwrap();
    let store = fs::File::options()
        .write(true)
        .open(sandbox.file("0.store"));
    store.unwrap().write_all_at(b"b", 5 * 1024 * 1024).unwrap();
    is_refused(&sandbox, ANOTHER, &lines(1..3));
}

/// What the library gives of the last record read, after something happened to the log.
#[test]
fn the_last_record_read_once_more() {
    let values = [&[b'a'; 300][..], &[b'b'; 300], &[b'c'; 300]];
    let log = LogBuilder::raw()
        .segment(0, &values[..2])
        .segment(2, &values[2..]);
    let last_read = |end: u64, then: &dyn Fn(&Sandbox)| {
        let sandbox = Sandbox::built(&log);
        let mut reader = LogReader::open(&sandbox.log()).unwrap();
        let mut follower = Follower::of(&mut reader, Offset(0)).unwrap();
        let mut each = |record: &RecordView<'_>| {
            let step = if record.offset.0 < end {
                Step::Next
            } else {
                Step::Leave
            };
            Ok::<_, Error>(step)
        };
        follower.pass(&mut each).unwrap();
        then(&sandbox);
        let record = |record: &RecordView<'_>| record.payload.to_vec();
        follower.last_read(record).unwrap()
    };
    assert_eq!(last_read(2, &|_| ()), Ok(Some(values[1].to_vec())));
    assert_eq!(last_read(0, &|_| ()), Ok(None));
    let trim = |sandbox: &Sandbox| run(sandbox, &["trim", "log", "--before", "2"]);
    assert_eq!(last_read(2, &trim), Ok(None));
    assert_eq!(last_read(3, &trim), Ok(Some(values[2].to_vec())));
    let cut = |sandbox: &Sandbox| run(sandbox, &["trim", "log", "--after", "0"]);
    assert_eq!(last_read(2, &cut), Err(Rewritten::Cut(Offset(1))));
    let recreate = |sandbox: &Sandbox| {
        replace(
            sandbox,
            &LogBuilder::raw().segment(0, [values[0], &[b'x'; 300][..]]),
        );
    };
    assert_eq!(last_read(2, &recreate), Err(Rewritten::Removed));
    let rename = |sandbox: &Sandbox| {
        fs::rename(sandbox.log(), sandbox.path().join("old")).unwrap();
        fs::create_dir(sandbox.log()).unwrap();
    };
    assert_eq!(last_read(2, &rename), Ok(Some(values[1].to_vec())));
    let remove = |sandbox: &Sandbox| fs::remove_dir_all(sandbox.log()).unwrap();
    assert_eq!(last_read(2, &remove), Err(Rewritten::Removed));
}

/// A command may take long: the cursor stands for the log that it was given records of.
#[test]
fn a_log_that_is_recreated_while_the_command_runs() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b", "c"]));
    let other = Sandbox::built(&LogBuilder::raw().segment(0, ["A", "B", "C", "D"]));
    let script = format!("cat; rm -r log; cp -r '{}' log", other.log().display());
    let ended = read(&sandbox, &["--", "sh", "-c", &script]).told(0, &[]);
    assert_eq!(ended.out, "a\nb\nc\n");
    is_refused(&sandbox, ANOTHER, "D\n");
}
