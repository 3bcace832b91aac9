//! What a follower says when the log is not the one that it read, and what it
//! survives: trimming and mending behind it.

use std::fs;

use proglog_testkit::Sandbox;
use rustix::process::Signal;

use crate::follow::running::Reading;
use crate::follow::{append, lines, numbered, run};

/// A follower that has printed 0..25.
fn following(sandbox: &Sandbox) -> Reading {
    let reading = Reading::start(sandbox, &["-f"]);
    reading.prints(&lines(0..25));
    reading
}

#[test]
fn records_that_were_cut() {
    for after in ["23", "12", "3"] {
        let sandbox = numbered(25);
        let reading = following(&sandbox);
        run(&sandbox, &["trim", "log", "--after", after, "--wait=20"]);
        let ended = reading.end();
        ended.told(
            3,
            &[
                "history was rewritten",
                "offset 24",
                "then removed",
                "hint: ",
            ],
        );
    }
    // Seen by one that printed nothing, too.
    let sandbox = numbered(25);
    let mut reading = Reading::start(&sandbox, &["-f", "-n", "0"]);
    reading.waits();
    run(&sandbox, &["trim", "log", "--after", "12", "--wait=20"]);
    reading.end().told(3, &["offset 24", "then removed"]);
}

#[test]
fn records_that_were_cut_and_written_anew() {
    let sandbox = numbered(25);
    let reading = following(&sandbox);
    reading.signal(Signal::STOP);
    run(&sandbox, &["trim", "log", "--after", "19", "--wait=20"]);
    append(&sandbox, 50..70, &[]);
    reading.signal(Signal::CONT);
    let ended = reading.end();
    let ended = ended.told(
        3,
        &["history was rewritten", "offset 24", "a different record"],
    );
    assert_eq!(ended.out, lines(0..25));
}

#[test]
fn a_trim_that_is_taken_back() {
    let sandbox = numbered(25);
    run(&sandbox, &["trim", "log", "--after", "14"]);
    let reading = Reading::start(&sandbox, &["-f"]);
    reading.prints(&lines(0..15));
    append(&sandbox, 15..18, &[]);
    reading.prints(&lines(0..18));
    run(&sandbox, &["trim", "log", "--after", "16", "--wait=20"]);
    reading.end().told(3, &["offset 17", "then removed"]);
}

#[test]
fn another_directory() {
    let sandbox = numbered(25);
    let reading = following(&sandbox);
    reading.signal(Signal::STOP);
    fs::rename(sandbox.log(), sandbox.path().join("old")).unwrap();
    append(&sandbox, 0..30, &[]);
    reading.signal(Signal::CONT);
    let ended = reading.end().told(3, &["another directory has its name"]);
    assert_eq!(ended.out, lines(0..25));
}

#[test]
fn no_directory() {
    let sandbox = numbered(25);
    let reading = following(&sandbox);
    reading.signal(Signal::STOP);
    fs::remove_dir_all(sandbox.log()).unwrap();
    reading.signal(Signal::CONT);
    reading.end().told(3, &["it was removed"]);
}

#[test]
fn a_fork() {
    let sandbox = numbered(25);
    let reading = following(&sandbox);
    sandbox.write("22.store", &proglog_testkit::frame(b"other"));
    sandbox.write("22.index", &proglog_testkit::entry(0, 0));
    reading.end().told(3, &["segment begins at 22", "a fork"]);
}

#[test]
fn unread_records_that_are_gone() {
    let sandbox = numbered(25);
    let reading = following(&sandbox);
    reading.signal(Signal::STOP);
    append(&sandbox, 25..60, &[]);
    run(&sandbox, &["trim", "log", "--before", "41", "--wait=20"]);
    reading.signal(Signal::CONT);
    let ended = reading
        .end()
        .told(1, &["offsets 25..39 are gone", "--from 40"]);
    assert_eq!(ended.out, lines(0..25));
}

#[test]
fn what_it_survives() {
    let sandbox = numbered(25);
    let mut reading = following(&sandbox);
    run(&sandbox, &["trim", "log", "--before", "21", "--wait=20"]);
    reading.waits();
    append(&sandbox, 25..45, &[]);
    reading.prints(&lines(0..45));
    // Segments that were read, down to the last one, which is empty or not.
    run(
        &sandbox,
        &["trim", "log", "--keep-segments", "1", "--wait=20"],
    );
    append(&sandbox, 45..50, &[]);
    reading.prints(&lines(0..50));
    reading.waits();
    // A killed service's padding, and its repair.
    let name = sandbox
        .names()
        .into_iter()
        .rfind(|name| name.ends_with("index"))
        .unwrap();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(sandbox.file(&name))
        .unwrap();
    file.set_len(4096).unwrap();
    drop(file);
    reading.waits();
    run(&sandbox, &["repair", "log", "--wait=20"]);
    append(&sandbox, 50..75, &[]);
    reading.prints(&lines(0..75));
}

#[test]
fn damage_on_the_way_is_told_as_read_tells_it() {
    let sandbox = Sandbox::of("length-flipped");
    let ended = Reading::start(&sandbox, &["-f"]).end();
    ended.told(
        3,
        &[
            "frame-length-damaged",
            "continues at offset 21",
            "--on-error skip",
        ],
    );
    let plain = Reading::start(&sandbox, &["--on-error", "skip"]).end();
    let skipping = ["-f", "--on-error", "skip", "--until-idle", "1"];
    let ended = Reading::start(&sandbox, &skipping).end();
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!((ended.out, ended.err), (plain.out, plain.err));
}

#[test]
fn a_record_that_was_redacted_is_still_the_one_that_was_read() {
    let sandbox = numbered(25);
    let mut reading = following(&sandbox);
    reading.waits();
    run(&sandbox, &["redact", "log", "24", "--yes", "--wait=20"]);
    append(&sandbox, 25..30, &[]);
    reading.prints(&lines(0..30));
    reading.signal(Signal::TERM);
}
