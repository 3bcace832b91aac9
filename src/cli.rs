//! The command line: global options, the table of commands, help. The options of a
//! command are defined in its own file.

mod help;
mod typed;
mod usage;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::error::Result as Parsed;
use clap::{ArgMatches, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{self, Globals, Status};

/// The short help: all commands on one screen.
const HELP: &str = "\
Inspect, write and repair append-only logs (N.store/N.index pairs).

usage: proglog COMMAND DIR [OPTIONS]         proglog COMMAND --help: examples

use     append      append records from files or stdin; durable when it returns
        read        print records: one, a range, a search; follow a log
inspect verify      check a log: damage, lost records, what the service would do
        info        show segments, sizes, next offset, who has the log open
        browse      show a log on the screen: segments, records, bytes, findings
        explain     describe a finding: cause, impact, remedy
        dump-index  print every entry          dump-store  print every frame
repair  repair      repair what needs no guess; save removed bytes (--dry-run)
        undo        revert the last change, byte for byte
        trim        remove the oldest segments or the newest records
        truncate-index  cut index padding          redact    overwrite values for good
copies  diff        compare two copies         salvage   copy readable records
        manifest    print checksums for `verify --manifest`
NATS    push        publish all records to a NATS JetStream stream
        pull        append the messages of such a stream

  seq 100 | proglog append log               proglog read log 42
  proglog read log -n 10 -f                  proglog verify -q log || echo bad

With --json, the output is JSON lines. Offset ranges A..B include both ends.
status: 0 success  1 negative result  2 failure  3 damage  4 in use
";

/// For the man page; the short help has its own.
const EXAMPLES: &str = "\
seq 100 | proglog append log            one record per line
proglog read log 42                     one record
proglog verify log                      check the log
proglog repair log --dry-run            show the repair";

#[derive(Debug, Parser)]
#[command(
    name = "proglog",
    version,
    about = "Inspect, write and repair append-only logs",
    before_help = EXAMPLES,
    override_help = HELP,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 80
)]
struct Cli {
    /// Suppress messages and progress; print only results, findings and errors
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
#[allow(clippy::large_enum_variant, reason = "there is one value of it")]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Append records from files or standard input
    Append(Deferred<commands::append::Arguments>),
    /// Print records: one, a range, a search; follow a log
    Read(Deferred<commands::read::Arguments>),
    /// Check a log: damage, lost records, what the service would do
    Verify(Deferred<commands::verify::Arguments>),
    /// Show segments, sizes, the next offset, and who has the log open
    Info(Deferred<commands::info::Arguments>),
    /// Show a log on the screen: segments, records, bytes, findings
    Browse(Deferred<commands::browse::Arguments>),
    /// Print every entry of the indexes
    DumpIndex(Deferred<commands::dump_index::Arguments>),
    /// Print every frame of the stores
    DumpStore(Deferred<commands::dump_store::Arguments>),
    /// Describe a finding: cause, impact, remedy
    Explain(Deferred<commands::explain::Arguments>),
    /// Repair what needs no guess
    Repair(Deferred<commands::repair::Arguments>),
    /// Undo the last change
    Undo(Deferred<commands::undo::Arguments>),
    /// Remove the oldest segments or the newest records
    Trim(Deferred<commands::trim::Arguments>),
    /// Cut the padding of indexes
    TruncateIndex(Deferred<commands::truncate_index::Arguments>),
    /// Overwrite the values of records for good
    Redact(Deferred<commands::redact::Arguments>),
    /// Copy all readable records of a damaged log to a new one
    Salvage(Deferred<commands::salvage::Arguments>),
    /// Compare two copies of a log by offset
    Diff(Deferred<commands::diff::Arguments>),
    /// Print checksums for `verify --manifest`
    Manifest(Deferred<commands::manifest::Arguments>),
    /// Print completions for a shell
    Completions(Deferred<commands::completions::Arguments>),
    /// Print a man page, or write all of them
    Man(Deferred<commands::man::Arguments>),
    /// Publish all records to a NATS JetStream stream, in order, exactly once
    Push(Deferred<commands::nats::push::Arguments>),
    /// Append the messages of a NATS JetStream stream, exactly once
    Pull(Deferred<commands::nats::pull::Arguments>),
}

/// Whether clap learns the options of all commands, for what lists them.
static IS_COMPLETE: AtomicBool = AtomicBool::new(false);

/// The arguments of a command. clap learns them when the command is chosen: those of all
/// commands cost as much as everything else before a command runs.
#[derive(Debug)]
pub struct Deferred<T>(T);

impl<T> std::ops::Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        if IS_COMPLETE.load(Ordering::Relaxed) {
            return T::augment_args(command);
        }
        command.defer(|command| {
            // What a command is about says the table of commands.
            let about = command.get_about().cloned().unwrap_or_default();
            T::augment_args(command).about(about).long_about(None)
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Parsed<Self> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Parsed<()> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Command {
    /// The log directories among the arguments.
    fn logs(&self) -> Vec<&Path> {
        match self {
            Self::Append(arguments) => vec![&arguments.dir],
            Self::Read(arguments) => vec![&arguments.dir],
            Self::Verify(arguments) => arguments.dirs.iter().map(PathBuf::as_path).collect(),
            Self::Info(arguments) => arguments.dirs.iter().map(PathBuf::as_path).collect(),
            #[cfg(feature = "browse")]
            Self::Browse(arguments) => vec![&arguments.dir],
            #[cfg(not(feature = "browse"))]
            Self::Browse(_) => Vec::new(),
            Self::DumpIndex(arguments) => vec![&arguments.dump.dir],
            Self::DumpStore(arguments) => vec![&arguments.dump.dir],
            Self::Repair(arguments) => vec![&arguments.dir],
            Self::Undo(arguments) => vec![&arguments.dir],
            Self::Trim(arguments) => vec![&arguments.dir],
            Self::Redact(arguments) => vec![&arguments.dir],
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
            Self::Browse(arguments) => commands::browse::run(arguments, globals),
            Self::DumpIndex(arguments) => commands::dump_index::run(arguments, globals),
            Self::DumpStore(arguments) => commands::dump_store::run(arguments, globals),
            Self::Explain(arguments) => commands::explain::run(arguments, globals),
            Self::Repair(arguments) => commands::repair::run(arguments, globals),
            Self::Undo(arguments) => commands::undo::run(arguments, globals),
            Self::Trim(arguments) => commands::trim::run(arguments, globals),
            Self::Redact(arguments) => commands::redact::run(arguments, globals),
            Self::TruncateIndex(arguments) => commands::truncate_index::run(arguments, globals),
            Self::Salvage(arguments) => commands::salvage::run(arguments, globals),
            Self::Diff(arguments) => commands::diff::run(arguments, globals),
            Self::Manifest(arguments) => commands::manifest::run(arguments, globals),
            Self::Completions(arguments) => commands::completions::run(arguments, command()),
            Self::Man(arguments) => commands::man::run(arguments, complete()),
            Self::Push(arguments) => commands::nats::push::run(arguments, globals),
            Self::Pull(arguments) => commands::nats::pull::run(arguments, globals),
        }
    }
}

/// The complete command line.
fn complete() -> clap::Command {
    IS_COMPLETE.store(true, Ordering::Relaxed);
    Cli::command()
}

/// The complete command line, with the help of each command in order.
fn command() -> clap::Command {
    complete().mut_subcommands(help::in_order)
}

/// Reads the command line. What clap reports (help, version, usage) is printed.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Command, Globals), Status> {
    let arguments = typed::joined(arguments.into_iter().collect());
    commands::choose_color(usage::color_choice(&arguments));
    commands::keep_command_line(&arguments);
    // Ordering the help of each command costs as much as everything else before the
    // command runs, so it is done only if help is printed.
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
