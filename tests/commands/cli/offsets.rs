//! Offsets and ranges: the same syntax wherever offsets are selected, and no offset
//! outside the log is silently accepted.

use proglog_testkit::{LogBuilder, Sandbox, run};

use super::{twenty, words};

#[test]
fn an_offset_beyond_the_log_is_refused() {
    for command in [
        "trim log --before 21",
        "trim log --before 18446744073709551615",
        "trim log --before 21 --dry-run",
        "read log --offset 21",
        "read log --from 21",
        "dump-index log --from 21",
        "dump-store log --from 21",
        "diff log log --from 21",
        "diff log log -q --from 21",
    ] {
        let sandbox = twenty();
        let before = sandbox.snapshot();
        let (status, stdout, stderr) = run(&sandbox, &words(command));
        assert_eq!(status, 1, "{command}: {stdout}{stderr}");
        assert!(stderr.contains("20"), "{command}: {stderr}");
        assert_eq!(sandbox.snapshot(), before, "{command}");
    }
    // The next offset itself: every segment but the last.
    let (status, _, stderr) = run(&twenty(), &words("trim log --before 20"));
    assert_eq!(status, 0, "{stderr}");
}

/// Single offsets and ranges before the log, after it, and in a gap of it.
#[test]
fn an_offset_that_no_record_has_is_a_negative_result() {
    let values = |count| vec!["value"; count];
    let log = LogBuilder::raw()
        .segment(10, values(10))
        .segment(30, values(10));
    let sandbox = Sandbox::built(&log);
    let commands = [
        "read log",
        "dump-index log",
        "dump-store log",
        "diff log log",
    ];
    let before = "is no longer in the log, which begins at 10";
    let after = "is not in the log yet: the next offset is 40";
    for (range, message) in [
        ("3", format!("offset 3 {before}")),
        ("0..5", format!("offset 5 {before}")),
        ("..9", format!("offset 9 {before}")),
        (
            "-100",
            "-100 from the end is before the log, which begins at 10".to_owned(),
        ),
        (
            "-60..-50",
            "-50 from the end is before the log, which begins at 10".to_owned(),
        ),
        ("40", format!("offset 40 {after}")),
        ("41", format!("offset 41 {after}")),
        ("41..", format!("offset 41 {after}")),
        ("41..50", format!("offset 41 {after}")),
    ] {
        for command in commands {
            let command = format!("{command} {range}");
            let (status, stdout, stderr) = run(&sandbox, &words(&command));
            assert_eq!((status, stdout.as_str()), (1, ""), "{command}: {stderr}");
            assert!(stderr.contains(&message), "{command}: {stderr}");
        }
    }
    for (command, message) in [
        ("dump-index log 25", "no entry has offset 25"),
        (
            "dump-index log 20..29",
            "no entry has one of the offsets 20..29",
        ),
        ("dump-index log 35 --segment 10", "no entry has offset 35"),
        ("dump-store log 25", "no frame has offset 25"),
        (
            "dump-store log 21..22 --json",
            "no frame has one of the offsets 21..22",
        ),
        ("diff log log 25", "neither log contains 25"),
        ("diff log log -q 20..29", "neither log contains 20..29"),
    ] {
        let (status, stdout, stderr) = run(&sandbox, &words(command));
        assert_eq!((status, stdout.as_str()), (1, ""), "{command}: {stderr}");
        assert!(stderr.contains(message), "{command}: {stderr}");
    }
    // What may come next is not an error, nor what is there in part.
    for range in ["40..", "40..50", "39..50", "3..10", "19..30", "20..30"] {
        for command in &commands[1..] {
            let (status, _, stderr) = run(&sandbox, &words(&format!("{command} {range}")));
            assert_eq!(status, 0, "{command} {range}: {stderr}");
        }
    }
}

#[test]
fn a_number_that_is_too_large_is_told() {
    let sandbox = twenty();
    let large = "18446744073709551616";
    for command in [
        format!("read log {large}"),
        format!("read log 5..{large}"),
        format!("read log -{large}"),
        format!("read log -{large}.."),
        format!("read log --from {large}"),
        format!("read log --offset -{large}"),
        format!("dump-store log {large}"),
        format!("trim log --before {large}"),
        format!("redact log {large}"),
    ] {
        let (status, stdout, stderr) = run(&sandbox, &words(&command));
        assert_eq!((status, stdout.as_str()), (2, ""), "{command}: {stderr}");
        assert!(
            stderr.contains(": larger than 2^64 - 1\nhint: "),
            "{command}: {stderr}"
        );
    }
}

/// The offsets that a command shows, by its JSON lines.
fn shown(command: &str) -> Vec<u64> {
    let sandbox = twenty();
    let (status, stdout, stderr) = run(&sandbox, &words(&format!("{command} --json")));
    assert_eq!(status, 0, "{command}: {stderr}");
    let objects = stdout.lines().map(|line| {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        object
    });
    objects
        .filter_map(|object| object["offset"].as_u64())
        .collect()
}

#[test]
fn ranges_are_typed_as_they_are_printed() {
    for (range, first, last) in [
        ("5..10", 5, 10),
        ("7", 7, 7),
        ("7..7", 7, 7),
        ("15..", 15, 19),
        ("..3", 0, 3),
        ("-3..", 17, 19),
        ("-3", 17, 17),
        ("..-18", 0, 2),
        ("-5..-4", 15, 16),
        ("18..-1", 18, 19),
        ("0..100", 0, 19),
    ] {
        let expected: Vec<u64> = (first..=last).collect();
        for command in ["read log", "dump-index log", "dump-store log"] {
            assert_eq!(
                shown(&format!("{command} {range}")),
                expected,
                "{command} {range}"
            );
            let options = match range.split_once("..") {
                None => format!("--from {range} --to {range}"),
                Some(("", to)) => format!("--to {to}"),
                Some((from, "")) => format!("--from {from}"),
                Some((from, to)) => format!("--from {from} --to {to}"),
            };
            assert_eq!(
                shown(&format!("{command} {options}")),
                expected,
                "{command} {options}"
            );
        }
    }
    // The range anywhere among the options, which keep their digits.
    assert_eq!(shown("read -5.. log -n3"), [17, 18, 19]);
    assert_eq!(shown("read log -c2 -5.."), [15, 16]);
    assert_eq!(shown("read --color never log -2.. -r"), [19, 18]);
    let (status, stdout, _) = run(&twenty(), &words("read log -1 -0"));
    assert_eq!((status, stdout.as_str()), (0, "value 19\0"));
}

#[test]
fn diff_and_allow_take_ranges() {
    let sandbox = twenty();
    let (_, _, stderr) = run(&sandbox, &["salvage", "log", "copy"]);
    assert!(sandbox.path().join("copy").is_dir(), "{stderr}");
    assert_eq!(run(&sandbox, &words("trim copy --after -4")).0, 0);
    for (range, status) in [
        ("..16", 0),
        ("0..-5", 0),
        ("17..", 1),
        ("-1", 1),
        ("3", 0),
        ("-30..2", 0),
    ] {
        let command = format!("diff log copy {range}");
        assert_eq!(run(&sandbox, &words(&command)).0, status, "{command}");
    }
    let gap = Sandbox::of("segment-missing");
    for (range, status) in [
        ("20..40", 0),
        ("20..", 0),
        ("..40", 0),
        ("21..", 3),
        ("..-1", 0),
        ("-41..", 0),
        ("20", 3),
    ] {
        let allow = format!("segment-gap={range}");
        assert_eq!(
            run(&gap, &["verify", "log", "--allow", &allow]).0,
            status,
            "{range}"
        );
    }
}

#[test]
fn a_range_that_is_none_is_explained() {
    let sandbox = twenty();
    for command in [
        "read log",
        "dump-index log",
        "dump-store log",
        "diff log log",
    ] {
        for wrong in ["x", "1..2..3", "..", "5-10", "a..b", "1:2"] {
            let (status, _, stderr) = run(&sandbox, &words(&format!("{command} {wrong}")));
            assert_eq!(status, 2, "{command} {wrong}: {stderr}");
            assert!(
                stderr.contains("a range is A..B"),
                "{command} {wrong}: {stderr}"
            );
        }
        for (wrong, meant) in [
            ("15..-8", "12"),
            ("-2..-8", "12"),
            ("0..-28", "-8"),
            ("9..3", "3"),
        ] {
            let (status, _, stderr) = run(&sandbox, &words(&format!("{command} {wrong}")));
            assert_eq!(status, 2, "{command} {wrong}: {stderr}");
            let told = format!("is above its last, {meant}");
            assert!(stderr.contains(&told), "{command} {wrong}: {stderr}");
        }
        let (status, _, stderr) = run(&sandbox, &words(&format!("{command} --from 15 --to -8")));
        assert_eq!(status, 2);
        assert!(
            stderr.contains("its last, 12") && stderr.contains("next offset is 20"),
            "{stderr}"
        );
        let (status, _, _) = run(&sandbox, &words(&format!("{command} 5 --from 3")));
        assert_eq!(status, 2, "{command}");
        let (status, _, stderr) = run(&sandbox, &words(&format!("{command} ..-21")));
        assert_eq!(status, 1, "{command}: {stderr}");
    }
    let (status, _, _) = run(&sandbox, &words("read log 5 --offset 3"));
    assert_eq!(status, 2);
    let (status, _, stderr) = run(&sandbox, &words("read log 25"));
    assert_eq!(status, 1, "{stderr}");
}

#[test]
fn trim_counts_from_the_end() {
    for (option, left) in [
        ("--after -10", 0..=10),
        ("--before -10", 10..=19),
        ("--after -1", 0..=19),
    ] {
        let sandbox = twenty();
        let (status, _, stderr) = run(&sandbox, &words(&format!("trim log {option}")));
        assert_eq!(status, 0, "{option}: {stderr}");
        let (_, stdout, _) = run(&sandbox, &words("read log --format %o\\n"));
        let offsets: Vec<u64> = stdout.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(offsets, left.collect::<Vec<u64>>(), "{option}");
    }
    let (status, _, stderr) = run(&twenty(), &words("trim log --after -21"));
    assert_eq!(status, 1, "{stderr}");
}

#[test]
fn wait_takes_its_value_with_a_space() {
    for command in [
        "append log --wait 5",
        "append --wait 5 log",
        "append log --wait=5",
    ] {
        let sandbox = twenty();
        let (status, _, stderr) = super::run_with(&sandbox, &words(command), "x\n");
        assert_eq!(status, 0, "{command}: {stderr}");
    }
    for command in [
        "repair log --wait 0.5",
        "undo log --list --wait 1",
        "trim log --after 3 --wait 2",
    ] {
        let (status, _, stderr) = run(&twenty(), &words(command));
        assert_eq!(status, 0, "{command}: {stderr}");
    }
    let sandbox = twenty();
    std::fs::write(sandbox.path().join("file"), "x\n").unwrap();
    assert_eq!(run(&sandbox, &words("append log --wait file")).0, 0);
    assert_eq!(run(&sandbox, &words("append log --wait 5 file")).0, 0);
    let (_, stdout, _) = run(&sandbox, &words("info log --json"));
    assert!(stdout.contains("\"next_offset\":22"), "{stdout}");
}

#[test]
fn a_negative_number_is_a_value_of_every_option() {
    let sandbox = twenty();
    for command in super::commands() {
        for option in super::options_with_values(&command) {
            let mut arguments = vec![command.as_str(), "log"];
            if ["diff", "salvage", "push", "pull"].contains(&command.as_str()) {
                arguments.push("other");
            }
            arguments.extend([option.as_str(), "-1"]);
            let (status, _, stderr) = run(&sandbox, &arguments);
            assert!(
                !stderr.contains("'-1' found") && !stderr.contains("none was supplied"),
                "{arguments:?}: {status}: {stderr}"
            );
        }
    }
}
