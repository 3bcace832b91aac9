//! Prints what clap reports: help, the version, and errors of usage. A suggestion never
//! is a command that writes, nor a `--` after which an option would be a value.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::ColorChoice;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::commands::{self, Status};
use crate::render::prose::drives_a_terminal;

/// Commands of other tools, and the hint for each.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("proglog verify", &["fsck", "check", "doctor"]),
    ("proglog repair --help", &["recover", "fix"]),
    ("proglog info", &["ls", "stat"]),
    ("proglog append --help", &["produce"]),
    ("proglog read", &["consume", "cat", "tail"]),
    ("proglog read LOG | grep PATTERN", &["grep", "search"]),
    (
        "proglog trim --help",
        &["vacuum", "gc", "purge", "compact", "truncate"],
    ),
];

/// The commands that write.
const WRITING: &[&str] = &[
    "append",
    "pull",
    "repair",
    "salvage",
    "trim",
    "truncate-index",
    "undo",
];

/// Prints what clap reports, with a hint for a mistyped command. Returns the exit status.
pub fn report(mut error: clap::Error, arguments: &[OsString]) -> Status {
    // Behind `--`, `read` would run the option as a command.
    error.remove(ContextKind::Suggested);
    let mut hint = None;
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
    {
        hint = hint_for(word);
        keep_reading_commands(&mut error);
    }
    redact(&mut error);
    let printed = print(&error, arguments);
    if let Some(hint) = hint {
        commands::say(&format!("hint: {hint}"));
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            commands::conclude(printed.map(|()| Status::Done).map_err(Into::into))
        }
        _ => Status::Failed,
    }
}

/// Removes the commands that write from clap's suggestions.
fn keep_reading_commands(error: &mut clap::Error) {
    let Some(ContextValue::Strings(mut names)) = error.remove(ContextKind::SuggestedSubcommand)
    else {
        return;
    };
    names.retain(|name| !WRITING.contains(&name.as_str()));
    if !names.is_empty() {
        let names = ContextValue::Strings(names);
        error.insert(ContextKind::SuggestedSubcommand, names);
    }
}

/// The hint for a word that is not a command: a command of another tool, or a command
/// that writes, mistyped. For the latter only its help is suggested.
fn hint_for(word: &str) -> Option<String> {
    let elsewhere = ELSEWHERE.iter().find(|(_, words)| words.contains(&word));
    if let Some((hint, _)) = elsewhere {
        return Some((*hint).to_owned());
    }
    let distance = |name: &&&str| strsim::osa_distance(word, name);
    let nearest = WRITING.iter().min_by_key(distance)?;
    let is_near = distance(&nearest) <= nearest.len() / 3 && word.len() > 2;
    is_near.then(|| format!("proglog {nearest} --help"))
}

/// Prints clap's text. It repeats words of the command line, which are file names where a
/// shell expanded them.
fn print(error: &clap::Error, arguments: &[OsString]) -> io::Result<()> {
    let text = error.render();
    if error.use_stderr() {
        let drives = |word: &OsString| word.to_string_lossy().contains(drives_a_terminal);
        if commands::color_on_stderr() && !arguments.iter().any(drives) {
            return write!(io::stderr(), "{}", text.ansi());
        }
        commands::say(&text.to_string());
        return Ok(());
    }
    let color = commands::has_color(color_choice(arguments), commands::stdout_is_terminal());
    let mut out = commands::stdout()?;
    if color {
        write!(out, "{}", text.ansi())?;
    } else {
        write!(out, "{text}")?;
    }
    out.flush()
}

/// The value of `--color`, also on a command line with errors.
pub fn color_choice(arguments: &[OsString]) -> ColorChoice {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let mut choice = ColorChoice::Auto;
    while let Some(word) = words.next().filter(|word| *word != "--") {
        let value = match word.strip_prefix("--color") {
            Some("") => words.next(),
            Some(value) => value.strip_prefix('='),
            None => None,
        };
        if let Some(found) = value.and_then(|value| value.parse().ok()) {
            choice = found;
        }
    }
    choice
}

/// Hides the login of a URL, which clap repeats with the value that is wrong.
fn redact(error: &mut clap::Error) {
    let kinds = [
        ContextKind::InvalidValue,
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
    ];
    for kind in kinds {
        if let Some(ContextValue::String(text)) = error.get(kind)
            && let Some(text) = redacted(text)
        {
            error.insert(kind, ContextValue::String(text));
        }
    }
}

/// A text without the login before its last `@`; `None` if it has none.
fn redacted(text: &str) -> Option<String> {
    let (before, host) = text.rsplit_once('@')?;
    let (scheme, login) = match before.split_once("://") {
        Some((scheme, login)) => (format!("{scheme}://"), login),
        None => (String::new(), before),
    };
    (!scheme.is_empty() || login.contains(':')).then(|| format!("{scheme}...@{host}"))
}
