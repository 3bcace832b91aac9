//! The conclusions from the numbered frames: the entries that the index should have,
//! where the store may be cut, and the decisions for a person.

use std::collections::BTreeMap;

use super::account::{
    Account, Contested, Damaged, Entries, Input, Loss, SERVICE_BUFFER_BYTES, Stretch, Unreferenced,
};
use super::bytes::Bytes;
use super::evidence::{Evidence, LEAST_FRAME};
use super::frames::{Doubt, Frame, State, is_lost};
use super::lives::promised_in_place;
use super::path::{Kind, Piece};
use super::{tail, writes};
use crate::log::error::Result;
use crate::log::format::ENTRY_BYTES;
use crate::log::index::Index;
use crate::log::record::Codec;
use crate::log::units::{Offset, Position};

/// The account that the evidence makes.
pub(super) fn account(
    input: &Input<'_>,
    store: &mut Bytes,
    index: &mut Index,
    mut evidence: Evidence,
) -> Result<Account> {
    let mut doubts = std::mem::take(&mut evidence.doubts);
    if !input.trust_tail {
        unwritten_frames(store, &mut evidence, &mut doubts)?;
    }
    let numbered = Numbered::of(&evidence);
    let damaged = numbered.damaged(&evidence);
    if store.size == 0 && !evidence.sections.runs.is_empty() && is_all_of_a_store(&evidence) {
        doubts.push(Doubt::StoreEmpty);
    }
    if has_unnumbered(&evidence) {
        doubts.push(Doubt::Unnumbered);
    }
    let store_end = tail::cut(store, &evidence, &mut doubts)?;
    doubts.sort_unstable();
    doubts.dedup();
    let mut entries = numbered.entries(&evidence);
    if !doubts.is_empty() {
        // Entries on which a decision rests are evidence.
        numbered.keep_claims(store, &evidence, &mut entries)?;
    }
    // Some entries written would speak for one reading.
    let rests_on_entries = |doubt: &Doubt| {
        matches!(
            doubt,
            Doubt::TwoHistories | Doubt::StoreEmpty | Doubt::EntriesDisagree
        )
    };
    let keep_index = doubts.iter().any(rests_on_entries);
    let first_slot = evidence.segment.slot;
    let slots = entries
        .last()
        .map_or(first_slot, |it| it.first_slot + it.count);
    let (writes, first_wrong) = writes::differences(store, index, &entries)?;
    let misplaced = evidence
        .sections
        .runs
        .iter()
        .find(|run| run.at != run.slot * ENTRY_BYTES);
    let readable = evidence.frames.iter().filter(|it| it.is_readable());
    let contested = evidence
        .frames
        .iter()
        .filter(|it| it.state == State::Second);
    Ok(Account {
        first_slot,
        slots,
        records: readable.clone().count() as u64,
        unindexed: readable.filter(|it| !it.named).count() as u64,
        end_slot: numbered.end(),
        promised_end: numbered.promised_end(&evidence, index)?,
        records_end: numbered.records_end(&evidence),
        index_sound: evidence.index.sound && writes.is_empty(),
        misplaced: misplaced.map(|run| {
            let slots = run.positions.len() as u64;
            (run.at, run.slot, run.slot + slots)
        }),
        writes,
        first_wrong,
        padding: evidence.sections.padding(index.file_bytes()),
        keep_index,
        store_end,
        damaged,
        unreferenced: unreferenced(&evidence, &numbered),
        contested: contested
            .map(|frame| Contested {
                offset: Offset(frame.carried.unwrap_or_default()),
                position: Position(frame.start),
            })
            .collect(),
        doubts,
        entries,
    })
}

/// Whether the entries of an empty store are more than a service keeps in memory: then
/// the store is another one, or was cut.
fn is_all_of_a_store(evidence: &Evidence) -> bool {
    let last = evidence
        .sections
        .claims()
        .map(|(_, position)| position)
        .max();
    !evidence.index.padded || last.is_some_and(|last| last >= SERVICE_BUFFER_BYTES)
}

/// In a raw log whose service never syncs, the pages of a frame that no entry names may
/// never have arrived: from the first such frame on nothing is adopted.
fn unwritten_frames(
    store: &mut Bytes,
    evidence: &mut Evidence,
    doubts: &mut Vec<Doubt>,
) -> Result<()> {
    if evidence.segment.codec != Codec::Raw || !evidence.index.padded {
        return Ok(());
    }
    let last_named = evidence.frames.iter().rposition(|frame| frame.named);
    let behind = last_named.map_or(0, |at| at + 1);
    // An append of ours that was interrupted leaves no more zeros than it has entries.
    let unused = evidence.segment.unused_slots;
    if unused.is_some_and(|unused| unused <= (evidence.frames.len() - behind) as u64) {
        return Ok(());
    }
    let unnamed = evidence.frames.iter_mut().skip(behind);
    let mut found = false;
    for frame in unnamed.filter(|frame| frame.slot.is_some()) {
        found = found || store.holds_zero_sector(frame.start, frame.end)?;
        if found {
            frame.slot = None;
            frame.state = State::Unnumbered;
        }
    }
    if found {
        doubts.push(Doubt::MayBeUnwritten);
    }
    Ok(())
}

/// Frames that stay in the store without a number, and no record after them.
fn has_unnumbered(evidence: &Evidence) -> bool {
    let last = evidence
        .frames
        .iter()
        .rposition(|frame| frame.slot.is_some());
    evidence
        .frames
        .iter()
        .enumerate()
        .any(|(at, frame)| match frame.state {
            State::Unnumbered => frame.slot.is_none(),
            State::Repeated => last.is_none_or(|last| at > last),
            _ => false,
        })
}

/// The frames that have a slot, by it.
struct Numbered {
    base: Offset,
    first_slot: u64,
    frames: BTreeMap<u64, Frame>,
    /// The position that the entry of a slot names, where entries are at their own place
    /// or name numbered frames.
    claimed: BTreeMap<u64, u64>,
}

impl Numbered {
    fn of(evidence: &Evidence) -> Self {
        let mut frames: BTreeMap<u64, Frame> = BTreeMap::new();
        for frame in &evidence.frames {
            if let Some(slot) = frame.slot {
                frames.entry(slot).or_insert(*frame);
            }
        }
        let mut claimed = BTreeMap::new();
        for run in &evidence.sections.runs {
            let names = |(slot, position): (u64, u64)| {
                frames
                    .get(&slot)
                    .is_some_and(|frame| frame.start == position)
            };
            if run.at == run.slot * ENTRY_BYTES || run.claims().any(names) {
                for (slot, position) in run.claims() {
                    claimed.entry(slot).or_insert(position);
                }
            }
        }
        Self {
            base: Offset(evidence.segment.base),
            first_slot: evidence.segment.slot,
            frames,
            claimed,
        }
    }

    /// The slot after the last numbered frame.
    fn end(&self) -> u64 {
        let last = self.frames.last_key_value().map(|(slot, _)| slot + 1);
        last.unwrap_or(self.first_slot)
    }

    /// The end of the last numbered frame.
    fn records_end(&self, evidence: &Evidence) -> u64 {
        let last = self.frames.last_key_value().map(|(_, frame)| frame.end);
        last.unwrap_or(evidence.segment.from)
    }

    fn range(&self, first: u64, last: u64, loss: Loss) -> Damaged {
        Damaged {
            first: self.base.saturating_add(first),
            last: self.base.saturating_add(last),
            loss,
        }
    }

    /// Offsets up to the last record that cannot be read.
    fn damaged(&self, evidence: &Evidence) -> Vec<Damaged> {
        let mut damaged: Vec<Damaged> = Vec::new();
        let mut next = evidence.segment.slot;
        for (&slot, frame) in &self.frames {
            if slot > next {
                damaged.push(self.range(next, slot - 1, Loss::Missing));
            }
            let loss = match frame.state {
                State::Length => Some(Loss::Length),
                State::Payload => Some(Loss::Payload),
                State::Zeros => Some(Loss::Zeros),
                _ => None,
            };
            if let Some(loss) = loss {
                match damaged.last_mut() {
                    Some(last) if last.loss == loss && last.last.since(self.base) + 1 == slot => {
                        last.last = self.base.saturating_add(slot);
                    }
                    _ => damaged.push(self.range(slot, slot, loss)),
                }
            }
            next = slot + 1;
        }
        damaged
    }

    /// The slot after the last one that an entry names, wherever the entry is. One of
    /// zeros alone may be padding, if what is in the store has no number.
    fn promised_end(&self, evidence: &Evidence, index: &mut Index) -> Result<u64> {
        let runs = evidence.sections.runs.iter();
        let ends = runs.map(|run| run.slot + run.positions.len() as u64);
        let promised = ends.max().unwrap_or(0);
        let promised = promised.max(promised_in_place(index, self.first_slot)?);
        // One slot at the end that holds no entry is the damaged one of a record.
        let damaged = evidence.sections.damaged_last_slot(index.file_bytes());
        let promised = promised.max(damaged.map_or(0, |slot| slot + 1));
        let end = self.end();
        let padding = promised == 1 && end == 0 && !evidence.frames.is_empty();
        let another = self.are_of_another_log(evidence);
        let believed = if padding || another { 0 } else { promised };
        Ok(believed.max(self.first_slot))
    }

    /// Whether the entries after the first right ones are another log's: the frames continue to
    /// the store's end without a fault, and the first wrong entry names a place beyond it.
    fn are_of_another_log(&self, evidence: &Evidence) -> bool {
        let sections = &evidence.sections;
        let ([run], []) = (sections.runs.as_slice(), sections.rest.as_slice()) else {
            return false;
        };
        let start = |slot| self.frames.get(&slot).map(|frame| frame.start);
        let wrong = run.claims().find(|(slot, at)| start(*slot) != Some(*at));
        let is_whole = evidence.path.iter().all(|it| it.kind == Kind::Frame);
        let size = evidence.path.last().map_or(0, |it| it.end);
        // The entry of slot 0 names the beginning in any log.
        is_whole && wrong.is_some_and(|(slot, at)| (2..self.end()).contains(&slot) && at > size)
    }

    /// The entries that the index should have.
    fn entries(&self, evidence: &Evidence) -> Vec<Entries> {
        let mut entries: Vec<Entries> = Vec::new();
        let mut next = self.first_slot;
        // The end of the previous frame: a missing one keeps a place after it.
        let mut place = evidence.segment.from;
        for (&slot, frame) in &self.frames {
            self.missing(next..slot, place, frame.start, &mut entries);
            let follow = frame.state != State::Length;
            match entries.last_mut() {
                Some(last)
                    if follow
                        && last.follow
                        && last.first_slot + last.count == slot
                        && place == frame.start =>
                {
                    last.count += 1;
                }
                _ => entries.push(Entries {
                    first_slot: slot,
                    count: 1,
                    position: Position(frame.start),
                    follow,
                }),
            }
            place = frame.end;
            next = slot + 1;
        }
        entries
    }

    /// Entries for slots without a frame, between two places of the store: what their own
    /// entries say, if that is between them.
    fn missing(&self, slots: std::ops::Range<u64>, from: u64, to: u64, entries: &mut Vec<Entries>) {
        let mut place = from;
        let mut slot = slots.start;
        while slot < slots.end {
            let claimed = self.claimed.range(slot..slots.end).next();
            let (until, position) = match claimed {
                Some((&claimed, &position)) if claimed == slot => {
                    let fits = (place..=to).contains(&position);
                    (slot + 1, if fits { position } else { place })
                }
                Some((&claimed, _)) => (claimed, place),
                None => (slots.end, place),
            };
            match entries.last_mut() {
                Some(last)
                    if !last.follow
                        && last.position.0 == position
                        && last.first_slot + last.count == slot =>
                {
                    last.count += until - slot;
                }
                _ => entries.push(Entries {
                    first_slot: slot,
                    count: until - slot,
                    position: Position(position),
                    follow: false,
                }),
            }
            place = position;
            slot = until;
        }
    }

    /// Adds the entries after the last record that name the frames of an open decision.
    fn keep_claims(
        &self,
        store: &mut Bytes,
        evidence: &Evidence,
        entries: &mut Vec<Entries>,
    ) -> Result<()> {
        let end = self.end();
        let path = &evidence.path;
        for (number, (&slot, &position)) in self.claimed.range(end..).enumerate() {
            let at = path.partition_point(|piece| piece.start < position);
            let piece = path.get(at).filter(|piece| piece.start == position);
            let is_edge =
                piece.is_some_and(|it| it.kind != Kind::Frame) || is_lost(store, path, position)?;
            if slot != end + number as u64 || (number == 0 && !is_edge) {
                break;
            }
            entries.push(Entries {
                first_slot: slot,
                count: 1,
                position: Position(position),
                follow: false,
            });
        }
        Ok(())
    }
}

/// Bytes that no record has, stretches of one kind joined.
fn unreferenced(evidence: &Evidence, numbered: &Numbered) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut add = |start: u64, end: u64, frames: u64, kind: Unreferenced| match found.last_mut() {
        Some(last) if last.kind == kind && last.position + last.bytes == start => {
            last.bytes += end - start;
            last.frames += frames;
        }
        _ => found.push(Stretch {
            position: start,
            bytes: end - start,
            frames,
            kind,
        }),
    };
    let mut frames = evidence.frames.iter().peekable();
    for piece in &evidence.path {
        while frames.next_if(|frame| frame.start < piece.start).is_some() {}
        let frame = frames.next_if(|frame| frame.start == piece.start);
        if let Some(frame) = frame.filter(|frame| frame.slot.is_none()) {
            let kind = match frame.state {
                State::Refused => Unreferenced::Refused,
                State::Repeated => Unreferenced::Repeated,
                State::Second => Unreferenced::Second,
                _ => Unreferenced::Unnumbered,
            };
            add(frame.start, frame.end, 1, kind);
        } else if piece.kind == Kind::Row {
            let frames = (piece.end - piece.start) / LEAST_FRAME;
            add(piece.start, piece.end, frames, Unreferenced::Unnumbered);
        } else if frame.is_none() {
            let kind = match piece.kind {
                Kind::Torn => Unreferenced::Torn,
                Kind::Zeros => Unreferenced::Zeros,
                _ if is_dead(evidence, numbered, piece) => Unreferenced::Dead,
                _ => Unreferenced::Junk,
            };
            add(piece.start, piece.end, 0, kind);
        }
    }
    found
}

/// Whether the records around a gap of a protobuf log follow each other.
fn is_dead(evidence: &Evidence, numbered: &Numbered, gap: &Piece) -> bool {
    if evidence.segment.codec == Codec::Raw {
        return false;
    }
    let at = evidence
        .frames
        .partition_point(|frame| frame.start < gap.start);
    let (before, behind) = evidence.frames.split_at(at.min(evidence.frames.len()));
    let after = behind.iter().find_map(|frame| frame.slot);
    let before = before.iter().rev().find_map(|frame| frame.slot);
    let first = before.map_or(numbered.first_slot, |slot| slot + 1);
    after == Some(first)
}
