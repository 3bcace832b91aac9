//! Two logs compared, as text and as JSON lines: ranges as they come, the first
//! difference with its bytes, the files, one last line.

use std::io::{self, Write};
use std::path::Path;

use proglog::inspect::compare::files::{FileDifference, FileWhat};
use proglog::inspect::compare::{Compared, Difference, Side, Spot, Tally, Verdict, What};
use proglog::inspect::finding::{OffsetRange, Place};
use proglog::inspect::report::Report;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::hexlines;
use super::json_line::JsonLine;
use super::prose::{columns, count, either, escaped, offsets, wrapped};

/// Limit of ranges and files listed one by one in text; the others are counted.
const TOLD_MAX: u64 = 24;

/// Bytes that are shown of each side of a difference.
const SHOWN_BYTES: usize = 16;

/// The column at which the text begins.
const INDENT: usize = 11;

/// Returns bytes of a side's file from a position on, as far as there are any.
pub type BytesOf<'a> = dyn Fn(Side, &str, u64, usize) -> Option<Vec<u8>> + 'a;

/// Prints the results of a comparison as they arrive.
pub struct Printer<'a, W> {
    pub out: W,
    pub json: bool,
    pub bytes_of: &'a BytesOf<'a>,
    /// The paths of both logs.
    logs: [&'a Path; 2],
    told: u64,
}

impl<'a, W: Write> Printer<'a, W> {
    pub fn new(out: W, json: bool, bytes_of: &'a BytesOf<'a>, logs: [&'a Path; 2]) -> Self {
        Self {
            out,
            json,
            bytes_of,
            logs,
            told: 0,
        }
    }

    /// A JSON line of this kind, which names both logs.
    fn line(&self, kind: &str) -> JsonLine {
        let [log, copy] = self.logs.map(|path| path.display().to_string());
        JsonLine::of(kind).text("log", log).text("copy", copy)
    }

    /// The description of one of the logs.
    pub fn log(&mut self, side: Side, report: &Report) -> io::Result<()> {
        let path = report.listing.path().display().to_string();
        let (records, segments) = (report.records(), report.listing.segments.len());
        let (lowest, next) = (report.lowest_offset(), report.next_offset());
        if self.json {
            let line = JsonLine::of("log")
                .text("log", path)
                .text("side", letter(side))
                .count("segments", segments)
                .number("records", records)
                .number("lowest_offset", lowest.0)
                .number("next_offset", next.0);
            let codec = report.codec.map(|codec| codec.as_str().to_owned());
            return writeln!(self.out, "{}", line.text_if("codec", codec));
        }
        let held = match next.0.checked_sub(1) {
            Some(last) if records > 0 => {
                let range = OffsetRange {
                    first: lowest,
                    last: Offset(last),
                };
                format!("{}, {}", count(records, "record"), offsets(&[range]))
            }
            _ => "no committed record".to_owned(),
        };
        let facts = format!(
            "{}: {}: {}, {held}, {}",
            letter(side),
            escaped(&path),
            count(segments as u64, "segment"),
            report.codec.map_or("codec unknown", Codec::as_str)
        );
        for line in wrapped(&facts, columns()) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// A range at which the logs are not equal.
    pub fn range(&mut self, range: Compared) -> io::Result<()> {
        let records = range.offsets.records();
        if self.json {
            let line = match range.verdict {
                Verdict::Equal => self.line("equal"),
                Verdict::Differs => self.line("differs"),
                Verdict::Only(side) => self.line("only").text("side", letter(side)),
                Verdict::Damaged { side, id } => self
                    .line("damaged")
                    .text("side", side.map_or("both", letter))
                    .text("id", id.as_str()),
            };
            let line = line
                .number("first_offset", range.offsets.first.0)
                .number("last_offset", range.offsets.last.0)
                .number("records", records);
            return writeln!(self.out, "{line}");
        }
        let (label, of) = match range.verdict {
            Verdict::Equal => ("equal", String::new()),
            Verdict::Differs => ("differ", String::new()),
            Verdict::Only(side) => (
                match side {
                    Side::A => "only in a",
                    Side::B => "only in b",
                },
                String::new(),
            ),
            Verdict::Damaged { side, id } => {
                let side = side.map_or("both", letter);
                ("damaged", format!(" in {side} ({id})"))
            }
        };
        let text = format!(
            "{}: {}{of}",
            offsets(&[range.offsets]),
            count(records, "record")
        );
        self.tell(label, &text)
    }

    fn tell(&mut self, label: &str, text: &str) -> io::Result<()> {
        if self.told == 0 {
            writeln!(self.out)?;
        }
        self.told += 1;
        if self.told > TOLD_MAX {
            return Ok(());
        }
        let mut label = label;
        for line in wrapped(text, columns().saturating_sub(INDENT)) {
            writeln!(self.out, "{label:INDENT$}{line}")?;
            label = "";
        }
        Ok(())
    }

    /// The files of one name that are not the same.
    pub fn file(&mut self, difference: &FileDifference) -> io::Result<()> {
        let name = &difference.file;
        if self.json {
            let line = self.line("file").text("file", name.clone());
            let line = match difference.what {
                FileWhat::Only(side, bytes) => line
                    .text("side", letter(side))
                    .number(bytes_field(side), bytes),
                FileWhat::Differs {
                    bytes: [a, b],
                    position,
                } => line
                    .number("a_bytes", a)
                    .number("b_bytes", b)
                    .number("position", position),
                FileWhat::NotAFile { files: [a, _] } => {
                    let side = if a { Side::B } else { Side::A };
                    line.text("no_file", letter(side))
                }
            };
            return writeln!(self.out, "{line}");
        }
        let name = escaped(name);
        match difference.what {
            FileWhat::Only(side, bytes) => {
                let text = format!("in {} only ({})", letter(side), count(bytes, "byte"));
                self.tell(&name, &text)
            }
            FileWhat::NotAFile { files: [a, _] } => {
                let side = letter(if a { Side::B } else { Side::A });
                self.tell(&name, &format!("not a regular file in {side}"))
            }
            FileWhat::Differs {
                bytes: [a, b],
                position,
            } => {
                let sizes = if a == b {
                    count(a, "byte")
                } else {
                    format!("{} in a, {b} in b", count(a, "byte"))
                };
                let ends = if position == a.min(b) && a != b {
                    ", and the shorter one is a prefix of the other"
                } else {
                    ""
                };
                self.tell(
                    &name,
                    &format!("differs from byte {position} on; {sizes}{ends}"),
                )?;
                if self.told <= TOLD_MAX && ends.is_empty() {
                    let run = self.differing(name.as_str(), position, name.as_str(), position);
                    for side in [Side::A, Side::B] {
                        self.hex(side, name.as_str(), position, run)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// The lines after the ranges: the number of further ones, and the first difference.
    pub fn end_of_ranges(&mut self, first: Option<&Difference>) -> io::Result<()> {
        if self.json {
            return first.map_or(Ok(()), |first| {
                let line = self.difference_json(first);
                writeln!(self.out, "{line}")
            });
        }
        let more = self.told.saturating_sub(TOLD_MAX);
        if more > 0 {
            writeln!(self.out, "... and {more} more (--json lists all)")?;
        }
        match first {
            Some(first) => self.difference(first),
            None => Ok(()),
        }
    }

    fn difference(&mut self, first: &Difference) -> io::Result<()> {
        let offset = first.offset;
        let (a, b) = (&first.a, &first.b);
        writeln!(self.out)?;
        match first.what {
            What::Value(at) => {
                writeln!(
                    self.out,
                    "first difference: offset {offset}, byte {at} of the value"
                )?;
                let places = (a.value_position + at, b.value_position + at);
                let run = if at < a.length && at < b.length {
                    self.differing(&a.file, places.0, &b.file, places.1)
                        .min(a.length - at)
                        .min(b.length - at)
                } else {
                    1
                };
                for (side, spot, position) in [(Side::A, a, places.0), (Side::B, b, places.1)] {
                    let file = escaped(&spot.file);
                    let length = count(spot.length, "byte");
                    if at < spot.length {
                        let place = format!("{} {file} {position}+{run}", letter(side));
                        writeln!(self.out, "{place}: the value has {length}")?;
                        self.hex(side, &spot.file, position, run)?;
                    } else {
                        let place = format!("{} {file} {position}", letter(side));
                        writeln!(self.out, "{place}: the value ends here, after {length}")?;
                    }
                }
                Ok(())
            }
            What::Term => writeln!(
                self.out,
                "first difference: offset {offset}: the term is {} in a, {} in b",
                a.term, b.term
            ),
            What::Type => writeln!(
                self.out,
                "first difference: offset {offset}: the type is {} in a, {} in b",
                a.record_type, b.record_type
            ),
            What::OtherFields => writeln!(
                self.out,
                "first difference: offset {offset}: fields of the message other than value, \
                 term and type"
            ),
        }
    }

    /// Number of consecutive differing bytes from two places on, of those shown.
    fn differing(&self, file_a: &str, at_a: u64, file_b: &str, at_b: u64) -> u64 {
        let a = (self.bytes_of)(Side::A, file_a, at_a, SHOWN_BYTES).unwrap_or_default();
        let b = (self.bytes_of)(Side::B, file_b, at_b, SHOWN_BYTES).unwrap_or_default();
        let run = a.iter().zip(&b).take_while(|(a, b)| a != b).count();
        (run as u64).max(1)
    }

    fn hex(&mut self, side: Side, file: &str, position: u64, bytes: u64) -> io::Result<()> {
        let place = Place {
            file: file.to_owned(),
            position,
            bytes,
        };
        let bytes_of = self.bytes_of;
        hexlines::print(&mut self.out, &place, 2, 0, &|position, bytes| {
            bytes_of(side, file, position, bytes)
        })
    }

    fn difference_json(&self, first: &Difference) -> JsonLine {
        let line = self.line("difference").number("offset", first.offset.0);
        let line = match first.what {
            What::Value(at) => line.text("what", "value").number("byte", at),
            What::Term => line.text("what", "term"),
            What::Type => line.text("what", "type"),
            What::OtherFields => line.text("what", "other-fields"),
        };
        let line = self.spot_json(line, Side::A, &first.a, first.what);
        self.spot_json(line, Side::B, &first.b, first.what)
    }

    fn spot_json(&self, line: JsonLine, side: Side, spot: &Spot, what: What) -> JsonLine {
        let name = |field: &str| format!("{}_{field}", letter(side));
        let line = line
            .text(&name("file"), spot.file.clone())
            .number(&name("position"), spot.position)
            .number(&name("length"), spot.length);
        match what {
            What::Value(at) if at < spot.length => {
                let position = spot.value_position + at;
                let left = usize::try_from(spot.length - at).unwrap_or(SHOWN_BYTES);
                let bytes = (self.bytes_of)(side, &spot.file, position, left.min(SHOWN_BYTES));
                line.number(&name("byte_position"), position)
                    .text_if(&name("hex"), bytes.map(hex::encode))
            }
            What::Term => line.number(&name("term"), spot.term),
            What::Type => line.number(&name("type"), u64::from(spot.record_type)),
            What::Value(_) | What::OtherFields => line,
        }
    }

    /// The last line, of records.
    pub fn summary(&mut self, tally: &Tally) -> io::Result<()> {
        if self.json {
            let line = self
                .line("summary")
                .flag("equal", tally.is_equal())
                .number("equal_records", tally.equal)
                .number("differing", tally.differing)
                .number("only_a", tally.only_a)
                .number("only_b", tally.only_b)
                .number("damaged_records", tally.damaged);
            return writeln!(self.out, "{line}");
        }
        if tally.is_equal() {
            return writeln!(self.out, "equal: {}", count(tally.equal, "record"));
        }
        let parts = [
            (
                tally.differing,
                either(tally.differing, "differs", "differ"),
            ),
            (tally.only_a, "only in a"),
            (tally.only_b, "only in b"),
            (tally.damaged, "not compared because of damage"),
        ];
        let told = parts.iter().filter(|(number, _)| *number > 0);
        let told: Vec<String> = told
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        writeln!(self.out)?;
        let text = format!("not equal: {}; {} equal", told.join(", "), tally.equal);
        for line in wrapped(&text, columns()) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// The last line, of files.
    pub fn files_summary(&mut self, equal: u64, differing: u64) -> io::Result<()> {
        if self.json {
            let line = self
                .line("summary")
                .flag("equal", differing == 0)
                .number("equal_files", equal)
                .number("differing_files", differing);
            return writeln!(self.out, "{line}");
        }
        if differing == 0 {
            return writeln!(self.out, "equal: {}", count(equal, "file"));
        }
        writeln!(self.out)?;
        let verb = either(differing, "differs", "differ");
        let text = format!(
            "not equal: {} {verb}; {equal} equal",
            count(differing, "file")
        );
        writeln!(self.out, "{text}")
    }
}

/// A side as it is called in the output.
pub fn letter(side: Side) -> &'static str {
    match side {
        Side::A => "a",
        Side::B => "b",
    }
}

fn bytes_field(side: Side) -> &'static str {
    match side {
        Side::A => "a_bytes",
        Side::B => "b_bytes",
    }
}
