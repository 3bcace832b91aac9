//! The positions of readers in a log, by their cursor files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use proglog::log::units::Offset;

use super::dump::{Lines, digits};
use super::json_line::JsonLine;
use super::quote::quote;

/// A reader.
pub struct Position {
    /// Its cursor file, as it was named.
    pub file: PathBuf,
    /// The next record that it reads.
    pub next: Offset,
    /// Number of records that it has not read.
    pub lag: u64,
}

/// Prints a table.
pub fn text(out: &mut impl Write, positions: &[Position]) -> io::Result<()> {
    const HEADER: [&str; 2] = ["POSITION", "LAG"];
    let width = |name: &str, number: fn(&Position) -> u64| {
        let widest = positions.iter().map(|it| digits(number(it))).max();
        widest.unwrap_or(0).max(name.len())
    };
    let [position, lag] = HEADER;
    let (first, second) = (width(position, |it| it.next.0), width(lag, |it| it.lag));
    let mut lines = Lines::new(out);
    lines.right(position, first).next(lag, second);
    lines.text("  CURSOR").end_line()?;
    for it in positions {
        lines.right(&it.next.to_string(), first);
        lines.next_number(it.lag, second);
        lines.text("  ").text(&quote(&it.file)).end_line()?;
    }
    lines.finish()
}

/// Prints JSON lines.
pub fn json(out: &mut impl Write, log: &Path, positions: &[Position]) -> io::Result<()> {
    for it in positions {
        let line = JsonLine::of("cursor")
            .text("log", log.display().to_string())
            .text("file", it.file.display().to_string())
            .number("next_offset", it.next.0)
            .number("lag", it.lag);
        writeln!(out, "{line}")?;
    }
    out.flush()
}
