//! The mark of a batch: `commit` has the protocol.

use std::os::unix::fs::FileExt;

use super::Writer;
use crate::log::commit::Mark;
use crate::log::disk::DiskFile;
use crate::log::error::{Error, Result};
use crate::log::format::{SECTOR_BYTES, encode_length, encode_marked_length};
use crate::log::record::Codec;

impl Writer {
    /// Begins a batch with the length of its first frame and the mark.
    pub(super) fn begin_batch(&mut self, payload_bytes: u64) -> Result<()> {
        let [first_byte, ..] = encode_length(payload_bytes);
        let active = &mut self.active;
        let position = active.end();
        let behind_zeros = self.codec == Codec::Raw && ends_in_zeros(&active.store, position)?;
        // A batch inside one sector arrives complete or as zeros. If no entry is durable, those
        // look like empty records of a store that lost its index; if the frame before them
        // may be empty, like records that became zeros. (If the batch shares its sector with
        // frames before it, that sector does not become zeros.)
        let may_lack_entries = active.found && position.is_multiple_of(SECTOR_BYTES);
        active.mark_comes_first = active.committed_entries == 0 || may_lack_entries || behind_zeros;
        active
            .frames
            .extend_from_slice(&encode_marked_length(payload_bytes));
        active.mark = Some(Mark {
            position,
            first_byte,
        });
        Ok(())
    }

    /// Before the first bytes of a batch are written: makes its mark durable alone, unless
    /// the batch is complete and inside one sector, which has all of it or nothing. The mark is
    /// not written again then: whatever becomes of the write of the batch, the mark stays.
    pub(super) fn write_mark_first(&mut self, batch_is_whole: bool) -> Result<()> {
        let active = &mut self.active;
        let sector = |position: u64| position / SECTOR_BYTES;
        let Some(mark) = active.mark.filter(|mark| mark.position == active.written) else {
            return Ok(());
        };
        let fits = batch_is_whole && sector(mark.position) == sector(active.end() - 1);
        if fits && !active.mark_comes_first {
            return Ok(());
        }
        let written = Mark::write_first(&*self.disk, &active.store, mark.position);
        self.sync_failed |= written.is_err();
        written?;
        active.frames.remove(0);
        active.written += 1;
        Ok(())
    }
}

/// Whether the store ends in zeros that may be an empty frame.
fn ends_in_zeros(store: &DiskFile, end: u64) -> Result<bool> {
    let mut last = encode_length(u64::MAX);
    if let Some(position) = end.checked_sub(last.len() as u64) {
        store
            .file()
            .read_exact_at(&mut last, position)
            .map_err(Error::io("read", store.path()))?;
    }
    // That of a batch of which nothing is durable yet has a mark.
    Ok(last == encode_length(0) || last == encode_marked_length(0))
}
