//! `--format`: a line as the user wants it, with the letters of kcat for a record's
//! fields. What they are printed as is for `record`, `text` and `hex`.

use std::io::Write;
use std::str::FromStr;

use proglog::log::reader::{Content, RecordView};

use super::field::{WriteError, copy, number};
use super::{hex, text};

/// The letters after `%`, for error messages.
const LETTERS: &str = "%o offset, %s value, %S its length, %p position, %b base, %x hex, %%";

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
                '\\' => literal.push(escaped(&mut rest)?),
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
        Some('%') => return Ok(None),
        Some(other) => return Err(format!("unknown field %{other}; the fields are {LETTERS}")),
        None => return Err(format!("ends in a lone %; the fields are {LETTERS}")),
    }))
}

/// The byte that is after a backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    const ESCAPES: &str = r"\n, \r, \t, \0, \\ and \xHH";
    match rest.next() {
        Some('n') => Ok(b'\n'),
        Some('r') => Ok(b'\r'),
        Some('t') => Ok(b'\t'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let mut digit = || rest.next().and_then(|digit| digit.to_digit(16));
            match (digit(), digit()) {
                (Some(high), Some(low)) => {
                    u8::try_from(high * 16 + low).map_err(|_| ESCAPES.to_owned())
                }
                _ => Err(r"\x takes two hex digits, as \x1f".to_owned()),
            }
        }
        Some(other) => Err(format!(
            r"unknown escape \{other}; the escapes are {ESCAPES}"
        )),
        None => Err(format!(r"ends in a lone \; the escapes are {ESCAPES}")),
    }
}

impl Template {
    /// Prints one record by the template.
    ///
    /// # Errors
    ///
    /// Reading's of a large value, and the output's.
    #[inline]
    pub fn print(
        &self,
        record: &RecordView<'_>,
        content: &Content<'_>,
        terminal: bool,
        out: &mut impl Write,
    ) -> Result<(), WriteError> {
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => out.write_all(bytes)?,
                Part::Offset => number(record.offset.0, out)?,
                Part::Value if terminal => text::show(content, out)?,
                Part::Value => copy(content, out)?,
                Part::Length => number(content.len(), out)?,
                Part::Position => number(record.position.0, out)?,
                Part::Base => number(record.segment.0, out)?,
                Part::Hex => hex::digits(content, out)?,
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
        String::from_utf8(printed(template, false, &sample(b"hi"))).unwrap()
    }

    #[test]
    fn letters_and_escapes() {
        assert_eq!(made("%o %s\\n"), "7 hi\n");
        assert_eq!(made("%b:%p+%S=%x%%"), "0:412+2=6869%");
        assert_eq!(made("%o\\t\\0\\x41\\\\\\r\u{fc}"), "7\t\0A\\\r\u{fc}");
        assert_eq!(made("%o%%"), "7%");
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
