//! Which frames get which offset of the new log, and which go beside it: each offset
//! to one record. What there is to be placed is found elsewhere.

use super::orphans::is_another_store;
use super::pieces::Pieces;
use super::{Stray, Why, range};
use crate::inspect::finding::OffsetRange;
use crate::inspect::report::{Report, SegmentReport};
use crate::log::error::Result;
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::mend::runs::agree::Comparison;
use crate::mend::runs::run::{Cursor, Run};
use crate::scan::account::Unreferenced;

/// The places of all runs, while they are being decided.
pub(super) struct Work<'a> {
    report: &'a Report,
    /// The runs that have their place, in the order of their offsets.
    pub(super) placed: Pieces<Run>,
    pub(super) side: Pieces<Stray>,
    pub(super) forked: Vec<OffsetRange>,
}

impl<'a> Work<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        Self {
            report,
            placed: Pieces::default(),
            side: Pieces::default(),
            forked: Vec::new(),
        }
    }

    /// Gives the runs of one history the offsets that are free.
    pub(super) fn resolve(&mut self, history: Pieces<Run>) -> Result<()> {
        let (mut cursor, mut lost) = (Cursor::default(), Cursor::default());
        let mut comparison = Comparison::default();
        for run in history {
            let mut at = run.first;
            for (first, next) in self.taken(run.first, run.next) {
                if let Some(free) = run.clip(at, first, &mut cursor)? {
                    self.place(free);
                }
                let loser = run.clip(first.max(at), next, &mut cursor)?;
                if let (Some(loser), Some(winner)) = (loser, self.placed_at(first)) {
                    let codec = self.report.codec.unwrap_or(Codec::Raw);
                    let found = comparison.first_difference(&loser, winner, codec)?;
                    self.lose(&loser, found.map(|it| it.offset.0), &mut lost)?;
                }
                at = at.max(next);
            }
            if let Some(free) = run.clip(at, run.next, &mut cursor)? {
                self.place(free);
            }
        }
        Ok(())
    }

    /// The offsets from `from` up to `to` that are taken: complete runs, in order, each with
    /// its end excluded.
    fn taken(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        if from >= to {
            return Vec::new();
        }
        let taken = self.placed.iter_from(|run| run.next <= from);
        let taken = taken.take_while(|run| run.first < to);
        taken.map(|run| (run.first, run.next)).collect()
    }

    /// The run that has its place and begins with this offset.
    fn placed_at(&self, first: u64) -> Option<&Run> {
        let run = self.placed.iter_from(|run| run.first < first).next()?;
        (run.first == first).then_some(run)
    }

    /// Places a run; all of its offsets are free.
    fn place(&mut self, run: Run) {
        let first = run.first;
        self.placed.insert(run, |placed| placed.first < first);
    }

    /// A run whose offsets another one has. Its records are that one's too, up to
    /// `differs`, if there is such a one.
    fn lose(&mut self, loser: &Run, differs: Option<u64>, cursor: &mut Cursor) -> Result<()> {
        let forks_at = differs.unwrap_or(loser.next);
        for (from, to, why) in [
            (loser.first, forks_at, Why::Duplicate),
            (forks_at, loser.next, Why::Fork),
        ] {
            let Some(run) = loser.clip(from, to, cursor)? else {
                continue;
            };
            if why == Why::Fork {
                self.forked.push(range(run.first, run.next));
            }
            self.side.push(Stray {
                run,
                claims: true,
                why,
            });
        }
        Ok(())
    }

    /// Places the orphans of a segment that have a free place; the others go to the side
    /// log.
    pub(super) fn place_orphans(&mut self, found: Found) -> Result<()> {
        let mut least = 0;
        let mut cursor = Cursor::default();
        let mut places = found.places.into_iter().peekable();
        for (at, Stray { run, claims, .. }) in found.strays.into_iter().enumerate() {
            let Some(place) = places.next_if(|place| place.at == at) else {
                self.add_orphans(Some(run), claims);
                continue;
            };
            let (mut from, to) = (place.from.max(least), place.to);
            let mut done = run.first;
            let mut taken = self.taken(from, to);
            taken.push((to, to));
            for (taken_from, taken_to) in taken {
                if from < taken_from {
                    self.add_orphans(run.clip(done, from, &mut cursor)?, true);
                    if let Some(free) = run.clip(from, taken_from, &mut cursor)? {
                        self.place(free);
                    }
                    (done, least) = (taken_from, taken_from);
                }
                from = from.max(taken_to);
            }
            self.add_orphans(run.clip(done, run.next, &mut cursor)?, claims);
        }
        Ok(())
    }

    fn add_orphans(&mut self, run: Option<Run>, claims: bool) {
        let Some(run) = run else {
            return;
        };
        if let Some(stray) = self.side.last_mut()
            && (stray.why, stray.claims) == (Why::Orphan, claims)
            && stray.run.store == run.store
            && stray.run.end == run.position
            && (!claims || stray.run.next == run.first)
        {
            stray.run.next += run.records();
            stray.run.end = run.end;
            return;
        }
        self.side.push(Stray {
            run,
            claims,
            why: Why::Orphan,
        });
    }
}

/// The frames of one segment's store that are no records as it is.
pub(super) struct Found {
    segment: Offset,
    strays: Pieces<Stray>,
    /// The offsets that some of them can have, in the same order.
    places: Pieces<Place>,
}

/// Offsets that stray number `at` has and can get, the end excluded.
struct Place {
    at: usize,
    from: u64,
    to: u64,
}

impl Found {
    /// A stray gets a place if it has an offset that fits between its neighbors and
    /// occurs once. The runs are the records of the segment, the strays are between them;
    /// both come in the order of positions.
    pub(super) fn of(
        report: &Report,
        segment: &SegmentReport,
        runs: &[Run],
        strays: Pieces<Stray>,
    ) -> Self {
        let base = segment.listing.base();
        let bases = |it: &SegmentReport| it.listing.base();
        let behind = report.segments.partition_point(|it| bases(it) <= base);
        let next_base = report.segments.get(behind).map(|it| bases(it).0);
        let next_base = next_base
            .filter(|_| !is_another_store(segment))
            .unwrap_or(u64::MAX);
        let neighbours = Neighbours::of(runs);
        let torn = torn_frame(segment);
        let mut places = Pieces::default();
        let mut last_before = None;
        let claimed = |stray: &Stray| stray.claims.then_some((stray.run.first, stray.run.next));
        let mut all = strays.iter().enumerate().peekable();
        while let Some((at, stray)) = all.next() {
            let before = last_before.take();
            let Some((first, next)) = claimed(stray) else {
                continue;
            };
            // The content of a frame that the store's end truncates is a part of its
            // value.
            if torn.is_some_and(|torn| torn <= stray.run.position) {
                continue;
            }
            let last = next - 1;
            last_before = Some(last);
            let (low, high) = neighbours.around(stray.run.position);
            let (from, mut to) = (first.max(low), next.min(high).min(next_base));
            let follows = all.peek().and_then(|(_, stray)| claimed(stray));
            let follows = follows.map(|(first, _)| first);
            let repeats = first == last && before == Some(last);
            // Written again and again it was refused, unless the next one follows.
            if follows == Some(last) || (repeats && follows != Some(next)) {
                to = to.min(last);
            }
            if from < to {
                places.push(Place { at, from, to });
            }
        }
        drop(all);
        Self {
            segment: base,
            strays,
            places,
        }
    }

    pub(super) fn segment(&self) -> Offset {
        self.segment
    }

    pub(super) fn is_empty(&self) -> bool {
        self.strays.is_empty()
    }
}

/// Position of the frame that the store's end truncates.
fn torn_frame(segment: &SegmentReport) -> Option<u64> {
    let account = segment.account.as_ref()?;
    let mut stretches = account.unreferenced.iter();
    let torn = stretches.find(|it| it.kind == Unreferenced::Torn)?;
    Some(torn.position)
}

/// Between which offsets a place of a store lies, by the records around it.
struct Neighbours<'a> {
    /// In the order of positions.
    runs: &'a [Run],
    /// For each run the offset after all records up to it, and the lowest offset from it
    /// on. Empty where the offsets come in order too: then the runs say it.
    bounds: Vec<(u64, u64)>,
}

impl<'a> Neighbours<'a> {
    fn of(runs: &'a [Run]) -> Self {
        let mut bounds = Vec::new();
        let in_order = |pair: &[Run]| matches!(pair, [a, b] if a.next <= b.first);
        if !runs.windows(2).all(in_order) {
            let mut most = 0;
            bounds.extend(runs.iter().map(|run| {
                most = most.max(run.next);
                (most, run.first)
            }));
            let mut least = u64::MAX;
            for (_, lowest) in bounds.iter_mut().rev() {
                least = least.min(*lowest);
                *lowest = least;
            }
        }
        Self { runs, bounds }
    }

    /// The lowest offset that fits at `position`, and the one after the highest.
    fn around(&self, position: u64) -> (u64, u64) {
        let bounds = |at: usize| match self.bounds.get(at) {
            Some(bounds) => Some(*bounds),
            None => self.runs.get(at).map(|run| (run.next, run.first)),
        };
        let at = self.runs.partition_point(|run| run.position < position);
        let before = at.checked_sub(1).and_then(bounds);
        (
            before.map_or(0, |(next, _)| next),
            bounds(at).map_or(u64::MAX, |(_, first)| first),
        )
    }
}
