//! Hex: a record as a dump that a person can compare with `xxd`, and a value as a run of
//! digits.

use std::io::{self, Write};

use proglog::log::reader::{Content, RecordView};

use super::field::{WriteError, frame_bytes, number};

/// Bytes on one line of a dump.
const ROW_BYTES: usize = 16;

/// Bytes that become digits at once.
const BLOCK_BYTES: usize = 1024;

/// A header with the record's offset and place, and its bytes, counted from the
/// first.
///
/// # Errors
///
/// Reading's of a large value, and the output's.
pub fn record(
    record: &RecordView<'_>,
    content: &Content<'_>,
    out: &mut impl Write,
) -> Result<(), WriteError> {
    let fields: [(&[u8], u64); 5] = [
        (b"offset ", record.offset.0),
        (b"  segment ", record.segment.0),
        (b"  position ", record.position.0),
        (b"  length ", content.len()),
        (b"  frame ", frame_bytes(record)),
    ];
    for (name, value) in fields {
        out.write_all(name)?;
        number(value, out)?;
    }
    if record.term != 0 || record.record_type != 0 {
        out.write_all(b"  term ")?;
        number(record.term, out)?;
        out.write_all(b"  type ")?;
        number(u64::from(record.record_type), out)?;
    }
    out.write_all(b"\n")?;
    dump(content, out)
}

fn dump(content: &Content<'_>, out: &mut impl Write) -> Result<(), WriteError> {
    let mut at: u64 = 0;
    // The rest of the previous piece, less than a row.
    let mut rest: Vec<u8> = Vec::with_capacity(ROW_BYTES);
    content.pieces::<WriteError>(|mut piece| {
        while rest.len() + piece.len() >= ROW_BYTES {
            let (filling, after) = piece.split_at(ROW_BYTES - rest.len());
            rest.extend_from_slice(filling);
            row(at, &rest, out)?;
            at += ROW_BYTES as u64;
            rest.clear();
            piece = after;
        }
        rest.extend_from_slice(piece);
        Ok(())
    })?;
    if !rest.is_empty() {
        row(at, &rest, out)?;
    }
    Ok(())
}

fn row(at: u64, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    write!(out, "{at:08x}: ")?;
    let mut digits = [0; 2];
    for index in 0..ROW_BYTES {
        match bytes.get(index) {
            Some(&byte) => {
                encode(&[byte], &mut digits);
                out.write_all(&digits)?;
            }
            None => out.write_all(b"  ")?,
        }
        if index % 2 == 1 {
            out.write_all(b" ")?;
        }
    }
    out.write_all(b" ")?;
    for &byte in bytes {
        let shown = if (b' '..=b'~').contains(&byte) {
            byte
        } else {
            b'.'
        };
        out.write_all(&[shown])?;
    }
    out.write_all(b"\n")
}

/// The bytes as digits, two each.
///
/// # Errors
///
/// Reading's of a large value, and the output's.
pub fn digits(content: &Content<'_>, out: &mut impl Write) -> Result<(), WriteError> {
    let mut digits = [0; 2 * BLOCK_BYTES];
    content.pieces(|piece| {
        for block in piece.chunks(BLOCK_BYTES) {
            let digits = digits.get_mut(..2 * block.len()).unwrap_or_default();
            encode(block, digits);
            out.write_all(digits)?;
        }
        Ok(())
    })
}

/// Twice as many digits as bytes: the caller has made the room.
fn encode(bytes: &[u8], digits: &mut [u8]) {
    debug_assert_eq!(digits.len(), 2 * bytes.len());
    let _ = hex::encode_to_slice(bytes, digits);
}

#[cfg(test)]
mod tests {
    use super::super::record::Shape;
    use super::super::record::tests::{in_file, printed, sample};
    use super::*;

    #[test]
    fn a_dump_with_its_header() {
        let text = String::from_utf8(printed(
            Shape::Hex,
            false,
            &sample(b"0123456789abcdef\x00z"),
        ));
        assert_eq!(
            text.unwrap(),
            "offset 7  segment 0  position 412  length 18  frame 26\n\
             00000000: 3031 3233 3435 3637 3839 6162 6364 6566  0123456789abcdef\n\
             00000010: 007a                                     .z\n"
        );
        let mut raft = sample(b"");
        raft.term = 1;
        let text = String::from_utf8(printed(Shape::Hex, false, &raft)).unwrap();
        assert!(text.ends_with("frame 8  term 1  type 0\n"), "{text}");
    }

    #[test]
    fn digits_of_more_than_one_block() {
        let bytes: Vec<u8> = (0..=255).cycle().take(BLOCK_BYTES * 2 + 7).collect();
        for content in [Content::Memory(&bytes), in_file(&bytes)] {
            let mut out = Vec::new();
            digits(&content, &mut out).unwrap();
            assert_eq!(out, hex::encode(&bytes).as_bytes());
        }
    }
}
