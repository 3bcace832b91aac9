//! Runs of frames in which there is nothing to judge: one behind the other, none of
//! them in a hole, in a protobuf log each with the offset behind the one before. What ends
//! a run is for `tail`. A long run is followed in parts at once: each begins where a
//! frame seems to, and counts only if the part before ends there.

use std::thread;

use super::tail::TailStart;
use crate::log::error::{Error, Result};
use crate::log::format::{LENGTH_BYTES, frame_end};
use crate::log::record::{Codec, layout_of};
use crate::log::units::Position;
use crate::log::walk::PAYLOAD_IN_MEMORY_MAX;
use crate::log::window::{ReadFile, STREAM_BYTES, Window};

/// Bytes below which a store is not worth another thread.
pub const PART_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes in which the beginning of a part is looked for.
const SEARCH_BYTES: u64 = 1024 * 1024;

/// The largest frame that a part may begin with, for a search must not read much.
const FIRST_FRAME_BYTES: u64 = 256 * 1024;

/// Places at which a part is tried to begin, at most.
const TRIES: u32 = 256;

/// Frames that must follow a place at which a part begins.
const SEEN_FRAMES: u64 = 8;

/// Frames that were followed. Positions are bytes of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many.
    pub frames: u64,
    /// Where the last one begins; where the run does, if there is none.
    pub last: Position,
    /// Where the last one ends.
    pub end: Position,
    /// Bytes of protobuf records outside their values.
    pub field_bytes: u64,
}

/// A place in a run: a slot, and where its frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The slot.
    pub slot: u64,
    /// Where its frame begins.
    pub position: Position,
}

/// How far a run is followed.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    /// Frames that begin here or behind are not looked at.
    pub stop: u64,
    /// As many frames at most.
    pub frames: u64,
}

/// Follows the frames from `from` on, of which a protobuf log's first must carry the
/// offset `carried`, and hands over where each begins and ends.
///
/// # Errors
///
/// The callback's, and reading's; unreadable bytes end the run.
#[inline]
pub fn follow<E: From<Error>>(
    window: &mut Window,
    codec: Codec,
    from: Position,
    mut carried: Option<u64>,
    until: Until,
    mut each: impl FnMut(Position, Position) -> std::result::Result<(), E>,
) -> std::result::Result<Run, E> {
    let limit = window.file_bytes();
    let mut run = Run {
        frames: 0,
        last: from,
        end: from,
        field_bytes: 0,
    };
    while run.frames < until.frames {
        let position = run.end;
        if position.0 >= until.stop || position.0.saturating_add(LENGTH_BYTES) > limit {
            break;
        }
        let payload_bytes = match window.length_at(position.0) {
            Ok(payload_bytes) => payload_bytes,
            Err(Error::Unreadable { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        let Some(end) = frame_end(position, payload_bytes, limit) else {
            break;
        };
        if payload_bytes == 0 && (codec == Codec::Protobuf || !is_data(window, position)) {
            break;
        }
        if codec == Codec::Protobuf {
            if payload_bytes > PAYLOAD_IN_MEMORY_MAX {
                break;
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most 8 MiB")]
            let count = payload_bytes as usize;
            let payload = match window.bytes(position.0 + LENGTH_BYTES, count) {
                Ok(payload) => payload,
                Err(Error::Unreadable { .. }) => break,
                Err(error) => return Err(error.into()),
            };
            let Ok(layout) = layout_of(payload) else {
                break;
            };
            if carried != Some(layout.offset) {
                break;
            }
            carried = layout.offset.checked_add(1);
            run.field_bytes += payload_bytes - (layout.value.end - layout.value.start);
        }
        each(position, end)?;
        run.frames += 1;
        run.last = position;
        run.end = end;
    }
    Ok(run)
}

/// Whether the length at `position`, which is zero, surely stands in no hole: no file
/// system has smaller ones than a sector, and in this one something is not zero.
#[cold]
fn is_data(window: &mut Window, position: Position) -> bool {
    const SECTOR_BYTES: u64 = 512;
    let start = position.0 / SECTOR_BYTES * SECTOR_BYTES;
    let count = (window.file_bytes() - start).min(SECTOR_BYTES);
    let bytes = usize::try_from(count).map(|count| window.bytes(start, count));
    matches!(bytes, Ok(Ok(bytes)) if bytes.iter().any(|&byte| byte != 0))
}

/// A part of a store, and the offset that its first frame carries (protobuf).
#[derive(Debug, Clone, Copy)]
struct Part {
    from: Position,
    carried: Option<u64>,
}

/// The run that begins at `start`, up to the frame that reaches `stop` or at least as
/// far as parts fit together; and where these begin, but for the first. `None` where
/// more than one thread of work is not there.
///
/// # Errors
///
/// Reading's.
pub fn in_parts(
    store: &ReadFile,
    codec: Codec,
    start: TailStart,
    stop: u64,
    threads: usize,
    part_bytes: u64,
) -> Result<Option<(Run, Vec<Mark>)>> {
    let bytes = stop.saturating_sub(start.position.0);
    let count = (bytes / part_bytes.max(1)).min(threads as u64);
    if count < 2 {
        return Ok(None);
    }
    let mut parts = vec![Part {
        from: start.position,
        carried: start.base.0.checked_add(start.slot),
    }];
    for number in 1..count {
        let from = start.position.0 + bytes / count * number;
        // A record may reach over several bounds.
        match begin(store, codec, from, stop)? {
            Some(part) if parts.iter().all(|before| before.from < part.from) => parts.push(part),
            _ => {}
        }
    }
    if parts.len() < 2 {
        return Ok(None);
    }
    let ends = parts.iter().skip(1).map(|part| part.from.0).chain([stop]);
    let runs: Vec<Result<Run>> = thread::scope(|scope| {
        let followers: Vec<_> = parts
            .iter()
            .zip(ends)
            .map(|(part, stop)| {
                let until = Until {
                    stop,
                    frames: u64::MAX,
                };
                scope.spawn(move || {
                    let mut window = Window::new(store.clone(), STREAM_BYTES);
                    let Part { from, carried } = *part;
                    follow(&mut window, codec, from, carried, until, |_, _| Ok(()))
                })
            })
            .collect();
        followers
            .into_iter()
            .map(|follower| match follower.join() {
                Ok(run) => run,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    let mut marks = Vec::new();
    let mut whole: Option<Run> = None;
    for (part, run) in parts.iter().zip(runs) {
        let Some(before) = &mut whole else {
            whole = Some(run?);
            continue;
        };
        let slot = start.slot.saturating_add(before.frames);
        let carries_on = codec == Codec::Raw || part.carried == start.base.0.checked_add(slot);
        // What was read on a wrong guess is no error either.
        if before.end != part.from || !carries_on || before.frames == 0 {
            break;
        }
        let run = run?;
        if run.frames == 0 {
            break;
        }
        marks.push(Mark {
            slot,
            position: part.from,
        });
        *before = Run {
            frames: before.frames + run.frames,
            last: run.last,
            end: run.end,
            field_bytes: before.field_bytes + run.field_bytes,
        };
    }
    Ok(whole.map(|run| (run, marks)))
}

/// The first place from `from` on at which several frames stand one behind the other.
/// A guess: a value may hold what looks like frames.
fn begin(store: &ReadFile, codec: Codec, from: u64, stop: u64) -> Result<Option<Part>> {
    let mut window = Window::new(store.clone(), STREAM_BYTES);
    let mut beyond = Window::new(store.clone(), STREAM_BYTES);
    let mut tries = TRIES;
    let end = from.saturating_add(SEARCH_BYTES).min(stop);
    for at in from..end {
        if at.saturating_add(LENGTH_BYTES) > store.file_bytes {
            break;
        }
        let payload_bytes = match window.length_at(at) {
            Ok(payload_bytes) => payload_bytes,
            Err(Error::Unreadable { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if payload_bytes == 0 || payload_bytes > FIRST_FRAME_BYTES {
            continue;
        }
        tries -= 1;
        let carried = match codec {
            Codec::Raw => None,
            Codec::Protobuf => carried_at(&mut beyond, at, payload_bytes)?,
        };
        let until = Until {
            stop,
            frames: SEEN_FRAMES,
        };
        let run = follow::<Error>(&mut beyond, codec, Position(at), carried, until, |_, _| {
            Ok(())
        })?;
        if run.frames == SEEN_FRAMES || (run.frames > 0 && run.end.0 >= stop) {
            return Ok(Some(Part {
                from: Position(at),
                carried,
            }));
        }
        if tries == 0 {
            break;
        }
    }
    Ok(None)
}

/// The offset that the record in a frame of a protobuf log carries, if one is there.
fn carried_at(window: &mut Window, frame: u64, payload_bytes: u64) -> Result<Option<u64>> {
    let there = frame_end(Position(frame), payload_bytes, window.file_bytes());
    let (Some(_), Ok(count)) = (there, usize::try_from(payload_bytes)) else {
        return Ok(None);
    };
    match window.bytes(frame + LENGTH_BYTES, count) {
        Ok(payload) => Ok(layout_of(payload).ok().map(|layout| layout.offset)),
        Err(Error::Unreadable { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
