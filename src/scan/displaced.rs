//! Entries that are displaced, all by the same number of bytes: bytes were inserted into the
//! store before their frames, or lost. The distances between entries still are the sizes of
//! their frames, so a row of sizes shows which frame each entry is about.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::bytes::Bytes;
use super::cost;
use super::path::{Kind, Piece, Segment};
use super::sections::{EntryRun, Rest, Sections};
use crate::log::error::Result;
use crate::log::format::ENTRY_BYTES;

/// Frames in a row whose sizes show which entries are theirs.
const ROW: usize = 4;

/// Rows of entries that are compared with a row of frames. Where values are all of one size,
/// only the end of the index shows which entry is which.
const PLACES_MAX: usize = 64;

/// Entries of one run, and the frames that they are about.
#[derive(Debug, Clone, Copy)]
struct Row {
    run: usize,
    /// The first of the entries, in its run.
    entry: usize,
    count: usize,
    /// What the frames' positions are more than the entries say, wrapping.
    by: u64,
    /// Where the first frame begins that the entry of the frame before says nothing about.
    from: u64,
    certainty: Certainty,
}

/// How sure it is that the entries of a row are about its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    Chance,
    /// If not, it is unknown which entries are about its frames.
    Perhaps,
    Certain,
}

impl Row {
    fn end(self) -> usize {
        self.entry + self.count
    }

    /// The run and the entry from which on the next row can begin: the last entry of a row may
    /// be about the first frame of the next.
    fn lowest_after(last: Option<Self>) -> (usize, usize) {
        last.map_or((0, 0), |last| (last.run, last.end() - 1))
    }
}

impl Sections {
    /// Whether some entries in a row name no frames that lead from one to the next.
    pub(super) fn may_be_displaced(&self, store: &mut Bytes) -> Result<bool> {
        for run in &self.runs {
            let mut row = 1;
            for pair in run.positions.windows(2) {
                let leads = match pair {
                    [here, next] => store.end(*here)? == Some(*next),
                    _ => true,
                };
                row = if leads { 1 } else { row + 1 };
                if row == ROW {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The entries that name a frame which leads to the place that the next entry names, and
    /// these, as (position, slot), ascending.
    pub(super) fn leading(&self, store: &mut Bytes) -> Result<Vec<(u64, u64)>> {
        let mut leading = Vec::new();
        for run in &self.runs {
            for ((slot, here), (next_slot, next)) in run.claims().zip(run.claims().skip(1)) {
                if store.end(here)? == Some(next) {
                    let first = Some((here, slot)).filter(|first| leading.last() != Some(first));
                    leading.extend(first);
                    leading.push((next, next_slot));
                }
            }
        }
        leading.sort_unstable();
        leading.dedup();
        Ok(leading)
    }

    /// The same with displaced entries where their frames are, without those whose frames
    /// are lost; `None` if no entries are displaced.
    pub(super) fn put_in_place(&self, segment: &Segment, path: &[Piece]) -> Option<Self> {
        let search = Search::of(self, segment, path)?;
        let rows = search.rows();
        if rows.iter().all(|row| row.by == 0) {
            return None;
        }
        let mut placed = Self {
            rest: self.rest.clone(),
            corrected: self.corrected,
            ..Self::default()
        };
        let mut rows = rows.into_iter().peekable();
        for (number, run) in self.runs.iter().enumerate() {
            let (mut from, mut by) = (0, 0);
            while let Some(row) = rows.next_if(|row| row.run == number) {
                if row.by == by {
                    continue;
                }
                let first = run.positions.get(row.entry).copied();
                let first = first.unwrap_or_default().wrapping_add(row.by);
                if row.certainty == Certainty::Perhaps {
                    placed.breaks.push(row.from);
                    continue;
                }
                placed.breaks.push(first);
                // Between the last frame that is in place and the row, the first record is
                // harmed and the others are lost.
                let between = run.positions.get(from..row.entry).unwrap_or_default();
                let before = between.partition_point(|it| it.wrapping_add(by) < first);
                let between = between.get(..before).unwrap_or_default();
                let in_place = between
                    .iter()
                    .rposition(|it| search.is_frame(it.wrapping_add(by)));
                let kept = from + in_place.map_or(1, |at| at + 2).min(before);
                placed.add(run, from..kept, by);
                placed.leave_out(run, kept..row.entry);
                (from, by) = (row.entry, row.by);
                placed.corrected = true;
            }
            placed.add(run, from..run.positions.len(), by);
        }
        placed.breaks.sort_unstable();
        placed.rest.sort_unstable_by_key(|rest| rest.at);
        Some(placed)
    }

    /// Adds entries of a run whose frames are at `by` bytes more.
    fn add(&mut self, run: &EntryRun, entries: Range<usize>, by: u64) {
        let before = entries.start as u64;
        let positions = run.positions.get(entries).unwrap_or_default();
        if !positions.is_empty() {
            self.runs.push(EntryRun {
                at: run.at + before * ENTRY_BYTES,
                slot: run.slot + before,
                positions: positions.iter().map(|it| it.wrapping_add(by)).collect(),
            });
        }
    }

    fn leave_out(&mut self, run: &EntryRun, entries: Range<usize>) {
        if !entries.is_empty() {
            self.rest.push(Rest {
                at: run.at + entries.start as u64 * ENTRY_BYTES,
                bytes: entries.len() as u64 * ENTRY_BYTES,
                padding: false,
            });
        }
    }
}

/// The search for displaced rows.
struct Search<'a> {
    runs: &'a [EntryRun],
    segment: &'a Segment,
    frames: Vec<Piece>,
    /// The logarithm of the number of pairs of a frame and an entry. Units: bits.
    chance: f64,
    /// How often each size is that of a frame, by the entries.
    frequencies: Frequencies,
    /// Every row of entries that do not all name frames, by its sizes: these, its run, and
    /// its first entry.
    table: Vec<(u64, u32, u32)>,
}

impl<'a> Search<'a> {
    /// `None` if no row of entries can be displaced.
    fn of(sections: &'a Sections, segment: &'a Segment, path: &[Piece]) -> Option<Self> {
        if !sections.restarts.is_empty() {
            return None;
        }
        let frames = path.iter().filter(|piece| piece.kind == Kind::Frame);
        let mut search = Self {
            runs: &sections.runs,
            segment,
            frames: frames.copied().collect(),
            chance: 0.0,
            frequencies: Frequencies::of(&sections.runs),
            table: Vec::new(),
        };
        let pairs = u64::from(search.frequencies.all) * search.frames.len() as u64;
        search.chance = f64::from(pairs.max(1).ilog2());
        for (run, it) in (0..).zip(search.runs) {
            for (entry, row) in (0..).zip(it.positions.windows(ROW)) {
                if !row.iter().all(|position| search.is_frame(*position)) {
                    search.table.push((sizes(row), run, entry));
                }
            }
        }
        search.table.sort_unstable();
        Some(search).filter(|search| !search.table.is_empty())
    }

    fn is_frame(&self, position: u64) -> bool {
        let frame = self.frames.binary_search_by_key(&position, |it| it.start);
        frame.is_ok()
    }

    /// The rows, ascending, in place or displaced.
    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        // The first frame of a path has the slot of its beginning.
        let is_known = |first: &Piece| first.start == self.segment.from;
        let (mut at, mut next) = (0, usize::from(self.frames.first().is_some_and(is_known)));
        while at < self.frames.len() {
            let last = rows.last().copied();
            at += match self.row(at, last, (at..=at + 1).contains(&next)) {
                // Its last frames may be the first ones of another row.
                Some(row) if row.certainty == Certainty::Chance => {
                    row.count.saturating_sub(ROW).max(1)
                }
                // The size of its last frame may be that of an entry of the next row.
                Some(row) => {
                    let from = self.frames.get(next).map_or(0, |frame| frame.start);
                    rows.push(Row { from, ..row });
                    next = at + row.count;
                    row.count - 1
                }
                None => 1,
            };
        }
        rows
    }

    /// The row after `last` that begins with a frame. `is_next`: the frame before is of a row.
    fn row(&self, at: usize, last: Option<Row>, is_next: bool) -> Option<Row> {
        let start = self.frames.get(at)?.start;
        let lowest = Row::lowest_after(last);
        let in_place = if self.segment.is_named(start) {
            let runs = self.runs.iter().enumerate().skip(lowest.0).take(PLACES_MAX);
            let mut own = runs.filter_map(|(run, it)| {
                let entry = it.positions.binary_search(&start).ok()?;
                Some((run, entry)).filter(|own| *own >= lowest)
            });
            let own = own.next().map(|(run, entry)| self.extended(run, entry, at));
            let certainty = Certainty::Certain;
            own.filter(|row| row.count > 1)
                .map(|row| Row { certainty, ..row })
        } else {
            None
        };
        // A few entries may name these frames by chance.
        if in_place.is_some_and(|row| row.count > 2 * ROW) {
            return in_place;
        }
        let displaced = self.displaced(at, last, is_next);
        let is_longer = |row: &Row| in_place.is_none_or(|it| it.count < row.count);
        let certain = displaced.filter(|row| row.certainty == Certainty::Certain);
        certain.filter(is_longer).or(in_place).or(displaced)
    }

    /// The same where the entries do not name the frames.
    fn displaced(&self, at: usize, last: Option<Row>, is_next: bool) -> Option<Row> {
        let start = self.frames.get(at)?.start;
        let after = last.map_or((0, 0), |last| (last.run, last.end()));
        let lowest = Row::lowest_after(last);
        let group = self.frames.get(at..at + ROW)?;
        let starts: Vec<u64> = group.iter().map(|it| it.start).collect();
        let sizes = sizes(&starts);
        let from = self.table.partition_point(|it| it.0 < sizes);
        let places = self.table.get(from..)?.iter();
        let places = places.take_while(|it| it.0 == sizes);
        let places = places.map(|it| (it.1 as usize, it.2 as usize));
        let mut places: Vec<_> = places.take(PLACES_MAX + 1).collect();
        // Where the last entry is about the last frame.
        let left = self.frames.len() - at;
        let end = self.runs.len().checked_sub(1).and_then(|run| {
            let entries = self.runs.get(run)?.positions.len();
            Some((run, entries.checked_sub(left)?))
        });
        let all_known = places.len() <= PLACES_MAX;
        if !all_known {
            places.clear();
            places.extend(end);
        }
        places.retain(|place| *place >= lowest);
        let rows = places
            .iter()
            .map(|(run, entry)| self.extended(*run, *entry, at));
        let rows: Vec<Row> = rows.collect();
        let count = rows
            .iter()
            .map(|row| row.count)
            .max()
            .filter(|it| *it >= ROW)?;
        let best = rows.iter().filter(|row| row.count == count);
        // Of two that are as good, the one that leaves no entry and no frame is right.
        let reaches_end = count == left && !self.segment.padded;
        let is_at_end = |row: &&Row| Some((row.run, row.entry)) == end && reaches_end;
        let at_end = best.clone().find(is_at_end);
        let is_alone = all_known && best.clone().count() == 1;
        let row = *at_end.or_else(|| best.clone().next())?;
        let before = at.checked_sub(1).and_then(|at| self.frames.get(at));
        let is_first = is_next || before.is_none_or(|before| before.end != start);
        let bits = self.bits(row);
        // A record is harmed or lost where bytes were, and no entry names a frame after them.
        let group = self.frames.get(at..at + row.count).unwrap_or_default();
        let is_named = group.iter().any(|frame| self.segment.is_named(frame.start));
        let is_first = is_first && !is_named && (row.run, row.entry) > after;
        let is_certain = match at_end {
            Some(_) if is_first => true,
            Some(_) => bits >= cost::DISPLACED_LAST,
            None => is_alone && bits >= cost::DISPLACED + self.chance,
        };
        let certainty = match at_end {
            _ if self.is_in_place(row) => Certainty::Chance,
            _ if is_certain => Certainty::Certain,
            Some(_) => Certainty::Perhaps,
            None => Certainty::Chance,
        };
        Some(Row { certainty, ..row })
    }

    /// The row of this entry and this frame, as far as the sizes are the same.
    fn extended(&self, run: usize, entry: usize, at: usize) -> Row {
        let positions = self.runs.get(run).map(|run| run.positions.as_slice());
        let positions = positions.and_then(|it| it.get(entry..)).unwrap_or_default();
        let frames = self.frames.get(at..).unwrap_or_default();
        let mut by = positions.iter().zip(frames);
        let by = by
            .next()
            .map_or(0, |(position, frame)| frame.start.wrapping_sub(*position));
        let pairs = positions.iter().zip(frames);
        let same = pairs.take_while(|(position, frame)| position.wrapping_add(by) == frame.start);
        Row {
            run,
            entry,
            count: same.count(),
            by,
            from: 0,
            certainty: Certainty::Chance,
        }
    }

    fn positions(&self, row: Row) -> &[u64] {
        let run = self.runs.get(row.run);
        let positions = run.and_then(|run| run.positions.get(row.entry..row.end()));
        positions.unwrap_or_default()
    }

    /// How much it takes for chance to produce the sizes of a row.
    fn bits(&self, row: Row) -> f64 {
        let sizes = self.positions(row).windows(2).map(size);
        sizes.map(|size| self.frequencies.bits(size)).sum()
    }

    /// Whether most entries of a row name frames as they are.
    fn is_in_place(&self, row: Row) -> bool {
        let named = self.positions(row).iter().filter(|it| self.is_frame(**it));
        named.count() * 2 > row.count
    }
}

/// The distance of two places.
fn size(pair: &[u64]) -> u64 {
    match pair {
        [here, next] => next - here,
        _ => 0,
    }
}

/// The distances between a few places, as one number.
fn sizes(places: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    places
        .windows(2)
        .for_each(|pair| size(pair).hash(&mut hasher));
    hasher.finish()
}

/// How often frames have each size. Sizes share their counts with few others.
struct Frequencies {
    counts: Vec<u32>,
    all: u32,
}

impl Frequencies {
    const COUNTS: usize = 1 << 12;

    fn of(runs: &[EntryRun]) -> Self {
        let mut counts = vec![0_u32; Self::COUNTS];
        let mut all = 0;
        for pair in runs.iter().flat_map(|run| run.positions.windows(2)) {
            if let Some(count) = counts.get_mut(Self::place(size(pair))) {
                *count += 1;
                all += 1;
            }
        }
        Self { counts, all }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a remainder")]
    fn place(size: u64) -> usize {
        (size % Self::COUNTS as u64) as usize
    }

    /// Minus the logarithm of the probability of a size.
    fn bits(&self, size: u64) -> f64 {
        let count = self.counts.get(Self::place(size)).copied().unwrap_or(0);
        (f64::from(self.all) / f64::from(count.max(1))).log2()
    }
}
