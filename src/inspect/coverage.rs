//! Which offsets of a log can be read and in which segment each is, which cannot and why:
//! the log as a list of stretches. Combines the reports of all segments; an offset
//! in no stretch is not in the log.

use super::finding::{FindingId, OffsetRange};
use super::report::{Report, SegmentReport};
use super::scan::SegmentFacts;
use crate::log::damage::DamageKind;
use crate::log::error::Result;
use crate::log::format::{FileKind, LENGTH_BYTES};
use crate::log::segment::Segment;
use crate::log::units::Offset;
use crate::log::window::{LOOKUP_BYTES, Window};

/// The state of some offsets of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Committed records that are intact.
    Sound {
        /// The number of their segment in [`Report::segments`].
        segment: usize,
    },
    /// Claimed, and not to be had.
    Damaged {
        /// The id of its finding.
        id: FindingId,
    },
}

/// Consecutive offsets of which the same is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The offsets, both ends included.
    pub offsets: OffsetRange,
    /// The state.
    pub state: State,
}

/// All offsets that a log claims, in order; no two stretches share an offset. An offset
/// that two segments hold intact is damaged: the right record is unknown.
#[must_use]
pub fn stretches(report: &Report) -> Vec<Stretch> {
    let mut all = Vec::new();
    for (number, segment) in report.segments.iter().enumerate() {
        match &segment.facts {
            Some(facts) => of_facts(report, number, facts, &mut all),
            None => of_half(report, number, segment, &mut all),
        }
    }
    all
}

fn of_facts(report: &Report, segment: usize, facts: &SegmentFacts, all: &mut Vec<Stretch>) {
    let base = facts.base;
    let sound = |first: u64, end: u64, all: &mut Vec<Stretch>| {
        add_slots(all, base, first, end, State::Sound { segment });
    };
    let mut at = 0;
    let mut misaligned = None;
    for damage in &facts.damages {
        let id = FindingId::from(damage.kind);
        if damage.kind == DamageKind::Misaligned {
            misaligned = Some((damage.first_slot, damage.last_slot.saturating_add(1), id));
            continue;
        }
        let first = damage.first_slot.max(at);
        let end = damage.last_slot.saturating_add(1).max(first);
        sound(at, first, all);
        // Records in the memory of a running writer are not in the log yet.
        if damage.kind != DamageKind::Dangling || !is_pending(report, base) {
            add_slots(all, base, first, end, State::Damaged { id });
        }
        at = end;
    }
    if facts.damages_uncounted > 0 {
        // After the last place that was kept, the valid slots are unknown.
        let id = FindingId::IndexEntryDamaged;
        add_slots(all, base, at, facts.entries, State::Damaged { id });
    } else {
        sound(at, facts.entries, all);
    }
    if let Some((first, end, id)) = misaligned {
        add_slots(all, base, first, end, State::Damaged { id });
    }
}

/// Whether the end of a segment is in the buffer of a writer, or may be if that is
/// unknown.
fn is_pending(report: &Report, base: Offset) -> bool {
    let mut findings = report.findings.iter();
    findings.any(|finding| finding.may_be_buffered() && finding.segment == Some(base))
}

/// A segment of which no pair can be read.
fn of_half(report: &Report, number: usize, segment: &SegmentReport, all: &mut Vec<Stretch>) {
    let base = segment.listing.base();
    let told = report.findings.iter().find_map(|finding| {
        let half = matches!(
            finding.id,
            FindingId::IndexMissing | FindingId::StoreMissing
        );
        let offsets = finding.offsets.filter(|_| half)?;
        (finding.segment == Some(base)).then_some((finding.id, offsets))
    });
    let mut first = Some(base);
    if let Some((id, offsets)) = told {
        let state = State::Damaged { id };
        add(all, Stretch { offsets, state });
        first = offsets.last.checked_add(1);
    }
    // A single file, or a store with bytes that are not frames: unknown up to the next
    // segment.
    let id = match (segment.lone_store(), segment.lone_index()) {
        (Some(tail), _) if tail.torn_bytes > 0 => FindingId::IndexMissing,
        _ if segment.layout.is_some() => FindingId::ForeignDialect,
        (None, None) if !segment.listing.is_readable_pair() => FindingId::NotAFile,
        _ => return,
    };
    let next = report.segments.get(number + 1).map(|it| it.listing.base());
    let last = next.and_then(|next| next.0.checked_sub(1)).map(Offset);
    // How many records the last one has is unknown: at least its first is not to be had.
    let last = last.or(first.filter(|_| id != FindingId::IndexMissing && next.is_none()));
    if let (Some(first), Some(last)) = (first, last)
        && first <= last
    {
        let offsets = OffsetRange { first, last };
        let state = State::Damaged { id };
        add(all, Stretch { offsets, state });
    }
}

/// Adds the slots from `first` up to `end` (excluded), as far as there are offsets.
fn add_slots(all: &mut Vec<Stretch>, base: Offset, first: u64, end: u64, state: State) {
    let Some(last) = end.checked_sub(1).filter(|last| *last >= first) else {
        return;
    };
    let Some(first) = base.checked_add(first) else {
        return;
    };
    let last = base.saturating_add(last);
    let offsets = OffsetRange { first, last };
    add(all, Stretch { offsets, state });
}

/// Adds a stretch; where it overlaps others, both count.
fn add(all: &mut Vec<Stretch>, new: Stretch) {
    let from = all.partition_point(|old| old.offsets.last < new.offsets.first);
    let overlapped = all.split_off(from);
    let mut rest = Some(new);
    for old in overlapped {
        let Some(mut new) = rest.take() else {
            all.push(old);
            continue;
        };
        let mut old = old;
        if new.offsets.last < old.offsets.first {
            all.extend([new, old]);
            continue;
        }
        let ranges = (old.offsets, new.offsets);
        for (one, other) in [(&mut old, ranges.1), (&mut new, ranges.0)] {
            if one.offsets.first < other.first {
                let last = Offset(other.first.0 - 1);
                let first = one.offsets.first;
                let offsets = OffsetRange { first, last };
                all.push(Stretch {
                    offsets,
                    state: one.state,
                });
                one.offsets.first = other.first;
            }
        }
        let first = old.offsets.first;
        let last = old.offsets.last.min(new.offsets.last);
        all.push(Stretch {
            offsets: OffsetRange { first, last },
            state: both(old.state, new.state),
        });
        let Some(next) = last.checked_add(1) else {
            continue;
        };
        if old.offsets.last > last {
            old.offsets.first = next;
            all.push(old);
        } else if new.offsets.last > last {
            new.offsets.first = next;
            rest = Some(new);
        }
    }
    all.extend(rest);
}

/// The state of offsets that are claimed twice.
fn both(old: State, new: State) -> State {
    let id = FindingId::SegmentOverlap;
    let overlap = State::Damaged { id };
    // Entries off their boundaries name intact frames too.
    let misaligned = State::Damaged {
        id: FindingId::IndexMisaligned,
    };
    match (old, new) {
        (State::Sound { .. }, State::Sound { .. }) => overlap,
        (one, other) if one == overlap || other == overlap => overlap,
        (State::Sound { .. }, other) if other == misaligned => overlap,
        // Invalid records hide nothing.
        (State::Damaged { .. }, sound @ State::Sound { .. }) | (sound, _) => sound,
    }
}

/// Opens a segment as large as it was when the report was made.
///
/// # Errors
///
/// As [`Segment::open`].
pub fn open(report: &Report, segment: &SegmentReport) -> Result<Segment> {
    segment.open(&report.listing.directory)
}

/// The start and end in the store of the frames of valid slots, `first` and `last`
/// included. Units: bytes.
///
/// # Errors
///
/// Reading's.
pub fn frames_between(segment: &Segment, first: u64, last: u64) -> Result<(u64, u64)> {
    let mut index = segment.entries(LOOKUP_BYTES);
    let start = index.entry(first)?.position.0;
    let position = index.entry(last)?.position.0;
    let length = Window::new(segment.store.clone(), LOOKUP_BYTES).length_at(position)?;
    let end = position.saturating_add(LENGTH_BYTES).saturating_add(length);
    Ok((start, end))
}

/// Whether the frames of these valid slots are adjacent, with nothing between them.
#[must_use]
pub fn is_contiguous(facts: &SegmentFacts, first: u64, last: u64) -> bool {
    let from = facts.dead.partition_point(|dead| dead.slot <= first);
    let between = facts.dead.get(from).is_some_and(|dead| dead.slot <= last);
    facts.dead_uncounted == 0 && !between
}

/// The name of a segment's store.
#[must_use]
pub fn store_name(segment: &SegmentReport) -> String {
    segment.listing.file_name(FileKind::Store)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(first: u64, last: u64, state: State) -> Stretch {
        let (first, last) = (Offset(first), Offset(last));
        let offsets = OffsetRange { first, last };
        Stretch { offsets, state }
    }

    const A: State = State::Sound { segment: 0 };
    const B: State = State::Sound { segment: 1 };
    const C: State = State::Sound { segment: 2 };
    const LOST: State = State::Damaged {
        id: FindingId::IndexDangling,
    };
    const TWICE: State = State::Damaged {
        id: FindingId::SegmentOverlap,
    };

    fn list(parts: &[(u64, u64, State)]) -> Vec<Stretch> {
        let mut list = Vec::new();
        for &(first, last, state) in parts {
            add(&mut list, stretch(first, last, state));
        }
        list
    }

    #[test]
    fn two_whole_records_of_one_offset_are_none() {
        let got = list(&[(0, 9, A), (5, 14, B)]);
        assert_eq!(
            got,
            [stretch(0, 4, A), stretch(5, 9, TWICE), stretch(10, 14, B)]
        );
        let got = list(&[(0, 9, A), (3, 4, B), (4, 20, C)]);
        assert_eq!(
            got,
            [
                stretch(0, 2, A),
                stretch(3, 3, TWICE),
                stretch(4, 4, TWICE),
                stretch(5, 9, TWICE),
                stretch(10, 20, C)
            ]
        );
    }

    #[test]
    fn what_is_not_sound_hides_nothing() {
        let got = list(&[(0, 4, A), (5, 9, LOST), (5, 7, B), (20, u64::MAX, C)]);
        assert_eq!(
            got,
            [
                stretch(0, 4, A),
                stretch(5, 7, B),
                stretch(8, 9, LOST),
                stretch(20, u64::MAX, C)
            ]
        );
        let got = list(&[(0, u64::MAX, A), (7, u64::MAX, LOST)]);
        assert_eq!(got, [stretch(0, 6, A), stretch(7, u64::MAX, A)]);
    }
}
