//! The plan of `redact`: the values of records are overwritten in place, so that lengths,
//! offsets and entries stay as they are; and where else the old values may be.
//!
//! Nothing of an old value is saved, so a crash leaves each sector of it as it was or
//! overwritten. The same command, run again, completes it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;

use super::plan::{Plan, Step};
use super::saved::{ChangeKind, MANIFEST, read_manifest};
use crate::inspect::finding::OffsetRange;
use crate::inspect::listing::Listing;
use crate::inspect::report::{Options, Report};
use crate::log::dir::Dir;
use crate::log::directory::Directory;
use crate::log::error::{Error, Result};
use crate::log::format::{FileKind, parse_name};
use crate::log::reader::{Item, LogReader, Obstacle};
use crate::log::units::Offset;
use crate::log::window::{LOOKUP_BYTES, ReadFile, Window};

/// Levels of directories below the log's parent that are searched: a saved change is in
/// the first to the third.
const LEVELS: usize = 3;

/// Names that are inspected in all of them.
const NAMES_MAX: usize = 100_000;

/// Values that are to be overwritten.
pub struct Redaction {
    /// How.
    pub plan: Plan,
    /// The offsets of the records, and how long their values are.
    values: BTreeMap<Offset, u64>,
}

/// Why nothing is overwritten.
#[derive(Debug)]
pub enum Refused {
    /// No record has this offset.
    Missing(Offset),
    /// The record at this offset is damaged, or it is not certain which one it is.
    Damaged(Offset, Obstacle),
}

/// Plans to write `byte` over the values of the records in `ranges`, all of which must be
/// there.
///
/// # Errors
///
/// Reading's.
pub fn plan(
    report: &Report,
    ranges: &[OffsetRange],
    byte: u8,
) -> Result<std::result::Result<Redaction, Refused>> {
    let directory = &report.listing.directory;
    let mut log = LogReader::open_in(&directory.dir)?;
    if let Some(codec) = report.codec {
        log.set_codec(codec);
    }
    let codec = log.codec()?;
    let mut values = BTreeMap::new();
    let mut places = BTreeMap::<Offset, Vec<Range<u64>>>::new();
    let mut refused = None;
    for range in ranges {
        let mut next = range.first;
        let mut window: Option<(Offset, Window)> = None;
        let _ = log.read::<Error>(range.first, range.last.saturating_add(1), |item| {
            let record = match item {
                Item::Record(record) if record.offset == next => record,
                Item::Record(_)
                | Item::Obstacle {
                    obstacle: Obstacle::Gap,
                    ..
                } => return Ok(ControlFlow::Break(())),
                Item::Obstacle {
                    obstacle, first, ..
                } => {
                    refused = Some(Refused::Damaged(first.max(next), obstacle));
                    return Ok(ControlFlow::Break(()));
                }
            };
            next = record.offset.saturating_add(1);
            let known = window.take().filter(|(base, _)| *base == record.segment);
            let (_, window) = window.insert(match known {
                Some(known) => known,
                None => (record.segment, store_of(directory, record.segment)?),
            });
            if values.insert(record.offset, record.value.len()).is_none() {
                let of_segment = places.entry(record.segment).or_default();
                of_segment.extend(record.values_in(window, codec)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if refused.is_none() && next <= range.last {
            refused = Some(Refused::Missing(next));
        }
        if let Some(refused) = refused {
            return Ok(Err(refused));
        }
    }
    let mut plan = Plan::over(report);
    for (base, mut values) in places {
        values.retain(|value| !value.is_empty());
        values.sort_by_key(|value| value.start);
        if !values.is_empty() {
            plan.steps.push(Step::Overwrite {
                base,
                values: values.into(),
                byte,
            });
        }
    }
    Ok(Ok(Redaction { plan, values }))
}

fn store_of(directory: &Directory, base: Offset) -> Result<Window> {
    let names = directory.segment(base).ok_or_else(|| Error::NoSegment {
        path: directory.path.clone(),
        base,
    })?;
    let store = ReadFile::open(&directory.file(names, FileKind::Store))?;
    Ok(Window::new(store, LOOKUP_BYTES))
}

/// Where an old value may still be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// In a saved change.
    Saved(PathBuf),
    /// In another log, in a record of the same offset and length, or where it is damaged.
    Log(PathBuf),
    /// In bytes of this log that are no record.
    Unreferenced,
}

/// The places where old values may still be.
#[derive(Debug, Default)]
pub struct Holders {
    /// In their order.
    pub places: Vec<Holder>,
    /// Whether all directories below the log's parent were searched, as far as a saved
    /// change may be.
    pub all: bool,
}

impl Redaction {
    /// Number of records.
    #[must_use]
    pub fn records(&self) -> usize {
        self.values.len()
    }

    /// Searches this log, and the directories below the parent of `log`, for places where
    /// old values may still be.
    ///
    /// # Errors
    ///
    /// Reading's, of this log.
    pub fn holders(&self, log: &Dir, options: &Options) -> Result<Holders> {
        let mut holders = Holders {
            places: Vec::new(),
            all: true,
        };
        for base in self.plan.changed() {
            let options = Options {
                segment: Some(base),
                quick: false,
                ..*options
            };
            let report = Report::over(Listing::of_dir(log)?, &options)?;
            if report.findings.iter().any(|it| !it.id.is_about_names()) {
                holders.places.push(Holder::Unreferenced);
                break;
            }
        }
        let parent = log.in_parent().map_err(Error::io("access", log.path()))?;
        if let Some(parent) = parent {
            self.search(parent.dir(), log, &mut holders);
        }
        holders.places.sort();
        Ok(holders)
    }

    fn search(&self, parent: &Dir, log: &Dir, holders: &mut Holders) {
        let mut waiting = vec![(parent.clone(), 0)];
        let mut looked_at = 0;
        while let Some((dir, level)) = waiting.pop() {
            let Ok(names) = dir.names() else {
                holders.all = false;
                continue;
            };
            let path = dir.path().to_path_buf();
            if is_saved(&names) {
                if may_hold(&dir) {
                    holders.places.push(Holder::Saved(path));
                }
                continue;
            }
            if level > 0 && names.iter().any(|name| is_store(name)) {
                if self.may_be_in(&dir) {
                    holders.places.push(Holder::Log(path));
                }
                continue;
            }
            if level == LEVELS {
                continue;
            }
            for name in names {
                looked_at += 1;
                if looked_at > NAMES_MAX {
                    holders.all = false;
                    return;
                }
                let at = dir.at(&name);
                if !at.link_metadata().is_ok_and(|it| it.is_dir()) {
                    continue;
                }
                match at.open_dir() {
                    Ok(below) if below.identity() == log.identity() => {}
                    // What is mounted there is another disk, which may not answer.
                    Ok(below) if below.identity().device == parent.identity().device => {
                        waiting.push((below, level + 1));
                    }
                    _ => holders.all = false,
                }
            }
        }
    }

    /// Whether another log has a record at one of these offsets that may be the same.
    fn may_be_in(&self, dir: &Dir) -> bool {
        let Ok(mut log) = LogReader::open_in(dir) else {
            return true;
        };
        self.values.iter().any(|(offset, bytes)| {
            let mut may_be = false;
            let looked = log.lookup::<Error>(*offset, |item| {
                may_be |= match item {
                    Item::Record(record) if record.value.len() == *bytes => {
                        record.value.redacted()?.is_none()
                    }
                    Item::Record(_) => false,
                    Item::Obstacle { obstacle, .. } => obstacle != Obstacle::Gap,
                };
                Ok(ControlFlow::Continue(()))
            });
            may_be || looked.is_err()
        })
    }
}

/// Whether names are those in a saved directory, which may be incomplete.
fn is_saved(names: &[OsString]) -> bool {
    let is_copy = |name: &OsString| {
        let name = name.to_str().and_then(|name| name.split_once('.'));
        name.is_some_and(|(number, extension)| {
            number.parse::<usize>().is_ok() && ["before", "after", "moved"].contains(&extension)
        })
    };
    names.iter().any(|name| name == MANIFEST || is_copy(name))
}

fn is_store(name: &OsStr) -> bool {
    parse_name(name).is_some_and(|name| name.kind == FileKind::Store)
}

/// Whether a saved directory holds bytes of a store, as far as it is known.
fn may_hold(saved: &Dir) -> bool {
    let Ok(Some(manifest)) = read_manifest(saved) else {
        return true;
    };
    manifest.changes.iter().any(|change| {
        let makes = matches!(change.kind, ChangeKind::Create { .. });
        !makes && is_store(OsStr::new(&change.file))
    })
}
