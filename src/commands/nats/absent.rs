//! `push` and `pull` without the feature `nats`: they print how to get it.

use std::ffi::OsString;

use crate::commands::{Failure, Globals, Status};

/// How a proglog is built that has them.
const BUILD: &str = "cargo install --path . --features nats";

const EXAMPLES: &str = "\
proglog push DIR nats://host/STREAM --create
proglog pull nats://host/STREAM DIR";

const USAGE: &str = "proglog push DIR URL, proglog pull URL DIR";

const NOTES: &str = "\
This proglog was built without the feature nats. With it:
cargo install --path . --features nats";

/// Any arguments.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, override_usage = USAGE, after_help = NOTES)]
pub struct Arguments {
    /// The arguments of the command.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

fn needs_the_feature(command: &str) -> anyhow::Result<Status> {
    let message =
        format!("{command} needs the cargo feature nats, which this proglog was built without");
    Err(Failure::new(Status::Failed, message)
        .hint("in a clone of proglog:")
        .hint(BUILD)
        .into())
}

pub mod push {
    //! `proglog push` without the feature.
    pub use super::Arguments;
    use super::{Globals, Status, needs_the_feature};

    /// Prints the requirement.
    pub fn run(_: &Arguments, _: Globals) -> anyhow::Result<Status> {
        needs_the_feature("push")
    }
}

pub mod pull {
    //! `proglog pull` without the feature.
    pub use super::Arguments;
    use super::{Globals, Status, needs_the_feature};

    /// Prints the requirement.
    pub fn run(_: &Arguments, _: Globals) -> anyhow::Result<Status> {
        needs_the_feature("pull")
    }
}
