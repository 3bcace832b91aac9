//! The account of a segment whose frames lead from its last valid entry to the store's
//! end, with nothing that speaks for another reading: most segments without an index, and
//! most tails. It takes one pass and no memory.

use super::account::{Account, Entries, Input};
use super::bytes::Bytes;
use super::cost::EMPTY_ROW;
use super::evidence::first_place;
use crate::log::error::Result;
use crate::log::format::{ENTRY_BYTES, LENGTH_BYTES};
use crate::log::index::Index;
use crate::log::record::Codec;
use crate::log::units::Position;

/// The account, and where its last frame begins; `None` where it takes a search.
pub(super) fn account(
    input: &Input<'_>,
    store: &mut Bytes,
    index: &mut Index,
) -> Result<Option<(Account, u64)>> {
    let sound = input.sound_entries;
    if index.file_bytes() != sound * ENTRY_BYTES || store.size == 0 {
        return Ok(None);
    }
    let (slot, from) = first_place(input, store, index)?;
    if slot != sound.saturating_sub(1) {
        return Ok(None);
    }
    let (mut position, mut next, mut blanks) = (from, slot, 0);
    let mut last = from;
    while position < store.size {
        let Some(end) = store.end(position)? else {
            return Ok(None);
        };
        let named = next < sound;
        let empty = end == position + LENGTH_BYTES;
        let room = input.next_base.map(|base| base.since(input.base));
        // What is before an unfinished batch was durable: its zeros are those of a record.
        let is_durable = named && store.size < input.store.file_bytes;
        let may_be_lost = position >= store.zeros && !is_durable;
        if may_be_lost || room.is_some_and(|room| next >= room) {
            return Ok(None);
        }
        match input.codec {
            Codec::Raw => {
                blanks = if empty && !named { blanks + 1 } else { 0 };
                if blanks > EMPTY_ROW {
                    return Ok(None);
                }
            }
            Codec::Protobuf => {
                let carried = store.canonical(position + LENGTH_BYTES, end)?;
                let first = position == 0 && input.base.0 == 0;
                if carried != input.base.0.checked_add(next) || (empty && !first) {
                    return Ok(None);
                }
            }
        }
        (last, position) = (position, end);
        next += 1;
    }
    let run = |first_slot: u64, position: u64| Entries {
        first_slot,
        count: next - first_slot,
        position: Position(position),
        follow: true,
    };
    let mut account = Account::sound(next, next, store.size, false);
    account.first_slot = slot;
    account.records = next - slot;
    account.promised_end = sound;
    account.unindexed = next - sound;
    account.entries = vec![run(slot, from)];
    if account.unindexed > 0 {
        let behind = if sound > slot {
            store.end(from)?.unwrap_or(from)
        } else {
            from
        };
        account.writes = vec![run(sound, behind)];
    }
    account.index_sound = sound > 0 && account.writes.is_empty();
    Ok(Some((account, last)))
}
