//! The command that gets records on its stdin, one run for each batch of them. What it
//! leaves in the pipe when it ends, it has not handled.

use proglog::log::error::reason;
use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use proglog::log::platform::reopen;
use rustix::fs::OFlags;
use rustix::io::{Errno, ioctl_fionread};

use crate::commands::{Failure, Status, quote_word, with_given_descriptors};

/// One run of the command.
pub struct Worker {
    child: Child,
    name: String,
    /// The writing end of the pipe: as long as this process does not have the reading end
    /// open, a write fails when the command has closed it.
    pipe: File,
}

impl Worker {
    /// Starts the command; returns its stdin too.
    pub fn start(command: &[OsString]) -> anyhow::Result<(Self, File)> {
        let [program, arguments @ ..] = command else {
            return Err(Failure::new(Status::Failed, "no command given").into());
        };
        let name = program.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        let (input, pipe) = std::io::pipe()?;
        let pipe = File::from(OwnedFd::from(pipe));
        let stdin = pipe.try_clone()?;
        // Requirements of the end are checked before a record is delivered.
        open_for_reading(&pipe)?;
        command.args(arguments).stdin(Stdio::from(input));
        let spawned = with_given_descriptors(|| command.spawn());
        let child = spawned.map_err(|error| {
            let failure = Failure::new(
                Status::Failed,
                format!("{name}: cannot start it: {}", reason(&error)),
            );
            match error.kind() {
                ErrorKind::NotFound if name.contains('/') => failure.hint("no such file"),
                ErrorKind::NotFound => failure.hint(format!(
                    "no such command in $PATH; run a local file as ./{name}, a shell command \
                     as: -- sh -c '...'"
                )),
                ErrorKind::PermissionDenied => {
                    failure.hint(format!("chmod +x {}", quote_word(program)))
                }
                _ => failure,
            }
        })?;
        Ok((Self { child, name, pipe }, stdin))
    }

    /// Waits until the command has ended; its stdin must be closed.
    pub fn wait(mut self) -> anyhow::Result<Ended> {
        let pipe = open_for_reading(&self.pipe);
        drop(self.pipe); // the end of its input
        let status = self.child.wait()?;
        Ok(Ended {
            status,
            name: self.name,
            left_unread: ioctl_fionread(&pipe?)? > 0,
        })
    }
}

/// Opens the other end of a pipe.
fn open_for_reading(pipe: &File) -> anyhow::Result<OwnedFd> {
    let opened = reopen(pipe.as_fd(), OFlags::RDONLY | OFlags::NONBLOCK);
    opened.unwrap_or(Err(Errno::NOENT)).map_err(|error| {
        let message = format!(
            "cannot tell what a command leaves unread: {}",
            reason(&error)
        );
        Failure::new(Status::Failed, message)
            .hint("/proc must be mounted for -- COMMAND")
            .into()
    })
}

/// How the command ended.
pub struct Ended {
    status: ExitStatus,
    name: String,
    left_unread: bool,
}

impl Ended {
    /// Whether the pipe still held something for the command when it ended.
    pub fn left_unread(&self) -> bool {
        self.left_unread
    }

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
