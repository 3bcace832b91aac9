//! The lines of `info`'s table: a segment each, or several clean ones in sequence.

use std::collections::VecDeque;
use std::iter;

use proglog::inspect::finding::OffsetRange;
use proglog::inspect::overview::{Row, State};

use super::View;

/// Clean segments in sequence that are shown one by one.
const CLEAN_ROWS_MAX: usize = 12;

/// One line of the table: a segment, or several clean ones in sequence.
pub enum Line {
    One(Row),
    Several(Several),
}

/// The totals of consecutive clean segments. Sizes are bytes.
pub struct Several {
    segments: u64,
    records: u64,
    /// Of the first and of the last one.
    offsets: [Option<OffsetRange>; 2],
    store_bytes: u64,
    index_bytes: u64,
    padding_bytes: u64,
}

/// The lines of the table, rebuilt each time, for there may be very many: long runs of
/// clean segments are put together, except that the last one always is alone.
pub fn lines(view: &View<'_>) -> impl Iterator<Item = Line> {
    let mut rows = view.overview.rows().peekable();
    let mut held: VecDeque<Row> = VecDeque::new();
    let all = view.all;
    iter::from_fn(move || {
        if let Some(row) = held.pop_front() {
            return Some(Line::One(row));
        }
        let in_run = |row: &Row| row.is_clean() && !row.is_last && !all;
        let mut several: Option<Several> = None;
        while let Some(row) = rows.next_if(in_run) {
            if let Some(several) = &mut several {
                several.add(&row);
                continue;
            }
            held.push_back(row);
            if held.len() > CLEAN_ROWS_MAX {
                several = Some(Several::of(held.drain(..)));
            }
        }
        several
            .map(Line::Several)
            .or_else(|| held.pop_front().or_else(|| rows.next()).map(Line::One))
    })
}

impl Line {
    /// The cells of the table, as they are printed.
    pub fn cells(&self) -> [String; 7] {
        match self {
            Self::One(row) => cells_of_one(row),
            Self::Several(several) => several.cells(),
        }
    }
}

impl Several {
    fn of(rows: impl Iterator<Item = Row>) -> Self {
        let mut several = Self {
            segments: 0,
            records: 0,
            offsets: [None; 2],
            store_bytes: 0,
            index_bytes: 0,
            padding_bytes: 0,
        };
        for row in rows {
            several.add(&row);
        }
        several
    }

    fn add(&mut self, row: &Row) {
        let [first, _] = self.offsets;
        let first = if self.segments == 0 {
            row.offsets()
        } else {
            first
        };
        self.offsets = [first, row.offsets()];
        self.segments += 1;
        self.records += row.records;
        self.store_bytes += row.store_bytes.unwrap_or(0);
        self.index_bytes += row.index_bytes.unwrap_or(0);
        self.padding_bytes += row.padding_bytes;
    }

    fn cells(&self) -> [String; 7] {
        let offsets = match self.offsets {
            [Some(first), Some(last)] => OffsetRange {
                first: first.first,
                last: last.last,
            }
            .to_string(),
            _ => "-".to_owned(),
        };
        [
            "... ".to_owned(),
            self.records.to_string(),
            offsets,
            self.store_bytes.to_string(),
            self.index_bytes.to_string(),
            self.padding_bytes.to_string(),
            format!("{} clean (--all)", self.segments),
        ]
    }
}

fn cells_of_one(row: &Row) -> [String; 7] {
    let dash = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| bytes.to_string());
    [
        format!("{}{}", row.base, if row.is_last { "*" } else { " " }),
        row.records.to_string(),
        row.offsets().map_or("-".to_owned(), |it| it.to_string()),
        dash(row.store_bytes),
        dash(row.index_bytes),
        row.padding_bytes.to_string(),
        words(row),
    ]
}

/// The state of a segment.
pub fn words(row: &Row) -> String {
    if row.is_clean() {
        return "clean".to_owned();
    }
    let words: Vec<String> = row.states.iter().map(word).collect();
    words.join(", ")
}

fn word(state: &State) -> String {
    match state {
        State::Lost(range) => format!("{range} lost"),
        State::NoIndex => "unpaired: no index".to_owned(),
        State::NoStore => "unpaired: no store".to_owned(),
        State::Damaged => "damaged".to_owned(),
        State::Foreign(layout) => format!("another program's: {layout}"),
        State::Torn => "torn".to_owned(),
        State::Unindexed(frames) => format!("{frames} unindexed"),
        State::ZeroTail => "zero tail".to_owned(),
        State::PartialEntry => "partial entry".to_owned(),
        State::Padded => "padded".to_owned(),
        State::IndexFull => "index full".to_owned(),
        State::Gap(range) => format!("gap {range}"),
        State::Overlap(range) => format!("overlap {range}"),
        State::Name => "name".to_owned(),
        State::NotAFile => "not a file".to_owned(),
        State::Closed => "cannot be opened".to_owned(),
        State::Overflow => "offsets overflow".to_owned(),
        State::Open => "open".to_owned(),
        State::PerhapsOpen => "perhaps open".to_owned(),
        State::Empty => "empty".to_owned(),
    }
}
