//! A log at a glance: a table of its segments, totals, the sizes of its records.

mod lines;

use std::fmt::Write as _;
use std::io::{self, Write};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use proglog::inspect::finding::OffsetRange;
use proglog::inspect::overview::{Overview, Row};
use proglog::inspect::report::Report;
use proglog::inspect::sizes::Sizes;

#[cfg(feature = "browse")]
pub use self::lines::words as state;
use self::lines::{Line, lines, words};
use super::dump::{Lines, digits};
use super::finding_json::log;
use super::in_use;
use super::prose::{columns, count, labelled, wrapped};
use super::words::unknown_use;

/// Rows that a table holds; more are streamed.
const TABLE_ROWS_MAX: usize = 200;

/// How wide the last column of the table must be able to be.
const STATE_LEAST: usize = 12;

/// Columns of the longest bar.
const BAR_WIDTH: u64 = 40;

const HEADER: [&str; 7] = [
    "SEGMENT", "RECORDS", "OFFSETS", "STORE", "INDEX", "PADDING", "STATE",
];

/// The content.
pub struct View<'a> {
    /// The line before everything, where several logs are shown.
    pub heading: Option<String>,
    pub overview: Overview<'a>,
    pub report: &'a Report,
    pub sizes: Option<Sizes>,
    /// The command for a full check.
    pub verify: String,
    /// Whether clean segments are shown one by one, however many they are.
    pub all: bool,
}

/// Prints everything as text.
pub fn text(out: &mut impl Write, view: &View<'_>) -> io::Result<()> {
    if let Some(heading) = &view.heading {
        writeln!(out, "{heading}")?;
    }
    let widths = widths(lines(view));
    if is_too_wide(widths) {
        stacked(out, lines(view), widths)?;
    } else if lines(view).nth(TABLE_ROWS_MAX).is_none() {
        table(out, lines(view))?;
    } else {
        stream(out, lines(view), widths)?;
    }
    writeln!(out)?;
    totals(out, view)?;
    if let Some(sizes) = &view.sizes {
        writeln!(out)?;
        bars(out, sizes)?;
    }
    out.flush()
}

/// Which columns hold numbers, at the right.
fn is_number(column: usize) -> bool {
    column != 2 && column != 6
}

fn table(out: &mut impl Write, lines: impl Iterator<Item = Line>) -> io::Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(columns()).unwrap_or(u16::MAX))
        .set_header(HEADER)
        .add_rows(lines.map(|line| line.cells()));
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if is_number(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // Numbers are never cut in two: what can be wrapped is the last column.
    let widths = table.column_max_content_widths();
    for ((number, column), width) in table.column_iter_mut().enumerate().zip(widths) {
        if number < HEADER.len() - 1 {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + 2)));
        }
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Whether the figures leave too little room for the words: offsets can have twenty
/// digits, and a segment has three of them.
fn is_too_wide(widths: [usize; 7]) -> bool {
    let figures: usize = widths.into_iter().take(6).map(|it| it + 2).sum();
    figures + STATE_LEAST > columns()
}

/// How wide the columns are.
fn widths(lines: impl Iterator<Item = Line>) -> [usize; 7] {
    let mut widths = HEADER.map(str::len);
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line.cells()) {
            *width = (*width).max(cell.len());
        }
    }
    widths
}

/// Each segment on two lines: the figures, then offsets and state.
fn stacked(
    out: &mut impl Write,
    folded: impl Iterator<Item = Line>,
    widths: [usize; 7],
) -> io::Result<()> {
    let mut print = |cells: [&str; 7]| {
        let [segment, records, offsets, store, index, padding, state] = cells;
        let [first, second, _, fourth, fifth, sixth, _] = widths;
        writeln!(
            out,
            "{segment:>first$}  {records:>second$}  {store:>fourth$}  {index:>fifth$}  \
             {padding:>sixth$}"
        )?;
        for line in wrapped(&format!("{offsets}  {state}"), columns().saturating_sub(2)) {
            writeln!(out, "  {line}")?;
        }
        Ok::<_, io::Error>(())
    };
    print(HEADER)?;
    for line in folded {
        print(line.cells().each_ref().map(String::as_str))?;
    }
    Ok(())
}

/// The same without holding the lines, each as wide as the widest.
fn stream(
    out: &mut impl Write,
    folded: impl Iterator<Item = Line>,
    widths: [usize; 7],
) -> io::Result<()> {
    let mut lines = Lines::new(out);
    let mut print = |cells: [&str; 7]| {
        for (number, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
            if number > 0 {
                lines.text("  ");
            }
            if is_number(number) {
                lines.right(cell, width);
            } else {
                lines.text(cell);
                if number + 1 < HEADER.len() {
                    lines.right("", width - cell.len());
                }
            }
        }
        lines.end_line()
    };
    print(HEADER)?;
    for line in folded {
        print(line.cells().each_ref().map(String::as_str))?;
    }
    lines.finish()
}

fn totals(out: &mut impl Write, view: &View<'_>) -> io::Result<()> {
    let overview = &view.overview.totals;
    let mut records = format!(
        "{} in {}",
        overview.records,
        count(view.report.segments.len() as u64, "segment")
    );
    if let Some(offsets) = overview.offsets {
        let _ = write!(records, ", offsets {offsets}");
    }
    if overview.gaps > 0 {
        let _ = write!(records, " with {}", count(overview.gaps, "gap"));
    }
    let _ = write!(records, "; next offset {}", overview.next_offset);
    labelled(out, "records", &records)?;
    if overview.lost > 0 {
        let lost = count(overview.lost, "entry");
        let lost = format!("{lost} without an intact record");
        labelled(out, "lost", &lost)?;
    }
    if overview.buffered > 0 {
        let pending = count(overview.buffered, "record");
        let pending = format!("{pending} that may be in the writer's buffer");
        labelled(out, "pending", &pending)?;
    }
    let mut bytes = format!(
        "{} in stores, {} in indexes",
        overview.store_bytes, overview.index_bytes
    );
    if overview.padding_bytes > 0 {
        let _ = write!(bytes, " ({} of them padding)", overview.padding_bytes);
    }
    labelled(out, "bytes", &bytes)?;
    let codec = match (view.report.codec, view.report.options.codec) {
        (Some(codec), Some(_)) => format!("{codec} (given)"),
        (Some(codec), None) => format!("{codec} (detected)"),
        (None, _) => "unknown (no records)".to_owned(),
    };
    writeln!(out, "codec    {codec}")?;
    if let Some(active) = view.report.segments.last() {
        // The star of the table.
        writeln!(out, "active*  segment {}", active.listing.base())?;
    }
    labelled(out, "in use", &in_use::answer(&view.report.usage))?;
    if !view.report.is_clean() {
        writeln!(out, "next     {}", view.verify)?;
    }
    Ok(())
}

/// The sizes of records as bars.
fn bars(out: &mut impl Write, sizes: &Sizes) -> io::Result<()> {
    let Some((smallest, largest)) = sizes.range else {
        return writeln!(out, "sizes    none: no intact record");
    };
    let range = if smallest == largest {
        count(smallest, "byte")
    } else {
        format!("{smallest} to {}", count(largest, "byte"))
    };
    writeln!(
        out,
        "sizes    {range}, {} on average",
        sizes.total / sizes.records.max(1)
    )?;
    let classes = sizes.classes();
    let highest = classes.iter().map(|class| class.records).max().unwrap_or(1);
    let last = classes.last().map_or(0, |class| class.last);
    let most_records = digits(highest);
    for class in &classes {
        let bar = scaled(class.records, highest);
        let line = format!(
            "{:>width$}..{:<width$}  {:>most_records$}  {}",
            class.first,
            class.last,
            class.records,
            "#".repeat(bar),
            width = digits(last),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The length of a bar; a nonzero value is always visible.
fn scaled(records: u64, highest: u64) -> usize {
    let bar = u128::from(records) * u128::from(BAR_WIDTH) / u128::from(highest.max(1));
    let bar = usize::try_from(bar).unwrap_or(0);
    bar.max(usize::from(records > 0))
}

/// Prints everything as JSON lines.
pub fn json(out: &mut impl Write, view: &View<'_>) -> io::Result<()> {
    let mut lines = Lines::new(&mut *out);
    let log = log(view.report);
    for row in view.overview.rows() {
        json_start(&mut lines, "segment", &log)?;
        json_row(&mut lines, &row)?;
    }
    for writer in &view.report.usage.writers {
        json_start(&mut lines, "process", &log)?;
        lines.field("pid", Some(u64::from(writer.pid)));
        lines.text_field("name", &writer.name)?;
        lines.text("}").end_line()?;
    }
    for class in view.sizes.iter().flat_map(Sizes::classes) {
        json_start(&mut lines, "sizes", &log)?;
        lines
            .field("first_length", Some(class.first))
            .field("last_length", Some(class.last))
            .field("records", Some(class.records));
        lines.text("}").end_line()?;
    }
    json_start(&mut lines, "summary", &log)?;
    json_summary(&mut lines, view)?;
    lines.finish()
}

/// The kind of a line, and the log it is about.
fn json_start(lines: &mut Lines<impl Write>, kind: &str, log: &str) -> io::Result<()> {
    lines.text("{\"kind\":\"").text(kind).text("\"");
    lines.text_field("log", log).map(|_| ())
}

fn json_row(lines: &mut Lines<impl Write>, row: &Row) -> io::Result<()> {
    let offsets = row.offsets();
    lines
        .field("segment", Some(row.base.0))
        .field("records", Some(row.records))
        .field("first_offset", offsets.map(|it| it.first.0))
        .field("last_offset", offsets.map(|it| it.last.0))
        .field("next_offset", Some(row.next_offset.0))
        .field("store_bytes", row.store_bytes)
        .field("index_bytes", row.index_bytes)
        .field("padding_bytes", Some(row.padding_bytes))
        .field("lost", row.lost.map(|_| row.lost_records))
        .field("first_lost_offset", row.lost.map(|it| it.first.0))
        .field("last_lost_offset", row.lost.map(|it| it.last.0))
        .field("pending", row.buffered.map(OffsetRange::records))
        .text(if row.is_last {
            ",\"last\":true"
        } else {
            ",\"last\":false"
        });
    lines.text_field("state", &words(row))?;
    lines.text("}").end_line()
}

fn json_summary(lines: &mut Lines<impl Write>, view: &View<'_>) -> io::Result<()> {
    let overview = &view.overview.totals;
    lines
        .field("segments", Some(view.report.segments.len() as u64))
        .field("records", Some(overview.records))
        .field("lowest_offset", Some(overview.lowest_offset.0))
        .field("first_offset", overview.offsets.map(|it| it.first.0))
        .field("last_offset", overview.offsets.map(|it| it.last.0))
        .field("next_offset", Some(overview.next_offset.0))
        .field("gaps", Some(overview.gaps))
        .field("lost", Some(overview.lost))
        .field("pending", Some(overview.buffered))
        .field("store_bytes", Some(overview.store_bytes))
        .field("index_bytes", Some(overview.index_bytes))
        .field("padding_bytes", Some(overview.padding_bytes));
    match view.report.codec {
        Some(codec) => lines.text_field("codec", codec.as_str())?,
        None => lines.text(",\"codec\":null"),
    };
    lines.text(match view.report.usage.in_use {
        Some(true) => ",\"in_use\":true",
        Some(false) => ",\"in_use\":false",
        None => ",\"in_use\":null",
    });
    if let Some(why) = unknown_use(&view.report.usage) {
        lines.text_field("in_use_reason", &why)?;
    }
    lines.text(if view.report.is_clean() {
        ",\"clean\":true"
    } else {
        ",\"clean\":false"
    });
    if let Some(sizes) = &view.sizes {
        lines
            .field("least_length", sizes.range.map(|it| it.0))
            .field("most_length", sizes.range.map(|it| it.1))
            .field("value_bytes", Some(sizes.total));
    }
    lines.text("}").end_line()
}
