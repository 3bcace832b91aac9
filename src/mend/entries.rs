//! Entries made from the frames of a store: what the plan counted is found again,
//! frame by frame, and anything else is an error.

use crate::inspect::run::{self, Mark, Until};
use crate::inspect::tail::{self, TailStart};
use crate::log::disk::{Disk, DiskFile, write_all_at};
use crate::log::error::{Error, Result};
use crate::log::format::{ENTRY_BYTES, Entry, LENGTH_BYTES, frame_end};
use crate::log::record::Codec;
use crate::log::units::{Offset, Position, RelativeOffset};
use crate::log::walk::layout_in;
use crate::log::window::{ReadFile, STREAM_BYTES, Window};

use super::gather::Gather;
use super::plan::{Follow, NewEntries};

/// Makes the entries that a plan asks for and hands them over in order.
///
/// # Errors
///
/// The callback's; [`Error::CannotAppend`] if the store does not hold the frames that
/// the plan counted.
pub fn make(
    store: &ReadFile,
    codec: Codec,
    base: Offset,
    wanted: &NewEntries,
    each: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
    make_to(store, codec, base, wanted, each).map(drop)
}

/// The same; gives where frames that follow each other end.
fn make_to(
    store: &ReadFile,
    codec: Codec,
    base: Offset,
    wanted: &NewEntries,
    mut each: impl FnMut(Entry) -> Result<()>,
) -> Result<Option<Position>> {
    let mut made = 0;
    let mut emit = |slot: u64, position: Position| {
        if made >= wanted.count || slot != wanted.first_slot + made {
            return Ok(());
        }
        let Ok(relative) = u32::try_from(slot) else {
            return Ok(());
        };
        made += 1;
        each(Entry {
            relative: RelativeOffset(relative),
            position,
        })
    };
    let mut end = None;
    match wanted.follow {
        Follow::Lengths => end = Some(by_lengths(store, codec, base, wanted, &mut emit)?),
        Follow::Sequence => {
            let start = TailStart {
                base,
                slot: wanted.first_slot,
                position: wanted.from,
                // No more than what was counted is taken: what lies behind is all one.
                may_be_unfinished: true,
            };
            tail::look::<Error>(store, codec, start, |frame| {
                emit(frame.slot, frame.position)
            })?;
        }
    }
    if made != wanted.count {
        return Err(Error::CannotAppend {
            path: store.path().to_path_buf(),
            why: format!(
                "{made} frames are where {} were when the plan was made",
                wanted.count
            ),
        });
    }
    Ok(end)
}

/// Makes the entries of frames that follow each other; gives where the last one ends.
fn by_lengths(
    store: &ReadFile,
    codec: Codec,
    base: Offset,
    wanted: &NewEntries,
    emit: &mut impl FnMut(u64, Position) -> Result<()>,
) -> Result<Position> {
    let mut window = Window::new(store.clone(), STREAM_BYTES);
    let (mut slot, mut position) = (wanted.first_slot, wanted.from);
    let end = slot.saturating_add(wanted.count);
    while slot < end {
        let until = Until {
            stop: store.file_bytes,
            frames: end - slot,
        };
        let carried = base.0.checked_add(slot);
        let run = run::follow(&mut window, codec, position, carried, until, |frame, _| {
            emit(slot, frame)?;
            slot += 1;
            Ok::<(), Error>(())
        })?;
        position = run.end;
        if slot < end {
            // An empty frame, a large one, or none.
            let Some(behind) = frame_of(&mut window, codec, base, slot, position)? else {
                break;
            };
            emit(slot, position)?;
            slot += 1;
            position = behind;
        }
    }
    Ok(position)
}

/// Where the frame of `slot` ends, if it stands at `position`.
fn frame_of(
    window: &mut Window,
    codec: Codec,
    base: Offset,
    slot: u64,
    position: Position,
) -> Result<Option<Position>> {
    let limit = window.file_bytes();
    if position.0.saturating_add(LENGTH_BYTES) > limit {
        return Ok(None);
    }
    let payload_bytes = window.length_at(position.0)?;
    let end = frame_end(position, payload_bytes, limit);
    if end.is_some() && codec == Codec::Protobuf {
        let start = position.0 + LENGTH_BYTES;
        let carried = layout_in(window, start, payload_bytes).map(|layout| layout.offset);
        if carried.ok() != base.0.checked_add(slot) {
            return Ok(None);
        }
    }
    Ok(end)
}

/// Writes the entries that a plan asks for to an index, where `marks` say so by several
/// threads.
///
/// # Errors
///
/// As [`make`], and [`Error::Io`].
pub fn write(
    disk: &dyn Disk,
    index: &DiskFile,
    store: &ReadFile,
    codec: Codec,
    base: Offset,
    wanted: &NewEntries,
    marks: &[Mark],
) -> Result<()> {
    let end = wanted.first_slot.saturating_add(wanted.count);
    let marks: Vec<Mark> = marks
        .iter()
        .copied()
        .filter(|mark| wanted.first_slot < mark.slot && mark.slot < end)
        .collect();
    let first = Mark {
        slot: wanted.first_slot,
        position: wanted.from,
    };
    let starts = std::iter::once(first).chain(marks.iter().copied());
    let ends = marks.iter().map(Some).chain([None]);
    std::thread::scope(|scope| {
        let writers: Vec<_> = starts
            .zip(ends)
            .map(|(start, stop)| {
                let part = NewEntries {
                    first_slot: start.slot,
                    count: stop.map_or(end, |stop| stop.slot) - start.slot,
                    from: start.position,
                    // Between two marks nothing else stands.
                    follow: stop.map_or(wanted.follow, |_| Follow::Lengths),
                };
                scope.spawn(move || {
                    let stop = stop.map(|stop| stop.position);
                    write_part(disk, index, store, codec, base, &part, stop)
                })
            })
            .collect();
        writers
            .into_iter()
            .try_for_each(|writer| match writer.join() {
                Ok(written) => written,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

/// Writes the entries of one part, whose frames end at `stop` if that is known.
fn write_part(
    disk: &dyn Disk,
    index: &DiskFile,
    store: &ReadFile,
    codec: Codec,
    base: Offset,
    part: &NewEntries,
    stop: Option<Position>,
) -> Result<()> {
    let mut position = part.first_slot * ENTRY_BYTES;
    let mut gather = Gather::to(|piece| {
        write_all_at(disk, index, piece, position).map_err(Error::io("write", index.path()))?;
        position += piece.len() as u64;
        Ok(())
    });
    let end = make_to(store, codec, base, part, |entry| {
        gather.add(&entry.encode())
    })?;
    gather.finish()?;
    match stop {
        Some(stop) if end != Some(stop) => Err(Error::CannotAppend {
            path: store.path().to_path_buf(),
            why: "frames end elsewhere than when the plan was made".to_owned(),
        }),
        _ => Ok(()),
    }
}
