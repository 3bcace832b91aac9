//! The words for the forecast of the Go service: in one line each, and in full.

use proglog::inspect::finding::OffsetRange;
use proglog::inspect::forecast::{Forecast, StateForecast};
use proglog::inspect::service::{
    Answer, Append, Edition, Failure, OpenFailure, Outcome, ReadBack, Reads, Roll, RollKind, Runs,
    ServiceView, Source,
};

use proglog::log::units::Offset;

use super::prose::{count, either, escaped, merged, offsets, ranges};

/// A length above which a service may die of making room for it.
const MEMORY_BYTES: u64 = 1 << 30;

/// `first edition`, `later edition`.
pub fn edition(edition: Edition) -> &'static str {
    match edition {
        Edition::First => "first edition",
        Edition::Later => "later edition",
    }
}

/// The forecast, in one line.
pub fn in_one_line(state_forecast: &StateForecast) -> String {
    let view = &state_forecast.view;
    if let Some(failure) = &view.failure {
        return does_not_start(view, &escaped(&failure.why.to_string()));
    }
    let mut parts = vec![serves(state_forecast)];
    parts.extend(hides(state_forecast));
    parts.extend(doubtful(&state_forecast.doubtful));
    parts.extend(misreads(view));
    parts.push(append(view));
    parts.join(", ")
}

fn does_not_start(view: &ServiceView, why: &str) -> String {
    let destroys = view.failure.as_ref().map(|failure| &failure.destroys);
    match destroys {
        Some(destroyed) if !destroyed.is_empty() => format!(
            "does not start ({why}), and removes the entries of {}",
            offsets(destroyed)
        ),
        _ => format!("does not start ({why})"),
    }
}

/// The offsets that it serves, if that is all; otherwise its highest offset.
fn serves(state_forecast: &StateForecast) -> String {
    let held = merged(state_forecast.held.iter().copied());
    let highest = state_forecast.view.highest;
    let end = held.iter().map(|range| range.last).max();
    let whole = state_forecast.hidden() == 0 && (end.is_none() || end == highest);
    match (whole, held.is_empty(), highest) {
        (true, true, _) => "has no record to serve".to_owned(),
        (true, false, _) => format!("serves {}", run(&held)),
        (false, _, Some(highest)) => format!("highest offset {highest}"),
        (false, _, None) => "has no highest offset".to_owned(),
    }
}

fn hides(state_forecast: &StateForecast) -> Option<String> {
    let view = &state_forecast.view;
    let hidden: Vec<OffsetRange> = view.hidden.iter().map(|hidden| hidden.range).collect();
    let mut parts = Vec::new();
    if let Some(first) = view.hidden.first() {
        // The segment, if two segments hold the same offsets.
        let of = if view.doubles.is_empty() {
            String::new()
        } else {
            format!(" of segment {}", first.base)
        };
        parts.push(format!("hides {}{of}", run(&merged(hidden))));
    }
    if !state_forecast.buried.is_empty() {
        parts.push(format!(
            "hides the second {} of {}",
            either(
                state_forecast
                    .buried
                    .iter()
                    .map(|range| range.records())
                    .sum(),
                "record",
                "records"
            ),
            ranges(&state_forecast.buried)
        ));
    }
    // Records that no offset leads to, since their entries are wrong.
    let doubtful = &state_forecast.doubtful;
    let told = [&doubtful.foreign, &doubtful.errors, &doubtful.panics]
        .into_iter()
        .fold(view.hidden_records, |sum, runs| {
            sum.saturating_add(runs.offsets)
        })
        .saturating_add(
            state_forecast
                .buried
                .iter()
                .map(|range| range.records())
                .sum(),
        );
    let more = state_forecast.hidden().saturating_sub(told);
    if more > 0 {
        parts.push(format!(
            "hides {} with a wrong entry",
            count(more, "record")
        ));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Offsets; a single one has a label, because it could be read as a count.
fn run(of: &[OffsetRange]) -> String {
    match of {
        [one] if one.first == one.last => format!("offset {one}"),
        of => ranges(of),
    }
}

/// How it misreads the names in the directory.
fn misreads(view: &ServiceView) -> Vec<String> {
    let mut parts = Vec::new();
    let twins: Vec<OffsetRange> = view
        .segments
        .iter()
        .filter(|segment| segment.twin)
        .map(|segment| single(segment.base))
        .collect();
    let twins = merged(twins);
    if !twins.is_empty() {
        parts.push(format!("opens segment {} more than once", ranges(&twins)));
    }
    let skipped: Vec<OffsetRange> = view.skipped.iter().map(|&base| single(base)).collect();
    if !skipped.is_empty() {
        parts.push(format!("does not open segment {}", ranges(&skipped)));
    }
    if !view.pads_on_close.is_empty() {
        let bases: Vec<OffsetRange> = view.pads_on_close.iter().map(|&b| single(b)).collect();
        parts.push(format!(
            "its close leaves padding in segment {}",
            ranges(&bases)
        ));
    }
    parts
}

fn single(base: Offset) -> OffsetRange {
    OffsetRange {
        first: base,
        last: base,
    }
}

/// Its answers for invalid offsets.
fn doubtful(reads: &Reads) -> Option<String> {
    let mut parts = Vec::new();
    if !reads.panics.is_empty() {
        parts.push(format!("panics when {} is read", runs(&reads.panics)));
    }
    if let Some((offset, Answer::TooLong { claimed })) = &reads.worst
        && *claimed > MEMORY_BYTES
    {
        parts.push(format!("allocates {claimed} bytes when {offset} is read"));
    }
    if !reads.errors.is_empty() {
        parts.push(format!("returns an error for {}", runs(&reads.errors)));
    }
    if !reads.foreign.is_empty() {
        parts.push(format!(
            "returns another record for {}",
            runs(&reads.foreign)
        ));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn runs(runs: &Runs) -> String {
    let kept = runs.runs.iter().map(|range| range.records());
    match runs.runs.first() {
        // Beyond some runs offsets are only counted.
        Some(first) if kept.fold(0, u64::saturating_add) < runs.offsets => {
            format!("{} offsets from {} on", runs.offsets, first.first)
        }
        _ => ranges(&runs.runs),
    }
}

/// The assumption, if it matters for the forecast.
pub fn assumption(forecast: &Forecast) -> Option<String> {
    let known = matches!(
        forecast.sources.max_index_bytes,
        Source::Given | Source::PaddedIndex
    );
    let depends = |state_forecast: &StateForecast| {
        let cut = |failure: &OpenFailure| matches!(failure.why, Failure::PastMapping { .. });
        let refused = |append: &Append| matches!(append.outcome, Outcome::Refused { .. });
        state_forecast.view.failure.as_ref().is_some_and(cut)
            || state_forecast.view.appends.iter().any(refused)
    };
    let matters = depends(&forecast.now) || forecast.repaired.as_ref().is_some_and(depends);
    (!known && matters).then(|| {
        format!(
            "assuming MaxIndexBytes {}; set another with --max-index-bytes",
            forecast.config.max_index_bytes
        )
    })
}

/// The results of the next two appends.
pub fn append(view: &ServiceView) -> String {
    let mut appends = view.appends.iter();
    let Some(first) = appends.next() else {
        return "accepts no append".to_owned();
    };
    let second = appends.next();
    if let (Outcome::Refused { error, .. }, Some(Outcome::Refused { .. })) =
        (&first.outcome, second.map(|append| &append.outcome))
    {
        return format!("every append fails ({error})");
    }
    let mut words = format!("next append {}", outcome(first));
    if let Some(second) = second
        && std::mem::discriminant(&first.outcome) != std::mem::discriminant(&second.outcome)
    {
        words.push_str(", the one after ");
        words.push_str(&outcome(second));
    }
    let rolls = view
        .appends
        .iter()
        .flat_map(|append| [&append.rolls_before, &append.rolls_after]);
    for roll in rolls.flatten() {
        words.push_str(&rolled(roll));
    }
    words
}

fn outcome(append: &Append) -> String {
    let answer = match &append.outcome {
        Outcome::Works { offset } => format!("gets {offset}"),
        Outcome::Repeats { offset } => format!("gets {offset}, which a record already has"),
        Outcome::Refused { error, .. } => format!("fails ({error})"),
        Outcome::DoesNotRoll { why } => format!("fails ({})", escaped(&why.to_string())),
        Outcome::Panics { why } => {
            format!("ends the process ({})", escaped(&why.to_string()))
        }
    };
    match append.read_back {
        None | Some(ReadBack::Itself) => answer,
        Some(ReadBack::Another { .. }) => format!("{answer} and reads back as something else"),
        Some(ReadBack::OutOfRange) => format!("{answer} and cannot be read back"),
    }
}

/// A segment that is opened where none should be.
fn rolled(roll: &Roll) -> String {
    let base = roll.base;
    if let Some(why) = &roll.failure {
        let why = escaped(&why.to_string());
        return format!(" (then segment {base} does not open: {why})");
    }
    match roll.kind {
        RollKind::AtTheEnd => String::new(),
        RollKind::Twin => format!(" (opens segment {base} a second time)"),
        RollKind::Forks => format!(" (opens segment {base}, inside the log: a fork)"),
        RollKind::Skips => format!(" (opens segment {base}, and skips an offset)"),
    }
}

/// Rows of the full view of one edition: a heading and its text.
pub fn in_full(forecast: &Forecast) -> Vec<(&'static str, String)> {
    let view = &forecast.now.view;
    let mut rows = vec![("config", config(forecast))];
    let bases: Vec<String> = view
        .segments
        .iter()
        .take(8)
        .map(|segment| segment.base.to_string())
        .collect();
    let more = view.segments.len().saturating_sub(8);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    rows.push((
        "loads",
        format!(
            "{}: {}{more}",
            count(view.segments.len() as u64, "segment"),
            bases.join(", ")
        ),
    ));
    if !view.creates.is_empty() {
        rows.push(("creates", view.creates.join(", ")));
    }
    if let (Some(lowest), Some(highest)) = (view.lowest, view.highest) {
        rows.push((
            "reports",
            format!("lowest offset {lowest}, highest {highest}"),
        ));
    }
    let readable = forecast.now.readable();
    rows.push((
        "records",
        format!(
            "serves {}, hides {}",
            count(readable, "record"),
            forecast.now.hidden()
        ),
    ));
    for double in view.doubles.iter().take(8) {
        rows.push((
            "doubled",
            format!(
                "{} twice: those of segment {} are never read",
                offsets(&[double.range]),
                double.shadowed
            ),
        ));
    }
    rows.extend(forecast.now.all.as_ref().and_then(answers));
    rows.push(("now", in_one_line(&forecast.now)));
    if let Some(repaired) = &forecast.repaired {
        rows.push(("repaired", in_one_line(repaired)));
    }
    rows
}

/// Its answers for all offsets that it claims, where one is not its own record's.
fn answers(reads: &Reads) -> Option<(&'static str, String)> {
    doubtful(reads).map(|words| ("reads", words))
}

fn config(forecast: &Forecast) -> String {
    let (config, sources) = (&forecast.config, &forecast.sources);
    format!(
        "MaxStoreBytes {} ({}), MaxIndexBytes {} ({}), InitialOffset {} ({})",
        config.max_store_bytes,
        source(sources.max_store_bytes, "store"),
        config.max_index_bytes,
        source(sources.max_index_bytes, "index"),
        config.initial_offset,
        source(sources.initial_offset, "")
    )
}

fn source(source: Source, file: &str) -> String {
    match source {
        Source::Given => "as given".to_owned(),
        Source::PaddedIndex => "the padded index's size".to_owned(),
        Source::LargestSealed => format!("the largest sealed {file}'s size"),
        Source::BookDefault => "the book's default, assumed".to_owned(),
        Source::RoomForMore => "assumed, with room for more".to_owned(),
    }
}
