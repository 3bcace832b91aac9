//! The manifest that a log is compared with: its source, and the messages if it cannot be
//! used.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::path::Path;

use anyhow::Context;
use proglog::inspect::manifest::check::{Checked, check};
use proglog::inspect::manifest::line::{ManifestError, Reader};
use proglog::inspect::report::Report;

use crate::commands::{Failure, Status, say};
use crate::render::prose::count;

/// A manifest of which the first line was read.
pub struct Manifest {
    reader: Reader<BufReader<Box<dyn Read>>>,
}

/// The outcome.
pub struct Held {
    /// The result.
    pub checked: Checked,
    failure: Option<ManifestError>,
}

/// Opens a manifest: a file, or stdin.
pub fn open(path: &Path) -> anyhow::Result<Manifest> {
    of_input(input(path)?)
}

fn input(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    Ok(if path == Path::new("-") {
        if io::stdin().is_terminal() {
            say("reading the manifest from the terminal; Ctrl-D ends");
        }
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| path.display().to_string())?)
    })
}

fn of_input(input: Box<dyn Read>) -> anyhow::Result<Manifest> {
    let reader = Reader::open(BufReader::new(input)).map_err(|error| explained(&error))?;
    Ok(Manifest { reader })
}

/// All of a manifest, where it is read more than once: about 200 bytes for each
/// thousand records.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = input(path)?.read_to_end(&mut bytes);
    read.with_context(|| path.display().to_string())?;
    Ok(bytes)
}

/// The manifest that was read so.
pub fn of_bytes(bytes: Vec<u8>) -> anyhow::Result<Manifest> {
    of_input(Box::new(io::Cursor::new(bytes)))
}

impl Manifest {
    /// Holds the log against it; what does not fit is added to the report.
    pub fn check(&mut self, report: &mut Report) -> anyhow::Result<Held> {
        let (mut checked, failure) = check(report, &mut self.reader)?;
        report.add_findings(std::mem::take(&mut checked.findings));
        if let Some(summary) = self.reader.summary().filter(|summary| summary.damaged) {
            say(&format!(
                "the manifest was made from a damaged log: it covers only {} that were valid",
                count(summary.records, "record")
            ));
        }
        if checked.runs > 1 && checked.same == 0 {
            say("hint: no run matches: is it the manifest of another log?");
        }
        Ok(Held { checked, failure })
    }
}

impl Held {
    /// The status of a scan that ended so: a manifest that cannot be read to its end is
    /// one that could not be compared with all of the log.
    pub fn status(&self, status: Status) -> anyhow::Result<Status> {
        match &self.failure {
            None => Ok(status),
            Some(error) => Err(explained(error)),
        }
    }
}

/// The error of an unusable manifest.
pub fn explained(error: &ManifestError) -> anyhow::Error {
    let failure = Failure::new(Status::Failed, error.to_string());
    let hint = match error {
        ManifestError::Io(_) => return failure.into(),
        ManifestError::Empty | ManifestError::CutOff { .. } => {
            "fetch it again: a complete manifest ends with a summary (set -o pipefail reports a \
             failed ssh)"
        }
        ManifestError::Malformed { .. } => "a manifest is what the command `manifest` prints",
        ManifestError::OtherCodec { .. } => {
            "the command `diff` compares the values of two logs, whatever their codecs"
        }
    };
    failure.hint(hint).into()
}
