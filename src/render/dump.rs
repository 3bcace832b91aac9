//! Lines for dumps of any length: numbers in columns and in JSON, bytes escaped or as
//! hex, gathered in one buffer. Nothing is allocated per line.

use std::io::{self, Write};

use proglog::log::error::Error;
use proglog::log::reader::Content;

use super::prose::escaped_json;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Bytes on one line of a hex dump.
const HEX_LINE_BYTES: usize = 16;

/// The separator before a number in most columns.
const SPACES: [u8; 32] = [b' '; 32];

/// The output of lines.
pub struct Lines<W> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> Lines<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(BUFFER_BYTES * 2),
        }
    }

    /// Text as it is, which the caller knows to be harmless.
    #[inline]
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.buffer.extend_from_slice(text.as_bytes());
        self
    }

    /// A number.
    #[inline]
    pub fn number(&mut self, number: u64) -> &mut Self {
        let mut digits = itoa::Buffer::new();
        let text = digits.format(number);
        self.buffer.extend_from_slice(text.as_bytes());
        self
    }

    /// Text at the right of a column.
    #[inline]
    pub fn right(&mut self, text: &str, width: usize) -> &mut Self {
        self.behind(width.saturating_sub(text.len()), text)
    }

    /// The next column: two spaces, however long the text is, then the text at the
    /// right.
    #[inline]
    pub fn next(&mut self, text: &str, width: usize) -> &mut Self {
        self.behind(2 + width.saturating_sub(text.len()), text)
    }

    /// Text after this many spaces.
    #[inline]
    fn behind(&mut self, spaces: usize, text: &str) -> &mut Self {
        let end = self.buffer.len() + spaces;
        if spaces <= SPACES.len() {
            // All of them and fewer again: their number is known when it is compiled.
            self.buffer.extend_from_slice(&SPACES);
            self.buffer.truncate(end);
        } else {
            self.buffer.resize(end, b' ');
        }
        self.buffer.extend_from_slice(text.as_bytes());
        self
    }

    /// The next column with a number.
    #[inline]
    pub fn next_number(&mut self, number: u64, width: usize) -> &mut Self {
        let mut digits = itoa::Buffer::new();
        self.next(digits.format(number), width)
    }

    /// The next column with a number, or `-` where it does not exist.
    #[inline]
    pub fn next_maybe(&mut self, number: Option<u64>, width: usize) -> &mut Self {
        match number {
            Some(number) => self.next_number(number, width),
            None => self.next("-", width),
        }
    }

    /// A number at the right of a column.
    #[inline]
    pub fn column(&mut self, number: u64, width: usize) -> &mut Self {
        let mut digits = itoa::Buffer::new();
        self.right(digits.format(number), width)
    }

    /// A field of a JSON object, if it applies.
    pub fn field(&mut self, name: &str, number: Option<u64>) -> &mut Self {
        if let Some(number) = number {
            self.text(",\"").text(name).text("\":").number(number);
        }
        self
    }

    /// A field of a JSON object that is text, whatever is in it.
    pub fn text_field(&mut self, name: &str, text: &str) -> io::Result<&mut Self> {
        self.text(",\"").text(name).text("\":");
        Ok(self.text(&escaped_json(&serde_json::to_string(text)?)))
    }

    /// Bytes as two digits each.
    pub fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |four: u8| DIGITS.get(usize::from(four)).copied().unwrap_or_default();
        for byte in bytes {
            self.buffer
                .extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        self
    }

    /// As much of `bytes` as fits in this many columns, as text without terminal
    /// controls; `...` if more follows, here or by `more`.
    pub fn escaped_within(&mut self, bytes: &[u8], more: bool, columns: usize) -> &mut Self {
        let dots = "...".len();
        let (mut used, mut fit) = (0, 0);
        for (at, &byte) in bytes.iter().enumerate() {
            used += escaped_columns(byte);
            if used + dots <= columns {
                fit = at + 1;
            }
        }
        if !more && used <= columns {
            return self.escaped(bytes);
        }
        self.escaped(bytes.get(..fit).unwrap_or_default())
            .text("...")
    }

    /// Bytes as text that drives no terminal.
    pub fn escaped(&mut self, mut bytes: &[u8]) -> &mut Self {
        loop {
            let plain = bytes.iter().position(|&byte| !is_plain(byte));
            let (text, rest) = bytes.split_at(plain.unwrap_or(bytes.len()));
            self.buffer.extend_from_slice(text);
            let Some((&byte, rest)) = rest.split_first() else {
                return self;
            };
            bytes = rest;
            match byte {
                b'\\' => self.text(r"\\"),
                b'"' => self.text("\""),
                b'\n' => self.text(r"\n"),
                b'\r' => self.text(r"\r"),
                b'\t' => self.text(r"\t"),
                _ => self.text(r"\x").hex(&[byte]),
            };
        }
    }

    /// The same within a JSON string: ASCII needs two more escapes.
    pub fn escaped_json(&mut self, bytes: &[u8]) -> &mut Self {
        if bytes.iter().all(|&byte| is_plain(byte)) {
            self.buffer.extend_from_slice(bytes);
            return self;
        }
        for &byte in bytes {
            match byte {
                b'"' => self.text("\\\""),
                b'\\' => self.text(r"\\\\"),
                _ if is_plain(byte) => self.escaped(&[byte]),
                _ => self.text("\\").escaped(&[byte]),
            };
        }
        self
    }

    /// The lines of a hex dump; positions are the file's.
    pub fn hex_dump(&mut self, content: &Content<'_>, position: u64) -> Result<(), Failed> {
        let mut at = position;
        content.pieces(|piece| {
            // Pieces are a multiple of a line long, but for the last.
            for bytes in piece.chunks(HEX_LINE_BYTES) {
                self.text("    ").column(at, 10).text("  ");
                self.hex(bytes);
                let missing = HEX_LINE_BYTES - bytes.len();
                self.right("", missing * 2 + 2);
                for &byte in bytes {
                    let shown = if (b' '..=b'~').contains(&byte) {
                        byte
                    } else {
                        b'.'
                    };
                    self.buffer.push(shown);
                }
                self.end_line()?;
                at += bytes.len() as u64;
            }
            Ok::<_, Failed>(())
        })
    }

    /// All bytes of a content as hex, within a line.
    pub fn hex_content(&mut self, content: &Content<'_>) -> Result<(), Failed> {
        content.pieces(|piece| {
            for bytes in piece.chunks(BUFFER_BYTES) {
                self.hex(bytes);
                self.pass_on()?;
            }
            Ok::<_, Failed>(())
        })
    }

    /// Ends a line; writes what has gathered once it is worth a call.
    #[inline]
    pub fn end_line(&mut self) -> io::Result<()> {
        self.buffer.push(b'\n');
        self.pass_on()
    }

    /// Drops what was not passed on yet.
    pub fn discard(&mut self) {
        self.buffer.clear();
    }

    #[inline]
    fn pass_on(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER_BYTES {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes everything.
    pub fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        self.out.flush()
    }
}

/// Why bytes of a file could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// They could not be read.
    #[error(transparent)]
    Read(#[from] Error),
    /// They could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Number of columns of a byte that is escaped.
fn escaped_columns(byte: u8) -> usize {
    match byte {
        b'\\' | b'\n' | b'\r' | b'\t' => 2,
        b'"' => 1,
        _ if is_plain(byte) => 1,
        _ => 4,
    }
}

/// Whether a byte represents itself, in text and in JSON.
#[inline]
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'\\' && byte != b'"'
}

/// Number of columns of a number.
pub fn digits(number: u64) -> usize {
    itoa::Buffer::new().format(number).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Lines<Vec<u8>>)) -> String {
        let mut lines = Lines::new(Vec::new());
        print(&mut lines);
        lines.finish().expect("memory takes everything");
        String::from_utf8(lines.out).expect("ASCII")
    }

    #[test]
    fn columns_and_fields() {
        let text = printed(|lines| {
            lines.column(7, 4).next_maybe(None, 3).next_number(12345, 2);
            lines.field("a", Some(1)).field("b", None);
        });
        assert_eq!(text, "   7    -  12345,\"a\":1");
    }

    #[test]
    fn no_byte_drives_a_terminal() {
        let every: Vec<u8> = (0..=255).collect();
        let text = printed(|lines| {
            lines.escaped(&every);
        });
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert!(text.contains(r"\x1b") && text.contains(r"\\") && text.contains(r"\xff"));
    }

    #[test]
    fn a_hex_dump_shows_positions_of_the_file() {
        let bytes: Vec<u8> = (b'a'..=b'q').collect();
        let text = printed(|lines| {
            lines
                .hex_dump(&Content::Memory(&bytes), 100)
                .expect("memory");
        });
        let expected = "           100  6162636465666768696a6b6c6d6e6f70  abcdefghijklmnop\n\
             \x20          116  71                                q\n";
        assert_eq!(text, expected);
    }
}
