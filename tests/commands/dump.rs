//! `dump-index` and `dump-store` against the bytes themselves, read as naively as can
//! be: every byte is told of once, each figure is the file's, marks stand where the
//! oracle does not return the record.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use proglog_testkit::{
    Codec, LogBuilder, Sandbox, cases, frames, json, proglog, truth, whole_records,
};
use serde_json::Value;

/// Runs a dump that must succeed; gives its output.
fn dump(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = sandbox.proglog().args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    assert_eq!(stderr, "", "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn kind(value: &Value) -> &str {
    value["kind"].as_str().unwrap()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {value}"))
}

fn be(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The bases of the stores or indexes of a fixture, in numeric order, with the names.
fn halves(sandbox: &Sandbox, extension: &str) -> Vec<(u64, String)> {
    let mut found: Vec<(u64, String)> = sandbox
        .names()
        .into_iter()
        .filter_map(|name| {
            let base = name.strip_suffix(extension)?.parse().ok()?;
            Some((base, name))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn each_entry_is_the_file_s_and_marked_where_its_record_is_not_whole() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let whole: BTreeSet<u64> = whole_records(&sandbox.log(), truth(&case).codec)
            .into_iter()
            .map(|(offset, _)| offset)
            .collect();
        let lines = json(&dump(&sandbox, &["dump-index", "log", "--json", "--hex"]));
        for (base, name) in halves(&sandbox, ".index") {
            let index = sandbox.read(&name);
            let store_name = name.replace(".index", ".store");
            let store = if sandbox.file(&store_name).exists() {
                sandbox.read(&store_name)
            } else {
                Vec::new()
            };
            let own = lines.iter().filter(|line| line["segment"] == base);
            let mut end = 0;
            for line in own {
                let (start, bytes) = if kind(line) != "entry" {
                    assert_eq!(line["file"], name, "{case}");
                    (number(line, "position"), number(line, "bytes"))
                } else if line.get("slot").is_some() {
                    (number(line, "slot") * 12, 12)
                } else {
                    (number(line, "index_position"), 12)
                };
                assert_eq!(start, end, "{case}: {line}");
                end += bytes;
                let there = &index[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
                if kind(line) == "padding" {
                    assert!(there.iter().all(|byte| *byte == 0), "{case}: {line}");
                    continue;
                }
                assert_eq!(line["hex"], hex::encode(there), "{case}");
                assert_eq!(number(line, "relative"), be(&there[..4]), "{case}");
                let position = be(&there[4..]);
                assert_eq!(number(line, "position"), position, "{case}");
                let at = usize::try_from(position).unwrap();
                let frame = store.get(at..at + 8).map(|length| be(length) + 8);
                assert_eq!(line["frame"].as_u64(), frame, "{case}: {line}");
                let offset = number(line, "offset");
                if let Some(slot) = line["slot"].as_u64() {
                    assert_eq!(offset, base + slot, "{case}");
                    let sound = whole.contains(&offset);
                    assert_eq!(line.get("damage").is_none(), sound, "{case}: {line}");
                } else {
                    assert_eq!(line["damage"], "index-misaligned", "{case}");
                }
            }
            assert_eq!(end, index.len() as u64, "{case}: {name}");
        }
    }
}

#[test]
fn each_frame_is_the_file_s() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let protobuf = truth(&case).codec == Codec::Protobuf;
        let lines = json(&dump(&sandbox, &["dump-store", "log", "--json", "--hex"]));
        for (base, name) in halves(&sandbox, ".store") {
            let store = sandbox.read(&name);
            let own: Vec<_> = lines
                .iter()
                .filter(|line| line["segment"] == base && kind(line) != "missing")
                .collect();
            let mut end = 0;
            for line in &own {
                let start = number(line, "position");
                assert_eq!(start, end, "{case}: {line}");
                let is_frame = kind(line) == "frame";
                end += number(line, if is_frame { "frame" } else { "bytes" });
                let there = &store[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
                assert_eq!(line["hex"], hex::encode(there), "{case}");
                if is_frame {
                    assert_eq!(be(&there[..8]) + 8, there.len() as u64, "{case}: {line}");
                    assert_eq!(line.get("embedded_offset").is_some(), protobuf, "{case}");
                }
            }
            assert_eq!(end, store.len() as u64, "{case}: {name}");
            // Whatever a naive reader sees before the first thing that is no frame.
            let naive = frames(&store);
            let seen = own.iter().take_while(|line| kind(line) == "frame");
            for (line, (position, payload)) in seen.zip(naive) {
                assert_eq!(number(line, "position"), position, "{case}");
                assert_eq!(number(line, "frame"), payload.len() as u64 + 8, "{case}");
            }
        }
    }
}

/// In a log that is whole, the frames are the acknowledged records.
#[test]
fn the_frames_of_a_clean_log_are_its_records() {
    for case in ["clean-three-segments", "raw-clean", "raft-log", "wedged"] {
        let sandbox = Sandbox::of(case);
        let lines = json(&dump(&sandbox, &["dump-store", "log", "--json"]));
        let frames = lines.iter().filter(|line| kind(line) == "frame");
        for (line, (offset, value)) in frames.zip(truth(case).acknowledged) {
            assert_eq!(number(line, "offset"), offset, "{case}");
            assert_eq!(number(line, "length"), value.len() as u64, "{case}");
            let head = line["value_head"].as_str().unwrap();
            let plain = value.iter().take(48).all(|b| (b' '..=b'~').contains(b));
            if plain && !value.contains(&b'\\') {
                let value = String::from_utf8(value[..value.len().min(48)].to_vec()).unwrap();
                assert_eq!(head, value, "{case}");
            }
        }
    }
    // The service refused these, and each carries the same offset again.
    let sandbox = Sandbox::of("wedged");
    let lines = json(&dump(&sandbox, &["dump-store", "log", "--json"]));
    let summary = lines.last().unwrap();
    assert_eq!(number(summary, "frames"), 200);
    assert_eq!(number(summary, "unexpected"), 114);
}

/// The right position is known from the store alone.
#[test]
fn a_mark_says_what_is_expected() {
    let sandbox = Sandbox::of("index-bit-flipped");
    let (position, _) = frames(&sandbox.read("0.store"))[30];
    let text = dump(&sandbox, &["dump-index", "log"]);
    let mark = format!("! index-entry-damaged: expected position {position}\n");
    assert_eq!(text.matches(&mark).count(), 1, "{text}");
    let lines = json(&dump(&sandbox, &["dump-index", "log", "--json"]));
    assert_eq!(lines[30]["expected_position"], position);

    // A relative offset that is not its place, and a length that is not the gap.
    let sandbox = Sandbox::of("raw-clean");
    let payload_bytes = frames(&sandbox.read("0.store"))[0].1.len();
    sandbox.flip("0.index", 12 * 8 + 31);
    let text = dump(&sandbox, &["dump-index", "log"]);
    assert!(text.contains(": expected relative 1\n"), "{text}");
    let sandbox = Sandbox::of("raw-clean");
    sandbox.flip("0.store", 63);
    let text = dump(&sandbox, &["dump-index", "log"]);
    let expected = format!(": expected frame {}\n", payload_bytes + 8);
    assert!(text.contains(&expected), "{text}");

    let sandbox = Sandbox::of("clean-one-segment");
    let store = sandbox.read("0.store");
    let end = frames(&store)[5].0;
    // The last byte of record 4 is its offset.
    sandbox.put("0.store", end - 1, &[9]);
    let text = dump(&sandbox, &["dump-index", "log"]);
    assert!(text.contains(": carries 9, expected 4\n"), "{text}");
    let text = dump(&sandbox, &["dump-store", "log"]);
    assert!(text.contains("! carries 9, 4 expected\n"), "{text}");
}

#[test]
fn it_says_where_frames_stop_making_sense_and_where_they_start_again() {
    let sandbox = Sandbox::of("length-flipped");
    let lines = json(&dump(&sandbox, &["dump-store", "log", "--json"]));
    let lost: Vec<_> = lines
        .iter()
        .filter(|line| kind(line) == "no-frame")
        .collect();
    assert_eq!(lost.len(), 1);
    let store = sandbox.read("0.store");
    let length = be(&store[usize::try_from(number(lost[0], "position")).unwrap()..][..8]);
    assert_eq!(number(lost[0], "got"), length);
    assert_eq!(lost[0]["why"], "past-end");
    let carried: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["embedded_offset"].as_u64())
        .collect();
    let all = truth("length-flipped").acknowledged.len() as u64;
    let expected: Vec<u64> = (0..all).filter(|offset| *offset != 20).collect();
    assert_eq!(carried, expected);

    let zeros = Sandbox::of("store-zero-tail");
    let text = dump(&zeros, &["dump-store", "log"]);
    assert_eq!(text.lines().filter(|l| l.starts_with("zeros  ")).count(), 1);
    let raw = Sandbox::of("raw-torn");
    let text = dump(&raw, &["dump-store", "log"]);
    assert!(text.contains("no valid frame follows"), "{text}");
}

/// The numbers of each line that begins with one, dashes left out.
fn figures(text: &str, columns: usize) -> Vec<Vec<u64>> {
    text.lines()
        .filter(|line| line.starts_with([' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']))
        .filter(|line| {
            line.split_whitespace()
                .nth(2)
                .is_some_and(|it| it != "entries" && it != "frames")
        })
        .filter(|line| {
            !line
                .trim_start()
                .starts_with(|c: char| !c.is_ascii_digit() && c != '-')
        })
        .filter(|line| {
            !line.contains(".index:") && !line.contains(".store:") && !line.contains(" shown, ")
        })
        .filter(|line| !line.contains(" is missing"))
        .map(|line| {
            let cells = line.split_whitespace().take(columns);
            cells.filter_map(|cell| cell.parse().ok()).collect()
        })
        .collect()
}

#[test]
fn text_and_json_say_the_same() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let fields = ["slot", "relative", "offset", "position", "frame"];
        let lines = json(&dump(&sandbox, &["dump-index", "log", "--json"]));
        let entries = lines.iter().filter(|line| kind(line) == "entry");
        let of_json: Vec<Vec<u64>> = entries
            .map(|line| fields.iter().filter_map(|it| line[it].as_u64()).collect())
            .collect();
        let text = dump(&sandbox, &["dump-index", "log"]);
        assert_eq!(figures(&text, 5), of_json, "{case}");
        for line in lines.iter().filter_map(|line| line["damage"].as_str()) {
            assert!(text.contains(&format!("! {line}")), "{case}: {line}");
        }

        let protobuf = truth(&case).codec == Codec::Protobuf;
        let fields = ["position", "frame", "offset", "embedded_offset", "length"];
        let lines = json(&dump(&sandbox, &["dump-store", "log", "--json"]));
        let shown = lines.iter().filter(|line| kind(line) == "frame");
        let of_json: Vec<Vec<u64>> = shown
            .map(|line| fields.iter().filter_map(|it| line[it].as_u64()).collect())
            .collect();
        let text = dump(&sandbox, &["dump-store", "log"]);
        let columns = if protobuf { 5 } else { 4 };
        assert_eq!(figures(&text, columns), of_json, "{case}");
    }
}

#[test]
fn ranges_are_as_in_read() {
    let sandbox = Sandbox::of("clean-three-segments");
    let all = truth("clean-three-segments").acknowledged.len() as u64;
    let offsets = |command: &str, options: &[&str]| -> Vec<u64> {
        let arguments = [[command, "log", "--json"].as_slice(), options].concat();
        json(&dump(&sandbox, &arguments))
            .iter()
            .filter(|line| ["entry", "frame"].contains(&kind(line)))
            .map(|line| number(line, "offset"))
            .collect()
    };
    let range = |first: u64, last: u64| (first..=last).collect::<Vec<u64>>();
    for command in ["dump-index", "dump-store"] {
        let of = |options: &[&str]| offsets(command, options);
        assert_eq!(of(&[]), range(0, all - 1));
        assert_eq!(of(&["--from", "20", "--to", "44"]), range(20, 44));
        assert_eq!(of(&["--from", "22", "-c", "3"]), range(22, 24));
        assert!(of(&["-c", "0"]).is_empty());
        assert_eq!(of(&["--from", "-2"]), range(all - 2, all - 1));
        assert_eq!(of(&["--to", "-1", "--from=-1"]), [all - 1]);
        assert_eq!(of(&["--segment", "23"]), range(23, 42));
        assert_eq!(of(&["--segment", "23", "--to", "24"]), [23, 24]);
        assert_eq!(of(&["--to", "99999", "--from", "42"]), range(42, all - 1));
        assert!(of(&["--from", &all.to_string()]).is_empty());
    }
}

#[test]
fn a_byte_is_covered_by_one_entry_or_frame() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let at = |command: &str, position: u64| -> Value {
        let position = position.to_string();
        let arguments = [command, "log", "--json", "--position", &position];
        let mut lines = json(&dump(&sandbox, &arguments));
        assert_eq!(lines.len(), 1, "{arguments:?}");
        lines.remove(0)
    };
    assert_eq!(number(&at("dump-index", 0), "slot"), 0);
    assert_eq!(number(&at("dump-index", 2915), "slot"), 242);
    let first_lost = at("dump-index", 2916);
    assert_eq!(number(&first_lost, "slot"), 243);
    assert_eq!(first_lost["damage"], "index-dangling");
    assert_eq!(number(&first_lost, "store_bytes"), 12288);
    assert_eq!(kind(&at("dump-index", 3600)), "padding");
    let store = sandbox.read("0.store");
    for (position, payload) in frames(&store).into_iter().take(5) {
        let end = position + payload.len() as u64 + 7;
        for byte in [position, end] {
            assert_eq!(number(&at("dump-store", byte), "position"), position);
        }
    }
    assert_eq!(kind(&at("dump-store", 12287)), "no-frame");
    let misaligned = Sandbox::of("index-misaligned");
    let line = dump(
        &misaligned,
        &["dump-index", "log", "--json", "--position", "1030"],
    );
    assert_eq!(number(&json(&line)[0], "index_position"), 1024);
}

#[test]
fn what_cannot_be_shown_is_said() {
    let sandbox = Sandbox::of("clean-three-segments");
    let fails = |arguments: &[&str], status: i32, words: &[&str]| {
        let output = sandbox.proglog().args(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {stderr}"
        );
        for word in words {
            assert!(stderr.contains(word), "{arguments:?}: {stderr}");
        }
    };
    sandbox.write("note", b"");
    for command in ["dump-index", "dump-store"] {
        fails(
            &[command, "log", "--segment", "7"],
            2,
            &[
                "error: log: no segment begins at 7",
                "hint: proglog info log",
            ],
        );
        let file = format!("log/0.{}", &command[5..]);
        let hint = format!("hint: proglog {command} log --segment 0");
        fails(&[command, &file], 2, &["is not a directory", &hint]);
        fails(&[command, "nothing"], 2, &["no such directory"]);
        fails(&[command, "."], 2, &["is not a log", "the log is ./log"]);
        fails(
            &[command, "log", "--from", "9", "--to", "8"],
            2,
            &["range 9..8"],
        );
        fails(
            &[command, "log", "--from", "61"],
            1,
            &["offset 61", "is 60"],
        );
        fails(
            &[command, "log", "--position", "0"],
            2,
            &["--segment 0\n", "--segment 23\n"],
        );
        fails(&[command, "log", "--from", "x"], 2, &["--from"]);
        fails(
            &[command, "log", "--segment", "0", "--position", "99999"],
            1,
            &["byte 99999 is past the end"],
        );
        fails(&[command, "log", "--position", "1", "-c", "1"], 2, &[]);
    }
}

#[test]
fn looking_changes_nothing() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let before = sandbox.snapshot();
        for command in ["dump-index", "dump-store"] {
            for options in [[].as_slice(), &["--json"], &["--hex"], &["--from", "-3"]] {
                dump(&sandbox, &[[command, "log"].as_slice(), options].concat());
            }
        }
        assert_eq!(sandbox.snapshot(), before, "{case}");
    }
}

#[test]
fn an_unpaired_half_is_named() {
    let sandbox = Sandbox::of("clean-three-segments");
    sandbox.remove("23.store");
    sandbox.remove("43.index");
    let text = dump(&sandbox, &["dump-index", "log"]);
    assert!(text.contains("23.store is missing"), "{text}");
    assert!(text.contains("! store-missing"), "{text}");
    assert!(text.contains("43.index is missing"), "{text}");
    let lines = json(&dump(&sandbox, &["dump-store", "log", "--json"]));
    let missing: Vec<_> = lines.iter().filter(|it| kind(it) == "missing").collect();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0]["file"], "23.store");
}

#[test]
fn a_part_of_an_entry_is_shown() {
    let sandbox = Sandbox::of("clean-one-segment");
    sandbox.append_bytes("0.index", b"\x01\x1b\x02");
    let text = dump(&sandbox, &["dump-index", "log"]);
    let at = sandbox.bytes("0.index") - 3;
    assert!(text.contains(&format!("partial  {at}+3: 011b02")), "{text}");
}

#[test]
fn values_drive_no_terminal() {
    let values = [b"\x1b[2J\r\n\"\\\x07\xff".as_slice(), b"plain"];
    for builder in [LogBuilder::raw(), LogBuilder::protobuf()] {
        let sandbox = Sandbox::built(&builder.segment(0, values));
        let text = dump(&sandbox, &["dump-store", "log", "--hex"]);
        let harmless = |c: char| c == '\n' || (' '..='~').contains(&c);
        assert!(text.chars().all(harmless), "{text:?}");
        let shown = r#"\x1b[2J\r\n"\\\x07\xff"#;
        assert!(text.contains(shown), "{text}");
        let lines = json(&dump(&sandbox, &["dump-store", "log", "--json"]));
        assert_eq!(lines[0]["value_head"], shown);
    }
}

#[test]
fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
    let values: Vec<String> = (0..200_000).map(|i| i.to_string()).collect();
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, &values));
    for command in ["dump-index", "dump-store"] {
        for (end, status) in [("| head -c 10 >/dev/null", "0"), (">/dev/full", "2")] {
            let script = format!("{{ \"$0\" {command} log; echo $? >&2; }} {end}");
            let mut shell = assert_cmd::Command::new("bash");
            shell.arg("-c").arg(script).arg(proglog().get_program());
            let output = shell.current_dir(sandbox.path()).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(stderr.lines().last(), Some(status), "{command}: {stderr}");
        }
    }
}

#[test]
fn wrong_entries_in_the_padding_are_in_no_buffer() {
    for builder in [LogBuilder::raw(), LogBuilder::protobuf()] {
        let sandbox = Sandbox::built(&builder.segment(0, (0..10).map(|it| it.to_string())));
        let mut index = sandbox.read("0.index");
        index.resize(240, 0);
        index[215] = 0x20;
        sandbox.write("0.index", &index);
        let dumped = dump(&sandbox, &["dump-index", "log", "--json"]);
        let lines = json(&dumped);
        let damaged = lines.iter().filter(|line| !line["damage"].is_null());
        assert!(damaged.count() > 0, "{dumped}");
        assert!(!dumped.contains("buffered"), "{dumped}");
        assert!(number(lines.last().unwrap(), "damaged_entries") > 0);
    }
}
