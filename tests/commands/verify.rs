//! `proglog verify` as a user meets it: what it prints for each fixture, what its
//! options do, how it ends, and that looking changes nothing.

#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::fs::File;
use std::process::Stdio;

use proglog_testkit::{LogBuilder, Said, Sandbox, cases, run, transcript};
use serde_json::Value;

/// The lines of findings.md for killed-index-ahead; the messages are words.
const KILLED_INDEX_AHEAD: &str = r#"{"kind":"finding","log":"log","id":"index-dangling","severity":"error","segment":0,"file":"0.index","position":2916,"bytes":684,"first_offset":243,"last_offset":299,"records":57,"got":12288,"expected":12333,"message":"...","remedy":"proglog repair log"}
{"kind":"finding","log":"log","id":"index-padded","severity":"warning","segment":0,"file":"0.index","position":3600,"bytes":8688,"message":"...","remedy":"proglog repair log"}
{"kind":"service","log":"log","printing":1,"max_index_bytes":12288,"lowest_offset":0,"highest_offset":0,"readable":1,"hidden":242,"next_append":"refused","error":"EOF"}
{"kind":"summary","log":"log","segments":1,"records":243,"lowest_offset":0,"next_offset":243,"codec":"protobuf","in_use":false,"errors":1,"warnings":1,"notes":0}
"#;

fn verify(sandbox: &Sandbox, arguments: &[&str]) -> Said {
    run(sandbox, &[&["verify"], arguments].concat())
}

fn json(sandbox: &Sandbox, arguments: &[&str]) -> Vec<Value> {
    let (_, stdout, _) = verify(sandbox, &[&["log", "--json"], arguments].concat());
    proglog_testkit::json(&stdout)
}

fn ids(lines: &[Value]) -> Vec<&str> {
    let ids = lines.iter().filter_map(|line| line.get("id"));
    ids.filter_map(Value::as_str).collect()
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[test]
fn transcripts_of_all_fixtures() {
    let mut wrong = Vec::new();
    for case in cases() {
        wrong.extend(transcript(&case, "verify", &["verify", "log"]).err());
        wrong.extend(transcript(&case, "verify-json", &["verify", "log", "--json"]).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_json_of_the_specification() {
    let (status, stdout, _) = verify(&Sandbox::of("killed-index-ahead"), &["log", "--json"]);
    assert_eq!(status, 3);
    let mut stdout = stdout;
    for line in stdout.clone().lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        if let Some(message) = value.get("message") {
            stdout = stdout.replace(&message.to_string(), "\"...\"");
        }
    }
    assert_eq!(stdout, KILLED_INDEX_AHEAD);
}

#[test]
fn json_lines_all_parse_and_the_last_is_the_summary() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        for options in [&[][..], &["--service"], &["--quick"], &["-v"]] {
            let raw = case.starts_with("raw");
            if raw && options == ["--service"] {
                continue;
            }
            let lines = json(&sandbox, options);
            let summary = lines.last().unwrap();
            assert_eq!(summary["kind"], "summary", "{case}");
            let of = |severity| {
                let same = |line: &&Value| line.get("severity") == Some(&Value::from(severity));
                lines.iter().filter(same).count()
            };
            assert_eq!(summary["errors"], of("error"), "{case}");
            assert_eq!(summary["warnings"], of("warning"), "{case}");
            assert_eq!(summary["notes"], of("note"), "{case}");
            for line in &lines {
                let object = line.as_object().unwrap();
                assert!(!object.values().any(|v| v.is_object() || v.is_array()));
            }
        }
    }
}

#[test]
fn looking_changes_nothing() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let before = sandbox.snapshot();
        let beside: Vec<_> = std::fs::read_dir(sandbox.path()).unwrap().collect();
        for options in [
            &["log"][..],
            &["log", "--service"],
            &["log", "--quick", "-v"],
        ] {
            verify(&sandbox, options);
            assert_eq!(sandbox.snapshot(), before, "{case} {options:?}");
        }
        let after = std::fs::read_dir(sandbox.path()).unwrap().count();
        assert_eq!(after, beside.len(), "{case}");
    }
}

#[test]
fn a_pipe_gets_no_color_and_no_spaces_at_the_end() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        for options in [
            &["log"][..],
            &["log", "-v"],
            &["log", "--service"],
            &["log", "-q"],
        ] {
            let (_, stdout, _) = verify(&sandbox, options);
            for line in stdout.lines() {
                assert!(!line.contains('\x1b'), "{case}: color in a pipe");
                // xxd's columns may end in spaces.
                let hex = options.contains(&"-v");
                assert!(hex || line.trim_end() == line, "{case}: {line:?}");
            }
        }
    }
}

#[test]
fn quiet_says_nothing_when_all_is_well() {
    for case in [
        "clean-empty",
        "clean-three-segments",
        "gap-torn",
        "raw-clean",
    ] {
        for options in [
            &["-q", "log"][..],
            &["-q", "log", "--json"],
            &["-q", "log", "--quick"],
        ] {
            let quiet = verify(&Sandbox::of(case), options);
            assert_eq!(quiet, (0, String::new(), String::new()), "{case}");
        }
    }
    let (status, stdout, _) = verify(&Sandbox::of("killed-index-ahead"), &["-q", "log"]);
    assert_eq!(status, 3);
    assert!(
        stdout.starts_with("log: error index-dangling: "),
        "{stdout}"
    );
    assert!(stdout.contains("\nlog: warning index-padded: "), "{stdout}");
    assert!(!stdout.contains("service") && !stdout.contains("next "));
}

#[test]
fn strips_show_where_the_damage_is() {
    let strips = |case: &str| -> Vec<String> {
        let (_, stdout, _) = verify(&Sandbox::of(case), &["log"]);
        let cells = |line: &str| line.split_whitespace().any(|word| word.len() == 48);
        stdout
            .lines()
            .filter(|l| cells(l))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(
        strips("killed-index-ahead"),
        [
            "0.index  ###########!!!..................................  12288 bytes",
            "0.store  ###############################################!  12288 bytes",
        ]
    );
    assert_eq!(
        strips("length-flipped"),
        ["0.store  ###############!################################  2962 bytes"]
    );
    assert_eq!(strips("killed-three-segments").len(), 6);
    assert!(strips("segment-missing").is_empty());
}

#[test]
fn allowed_findings_do_not_count() {
    let sandbox = Sandbox::of("segment-missing");
    let allowed = |allow: &str| verify(&sandbox, &["log", "--allow", allow]);
    for allow in ["segment-gap", "segment-gap=20..40", "segment-gap=0..99"] {
        let (status, stdout, _) = allowed(allow);
        assert_eq!(status, 0, "{allow}");
        assert!(stdout.contains("segment-gap (allowed)"), "{stdout}");
        assert!(last_line(&stdout).starts_with("ok: "), "{stdout}");
        assert!(stdout.contains("1 finding allowed)"), "{stdout}");
    }
    for allow in ["segment-gap=20..39", "segment-gap=20", "index-padded"] {
        let (status, stdout, _) = allowed(allow);
        assert_eq!((status, last_line(&stdout)), (3, "1 error"), "{allow}");
    }
    let lines = json(&sandbox, &["--allow", "segment-gap"]);
    assert_eq!(lines[0]["allowed"], true);
    assert_eq!(lines.last().unwrap()["errors"], 0);
    let both = ["--allow", "index-dangling", "--allow", "index-padded"];
    let killed = Sandbox::of("killed-index-ahead");
    assert_eq!(json(&killed, &both).last().unwrap()["allowed"], 2);
    assert_eq!(verify(&killed, &[&["log"], &both[..2]].concat()).0, 3);
    assert_eq!(verify(&killed, &[&["log", "-q"], &both[..]].concat()).1, "");
}

#[test]
fn an_unknown_id_is_a_usage_error() {
    let sandbox = Sandbox::of("clean-empty");
    let (status, stdout, stderr) = verify(&sandbox, &["log", "--allow", "segmnt-gap=1..2"]);
    assert_eq!((status, stdout.as_str()), (2, ""));
    assert!(stderr.contains("did you mean segment-gap?"), "{stderr}");
    for range in ["segment-gap=2..1", "segment-gap=a..b", "segment-gap="] {
        assert_eq!(verify(&sandbox, &["log", "--allow", range]).0, 2, "{range}");
    }
}

#[test]
fn a_quick_look_ends_with_ok_so_far() {
    let (status, stdout, _) = verify(&Sandbox::of("clean-three-segments"), &["log", "--quick"]);
    assert_eq!(status, 0);
    assert!(last_line(&stdout).starts_with("ok so far: 3 segments, 60 records, offsets 0..59"));
    assert_eq!(
        verify(&Sandbox::of("killed-padding-only"), &["log", "--quick"]).0,
        3
    );
}

#[test]
fn one_segment_alone() {
    let sandbox = Sandbox::of("killed-three-segments");
    let lines = json(&sandbox, &["--segment", "235"]);
    assert_eq!(ids(&lines), ["index-dangling", "index-padded"]);
    assert_eq!(lines[0]["first_offset"], 390);
    let (status, _, stderr) = verify(&sandbox, &["log", "--segment", "7"]);
    assert_eq!(
        (status, stderr.as_str()),
        (
            2,
            "error: log: no segment begins at 7\nhint: proglog info log\n"
        )
    );
}

#[test]
fn the_limit_that_the_service_has() {
    let sandbox = Sandbox::of("clean-one-segment");
    let lines = json(&sandbox, &["--max-index-bytes", "1K"]);
    assert_eq!(ids(&lines), ["index-over-limit"]);
    let wedged = Sandbox::of("wedged");
    wedged.cut("0.store", 1178);
    assert!(ids(&json(&wedged, &[])).is_empty());
    let lines = json(&wedged, &["--max-index-bytes", "1024"]);
    assert_eq!(ids(&lines), ["index-full"]);
    assert!(ids(&json(&wedged, &["--max-index-bytes", "2048"])).is_empty());
}

#[test]
fn hex_lines_mark_the_bytes_in_question() {
    let (_, stdout, _) = verify(&Sandbox::of("length-flipped"), &["log", "-v"]);
    let expected = "         000003a0: 6e73 756d 6572 1013 0000 4000 0000 0000  nsumer....@.....\n";
    let hex: Vec<&str> = stdout
        .lines()
        .filter(|line| line.contains("000003a0:"))
        .collect();
    assert_eq!(hex.len(), 1, "{stdout}");
    assert_eq!(hex[0].len(), expected.trim_end().len(), "{stdout}");
    assert!(stdout.contains("^^"), "{stdout}");
    assert!(
        !verify(&Sandbox::of("length-flipped"), &["log"])
            .1
            .contains("000003a0:")
    );
}

#[test]
fn the_services_view_of_sound_logs() {
    for case in [
        "clean-one-segment",
        "clean-three-segments",
        "clean-empty",
        "raft-log",
    ] {
        let (status, stdout, _) = verify(&Sandbox::of(case), &["log", "--service"]);
        assert_eq!(status, 0, "{case}: {stdout}");
        assert!(stdout.contains("first edition") && stdout.contains("later edition"));
    }
    let sandbox = Sandbox::of("clean-one-segment");
    let small = ["log", "--service", "--max-index-bytes", "1200"];
    let (status, stdout, _) = verify(&sandbox, &small);
    assert_eq!(status, 3, "{stdout}");
    assert!(stdout.contains("does not start"), "{stdout}");
    let (status, _, stderr) = verify(&Sandbox::of("raw-clean"), &["log", "--service"]);
    assert_eq!(status, 2, "{stderr}");
}

#[test]
fn a_closed_pipe_keeps_the_status() {
    for (case, status) in [("killed-index-ahead", 3), ("clean-one-segment", 0)] {
        for options in [&["log"][..], &["log", "--json"]] {
            let sandbox = Sandbox::of(case);
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("proglog"))
                .current_dir(sandbox.path())
                .arg("verify")
                .args(options)
                .stdout(Stdio::from(writer))
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(status), "{case}");
            assert!(output.stderr.is_empty(), "{case}: {:?}", output.stderr);
        }
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let sandbox = Sandbox::of("clean-one-segment");
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("proglog"))
        .current_dir(sandbox.path())
        .args(["verify", "log"])
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: cannot write to stdout: "),
        "{stderr}"
    );
}

#[test]
fn what_is_no_log() {
    let sandbox = Sandbox::of("clean-three-segments");
    let (status, stdout, stderr) = verify(&sandbox, &["log/21.index"]);
    assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
    let (status, _, stderr) = verify(&sandbox, &["log/23.index"]);
    assert_eq!(status, 2);
    assert!(
        stderr.ends_with("hint: proglog verify log --segment 23\n"),
        "{stderr}"
    );
    let (status, _, stderr) = verify(&sandbox, &["."]);
    assert_eq!(status, 2);
    assert!(
        stderr.contains("is not a log: it has no .store or .index file"),
        "{stderr}"
    );
    let (status, _, stderr) = verify(&sandbox, &["none"]);
    assert_eq!(
        (status, stderr.as_str()),
        (2, "error: none: no such directory\n")
    );
}

#[test]
fn a_directory_that_cannot_be_read() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: root reads every directory");
        return;
    }
    let sandbox = Sandbox::of("clean-one-segment");
    let mode = |mode| std::fs::set_permissions(sandbox.log(), PermissionsExt::from_mode(mode));
    mode(0o000).unwrap();
    let (status, _, stderr) = verify(&sandbox, &["log"]);
    mode(0o755).unwrap();
    assert_eq!(status, 2);
    assert!(stderr.starts_with("error: log: cannot list: "), "{stderr}");
}

#[test]
fn names_do_not_drive_the_terminal() {
    let sandbox = Sandbox::of("clean-one-segment");
    sandbox.write("a\x1b[2J\u{202e}\u{9b}b\n", b"");
    for options in [&["log"][..], &["log", "--json"], &["log", "-q", "-v"]] {
        let (status, stdout, _) = verify(&sandbox, options);
        assert_eq!(status, 3);
        let drives = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!stdout.contains(drives), "{stdout:?}");
    }
    let lines = json(&sandbox, &[]);
    assert_eq!(lines[0]["file"], "a\x1b[2J\u{202e}\u{9b}b\n");
    // The command to type is one that a shell takes.
    let remedy = lines[0]["remedy"].as_str().unwrap();
    let status = std::process::Command::new("bash")
        .current_dir(sandbox.path())
        .args(["-c", remedy])
        .status();
    if status.is_ok_and(|status| status.success()) {
        assert!(ids(&json(&sandbox, &[])).is_empty());
    } else {
        eprintln!("SKIPPED: no bash to try the remedy");
    }
}

#[test]
fn color_only_where_it_is_wanted() {
    let sandbox = Sandbox::of("killed-index-ahead");
    assert!(!verify(&sandbox, &["log"]).1.contains('\x1b'));
    let colored = verify(&sandbox, &["log", "--color", "always"]).1;
    assert!(
        colored.contains("\x1b[1;31merror\x1b[0m    index-dangling"),
        "{colored}"
    );
    let mut plain = colored;
    for code in [
        "\x1b[0m",
        "\x1b[1;31m",
        "\x1b[1;33m",
        "\x1b[1;32m",
        "\x1b[1;36m",
    ] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, verify(&sandbox, &["log"]).1);
}

#[test]
fn remedies_name_the_real_path() {
    let sandbox = Sandbox::of("killed-padding-only");
    std::fs::rename(sandbox.log(), sandbox.path().join("my log's")).unwrap();
    let (_, stdout, _) = verify(&sandbox, &["my log's"]);
    let command = r"next     proglog repair 'my log'\''s' --dry-run";
    assert!(stdout.contains(command), "{stdout}");
}

#[test]
fn a_log_in_use_is_not_called_damaged() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let writer = File::options()
        .write(true)
        .open(sandbox.file("0.index"))
        .unwrap();
    let (status, stdout, _) = verify(&sandbox, &["log"]);
    drop(writer);
    if !stdout.lines().next().unwrap().contains("in use by") {
        eprintln!("SKIPPED: the kernel does not tell who has a file open here");
        return;
    }
    assert_eq!(status, 0, "{stdout}");
    assert!(stdout.contains("note     index-dangling"), "{stdout}");
    // 300 records: those in the buffer count.
    assert!(stdout.contains("highest offset is not 299"), "{stdout}");
}

#[test]
fn many_places_of_one_id_are_counted() {
    let sandbox =
        Sandbox::built(&LogBuilder::protobuf().segment(0, (0..200).map(|n| n.to_string())));
    for slot in (0..100).map(|n| n * 2 + 1) {
        sandbox.flip("0.index", (slot * 12 + 11) * 8 + 6);
    }
    let (status, stdout, _) = verify(&sandbox, &["log"]);
    assert_eq!(status, 3);
    assert!(
        stdout.contains("... and 76 more (--json lists all)"),
        "{stdout}"
    );
    assert_eq!(json(&sandbox, &[]).len(), 102);
    assert_eq!(last_line(&stdout), "100 errors");
}
