//! The command line: global options, the table of commands, help, and what is said
//! to a word that is none of them. What a command's own options mean stands with it.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{self, Globals, Status};

/// The short help: all commands on one screen.
const HELP: &str = "\
Look into, write and mend append-only logs (N.store/N.index pairs).

usage: proglog COMMAND DIR [OPTIONS]         proglog COMMAND --help: examples

use     append      add records from files or stdin; on disk when it returns
        read        print records: one, a range, the last ones

  seq 100 | proglog append log               proglog read log --offset 42

Any --json prints JSON lines. Offset ranges A..B include both ends.
status: 0 done  1 the answer is no  2 could not  3 damage  4 in use
";

/// What every command's help ends with.
pub const STATUSES: &str = "\
Exit status:
  0  done; nothing wrong found
  1  the answer is no: the offset is not in the log, an expectation failed
  2  could not do it: usage, no such directory, no permission, I/O error
  3  damage in what was asked for
  4  in use by another process";

/// What stands below a command's options: examples, then the exit statuses.
pub fn after_help(examples: &str) -> String {
    let mut help = String::from("Examples:\n");
    for line in examples.lines() {
        help.push_str("  ");
        help.push_str(line.trim_end());
        help.push('\n');
    }
    help.push('\n');
    help.push_str(STATUSES);
    help
}

/// Words from elsewhere, and what they are called here.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("verify", &["fsck", "check", "doctor"]),
    ("repair", &["recover", "fix"]),
    ("info", &["ls", "stat"]),
    ("append", &["produce"]),
    ("read", &["consume", "cat", "tail"]),
    ("trim", &["vacuum", "gc", "purge", "compact", "truncate"]),
];

#[derive(Debug, Parser)]
#[command(
    name = "proglog",
    version,
    override_help = HELP,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 80
)]
struct Cli {
    /// Print nothing but errors and findings
    #[arg(short, long, global = true)]
    quiet: bool,
    /// When to use color
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

/// The table of commands: a new command is one file and one row here.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add records from files or stdin
    Append(commands::append::Arguments),
    /// Print records
    Read(commands::read::Arguments),
}

/// Reads the command line. What clap has to say (help, version, usage) is printed.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Command, Globals), Status> {
    let parsed = Cli::command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => {
            let globals = Globals {
                quiet: cli.quiet,
                color: cli.color,
            };
            Ok((cli.command, globals))
        }
        Err(error) => {
            // A closed stdout is no reason to fail at printing help.
            let _ = error.print();
            if error.kind() == ErrorKind::InvalidSubcommand
                && let Some(word) = error.get(clap::error::ContextKind::InvalidSubcommand)
                && let Some(hint) = elsewhere(&word.to_string())
            {
                commands::say(&format!("hint: proglog {hint}"));
            }
            Err(match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Status::Done,
                _ => Status::Failed,
            })
        }
    }
}

/// What a word from another tool is called here.
fn elsewhere(word: &str) -> Option<&'static str> {
    ELSEWHERE
        .iter()
        .find(|(_, words)| words.contains(&word))
        .map(|(command, _)| *command)
}

/// A size: `4096`, `64KiB`, `64K`, `1GiB`, `1G` (1024 each).
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "a size is a number and a unit, as 4096, 64KiB or 1G".to_owned())?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => {
            return Err(format!(
                "no unit is called {unit:?}: K, M, G, T or KiB, MiB, ..."
            ));
        }
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "larger than 2^64 - 1 bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("64K"), Ok(65536));
        assert_eq!(size("1g"), Ok(1 << 30));
        assert!(size("").is_err());
        assert!(size("K").is_err());
        assert!(size("-1").is_err());
        assert!(size("1.5G").is_err());
        assert!(size("99999999T").is_err());
    }
}
