//! `info` against what is known of each fixture: truth.json, the sizes of the files,
//! and the records that the oracle finds whole.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proglog_testkit::{Codec, LogBuilder, Sandbox, cases, of_kind, proglog, truth, whole_records};
use serde_json::Value;

fn info(sandbox: &Sandbox, options: &[&str]) -> String {
    let arguments = [["info", "log"].as_slice(), options].concat();
    let output = sandbox.proglog().args(&arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    assert_eq!(stderr, "", "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(sandbox: &Sandbox, options: &[&str]) -> Vec<Value> {
    let options = [["--json"].as_slice(), options].concat();
    proglog_testkit::json(&info(sandbox, &options))
}

/// The figures of one segment, taken from the files.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    base: u64,
    records: u64,
    store_bytes: Option<u64>,
    index_bytes: Option<u64>,
    padding_bytes: u64,
}

/// Bytes of an index behind its last entry: all zeros behind the last that is none,
/// except that entry 0 is real where the store holds a whole frame at 0.
fn padding(index: &[u8], store: &[u8]) -> u64 {
    let end = index
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    let mut entries = end.div_ceil(12);
    if entries == 0 && index.len() >= 12 && !proglog_testkit::frames(store).is_empty() {
        entries = 1;
    }
    (index.len() as u64).saturating_sub(entries as u64 * 12)
}

fn expected(case: &str, sandbox: &Sandbox) -> Vec<Figures> {
    let names: Vec<(u64, String)> = sandbox
        .names()
        .into_iter()
        .filter_map(|name| {
            let (stem, extension) = name.rsplit_once('.')?;
            let base = stem.parse().ok()?;
            ["store", "index"]
                .contains(&extension)
                .then_some((base, name))
        })
        .collect();
    let mut bases: Vec<u64> = names.iter().map(|(base, _)| *base).collect();
    bases.sort_unstable();
    bases.dedup();
    let mut whole = whole_records(&sandbox.log(), truth(case).codec);
    // Segment by segment, in the order of the bases: counted from behind.
    let mut found = Vec::new();
    for base in bases.into_iter().rev() {
        let name = |extension: &str| {
            let own = |(it, name): &&(u64, String)| *it == base && name.ends_with(extension);
            names.iter().find(own).map(|(_, name)| name)
        };
        let bytes = |name: Option<&String>| name.map(|name| sandbox.bytes(name));
        let (store, index) = (name(".store"), name(".index"));
        let read = |name: Option<&String>| name.map(|name| sandbox.read(name)).unwrap_or_default();
        let mut records = 0;
        let mut before = u64::MAX;
        while let Some((offset, _)) = whole.last() {
            if *offset < base || *offset >= before {
                break;
            }
            before = *offset;
            whole.pop();
            records += 1;
        }
        found.push(Figures {
            base,
            records,
            store_bytes: bytes(store),
            index_bytes: bytes(index),
            padding_bytes: padding(&read(index), &read(store)),
        });
    }
    found.reverse();
    found
}

#[test]
fn each_segment_is_as_the_oracle_sees_it() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let lines = json(&sandbox, &[]);
        let figures: Vec<Figures> = of_kind(&lines, "segment")
            .into_iter()
            .map(|line| Figures {
                base: line["segment"].as_u64().unwrap(),
                records: line["records"].as_u64().unwrap(),
                store_bytes: line["store_bytes"].as_u64(),
                index_bytes: line["index_bytes"].as_u64(),
                padding_bytes: line["padding_bytes"].as_u64().unwrap(),
            })
            .collect();
        assert_eq!(figures, expected(&case, &sandbox), "{case}");
    }
}

#[test]
fn the_totals_are_those_of_the_log() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let truth = truth(&case);
        let lines = json(&sandbox, &[]);
        let summary = lines.last().unwrap();
        assert_eq!(summary["kind"], "summary");
        let whole = whole_records(&sandbox.log(), truth.codec);
        assert_eq!(summary["records"], whole.len(), "{case}");
        assert_eq!(summary["in_use"], false, "{case}");
        let highest = whole.iter().map(|(offset, _)| *offset).max();
        assert_eq!(summary["last_offset"].as_u64(), highest, "{case}");
        // In a fork the older side may reach further: its offsets are taken too.
        if let Some(highest) = highest {
            // An append adopts frames first that no entry names.
            assert!(summary["next_offset"].as_u64() > Some(highest), "{case}");
            assert_eq!(summary["codec"], truth.codec.as_str(), "{case}");
        }
        // What was acknowledged, is not whole, and an entry names.
        let lost = match case.as_str() {
            "killed-index-ahead" => 57,
            "killed-then-reopened" => 63,
            "killed-three-segments" => 226,
            "raft-log-never-closed" => 26,
            "length-flipped" | "raw-torn" => 1,
            "store-missing" => 23,
            _ => 0,
        };
        assert_eq!(summary["lost"], lost, "{case}");
        let gaps = match case.as_str() {
            "killed-three-segments" => 2,
            "segment-missing" | "store-missing" => 1,
            _ => 0,
        };
        assert_eq!(summary["gaps"], gaps, "{case}");
        let clean = case.starts_with("clean-")
            || [
                "gap-orphans",
                "gap-torn",
                "padded-names",
                "raft-log",
                "raw-binary",
                "raw-clean",
            ]
            .contains(&case.as_str());
        assert_eq!(summary["clean"], clean, "{case}");
        let text = info(&sandbox, &[]);
        assert_eq!(
            !text.contains("next     proglog verify log\n"),
            clean,
            "{case}"
        );
    }
}

#[test]
fn as_the_design_draws_it() {
    let text = info(&Sandbox::of("killed-three-segments"), &[]);
    let expected = "\
SEGMENT  RECORDS  OFFSETS   STORE  INDEX  PADDING  STATE
     0       160  0..159     8192   6000     3180  160..234 lost, padded
   235       155  235..389   8192   6000     3240  390..464 lost, padded
   465*      159  465..623   8192   6000     3180  624..699 lost, padded

records  474 in 3 segments, offsets 0..623 with 2 gaps; next offset 624
lost     226 entries without an intact record
bytes    24576 in stores, 18000 in indexes (9600 of them padding)
codec    protobuf (detected)
active*  segment 465
in use   no
next     proglog verify log
";
    assert_eq!(text, expected);
}

#[test]
fn text_says_what_json_says() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let lines = json(&sandbox, &[]);
        let text = info(&sandbox, &[]);
        let mut rows: Vec<String> = Vec::new();
        for line in text.lines().skip(1).take_while(|it| !it.is_empty()) {
            // Words of many states go on in the next line.
            match rows.last_mut() {
                Some(row) if line.starts_with("          ") => row.push_str(line),
                _ => rows.push(line.to_owned()),
            }
        }
        let segments = of_kind(&lines, "segment");
        assert_eq!(rows.len(), segments.len(), "{case}");
        for (row, line) in rows.iter().zip(segments) {
            let cells: Vec<&str> = row.split_whitespace().collect();
            let star = if line["last"] == true { "*" } else { "" };
            let field = |name: &str| line.get(name).map_or("-".to_owned(), Value::to_string);
            assert_eq!(cells[0], format!("{}{star}", line["segment"]), "{case}");
            assert_eq!(cells[1], field("records"), "{case}");
            assert_eq!(cells[3], field("store_bytes"), "{case}");
            assert_eq!(cells[4], field("index_bytes"), "{case}");
            assert_eq!(cells[5], field("padding_bytes"), "{case}");
            assert_eq!(cells[6..].join(" "), line["state"], "{case}");
        }
    }
}

#[test]
fn states_have_words() {
    let state = |case: &str| -> String {
        let lines = json(&Sandbox::of(case), &[]);
        let words = of_kind(&lines, "segment");
        let words: Vec<_> = words
            .iter()
            .map(|it| it["state"].as_str().unwrap())
            .collect();
        words.join(" | ")
    };
    assert_eq!(state("clean-empty"), "empty");
    assert_eq!(state("clean-three-segments"), "clean | clean | clean");
    assert_eq!(state("killed-empty"), "padded, empty");
    assert_eq!(state("index-missing"), "unpaired: no index");
    assert_eq!(state("store-missing"), "clean | unpaired: no store | clean");
    assert_eq!(state("segment-missing"), "gap 20..40 | clean | clean");
    assert_eq!(state("store-zero-tail"), "zero tail");
    assert_eq!(state("index-shrunk"), "40 unindexed");
    assert_eq!(state("length-flipped"), "damaged");
    assert_eq!(state("index-misaligned"), "overlap 1..2, damaged");
}

/// Segments of one record each.
fn many(count: u64) -> Sandbox {
    let builder = (0..count).fold(LogBuilder::raw(), |builder, base| {
        builder.segment(base, ["value"])
    });
    Sandbox::built(&builder)
}

#[test]
fn long_runs_of_clean_segments_are_one_row() {
    let rows = |sandbox: &Sandbox, options: &[&str]| {
        let text = info(sandbox, options);
        text.lines().take_while(|line| !line.is_empty()).count() - 1
    };
    assert_eq!(rows(&many(13), &[]), 13, "12 and the last");
    assert_eq!(rows(&many(14), &[]), 2, "13 and the last");
    let sandbox = many(300);
    assert_eq!(rows(&sandbox, &["--all"]), 300);
    let text = info(&sandbox, &[]);
    assert!(text.contains("... "), "{text}");
    assert!(
        text.contains("0..298") && text.contains("299 clean (--all)"),
        "{text}"
    );
    sandbox.pad_zeros("150.index", 12);
    assert_eq!(rows(&sandbox, &[]), 4, "{}", info(&sandbox, &[]));
    assert_eq!(of_kind(&json(&sandbox, &[]), "segment").len(), 300);
    // Streamed rows are aligned as those of a table.
    let streamed = info(&sandbox, &["--all"]);
    let widths = streamed.lines().take(150).map(str::len).skip(1);
    assert_eq!(widths.collect::<std::collections::BTreeSet<_>>().len(), 1);
}

#[test]
fn no_line_ends_with_spaces() {
    for case in cases() {
        let text = info(&Sandbox::of(&case), &["--sizes"]);
        for line in text.lines() {
            assert!(
                line.is_ascii() && line.trim_end() == line,
                "{case}: {line:?}"
            );
        }
    }
    // Many states are wrapped; figures never are.
    let sandbox = Sandbox::of("killed-three-segments");
    sandbox.rename("235.index", "0235.index");
    sandbox.append_bytes("235.store", b"xxxxxxxxxxxx");
    let text = info(&sandbox, &[]);
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    assert!(text.contains("235..389"), "{text}");
}

#[test]
fn sizes_are_counted_in_classes_that_double() {
    let values = ["", "a", "ab", "abc", "abcd", "abcdefg"];
    for builder in [LogBuilder::raw(), LogBuilder::protobuf()] {
        let sandbox = Sandbox::built(&builder.segment(0, values).segment(6, ["abcdefgh"]));
        let lines = json(&sandbox, &["--sizes"]);
        let classes: Vec<(u64, u64, u64)> = of_kind(&lines, "sizes")
            .into_iter()
            .map(|line| {
                let field = |name: &str| line[name].as_u64().unwrap();
                (
                    field("first_length"),
                    field("last_length"),
                    field("records"),
                )
            })
            .collect();
        let expected = [(0, 0, 1), (1, 1, 1), (2, 3, 2), (4, 7, 2), (8, 15, 1)];
        assert_eq!(classes, expected);
        let summary = lines.last().unwrap();
        assert_eq!(summary["most_length"], 8);
        assert_eq!(summary["value_bytes"], 25);
        let text = info(&sandbox, &["--sizes"]);
        assert!(
            text.contains("sizes    0 to 8 bytes, 3 on average"),
            "{text}"
        );
        assert!(text.contains(" 2  ####"), "{text}");
    }
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let lines = json(&sandbox, &["--sizes"]);
        let counted: u64 = of_kind(&lines, "sizes")
            .iter()
            .map(|line| line["records"].as_u64().unwrap())
            .sum();
        let whole = whole_records(&sandbox.log(), truth(&case).codec);
        assert_eq!(counted, whole.len() as u64, "{case}");
    }
}

#[test]
fn looking_changes_nothing() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let before = sandbox.snapshot();
        for options in [[].as_slice(), &["--all", "--sizes"], &["--json", "--sizes"]] {
            info(&sandbox, options);
        }
        assert_eq!(sandbox.snapshot(), before, "{case}");
    }
}

/// Runs `look` while another process has the log's files open for writing.
fn beside_a_writer(sandbox: &Sandbox, look: impl FnOnce(u32)) {
    let mut writer = std::process::Command::new("bash")
        .args([
            "-c",
            "exec 3>>log/0.store 4>>log/0.index; echo; exec sleep 60",
        ])
        .current_dir(sandbox.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0];
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut line).unwrap();
    look(writer.id());
    writer.kill().unwrap();
    writer.wait().unwrap();
}

#[test]
fn a_writer_is_named_and_its_padding_is_no_damage() {
    let sandbox = Sandbox::of("killed-one-record");
    beside_a_writer(&sandbox, |pid| {
        let text = info(&sandbox, &[]);
        assert!(text.contains("in use   yes, by "), "{text}");
        assert!(text.contains(&format!("(PID {pid})\n")), "{text}");
        assert!(text.contains("  open\n"), "{text}");
        assert!(!text.contains("unclean"), "{text}");
        let lines = json(&sandbox, &[]);
        assert_eq!(of_kind(&lines, "process")[0]["pid"], pid);
        assert_eq!(lines.last().unwrap()["in_use"], true);
    });
}

/// Entries whose frames may be in the writer's memory are not lost.
#[test]
fn what_a_writer_may_hold_is_pending() {
    let sandbox = Sandbox::of("raw-clean");
    let end = sandbox.bytes("0.store");
    let frames = proglog_testkit::frames(&sandbox.read("0.store"));
    sandbox.cut("0.store", frames[frames.len() - 2].0);
    for name in ["26.store", "26.index", "49.store", "49.index"] {
        sandbox.remove(name);
    }
    assert!(sandbox.bytes("0.store") < end);
    let line = json(&sandbox, &[]).pop().unwrap();
    assert_eq!((&line["lost"], &line["pending"]), (&2.into(), &0.into()));
    beside_a_writer(&sandbox, |_| {
        let line = json(&sandbox, &[]).pop().unwrap();
        assert_eq!((&line["lost"], &line["pending"]), (&0.into(), &2.into()));
        let text = info(&sandbox, &[]);
        assert!(text.contains("pending  2 records that may be"), "{text}");
    });
}

#[test]
fn what_is_no_log_is_said() {
    let sandbox = Sandbox::of("clean-one-segment");
    let fails = |path: &str, words: &[&str]| {
        let output = sandbox.proglog().args(["info", path]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{path}: {stderr}");
        assert!(output.stdout.is_empty());
        for word in words {
            assert!(stderr.contains(word), "{path}: {stderr}");
        }
    };
    fails("nothing", &["error: nothing: no such directory"]);
    fails(
        "log/0.index",
        &["is not a directory", "hint: proglog info log\n"],
    );
    fails(".", &["is not a log", "the log is ./log"]);
    let help = proglog().args(["info", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("Examples:") && help.contains("Exit status:"),
        "{help}"
    );
}

#[test]
fn a_name_drives_no_terminal() {
    // The log is made under a plain name, which then gets one that is none.
    let sandbox = Sandbox::built(&LogBuilder::new(Codec::Raw).segment(0, ["a"]));
    sandbox.pad_zeros("0.index", 12);
    let name = "a\x1b[2J\nb";
    sandbox.rename("../log", &format!("../{name}"));
    let harmless = |text: &[u8]| {
        let plain = |byte: &u8| *byte == b'\n' || (b' '..=b'~').contains(byte);
        assert!(text.iter().all(plain), "{}", String::from_utf8_lossy(text));
    };
    let output = sandbox.proglog().args(["info", name]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    harmless(&output.stdout);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(r"next     proglog verify $'a\x1b[2J\x0ab'"),
        "{text}"
    );
    for arguments in [["info", "no\x1b[2Jthing"], ["dump-index", "no\x1b[2Jthing"]] {
        let output = sandbox.proglog().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        harmless(&output.stderr);
    }
}

#[test]
fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
    let sandbox = many(400);
    for (end, status) in [("| true", "0"), (">/dev/full", "2")] {
        let script = format!("{{ \"$0\" info log --all; echo $? >&2; }} {end}");
        let mut shell = assert_cmd::Command::new("bash");
        shell.arg("-c").arg(script).arg(proglog().get_program());
        let output = shell.current_dir(sandbox.path()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().last(), Some(status), "{stderr}");
    }
}
