//! `proglog diff`.

use proglog::inspect::compare::{EVERYTHING, Side, Verdict, compare};
use proglog::inspect::finding::FindingId;
use proglog::inspect::report::{Options, Report};
use proglog::log::error::Error;
use proglog_testkit::{LogBuilder, Said, Sandbox, cases, pb, run};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use super::{beside, lines, ranges};

fn compared(a: &LogBuilder, b: &LogBuilder, options: &[&str]) -> Said {
    let sandbox = Sandbox::built(a);
    beside(&sandbox, "copy", b);
    run(&sandbox, &[&["diff", "log", "copy"], options].concat())
}

const TEN: [&str; 10] = ["a", "bb", "", "four", "5", "six", "7", "8888", "9", "ten"];

fn raw() -> LogBuilder {
    LogBuilder::raw().segment(0, TEN)
}

#[test]
fn the_same_values_are_equal_whatever_the_files_look_like() {
    let halves = LogBuilder::raw()
        .segment(0, &TEN[..4])
        .segment(4, &TEN[4..]);
    let thirds = LogBuilder::protobuf()
        .segment(0, &TEN[..3])
        .segment(3, &TEN[3..9])
        .segment(9, &TEN[9..]);
    let one = LogBuilder::protobuf().segment(0, TEN);
    for (a, b) in [(&raw(), &halves), (&halves, &thirds), (&thirds, &one)] {
        for (a, b) in [(a, b), (b, a)] {
            let (status, stdout, stderr) = compared(a, b, &[]);
            assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
            assert!(stdout.ends_with("\nequal: 10 records\n"), "{stdout}");
            assert_eq!(compared(a, b, &["-q"]), (0, String::new(), String::new()));
        }
    }
}

#[test]
fn padding_and_dead_bytes_are_no_records() {
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, TEN));
    // A refused frame, which carries an offset once more, before the last record.
    let copy = beside(&sandbox, "copy", &LogBuilder::protobuf().segment(0, TEN));
    let store = fs::read(copy.join("0.store")).unwrap();
    let last = proglog_testkit::frame(&pb(b"ten", 9, 0, 0));
    let dead = proglog_testkit::frame(&pb(b"refused", 9, 0, 0));
    let at = store.len() - last.len();
    let mut index = fs::read(copy.join("0.index")).unwrap();
    let position = (at + dead.len()) as u64;
    index[9 * 12 + 4..].copy_from_slice(&position.to_be_bytes());
    index.extend([0; 120]);
    fs::write(copy.join("0.store"), [&store[..at], &dead, &last].concat()).unwrap();
    fs::write(copy.join("0.index"), index).unwrap();
    let (status, stdout, _) = run(&sandbox, &["diff", "log", "copy"]);
    assert_eq!(status, 0, "{stdout}");
    let (status, stdout, _) = run(&sandbox, &["diff", "log", "copy", "--files"]);
    assert_eq!(status, 1, "{stdout}");
    // The same bytes in both, and an index that names the refused one.
    let other = beside(&sandbox, "other", &LogBuilder::protobuf());
    for name in ["0.store", "0.index"] {
        fs::copy(copy.join(name), other.join(name)).unwrap();
    }
    let mut index = fs::read(other.join("0.index")).unwrap();
    index[9 * 12 + 4..10 * 12].copy_from_slice(&(at as u64).to_be_bytes());
    fs::write(other.join("0.index"), index).unwrap();
    let (_, stdout, _) = run(&sandbox, &["diff", "other", "copy", "--json"]);
    assert_eq!(ranges(&lines(&stdout)), ["differs 9..9"]);
}

#[test]
fn what_differs_is_shown_with_its_bytes() {
    let mut other = TEN;
    other[3] = "fOUr";
    let (status, stdout, stderr) = compared(&raw(), &LogBuilder::raw().segment(0, other), &[]);
    assert_eq!((status, stderr.as_str()), (1, ""));
    let expected = "\
a: log: 1 segment, 10 records, offsets 0..9, raw
b: copy: 1 segment, 10 records, offsets 0..9, raw

differ     offset 3: 1 record

first difference: offset 3, byte 1 of the value
a 0.store 36+2: the value has 4 bytes
  00000020: 0000 0466 6f75 7200 0000 0000 0000 0135  ...four........5
                      ^^^^
b 0.store 36+2: the value has 4 bytes
  00000020: 0000 0466 4f55 7200 0000 0000 0000 0135  ...fOUr........5
                      ^^^^

not equal: 1 differs; 9 equal
";
    assert_eq!(stdout, expected);
    let (_, stdout, _) = compared(&raw(), &LogBuilder::raw().segment(0, other), &["--json"]);
    let lines = lines(&stdout);
    let first = &lines[lines.len() - 2];
    assert_eq!(first["kind"], "difference");
    assert_eq!((&first["offset"], &first["byte"]), (&3.into(), &1.into()));
    assert_eq!(first["a_byte_position"], 36);
    assert_eq!(
        (&first["a_hex"], &first["b_hex"]),
        (&"6f7572".into(), &"4f5572".into())
    );
}

#[test]
fn a_value_that_ends_before_the_other() {
    let mut other = TEN;
    other[9] = "tenth";
    let (_, stdout, _) = compared(&raw(), &LogBuilder::protobuf().segment(0, other), &[]);
    let place = "a 0.store 100: the value ends here, after 3 bytes\n";
    assert!(stdout.contains(place), "{stdout}");
    assert!(stdout.contains("the value has 5 bytes\n"), "{stdout}");
}

#[test]
fn terms_and_types_count_where_both_have_them() {
    let of = |term, kind| {
        LogBuilder::protobuf()
            .raft(term, kind)
            .segment(1, ["x", "y"])
    };
    let (status, stdout, _) = compared(&of(3, 1), &of(4, 1), &[]);
    assert_eq!(status, 1);
    assert!(
        stdout.contains("offset 1: the term is 3 in a, 4 in b\n"),
        "{stdout}"
    );
    let (_, stdout, _) = compared(&of(3, 1), &of(3, 2), &[]);
    assert!(
        stdout.contains("offset 1: the type is 1 in a, 2 in b\n"),
        "{stdout}"
    );
    let raw = LogBuilder::raw().segment(1, ["x", "y"]);
    assert_eq!(compared(&of(3, 1), &raw, &[]).0, 0);
    // A field that nobody knows.
    let sandbox = Sandbox::built(&of(3, 1));
    let copy = beside(&sandbox, "copy", &of(3, 1));
    let with = |tail: &[u8]| {
        let frame = |value: &[u8], offset| {
            proglog_testkit::frame(&[&pb(value, offset, 3, 1), tail].concat())
        };
        let (x, y) = (frame(b"x", 1), frame(b"y", 2));
        let index = [
            proglog_testkit::entry(0, 0),
            proglog_testkit::entry(1, x.len() as u64),
        ];
        ([x, y].concat(), index.concat())
    };
    let (store, index) = with(b"\x2a\x01z");
    fs::write(copy.join("1.store"), store).unwrap();
    fs::write(copy.join("1.index"), index).unwrap();
    let (status, stdout, _) = run(&sandbox, &["diff", "log", "copy", "--json"]);
    assert_eq!(status, 1);
    assert!(stdout.contains(r#""what":"other-fields""#), "{stdout}");
}

#[test]
fn damage_is_a_range_of_its_own() {
    let sandbox = Sandbox::of("length-flipped");
    let repaired = Sandbox::of("clean-one-segment");
    let good = repaired.log();
    let good = good.to_str().unwrap();
    let (status, stdout, stderr) = run(&sandbox, &["diff", "log", good, "--json"]);
    assert_eq!(status, 3, "{stdout}");
    assert!(
        ranges(&lines(&stdout)).contains(&"damaged a 20..20".to_owned()),
        "{stdout}"
    );
    assert!(
        stdout.contains(r#""id":"frame-length-damaged""#),
        "{stdout}"
    );
    assert_eq!(stderr, "hint: proglog verify log\n");
    let (status, stdout, _) = run(&sandbox, &["diff", "log", "log", "--json"]);
    assert_eq!(
        (status, ranges(&lines(&stdout))),
        (3, vec!["damaged both 20..20".to_owned()])
    );
    // The status does not depend on what is looked at first.
    assert_eq!(run(&sandbox, &["diff", "log", good, "-q"]).0, 3);
    assert_eq!(run(&sandbox, &["diff", "log", "log", "--to", "19"]).0, 0);
}

#[test]
fn a_log_is_equal_to_itself_and_its_damage_is_told() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let before = sandbox.snapshot();
        let (status, stdout, _) = run(&sandbox, &["diff", "log", "log", "--json"]);
        let found = ranges(&lines(&stdout));
        let damaged = |range: &String| range.starts_with("damaged both");
        assert!(found.iter().all(damaged), "{case}: {stdout}");
        assert_eq!(status, if found.is_empty() { 0 } else { 3 }, "{case}");
        assert_eq!(
            run(&sandbox, &["diff", "log", "log", "--files"]).0,
            0,
            "{case}"
        );
        assert_eq!(sandbox.snapshot(), before, "{case}");
    }
}

#[test]
fn logs_without_a_record() {
    let empty = LogBuilder::raw().segment(0, [""; 0]);
    assert_eq!(compared(&empty, &empty, &[]).0, 0);
    let (status, stdout, _) = compared(&empty, &raw(), &["--json"]);
    assert_eq!(
        (status, ranges(&lines(&stdout))),
        (1, vec!["only b 0..9".to_owned()])
    );
    let later = LogBuilder::protobuf().segment(7, [""; 0]);
    assert_eq!(compared(&empty, &later, &["-q"]).0, 0);
    let (status, _, stderr) = compared(&LogBuilder::raw(), &raw(), &[]);
    assert_eq!(status, 2);
    assert!(stderr.contains("log is not a log"), "{stderr}");
}

#[test]
fn only_what_is_asked_for() {
    let mut other = TEN;
    other[3] = "other";
    let other = LogBuilder::raw().segment(0, &other[..9]);
    let status = |options: &[&str]| compared(&raw(), &other, options).0;
    assert_eq!(status(&["--from", "4", "--to", "8"]), 0);
    assert_eq!(status(&["--from", "3", "--to", "3"]), 1);
    assert_eq!(status(&["--from", "-1"]), 1);
    assert_eq!(status(&["--to", "2"]), 0);
    assert_eq!(status(&["--from", "5", "--to", "4"]), 2);
    let quiet = compared(&raw(), &other, &["-q"]);
    assert_eq!(quiet, (1, String::new(), String::new()));
    let files = compared(&raw(), &other, &["-q", "--files"]);
    assert_eq!(files, (1, String::new(), String::new()));
}

#[test]
fn large_values_are_compared_to_their_ends() {
    let large = |bytes: usize, last: u8| {
        let mut value = vec![b'v'; bytes];
        value[bytes - 1] = last;
        value
    };
    for bytes in [700_000, 1_100_000, 9_000_000] {
        let of = |builder: LogBuilder, last| {
            builder.segment(0, [b"x".to_vec(), large(bytes, last), b"y".to_vec()])
        };
        let (a, b) = (
            of(LogBuilder::raw(), b'v'),
            of(LogBuilder::protobuf(), b'v'),
        );
        assert_eq!(compared(&a, &b, &["-q"]).0, 0, "{bytes}");
        for builder in [LogBuilder::raw(), LogBuilder::protobuf()] {
            let (_, stdout, _) = compared(&a, &of(builder, b'w'), &["--json"]);
            assert_eq!(ranges(&lines(&stdout)), ["differs 1..1"], "{bytes}");
            let byte = format!("\"byte\":{}", bytes - 1);
            assert!(stdout.contains(&byte), "{stdout}");
        }
    }
}

/// More records than one thread takes at once.
#[test]
fn many_records_in_many_pieces() {
    let values = |wrong: &[usize]| -> Vec<String> {
        let mut values: Vec<String> = (0..200_000).map(|n| format!("{n:07}")).collect();
        for &at in wrong {
            values[at] = "another".to_owned();
        }
        values
    };
    let a = LogBuilder::raw().segment(0, values(&[]));
    let wrong = [0, 65_535, 65_536, 131_071, 199_999];
    let changed = values(&wrong);
    for b in [
        LogBuilder::raw().segment(0, &changed),
        LogBuilder::raw()
            .segment(0, &changed[..100_000])
            .segment(100_000, &changed[100_000..]),
        LogBuilder::protobuf().segment(0, &changed),
    ] {
        let (status, stdout, _) = compared(&a, &b, &["--json"]);
        let lines = lines(&stdout);
        let expected = [
            "differs 0..0",
            "differs 65535..65536",
            "differs 131071..131071",
        ];
        assert_eq!(status, 1);
        assert_eq!(ranges(&lines)[..3], expected);
        assert_eq!(ranges(&lines)[3..], ["differs 199999..199999"]);
        assert_eq!(lines.last().unwrap()["equal_records"], 200_000 - 5);
    }
}

#[test]
fn files_are_compared_byte_by_byte() {
    let sandbox = Sandbox::built(&raw());
    let copy = beside(&sandbox, "copy", &raw().segment(10, ["more"]));
    let mut store = fs::read(copy.join("0.store")).unwrap();
    store[9] ^= 1;
    fs::write(copy.join("0.store"), &store).unwrap();
    let index = sandbox.read("0.index");
    fs::write(copy.join("0.index"), [&index[..], &[0; 24]].concat()).unwrap();
    let (status, stdout, _) = run(&sandbox, &["diff", "log", "copy", "--files", "--json"]);
    assert_eq!(status, 1);
    let said: Vec<String> = lines(&stdout).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            r#"{"kind":"file","log":"log","copy":"copy","file":"0.index","a_bytes":120,"b_bytes":144,"position":120}"#,
            r#"{"kind":"file","log":"log","copy":"copy","file":"0.store","a_bytes":100,"b_bytes":100,"position":9}"#,
            r#"{"kind":"file","log":"log","copy":"copy","file":"10.index","side":"b","b_bytes":12}"#,
            r#"{"kind":"file","log":"log","copy":"copy","file":"10.store","side":"b","b_bytes":12}"#,
            r#"{"kind":"summary","log":"log","copy":"copy","equal":false,"equal_files":0,"differing_files":4}"#,
        ]
    );
    let (_, stdout, _) = run(&sandbox, &["diff", "log", "copy", "--files"]);
    assert!(
        stdout.contains("0.store    differs from byte 9 on; 100 bytes\n"),
        "{stdout}"
    );
}

/// Two frames carry the same offset, and each index names another one of them.
#[test]
fn the_same_bytes_under_other_entries() {
    let frames = [("x", 0), ("aaa", 1), ("bbb", 1), ("end", 2)]
        .map(|(value, offset)| proglog_testkit::frame(&pb(value.as_bytes(), offset, 0, 0)));
    let starts: Vec<u64> = (0..4)
        .map(|at| frames[..at].concat().len() as u64)
        .collect();
    let index = |slots: [usize; 3]| -> Vec<u8> {
        let entry = |(slot, at): (u32, usize)| proglog_testkit::entry(slot, starts[at]);
        (0..).zip(slots).flat_map(entry).collect()
    };
    let sandbox = Sandbox::empty();
    let copy = beside(&sandbox, "copy", &LogBuilder::protobuf());
    sandbox.write("0.store", &frames.concat());
    sandbox.write("0.index", &index([0, 1, 3]));
    fs::write(copy.join("0.store"), frames.concat()).unwrap();
    fs::write(copy.join("0.index"), index([0, 2, 3])).unwrap();
    let (status, stdout, _) = run(&sandbox, &["diff", "log", "copy", "--json"]);
    assert_eq!(
        (status, ranges(&lines(&stdout))),
        (1, vec!["differs 1..1".to_owned()])
    );
    // Their digests are not the same either.
    let manifest = run(&sandbox, &["manifest", "log"]).1;
    fs::write(sandbox.path().join("manifest"), manifest).unwrap();
    let verify = |log| run(&sandbox, &["verify", log, "--manifest", "manifest", "-q"]).0;
    assert_eq!((verify("log"), verify("copy")), (0, 3));
}

/// What breaks between the look at a log and the comparison is told for what it is.
#[test]
fn what_breaks_meanwhile_is_called_what_it_is() {
    let of = |first: &str| LogBuilder::protobuf().segment(0, [&[first], &TEN[1..]].concat());
    let sandbox = Sandbox::built(&of("a"));
    let copy = beside(&sandbox, "copy", &of("A"));
    let report = |log: &Path| Report::of(log, &Options::default()).unwrap();
    let (a, b) = (report(&sandbox.log()), report(&copy));
    let frames = proglog_testkit::frames(&sandbox.read("0.store"));
    sandbox.put("0.store", frames[3].0 + 8, &[0xff]);
    sandbox.put("0.store", frames[7].0, &[0xff]);
    let mut damaged = Vec::new();
    let tally = compare(&a, &b, EVERYTHING, |range| {
        if let Verdict::Damaged { side, id } = range.verdict {
            damaged.push((range.offsets.first.0, range.offsets.last.0, side, id));
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    });
    assert_eq!(tally.unwrap().damaged, 2);
    let of_a = Some(Side::A);
    assert_eq!(
        damaged,
        [
            (3, 3, of_a, FindingId::RecordUndecodable),
            (7, 7, of_a, FindingId::FrameLengthDamaged)
        ]
    );
}

/// The last segment is no file: what it holds is unknown, so nothing is called equal.
#[test]
fn a_last_segment_that_is_no_file_is_not_equal() {
    let sandbox = Sandbox::built(&raw());
    fs::create_dir(sandbox.file("10.store")).unwrap();
    fs::create_dir(sandbox.file("10.index")).unwrap();
    let (status, stdout, _) = run(&sandbox, &["diff", "log", "log", "--json"]);
    let found = ranges(&lines(&stdout));
    assert_eq!(status, 3, "{stdout}");
    assert_eq!(found, ["damaged both 10..10"], "{stdout}");
}
