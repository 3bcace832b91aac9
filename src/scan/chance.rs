//! Entries that name a place by chance, after bytes were inserted into the store or lost.

use super::bytes::Bytes;
use super::sections::Sections;
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;

/// Frames between two entries that follow each other: of appends that were refused.
const FEW: usize = 64;

impl Sections {
    /// The entries, ascending, as (slot, position), that name eight zero bytes by chance: the
    /// frame of the entry before does not lead there, and nothing that the next entry or the
    /// store's end shows follows. Bytes that were inserted or lost put entries out of their
    /// places.
    pub(super) fn naming_zeros(&self, store: &mut Bytes) -> Result<Vec<(u64, u64)>> {
        let mut found = Vec::new();
        for run in &self.runs {
            let mut next = run.positions.iter().copied().skip(2);
            for (claim, around) in run.claims().skip(1).zip(run.positions.windows(2)) {
                let (here, next) = (claim.1, next.next());
                let before = around.first().copied().unwrap_or(here);
                let is_empty = store.end(here)? == Some(here.saturating_add(LENGTH_BYTES));
                if !is_empty || before == here || leads(store, before, here)? {
                    continue;
                }
                let goes_on = match next {
                    Some(next) => {
                        let is_filled = |end| end > next + LENGTH_BYTES;
                        store.end(next)?.is_some_and(is_filled) || leads(store, here, next)?
                    }
                    None => here + LENGTH_BYTES == store.size,
                };
                if !goes_on {
                    found.push(claim);
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// Whether a few frames lead from one place to another.
fn leads(store: &mut Bytes, mut from: u64, to: u64) -> Result<bool> {
    for _ in 0..FEW {
        match store.end(from)?.filter(|end| *end <= to) {
            Some(end) => from = end,
            None => break,
        }
    }
    Ok(from == to)
}
