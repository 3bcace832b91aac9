//! Where a follower begins, how it waits, what ends it, and what it holds meanwhile.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use proglog_testkit::Sandbox;
use rustix::process::Signal;

use crate::follow::running::{Reading, command};
use crate::follow::{append, lines, numbered};

#[test]
fn it_begins_where_it_is_told_to() {
    let sandbox = numbered(25);
    let cases: &[(&[&str], std::ops::Range<u64>)] = &[
        (&["-f", "-c", "30"], 0..30),
        (&["-f", "-n", "0", "-c", "3"], 25..28),
        (&["-f", "-n", "3", "--to", "29"], 22..30),
        (&["-f", "--from", "-4", "-c", "7"], 21..28),
        (&["-f", "--from", "28", "-c", "2"], 28..30),
        (&["-f", "--from", "3", "--to", "5"], 3..6),
        (&["-f", "-c", "0"], 0..0),
    ];
    let readings: Vec<_> = cases
        .iter()
        .map(|(arguments, _)| Reading::start(&sandbox, arguments))
        .collect();
    // All of them have begun.
    std::thread::sleep(std::time::Duration::from_millis(500));
    append(&sandbox, 25..32, &[]);
    for ((arguments, offsets), reading) in cases.iter().zip(readings) {
        let ended = reading.end().told(0, &[]);
        assert_eq!(ended.out, lines(offsets.clone()), "{arguments:?}");
    }
}

#[test]
fn it_ends_when_nothing_comes() {
    let sandbox = numbered(5);
    let run = |arguments: &[&str]| Reading::start(&sandbox, arguments).end();
    let ended = run(&["-f", "--until-idle", "0.2"]).told(0, &[]);
    assert_eq!(ended.out, lines(0..5));
    let ended = run(&["-f", "--until-idle", "0.2", "-c", "7"]);
    let ended = ended.told(1, &["2 of the requested records", "the next offset is 5"]);
    assert_eq!(ended.out, lines(0..5));
    run(&["-f", "--from", "9", "-c", "1", "--until-idle", "0.1"])
        .told(1, &["1 of the requested records"]);
    run(&["-f", "-c", "5", "--until-idle", "0.1"]).told(0, &[]);
    let bare = Sandbox::bare();
    let ended = Reading::start(&bare, &["-F", "-q", "--until-idle", "0.1", "-c", "1"]).end();
    ended.told(1, &[]);
}

#[test]
fn it_waits_for_a_log_that_is_not_there() {
    for sandbox in [Sandbox::bare(), Sandbox::empty()] {
        let ended = Reading::start(&sandbox, &["-f"]).end();
        ended.told(2, &["-F waits for a log"]);
        let mut reading = Reading::start(&sandbox, &["-F", "-n", "0", "-c", "3"]);
        reading.says("note: log is not a log yet: waiting for it");
        reading.waits();
        append(&sandbox, 0..3, &[]);
        assert_eq!(reading.end().out, lines(0..3));
    }
    let other = Sandbox::empty();
    other.write("README", b"");
    Reading::start(&other, &["-F"])
        .end()
        .told(2, &["is not a log"]);
}

#[test]
fn a_signal_ends_it_by_that_signal() {
    let sandbox = numbered(5);
    for signal in [Signal::INT, Signal::TERM] {
        let reading = Reading::start(&sandbox, &["-f"]);
        reading.prints(&lines(0..5));
        reading.signal(signal);
        assert_eq!(reading.end().status.signal(), Some(signal.as_raw()));
    }
    let reading = Reading::start(&Sandbox::bare(), &["-F"]);
    reading.says("waiting");
    reading.signal(Signal::TERM);
    assert_eq!(reading.end().status.signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_signal_ends_it_though_nobody_reads_what_it_prints() {
    let sandbox = Sandbox::bare();
    append(&sandbox, 0..1_000_000, &["-q"]);
    let child = command(&sandbox, &["-f"]).stdout(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if std::time::Instant::now() > end {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly_while_it_waits() {
    let sandbox = numbered(3);
    let child = command(&sandbox, &["-f"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut first = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    assert_eq!(first, "0\n");
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn it_changes_nothing_and_holds_nothing_while_it_waits() {
    let sandbox = numbered(25);
    let before = sandbox.snapshot();
    let mut reading = Reading::start(&sandbox, &["-f"]);
    reading.prints(&lines(0..25));
    reading.waits();
    assert_eq!(sandbox.snapshot(), before);
    for _ in 0..50 {
        for descriptor in fs::read_dir(format!("/proc/{}/fd", reading.id())).unwrap() {
            if let Ok(target) = fs::read_link(descriptor.unwrap().path()) {
                // None of the files: the directory itself is held.
                let is_file = target.starts_with(sandbox.log()) && target != sandbox.log();
                assert!(!is_file, "{target:?}");
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    // What takes any reader for a use of the log goes through at once.
    let trim = ["trim", "log", "--before", "10", "--no-save"];
    sandbox.proglog().args(trim).assert().success();
    append(&sandbox, 25..30, &[]);
    reading.prints(&lines(0..30));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint() {
    let sandbox = numbered(3);
    let cases: &[(&[&str], &str)] = &[
        (&["-f", "--offset", "2"], "proglog read log 2.. -c 1 -f"),
        (&["-f", "-r"], "proglog read log -r"),
        (&["--until-idle", "3"], "proglog read log --until-idle 3 -f"),
        (&["--cursor-file", "c", "-r"], "proglog read log -r"),
        (&["--cursor-file", "c", "-n", "3"], "--from applies while"),
        (
            &["--cursor-file", "c", "--offset", "3"],
            "proglog read log 3",
        ),
        (&["--batch", "3"], "COMMAND"),
        (&["-f", "--until-idle", "-1"], "must not be negative"),
        (&["-f", "--until-idle", "1e400"], "not a time"),
    ];
    for (arguments, words) in cases {
        let ended = Reading::start(&sandbox, arguments).end();
        assert_eq!(ended.out, "", "{arguments:?}");
        ended.told(2, &[words]);
    }
    // The offset as it was typed.
    let ended = Reading::start(&sandbox, &["--to", "-20"]).end();
    ended.told(1, &["offset -20 from the end is before the log"]);
}

#[test]
fn damage_is_told_however_short_the_idle_time_is() {
    let sandbox = numbered(25);
    sandbox.put("0.store", 0, &[0xff]);
    for idle in ["0.05", "0.2", "0.4"] {
        let ended = Reading::start(&sandbox, &["-f", "--until-idle", idle]).end();
        assert_eq!(ended.out, "");
        ended.told(3, &["frame-length-damaged"]);
    }
}
