//! The plan of `repair --replica`: damaged and missing records here are restored from
//! another copy of the same log, after every record that both hold was found to be the
//! same. Takes no more than the records that this log claims to have.

mod copies;
mod layout;
mod left;
pub mod manifest;
mod pairs;

use std::collections::{BTreeMap, BTreeSet};

use crate::inspect::finding::{FindingId, OffsetRange};
use crate::inspect::report::{Report, SegmentReport};
use crate::log::damage::DamageKind;
use crate::log::error::Result;
use crate::log::format::FileKind;
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::log::window::ReadFile;
use crate::mend::left as left_alone;
use crate::mend::plan::{BySegment, Plan, Step};
use crate::mend::repair;
use crate::mend::runs::agree::{self, Difference};
use crate::mend::runs::assembly::{Assembly, Source};
use crate::mend::runs::holdings;
use crate::mend::runs::run::{Cursor, Run};
pub use copies::look;
use copies::{contested, first_behind, has_more, is_plain, reaches, unambiguous};
use layout::{Files, Wanted, anew, fill, in_place, sparing, whole};
pub use left::Taken;
use left::{gaps, held_by, is_about_content, is_mended, not_taken, taken_by};
use manifest::Proof;

/// A plan that uses another copy.
#[derive(Debug, Clone, Default)]
pub struct ReplicaPlan {
    /// The changes.
    pub plan: Plan,
    /// The restored records, in the order of offsets.
    pub taken: Vec<Taken>,
    /// The records of the other copy before the first record here and after the last:
    /// they are not needed.
    pub not_taken: Vec<OffsetRange>,
    /// The lowest offset of the log here.
    pub lowest: Offset,
    /// The offset that its next record gets when the plan is carried out.
    pub next: Offset,
}

/// Whether the two copies are one log.
#[derive(Debug)]
pub enum Verdict {
    /// They agree, and this is the plan.
    Plan(Box<ReplicaPlan>),
    /// They differ in a record that is intact in both.
    Differ(Difference),
    /// Both hold records, and none of the same offset: nothing shows that they are
    /// copies of one log.
    Strangers,
}

/// The plan of `repair --replica`, from a scan of both copies.
///
/// # Errors
///
/// Reading's.
pub fn plan(here: &Report, there: &Report) -> Result<Verdict> {
    plan_with(here, there, None)
}

/// The same, where a manifest may show the right copy.
///
/// # Errors
///
/// Reading's.
pub fn plan_with(here: &Report, there: &Report, proof: Option<&Proof>) -> Result<Verdict> {
    let (alone, foreseen) = repair::plan_foreseen(here);
    let theirs = repair::plan(there);
    let mut theirs = unambiguous(holdings::of(there, &theirs)?);
    let mut ours = Vec::new();
    // Two logs that have records, and none of the same offset, may be any two.
    let mut is_empty = true;
    let mut is_known = proof.is_some_and(Proof::fits_there);
    for segment in &here.segments {
        let runs = holdings::of_segment(here, segment, &alone)?;
        is_empty &= runs.is_empty();
        is_known |= agree::have_common(&runs, &theirs);
        ours.push(match proof {
            Some(proof) => proof.ours(runs)?,
            None => runs,
        });
    }
    if !is_empty && !is_known {
        return Ok(Verdict::Strangers);
    }
    if let Some(proof) = proof {
        theirs = proof.theirs(theirs)?;
    }
    let all: Vec<Run> = ours.iter().flatten().cloned().collect();
    let contested = contested(here, &all);
    let codec = here.codec.unwrap_or(Codec::Raw);
    let sides = if contested.is_empty() {
        vec![all]
    } else {
        ours.clone()
    };
    let mut first: Option<Difference> = None;
    for side in &sides {
        let found = agree::first_difference(side, &theirs, codec)?;
        first = [first, found]
            .into_iter()
            .flatten()
            .min_by_key(|difference| difference.offset);
    }
    if let Some(difference) = first {
        return Ok(Verdict::Differ(difference));
    }
    let mut work = Work {
        here,
        alone: &alone,
        foreseen,
        afterwards: BTreeMap::new(),
        theirs: &theirs,
        plan: Plan::over(here),
        whole: BTreeSet::new(),
        proof,
    };
    for (at, (segment, runs)) in here.segments.iter().zip(ours).enumerate() {
        let next = here.segments.get(at + 1).map(|next| next.listing.base());
        if contested.contains(&segment.listing.base()) || !is_plain(segment) {
            work.as_alone(segment);
        } else {
            work.segment(segment, runs, next)?;
        }
    }
    Ok(Verdict::Plan(Box::new(work.finish())))
}

/// A plan that is being made.
struct Work<'a> {
    here: &'a Report,
    /// The result of a repair without the other copy.
    alone: &'a Plan,
    /// The segments as that would leave them, where it was tried out.
    foreseen: BTreeMap<Offset, SegmentReport>,
    /// Those of them with which just that is done.
    afterwards: BTreeMap<Offset, SegmentReport>,
    theirs: &'a [Run],
    plan: Plan,
    /// Segments that will hold all records that they claim, and nothing else.
    whole: BTreeSet<Offset>,
    /// The result of a manifest, if given.
    proof: Option<&'a Proof>,
}

impl Work<'_> {
    /// Treats a segment as a repair without the other copy would.
    fn as_alone(&mut self, segment: &SegmentReport) {
        let base = segment.listing.base();
        let steps = self.alone.steps.iter();
        let steps = steps.filter(|step| step.file().0 == base);
        self.plan.steps.extend(steps.cloned());
        let after = self.foreseen.remove(&base);
        self.afterwards.extend(after.map(|after| (base, after)));
    }

    fn segment(
        &mut self,
        segment: &SegmentReport,
        mut ours: Vec<Run>,
        next: Option<Offset>,
    ) -> Result<()> {
        let base = segment.listing.base();
        let last = next.map_or(u64::MAX, |next| next.0);
        let mut clipped = Vec::new();
        let mut cursor = Cursor::default();
        for run in ours.drain(..) {
            clipped.extend(run.clip(base.0, last, &mut cursor)?);
        }
        let ours = clipped;
        let claimed = base.saturating_add(holdings::claimed(segment)).0;
        let mut reach = ours.last().map_or(claimed, |run| run.next.max(claimed));
        if has_more(segment) {
            // Bytes after it belong to this segment, whatever they are.
            reach = reach.max(next.map_or(0, |next| next.0));
        }
        let files = self.files(segment);
        let end = match next {
            Some(next) => self.end_before(next, base, reach),
            None => reach
                .max(self.confirmed(&files, segment, &ours, reach)?)
                .max(self.proof.map_or(0, Proof::until)),
        };
        let wanted = self.merged(&ours, base.0, end)?;
        let mut missing_from = end;
        let hole = reaches(&wanted, base.0);
        let ours_end = ours.last().map_or(0, |run| run.next);
        if ours_end <= hole && wanted.last().is_some_and(|(run, _)| run.next > hole) {
            missing_from = self.up_to_the_first_hole(segment, &files, wanted)?;
        } else if self.is_needed(segment, &files, &wanted, end) {
            self.put_together(segment, &files, &wanted, end)?;
        } else {
            self.as_alone(segment);
        }
        if missing_from < end {
            self.new_pairs(missing_from, end)?;
        }
        if let Some(next) = next {
            self.new_pairs(end, next.0)?;
        }
        Ok(())
    }

    /// A segment whose end is lost here, if the other copy lacks a part of it: it ends at
    /// the first gap, and new ones begin after each. Returns its end.
    fn up_to_the_first_hole(
        &mut self,
        segment: &SegmentReport,
        files: &Files,
        mut wanted: Wanted,
    ) -> Result<u64> {
        let base = files.base;
        let end = reaches(&wanted, base.0);
        wanted.retain(|(run, _)| run.first < end);
        let facts = segment.facts.as_ref();
        let dangling = facts.is_some_and(|facts| {
            let last = facts.damages.last();
            last.is_some_and(|last| last.kind == DamageKind::Dangling)
        });
        let store_bytes = files.store.as_ref().map_or(0, |(_, bytes)| *bytes);
        if store_bytes > 0 && !dangling {
            // The content is unknown.
            self.as_alone(segment);
            return Ok(u64::MAX);
        }
        let mut steps = Vec::new();
        if files.store.is_none() && wanted.is_empty() {
            steps.push(Step::CreateEmpty {
                base,
                kind: FileKind::Store,
            });
        }
        if !wanted.is_empty() {
            self.put_together(segment, files, &wanted, end)?;
            return Ok(end);
        }
        for (kind, file) in [
            (FileKind::Index, &files.index),
            (FileKind::Store, &files.store),
        ] {
            let now = file.as_ref().map_or(0, |(_, bytes)| *bytes);
            steps.extend(crate::mend::plan::cut(base, kind, now, 0));
        }
        self.plan.steps.extend(steps);
        self.whole.insert(base);
        Ok(base.0)
    }

    fn files(&self, segment: &SegmentReport) -> Files {
        let directory = &self.here.listing.directory;
        let file = |kind| {
            let facts = segment.listing.file(kind)?;
            Some((directory.file(&segment.listing.names, kind), facts.bytes))
        };
        Files {
            base: segment.listing.base(),
            store: file(FileKind::Store),
            index: file(FileKind::Index),
            dead: segment
                .facts
                .iter()
                .flat_map(|facts| &facts.dead)
                .copied()
                .collect(),
        }
    }

    /// The end of a segment that another follows: there, or where the other copy begins
    /// one that is missing here.
    fn end_before(&self, next: Offset, base: Offset, reach: u64) -> u64 {
        let bases = self.theirs.iter().map(|run| run.store.segment);
        let missing = bases.filter(|it| *it > base && it.0 >= reach && *it < next);
        missing.min().map_or(next.0, |it| it.0)
    }

    /// How far the last segment reaches by frames after its last entry that are the other
    /// copy's, byte for byte; without an index, by any frame that begins in it.
    fn confirmed(
        &self,
        files: &Files,
        segment: &SegmentReport,
        ours: &[Run],
        reach: u64,
    ) -> Result<u64> {
        let Some((path, _)) = &files.store else {
            return Ok(reach);
        };
        let store = ReadFile::open(path)?;
        let data = store.zeros_from()?;
        let wanted = self.merged(ours, files.base.0, u64::MAX)?;
        let Some(laid_out) = in_place(files, &wanted) else {
            return Ok(reach);
        };
        let mut end = reach;
        for part in sparing(&laid_out, path, &store)?.parts {
            let stands = part.source == Source::Here;
            let is_alone = segment.lone_store().is_some();
            // Zeros may be empty records; only the other copy knows.
            let begins = part.at < data || (stands && is_alone);
            if begins && (stands || is_alone) {
                let mut next = part.run.next;
                if !stands && part.end() > data {
                    next = first_behind(&part, data)?;
                }
                end = end.max(next);
            }
        }
        Ok(end)
    }

    /// Our runs, and those of the copy where we have none, from offset `from` up to `to`.
    fn merged(&self, ours: &[Run], from: u64, to: u64) -> Result<Wanted> {
        let mut wanted = Wanted::new();
        let mut at = from;
        let (mut here, mut there) = (Cursor::default(), Cursor::default());
        for run in ours {
            self.between(at, run.first.min(to), &mut there, &mut wanted)?;
            if let Some(run) = run.clip(at, to, &mut here)? {
                at = run.next;
                wanted.push((run, Source::Here));
            }
        }
        self.between(at, to, &mut there, &mut wanted)?;
        Ok(wanted)
    }

    fn between(&self, from: u64, to: u64, there: &mut Cursor, wanted: &mut Wanted) -> Result<()> {
        let first = self.theirs.partition_point(|run| run.next <= from);
        for run in self.theirs.get(first..).unwrap_or_default() {
            if run.first >= to {
                break;
            }
            let run = run.clip(from, to, there)?;
            wanted.extend(run.map(|run| (run, Source::Elsewhere)));
        }
        Ok(())
    }

    /// Whether something of the other copy is needed, or the content here is complete and
    /// a repair alone would still leave findings.
    fn is_needed(&self, segment: &SegmentReport, files: &Files, wanted: &Wanted, end: u64) -> bool {
        let taken = wanted
            .iter()
            .any(|(_, source)| *source == Source::Elsewhere);
        let base = segment.listing.base();
        // The other copy does not decide for a person.
        let is_content = |id| is_about_content(id) && id != FindingId::NeedsDecision;
        let mut left = self.alone.left.iter();
        let stays = left.any(|f| f.segment == Some(base) && is_content(f.id));
        let complete = reaches(wanted, base.0) == end;
        taken || (complete && (stays || in_place(files, wanted).is_none()))
    }

    fn put_together(
        &mut self,
        segment: &SegmentReport,
        files: &Files,
        wanted: &Wanted,
        end: u64,
    ) -> Result<()> {
        let base = files.base;
        let unbroken = reaches(wanted, base.0);
        let last = wanted.last().map_or(base.0, |(run, _)| run.next);
        let complete = unbroken == end;
        let facts = segment.facts.as_ref();
        let dangling = facts.is_none_or(|facts| {
            let last = facts.damages.last();
            last.is_some_and(|last| last.kind == DamageKind::Dangling)
        });
        let theirs_last = wanted
            .last()
            .is_some_and(|(_, source)| *source == Source::Elsewhere);
        // The bytes after it are not a record.
        let cut = complete || (theirs_last && dangling && unbroken == last);
        let number = self.plan.assemblies.len();
        if let Some(assembly) = in_place(files, wanted)
            && let Some((path, _)) = &files.store
        {
            let assembly = sparing(&assembly, path, &ReadFile::open(path)?)?;
            let steps = fill(files, &assembly, number, cut)?;
            self.plan.steps.extend(steps);
            if !cut && !theirs_last {
                // The end is unchanged: cut as without the other copy.
                let cuts = self.alone.steps.iter();
                let cuts =
                    cuts.filter(|step| step.file().0 == base && matches!(step, Step::Cut { .. }));
                self.plan.steps.extend(cuts.cloned());
            }
            self.plan.assemblies.push(Assembly {
                closed: cut,
                ..assembly
            });
        } else if cut && let Some(assembly) = anew(base, wanted) {
            let store = whole(files, &assembly, number, FileKind::Store);
            self.plan.steps.push(store);
            if files.store.is_some() {
                let index = whole(files, &assembly, number, FileKind::Index);
                self.plan.steps.push(index);
            } else {
                // The index may be right as it is.
                let steps = fill(files, &assembly, number, true)?;
                let index = steps
                    .into_iter()
                    .filter(|step| step.file().1 == FileKind::Index);
                self.plan.steps.extend(index);
            }
            self.plan.assemblies.push(Assembly {
                closed: cut,
                ..assembly
            });
        } else {
            self.as_alone(segment);
            return Ok(());
        }
        if cut {
            self.whole.insert(base);
        }
        Ok(())
    }

    fn finish(self) -> ReplicaPlan {
        let taken = self.plan.assemblies.iter().flat_map(taken_by).collect();
        let lowest = self.here.lowest_offset().0;
        let plan_end = self
            .plan
            .assemblies
            .iter()
            .map(|it| it.base.saturating_add(it.entries()).0);
        // Segments that are not assembled are repaired as they would be alone.
        let steps = BySegment::of(&self.plan);
        let own_ends = self.here.segments.iter().map(|segment| {
            let base = segment.listing.base();
            let records = steps.records_after(segment, self.here.codec);
            base.saturating_add(records).0
        });
        let next = plan_end.chain(own_ends).max().unwrap_or(0);
        let mut plan = self.plan;
        plan.links.clone_from(&self.alone.links);
        plan.left = left_alone::foreseen(&plan, self.here, &self.afterwards);
        let held = held_by(&plan.assemblies);
        plan.left
            .retain(|finding| !is_mended(finding, &self.whole, &held));
        let mut left = std::mem::take(&mut plan.left);
        gaps(&mut left, &plan, self.here);
        let proof = self.proof.iter();
        left.extend(proof.flat_map(|proof| proof.left(&plan.assemblies)));
        plan.left = left;
        ReplicaPlan {
            plan,
            taken,
            not_taken: not_taken(self.theirs, lowest, next),
            lowest: Offset(lowest),
            next: Offset(next),
        }
    }
}
