//! `-F` follows the log that replaces the one that it follows, from its start, after it has
//! read the rest of the old one.

use std::fs;

use proglog_testkit::Sandbox;
use rustix::process::Signal;

use crate::follow::running::Reading;
use crate::follow::{append, held, lines, numbered};

fn rename(sandbox: &Sandbox) {
    fs::rename(sandbox.log(), sandbox.path().join("old")).unwrap();
}

const REPLACED: &str = "note: log: another directory has its name: following another log from \
                        its start\n";
const REMOVED: &str = "note: log: it was removed: following another log from its start\n\
                       note: log is not a log yet: waiting for it\n";

#[test]
fn what_the_old_log_has_comes_first() {
    let sandbox = numbered(25);
    let mut reading = Reading::start(&sandbox, &["-F", "--from", "20"]);
    reading.prints(&lines(20..25));
    reading.signal(Signal::STOP);
    append(&sandbox, 25..42, &[]);
    rename(&sandbox);
    append(&sandbox, 50..75, &["--max-index-bytes=120"]);
    reading.signal(Signal::CONT);
    let expected = lines(20..42) + &lines(50..75);
    reading.prints(&expected);
    reading.says(REPLACED);
    append(&sandbox, 75..80, &[]);
    let expected = lines(20..42) + &lines(50..80);
    reading.prints(&expected);
    // And once more, with a pause between the two.
    fs::remove_dir_all(sandbox.path().join("old")).unwrap();
    rename(&sandbox);
    reading.says(REMOVED);
    reading.waits();
    append(&sandbox, 0..3, &[]);
    reading.prints(&(expected + &lines(0..3)));
}

#[test]
fn a_log_that_was_removed() {
    let sandbox = numbered(25);
    let reading = Reading::start(&sandbox, &["-F", "-c", "30"]);
    reading.prints(&lines(0..25));
    // Its files go one by one.
    sandbox.remove("20.store");
    std::thread::sleep(std::time::Duration::from_millis(80));
    fs::remove_dir_all(sandbox.log()).unwrap();
    reading.says(REMOVED);
    append(&sandbox, 100..110, &["--initial-offset=7"]);
    let ended = reading.end().told(0, &[REMOVED]);
    assert_eq!(ended.out, lines(0..25) + &lines(100..105));
}

#[test]
fn nothing_replaces_it() {
    let sandbox = numbered(5);
    let reading = Reading::start(&sandbox, &["-F", "--until-idle", "1", "-q"]);
    reading.prints(&lines(0..5));
    rename(&sandbox);
    assert_eq!(reading.end().told(0, &[]).out, lines(0..5));
    let sandbox = numbered(5);
    let reading = Reading::start(&sandbox, &["-F", "--until-idle", "1", "-c", "7"]);
    reading.prints(&lines(0..5));
    rename(&sandbox);
    reading
        .end()
        .told(1, &[REMOVED, "2 of the requested records did not arrive"]);
}

#[test]
fn the_cursor_moves_to_the_new_log() {
    let sandbox = numbered(25);
    let cursor = ["--cursor-file", "cursor"];
    let reading = Reading::start(&sandbox, &[&cursor[..], &["-F", "-c", "30"]].concat());
    reading.prints(&lines(0..25));
    reading.signal(Signal::STOP);
    append(&sandbox, 25..27, &[]);
    rename(&sandbox);
    append(&sandbox, 50..60, &[]);
    reading.signal(Signal::CONT);
    let ended = reading.end().told(0, &[REPLACED]);
    assert_eq!(ended.out, lines(0..27) + &lines(50..53));
    assert_eq!(held(&sandbox).as_deref(), Some("3\n"));
    let ended = Reading::start(&sandbox, &cursor).end().told(0, &[]);
    assert_eq!(ended.out, lines(53..60));
    // It is the new log's from the moment on at which it is followed.
    let sandbox = numbered(25);
    let reading = Reading::start(&sandbox, &[&cursor[..], &["-F"]].concat());
    reading.prints(&lines(0..25));
    rename(&sandbox);
    fs::create_dir(sandbox.log()).unwrap();
    sandbox.write("4.store", b"");
    sandbox.write("4.index", b"");
    reading.says("following another log");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while held(&sandbox).as_deref() != Some("4\n") {
        assert!(std::time::Instant::now() < end);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_command_gets_the_records_of_both() {
    let sandbox = numbered(25);
    let arguments = ["-F", "--cursor-file", "cursor", "-c", "30", "--", "cat"];
    let reading = Reading::start(&sandbox, &arguments);
    reading.prints(&lines(0..25));
    reading.signal(Signal::STOP);
    append(&sandbox, 25..27, &[]);
    rename(&sandbox);
    append(&sandbox, 50..60, &[]);
    reading.signal(Signal::CONT);
    let ended = reading.end().told(0, &[REPLACED]);
    assert_eq!(ended.out, lines(0..27) + &lines(50..53));
    assert_eq!(held(&sandbox).as_deref(), Some("3\n"));
}

#[test]
fn damage_at_the_end_of_the_old_log_is_reported() {
    let sandbox = numbered(25);
    let skip = ["-F", "--on-error", "skip", "-c", "27"];
    for (arguments, expected) in [
        (&skip[..], lines(0..23) + &lines(50..54)),
        (&skip[..1], lines(0..23)),
    ] {
        let sandbox = Sandbox::bare();
        append(&sandbox, 0..23, &[]);
        let reading = Reading::start(&sandbox, arguments);
        reading.prints(&lines(0..23));
        reading.signal(Signal::STOP);
        // Entries whose frames were in the memory of a service that was killed.
        let mut index = sandbox.read("0.index");
        let next = sandbox.read("0.store").len() as u64;
        index.extend(proglog_testkit::entry(23, next));
        index.extend(proglog_testkit::entry(24, next + 9));
        sandbox.write("0.index", &index);
        rename(&sandbox);
        append(&sandbox, 50..60, &[]);
        reading.signal(Signal::CONT);
        let ended = reading.end().told(3, &["index-dangling", "offsets 23..24"]);
        assert_eq!(ended.out, expected, "{arguments:?}");
    }
    // Cutting and changing are no replacement.
    let reading = Reading::start(&sandbox, &["-F"]);
    reading.prints(&lines(0..25));
    let mut trim = sandbox.proglog();
    trim.args(["trim", "log", "--after", "12", "--wait=20"]);
    trim.assert().success();
    reading.end().told(3, &["offset 24", "then removed"]);
}
