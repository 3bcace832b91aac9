//! Verify's JSON lines: one object a line, no nested values, fields that do not apply
//! left out.

use std::io::{self, Write};

use proglog::inspect::finding::{Detail, Figure, Finding, FindingId};
use proglog::inspect::forecast::{Forecast, StateForecast};
use proglog::inspect::manifest::check::Checked;
use proglog::inspect::report::Report;
use proglog::inspect::service::{Edition, Outcome, ReadBack};
use proglog::log::record::Codec;
use serde_json::{Map, Value};

use super::json_line::JsonLine;
use super::prose::{escaped, escaped_json};
use super::verify::Counts;
use super::words;

/// An object under construction.
struct Line(Map<String, Value>);

impl Line {
    fn new(kind: &str, report: &Report) -> Self {
        let mut line = Self(Map::new());
        line.put("kind", kind);
        line.put("log", log(report));
        line
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn write(self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", escaped_json(&Value::Object(self.0).to_string()))
    }
}

/// The `log` of every line: the path as it was typed.
pub fn log(report: &Report) -> String {
    report.listing.path().display().to_string()
}

/// A line of a command that changes a log.
pub fn line(kind: &str, report: &Report) -> JsonLine {
    JsonLine::of(kind).text("log", log(report))
}

/// One finding.
///
/// # Errors
///
/// Writing's.
pub fn finding(
    out: &mut impl Write,
    report: &Report,
    finding: &Finding,
    remedy: Option<String>,
    allowed: bool,
) -> io::Result<()> {
    let mut line = Line::new("finding", report);
    line.put("id", finding.id.as_str());
    line.put("severity", finding.severity.as_str());
    line.put_some("segment", finding.segment.map(|base| base.0));
    if let Some(place) = &finding.place {
        line.put("file", place.file.as_str());
        if place.bytes > 0 {
            line.put("position", place.position);
            line.put("bytes", place.bytes);
        }
    }
    if let Some(offsets) = finding.offsets {
        line.put("first_offset", offsets.first.0);
        line.put("last_offset", offsets.last.0);
    }
    line.put_some("records", finding.records);
    // Padding's figures are its place once more.
    if finding.id != FindingId::IndexPadded {
        line.put_some("got", finding.got.as_ref().map(figure));
        line.put_some("expected", finding.expected.as_ref().map(figure));
    }
    detail(&mut line, &finding.detail);
    line.put("message", words::message(finding));
    line.put_some("remedy", remedy);
    if allowed {
        line.put("allowed", true);
    }
    line.write(out)
}

fn figure(figure: &Figure) -> Value {
    match figure {
        Figure::Number(number) => Value::from(*number),
        Figure::Text(text) => Value::from(text.as_str()),
    }
}

/// Details that a script may use for decisions, beyond the figures.
fn detail(line: &mut Line, detail: &Detail) {
    match detail {
        Detail::Entry { record_whole, .. } => line.put("record_whole", *record_whole),
        Detail::Unfinished { .. } => line.put("unfinished", true),
        Detail::UnindexedTail {
            frames,
            continuing,
            ahead,
            ..
        } => {
            line.put("frames", *frames);
            line.put("continuing", *continuing);
            line.put("ahead", *ahead);
        }
        Detail::IndexMissing { frames, .. } => line.put("frames", *frames),
        Detail::Name { taken_for } => line.put("taken_for", *taken_for),
        Detail::Owner {
            files,
            uid,
            gid,
            mode,
        } => {
            line.put("files", files.len());
            line.put("uid", *uid);
            line.put("gid", *gid);
            line.put("mode", format!("{mode:o}"));
        }
        Detail::Layout(layout) => {
            line.put("layout", layout.to_string());
            line.put("perhaps", layout.perhaps);
        }
        Detail::Uncounted { places } => line.put("places", *places),
        _ => {}
    }
}

/// The forecast of the service. In full there are four of these lines: two editions, each
/// with the directory as it is and as a repair leaves it.
///
/// # Errors
///
/// Writing's.
pub fn service(
    out: &mut impl Write,
    report: &Report,
    forecast: &Forecast,
    state_forecast: &StateForecast,
    in_full: Option<bool>,
) -> io::Result<()> {
    let view = &state_forecast.view;
    let mut line = Line::new("service", report);
    line.put(
        "printing",
        match forecast.config.edition {
            Edition::First => 1,
            Edition::Later => 2,
        },
    );
    if let Some(after_repair) = in_full {
        line.put("after_repair", after_repair);
        line.put("max_store_bytes", forecast.config.max_store_bytes);
    }
    line.put("max_index_bytes", forecast.config.max_index_bytes);
    if in_full.is_some() {
        line.put("segments", view.segments.len());
        line.put("skipped", view.skipped.len());
    }
    line.put_some("lowest_offset", view.lowest.map(|offset| offset.0));
    line.put_some("highest_offset", view.highest.map(|offset| offset.0));
    line.put("readable", state_forecast.readable());
    line.put("hidden", state_forecast.hidden());
    if in_full.is_some() {
        let doubled: u64 = view
            .doubles
            .iter()
            .map(|double| double.range.records())
            .sum();
        line.put("doubled", doubled);
    }
    if let Some(reads) = &state_forecast.all {
        line.put("answers_own", reads.own.offsets);
        line.put("answers_foreign", reads.foreign.offsets);
        line.put("answers_error", reads.errors.offsets);
        line.put("answers_panic", reads.panics.offsets);
    }
    let error = match (&view.failure, view.next_append()) {
        (Some(failure), _) => {
            line.put("next_append", "none");
            Some(escaped(&failure.why.to_string()))
        }
        (None, None) => None,
        (None, Some(append)) => {
            let (word, offset, error) = outcome(&append.outcome);
            line.put("next_append", word);
            line.put_some("next_offset", offset);
            if !matches!(append.read_back, None | Some(ReadBack::Itself)) {
                line.put("reads_back", false);
            }
            error
        }
    };
    line.put_some("error", error);
    line.write(out)
}

fn outcome(outcome: &Outcome) -> (&'static str, Option<u64>, Option<String>) {
    match outcome {
        Outcome::Works { offset } => ("works", Some(offset.0), None),
        Outcome::Repeats { offset } => ("repeats", Some(offset.0), None),
        Outcome::Refused { error, .. } => ("refused", None, Some((*error).to_owned())),
        Outcome::DoesNotRoll { why } => ("refused", None, Some(escaped(&why.to_string()))),
        Outcome::Panics { why } => ("panics", None, Some(escaped(&why.to_string()))),
    }
}

/// The last line.
///
/// # Errors
///
/// Writing's.
pub fn summary(
    out: &mut impl Write,
    report: &Report,
    counts: Counts,
    checked: Option<&Checked>,
) -> io::Result<()> {
    let mut line = Line::new("summary", report);
    line.put("segments", report.segments.len());
    line.put("records", report.records());
    line.put("lowest_offset", report.lowest_offset().0);
    line.put("next_offset", report.next_append().0);
    line.put("codec", report.codec.map(Codec::as_str));
    line.put("in_use", report.usage.in_use);
    line.put_some("in_use_reason", words::unknown_use(&report.usage));
    line.put("errors", counts.errors);
    line.put("warnings", counts.warnings);
    line.put("notes", counts.notes);
    if counts.allowed > 0 {
        line.put("allowed", counts.allowed);
    }
    if report.options.quick {
        line.put("quick", true);
    }
    if checked.is_some_and(|checked| !checked.whole) {
        line.put("manifest_failed", true);
    } else if let Some(checked) = checked {
        line.put("checked_runs", checked.runs);
        line.put("fitting_runs", checked.same);
        line.put("checked_records", checked.records);
        line.put_some("checked_last_offset", checked.up_to.map(|offset| offset.0));
        line.put("trimmed_records", checked.trimmed);
    }
    line.write(out)
}

/// One finding's id with its long text: a line of explain.
///
/// # Errors
///
/// Writing's.
pub fn explanation(out: &mut impl Write, id: FindingId) -> io::Result<()> {
    let mut line = Line(Map::new());
    line.put("id", id.as_str());
    line.put("summary", id.summary());
    line.put("text", id.explanation());
    line.write(out)
}
