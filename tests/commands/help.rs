//! The help of every command, the completions and the man pages: all made from one
//! table, and so held to one order.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, writes its own files, and says what it skips"
)]

use std::fs;
use std::process::{Command, Stdio};

use proglog_testkit::proglog;

/// Stdout of a command that ends well.
fn stdout(arguments: &[&str]) -> String {
    let output = proglog().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All commands, as the man page of the whole lists them.
fn commands() -> Vec<String> {
    let page = stdout(&["man"]).replace("\\-", "-");
    let names: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("proglog-")?.strip_suffix("(1)"))
        .map(str::to_owned)
        .collect();
    assert!(names.len() > 10, "{page}");
    names
}

#[test]
fn help_is_in_one_order() {
    for command in commands() {
        let help = stdout(&[&command, "--help"]);
        let mut lines = help.lines();
        assert!(lines.next().is_some_and(|line| !line.is_empty()), "{help}");
        assert_eq!(lines.next(), Some(""), "{command}");
        let parts = [
            "Examples:\n",
            "\nUsage: ",
            "\nOptions:\n",
            "\nExit status:\n",
        ];
        let places: Vec<Option<usize>> = parts.iter().map(|part| help.find(part)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{command}: {places:?}: examples are its before_help, notes its after_help\n{help}"
        );
        let (_, examples) = help.split_once("Examples:\n").unwrap();
        let (examples, _) = examples.split_once("\n\n").unwrap();
        let indented = examples.lines().all(|line| line.starts_with("  "));
        assert!(
            indented && examples.lines().count() >= 2,
            "{command}: {examples}"
        );
        assert!(
            examples.contains(&format!("proglog {command}")),
            "{examples}"
        );
        assert!(
            help.ends_with("\n  4  in use by another process\n"),
            "{help}"
        );
        for line in help.lines() {
            assert!(line.len() <= 80, "{command}: {line}");
        }
        assert_eq!(stdout(&[&command, "-h"]), help, "{command}");
        assert_eq!(stdout(&["help", &command]), help, "{command}");
    }
}

#[test]
fn the_short_help_names_every_command_but_those_for_packagers() {
    let help = stdout(&["--help"]);
    for command in commands() {
        let words: Vec<&str> = help.split_whitespace().collect();
        let packagers = ["completions", "man"].contains(&command.as_str());
        assert_eq!(words.contains(&command.as_str()), !packagers, "{command}");
    }
    assert!(help.lines().all(|line| line.len() <= 80), "{help}");
}

#[test]
fn misspelled_words_are_guessed() {
    for (arguments, guess) in [
        (&["read", "log", "--formt", "x"][..], "'--format'"),
        (
            &["append", "log", "--exepct-offset", "1"],
            "'--expect-offset'",
        ),
        (&["append", "log", "--input", "nul"], "'null'"),
    ] {
        let output = proglog().args(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains("similar") && stderr.contains(guess),
            "{stderr}"
        );
    }
}

#[test]
fn a_word_of_the_command_line_drives_no_terminal() {
    for arguments in [
        &["read", "a", "b\x1b]0;x\x07"][..],
        &["\x1b[2J"],
        &["--\x1b[2J"],
    ] {
        // Color is what clap prints escapes with.
        let output = proglog()
            .args(arguments)
            .env("CLICOLOR_FORCE", "1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let control = |&byte: &u8| byte.is_ascii_control() && byte != b'\n';
        assert!(!output.stderr.iter().any(control), "{:?}", output.stderr);
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell}: no {command}");
        }
        for option in [
            "expect-offset",
            "on-error",
            "keep-segments",
            "max-index-bytes",
        ] {
            assert!(script.contains(option), "{shell}: no {option}");
        }
        parses(shell, &script);
    }
    let output = proglog().args(["completions", "csh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// Lets a shell that is here read a script without running it.
fn parses(shell: &str, script: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("script");
    fs::write(&path, script).unwrap();
    let checked = Command::new(shell).arg("-n").arg(&path).output();
    let Ok(output) = checked else {
        eprintln!("SKIPPED, {shell} is not here");
        return;
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
}

/// What bash completes, as somebody types it.
#[test]
fn bash_completes_commands_and_options() {
    let script = stdout(&["completions", "bash"]);
    let complete = |words: &str, at: usize| {
        let typed = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={at}\n\
             _proglog proglog \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &typed])
            .stdin(Stdio::null())
            .output()
            .expect("bash");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("proglog ver", 1), "verify\n");
    assert_eq!(complete("proglog append --expe", 2), "--expect-offset\n");
    assert_eq!(complete("proglog completions z", 2), "zsh\n");
}

#[test]
fn each_command_has_a_man_page() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("share/man1");
    // The second time they are replaced.
    for _ in 0..2 {
        stdout(&["man", "--out", out.to_str().unwrap()]);
    }
    let mut expected: Vec<String> = commands()
        .iter()
        .map(|name| format!("proglog-{name}.1"))
        .collect();
    expected.push("proglog.1".to_owned());
    expected.sort();
    let mut written: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    assert_eq!(written, expected);
    for name in written {
        let page = fs::read_to_string(out.join(&name)).unwrap();
        for part in ["NAME", "SYNOPSIS", "EXAMPLES", "OPTIONS", "\"EXIT STATUS\""] {
            assert!(
                page.contains(&format!("\n.SH {part}\n")),
                "{name}: no {part}\n{page}"
            );
        }
        renders(&out.join(&name));
    }
    let page = fs::read_to_string(out.join("proglog-verify.1")).unwrap();
    assert_eq!(stdout(&["man", "verify"]), page);
    let unknown = proglog().args(["man", "verfy"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

/// Lets man or mandoc, if one is here, print a page.
fn renders(path: &std::path::Path) {
    for (program, arguments) in [
        ("mandoc", &["-T", "lint", "-W", "error"][..]),
        ("man", &["--warnings", "-l"]),
    ] {
        let run = Command::new(program)
            .args(arguments)
            .arg(path)
            .env("MANPAGER", "cat")
            .env("MANROFFSEQ", "")
            .env("LC_ALL", "C.UTF-8")
            .output();
        let Ok(output) = run else { continue };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && stderr.is_empty(),
            "{program} {}: {stderr}",
            path.display()
        );
        return;
    }
    eprintln!("SKIPPED, neither mandoc nor man is here");
}
