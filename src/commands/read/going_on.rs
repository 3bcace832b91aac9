//! The options of a read that goes on: following, the cursor file, the command that
//! handles records; and which of read's other options they contradict.

use std::ffi::OsString;
use std::fmt::Write;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use super::Arguments;
use crate::commands::offsets::Span;
use crate::commands::options::{positive, seconds};
use crate::commands::{Failure, Status, quote};

/// How a read goes on.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Following and work queues")]
pub struct GoingOn {
    /// Go on as records arrive, until Ctrl-C; -n 0 -f: new ones only
    #[arg(short, long)]
    pub follow: bool,
    /// The same, and wait for a log that does not exist yet
    #[arg(short = 'F', long)]
    pub retry: bool,
    /// With -f: end when nothing came for so long; status 1 if -c was not reached
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub until_idle: Option<Duration>,
    /// Begin at the offset in FILE, and keep there what is read: the next offset in
    /// decimal, then a line by which the last record is known again. Where FILE does not
    /// exist, --from says where to begin
    #[arg(long, value_name = "FILE")]
    pub cursor_file: Option<PathBuf>,
    /// With COMMAND: run it for at most K records at a time
    /// [default: all; with -f what is there, at most 1000]
    #[arg(long, value_name = "K", requires = "command", value_parser = positive)]
    pub batch: Option<NonZeroU64>,
    /// Gets the records on its stdin; the cursor moves when it ends with 0, else its
    /// status is read's (128 + n for signal n). It must read its input to the end, else
    /// the cursor stays and the status is 1; no records, no run. With -f it is run for
    /// each batch of records
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
    let refuse =
        |message: &str, hint: String| Err(Failure::new(Status::Failed, message).hint(hint));
    if !going_on.follows() && going_on.until_idle.is_some() {
        let hint = format!("proglog read {log} -f --until-idle 30");
        return refuse(
            "--until-idle is about waiting, and without -f nothing waits",
            hint,
        );
    }
    if !going_on.is_asked() {
        return Ok(());
    }
    if let Some(offset) = arguments.one() {
        let (message, hint) = if going_on.follows() {
            (
                "one offset asks for one record, -f for all that come",
                format!("to wait for that record: proglog read {log} {offset}.. -c 1 -f"),
            )
        } else {
            (
                "one offset asks for one record, a cursor and a command for all behind it",
                format!("that record alone: proglog read {log} {offset}"),
            )
        };
        return refuse(message, hint);
    }
    if arguments.reverse {
        let message = "-r begins at the end, and with -f, a cursor or a command there is none";
        return refuse(
            message,
            format!(
                "backwards, once: proglog read {log}{} -r",
                selection(arguments)
            ),
        );
    }
    if going_on.cursor_file.is_some() && arguments.tail.is_some() {
        let message = "-n and --cursor-file both say where to begin";
        let hint = "--from says where to begin as long as the cursor file does not exist";
        return refuse(message, hint.to_owned());
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
