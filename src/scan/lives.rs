//! The lives of the services that wrote an index. One that was started on padding took it
//! for the entry of its first record: it gives out slot 1 again, for the frame at what was
//! the store's end then.

use std::collections::{HashMap, HashSet};

use super::bytes::Bytes;
use super::sections::{POSITION_MAX, Sections, entry_at};
use crate::log::error::{Result, readable};
use crate::log::format::{ENTRY_BYTES, Entry};
use crate::log::index::Index;

/// The entries of one service, from its start to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Life {
    /// The store's end when it started. Units: bytes.
    pub from: u64,
    /// The position that the entry of each slot names.
    pub claims: HashMap<u64, u64>,
    /// Whether it may be one flipped bit of the padding that looks like its only entry.
    pub is_doubtful: bool,
    /// The slots whose entries do not follow the entry of the slot before.
    begins: HashSet<u64>,
}

impl Life {
    /// The position that the entry right before the one of `slot` names.
    pub fn before(&self, slot: u64) -> Option<u64> {
        let before = slot.checked_sub(1).filter(|_| !self.begins.contains(&slot));
        before.and_then(|before| self.claims.get(&before)).copied()
    }
}

impl Sections {
    /// Every entry, as (slot, position), but those of frames that were lost before a
    /// service continued at their place.
    pub(super) fn claims(&self) -> impl Iterator<Item = (u64, u64)> {
        let runs = self.runs.iter().zip(self.limits());
        runs.flat_map(|(run, limit)| run.claims().filter(move |(_, at)| *at < limit))
    }

    /// The lives of the services that wrote the index, in their order: one or more.
    pub(super) fn lives(&self) -> Vec<Life> {
        let mut lives = Vec::new();
        let mut life = Life::default();
        let runs = self.runs.iter().zip(self.limits());
        for (number, (run, limit)) in runs.enumerate() {
            if self.restarts.binary_search(&number).is_ok() {
                lives.push(std::mem::take(&mut life));
                life.from = run.positions.first().copied().unwrap_or(0);
                let padded = self.rest.last().is_some_and(|rest| rest.at > run.at);
                life.is_doubtful = run.positions == [0] && padded;
            }
            life.begins.insert(run.slot);
            let claims = run.claims().filter(|(_, at)| *at < limit);
            life.claims.extend(claims);
        }
        lives.push(life);
        lives
    }

    /// Whether a service certainly began again before this place of the store: one entry may
    /// be one flipped bit of the padding.
    pub(super) fn restarts_before(&self, position: u64) -> bool {
        let runs = self.restarts.iter().filter_map(|at| self.runs.get(*at));
        let mut firsts = runs.filter_map(|run| match run.positions.as_slice() {
            [first, _, ..] => Some(*first),
            _ => None,
        });
        firsts.any(|first| first < position)
    }

    /// Finds the runs with which a service began again: those that give out slots again.
    pub(super) fn find_restarts(&mut self, store: &mut Bytes) -> Result<()> {
        // The entries before the first run are right.
        let first = self.runs.first().map_or(0, |run| run.slot);
        let mut before: HashMap<u64, u64> = HashMap::new();
        for (number, run) in self.runs.iter().enumerate() {
            let is_first = run.slot == 1 && self.is_behind_padding(run.at);
            // A copy of entries begins nothing, nor do entries that name no frames.
            let needed = if is_first { 1 } else { 2 };
            let mut again = u64::from(is_first && number == 0);
            for (slot, position) in run.claims() {
                let is_other = match before.get(&slot) {
                    Some(other) => *other != position,
                    None => slot < first || (is_first && position == 0),
                };
                if again >= needed {
                    break;
                }
                again += u64::from(is_other && (is_first || store.end(position)?.is_some()));
            }
            let begins = again >= needed;
            if begins {
                self.restarts.push(number);
            }
            before.extend(run.claims());
        }
        Ok(())
    }

    /// Whether at least one unused slot is before byte `at`.
    fn is_behind_padding(&self, at: u64) -> bool {
        let rest = self.rest.partition_point(|rest| rest.at < at);
        let rest = rest.checked_sub(1).and_then(|rest| self.rest.get(rest));
        rest.is_some_and(|rest| {
            rest.padding && rest.at + rest.bytes == at && rest.bytes >= ENTRY_BYTES
        })
    }

    /// The place from which on each run names nothing: where a later service began.
    fn limits(&self) -> Vec<u64> {
        let mut limits = vec![u64::MAX; self.runs.len()];
        let mut limit = u64::MAX;
        for (number, run) in self.runs.iter().enumerate().rev() {
            if let Some(it) = limits.get_mut(number) {
                *it = limit;
            }
            if self.restarts.binary_search(&number).is_ok() {
                limit = limit.min(run.positions.first().copied().unwrap_or(limit));
            }
        }
        limits
    }
}

/// The slot after the last one from `slot` on that an entry in its own place names, or
/// one of those with which a service continues after padding: it counts from 1 on again.
/// 0 if not found.
pub(super) fn promised_in_place(index: &mut Index, mut slot: u64) -> Result<u64> {
    let mut promised = 0;
    while slot < index.slots() {
        let at = slot * ENTRY_BYTES;
        let entry = entry_at(index, at)?;
        if !entry.is_some_and(Entry::is_zero) {
            if names(entry, slot) {
                promised = slot + 1;
            }
            slot += 1;
            continue;
        }
        let Some(stop) = readable(index.source().first_nonzero(at))?.flatten() else {
            break;
        };
        // The last byte of the number 1.
        let (first, mut next) = (stop.saturating_sub(3), 1);
        while first >= at + ENTRY_BYTES
            && names(entry_at(index, first + (next - 1) * ENTRY_BYTES)?, next)
        {
            next += 1;
        }
        promised = promised.max(if next > 1 { next } else { 0 });
        // A writer may have filled the entry meanwhile.
        slot = (stop / ENTRY_BYTES).max(slot + 1);
    }
    Ok(promised)
}

/// Whether an entry is one for `slot`.
fn names(entry: Option<Entry>, slot: u64) -> bool {
    entry.is_some_and(|it| {
        u64::from(it.relative.0) == slot && (1..POSITION_MAX).contains(&it.position.0)
    })
}
