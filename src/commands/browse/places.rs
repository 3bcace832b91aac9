//! The rows of the middle pane that are places in files, as `dump-index` and `dump-store` print
//! them: what both have in common.

use std::path::Path;

use proglog::log::directory::{Directory, SegmentNames};
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::rows::{Key, Row, Tone, View, Window};

/// A segment that is shown.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    pub directory: &'a Directory,
    pub names: &'a SegmentNames,
    pub codec: Codec,
}

impl Shown<'_> {
    pub fn empty(&self, view: View, heading: String) -> Window {
        Window {
            view,
            segment: self.names.base,
            heading,
            rows: Vec::new(),
            cursor: 0,
            is_start: true,
            is_end: true,
        }
    }

    pub fn row(&self, at: u64, offset: Option<Offset>, tone: Tone) -> Row {
        Row {
            key: Key {
                at,
                is_obstacle: false,
            },
            last: None,
            segment: self.names.base,
            offset,
            frame: None,
            payload_bytes: None,
            text: String::new(),
            tone,
        }
    }
}

/// The row that holds a place, or the last one.
pub fn row_at(rows: &[Row], goal: u64) -> usize {
    rows.partition_point(|row| row.key.at <= goal)
        .saturating_sub(1)
}

/// Distributes the lines of a dump to its rows; returns the names of the columns.
pub fn give_text(rows: &mut [Row], text: &[u8], headings: usize) -> String {
    let text = String::from_utf8_lossy(text);
    for (row, line) in rows.iter_mut().zip(text.lines().skip(headings)) {
        line.clone_into(&mut row.text);
    }
    text.lines()
        .nth(headings - 1)
        .unwrap_or_default()
        .to_owned()
}

pub fn first_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().next().unwrap_or_default().to_owned()
}

/// Memory takes everything.
pub fn unwritten(error: std::io::Error) -> Error {
    Error::io("print", Path::new("memory"))(error)
}
