//! What lies in a store behind its last committed frame: nothing, zeros, a frame cut
//! short, or whole frames that no entry names. Says which of these go on where the
//! entries end; whether they are adopted is `mend`'s to decide.

mod runs;

use crate::log::error::{Error, Result};
use crate::log::format::{LENGTH_BYTES, frame_end};
use crate::log::record::{self, Codec, LayoutError};
use crate::log::units::{Offset, Position};
use crate::log::walk::{PAYLOAD_IN_MEMORY_MAX, layout_in};
use crate::log::window::{ReadFile, STREAM_BYTES, Window};
use crate::scan::unfinished::{self, Behind, Unfinished};

/// Bytes behind a torn frame that are searched for whole ones.
const RESYNC_BYTES: u64 = 64 * 1024 * 1024;

/// What lies behind the last committed frame. Units: bytes of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    /// Where it begins: the end of the last committed frame.
    pub position: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// Whole frames in it.
    pub frames: u64,
    /// Of these, the ones that continue the sequence of offsets (protobuf).
    pub continuing: u64,
    /// Of these, the ones that carry an offset beyond the next: something before them
    /// is gone (protobuf).
    pub ahead: u64,
    /// Where the first continuing one begins; `position` if there is none.
    pub continuing_position: u64,
    /// Where the last continuing one ends; `position` if there is none.
    pub continuing_end: u64,
    /// Where the first whole frame begins.
    pub frames_position: u64,
    /// Where the last whole frame begins.
    pub last_frame_position: u64,
    /// Where the last whole frame ends.
    pub frames_end: u64,
    /// Where bytes begin that are no whole frame and not all zeros; as many as
    /// `torn_bytes`.
    pub torn_position: u64,
    /// See `torn_position`.
    pub torn_bytes: u64,
    /// Zeros at the end of the store, behind everything else.
    pub zero_bytes: u64,
    /// The unfinished batch with which the store ends; its bytes are the torn ones.
    pub unfinished: Option<Unfinished>,
}

impl Tail {
    /// Nothing at all behind `position`.
    pub(super) fn none_at(position: Position) -> Self {
        Self {
            position: position.0,
            continuing_position: position.0,
            continuing_end: position.0,
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

/// A whole frame behind the last entry that continues the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailFrame {
    /// The slot it continues with.
    pub slot: u64,
    /// Where it begins in the store.
    pub position: Position,
    /// Where it ends.
    pub end: Position,
}

/// Where to look: the end of the last committed frame, and the slot behind it.
#[derive(Debug, Clone, Copy)]
pub struct TailStart {
    /// The segment's base offset.
    pub base: Offset,
    /// The first slot without a sound entry.
    pub slot: u64,
    /// Where the last committed frame ends.
    pub position: Position,
    /// See [`Behind::zero_entries`].
    pub zero_entries: Option<u64>,
}

impl TailStart {
    fn behind(self, store: &ReadFile) -> Behind {
        Behind {
            base: self.base,
            slot: self.slot,
            position: self.position.0,
            end: store.file_bytes,
            zero_entries: self.zero_entries,
        }
    }
}

/// Looks through the bytes behind the last committed frame, and hands over each frame
/// that continues the sequence: in a raw log every one, for there nothing tells.
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
    let zeros_from = zeros_from(store, start.position.0)?;
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
    let behind = start.behind(store);
    if codec == Codec::Raw {
        // Zeros of a lost sector would be taken for empty frames.
        tail.unfinished = unfinished::find(&mut scan.window, codec, behind)?;
    }
    let stop = tail.unfinished.map_or(zeros_from, |it| it.position);
    while position < file_bytes && position < stop {
        position = scan.run(position, stop, &mut tail, &mut continuing)?;
        if position >= file_bytes || position >= stop {
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
            let chain = (position, tail.frames);
            tail.unfinished = unfinished::find_at(&mut scan.window, codec, behind, chain)?;
            if tail.unfinished.is_some() {
                break;
            }
            tail.torn_position = position;
        }
        let found = scan.resync(position)?;
        position = found.unwrap_or(zeros_from.max(position));
        tail.torn_bytes = position - tail.torn_position;
        if found.is_none() {
            break;
        }
    }
    if let Some(unfinished) = tail.unfinished {
        tail.torn_position = unfinished.position;
        tail.torn_bytes = unfinished.end - unfinished.position;
        position = unfinished.end;
    }
    scan.finish(|frame| {
        tail.goes_on(frame);
        continuing(frame)
    })?;
    tail.ahead = scan.ahead;
    tail.zero_bytes = file_bytes.saturating_sub(position);
    if tail.torn_bytes > 0 && tail.zero_bytes > 0 && tail.zero_bytes < file_bytes {
        // Zeros behind a torn frame may be its own: one cause, one finding.
        let torn_to_the_end = position == tail.torn_position + tail.torn_bytes;
        if torn_to_the_end {
            tail.torn_bytes += tail.zero_bytes;
            tail.zero_bytes = 0;
        }
    }
    Ok(tail)
}

/// A frame in the tail and the offset it carries.
#[derive(Debug, Clone, Copy)]
struct Frame {
    position: Position,
    end: Position,
    offset: Option<u64>,
}

/// The state of a look at the tail.
struct Scan {
    window: Window,
    codec: Codec,
    base: Offset,
    /// The slot that the next continuing frame has.
    next: u64,
    /// A frame that carries the next offset, and how often that came: the service
    /// writes a refused record's frame again and again with the same offset.
    waiting: Option<(Frame, u64)>,
    /// Frames that carry an offset beyond the next.
    ahead: u64,
    /// Bytes that may still be searched, and decoded in searching: a bound on the work
    /// that made-up bytes can cause.
    fuel: u64,
}

impl Scan {
    /// The whole frame at `position`, if one stands there.
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
            // Nobody wrote the empty frames of a hole, and there may be 2^37 of them.
            let hole = payload_bytes == 0 && {
                let data = self.window.data_from(position);
                data.is_none_or(|data| data.start >= end.0)
            };
            return Ok((!hole).then_some(frame));
        }
        // An empty record stands at offset 0 only; elsewhere a zero length is a commit
        // that was cut short, and there too where record 1 does not follow.
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

    /// Whether a whole record 1 stands at `position`.
    fn carries_one(&mut self, position: Position) -> Result<bool> {
        let limit = self.window.file_bytes();
        if position.0.saturating_add(LENGTH_BYTES) > limit {
            return Ok(false);
        }
        let payload_bytes = match self.window.length_at(position.0) {
            Err(Error::Unreadable { .. }) => return Ok(false),
            other => other?,
        };
        if frame_end(position, payload_bytes, limit).is_none() {
            return Ok(false);
        }
        let layout = layout_in(&mut self.window, position.0 + LENGTH_BYTES, payload_bytes);
        Ok(layout.is_ok_and(|layout| layout.offset == 1))
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

    /// The next place behind `position` at which a whole record stands that this
    /// log can have written (protobuf only).
    fn resync(&mut self, position: u64) -> Result<Option<u64>> {
        if self.codec == Codec::Raw {
            return Ok(None);
        }
        let first = position.saturating_add(1);
        let limit = self
            .window
            .file_bytes()
            .min(first.saturating_add(RESYNC_BYTES));
        let mut next = first;
        let mut data_end = first;
        while next < limit && self.fuel > 0 {
            if next >= data_end {
                // No record is in a hole, but for the beginning of its length.
                let Some(data) = self.window.data_from(next) else {
                    break;
                };
                data_end = data.end;
                next = next.max(data.start.saturating_sub(LENGTH_BYTES));
                continue;
            }
            let at = next;
            next += 1;
            let read_before = self.window.bytes_read();
            let found = self.is_written_frame(at)?;
            // What is read in leaps is read for this place alone.
            let read = self.window.bytes_read() - read_before;
            let leaps = read.saturating_sub(self.window.read_bytes());
            self.fuel = self.fuel.saturating_sub(1 + leaps);
            if found {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Whether a whole record stands at `at` that this log can have written.
    fn is_written_frame(&mut self, at: u64) -> Result<bool> {
        let Some(frame) = self.frame(at)? else {
            return Ok(false);
        };
        let bytes = frame.end.0 - at - LENGTH_BYTES;
        let can_be = bytes > 0 && frame.offset.is_some_and(|offset| offset >= self.base.0);
        Ok(can_be && self.looks_written(at + LENGTH_BYTES, bytes)?)
    }

    /// Whether a payload is one that an encoder writes: fields in order, none twice.
    fn looks_written(&mut self, start: u64, bytes: u64) -> Result<bool> {
        let Ok(count) = usize::try_from(bytes) else {
            return Ok(false);
        };
        if bytes > PAYLOAD_IN_MEMORY_MAX {
            return Ok(false);
        }
        let payload = match self.window.bytes(start, count) {
            Err(Error::Unreadable { .. }) => return Ok(false),
            payload => payload?,
        };
        Ok(record::decode(payload).is_ok_and(|record| record.encode() == payload))
    }
}

/// Where the zeros begin that reach to the end of the file, not before `from`.
fn zeros_from(store: &ReadFile, from: u64) -> Result<u64> {
    let end =
        crate::log::index::Index::of(store.clone(), STREAM_BYTES).nonzero_end(store.file_bytes);
    match end {
        // What cannot be read is torn, not zero.
        Err(Error::Unreadable { .. }) => Ok(store.file_bytes),
        end => Ok(end?.max(from)),
    }
}
