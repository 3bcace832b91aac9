//! Writes frames of another copy over damaged ones and after the end, such that neither a
//! kill nor a power cut leaves a frame that looks intact before it is: as in a commit, a mark
//! is in place of each length's first byte until all bytes of the frames are durable.

use super::assembly::Assembly;
use crate::log::disk::{Disk, DiskFile, write_all_at};
use crate::log::durable::sync;
use crate::log::error::{Error, Result};
use crate::log::format::{LENGTH_BYTES, LENGTH_UNFINISHED, encode_length};
use crate::log::window::{ReadFile, STREAM_BYTES};

/// Writes `bytes` bytes of an assembly's store from `position` on: intact frames of
/// another copy. They are gone through once for each thing that is to be written, so that
/// no list of them is held.
///
/// # Errors
///
/// As [`Assembly::stream`]; [`Error::Io`].
pub fn store(
    disk: &dyn Disk,
    file: &DiskFile,
    assembly: &Assembly,
    here: Option<&ReadFile>,
    position: u64,
    bytes: u64,
) -> Result<()> {
    let end = position + bytes;
    let write = |piece: &[u8], at: u64| {
        write_all_at(disk, file, piece, at).map_err(Error::io("write", file.path()))
    };
    let metadata = file.file().metadata();
    let old_end = metadata.map_err(Error::io("access", file.path()))?.len();
    // A frame that the end cuts short must not become whole when the store grows. It grows
    // up to the last mark: zeros that look like an empty record have more after them than
    // their entries say, or do not fit.
    for behind in [false, true] {
        assembly.each_frame(position, end, here, |frame, _, _| {
            if (frame.start >= old_end) == behind {
                write(&[LENGTH_UNFINISHED], frame.start)?;
            }
            Ok(())
        })?;
        sync(disk, file)?;
    }
    // The marks are not written again: whatever becomes of these writes, they stay.
    assembly.each_frame(position, end, here, |frame, source, window| {
        let mut done = 1;
        while done < frame.end - frame.start {
            let count = (frame.end - frame.start - done).min(STREAM_BYTES as u64);
            let size = usize::try_from(count).unwrap_or(STREAM_BYTES);
            write(window.bytes(source + done, size)?, frame.start + done)?;
            done += count;
        }
        Ok(())
    })?;
    sync(disk, file)?;
    assembly.each_frame(position, end, here, |frame, _, _| {
        let [first_byte, ..] = encode_length(frame.end - frame.start - LENGTH_BYTES);
        write(&[first_byte], frame.start)
    })?;
    sync(disk, file)
}
