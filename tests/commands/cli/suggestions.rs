//! What a mistyped command, option or format is answered with.

use proglog_testkit::run;

use super::{twenty, words};

/// The commands that write somewhere.
const WRITING: &[&str] = &[
    "append",
    "pull",
    "repair",
    "salvage",
    "trim",
    "truncate-index",
    "undo",
];

/// Words that are no command: near to one, from other tools, and plain nonsense.
const WORDS: &[&str] = &[
    "grep", "search", "rep", "rm", "trm", "tail", "fix", "recover", "vacuum", "compact", "push1",
    "trash", "salv", "appendix", "und", "repare", "apend", "truncate", "pul", "produce", "x",
];

#[test]
fn no_suggestion_is_a_command_that_writes() {
    let sandbox = twenty();
    for word in WORDS {
        let (status, _, stderr) = run(&sandbox, &[word, "log"]);
        assert_eq!(status, 2, "{word}: {stderr}");
        for line in stderr.lines().filter(|line| !line.starts_with("error:")) {
            let names = |command: &&&str| {
                line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                    .any(|it| it == **command)
            };
            let writes = WRITING.iter().find(names);
            assert!(
                writes.is_none() || line.ends_with("--help"),
                "{word}: {line}"
            );
        }
    }
    for (word, hint) in [
        ("apend", "proglog append --help"),
        ("repare", "proglog repair --help"),
        ("fix", "proglog repair --help"),
        ("vacuum", "proglog trim --help"),
        ("grep", "proglog read --help"),
        ("verfy", "proglog verify log"),
        ("fsck", "proglog verify"),
    ] {
        let (_, _, stderr) = run(&sandbox, &[word, "log"]);
        assert!(stderr.contains(hint), "{word}: {stderr}");
    }
    let (_, _, stderr) = run(&sandbox, &["grep", "x"]);
    assert!(!stderr.contains("repair"), "{stderr}");
}

#[test]
fn no_suggestion_is_a_double_dash() {
    let sandbox = twenty();
    for command in [
        "append",
        "read",
        "verify",
        "info",
        "browse",
        "dump-index",
        "dump-store",
        "explain",
        "repair",
        "undo",
        "trim",
        "truncate-index",
        "salvage",
        "diff",
        "manifest",
        "completions",
        "man",
    ] {
        for option in ["--search", "--filter=x", "-Z"] {
            let (status, _, stderr) = run(&sandbox, &[command, "log", option, "foo"]);
            assert_eq!(status, 2, "{command} {option}: {stderr}");
            assert!(!stderr.contains("-- -"), "{command} {option}: {stderr}");
            let (status, _, stderr) = run(&sandbox, &[option, command]);
            assert_eq!(status, 2, "{command} {option}: {stderr}");
            assert!(!stderr.contains("tip"), "{command} {option}: {stderr}");
        }
    }
}

#[test]
fn a_format_without_a_field_is_refused() {
    let sandbox = twenty();
    for (format, hint) in [
        ("json", "did you mean --json?"),
        ("JSON", "did you mean --json?"),
        ("hex", "did you mean --hex?"),
        ("raw", "did you mean --raw?"),
        ("frames", "did you mean --frames?"),
        ("", "%o offset"),
        ("value\\n", "%o offset"),
        ("%%", "%o offset"),
        ("100%%\\n", "%o offset"),
    ] {
        let (status, stdout, stderr) = run(&sandbox, &["read", "log", "--format", format]);
        assert_eq!((status, stdout.as_str()), (2, ""), "{format}: {stderr}");
        assert!(stderr.contains(hint), "{format}: {stderr}");
    }
    let (status, stdout, _) = run(&sandbox, &words("read log --offset 7 --format %o"));
    assert_eq!((status, stdout.as_str()), (0, "7"));
}

#[test]
fn no_error_repeats_a_login() {
    let sandbox = twenty();
    for url in [
        "nats://user:secret@host/A/B",
        "nats://user:secret@host",
        "http://user:secret@host/A",
        "user:secret@host/A",
        "nats://user:se/secret@host/A",
        "nats://user:secret@host:port/A",
        "nats://secret@host/A.B",
    ] {
        let option = format!("--url={url}");
        for arguments in [
            &[url][..],
            &["verify", "log", &option],
            &["verify", "log", "--allow", url],
            &["read", "log", "--from", url],
            &["push", "log", url],
            &["pull", url, "copy"],
        ] {
            let (status, stdout, stderr) = run(&sandbox, arguments);
            assert_ne!(status, 0, "{arguments:?}");
            assert!(!stderr.contains("secret"), "{arguments:?}: {stderr}");
            assert!(!stdout.contains("secret"), "{arguments:?}: {stdout}");
        }
    }
}

#[test]
fn help_has_help() {
    let sandbox = twenty();
    let (_, help, _) = run(&sandbox, &["--help"]);
    for arguments in [&["help", "--help"][..], &["help", "-h"], &["help"]] {
        let (status, stdout, _) = run(&sandbox, arguments);
        assert_eq!((status, stdout), (0, help.clone()), "{arguments:?}");
    }
    let (_, info, _) = run(&sandbox, &["info", "--help"]);
    assert!(info.contains("* marks the active segment"), "{info}");
}

#[test]
fn man_pages_have_their_sections_and_values() {
    let sandbox = twenty();
    for command in super::commands() {
        let (status, page, _) = run(&sandbox, &["man", &command]);
        assert_eq!(status, 0);
        for section in ["DESCRIPTION", "ENVIRONMENT"] {
            assert!(
                page.contains(&format!("\n.SH {section}\n")),
                "{command}: {section}"
            );
        }
        let on_logs = !["explain", "completions", "man"].contains(&command.as_str());
        assert_eq!(page.contains("\n.SH FILES\n"), on_logs, "{command}");
        let (_, synopsis) = page.split_once(".SH SYNOPSIS\n").unwrap();
        let (synopsis, _) = synopsis.split_once("\n.SH").unwrap();
        let plain = synopsis
            .replace("\\-", "-")
            .replace("\\fB", "")
            .replace("\\fI", "");
        let plain = plain.replace("\\fR", "");
        for option in super::options_with_values(&command) {
            let (_, behind) = plain
                .split_once(&option)
                .unwrap_or_else(|| panic!("{option}: {plain}"));
            let value = behind.trim_start_matches(['[', '=', ' ']);
            assert!(
                value.starts_with(|c: char| c.is_ascii_alphabetic()),
                "{command} {option}: {plain}"
            );
        }
    }
}
