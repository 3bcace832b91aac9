//! Which segments are read by their account: those whose index gives fewer records than
//! their bytes hold.

use super::facts::SegmentFacts;
use super::report::TailDecision;
use crate::log::damage::DamageKind;
use crate::log::error::Result;
use crate::log::format::ENTRY_BYTES;
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::units::Offset;
use crate::scan::account::{Account, Input, Loss};
use crate::scan::image;

/// What of a segment is judged beside its facts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    /// The log's codec.
    pub codec: Codec,
    /// The base offset of the next segment.
    pub next_base: Option<Offset>,
    /// What a person decided about its end.
    pub tail: TailDecision,
}

/// The account of a pair; `None` where its files are as a clean commit leaves them, and
/// where there is more than is judged at once.
///
/// # Errors
///
/// Reading's.
pub(crate) fn of_pair(
    pair: &Segment,
    facts: &SegmentFacts,
    judged: &Judged,
) -> Result<Option<Account>> {
    if facts.unclean.is_none() {
        return Ok(None);
    }
    if facts.damages.is_empty() && facts.tail().bytes == 0 && facts.dead_uncounted == 0 {
        // Nothing but what lies behind the index's last entry, or between frames.
        return Ok(Some(Account::sound(
            facts.entries,
            facts.records,
            pair.store.file_bytes,
            pair.index.file_bytes != facts.entries * ENTRY_BYTES,
        )));
    }
    let first = facts.damages.iter().map(|damage| match damage.kind {
        DamageKind::Misaligned => damage.first_slot.min(damage.position / ENTRY_BYTES),
        _ => damage.first_slot,
    });
    of_files(
        pair,
        true,
        first.min().unwrap_or(facts.entries).min(facts.entries),
        judged,
    )
}

/// The account of a pair whose first entries are known to be right, or of a store alone.
///
/// # Errors
///
/// Reading's.
pub(crate) fn of_files(
    pair: &Segment,
    has_index: bool,
    sound_entries: u64,
    judged: &Judged,
) -> Result<Option<Account>> {
    let account = Account::of(&Input {
        store: &pair.store,
        index: Some(&pair.index).filter(|_| has_index),
        base: pair.base,
        codec: judged.codec,
        next_base: judged.next_base,
        sound_entries,
        trust_tail: judged.tail == TailDecision::Adopt,
    })?;
    Ok(account.map(|account| {
        if judged.tail == TailDecision::Drop {
            account.without_tail()
        } else {
            account
        }
    }))
}

/// Whether the index as it is hides records that the account has, or calls others lost.
pub(crate) fn differs(account: &Account, facts: &SegmentFacts) -> bool {
    let next = facts.next_slot();
    let lost = |damage: &crate::log::damage::Damage| {
        let offset = |slot| facts.base.saturating_add(slot);
        account.damaged.iter().any(|lost| {
            lost.loss == Loss::Lost
                && (lost.first, lost.last) == (offset(damage.first_slot), offset(damage.last_slot))
        })
    };
    let dangling = facts.first_damage(DamageKind::Dangling);
    if dangling.is_some_and(|damage| !lost(damage))
        || !account.contested.is_empty()
        || (account.end_slot < facts.entries && dangling.is_none())
    {
        return true;
    }
    let of_kind = |kind| facts.damages.iter().any(|damage| damage.kind == kind);
    if of_kind(DamageKind::Misaligned) || (of_kind(DamageKind::Dangling) && account.end_slot > next)
    {
        return true;
    }
    let behind = account.end_slot > next;
    let plain = account.entries.iter().any(|run| {
        let slots = run.first_slot..run.first_slot + run.count;
        run.follow && slots.contains(&next) && slots.end == account.end_slot
    });
    let adopted = account.end_slot.saturating_sub(next);
    if behind
        && !(plain
            && facts
                .damages
                .last()
                .is_none_or(|last| last.last_slot + 1 < next))
    {
        return true;
    }
    let whole = facts.damages.iter().filter(|damage| damage.record_whole);
    let as_is = facts.records + whole.map(crate::log::damage::Damage::slots).sum::<u64>();
    account.first_slot + account.records > as_is + adopted
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
