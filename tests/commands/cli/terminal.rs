//! On a terminal and in a pipe: color, width, progress, and input from the keyboard.

use std::process::{Command, Output};

use proglog_testkit::{Sandbox, run};

use super::twenty;

/// Runs a line of shell on a terminal; `None` if `script` is missing.
pub fn on_terminal(sandbox: &Sandbox, line: &str, environment: &[(&str, &str)]) -> Option<String> {
    let mut command = Command::new("timeout");
    command
        .args(["30", "script", "-qec", line, "/dev/null"])
        .stdin(std::process::Stdio::null())
        .current_dir(sandbox.path())
        .env("P", proglog_testkit::proglog().get_program())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(environment.iter().copied());
    let Ok(Output { status, stdout, .. }) = command.output() else {
        eprintln!("SKIPPED, timeout is not here");
        return None;
    };
    if status.code() == Some(127) {
        eprintln!("SKIPPED, script is not here");
        return None;
    }
    Some(String::from_utf8_lossy(&stdout).replace('\r', ""))
}

#[test]
fn one_rule_says_what_is_in_color() {
    let sandbox = Sandbox::of("killed-index-ahead");
    // Help, clap's error, ours, and a result.
    for command in ["read --help", "verfy", "verify missing", "verify log"] {
        for (environment, choice, terminal, pipe) in [
            (&[][..], "auto", true, false),
            (&[("NO_COLOR", "1")], "auto", false, false),
            (&[("NO_COLOR", "")], "auto", true, false),
            (&[("TERM", "dumb")], "auto", false, false),
            (&[("CLICOLOR_FORCE", "1")], "auto", true, false),
            (&[("CLICOLOR", "0")], "auto", true, false),
            (&[], "never", false, false),
            (&[("CLICOLOR_FORCE", "1")], "never", false, false),
            (&[("NO_COLOR", "1")], "always", true, true),
        ] {
            let line = format!("$P --color {choice} {command}");
            let Some(seen) = on_terminal(&sandbox, &line, environment) else {
                return;
            };
            assert_eq!(
                seen.contains('\u{1b}'),
                terminal,
                "{line} {environment:?}: {seen:?}"
            );
            let output = sandbox
                .proglog()
                .args(["--color", choice])
                .args(command.split(' '))
                .env("TERM", "xterm")
                .envs(environment.iter().copied())
                .output()
                .unwrap();
            let printed = [output.stdout, output.stderr].concat();
            assert_eq!(
                printed.contains(&0x1b),
                pipe,
                "{line} {environment:?} in a pipe"
            );
        }
    }
}

#[test]
fn text_is_wrapped_on_a_terminal_only() {
    let sandbox = Sandbox::of("killed-three-segments");
    let commands = [
        "verify log",
        "info log",
        "repair log --dry-run",
        "salvage log new --dry-run",
        "explain",
        "explain index-dangling",
        "diff log log",
        "append log --max-store-bytes many",
        "read log 5 --from 7",
        "read log --until-idle many",
        "verify log --allow gaps",
    ];
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let (_, stdout, stderr) = run(&sandbox, &words);
        let piped = stdout + &stderr;
        for width in [40, 100] {
            let line = format!("stty cols {width}; $P --color never {command}");
            let Some(seen) = on_terminal(&sandbox, &line, &[]) else {
                return;
            };
            for line in seen.lines() {
                assert!(line.chars().count() <= width, "{command}: {width}: {line}");
            }
            // At spaces only: the same words.
            let unbroken = |text: &str| {
                let words = text.split_whitespace().filter(|it| *it != "\\");
                let words = words.filter(|it| !it.starts_with(['#', '!', '.']));
                words.map(str::to_owned).collect::<Vec<_>>()
            };
            if command != "info log" {
                assert_eq!(unbroken(&seen), unbroken(&piped), "{command}: {width}");
            }
        }
    }
    let clean = Sandbox::of("clean-three-segments");
    let seen = on_terminal(&clean, "stty cols 40; $P verify log", &[]).unwrap();
    let seen = seen.replace("\u{1b}[1;32m", "").replace("\u{1b}[0m", "");
    assert!(seen.lines().all(|line| line.len() <= 40), "{seen:?}");
    // In a pipe a finding is a line.
    let (_, piped, _) = run(&sandbox, &["verify", "log"]);
    let whole = |line: &str| line.contains("0.index 1920+900: ") && line.contains("and has 8192");
    assert!(piped.lines().any(whole), "{piped}");
}

#[test]
fn an_append_from_the_keyboard_says_what_it_waits_for() {
    let sandbox = twenty();
    let note = "reading records from the terminal";
    let Some(seen) = on_terminal(&sandbox, "timeout 10 $P append log", &[]) else {
        return;
    };
    assert!(
        seen.contains(&format!("{note}, one per line; Ctrl-D ends")),
        "{seen:?}"
    );
    let seen = on_terminal(&sandbox, "timeout 10 $P append log -0", &[]).unwrap();
    assert!(seen.contains(&format!("{note}; Ctrl-D ends")), "{seen:?}");
    for quiet in [
        "timeout 10 $P append log -q",
        "echo a | timeout 10 $P append log",
    ] {
        let seen = on_terminal(&sandbox, quiet, &[]).unwrap();
        assert!(!seen.contains(note), "{quiet}: {seen:?}");
    }
    let seen = on_terminal(&sandbox, "timeout 10 $P verify log --manifest -", &[]).unwrap();
    assert!(
        seen.contains("reading the manifest from the terminal"),
        "{seen:?}"
    );
}

/// Delays each positioned read. Units of the delay: microseconds.
const SLOWED: &str =
    "strace -f -qq -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=50000";

/// A bar needs a second of work: each read of the log takes longer than usual.
#[test]
fn long_work_shows_how_far_it_is() {
    if std::process::Command::new("strace")
        .arg("-V")
        .output()
        .is_err()
    {
        proglog_testkit::report("progress: SKIPPED, no strace here");
        return;
    }
    let sandbox = Sandbox::empty();
    let records: Vec<String> = (0..400_000).map(|n| format!("record {n}")).collect();
    let records = records.join("\n");
    let append = ["append", "log", "--no-sync"];
    let (status, _, stderr) = super::run_with(&sandbox, &append, &records);
    assert_eq!(status, 0, "{stderr}");
    let (_, manifest, _) = run(&sandbox, &["manifest", "log"]);
    std::fs::write(sandbox.path().join("kept"), manifest).unwrap();
    for (verb, command) in [
        ("salvage", "$P salvage log new"),
        ("manifest", "$P manifest log >m"),
        ("dump-store", "$P dump-store log >d"),
        ("dump-index", "$P dump-index log >d"),
        ("verify", "$P verify log --manifest kept"),
    ] {
        let line = format!("stty cols 80; {SLOWED} {command}");
        let Some(seen) = on_terminal(&sandbox, &line, &[]) else {
            return;
        };
        let bar = format!("{verb} [");
        // The first one is drawn before anything was counted.
        let parts = seen.split(['\n', '\u{1b}']);
        let bars: Vec<&str> = parts
            .filter_map(|part| part.find(&bar).map(|at| &part[at..]))
            .collect();
        let tells = bars.iter().any(|it| it.trim_end().ends_with(" left"));
        assert!(tells, "{verb}: {seen:?}");
        assert!(bars.iter().all(|it| it.chars().count() <= 80), "{bars:?}");
    }
}
