//! The common options of push and pull, and their results.

use std::path::PathBuf;
use std::time::Duration;

use proglog::log::units::Offset;

use super::Trouble;
use super::talk::Totals;
use crate::commands::options::seconds;
use crate::commands::{Failure, Status, say, signals, status_of};

/// The options of both.
#[derive(Debug, clap::Args)]
pub struct Both {
    /// Read the credentials from this file: a JWT and its key, as written by nsc
    #[arg(long, value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// Continue as records arrive, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Exit with status 2 after SECONDS without progress; 0 tries once
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Print the summary as a JSON line
    #[arg(long)]
    pub json: bool,
}

/// Makes the end of a run. `standing` says what holds records up to which offset.
pub fn conclude(
    ended: Result<(), Trouble>,
    totals: &Totals,
    standing: impl Fn(Offset) -> String,
) -> anyhow::Result<Status> {
    let reached = match totals.next.and_then(|next| next.0.checked_sub(1)) {
        Some(last) => format!("; {}", standing(Offset(last))),
        None => String::new(),
    };
    match ended {
        Ok(()) => Ok(Status::Done),
        Err(Trouble::Final(failure)) => Err(Failure {
            message: format!("{}{reached}", failure.message),
            ..failure
        }
        .into()),
        Err(Trouble::Passing(why)) => {
            Err(Failure::new(Status::Failed, format!("{why}{reached}")).into())
        }
        Err(Trouble::Log(error)) if reached.is_empty() => Err(error.into()),
        Err(Trouble::Log(error)) => {
            Err(Failure::new(status_of(&error), format!("{error}{reached}")).into())
        }
        Err(Trouble::Signal(signal)) => {
            say(&format!("ended by {}{reached}", signals::name(signal)));
            signals::end_by(signal)?;
            Ok(Status::Failed)
        }
    }
}
