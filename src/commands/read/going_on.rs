//! The options of a read that continues: following, the cursor file, the command that
//! handles records; and which of read's other options they contradict.

use std::ffi::OsString;
use std::fmt::Write;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use super::Arguments;
use crate::commands::offsets::Span;
use crate::commands::options::{positive, seconds};
use crate::commands::{Failure, Status, again, quote};

/// How a read continues.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Following and work queues")]
pub struct GoingOn {
    /// Print new records as they arrive, until Ctrl-C; with -n 0, only new ones
    #[arg(short, long)]
    pub follow: bool,
    /// Like -f, but wait for a log that does not exist yet; follow another log from its
    /// start when it replaces this one
    #[arg(short = 'F', long)]
    pub retry: bool,
    /// With -f, exit if no record arrives for SECONDS; status 1 if -c was not reached
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub until_idle: Option<Duration>,
    /// Start at the offset in FILE and update FILE as records are read: the next offset
    /// in decimal, then a line with a fingerprint of the last record. If FILE does not
    /// exist, start at --from
    #[arg(long, value_name = "FILE")]
    pub cursor_file: Option<PathBuf>,
    /// With COMMAND, run it for at most K records at a time [default: all; with -f those
    /// available, at most 1000]
    #[arg(long, value_name = "K", requires = "command", value_parser = positive)]
    pub batch: Option<NonZeroU64>,
    /// Run COMMAND with the records on its standard input. The cursor advances if COMMAND
    /// exits with 0; otherwise read exits with its status (128 + n for signal n). If
    /// COMMAND does not read its input to the end, the cursor stays and the status is 1.
    /// Without records COMMAND is not run. With -f it is run for each batch of records
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl GoingOn {
    /// Whether the read waits for more.
    pub fn follows(&self) -> bool {
        self.follow || self.retry
    }

    /// Whether the read is more than one pass from here to there.
    pub fn is_asked(&self) -> bool {
        self.follows() || self.cursor_file.is_some() || !self.command.is_empty()
    }
}

/// Refuses options that contradict each other.
pub fn check(arguments: &Arguments) -> Result<(), Failure> {
    let going_on = &arguments.going_on;
    let log = quote(&arguments.dir);
    let refuse = |message: &str, hint: &str| Failure::new(Status::Failed, message).hint(hint);
    if !going_on.follows() && going_on.until_idle.is_some() {
        return Err(refuse("--until-idle needs -f", &again("-f")));
    }
    if !going_on.is_asked() {
        return Ok(());
    }
    if let Some(offset) = arguments.one() {
        return Err(if going_on.follows() {
            let message = "one offset selects one record, -f all that follow";
            let hint = format!("proglog read {log} {offset}.. -c 1 -f");
            refuse(message, "to wait for that record:").hint(hint)
        } else {
            let message = "one offset selects one record, a cursor or a command all after it";
            refuse(message, "that record alone:").hint(format!("proglog read {log} {offset}"))
        });
    }
    if arguments.reverse {
        let message = "-r begins at the end, and with -f, a cursor or a command the log has no \
                       end";
        let hint = format!("proglog read {log}{} -r", selection(arguments));
        return Err(refuse(message, "backwards, once:").hint(hint));
    }
    if !going_on.command.is_empty() && arguments.search.has_context() {
        let message = "a command gets records that match, no context";
        return Err(refuse(message, "leave -A, -B and -C out"));
    }
    if going_on.cursor_file.is_some() && arguments.tail.is_some() {
        let message = "-n and --cursor-file both say where to begin";
        let hint = "--from applies while the cursor file does not exist";
        return Err(refuse(message, hint));
    }
    Ok(())
}

/// The options that select records, to be typed again.
fn selection(arguments: &Arguments) -> String {
    let mut options = String::new();
    let span = arguments.selected.span();
    if span != Span::default() {
        let _ = write!(options, " {span}");
    }
    for (name, number) in [("-c", arguments.count), ("-n", arguments.tail)] {
        if let Some(number) = number {
            let _ = write!(options, " {name} {number}");
        }
    }
    options
}
