//! The command line as one piece: the same rule in every command. Suggestions, offsets
//! and ranges, exit statuses, the wording of errors, names in JSON, colors, completions.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test changes its own sandbox, fails by panicking and names what it skips"
)]

mod completions;
mod help;
mod hints;
mod names;
mod offsets;
mod readers;
#[cfg(feature = "browse")]
mod screen;
mod status;
mod suggestions;
mod terminal;
mod text;

use proglog_testkit::{LogBuilder, Said, Sandbox, proglog, said};

/// Runs the binary with this on its stdin.
fn run_with(sandbox: &Sandbox, arguments: &[&str], stdin: &str) -> Said {
    let mut command = sandbox.proglog();
    said(command.args(arguments).write_stdin(stdin).output().unwrap())
}

/// Splits a command at its spaces.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// A raw log of records 0..19 in two segments, 0 and 10.
fn twenty() -> Sandbox {
    let values = |from: u64| (from..from + 10).map(|n| format!("value {n}"));
    Sandbox::built(
        &LogBuilder::raw()
            .segment(0, values(0))
            .segment(10, values(10)),
    )
}

/// All commands, as the man page lists them.
fn commands() -> Vec<String> {
    let output = proglog().arg("man").output().unwrap();
    let page = String::from_utf8(output.stdout)
        .unwrap()
        .replace("\\-", "-");
    let names = page
        .lines()
        .filter_map(|line| line.strip_prefix("proglog-")?.strip_suffix("(1)"));
    names.map(str::to_owned).collect()
}

/// The long options of a command that take a value.
fn options_with_values(command: &str) -> Vec<String> {
    let output = proglog().args([command, "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let options = help.lines().filter_map(|line| {
        let words = line.trim_start().strip_prefix('-')?;
        let (option, _) = words.split_once(['<', '['])?;
        let name = option.split("--").nth(1)?;
        Some(format!("--{}", name.trim_end_matches(['=', ' '])))
    });
    options.collect()
}
