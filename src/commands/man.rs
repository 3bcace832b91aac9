//! `proglog man [COMMAND] [--out DIR]`: the man pages, from the same table of options
//! and the same examples as the help.
//!
//! ```text
//! $ proglog man verify | man -l -
//! $ proglog man --out /usr/local/share/man/man1
//! ```

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::StyledStr;
use clap::{Arg, Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use proglog::log::create::create_directories;
use proglog::log::dir::FilePath;
use proglog::log::disk::{Disk, RealDisk, write_all_at};

use super::options::STATUSES;
use super::{Failure, Status, stdout};

const EXAMPLES: &str = "\
proglog man | man -l -                 proglog(1)
proglog man verify | man -l -          proglog-verify(1)
proglog man --out man1                 write all pages";

/// Print a man page, or write all of them
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// Print the page of this command [default: proglog]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    page: Option<String>,
    /// Write all pages to DIR, which is created if missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints a page or writes all. `command` is the complete command line, with the
/// examples as `before_help` and the notes as `after_help`.
pub fn run(arguments: &Arguments, command: Command) -> anyhow::Result<Status> {
    let mut whole = command.disable_help_subcommand(true);
    whole.build();
    if let Some(out) = &arguments.out {
        let out = create_directories(&RealDisk, out, 0o777)?;
        for page in std::iter::once(&whole).chain(whole.get_subcommands()) {
            let name = Man::new(page.clone()).get_filename();
            let path = out.at(name);
            replace(&path, &render(page)?)
                .with_context(|| format!("{}: cannot write", path.display()))?;
        }
        return Ok(Status::Done);
    }
    let page = match &arguments.page {
        None => &whole,
        Some(name) => whole.find_subcommand(name).ok_or_else(|| {
            let failure = Failure::new(Status::Failed, format!("{name} is not a command"));
            failure.hint("proglog --help")
        })?,
    };
    let mut out = stdout()?;
    out.write_all(&render(page)?)?;
    out.flush()?;
    Ok(Status::Done)
}

/// One page.
fn render(command: &Command) -> anyhow::Result<Vec<u8>> {
    let text = |part: Option<&StyledStr>| part.map(ToString::to_string).unwrap_or_default();
    let is_whole = command.has_subcommands();
    let man = Man::new(command.clone())
        .source(format!("proglog {}", env!("CARGO_PKG_VERSION")))
        .manual("proglog");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    let notes = text(command.get_after_help());
    description(command, &notes).to_writer(&mut page)?;
    verbatim("EXAMPLES", &text(command.get_before_help())).to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    if is_whole {
        man.render_subcommands_section(&mut page)?;
    }
    verbatim("EXIT STATUS", STATUSES).to_writer(&mut page)?;
    definitions("FILES", files(command.get_name())).to_writer(&mut page)?;
    definitions("ENVIRONMENT", ENVIRONMENT).to_writer(&mut page)?;
    if !is_whole {
        verbatim("SEE ALSO", "proglog(1)").to_writer(&mut page)?;
    }
    Ok(page)
}

/// The files of a log and those beside it.
const FILES: &[(&str, &str)] = &[
    (
        "DIR/N.store, DIR/N.index",
        "A segment of the log: the records, and the entry of each record. N is the offset of \
         the first record.",
    ),
    (
        "DIR.proglog-saved",
        "The bytes that repair, trim, truncate-index and the recovery of append removed, for undo.",
    ),
];

/// Files that one command has beside those of the log.
const CURSOR: (&str, &str) = (
    "FILE of --cursor-file",
    "The next offset in decimal, and the fingerprint of the last record read. It is replaced atomically, by way of hidden files beside it.",
);

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "NO_COLOR",
        "If set and not empty, nothing is printed in color.",
    ),
    (
        "TERM",
        "If unset or `dumb`, there is neither color nor a progress bar.",
    ),
];

/// The files that a command reads or writes.
fn files(command: &str) -> Vec<(&'static str, &'static str)> {
    match command {
        "completions" | "explain" | "man" => Vec::new(),
        "read" => [FILES, &[CURSOR]].concat(),
        _ => FILES.to_vec(),
    }
}

/// The command with each of its options and their values.
fn synopsis(command: &Command) -> Roff {
    let mut line = vec![bold(command.get_bin_name().unwrap_or(command.get_name()))];
    let options = command.get_arguments().filter(|it| !it.is_positional());
    for option in options.filter(|it| !it.is_hide_set()) {
        line.push(roman(" ["));
        if let Some(short) = option.get_short() {
            line.extend([bold(format!("-{short}")), roman("|")]);
        }
        line.push(bold(format!("--{}", option.get_long().unwrap_or_default())));
        if option.get_action().takes_values() {
            let optional = option.get_num_args().is_some_and(|it| it.min_values() == 0);
            let (before, behind) = if optional { ("[=", "]") } else { (" ", "") };
            line.extend([roman(before), italic(names(option)), roman(behind)]);
        }
        line.push(roman("]"));
    }
    for argument in command.get_positionals().filter(|it| !it.is_hide_set()) {
        let dots = if argument.get_action().takes_values() && argument.is_required_set() {
            ("", "")
        } else {
            ("[", "]")
        };
        let more = argument
            .get_num_args()
            .is_some_and(|it| it.max_values() > 1);
        let more = if more { "..." } else { "" };
        line.push(roman(format!(" {}", dots.0)));
        line.extend([italic(names(argument)), roman(format!("{more}{}", dots.1))]);
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("COMMAND")]);
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text(line);
    roff
}

/// The names of an argument's values.
fn names(argument: &Arg) -> String {
    match argument.get_value_names() {
        Some(names) => names.join(" "),
        None => argument.get_id().as_str().to_uppercase(),
    }
}

/// The description of a command: its summary and its notes.
fn description(command: &Command, notes: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    let about = command.get_about().map(ToString::to_string);
    roff.text([roman(format!(
        "{}.",
        about.unwrap_or_default().trim_end_matches('.')
    ))]);
    if !notes.is_empty() {
        roff.control("PP", []);
        roff.control("nf", []);
        for line in notes.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff
}

/// Terms with an explanation each, below a heading; nothing if the list is empty.
fn definitions<'a>(heading: &str, terms: impl AsRef<[(&'a str, &'a str)]>) -> Roff {
    let mut roff = Roff::new();
    let terms = terms.as_ref();
    if terms.is_empty() {
        return roff;
    }
    roff.control("SH", [heading]);
    for (term, text) in terms {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
    roff
}

/// Lines as they are, below a heading; nothing if the list is empty.
fn verbatim(heading: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    if text.is_empty() {
        return roff;
    }
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

/// Writes a file, in place of one that may be there.
fn replace(path: &FilePath, bytes: &[u8]) -> std::io::Result<()> {
    let disk = RealDisk;
    match disk.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(path, None)?;
    write_all_at(&disk, &file, bytes, 0)
}
