//! What each key does.

use proglog::log::units::Offset;
use proglog_testkit::{LogBuilder, Sandbox};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::lines::Form;
use super::super::rows::View;
use super::super::state::Pane;
use super::Browser;

fn hundreds() -> Browser {
    let values = |from: u64| (from..from + 1000).map(|number| format!("record {number}"));
    let log = LogBuilder::raw()
        .segment(0, values(0))
        .segment(1000, values(1000));
    Browser::on(Sandbox::built(&log), (80, 24))
}

fn offset(browser: &Browser) -> u64 {
    browser.state.offset().0
}

#[test]
fn keys_move_the_cursor() {
    let mut browser = hundreds();
    let height = browser.state.height() as u64;
    let page = height / 2 * 2;
    for (keys, expected) in [
        ("j", 1),
        ("jjk", 2),
        ("G", 1999),
        ("kk", 1997),
        ("g", 0),
        (" ", page),
        ("b", 0),
        ("k", 0),
        ("1234\n", 1234),
        (":7\n", 7),
        ("-1\n", 1999),
        (":-2000\n", 0),
        (":12\x1b", 0),
    ] {
        browser.keys(keys);
        assert_eq!(offset(&browser), expected, "{keys:?}");
    }
    for (code, expected) in [
        (KeyCode::Down, 1),
        (KeyCode::PageDown, 1 + page),
        (KeyCode::PageUp, 1),
        (KeyCode::Up, 0),
        (KeyCode::End, 1999),
        (KeyCode::Home, 0),
    ] {
        browser.key(code);
        assert_eq!(offset(&browser), expected, "{code:?}");
    }
    // Farther than what is loaded at once.
    for _ in 0..300 {
        browser.keys(" ");
    }
    assert_eq!(offset(&browser), 1999);
    for _ in 0..1999 {
        browser.keys("k");
    }
    assert_eq!(offset(&browser), 0);
    browser.keys(":99999\n");
    assert!(
        browser
            .screen()
            .contains("99999 is not in the log: the next is 2000")
    );
    assert_eq!(offset(&browser), 1999);
    browser.keys(":-99999999999\n");
    let before = "-99999999999 is before the log, which begins at 0";
    assert!(browser.screen().contains(before), "{}", browser.screen());
    assert_eq!(offset(&browser), 0);
    browser.keys(":x\n");
    assert!(browser.screen().contains("is not an offset"));
}

#[test]
fn a_key_moves_beyond_what_is_loaded() {
    let mut browser = hundreds();
    let effects = browser.state.step(1500);
    browser.perform(effects);
    assert_eq!(offset(&browser), 1500);
    let effects = browser.state.step(-1400);
    browser.perform(effects);
    assert_eq!(offset(&browser), 100);
}

#[test]
fn searches_go_both_ways() {
    let mut browser = hundreds();
    for (keys, expected) in [
        ("/record 5.0$\n", 500),
        ("n", 510),
        ("N", 500),
        ("?9$\n", 499),
        ("n", 489),
        ("N", 499),
        ("/\n", 489),
        ("/(?i)RECORD 1500\n", 1500),
    ] {
        browser.keys(keys);
        assert_eq!(offset(&browser), expected, "{keys:?}");
    }
    browser.keys("n");
    assert!(browser.screen().contains("no match after offset 1500"));
    browser.keys("/(\n");
    assert!(browser.screen().contains("unclosed group"));
    // In other views it goes to the record's place.
    browser.keys("gv/record 77$\n");
    assert_eq!((offset(&browser), browser.state.view), (77, View::Entries));
}

#[test]
fn views_keep_the_place() {
    let mut browser = hundreds();
    browser.keys("1234\n");
    for view in [View::Entries, View::Frames, View::Records] {
        browser.keys("v");
        assert_eq!((browser.state.view, offset(&browser)), (view, 1234));
    }
    browser.keys("x");
    assert_eq!(browser.state.form, Form::Hex);
}

#[test]
fn panes_take_the_keys() {
    let mut browser = hundreds();
    assert_eq!(browser.state.focus, Pane::Rows);
    browser.keys("x\tj");
    assert_eq!(
        (browser.state.focus, browser.state.lower_top),
        (Pane::Lower, 1)
    );
    browser.keys("g\tj");
    assert_eq!(
        (browser.state.focus, offset(&browser)),
        (Pane::Segments, 1000)
    );
    browser.keys("k");
    assert_eq!(offset(&browser), 0);
    browser.keys("\n");
    assert_eq!(browser.state.focus, Pane::Rows);
    browser.keys("ll");
    assert_eq!(browser.state.column, 16);
    browser.keys("hhh");
    assert_eq!(browser.state.column, 0);
    browser.key(KeyCode::BackTab);
    assert_eq!(browser.state.focus, Pane::Segments);
}

#[test]
fn findings_are_visited_in_their_order() {
    let mut browser = Browser::on(Sandbox::of("killed-index-ahead"), (80, 24));
    browser.keys("e");
    assert_eq!(browser.state.offset(), Offset(243));
    let screen = browser.screen();
    assert!(screen.contains("finding 1 of 2"), "{screen}");
    assert!(
        screen.contains("error index-dangling: offsets 243..299: 57 acknowledged records are lost"),
        "{screen}"
    );
    browser.keys("e");
    assert_eq!(
        (browser.state.view, browser.state.row().unwrap().key.at),
        (View::Entries, 3600)
    );
    browser.keys("e");
    assert_eq!(browser.state.finding, Some(0));
    browser.keys("E");
    assert_eq!(browser.state.finding, Some(1));
    // The explanation is scrolled, and closed by the next move.
    browser.keys("\tG");
    assert!(browser.screen().contains("REMEDY") || browser.state.lower_top > 10);
    browser.keys("q");
    assert!(!browser.state.is_explaining && !browser.has_quit);
    let mut sound = Browser::on(Sandbox::of("clean-one-segment"), (80, 24));
    sound.keys("e");
    assert!(sound.screen().contains("no findings"));
}

#[test]
fn commands_print_what_is_shown() {
    let mut browser = hundreds();
    let last = browser.state.height() - 1;
    browser.keys("y");
    browser.keys("xy\ty");
    browser.keys("\ty\t");
    browser.keys("vy");
    let expected = [
        format!("proglog read log 0..{last}"),
        format!("proglog read log 0..{last} --hex"),
        "proglog read log 0 --hex".to_owned(),
        "proglog verify log --segment 0".to_owned(),
        format!("proglog dump-index log --segment 0 0..{last} --hex"),
    ];
    assert_eq!(browser.state.commands, expected);
    let mut damaged = Browser::on(Sandbox::of("killed-index-ahead"), (80, 24));
    damaged.keys("eyGyvGy");
    let commands = &damaged.state.commands;
    assert_eq!(commands[0], "proglog explain index-dangling");
    assert!(
        commands[1].ends_with("..299 --on-error skip"),
        "{commands:?}"
    );
    assert!(commands[2].ends_with("..299"), "{commands:?}");
}

#[test]
fn help_and_the_end() {
    let mut browser = hundreds();
    browser.keys("?");
    assert!(browser.screen().contains("next and previous finding"));
    browser.keys("\n");
    assert!(browser.state.is_help && browser.state.prompt.is_none());
    browser.keys("q");
    assert!(!browser.state.is_help && !browser.has_quit);
    browser.key(KeyCode::F(1));
    assert!(browser.state.is_help);
    browser.keys("\x1bq");
    assert!(browser.has_quit);
    let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    let mut browser = hundreds();
    let half = browser.state.height() as u64 / 2;
    for (key, expected) in [('d', half), ('f', half * 3), ('b', half), ('u', 0)] {
        let effects = browser.state.on_key(control(key));
        browser.perform(effects);
        assert_eq!(offset(&browser), expected, "Ctrl-{key}");
    }
    let effects = browser.state.on_key(control('c'));
    browser.perform(effects);
    assert!(browser.has_quit);
}
