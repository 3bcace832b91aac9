//! Findings and JSON objects name their log; several logs in one call; one name for one
//! thing.

use proglog_testkit::{Sandbox, cases, json, run};

use super::{commands, words};

/// Two damaged logs and a clean one in one sandbox: `log`, `second`, `clean`.
fn three_logs() -> Sandbox {
    let sandbox = Sandbox::of("killed-index-ahead");
    for (case, name) in [
        ("store-zero-tail", "second"),
        ("clean-one-segment", "clean"),
    ] {
        let other = Sandbox::of(case);
        std::fs::create_dir(sandbox.path().join(name)).unwrap();
        for file in other.names() {
            std::fs::copy(other.file(&file), sandbox.path().join(name).join(file)).unwrap();
        }
    }
    sandbox
}

#[test]
fn every_finding_and_every_object_names_its_log() {
    for case in cases() {
        for command in [
            "verify log --json",
            "verify log --json -q",
            "verify log --json --service",
            "info log --json --sizes",
            "repair log --json --dry-run",
            "trim log --json --dry-run --after 5",
            "truncate-index log --json --dry-run",
            "dump-index log --json",
            "dump-store log --json",
            "salvage log new --json --dry-run --prefer old",
            "diff log log --json",
            "diff log log --json --files",
            "append log --json",
            "undo log --json --dry-run",
            "repair log --json",
        ] {
            let (_, stdout, _) = run(&Sandbox::of(&case), &words(command));
            for object in json(&stdout) {
                assert_eq!(object["log"], "log", "{case}: {command}: {object}");
            }
        }
        let (status, stdout, _) = run(&Sandbox::of(&case), &words("verify log -q"));
        assert_eq!(stdout.is_empty(), status != 3, "{case}: {stdout}");
        for line in stdout.lines() {
            assert!(
                line.starts_with("log: error ") || line.starts_with("log: warning "),
                "{case}: {line}"
            );
        }
    }
}

#[test]
fn several_logs_in_one_call() {
    let sandbox = three_logs();
    let (status, stdout, _) = run(&sandbox, &words("verify clean log second"));
    assert_eq!(status, 3);
    for heading in ["clean: 1 segment", "log: 1 segment", "second: 1 segment"] {
        let begins = |line: &&str| line.starts_with(heading);
        assert_eq!(stdout.lines().filter(begins).count(), 1, "{stdout}");
    }
    assert_eq!(run(&sandbox, &words("verify clean clean")).0, 0);

    let (status, stdout, _) = run(&sandbox, &words("verify -q clean log second"));
    assert_eq!(status, 3);
    let logs: Vec<&str> = stdout
        .lines()
        .filter_map(|it| it.split(':').next())
        .collect();
    assert!(
        logs.contains(&"log") && logs.contains(&"second"),
        "{stdout}"
    );
    assert!(!logs.contains(&"clean"), "{stdout}");

    for command in [
        "verify clean log second --json",
        "info clean log second --json",
    ] {
        let (_, stdout, _) = run(&sandbox, &words(command));
        let objects = json(&stdout);
        let summaries = objects.iter().filter(|it| it["kind"] == "summary");
        let logs: Vec<&str> = summaries.map(|it| it["log"].as_str().unwrap()).collect();
        assert_eq!(logs, ["clean", "log", "second"], "{command}");
    }
    let (status, stdout, _) = run(&sandbox, &words("info clean log second"));
    assert_eq!(status, 0);
    for heading in ["clean:\n", "\nlog:\n", "\nsecond:\n"] {
        assert!(stdout.contains(heading), "{stdout}");
    }
    // A log that is not there outweighs damage, and the others are still checked.
    for command in [
        "verify missing log",
        "verify log missing",
        "info log missing clean",
    ] {
        let (status, stdout, stderr) = run(&sandbox, &words(command));
        assert_eq!(status, 2, "{command}");
        assert!(stderr.contains("missing: no such directory"), "{stderr}");
        assert!(stdout.contains("log"), "{stdout}");
    }
    let (status, _, stderr) = run(&sandbox, &words("verify clean log --manifest -"));
    assert_eq!(status, 2, "{stderr}");
}

#[test]
fn one_thing_has_one_name() {
    let sandbox = Sandbox::of("killed-index-ahead");
    for command in commands() {
        let (_, help, _) = run(&sandbox, &[&command, "--help"]);
        let has_codec = help.contains("--codec");
        let without = ["explain", "completions", "man", "undo", "pull"];
        // Without its feature a command has no options.
        let is_absent = help.contains("This proglog was built without");
        let expected = !without.contains(&command.as_str()) && !is_absent;
        assert_eq!(has_codec, expected, "{command}");
        if has_codec && command != "append" {
            let text = help.split_whitespace().collect::<Vec<_>>().join(" ");
            let line = "--codec <CODEC> Read the payloads as raw or protobuf [default: detected]";
            assert!(text.contains(line), "{command}: {help}");
        }
    }
    // A field has one type in all commands.
    let mut types = std::collections::BTreeMap::new();
    for case in cases() {
        for command in [
            "verify log --json --service",
            "info log --json --sizes",
            "dump-index log --json",
            "dump-store log --json",
            "repair log --json --dry-run",
            "trim log --json --dry-run --after 5",
            "salvage log new --json --dry-run --prefer old",
            "diff log log --json",
            "manifest log --json",
            "read log --json -c 2",
        ] {
            let (_, stdout, _) = run(&Sandbox::of(&case), &words(command));
            for object in json(&stdout) {
                for (name, value) in object.as_object().unwrap() {
                    // A digest, or a number, as the finding's id has it.
                    let by_kind = ["got", "expected"].contains(&name.as_str());
                    if value.is_null() || by_kind {
                        continue;
                    }
                    let sort = std::mem::discriminant(value);
                    let first = types.entry(name.clone()).or_insert((sort, command));
                    assert_eq!(first.0, sort, "{name}: {} and {command}", first.1);
                }
            }
        }
    }
    let (_, stdout, _) = run(&sandbox, &words("dump-store log"));
    assert!(
        stdout.contains("EMBEDDED") && !stdout.contains("CARRIES"),
        "{stdout}"
    );
}

/// Starts something that holds a log, and gives its process.
pub fn holder(sandbox: &Sandbox, script: &str) -> std::process::Child {
    let child = std::process::Command::new("bash")
        .args(["-c", script])
        .current_dir(sandbox.path())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    child
}

#[test]
fn the_holder_of_a_log_has_one_name() {
    for script in [
        "exec 9>>log/0.store; exec sleep 60",
        "exec flock log sleep 60",
    ] {
        let sandbox = Sandbox::of("clean-one-segment");
        let mut child = holder(&sandbox, script);
        let program = if script.contains("flock") {
            "flock"
        } else {
            "sleep"
        };
        let name = format!("{program} (PID {})", child.id());
        for command in [
            "repair log --wait=0",
            "trim log --after 3 --wait=0",
            "truncate-index log --wait=0",
            "append log --wait=0",
        ] {
            let (status, _, stderr) = run(&sandbox, &words(command));
            assert_eq!(status, 4, "{script}: {command}: {stderr}");
            let told = stderr.contains(&format!("in use by {name}"));
            assert!(
                told && stderr.contains("hint: proglog ") && stderr.ends_with(" --wait\n"),
                "{script}: {command}: {stderr}"
            );
        }
        let (_, stdout, _) = run(&sandbox, &words("verify log"));
        assert!(
            stdout.contains(&format!("in use by {name}")),
            "{script}: {stdout}"
        );
        let (_, stdout, _) = run(&sandbox, &words("info log"));
        assert!(
            stdout.contains(&format!("yes, by {name}")),
            "{script}: {stdout}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn quiet_dumps_print_entries_and_frames_only() {
    for case in cases() {
        for command in ["dump-index log", "dump-store log"] {
            let sandbox = Sandbox::of(&case);
            let (_, all, _) = run(&sandbox, &words(command));
            let (status, quiet, _) = run(&sandbox, &[&words(command)[..], &["-q"]].concat());
            assert_eq!(status, 0);
            for line in quiet.lines() {
                let is_heading = line.contains("OFFSET") || line.contains("shown");
                let is_file = line.contains(".store: ") || line.contains(".index: ");
                assert!(
                    !is_heading && !is_file && !line.is_empty(),
                    "{case}: {command}: {line}"
                );
                assert!(
                    all.lines().any(|it| it == line),
                    "{case}: {command}: {line}"
                );
            }
        }
    }
}

#[test]
fn records_behind_the_end_are_missing_and_not_changed() {
    let sandbox = super::twenty();
    let (_, manifest, _) = run(&sandbox, &["manifest", "log"]);
    std::fs::write(sandbox.path().join("m"), manifest).unwrap();
    assert_eq!(run(&sandbox, &words("trim log --after 14")).0, 0);
    let (status, stdout, _) = run(&sandbox, &words("verify log --manifest m --json"));
    assert_eq!(status, 3);
    let finding = &json(&stdout)[0];
    assert_eq!(finding["id"], "records-missing");
    assert_eq!(
        (&finding["first_offset"], &finding["last_offset"]),
        (&15.into(), &19.into())
    );
    assert_eq!(finding["records"], 5);
    assert!(!stdout.contains("record-changed"), "{stdout}");
    let allowed = "verify log --manifest m --allow records-missing=-1..19";
    assert_eq!(run(&sandbox, &words(allowed)).0, 0);
}
