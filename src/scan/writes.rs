//! Which entries of an index are not as they should be.

use std::ops::Range;

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
        let end = run.first_slot + run.count;
        // What the index does not have is written in one go if nothing has to be followed.
        let one_by_one = if run.follow {
            end
        } else {
            end.min(there.max(run.first_slot))
        };
        for slot in run.first_slot..one_by_one {
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
            if !is_right || writes.len() >= WRITES_MAX {
                add(&mut writes, run, slot..slot + 1, position);
            }
            if run.follow {
                position = Position(store.end(position.0)?.unwrap_or(position.0));
            }
        }
        if end > one_by_one {
            add(&mut writes, run, one_by_one..end, position);
        }
    }
    Ok((writes, first_wrong))
}

/// Adds entries of `run` that are to be written, the first of which names `position`.
fn add(writes: &mut Vec<Entries>, run: &Entries, slots: Range<u64>, position: Position) {
    let count = slots.end - slots.start;
    let last = writes.last_mut().filter(|last| {
        let next = last.first_slot + last.count == slots.start;
        let same = last.follow == run.follow && slots.start > run.first_slot;
        next && same && (last.follow || last.position == position)
    });
    match last {
        Some(last) => last.count += count,
        None => writes.push(Entries {
            first_slot: slots.start,
            count,
            position,
            follow: run.follow,
        }),
    }
}
