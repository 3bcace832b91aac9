//! What the shells themselves complete.

use std::path::Path;
use std::process::{Command, Stdio};

use proglog_testkit::{Sandbox, proglog};

use super::twenty;

/// A command line up to the cursor, and some of its completions, all of them where the
/// last word is `.`; an entry with `!` is none of them.
const CASES: &[(&str, &[&str])] = &[
    ("proglog ver", &["verify", "."]),
    ("proglog read ", &["log", "!-", "!file"]),
    ("proglog read l", &["log", "."]),
    ("proglog read log/", &["!0.store", "!log/0.store"]),
    ("proglog diff log log/", &["!0.store", "!log/0.store"]),
    ("proglog --color ", &["always", "auto", "never", "."]),
    ("proglog -q rea", &["read", "."]),
    ("proglog read log --codec=p", &["protobuf", "."]),
    ("proglog read log --codec=", &["protobuf", "raw", "."]),
    ("proglog append log ", &["log", "file", "!--json"]),
    (
        "proglog explain segm",
        &["segment-gap", "segment-overlap", "."],
    ),
    (
        "proglog explain ",
        &["index-padded", "records-missing", "!file"],
    ),
    ("proglog man tr", &["trim", "truncate-index", "."]),
    ("proglog completions z", &["zsh", "."]),
    ("proglog read log --codec ", &["raw", "protobuf", "."]),
    ("proglog repair log --codec p", &["protobuf", "."]),
    ("proglog read log --on-error ", &["stop", "skip", "."]),
    (
        "proglog verify log --allow segm",
        &["segment-gap", "segment-overlap", "."],
    ),
    ("proglog salvage log new --prefer ", &["old", "new", "."]),
    ("proglog append log --input fr", &["frames", "."]),
    ("proglog read log --cursor-file f", &["file", "."]),
    ("proglog read log --count ", &["!file", "!log"]),
    ("proglog read log --ra", &["--raw", "."]),
];

/// Compares what a shell completes with the cases.
fn check(shell: &str, complete: impl Fn(&Path, &str) -> Vec<String>) {
    let sandbox = sandbox(shell);
    for (line, expected) in CASES {
        let mut found = complete(sandbox.path(), line);
        for word in &mut found {
            word.truncate(word.trim_end().trim_end_matches('/').len());
        }
        found.sort();
        found.dedup();
        found.retain(|word| !word.is_empty());
        let is_all = expected.last() == Some(&".");
        let words = expected.iter().filter(|it| **it != ".");
        for word in words.clone() {
            match word.strip_prefix('!') {
                Some(word) => assert!(
                    !found.iter().any(|it| it == word),
                    "{shell}: {line}: {found:?}"
                ),
                None => assert!(
                    found.iter().any(|it| it == word),
                    "{shell}: {line}: {found:?}"
                ),
            }
        }
        if is_all {
            assert_eq!(found.len(), words.count(), "{shell}: {line}: {found:?}");
        }
    }
}

/// A log, a file beside it, and the script.
fn sandbox(shell: &str) -> Sandbox {
    let sandbox = twenty();
    std::fs::write(sandbox.path().join("file"), "").unwrap();
    let script = proglog()
        .args(["completions", shell])
        .output()
        .unwrap()
        .stdout;
    // By this name neither directories nor files of the cases begin.
    std::fs::write(sandbox.path().join(".script"), script).unwrap();
    sandbox
}

/// The output of a shell, or nothing if it is not installed.
fn output(directory: &Path, shell: &str, arguments: &[&str]) -> Option<String> {
    let run = Command::new(shell)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env("HOME", directory)
        .env("TERM", "dumb")
        .output();
    let Ok(output) = run else {
        eprintln!("SKIPPED, {shell} is not here");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn bash_completes() {
    if output(Path::new("/"), "bash", &["--version"]).is_none() {
        return;
    }
    check("bash", |directory, line| {
        // bash takes `=` for a word of its own.
        let mut spaced = line.replace('=', " = ");
        if line.ends_with('=') {
            spaced.pop();
        }
        let words: Vec<&str> = spaced.split(' ').collect();
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let at = words.len() - 1;
        let script = format!(
            "source .script; COMP_WORDS=({}); COMP_CWORD={at}\n\
             _proglog proglog \"${{COMP_WORDS[$COMP_CWORD]#=}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            quoted.join(" ")
        );
        let found = output(directory, "bash", &["--norc", "-c", &script]).unwrap();
        let typed = words[at];
        // A reply that is what was typed adds nothing.
        found
            .lines()
            .filter(|it| *it != typed)
            .map(str::to_owned)
            .collect()
    });
}

#[test]
fn fish_completes() {
    if output(Path::new("/"), "fish", &["--version"]).is_none() {
        return;
    }
    check("fish", |directory, line| {
        let script = format!("source .script; complete -C '{line}'");
        let found = output(directory, "fish", &["--no-config", "-c", &script]).unwrap();
        let words = found.lines().filter_map(|line| line.split('\t').next());
        // fish repeats the option before a value.
        let values = words.filter_map(|word| word.rsplit('=').next());
        values.map(str::to_owned).collect()
    });
}

/// zsh has no command that prints completions: what it adds is taken from `compadd`.
#[test]
fn zsh_completes() {
    if output(Path::new("/"), "zsh", &["--version"]).is_none() {
        return;
    }
    check("zsh", |directory, line| {
        let script = format!(
            "zmodload zsh/zpty\n\
             zpty -b z zsh -f -i\n\
             zpty -w z 'PROMPT=; autoload -Uz compinit; compinit -u -D; source ./.script'\n\
             zpty -w z 'compadd() {{ [[ ${{@[1,(i)(-|--)]}} == *-(O|A|D)\\ * ]] && {{ builtin compadd \"$@\"; return }}; typeset -a __h; builtin compadd -A __h \"$@\"; print -l -- \"<<\" $__h \">>\"; builtin compadd \"$@\" }}'\n\
             zpty -w z 'bindkey \"^I\" complete-word; zstyle \":completion:*\" list-prompt \"\"; print READY'\n\
             while zpty -r z out '*READY*' && [[ $out != *$'\\n'READY* ]]; do :; done\n\
             zpty -w -n z '{line}'$'\\t'\n\
             for i in {{1..40}}; do\n\
               zpty -r -t z out && print -r -- $out && [[ $out == *'>>'* ]] && break\n\
               sleep 0.1\n\
             done\n\
             sleep 0.1; while zpty -r -t z out; do print -r -- $out; done\n\
             zpty -d z"
        );
        let found = output(directory, "zsh", &["-f", "-c", &script]).unwrap();
        let mut words = Vec::new();
        let mut within = false;
        for line in found.lines().map(|line| line.trim_end_matches('\r')) {
            match line {
                line if line.ends_with("<<") => within = true,
                ">>" => within = false,
                line if within => words.push(line.to_owned()),
                _ => {}
            }
        }
        words
    });
}
