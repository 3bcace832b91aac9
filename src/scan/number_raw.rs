//! Which offset each frame of a raw log has: by the entries that name frames of its
//! group, else by the frames before it from the start, else by one flipped bit of a
//! length, else by the next segment's base.

use std::collections::{BTreeMap, HashSet};

use super::bytes::Bytes;
use super::cost::EMPTY_ROW;
use super::frames::{Doubt, Frame, State, begins_gap, gap_before, is_lost};
use super::lives::Life;
use super::path::{Kind, Piece, Segment, changed_bits, is_one_bit, is_shared};
use crate::log::error::Result;

/// Numbers the frames; adds those whose length alone is wrong.
pub(super) fn number(
    segment: &Segment,
    store: &mut Bytes,
    path: &[Piece],
    lives: &[Life],
    next_base: Option<u64>,
    frames: &mut Vec<Frame>,
) -> Result<Vec<Doubt>> {
    let [life, later @ ..] = lives else {
        return Ok(Vec::new());
    };
    let mut later = later.iter().peekable();
    let mut numbering = Numbering {
        segment,
        path,
        life,
        is_later: false,
        room: next_base.and_then(|next| next.checked_sub(segment.base)),
        following: Some(segment.slot),
        least: segment.slot,
        doubts: Vec::new(),
        added: Vec::new(),
    };
    let starts: Vec<u64> = frames.iter().map(|frame| frame.start).collect();
    let mut begin = 0;
    while let Some(first) = frames.get(begin).copied() {
        let group = first.group;
        while let Some(life) = later.next_if(|life| life.from <= first.start) {
            (numbering.life, numbering.is_later) = (life, true);
            (numbering.following, numbering.least) = (None, 1);
        }
        let to = later.peek().map_or(u64::MAX, |life| life.from);
        let same = |it: &&Frame| it.group == group && it.start < to;
        let count = frames.get(begin..).unwrap_or_default();
        let count = count.iter().take_while(same).count();
        let (before, rest) = frames.split_at_mut(begin);
        let (members, behind) = rest.split_at_mut(count);
        let previous = before.last_mut().filter(|it| it.group + 1 == group);
        numbering.group(store, members, previous, behind.is_empty(), &starts)?;
        begin += count;
    }
    Numbering::without_counted(lives, store.size, frames);
    frames.append(&mut numbering.added);
    frames.retain(|frame| frame.state != State::Inside);
    if lives.len() > 1 {
        numbering.histories(frames);
    }
    Ok(numbering.doubts)
}

struct Numbering<'a> {
    segment: &'a Segment,
    path: &'a [Piece],
    /// The entries of the service that wrote the frames.
    life: &'a Life,
    /// Whether it is not the first one.
    is_later: bool,
    /// Number of records that fit before the next segment.
    room: Option<u64>,
    /// The slot after the last numbered frame, if the chain shows it.
    following: Option<u64>,
    /// No frame after has a slot below this.
    least: u64,
    doubts: Vec<Doubt>,
    /// Frames whose length alone is wrong.
    added: Vec<Frame>,
}

/// The meaning of an entry for a frame: the frame's number in its group, and the slot of
/// the group's first frame.
type Vote = (usize, i128);

/// Number of entries that imply each first slot, and the first frame that one of them
/// names.
fn count(votes: &[Vote]) -> BTreeMap<i128, (usize, usize)> {
    let mut counts = BTreeMap::new();
    for &(at, first) in votes {
        let entry = counts.entry(first).or_insert((0, at));
        entry.0 += 1;
        entry.1 = entry.1.min(at);
    }
    counts
}

impl Numbering<'_> {
    /// Takes the offsets of frames without entries that entries after them give to other
    /// frames. Those between two frames whose entries follow each other were refused.
    fn without_counted(lives: &[Life], size: u64, frames: &mut [Frame]) {
        let mut lowest = u64::MAX;
        // The frames without entries before the one that an entry names, and what the
        // entry before that names.
        let (mut between, mut before): (Vec<usize>, Option<u64>) = (Vec::new(), None);
        for at in (0..frames.len()).rev() {
            let next = frames.get(at + 1).copied();
            let Some(frame) = frames.get(at).copied() else {
                break;
            };
            let mut set = |at: usize, state: State| {
                if let Some(frame) = frames.get_mut(at) {
                    frame.slot = None;
                    frame.state = state;
                }
            };
            if let Some(slot) = frame.slot.filter(|_| frame.named) {
                for at in between.drain(..).filter(|_| before == Some(frame.start)) {
                    set(at, State::Repeated);
                }
                let life = lives.iter().rfind(|life| life.from <= frame.start);
                // An entry alone may be wrong, unless its frame is the last one.
                let proven = next.is_some_and(|next| next.named && next.slot == Some(slot + 1))
                    || frame.end == size;
                before = life.filter(|_| proven).and_then(|life| life.before(slot));
                lowest = lowest.min(slot);
            } else if frame.state != State::Inside && frame.slot.is_none_or(|it| it >= lowest) {
                set(at, State::Unnumbered);
                between.push(at);
            }
        }
    }

    /// Records of a later service whose offsets an earlier one gave out are another
    /// history.
    fn histories(&mut self, frames: &mut [Frame]) {
        let mut taken = HashSet::new();
        frames.sort_unstable_by_key(|frame| frame.start);
        for frame in frames.iter_mut() {
            let Some(slot) = frame.slot else { continue };
            if slot < self.segment.slot || !taken.insert(slot) {
                frame.carried = self.segment.base.checked_add(slot);
                frame.slot = None;
                frame.state = State::Second;
            }
        }
        if frames.iter().any(|frame| frame.state == State::Second) {
            self.doubts.push(Doubt::TwoHistories);
        }
    }

    fn group(
        &mut self,
        store: &mut Bytes,
        members: &mut [Frame],
        previous: Option<&mut Frame>,
        is_last: bool,
        starts: &[u64],
    ) -> Result<()> {
        let Some(first) = members.first().map(|it| it.start) else {
            return Ok(());
        };
        let mut votes: Vec<Vote> = Vec::new();
        for (at, frame) in members.iter().enumerate() {
            let slots = self.segment.slots_at(frame.start);
            votes.extend(slots.map(|slot| (at, i128::from(slot) - at as i128)));
        }
        let at_start = first == self.segment.from && !self.is_later;
        let mut gap = gap_before(self.path, first);
        let mut shift = self.by_entries(&votes, at_start, members);
        if let (Some(gap), Some(following)) = (gap, self.following)
            && self.segment.is_claimed(gap, following)
        {
            self.least = self.least.max(following + 1);
        }
        let mut members = members;
        if let Some(slot) = &mut shift
            && !at_start
            && !votes.is_empty()
        {
            // Bytes before the first named frame may be part of a damaged value.
            let inside = self.inside(members, &votes, *slot);
            let (dropped, kept) = members.split_at_mut(inside);
            for frame in dropped.iter_mut() {
                frame.state = State::Inside;
            }
            if inside > 0 {
                gap = None;
                *slot += inside as i128;
                votes.retain(|(at, _)| *at >= inside);
                for vote in &mut votes {
                    *vote = (vote.0 - inside, vote.1 + inside as i128);
                }
            }
            members = kept;
        }
        if shift.is_none() && !at_start {
            shift = self.by_neighbours(store, members, gap, is_last)?;
        }
        let slot = shift.and_then(|slot| u64::try_from(slot).ok());
        let (Some(slot), Some(first)) = (slot, members.first().map(|it| it.start)) else {
            for frame in members {
                frame.state = State::Unnumbered;
            }
            self.following = None;
            return Ok(());
        };
        if let (Some(gap), Some(following)) = (gap, self.following) {
            if slot == following + 1 && is_one_bit(store.length(gap)?, gap, first) {
                self.added.push(Frame {
                    start: gap,
                    end: first,
                    group: u32::MAX,
                    slot: Some(following),
                    carried: None,
                    named: false,
                    state: State::Length,
                });
            } else if slot == following
                && self.segment.breaks.binary_search(&first).is_err()
                && let Some(previous) = previous
                && !store.is_unacknowledged(Some(previous.start), previous.end, first, None)?
            {
                // No record is in the gap: the length before it is wrong.
                previous.end = first;
                previous.state = State::Length;
            }
        }
        self.assign(store, members, slot, &votes, starts)
    }

    /// The slot of a group's first frame by the entries that name its frames.
    fn by_entries(&mut self, votes: &[Vote], at_start: bool, members: &[Frame]) -> Option<i128> {
        let frames = members.len();
        let counts = count(votes);
        let start = i128::from(self.segment.slot);
        let least = i128::from(self.least);
        let fits = |(slot, (_, at)): &(&i128, &(usize, usize))| least <= **slot + *at as i128;
        let most = counts.iter().filter(fits).map(|(_, it)| it.0).max();
        let best = counts.iter().filter(fits).filter(|it| Some(it.1.0) == most);
        let best: Vec<i128> = best.map(|it| *it.0).collect();
        if self.life.is_doubtful {
            self.doubts.push(Doubt::EntriesDisagree);
            return None;
        }
        if at_start {
            // Two entries name the first frame: the record of the first one is missing.
            let first = votes.iter().filter(|it| it.0 == 0 && it.1 > start);
            let first = first.map(|it| it.1).max();
            let alone = frames == 1 || !best.contains(&start);
            if let Some(first) = first.filter(|first| alone && best.contains(first)) {
                return Some(first);
            }
            // An entry of zeros may be padding.
            let zeros = counts.get(&start).is_some_and(|it| *it == (1, 0));
            let zeros = zeros && start == 0 && self.segment.from == 0;
            let told = counts.contains_key(&start);
            let wrong = |(at, it): (&i128, &(usize, usize))| {
                it.0 >= 2 && *at != start && (!told || (zeros && *at > start))
            };
            if counts.iter().any(wrong) {
                self.doubts.push(Doubt::EntriesDisagree);
                return None;
            }
            return Some(start);
        }
        match best.as_slice() {
            // Of entries that are displaced a few name frames by chance.
            [slot] if self.is_contradicted(members, *slot, most) => {
                self.doubts.push(Doubt::EntriesDisagree);
                None
            }
            [slot] => Some(*slot),
            [.., highest] if frames == 1 => Some(*highest),
            [] => None,
            _ => {
                self.doubts.push(Doubt::EntriesDisagree);
                None
            }
        }
    }

    /// Whether more entries of these frames name other places than the `named` ones that name
    /// theirs.
    fn is_contradicted(&self, members: &[Frame], slot: i128, named: Option<usize>) -> bool {
        let elsewhere = members.iter().enumerate().filter(|(at, frame)| {
            let own = u64::try_from(slot + *at as i128).ok();
            let claimed = own.and_then(|own| self.life.claims.get(&own));
            let is_elsewhere = claimed.is_some_and(|claimed| *claimed != frame.start);
            is_elsewhere && !self.segment.is_named(frame.start)
        });
        elsewhere.count() > named.unwrap_or(0)
    }

    /// Number of frames at a group's beginning that are part of the damaged value before
    /// it: there is no slot for them, or entries put their slots elsewhere.
    fn inside(&self, members: &[Frame], votes: &[Vote], slot: i128) -> usize {
        let named = votes.iter().filter(|it| it.1 == slot).map(|it| it.0).min();
        let before = members.iter().take(named.unwrap_or(0)).enumerate();
        let is_inside = |(at, frame): (usize, &Frame)| {
            let own = slot + at as i128;
            let claimed = u64::try_from(own)
                .ok()
                .and_then(|own| self.life.claims.get(&own));
            own < i128::from(self.least) || claimed.is_some_and(|it| *it != frame.start)
        };
        before
            .map(is_inside)
            .rposition(|inside| inside)
            .map_or(0, |at| at + 1)
    }

    /// The slot of a group's first frame if no entry shows it.
    fn by_neighbours(
        &self,
        store: &mut Bytes,
        members: &[Frame],
        gap: Option<u64>,
        is_last: bool,
    ) -> Result<Option<i128>> {
        let (Some(gap), Some(following), Some(first)) = (gap, self.following, members.first())
        else {
            return Ok(None);
        };
        let length = store.length(gap)?;
        let next = i128::from(following) + 1;
        if is_one_bit(length, gap, first.start) && !is_shared(store, gap, first.start)? {
            return Ok(Some(next));
        }
        let ends_whole = self.path.last().is_some_and(|it| it.kind == Kind::Frame);
        let by_room = self
            .room
            .map(|room| i128::from(room) - members.len() as i128);
        let bits = changed_bits(length, gap, first.start).unwrap_or(u64::MAX);
        let bytes = bits.to_be_bytes().iter().filter(|byte| **byte > 0).count();
        Ok((is_last && ends_whole && bytes <= 2 && by_room == Some(next)).then_some(next))
    }

    /// Numbers a group from its first slot on.
    fn assign(
        &mut self,
        store: &mut Bytes,
        members: &mut [Frame],
        first: u64,
        votes: &[Vote],
        starts: &[u64],
    ) -> Result<()> {
        let counts = count(votes);
        let last_votes: BTreeMap<i128, usize> = votes.iter().map(|it| (it.1, it.0)).collect();
        let is_start = |position: u64| starts.binary_search(&position).is_ok();
        // Frames that no record has, between two runs of entries: the entries say so.
        let mut jumps: Vec<Vote> = votes.to_vec();
        // It takes two of them, or the last one alone if the one before it is right.
        let last_vote = votes.iter().map(|vote| vote.0).max();
        let is_last = |(at, wanted): &Vote| {
            let slot = u64::try_from(*wanted + *at as i128).ok();
            let before = slot.and_then(|slot| slot.checked_sub(1));
            let claimed = before.and_then(|slot| self.life.claims.get(&slot));
            let chained = before.and_then(|slot| usize::try_from(slot.checked_sub(first)?).ok());
            let chained = chained
                .and_then(|at| members.get(at))
                .map(|frame| frame.start);
            Some(*at) == last_vote && claimed.is_some() && claimed.copied() == chained
        };
        jumps.retain(|vote| {
            let several = counts.get(&vote.1).is_some_and(|count| count.0 >= 2);
            vote.1 < i128::from(first) && (several || is_last(vote))
        });
        jumps.sort_unstable();
        let mut jumps = jumps.into_iter().peekable();
        let (mut slot, mut blanks, mut vague, mut last_named) = (first, 0, false, None);
        for at in 0..members.len() {
            while let Some((_, wanted)) = jumps.next_if(|jump| jump.0 <= at) {
                let Ok(back) = u64::try_from(wanted + at as i128) else {
                    continue;
                };
                if back < slot && last_named.is_none_or(|last| back > last) {
                    for frame in members.iter_mut().take(at).rev() {
                        match frame.slot {
                            Some(old) if old >= back => {
                                frame.slot = None;
                                frame.state = State::Unnumbered;
                            }
                            Some(_) => break,
                            None => {}
                        }
                    }
                    slot = back;
                }
            }
            let Some(frame) = members.get_mut(at) else {
                break;
            };
            let (start, end) = (frame.start, frame.end);
            let empty = frame.is_empty();
            blanks = if empty && !self.segment.is_named(start) {
                blanks + 1
            } else {
                0
            };
            frame.slot = Some(slot);
            frame.named = self.segment.is_claimed(start, slot);
            let claimed = self.life.claims.get(&slot).copied();
            let next_claimed = self.life.claims.get(&(slot + 1)).copied();
            if blanks > EMPTY_ROW && !frame.named && !vague {
                vague = true;
                self.doubts.push(Doubt::EmptyRow);
                // None of the row counts: a part of it would look like all of it later.
                let row = members.iter_mut().take(at).rev();
                for blank in row.take(usize::try_from(blanks - 1).unwrap_or(0)) {
                    blank.slot = None;
                    blank.state = State::Unnumbered;
                }
            }
            let Some(frame) = members.get_mut(at) else {
                break;
            };
            if frame.named {
                vague = false;
                last_named = last_named.max(Some(slot));
            }
            if !frame.named
                && let Some(place) = claimed
                && place > start
                && is_lost(store, self.path, place)?
            {
                // Its record was to begin there: this one was refused.
                vague = true;
            }
            if vague || (empty && !frame.named && claimed.is_some_and(is_start)) {
                frame.slot = None;
                frame.state = State::Unnumbered;
            } else if !empty
                && begins_gap(self.path, end)
                && claimed == Some(start)
                && let Some(next) = next_claimed.filter(|next| *next > end)
                && !store.is_unacknowledged(Some(start), end, next, None)?
            {
                frame.state = State::Length;
            } else if empty && self.held_a_value(store, frame, slot, starts) {
                frame.state = State::Zeros;
                // The next frames may be parts of its value, unless an entry counts them.
                let counted = last_votes.get(&(i128::from(slot) - at as i128));
                let longer = next_claimed.is_some_and(|next| next > end);
                vague = longer && counted.is_none_or(|last| *last <= at);
            }
            slot += 1;
        }
        self.following = (!vague).then_some(slot);
        self.least = self.least.max(last_named.map_or(0, |last| last + 1));
        Ok(())
    }

    /// Whether the eight zero bytes of an empty frame are what is left of another: the next
    /// entry says so, or they lead nowhere.
    fn held_a_value(&self, store: &Bytes, frame: &Frame, slot: u64, starts: &[u64]) -> bool {
        let (named, end) = (frame.named, frame.end);
        let next_claimed = self.life.claims.get(&(slot + 1)).copied();
        let unnamed = named && !self.segment.is_named(end);
        let is_start = |position: u64| starts.binary_search(&position).is_ok();
        let elsewhere = next_claimed.is_some_and(|next| {
            next != end && (is_start(next) || end >= store.zeros || unnamed && next > end)
        });
        let begins_gap = begins_gap(self.path, end);
        let before_gap = begins_gap && next_claimed.is_some_and(|next| next != end);
        let in_zeros = named
            && end >= store.zeros
            && end < store.size
            && next_claimed.is_none()
            && !self.segment.marked;
        // Nothing but its entry speaks for it.
        let nowhere = named && next_claimed.is_none() && begins_gap;
        elsewhere || before_gap || in_zeros || nowhere
    }
}
