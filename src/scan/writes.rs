//! Which entries of an index are not as they should be.

use super::account::{Entries, WrongEntry};
use super::bytes::Bytes;
use crate::log::error::{Error, Result};
use crate::log::index::Index;
use crate::log::units::Position;

/// Entries that are written one by one; what lies between more of them is written too.
const WRITES_MAX: usize = 20_000;

/// The entries that are not in the index as they should be.
pub(super) fn differences(
    store: &mut Bytes,
    index: &mut Index,
    entries: &[Entries],
) -> Result<(Vec<Entries>, Option<WrongEntry>)> {
    let mut first_wrong = None;
    let mut writes: Vec<Entries> = Vec::new();
    let there = index.slots();
    for run in entries {
        let mut position = run.position;
        for slot in run.first_slot..run.first_slot + run.count {
            let entry = match index.entry(slot.min(there)) {
                Ok(entry) if slot < there => Some(entry),
                Ok(_) | Err(Error::Unreadable { .. } | Error::Shrunk { .. }) => None,
                Err(error) => return Err(error),
            };
            let is_right = entry.is_some_and(|entry| {
                u64::from(entry.relative.0) == slot && entry.position == position
            });
            if let Some(entry) = entry.filter(|it| !is_right && !it.is_zero()) {
                let relative = u64::from(entry.relative.0);
                let (got, expected) = if entry.position == position {
                    (relative, slot)
                } else {
                    (entry.position.0, position.0)
                };
                first_wrong.get_or_insert(WrongEntry {
                    slot,
                    got,
                    expected,
                });
            }
            let full = writes.len() >= WRITES_MAX;
            let last = writes.last_mut().filter(|last| {
                let next = last.first_slot + last.count == slot;
                let same = last.follow == run.follow && slot > run.first_slot;
                next && same && (last.follow || last.position == position)
            });
            match last {
                Some(last) if !is_right || full => last.count += 1,
                _ if !is_right || full => writes.push(Entries {
                    first_slot: slot,
                    count: 1,
                    position,
                    follow: run.follow,
                }),
                _ => {}
            }
            if run.follow {
                position = Position(store.end(position.0)?.unwrap_or(position.0));
            }
        }
    }
    Ok((writes, first_wrong))
}
