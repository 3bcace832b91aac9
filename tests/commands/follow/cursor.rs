//! The cursor file: what it holds after each read, and when it stays.

use std::fs;

use proglog_testkit::Sandbox;
use rustix::process::Signal;

use crate::follow::running::{Ended, Reading};
use crate::follow::{append, held, lines, numbered};

fn read(sandbox: &Sandbox, arguments: &[&str]) -> Ended {
    let mut all = vec!["--cursor-file", "cursor"];
    all.extend(arguments);
    Reading::start(sandbox, &all).end()
}

fn hold(sandbox: &Sandbox, text: &str) {
    fs::write(sandbox.path().join("cursor"), text).unwrap();
}

#[test]
fn it_goes_on_where_it_was() {
    let sandbox = numbered(25);
    let first = read(&sandbox, &["-c", "4", "--from", "3"]).told(0, &[]);
    assert_eq!(first.out, lines(3..7));
    assert_eq!(held(&sandbox).as_deref(), Some("7\n"));
    // --from counts only where there is no cursor.
    let second = read(&sandbox, &["--to", "20", "--from", "3"]).told(0, &[]);
    assert_eq!(second.out, lines(7..21));
    assert_eq!(read(&sandbox, &["--to", "9"]).told(0, &[]).out, "");
    assert_eq!(read(&sandbox, &[]).told(0, &[]).out, lines(21..25));
    assert_eq!(read(&sandbox, &[]).told(0, &[]).out, "");
    assert_eq!(held(&sandbox).as_deref(), Some("25\n"));
    append(&sandbox, 25..27, &[]);
    assert_eq!(read(&sandbox, &[]).told(0, &[]).out, lines(25..27));
    // Nothing is left beside it, and nothing in the log.
    let mut names: Vec<_> = fs::read_dir(sandbox.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["cursor", "log"]);
}

#[test]
fn outside_the_log_it_stays() {
    let sandbox = numbered(25);
    sandbox
        .proglog()
        .args(["trim", "log", "--before", "10"])
        .assert()
        .success();
    let cases = [
        ("3", "offsets 3..9 are gone"),
        ("31", "past the end of the log: offsets 25..30 were removed"),
    ];
    for (text, words) in cases {
        for follow in [&[][..], &["-f"]] {
            hold(&sandbox, text);
            let ended = read(&sandbox, follow).told(1, &[words, "hint: "]);
            assert_eq!(ended.out, "");
            assert_eq!(held(&sandbox).as_deref(), Some(text));
        }
    }
    hold(&sandbox, "25");
    read(&sandbox, &[]).told(0, &[]);
    hold(&sandbox, "10");
    assert_eq!(read(&sandbox, &[]).told(0, &[]).out, lines(10..25));
}

#[test]
fn what_is_no_cursor_is_refused() {
    let sandbox = numbered(5);
    for text in ["", "x", "-1", "1 2", "18446744073709551616", "0x10", "+3"] {
        hold(&sandbox, text);
        let ended = read(&sandbox, &[]).told(2, &["not an offset", "name another file"]);
        assert_eq!(ended.out, "");
        // It may be any file of the user.
        assert!(!ended.err.contains("rm "), "{}", ended.err);
        assert_eq!(held(&sandbox).as_deref(), Some(text));
    }
    for place in ["log/cursor", "log/../log/cursor", "log"] {
        let ended = Reading::start(&sandbox, &["--cursor-file", place]).end();
        assert_eq!(ended.status.code(), Some(2), "{}", ended.err);
    }
    sandbox.make_directory("sub");
    let ended = Reading::start(&sandbox, &["--cursor-file", "log/sub/cursor"]).end();
    ended.told(2, &["in the log's directory"]);
}

#[test]
fn it_does_not_move_where_output_fails() {
    let sandbox = numbered(5);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = crate::follow::running::command(&sandbox, &["--cursor-file", "cursor"])
        .stdout(full)
        .stderr(std::process::Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(2));
    assert_eq!(held(&sandbox), None);
}

#[test]
fn at_damage_it_stops_and_skips_with_the_read() {
    let sandbox = Sandbox::of("length-flipped");
    read(&sandbox, &[]).told(3, &["frame-length-damaged"]);
    assert_eq!(held(&sandbox).as_deref(), Some("20\n"));
    assert_eq!(
        read(&sandbox, &[]).told(3, &["frame-length-damaged"]).out,
        ""
    );
    assert_eq!(held(&sandbox).as_deref(), Some("20\n"));
    let skipped = read(&sandbox, &["--on-error", "skip"]).told(3, &["continues at offset 21"]);
    assert!(!skipped.out.is_empty());
    read(&sandbox, &[]).told(0, &[]);
    let sandbox = numbered(25);
    sandbox.remove("20.store");
    let told = ["store-missing: 20.store", "offset 20 and all after it"];
    assert_eq!(read(&sandbox, &[]).told(3, &told).out, lines(0..20));
    read(&sandbox, &["--on-error", "skip"]).told(3, &told);
    assert_eq!(held(&sandbox).as_deref(), Some("20\n"));
}

#[test]
fn a_follower_writes_it_while_it_waits_and_keeps_it_to_itself() {
    let sandbox = numbered(5);
    let reading = Reading::start(&sandbox, &["-f", "--cursor-file", "cursor"]);
    reading.prints(&lines(0..5));
    for number in 5..8 {
        append(&sandbox, number..number + 1, &[]);
        let expected = format!("{}\n", number + 1);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while held(&sandbox).as_deref() != Some(expected.as_str()) {
            assert!(std::time::Instant::now() < end, "{:?}", held(&sandbox));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    read(&sandbox, &[]).told(4, &["in use by proglog (PID "]);
    reading.signal(Signal::TERM);
    assert_eq!(reading.end().out, lines(0..8));
    assert_eq!(held(&sandbox).as_deref(), Some("8\n"));
    read(&sandbox, &[]).told(0, &[]);
}

/// A link to a file that is not there yet stays a link.
#[test]
fn a_dangling_link_is_followed() {
    let sandbox = Sandbox::built(&proglog_testkit::LogBuilder::raw().segment(0, ["a", "b"]));
    fs::create_dir(sandbox.path().join("kept")).unwrap();
    let link = sandbox.path().join("cursor");
    std::os::unix::fs::symlink("kept/it", &link).unwrap();
    let ended = read(&sandbox, &[]);
    assert!(ended.status.success());
    assert!(link.is_symlink());
    let kept = fs::read_to_string(sandbox.path().join("kept/it")).unwrap();
    assert!(kept.starts_with("2\n"), "{kept}");
}
