//! How records are printed: every format gives back what was put in.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::Value;

use super::builder::{Kind, Sandbox};

/// Values that look like something else in one format or another.
fn awkward() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = vec![
        b"plain".to_vec(),
        b"".to_vec(),
        b"\n".to_vec(),
        b"\0".to_vec(),
        b"\x1b[31m\"quoted\\\"\r\n\t".to_vec(),
        "gr\u{fc}n \u{1f600} \u{9b}".as_bytes().to_vec(),
        b"\xff\xfe".to_vec(),
        b"cut \xe2\x82".to_vec(),
        vec![0xff; 70_000],
        vec![b'x'; 600_000],
    ];
    // Past what is held in memory, as text and not.
    values.push("\u{fc}".repeat(5 << 20).into_bytes());
    values.push(vec![0x80; (9 << 20) + 1]);
    values
}

fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let (value, rest) = rest.split_at(u64::from_be_bytes(*length) as usize);
        values.push(value.to_vec());
        bytes = rest;
    }
    assert!(bytes.is_empty());
    values
}

fn json_value(line: &Value) -> Vec<u8> {
    use base64::Engine;
    match (line.get("value"), line.get("value_base64")) {
        (Some(text), None) => text.as_str().unwrap().as_bytes().to_vec(),
        (None, Some(text)) => base64::engine::general_purpose::STANDARD
            .decode(text.as_str().unwrap())
            .unwrap(),
        _ => panic!("one of the two: {line}"),
    }
}

#[track_caller]
fn comes_back(log: &Sandbox, values: &[Vec<u8>]) {
    let joined = |end: &[u8]| {
        values
            .iter()
            .flat_map(|v| [v, end].concat())
            .collect::<Vec<u8>>()
    };
    assert!(log.read(&[]).clean().out == joined(b"\n"));
    assert!(log.read(&["-0"]).clean().out == joined(b"\0"));
    assert!(log.read(&["--raw"]).clean().out == joined(b""));
    assert!(frames(&log.read(&["--frames"]).clean().out) == values);
    let ran = log.read(&["--json"]).clean();
    let parsed: Vec<Value> = ran
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(parsed.len(), values.len());
    for (offset, (line, value)) in parsed.iter().zip(values).enumerate() {
        assert_eq!(line["offset"], offset);
        assert_eq!(line["length"], value.len());
        assert!(json_value(line) == *value);
    }
    for pair in parsed
        .windows(2)
        .filter(|pair| pair[0]["segment"] == pair[1]["segment"])
    {
        let end = pair[0]["position"].as_u64().unwrap() + pair[0]["frame"].as_u64().unwrap();
        assert_eq!(pair[1]["position"], end);
    }
    let ran = log.read(&["--format", "%o %S %x\\n"]).clean();
    for (offset, (line, value)) in ran.lines().iter().zip(values).enumerate() {
        assert!(*line == format!("{offset} {} {}", value.len(), hex::encode(value)));
    }
    let dumped = log.read(&["--hex"]).clean();
    let rows = values
        .iter()
        .map(|value| 1 + value.len().div_ceil(16))
        .sum::<usize>();
    assert_eq!(dumped.lines().len(), rows);
}

#[test]
fn every_format_gives_back_every_value() {
    for kind in [Kind::Raw, Kind::Protobuf] {
        let mut log = Sandbox::new(kind);
        let values = awkward();
        log.segment(&values[..4]);
        log.segment(&values[4..]);
        comes_back(&log, &values);
    }
}

#[test]
fn any_delimiter() {
    let log = Sandbox::numbered(Kind::Protobuf, &[2]);
    let cases: &[(&str, &[u8])] = &[
        (",", b","),
        (r"\x1e", b"\x1e"),
        (r"\0", b"\0"),
        (r"\r\n", b"\r\n"),
        ("--", b"--"),
        ("-1", b"-1"),
        (r"\", b"\\"),
        (r"a\\b", b"a\\b"),
    ];
    for (typed, end) in cases {
        let expected = [b"record 0", *end, b"record 1", *end].concat();
        for arguments in [&["-d", typed][..], &[&format!("--delimiter={typed}")]] {
            assert_eq!(log.read(arguments).clean().out, expected, "{typed:?}");
        }
    }
    let refused = [
        ("", "a delimiter has at least one byte"),
        (r"\q", r"the escapes are \n \r \t \0 \\ \xHH"),
        (r"\x1", r"\x takes two hexadecimal digits"),
    ];
    for (typed, words) in refused {
        log.read(&["-d", typed]).told(2, &["--delimiter", words]);
    }
    for other in ["-0", "--raw", "--json", "--frames", "--hex", "--format=%s"] {
        log.read(&["-d", ",", other])
            .told(2, &["cannot be used with"]);
    }
}

#[test]
fn term_and_type() {
    let log = Sandbox::new(Kind::Protobuf);
    let mut payload = super::builder::payload(Kind::Protobuf, 0, b"a");
    payload.extend(b"\x18\x07\x20\x02");
    let mut store = (payload.len() as u64).to_be_bytes().to_vec();
    store.extend(payload);
    std::fs::write(log.file("0.store"), store).unwrap();
    std::fs::write(log.file("0.index"), [0; 12]).unwrap();
    let ran = log.read(&["--codec", "protobuf", "--format", "%o %t %T %s\\n"]);
    assert_eq!(ran.clean().text(), "0 7 2 a\n");
    let raw = Sandbox::numbered(Kind::Raw, &[1]);
    assert_eq!(raw.read(&["--format", "%t %T"]).clean().text(), "0 0");
    let refused = raw.read(&["--format", "%k"]);
    refused.told(2, &["%t term, %T type"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn every_format_gives_back_any_bytes(values: Vec<Vec<u8>>, protobuf: bool) {
        let kind = if protobuf { Kind::Protobuf } else { Kind::Raw };
        let mut log = Sandbox::new(kind);
        // One that shows the codec, whatever follows.
        let mut all = vec![b"first".to_vec(), b"second".to_vec()];
        all.extend(values);
        log.segment(&all);
        comes_back(&log, &all);
    }
}

#[test]
fn json_is_exactly_this() {
    let log = Sandbox::numbered(Kind::Protobuf, &[2, 2]);
    let ran = log.read(&["--json", "--from", "1", "--to", "2"]).clean();
    assert_eq!(
        ran.lines(),
        [
            r#"{"offset":1,"segment":0,"position":18,"length":8,"frame":20,"value":"record 1"}"#,
            r#"{"offset":2,"segment":2,"position":0,"length":8,"frame":20,"value":"record 2"}"#,
        ]
    );
}

#[test]
fn term_and_type_are_in_json() {
    let log = Sandbox::copy_of("raft-log");
    let ran = log.read(&["--json"]).clean();
    let lines: Vec<Value> = ran
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["term"].as_u64() > Some(0)));
    assert!(lines.iter().any(|line| line["type"].as_u64() > Some(0)));
}

#[test]
fn a_format_of_ones_own() {
    let log = Sandbox::numbered(Kind::Raw, &[2, 2]);
    let ran = log
        .read(&["--format", "%b/%p+%S=%o:%s%%\\t\\x41\\0", "--offset", "3"])
        .clean();
    assert_eq!(ran.out, b"2/16+8=3:record 3%\tA\0");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let log = Sandbox::numbered(Kind::Raw, &[200_000]);
    for arguments in [&[][..], &["-r"], &["--json"]] {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("proglog"))
            .arg("read")
            .arg(log.dir())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdout.take().unwrap();
        pipe.read_exact(&mut [0; 10]).unwrap();
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

#[test]
fn a_full_disk_ends_with_2() {
    // The flush at the end is the only write of a short output.
    for records in [1, 200_000] {
        let log = Sandbox::numbered(Kind::Raw, &[records]);
        let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(assert_cmd::cargo::cargo_bin("proglog"))
            .arg("read")
            .arg(log.dir())
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(
            err.starts_with("error: cannot write to stdout: No space left"),
            "{err}"
        );
    }
}
