//! Hints: a line is a sentence without a command, or a command that runs as it is.

use proglog_testkit::{LogBuilder, Sandbox, cases};

use super::{run_with, twenty, words};

/// First words of the commands in hints.
const COMMANDS: &[&str] = &["proglog", "mv", "rm", "echo", "tail", "chmod", "cargo"];

/// What a shell and clap answer to a line that is not a command.
const UNUSABLE: &[&str] = &[
    "Usage:",
    "error: unexpected argument",
    "error: invalid value",
    "is not a command",
    "bash: ",
    "no such directory",
    "No such file",
    "missing operand",
];

/// Runs a command and checks each of its hints in the same place. Returns how many name a
/// command.
fn check(sandbox: &Sandbox, arguments: &[&str], stdin: &str) -> usize {
    let output = sandbox
        .proglog()
        .args(arguments)
        .write_stdin(stdin)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let hints = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("hint: "));
    let mut commands = 0;
    for hint in hints {
        let first = hint.split(' ').next().unwrap();
        if !COMMANDS.contains(&first) {
            assert!(!hint.contains("proglog "), "{arguments:?}: {hint}");
            continue;
        }
        commands += 1;
        let is_elsewhere = first == "cargo";
        if is_elsewhere {
            continue;
        }
        let binary = assert_cmd::cargo::cargo_bin("proglog");
        let path = format!(
            "{}:{}",
            binary.parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        // What follows a log ends by itself after a while.
        let output = std::process::Command::new("timeout")
            .args(["1", "bash", "-c", hint])
            .env("PATH", path)
            .current_dir(sandbox.path())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let unusable = UNUSABLE.iter().find(|it| said.contains(**it));
        assert!(
            unusable.is_none() && output.status.code() != Some(127),
            "{arguments:?}: {hint}: {said}"
        );
    }
    commands
}

#[test]
fn a_command_in_a_hint_is_complete_and_alone() {
    let mut commands = 0;
    for case in cases() {
        for command in [
            "read log",
            "read log -r",
            "read log --json -- cat",
            "append log --no-recover",
            "append log --codec raw",
            "append log --codec protobuf",
            "salvage log new",
            "salvage log .",
            "trim log --before 900000",
            "truncate-index log",
            "manifest log",
            "diff log log",
            "verify log --service",
            "verify log/0.index",
            "verify log --segment 77",
            "dump-index log/0.store",
            "dump-index log --position 5",
            "info log/0.store",
            "undo log",
            "repair log",
        ] {
            commands += check(&Sandbox::of(&case), &words(command), "x\n");
        }
    }
    assert!(commands > 100, "{commands}");
}

#[test]
fn hints_about_options_are_complete_commands() {
    let sandbox = twenty();
    std::fs::write(sandbox.path().join("input"), "{\"value\":\"a\"}\nx\n").unwrap();
    std::fs::write(sandbox.path().join("past"), "99\n").unwrap();
    for (command, expected) in [
        ("read log 5 -c 3", "proglog read log 5.. -c 3"),
        ("read log --offset 5 -n 2", "proglog read log -n 2"),
        ("read log --offset 5 --to 9", "proglog read log 5..9"),
        ("read log 5 -f", "proglog read log 5.. -c 1 -f"),
        ("read log 5 -- cat", "proglog read log 5"),
        ("read log -r -f", "proglog read log -r"),
        (
            "read log --until-idle 1",
            "proglog read log --until-idle 1 -f",
        ),
        ("read log --cursor-file past", "echo 20 > past"),
        ("tail -n 2 log", "proglog read -n 2 log"),
        ("cat log", "proglog read log"),
        ("ls log", "proglog info log"),
        ("verfy log", "proglog verify log"),
        ("grep x log", "proglog read --help"),
        ("apend log", "proglog append --help"),
        ("nonsense", "proglog --help"),
        ("read log --nonsense", "proglog read --help"),
        ("read", "proglog read --help"),
        ("man nonsense", "proglog --help"),
        ("verify log --segment 5", "proglog info log"),
        ("dump-store log --segment 5", "proglog info log"),
        ("truncate-index log --segment 5", "proglog info log"),
        (
            "dump-store log --position 5",
            "proglog dump-store log --position 5 --segment 10",
        ),
        (
            "append log --input json input",
            "tail -n +2 input | proglog append log --input json --expect-offset 21",
        ),
    ] {
        let (_, _, stderr) = run_with(&sandbox, &words(command), "");
        let line = format!("hint: {expected}\n");
        assert!(stderr.contains(&line), "{command}: {stderr}");
        // One way to say it.
        assert!(!stderr.contains("tip:"), "{command}: {stderr}");
        assert!(
            !stderr.contains("For more information"),
            "{command}: {stderr}"
        );
        check(&sandbox, &words(command), "");
    }
}

#[test]
fn names_are_quoted_so_that_hints_can_be_pasted() {
    let values = (0..9).map(|n| format!("value {n}"));
    for name in ["my log", "-log", "it's", "a;b", "$HOME", "a\tb"] {
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, values.clone()));
        sandbox.cut("0.store", 40);
        std::fs::rename(sandbox.log(), sandbox.path().join(name)).unwrap();
        let typed = format!("./{name}");
        let mut commands = check(&sandbox, &["read", &typed], "");
        commands += check(&sandbox, &["append", &typed, "--no-recover"], "x\n");
        commands += check(&sandbox, &["read", &typed, "5", "-c", "3"], "");
        commands += check(&sandbox, &["read", "--json", "--", name], "");
        assert!(commands > 4, "{name}: {commands}");
    }
}

#[test]
fn a_log_in_use_is_waited_for_by_the_same_command() {
    let sandbox = twenty();
    let mut child = super::names::holder(&sandbox, "exec 9>>log/10.store; exec sleep 60");
    for (command, hint) in [
        ("append log --wait=0 -d ,", "proglog append log -d , --wait"),
        ("append log --wait 0s", "proglog append log --wait"),
        ("trim log --after 3", "proglog trim log --after 3 --wait"),
        ("repair log -q", "proglog repair log -q --wait"),
        ("truncate-index log", "proglog truncate-index log --wait"),
    ] {
        for stdin in ["", "x\n"] {
            let (status, stdout, stderr) = run_with(&sandbox, &words(command), stdin);
            assert_eq!((status, stdout.as_str()), (4, ""), "{command}: {stderr}");
            let line = format!("hint: {hint}\n");
            assert!(stderr.contains(&line), "{command}: {stderr}");
        }
    }
    // The new log of a salvage lacks what comes now.
    let (_, _, stderr) = run_with(&sandbox, &words("salvage log new"), "");
    let holder = format!("in use by sleep (PID {}): ", child.id());
    assert!(stderr.starts_with(&holder), "{stderr}");
    child.kill().unwrap();
    child.wait().unwrap();
}
