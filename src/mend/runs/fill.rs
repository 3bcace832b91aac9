//! Frames of another copy written over damaged ones, such that whatever cuts it short
//! leaves frames that are damaged, never half of one that looks whole: first those
//! behind the old end, one after the other; then the others with lengths that
//! lead past the end of any store, and their own when that is durable.

use super::assembly::Assembly;
use crate::log::disk::{Disk, DiskFile, write_all_at};
use crate::log::error::{Error, Result};
use crate::log::format::{FileKind, LENGTH_BYTES, encode_length};
use crate::log::window::ReadFile;

/// What the length of a frame consists of that is not finished. (Zeros would make it an
/// empty record.)
pub const UNFINISHED: u8 = 0xff;

/// Writes `bytes` bytes of an assembly's store from `position` on: whole frames.
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
    let mut lengths: Vec<(u64, u64)> = Vec::new();
    assembly.each_frame(position, end, here, |begin, frame_end| {
        lengths.push((begin, frame_end - begin - LENGTH_BYTES));
        Ok(())
    })?;
    let write = |piece: &[u8], at: u64| {
        write_all_at(disk, file, piece, at).map_err(Error::io("write", file.path()))
    };
    let sync = || disk.sync_data(file).map_err(Error::io("sync", file.path()));
    // Behind the old end no frame is whole before it is written to its end.
    let metadata = file.file().metadata();
    let old_end = metadata.map_err(Error::io("look at", file.path()))?.len();
    let behind = lengths
        .partition_point(|(begin, payload_bytes)| begin + LENGTH_BYTES + payload_bytes <= old_end);
    let mut at = lengths.get(behind).map_or(end, |(begin, _)| *begin);
    lengths.truncate(behind);
    let over_bytes = at - position;
    if at < end {
        assembly.stream(FileKind::Store, at, end - at, here, &mut |piece| {
            write(piece, at)?;
            at += piece.len() as u64;
            Ok(())
        })?;
        sync()?;
    }
    let mut at = position;
    let mut without = Vec::new();
    assembly.stream(FileKind::Store, position, over_bytes, here, &mut |piece| {
        without.clear();
        without.extend_from_slice(piece);
        let piece_end = at + piece.len() as u64;
        let first = lengths.partition_point(|(begin, _)| begin + LENGTH_BYTES <= at);
        for (begin, _) in lengths.get(first..).unwrap_or_default() {
            if *begin >= piece_end {
                break;
            }
            let place = |byte: u64| usize::try_from(byte.clamp(at, piece_end) - at).unwrap_or(0);
            let range = place(*begin)..place(begin + LENGTH_BYTES);
            without.get_mut(range).unwrap_or_default().fill(UNFINISHED);
        }
        write(&without, at)?;
        at = piece_end;
        Ok(())
    })?;
    sync()?;
    for (begin, payload_bytes) in &lengths {
        write(&encode_length(*payload_bytes), *begin)?;
    }
    sync()
}
