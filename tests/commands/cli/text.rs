//! The wording of errors and messages: no raw text of a library, plurals, the input of
//! `append`, lines that are wrapped on a terminal only.

use proglog_testkit::{LogBuilder, Sandbox, cases, run};

use super::{commands, options_with_values, run_with, twenty, words};

/// Words of libraries and of the standard library that explain nothing.
const RAW: &[&str] = &[
    "invalid digit",
    "non-zero type",
    "number too large",
    "cannot parse",
    "invalid float",
    "expected value at",
    "line 1 column",
    "EOF while",
    "invalid type",
    "trailing characters",
    "Invalid symbol",
    "Invalid byte",
    "ParseIntError",
    "out of range integral",
    "is not in 0..",
];

#[test]
fn no_error_is_raw_text_of_a_library() {
    let sandbox = twenty();
    let values = [
        "1k",
        "-x",
        "",
        "0",
        "-1",
        "1e400",
        "99999999999999999999",
        "\u{fc}",
    ];
    for command in commands() {
        for option in options_with_values(&command) {
            for value in values {
                let given = format!("{option}={value}");
                let mut arguments = vec![command.as_str(), "log"];
                if ["diff", "salvage", "push", "pull"].contains(&command.as_str()) {
                    arguments.push("other");
                }
                arguments.push(&given);
                let (status, _, stderr) = run(&sandbox, &arguments);
                let raw = RAW.iter().find(|raw| stderr.contains(**raw));
                assert!(raw.is_none(), "{arguments:?}: {status}: {stderr}");
            }
        }
    }
    for input in [
        "{",
        "[]",
        "x",
        r#"{"value_base64":"?"}"#,
        r#"{"value":"a"} x"#,
        "{\"a\":\"\\x\"}",
    ] {
        let (status, _, stderr) = run_with(&sandbox, &words("append log --input json"), input);
        assert_eq!(status, 2, "{input}");
        let raw = RAW.iter().find(|raw| stderr.contains(**raw));
        assert!(raw.is_none(), "{input}: {stderr}");
    }
    for manifest in [
        "",
        "x\n",
        "{}\n",
        "[]\n",
        "{\"kind\":\"manifest\"}\n",
        "{\"kind\":1}\n",
    ] {
        let (status, _, stderr) = run_with(&sandbox, &words("verify log --manifest -"), manifest);
        assert_eq!(status, 2, "{manifest}");
        let raw = RAW.iter().find(|raw| stderr.contains(**raw));
        assert!(raw.is_none(), "{manifest}: {stderr}");
    }
}

/// `1 entries`, also where another number stands before it.
fn wrong_plural(text: &str) -> Option<String> {
    // A line ends what stands before it.
    let text = text.replace('\n', " . ");
    let words: Vec<&str> = text.split([' ', '(', ')', ',', ';', ':']).collect();
    let found = words.windows(2).find(|pair| {
        let counted = [
            "entries", "records", "bytes", "frames", "segments", "runs", "findings", "errors",
            "warnings", "files", "ranges", "gaps", "changes", "places", "orphans", "offsets",
        ];
        pair[0] == "1" && counted.contains(&pair[1])
    });
    found.map(|pair| pair.join(" "))
}

#[test]
fn one_is_singular() {
    let one = Sandbox::built(&LogBuilder::raw().segment(0, ["a"]));
    let torn = Sandbox::built(&LogBuilder::raw().segment(0, ["a"]));
    torn.append_bytes("0.store", b"\0");
    torn.append_bytes("0.index", b"\0");
    let lost = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b"]));
    lost.cut("0.store", 10);
    let mut sandboxes = vec![one, torn, lost];
    sandboxes.extend(cases().iter().map(|case| Sandbox::of(case)));
    for sandbox in sandboxes {
        for command in [
            "info log",
            "info log --all --sizes",
            "verify log",
            "verify log -q",
            "verify log -v",
            "verify log --service",
            "dump-index log",
            "dump-index log -c 1",
            "dump-store log",
            "dump-store log -c 1 --hex",
            "read log -c 1",
            "read log --hex",
            "repair log --dry-run",
            "trim log --after 0 --dry-run",
            "trim log --after -2 --dry-run",
            "trim log --keep-segments 1 --dry-run",
            "truncate-index log --dry-run --leave-tail",
            "salvage log new --dry-run",
            "diff log log",
            "manifest log",
            "append log",
            "repair log",
            "undo log --list",
            "undo log",
        ] {
            let (_, stdout, stderr) = run_with(&sandbox, &words(command), "x\n");
            for text in [stdout, stderr] {
                let wrong = wrong_plural(&text);
                assert!(wrong.is_none(), "{command}: {wrong:?}\n{text}");
            }
        }
    }
}

#[test]
fn an_append_that_failed_counts_its_own_records() {
    let sandbox = twenty();
    let (status, _, stderr) = run_with(&sandbox, &words("append log --input json"), "x\n");
    assert_eq!(status, 2);
    assert!(stderr.contains("no record was appended to log"), "{stderr}");
    let input = "{\"value\":\"a\"}\nx\n";
    let (status, _, stderr) = run_with(&sandbox, &words("append log --input json"), input);
    assert_eq!(status, 2);
    assert!(
        stderr.contains("1 record was appended to log, next offset 21"),
        "{stderr}"
    );
}

#[test]
fn the_output_of_read_is_recognised_as_input() {
    for (print, input) in [("--json", "--input json"), ("--frames", "--input frames")] {
        let sandbox = twenty();
        let printed = sandbox
            .proglog()
            .args(["read", "log", print])
            .output()
            .unwrap()
            .stdout;
        let append = |arguments: &[&str]| {
            let output = sandbox
                .proglog()
                .args(["append", "copy"])
                .args(arguments)
                .write_stdin(printed.clone())
                .output()
                .unwrap();
            (
                output.status.code(),
                String::from_utf8(output.stderr).unwrap(),
            )
        };
        for options in [&[][..], &["--json"]] {
            let (status, stderr) = append(options);
            assert_eq!(status, Some(0), "{stderr}");
            assert!(
                stderr.contains("note: ") && stderr.contains(input),
                "{stderr}"
            );
        }
        for options in [
            &["-q"][..],
            &["--input", &input[8..]],
            &["--input", "lines"],
            &["-d", ","],
        ] {
            let (status, stderr) = append(options);
            assert_eq!(status, Some(0), "{options:?}: {stderr}");
            assert!(!stderr.contains("note: "), "{options:?}: {stderr}");
        }
    }
    for text in [
        "plain\n",
        "{\"offset\":1}\n",
        "{\"value\":\"x\"}\n",
        "\0\n",
        "",
    ] {
        let (_, _, stderr) = run_with(&twenty(), &words("append log"), text);
        assert!(!stderr.contains("note: "), "{text:?}: {stderr}");
    }
}

#[test]
fn no_message_has_the_number_of_a_system_error() {
    let sandbox = twenty();
    for command in [
        "append log missing",
        "append log log",
        "read log --cursor-file /proc/cursor",
        "read log -- ./missing",
        "read log -- missing-command",
        "read log --json -- /etc/passwd",
        "append /proc/new",
        "salvage log /proc/new",
        "manifest /dev/null",
        "verify log --manifest missing",
        "undo missing",
        "man --out /proc/new",
        "repair log --replica missing",
    ] {
        let (status, _, stderr) = run_with(&sandbox, &words(command), "x\n");
        assert_ne!(status, 0, "{command}: {stderr}");
        assert!(!stderr.contains("os error"), "{command}: {stderr}");
    }
}

#[test]
fn an_append_without_records_answers_as_with_one() {
    let names: Vec<_> = cases().into_iter().map(Some).chain([None]).collect();
    for option in [
        "--no-recover",
        "--codec=raw",
        "--codec=protobuf",
        "--expect-offset=7",
    ] {
        for name in &names {
            let sandbox = name.as_ref().map_or_else(twenty, |case| Sandbox::of(case));
            let arguments = ["append", "log", option];
            let before = sandbox.snapshot();
            let (without, _, said) = run_with(&sandbox, &arguments, "");
            if option == "--no-recover" {
                assert_eq!(sandbox.snapshot(), before, "{name:?}");
            }
            let (with, _, stderr) = run_with(&sandbox, &arguments, "x\n");
            assert_eq!(without, with, "{name:?}: {option}: {said}{stderr}");
            if with != 0 {
                let error = |text: &str| {
                    let line = text.lines().find(|line| line.starts_with("error: "));
                    line.map(str::to_owned)
                };
                assert_eq!(error(&said), error(&stderr), "{name:?}: {option}");
            }
        }
    }
}

#[test]
fn nothing_is_printed_before_a_refusal() {
    let sandbox = twenty();
    for command in [
        "dump-index log 30..",
        "dump-store log 30..",
        "dump-index log --from 30 --json",
        "dump-store log --from 30 --hex",
        "read log 30..",
        "diff log log 30..",
    ] {
        let (status, stdout, stderr) = run(&sandbox, &words(command));
        assert_eq!((status, stdout.as_str()), (1, ""), "{command}: {stderr}");
        assert!(stderr.contains("the next offset is 20"), "{stderr}");
    }
    let (status, stdout, _) = run(&sandbox, &words("verify missing log"));
    assert_eq!(status, 2);
    assert!(stdout.starts_with("log: "), "{stdout}");
}
