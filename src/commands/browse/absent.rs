//! `browse` without the feature `browse`: it prints how to get it.

use std::ffi::OsString;

use crate::commands::{Failure, Globals, Status};

const EXAMPLES: &str = "\
proglog browse DIR
proglog read DIR";

const USAGE: &str = "proglog browse DIR";

const NOTES: &str = "\
This proglog was built without the feature browse. With it:
cargo install --path .";

/// Any arguments.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, override_usage = USAGE, after_help = NOTES)]
pub struct Arguments {
    /// The arguments of the command.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Prints the requirement.
pub fn run(_: &Arguments, _: Globals) -> anyhow::Result<Status> {
    let message = "browse needs the cargo feature browse, which this proglog was built without";
    Err(Failure::new(Status::Failed, message)
        .hint("in a clone of proglog:")
        .hint("cargo install --path .")
        .into())
}
