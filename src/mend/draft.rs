//! Indexes that are made while their stores are looked at, so that a repair reads each
//! store once: entries go to a file without a name, which a plan that wants them gives
//! one. Before that they are read back. What cannot be drafted is made as the plan says.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::plan::{NewEntries, Plan, Step};
use crate::inspect::look::Drafting;
use crate::inspect::rounds;
use crate::inspect::run::{FrameSink, Mark};
use crate::log::dir::Dir;
use crate::log::disk::{Disk, DiskFile, Ownership, write_all_at};
use crate::log::error::{Error, Result};
use crate::log::format::{ENTRY_BYTES, Entry};
use crate::log::threads;
use crate::log::units::{Offset, Position, RelativeOffset};
use crate::log::window::ReadFile;

/// Entries that are written or read at once.
const BLOCK_ENTRIES: usize = 20 * 1024;

/// Entries that one thread reads back in one go.
const PART_ENTRIES: u64 = 64 * BLOCK_ENTRIES as u64;

/// Drafts at once: each is an open file.
const DRAFTS_MAX: usize = 64;

/// Descriptors that drafts leave to others: what must be opened beside the files that
/// change, by each thread of a look too.
const SPARE_DESCRIPTORS: usize = 32;

/// The drafts of a repair, by their segment's base.
pub struct Drafts {
    disk: Arc<dyn Disk>,
    directory: OnceLock<Dir>,
    begun: Mutex<BTreeMap<Offset, Arc<Draft>>>,
    made: Mutex<BTreeMap<Offset, u64>>,
}

impl Drafts {
    /// For a repair of a log that is not locked yet.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            directory: OnceLock::new(),
            begun: Mutex::default(),
            made: Mutex::default(),
        }
    }

    /// The log is in this directory. Before that is known nothing is drafted.
    pub fn begin_in(&self, directory: &Dir) {
        let _ = self.directory.set(directory.clone());
    }

    /// How many entries of which segments are those that were drafted and read back, now
    /// that the plan has been carried out.
    #[must_use]
    pub fn made(&self) -> BTreeMap<Offset, u64> {
        lock(&self.made).clone()
    }

    /// Whether as many files can still be opened as others may need.
    pub(super) fn leave_descriptors(&self) -> bool {
        self.directory.get().is_none_or(|directory| {
            let spare = (0..SPARE_DESCRIPTORS).map(|_| directory.reopen());
            spare.collect::<std::io::Result<Vec<_>>>().is_ok()
        })
    }

    /// Drops all drafts: their indexes are made as the plan says.
    pub(super) fn give_up(&self) {
        lock(&self.begun).clear();
    }

    /// Drops the drafts that a plan has no use for: other steps may need their room.
    pub(super) fn keep_for(&self, plan: &Plan) {
        let builds = |base: &Offset| {
            let of_it =
                |step: &Step| matches!(step, Step::BuildIndex { base: it, .. } if it == base);
            plan.steps.iter().any(of_it)
        };
        lock(&self.begun).retain(|base, draft| draft.whole().is_some() && builds(base));
    }

    /// The draft of a segment, if it holds the first of the entries that are wanted, those
    /// of frames that follow each other, and no others.
    pub(super) fn take(&self, base: Offset, wanted: &NewEntries) -> Option<Arc<Draft>> {
        let draft = lock(&self.begun).remove(&base)?;
        let (next, _) = draft.whole()?;
        let run = wanted.runs.first()?;
        let begins = run.first_slot == 0 && run.position == Position(0) && run.follow;
        (begins && next.slot <= run.count).then_some(draft)
    }

    /// Notes that the first so many entries of an index are as drafted.
    pub(super) fn note(&self, base: Offset, slots: u64) {
        lock(&self.made).insert(base, slots);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drafting for Drafts {
    fn begin(&self, base: Offset, store: &ReadFile) -> Option<Arc<dyn FrameSink>> {
        let directory = self.directory.get()?;
        let mut begun = lock(&self.begun);
        if begun.len() >= DRAFTS_MAX || !self.leave_descriptors() {
            return None;
        }
        let owner = Some(Ownership::of(store.file()).ok()?);
        // No room, or no files without a name here: whoever makes the index tells.
        let file = self.disk.create_unnamed(directory, owner).ok()?;
        let draft = Arc::new(Draft {
            disk: Arc::clone(&self.disk),
            file,
            failed: AtomicBool::new(false),
            entries: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            whole: OnceLock::new(),
        });
        begun.insert(base, Arc::clone(&draft));
        Some(draft)
    }
}

/// An index without a name.
pub(super) struct Draft {
    disk: Arc<dyn Disk>,
    file: DiskFile,
    failed: AtomicBool,
    /// How many entries were taken.
    entries: AtomicU64,
    /// Of all that were taken: see [`sum_of`].
    sum: AtomicU64,
    /// Where the frames begin whose entries it does not hold, and the sum of those that it
    /// does; set once these are written, and nothing else is.
    whole: OnceLock<(Mark, u64)>,
}

/// What an entry adds to a sum that tells whether others are the same: it depends on
/// both figures, and not on the order of the entries.
fn sum_of(slot: u64, position: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let weight = slot.wrapping_mul(ODD).wrapping_add(ODD) | 1;
    position.wrapping_add(ODD).wrapping_mul(weight)
}

impl FrameSink for Draft {
    fn take(&self, first_slot: u64, from: Position, starts: &[u32]) {
        if self.failed.load(Ordering::Relaxed) {
            return;
        }
        if let Some(sum) = self.write(first_slot, from, starts) {
            let entries = starts.len() as u64;
            self.entries.fetch_add(entries, Ordering::Relaxed);
            self.sum.fetch_add(sum, Ordering::Relaxed);
        } else {
            self.failed.store(true, Ordering::Relaxed);
            // Its room may be what another draft lacks.
            let _ = self.disk.set_len(&self.file, 0);
        }
    }

    fn end(&self, next: Mark) {
        let mut sum = self.sum.load(Ordering::Relaxed);
        let entries = self.entries.load(Ordering::Relaxed);
        let one_more = entries.checked_sub(1) == Some(next.slot);
        if one_more {
            sum = sum.wrapping_sub(sum_of(next.slot, next.position.0));
        }
        let cut = || self.disk.set_len(&self.file, next.slot * ENTRY_BYTES);
        let all = (entries == next.slot || one_more) && !self.failed.load(Ordering::Relaxed);
        if all && cut().is_ok() {
            let _ = self.whole.set((next, sum));
        }
    }
}

impl Draft {
    fn whole(&self) -> Option<(Mark, u64)> {
        self.whole.get().copied()
    }

    /// The index, still without a name.
    pub fn file(&self) -> &DiskFile {
        &self.file
    }

    /// Writes entries and gives their sum; `None` if they cannot be written.
    fn write(&self, first_slot: u64, from: Position, starts: &[u32]) -> Option<u64> {
        let mut sum = 0_u64;
        let mut slot = first_slot;
        let mut bytes = Vec::with_capacity(starts.len().min(BLOCK_ENTRIES) * 12);
        for block in starts.chunks(BLOCK_ENTRIES) {
            let place = slot * ENTRY_BYTES;
            bytes.clear();
            for &start in block {
                let position = from.0 + u64::from(start);
                let entry = Entry {
                    relative: RelativeOffset(u32::try_from(slot).ok()?),
                    position: Position(position),
                };
                bytes.extend_from_slice(&entry.encode());
                sum = sum.wrapping_add(sum_of(slot, position));
                slot += 1;
            }
            write_all_at(&*self.disk, &self.file, &bytes, place).ok()?;
        }
        Some(sum)
    }

    /// Where the frames begin whose entries it does not hold, if the others can be read
    /// back as they were made.
    ///
    /// # Errors
    ///
    /// Reading's.
    pub fn read_back(&self) -> Result<Option<Mark>> {
        let Some((next, expected)) = self.whole() else {
            return Ok(None);
        };
        let path = self.file.path();
        let file = self.file.file().try_clone();
        let index = ReadFile::of(file.map_err(Error::io("read", path))?, path)?;
        let parts = (0..next.slot.div_ceil(PART_ENTRIES)).map(|part| {
            let first = part * PART_ENTRIES;
            (first, next.slot.min(first + PART_ENTRIES))
        });
        let mut sum = Some(0_u64);
        let work = |&(first, end): &(u64, u64)| sum_between(&index, first, end);
        let _ = rounds::in_rounds(parts, threads::number(0), work, |part| {
            sum = sum.zip(part).map(|(sum, part)| sum.wrapping_add(part));
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        Ok((sum == Some(expected)).then_some(next))
    }
}

/// The sum of the entries from `first` up to `end` (excluded); `None` if one stands in
/// another's slot.
fn sum_between(index: &ReadFile, first: u64, end: u64) -> Result<Option<u64>> {
    let mut sum = 0_u64;
    let mut slot = first;
    let mut bytes = Vec::new();
    while slot < end {
        let count = usize::try_from(end - slot).map_or(BLOCK_ENTRIES, |it| it.min(BLOCK_ENTRIES));
        bytes.resize(count * 12, 0);
        index.read_at(&mut bytes, slot * ENTRY_BYTES)?;
        let (entries, _) = bytes.as_chunks::<12>();
        for entry in entries.iter().map(Entry::decode) {
            if u64::from(entry.relative.0) != slot {
                return Ok(None);
            }
            sum = sum.wrapping_add(sum_of(slot, entry.position.0));
            slot += 1;
        }
    }
    Ok(Some(sum))
}
