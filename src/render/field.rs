//! The parts of a record as bytes: contents, numbers, and why they could not be printed.

use std::io::{self, Write};

use proglog::log::error::Error;
use proglog::log::format::LENGTH_BYTES;
use proglog::log::reader::{Content, RecordView};

/// Why a record could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Its bytes could not be had.
    #[error(transparent)]
    Log(#[from] Error),
    /// They could not be put anywhere.
    #[error("cannot write to stdout")]
    Output(#[from] io::Error),
    /// They could not be searched.
    #[error("{0}")]
    Search(String),
}

/// All bytes, as they are.
pub fn copy(content: &Content<'_>, out: &mut impl Write) -> Result<(), WriteError> {
    content.pieces(|piece| Ok(out.write_all(piece)?))
}

/// A number in decimal; `write!` takes ten times as long.
#[inline]
pub fn number(number: u64, out: &mut impl Write) -> io::Result<()> {
    out.write_all(itoa::Buffer::new().format(number).as_bytes())
}

/// The bytes that a record's frame takes, with the length field.
pub fn frame_bytes(record: &RecordView<'_>) -> u64 {
    record.payload.len().saturating_add(LENGTH_BYTES)
}
