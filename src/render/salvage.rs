//! The result of a salvage, in words and as JSON lines: the same lines are the note
//! beside the new log.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use proglog::inspect::finding::OffsetRange;
use proglog::log::units::Offset;
use proglog::mend::salvage::write::Targets;
use proglog::mend::salvage::{NewSegment, Salvage, Stray, Why};

use super::json_line::JsonLine;
use super::prose::{columns, count, escaped, labelled, wrapped};

/// Ranges that are printed one by one in text; the rest is counted.
const RANGES_MAX: usize = 40;

/// A salvage to be printed.
pub struct View<'a> {
    pub salvage: &'a Salvage,
    pub source: &'a Path,
    pub targets: &'a Targets,
    pub dry_run: bool,
    /// The commands that put it in place; `None` while a process writes to the source.
    pub moves: Option<[String; 2]>,
}

impl View<'_> {
    /// All lines but the last, one by one: there may be very many.
    pub fn lines(&self) -> impl Iterator<Item = JsonLine> {
        let salvage = self.salvage;
        let line = |kind: &str| self.line(kind);
        let lost = salvage.lost.iter().map(move |lost| {
            line("lost")
                .number("first_offset", lost.first.0)
                .number("last_offset", lost.last.0)
                .number("records", lost.records())
        });
        let mut next = 0;
        let side = salvage.side.iter().map(move |stray| {
            let first = next;
            next += stray.run.records();
            side_line(line("side"), stray, first)
        });
        let of_file = move |kind, path: &Path| {
            let file = path.file_name().unwrap_or_default();
            line(kind).text("file", file.display().to_string())
        };
        let unopened = salvage.unopened.iter();
        let unopened = unopened
            .map(move |(path, why)| of_file("unopened", path).text("message", why.as_str()));
        let foreign = salvage.foreign.iter();
        let foreign = foreign
            .map(move |(path, layout)| of_file("foreign", path).text("layout", layout.as_str()));
        let segments = salvage.segments.iter();
        let segments = segments.map(move |segment| segment_line(line("segment"), segment));
        segments
            .chain(lost)
            .chain(side)
            .chain(unopened)
            .chain(foreign)
    }

    /// A line of this kind, which names the log.
    fn line(&self, kind: &str) -> JsonLine {
        JsonLine::of(kind).text("log", self.source.display().to_string())
    }

    /// The last line.
    pub fn summary(&self) -> JsonLine {
        let salvage = self.salvage;
        let side = salvage.side_records();
        let name = |path: &Path| path.display().to_string();
        let lost: u64 = salvage.lost.iter().map(|lost| lost.records()).sum();
        self.line("summary")
            .flag("dry_run", self.dry_run)
            .text("target", name(&self.targets.log))
            .text_if("side_log", (side > 0).then(|| name(&self.targets.side)))
            .text("note", name(&self.targets.note))
            .text_if("codec", salvage.found_codec.map(|codec| codec.to_string()))
            .count("segments", salvage.segments.len())
            .number("records", salvage.records())
            .number("next_offset", next_offset(salvage))
            .number("lost", lost)
            .number("side_records", side)
            .text_if("next", self.moves.as_ref().map(|moves| moves.join(" && ")))
    }

    /// For people.
    pub fn text(&self, out: &mut impl Write) -> io::Result<()> {
        let salvage = self.salvage;
        let target = escaped(&self.targets.log.display().to_string());
        let would = if self.dry_run { "would be " } else { "" };
        let offsets = match ends(salvage) {
            Some(range) if range.first == range.last => format!(", offset {range}"),
            Some(range) => format!(", offsets {range}"),
            None => String::new(),
        };
        let codec = salvage.found_codec;
        let codec = codec.map_or(String::new(), |codec| format!(", {codec}"));
        let facts = format!(
            "{target}: {would}{}, {}{offsets}{codec}",
            count(salvage.segments.len() as u64, "segment"),
            count(salvage.records(), "record")
        );
        for line in wrapped(&facts, columns()) {
            writeln!(out, "{line}")?;
        }
        self.lost(out)?;
        if !salvage.side.is_empty() {
            let side = escaped(&self.targets.side.display().to_string());
            let note = escaped(&self.targets.note.display().to_string());
            writeln!(
                out,
                "side     {side}: {} ({})",
                count(salvage.side_records(), "record"),
                self.kinds()
            )?;
            writeln!(out, "         {note} lists where they were")?;
        }
        if !self.dry_run {
            match &self.moves {
                Some([away, here]) => writeln!(out, "next     {away}\n         {here}")?,
                None => labelled(out, "next", &self.stop_first())?,
            }
        }
        Ok(())
    }

    /// The next step while the source is still written to.
    fn stop_first(&self) -> String {
        format!(
            "{} is in use: stop the service first, then salvage again; records written since \
             are not in {}",
            escaped(&self.source.display().to_string()),
            escaped(&self.targets.log.display().to_string())
        )
    }

    /// The offsets of which nothing is valid, for people.
    pub fn lost(&self, out: &mut impl Write) -> io::Result<()> {
        let lost = &self.salvage.lost;
        for range in lost.iter().take(RANGES_MAX) {
            let records = count(range.records(), "record");
            labelled(out, "lost", &format!("{range}: {records}"))?;
        }
        if lost.len() > RANGES_MAX {
            let more = lost.len() - RANGES_MAX;
            writeln!(
                out,
                "lost     ... and {} (--json lists all)",
                count(more as u64, "more range")
            )?;
        }
        Ok(())
    }

    /// `orphans 5, fork 3`.
    fn kinds(&self) -> String {
        let kinds = [Why::Orphan, Why::Duplicate, Why::Fork];
        let of = |why: Why| -> u64 {
            let side = self.salvage.side.iter();
            let strays = side.filter(|stray| stray.why == why);
            strays.map(|stray| stray.run.records()).sum()
        };
        let words = kinds.map(|why| match (why, of(why)) {
            (_, 0) => String::new(),
            (Why::Fork, records) => format!("{records} of the other side of a fork"),
            (why, records) => count(records, why.as_str()),
        });
        let words: Vec<String> = words.into_iter().filter(|it| !it.is_empty()).collect();
        words.join(", ")
    }
}

/// Which log was salvaged, by the last line of a note; `None` if that is not a summary.
pub fn source_in(last: &str) -> Option<PathBuf> {
    let (kind, log) = kind_and_log(last)?;
    (kind == "summary").then(|| PathBuf::from(log))
}

/// Whether a line is one of a note.
pub fn is_note(line: &str) -> bool {
    kind_and_log(line).is_some()
}

fn kind_and_log(line: &str) -> Option<(String, String)> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |field: &str| Some(line.get(field)?.as_str()?.to_owned());
    Some((text("kind")?, text("log")?))
}

fn segment_line(line: JsonLine, segment: &NewSegment) -> JsonLine {
    let records = segment.records;
    let mut line = line
        .number("segment", segment.base.0)
        .number("records", records);
    if let Some(last) = records.checked_sub(1) {
        line = line
            .number("first_offset", segment.base.0)
            .number("last_offset", segment.base.saturating_add(last).0);
    }
    line.number("bytes", segment.bytes)
}

/// Of frames in the side log, where the first of them has offset `first`.
fn side_line(line: JsonLine, stray: &Stray, first: u64) -> JsonLine {
    let run = &stray.run;
    let file = run.store.path.file_name().unwrap_or_default();
    let line = line
        .number("first_offset", first)
        .number("last_offset", first + run.records() - 1)
        .number("records", run.records())
        .text("why", stray.why.as_str())
        .text("file", file.display().to_string())
        .number("segment", run.store.segment.0)
        .number("position", run.position)
        .number("bytes", run.end - run.position);
    if !stray.claims {
        return line;
    }
    line.number("first_claimed", run.first)
        .number("last_claimed", run.next - 1)
}

/// The first and the last offset that the new log has.
fn ends(salvage: &Salvage) -> Option<OffsetRange> {
    Some(OffsetRange {
        first: Offset(salvage.placed.first()?.first),
        last: Offset(salvage.placed.last()?.next - 1),
    })
}

fn next_offset(salvage: &Salvage) -> u64 {
    let last = salvage.segments.last();
    last.map_or(0, |it| it.base.saturating_add(it.records).0)
}
