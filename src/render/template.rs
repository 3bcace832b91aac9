//! `--format`: a line as the user wants it, with the letters of kcat for a record's
//! fields. What they are printed as is for `record`, `text` and `hex`.

use std::io::Write;
use std::str::FromStr;

use proglog::log::reader::{Content, RecordView};

use super::escape::escaped;
use super::field::{WriteError, number};
use super::hex;

/// The letters after `%`, for error messages.
const LETTERS: &str = "%o offset, %s value, %S its length, %x hex, %t term, %T type, \
                       %p position, %b base, %%";

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Offset,
    Value,
    Length,
    Position,
    Base,
    Hex,
    Term,
    Type,
}

/// The format of each record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            match character {
                '%' => match field(rest.next())? {
                    Some(part) => {
                        if !literal.is_empty() {
                            parts.push(Part::Literal(std::mem::take(&mut literal)));
                        }
                        parts.push(part);
                    }
                    None => literal.push(b'%'),
                },
                '\\' => {
                    let (byte, taken) = escaped(rest.as_str().as_bytes())?;
                    literal.push(byte);
                    let _ = rest.nth(taken - 1);
                }
                _ => literal.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if parts.is_empty() {
            return Err(without_field(text));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }
}

/// Explains that a format would print the same text for every record, and names the
/// option that may have been meant.
fn without_field(text: &str) -> String {
    let hint = match text.to_ascii_lowercase().as_str() {
        name @ ("json" | "hex" | "raw" | "frames" | "null") => format!("did you mean --{name}?"),
        "jsonl" | "ndjson" => "did you mean --json?".to_owned(),
        _ => format!("the fields are {LETTERS}; for JSON lines use --json"),
    };
    format!("the format has no field; {hint}")
}

/// The field that a letter means; `None` for `%%`.
fn field(letter: Option<char>) -> Result<Option<Part>, String> {
    Ok(Some(match letter {
        Some('o') => Part::Offset,
        Some('s') => Part::Value,
        Some('S') => Part::Length,
        Some('p') => Part::Position,
        Some('b') => Part::Base,
        Some('x') => Part::Hex,
        Some('t') => Part::Term,
        Some('T') => Part::Type,
        Some('%') => return Ok(None),
        Some(other) => return Err(format!("unknown field %{other}; the fields are {LETTERS}")),
        None => return Err(format!("ends in a lone %; the fields are {LETTERS}")),
    }))
}

impl Template {
    /// Prints one record by the template; `value` prints its value.
    ///
    /// # Errors
    ///
    /// Reading's of a large value, and the output's.
    #[inline]
    pub fn print<W: Write>(
        &self,
        record: &RecordView<'_>,
        content: &Content<'_>,
        out: &mut W,
        value: impl Fn(&mut W) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => out.write_all(bytes)?,
                Part::Offset => number(record.offset.0, out)?,
                Part::Value => value(out)?,
                Part::Length => number(content.len(), out)?,
                Part::Position => number(record.position.0, out)?,
                Part::Base => number(record.segment.0, out)?,
                Part::Hex => hex::digits(content, out)?,
                Part::Term => number(record.term, out)?,
                Part::Type => number(record.record_type.into(), out)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Shape;
    use super::super::record::tests::{printed, sample};
    use super::*;

    fn made(template: &str) -> String {
        let template = Shape::Template(template.parse().unwrap());
        let mut record = sample(b"hi");
        (record.term, record.record_type) = (3, 2);
        String::from_utf8(printed(template, false, &record)).unwrap()
    }

    #[test]
    fn letters_and_escapes() {
        assert_eq!(made("%o %s\\n"), "7 hi\n");
        assert_eq!(made("%b:%p+%S=%x%%"), "0:412+2=6869%");
        assert_eq!(made("%o\\t\\0\\x41\\\\\\r\u{fc}"), "7\t\0A\\\r\u{fc}");
        assert_eq!(made("%o%%"), "7%");
        assert_eq!(made("%t %T"), "3 2");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for wrong in [
            "%",
            "%%",
            "%k",
            "%o\\",
            "\\q",
            "\\x",
            "\\x4",
            "\\xg0",
            "\\x\u{fc}1",
        ] {
            assert!(wrong.parse::<Template>().is_err(), "{wrong}");
        }
    }
}
