//! The binary: parse, run, flush, exit status. The commands are in `commands`, the
//! options in `cli`.

mod cli;
mod commands;
mod render;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Without them a limit would end us by a signal, which loses nothing either.
    let _ = commands::survive_limits_of_files();
    let _ = commands::fail_without_memory();
    commands::raise_limit_of_descriptors();
    let status = match cli::parse(std::env::args_os()) {
        Ok((command, globals)) => {
            let result = command.run(globals);
            commands::tell_of_owners(globals);
            commands::conclude(result)
        }
        Err(status) => status,
    };
    ExitCode::from(status as u8)
}
