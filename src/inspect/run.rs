//! Runs of frames without anomalies: adjacent, none of them in a hole, in a protobuf log
//! each with the offset after the previous one. `tail` handles what ends a run.

use crate::log::error::Error;
use crate::log::format::{LENGTH_BYTES, SECTOR_BYTES};
use crate::log::record::Codec;
use crate::log::units::Position;
use crate::log::walk::record_in;
use crate::log::window::Window;

/// Frames that were followed. Positions are bytes of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many.
    pub frames: u64,
    /// Position of the last frame; the start of the run, if it is empty.
    pub last: Position,
    /// End of the last frame.
    pub end: Position,
    /// Bytes of protobuf records outside their values.
    pub field_bytes: u64,
}

impl Run {
    /// No frame yet.
    fn none_at(position: Position) -> Self {
        Self {
            frames: 0,
            last: position,
            end: position,
            field_bytes: 0,
        }
    }
}

/// Follows the frames from `from` on that begin before `stop`, of which a protobuf log's
/// first must carry the offset `carried`, and passes on where each begins and ends.
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
    stop: u64,
    mut each: impl FnMut(Position, Position) -> std::result::Result<(), E>,
) -> std::result::Result<Run, E> {
    let mut run = Run::none_at(from);
    loop {
        let position = run.end;
        if position.0 >= stop {
            break;
        }
        let Some(end) = window.frame_end_at(position.0)? else {
            break;
        };
        let start = position.0 + LENGTH_BYTES;
        let payload_bytes = end.0 - start;
        if payload_bytes == 0 && (codec == Codec::Protobuf || !is_data(window, position)) {
            break;
        }
        if codec == Codec::Protobuf {
            let layout = record_in(window, start, payload_bytes)?;
            let Some(layout) = layout.filter(|layout| carried == Some(layout.offset)) else {
                break;
            };
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

/// Whether the zero length at `position` is certainly not in a hole: its sector has a
/// nonzero byte.
#[cold]
fn is_data(window: &mut Window, position: Position) -> bool {
    let start = position.0 / SECTOR_BYTES * SECTOR_BYTES;
    let count = (window.file_bytes() - start).min(SECTOR_BYTES);
    let bytes = usize::try_from(count).map(|count| window.bytes(start, count));
    matches!(bytes, Ok(Ok(bytes)) if bytes.iter().any(|&byte| byte != 0))
}
