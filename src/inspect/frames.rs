//! Walks through a store frame by frame, from the store alone: the place and offset of
//! each frame, where valid frames stop and where they start again. Used by `dump-store`;
//! no index is needed, no length is trusted.

mod numbers;

use super::resync::next_record;
use crate::log::dir::FilePath;
use crate::log::error::{Error, Result, readable};
use crate::log::format::{LENGTH_BYTES, frame_end};
use crate::log::index::Index;
use crate::log::record::{Codec, LayoutError};
use crate::log::segment::Segment;
use crate::log::units::{Offset, Position};
use crate::log::walk::{Flow, layout_in};
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};
use crate::scan::unfinished;
use numbers::Numbers;

/// Bytes of a value that are handed over with its frame.
pub const HEAD_BYTES: u64 = 48;

/// Bytes that may be decoded on suspicion in any store, however small. See `fuel`.
const FUEL_BYTES: u64 = 64 * 1024 * 1024;

/// Empty frames in a row from which on they are handed over together.
const ROW_FRAMES: usize = 64;

/// The same. Units: bytes.
const ROW_BYTES: usize = ROW_FRAMES * 8;

/// Why no frame begins somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFrame {
    /// Fewer bytes are left than a length has.
    CutShort,
    /// The length runs past the end of the store. Bytes.
    PastEnd(u64),
    /// A length of zero above offset 0, where an empty record cannot be.
    ZeroLength,
    /// A payload of this many bytes that is not a Record, with no frame after it.
    NoRecord(u64),
    /// The disk fails here.
    Unreadable,
    /// An append was interrupted here.
    Unfinished,
    /// The rest of the frame waits in a running writer's buffer.
    Buffered,
}

/// A frame, and what its place makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameView<'a> {
    /// Position of its length field.
    pub position: u64,
    /// Value of the length field. Bytes.
    pub payload_bytes: u64,
    /// The offset that it would have by its place; `None` past 2^64 - 1.
    pub offset: Option<Offset>,
    /// The offset in the record, in a protobuf log.
    pub carries: Option<u64>,
    /// Whether the payload is not a Record in a protobuf log.
    pub undecodable: bool,
    /// Position of the value, and number of bytes.
    pub value: (u64, u64),
    /// The first bytes of the value, at most [`HEAD_BYTES`].
    pub head: &'a [u8],
}

impl FrameView<'_> {
    /// Whether it is the expected frame, as far as the store shows.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        let carries = self.carries.is_none_or(|carries| {
            self.offset
                .is_some_and(|expected| expected == Offset(carries))
        });
        carries && !self.undecodable
    }

    /// Bytes on disk, the length included.
    #[must_use]
    pub fn frame_bytes(&self) -> u64 {
        self.payload_bytes.saturating_add(LENGTH_BYTES)
    }
}

/// An item of a store, in the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameItem<'a> {
    /// An intact frame.
    Frame(FrameView<'a>),
    /// Bytes that are no frame, up to the next one or to the end. Units: bytes.
    NoFrame {
        /// Position in the store.
        position: u64,
        /// Number of bytes.
        bytes: u64,
        /// Why not.
        why: NoFrame,
    },
    /// A long row of empty frames in a raw log.
    EmptyRow {
        /// Where the first begins. Units: bytes.
        position: u64,
        /// How many they are.
        frames: u64,
    },
    /// Zeros up to the end of the store. Units: bytes.
    Zeros {
        /// Position in the store.
        position: u64,
        /// Number of bytes.
        bytes: u64,
    },
}

impl FrameItem<'_> {
    /// Position in the store, and number of bytes.
    #[must_use]
    pub fn place(&self) -> (u64, u64) {
        match self {
            Self::Frame(frame) => (frame.position, frame.frame_bytes()),
            Self::NoFrame {
                position, bytes, ..
            }
            | Self::Zeros { position, bytes } => (*position, *bytes),
            Self::EmptyRow { position, frames } => (*position, frames * LENGTH_BYTES),
        }
    }

    /// How many frames it is.
    #[must_use]
    pub fn frames(&self) -> u64 {
        match self {
            Self::Frame(_) => 1,
            Self::EmptyRow { frames, .. } => *frames,
            Self::NoFrame { .. } | Self::Zeros { .. } => 0,
        }
    }

    /// Whether byte `position` of the store belongs to it.
    #[must_use]
    pub fn covers(&self, position: u64) -> bool {
        let (start, bytes) = self.place();
        position >= start && position - start < bytes
    }
}

/// A store that is gone through.
#[derive(Debug)]
pub struct StoreDump {
    window: Window,
    codec: Codec,
    base: Offset,
    /// Where the next item begins.
    position: u64,
    numbers: Numbers,
    /// The start of the zeros that extend to the end of the store.
    zeros_from: u64,
    /// Bytes that may still be decoded on suspicion: a bound on the work that
    /// made-up lengths can cause.
    fuel: u64,
    /// The entries that name frames, if there is an index, and how many they are.
    named: Option<(Index, u64)>,
}

impl StoreDump {
    /// Opens a store.
    ///
    /// # Errors
    ///
    /// As [`ReadFile::open`].
    pub fn open(path: &FilePath, base: Offset, codec: Codec) -> Result<Self> {
        let store = ReadFile::open(path)?;
        Ok(Self {
            zeros_from: store.zeros_from()?,
            fuel: store
                .file_bytes
                .saturating_mul(4)
                .saturating_add(FUEL_BYTES),
            window: Window::new(store, STREAM_BYTES),
            codec,
            base,
            position: 0,
            numbers: Numbers::at(Some(base.0)),
            named: None,
        })
    }

    /// Takes from the index where an interrupted append begins and ends, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`], [`Error::Io`].
    pub fn with_index(mut self, segment: &Segment) -> Result<Self> {
        let entries = readable(segment.count_entries(Some(self.codec)))?;
        self.named = entries.map(|entries| (segment.entries(LOOKUP_BYTES), entries));
        Ok(self)
    }

    /// The store's size when it was opened. Units: bytes.
    #[must_use]
    pub fn store_bytes(&self) -> u64 {
        self.window.file_bytes()
    }

    /// The store itself, for showing its bytes.
    #[must_use]
    pub fn source(&self) -> &ReadFile {
        self.window.source()
    }

    /// The offset that the next frame would have; `None` past 2^64 - 1.
    #[must_use]
    pub fn next_offset(&self) -> Option<Offset> {
        self.numbers.next.map(Offset)
    }

    /// Continues at a position where a frame begins, with its offset: an entry names it, or
    /// an earlier dump passed it as expected.
    pub fn go_to(&mut self, position: u64, offset: Offset) {
        self.position = position;
        self.numbers = Numbers::at(Some(offset.0));
    }

    /// Passes the items of the store with their offsets, present or expected, until the
    /// callback breaks; the next call continues after the last one.
    ///
    /// # Errors
    ///
    /// The callback's; [`Error::Shrunk`], [`Error::Io`].
    pub fn each<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(&FrameItem<'_>, Option<Offset>) -> std::result::Result<Flow, E>,
    ) -> std::result::Result<(), E> {
        let file_bytes = self.store_bytes();
        let mut position = self.position;
        while position < file_bytes {
            let flow = if let Some(end) = self.unfinished_at(position)? {
                let item = FrameItem::NoFrame {
                    position,
                    bytes: end - position,
                    why: NoFrame::Unfinished,
                };
                position = end;
                each(&item, self.next_offset())?
            } else if position >= self.zeros_from {
                let bytes = file_bytes - position;
                let item = FrameItem::Zeros { position, bytes };
                position = file_bytes;
                each(&item, self.next_offset())?
            } else if let Some(frames) = self.row_at(position)? {
                let item = FrameItem::EmptyRow { position, frames };
                position += frames * LENGTH_BYTES;
                each(&item, self.numbers.take_row(frames))?
            } else {
                match self.frame(position)? {
                    Ok(frame) => {
                        let (item, end) = self.view(position, frame)?;
                        position = end;
                        match &item {
                            FrameItem::Frame(view) => each(&item, view.offset)?,
                            _ => each(&item, None)?,
                        }
                    }
                    Err(why) => {
                        let end = self.resync(position)?.unwrap_or(self.store_bytes());
                        let bytes = end - position;
                        let item = FrameItem::NoFrame {
                            position,
                            bytes,
                            why,
                        };
                        position = end;
                        self.numbers.after_loss = true;
                        each(&item, self.next_offset())?
                    }
                }
            };
            self.position = position;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// How many empty frames are at `position`, if they are a long row.
    fn row_at(&mut self, position: u64) -> Result<Option<u64>> {
        let left = self.zeros_from - position;
        if self.codec == Codec::Protobuf || left < ROW_BYTES as u64 {
            return Ok(None);
        }
        let bytes = readable(self.window.bytes(position, ROW_BYTES))?;
        if !bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0)) {
            return Ok(None);
        }
        let end = readable(self.window.source().first_nonzero(position))?;
        let end = end.map(|end| end.unwrap_or(self.zeros_from));
        Ok(end.map(|end| (end - position) / LENGTH_BYTES))
    }

    /// The end of the unfinished batch at `position`, if any.
    fn unfinished_at(&mut self, position: u64) -> Result<Option<u64>> {
        if !unfinished::is_marked(&mut self.window, position)? {
            return Ok(None);
        }
        // A service continued after it: the next frame is the one that an entry names.
        let Some((index, entries)) = &mut self.named else {
            return Ok(Some(self.window.file_bytes()));
        };
        let slot = index.slot_after(position, *entries)?;
        let next = if slot < *entries {
            index.entry(slot).ok()
        } else {
            None
        };
        let end = self.window.file_bytes();
        Ok(Some(next.map_or(end, |next| next.position.0.min(end))))
    }

    /// The frame at `position`, or why it does not exist.
    fn frame(&mut self, position: u64) -> Result<std::result::Result<Frame, NoFrame>> {
        let Some(frame) = readable(self.decoded(position))? else {
            return Ok(Err(NoFrame::Unreadable));
        };
        // A payload that is not a record is one damaged frame if another frame, or the
        // end, is where it ends.
        if let Ok(frame) = &frame
            && frame.undecodable
            && frame.end < self.store_bytes()
            && frame.end < self.zeros_from
        {
            let Some(behind) = readable(self.decoded(frame.end))? else {
                return Ok(Err(NoFrame::Unreadable));
            };
            if behind.is_err() || behind.is_ok_and(|behind| behind.undecodable) {
                return Ok(Err(NoFrame::NoRecord(frame.payload_bytes)));
            }
        }
        Ok(frame)
    }

    /// The frame at `position` without a scan of the one after it.
    fn decoded(&mut self, position: u64) -> Result<std::result::Result<Frame, NoFrame>> {
        let limit = self.store_bytes();
        if position.saturating_add(LENGTH_BYTES) > limit {
            return Ok(Err(NoFrame::CutShort));
        }
        let payload_bytes = self.window.length_at(position)?;
        let Some(end) = frame_end(Position(position), payload_bytes, limit) else {
            return Ok(Err(NoFrame::PastEnd(payload_bytes)));
        };
        let start = position + LENGTH_BYTES;
        let mut frame = Frame {
            payload_bytes,
            end: end.0,
            value: (start, payload_bytes),
            carries: None,
            undecodable: false,
        };
        if self.codec == Codec::Raw {
            return Ok(Ok(frame));
        }
        if payload_bytes == 0 && (self.base.0 > 0 || position > 0) {
            return Ok(Err(NoFrame::ZeroLength));
        }
        match layout_in(&mut self.window, start, payload_bytes) {
            Ok(layout) => {
                let bytes = layout.value.end.saturating_sub(layout.value.start);
                frame.value = (start + layout.value.start, bytes);
                frame.carries = Some(layout.offset);
            }
            Err(LayoutError::Illegal { .. }) => frame.undecodable = true,
            Err(LayoutError::Source(error)) => return Err(error),
        }
        Ok(Ok(frame))
    }

    /// A frame as it is handed over, and where it ends.
    fn view(&mut self, position: u64, frame: Frame) -> Result<(FrameItem<'_>, u64)> {
        let offset = self.numbers.take(frame.carries);
        let (value_start, value_bytes) = frame.value;
        let count = usize::try_from(value_bytes.min(HEAD_BYTES)).unwrap_or(0);
        let head = readable(self.window.bytes(value_start, count))?.unwrap_or_default();
        let view = FrameView {
            position,
            payload_bytes: frame.payload_bytes,
            offset,
            carries: frame.carries,
            undecodable: frame.undecodable,
            value: frame.value,
            head,
        };
        Ok((FrameItem::Frame(view), frame.end))
    }

    /// The next place after `position` where frames start again (protobuf only).
    fn resync(&mut self, position: u64) -> Result<Option<u64>> {
        if self.codec == Codec::Raw {
            return Ok(None);
        }
        let range = position.saturating_add(1)..self.zeros_from;
        next_record(&mut self.window, self.base, range, &mut self.fuel)
    }
}

/// An intact frame as the store shows it.
#[derive(Debug, Clone, Copy)]
struct Frame {
    payload_bytes: u64,
    end: u64,
    value: (u64, u64),
    carries: Option<u64>,
    undecodable: bool,
}
