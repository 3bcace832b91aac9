//! Writes frames of another copy over damaged ones, such that an interruption leaves
//! frames that are damaged, never half of one that looks intact: first those after the
//! old end, one after the other; then the others with lengths that lead past the end of
//! any store, and their own lengths when that is durable.

use super::assembly::Assembly;
use crate::log::disk::{Disk, DiskFile, write_all_at};
use crate::log::durable::sync;
use crate::log::error::{Error, Result};
use crate::log::format::{FileKind, LENGTH_BYTES, encode_length};
use crate::log::window::ReadFile;

/// The length of a frame that is not finished. (Zeros would make it an empty record.)
pub const UNFINISHED: u8 = 0xff;

/// Bytes gathered before they are written.
const GATHER_BYTES: usize = 256 * 1024;

/// Writes `bytes` bytes of an assembly's store from `position` on: intact frames of
/// another copy. They are gone through once for each thing that is to be known or
/// written, so that no list of them is held.
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
    // After the old end no frame is intact before it is written to its end.
    let behind = first_behind(assembly, here, position, end, old_end)?;
    if behind < end {
        let mut at = behind;
        assembly.stream(FileKind::Store, at, end - at, here, &mut |piece| {
            write(piece, at)?;
            at += piece.len() as u64;
            Ok(())
        })?;
        sync(disk, file)?;
    }
    let mut at = position;
    let mut gathered = Vec::with_capacity(GATHER_BYTES);
    assembly.each_frame(position, behind, here, |frame, source, window| {
        gathered.extend_from_slice(&[UNFINISHED; size_of::<u64>()]);
        let mut done = LENGTH_BYTES;
        while done < frame.end - frame.start {
            let room = GATHER_BYTES.saturating_sub(gathered.len()).max(1);
            let count = usize::try_from(frame.end - frame.start - done).unwrap_or(usize::MAX);
            let count = count.min(room);
            gathered.extend_from_slice(window.bytes(source + done, count)?);
            done += count as u64;
            if gathered.len() >= GATHER_BYTES {
                write(&gathered, at)?;
                at += gathered.len() as u64;
                gathered.clear();
            }
        }
        Ok(())
    })?;
    write(&gathered, at)?;
    sync(disk, file)?;
    assembly.each_frame(position, behind, here, |frame, _, _| {
        let payload_bytes = frame.end - frame.start - LENGTH_BYTES;
        write(&encode_length(payload_bytes), frame.start)
    })?;
    sync(disk, file)
}

/// Position of the first frame between two places that ends after `old_end`; `end` if not
/// found.
fn first_behind(
    assembly: &Assembly,
    here: Option<&ReadFile>,
    position: u64,
    end: u64,
    old_end: u64,
) -> Result<u64> {
    if end <= old_end {
        return Ok(end);
    }
    let mut behind = end;
    assembly.each_frame(position, end, here, |frame, _, _| {
        if frame.end > old_end {
            behind = behind.min(frame.start);
        }
        Ok(())
    })?;
    Ok(behind)
}
