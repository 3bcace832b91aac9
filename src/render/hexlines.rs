//! Hex lines as xxd writes them, with the bytes in question marked below: 12 bytes a
//! line in an index, which is one entry, else 16.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use proglog::inspect::finding::Place;

/// Lines from the beginning of a place that are shown.
const LINES_MAX: u64 = 4;

/// Prints the lines of a place, with `around` lines before and after it. `bytes_of`
/// returns as many bytes as exist from a position on; if it returns none, nothing is
/// printed.
///
/// # Errors
///
/// Writing's.
pub fn print(
    out: &mut impl Write,
    place: &Place,
    indent: usize,
    around: u64,
    bytes_of: &dyn Fn(u64, usize) -> Option<Vec<u8>>,
) -> io::Result<()> {
    let is_index = Path::new(&place.file).extension() == Some(OsStr::new("index"));
    let columns: u64 = if is_index { 12 } else { 16 };
    let first = place.position - place.position % columns;
    let end = place.position.saturating_add(place.bytes);
    let lines = end.saturating_sub(first).div_ceil(columns);
    let begin = first.saturating_sub(around * columns);
    let before = (first - begin) / columns;
    // Bytes after a place are not shown if its end is not shown.
    let behind = if lines > LINES_MAX { 0 } else { around };
    let lines = before + lines.min(LINES_MAX) + behind;
    let wanted = usize::try_from(lines * columns).unwrap_or(0);
    let Some(bytes) = bytes_of(begin, wanted) else {
        return Ok(());
    };
    // Past 4 GiB the numbers take the place of the indent.
    let indent = if end > u64::from(u32::MAX) { 1 } else { indent };
    let mut position = begin;
    for line in bytes.chunks(usize::try_from(columns).unwrap_or(16)) {
        let marked = |at: u64| (place.position..end).contains(&at);
        let (hex, marks) = hex(line, position, &marked);
        let text: String = line
            .iter()
            .map(|byte| match byte {
                0x20..=0x7e => char::from(*byte),
                _ => '.',
            })
            .collect();
        let width = usize::try_from(columns * 5 / 2).unwrap_or(40);
        writeln!(out, "{:indent$}{position:08x}: {hex:width$} {text}", "")?;
        let (offset, marks) = (format!("{position:08x}: ").len(), marks.trim_end());
        if !marks.is_empty() {
            writeln!(out, "{:indent$}{:offset$}{marks}", "", "")?;
        }
        position = position.saturating_add(columns);
    }
    let shown = begin.saturating_add(bytes.len() as u64);
    if shown < end {
        writeln!(out, "{:indent$}... {} bytes more", "", end - shown)?;
    }
    Ok(())
}

/// The bytes in groups of two, and carets below those that are marked.
fn hex(line: &[u8], position: u64, marked: &dyn Fn(u64) -> bool) -> (String, String) {
    let (mut hex, mut marks) = (String::new(), String::new());
    for (at, byte) in (0_u64..).zip(line) {
        let _ = write!(hex, "{byte:02x}");
        let mark = marked(position.saturating_add(at));
        marks.push_str(if mark { "^^" } else { "  " });
        if at % 2 == 1 {
            hex.push(' ');
            let both = mark && marked(position.saturating_add(at + 1));
            marks.push(if both { '^' } else { ' ' });
        }
    }
    (hex, marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_xxds() {
        let place = Place {
            file: "0.store".to_owned(),
            position: 17,
            bytes: 2,
        };
        let mut out = Vec::new();
        print(&mut out, &place, 1, 0, &|position, _| {
            assert_eq!(position, 16);
            Some(b"\0\0\0\x05hello".to_vec())
        })
        .unwrap();
        let hex = format!(" 00000010: {:40} ....hello", "0000 0005 6865 6c6c 6f");
        let marks = format!("{:11}  ^^^^^", "");
        let expected = format!("{hex}\n{marks}\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
    #[test]
    fn a_line_before_and_behind_shows_the_neighbours() {
        let place = Place {
            file: "0.index".to_owned(),
            position: 12,
            bytes: 12,
        };
        let mut out = Vec::new();
        print(&mut out, &place, 0, 1, &|position, bytes| {
            assert_eq!((position, bytes), (0, 36));
            Some(b"0123456789ab".repeat(3))
        })
        .unwrap();
        let text = String::from_utf8(out).unwrap();
        let marked: Vec<bool> = text.lines().map(|line| line.contains('^')).collect();
        assert_eq!(marked, [false, false, true, false], "{text}");
        assert!(text.starts_with("00000000: "), "{text}");
    }
}
