//! The scan beside the screen: first the ends of the segments, as `info` inspects them, then
//! all of the log, as `verify` does. Of a report only what is shown is kept.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use proglog::inspect::finding::{Finding, Severity};
use proglog::inspect::overview::{Overview, State};
use proglog::inspect::report::{Options, Report};
use proglog::log::error::Result;
use proglog::log::format::FileKind;
use proglog::log::progress::WALKED;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use crate::render::prose::escaped;
use crate::render::{in_use, info, strip};

/// Cells of a strip before it is drawn.
pub const CELLS: usize = 48;

/// News of the scan.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// All of the log is being scanned: bytes, and those that had been read before.
    Began {
        bytes: u64,
        before: u64,
    },
    Scanned(Scan),
    Failed(String),
}

/// The result of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Whether all of the log was scanned, not only the ends of its segments.
    pub is_complete: bool,
    pub segments: Vec<Line>,
    /// In the order of their places.
    pub findings: Vec<Finding>,
    pub errors: usize,
    pub warnings: usize,
    pub records: u64,
    pub lowest: Offset,
    pub next: Offset,
    pub codec: Option<Codec>,
    pub in_use: String,
    pub seconds: f64,
}

/// A segment in the left pane. There may be very many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub base: Offset,
    pub records: u64,
    /// Of both files. Bytes.
    pub bytes: u64,
    /// Whether anything is wrong with it.
    pub is_damaged: bool,
    /// Its state as `info` names it, unless it is clean.
    pub state: Option<Box<str>>,
    /// The strip of its files, unless it has none.
    pub cells: Option<Box<str>>,
}

/// Scans whenever it is asked to.
pub fn run(path: &Path, codec: Option<Codec>, requests: &Receiver<()>, tell: impl Fn(Message)) {
    while requests.recv().is_ok() {
        while requests.try_recv().is_ok() {}
        for quick in [true, false] {
            let message = match scan(path, codec, quick, &tell) {
                Ok(scan) => Message::Scanned(scan),
                Err(error) => Message::Failed(escaped(&error.to_string())),
            };
            tell(message);
        }
    }
}

/// Scans once.
pub fn scan(
    path: &Path,
    codec: Option<Codec>,
    quick: bool,
    tell: &impl Fn(Message),
) -> Result<Scan> {
    let begun = Instant::now();
    let options = Options {
        quick,
        codec,
        ask_usage: true,
        ..Options::default()
    };
    let report = Report::of(path, &options)?;
    if quick {
        let files = report.segments.iter().flat_map(|segment| {
            let listing = &segment.listing;
            [FileKind::Store, FileKind::Index].map(|kind| listing.file(kind).map(|it| it.bytes))
        });
        let bytes = files.flatten().sum();
        let before = WALKED.now().1;
        tell(Message::Began { bytes, before });
    }
    Ok(Scan::of(&report, begun.elapsed().as_secs_f64()))
}

impl Scan {
    fn of(report: &Report, seconds: f64) -> Self {
        let overview = Overview::of(report);
        let mut cells = cells(report);
        let segments = overview.rows().map(|row| Line {
            base: row.base,
            records: row.records,
            bytes: row.store_bytes.unwrap_or(0) + row.index_bytes.unwrap_or(0),
            is_damaged: !row.states.iter().all(is_harmless),
            cells: cells.remove(&row.base).map(String::into_boxed_str),
            state: (!row.is_clean()).then(|| escaped(&info::state(&row)).into_boxed_str()),
        });
        let mut scan = Self {
            is_complete: !report.options.quick,
            segments: segments.collect(),
            findings: report.findings.clone(),
            errors: report.count(Severity::Error),
            warnings: report.count(Severity::Warning),
            records: report.records(),
            lowest: report.lowest_offset(),
            next: report.next_offset(),
            codec: report.codec,
            in_use: in_use::facts(&report.usage),
            seconds,
        };
        // Findings about names come last.
        scan.findings.sort_by_key(|finding| {
            let position = finding.place.as_ref().map(|place| place.position);
            let first = finding.offsets.map_or(Offset::MAX, |it| it.first);
            (finding.segment.unwrap_or(Offset::MAX), first, position)
        });
        scan
    }
}

fn is_harmless(state: &State) -> bool {
    matches!(state, State::Open | State::PerhapsOpen | State::Empty)
}

/// The strips of the damaged segments: the worse of both files in each cell.
fn cells(report: &Report) -> HashMap<Offset, String> {
    let findings: Vec<&Finding> = report.findings.iter().collect();
    let strips = strip::strips(report, &findings, CELLS);
    let mut files: HashMap<String, String> = HashMap::new();
    for strip in strips {
        files.insert(strip.file, strip.cells);
    }
    let mut cells = HashMap::new();
    if files.is_empty() {
        return cells;
    }
    for segment in &report.segments {
        let names = [FileKind::Store, FileKind::Index].map(|kind| segment.listing.file_name(kind));
        for name in names {
            let Some(file) = files.remove(&name) else {
                continue;
            };
            let both: &mut String = cells.entry(segment.listing.base()).or_default();
            *both = if both.is_empty() {
                file
            } else {
                let worse = both.chars().zip(file.chars()).map(|(a, b)| worse(a, b));
                worse.collect()
            };
        }
    }
    cells
}

/// The worse of two cells.
pub fn worse(a: char, b: char) -> char {
    let rank = |cell| match cell {
        '!' => 2,
        '.' => 1,
        _ => 0,
    };
    if rank(b) > rank(a) { b } else { a }
}
