//! Snapshots of the screens: `screens/NAME-WIDTHxHEIGHT.txt`. `UPDATE_EXPECTED=1` rewrites
//! them.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use proglog_testkit::{LogBuilder, Sandbox, cases};
use ratatui::style::{Color, Modifier};

use super::{Browser, compare_with};
use crate::render::prose::drives_a_terminal;

const SIZES: [(u16, u16); 2] = [(80, 24), (60, 16)];

/// Compares a screen with the one that is kept.
fn compare(name: &str, browser: &Browser) {
    let (width, height) = browser.state.size;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/browse/screens");
    let path = directory.join(format!("{name}-{width}x{height}.txt"));
    compare_with(&path, &browser.screen());
}

/// The screens of a log, each after some more keys.
fn compare_all(make: impl Fn() -> Sandbox, steps: &[(&str, &str)]) {
    for size in SIZES {
        let mut browser = Browser::on(make(), size);
        for (keys, name) in steps {
            browser.keys(keys);
            compare(name, &browser);
        }
    }
}

#[test]
fn a_valid_log() {
    let make = || Sandbox::of("clean-three-segments");
    compare_all(
        make,
        &[
            ("", "valid"),
            ("G", "valid-end"),
            ("v", "valid-entries"),
            ("\x1b?", "help"),
        ],
    );
}

#[test]
fn a_damaged_log() {
    let make = || Sandbox::of("killed-index-ahead");
    let steps = [
        ("", "damaged"),
        ("e", "damaged-finding"),
        ("\x1bv", "damaged-entries"),
        ("vG", "damaged-frames"),
        ("e", "damaged-next"),
    ];
    compare_all(make, &steps);
}

#[test]
fn a_log_in_pieces() {
    compare_all(|| Sandbox::of("segment-missing"), &[("e", "gap")]);
    compare_all(|| Sandbox::of("forked"), &[("e", "forked")]);
}

#[test]
fn a_raw_log() {
    let json = r#"{"user":{"id":7,"name":"Ann"},"tags":["a","b"]}"#;
    let wide = "gr\u{fc}n \u{65e5}\u{672c}";
    let builder =
        LogBuilder::raw().segment(0, ["first", json, wide, "two\nlines", "\x1b[2J\u{202e}"]);
    let steps = [
        ("1\n", "raw"),
        ("x", "raw-hex"),
        ("x4\n", "raw-escaped"),
        ("vv", "raw-frames"),
    ];
    compare_all(|| Sandbox::built(&builder), &steps);
}

#[test]
fn a_protobuf_log() {
    let make = || Sandbox::of("raft-log");
    compare_all(make, &[("", "protobuf"), ("x", "protobuf-hex")]);
}

#[test]
fn an_empty_log() {
    let make = || Sandbox::of("clean-empty");
    compare_all(
        make,
        &[("", "empty"), ("v", "empty-entries"), ("v", "empty-frames")],
    );
}

/// A process that has the files of a log open for writing.
struct Writer(Child);

impl Writer {
    fn of(sandbox: &Sandbox) -> Self {
        // What was written before the writer began cannot be in its buffer.
        let line = "exec 3>>log/0.store 4>>log/0.index; sleep 0.1; \
                    touch log/0.store log/0.index; echo; exec sleep 60";
        let mut child = Command::new("sh")
            .args(["-c", line])
            .current_dir(sandbox.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut opened = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut opened).unwrap();
        Self(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_live_log() {
    for size in SIZES {
        let sandbox = Sandbox::of("killed-index-ahead");
        let writer = Writer::of(&sandbox);
        let mut browser = Browser::on(sandbox, size);
        browser.keys("G");
        // The process may be called sleep or sh by now.
        let scan = browser.state.scan.as_mut().unwrap();
        let pid = format!("(PID {})", writer.0.id());
        assert!(scan.in_use.ends_with(&pid), "{}", scan.in_use);
        scan.in_use = "in use by sleep (PID 1)".to_owned();
        compare("live", &browser);
    }
}

/// What the colors mean is seen without them too.
#[test]
fn damage_is_red_or_bold() {
    let mut browser = Browser::on(Sandbox::of("killed-index-ahead"), (80, 24));
    browser.keys("G");
    for color in [true, false] {
        let buffer = browser.draw(color);
        let is_colored = buffer.content.iter().any(|cell| cell.fg != Color::Reset);
        assert_eq!(is_colored, color);
        let screen = super::lines(&buffer);
        let (y, line) = (0..)
            .zip(screen.lines())
            .find(|(_, line)| line.contains("|! "))
            .unwrap();
        let x = u16::try_from(line.find("|! ").unwrap() + 1).unwrap();
        let style = buffer[(x, y)].style();
        if color {
            assert_eq!(style.fg, Some(Color::Red), "{screen}");
        } else {
            assert!(style.add_modifier.contains(Modifier::BOLD), "{screen}");
        }
    }
}

#[test]
fn no_value_and_no_name_drives_the_terminal() {
    let all: String = ('\u{1}'..='\u{1ffff}')
        .chain('\u{e0000}'..='\u{e0020}')
        .filter(|&c| drives_a_terminal(c))
        .collect();
    let mut values: Vec<Vec<u8>> = all.as_bytes().chunks(40).map(<[u8]>::to_vec).collect();
    values.push((0..=255).collect());
    values.push(format!("e{}", "\u{301}".repeat(256)).into());
    let count = values.len();
    let mut browser = Browser::on(
        Sandbox::built(&LogBuilder::raw().segment(0, values)),
        (80, 24),
    );
    for form in ["", "x"] {
        browser.keys(form);
        browser.keys("g");
        for _ in 0..count {
            for cell in &browser.draw(true).content {
                let symbol = cell.symbol();
                assert!(!symbol.contains(drives_a_terminal), "{symbol:?}");
                assert!(symbol.chars().count() < 10, "{symbol:?}");
            }
            browser.keys("j");
        }
    }
}

/// Every kind of damage, every view, every size: nothing panics, and the cursor is on the
/// screen.
#[test]
fn every_log_can_be_browsed() {
    for case in cases() {
        let mut browser = Browser::on(Sandbox::of(&case), (80, 24));
        for keys in [
            "",
            "G",
            "ev",
            "Ek",
            "v5\n",
            "Gb",
            "vg",
            "\tjjG\t\tGx",
            "f\x1b",
            "/1\nnN?1\n",
            "eeey",
        ] {
            browser.keys(keys);
            let sizes = [
                (80, 24),
                (60, 16),
                (200, 50),
                (20, 8),
                (33, 9),
                (3, 1),
                (1, 1),
            ];
            for size in sizes {
                // The terminal has it before the program knows.
                for other in sizes {
                    assert_eq!(browser.draw_in(other, true).area.as_size(), other.into());
                }
                browser.state.on_size(size);
                let screen = browser.screen();
                assert_eq!(screen.lines().count(), usize::from(size.1), "{case}");
                let state = &browser.state;
                let height = state.height();
                assert!(
                    state.top <= state.cursor && state.cursor < state.top + height,
                    "{case}: {keys:?}"
                );
                assert!(state.cursor <= state.rows().len(), "{case}: {keys:?}");
            }
            browser.state.on_size((80, 24));
        }
    }
}

#[test]
fn a_panic_gives_the_terminal_back() {
    // Run once more on a terminal, it panics there.
    if std::env::var_os("PROGLOG_PANICS").is_some() {
        let _screen = super::super::terminal::Screen::begin().unwrap();
        panic!("as it should");
    }
    let exe = std::env::current_exe().unwrap();
    let test = "commands::browse::tests::screens::a_panic_gives_the_terminal_back";
    let line = format!(
        "PROGLOG_PANICS=1 {} --exact {test} --nocapture; stty -a",
        exe.display()
    );
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        proglog_testkit::report("browse and a panic: SKIPPED, no script here");
        return;
    };
    let seen = String::from_utf8_lossy(&output.stdout);
    let (screen, behind) = seen.split_once("\x1b[?1049l").expect(&seen);
    assert!(screen.contains("\x1b[?1049h"), "{seen}");
    assert!(behind.contains("as it should"), "{seen}");
    assert!(
        behind.contains(" icanon") && behind.contains(" echo "),
        "{seen}"
    );
}
