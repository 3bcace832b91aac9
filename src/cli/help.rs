//! The help of a command, in one order for all: summary, examples, usage and options,
//! notes, exit statuses. The file of a command gives the examples as `before_help` and
//! the notes, if any, as `after_help`; the rest is added here.

use std::fmt::Write;

use clap::builder::{StyledStr, Styles};
use clap::{Command, ValueHint};

use crate::commands::options::STATUSES;
use crate::render::prose::{COLUMNS, columns_of, width};

/// The parts in their order. clap ends `before-help` with an empty line and begins
/// `after-help` with one.
const TEMPLATE: &str =
    "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Arguments that are directories, files or a command, for the completions.
const DIRECTORIES: &[&str] = &[
    "dir", "dirs", "a", "b", "src", "dst", "into", "out", "save_to", "replica",
];
const FILES: &[&str] = &["files", "cursor_file", "manifest", "creds"];
const COMMANDS: &[&str] = &["command"];

/// Puts a command's help in order.
pub fn in_order(command: Command) -> Command {
    let text = |part: Option<&StyledStr>| part.map(ToString::to_string);
    let examples = text(command.get_before_help()).unwrap_or_default();
    let notes = text(command.get_after_help()).map_or(String::new(), |notes| notes + "\n\n");
    command
        .help_template(TEMPLATE)
        .before_help(section("Examples", &narrowed(&examples)))
        .term_width(columns())
        .after_help(format!("{notes}{}", section("Exit status", STATUSES)))
        .mut_args(|argument| {
            let is_in = |ids: &[&str]| ids.contains(&argument.get_id().as_str());
            let takes_value = argument.get_action().takes_values();
            let hint = if is_in(DIRECTORIES) {
                ValueHint::DirPath
            } else if is_in(FILES) {
                ValueHint::FilePath
            } else if is_in(COMMANDS) {
                ValueHint::CommandName
            } else {
                ValueHint::Other
            };
            if takes_value {
                argument.value_hint(hint)
            } else {
                argument
            }
        })
}

/// The columns of help: the terminal's, or those of `COLUMNS`, at most 80.
pub fn columns() -> usize {
    let given = || std::env::var("COLUMNS").ok()?.parse().ok();
    let columns = match columns_of(&std::io::stdout()) {
        usize::MAX => given().filter(|&columns| columns > 0).unwrap_or(COLUMNS),
        columns => columns,
    };
    columns.min(COLUMNS)
}

/// Examples with each comment on a line of its own, if they do not fit beside the commands.
fn narrowed(examples: &str) -> String {
    if examples.lines().all(|line| width(line) + 2 <= columns()) {
        return examples.to_owned();
    }
    let mut narrowed = String::new();
    for line in examples.lines() {
        let (command, comment) = line.split_once("  ").unwrap_or((line, ""));
        let _ = writeln!(narrowed, "{command}");
        if !comment.is_empty() {
            let _ = writeln!(narrowed, "    {}", comment.trim_start());
        }
    }
    narrowed
}

/// Lines below a heading in the style of clap; without color where clap prints none.
fn section(title: &str, text: &str) -> String {
    let style = Styles::default();
    let header = style.get_header();
    let mut section = format!("{header}{title}:{header:#}");
    for line in text.lines() {
        let _ = write!(section, "\n  {}", line.trim_end());
    }
    section
}
