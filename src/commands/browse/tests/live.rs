//! Logs that change while they are on the screen.

use std::path::Path;

use proglog::log::units::Offset;
use proglog::{Appender, Codec};
use proglog_testkit::{LogBuilder, Sandbox};

use super::Browser;

fn append(sandbox: &Sandbox, values: &[&str]) {
    let mut log = Appender::options()
        .codec(Codec::Raw)
        .open(sandbox.log())
        .unwrap();
    log.append_all(values).unwrap();
    log.commit().unwrap();
}

#[cfg(test)]
fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

fn browser() -> Browser {
    let log = LogBuilder::raw()
        .segment(0, ["a", "b"])
        .segment(2, ["c", "d"]);
    let mut browser = Browser::on(Sandbox::built(&log), (80, 24));
    browser.check();
    browser
}

#[test]
fn new_records_are_followed() {
    let mut browser = browser();
    browser.keys("f");
    append(&browser.sandbox, &["e", "f"]);
    browser.check();
    assert_eq!(browser.state.offset(), Offset(5));
    assert!(browser.screen().contains("follow"), "{}", browser.screen());
    // Without it the cursor stays, and the new ones are below.
    browser.keys("f0\n");
    append(&browser.sandbox, &["g"]);
    browser.check();
    assert_eq!(browser.state.offset(), Offset(0));
    assert_eq!(browser.state.rows().len(), 7);
    browser.keys("fk");
    assert!(!browser.state.follow);
}

#[test]
fn a_trimmed_log_is_read_again() {
    let mut browser = browser();
    for name in ["0.store", "0.index"] {
        browser.sandbox.remove(name);
    }
    browser.check();
    let offsets: Vec<_> = browser.state.rows().iter().map(|row| row.key.at).collect();
    assert_eq!(offsets, [2, 3]);
    assert_eq!(browser.state.bases, [Offset(2)]);
}

#[test]
fn records_that_are_cut_or_replaced_are_read_again() {
    let mut browser = browser();
    browser.keys("G");
    for (name, bytes) in LogBuilder::raw().segment(2, ["other"]).files() {
        browser.sandbox.write(&name, &bytes);
    }
    browser.check();
    let screen = browser.screen();
    assert!(screen.contains("records were cut or replaced"), "{screen}");
    assert!(screen.contains("other"), "{screen}");
    assert_eq!(browser.state.offset(), Offset(2));
}

/// A file that is not the last one changes too.
#[test]
fn a_repair_in_the_middle_is_seen() {
    let mut browser = browser();
    let index = browser.sandbox.read("0.index");
    let mut damaged = index.clone();
    damaged[19] = 7;
    browser.sandbox.write("0.index", &damaged);
    browser.check();
    let tones = |browser: &Browser| {
        let rows = browser.state.rows().iter();
        rows.filter(|row| row.text.starts_with("! ")).count()
    };
    assert_eq!(tones(&browser), 1, "{}", browser.screen());
    browser.sandbox.write("0.index", &index);
    browser.check();
    assert_eq!(tones(&browser), 0, "{}", browser.screen());
}

/// As long as it is so, and until it is back.
#[test]
fn a_log_that_vanishes_is_no_error() {
    let mut browser = browser();
    browser.keys("G");
    let (here, away) = (browser.sandbox.log(), browser.sandbox.path().join("away"));
    rename(&here, &away);
    browser.check();
    for keys in ["", "j", "e", "y", "r", "-1\n", "G", "/a\n"] {
        browser.scan();
        browser.check();
        browser.keys(keys);
        let screen = browser.screen();
        let last = screen.lines().last().unwrap();
        assert!(last.contains("no such directory"), "{keys:?}: {screen}");
        for count in [" ok", "4 records", "2 segments"] {
            assert!(!screen.contains(count), "{keys:?}: {screen}");
        }
    }
    rename(&away, &here);
    browser.check();
    browser.scan();
    browser.check();
    let screen = browser.screen();
    assert!(screen.contains("2 segments, 4 records"), "{screen}");
    assert!(
        screen.lines().last().unwrap().starts_with(" ok"),
        "{screen}"
    );
    browser.keys("G");
    assert_eq!(browser.state.offset(), Offset(3));
}

#[test]
fn looking_changes_nothing() {
    let mut browser = Browser::on(Sandbox::of("killed-index-ahead"), (80, 24));
    let before = browser.sandbox.snapshot();
    browser.keys("evGvGe\x1b/a\nf");
    browser.check();
    assert!(before == browser.sandbox.snapshot());
}
