//! Where the frames of a protobuf log start again after bytes that are not a frame.

use std::ops::Range;

use crate::log::error::{Result, readable};
use crate::log::format::LENGTH_BYTES;
use crate::log::record;
use crate::log::units::Offset;
use crate::log::walk::PAYLOAD_IN_MEMORY_MAX;
use crate::log::window::Window;

/// The first place in a range of a store at which a record's frame begins beyond reasonable
/// doubt: an encoder produces it, and a log with this base can have written it. `fuel` bounds
/// the work that made-up bytes can cause. Units: bytes.
///
/// # Errors
///
/// [`Error::Shrunk`](crate::log::error::Error::Shrunk),
/// [`Error::Io`](crate::log::error::Error::Io); unreadable bytes are no record.
pub(super) fn next_record(
    window: &mut Window,
    base: Offset,
    range: Range<u64>,
    fuel: &mut u64,
) -> Result<Option<u64>> {
    let (mut at, mut data_end) = (range.start, range.start);
    while at < range.end && *fuel > 0 {
        if at >= data_end {
            // A hole contains no record, except the beginning of its length.
            let Some(data) = window.data_from(at) else {
                break;
            };
            data_end = data.end;
            at = at.max(data.start.saturating_sub(LENGTH_BYTES));
            continue;
        }
        let read_before = window.bytes_read();
        let file_bytes = window.file_bytes();
        let record = encoded_at(window, at, file_bytes, fuel)?;
        if record.is_some_and(|(_, offset)| offset >= base) {
            return Ok(Some(at));
        }
        // Random reads use this place alone.
        let read = window.bytes_read() - read_before;
        *fuel = fuel.saturating_sub(1 + read.saturating_sub(window.read_bytes()));
        at += 1;
    }
    Ok(None)
}

/// The end of the frame at `at`, within `limit`, and the offset in its record, if it is, byte
/// for byte, the output of an encoder.
///
/// # Errors
///
/// As [`next_record`].
pub(crate) fn encoded_at(
    window: &mut Window,
    at: u64,
    limit: u64,
    fuel: &mut u64,
) -> Result<Option<(u64, Offset)>> {
    let Some(end) = record_frame_at(window, at, limit)? else {
        return Ok(None);
    };
    let start = at + LENGTH_BYTES;
    let payload_bytes = end - start;
    if payload_bytes > PAYLOAD_IN_MEMORY_MAX {
        return Ok(None);
    }
    *fuel = fuel.saturating_sub(payload_bytes);
    let count = usize::try_from(payload_bytes).unwrap_or(0);
    let Some(payload) = readable(window.bytes(start, count))? else {
        return Ok(None);
    };
    let record = record::decode(payload).ok();
    let record = record.filter(|record| record.encode() == payload);
    Ok(record.map(|record| (end, record.offset)))
}

/// The end of the frame at `at`, within `limit`, if its payload begins as an encoder begins a
/// record: where this one byte decides, the rest is not read.
///
/// # Errors
///
/// As [`next_record`].
pub(crate) fn record_frame_at(window: &mut Window, at: u64, limit: u64) -> Result<Option<u64>> {
    let start = at + LENGTH_BYTES;
    let end = window.frame_end_at(at)?;
    let Some(end) = end.filter(|end| (start + 1..=limit).contains(&end.0)) else {
        return Ok(None);
    };
    let key = readable(window.bytes(start, 1))?.and_then(<[u8]>::first);
    let begins = matches!(key, Some(0x0a | 0x10 | 0x18 | 0x20));
    Ok(begins.then_some(end.0))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::log::window::LOOKUP_BYTES;
    use crate::scan::image::Image;

    fn found(base: u64, payload: &[u8]) -> Option<u64> {
        let length = u64::try_from(payload.len()).unwrap().to_be_bytes();
        let store = [&[0xff; 3], &length[..], payload].concat();
        let mut image = Image::new(Path::new("0.store")).unwrap();
        image.put(0, &store).unwrap();
        let mut window = Window::new(image.read().unwrap(), LOOKUP_BYTES);
        let range = 0..window.file_bytes();
        next_record(&mut window, Offset(base), range, &mut 1000).unwrap()
    }

    #[test]
    fn a_record_is_found_and_no_fields_that_it_does_not_have() {
        let record = b"\x0a\x01a\x10\x07";
        assert_eq!(found(0, record), Some(3));
        assert_eq!(found(8, record), None, "of an offset before the segment");
        assert_eq!(found(0, b"xxxxxx"), None, "field 15 alone");
        assert_eq!(found(0, b"\x10\x07\x0a\x01a"), None, "in another order");
    }
}
