//! Transfers to and from a NATS JetStream stream: `proglog push` and `proglog pull`.
//!
//! Part of the cargo feature `nats`, because of its dependencies. Without it the two
//! commands print what they need. `message` has the format of a message, `agree` compares
//! a log with a stream, `patience` limits the retries.
//!
//! Sequence = offset - base + 1, where the base is the offset of the stream's first
//! message ever. Neither side keeps a state of its own: the stream is asked how far it
//! is, and the log knows.

#[cfg(not(feature = "nats"))]
mod absent;
#[cfg(feature = "nats")]
mod agree;
#[cfg(feature = "nats")]
mod feed;
#[cfg(feature = "nats")]
mod link;
#[cfg(feature = "nats")]
mod message;
#[cfg(feature = "nats")]
mod options;
#[cfg(feature = "nats")]
mod patience;
#[cfg(feature = "nats")]
pub mod pull;
#[cfg(feature = "nats")]
mod pulling;
#[cfg(feature = "nats")]
pub mod push;
#[cfg(feature = "nats")]
mod sending;
#[cfg(feature = "nats")]
mod source;
#[cfg(feature = "nats")]
mod stream;
#[cfg(feature = "nats")]
mod talk;
#[cfg(feature = "nats")]
mod url;

#[cfg(not(feature = "nats"))]
pub use absent::{pull, push};

#[cfg(feature = "nats")]
use proglog::log::error::Error;

#[cfg(feature = "nats")]
use super::{Failure, Status};

/// Why something did not continue.
#[cfg(feature = "nats")]
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

#[cfg(feature = "nats")]
impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

#[cfg(feature = "nats")]
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Log(error)
    }
}

#[cfg(feature = "nats")]
impl From<super::append::target::Trouble> for Trouble {
    fn from(trouble: super::append::target::Trouble) -> Self {
        match trouble {
            super::append::target::Trouble::Log(error) => Self::Log(error),
            super::append::target::Trouble::Refused(failure) => Self::Final(failure),
        }
    }
}

/// A negative result: two sides of a fork, another log, offsets that are gone.
#[cfg(feature = "nats")]
fn no(message: impl Into<String>) -> Trouble {
    Trouble::Final(Failure::new(Status::No, message))
}

/// It cannot be done, and waiting does not help.
#[cfg(feature = "nats")]
fn cannot(message: impl Into<String>) -> Trouble {
    Trouble::Final(Failure::new(Status::Failed, message))
}
