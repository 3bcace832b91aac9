//! Assigns an offset to each frame of a protobuf log: the one in its record, checked
//! against its neighbors and against the entries.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::bytes::Bytes;
use super::frames::{Doubt, Frame, State, gap_before, is_lost};
use super::lives::Life;
use super::path::{Kind, Piece, Segment};
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;

/// Frames in a row whose own offsets are damaged while their neighbors continue.
const DAMAGED_ROW: usize = 64;

/// The smallest record above offset 0 in its frame. Units: bytes.
const SMALLEST_FRAME: u64 = 10;

/// Facts about the index as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexState {
    /// Nothing but one run of entries from slot 0, and padding.
    pub sound: bool,
    /// Whether it is padded.
    pub padded: bool,
    /// Number of entries.
    pub entries: u64,
}

/// Numbers the frames; adds those whose length alone is wrong.
pub(super) fn number(
    segment: &Segment,
    store: &mut Bytes,
    path: &[Piece],
    lives: &[Life],
    index: IndexState,
    frames: &mut Vec<Frame>,
) -> Result<Vec<Doubt>> {
    for frame in frames.iter_mut() {
        frame.carried = segment.carried(store, frame.start)?;
        frame.named = segment.names(store, frame.start)?;
    }
    let mut numbering = Numbering {
        segment,
        path,
        index,
    };
    numbering.damaged_between_neighbours(frames);
    numbering.named_but_damaged(frames);
    let base = segment.base;
    if let [only] = frames.as_mut_slice()
        && only.end == LENGTH_BYTES
        && only.start == 0
        && LENGTH_BYTES < store.size
        && store.zeros <= LENGTH_BYTES
    {
        only.state = State::Zeros;
    }
    if let Some(life) = lives.last() {
        numbering.before_lost(store, life, frames)?;
    }
    numbering.repeated(frames);
    numbering.histories(frames);
    numbering.wrong_lengths(store, frames)?;
    for frame in frames.iter_mut() {
        let numbered = matches!(
            frame.state,
            State::Intact | State::Payload | State::Length | State::Zeros
        );
        let slot = frame.carried.and_then(|offset| offset.checked_sub(base));
        frame.slot = slot.filter(|_| numbered);
    }
    let mut doubts = Vec::new();
    if frames.iter().any(|it| it.state == State::Second) {
        doubts.push(Doubt::TwoHistories);
    }
    Ok(doubts)
}

struct Numbering<'a> {
    segment: &'a Segment,
    path: &'a [Piece],
    index: IndexState,
}

impl Numbering<'_> {
    fn is_good(&self, frame: &Frame) -> bool {
        let offsets = &self.segment.offsets;
        frame
            .carried
            .is_some_and(|offset| offsets.contains(&offset))
    }

    /// The offset of the record before the first frame of the path, plus 1.
    fn first_offset(&self) -> u64 {
        self.segment.base.saturating_add(self.segment.slot)
    }

    /// Frames whose payload or offset is damaged, between neighbors that continue.
    fn damaged_between_neighbours(&self, frames: &mut [Frame]) {
        let mut at = 0;
        while let Some(frame) = frames.get(at).copied() {
            let before = at.checked_sub(1).and_then(|it| frames.get(it)).copied();
            let next = match before {
                Some(before) if before.group == frame.group && self.is_good(&before) => {
                    before.carried.and_then(|offset| offset.checked_add(1))
                }
                _ if frame.start == self.segment.from => Some(self.first_offset()),
                _ => None,
            };
            let Some(next) = next else {
                at += 1;
                continue;
            };
            if self.is_good(&frame) && frame.carried == Some(next) {
                at += 1;
                continue;
            }
            at += self.damaged_row(frames, at, next).max(1);
        }
    }

    /// Marks the damaged frames from `at` on, the first of which has offset `next`;
    /// returns their number.
    fn damaged_row(&self, frames: &mut [Frame], at: usize, next: u64) -> usize {
        let Some(group) = frames.get(at).map(|it| it.group) else {
            return 0;
        };
        let row = frames.get(at..).unwrap_or_default().iter().enumerate();
        let row = row
            .take(DAMAGED_ROW + 1)
            .take_while(|(_, it)| it.group == group);
        let expected = |ahead: usize| next.checked_add(ahead as u64);
        let continues = |(ahead, frame): &(usize, &Frame)| {
            *ahead > 0 && self.is_good(frame) && frame.carried == expected(*ahead)
        };
        let Some((count, after)) = row.clone().find(continues) else {
            return 0;
        };
        let after = after.carried;
        let damaged = frames.get(at..at + count).unwrap_or_default();
        let following = frames.get(at + 1..=at + count).unwrap_or_default();
        // A frame that repeats an offset was refused, and is not damaged.
        let repeats = damaged.iter().any(|it| it.carried == next.checked_sub(1))
            || (at == 0 && damaged.first().map(|it| it.carried) == Some(after))
            || damaged
                .iter()
                .zip(following)
                .any(|(a, b)| self.is_good(a) && a.carried == b.carried);
        if repeats || damaged.iter().any(|it| it.named) {
            return 0;
        }
        for (ahead, frame) in frames.iter_mut().skip(at).take(count).enumerate() {
            frame.state = State::Payload;
            frame.carried = expected(ahead);
        }
        count
    }

    /// Frames that cannot say their offset, but that an entry or their neighbors number.
    fn named_but_damaged(&self, frames: &mut [Frame]) {
        let mut after_each = vec![None; frames.len()];
        let mut after = None;
        for (frame, slot) in frames.iter().zip(&mut after_each).rev() {
            *slot = after;
            if self.is_good(frame) {
                after = frame.carried;
            }
        }
        let base = self.segment.base;
        let mut before: Option<Frame> = None;
        for (at, after) in after_each.into_iter().enumerate() {
            let Some(frame) = frames.get_mut(at) else {
                break;
            };
            if frame.state == State::Intact && !self.is_good(frame) {
                let lowest = match before.and_then(|it| it.carried) {
                    Some(offset) => offset.checked_add(1),
                    None => Some(self.first_offset()),
                };
                let fits = |offset: &u64| {
                    lowest.is_some_and(|lowest| *offset >= lowest)
                        && after.is_none_or(|after| *offset < after)
                };
                let slots = self.segment.slots_at(frame.start);
                let named = slots
                    .filter_map(|slot| base.checked_add(slot))
                    .filter(fits)
                    .min();
                let chained = before.is_some_and(|it| it.group == frame.group)
                    && frame.carried.is_none()
                    && !frame.is_empty()
                    && after.is_some();
                let by_chain = lowest.filter(|offset| chained && fits(offset));
                frame.state = State::Payload;
                match named.or(by_chain) {
                    Some(offset) => frame.carried = Some(offset),
                    None => frame.state = State::Unnumbered,
                }
            }
            before = Some(*frame);
        }
    }

    /// Frames under an offset whose entry names a later place, where its record is lost:
    /// appends that the service refused.
    fn before_lost(&self, store: &mut Bytes, life: &Life, frames: &mut [Frame]) -> Result<()> {
        for frame in frames.iter_mut().rev() {
            if frame.named {
                break;
            }
            let slot = frame
                .carried
                .and_then(|it| it.checked_sub(self.segment.base));
            let place = slot.and_then(|slot| life.claims.get(&slot).copied());
            if let Some(place) = place.filter(|place| *place > frame.start)
                && is_lost(store, self.path, place)?
            {
                frame.state = State::Repeated;
            }
        }
        Ok(())
    }

    /// Runs of frames under one offset: appends that the service refused.
    fn repeated(&self, frames: &mut [Frame]) {
        let first = self.first_offset();
        let live: Vec<usize> = live(frames, |state| {
            matches!(state, State::Unnumbered | State::Repeated)
        });
        // The frame to which an entry assigns an offset.
        let mut owners: HashMap<u64, u64> = HashMap::new();
        for frame in live.iter().filter_map(|at| frames.get(*at)) {
            if let (Some(offset), true) = (frame.carried, frame.named) {
                owners.entry(offset).or_insert(frame.start);
            }
        }
        let base = self.segment.base;
        let base_is_there = self.segment.slot > 0
            || live
                .iter()
                .filter_map(|at| frames.get(*at))
                .any(|it| it.carried == Some(base));
        let carried = |frames: &[Frame], at: usize| {
            let frame = live.get(at).and_then(|it| frames.get(*it));
            frame.and_then(|frame| frame.carried)
        };
        let mut at = 0;
        while let Some(offset) = carried(frames, at) {
            let mut end = at + 1;
            while carried(frames, end) == Some(offset) {
                end += 1;
            }
            let run: Vec<usize> = live.get(at..end).unwrap_or_default().to_vec();
            let follows =
                carried(frames, end).is_some_and(|after| Some(after) == offset.checked_add(1));
            let before = at.checked_sub(1).and_then(|at| carried(frames, at));
            at = end;
            let owner = owners.get(&offset).copied();
            let in_run = |frames: &[Frame], position: u64| {
                run.iter()
                    .any(|it| frames.get(*it).is_some_and(|it| it.start == position))
            };
            // The offset is committed already, by an entry or before the path.
            let committed = owner.is_some() || offset < first;
            let owned_elsewhere = match owner {
                Some(position) => !in_run(frames, position),
                None => offset < first,
            };
            // A frame that follows its predecessor was never refused.
            let ascending = run.len() == 1 && before.is_some() && before == offset.checked_sub(1);
            if run.len() == 1 && (!owned_elsewhere || ascending) {
                continue;
            }
            let mut kept: Vec<usize> = run
                .iter()
                .copied()
                .filter(|it| frames.get(*it).is_some_and(|it| it.named))
                .collect();
            if follows
                && let Some(last) = run.last()
                && !kept.contains(last)
            {
                kept.push(*last);
            }
            let index = self.index;
            let next = base.checked_add(index.entries);
            let second = base.checked_add(1) == Some(offset);
            let under_next = run.len() > 1 && Some(offset) == next;
            let behind_padding = index.padded && (committed || (run.len() > 1 && second));
            let proven = index.sound && !follows && (under_next || behind_padding);
            if kept.is_empty() && !committed {
                if proven && second && index.padded && base_is_there {
                    // The first of them was acknowledged.
                    kept.extend(run.first());
                } else if !proven {
                    // If one was acknowledged, it is the last.
                    kept.extend(run.last());
                }
            }
            for number in run {
                if kept.contains(&number) {
                    continue;
                }
                if let Some(frame) = frames.get_mut(number) {
                    let behind = owner.is_some_and(|position| frame.start < position);
                    let refused = proven || (index.sound && behind);
                    frame.state = if refused {
                        State::Refused
                    } else {
                        State::Repeated
                    };
                }
            }
        }
    }

    /// Strands of ascending offsets. One that begins below the highest offset before it is
    /// another history.
    fn histories(&self, frames: &mut [Frame]) {
        let live = live(frames, |state| {
            matches!(state, State::Unnumbered | State::Refused | State::Repeated)
        });
        let mut strands: Vec<(usize, usize)> = Vec::new();
        let carried = |at: usize| {
            let frame = live.get(at).and_then(|it| frames.get(*it));
            frame.and_then(|frame| frame.carried).unwrap_or(0)
        };
        for at in 0..live.len() {
            match strands.last_mut() {
                Some(last) if carried(last.1).checked_add(1) == Some(carried(at)) => last.1 = at,
                _ => strands.push((at, at)),
            }
        }
        let bounds: Vec<(u64, u64)> = strands
            .iter()
            .map(|(first, last)| (carried(*first), carried(*last)))
            .collect();
        let mut taken = BTreeSet::new();
        let first = self.first_offset();
        // The offset that follows the highest one so far.
        let mut next = first;
        for (number, (from, to)) in strands.into_iter().enumerate() {
            let Some(&(low, high)) = bounds.get(number) else {
                break;
            };
            let later = bounds.get(number + 1).map(|it| it.0);
            let members = live.get(from..=to).unwrap_or_default();
            let named = members
                .iter()
                .any(|it| frames.get(*it).is_some_and(|it| it.named));
            let fits = low >= next && later.is_none_or(|later| later > high);
            let start = members
                .first()
                .and_then(|it| frames.get(*it))
                .map_or(0, |it| it.start);
            let room = gap_before(self.path, start).map(|gap| (start - gap) / SMALLEST_FRAME);
            let missing = low.saturating_sub(next);
            let jump = missing > 0
                && start != self.segment.from
                && room.is_none_or(|room| missing > room.saturating_add(1));
            if from == to && !named && (!fits || jump) {
                if let Some(frame) = members.first().and_then(|it| frames.get_mut(*it)) {
                    frame.state = State::Unnumbered;
                }
                continue;
            }
            for member in members {
                if let Some(frame) = frames.get_mut(*member)
                    && let Some(offset) = frame.carried
                    && (offset < first || !taken.insert(offset))
                {
                    frame.state = State::Second;
                }
            }
            next = next.max(high.saturating_add(1));
        }
    }

    /// Gaps that hold one record whose length alone is damaged: its fields say where it
    /// ends.
    fn wrong_lengths(&mut self, store: &mut Bytes, frames: &mut Vec<Frame>) -> Result<()> {
        let numbered = |frame: &&Frame| matches!(frame.state, State::Intact | State::Payload);
        let mut by_place: BTreeMap<u64, u64> = BTreeMap::new();
        let mut offsets = BTreeSet::new();
        for frame in frames.iter() {
            let Some(offset) = frame.carried else {
                continue;
            };
            if frame.state != State::Intact {
                offsets.insert(offset);
            }
            if numbered(&frame) {
                by_place.insert(frame.start, offset);
                offsets.insert(offset);
            }
        }
        let gaps = self
            .path
            .iter()
            .filter(|it| matches!(it.kind, Kind::Gap | Kind::Torn));
        for gap in gaps {
            let start = gap.start + LENGTH_BYTES;
            if start >= gap.end {
                continue;
            }
            let Some(offset) = store.canonical(start, gap.end)? else {
                continue;
            };
            if !self.segment.offsets.contains(&offset) || offsets.contains(&offset) {
                continue;
            }
            let before = by_place.range(..gap.start).next_back().map(|it| *it.1);
            let after = by_place.range(gap.end..).next().map(|it| *it.1);
            let lowest = before.map_or(Some(self.first_offset()), |it| it.checked_add(1));
            let fits = lowest.is_some_and(|lowest| offset >= lowest)
                && after.is_none_or(|after| offset < after);
            let first = gap.start == 0 && offset == self.segment.base;
            if fits || first {
                by_place.insert(gap.start, offset);
                offsets.insert(offset);
                frames.push(Frame {
                    start: gap.start,
                    end: gap.end,
                    group: u32::MAX,
                    slot: None,
                    carried: Some(offset),
                    named: false,
                    state: State::Length,
                });
            }
        }
        Ok(())
    }
}

/// The numbers of the frames that have an offset and are not in one of these states.
fn live(frames: &[Frame], out: impl Fn(State) -> bool) -> Vec<usize> {
    let numbered = frames.iter().enumerate();
    numbered
        .filter(|(_, it)| it.carried.is_some() && !out(it.state))
        .map(|(at, _)| at)
        .collect()
}
