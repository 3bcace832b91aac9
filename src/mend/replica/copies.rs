//! Two copies of one log, before anything is compared: that they are two, which codec
//! both have, and which of their records no other process claims.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::layout::Wanted;
use crate::inspect::listing::{FileFacts, Listing};
use crate::inspect::report::{Options, Report, SegmentReport};
use crate::inspect::scan::SegmentFacts;
use crate::log::damage::DamageKind;
use crate::log::detect::judge;
use crate::log::dir::Identity;
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::log::window::ReadFile;
use crate::mend::runs::assembly::Part;
use crate::mend::runs::run::{Frames, Run};

/// Inspects both copies with one codec: that of the copy whose records show it.
///
/// # Errors
///
/// [`Error::CodecContradicts`] where each has its own; [`Error::Config`] where the copy
/// is not a copy but the log itself; as [`Report::of`].
pub fn look(here: Report, replica: &Path, options: &Options) -> Result<(Report, Report)> {
    let there = Report::of(replica, options)?;
    refuse_itself(&here, &there)?;
    let again = |report: &Report, codec| {
        let options = Options {
            codec: Some(codec),
            ..*options
        };
        Report::over(Listing::of_dir(&report.listing.directory.dir)?, &options)
    };
    match (here.codec, there.codec) {
        (Some(found), Some(asked)) if found != asked => {
            // The codec guessed from uncommitted bytes is replaced by that of the other
            // copy.
            if is_uncertain(&here)? && !is_uncertain(&there)? {
                let here = again(&here, asked)?;
                if shows_frames(&here) {
                    return Ok((here, there));
                }
            }
            // Damage may hide a codec; records that have their own offsets show it.
            let protobuf = (
                again(&here, Codec::Protobuf)?,
                again(&there, Codec::Protobuf)?,
            );
            let shows = |report: &Report| report.records() > 0;
            if shows(&protobuf.0) && shows(&protobuf.1) {
                return Ok(protobuf);
            }
            Err(Error::CodecContradicts {
                path: replica.to_path_buf(),
                found: asked,
                asked: found,
            })
        }
        (None, Some(codec)) => Ok((again(&here, codec)?, there)),
        (Some(codec), None) => {
            let there = again(&there, codec)?;
            Ok((here, there))
        }
        _ => Ok((here, there)),
    }
}

/// Whether a codec was judged by unacknowledged bytes.
fn is_uncertain(report: &Report) -> Result<bool> {
    let facts = report.segments.iter().filter_map(|it| it.facts.as_ref());
    let is_committed = facts.map(|facts| facts.entries).any(|entries| entries > 0);
    let judged = judge(&report.listing.directory)?;
    Ok(!is_committed || judged.is_none_or(|judged| !judged.certain))
}

/// Whether frames that no entry names would be records.
fn shows_frames(report: &Report) -> bool {
    report.segments.iter().any(|segment| {
        let tail = segment.facts.as_ref().map(SegmentFacts::tail);
        let tail = segment.lone_store().copied().or(tail);
        tail.is_some_and(|tail| tail.continuing > 0)
    })
}

/// A hard link or another path of the log's own files is no copy of them.
fn refuse_itself(here: &Report, there: &Report) -> Result<()> {
    let inodes = |report: &Report| -> HashSet<Identity> {
        let directory = &report.listing.directory;
        let files = report.listing.segments.iter().flat_map(|segment| {
            [FileKind::Store, FileKind::Index]
                .into_iter()
                .filter(|kind| segment.file(*kind).is_some())
                .map(|kind| directory.file(&segment.names, kind))
        });
        files
            .filter_map(|path| path.metadata().ok())
            .map(|file| file.identity())
            .collect()
    };
    if inodes(here).is_disjoint(&inodes(there)) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "{}: contains files of the log itself, under another name: it is not a copy",
        there.listing.path().display()
    )))
}

/// Runs of which no other has the same offsets.
pub(super) fn unambiguous(mut runs: Vec<Run>) -> Vec<Run> {
    runs.sort_by_key(|run| run.first);
    let mut clear: Vec<Run> = Vec::new();
    let mut reached = 0;
    let mut doubted = false;
    for run in runs {
        if run.first < reached {
            if !doubted {
                clear.pop();
            }
            doubted = true;
        } else {
            doubted = false;
        }
        reached = reached.max(run.next);
        if !doubted {
            clear.push(run);
        }
    }
    clear
}

/// The segments of which another has the same offsets, or that have them twice.
pub(super) fn contested(here: &Report, runs: &[Run]) -> BTreeSet<Offset> {
    let mut runs: Vec<&Run> = runs.iter().collect();
    runs.sort_by_key(|run| run.first);
    let mut found = BTreeSet::new();
    let mut widest: Option<&Run> = None;
    for run in runs {
        if let Some(before) = widest
            && run.first < before.next
        {
            found.insert(before.store.segment);
            found.insert(run.store.segment);
        }
        if widest.is_none_or(|before| run.next > before.next) {
            widest = Some(run);
        }
    }
    for segment in &here.segments {
        let account = segment.account.as_ref();
        if account.is_some_and(|account| !account.contested.is_empty()) {
            found.insert(segment.listing.base());
        }
        if let Some(facts) = &segment.facts
            && let Some(damage) = facts.first_damage(DamageKind::Misaligned)
            && damage.first_slot < facts.entries
        {
            found.insert(facts.base);
        }
    }
    found
}

/// Whether a segment is one that can be changed: regular files in our own layout.
pub(super) fn is_plain(segment: &SegmentReport) -> bool {
    let plain = |file: &FileFacts| file.no_file.is_none() && !file.is_link;
    let files = [&segment.listing.store, &segment.listing.index];
    segment.layout.is_none() && files.into_iter().flatten().all(plain)
}

/// Whether a store holds more than its entries name, or their positions are unknown.
pub(super) fn has_more(segment: &SegmentReport) -> bool {
    let facts = segment.facts.as_ref();
    let tail = segment
        .lone_store()
        .copied()
        .or(facts.map(SegmentFacts::tail));
    tail.is_some_and(|tail| tail.bytes > tail.zero_bytes)
}

/// The offset of the first frame of a part that does not begin before `limit`.
pub(super) fn first_behind(part: &Part, limit: u64) -> Result<u64> {
    let mut frames = Frames::new(ReadFile::open(&part.run.store.path)?, &part.run);
    for offset in part.run.first..part.run.next {
        let (begin, _) = frames.next_frame()?;
        if part.at + (begin - part.run.position) >= limit {
            return Ok(offset);
        }
    }
    Ok(part.run.next)
}

/// The end of the runs that continue from `from` without a gap.
pub(super) fn reaches(wanted: &Wanted, from: u64) -> u64 {
    let mut at = from;
    for (run, _) in wanted {
        if run.first != at {
            break;
        }
        at = run.next;
    }
    at
}
