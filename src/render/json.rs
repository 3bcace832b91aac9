//! Records as JSON lines: the names of a record's fields, and how strings are
//! escaped. A value that is UTF-8 is a string, any other is base64.

use std::io::{self, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use proglog::log::reader::{Content, RecordView};

use super::field::{WriteError, copy, frame_bytes, number};
use super::prose::{json_escape, pieces};
use super::text;

/// Room for all numbers of a record at their longest, with their names.
const HEAD_BYTES: usize = 224;

/// Bytes that are inspected together; none of them needs an escape as a rule.
const BLOCK_BYTES: usize = 16;

/// One record as an object on a line. For a terminal, the characters are escaped too that
/// JSON allows and that drive it.
///
/// # Errors
///
/// Reading's of a large value, and the output's.
#[inline]
pub fn record(
    record: &RecordView<'_>,
    content: &Content<'_>,
    terminal: bool,
    out: &mut impl Write,
) -> Result<(), WriteError> {
    // Gathered first: one write costs less than fourteen.
    let mut room = [0; HEAD_BYTES];
    let mut head = room.as_mut_slice();
    field(b"{\"offset\":", record.offset.0, &mut head)?;
    field(b",\"segment\":", record.segment.0, &mut head)?;
    field(b",\"position\":", record.position.0, &mut head)?;
    field(b",\"length\":", content.len(), &mut head)?;
    field(b",\"frame\":", frame_bytes(record), &mut head)?;
    if record.term != 0 {
        field(b",\"term\":", record.term, &mut head)?;
    }
    if record.record_type != 0 {
        field(b",\"type\":", u64::from(record.record_type), &mut head)?;
    }
    let left = head.len();
    out.write_all(room.get(..HEAD_BYTES - left).unwrap_or_default())?;
    value(content, terminal, out)?;
    Ok(out.write_all(b"\"}\n")?)
}

#[inline]
fn field(name: &[u8], value: u64, out: &mut impl Write) -> io::Result<()> {
    out.write_all(name)?;
    number(value, out)
}

/// The value's field, up to the quotation mark that ends it.
#[inline]
fn value(content: &Content<'_>, terminal: bool, out: &mut impl Write) -> Result<(), WriteError> {
    if let (Content::Memory(bytes), false) = (content, terminal)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        out.write_all(b",\"value\":\"")?;
        return Ok(escape(text, out)?);
    }
    if text::is_text(content)? {
        out.write_all(b",\"value\":\"")?;
        let still_text = text::pieces(content, |text| {
            if terminal {
                return Ok(escape_controls(text, out)?);
            }
            Ok(escape(text, out)?)
        })?;
        if !still_text {
            let changed = io::Error::other("the value changed while it was read");
            return Err(changed.into());
        }
        return Ok(());
    }
    out.write_all(b",\"value_base64\":\"")?;
    let mut encoder = EncoderWriter::new(out, &STANDARD);
    copy(content, &mut encoder)?;
    encoder.finish()?;
    Ok(())
}

/// Text between the quotation marks of a JSON string, as `serde_json` writes it.
#[inline]
pub fn escape(text: &str, out: &mut impl Write) -> io::Result<()> {
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at(plain_bytes(rest));
        out.write_all(plain)?;
        let Some((&byte, after)) = after.split_first() else {
            return Ok(());
        };
        escape_byte(byte, out)?;
        rest = after;
    }
}

/// Number of bytes from the front that need no escape.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    let (blocks, tail) = bytes.as_chunks::<BLOCK_BYTES>();
    let mut plain = 0;
    for block in blocks {
        // Without a branch per byte, this is a few vector instructions.
        if block
            .iter()
            .fold(false, |any, &byte| any | needs_escape(byte))
        {
            let inside = block.iter().position(|&byte| needs_escape(byte));
            return plain + inside.unwrap_or_default();
        }
        plain += BLOCK_BYTES;
    }
    let inside = tail.iter().position(|&byte| needs_escape(byte));
    plain + inside.unwrap_or(tail.len())
}

#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch per byte costs half as much again"
)]
fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn escape_byte(byte: u8, out: &mut impl Write) -> io::Result<()> {
    let short: &[u8; 2] = match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        b'\t' => b"\\t",
        0x08 => b"\\b",
        0x0c => b"\\f",
        _ => return write!(out, "\\u{byte:04x}"),
    };
    out.write_all(short)
}

/// The same, with the other characters escaped that a terminal must not get.
fn escape_controls(text: &str, out: &mut impl Write) -> io::Result<()> {
    for (plain, other) in pieces(text) {
        escape(plain, out)?;
        match other {
            Some(c) if c < ' ' => escape(c.encode_utf8(&mut [0; 4]), out)?,
            Some(c) => out.write_all(json_escape(c).as_bytes())?,
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use proglog::log::units::{Offset, Position};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::prose::drives_a_terminal;
    use super::super::record::Shape;
    use super::super::record::tests::{printed, sample};
    use super::*;

    fn line(record: &RecordView<'_>, terminal: bool) -> String {
        String::from_utf8(printed(Shape::Json, terminal, record)).unwrap()
    }

    #[test]
    fn the_fields_and_their_order() {
        assert_eq!(
            line(&sample(b"a \"record\" with \\"), false),
            "{\"offset\":7,\"segment\":0,\"position\":412,\"length\":17,\"frame\":25,\
             \"value\":\"a \\\"record\\\" with \\\\\"}\n"
        );
        assert_eq!(
            line(&sample(b"\xff\x00"), false),
            "{\"offset\":7,\"segment\":0,\"position\":412,\"length\":2,\"frame\":10,\
             \"value_base64\":\"/wA=\"}\n"
        );
        let mut raft = sample(b"");
        (raft.term, raft.record_type) = (3, 2);
        assert_eq!(
            line(&raft, false),
            "{\"offset\":7,\"segment\":0,\"position\":412,\"length\":0,\"frame\":8,\
             \"term\":3,\"type\":2,\"value\":\"\"}\n"
        );
    }

    #[test]
    fn the_longest_numbers_have_room() {
        let mut record = sample(b"");
        record.offset = Offset::MAX;
        record.segment = Offset::MAX;
        record.position = Position(u64::MAX);
        (record.term, record.record_type) = (u64::MAX, u32::MAX);
        let room = line(&record, false).len() + 2 * u64::MAX.to_string().len();
        assert!(room <= HEAD_BYTES, "{room}");
    }

    #[test]
    fn no_control_character_reaches_a_terminal() {
        let all: String = ('\0'..=char::MAX).collect();
        let printed = line(&sample(all.as_bytes()), true);
        assert!(!printed.trim_end().chars().any(drives_a_terminal));
        let parsed: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(parsed["value"], all.as_str());
    }

    proptest! {
        #[test]
        fn strings_are_escaped_as_serde_json_does(text in "(?s).*") {
            let mut ours = b"\"".to_vec();
            escape(&text, &mut ours).unwrap();
            ours.push(b'"');
            prop_assert_eq!(ours, serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn every_value_comes_back(bytes: Vec<u8>, terminal: bool) {
            let printed = line(&sample(&bytes), terminal);
            prop_assert_eq!(printed.matches('\n').count(), 1);
            let parsed: Value = serde_json::from_str(&printed).unwrap();
            let back = match parsed.get("value") {
                Some(text) => text.as_str().unwrap().as_bytes().to_vec(),
                None => STANDARD.decode(parsed["value_base64"].as_str().unwrap()).unwrap(),
            };
            prop_assert_eq!(back, bytes);
        }
    }
}
