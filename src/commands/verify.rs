//! `proglog verify DIR`: checks a log: damage, lost records, what the service would do.
//!
//! ```console
//! $ proglog verify log
//! log: 3 segments, 60 intact records, offsets 0..59, protobuf, not in use
//! ok: 3 segments, 60 records, offsets 0..59 (values unchecked: no manifest)
//! $ proglog verify -q log || echo bad
//! ```
//!
//! Arguments, then the report, then text or JSON. Nothing is written to the log.

pub mod held_against;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use clap::{ArgAction, Args};
use proglog::inspect::finding::{Finding, FindingId, OffsetRange, Place, Severity};
use proglog::inspect::forecast::{Forecast, Repaired};
use proglog::inspect::manifest::check::Checked;
use proglog::inspect::report::{Options, Report, SegmentReport};
use proglog::inspect::service::{Edition, Given};
use proglog::log::dir::FilePath;
use proglog::log::error::Error;
use proglog::log::format::parse_name;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::log::window::ReadFile;
use proglog::mend::foresee;
use proglog::mend::plan::Plan;
use proglog::mend::repair;

use super::offsets::Span;
use super::options;
use super::progress::Bar;
use super::{Failure, Globals, Status, again, explain, quote, say, stdout};
use crate::render::finding_json as json;
use crate::render::prose::Paint;
use crate::render::remedy::Remedies;
use crate::render::verify::{Counts, View};

const EXAMPLES: &str = "\
proglog verify log                     all findings, as text
proglog verify -q log || mail ...      mail only on problems
proglog verify -q logs/*               one line for each finding: LOG: ...
proglog verify log --json              findings, the service, then a summary
proglog verify log --allow segment-gap=20..40
proglog verify log --manifest FILE     compare values with a manifest
proglog verify log --service --max-index-bytes 1024";

/// Check a log: damage, lost records, what the service would do
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct Arguments {
    /// The logs' directories
    #[arg(value_name = "DIR", required = true)]
    pub dirs: Vec<PathBuf>,
    /// Check only names, sizes, pairing and last entries
    #[arg(long)]
    quick: bool,
    /// Check only the segment with this base offset
    #[arg(long, value_name = "BASE", conflicts_with = "service", value_parser = options::number)]
    segment: Option<u64>,
    /// Assume this MaxIndexBytes of the service
    #[arg(long, value_name = "SIZE", value_parser = options::size)]
    max_index_bytes: Option<u64>,
    /// Assume this MaxStoreBytes of the service (for --service)
    #[arg(long, value_name = "SIZE", value_parser = options::size)]
    max_store_bytes: Option<u64>,
    /// Assume this InitialOffset of the service (for --service)
    #[arg(long, value_name = "OFFSET", value_parser = options::number)]
    initial_offset: Option<u64>,
    /// Ignore these findings in the exit status
    #[arg(long, value_name = "ID[=A..B]", value_parser = Allowed::parse)]
    allow: Vec<Allowed>,
    /// Compare the values with a manifest that `proglog manifest` printed; - is standard
    /// input
    #[arg(long, value_name = "FILE|-", conflicts_with = "quick")]
    manifest: Option<PathBuf>,
    /// Print the bytes of each finding
    #[arg(short, long, action = ArgAction::SetTrue)]
    verbose: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
    /// Print in detail what the Go service would do, for both editions of the book
    #[arg(long)]
    service: bool,
}

/// Known findings: all of one id, or those within a range.
#[derive(Debug, Clone)]
struct Allowed {
    id: FindingId,
    within: Option<Span>,
}

impl Allowed {
    fn parse(text: &str) -> Result<Self, String> {
        let (id, range) = match text.split_once('=') {
            Some((id, range)) => (id, Some(range)),
            None => (text, None),
        };
        let id = explain::find(id)?;
        let within = range.map(Span::from_str).transpose()?;
        Ok(Self { id, within })
    }
}

/// Whether each finding is allowed.
fn allowed(arguments: &Arguments, report: &Report) -> Result<Vec<bool>, Failure> {
    let next = report.next_offset();
    let mut allowed = Vec::new();
    for allow in &arguments.allow {
        let within = allow.within.map(|span| span.resolve(next)?.offsets());
        allowed.push((allow.id, within.transpose()?));
    }
    let is_allowed = |finding: &Finding| {
        allowed.iter().any(|(id, within)| {
            let covers = |within: &OffsetRange| {
                let offsets = finding.offsets;
                offsets.is_some_and(|it| within.first <= it.first && it.last <= within.last)
            };
            finding.id == *id && within.as_ref().is_none_or(covers)
        })
    };
    Ok(report.findings.iter().map(is_allowed).collect())
}

/// Checks each log and prints the findings; the status is the worst.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    if arguments.manifest.is_some() && arguments.dirs.len() > 1 {
        let message = "--manifest needs exactly one log";
        return Err(Failure::new(Status::Failed, message).into());
    }
    super::for_each_log(&arguments.dirs, |dir, follows| {
        one(arguments, dir, follows, globals)
    })
}

/// Checks one log and prints the findings.
fn one(
    arguments: &Arguments,
    dir: &Path,
    follows: bool,
    globals: Globals,
) -> anyhow::Result<Status> {
    let mut manifest = match &arguments.manifest {
        Some(path) => Some(held_against::open(path)?),
        None => None,
    };
    // The digests of a manifest need the stores a second time.
    let passes = (arguments.segment, u64::from(manifest.is_some()));
    let bar = Bar::for_passes("verify", dir, passes, globals);
    let mut report = look(arguments, dir)?;
    let held = match &mut manifest {
        Some(manifest) => Some(manifest.check(&mut report)?),
        None => None,
    };
    let forecasts = forecasts(arguments, &report)?;
    drop(bar);
    let allowed = allowed(arguments, &report)?;
    let counts = Counts::of(report.findings.iter().zip(allowed.iter().copied()));
    let service_sound = forecasts.iter().all(|forecast| forecast.now.is_sound());
    let status = if counts.is_clean() && (service_sound || !arguments.service) {
        Status::Done
    } else {
        Status::Damage
    };
    let printing = Output {
        arguments,
        dir,
        follows,
        globals,
        report: &report,
        forecasts: &forecasts,
        allowed: &allowed,
        counts,
        checked: held.as_ref().map(|held| &held.checked),
    };
    let printed = printing.print();
    let status = held.as_ref().map_or(Ok(status), |held| held.status(status));
    printed.context("cannot write to stdout")?;
    status
}

/// The last check of a command that repairs: the same scan, and the forecast of the
/// service.
pub fn tell(
    out: &mut impl Write,
    dir: &Path,
    report: &Report,
    globals: Globals,
) -> anyhow::Result<()> {
    let unallowed = vec![false; report.findings.len()];
    let mut forecasts = Vec::new();
    if report.codec == Some(Codec::Protobuf) {
        let given = Given {
            max_index_bytes: report.options.max_index_bytes,
            ..Given::default()
        };
        forecasts.push(Forecast::of(report, Edition::First, &given, false, None)?);
    }
    let quoted = quote(dir);
    let view = View {
        report,
        allowed: &unallowed,
        forecasts: &forecasts,
        service_in_full: false,
        mended: true,
        remedies: Remedies {
            report,
            dir: &quoted,
            quote,
        },
        quiet: globals.quiet,
        paint: Paint {
            color: globals.color_on_stdout(),
        },
        bytes_of: None,
        checked: None,
    };
    Ok(view.print(out)?)
}

fn look(arguments: &Arguments, dir: &Path) -> anyhow::Result<Report> {
    let options = Options {
        quick: arguments.quick,
        segment: arguments.segment.map(Offset),
        max_index_bytes: arguments.max_index_bytes,
        codec: arguments.codec,
        ask_usage: true,
        ..Options::default()
    };
    Report::of(dir, &options).map_err(|error| match &error {
        Error::NotADirectory { path } => match with_segment(path) {
            Some(hint) => Failure::new(Status::Failed, error.to_string())
                .hint(hint)
                .into(),
            None => error.into(),
        },
        _ => error.into(),
    })
}

/// For one of a segment's files: the same command about its segment.
fn with_segment(path: &Path) -> Option<String> {
    let name = parse_name(path.file_name()?)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    let parent = quote(parent.unwrap_or(Path::new(".")));
    Some(format!("proglog verify {parent} --segment {}", name.base))
}

/// The forecast of the service: requested, or useful beside findings.
fn forecasts(arguments: &Arguments, report: &Report) -> anyhow::Result<Vec<Forecast>> {
    let wanted = if arguments.service {
        if report.codec == Some(Codec::Raw) {
            return Err(Failure::new(
                Status::Failed,
                format!(
                    "{}: a raw log, which the Go service does not write",
                    report.listing.path().display()
                ),
            )
            .hint("if it does:")
            .hint(again("--codec protobuf"))
            .into());
        }
        &[Edition::First, Edition::Later][..]
    } else if report.codec == Some(Codec::Protobuf)
        && arguments.segment.is_none()
        && !report.is_clean()
    {
        &[Edition::First][..]
    } else {
        &[]
    };
    let given = Given {
        max_store_bytes: arguments.max_store_bytes,
        max_index_bytes: arguments.max_index_bytes,
        initial_offset: arguments.initial_offset.map(Offset),
    };
    // The result of a repair, by its own plan.
    let plan = if wanted.is_empty() {
        Plan::default()
    } else {
        repair::plan(report)
    };
    let forecast = |&edition: &Edition| {
        let in_full = arguments.service && !arguments.quick;
        let adopted = |segment: &SegmentReport| foresee::adopted(&plan, segment);
        let repaired = foresee::files(&plan, report).map(|files| {
            files.map(|files| Repaired {
                files,
                adopted: &adopted,
            })
        });
        repaired
            .and_then(|repaired| Forecast::of(report, edition, &given, in_full, repaired))
            .with_context(|| {
                format!(
                    "{}: the view of the service",
                    report.listing.path().display()
                )
            })
    };
    let forecasts = wanted.iter().map(forecast);
    if arguments.service {
        return forecasts.collect();
    }
    // Not requested: a failing disk costs only this line.
    let told =
        forecasts.filter_map(|forecast| forecast.inspect_err(|error| untold(report, error)).ok());
    Ok(told.collect())
}

/// Reports why the service's view is missing. That a file of a log in use came or went since
/// the scan is not a reason for a message.
fn untold(report: &Report, error: &anyhow::Error) {
    let error_kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let moved = matches!(
        error_kind,
        Some(io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
    );
    if !moved || report.usage.in_use == Some(false) {
        say(&format!("{error:#}"));
    }
}

/// Everything that is printed from.
struct Output<'a> {
    arguments: &'a Arguments,
    dir: &'a Path,
    /// Whether something was printed about another log.
    follows: bool,
    globals: Globals,
    report: &'a Report,
    forecasts: &'a [Forecast],
    allowed: &'a [bool],
    counts: Counts,
    checked: Option<&'a Checked>,
}

impl Output<'_> {
    fn print(&self) -> io::Result<()> {
        let mut out = stdout()?;
        let dir = quote(self.dir);
        let remedies = Remedies {
            report: self.report,
            dir: &dir,
            quote,
        };
        if self.arguments.json {
            self.json(&mut out, remedies)?;
        } else {
            let bytes_of = |place: &Place, position: u64, bytes: usize| {
                let path = self.report.listing.directory.dir.at(&place.file);
                bytes_at(&path, position, bytes)
            };
            let view = View {
                report: self.report,
                allowed: self.allowed,
                forecasts: self.forecasts,
                service_in_full: self.arguments.service,
                mended: false,
                remedies,
                quiet: self.globals.quiet,
                paint: Paint {
                    color: self.globals.color_on_stdout(),
                },
                bytes_of: if self.arguments.verbose {
                    Some(&bytes_of)
                } else {
                    None
                },
                checked: self.checked,
            };
            if !self.globals.quiet && self.follows {
                writeln!(out)?;
            }
            view.print(&mut out)?;
        }
        out.flush()
    }

    fn json(&self, out: &mut impl Write, remedies: Remedies<'_>) -> io::Result<()> {
        let quiet = self.globals.quiet;
        for (finding, &allowed) in self.report.findings.iter().zip(self.allowed) {
            if !quiet || !(allowed || finding.severity == Severity::Note) {
                json::finding(out, self.report, finding, remedies.of(finding), allowed)?;
            }
        }
        for forecast in self.forecasts {
            if !self.arguments.service {
                json::service(out, self.report, forecast, &forecast.now, None)?;
            } else if !quiet || !forecast.now.is_sound() {
                json::service(out, self.report, forecast, &forecast.now, Some(false))?;
                let repaired = forecast.repaired.as_ref().unwrap_or(&forecast.now);
                json::service(out, self.report, forecast, repaired, Some(true))?;
            }
        }
        if quiet && self.counts.is_clean() {
            return Ok(());
        }
        json::summary(out, self.report, self.counts, self.checked)
    }
}

/// Up to this many bytes of a regular file; `None` if unavailable.
pub fn bytes_at(path: &FilePath, position: u64, bytes: usize) -> Option<Vec<u8>> {
    let file = ReadFile::open(path).ok()?;
    let there = file.file_bytes.checked_sub(position)?;
    let bytes = usize::try_from(there).map_or(bytes, |there| there.min(bytes));
    let mut window = proglog::log::window::Window::new(file, bytes.max(1));
    let read = window.bytes(position, bytes).ok()?;
    (!read.is_empty()).then(|| read.to_vec())
}
