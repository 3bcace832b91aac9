//! The frames of a store in one layout, followed from its beginning.

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, Crc, Table};

use super::{FRAMES_MAX, FrameLayout, Number, Order, Place};
use crate::log::error::{Result, readable};
use crate::log::format::{LENGTH_BYTES, finished_length, frame_end};
use crate::log::units::Position;
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};

/// Our own layout.
pub(super) const OURS: FrameLayout = FrameLayout {
    length: Number {
        bytes: 8,
        order: Order::Big,
    },
    checksum: None,
};

/// Payloads up to this size are compared with their checksum. Units: bytes.
const VERIFIED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Frames whose checksums are verified: more are evidence by themselves.
const VERIFIED_FRAMES: usize = 2;

/// Bytes in which the longest chain of our frames is searched for.
const RESUMED_BYTES: usize = 64 * 1024;

/// The highest bit of each byte.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The bits of evidence in a checksum that verifies.
const VERIFIED_BITS: u64 = 32;

/// The bits of evidence in an entry that names a frame.
const NAMED_BITS: u64 = 40;

/// The bits that speak against a layout in which the last frame is torn.
const TORN_BITS: u64 = 64;

/// A torn frame of this size needs no frame of about its size before it. Units: bytes.
const TORN_BYTES: u64 = 64 * 1024;

/// Every tested layout, except ours.
pub(super) fn others() -> impl Iterator<Item = FrameLayout> {
    let widths = [8, 4].into_iter();
    let lengths = widths.flat_map(|bytes| Order::BOTH.map(|order| Number { bytes, order }));
    let places = [Place::Before, Place::Between, Place::Behind];
    let checksums = [4, 8].into_iter();
    let checksums = checksums.flat_map(move |bytes| places.map(|place| Some((bytes, place))));
    let all = lengths.flat_map(move |length| {
        let checksums = std::iter::once(None).chain(checksums.clone());
        checksums.map(move |checksum| FrameLayout { length, checksum })
    });
    all.filter(|layout| *layout != OURS)
}

impl FrameLayout {
    fn checksum_bytes(&self) -> u64 {
        self.checksum.map_or(0, |(bytes, _)| bytes)
    }

    /// The position of the length in a frame.
    fn length_at(&self) -> u64 {
        match self.checksum {
            Some((bytes, Place::Before)) => bytes,
            _ => 0,
        }
    }

    /// The position of the payload in a frame.
    fn payload_at(&self) -> u64 {
        match self.checksum {
            Some((bytes, Place::Before | Place::Between)) => self.length.bytes + bytes,
            _ => self.length.bytes,
        }
    }

    /// The position of the checksum in a frame with a payload of `payload_bytes`.
    fn checksum_at(&self, payload_bytes: u64) -> u64 {
        match self.checksum {
            Some((_, Place::Between)) => self.length.bytes,
            Some((_, Place::Behind)) => self.length.bytes + payload_bytes,
            _ => 0,
        }
    }
}

/// The end of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The store's end, exactly.
    End,
    /// Zeros up to the store's end.
    Zeros,
    /// Enough frames.
    Enough,
    /// A frame that the store's end may have cut.
    Torn,
    /// Bytes that are no frame.
    Misfit,
}

/// The frames of a store in one layout.
#[derive(Debug)]
pub(super) struct Walk {
    /// The positions of the frames.
    pub starts: Vec<u64>,
    /// Frames with a payload.
    pub filled: usize,
    /// Checksums that do not look like lengths.
    checksums: usize,
    /// The highest bits of their bytes: of text it does not exist.
    pub high_bits: u32,
    /// The end of the last frame.
    end: u64,
    pub stop: Stop,
}

/// The positions that entries may name. Units: bytes.
pub(super) struct Places {
    /// The start of each frame, a torn one included.
    pub starts: Vec<u64>,
    /// The end of each intact frame.
    pub ends: Vec<u64>,
    /// Whether frames that were not found may follow.
    pub more: bool,
}

impl Places {
    /// Whether the frame of `slot` begins at `position`, or one with a payload does after
    /// the frames that are known.
    pub fn is_frame(&self, store: &mut Store, slot: u64, position: u64) -> Result<bool> {
        let slot = usize::try_from(slot).unwrap_or(usize::MAX);
        if slot < self.starts.len() || !self.more {
            return Ok(self.starts.get(slot) == Some(&position));
        }
        let frame_bytes = OURS.length.bytes;
        if position / frame_bytes < slot as u64 {
            return Ok(false);
        }
        let end = store.our_frame_end(position)?;
        Ok(end.is_some_and(|end| end > position + frame_bytes))
    }
}

impl Walk {
    /// The positions that entries may name.
    pub fn places(&self) -> Places {
        let torn = (self.stop == Stop::Torn).then_some(self.end);
        let ends = self.starts.iter().skip(1).copied();
        Places {
            starts: self.starts.iter().copied().chain(torn).collect(),
            ends: ends.chain((self.end > 0).then_some(self.end)).collect(),
            more: matches!(self.stop, Stop::Enough | Stop::Misfit),
        }
    }

    /// Whether the frames explain all of the store. A single frame does if its length has
    /// eight bytes or if its checksum verifies.
    pub fn fills(&self, layout: FrameLayout, verified: usize) -> bool {
        let is_long = layout.length.bytes == 8 && layout.checksum.is_none();
        let single = self.starts.len() == 1;
        match self.stop {
            Stop::End | Stop::Zeros | Stop::Enough => !single || is_long || verified > 0,
            Stop::Torn => self.filled >= 3 || verified > 0,
            Stop::Misfit => false,
        }
    }

    /// The end of the last frame.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether the store ends within a frame.
    pub fn is_torn(&self) -> bool {
        self.stop == Stop::Torn
    }

    /// The evidence that the end of the store costs, in bits.
    pub fn doubt(&self, verified: usize) -> u64 {
        if self.is_torn() && verified == 0 {
            TORN_BITS
        } else {
            0
        }
    }

    /// Whether these may be frames at all: our own are also frames with lengths of four
    /// bytes, each second one empty, or with a checksum of zeros.
    pub fn is_plausible(&self, layout: FrameLayout) -> bool {
        let frames = self.starts.len();
        let has_checksums = layout.checksum.is_none() || self.checksums * 2 > frames;
        self.filled > 0 && (frames - self.filled) * 3 <= frames && has_checksums
    }

    /// The checksums that verify, of the first frames.
    pub fn verified(&self, store: &mut Store, layout: FrameLayout) -> Result<usize> {
        let mut verified = 0;
        for start in self.starts.iter().take(VERIFIED_FRAMES) {
            verified += usize::from(store.verifies(layout, *start)?);
        }
        Ok(verified)
    }

    /// The evidence for the layout, in bits.
    pub fn bits(&self, layout: FrameLayout, verified: usize, named: usize) -> u64 {
        let lengths = 8 * layout.length.bytes * self.filled as u64;
        lengths + VERIFIED_BITS * verified as u64 + NAMED_BITS * named as u64
    }
}

/// Whether a checksum may be a length, or one of which a bit flipped.
fn looks_like_length(checksum: u64) -> bool {
    (checksum >> 16).count_ones() < 2
}

/// The evidence for our own layout in frames with a payload, in bits.
pub(super) fn bits_of_ours(filled: usize) -> u64 {
    8 * OURS.length.bytes * filled as u64
}

/// A store that is walked along in several layouts.
pub(super) struct Store {
    window: Window,
    /// Zeros from here to the end.
    zeros_from: u64,
}

impl Store {
    pub fn new(file: &ReadFile) -> Self {
        Self {
            window: Window::new(file.clone(), LOOKUP_BYTES),
            zeros_from: file.file_bytes,
        }
    }

    /// Finds the zeros at the store's end.
    pub fn find_zeros(&mut self) -> Result<()> {
        self.zeros_from = self.window.source().zeros_from()?;
        Ok(())
    }

    pub fn file_bytes(&self) -> u64 {
        self.window.file_bytes()
    }

    /// The end of our frame at `position`.
    pub fn our_frame_end(&mut self, position: u64) -> Result<Option<u64>> {
        if position.saturating_add(LENGTH_BYTES) > self.file_bytes() {
            return Ok(None);
        }
        let Some(length) = readable(self.number(position, OURS.length))? else {
            return Ok(None);
        };
        let end = frame_end(Position(position), length, self.file_bytes());
        Ok(end.map(|end| end.0))
    }

    /// Number of frames of ours with a payload in the longest chain that begins near the
    /// start of the store: the rest after damage at the beginning.
    pub fn resumed(&mut self) -> Result<usize> {
        let limit = self.window.file_bytes();
        let count = usize::try_from(limit).map_or(RESUMED_BYTES, |it| it.min(RESUMED_BYTES));
        let bytes = self.window.bytes(0, count)?.to_vec();
        // From the end: the frames that follow at each position.
        let mut chains = vec![0_u32; count];
        let mut longest = (0, 0);
        for (at, length) in bytes.windows(8).enumerate().rev() {
            let length = finished_length(OURS.length.order.number(length));
            let start = at as u64 + OURS.length.bytes;
            if length > limit - start.min(limit) {
                continue;
            }
            let next = usize::try_from(start + length).ok();
            let behind = next.and_then(|next| chains.get(next)).copied();
            let chain = behind.unwrap_or(0) + u32::from(length > 0);
            if let Some(here) = chains.get_mut(at) {
                *here = chain;
            }
            if chain > longest.0 {
                longest = (chain, at as u64);
            }
        }
        Ok(self.walk_from(longest.1, OURS, FRAMES_MAX)?.filled)
    }

    /// Follows at most `most` frames from the beginning.
    pub fn walk(&mut self, layout: FrameLayout, most: usize) -> Result<Walk> {
        self.walk_from(0, layout, most)
    }

    fn walk_from(&mut self, start: u64, layout: FrameLayout, most: usize) -> Result<Walk> {
        let limit = self.window.file_bytes();
        let frame_bytes = layout.length.bytes + layout.checksum_bytes();
        let mut walk = Walk {
            starts: Vec::new(),
            filled: 0,
            checksums: 0,
            high_bits: 0,
            end: start,
            stop: Stop::End,
        };
        let mut largest = 0;
        walk.stop = loop {
            let at = walk.end;
            let rest = limit - at;
            if rest == 0 {
                break Stop::End;
            }
            if at >= self.zeros_from {
                break Stop::Zeros;
            }
            if walk.starts.len() >= most.min(FRAMES_MAX) {
                break Stop::Enough;
            }
            if rest < frame_bytes {
                break Stop::Torn;
            }
            let payload_bytes = self.number(at + layout.length_at(), layout.length)?;
            if payload_bytes > rest - frame_bytes {
                let about_as_large = payload_bytes.max(rest) <= TORN_BYTES.max(largest * 2);
                break if about_as_large {
                    Stop::Torn
                } else {
                    Stop::Misfit
                };
            }
            if let Some((bytes, _)) = layout.checksum {
                let number = Number {
                    bytes,
                    order: layout.length.order,
                };
                let checksum = self.number(at + layout.checksum_at(payload_bytes), number)?;
                walk.checksums += usize::from(!looks_like_length(checksum));
                walk.high_bits += (checksum & HIGH_BITS).count_ones();
            }
            walk.starts.push(at);
            walk.filled += usize::from(payload_bytes > 0);
            largest = largest.max(payload_bytes);
            walk.end = at + frame_bytes + payload_bytes;
        };
        Ok(walk)
    }

    pub fn number(&mut self, position: u64, number: Number) -> Result<u64> {
        let count = usize::try_from(number.bytes).unwrap_or(8);
        let value = number.order.number(self.window.bytes(position, count)?);
        // One of ours may be unfinished.
        Ok(if number == OURS.length {
            finished_length(value)
        } else {
            value
        })
    }

    /// Whether the checksum of the frame at `start` is a CRC-32 or CRC-32C of its payload.
    fn verifies(&mut self, layout: FrameLayout, start: u64) -> Result<bool> {
        let Some((bytes, _)) = layout.checksum else {
            return Ok(false);
        };
        let payload_bytes = self.number(start + layout.length_at(), layout.length)?;
        if payload_bytes == 0 || payload_bytes > VERIFIED_BYTES_MAX {
            return Ok(false);
        }
        let checksum_at = start + layout.checksum_at(payload_bytes);
        let crcs = self.crcs(start + layout.payload_at(), payload_bytes)?;
        for order in Order::BOTH {
            let checksum = self.number(checksum_at, Number { bytes, order })?;
            if crcs.iter().any(|crc| u64::from(*crc) == checksum) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn crcs(&mut self, position: u64, bytes: u64) -> Result<[u32; 2]> {
        static CRC_32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
        static CRC_32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
        let mut digests = [CRC_32.digest(), CRC_32C.digest()];
        let mut at = position;
        let mut rest = bytes;
        while rest > 0 {
            let count = rest.min(STREAM_BYTES as u64);
            let block = self
                .window
                .bytes(at, usize::try_from(count).unwrap_or(STREAM_BYTES))?;
            for digest in &mut digests {
                digest.update(block);
            }
            at += count;
            rest -= count;
        }
        let [crc_32, crc_32c] = digests;
        Ok([crc_32.finalize(), crc_32c.finalize()])
    }
}
