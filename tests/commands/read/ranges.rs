//! Which records are printed: offsets, ranges, the first and the last ones, and what
//! is said where there is none.

use super::builder::{Kind, Sandbox, lines, read};

const BOTH: [Kind; 2] = [Kind::Raw, Kind::Protobuf];

/// Offsets 0..=29 in three segments.
fn thirty(kind: Kind) -> Sandbox {
    Sandbox::numbered(kind, &[10, 7, 13])
}

#[test]
fn all_and_one() {
    for kind in BOTH {
        let log = thirty(kind);
        assert_eq!(log.read(&[]).clean().text(), lines(0..30));
        for offset in [0, 9, 10, 16, 17, 29] {
            let ran = log.read(&["--offset", &offset.to_string()]).clean();
            assert_eq!(ran.text(), lines([offset]));
        }
        assert_eq!(log.read(&["--offset=-1"]).clean().text(), lines([29]));
        assert_eq!(log.read(&["--offset", "-30"]).clean().text(), lines([0]));
    }
}

#[test]
fn ranges() {
    for kind in BOTH {
        let log = thirty(kind);
        let cases: &[(&[&str], std::ops::Range<u64>)] = &[
            (&["--from", "8", "--to", "18"], 8..19),
            (&["--from", "-10"], 20..30),
            (&["--from", "-10", "--to", "-9"], 20..22),
            (&["--to", "9"], 0..10),
            (&["--to", "1000"], 0..30),
            (&["--from", "29"], 29..30),
            (&["--from", "30"], 30..30),
            (&["-c", "3"], 0..3),
            (&["--from", "9", "-c", "3"], 9..12),
            (&["-n", "3"], 27..30),
            (&["-n", "1000"], 0..30),
            (&["-n", "0"], 0..0),
            (&["-c", "0"], 0..0),
            (&["-n", "15", "-c", "4"], 15..19),
            (&["--to", "12", "-n", "5"], 8..13),
            (&["--from", "11", "--to", "12", "-n", "5"], 11..13),
        ];
        for (arguments, offsets) in cases {
            let ran = log.read(arguments).clean();
            assert_eq!(ran.text(), lines(offsets.clone()), "{arguments:?}");
            let mut reversed = arguments.to_vec();
            reversed.push("-r");
            let ran = log.read(&reversed).clean();
            assert_eq!(ran.text(), lines(offsets.clone().rev()), "{reversed:?}");
        }
    }
}

#[test]
fn padding_changes_nothing() {
    for kind in BOTH {
        let log = thirty(kind);
        for name in ["0.index", "10.index", "17.index"] {
            log.pad(name, 1 << 20);
        }
        assert_eq!(log.read(&[]).clean().text(), lines(0..30));
        assert_eq!(log.read(&["--offset", "16"]).clean().text(), lines([16]));
        assert_eq!(log.read(&["-n", "2"]).clean().text(), lines(28..30));
        log.read(&["--offset", "30"])
            .told(1, &["not in the log yet"]);
    }
}

#[test]
fn what_is_not_there_ends_with_1() {
    let mut log = Sandbox::new(Kind::Raw);
    log.next = 5;
    log.segment(&["five", "six"]);
    for arguments in [
        &["--offset", "7"][..],
        &["--from", "8"],
        &["--offset", "18446744073709551615"],
    ] {
        let ran = log
            .read(arguments)
            .told(1, &["not in the log yet", "the next offset is 7"]);
        assert!(ran.out.is_empty());
    }
    log.read(&["--offset", "4"])
        .told(1, &["no longer in the log, which begins at 5"]);
    log.read(&["--offset", "-3"])
        .told(1, &["before the log, which begins at 5"]);
    log.read(&["--to", "4"]).told(1, &["no longer in the log"]);
    assert!(log.read(&["--from", "7"]).clean().out.is_empty());
}

#[test]
fn below_the_lowest_it_begins_there_and_says_so() {
    let mut log = Sandbox::new(Kind::Raw);
    log.next = 5;
    log.segment(&["five", "six"]);
    for from in ["0", "4", "-3"] {
        let ran = log
            .read(&["--from", from])
            .told(0, &["note: the log begins at offset 5"]);
        assert_eq!(ran.lines(), ["five", "six"]);
        assert_eq!(
            log.read(&["-q", "--from", from]).clean().lines(),
            ["five", "six"]
        );
    }
    assert_eq!(log.read(&[]).clean().lines(), ["five", "six"]);
}

#[test]
fn a_log_without_a_record() {
    let mut log = Sandbox::new(Kind::Raw);
    log.segment::<&str>(&[]);
    for arguments in [
        &[][..],
        &["-n", "5"],
        &["-r"],
        &["--from", "0"],
        &["--json"],
    ] {
        assert!(log.read(arguments).clean().out.is_empty());
    }
    log.read(&["--offset", "0"])
        .told(1, &["the next offset is 0"]);
    log.read(&["--offset", "-1"]).told(1, &["no record"]);
}

#[test]
fn contradictions_end_with_2() {
    let log = thirty(Kind::Raw);
    log.read(&["--from", "5", "--to", "4"]).told(
        2,
        &["range 5..4: its first offset, 5, is above its last, 4"],
    );
    log.read(&["--from", "-1", "--to", "-2"]).told(
        2,
        &["its first offset, 29, is above its last, 28; the next offset is 30"],
    );
    for (range, hint) in [
        (["--from", "1"], "1.."),
        (["--to", "1"], "..1"),
        (["--to", "9"], "3..9"),
        (["-c", "1"], "3.. -c 1"),
        (["-n", "1"], "-n 1"),
    ] {
        let arguments = ["--offset", "3", range[0], range[1]];
        let hint = format!("/log {hint}\n");
        let words = ["error: ", "hint: proglog read ", &hint];
        log.read(&arguments).told(2, &words);
    }
    for wrong in [
        &["--json", "--raw"][..],
        &["-0", "--format", "%o"],
        &["--from", "x"],
        &["--from", "-0"],
        &["-n", "-1"],
        &["--format", "%k"],
        &["--on-error", "ignore"],
        &["--codec", "avro"],
    ] {
        assert_eq!(log.read(wrong).status, 2, "{wrong:?}");
    }
}

#[test]
fn no_log_ends_with_2() {
    let log = thirty(Kind::Raw);
    let above = log.dir().parent().unwrap().to_path_buf();
    read(&above, &[]).told(2, &["is not a log", "hint: "]);
    read(&above.join("nowhere"), &[]).told(2, &["no such directory"]);
    read(&log.file("0.store"), &[]).told(2, &["is not a directory", "segment 0"]);
}

#[test]
fn the_codec_can_be_said() {
    let log = Sandbox::numbered(Kind::Protobuf, &[3]);
    let ran = log.read(&["--codec", "raw", "--offset", "1"]).clean();
    assert_eq!(ran.out, b"\x0a\x08record 1\x10\x01\n");
    let ran = log.read(&["--no-decode", "--offset", "1"]).clean();
    assert_eq!(ran.out, b"\x0a\x08record 1\x10\x01\n");
}

#[test]
fn a_log_with_a_large_gap_is_read_backwards_too() {
    let mut log = Sandbox::numbered(Kind::Raw, &[3]);
    log.next = 1 << 60;
    log.segment(&["far"]);
    let ran = log
        .read(&["-r", "--on-error", "skip"])
        .told(3, &["segment-gap"]);
    assert_eq!(ran.lines(), ["far", "record 2", "record 1", "record 0"]);
    let ran = log
        .read(&["-n", "3", "--on-error", "skip"])
        .told(3, &["segment-gap"]);
    assert_eq!(ran.lines(), ["record 1", "record 2", "far"]);
}

#[test]
fn more_records_than_are_kept_at_once_backwards() {
    let log = Sandbox::numbered(Kind::Protobuf, &[5000, 9000]);
    assert_eq!(log.read(&["-r"]).clean().text(), lines((0..14000).rev()));
    let mut log = Sandbox::new(Kind::Raw);
    let large: Vec<Vec<u8>> = (0..40).map(|n| vec![b'a' + n % 26; 1 << 20]).collect();
    log.segment(&large);
    let ran = log.read(&["-r"]).clean();
    assert_eq!(ran.out.len(), 40 * ((1 << 20) + 1));
    for (line, value) in ran.out.split(|&byte| byte == b'\n').zip(large.iter().rev()) {
        assert!(line == value.as_slice());
    }
}
