//! The command that gets records on its stdin, one run for each batch of them.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::commands::{Failure, Status, with_given_descriptors};

/// One run of the command.
pub struct Worker {
    child: Child,
    name: String,
}

impl Worker {
    /// Starts the command; gives its stdin too.
    pub fn start(command: &[OsString]) -> anyhow::Result<(Self, File)> {
        let [program, arguments @ ..] = command else {
            return Err(Failure::new(Status::Failed, "no command is named").into());
        };
        let name = program.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped());
        let spawned = with_given_descriptors(|| command.spawn());
        let mut child = spawned.map_err(|error| {
            let failure = Failure::new(Status::Failed, format!("{name}: cannot start it: {error}"));
            match error.kind() {
                ErrorKind::NotFound if name.contains('/') => failure.hint("no such file"),
                ErrorKind::NotFound => failure.hint(format!(
                    "no such command in $PATH; a file here is ./{name}, a line for the shell is: -- sh -c '...'"
                )),
                ErrorKind::PermissionDenied => failure.hint(format!("chmod +x {name}")),
                _ => failure,
            }
        })?;
        let stdin = child.stdin.take().map(OwnedFd::from).map(File::from);
        let stdin = stdin.ok_or_else(|| Failure::new(Status::Failed, "no pipe to the command"))?;
        Ok((Self { child, name }, stdin))
    }

    /// Waits until the command has ended; its stdin must be closed.
    pub fn wait(mut self) -> anyhow::Result<Ended> {
        let status = self.child.wait()?;
        Ok(Ended {
            status,
            name: self.name,
        })
    }
}

/// How the command ended.
pub struct Ended {
    status: ExitStatus,
    name: String,
}

impl Ended {
    /// The exit status that a shell shows: 128 + n for signal n.
    pub fn code(&self) -> u8 {
        let code = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => i32::from(Status::Failed as u8),
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }

    /// How it ended, in words.
    pub fn words(&self) -> String {
        let name = &self.name;
        match (self.status.code(), self.status.signal()) {
            (None, Some(signal)) => {
                let signal = crate::commands::signals::name(signal);
                format!("{name} was ended by {signal}")
            }
            _ => format!("{name} ended with {}", self.code()),
        }
    }
}
