//! Chooses the index by which a segment is read: the existing one, or, if that hides
//! records of the store, the one that the account of the segment gives. Readers and
//! checks use this, so that both have the same records.

use super::account::{Account, Input, Stretch, Unreferenced};
use crate::log::damage::{Damage, DamageKind, Damages};
use crate::log::error::{Result, readable};
use crate::log::format::ENTRY_BYTES;
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::walk::{Committed, Flow, Visitor};
use crate::log::window::{LOOKUP_BYTES, STREAM_BYTES, Window};

/// The result of a walk along the index as it is.
pub(crate) struct AsItIs<'a> {
    /// Entries before the padding, valid or not.
    pub entries: u64,
    /// Records that can be read.
    pub records: u64,
    /// Slots that are not valid.
    pub damages: &'a [Damage],
}

impl AsItIs<'_> {
    /// Whether this index hides records that the account has, or calls others lost.
    pub fn hides(&self, account: &Account) -> bool {
        if account.records == 0 {
            // Nothing is read by it, unless all that is there was refused.
            let refused = |it: &Stretch| it.kind == Unreferenced::Refused;
            return account.slots == 0 && account.unreferenced.iter().any(refused);
        }
        let dangling = |damage: &&Damage| damage.kind == DamageKind::Dangling;
        let next = match self.damages.last().filter(dangling) {
            Some(last) => last.first_slot,
            None => self.entries,
        };
        let dangling = self.damages.iter().find(dangling);
        let lost = account.lost_from(account.end_slot);
        let lost = |damage: &Damage| {
            lost.as_ref()
                .is_some_and(|lost| *lost == (damage.first_slot..=damage.last_slot))
        };
        if dangling.is_some_and(|damage| !lost(damage))
            || !account.contested.is_empty()
            || (account.end_slot < self.entries && dangling.is_none())
        {
            return true;
        }
        let misaligned = |damage: &Damage| damage.kind == DamageKind::Misaligned;
        let behind = account.end_slot > next;
        if self.damages.iter().any(misaligned) || (dangling.is_some() && behind) {
            return true;
        }
        let plain = account.entries.iter().any(|run| {
            let slots = run.first_slot..run.first_slot + run.count;
            run.follow && slots.contains(&next) && slots.end == account.end_slot
        });
        let last_sound = self
            .damages
            .last()
            .is_none_or(|last| last.last_slot + 1 < next);
        if behind && !(plain && last_sound) {
            return true;
        }
        let adopted = account.end_slot.saturating_sub(next);
        let whole = self.damages.iter().filter(|damage| damage.record_whole);
        let as_is = self.records + whole.map(Damage::slots).sum::<u64>();
        account.first_slot + account.records > as_is + adopted
    }
}

/// Number of valid entries before the first fault.
pub(crate) fn sound_entries(damages: &[Damage], entries: u64) -> u64 {
    let first = damages.iter().map(|damage| match damage.kind {
        DamageKind::Misaligned => damage.first_slot.min(damage.position / ENTRY_BYTES),
        _ => damage.first_slot,
    });
    first.min().unwrap_or(entries).min(entries)
}

/// Whether the index is read as it is, whatever is wrong in its middle: its last entry
/// names an intact frame, and nothing lies after that but what an append leaves. Not if
/// the disk fails to return it.
///
/// # Errors
///
/// [`Error::Shrunk`](crate::log::error::Error::Shrunk),
/// [`Error::Io`](crate::log::error::Error::Io).
pub(crate) fn is_read_as_it_is(segment: &Segment, entries: u64, codec: Codec) -> Result<bool> {
    let is = readable(ends_as_written(segment, entries, codec))?;
    Ok(is.unwrap_or(false))
}

fn ends_as_written(segment: &Segment, entries: u64, codec: Codec) -> Result<bool> {
    if segment.sound_entries(codec, entries)? < entries {
        return Ok(false);
    }
    let padding = segment
        .index
        .file_bytes
        .saturating_sub(entries * ENTRY_BYTES);
    // The slots beyond `entries` are zeros, or 0xff.
    if padding.is_multiple_of(ENTRY_BYTES) && ends_with_store(segment, entries)? {
        return Ok(true);
    }
    let account = Account::of(&input(segment, codec, entries))?;
    // No entry may name a frame that is not one of the segment's records.
    let plain = |account: Account| account.is_plain_tail() && account.end_slot >= entries;
    Ok(account.is_none_or(plain))
}

/// The account of a segment that is not read by its own index.
///
/// # Errors
///
/// Reading's.
pub(crate) fn other_account(
    segment: &Segment,
    entries: u64,
    codec: Codec,
) -> Result<Option<Account>> {
    if is_read_as_it_is(segment, entries, codec)? {
        return Ok(None);
    }
    let mut walk = segment.walk(codec, entries, STREAM_BYTES);
    let mut found = Found::default();
    let _ = walk.run(entries, &mut found)?;
    let entries = walk.entries();
    let sound = sound_entries(&found.damages.list, entries);
    let Some(account) = Account::of(&input(segment, codec, sound))? else {
        return Ok(None);
    };
    let as_it_is = AsItIs {
        entries,
        records: found.records,
        damages: &found.damages.list,
    };
    Ok(as_it_is.hides(&account).then_some(account))
}

/// The two files of a segment, of whose entries the first ones are known to be right.
pub(crate) fn input(segment: &Segment, codec: Codec, sound_entries: u64) -> Input<'_> {
    Input {
        store: &segment.store,
        index: Some(&segment.index),
        base: segment.base,
        codec,
        next_base: segment.next_base,
        sound_entries,
        trust_tail: false,
    }
}

/// Whether the frame of the last entry ends where the store does.
fn ends_with_store(segment: &Segment, entries: u64) -> Result<bool> {
    let Some(last) = entries.checked_sub(1) else {
        return Ok(segment.store.file_bytes == 0);
    };
    let position = segment.entries(LOOKUP_BYTES).entry(last)?.position;
    let mut store = Window::new(segment.store.clone(), LOOKUP_BYTES);
    let end = store.frame_end_at(position.0)?;
    Ok(end.is_some_and(|end| end.0 == segment.store.file_bytes))
}

#[derive(Default)]
struct Found {
    records: u64,
    damages: Damages,
}

impl Visitor for Found {
    const PAYLOADS: bool = false;

    fn record(&mut self, _: &Committed<'_>) -> Result<Flow> {
        self.records += 1;
        Ok(Flow::Continue(()))
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        self.damages.add(damage);
        Ok(Flow::Continue(()))
    }
}
