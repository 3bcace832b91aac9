//! Transfers to and from a NATS JetStream stream: `proglog push` and `proglog pull`.
//!
//! Part of the cargo feature `nats`, because of its dependencies; without it, `absent` is
//! compiled instead. `transfer` has what both commands share, `address` the login, `link`
//! the connection, `headers` the format of a message, `stream` and `source` the two sides,
//! and `compare` compares them.
//!
//! Sequence = offset - base, one base for the whole stream. Neither side keeps a state of
//! its own: the stream is asked how far it is, and the log knows.

mod address;
mod compare;
mod headers;
mod link;
pub mod pull;
pub mod push;
mod sending;
mod source;
mod stream;
mod transfer;

use std::fmt::Display;

use proglog::log::error::Error;

use super::append::target;
use super::{Failure, Status};

/// Why something did not continue.
#[derive(Debug)]
enum Trouble {
    /// May pass: it is tried again until `--timeout` is over.
    Passing(String),
    /// A negative result, or the other side does not respond.
    Final(Failure),
    /// The log's side.
    Log(Error),
    /// A signal came.
    Signal(i32),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Log(error)
    }
}

impl From<target::Trouble> for Trouble {
    fn from(trouble: target::Trouble) -> Self {
        match trouble {
            target::Trouble::Log(error) => Self::Log(error),
            target::Trouble::Refused(failure) => Self::Final(failure),
        }
    }
}

/// A negative result: two sides of a fork, another log, offsets that are gone.
fn no(message: impl Into<String>) -> Trouble {
    Trouble::Final(Failure::new(Status::No, message))
}

/// A stream that may come to itself.
fn passing(stream: &str, why: impl Display) -> Trouble {
    Trouble::Passing(format!("stream {stream}: {why}"))
}

/// It cannot be done, and waiting does not help.
fn cannot(message: impl Into<String>) -> Trouble {
    Trouble::Final(Failure::new(Status::Failed, message))
}
