//! Opening the log that a read continues in: with `-F`, waiting until it is there.

use std::time::{Duration, Instant};

use proglog::log::directory::Directory;
use proglog::log::reader::LogReader;
use proglog::scan::layouts;

use super::Arguments;
use super::wait::{Look, Waiter, Woken};
use crate::commands::{Failure, Globals, Status, say, status_of};

/// How often a log that does not exist yet is searched for.
const LOOK_FOR_LOG: Duration = Duration::from_millis(50);

/// A log that is there now.
pub struct Open {
    /// As it is now.
    pub log: LogReader,
    /// Whether it was not there at first.
    pub awaited: bool,
}

/// The outcome of opening the log.
pub enum Opened {
    /// It is there.
    Log(Open),
    /// Something ended the wait for it.
    Not(Woken),
}

/// Opens the log; with `-F` waits for it.
pub fn open(
    arguments: &Arguments,
    globals: Globals,
    waiter: &mut Waiter,
) -> anyhow::Result<Opened> {
    let mut awaited = false;
    loop {
        let error = match LogReader::open(&arguments.dir) {
            Ok(log) => {
                layouts::require_ours(log.directory())?;
                return Ok(Opened::Log(Open { log, awaited }));
            }
            Err(error) => error,
        };
        let path = &arguments.dir;
        let missing = !path.exists() || Directory::list(path).is_ok_and(|it| it.is_empty());
        if !missing {
            return Err(error.into());
        }
        if !arguments.going_on.retry {
            if arguments.going_on.follow {
                let failure = Failure::new(status_of(&error), error.to_string());
                return Err(failure
                    .hint("-F waits for a log that does not exist yet")
                    .into());
            }
            return Err(error.into());
        }
        if !awaited && !globals.quiet {
            say(&format!(
                "note: {} is not a log yet: waiting for it",
                path.display()
            ));
        }
        awaited = true;
        match waiter.wait(Some(Instant::now() + LOOK_FOR_LOG), || Look::Nothing)? {
            Woken::Changed => {}
            woken => return Ok(Opened::Not(woken)),
        }
    }
}

/// The status where nothing came.
pub fn not_come(arguments: &Arguments, woken: Woken) -> Status {
    match woken {
        Woken::Idle if arguments.count.is_some_and(|count| count > 0) => Status::No,
        _ => Status::Done,
    }
}
