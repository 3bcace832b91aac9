//! The command line: global options, the table of commands, help. The options of a
//! command are defined in its own file.

mod help;
mod typed;
mod usage;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{self, Globals, Status};

/// The short help: all commands on one screen.
const HELP: &str = "\
Look into, write and mend append-only logs (N.store/N.index pairs).

usage: proglog COMMAND DIR [OPTIONS]         proglog COMMAND --help: examples

use     append      add records from files or stdin; on disk when it returns
        read        print records: one, a range, the last ones, or follow
look    verify      is it whole? what is lost, what would the service do?
        info        segments, sizes, next offset, who has the log open
        explain     what a finding means and how it comes about
        dump-index  entry by entry             dump-store  frame by frame
mend    repair      mend what needs no guessing; saves what it cuts (--dry-run)
        undo        take the last change back, byte for byte
        trim        drop the oldest segments, or the newest records
        truncate-index  cut the index to its real entries, nothing else
copies  diff        compare two copies         salvage   copy what can be read
        manifest    print digests, for `verify --manifest`
road    push        publish every record to a NATS JetStream stream
        pull        append what such a stream holds

  seq 100 | proglog append log               proglog read log 42
  proglog read log -n 10 -f                  proglog verify -q log || echo bad

Any --json prints JSON lines. Offset ranges A..B include both ends.
status: 0 done  1 the answer is no  2 could not  3 damage  4 in use
";

/// For the man page; the short help has its own.
const EXAMPLES: &str = "\
seq 100 | proglog append log            one record per line
proglog read log 42                     one record
proglog verify log                      is it whole?
proglog repair log --dry-run            what would be mended";

#[derive(Debug, Parser)]
#[command(
    name = "proglog",
    version,
    about = "Look into, write and mend append-only logs",
    before_help = EXAMPLES,
    override_help = HELP,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 80
)]
struct Cli {
    /// No talk and no progress: only what was asked for, findings and errors
    #[arg(short, long, global = true, display_order = 1000)]
    quiet: bool,
    /// When to use color: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    #[arg(hide_possible_values = true, display_order = 1001)]
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
    /// Check the whole log: what is lost, what would the service do?
    Verify(commands::verify::Arguments),
    /// What is there, at a glance
    Info(commands::info::Arguments),
    /// Print the index entry by entry
    DumpIndex(commands::dump_index::Arguments),
    /// Print the store frame by frame
    DumpStore(commands::dump_store::Arguments),
    /// Explain a finding of verify: what it means, how it comes about
    Explain(commands::explain::Arguments),
    /// Mend what needs no guessing
    Repair(commands::repair::Arguments),
    /// Take the last change back
    Undo(commands::undo::Arguments),
    /// Drop the oldest segments, or the newest records
    Trim(commands::trim::Arguments),
    /// Cut the index to its real entries
    TruncateIndex(commands::truncate_index::Arguments),
    /// Copy what can be read of a damaged log to a new one
    Salvage(commands::salvage::Arguments),
    /// Compare two copies of a log, by offset
    Diff(commands::diff::Arguments),
    /// Print digests, for `verify --manifest`
    Manifest(commands::manifest::Arguments),
    /// Print the completions for a shell
    Completions(commands::completions::Arguments),
    /// Print a man page, or write all of them
    Man(commands::man::Arguments),
    /// Publish every record to a NATS JetStream stream, in order, exactly once
    Push(commands::nats::push::Arguments),
    /// Append what a NATS JetStream stream holds, exactly once
    Pull(commands::nats::pull::Arguments),
}

impl Command {
    /// The directories that it takes for logs.
    fn logs(&self) -> Vec<&Path> {
        match self {
            Self::Append(arguments) => vec![&arguments.dir],
            Self::Read(arguments) => vec![&arguments.dir],
            Self::Verify(arguments) => arguments.dirs.iter().map(PathBuf::as_path).collect(),
            Self::Info(arguments) => arguments.dirs.iter().map(PathBuf::as_path).collect(),
            Self::DumpIndex(arguments) => vec![&arguments.dump.dir],
            Self::DumpStore(arguments) => vec![&arguments.dump.dir],
            Self::Repair(arguments) => vec![&arguments.dir],
            Self::Undo(arguments) => vec![&arguments.dir],
            Self::Trim(arguments) => vec![&arguments.dir],
            Self::TruncateIndex(arguments) => vec![&arguments.dir],
            Self::Salvage(arguments) => vec![&arguments.src],
            Self::Diff(arguments) => vec![&arguments.a, &arguments.b],
            Self::Manifest(arguments) => vec![&arguments.dir],
            #[cfg(feature = "nats")]
            Self::Push(arguments) => vec![&arguments.dir],
            #[cfg(feature = "nats")]
            Self::Pull(arguments) => vec![&arguments.dir],
            #[cfg(not(feature = "nats"))]
            Self::Push(_) | Self::Pull(_) => Vec::new(),
            Self::Explain(_) | Self::Completions(_) | Self::Man(_) => Vec::new(),
        }
    }

    /// Runs the command.
    pub fn run(&self, globals: Globals) -> anyhow::Result<Status> {
        commands::refuse_stdout_in(&self.logs())?;
        match self {
            Self::Append(arguments) => commands::append::run(arguments, globals),
            Self::Read(arguments) => commands::read::run(arguments, globals),
            Self::Verify(arguments) => commands::verify::run(arguments, globals),
            Self::Info(arguments) => commands::info::run(arguments, globals),
            Self::DumpIndex(arguments) => commands::dump_index::run(arguments, globals),
            Self::DumpStore(arguments) => commands::dump_store::run(arguments, globals),
            Self::Explain(arguments) => commands::explain::run(arguments, globals),
            Self::Repair(arguments) => commands::repair::run(arguments, globals),
            Self::Undo(arguments) => commands::undo::run(arguments, globals),
            Self::Trim(arguments) => commands::trim::run(arguments, globals),
            Self::TruncateIndex(arguments) => commands::truncate_index::run(arguments, globals),
            Self::Salvage(arguments) => commands::salvage::run(arguments, globals),
            Self::Diff(arguments) => commands::diff::run(arguments, globals),
            Self::Manifest(arguments) => commands::manifest::run(arguments, globals),
            Self::Completions(arguments) => commands::completions::run(arguments, command()),
            Self::Man(arguments) => commands::man::run(arguments, Cli::command()),
            Self::Push(arguments) => commands::nats::push::run(arguments, globals),
            Self::Pull(arguments) => commands::nats::pull::run(arguments, globals),
        }
    }
}

/// The whole command line as clap knows it, with the help of each command in order.
fn command() -> clap::Command {
    Cli::command().mut_subcommands(help::in_order)
}

/// Reads the command line. What clap has to say (help, version, usage) is printed.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Command, Globals), Status> {
    let arguments = typed::joined(arguments.into_iter().collect());
    commands::choose_color(usage::color_choice(&arguments));
    // To order the help of each command costs as much as everything else that happens
    // before the command runs, so only whoever is shown it pays.
    let parsed = Cli::command()
        .try_get_matches_from(&arguments)
        .or_else(|_| command().try_get_matches_from(&arguments))
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => {
            let globals = Globals {
                quiet: cli.quiet,
                color: cli.color,
            };
            Ok((cli.command, globals))
        }
        Err(error) => Err(usage::report(error, &arguments)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
