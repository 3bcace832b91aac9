//! The text of verify: a line of facts, the findings by id with each place on a line, a
//! strip of each damaged file, the forecast of the service, the next command, and one
//! last line.

use std::io::{self, Write};

use proglog::inspect::finding::{Finding, FindingId, Place, Severity};
use proglog::inspect::forecast::Forecast;
use proglog::inspect::manifest::check::Checked;
use proglog::inspect::report::Report;

use super::cost::cost;
use super::hexlines;
use super::prose::{Paint, columns, count, escaped, labelled, width, wrapped, wrapped_command};
use super::remedy::Remedies;
use super::strip::{CELLS, LEGEND, Strip, strips};
use super::{held, in_use, service, words};

/// The columns before the text.
const INDENT: usize = 9;

/// Limit of listed places of one id; the others are counted.
const PLACES_MAX: usize = 24;

/// Files that are drawn, and commands that are named.
const STRIPS_MAX: usize = 12;
const NEXT_MAX: usize = 6;

/// The last line if the requested check could not be made.
const UNUSABLE: &str = "check by the manifest failed";

/// Number of findings of each severity; allowed ones are counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Errors.
    pub errors: u64,
    /// Warnings.
    pub warnings: u64,
    /// Notes.
    pub notes: u64,
    /// Allowed errors and warnings.
    pub allowed: u64,
}

impl Counts {
    /// Counts findings, each with whether it is allowed.
    pub fn of<'a>(findings: impl IntoIterator<Item = (&'a Finding, bool)>) -> Self {
        let mut counts = Self::default();
        for (finding, allowed) in findings {
            match (finding.severity, allowed) {
                (Severity::Note, _) => counts.notes += 1,
                (_, true) => counts.allowed += 1,
                (Severity::Error, false) => counts.errors += 1,
                (Severity::Warning, false) => counts.warnings += 1,
            }
        }
        counts
    }

    /// Whether nothing makes the status 3.
    pub fn is_clean(self) -> bool {
        self.errors + self.warnings == 0
    }
}

/// Returns bytes of a place's file, from a position on, as far as they exist.
pub type BytesOf<'a> = dyn Fn(&Place, u64, usize) -> Option<Vec<u8>> + 'a;

/// A report and the options of its output.
pub struct View<'a> {
    /// The report.
    pub report: &'a Report,
    /// Whether each finding is allowed, in the order of the report's.
    pub allowed: &'a [bool],
    /// The forecast of the service: one edition, or both if requested.
    pub forecasts: &'a [Forecast],
    /// Whether the service's view was requested in full.
    pub service_in_full: bool,
    /// Whether the log was repaired just now: then the forecast is printed even without
    /// findings.
    pub mended: bool,
    /// The commands to type.
    pub remedies: Remedies<'a>,
    /// Errors and warnings only.
    pub quiet: bool,
    /// Color.
    pub paint: Paint,
    /// The bytes of a place and of the lines around it, where hex lines are wanted.
    pub bytes_of: Option<&'a BytesOf<'a>>,
    /// The result of a manifest, if given.
    pub checked: Option<&'a Checked>,
}

impl View<'_> {
    /// Prints all of it.
    ///
    /// # Errors
    ///
    /// Writing's.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let counts = Counts::of(self.findings());
        let groups = self.groups();
        if self.quiet {
            for group in &groups {
                self.quiet_group(out, group)?;
            }
            return self.service(out, &counts);
        }
        self.facts(out)?;
        if !groups.is_empty() {
            writeln!(out)?;
            for group in &groups {
                self.group(out, group)?;
            }
            self.strips(out)?;
            writeln!(out)?;
        }
        self.service(out, &counts)?;
        self.next(out)?;
        self.last_line(out, counts)
    }

    fn findings(&self) -> impl Iterator<Item = (&Finding, bool)> {
        let allowed = self.allowed.iter().copied();
        self.report.findings.iter().zip(allowed)
    }

    /// The findings to be printed, by id and severity, in the order of the first of each.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (finding, allowed) in self.findings() {
            if self.quiet && (allowed || finding.severity == Severity::Note) {
                continue;
            }
            let same = |group: &&mut Group<'_>| {
                (group.id, group.severity, group.allowed) == (finding.id, finding.severity, allowed)
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.findings.push(finding),
                None => groups.push(Group {
                    id: finding.id,
                    severity: finding.severity,
                    allowed,
                    findings: vec![finding],
                }),
            }
        }
        groups
    }

    fn facts(&self, out: &mut impl Write) -> io::Result<()> {
        let report = self.report;
        let path = self.log();
        let all = report.listing.segments.len() as u64;
        let segments = match report.options.segment {
            Some(base) => format!("segment {base} of {all} only"),
            None => count(all, "segment"),
        };
        let codec = report
            .codec
            .map_or("codec unknown", |codec| codec.as_str())
            .to_owned();
        let facts = format!(
            "{path}: {segments}, {}, {codec}, {}",
            records(report, "intact record"),
            in_use::facts(&report.usage)
        );
        for line in wrapped(&facts, columns()) {
            writeln!(out, "{line}")?;
        }
        match self.checked {
            Some(checked) => writeln!(out, "{}", held::manifest(checked)),
            None => Ok(()),
        }
    }

    fn group(&self, out: &mut impl Write, group: &Group<'_>) -> io::Result<()> {
        let allowed = if group.allowed { " (allowed)" } else { "" };
        let unknown = group.findings.iter().any(|finding| finding.use_unknown);
        let unknown = unknown.then(|| format!(" ({})", words::USE_UNKNOWN));
        let unknown = unknown.unwrap_or_default();
        let cost = cost(&group.findings);
        let heading = format!("{}{allowed}{unknown}  {cost}", group.id);
        // The id's two spaces are to stay.
        let mut lines = wrapped(
            &heading.replace("  ", " \u{0} "),
            columns().saturating_sub(INDENT),
        )
        .into_iter();
        let first = lines.next().unwrap_or_default().replace(" \u{0}", " ");
        let severity = format!("{:<INDENT$}", group.severity);
        let severity = self.paint.severity(group.severity, severity.trim_end());
        let gap = " ".repeat(INDENT - group.severity.as_str().len());
        writeln!(out, "{severity}{gap}{first}")?;
        for line in lines {
            writeln!(out, "{:INDENT$}{}", "", line.replace('\u{0}', ""))?;
        }
        for finding in group.findings.iter().take(PLACES_MAX) {
            let what = words::what(finding);
            let told = match words::place(finding) {
                Some(place) if what.is_empty() => place,
                Some(place) => format!("{place}: {what}"),
                None => what,
            };
            indented(out, &told)?;
            self.hex(out, finding)?;
        }
        let more = group.findings.len().saturating_sub(PLACES_MAX);
        if more > 0 {
            indented(out, &format!("... and {more} more (--json lists all)"))?;
        }
        Ok(())
    }

    /// The findings of a group, each a line that names the log.
    fn quiet_group(&self, out: &mut impl Write, group: &Group<'_>) -> io::Result<()> {
        let log = self.log();
        let severity = self.paint.severity(group.severity, group.severity.as_str());
        for finding in group.findings.iter().take(PLACES_MAX) {
            let place = words::place(finding).map_or(String::new(), |place| format!(" {place}:"));
            let message = words::message(finding);
            writeln!(out, "{log}: {severity} {}:{place} {message}", group.id)?;
            self.hex(out, finding)?;
        }
        let more = group.findings.len().saturating_sub(PLACES_MAX);
        if more > 0 {
            let id = group.id;
            writeln!(
                out,
                "{log}: {severity} {id}: {more} more (--json lists all)"
            )?;
        }
        Ok(())
    }

    /// The log's path as it was typed.
    fn log(&self) -> String {
        escaped(&self.report.listing.path().display().to_string())
    }

    fn hex(&self, out: &mut impl Write, finding: &Finding) -> io::Result<()> {
        let (Some(bytes_of), Some(place)) = (self.bytes_of, &finding.place) else {
            return Ok(());
        };
        if place.bytes == 0 {
            return Ok(());
        }
        hexlines::print(out, place, INDENT, 1, &|position, bytes| {
            bytes_of(place, position, bytes)
        })
    }

    fn strips(&self, out: &mut impl Write) -> io::Result<()> {
        let findings: Vec<&Finding> = self.report.findings.iter().collect();
        let room = columns().saturating_sub(INDENT);
        let strips = strips(self.report, &findings, CELLS.min(room));
        if strips.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        let shown = strips.get(..STRIPS_MAX).unwrap_or(&strips);
        let longest = shown.iter().map(|strip| width(&strip.file)).max();
        let column = longest.unwrap_or(0).max(INDENT - 2) + 2;
        let fits = |strip: &Strip| column + width(&after_name(strip)) <= columns();
        let beside = shown.iter().all(fits);
        for strip in shown {
            let after = after_name(strip);
            let (cells, bytes) = after.split_at(strip.cells.len());
            let cells = self.painted(cells);
            let file = escaped(&strip.file);
            if beside {
                writeln!(out, "{file:column$}{cells}{bytes}")?;
            } else {
                writeln!(out, "{file}{bytes}")?;
                writeln!(out, "{:INDENT$}{cells}", "")?;
            }
        }
        if strips.len() > STRIPS_MAX {
            let more = count((strips.len() - STRIPS_MAX) as u64, "more damaged file");
            indented(out, &format!("... and {more}"))?;
        }
        let column = if beside { column } else { INDENT };
        writeln!(out, "{:column$}{LEGEND}", "")
    }

    fn painted(&self, cells: &str) -> String {
        if !self.paint.color {
            return cells.to_owned();
        }
        let paint = |c: char| match c {
            '!' => self.paint.severity(Severity::Error, "!"),
            c => c.to_string(),
        };
        cells.chars().map(paint).collect()
    }

    fn service(&self, out: &mut impl Write, counts: &Counts) -> io::Result<()> {
        if self.service_in_full {
            return self.service_in_full(out);
        }
        let Some(forecast) = self.forecasts.first() else {
            return Ok(());
        };
        if self.mended && !self.quiet {
            let line = format!("from now on: {}", service::in_one_line(&forecast.now));
            labelled(out, "service", &line)?;
            let assumption = service::assumption(forecast);
            return assumption.map_or(Ok(()), |assumption| indented(out, &assumption));
        }
        // A quiet output has findings only.
        if self.quiet || (counts.is_clean() && counts.allowed == 0) {
            return Ok(());
        }
        let now = if self.report.usage.is_written() {
            "if killed and started again now"
        } else {
            "as it is"
        };
        let line = format!("{now}: {}", service::in_one_line(&forecast.now));
        labelled(out, "service", &line)?;
        let after = match &forecast.repaired {
            Some(repaired) => service::in_one_line(repaired),
            None => "the same".to_owned(),
        };
        indented(out, &format!("after repair: {after}"))?;
        match service::assumption(forecast) {
            Some(assumption) => indented(out, &assumption),
            None => Ok(()),
        }
    }

    fn service_in_full(&self, out: &mut impl Write) -> io::Result<()> {
        let told = |forecast: &&Forecast| !self.quiet || !forecast.now.is_sound();
        for forecast in self.forecasts.iter().filter(told) {
            let edition = service::edition(forecast.config.edition);
            if !self.quiet && self.report.findings.is_empty() {
                writeln!(out)?;
            }
            if self.quiet {
                for (label, text) in service::in_full(forecast) {
                    writeln!(
                        out,
                        "{}: service of the {edition}: {label}: {text}",
                        self.log()
                    )?;
                }
                continue;
            }
            writeln!(out, "service of the book's {edition}")?;
            for (label, text) in service::in_full(forecast) {
                labelled(out, label, &text)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn next(&self, out: &mut impl Write) -> io::Result<()> {
        let wrong = || {
            self.findings()
                .filter(|(finding, allowed)| !allowed && finding.severity != Severity::Note)
                .map(|(finding, _)| finding)
        };
        let Some(first) = wrong().next() else {
            return Ok(());
        };
        let mut commands = self.remedies.next(wrong(), NEXT_MAX);
        commands.push(format!("proglog explain {}", first.id));
        if self.report.usage.is_written() {
            labelled(out, "next", "stop the writer, then")?;
        }
        let mut label = if self.report.usage.is_written() {
            ""
        } else {
            "next"
        };
        for command in commands {
            for line in wrapped_command(&command, columns().saturating_sub(INDENT)) {
                writeln!(out, "{label:INDENT$}{line}")?;
                label = "";
            }
        }
        Ok(())
    }

    fn last_line(&self, out: &mut impl Write, counts: Counts) -> io::Result<()> {
        let report = self.report;
        let unusable = self.checked.is_some_and(|checked| !checked.whole);
        if !counts.is_clean() {
            let mut parts = Vec::new();
            if counts.errors > 0 {
                parts.push(
                    self.paint
                        .severity(Severity::Error, &count(counts.errors, "error")),
                );
            }
            if counts.warnings > 0 {
                let warnings = count(counts.warnings, "warning");
                parts.push(self.paint.severity(Severity::Warning, &warnings));
            }
            if counts.allowed > 0 {
                parts.push(format!("{} allowed", counts.allowed));
            }
            if unusable {
                parts.push(UNUSABLE.to_owned());
            }
            return writeln!(out, "{}", parts.join(", "));
        }
        if unusable {
            return writeln!(out, "{UNUSABLE}; {}", records(report, "intact record"));
        }
        let ok = if report.options.quick {
            "ok so far"
        } else {
            "ok"
        };
        let segments = match report.options.segment {
            Some(base) => format!("segment {base}"),
            None => count(report.segments.len() as u64, "segment"),
        };
        let facts = format!("{segments}, {}", records(report, "record"));
        // One line, whatever has to go.
        let room = columns().saturating_sub(width(ok) + 2 + width(&facts));
        let remarks = held::remarks(report, self.checked, counts.allowed);
        let remark = remarks
            .iter()
            .find(|remark| width(remark) <= room)
            .or(remarks.last());
        let remark = remark.map_or("", String::as_str);
        let mut painted = self.paint.sound(ok);
        for line in wrapped(&format!("{ok}: {facts}{remark}"), columns()) {
            let plain = if painted.is_empty() {
                line.as_str()
            } else {
                line.strip_prefix(ok).unwrap_or(&line)
            };
            writeln!(out, "{painted}{plain}")?;
            painted.clear();
        }
        Ok(())
    }
}

/// Findings of one id that are printed together.
struct Group<'a> {
    id: FindingId,
    severity: Severity,
    allowed: bool,
    findings: Vec<&'a Finding>,
}

/// `243 whole records, offsets 0..242`; where they are not all of these offsets, so.
fn records(report: &Report, what: &str) -> String {
    let records = report.records();
    let (lowest, next) = (report.lowest_offset(), report.next_offset());
    let Some(last) = next.0.checked_sub(1).filter(|_| records > 0) else {
        return "no committed record".to_owned();
    };
    let range = proglog::inspect::finding::OffsetRange {
        first: lowest,
        last: proglog::log::units::Offset(last),
    };
    let joint = if range.records() == records {
        ", "
    } else {
        " within "
    };
    let word = if range.records() == 1 {
        "offset"
    } else {
        "offsets"
    };
    format!("{}{joint}{word} {range}", count(records, what))
}

fn after_name(strip: &Strip) -> String {
    format!("{}  {}", strip.cells, count(strip.bytes, "byte"))
}

fn indented(out: &mut impl Write, text: &str) -> io::Result<()> {
    labelled(out, "", text)
}
