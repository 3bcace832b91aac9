//! `--offsets`: the records of a list, in its order.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::builder::{Kind, Ran, Sandbox, lines};

/// Runs with this list: as a file, and as standard input.
#[track_caller]
fn look_up(log: &Sandbox, list: &str, arguments: &[&str]) -> Ran {
    let file = log.dir().with_file_name("list");
    std::fs::write(&file, list).unwrap();
    let by_file = log.read(&[&["--offsets", file.to_str().unwrap()], arguments].concat());
    let mut command = assert_cmd::Command::cargo_bin("proglog").unwrap();
    command.arg("read").arg(log.dir()).args(arguments);
    let output = command.args(["--offsets", "-"]).write_stdin(list).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(by_file.status));
    assert_eq!(output.stdout, by_file.out);
    by_file
}

fn list(offsets: &[u64]) -> String {
    offsets.iter().fold(String::new(), |mut text, offset| {
        let _ = writeln!(text, "{offset}");
        text
    })
}

#[test]
fn any_order_and_any_number() {
    for kind in [Kind::Raw, Kind::Protobuf] {
        let log = Sandbox::numbered(kind, &[10, 7, 13, 1, 40]);
        let mut random = fastrand::Rng::with_seed(7);
        let offsets: Vec<u64> = (0..2000).map(|_| random.u64(0..71)).collect();
        let ran = look_up(&log, &list(&offsets), &[]).clean();
        assert_eq!(ran.text(), lines(offsets.iter().copied()));
        let ran = look_up(&log, "-1\r\n-71\n 5", &[]);
        ran.told(2, &["line 3: \" 5\" is not an offset"]);
        assert_eq!(
            look_up(&log, "-1\r\n-71\n5", &[]).clean().text(),
            lines([70, 0, 5])
        );
        assert!(look_up(&log, "", &[]).clean().out.is_empty());
        let ran = look_up(
            &log,
            &list(&[5, 7, 60]),
            &["-c", "2", "--format", "%o %b\\n"],
        );
        assert_eq!(ran.clean().text(), "5 0\n7 0\n");
        assert!(look_up(&log, "5\n", &["-c", "0"]).clean().out.is_empty());
        let ran = look_up(&log, &list(&[5, 57, 60, 5]), &["-g", "5"]);
        assert_eq!(ran.clean().text(), lines([5, 57, 5]));
        look_up(&log, &list(&[60]), &["-g", "5"]).told(1, &["no record matches 5"]);
    }
}

#[test]
fn more_segments_than_are_kept_open() {
    let log = Sandbox::numbered(Kind::Raw, &[2; 150]);
    let offsets: Vec<u64> = (0..900).map(|number| number * 7 % 300).collect();
    let ran = look_up(&log, &list(&offsets), &[]).clean();
    assert_eq!(ran.text(), lines(offsets));
}

#[test]
fn what_is_not_in_the_log_is_said_and_the_rest_follows() {
    let mut log = Sandbox::new(Kind::Raw);
    log.next = 5;
    log.segment(&["five", "six"]);
    let ran = look_up(&log, "7\n6\n4\n-3\n18446744073709551615\n5\n", &[]).told(
        1,
        &[
            "error: offset 7 is not in the log yet: the next offset is 7\n",
            "error: offset 4 is no longer in the log, which begins at 5\n",
            "error: offset -3 from the end is before the log",
            "error: offset 18446744073709551615 is not in the log yet",
            "error: 4 of 6 offsets are not in the log\n",
        ],
    );
    assert_eq!(ran.lines(), ["six", "five"]);
}

#[test]
fn a_line_that_is_no_offset_is_named() {
    let log = Sandbox::numbered(Kind::Raw, &[10]);
    for line in [
        "",
        "x",
        "1 2",
        "+1",
        "1.0",
        "1..2",
        "18446744073709551616",
        "\0",
    ] {
        let ran = look_up(&log, &format!("3\n{line}\n4\n"), &[]);
        let ran = ran.told(2, &["line 2: ", "is not an offset"]);
        assert_eq!(ran.text(), lines([3]), "{line:?}");
    }
    let ran = look_up(&log, &"1".repeat(100_000), &[]).told(2, &["line 1: "]);
    assert!(ran.err.len() < 300, "{}", ran.err);
    let missing = log.read(&["--offsets", "missing"]);
    missing.told(2, &["--offsets missing: No such file"]);
    log.read(&["--offsets", "/"])
        .told(2, &["--offsets /: Is a directory"]);
    for other in [
        &["3"][..],
        &["--offset", "3"],
        &["--from", "3"],
        &["-n", "3"],
        &["-r"],
        &["-f"],
        &["--cursor-file", "c"],
        &["-g", "x", "-C", "1"],
        &["--", "cat"],
    ] {
        let ran = log.read(&[&["--offsets", "list"], other].concat());
        ran.told(2, &["cannot be used with"]);
    }
}

#[test]
fn damage_stops_it_or_is_skipped() {
    let log = Sandbox::numbered(Kind::Protobuf, &[10, 10]);
    log.put("0.store", log.position(0, 4) + 8, b"\xff");
    let ran = look_up(&log, "3\n4\n5\n14\n", &[]).told(3, &["record-undecodable", "offset 4"]);
    assert_eq!(ran.text(), lines([3]));
    let ran = look_up(&log, "3\n4\n5\n4\n14\n", &["--on-error", "skip"]);
    let ran = ran.told(3, &["record-undecodable", "offset 4"]);
    assert_eq!(ran.text(), lines([3, 5, 14]));
}

/// A program may ask for one record after another.
#[test]
fn each_record_is_printed_before_the_next_line_is_waited_for() {
    let log = Sandbox::numbered(Kind::Raw, &[10, 10]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_proglog"))
        .arg("read")
        .arg(log.dir())
        .args(["--offsets", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    for offset in [13_u64, 2, 13, 19] {
        stdin.write_all(list(&[offset]).as_bytes()).unwrap();
        let expected = lines([offset]);
        let mut printed = vec![0; expected.len()];
        stdout.read_exact(&mut printed).unwrap();
        assert_eq!(printed, expected.as_bytes());
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
