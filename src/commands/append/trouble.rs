//! Why an append to a log ends: an error of the engine, or an answer of the command.

use proglog::log::error::Error;

use crate::commands::Failure;

/// Errors of the log.
#[derive(Debug)]
pub enum Trouble {
    /// The engine stopped.
    Log(Error),
    /// The command's own answer is no.
    Refused(Failure),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Log(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}
