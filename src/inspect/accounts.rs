//! Selects the segments that are read by their account: those whose index gives fewer
//! records than their bytes hold.

use super::facts::SegmentFacts;
use super::report::{SegmentReport, TailDecision};
use crate::log::directory::Directory;
use crate::log::error::Result;
use crate::log::format::ENTRY_BYTES;
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::scan::account::{Account, Input};
use crate::scan::image;
use crate::scan::reading::{self, AsItIs};

/// The account of a pair; `None` where its files are as a clean commit leaves them, and
/// where there is more than is judged at once.
///
/// # Errors
///
/// Reading's.
pub(crate) fn of_pair(
    pair: &Segment,
    facts: &SegmentFacts,
    codec: Codec,
    tail: TailDecision,
) -> Result<Option<Account>> {
    if facts.is_clean() {
        return Ok(None);
    }
    if facts.damages.is_empty() && facts.tail().bytes == 0 && facts.dead_uncounted == 0 {
        // Nothing but what lies after the index's last entry, or between frames.
        return Ok(Some(Account::sound(
            facts.entries,
            facts.records,
            pair.store.file_bytes,
            pair.index.file_bytes != facts.entries * ENTRY_BYTES,
        )));
    }
    let sound = reading::sound_entries(&facts.damages, facts.entries);
    of_files(pair, true, (sound, codec), tail)
}

/// The account of a pair whose first entries are known to be right, or of a store alone.
///
/// # Errors
///
/// Reading's.
pub(crate) fn of_files(
    pair: &Segment,
    has_index: bool,
    (sound_entries, codec): (u64, Codec),
    tail: TailDecision,
) -> Result<Option<Account>> {
    let account = Account::of(&Input {
        index: Some(&pair.index).filter(|_| has_index),
        trust_tail: tail == TailDecision::Adopt,
        ..reading::input(pair, codec, sound_entries)
    })?;
    Ok(account.map(|account| {
        if tail == TailDecision::Drop {
            account.without_tail()
        } else {
            account
        }
    }))
}

/// Whether a segment is read by its account, not by the index as it is.
///
/// # Errors
///
/// Reading's.
pub(crate) fn is_read(
    account: &Account,
    pair: &Segment,
    facts: &SegmentFacts,
    codec: Codec,
) -> Result<bool> {
    let as_it_is = AsItIs {
        entries: facts.entries,
        records: facts.records,
        damages: &facts.damages,
    };
    Ok(as_it_is.hides(account) && !reading::is_read_as_it_is(pair, facts.entries, codec)?)
}

/// The segment with the index that its account gives; `None` if that is too large.
///
/// # Errors
///
/// Reading's.
pub(crate) fn by_account(
    account: &Account,
    pair: &Segment,
    has_index: bool,
) -> Result<Option<Segment>> {
    let index = Some(&pair.index).filter(|_| has_index);
    let read = image::of_account(account, &pair.store, index, pair.index.path())?;
    Ok(read.map(|index| Segment {
        index,
        entries: None,
        ..pair.clone()
    }))
}

impl SegmentReport {
    /// Opens the segment as its facts were found: no longer than it was, and by the index
    /// that it should have where its own is not read.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`].
    pub fn open(&self, directory: &Directory) -> Result<Segment> {
        let names = &self.listing.names;
        let mut pair = if self.listing.index.is_some() || !self.by_account {
            Segment::open(directory, names)?
        } else {
            Segment::without_index(directory, names)?
        };
        let Some(facts) = &self.facts else {
            return Ok(pair);
        };
        pair.store.file_bytes = pair.store.file_bytes.min(facts.store_bytes);
        if let Some(read) = self.by_own_account(&pair)? {
            return Ok(read);
        }
        pair.index.file_bytes = pair.index.file_bytes.min(facts.index_bytes);
        Ok(pair)
    }

    /// The segment with the index that its account gives, where it is read by that.
    ///
    /// # Errors
    ///
    /// Reading's.
    pub(crate) fn by_own_account(&self, pair: &Segment) -> Result<Option<Segment>> {
        match &self.account {
            Some(account) if self.by_account => {
                by_account(account, pair, self.listing.index.is_some())
            }
            _ => Ok(None),
        }
    }
}
