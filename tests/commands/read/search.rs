//! `--grep`: what it finds is what grep finds in the same lines, in every format and range.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::builder::{Kind, Sandbox, lines, read};

/// Offsets 0..=29 in three segments.
fn thirty(kind: Kind) -> Sandbox {
    Sandbox::numbered(kind, &[10, 7, 13])
}

/// What grep prints of these lines.
fn grep(text: &str, arguments: &[&str]) -> (i32, String) {
    let mut child = Command::new("grep")
        .arg("-E")
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

/// Nothing is said of records that were not searched.
#[test]
fn a_search_of_no_record_is_told() {
    let log = thirty(Kind::Raw);
    for none in [["-c", "0"], ["-n", "0"]] {
        let told = format!("{} selects no record: nothing was searched", none.join(" "));
        let ended = log.read(&[&["-g", "x"][..], &none].concat());
        ended.told(1, &[&told, "hint: "]);
        log.read(&none).told(0, &[]);
    }
}

#[test]
fn it_finds_what_grep_finds() {
    for kind in [Kind::Raw, Kind::Protobuf] {
        let log = thirty(kind);
        let expressions = [
            "7",
            "[79]$",
            "^record 1",
            "RECORD 2",
            "nothing",
            "()",
            "0|9",
        ];
        let options: &[&[&str]] = &[
            &[],
            &["-v"],
            &["-i"],
            &["-i", "-v"],
            &["-C1"],
            &["-A2"],
            &["-B3"],
            &["-A1", "-B2"],
            &["-C1", "-A4"],
            &["-v", "-C1"],
            &["-C100"],
        ];
        for expression in expressions {
            for options in options {
                let ran = log.read(&[&["-g", expression][..], options].concat());
                let expected = grep(&lines(0..30), &[options, &["-e", expression][..]].concat());
                let case = format!("{expression:?} {options:?}");
                assert_eq!(
                    (ran.status, ran.text()),
                    (expected.0, &*expected.1),
                    "{case}"
                );
                let every = if options.contains(&"-v") {
                    "every"
                } else {
                    "no"
                };
                let said = format!("error: {every} record matches {expression}\n");
                assert_eq!(ran.err, if ran.status == 1 { &said } else { "" }, "{case}");
            }
        }
    }
}

#[test]
fn counts_and_ranges_apply_to_what_is_found() {
    let log = thirty(Kind::Protobuf);
    let cases: &[(&[&str], &[u64])] = &[
        (&["-c", "2"], &[7, 17]),
        (&["-n", "2"], &[17, 27]),
        (&["-r"], &[27, 17, 7]),
        (&["-r", "-n", "1"], &[27]),
        (&["-r", "-c", "2"], &[17, 7]),
        (&["-n", "2", "-c", "1"], &[17]),
        (&["8..20"], &[17]),
        (&["-5.."], &[27]),
        (&["--to", "16"], &[7]),
        (&["17"], &[17]),
        (&["--offset", "17"], &[17]),
        (&["--offset", "16"], &[]),
        (&["18..20"], &[]),
        (&["-c", "2", "-A", "1"], &[7, 8, 17, 18]),
        (&["-n", "1", "-B", "2"], &[25, 26, 27]),
        (
            &["-n", "1", "-B", "20"],
            &[
                7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
            ],
        ),
        (&["10..18", "-C", "2"], &[15, 16, 17, 18]),
        (&["-r", "-c", "1", "-B", "1", "-A", "1"], &[8, 7, 6]),
        (&["-r", "-n", "1", "-A", "1"], &[27, 26]),
    ];
    for (arguments, offsets) in cases {
        let ran = log.read(&[&["-g", "7", "--format", "%o\\n"][..], arguments].concat());
        let found: Vec<u64> = ran
            .lines()
            .iter()
            .filter(|line| **line != "--")
            .map(|line| line.parse().unwrap())
            .collect();
        assert_eq!(found, *offsets, "{arguments:?}");
        assert_eq!(ran.status, i32::from(offsets.is_empty()), "{arguments:?}");
    }
}

#[test]
fn groups_are_separated_where_a_person_reads() {
    let log = thirty(Kind::Raw);
    let cases: &[(&[&str], &str)] = &[
        (&[], "record 7\nrecord 8\n--\nrecord 17\nrecord 18\n"),
        (&["-0"], "record 7\0record 8\0--\0record 17\0record 18\0"),
        (
            &["-d", ";;"],
            "record 7;;record 8;;--;;record 17;;record 18;;",
        ),
        (&["--format", "%o\\n"], "7\n8\n--\n17\n18\n"),
        (&["--raw"], "record 7record 8record 17record 18"),
    ];
    let search = ["..20", "-g", "7", "-A", "1"];
    for (format, expected) in cases {
        let ran = log.read(&[&search[..], format].concat()).clean();
        assert_eq!(ran.text(), *expected, "{format:?}");
    }
    let hex = log.read(&[&search[..], &["--hex"]].concat()).clean();
    assert_eq!(hex.lines().iter().filter(|line| **line == "--").count(), 1);
    for format in ["--json", "--frames"] {
        let with = log.read(&[&search[..], &[format]].concat()).clean();
        let all = log.read(&["7..8", format]).clean().out;
        assert_eq!(
            with.out,
            [all, log.read(&["17..18", format]).clean().out].concat()
        );
    }
}

#[test]
fn values_are_bytes() {
    for kind in [Kind::Raw, Kind::Protobuf] {
        let mut log = Sandbox::new(kind);
        let mut large = vec![0xff; 9 << 20];
        large.extend_from_slice(b"needle\n");
        let values: [&[u8]; 4] = [b"a\nb", b"\xff\xfeneedle", &large, "gr\u{dc}n".as_bytes()];
        log.segment(&values);
        let offsets = |arguments: &[&str]| {
            let ran = log.read(&[arguments, &["--format", "%o"]].concat());
            String::from_utf8(ran.out).unwrap()
        };
        assert_eq!(offsets(&["-g", "needle"]), "12");
        assert_eq!(offsets(&["-g", "needle$"]), "1");
        assert_eq!(offsets(&["-g", "(?m)needle$"]), "12");
        assert_eq!(offsets(&["-g", r"(?-u)^\xff\xfe"]), "1");
        assert_eq!(offsets(&["-g", r"(?-u)^\xff"]), "12");
        assert_eq!(offsets(&["-g", "a.b"]), "");
        assert_eq!(offsets(&["-g", "(?s)a.b"]), "0");
        assert_eq!(offsets(&["-i", "-g", "gr\u{fc}n"]), "3");
        assert_eq!(offsets(&["-v", "-g", "e"]), "03");
        // The value decides, whatever of the record is printed.
        assert_eq!(offsets(&["-g", "needle", "--no-decode"]), "12");
        let log = thirty(kind);
        let whole = log.read(&["-g", "7$", "--no-decode", "--frames"]).clean();
        assert_eq!(
            whole.out.starts_with(b"\0\0\0\0\0\0\0\x08"),
            kind == Kind::Raw
        );
    }
}

#[test]
fn a_value_too_large_for_an_expression_is_named() {
    let mut log = Sandbox::new(Kind::Raw);
    log.segment(&[vec![b'a'; 9 << 20]]);
    let ran = log.read(&["-g", r"\ba\b"]);
    ran.told(2, &["--grep: a value of 9437184 bytes is too large"]);
    log.read(&["-g", r"(?-u:\ba)"]).clean();
}

#[test]
fn damage_is_reported_as_ever() {
    let log = Sandbox::copy_of("length-flipped");
    let plain = log.read(&["--on-error", "skip"]);
    let found = log.read(&["--on-error", "skip", "-g", "", "-C", "2"]);
    assert_eq!((found.status, &found.out), (3, &plain.out));
    assert_eq!(found.err, plain.err);
    // Damage is said also where nothing is found.
    let ran = log.read(&["-g", "nothing like this"]);
    ran.told(3, &["frame-length-damaged"]);
}

#[test]
fn what_is_no_search_is_refused() {
    let log = thirty(Kind::Raw);
    for (expression, place) in [
        ("a(b", "--grep a(b: unclosed group, at character 2: (b"),
        ("x[z-a]", "at character 3: z-a]"),
        ("*", "at character 1: *"),
        ("a\\", "at character 2: \\"),
    ] {
        let ran = log.read(&["-g", expression]).told(2, &[place, "hint: "]);
        assert!(ran.out.is_empty());
    }
    for option in [
        &["-v"][..],
        &["-i"],
        &["-A", "1"],
        &["-B", "1"],
        &["-C", "1"],
    ] {
        log.read(option).told(2, &["--grep <REGEX>"]);
    }
    log.read(&["-g", "x", "-C", "many"])
        .told(2, &["not a whole number"]);
    log.read(&["-g", "x", "-A", "1", "--", "cat"])
        .told(2, &["a command gets records that match, no context"]);
    let ran = log.read(&["-g", "-5"]);
    ran.told(1, &["no record matches -5"]);
}

#[test]
fn matches_are_in_color_where_color_is_wanted() {
    let log = thirty(Kind::Protobuf);
    let found = |arguments: &[&str]| {
        let ran = read(
            &log.dir(),
            &[&["16..17", "-g", "[17]+"], arguments].concat(),
        );
        ran.clean().text().to_owned()
    };
    let always = |arguments: &[&str]| found(&[&["--color", "always"], arguments].concat());
    assert_eq!(
        always(&[]),
        "record \x1b[1;31m1\x1b[0m6\nrecord \x1b[1;31m17\x1b[0m\n"
    );
    assert_eq!(
        always(&["--format", "%o %s\\n", "-c", "1"]),
        "16 record \x1b[1;31m1\x1b[0m6\n"
    );
    for plain in [
        &["--json"][..],
        &["--hex"],
        &["--raw"],
        &["--frames"],
        &["--no-decode"],
    ] {
        assert_eq!(always(plain), found(plain), "{plain:?}");
    }
    assert_eq!(found(&[]), lines(16..18));
}
