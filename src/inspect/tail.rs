//! The bytes of a store after its last committed frame: nothing, zeros, a truncated
//! frame, or intact frames without entries. Reports which of these continue where the
//! entries end; `mend` decides whether they are adopted.

mod runs;

use super::resync::next_record;
use crate::log::error::{Error, Result};
use crate::log::format::LENGTH_BYTES;
use crate::log::record::{Codec, LayoutError};
use crate::log::units::{Offset, Position};
use crate::log::walk::{layout_in, record_at};
use crate::log::window::{ReadFile, STREAM_BYTES, Window};
use crate::scan::unfinished;

/// Bytes after a torn frame that are searched for intact ones.
const RESYNC_BYTES: u64 = 64 * 1024 * 1024;

/// The bytes after the last committed frame. Units: bytes of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    /// The start: the end of the last committed frame.
    pub position: u64,
    /// Number of bytes.
    pub bytes: u64,
    /// Intact frames in it.
    pub frames: u64,
    /// Of these, the ones that continue the sequence of offsets (protobuf).
    pub continuing: u64,
    /// Of these, those with an offset beyond the next: records before them are lost
    /// (protobuf).
    pub ahead: u64,
    /// Position of the first continuing frame; `position` if there is no such frame.
    pub continuing_position: u64,
    /// End of the last continuing frame; `position` if there is no such frame.
    pub continuing_end: u64,
    /// Position of the first intact frame.
    pub frames_position: u64,
    /// Position of the last intact frame.
    pub last_frame_position: u64,
    /// End of the last intact frame.
    pub frames_end: u64,
    /// Start of the bytes that are not an intact frame and not all zero; as many as
    /// `torn_bytes`.
    pub torn_position: u64,
    /// See `torn_position`.
    pub torn_bytes: u64,
    /// Zeros at the end of the store, after everything else.
    pub zero_bytes: u64,
    /// Whether the torn bytes are an unfinished batch, which reaches the store's end.
    pub unfinished: bool,
}

impl Tail {
    /// Nothing at all after `position`.
    pub(super) fn none_at(position: Position) -> Self {
        Self {
            position: position.0,
            continuing_position: position.0,
            continuing_end: position.0,
            ..Self::default()
        }
    }

    /// All of a store that is nothing but frames, each of which continues the one before; the
    /// last one begins at `last`.
    pub(super) fn of_frames(frames: u64, last: u64, store_bytes: u64) -> Self {
        Self {
            bytes: store_bytes,
            frames,
            continuing: frames,
            continuing_end: store_bytes,
            last_frame_position: last,
            frames_end: store_bytes,
            ..Self::default()
        }
    }

    /// Whether frames and nothing else fill it.
    #[must_use]
    pub fn is_frames_only(&self) -> bool {
        self.frames > 0 && self.torn_bytes == 0 && self.zero_bytes == 0
    }

    fn goes_on(&mut self, frame: TailFrame) {
        if self.continuing == 0 {
            self.continuing_position = frame.position.0;
        }
        self.continuing += 1;
        self.continuing_end = frame.end.0;
    }
}

/// Bytes that may be searched and decoded in any store.
const FUEL_MAX: u64 = 128 * 1024 * 1024;

/// An intact frame after the last entry that continues the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailFrame {
    /// The slot it continues with.
    pub slot: u64,
    /// Position in the store.
    pub position: Position,
    /// End in the store.
    pub end: Position,
}

/// The start of the scan: the end of the last committed frame, and the slot after it.
#[derive(Debug, Clone, Copy)]
pub struct TailStart {
    /// The segment's base offset.
    pub base: Offset,
    /// The first slot without a valid entry.
    pub slot: u64,
    /// The end of the last committed frame.
    pub position: Position,
}

/// Scans the bytes after the last committed frame, and passes on each frame that
/// continues the sequence: in a raw log every one, because offsets are not stored there.
///
/// # Errors
///
/// The callback's, and reading's; unreadable bytes count as torn.
pub fn look<E: From<Error>>(
    store: &ReadFile,
    codec: Codec,
    start: TailStart,
    mut continuing: impl FnMut(TailFrame) -> std::result::Result<(), E>,
) -> std::result::Result<Tail, E> {
    let file_bytes = store.file_bytes;
    let mut tail = Tail {
        bytes: file_bytes.saturating_sub(start.position.0),
        ..Tail::none_at(start.position)
    };
    if tail.bytes == 0 {
        return Ok(tail);
    }
    let zeros_from = store.zeros_from()?.max(start.position.0);
    let mut scan = Scan {
        window: Window::new(store.clone(), STREAM_BYTES),
        codec,
        base: start.base,
        next: start.slot,
        waiting: None,
        ahead: 0,
        fuel: file_bytes.saturating_add(RESYNC_BYTES).min(FUEL_MAX),
    };
    let mut position = start.position.0;
    while position < zeros_from {
        position = scan.run(position, zeros_from, &mut tail, &mut continuing)?;
        if position >= zeros_from {
            break;
        }
        if let Some(frame) = scan.frame(position)? {
            if tail.frames == 0 {
                tail.frames_position = position;
            }
            tail.frames += 1;
            tail.last_frame_position = position;
            tail.frames_end = frame.end.0;
            scan.take(frame, |frame| {
                tail.goes_on(frame);
                continuing(frame)
            })?;
            position = frame.end.0;
            continue;
        }
        if tail.torn_bytes == 0 {
            tail.torn_position = position;
            tail.unfinished = unfinished::is_marked(&mut scan.window, position)?;
            if tail.unfinished {
                break;
            }
        }
        let found = scan.resync(position)?;
        position = found.unwrap_or(zeros_from.max(position));
        tail.torn_bytes = position - tail.torn_position;
        if found.is_none() {
            break;
        }
    }
    if tail.unfinished {
        tail.torn_bytes = file_bytes - tail.torn_position;
        position = file_bytes;
    }
    scan.finish(|frame| {
        tail.goes_on(frame);
        continuing(frame)
    })?;
    tail.ahead = scan.ahead;
    tail.zero_bytes = file_bytes.saturating_sub(position);
    if tail.torn_bytes > 0 && tail.zero_bytes > 0 && tail.zero_bytes < file_bytes {
        // Zeros after a torn frame may be its own: one cause, one finding.
        let torn_to_the_end = position == tail.torn_position + tail.torn_bytes;
        if torn_to_the_end {
            tail.torn_bytes += tail.zero_bytes;
            tail.zero_bytes = 0;
        }
    }
    Ok(tail)
}

/// A frame in the tail and its offset.
#[derive(Debug, Clone, Copy)]
struct Frame {
    position: Position,
    end: Position,
    offset: Option<u64>,
}

/// The state of a scan of the tail.
struct Scan {
    window: Window,
    codec: Codec,
    base: Offset,
    /// The slot that the next continuing frame has.
    next: u64,
    /// Number of frames with the next offset: the service writes the frame of a refused
    /// record again and again with the same offset.
    waiting: Option<(Frame, u64)>,
    /// Frames with an offset beyond the next.
    ahead: u64,
    /// Bytes that may still be searched, and decoded in searching: a bound on the work
    /// that made-up bytes can cause.
    fuel: u64,
}

impl Scan {
    /// The intact frame at `position`, if one is there.
    fn frame(&mut self, position: u64) -> Result<Option<Frame>> {
        let Some(end) = self.window.frame_end_at(position)? else {
            return Ok(None);
        };
        let payload_bytes = end.0 - position - LENGTH_BYTES;
        let mut frame = Frame {
            position: Position(position),
            end,
            offset: None,
        };
        if self.codec == Codec::Raw {
            // The empty frames of a hole were never written, and there may be 2^37 of
            // them.
            let hole = payload_bytes == 0 && {
                let data = self.window.data_from(position);
                data.is_none_or(|data| data.start >= end.0)
            };
            return Ok((!hole).then_some(frame));
        }
        // An empty record is at offset 0 only; elsewhere a zero length is a commit that
        // was interrupted, and there too where record 1 does not follow.
        let at_zero = self.base.0 == 0 && self.next == 0;
        if payload_bytes == 0
            && !(at_zero && (end.0 == self.window.file_bytes() || self.carries_one(end)?))
        {
            return Ok(None);
        }
        match layout_in(&mut self.window, position + LENGTH_BYTES, payload_bytes) {
            Ok(layout) => {
                let value_bytes = layout.value.end - layout.value.start;
                self.fuel = self.fuel.saturating_sub(payload_bytes - value_bytes);
                frame.offset = Some(layout.offset);
            }
            Err(LayoutError::Illegal { at, .. }) => {
                self.fuel = self.fuel.saturating_sub(at);
                return Ok(None);
            }
            Err(LayoutError::Source(Error::Unreadable { .. })) => return Ok(None),
            Err(LayoutError::Source(error)) => return Err(error),
        }
        Ok(Some(frame))
    }

    /// Whether an intact record 1 is at `position`.
    fn carries_one(&mut self, position: Position) -> Result<bool> {
        let record = record_at(&mut self.window, position.0)?;
        Ok(record.is_some_and(|(_, record)| record.offset == 1))
    }

    /// Takes the next frame of the tail; hands over the one that it confirms.
    fn take<E>(
        &mut self,
        frame: Frame,
        mut continuing: impl FnMut(TailFrame) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if self.codec == Codec::Raw {
            continuing(self.numbered(frame))?;
            self.next += 1;
            return Ok(());
        }
        let next = self.base.0.checked_add(self.next);
        let after = next.and_then(|next| next.checked_add(1));
        if frame.offset == next {
            let times = self.waiting.map_or(0, |(_, times)| times);
            self.waiting = Some((frame, times + 1));
        } else if frame.offset == after
            && let Some((confirmed, _)) = self.waiting
        {
            self.waiting = Some((frame, 1));
            continuing(self.numbered(confirmed))?;
            self.next += 1;
        } else if frame.offset > next {
            self.ahead += 1;
        }
        Ok(())
    }

    /// At the end: one last frame that came once continues the sequence; one that
    /// came again and again was refused.
    fn finish<E>(
        &mut self,
        mut continuing: impl FnMut(TailFrame) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        match self.waiting.take() {
            Some((frame, 1)) => continuing(self.numbered(frame)),
            _ => Ok(()),
        }
    }

    fn numbered(&self, frame: Frame) -> TailFrame {
        TailFrame {
            slot: self.next,
            position: frame.position,
            end: frame.end,
        }
    }

    /// The next place after `position` at which an intact record is that this log can
    /// have written (protobuf only).
    fn resync(&mut self, position: u64) -> Result<Option<u64>> {
        if self.codec == Codec::Raw {
            return Ok(None);
        }
        let first = position.saturating_add(1);
        let end = first.saturating_add(RESYNC_BYTES);
        let range = first..end.min(self.window.file_bytes());
        next_record(&mut self.window, self.base, range, &mut self.fuel)
    }
}
