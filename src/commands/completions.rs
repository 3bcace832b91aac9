//! `proglog completions SHELL`: what the shell needs to complete commands and options.
//!
//! ```text
//! $ proglog completions bash > ~/.local/share/bash-completion/completions/proglog
//! ```

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Status, stdout};

const EXAMPLES: &str = "\
proglog completions bash > ~/.local/share/bash-completion/completions/proglog
proglog completions zsh > ~/.zfunc/_proglog
proglog completions fish > ~/.config/fish/completions/proglog.fish";

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the script. `command` is the whole command line.
pub fn run(arguments: &Arguments, mut command: Command) -> anyhow::Result<Status> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    let mut out = stdout()?;
    out.write_all(&script)?;
    out.flush()?;
    Ok(Status::Done)
}
