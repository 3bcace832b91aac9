//! Which records a copy of a log holds, and where their frames are: as runs, each of
//! frames that follow each other. Those are the records that a repair would leave; every
//! byte of them has been read. What becomes of them is for others.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::run::{Run, StoreFile};
use crate::inspect::report::{Report, SegmentReport};
use crate::inspect::scan::SegmentFacts;
use crate::log::damage::Damage;
use crate::log::dir::FilePath;
use crate::log::error::Result;
use crate::log::format::{FileKind, LENGTH_BYTES};
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::units::Offset;
use crate::log::walk::{Committed, Flow, Visitor, record_at};
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};
use crate::mend::entries;
use crate::mend::plan::{NewEntries, Plan, Step};
use crate::scan::account::{Account, Doubt};

/// The records of the copy with this report, in the order of segments and slots. `plan`
/// is the plan of its repair.
///
/// # Errors
///
/// Reading's; unreadable bytes cost their records only.
pub fn of(report: &Report, plan: &Plan) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for segment in &report.segments {
        runs.extend(of_segment(report, segment, plan)?);
    }
    Ok(runs)
}

/// The records of one segment, in the order of their slots.
///
/// # Errors
///
/// As [`of`].
pub fn of_segment(report: &Report, segment: &SegmentReport, plan: &Plan) -> Result<Vec<Run>> {
    let names = &segment.listing.names;
    let path = report.listing.directory.file(names, FileKind::Store);
    let codec = report.codec.unwrap_or(Codec::Raw);
    let base = segment.listing.base();
    let mut next_slot = 0;
    let store = if let Some(facts) = &segment.facts {
        next_slot = facts.next_slot();
        segment.open(&report.listing.directory)?
    } else if let Some(tail) = segment.lone_store() {
        let mut store = ReadFile::open(&path)?;
        store.file_bytes = store.file_bytes.min(tail.bytes);
        Segment {
            base,
            index: store.clone(),
            store,
            entries: None,
            next_base: None,
        }
    } else {
        return Ok(Vec::new());
    };
    let mut found = Found::new(base, path, store.store.clone());
    let account = segment.account.as_deref();
    found.doubtful = account.filter(|account| !account.doubts.is_empty());
    if segment.facts.is_some() {
        let entries = store.entries_or_slots(codec)?;
        let _ = store
            .walk(codec, entries, STREAM_BYTES)
            .run(entries, &mut found)?;
    }
    // Frames that no entry names and that a repair would make records.
    for step in &plan.steps {
        match step.clone() {
            Step::BuildIndex { base: of, entries } if of == base => {
                found.adopt(&store.store, codec, &entries)?;
            }
            Step::WriteEntries { base: of, entries }
                if of == base && entries.first_slot >= next_slot && found.doubtful.is_none() =>
            {
                found.adopt(&store.store, codec, &entries)?;
            }
            _ => {}
        }
    }
    if let Some(account) = found.doubtful.filter(|_| segment.facts.is_some()) {
        found.adopt(
            &store.store,
            codec,
            &NewEntries::new(account.writes.clone()),
        )?;
        found.runs.sort_by_key(|run| run.first);
    }
    if let Some((_, end)) = undecided(segment) {
        found.leave_out(end);
    }
    Ok(found.runs)
}

/// Adds frames of the store that the others are in, to the last run where they follow.
pub fn push(runs: &mut Vec<Run>, frames: Run) {
    match runs.last_mut() {
        Some(last) if last.next == frames.first && last.end == frames.position => {
            (last.next, last.end) = (frames.next, frames.end);
        }
        _ => runs.push(frames),
    }
}

/// The last record of a segment, and where it ends, if nothing shows whether it is empty or
/// was another one.
#[must_use]
pub fn undecided(segment: &SegmentReport) -> Option<(Offset, u64)> {
    let account = segment.account.as_ref()?;
    let last = account.end_slot.checked_sub(1)?;
    let is_undecided = account.doubts.contains(&Doubt::ZerosOrRecord);
    let offset = segment.listing.base().saturating_add(last);
    is_undecided.then_some((offset, account.records_end))
}

/// Number of offsets that a segment claims by its entries, valid or not.
#[must_use]
pub fn claimed(segment: &SegmentReport) -> u64 {
    let by_entries = |facts: &SegmentFacts| facts.claimed_end().since(facts.base);
    let account = segment.account.as_ref();
    segment
        .facts
        .as_ref()
        .map_or(segment.lone_index().unwrap_or(0), by_entries)
        .max(account.map_or(0, |account| account.promised_end))
}

/// The runs of one segment while they are being found.
struct Found<'a> {
    base: Offset,
    file: Arc<StoreFile>,
    /// For reads besides the walk: large values, frames that damaged entries hide.
    window: Window,
    runs: Vec<Run>,
    /// The account, if a person must decide: then the entries that it would write are right,
    /// and those in their slots wrong, whatever they name.
    doubtful: Option<&'a Account>,
}

impl Found<'_> {
    fn new(base: Offset, path: FilePath, store: ReadFile) -> Self {
        Self {
            base,
            file: Arc::new(StoreFile {
                path,
                segment: base,
            }),
            window: Window::new(store, LOOKUP_BYTES),
            runs: Vec::new(),
            doubtful: None,
        }
    }

    /// Whether the account says that the entry of a slot is wrong.
    fn is_wrong(&self, slot: u64) -> bool {
        self.doubtful.is_some_and(|account| {
            let after = account.writes.partition_point(|run| run.first_slot <= slot);
            let run = after.checked_sub(1).and_then(|at| account.writes.get(at));
            run.is_some_and(|run| slot - run.first_slot < run.count)
        })
    }

    fn add(&mut self, slot: u64, position: u64, end: u64) {
        // The offset after a record must be one too: readers name the end by it.
        let next = slot
            .checked_add(1)
            .and_then(|next| self.base.checked_add(next));
        let (Some(first), Some(next)) = (self.base.checked_add(slot), next) else {
            return;
        };
        push(
            &mut self.runs,
            Run {
                store: Arc::clone(&self.file),
                first: first.0,
                next: next.0,
                position,
                end,
            },
        );
    }

    /// Leaves out the last record, which is empty and ends at `end`.
    fn leave_out(&mut self, end: u64) {
        if let Some(last) = self.runs.pop_if(|last| last.end == end)
            && last.records() > 1
        {
            self.runs.push(Run {
                next: last.next - 1,
                end: end - LENGTH_BYTES,
                ..last
            });
        }
    }

    /// Adds the frame at `position`, whose entry is wrong or cannot be read; returns its
    /// end.
    fn add_hidden(&mut self, slot: u64, position: u64) -> Result<Option<u64>> {
        let Some(end) = self.window.frame_end_at(position)? else {
            return Ok(None);
        };
        if self.window.is_readable(position, end.0)? {
            self.add(slot, position, end.0);
        }
        Ok(Some(end.0))
    }

    fn adopt(&mut self, store: &ReadFile, codec: Codec, wanted: &NewEntries) -> Result<()> {
        // The others keep the place of the damaged ones.
        for run in wanted.runs.iter().filter(|run| run.follow) {
            let mut places = Vec::new();
            entries::make(store, &NewEntries::new(vec![*run]), |entry| {
                places.push((u64::from(entry.relative.0), entry.position.0));
                // Not one by one in memory forever: they follow each other most often.
                if places.len() >= 4096 {
                    self.adopt_frames(codec, places.drain(..))?;
                }
                Ok(())
            })?;
            self.adopt_frames(codec, places.into_iter())?;
        }
        Ok(())
    }

    fn adopt_frames(
        &mut self,
        codec: Codec,
        places: impl Iterator<Item = (u64, u64)>,
    ) -> Result<()> {
        for (slot, position) in places {
            if codec == Codec::Raw || self.carries(slot, position)? {
                self.add_hidden(slot, position)?;
            }
        }
        Ok(())
    }

    /// Whether the frame at `position` is the record of `slot` in a protobuf log.
    fn carries(&mut self, slot: u64, position: u64) -> Result<bool> {
        let record = record_at(&mut self.window, position)?;
        let offset = self.base.checked_add(slot);
        Ok(record.is_some_and(|(_, record)| offset == Some(Offset(record.offset))))
    }
}

impl Visitor for Found<'_> {
    const PAYLOADS: bool = true;

    fn record(&mut self, record: &Committed<'_>) -> Result<Flow> {
        let begin = record.position.0;
        let end = begin
            .saturating_add(LENGTH_BYTES)
            .saturating_add(record.payload_bytes);
        if self.is_wrong(record.slot) {
            return Ok(ControlFlow::Continue(()));
        }
        if record.payload.is_some() || self.window.is_readable(begin, end)? {
            self.add(record.slot, begin, end);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        if let Some(frame) = damage.frame
            && damage.record_whole
            && self.doubtful.is_none()
        {
            let mut position = frame.0;
            for slot in damage.first_slot..=damage.last_slot {
                match self.add_hidden(slot, position)? {
                    Some(end) => position = end,
                    None => break,
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
