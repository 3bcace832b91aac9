//! The output of a record, in each of the formats of `read`: which of its bytes are
//! printed and what surrounds them. Values that are too large for memory pass in pieces.
//! The files beside this one encode text, hex digits and JSON.

use std::ffi::OsStr;
use std::io::{self, Write};

use proglog::log::format::encode_length;
use proglog::log::reader::{Content, RecordView};
use regex::bytes::Regex;

use super::escape::delimiter;
use super::field::{WriteError, copy};
use super::template::Template;
use super::{hex, json, text};

/// The text around a record's bytes.
#[derive(Debug, Clone)]
pub enum Shape {
    /// This byte after each.
    Byte(u8),
    /// These bytes after each.
    Text(Vec<u8>),
    /// Nothing.
    Raw,
    /// The length before each: 8 bytes, big-endian. Lossless.
    Frames,
    /// A header and a dump.
    Hex,
    /// One object a line.
    Json,
    /// The chosen format.
    Template(Template),
}

impl Shape {
    /// The records with this delimiter after each.
    ///
    /// # Errors
    ///
    /// As [`delimiter`].
    pub fn ended_by(text: &OsStr) -> Result<Self, String> {
        let bytes = delimiter(text)?;
        Ok(match bytes.as_slice() {
            [byte] => Self::Byte(*byte),
            _ => Self::Text(bytes),
        })
    }
}

/// How records are printed.
#[derive(Debug, Clone)]
pub struct Printer {
    /// The text around each record.
    pub shape: Shape,
    /// Whether the frame's payload is printed instead of the value.
    pub no_decode: bool,
    /// Whether a terminal gets it, which no record must drive.
    pub terminal: bool,
    /// The part of a value that is highlighted where it is printed as text.
    pub highlight: Option<Regex>,
}

impl Printer {
    /// Prints for a program.
    #[must_use]
    pub fn plain(shape: Shape, no_decode: bool) -> Self {
        Self {
            shape,
            no_decode,
            terminal: false,
            highlight: None,
        }
    }

    /// Prints one record.
    ///
    /// # Errors
    ///
    /// Reading's of a large value, and the output's.
    #[inline]
    pub fn print(&self, record: &RecordView<'_>, out: &mut impl Write) -> Result<(), WriteError> {
        let content = if self.no_decode {
            &record.payload
        } else {
            &record.value
        };
        // The usual case first, for it is the one that must be fast.
        if let (Shape::Byte(end), Content::Memory(bytes), false) =
            (&self.shape, content, self.terminal)
            && self.highlight.is_none()
        {
            out.write_all(bytes)?;
            return Ok(out.write_all(&[*end])?);
        }
        self.print_other(record, content, out)
    }

    /// Whether of a record nothing but its bytes is printed.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let bytes = matches!(
            self.shape,
            Shape::Byte(_) | Shape::Text(_) | Shape::Raw | Shape::Frames
        );
        bytes && !self.terminal && self.highlight.is_none()
    }

    /// Prints one record as [`Printer::print`] does where it [is plain](Printer::is_plain).
    ///
    /// # Errors
    ///
    /// The output's.
    #[inline]
    pub fn print_plain(
        &self,
        payload: &[u8],
        value: &[u8],
        out: &mut impl Write,
    ) -> Result<(), WriteError> {
        let bytes = if self.no_decode { payload } else { value };
        if let Shape::Frames = self.shape {
            out.write_all(&encode_length(bytes.len() as u64))?;
        }
        out.write_all(bytes)?;
        match &self.shape {
            Shape::Byte(end) => out.write_all(&[*end])?,
            Shape::Text(end) => out.write_all(end)?,
            _ => {}
        }
        Ok(())
    }

    fn print_other(
        &self,
        record: &RecordView<'_>,
        content: &Content<'_>,
        out: &mut impl Write,
    ) -> Result<(), WriteError> {
        match &self.shape {
            Shape::Byte(end) => {
                self.text(content, out)?;
                out.write_all(&[*end])?;
            }
            Shape::Text(end) => {
                self.text(content, out)?;
                out.write_all(end)?;
            }
            Shape::Raw => copy(content, out)?,
            Shape::Frames => {
                out.write_all(&encode_length(content.len()))?;
                copy(content, out)?;
            }
            Shape::Hex => hex::record(record, content, out)?,
            Shape::Json => json::record(record, content, self.terminal, out)?,
            Shape::Template(template) => {
                template.print(record, content, out, |out| self.text(content, out))?;
            }
        }
        Ok(())
    }

    fn text(&self, content: &Content<'_>, out: &mut impl Write) -> Result<(), WriteError> {
        if let (Some(part), Content::Memory(bytes)) = (&self.highlight, content)
            && text::highlight(part, bytes, self.terminal, out)?
        {
            return Ok(());
        }
        if self.terminal {
            return text::show(content, out);
        }
        copy(content, out)
    }

    /// Prints what separates two groups of records, in the formats that a person reads.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn separate(&self, out: &mut impl Write) -> io::Result<()> {
        let end = match &self.shape {
            Shape::Byte(end) => std::slice::from_ref(end),
            Shape::Text(end) => end,
            Shape::Hex | Shape::Template(_) => b"\n",
            Shape::Raw | Shape::Frames | Shape::Json => return Ok(()),
        };
        out.write_all(b"--")?;
        out.write_all(end)
    }
}

#[cfg(test)]
pub mod tests {
    use proglog::log::units::{Offset, Position};
    use proglog::log::window::ReadFile;
    use proptest::prelude::*;

    use super::*;

    /// A record of the documentation.
    pub fn sample(value: &[u8]) -> RecordView<'_> {
        RecordView {
            offset: Offset(7),
            segment: Offset(0),
            position: Position(412),
            value: Content::Memory(value),
            payload: Content::Memory(value),
            term: 0,
            record_type: 0,
        }
    }

    /// These bytes as a content that is not in memory, between bytes that are not its.
    pub fn in_file(bytes: &[u8]) -> Content<'static> {
        use std::io::{Seek, SeekFrom};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"xyz").unwrap();
        file.write_all(bytes).unwrap();
        file.write_all(b"behind").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let file = ReadFile::of(file, "test".as_ref()).unwrap();
        Content::File(file, 3, bytes.len() as u64)
    }

    pub fn printed(shape: Shape, terminal: bool, record: &RecordView<'_>) -> Vec<u8> {
        let printer = Printer {
            shape,
            no_decode: false,
            terminal,
            highlight: None,
        };
        let mut out = Vec::new();
        printer.print(record, &mut out).unwrap();
        out
    }

    #[test]
    fn each_shape_byte_for_byte() {
        let record = sample(b"hello");
        assert_eq!(printed(Shape::Byte(b'\n'), false, &record), b"hello\n");
        assert_eq!(printed(Shape::Byte(0), false, &record), b"hello\0");
        let text = Shape::Text(b"--".to_vec());
        assert_eq!(printed(text, false, &record), b"hello--");
        assert_eq!(printed(Shape::Raw, false, &record), b"hello");
        assert_eq!(
            printed(Shape::Frames, false, &record),
            b"\0\0\0\0\0\0\0\x05hello"
        );
    }

    #[test]
    fn the_payload_instead_of_the_value() {
        let mut record = sample(b"a");
        record.payload = Content::Memory(b"\x0a\x01a");
        let printer = Printer {
            shape: Shape::Byte(b'\n'),
            no_decode: true,
            terminal: false,
            highlight: None,
        };
        let mut out = Vec::new();
        printer.print(&record, &mut out).unwrap();
        assert_eq!(out, b"\x0a\x01a\n");
    }

    #[test]
    fn a_pipe_gets_every_byte_and_a_terminal_none_that_drives_it() {
        let record = sample(b"\x1b[2J\x00");
        assert_eq!(printed(Shape::Byte(b'\n'), false, &record), b"\x1b[2J\0\n");
        assert_eq!(
            printed(Shape::Byte(b'\n'), true, &record),
            b"\\x1b[2J\\x00\n"
        );
    }

    #[test]
    fn plain_records_are_printed_as_others_are() {
        let template = "%s".parse::<Template>().unwrap();
        for (shape, plain) in [
            (Shape::Byte(b'\n'), true),
            (Shape::Text(b"ab".to_vec()), true),
            (Shape::Raw, true),
            (Shape::Frames, true),
            (Shape::Hex, false),
            (Shape::Json, false),
            (Shape::Template(template), false),
        ] {
            for (no_decode, terminal) in [(false, false), (true, false), (false, true)] {
                let printer = Printer {
                    shape: shape.clone(),
                    no_decode,
                    terminal,
                    highlight: None,
                };
                assert_eq!(printer.is_plain(), plain && !terminal, "{shape:?}");
                if !printer.is_plain() {
                    continue;
                }
                let mut record = sample(b"a");
                record.payload = Content::Memory(b"\x0a\x01a");
                let (mut usual, mut short) = (Vec::new(), Vec::new());
                printer.print(&record, &mut usual).unwrap();
                printer.print_plain(b"\x0a\x01a", b"a", &mut short).unwrap();
                assert_eq!(short, usual, "{shape:?} {no_decode}");
            }
        }
    }

    proptest! {
        #[test]
        fn large_and_small_values_are_printed_alike(bytes: Vec<u8>, terminal: bool) {
            let small = sample(&bytes);
            let mut large = small.clone();
            large.value = in_file(&bytes);
            let template = "%o %s %S %p %b %x %t %T".parse::<Template>().unwrap();
            for shape in [Shape::Byte(b'\n'), Shape::Text(vec![1, 2]), Shape::Raw, Shape::Frames, Shape::Hex,
                          Shape::Json, Shape::Template(template)] {
                prop_assert_eq!(
                    printed(shape.clone(), terminal, &small),
                    printed(shape, terminal, &large)
                );
            }
        }
    }
}
