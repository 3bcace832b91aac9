//! Checks that a log is still the one that a cursor file belongs to, before anything is
//! read from it.

use std::path::Path;

use proglog::log::reader::LogReader;
use proglog::log::units::Offset;

use super::cursor::Held;
use super::fingerprint::Comparison;
use super::obstacle::GoesOn;
use super::range::OnError;
use crate::commands::{Failure, Globals, Status, quote, say};

/// Whether the record that shows it is damaged, and passed over. `path` is the cursor file.
pub fn check(
    path: &Path,
    held: &Held,
    log: &mut LogReader,
    on_error: OnError,
    globals: Globals,
) -> anyhow::Result<bool> {
    let at = held.next;
    let name = quote(path);
    let file = format!("cursor file {}", path.display());
    let dir = quote(&log.directory().path);
    if let Some((what, onwards)) = outside(at, log.lowest_offset(), log.next_offset()?) {
        let failure = Failure::new(Status::No, format!("{file}: {what}"));
        return Err(failure
            .hint(format!("proglog info {dir}"))
            .hint(format!("to continue at {onwards}:"))
            .hint(format!("echo {onwards} > {name}"))
            .into());
    }
    let Some(fingerprint) = held.fingerprint else {
        return Ok(false);
    };
    let offset = fingerprint.offset();
    let refuse = |status, message: String| {
        Err(Failure::new(status, message)
            .hint("to accept the log as it is:")
            .hint(format!("echo {at} > {name}")))
    };
    Ok(match fingerprint.compare(log)? {
        Comparison::Same | Comparison::Trimmed => false,
        Comparison::Redacted => {
            if !globals.quiet {
                say(&format!(
                    "note: {file}: offset {offset}, the last record read, consists of one \
                     repeated byte now: redacted"
                ));
            }
            false
        }
        Comparison::Changed => refuse(
            Status::No,
            format!(
                "{file}: offset {offset} is not the record that was read there: the log was \
                 recreated, or truncated and appended to"
            ),
        )?,
        Comparison::Missing => refuse(
            Status::No,
            format!("{file}: offset {offset}, the last record read, is no longer in the log"),
        )?,
        Comparison::Damaged(trouble) => {
            say(&trouble.line(GoesOn::Unknown));
            if on_error == OnError::Stop {
                let message = format!("{file}: offset {offset}, the last record read, is damaged");
                refuse(Status::Damage, message)?;
            }
            true
        }
    })
}

/// A cursor outside the log: its offset is gone, or past the end of the log. Returns the
/// offset at which the log can be read instead.
fn outside(at: Offset, lowest: Offset, next: Offset) -> Option<(String, Offset)> {
    if at < lowest {
        let last = lowest.0 - 1;
        let gone = format!("offsets {at}..{last} are gone: the log begins at {lowest}");
        Some((gone, lowest))
    } else if at > next {
        let last = at.0 - 1;
        let back = format!(
            "the cursor is past the end of the log: offsets {next}..{last} were \
                            removed"
        );
        Some((back, next))
    } else {
        None
    }
}
