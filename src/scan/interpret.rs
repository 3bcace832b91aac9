//! The account of a segment, step by step: without a search where frames continue a valid
//! index, else by the cheapest path through the store, for each fault by itself where right
//! entries are between them.

use super::account::{Account, Input};
use super::bytes::Bytes;
use super::evidence::{Evidence, explore};
use super::{apart, chain, unfinished, verdict};
use crate::log::error::{Result, readable};
use crate::log::index::Index;
use crate::log::segment::Segment;
use crate::log::window::LOOKUP_BYTES;

impl Account {
    /// The account of an input from its first fault on; `None` if it has more frames or
    /// entries than are judged at once.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`](crate::log::error::Error::Shrunk) and
    /// [`Error::Io`](crate::log::error::Error::Io); bytes that the disk does not give are
    /// no frame.
    pub fn of(input: &Input<'_>) -> Result<Option<Self>> {
        let mut index = Index::of(input.index_file(), LOOKUP_BYTES);
        // Nothing is guessed about the bytes of an unfinished batch.
        let mut known = input.store.clone();
        if let Some(position) = unfinished_behind_entries(input)? {
            known.file_bytes = position;
        }
        let mut store = Bytes::new(&known)?;
        if let Some((account, _)) = chain::account(input, &mut store, &mut index)? {
            return Ok(Some(account));
        }
        match apart::account(input, &mut store, &mut index)? {
            Some(account) => Ok(Some(account)),
            None => Self::searched(input, store, index),
        }
    }

    /// The account of a store without an index, and where its last frame begins, if frames lead
    /// from the store's beginning to its end and nothing speaks for another reading.
    ///
    /// # Errors
    ///
    /// As [`Account::of`].
    pub(crate) fn of_frames_alone(input: &Input<'_>) -> Result<Option<(Self, u64)>> {
        let mut index = Index::of(input.index_file(), LOOKUP_BYTES);
        chain::account(input, &mut Bytes::new(input.store)?, &mut index)
    }

    /// The same by a search for the cheapest way through the store.
    pub(super) fn searched(
        input: &Input<'_>,
        mut store: Bytes,
        mut index: Index,
    ) -> Result<Option<Self>> {
        let Some(mut explored) = explore(input, &mut store, &mut index)? else {
            return Ok(None);
        };
        if let Some(position) = explored.unfinished_batch(&mut store)? {
            // Nothing of an unfinished batch is a frame.
            let mut before = input.store.clone();
            before.file_bytes = position;
            store = Bytes::new(&before)?;
            match explore(input, &mut store, &mut index)? {
                Some(again) => explored = again,
                None => return Ok(None),
            }
        }
        let evidence = Evidence::gather(input, explored, &mut store, &mut index)?;
        let account = verdict::account(input, &mut store, &mut index, evidence)?;
        Ok(Some(account).filter(|_| !store.is_spent()))
    }
}

/// The start of an unfinished batch after entries that are all valid.
fn unfinished_behind_entries(input: &Input<'_>) -> Result<Option<u64>> {
    let Some(index) = input.index else {
        return Ok(None);
    };
    let segment = Segment {
        base: input.base,
        store: input.store.clone(),
        index: index.clone(),
        entries: None,
        next_base: input.next_base,
    };
    let found = readable(unfinished::in_segment(&segment, input.codec))?;
    Ok(found.flatten())
}
