//! Prints what clap reports: help, the version, and errors of usage. A suggestion never
//! is a command that writes, nor a `--` after which an option would be a value.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, CommandFactory};

use super::{Cli, help};
use crate::commands::{self, Status, explain, quote_word};
use crate::render::prose::{columns_of, drives_a_terminal, escaped, fitted};

/// Commands, and what other tools call them.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("verify", &["fsck", "check", "doctor"]),
    ("repair", &["recover", "fix"]),
    ("info", &["ls", "stat"]),
    ("append", &["produce"]),
    ("read", &["consume", "cat", "tail", "grep", "search"]),
    ("trim", &["vacuum", "gc", "purge", "compact", "truncate"]),
];

/// The commands that write.
const WRITING: &[&str] = &[
    "append",
    "pull",
    "push",
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
        hint = hint_for(word, arguments).or_else(|| Some("proglog --help".to_owned()));
        let word = redacted(word).unwrap_or_else(|| word.clone());
        commands::say(&format!("error: {} is not a command", escaped(&word)));
    }
    redact(&mut error);
    let printed = match hint {
        Some(_) => Ok(()),
        None => print(&error, arguments),
    };
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let text = error.render().to_string();
    // A tip is a hint too.
    let has_tip = hint.is_none() && text.contains("\n  tip: ");
    if error.use_stderr() && !is_help && !has_tip {
        let other = || match text.find(explain::UNKNOWN) {
            Some(_) => "proglog explain".to_owned(),
            None => help_of(arguments),
        };
        let hint = hint.unwrap_or_else(other);
        commands::say_hints(&[hint]);
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            commands::conclude(printed.map(|()| Status::Done).map_err(Into::into))
        }
        _ => Status::Failed,
    }
}

/// The hint for a word that is not a command: the command that is meant, with the same
/// arguments if it takes them and does not write; else its help.
fn hint_for(word: &str, arguments: &[OsString]) -> Option<String> {
    let elsewhere = ELSEWHERE.iter().find(|(_, words)| words.contains(&word));
    let meant = match elsewhere {
        Some((command, _)) => (*command).to_owned(),
        None => nearest(word)?,
    };
    let as_meant = |it: &OsString| {
        if it == word {
            meant.clone().into()
        } else {
            it.clone()
        }
    };
    let line: Vec<OsString> = arguments.iter().map(as_meant).collect();
    let is_search = ["grep", "search"].contains(&word);
    let is_complete = Cli::command().try_get_matches_from(&line).is_ok();
    if is_search || !is_complete || WRITING.contains(&meant.as_str()) {
        return Some(format!("proglog {meant} --help"));
    }
    let words: Vec<String> = line.iter().skip(1).map(quote_word).collect();
    Some(format!("proglog {}", words.join(" ")))
}

/// The help of the command that was typed.
fn help_of(arguments: &[OsString]) -> String {
    let whole = Cli::command();
    let is_command = |word: &OsString| whole.find_subcommand(word);
    match arguments.iter().skip(1).find_map(is_command) {
        Some(command) => format!("proglog {} --help", command.get_name()),
        None => "proglog --help".to_owned(),
    }
}

/// The command whose name is nearest to a word.
fn nearest(word: &str) -> Option<String> {
    let whole = Cli::command();
    let names = whole.get_subcommands().map(clap::Command::get_name);
    let nearest = names.min_by_key(|name| strsim::osa_distance(word, name))?;
    let is_near = strsim::osa_distance(word, nearest) <= nearest.len() / 3 && word.len() > 2;
    is_near.then(|| nearest.to_owned())
}

/// clap's text without its last sentence, which a hint replaces.
fn without_help(text: &str) -> &str {
    text.split_once("\n\nFor more information, try ")
        .map_or(text, |(before, _)| before)
        .trim_end()
}

/// Prints clap's text. It repeats words of the command line, which are file names where a
/// shell expanded them.
fn print(error: &clap::Error, arguments: &[OsString]) -> io::Result<()> {
    let text = error.render();
    if error.use_stderr() {
        let drives = |word: &OsString| word.to_string_lossy().contains(drives_a_terminal);
        if commands::color_on_stderr() && !arguments.iter().any(drives) {
            let text = text.ansi().to_string();
            let columns = columns_of(&io::stderr());
            return writeln!(io::stderr(), "{}", fitted(without_help(&text), columns, 2));
        }
        commands::say(without_help(&text.to_string()));
        return Ok(());
    }
    let color = commands::has_color(color_choice(arguments), commands::stdout_is_terminal());
    let text = if color {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    let mut out = commands::stdout()?;
    out.write_all(fitted(&text, help::columns(), 4).as_bytes())?;
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
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg] {
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
