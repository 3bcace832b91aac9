//! The cheapest way through a store, from frame to frame and over gaps. What a way costs
//! is said in `cost`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::bytes::Bytes;
use super::candidates::{Candidate, Candidates, may_be_torn};
use super::cost;
pub(super) use super::segment::Segment;
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;
use crate::log::record::Codec;

/// The kind of a stretch of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An intact frame.
    Frame,
    /// Bytes that are no frame, with frames or the store's end after them.
    Gap,
    /// Zeros that would be very many empty records, with a length after them.
    Row,
    /// Zeros up to the store's end.
    Zeros,
    /// A frame that the store's end cuts short.
    Torn,
}

/// A stretch of a store. Units: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub start: u64,
    pub end: u64,
    pub kind: Kind,
}

/// How a place is reached most cheaply.
#[derive(Debug, Clone, Copy)]
struct Best {
    cost: f64,
    /// The place before, as a number in the trail.
    before: u32,
    kind: Kind,
}

/// A place at which a gap may begin.
#[derive(Debug, Clone, Copy)]
struct Open {
    position: u64,
    cost: f64,
    length: Option<u64>,
    number: u32,
}

impl Open {
    fn gap_cost(&self, to: u64) -> f64 {
        let unexplained = if is_one_bit(self.length, self.position, to) {
            cost::ONE_BIT
        } else {
            cost::UNEXPLAINED
        };
        self.cost + cost::FAULT + unexplained + bytes(to - self.position)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a cost need not be exact")]
fn bytes(count: u64) -> f64 {
    count as f64 * cost::PER_BYTE
}

/// Whether the length at `start` differs in one bit from the one that leads to `end`.
pub(super) fn is_one_bit(length: Option<u64>, start: u64, end: u64) -> bool {
    changed_bits(length, start, end).is_some_and(u64::is_power_of_two)
}

/// Whether not only the length at the start of a gap may be one bit away from leading to its
/// end: the one after the frame there may be too, and then there is one record more.
pub(super) fn is_shared(store: &mut Bytes, gap: u64, to: u64) -> Result<bool> {
    let mut at = gap;
    while let Some(end) = store.end(at)?.filter(|end| *end < to) {
        if is_one_bit(store.length(end)?, end, to) {
            return Ok(true);
        }
        at = end;
    }
    Ok(false)
}

/// The bits of the length at `start` that must be wrong if its frame ends at `end`.
pub(super) fn changed_bits(length: Option<u64>, start: u64, end: u64) -> Option<u64> {
    let right = end.checked_sub(start)?.checked_sub(LENGTH_BYTES)?;
    Some(length? ^ right)
}

/// Empty records of a raw log in a row, beyond which a row of zeros is passed in one step.
/// Units: bytes.
const ZERO_ROW: u64 = 64 * LENGTH_BYTES;

/// The state of the search for the cheapest way.
struct Search<'a> {
    segment: &'a Segment,
    store: &'a mut Bytes,
    table: &'a Candidates,
    all_named: bool,
    /// Named places where intact frames are, ascending.
    whole: Vec<u64>,
    /// How places ahead are reached.
    best: BTreeMap<u64, Best>,
    /// The places that were passed: position, the number of the one before, and what
    /// lies between.
    trail: Vec<(u64, u32, Kind)>,
    open: VecDeque<Open>,
    /// The cheapest start of a gap of any length.
    cheapest: Option<Open>,
    /// A frame that holds and leads on: no gap from before it ends inside it.
    cover: Option<(u64, u64)>,
    /// The last candidate whose chain reaches the end, or the last named intact frame,
    /// and where that frame ends.
    last: (u64, u64),
    /// The start of the last search for zeros, and its result.
    zeros: std::ops::Range<u64>,
}

/// The cheapest way from the segment's first place to the store's end; `None` if it has
/// too many frames. If not `all_named`, frames may be divided that lead on by chance, for the
/// entries of others are not known yet.
pub(super) fn find(
    segment: &Segment,
    store: &mut Bytes,
    table: &Candidates,
    all_named: bool,
) -> Result<Option<Vec<Piece>>> {
    let mut whole = Vec::new();
    let mut last = 0;
    let mut before = None;
    for &(position, _) in &segment.named {
        if before == Some(position) {
            continue;
        }
        before = Some(position);
        if store.end(position)?.is_some() && segment.names(store, position)? {
            whole.push(position);
            last = position;
        }
    }
    for candidate in table.ascending() {
        let mine = segment.codec == Codec::Raw || candidate.mine();
        if candidate.links() >= 1 && candidate.ends() && mine {
            last = last.max(candidate.position());
        }
    }
    let last = (last, store.end(last)?.unwrap_or(last));
    let search = Search {
        segment,
        store,
        table,
        all_named,
        whole,
        best: BTreeMap::new(),
        trail: Vec::new(),
        open: VecDeque::new(),
        cheapest: None,
        cover: None,
        last,
        zeros: 0..0,
    };
    search.run()
}

impl Search<'_> {
    fn run(mut self) -> Result<Option<Vec<Piece>>> {
        let size = self.store.size;
        let from = self.segment.from;
        let start = Best {
            cost: 0.0,
            before: u32::MAX,
            kind: Kind::Frame,
        };
        self.best.insert(from, start);
        let codec = self.segment.codec;
        let named = self.whole.clone();
        let mut named = named.into_iter().peekable();
        let table = self.table;
        let mut starts = table
            .ascending()
            .filter(|it| it.is_start(codec))
            .map(Candidate::position)
            .peekable();
        loop {
            while starts.next_if(|it| *it < from).is_some() {}
            while named.next_if(|it| *it < from).is_some() {}
            let reached = self.best.first_key_value().map(|(position, _)| *position);
            let next = [reached, starts.peek().copied(), named.peek().copied()];
            let place = next.into_iter().flatten().min().unwrap_or(size).min(size);
            while starts.next_if(|it| *it <= place).is_some() {}
            while named.next_if(|it| *it <= place).is_some() {}
            self.gaps_to(place);
            let Some(best) = self.best.remove(&place) else {
                if place == size {
                    // Nothing leads to the end: all of it is one gap.
                    break;
                }
                continue;
            };
            let Ok(number) = u32::try_from(self.trail.len()) else {
                return Ok(None);
            };
            if self.trail.len() > super::candidates::CANDIDATES_MAX {
                return Ok(None);
            }
            self.trail.push((place, best.before, best.kind));
            if place == size {
                break;
            }
            self.leave(place, best.cost, number)?;
        }
        Ok(Some(self.pieces()))
    }

    /// Gaps that end at `place`.
    fn gaps_to(&mut self, place: u64) {
        let inside = self.cover.filter(|(_, end)| place < *end);
        let inside = inside.filter(|_| !self.segment.is_named(place));
        let least = inside.map_or(0, |(start, _)| start);
        let opens = self.cheapest.into_iter().chain(self.open.iter().copied());
        let cheapest = opens
            .filter(|open| (least..place).contains(&open.position))
            .map(|open| (open.gap_cost(place), open.number))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((cost, before)) = cheapest {
            self.offer(place, cost, before, Kind::Gap);
        }
    }

    fn offer(&mut self, place: u64, cost: f64, before: u32, kind: Kind) {
        let best = Best { cost, before, kind };
        let entry = self.best.entry(place).or_insert(best);
        if cost < entry.cost {
            *entry = best;
        }
    }

    /// Every way on from `place`.
    fn leave(&mut self, place: u64, cost: f64, number: u32) -> Result<()> {
        let size = self.store.size;
        let segment = self.segment;
        let mut certain = false;
        if place >= self.store.zeros {
            self.offer(size, cost + cost::ZEROS, number, Kind::Zeros);
        } else if segment.may_be_torn(self.store, place)? {
            certain = segment.surely_torn(place) || self.is_named_torn(place)?;
            // Frames after it, or one that a length before it cuts into.
            let (last, last_end) = self.last;
            let cut_into = segment.codec == Codec::Protobuf && last_end > place && last != place;
            let ignores = !certain && (last > place || cut_into);
            let fault = if ignores { cost::FAULT } else { 0.0 };
            self.offer(size, cost + cost::TORN + fault, number, Kind::Torn);
        }
        if let Some(end) = self.frame_at(place)? {
            let inside = self.whole.partition_point(|it| *it <= place);
            let inside = self.whole.get(inside).is_some_and(|it| *it < end);
            let linked = self.is_linked(end)?;
            let raw = segment.codec == Codec::Raw;
            let carried = if raw {
                None
            } else {
                segment.carried(self.store, place)?
            };
            let gain = self.gain(place, end, linked, carried)?;
            let gain = if inside { gain - cost::INSIDE } else { gain };
            // Values may hold logs. So a frame that holds and leads on is never doubted, nor is
            // a record, whose own length agrees with that of its frame.
            let filled = end > place + LENGTH_BYTES;
            let is_mine = |offset| filled && segment.offsets.contains(&offset);
            let is_record = carried.is_some_and(|offset| linked || is_mine(offset));
            let is_known = self.all_named || (segment.is_named(place) && segment.is_named(end));
            certain = is_known && !inside && if raw { linked } else { is_record };
            if certain && filled && self.cover.is_none_or(|(_, other)| other < end) {
                self.cover = Some((place, end));
            }
            match self.zero_row(place, end)? {
                Some(row_end) => self.offer(row_end, cost, number, Kind::Row),
                None => self.offer(end, cost - gain, number, Kind::Frame),
            }
        }
        if !certain && let Some(end) = self.record_end(place)? {
            let gain = cost::CARRIED - cost::FAULT - cost::ONE_BIT;
            self.offer(end, cost - gain, number, Kind::Gap);
            self.cover = Some((place, end));
            certain = true;
        }
        if !certain {
            // The entry may name the damaged frame.
            let named = if segment.is_named(place) {
                cost::NAMED
            } else {
                0.0
            };
            let open = Open {
                position: place,
                cost: cost - named,
                length: self.store.length(place)?,
                number,
            };
            let ahead = |open: &Open| open.cost - bytes(open.position);
            if self.cheapest.is_none_or(|old| ahead(&open) < ahead(&old)) {
                self.cheapest = Some(open);
            }
            self.open.push_back(open);
            if self.open.len() > cost::OPEN_PLACES {
                self.open.pop_front();
            }
        }
        Ok(())
    }

    /// Whether the frame that the newest entry names is interrupted at `place`, whatever
    /// its value holds: no frame after it continues with the next offset.
    fn is_named_torn(&mut self, place: u64) -> Result<bool> {
        let segment = self.segment;
        if !segment.is_newest(place) || !may_be_torn(self.store, place)? {
            return Ok(false);
        }
        if segment.codec == Codec::Raw {
            return Ok(true);
        }
        let next = segment.slots_at(place).max().unwrap_or(0) + 1;
        let next = segment.base.checked_add(next);
        let behind = self.table.ascending().filter(|it| it.position() > place);
        let mut ends = BTreeSet::new();
        for candidate in behind.filter(|it| it.mine()) {
            let position = candidate.position();
            // In a log that the value holds, a record comes before that one.
            if segment.carried(self.store, position)? == next && !ends.contains(&position) {
                return Ok(false);
            }
            ends.extend(self.store.end(position)?);
        }
        Ok(true)
    }

    /// The end of the record of the frame at `place` by its own fields, if its length
    /// differs and a frame follows there, or a record whose length is wrong too.
    fn record_end(&mut self, place: u64) -> Result<Option<u64>> {
        if self.segment.codec == Codec::Raw {
            return Ok(None);
        }
        let Some(end) = self.own_end(place)? else {
            return Ok(None);
        };
        let followed = end == self.store.size
            || self.segment.is_named(end)
            || self.table.find(end).is_some_and(Candidate::mine)
            || self.own_end(end)?.is_some();
        Ok(followed.then_some(end))
    }

    /// The end of the record of this segment in the frame at `place` by its own fields.
    fn own_end(&mut self, place: u64) -> Result<Option<u64>> {
        let (start, size) = (place + LENGTH_BYTES, self.store.size);
        let record = self.store.record(start, size)?;
        let first = |offset| offset > 0 || (self.segment.base == 0 && place == 0);
        let mine = record.filter(|it| self.segment.offsets.contains(&it.1) && first(it.1));
        Ok(mine.map(|it| it.0).filter(|end| *end > start))
    }

    /// The end of the empty records of which the first is at `place`, if they are very
    /// many and no entry names one: the last place before the next length.
    fn zero_row(&mut self, place: u64, end: u64) -> Result<Option<u64>> {
        if self.segment.codec != Codec::Raw || end != place + LENGTH_BYTES {
            return Ok(None);
        }
        if !self.zeros.contains(&place) {
            self.zeros = place..self.store.zeros_end(place)?;
        }
        let next = self.segment.named.partition_point(|it| it.0 <= place);
        let next = self.segment.named.get(next).map_or(u64::MAX, |it| it.0);
        let bytes = self.zeros.end.min(next).saturating_sub(place);
        let row = bytes - bytes % LENGTH_BYTES;
        Ok((row > ZERO_ROW).then_some(place + row))
    }

    /// The end of the frame at `place`, if this log may have written one there.
    fn frame_at(&mut self, place: u64) -> Result<Option<u64>> {
        let Some(end) = self.store.end(place)? else {
            return Ok(None);
        };
        let raw = self.segment.codec == Codec::Raw;
        let first = place == 0 && self.segment.base == 0;
        let sole_record = first && !raw && self.store.size == LENGTH_BYTES;
        if place >= self.store.zeros && !sole_record && !self.segment.names(self.store, place)? {
            return Ok(None);
        }
        let empty = end == place + LENGTH_BYTES;
        Ok((raw || !empty || first).then_some(end))
    }

    fn gain(&mut self, place: u64, end: u64, linked: bool, carried: Option<u64>) -> Result<f64> {
        let filled = end > place + LENGTH_BYTES;
        let mut gain = match (filled, linked) {
            (true, true) => cost::LINK,
            (true, false) => cost::LONE,
            (false, _) => 0.0,
        };
        if self.segment.codec == Codec::Protobuf {
            if carried.is_some_and(|offset| self.segment.offsets.contains(&offset)) {
                gain += cost::CARRIED;
            } else if filled {
                gain *= cost::NO_OFFSET;
            } else {
                gain = -cost::EMPTY_RECORD;
            }
        }
        if self.segment.names(self.store, place)? {
            gain += cost::NAMED;
        }
        Ok(gain)
    }

    /// Whether a frame, a named place, an unfinished batch or an end of the store is at
    /// `place`.
    fn is_linked(&mut self, place: u64) -> Result<bool> {
        if place >= self.store.zeros
            || self.table.find(place).is_some()
            || self.segment.is_named(place)
        {
            return Ok(true);
        }
        Ok(may_be_torn(self.store, place)?
            || self.segment.is_likely_torn(self.store, place)?
            || self.store.is_marked(place)?)
    }

    /// The way that was found, from its beginning.
    fn pieces(&self) -> Vec<Piece> {
        let mut back = Vec::new();
        let mut at = self.trail.len().checked_sub(1);
        while let Some(&(end, before, kind)) = at.and_then(|at| self.trail.get(at)) {
            let Some(&(start, ..)) = self.trail.get(before as usize) else {
                break;
            };
            back.push(Piece { start, end, kind });
            at = Some(before as usize);
        }
        back.reverse();
        let mut pieces: Vec<Piece> = Vec::with_capacity(back.len());
        for mut piece in back {
            if piece.kind == Kind::Row {
                // Enough of them to show their kind.
                for _ in 0..cost::EMPTY_ROW + 2 {
                    let (start, end) = (piece.start, piece.start + LENGTH_BYTES);
                    let kind = Kind::Frame;
                    pieces.push(Piece { start, end, kind });
                    piece.start = end;
                }
            }
            // Eight zero bytes that lead nowhere are no empty record.
            let is_empty = |it: &Piece| it.kind == Kind::Frame && it.end - it.start == LENGTH_BYTES;
            let last_is_empty = |pieces: &[Piece]| pieces.last().is_some_and(is_empty);
            let last = pieces.last().map_or(0, |it| it.start);
            if piece.kind == Kind::Torn && last_is_empty(&pieces) && !self.segment.is_named(last) {
                piece.kind = Kind::Gap;
            }
            while piece.kind == Kind::Gap && last_is_empty(&pieces) {
                let Some(last) = pieces.last() else { break };
                let follows = |slot: u64| self.segment.is_claimed(last.end, slot + 1);
                if self.segment.slots_at(last.start).any(follows) {
                    break;
                }
                piece.start = last.start;
                pieces.pop();
            }
            pieces.push(piece);
        }
        pieces
    }
}
