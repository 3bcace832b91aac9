//! `proglog manifest DIR`: digests of the records, to be kept outside of the log.
//!
//! ```console
//! $ proglog manifest log > log.manifest
//! $ proglog verify log --manifest log.manifest
//! log: 3 segments, 60 intact records, offsets 0..59, protobuf, not in use
//! manifest: 3 of 3 runs fit, 60 records
//! ok: 3 segments, 60 records, offsets 0..59 (values checked up to offset 59)
//! $ ssh b proglog manifest /srv/log | proglog verify /srv/log --manifest -
//! ```
//!
//! Damaged records get no digest: a manifest must not call them right.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use proglog::inspect::finding::{FindingId, Severity};
use proglog::inspect::manifest::make::{Part, make};
use proglog::inspect::manifest::{Header, line};
use proglog::inspect::report::{Options, Report};
use proglog::log::error::Error;
use proglog::log::record::Codec;

use super::diff::pending;
use super::dump::is_a_file;
use super::progress::Bar;
use super::{Failure, Globals, Status, options, quote, say, stdout};

const EXAMPLES: &str = "\
proglog manifest log > log.manifest       not inside the log's directory
proglog verify log --manifest log.manifest
ssh b proglog manifest /srv/log | proglog verify /srv/log --manifest -";

const NOTES: &str = "\
Prints JSON lines: a BLAKE3 digest for each run of up to 1024 records or 1 MiB,
one for each segment, and a summary at the end, without which a manifest is
incomplete. A manifest covers the records that were committed when it was made;
the log may have grown since. Damaged records get no digest (status 3).";

/// Print checksums for `verify --manifest`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
    /// Print JSON lines (always the case)
    #[arg(long)]
    json: bool,
}

/// Takes the digests and prints them.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let options = Options {
        codec: arguments.codec,
        ask_usage: true,
        ..Options::default()
    };
    let bar = Bar::for_output("manifest", &arguments.dir, Some(1), globals);
    let report = Report::of(&arguments.dir, &options).map_err(|error| match error {
        Error::NotADirectory { .. } => is_a_file(&arguments.dir, "manifest", false).into(),
        error => anyhow::Error::from(error),
    })?;
    report.require_any_ours()?;
    let mut out = stdout()?;
    let header = Header {
        codec: report.codec,
    };
    writeln!(out, "{}", line::header(header)).context("cannot write to stdout")?;
    if !globals.quiet {
        pending(&report, &arguments.dir);
    }
    let summary = make(&report, |part| {
        if let Part::Unreadable(offsets) = part {
            say(&format!(
                "error: offsets {offsets} cannot be read: no digest"
            ));
        }
        if let Some(line) = line::part(&part) {
            writeln!(out, "{line}").context("cannot write to stdout")?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    drop(bar);
    writeln!(out, "{}", line::summary(&summary)).context("cannot write to stdout")?;
    out.flush().context("cannot write to stdout")?;
    if !summary.damaged {
        return Ok(Status::Done);
    }
    let errors = report.findings.iter().filter(|finding| {
        finding.severity == Severity::Error && finding.id != FindingId::SegmentGap
    });
    let mut ids: Vec<&str> = errors.map(|finding| finding.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let why = match ids.as_slice() {
        [] => String::new(),
        ids => format!(" ({})", ids.join(", ")),
    };
    let dir = quote(&arguments.dir);
    let message = format!("{dir} is damaged{why}: the manifest covers the valid records only");
    Err(Failure::new(Status::Damage, message)
        .hint("repair the log, then make the manifest again:")
        .hint(format!("proglog verify {dir}"))
        .into())
}
