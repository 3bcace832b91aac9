//! Opening the log; with `-F`, waiting until it is there.

use std::path::Path;
use std::time::{Duration, Instant};

use proglog::log::directory::Directory;
use proglog::log::error::Error;
use proglog::log::reader::LogReader;
use proglog::log::record::Codec;
use proglog::scan::layouts;

use super::Arguments;
use super::wait::{Look, Waiter, Woken};
use crate::commands::{Failure, Globals, Status, say};

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

/// Opens the log of the arguments.
pub fn open(arguments: &Arguments) -> anyhow::Result<LogReader> {
    open_in(&arguments.dir, arguments.codec)
}

/// Opens a log, to be read by the codec, if one is given.
pub fn open_in(dir: &Path, codec: Option<Codec>) -> anyhow::Result<LogReader> {
    let mut log = LogReader::open(dir)?;
    layouts::require_any_ours(log.directory())?;
    if let Some(codec) = codec {
        log.set_codec(codec);
    }
    Ok(log)
}

/// The same for a read that continues; with `-F` waits for the log.
pub fn await_log(
    arguments: &Arguments,
    globals: Globals,
    waiter: &mut Waiter,
) -> anyhow::Result<Opened> {
    let mut awaited = false;
    loop {
        let error = match open(arguments) {
            Ok(log) => return Ok(Opened::Log(Open { log, awaited })),
            Err(error) => error,
        };
        let path = &arguments.dir;
        let was_missing = matches!(
            error.downcast_ref(),
            Some(Error::NoDirectory { .. } | Error::NotALog { .. })
        );
        if was_missing && Directory::list(path).is_ok_and(|it| !it.segments.is_empty()) {
            // It has come since.
            awaited = true;
            continue;
        }
        let missing = !path.exists() || Directory::list(path).is_ok_and(|it| it.is_empty());
        if !missing || !arguments.going_on.follows() {
            return Err(error);
        }
        if !arguments.going_on.retry {
            let failure = Failure::new(Status::Failed, error.to_string());
            return Err(failure
                .hint("-F waits for a log that does not exist yet")
                .into());
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
