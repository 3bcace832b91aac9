//! Judges faults that are far apart each by itself: between them the entries are right, so
//! that no byte of one explains another. The search takes time and memory for the faults,
//! not for the records between them.

use super::account::{Account, Input};
use super::bytes::Bytes;
use super::chain;
use super::evidence::first_place;
use crate::log::error::{Result, readable};
use crate::log::format::{ENTRY_BYTES, Entry, LENGTH_BYTES};
use crate::log::index::Index;
use crate::log::record::Codec;
use crate::log::window::LOOKUP_BYTES;

/// Right entries one after the other that end a fault.
const APART: u64 = 64;

/// Faults that are judged one by one.
const FAULTS_MAX: usize = 1024;

/// A stretch of slots in which something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault {
    /// Number of entries before it, all of them right but for those of earlier faults.
    sound: u64,
    /// The slot after the right entries that end it, and the end of its frame; `None` if
    /// it extends to the end of the files.
    until: Option<(u64, u64)>,
}

/// Wrong entries that are inspected in the search for the ends of faults: a bound on the work
/// that made-up entries can cause.
const WRONG_MAX: u64 = 1 << 20;

/// As many of these is one whose frame was inspected too.
const PROBE: u64 = 16;

/// The account; `None` where the faults are not apart, or one of them is not clear by itself.
pub(super) fn account(
    input: &Input<'_>,
    store: &mut Bytes,
    index: &mut Index,
) -> Result<Option<Account>> {
    let Some(faults) = faults(input, store, index)? else {
        return Ok(None);
    };
    let mut whole: Option<Account> = None;
    for fault in &faults {
        let Some(part) = judge(input, store, fault)? else {
            return Ok(None);
        };
        whole = Some(match whole {
            Some(before) => before.followed_by(part),
            None => part,
        });
    }
    let to_the_end = faults.last().is_none_or(|last| last.until.is_none());
    Ok(whole.map(|account| {
        if to_the_end {
            account
        } else {
            account.extended_to(index.slots(), store.size)
        }
    }))
}

/// The account of one fault, of the files as they are up to its end.
fn judge(input: &Input<'_>, store: &Bytes, fault: &Fault) -> Result<Option<Account>> {
    let (mut cut, mut entries) = (input.store.clone(), input.index_file());
    let mut part = Input {
        sound_entries: fault.sound,
        ..input.clone()
    };
    let mut known = store.source().clone();
    if let Some((slots, end)) = fault.until {
        (cut.file_bytes, known.file_bytes) = (end, end);
        entries.file_bytes = slots * ENTRY_BYTES;
        part.store = &cut;
        part.index = Some(&entries);
        part.next_base = input.base.checked_add(slots);
    }
    let mut index = Index::of(part.index_file(), LOOKUP_BYTES);
    let mut store = Bytes::new(&known)?;
    let account = match chain::account(&part, &mut store, &mut index)? {
        Some((account, _)) => Some(account),
        None => Account::searched(&part, store, index)?,
    };
    let clear = |account: &Account| {
        account.first_slot == fault.sound.saturating_sub(1)
            && fault
                .until
                .is_none_or(|(slots, end)| account.is_clear_up_to(slots, end))
    };
    Ok(account.filter(clear))
}

/// The faults of a segment in ascending order; `None` if no right entries divide them.
fn faults(input: &Input<'_>, store: &mut Bytes, index: &mut Index) -> Result<Option<Vec<Fault>>> {
    let (slot, from) = first_place(input, store, index)?;
    let mut walk = Walk {
        input,
        store,
        index,
        slot,
        from,
        wrong_left: WRONG_MAX,
    };
    let mut faults = Vec::new();
    loop {
        while walk.passes()? {}
        if walk.is_at_the_end() {
            break;
        }
        let sound = walk.slot;
        let until = walk.restart()?;
        let is_divided = until.is_some() || !faults.is_empty();
        if !is_divided || faults.len() >= FAULTS_MAX {
            return Ok(None);
        }
        faults.push(Fault { sound, until });
        if until.is_none() {
            break;
        }
    }
    Ok(Some(faults))
}

/// A walk along the right entries.
struct Walk<'a> {
    input: &'a Input<'a>,
    store: &'a mut Bytes,
    index: &'a mut Index,
    /// The next slot.
    slot: u64,
    /// The end of the frame of the last right entry.
    from: u64,
    /// Number of wrong entries that may still be inspected.
    wrong_left: u64,
}

impl Walk<'_> {
    /// Whether both files end after the last right entry.
    fn is_at_the_end(&self) -> bool {
        self.slot * ENTRY_BYTES == self.index.file_bytes() && self.from == self.store.size
    }

    /// The entry of a slot, if the disk gives it.
    fn entry(&mut self, slot: u64) -> Result<Option<Entry>> {
        if slot >= self.index.slots() {
            return Ok(None);
        }
        readable(self.index.entry(slot))
    }

    /// The end of the frame of a right entry; `None` if it is not one.
    fn end(&mut self, slot: u64) -> Result<Option<u64>> {
        let Some(entry) = self.entry(slot)? else {
            return Ok(None);
        };
        let position = entry.position.0;
        if u64::from(entry.relative.0) != slot || !(self.from..self.store.zeros).contains(&position)
        {
            return Ok(None);
        }
        let Some(end) = self.store.end(position)? else {
            return Ok(None);
        };
        if self.input.codec == Codec::Protobuf {
            let carried = self.store.canonical(position + LENGTH_BYTES, end)?;
            if carried != self.input.base.0.checked_add(slot) {
                return Ok(None);
            }
        }
        Ok(Some(end))
    }

    /// Goes past the next entry, if it is right and nothing is between it and the last one.
    fn passes(&mut self) -> Result<bool> {
        if let Some(entry) = self.entry(self.slot)?
            && entry.position.0 == self.from
            && let Some(end) = self.end(self.slot)?
        {
            (self.slot, self.from) = (self.slot + 1, end);
            return Ok(true);
        }
        Ok(false)
    }

    /// Goes to where enough entries in a row are right again, if there is such a place;
    /// returns the slot after them and the end of the last one's frame.
    fn restart(&mut self) -> Result<Option<(u64, u64)>> {
        let (before, slots) = (self.from, self.index.slots());
        while self.slot < slots {
            self.from = before;
            let first = self.slot;
            self.slot += 1;
            let mut cost = 1;
            if self.may_be_right(first)? {
                cost = PROBE;
                if let Some(end) = self.end(first)? {
                    self.from = end;
                    while self.slot < first + APART && self.passes()? {}
                    if self.slot == first + APART {
                        return Ok(Some((self.slot, self.from)));
                    }
                }
            }
            match self.wrong_left.checked_sub(cost) {
                Some(left) => self.wrong_left = left,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether an entry is right as far as it shows without the store: most wrong ones are
    /// recognized by that.
    fn may_be_right(&mut self, slot: u64) -> Result<bool> {
        let (entry, next) = (self.entry(slot)?, self.entry(slot + 1)?);
        Ok(entry.zip(next).is_some_and(|(entry, next)| {
            u64::from(entry.relative.0) == slot && entry.position < next.position
        }))
    }
}

impl Account {
    /// Whether all faults are before the last frame, and nothing needs a decision: the
    /// files end after entry `slots - 1`, whose frame ends at `end`.
    fn is_clear_up_to(&self, slots: u64, end: u64) -> bool {
        let ends = [self.end_slot, self.slots, self.promised_end];
        ends.iter().all(|&it| it == slots)
            && [self.store_end, self.records_end] == [end, end]
            && self.entries.last().is_some_and(|run| run.follow)
            && self.doubts.is_empty()
            && self.contested.is_empty()
            && self.misplaced.is_none()
            && self.padding.is_none()
    }

    /// The same if all entries from its last one up to `slots` are right, and the last
    /// frame ends at `end`.
    fn extended_to(mut self, slots: u64, end: u64) -> Self {
        let more = slots - self.slots;
        if let Some(last) = self.entries.last_mut() {
            last.count += more;
        }
        self.records += more;
        self.slots = slots;
        self.end_slot = slots;
        self.promised_end = slots;
        self.store_end = end;
        self.records_end = end;
        self
    }

    /// The account of a segment of which this one is clear, and another one is about what
    /// comes after it.
    fn followed_by(self, next: Self) -> Self {
        let mut before = self.without_behind(next.first_slot);
        let mut entries = next.entries.into_iter();
        if let Some(first) = entries.next() {
            match before.entries.last_mut() {
                Some(last) if last.follow && first.follow => last.count += first.count,
                _ => before.entries.push(first),
            }
        }
        before.entries.extend(entries);
        before.writes.extend(next.writes);
        before.damaged.extend(next.damaged);
        before.unreferenced.extend(next.unreferenced);
        Self {
            first_slot: before.first_slot,
            entries: before.entries,
            records: before.records + next.records,
            unindexed: before.unindexed + next.unindexed,
            writes: before.writes,
            first_wrong: before.first_wrong.or(next.first_wrong),
            index_sound: before.index_sound && next.index_sound,
            damaged: before.damaged,
            unreferenced: before.unreferenced,
            ..next
        }
    }

    /// The same up to `slot`, which is not far from the end of its last run of entries.
    fn without_behind(mut self, slot: u64) -> Self {
        if let Some(last) = self.entries.last_mut() {
            last.count = slot - last.first_slot;
        }
        self.records = self.records + slot - self.slots;
        self
    }
}
