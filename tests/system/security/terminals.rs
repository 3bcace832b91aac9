//! Names, values and processes that would drive a terminal.

use std::fs::File;

use proglog_testkit::{LogBuilder, Sandbox};

use crate::security::shell::bash;

/// Control characters, line separators, invisible and bidirectional format characters, and
/// invisible fillers.
fn drives(c: char) -> bool {
    c.is_control()
        || [
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
            '\u{115f}'..='\u{1160}',
            '\u{fff9}'..='\u{fffb}',
            '\u{e0020}'..='\u{e0027}',
        ]
        .iter()
        .any(|range| range.contains(&c))
        || c == '\u{feff}'
}

/// All of them but newline and the zero byte, in pieces that fit into names of files.
fn pieces() -> Vec<String> {
    let all: Vec<char> = ('\u{1}'..='\u{e007f}')
        .filter(|&c| drives(c) && c != '\n')
        .collect();
    all.chunks(30).map(|some| some.iter().collect()).collect()
}

#[test]
fn no_name_drives_a_terminal() {
    let sandbox = Sandbox::bare();
    for piece in pieces() {
        // The log's directory has such a name, a stray file and a segment's link.
        let log = sandbox.path().join(format!("a{piece}b"));
        std::fs::create_dir(&log).unwrap();
        for (name, bytes) in LogBuilder::raw().segment(0, ["one", "two"]).files() {
            std::fs::write(log.join(name), bytes).unwrap();
        }
        let bytes = std::fs::read(log.join("0.store")).unwrap();
        std::fs::write(log.join("0.store"), bytes.split_last().unwrap().1).unwrap();
        File::create(log.join(format!("stray{piece}"))).unwrap();
        for command in [
            "verify",
            "verify --json",
            "verify -v",
            "info",
            "info --json",
            "read",
            "read --offset 7",
            "read --cursor-file a*/c",
            "read -f --until-idle 0",
            "dump-index",
            "dump-index --json",
            "dump-index --position 99999",
            "dump-store --json",
            "dump-store --segment 5",
            "diff --files a*",
            "diff --json a*",
            "diff a*",
            "manifest",
            "salvage --dry-run b",
            "salvage --dry-run --json b",
            "repair --dry-run",
            "repair --dry-run --json",
            "repair --replica a*",
            "repair --json",
            "undo --list",
            "undo --json",
            "trim --before 1 --json --dry-run",
            "truncate-index --json",
            "append --json a*/stray*",
            "append a*/nothing",
        ] {
            let line = format!("$proglog {command} a*b </dev/null 2>&1");
            let line = line.replacen("a*b", "a[!.]*b", 1);
            let line = if let Some((options, other)) = command.split_once(" b") {
                format!("$proglog {options} a*b b{other} 2>&1")
            } else {
                line
            };
            let output = bash(sandbox.path(), &line).stdout;
            let text = String::from_utf8(output).unwrap();
            let driving: Vec<char> = text.chars().filter(|&c| drives(c) && c != '\n').collect();
            assert!(driving.is_empty(), "{line}: {driving:?} in {text:?}");
            assert!(!text.is_empty() || command == "read", "{line}");
        }
        std::fs::remove_dir_all(&log).unwrap();
        let _ = std::fs::remove_dir_all(log.with_file_name(format!("a{piece}b.proglog-saved")));
    }
}

#[test]
fn no_value_drives_a_terminal() {
    let value = pieces().concat();
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, [value.as_str(), "plain"]));
    for format in ["", "-0", "--json", "--format '%s|%o'", "--hex"] {
        // On a terminal: script makes one.
        let line = format!("script -qec \"$proglog read log {format}\" /dev/null </dev/null");
        let output = bash(sandbox.path(), &line);
        if output.status.code() == Some(127) {
            eprintln!("SKIPPED: script is not here");
            return;
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let ends = ['\r', '\n', '\0'];
        let driving = text.chars().filter(|c| drives(*c) && !ends.contains(c));
        assert_eq!(driving.collect::<String>(), "", "{format}");
        assert!(text.contains("plain"), "{format}: {text:?}");
        // A program gets the value as it is.
        if format != "--hex" && format != "--json" {
            let piped = bash(sandbox.path(), &format!("$proglog read log {format}")).stdout;
            assert!(
                String::from_utf8(piped).unwrap().contains(&value),
                "{format}"
            );
        }
    }
    for command in ["dump-store", "dump-store --json", "verify", "diff log"] {
        let text = bash(sandbox.path(), &format!("$proglog {command} log")).stdout;
        let text = String::from_utf8(text).unwrap();
        assert!(!text.chars().any(|c| drives(c) && c != '\n'), "{command}");
    }
}
