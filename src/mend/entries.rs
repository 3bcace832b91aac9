//! Entries made from the frames of a store: what the plan counted is found again,
//! frame by frame, and anything else is an error.

use crate::inspect::run::{self, Until};
use crate::inspect::tail::{self, TailStart};
use crate::log::error::{Error, Result};
use crate::log::format::{Entry, LENGTH_BYTES, frame_end};
use crate::log::record::Codec;
use crate::log::units::{Offset, Position, RelativeOffset};
use crate::log::walk::layout_in;
use crate::log::window::{ReadFile, STREAM_BYTES, Window};

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
    mut each: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
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
    match wanted.follow {
        Follow::Lengths => by_lengths(store, codec, base, wanted, &mut emit)?,
        Follow::Sequence => {
            let start = TailStart {
                base,
                slot: wanted.first_slot,
                position: wanted.from,
                // No more than what was counted is taken: what lies behind is all one.
                zero_entries: None,
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
    Ok(())
}

/// Makes the entries of frames that follow each other.
fn by_lengths(
    store: &ReadFile,
    codec: Codec,
    base: Offset,
    wanted: &NewEntries,
    emit: &mut impl FnMut(u64, Position) -> Result<()>,
) -> Result<()> {
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
    Ok(())
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
