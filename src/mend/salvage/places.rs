//! Which frames get which offset of the new log, and which go beside it: each offset
//! to one record. What there is to be placed is found elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::orphans::Orphans;
use super::{Stray, Why, range};
use crate::inspect::finding::OffsetRange;
use crate::inspect::report::{Report, SegmentReport};
use crate::log::error::Result;
use crate::log::format::FileKind;
use crate::log::record::Codec;
use crate::mend::runs::agree::Comparison;
use crate::mend::runs::holdings::{Cursor, Run};

/// What goes where, while it is being decided.
pub(super) struct Work<'a> {
    report: &'a Report,
    /// The bases of all segments, in order.
    bases: Vec<u64>,
    /// The runs that have their place, by their first offset.
    pub(super) placed: BTreeMap<u64, Run>,
    pub(super) side: Vec<Stray>,
    pub(super) forked: Vec<OffsetRange>,
}

impl<'a> Work<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        let bases = report.segments.iter().map(|it| it.listing.base().0);
        let mut bases: Vec<u64> = bases.collect();
        bases.sort_unstable();
        Self {
            report,
            bases,
            placed: BTreeMap::new(),
            side: Vec::new(),
            forked: Vec::new(),
        }
    }

    /// Gives the runs of one history the offsets that nobody has.
    pub(super) fn resolve(&mut self, history: Vec<Run>) -> Result<()> {
        let (mut cursor, mut lost) = (Cursor::default(), Cursor::default());
        let mut comparison = Comparison::default();
        for run in history {
            let mut at = run.first;
            for (first, next) in self.taken(run.first, run.next) {
                if let Some(free) = run.clip(at, first, &mut cursor)? {
                    self.placed.insert(free.first, free);
                }
                let loser = run.clip(first.max(at), next, &mut cursor)?;
                if let (Some(loser), Some(winner)) = (loser, self.placed.get(&first)) {
                    let codec = self.report.codec.unwrap_or(Codec::Raw);
                    let found = comparison.first_difference(&loser, winner, codec)?;
                    self.lose(&loser, found.map(|it| it.offset.0), &mut lost)?;
                }
                at = at.max(next);
            }
            if let Some(free) = run.clip(at, run.next, &mut cursor)? {
                self.placed.insert(free.first, free);
            }
        }
        Ok(())
    }

    /// The offsets from `from` up to `to` that somebody has: whole runs, in order, each
    /// with its end excluded.
    fn taken(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        if from >= to {
            return Vec::new();
        }
        let before = self.placed.range(..from).next_back();
        let before = before.filter(|(_, run)| from < run.next);
        let within = self.placed.range(from..to);
        let taken = before.into_iter().chain(within);
        taken.map(|(first, run)| (*first, run.next)).collect()
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

    /// Gives a place to the orphans of a segment that carry an offset which nobody has,
    /// fits between their neighbours, and comes once; the others go to the side log.
    pub(super) fn place_orphans(
        &mut self,
        segment: &SegmentReport,
        neighbours: &Neighbours,
        found: &[Orphans],
    ) -> Result<()> {
        let base = segment.listing.base();
        let names = &segment.listing.names;
        let store = self.report.listing.directory.file(names, FileKind::Store);
        let store: Arc<Path> = store.into();
        let behind = self.bases.partition_point(|it| *it <= base.0);
        let next_base = self.bases.get(behind).copied().unwrap_or(u64::MAX);
        let mut least = 0;
        let mut cursor = Cursor::default();
        for (at, orphans) in found.iter().enumerate() {
            let first = orphans.first.unwrap_or(0);
            let run = Run {
                store: Arc::clone(&store),
                segment: base,
                first,
                next: first.saturating_add(orphans.records),
                position: orphans.position,
                end: orphans.end,
            };
            let (mut from, mut to) = (run.first, run.first);
            if let Some(last) = orphans.last() {
                let (low, high) = neighbours.around(orphans.position);
                from = run.first.max(least).max(low);
                to = run.next.min(high).min(next_base);
                let follows = found.get(at + 1).and_then(|it| it.first);
                let before = at.checked_sub(1).and_then(|at| found.get(at)?.last());
                let repeats = orphans.records == 1 && before == Some(last);
                // Written again and again it was refused, unless the next one follows.
                if follows == Some(last) || (repeats && follows != Some(run.next)) {
                    to = to.min(last);
                }
            }
            let mut done = run.first;
            let mut taken = self.taken(from, to);
            taken.push((to, to));
            for (taken_from, taken_to) in taken {
                if from < taken_from {
                    self.add_orphans(run.clip(done, from, &mut cursor)?, true);
                    let free = run.clip(from, taken_from, &mut cursor)?;
                    self.placed.extend(free.map(|free| (free.first, free)));
                    (done, least) = (taken_from, taken_from);
                }
                from = from.max(taken_to);
            }
            let rest = run.clip(done, run.next, &mut cursor)?;
            self.add_orphans(rest, orphans.first.is_some());
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

/// Between which offsets a place of a store lies, by the records around it.
pub(super) struct Neighbours {
    /// Where a run begins, and the offset behind all records up to it, in order.
    behind: Vec<(u64, u64)>,
    /// The lowest offset from there on.
    lowest: Vec<u64>,
}

impl Neighbours {
    pub(super) fn of(runs: &[Run]) -> Self {
        let mut behind: Vec<(u64, u64, u64)> = runs
            .iter()
            .map(|run| (run.position, run.next, run.first))
            .collect();
        behind.sort_unstable();
        let mut lowest: Vec<u64> = behind.iter().map(|(_, _, first)| *first).collect();
        let mut least = u64::MAX;
        for first in lowest.iter_mut().rev() {
            least = least.min(*first);
            *first = least;
        }
        let mut most = 0;
        let behind = behind.into_iter().map(|(position, next, _)| {
            most = most.max(next);
            (position, most)
        });
        Self {
            behind: behind.collect(),
            lowest,
        }
    }

    /// The lowest offset that fits at `position`, and the one behind the highest.
    fn around(&self, position: u64) -> (u64, u64) {
        let at = self.behind.partition_point(|(begin, _)| *begin < position);
        let before = at.checked_sub(1).and_then(|at| self.behind.get(at));
        let high = self.lowest.get(at).copied().unwrap_or(u64::MAX);
        (before.map_or(0, |(_, next)| *next), high)
    }
}
