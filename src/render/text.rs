//! The display of a value: whether it is text, and the escapes of characters that would
//! control a terminal.

use std::io::{self, Write};
use std::ops::Range;

use proglog::log;
use proglog::log::reader::Content;
use regex::bytes::Regex;

use super::field::WriteError;
use super::prose;

/// Bytes that are shown of a value that is not text.
const SHOWN_BYTES: usize = 16;

/// Why a content is not inspected any further.
enum Stop {
    /// Enough is known.
    Enough,
    Failed(WriteError),
}

impl From<log::error::Error> for Stop {
    fn from(error: log::error::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Whether the content is UTF-8, whatever its size.
///
/// # Errors
///
/// Reading's.
pub fn is_text(content: &Content<'_>) -> Result<bool, WriteError> {
    pieces(content, |_| Ok(()))
}

/// Hands over the content as text, in pieces of bounded size; returns whether it was
/// text to the end.
///
/// # Errors
///
/// The callback's, and reading's.
pub fn pieces(
    content: &Content<'_>,
    mut each: impl FnMut(&str) -> Result<(), WriteError>,
) -> Result<bool, WriteError> {
    if let Content::Memory(bytes) = content {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Ok(false);
        };
        return each(text).map(|()| true);
    }
    let mut decoder = Decoder::default();
    let result = content.pieces(|piece| match decoder.feed(piece, &mut each) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Stop::Enough),
        Err(error) => Err(Stop::Failed(error)),
    });
    match result {
        Ok(()) => Ok(decoder.cut.is_empty()),
        Err(Stop::Enough) => Ok(false),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// UTF-8 that comes in pieces, which may end inside a character.
#[derive(Default)]
struct Decoder {
    /// The beginning of a character; at most three bytes.
    cut: Vec<u8>,
}

impl Decoder {
    /// Takes the next bytes; returns whether they are text so far.
    fn feed(
        &mut self,
        mut piece: &[u8],
        each: &mut impl FnMut(&str) -> Result<(), WriteError>,
    ) -> Result<bool, WriteError> {
        while !self.cut.is_empty() {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(true);
            };
            self.cut.push(byte);
            piece = rest;
            match std::str::from_utf8(&self.cut) {
                Ok(character) => {
                    each(character)?;
                    self.cut.clear();
                }
                Err(error) if error.error_len().is_some() => return Ok(false),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(text) => each(text)?,
            Err(error) if error.error_len().is_some() => return Ok(false),
            Err(error) => {
                let (whole, cut) = piece.split_at(error.valid_up_to());
                each(std::str::from_utf8(whole).unwrap_or_default())?;
                self.cut.extend_from_slice(cut);
            }
        }
        Ok(true)
    }
}

/// The content for a terminal: text with terminal controls escaped, or the first bytes of
/// a binary value, and their number.
///
/// # Errors
///
/// Reading's, and the output's.
pub fn show(content: &Content<'_>, out: &mut impl Write) -> Result<(), WriteError> {
    if is_text(content)? {
        pieces(content, |text| Ok(escape(text, out)?))?;
        return Ok(());
    }
    let head = head(content)?;
    for &byte in &head {
        match byte {
            b' '..=b'~' => out.write_all(&[byte])?,
            _ => escape_byte(byte, out)?,
        }
    }
    let more = if content.len() > head.len() as u64 {
        "..."
    } else {
        ""
    };
    write!(
        out,
        "{more} ({} bytes, not text: --raw, --hex)",
        content.len()
    )?;
    Ok(())
}

/// The color of a match: that of grep.
const MATCH: &[u8] = b"\x1b[1;31m";
const PLAIN: &[u8] = b"\x1b[0m";

/// Prints a value with the matches of an expression in color; returns whether it did. What
/// a terminal gets must be text, and matches of parts of a character are not shown there.
///
/// # Errors
///
/// The output's.
pub fn highlight(
    part: &Regex,
    value: &[u8],
    terminal: bool,
    out: &mut impl Write,
) -> io::Result<bool> {
    let text = std::str::from_utf8(value);
    let Ok(text) = text.or_else(|error| if terminal { Err(error) } else { Ok("") }) else {
        return Ok(false);
    };
    let mut print = |range: Range<usize>, before: &[u8], after: &[u8]| {
        out.write_all(before)?;
        match text.get(range.clone()) {
            Some(text) if terminal => escape(text, out)?,
            _ => out.write_all(value.get(range).unwrap_or_default())?,
        }
        out.write_all(after)
    };
    let mut at = 0;
    for found in part.find_iter(value).map(|found| found.range()) {
        let is_shown = !terminal || text.get(found.clone()).is_some();
        if is_shown && !found.is_empty() {
            print(at..found.start, b"", b"")?;
            print(found.clone(), MATCH, PLAIN)?;
            at = found.end;
        }
    }
    print(at..value.len(), b"", b"")?;
    Ok(true)
}

/// Bytes as one line for a terminal, whatever they are: text with terminal controls escaped,
/// and the bytes between that are not text.
#[cfg(feature = "browse")]
pub fn one_line(bytes: &[u8]) -> String {
    let mut line = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        // Memory takes everything.
        let _ = escape(chunk.valid(), &mut line);
        for &byte in chunk.invalid() {
            let _ = escape_byte(byte, &mut line);
        }
    }
    String::from_utf8_lossy(&line).into_owned()
}

/// The first bytes of a content.
fn head(content: &Content<'_>) -> Result<Vec<u8>, WriteError> {
    let mut head = Vec::new();
    let result = content.pieces(|piece| {
        head.extend_from_slice(piece.get(..SHOWN_BYTES).unwrap_or(piece));
        Err(Stop::Enough)
    });
    match result {
        Err(Stop::Failed(error)) => Err(error),
        _ => Ok(head),
    }
}

/// Text with the characters that a terminal must not get written as escapes.
fn escape(text: &str, out: &mut impl Write) -> io::Result<()> {
    for (plain, other) in prose::pieces(text) {
        out.write_all(plain.as_bytes())?;
        match other.map(|c| (c, u8::try_from(c))) {
            Some((_, Ok(byte))) if byte.is_ascii() => escape_byte(byte, out)?,
            Some((c, _)) => write!(out, "\\u{{{:x}}}", u32::from(c))?,
            None => {}
        }
    }
    Ok(())
}

fn escape_byte(byte: u8, out: &mut impl Write) -> io::Result<()> {
    match byte {
        b'\n' => out.write_all(b"\\n"),
        b'\r' => out.write_all(b"\\r"),
        b'\t' => out.write_all(b"\\t"),
        _ => write!(out, "\\x{byte:02x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        show(&Content::Memory(bytes), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_keeps_its_letters_and_loses_its_controls() {
        assert_eq!(shown("gr\u{fc}n \\ \"".as_bytes()), "gr\u{fc}n \\ \"");
        assert_eq!(shown(b"a\tb\r\nc\x1b[1m\x7f"), "a\\tb\\r\\nc\\x1b[1m\\x7f");
        assert_eq!(shown("\u{9b}31m".as_bytes()), "\\u{9b}31m");
        assert_eq!(
            shown("1\u{202e}2\u{200b}\u{feff}".as_bytes()),
            r"1\u{202e}2\u{200b}\u{feff}"
        );
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn what_is_no_text_is_shown_as_its_first_bytes_and_its_length() {
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        assert_eq!(
            shown(&png),
            "\\x89PNG\\r\\n\\x1a\\n (8 bytes, not text: --raw, --hex)"
        );
        png.resize(65536, 0xff);
        assert!(shown(&png).ends_with("\\xff... (65536 bytes, not text: --raw, --hex)"));
    }

    #[cfg(feature = "browse")]
    #[test]
    fn a_line_keeps_what_is_text_and_no_byte_drives_a_terminal() {
        let line = one_line(b"gr\xc3\xbcn\x1b[2J\xff\xe2\x80\xae\n\xe2\x82");
        assert_eq!(line, "gr\u{fc}n\\x1b[2J\\xff\\u{202e}\\n\\xe2\\x82");
    }

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "a\u{fc}\u{20ac}\u{1f600}z";
        for piece_bytes in 1..text.len() {
            let mut decoder = Decoder::default();
            let mut found = String::new();
            for piece in text.as_bytes().chunks(piece_bytes) {
                let is_text = decoder.feed(piece, &mut |text| {
                    found.push_str(text);
                    Ok(())
                });
                assert!(is_text.unwrap());
            }
            assert!(decoder.cut.is_empty());
            assert_eq!(found, text, "{piece_bytes}");
        }
    }

    #[test]
    fn a_cut_character_followed_by_another_is_no_text() {
        let mut decoder = Decoder::default();
        assert!(decoder.feed(b"a\xe2\x82", &mut |_| Ok(())).unwrap());
        assert!(!decoder.feed(b"z", &mut |_| Ok(())).unwrap());
    }
}
