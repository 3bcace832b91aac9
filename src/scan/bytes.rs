//! The bytes of a store as frames: lengths, ends and carried offsets at any position.

use super::unfinished;
use crate::log::between::{Unacknowledged, unacknowledged};
use crate::log::error::{Result, readable};
use crate::log::format::LENGTH_BYTES;
use crate::log::walk::record_in;
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};

/// A store that is read at any position. What the disk does not give is not a frame.
pub(super) struct Bytes {
    near: Window,
    /// For what lies far from the position that is inspected.
    far: Window,
    /// The store's size. Units: bytes.
    pub size: u64,
    /// The start of the zeros at the end of the store.
    pub zeros: u64,
    /// The payload that was decoded last, and the offset in it.
    decoded: Option<(u64, u64, Option<u64>)>,
    /// How much may still be decoded. Units: bytes.
    budget: u64,
}

/// Zeros that are searched for their end without a call of the kernel. Units: bytes.
const NEAR_BYTES: u64 = 64;

/// How often all of a store may be decoded for one account, and bytes beyond that: made-up
/// lengths let payloads lie in each other.
const DECODED_TIMES: u64 = 8;
const DECODED_BYTES: u64 = 64 * 1024 * 1024;

impl Bytes {
    pub fn new(store: &ReadFile) -> Result<Self> {
        let size = store.file_bytes;
        Ok(Self {
            near: Window::new(store.clone(), STREAM_BYTES),
            far: Window::new(store.clone(), LOOKUP_BYTES),
            size,
            zeros: store.zeros_from()?,
            decoded: None,
            budget: size
                .saturating_mul(DECODED_TIMES)
                .saturating_add(DECODED_BYTES),
        })
    }

    /// The length at `position`, if there are eight bytes.
    pub fn length(&mut self, position: u64) -> Result<Option<u64>> {
        if position.saturating_add(LENGTH_BYTES) > self.size {
            return Ok(None);
        }
        readable(self.near.length_at(position))
    }

    /// The end of the frame at `position`, if it ends within the store.
    pub fn end(&mut self, position: u64) -> Result<Option<u64>> {
        Ok(self.near.frame_end_at(position)?.map(|end| end.0))
    }

    /// The offset in the canonical record that fills `start..end`: its fields in
    /// ascending order, none of them zero or empty, each number as short as it can be.
    pub fn canonical(&mut self, start: u64, end: u64) -> Result<Option<u64>> {
        let record = self.record(start, end)?;
        Ok(record.and_then(|(to, offset)| (to == end).then_some(offset)))
    }

    /// The end of the canonical record at `start` by its own fields, within `limit`, and
    /// the offset in it.
    pub fn record(&mut self, start: u64, limit: u64) -> Result<Option<(u64, u64)>> {
        let (mut at, mut last, mut offset) = (start, 0, 0);
        while at < limit {
            // A key and a number of 64 bits.
            let count = usize::try_from((limit - at).min(11)).unwrap_or(0);
            let window = if at - start < LOOKUP_BYTES as u64 {
                &mut self.near
            } else {
                &mut self.far
            };
            let Some(bytes) = readable(window.bytes(at, count))? else {
                return Ok(None);
            };
            let Some((&key, rest)) = bytes.split_first() else {
                return Ok(None);
            };
            if !matches!(key, 0x0a | 0x10 | 0x18 | 0x20) || key <= last {
                break;
            }
            let Some((number, taken)) = varint(rest).filter(|it| it.0 > 0) else {
                return Ok(None);
            };
            last = key;
            at += 1 + taken;
            match key {
                0x0a => at = at.saturating_add(number),
                0x10 => offset = number,
                0x20 if u32::try_from(number).is_err() => return Ok(None),
                _ => {}
            }
        }
        Ok((at <= limit).then_some((at, offset)))
    }

    /// Whether more would have to be decoded than is for one account.
    pub fn is_spent(&self) -> bool {
        self.budget == 0
    }

    /// The offset in a record in any legal encoding.
    pub fn legal(&mut self, start: u64, end: u64) -> Result<Option<u64>> {
        if let Some((_, _, offset)) = self.decoded.filter(|it| (it.0, it.1) == (start, end)) {
            return Ok(offset);
        }
        self.budget = self.budget.saturating_sub(end - start);
        let offset = if self.is_spent() {
            None
        } else {
            record_in(&mut self.far, start, end - start)?.map(|record| record.offset)
        };
        self.decoded = Some((start, end, offset));
        Ok(offset)
    }

    /// Whether appends that were not acknowledged left the bytes from the end of the frame
    /// at `frame`, if one is there, up to a place that an entry names; `next` is that of the
    /// entry after it.
    pub fn is_unacknowledged(
        &mut self,
        frame: Option<u64>,
        from: u64,
        to: u64,
        next: Option<u64>,
    ) -> Result<bool> {
        let left = readable(unacknowledged(&mut self.near, frame, from, to, next))?;
        Ok(left.is_some_and(|left| left != Unacknowledged::No))
    }

    /// Hands over `count` bytes at `position`, or nothing where the disk fails.
    pub fn block(&mut self, position: u64, count: usize) -> Result<Option<&[u8]>> {
        readable(self.near.bytes(position, count))
    }

    /// The store.
    pub fn source(&self) -> &ReadFile {
        self.near.source()
    }

    /// How much of the store is no hole. Units: bytes.
    pub fn data_bytes(&self) -> u64 {
        self.near.source().data_bytes()
    }

    /// The byte after the last one before `limit` that is not zero.
    pub fn nonzero_end(&self, limit: u64) -> Result<u64> {
        Ok(readable(self.near.source().nonzero_end(limit))?.unwrap_or(limit))
    }

    /// The first byte from `position` on that is not zero; the store's end if it does not
    /// exist.
    pub fn first_nonzero(&self, position: u64) -> Result<u64> {
        let found = readable(self.near.source().first_nonzero(position))?.flatten();
        Ok(found
            .unwrap_or(self.size)
            .clamp(position, self.size.max(position)))
    }

    /// The end of the zeros that begin at `position`; `position` if the disk cannot read
    /// them.
    pub fn zeros_end(&mut self, position: u64) -> Result<u64> {
        // Most often it is near; a search further away skips holes.
        let near = usize::try_from(self.size.saturating_sub(position).min(NEAR_BYTES));
        let near = readable(self.near.bytes(position, near.unwrap_or(0)))?;
        if let Some(zeros) = near.and_then(|near| near.iter().position(|&byte| byte != 0)) {
            return Ok(position + zeros as u64);
        }
        let end = readable(self.near.source().first_nonzero(position))?;
        Ok(end
            .map_or(position, |end| end.unwrap_or(self.size))
            .min(self.size))
    }

    /// Whether `start..end` holds an aligned sector of zeros.
    pub fn holds_zero_sector(&mut self, start: u64, end: u64) -> Result<bool> {
        Ok(unfinished::zero_sector(&mut self.far, start, end)?.is_some())
    }

    /// Whether a marked length begins here, or as much of one as the store holds.
    pub fn is_marked(&mut self, position: u64) -> Result<bool> {
        unfinished::is_marked(&mut self.far, position)
    }
}

/// The number that begins here and how many bytes it has; `None` if it is longer than it
/// need be or ends outside.
fn varint(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut value: u64 = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let shift = 7 * u32::try_from(at).ok()?;
        let bits = u64::from(byte & 127);
        if shift > 63 || (shift == 63 && bits > 1) {
            return None;
        }
        value |= bits << shift;
        if byte < 128 {
            return (byte != 0 || at == 0).then_some((value, at as u64 + 1));
        }
    }
    None
}
