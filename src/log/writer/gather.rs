//! The usual record: its frame goes after the others and its entry too, and nothing else
//! is to be done. How long that is so is found out once for many records.

use super::{
    COMMIT_INDEX_BYTES, COMMIT_STORE_BYTES, GATHER_BYTES, LARGE_VALUE_BYTES, NewRecord, Writer,
};
use crate::log::format::{ENTRY_BYTES, Entry, SEGMENT_ENTRIES_MAX, encode_length};
use crate::log::record::{self, Codec};
use crate::log::units::{Offset, Position, RelativeOffset};

/// The limits of gathering: a segment, a batch or a buffer is full. It ends when frames
/// are passed to the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    /// The gathered frames stay below this. Units: bytes.
    frames: usize,
    /// More entries that may be gathered.
    entries: u64,
    /// The slot of the next one.
    slot: u32,
}

/// Room for frames, also for the last ones, which exceed the gathered size.
pub(super) fn gather_buffer() -> Vec<u8> {
    Vec::with_capacity(GATHER_BYTES + LARGE_VALUE_BYTES)
}

impl Writer {
    /// Appends a record where nothing but gathering is to be done; `false` if it is
    /// for [`Writer::append`].
    #[inline]
    pub fn gather(&mut self, record: NewRecord<'_>) -> bool {
        let NewRecord {
            value,
            term,
            record_type,
        } = record;
        let active = &mut self.active;
        let room = &mut active.room;
        if room.entries == 0 || term != 0 || record_type != 0 || value.len() >= LARGE_VALUE_BYTES {
            return false;
        }
        let value_bytes = value.len() as u64;
        let offset = Offset(active.base.0 + u64::from(room.slot));
        let payload_bytes = match self.codec {
            Codec::Raw => value_bytes,
            Codec::Protobuf => record::encoded_len(value_bytes, offset, 0, 0),
        };
        let before = active.frames.len();
        // Below 1 MiB: a value that is not large, and a few bytes.
        #[expect(clippy::cast_possible_truncation, reason = "a few hundred KiB")]
        let after = before + encode_length(0).len() + payload_bytes as usize;
        if after >= room.frames {
            return false;
        }
        let frames = &mut active.frames;
        frames.extend_from_slice(&encode_length(payload_bytes));
        match self.codec {
            Codec::Raw => frames.extend_from_slice(value),
            Codec::Protobuf => {
                record::encode_head(value_bytes, frames);
                frames.extend_from_slice(value);
                record::encode_tail(offset, 0, 0, frames);
            }
        }
        let entry = Entry {
            relative: RelativeOffset(room.slot),
            position: Position(active.written + before as u64),
        };
        active.entries.extend_from_slice(&entry.encode());
        room.entries -= 1;
        room.slot += 1;
        true
    }

    /// Finds out how much can be gathered: nothing that fills the segment, the batch
    /// or the buffer, for that is more than gathering.
    pub(super) fn make_room(&mut self) {
        let active = &mut self.active;
        active.room = Room::default();
        if active.entries.is_empty() {
            // The first frame of a batch is not like the others.
            return;
        }
        let batched = active.written - active.batched_store;
        let frames = (GATHER_BYTES as u64)
            .min(self.limits.max_store_bytes.saturating_sub(active.written))
            .min(COMMIT_STORE_BYTES.saturating_sub(batched));
        let slot = active.entries_in_all();
        let last = (self.limits.max_index_bytes / ENTRY_BYTES)
            .min(SEGMENT_ENTRIES_MAX)
            .min(active.base.room())
            .saturating_sub(1);
        let batch = (COMMIT_INDEX_BYTES - active.entries.len().min(COMMIT_INDEX_BYTES)) as u64;
        let batch = (batch / ENTRY_BYTES).saturating_sub(1);
        if let (Ok(slot_here), Ok(frames)) = (u32::try_from(slot), usize::try_from(frames)) {
            active.room = Room {
                frames,
                entries: last.saturating_sub(slot).min(batch),
                slot: slot_here,
            };
        }
    }
}
