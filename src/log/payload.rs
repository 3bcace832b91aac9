//! The places of the fields in a payload of a store, in memory if it is small, otherwise
//! through the window.

use std::ops::Range;

use super::error::{Error, Result};
use super::format::LENGTH_BYTES;
use super::layout;
use super::record::{self, Bytes, Layout, LayoutError};
use super::units::Position;
use super::window::Window;

/// Payloads up to this size are handed over in memory. Units: bytes.
pub const PAYLOAD_IN_MEMORY_MAX: u64 = 8 * 1024 * 1024;

/// A payload that is read through the window, however large it is.
struct WindowedPayload<'w> {
    window: &'w mut Window,
    start: u64,
    bytes: u64,
}

impl Bytes for WindowedPayload<'_> {
    type Error = Error;

    fn len(&self) -> u64 {
        self.bytes
    }

    fn byte(&mut self, at: u64) -> Result<u8> {
        let bytes = self.window.bytes(self.start + at, 1)?;
        Ok(bytes.first().copied().unwrap_or_default())
    }
}

/// The places of the fields of the payload at `start`, in memory if it is small.
#[inline]
pub(crate) fn layout_in(
    window: &mut Window,
    start: u64,
    payload_bytes: u64,
) -> std::result::Result<Layout, LayoutError<Error>> {
    if payload_bytes > window.read_bytes() {
        return layout_of_large(window, start, payload_bytes);
    }
    in_memory(window, start, payload_bytes)
}

/// The same; `None` if it is not a Record, or the disk does not give it.
#[inline]
pub(crate) fn record_in(
    window: &mut Window,
    start: u64,
    payload_bytes: u64,
) -> Result<Option<Layout>> {
    match layout_in(window, start, payload_bytes) {
        Ok(layout) => Ok(Some(layout)),
        Err(LayoutError::Illegal { .. } | LayoutError::Source(Error::Unreadable { .. })) => {
            Ok(None)
        }
        Err(LayoutError::Source(error)) => Err(error),
    }
}

/// The end of the intact frame at `position` and the layout of the Record in it; `None` if
/// there is no such frame.
#[inline]
pub(crate) fn record_at(window: &mut Window, position: u64) -> Result<Option<(Position, Layout)>> {
    let Some(end) = window.frame_end_at(position)? else {
        return Ok(None);
    };
    let start = position + LENGTH_BYTES;
    let layout = record_in(window, start, end.0 - start)?;
    Ok(layout.map(|layout| (end, layout)))
}

/// The places in the file of all values of the payload at `start`.
pub(crate) fn values_in(
    window: &mut Window,
    start: u64,
    payload_bytes: u64,
) -> std::result::Result<Vec<Range<u64>>, LayoutError<Error>> {
    let values = layout::values(&mut WindowedPayload {
        window,
        start,
        bytes: payload_bytes,
    })?;
    let place = |value: Range<u64>| start + value.start..start + value.end;
    Ok(values.into_iter().map(place).collect())
}

/// The layout of a payload that takes more than one read. Invented lengths are large, and
/// most often the first byte decides: bytes that are not a record are not read in full.
#[cold]
fn layout_of_large(
    window: &mut Window,
    start: u64,
    payload_bytes: u64,
) -> std::result::Result<Layout, LayoutError<Error>> {
    let layout = record::layout(&mut WindowedPayload {
        window,
        start,
        bytes: payload_bytes,
    })?;
    if payload_bytes > PAYLOAD_IN_MEMORY_MAX {
        return Ok(layout);
    }
    in_memory(window, start, payload_bytes)
}

#[inline]
fn in_memory(
    window: &mut Window,
    start: u64,
    payload_bytes: u64,
) -> std::result::Result<Layout, LayoutError<Error>> {
    let count = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
    let payload = window.bytes(start, count).map_err(LayoutError::Source)?;
    record::layout_of(payload).or_else(|_| place_of_error(payload))
}

/// Once more, for the place at which it goes wrong.
#[cold]
fn place_of_error(mut payload: &[u8]) -> std::result::Result<Layout, LayoutError<Error>> {
    record::layout(&mut payload).map_err(|error| match error {
        LayoutError::Illegal { at, what } => LayoutError::Illegal { at, what },
        LayoutError::Source(never) => match never {},
    })
}
