//! An index as sections: runs of entries with ascending slots and positions, which may
//! begin at any byte, and what lies between them.
//!
//! A service that was killed leaves its index padded with zeros to `MaxIndexBytes`; one
//! that is started on it with another limit continues after the padding, where no 12-byte
//! boundary need fall. Three entries in a row prove themselves; two need an intact frame;
//! one needs an intact frame and its own place, padding before it, or a frame that is as
//! many frames after the one before as its slot is.

use std::collections::HashMap;

use super::bytes::Bytes;
use crate::log::error::{Result, readable};
use crate::log::format::{ENTRY_BYTES, Entry, LENGTH_BYTES};
use crate::log::index::Index;
use crate::log::units::{Position, RelativeOffset};

/// Positions at and above this are no entry's.
pub(super) const POSITION_MAX: u64 = 1 << 48;

/// Limit of bytes that are not an entry and not padding, searched for entries one by one.
/// Bytes after them are assumed to be more of the same.
const JUNK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Frames between two entries that are followed.
const MISSING_MAX: u64 = 1024;

/// Entries of all runs that are kept.
pub const ENTRIES_MAX: usize = 16 * 1024 * 1024;

/// Entries that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRun {
    /// Position of the first one in the index. Units: bytes.
    pub at: u64,
    /// The slot that the first one names; each next names the next.
    pub slot: u64,
    /// The positions that they name.
    pub positions: Vec<u64>,
}

impl EntryRun {
    /// Every entry, as (slot, position).
    pub(super) fn claims(&self) -> impl Iterator<Item = (u64, u64)> {
        (self.slot..).zip(self.positions.iter().copied())
    }
}

/// Bytes of an index between runs of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Position in the file. Units: bytes.
    pub at: u64,
    /// Number of bytes.
    pub bytes: u64,
    /// Whether all are 0x00, or all 0xff: slots that were never written.
    pub padding: bool,
}

/// The content of an index from one entry on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sections {
    /// Runs of entries, in their order.
    pub runs: Vec<EntryRun>,
    /// The bytes between and after them.
    pub rest: Vec<Rest>,
    /// Whether entries count although one bit of a slot is wrong, or their positions.
    pub corrected: bool,
    /// The numbers of the runs with which a service began again.
    pub(super) restarts: Vec<usize>,
    /// The first frames, in ascending order, of rows that were displaced differently from the
    /// frames before them. Units: bytes in the store.
    pub(super) breaks: Vec<u64>,
}

impl Sections {
    /// Whether no byte is junk, and at least one slot is padding.
    pub(super) fn is_padded(&self) -> bool {
        self.rest.iter().all(|rest| rest.padding)
            && self.rest.iter().any(|rest| rest.bytes >= ENTRY_BYTES)
    }

    /// Number of unused slots, if there is nothing else after one run of entries.
    pub(super) fn unused_slots(&self) -> Option<u64> {
        match (self.runs.as_slice(), self.rest.as_slice()) {
            ([_], []) => Some(0),
            ([run], [rest]) if rest.padding && rest.at > run.at => Some(rest.bytes / ENTRY_BYTES),
            _ => None,
        }
    }

    /// The padding that reaches the index's end: where it begins, and its bytes.
    pub(super) fn padding(&self, index_bytes: u64) -> Option<(u64, u64)> {
        let last = self.rest.last()?;
        let reaches_end = last.padding && last.at + last.bytes == index_bytes;
        reaches_end.then_some((last.at, last.bytes))
    }

    /// The last slot of the index, if all before it hold their own entries, and this one holds
    /// neither its own nor padding.
    pub(super) fn damaged_last_slot(&self, index_bytes: u64) -> Option<u64> {
        let in_place = self
            .runs
            .iter()
            .filter(|run| run.at == run.slot * ENTRY_BYTES);
        let ends = in_place.map(|run| run.at + run.positions.len() as u64 * ENTRY_BYTES);
        let end = ends.max()?;
        let is_used = self.padding(index_bytes).is_none_or(|(at, _)| at > end);
        (end + ENTRY_BYTES == index_bytes && is_used).then_some(end / ENTRY_BYTES)
    }

    fn add_rest(&mut self, at: u64, bytes: u64, padding: bool) {
        match self.rest.last_mut() {
            Some(last) if last.padding == padding && last.at + last.bytes == at => {
                last.bytes += bytes;
            }
            _ => self.rest.push(Rest { at, bytes, padding }),
        }
    }
}

/// Divides the index from byte `from` on, where an entry begins. `None` if it has more
/// entries than are kept.
pub(super) fn divide(index: &mut Index, store: &mut Bytes, from: u64) -> Result<Option<Sections>> {
    let size = index.file_bytes();
    let mut divider = Divider {
        size,
        slots_max: (size / ENTRY_BYTES).max(store.size / 8).saturating_add(2),
        index,
        store,
        found: Sections::default(),
        kept: 0,
        looked: HashMap::new(),
    };
    let mut at = from;
    let mut junk = 0;
    while at < size {
        if let Some(run) = divider.one_bit_off(at)? {
            divider.kept += run.positions.len();
            divider.found.runs.push(run);
            divider.found.corrected = true;
            at += ENTRY_BYTES;
            continue;
        }
        let mut length = divider.run_at(at)?;
        if length == 0 && at == 0 && !divider.is_zero_entry(0)? && divider.ascending(0)? > 0 {
            length = divider.ascending(0)?;
        }
        if length > 0 {
            divider.take(at, length)?;
            if divider.kept > ENTRIES_MAX {
                return Ok(None);
            }
            at += length * ENTRY_BYTES;
            continue;
        }
        if let Some(next) = divider.padding(at)?.filter(|next| *next > at) {
            divider.found.add_rest(at, next - at, true);
            at = next;
            continue;
        }
        junk += 1;
        if junk > JUNK_BYTES_MAX {
            divider.found.add_rest(at, size - at, false);
            break;
        }
        divider.found.add_rest(at, 1, false);
        at += 1;
    }
    divider.drop_unfinished()?;
    let mut found = divider.found;
    found.find_restarts(store)?;
    Ok(Some(found))
}

/// The entry at byte `at`; `None` past the end, and where the disk fails.
pub(super) fn entry_at(index: &mut Index, at: u64) -> Result<Option<Entry>> {
    if at.saturating_add(ENTRY_BYTES) > index.file_bytes() {
        return Ok(None);
    }
    let bytes = readable(index.bytes(at, 12))?;
    let bytes = bytes.and_then(|bytes| bytes.first_chunk::<12>());
    Ok(bytes.map(Entry::decode))
}

struct Divider<'a> {
    index: &'a mut Index,
    store: &'a mut Bytes,
    size: u64,
    /// A slot above this cannot be of this index.
    slots_max: u64,
    found: Sections,
    kept: usize,
    /// Lengths of runs that were inspected and not taken yet.
    looked: HashMap<u64, u64>,
}

impl Divider<'_> {
    fn entry(&mut self, at: u64) -> Result<Option<Entry>> {
        entry_at(self.index, at)
    }

    fn is_zero_entry(&mut self, at: u64) -> Result<bool> {
        Ok(self.entry(at)?.is_none_or(Entry::is_zero))
    }

    /// Number of entries with ascending slots and positions at byte `at`.
    fn ascending(&mut self, at: u64) -> Result<u64> {
        if let Some(length) = self.looked.get(&at) {
            return Ok(*length);
        }
        let Some(first) = self.entry(at)? else {
            return Ok(0);
        };
        let slot = u64::from(first.relative.0);
        let mut last = first.position.0;
        let first = match slot {
            // Bytes of appends that were not acknowledged may be before the first record.
            0 => last == 0 || (at == 0 && self.is_behind_rest(last)?),
            // A service that was started on padding and an empty store gives it out first.
            1 => last > 0 || at >= ENTRY_BYTES,
            _ => last > 0,
        };
        if slot > self.slots_max || last >= POSITION_MAX || !first {
            return Ok(0);
        }
        let mut length = 1;
        while let Some(next) = self.entry(at + length * ENTRY_BYTES)? {
            let position = next.position.0;
            let follows = u64::from(next.relative.0) == slot + length;
            if !follows || position < last || position >= POSITION_MAX {
                break;
            }
            last = position;
            length += 1;
        }
        if length > 64 {
            self.looked.insert(at, length);
        }
        Ok(length)
    }

    /// The entry at byte `at` if one bit of its slot is wrong: it is at its own place,
    /// first or after the entry of the slot before, and names an intact frame after that
    /// one's.
    fn one_bit_off(&mut self, at: u64) -> Result<Option<EntryRun>> {
        let slot = at / ENTRY_BYTES;
        let least = match self.found.runs.last() {
            Some(last) => {
                let count = last.positions.len() as u64;
                let follows = last.at + count * ENTRY_BYTES == at && last.slot + count == slot;
                let position = last.positions.last().filter(|_| follows);
                position.map(|position| position.saturating_add(8))
            }
            None => (at == 0).then_some(0),
        };
        let Some(least) = least.filter(|_| at.is_multiple_of(ENTRY_BYTES)) else {
            return Ok(None);
        };
        let Some(entry) = self.entry(at)? else {
            return Ok(None);
        };
        let wrong = u64::from(entry.relative.0) ^ slot;
        let position = entry.position.0;
        let fits = wrong.is_power_of_two() && position >= least && (slot > 0 || position == 0);
        if !fits
            || self.ascending(at)? > 1
            || self.store.end(position)?.is_none()
            || self.is_at_distance(entry)?
        {
            return Ok(None);
        }
        Ok(Some(EntryRun {
            at,
            slot,
            positions: vec![position],
        }))
    }

    /// Number of proven entries at byte `at`.
    fn run_at(&mut self, at: u64) -> Result<u64> {
        let length = self.ascending(at)?;
        if length == 0 || length > 2 {
            return Ok(length);
        }
        let Some(first) = self.entry(at)? else {
            return Ok(0);
        };
        let first_is_whole = self.store.end(first.position.0)?.is_some();
        let own_place = u64::from(first.relative.0) * ENTRY_BYTES == at;
        if length == 2 {
            if own_place && at + 2 * ENTRY_BYTES == self.size {
                // Nothing else is in the index, or after them.
                return Ok(2);
            }
            let second = self.entry(at + ENTRY_BYTES)?.unwrap_or_default();
            let proven = first_is_whole || self.store.end(second.position.0)?.is_some();
            return Ok(if proven { 2 } else { 0 });
        }
        let position = first.position.0;
        // A place after the store's end is not a frame's: the entry may be wrong.
        let size = self.store.size;
        let before = self.found.runs.last();
        let before = before.and_then(|run| {
            let behind = run.positions.partition_point(|it| *it < size);
            run.positions.get(behind.checked_sub(1)?)
        });
        let behind_last = before.is_none_or(|last| position >= last + 8);
        let behind_padding = self.found.rest.last().is_none_or(|rest| rest.padding);
        let again_at_0 = at > 0 && position == 0;
        let proven = first_is_whole
            && (!again_at_0 || !first.is_zero() && self.is_last(at)?)
            && if own_place {
                behind_last
            } else {
                behind_padding || self.is_at_distance(first)?
            };
        Ok(u64::from(proven))
    }

    /// Whether a frame with a value is at `position`, and before it nothing but what appends
    /// left that were not acknowledged.
    fn is_behind_rest(&mut self, position: u64) -> Result<bool> {
        let end = self.store.end(position)?;
        let next = self.entry(ENTRY_BYTES)?.filter(|next| next.relative.0 == 1);
        let next = next.map(|next| next.position.0);
        Ok(end.is_some_and(|end| end > position + LENGTH_BYTES)
            && self.store.is_unacknowledged(None, 0, position, next)?)
    }

    /// Whether nothing but zeros is after the entry at byte `at`.
    fn is_last(&mut self, at: u64) -> Result<bool> {
        let other = self.index.source().first_nonzero(at + ENTRY_BYTES);
        Ok(readable(other)?.is_some_and(|it| it.is_none_or(|it| it >= self.size)))
    }

    /// Whether the frame that an entry names is as many frames after the one that the
    /// entry before names as its slot is: entries between them are missing.
    fn is_at_distance(&mut self, entry: Entry) -> Result<bool> {
        let last = self.found.runs.last();
        let last = last.and_then(|run| {
            let slot = run.slot + (run.positions.len() as u64).checked_sub(1)?;
            Some((slot, *run.positions.last()?))
        });
        let Some((slot, mut position)) = last else {
            return Ok(false);
        };
        let missing = u64::from(entry.relative.0).saturating_sub(slot);
        let to = entry.position.0;
        if !(2..=MISSING_MAX).contains(&missing) || to <= position {
            return Ok(false);
        }
        for _ in 0..missing {
            match self.store.end(position)?.filter(|end| *end <= to) {
                Some(end) => position = end,
                None => return Ok(false),
            }
        }
        Ok(position == to)
    }

    fn take(&mut self, at: u64, length: u64) -> Result<()> {
        let Some(first) = self.entry(at)? else {
            return Ok(());
        };
        let mut run = EntryRun {
            at,
            slot: u64::from(first.relative.0),
            positions: Vec::new(),
        };
        for number in 0..length {
            if let Some(entry) = self.entry(at + number * ENTRY_BYTES)? {
                run.positions.push(entry.position.0);
            }
            if run.positions.len() + self.kept > ENTRIES_MAX {
                break;
            }
        }
        self.kept += run.positions.len();
        self.looked.clear();
        self.found.runs.push(run);
        Ok(())
    }

    /// Takes the last entry out again if an append was interrupted while it wrote it: it has
    /// the first bytes of the position that follows, and zeros.
    fn drop_unfinished(&mut self) -> Result<()> {
        let Some(run) = self.found.runs.last() else {
            return Ok(());
        };
        let [.., before, position] = run.positions.as_slice() else {
            return Ok(());
        };
        let (before, position) = (*before, Position(*position));
        let last = run.positions.len() as u64 - 1;
        let at = run.at + last * ENTRY_BYTES;
        let (Some(end), Ok(slot)) = (self.store.end(before)?, u32::try_from(run.slot + last))
        else {
            return Ok(());
        };
        let entry = |position| Entry {
            relative: RelativeOffset(slot),
            position,
        };
        let mut unfinished = entry(position).is_unfinished(entry(Position(end)));
        if position.0 == before && at + ENTRY_BYTES == self.size {
            // Both name the last frame: that of the first one is not in the store.
            unfinished &= self.store.end(end)?.is_some();
        }
        let behind = self.found.rest.partition_point(|rest| rest.at < at);
        let mut rest = self.found.rest.get(behind..).unwrap_or_default().iter();
        if position.0 == end || !unfinished || rest.any(|rest| !rest.padding) {
            return Ok(());
        }
        if let Some(run) = self.found.runs.last_mut() {
            run.positions.pop();
        }
        let rest = Rest {
            at,
            bytes: ENTRY_BYTES,
            padding: false,
        };
        self.found.rest.insert(behind, rest);
        Ok(())
    }

    /// The end of the padding that begins at `at`: `None` if not found. The first entry
    /// after it may share its zeros, so each of 12 alignments is tried.
    fn padding(&mut self, at: u64) -> Result<Option<u64>> {
        let byte = readable(self.index.bytes(at, 1))?.and_then(|bytes| bytes.first().copied());
        let stop = match byte {
            Some(0) => readable(self.index.source().first_nonzero(at))?
                .flatten()
                .unwrap_or(self.size),
            Some(0xff) => self.run_of_ff(at)?,
            _ => return Ok(None),
        };
        let stop = stop.min(self.size);
        if stop == self.size {
            return Ok(Some(stop));
        }
        if byte == Some(0xff) && stop - at < 8 {
            return Ok(None);
        }
        let mut best = (0, false, stop);
        for start in at.max(stop.saturating_sub(11))..=stop {
            let length = self.run_at(start)?;
            let candidate = (length, start % ENTRY_BYTES == 0, start);
            if length > 0 && (candidate.0, candidate.1) > (best.0, best.1) {
                best = candidate;
            }
        }
        Ok(Some(best.2))
    }

    fn run_of_ff(&mut self, from: u64) -> Result<u64> {
        let mut at = from;
        while at < self.size {
            let count = usize::try_from((self.size - at).min(4096)).unwrap_or(0);
            let Some(bytes) = readable(self.index.bytes(at, count))? else {
                break;
            };
            if let Some(end) = bytes.iter().position(|&byte| byte != 0xff) {
                return Ok(at + end as u64);
            }
            at += count as u64;
        }
        Ok(at)
    }
}
