//! Simulates steps in memory before they become a plan. A repair may reveal or hide
//! evidence: so its steps are taken only if the resulting segment needs no more of them
//! and loses no record for a reader. Remaining steps are added; if that does not end, the
//! segment is left unchanged for a decision.

use std::sync::Arc;

use super::entries;
use super::plan::{NewEntries, Step, cut};
use super::policy::Policy;
use crate::inspect::listing::FileFacts;
use crate::inspect::report::{Report, SegmentReport};
use crate::inspect::scan::SegmentFacts;
use crate::inspect::tail::Tail;
use crate::log::damage::DamageKind;
use crate::log::detect::Mended;
use crate::log::error::{Error, Result};
use crate::log::format::{ENTRY_BYTES, FileKind, SEGMENT_ENTRIES_MAX};
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::units::Offset;
use crate::log::window::{ReadFile, STREAM_BYTES};
use crate::scan::image::{INDEX_BYTES_MAX, Image};

/// How often remaining steps are added.
const ROUNDS: usize = 8;

/// The steps for one segment.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// None where they would not end.
    pub(super) steps: Vec<Step>,
    /// The segment afterwards, where that is known.
    pub(super) after: Option<SegmentReport>,
}

/// The steps that repair a segment completely.
pub(super) fn settle(report: &Report, segment: &SegmentReport, policy: &Policy) -> Settled {
    let mut steps = policy.segment(segment);
    if is_plain(segment, &steps) && fits_offsets(segment.listing.base(), &steps) {
        let after = made_anew(segment, &steps);
        return Settled { steps, after };
    }
    for _ in 0..ROUNDS {
        if !fits_offsets(segment.listing.base(), &steps) {
            break;
        }
        let after = match foresee(report, segment, &steps) {
            Ok(Some((after, true))) => after,
            // Another record would be read, or the steps cannot be carried out.
            Ok(Some((_, false))) | Err(Error::CannotAppend { .. }) => break,
            // Too large, or gone meanwhile: carrying it out will report it.
            Ok(None) | Err(_) => return Settled { steps, after: None },
        };
        if after.layout.is_some() || !keeps_what_is_read(segment, &after, policy.room) {
            break;
        }
        let more = policy.segment(&after);
        if more.is_empty() {
            let after = Some(after);
            return Settled { steps, after };
        }
        match joined(segment, &steps, &more) {
            Some(joined) if joined != steps => steps = joined,
            _ => break,
        }
    }
    Settled::default()
}

/// Whether the result of the steps is obvious: there are none, all removed bytes lie
/// after a run of valid records, or entries are written for frames that are all that
/// follows such a run.
fn is_plain(segment: &SegmentReport, steps: &[Step]) -> bool {
    if segment.by_account && !steps.is_empty() {
        return false;
    }
    // If no record remains, the removed bytes may be the only ones that show the codec.
    if segment.facts.as_ref().is_some_and(|it| it.records == 0) && !steps.is_empty() {
        return false;
    }
    let only_dangling = |facts: &SegmentFacts| match facts.damages.as_slice() {
        [] => true,
        [damage] => damage.kind == DamageKind::Dangling,
        _ => false,
    };
    let sound = |facts: &SegmentFacts| {
        let store_end = steps.iter().find_map(|step| match step {
            Step::Cut {
                kind: FileKind::Store,
                to,
                ..
            } => Some(*to),
            _ => None,
        });
        only_dangling(facts)
            && facts.dead.is_empty()
            && store_end.unwrap_or(facts.store_bytes) == facts.end.0
    };
    let all_of = |tail: &Tail, entries: &NewEntries| {
        let [run] = &*entries.runs else { return false };
        let all = run.follow && run.count == tail.frames && run.position.0 == tail.position;
        all && tail.is_frames_only() && steps.len() == 1
    };
    steps.iter().all(|step| match step {
        Step::Cut { .. } => segment.facts.as_ref().is_some_and(sound),
        Step::BuildIndex { entries, .. } => {
            let tail = segment.lone_store();
            tail.is_some_and(|tail| all_of(tail, entries))
        }
        Step::WriteEntries { entries, .. } => segment.facts.as_ref().is_some_and(|facts| {
            let sound = facts.damages.is_empty() && facts.dead.is_empty();
            let aligned = facts.index_bytes == entries.first_slot * ENTRY_BYTES;
            sound && aligned && all_of(&facts.tail(), entries)
        }),
        _ => false,
    })
}

/// The segment as plain steps leave it, if all they do is to make its index.
fn made_anew(segment: &SegmentReport, steps: &[Step]) -> Option<SegmentReport> {
    let [Step::BuildIndex { base, entries }] = steps else {
        return None;
    };
    let store = segment.listing.store.as_ref()?;
    let facts = SegmentFacts::sound(*base, entries.count, store.bytes);
    let mut after = with_sizes(segment, Some(facts.index_bytes), facts.store_bytes);
    after.facts = Some(facts);
    Some(after)
}

/// The segment with files of these sizes, not inspected yet.
fn with_sizes(
    segment: &SegmentReport,
    index_bytes: Option<u64>,
    store_bytes: u64,
) -> SegmentReport {
    let mut after = SegmentReport::of(Arc::clone(&segment.listing));
    // A new file has its twin's owner.
    let file = |kind, twin, bytes| {
        let old = segment.listing.file(kind);
        let model = old.or_else(|| segment.listing.file(twin))?;
        let mut file: FileFacts = model.clone();
        file.bytes = bytes;
        Some(file)
    };
    let listing = Arc::make_mut(&mut after.listing);
    listing.index = index_bytes.and_then(|bytes| file(FileKind::Index, FileKind::Store, bytes));
    listing.store = file(FileKind::Store, FileKind::Index, store_bytes);
    after
}

/// Whether there are offsets for all new entries.
fn fits_offsets(base: Offset, steps: &[Step]) -> bool {
    steps.iter().all(|step| match step {
        Step::BuildIndex { entries, .. } | Step::WriteEntries { entries, .. } => {
            entries.first_slot + entries.count <= base.room().min(SEGMENT_ENTRIES_MAX)
        }
        _ => true,
    })
}

/// Whether every record that can be read is the same afterwards: none is gone, and none
/// has come to hide one of the next segment, which has the offsets from `room` on.
fn keeps_what_is_read(before: &SegmentReport, after: &SegmentReport, room: Option<u64>) -> bool {
    let reach = |segment: &SegmentReport| segment.facts.as_ref().map_or(0, sound_end);
    let lost = match (&before.facts, &after.facts) {
        (Some(before), Some(after)) => before.records_lost_in(after),
        _ => 0,
    };
    lost == 0 && room.is_none_or(|room| reach(after) <= reach(before).max(room))
}

/// The slot after the last valid one.
fn sound_end(facts: &SegmentFacts) -> u64 {
    let mut end = facts.entries;
    for damage in facts.damages.iter().rev() {
        if damage.last_slot + 1 < end {
            break;
        }
        end = end.min(damage.first_slot);
    }
    end
}

/// The segment as the steps would leave it, inspected as it was before, and whether each
/// offset has the record that it had. `None` where its index is too large for that.
///
/// # Errors
///
/// As [`mended`].
fn foresee(
    report: &Report,
    segment: &SegmentReport,
    steps: &[Step],
) -> Result<Option<(SegmentReport, bool)>> {
    let steps: Vec<&Step> = steps.iter().collect();
    let Some(Mended { pair, has_index }) = mended(report, segment, &steps)? else {
        return Ok(None);
    };
    let codec = report.codec.unwrap_or(Codec::Raw);
    let index_bytes = Some(pair.index.file_bytes).filter(|_| has_index);
    let mut after = with_sizes(segment, index_bytes, pair.store.file_bytes);
    let threads = report.options.threads();
    let take = if has_index {
        SegmentReport::take_pair
    } else {
        SegmentReport::take_store
    };
    take(&mut after, &pair, codec, &report.options, threads)?;
    let same = has_same_frames(report, segment, &after, pair)?;
    Ok(Some((after, same)))
}

/// Whether each record that can be read before is read at the same place afterwards, if its
/// offset can be read at all then. `pair` is the segment afterwards.
fn has_same_frames(
    report: &Report,
    before: &SegmentReport,
    after: &SegmentReport,
    pair: Segment,
) -> Result<bool> {
    let (Some(facts), Some(then)) = (&before.facts, &after.facts) else {
        return Ok(true);
    };
    let read = after.by_own_account(&pair)?;
    let mut now = before
        .open(&report.listing.directory)?
        .entries(STREAM_BYTES);
    let mut afterwards = read.unwrap_or(pair).entries(STREAM_BYTES);
    for slot in 0..facts.entries.min(then.entries) {
        let is_sound = |facts: &SegmentFacts| facts.sound_between(slot, slot + 1) == 1;
        if is_sound(facts) && is_sound(then) && now.entry(slot)? != afterwards.entry(slot)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The files of a segment as the steps would leave them; `None` where its index is too
/// large for that.
///
/// # Errors
///
/// Errors of reading; [`Error::CannotAppend`] if the store does not hold the frames that
/// the steps count.
pub(super) fn mended(
    report: &Report,
    segment: &SegmentReport,
    steps: &[&Step],
) -> Result<Option<Mended>> {
    let base = segment.listing.base();
    let path = |kind| {
        let name = segment.listing.file_name(kind);
        report.listing.directory.dir.at(name)
    };
    let listed = |kind| segment.listing.file(kind).map_or(0, |file| file.bytes);
    let store_path = path(FileKind::Store);
    let mut store = match segment.listing.store {
        Some(_) => ReadFile::open(&store_path)?,
        None => Image::new(&store_path)?.read()?,
    };
    store.file_bytes = store.file_bytes.min(listed(FileKind::Store));
    let index_path = path(FileKind::Index);
    let index_bytes = listed(FileKind::Index);
    let written = |step: &Step| match step {
        Step::BuildIndex { entries, .. } | Step::WriteEntries { entries, .. } => entries.count,
        _ => 0,
    };
    let new_bytes = steps.iter().map(|step| written(step)).sum::<u64>() * ENTRY_BYTES;
    if index_bytes.saturating_add(new_bytes) > INDEX_BYTES_MAX {
        return Ok(None);
    }
    let mut image = Image::new(&index_path)?;
    if segment.listing.index.is_some() {
        let mut index = ReadFile::open(&index_path)?;
        index.file_bytes = index.file_bytes.min(index_bytes);
        image.copy(&index)?;
    }
    let mut store_end = store.file_bytes;
    for step in steps {
        match (*step).clone() {
            Step::BuildIndex { entries, .. } | Step::WriteEntries { entries, .. } => {
                write_entries(&mut image, &store, &entries)?;
            }
            Step::Cut {
                kind: FileKind::Index,
                to,
                ..
            } => image.bytes = image.bytes.min(to),
            Step::Cut { to, .. } => store_end = to,
            Step::CreateEmpty { .. } => {}
            _ => return Ok(None),
        }
    }
    // An entry's frame is searched for in all of the store, as it is when it is made.
    store.file_bytes = store_end;
    let makes_index = |step: &&Step| {
        let makes = matches!(step, Step::BuildIndex { .. } | Step::CreateEmpty { .. });
        makes && step.file().1 == FileKind::Index
    };
    let pair = Segment {
        base,
        store,
        index: image.read()?,
        entries: None,
        next_base: report.listing.directory.next_base(base),
    };
    let has_index = segment.listing.index.is_some() || steps.iter().any(makes_index);
    Ok(Some(Mended { pair, has_index }))
}

/// Writes the entries that a step makes into an index in memory.
fn write_entries(image: &mut Image<'_>, store: &ReadFile, wanted: &NewEntries) -> Result<()> {
    let mut position = wanted.first_slot * ENTRY_BYTES;
    // Bytes that were cut before are zeros now.
    if position > image.bytes {
        let gap = usize::try_from(position - image.bytes).unwrap_or_default();
        image.put(image.bytes, &vec![0; gap])?;
    }
    let mut gathered = Vec::new();
    entries::make(store, wanted, |entry| {
        gathered.extend_from_slice(&entry.encode());
        if gathered.len() >= STREAM_BYTES {
            image.put(position, &gathered)?;
            position += gathered.len() as u64;
            gathered.clear();
        }
        Ok(())
    })?;
    image.put(position, &gathered)
}

/// Steps equivalent to `steps` followed by `more`, each byte changed once: entries are
/// written first, and the cut is one piece. `None` if impossible.
fn joined(segment: &SegmentReport, steps: &[Step], more: &[Step]) -> Option<Vec<Step>> {
    let base = segment.listing.base();
    let mut writes: Vec<(bool, NewEntries)> = Vec::new();
    let mut ends = [None, None];
    for step in steps.iter().chain(more) {
        match step.clone() {
            Step::BuildIndex { entries, .. } if writes.is_empty() => writes.push((true, entries)),
            // After a cut only what continues after it.
            Step::WriteEntries { entries, .. } => {
                let first = entries.first_slot;
                let end = first + entries.count;
                let apart = |(_, old): &(bool, NewEntries)| {
                    end <= old.first_slot || old.first_slot + old.count <= first
                };
                let built = writes.first().is_some_and(|(built, _)| *built);
                if built || !writes.iter().all(apart) {
                    return None;
                }
                if let Some(cut_to) = &mut ends[0] {
                    *cut_to = end.max(*cut_to / ENTRY_BYTES) * ENTRY_BYTES;
                }
                writes.push((false, entries));
            }
            Step::Cut { kind, to, .. } => {
                if kind == FileKind::Store {
                    ends[1] = Some(to);
                    continue;
                }
                ends[0] = Some(to);
                let slots = to / ENTRY_BYTES;
                for (_, entries) in &mut writes {
                    *entries = entries.before(slots);
                }
                writes.retain(|(built, entries)| *built || entries.count > 0);
            }
            _ => return None,
        }
    }
    let mut all: Vec<Step> = writes
        .iter()
        .map(|(built, entries)| {
            let (built, entries) = (*built, entries.clone());
            if built {
                Step::BuildIndex { base, entries }
            } else {
                Step::WriteEntries { base, entries }
            }
        })
        .collect();
    let [index_end, store_end] = ends;
    let bytes = |kind| segment.listing.file(kind).map_or(0, |file| file.bytes);
    if let (Some(to), Some(_)) = (index_end, &segment.listing.index) {
        all.extend(cut(base, FileKind::Index, bytes(FileKind::Index), to));
    }
    if let Some(to) = store_end {
        all.extend(cut(base, FileKind::Store, bytes(FileKind::Store), to));
    }
    Some(all)
}
