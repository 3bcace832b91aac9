//! The records of two copies that a manifest proves: if the copies differ, it shows which
//! of them is right, and at the end it shows which records the log had.

use std::io::Cursor;

use crate::inspect::coverage::{State, stretches};
use crate::inspect::finding::{Detail, Finding, OffsetRange};
use crate::inspect::manifest::check::check;
use crate::inspect::manifest::line::{ManifestError, Reader};
use crate::inspect::report::Report;
use crate::log::error::Result;
use crate::mend::runs::assembly::Assembly;
use crate::mend::runs::run::{self, Run};

/// The result of a manifest for two copies.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// Runs that do not fit here and do in the other copy, in the order of offsets.
    taken: Vec<OffsetRange>,
    /// Runs that do not fit in the other copy where they do here, or where it holds
    /// them all the same.
    wrong_there: Vec<OffsetRange>,
    /// After the last record that the manifest has, from the log's end here on without
    /// a break, and that fits in the other copy.
    until: u64,
    /// Whether any run fits in the other copy.
    fits_there: bool,
    /// The mismatches here.
    findings: Vec<Finding>,
}

/// One copy compared with the manifest.
struct Held {
    /// The offsets of its valid records, in order.
    sound: Vec<OffsetRange>,
    findings: Vec<Finding>,
}

impl Held {
    fn of(report: &Report, manifest: &[u8]) -> Result<std::result::Result<Self, ManifestError>> {
        let mut reader = match Reader::open(Cursor::new(manifest)) {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error)),
        };
        let (checked, failure) = check(report, &mut reader)?;
        if let Some(error) = failure {
            return Ok(Err(error));
        }
        let mut sound: Vec<OffsetRange> = Vec::new();
        for stretch in stretches(report) {
            if !matches!(stretch.state, State::Sound { .. }) {
                continue;
            }
            match sound.last_mut() {
                Some(last) if last.last.checked_add(1) == Some(stretch.offsets.first) => {
                    last.last = stretch.offsets.last;
                }
                _ => sound.push(stretch.offsets),
            }
        }
        Ok(Ok(Self {
            sound,
            findings: checked.findings,
        }))
    }

    /// Whether something was found that touches a run. Findings that were only counted
    /// may be about any.
    fn is_found(&self, run: OffsetRange) -> bool {
        self.findings.iter().any(|finding| match finding.offsets {
            Some(range) => range.first <= run.last && run.first <= range.last,
            None => matches!(finding.detail, Detail::Uncounted { .. }),
        })
    }

    fn fits(&self, run: OffsetRange) -> bool {
        let at = self.sound.partition_point(|range| range.last < run.first);
        let held = self.sound.get(at);
        held.is_some_and(|range| range.first <= run.first && run.last <= range.last)
            && !self.is_found(run)
    }
}

/// Compares both copies with a manifest; returns an error if it is unusable.
///
/// # Errors
///
/// Reading's of the logs.
pub fn proof(
    here: &Report,
    there: &Report,
    manifest: &[u8],
) -> Result<std::result::Result<Proof, ManifestError>> {
    let ours = match Held::of(here, manifest)? {
        Ok(held) => held,
        Err(error) => return Ok(Err(error)),
    };
    let theirs = match Held::of(there, manifest)? {
        Ok(held) => held,
        Err(error) => return Ok(Err(error)),
    };
    let mut proof = Proof {
        until: here.next_offset().0,
        ..Proof::default()
    };
    let mut reader = match Reader::open(Cursor::new(manifest)) {
        Ok(reader) => reader,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let run = match reader.next_run() {
            Ok(Some(run)) => run.offsets,
            Ok(None) => break,
            Err(error) => return Ok(Err(error)),
        };
        let (here_fits, there_fits) = (ours.fits(run), theirs.fits(run));
        proof.fits_there |= there_fits;
        if there_fits && !here_fits {
            proof.taken.push(run);
        }
        if there_fits && run.first.0 <= proof.until {
            proof.until = proof.until.max(run.last.0.saturating_add(1));
        }
        if !there_fits && (here_fits || theirs.is_found(run)) {
            proof.wrong_there.push(run);
        }
    }
    proof.findings = ours.findings;
    Ok(Ok(proof))
}

impl Proof {
    /// How far the log reaches at least, if it has records up to `end`.
    pub(super) fn until(&self) -> u64 {
        self.until
    }

    /// Whether the other copy is known for one of this log.
    pub(super) fn fits_there(&self) -> bool {
        self.fits_there
    }

    /// Our runs without the records to be replaced.
    pub(super) fn ours(&self, runs: Vec<Run>) -> Result<Vec<Run>> {
        without(runs, &self.taken)
    }

    /// Their runs without what does not fit.
    pub(super) fn theirs(&self, runs: Vec<Run>) -> Result<Vec<Run>> {
        without(runs, &self.wrong_there)
    }

    /// The remaining mismatches here after these segments are assembled.
    pub(super) fn left(&self, assemblies: &[Assembly]) -> Vec<Finding> {
        let mut made: Vec<(u64, u64)> = assemblies
            .iter()
            .flat_map(|made| made.parts.iter())
            .map(|part| (part.run.first, part.run.next))
            .collect();
        made.sort_unstable();
        let taken = self.taken.iter();
        let mut proven: Vec<(u64, u64)> = taken
            .map(|run| (run.first.0, run.last.0.saturating_add(1)))
            .collect();
        proven.sort_unstable();
        let mended = |range: OffsetRange| covers(&made, range) && covers(&proven, range);
        let findings = self.findings.iter();
        findings
            .filter(|finding| !finding.offsets.is_some_and(mended))
            .cloned()
            .collect()
    }
}

/// Whether ranges, in order and with their ends excluded, hold all of another.
fn covers(ranges: &[(u64, u64)], range: OffsetRange) -> bool {
    let mut at = range.first.0;
    for (first, next) in ranges {
        if *first <= at && at < *next {
            at = *next;
        }
    }
    at > range.last.0
}

/// Runs without some offsets; `gone` is in order.
fn without(runs: Vec<Run>, gone: &[OffsetRange]) -> Result<Vec<Run>> {
    let mut kept = Vec::new();
    let mut cursor = run::Cursor::default();
    for run in runs {
        let mut at = run.first;
        let first = gone.partition_point(|range| range.last.0 < run.first);
        for range in gone.get(first..).unwrap_or_default() {
            if range.first.0 >= run.next {
                break;
            }
            kept.extend(run.clip(at, range.first.0, &mut cursor)?);
            at = at.max(range.last.0.saturating_add(1));
        }
        kept.extend(run.clip(at, run.next, &mut cursor)?);
    }
    Ok(kept)
}
