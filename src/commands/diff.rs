//! `proglog diff A B`: two copies of one log, compared by offset.
//!
//! ```console
//! $ proglog diff log copy
//! a: log: 3 segments, 60 records, offsets 0..59, protobuf
//! b: copy: 2 segments, 40 records, offsets 20..59, protobuf
//!
//! only in a  offsets 0..19: 20 records
//!
//! not equal: 20 only in a; 40 equal
//! ```
//!
//! It compares values (and in two protobuf logs, terms and types), independent of the
//! files; `--files` compares the files.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use proglog::inspect::compare::{self, Side, Tally, Verdict, files};
use proglog::inspect::coverage::{State, stretches};
use proglog::inspect::finding::OffsetRange;
use proglog::inspect::listing::Listing;
use proglog::inspect::report::{Options, Report};
use proglog::log::error::Error;
use proglog::log::progress::WALKED;
use proglog::log::record::Codec;

use super::dump::is_a_file;
use super::offsets::{Selected, Span};
use super::progress::{Bar, Signals};
use super::verify::bytes_at;
use super::{Failure, Globals, Status, options, quote, say, say_hints, stdout};
use crate::render::diff::Printer;

const EXAMPLES: &str = "\
proglog diff log copy                 which offsets differ, and where
proglog diff log copy -q || echo no   exit status only
proglog diff log copy -1000..         the last thousand records of both
proglog diff log copy --files         the files: names, sizes, bytes
proglog diff log copy --json | jq 'select(.kind == \"differs\")'";

/// The context of an error on stdout.
const STDOUT: &str = "cannot write to stdout";

/// Compare two copies of a log.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The first log's directory
    pub a: PathBuf,
    /// The second log's directory
    pub b: PathBuf,
    #[command(flatten)]
    selected: Selected,
    /// Compare the files, byte by byte, instead of the records
    #[arg(long, conflicts_with_all = ["range", "negative_range", "from", "to", "codec"])]
    files: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
}

/// Compares and prints; the status is whether they are equal.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    if arguments.files {
        return compare_files(arguments, globals);
    }
    let options = Options {
        codec: arguments.codec,
        ask_usage: true,
        ..Options::default()
    };
    let bar = Bar::new("diff", &WALKED, || None, Signals::Default, globals);
    let look = |dir: &Path| Report::of(dir, &options).map_err(|error| explained(dir, error));
    let (a, b) = (look(&arguments.a)?, look(&arguments.b)?);
    a.require_any_ours()?;
    b.require_any_ours()?;
    let within = arguments.within(&a, &b)?;
    if globals.quiet {
        return quietly(&a, &b, within);
    }
    pending(&a, &arguments.a);
    pending(&b, &arguments.b);
    let bytes_of = |side: Side, file: &str, position, count| {
        let report = match side {
            Side::A => &a,
            Side::B => &b,
        };
        bytes_at(&report.listing.directory.dir.at(file), position, count)
    };
    let mut printer = Printer::new(
        stdout()?,
        arguments.json,
        &bytes_of,
        [&arguments.a, &arguments.b],
    );
    printer.log(Side::A, &a).context(STDOUT)?;
    printer.log(Side::B, &b).context(STDOUT)?;
    let mut damaged = [false, false];
    let tally = compare::compare(&a, &b, within, |range| {
        if let Verdict::Damaged { side, .. } = range.verdict {
            let [of_a, of_b] = &mut damaged;
            *of_a |= side != Some(Side::B);
            *of_b |= side != Some(Side::A);
        }
        if range.verdict != Verdict::Equal {
            printer.range(range).context(STDOUT)?;
        }
        Ok::<_, anyhow::Error>(ControlFlow::Continue(()))
    })?;
    drop(bar);
    printer
        .end_of_ranges(tally.first.as_ref())
        .context(STDOUT)?;
    printer.summary(&tally).context(STDOUT)?;
    printer.out.flush().context(STDOUT)?;
    for (damaged, dir) in damaged.into_iter().zip([&arguments.a, &arguments.b]) {
        if damaged {
            say_hints(&[format!("proglog verify {}", quote(dir))]);
        }
    }
    Ok(status(&tally))
}

/// Prints which records are not compared because a running writer may still hold them.
pub fn pending(report: &Report, dir: &Path) {
    let mut told: Option<(OffsetRange, bool)> = None;
    let tell = |(offsets, unknown): (OffsetRange, bool)| {
        let writer = if unknown {
            "a writer's buffer (cannot tell if a writer has the log open)"
        } else {
            "the writer's buffer"
        };
        let dir = quote(dir);
        say(&format!(
            "note: {dir}: offsets {offsets} may still be in {writer}: not compared"
        ));
    };
    let mut pending: Vec<_> = report
        .findings
        .iter()
        .filter(|it| it.may_be_buffered())
        .collect();
    pending.sort_by_key(|finding| finding.segment);
    for finding in pending {
        let Some(offsets) = finding.offsets else {
            continue;
        };
        match &mut told {
            Some((last, _)) if last.last.checked_add(1) == Some(offsets.first) => {
                last.last = offsets.last;
            }
            _ => {
                if let Some(before) = told.replace((offsets, finding.use_unknown)) {
                    tell(before);
                }
            }
        }
    }
    if let Some(last) = told {
        tell(last);
    }
}

fn status(tally: &Tally) -> Status {
    if tally.damaged > 0 {
        Status::Damage
    } else if tally.is_equal() {
        Status::Done
    } else {
        Status::No
    }
}

/// Only whether they differ: up to the first difference, unless there is damage, which
/// the status must report.
fn quietly(a: &Report, b: &Report, within: OffsetRange) -> anyhow::Result<Status> {
    let damaged = |report: &Report| {
        stretches(report).iter().any(|stretch| {
            matches!(stretch.state, State::Damaged { .. })
                && stretch.offsets.first <= within.last
                && stretch.offsets.last >= within.first
        })
    };
    let may_stop = !damaged(a) && !damaged(b);
    let tally = compare::compare(a, b, within, |range| {
        Ok::<_, Error>(if may_stop && range.verdict != Verdict::Equal {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    Ok(status(&tally))
}

fn compare_files(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let list = |dir: &Path| Listing::of(dir).map_err(|error| explained(dir, error));
    let (a, b) = (list(&arguments.a)?, list(&arguments.b)?);
    let bytes_of = |side: Side, file: &str, position, count| {
        let dir = match side {
            Side::A => &a.directory.dir,
            Side::B => &b.directory.dir,
        };
        bytes_at(&dir.at(file), position, count)
    };
    let mut printer = Printer::new(
        stdout()?,
        arguments.json,
        &bytes_of,
        [&arguments.a, &arguments.b],
    );
    let mut differing = 0;
    let equal = files::compare(&a, &b, |difference| {
        differing += 1;
        if globals.quiet {
            return Ok(ControlFlow::Break(()));
        }
        printer.file(&difference).context(STDOUT)?;
        Ok::<_, anyhow::Error>(ControlFlow::Continue(()))
    })?;
    if !globals.quiet {
        printer.end_of_ranges(None).context(STDOUT)?;
        printer.files_summary(equal, differing).context(STDOUT)?;
    }
    printer.out.flush().context(STDOUT)?;
    Ok(if differing == 0 {
        Status::Done
    } else {
        Status::No
    })
}

impl Arguments {
    /// The selected offsets, of which one of the logs claims some.
    fn within(&self, a: &Report, b: &Report) -> anyhow::Result<OffsetRange> {
        let span = self.selected.span();
        let end = a.next_offset().max(b.next_offset());
        let resolved = span.resolve(end)?;
        span.check_end(resolved.to, a.lowest_offset().min(b.lowest_offset()))?;
        let within = resolved.offsets()?;
        let is_compared = |report: &Report| {
            let mut claimed = stretches(report).into_iter().map(|it| it.offsets);
            claimed.any(|it| it.first <= within.last && it.last >= within.first)
        };
        // Nothing would be compared, and nothing differ.
        if span != Span::default() && ![a, b].into_iter().any(is_compared) {
            span.check_start(within.first, end)?;
            if span.to.is_some() && within.first < end {
                let message = format!("neither log contains {within}");
                return Err(Failure::new(Status::No, message).into());
            }
        }
        Ok(within)
    }
}

/// An error about one of the two directories.
fn explained(dir: &Path, error: Error) -> anyhow::Error {
    match error {
        Error::NotADirectory { .. } => is_a_file(dir, "diff", false).into(),
        error => error.into(),
    }
}
