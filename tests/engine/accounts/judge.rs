//! What is intact and what can be known of a harmed log, worked out from where each of
//! its bytes comes from; and what a command made of it, compared with that.

use std::collections::{BTreeMap, BTreeSet};

use proglog_testkit::{Codec, Record, Snapshot, frames};
use prost::Message as _;

use super::damage::Harmed;
use super::engine::Given;
use super::made::{Entry, Frame, Kind, Made};
use super::places::{Claim, Place, intact, is_whole, starts};

/// A record was given that nobody wrote.
pub const MADE_UP: &str = "made up";

/// A record was given under the offset of another.
const WRONG_OFFSET: &str = "wrong offset";

/// All that is known of a harmed log.
pub struct Truth<'a> {
    pub made: &'a Made,
    pub harmed: &'a Harmed,
    is_codec_known: bool,
    /// Intact frames, by file and position.
    pub intact: Vec<Place<'a>>,
    /// Frames that are not, but seem to be whole.
    claims: Vec<Claim>,
    /// Intact ones whose offset can be known.
    pub determinable: Vec<Place<'a>>,
    /// Offsets that more than one frame carries.
    pub disputed: BTreeSet<u64>,
    /// Bases of segments where frames dispute an offset.
    pub histories: BTreeSet<u64>,
    /// Segments whose index is valid up to its padding: how many entries it has, and
    /// whether there is padding. It proves what was refused.
    valid: BTreeMap<u64, (u64, bool)>,
    /// Frames that a surviving entry names: file and position.
    named: BTreeSet<(u64, usize)>,
    /// Where an unfinished batch begins: file and position.
    marks: Vec<(u64, usize)>,
    /// Offsets that surviving entries name. One of zeros may be padding.
    promised: BTreeSet<u64>,
}

impl<'a> Truth<'a> {
    pub fn of(made: &'a Made, harmed: &'a Harmed) -> Self {
        let mut truth = Self {
            made,
            harmed,
            is_codec_known: true,
            intact: Vec::new(),
            claims: Vec::new(),
            determinable: Vec::new(),
            disputed: BTreeSet::new(),
            histories: BTreeSet::new(),
            valid: BTreeMap::new(),
            named: BTreeSet::new(),
            marks: Vec::new(),
            promised: BTreeSet::new(),
        };
        for ((base, index), file) in &harmed.files {
            if *index {
                continue;
            }
            truth.intact.extend(intact(made, *base, file));
            let is_mark = |at: &usize| {
                let from = file.from[*at].filter(|from| !from.index);
                from.is_some_and(|from| made.segments[from.segment].mark == Some(from.at))
            };
            let marks = (0..file.from.len()).filter(is_mark);
            truth.marks.extend(marks.map(|at| (*base, at)));
        }
        truth.find_claims();
        truth.find_disputes();
        for number in 0..made.segments.len() {
            truth.look_at_index(number);
        }
        let mut determinable = match made.codec {
            Codec::Raw => truth.determinable_raw(),
            Codec::Protobuf => truth.determinable_protobuf(),
        };
        determinable.retain(|place| !truth.is_in_batch(place));
        if made.codec == Codec::Raw {
            // A torn frame before it may seem to end where one begins inside its value.
            let around = |place: &Place<'_>, claim: &Claim| {
                claim.base == place.base && claim.holds(place.at) && claim.end < place.end()
            };
            determinable.retain(|place| {
                let swallowed = truth.claims.iter().any(|claim| around(place, claim));
                !(place.frame.nested && swallowed)
            });
        }
        truth.determinable = determinable;
        truth
    }

    /// Offsets that more than one frame carries now.
    fn find_disputes(&mut self) {
        let mut carriers: BTreeMap<u64, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for ((base, index), file) in &self.harmed.files {
            if *index {
                continue;
            }
            for (at, frame) in starts(self.made, file) {
                let whole = self
                    .intact
                    .iter()
                    .any(|place| place.base == *base && place.at == at);
                let end = (at + frame.bytes.len()).min(file.bytes.len());
                let payload = file.bytes.get(at + 8..end).unwrap_or_default();
                // Of a frame that begins in two places each may be the one.
                let again = !seen.insert(file.from[at].map(|it| (it.segment, it.at)));
                if again || whole || self.made.codec == Codec::Raw {
                    *carriers.entry(frame.offset).or_default() += 1 + u64::from(again);
                } else if let Ok(record) = Record::decode(payload) {
                    *carriers.entry(record.offset).or_default() += 1;
                }
                if !whole && frame.nested {
                    for (_, payload) in frames(&frame.value) {
                        let inner = Record::decode(payload.as_slice()).unwrap_or_default();
                        *carriers.entry(inner.offset).or_default() += 2;
                    }
                }
            }
        }
        self.disputed = carriers
            .iter()
            .filter(|it| *it.1 > 1)
            .map(|it| *it.0)
            .collect();
        for segment in &self.made.segments {
            let disputes = |frame: &Frame| self.disputed.contains(&frame.offset);
            if segment.frames.iter().any(disputes) {
                self.histories.insert(segment.base);
            }
        }
    }

    /// Which entries of a segment survive, and whether its index is valid up to its
    /// padding: then it proves what was refused.
    fn look_at_index(&mut self, number: usize) {
        let segment = &self.made.segments[number];
        let base = segment.base;
        let Some(file) = self.harmed.files.get(&(base, true)) else {
            return;
        };
        let found: Vec<(usize, Entry)> = (0..file.bytes.len())
            .filter_map(|at| {
                let origin = file.from[at].filter(|it| it.segment == number && it.index)?;
                let entry = segment.entries.iter().find(|entry| entry.at == origin.at)?;
                is_whole(file, at, origin, 12).then_some((at, *entry))
            })
            .collect();
        let follows =
            |a: &(usize, Entry), b: &(usize, Entry)| a.0 + 12 == b.0 && a.1.slot + 1 == b.1.slot;
        for run in found.chunk_by(follows) {
            // One of zeros alone says nothing elsewhere.
            let telling = run.iter().filter(|(_, entry)| entry.slot > 0).count();
            for (at, entry) in run {
                let own_place = *at == entry.slot as usize * 12;
                if telling < 3 && !own_place {
                    continue;
                }
                let position = entry.position as usize;
                let offset = base + u64::from(entry.slot);
                if (entry.slot, entry.position) != (0, 0) {
                    self.promised.insert(offset);
                }
                let named = |place: &&Place<'_>| {
                    place.base == base && place.home == base && place.at == position
                };
                let place = self.intact.iter().find(named);
                if place.is_some_and(|place| place.frame.offset == offset) {
                    self.named.insert((base, position));
                }
            }
        }
        let entries = segment
            .index
            .chunks_exact(12)
            .zip(file.bytes.chunks_exact(12));
        let in_place = entries.take_while(|(was, is)| was == is).count();
        // An entry of zeros names the first frame, or is padding.
        let first = file.bytes.len() >= 12 && file.bytes[..12] == [0; 12];
        let count = in_place.min(segment.entries.len()).max(usize::from(first));
        let rest = &file.bytes[12 * count..];
        if rest.iter().all(|byte| [0, 0xff].contains(byte)) {
            self.valid.insert(
                base,
                (count as u64, rest.len() >= 12 || first && count == 1),
            );
        }
    }

    /// Joined to the beginning of the store, or to a frame that an entry names, by frames
    /// that are intact.
    fn determinable_raw(&self) -> Vec<Place<'a>> {
        let mut known: Vec<Place<'a>> = Vec::new();
        if self.harmed.moved {
            return known;
        }
        if self.made.restarted() {
            // Only entries tell who wrote a frame.
            let named = |place: &&Place<'a>| {
                self.named.contains(&(place.base, place.at))
                    && !self.disputed.contains(&place.frame.offset)
            };
            return self.intact.iter().filter(named).copied().collect();
        }
        for place in &self.intact {
            let base = place.base;
            if place.home != base || place.vague || place.frame.kind != Kind::Record {
                continue;
            }
            let first = place.at == 0 && place.frame.offset == base;
            let follows = known.last().is_some_and(|before| {
                before.base == base
                    && before.end() == place.at
                    && before.frame.offset + 1 == place.frame.offset
            });
            // Behind a frame whose offset nothing tells, the entry before must say its own.
            let before = known.last().filter(|before| before.base == base);
            let ends_here = |it: &Place<'a>| it.base == base && it.end() == place.at;
            let dead = self.intact.iter().any(ends_here)
                && before.is_none_or(|before| before.end() != place.at);
            let told = before.is_some_and(|before| {
                before.frame.offset + 1 == place.frame.offset
                    && self.named.contains(&(base, before.at))
            });
            let named = self.named.contains(&(base, place.at)) && (!dead || told);
            if first || follows || named {
                known.push(*place);
            }
        }
        known
    }

    /// Every frame that carries its offset, unless another carries it too.
    fn determinable_protobuf(&self) -> Vec<Place<'a>> {
        if self.harmed.moved {
            return Vec::new();
        }
        let carries = |place: &&Place<'_>| {
            place.home == place.base
                && place.frame.kind == Kind::Record
                && place.frame.bytes.len() > 8
                && !self.disputed.contains(&place.frame.offset)
        };
        let alone = |place: &&Place<'_>| {
            let around = |claim: &&Claim| claim.base == place.base && claim.holds(place.at);
            !self
                .claims
                .iter()
                .filter(around)
                .any(|claim| claim.is_record)
        };
        self.intact
            .iter()
            .filter(carries)
            .filter(alone)
            .copied()
            .collect()
    }

    /// Frames that are not intact, but seem to be whole.
    fn find_claims(&mut self) {
        for ((base, index), file) in &self.harmed.files {
            if *index {
                continue;
            }
            for (at, _) in starts(self.made, file) {
                let whole = |place: &Place<'_>| place.base == *base && place.at == at;
                let Some(length) = file.bytes.get(at..at + 8) else {
                    continue;
                };
                let length = u64::from_be_bytes(length.try_into().unwrap());
                let end = usize::try_from(length)
                    .ok()
                    .and_then(|it| it.checked_add(at + 8));
                let Some(end) = end.filter(|end| *end <= file.bytes.len()) else {
                    continue;
                };
                if self.intact.iter().any(whole) {
                    continue;
                }
                self.claims.push(Claim {
                    base: *base,
                    at,
                    end,
                    is_length: file.from[at].is_some_and(|from| is_whole(file, at, from, 8)),
                    is_record: Record::decode(&file.bytes[at + 8..end]).is_ok(),
                });
            }
        }
    }

    /// Whether no entry says any more that a frame is not of the unfinished batch before it,
    /// where it was or where it is now.
    fn is_in_batch(&self, place: &Place<'_>) -> bool {
        let marks = self.marks.iter().filter(|mark| mark.0 == place.base);
        let mut before = marks.map(|mark| mark.1).filter(|at| *at < place.at);
        let ended = |at: usize| {
            let mut named = self.named.range((place.base, at)..=(place.base, place.at));
            named.next().is_some()
        };
        if before.any(|at| !ended(at)) {
            return true;
        }
        let mut segments = self.made.segments.iter();
        let home = segments.find(|segment| segment.base == place.home);
        let Some(mark) = home.and_then(|home| home.mark) else {
            return false;
        };
        let position = place.frame.position;
        let ends = |it: &Place<'_>| {
            let behind = mark < it.frame.position && it.frame.position <= position;
            it.home == place.home && behind && self.named.contains(&(it.base, it.at))
        };
        position > mark && !self.intact.iter().any(ends)
    }

    /// Whether a frame may be cut: it may be none, or it was proven to be refused.
    pub fn may_be_cut(&self, place: &Place<'_>) -> bool {
        if self.is_in_batch(place) {
            return true;
        }
        // Where bytes went missing, a frame seems whole that ends inside the next one.
        let vague = self.made.codec == Codec::Raw && !self.named.contains(&(place.base, place.at));
        let hides = |claim: &Claim| {
            claim.base == place.base
                && (claim.is_length || vague)
                && claim.holds(place.at)
                && claim.end < place.end()
        };
        if place.vague || self.claims.iter().any(hides) {
            return true;
        }
        let Some((entries, padded)) = self.valid.get(&place.base).copied() else {
            return false;
        };
        let alone = || {
            let next = |it: &&Place<'_>| it.base == place.base && it.at == place.end();
            !self.is_determinable(place) && !self.intact.iter().any(|it| next(&it))
        };
        if self.made.codec == Codec::Raw && alone() {
            // One frame that leads nowhere, in what may be a torn one.
            return true;
        }
        if self.made.codec == Codec::Raw || self.named.contains(&(place.base, place.at)) {
            return false;
        }
        let offset = place.frame.offset;
        let beside = |other: &&Place<'_>| other.base == place.base;
        let behind = |other: &&Place<'_>| beside(other) && other.at > place.at;
        let same = |other: &Place<'_>| other.frame.offset == offset;
        let run = self.disputed.contains(&offset);
        let follows =
            |other: &Place<'_>| other.end() == place.at && other.frame.offset + 1 == offset;
        let ascends = !run && self.intact.iter().filter(beside).any(follows);
        let next = self.intact.iter().filter(behind).find(|other| !same(other));
        if ascends || next.is_some_and(|next| next.frame.offset == offset + 1) {
            return false;
        }
        offset == place.base + entries && run
            || padded && offset < place.base + entries
            || padded && offset == place.base + 1 && run
    }

    /// The offsets that an entry names, and that are neither given nor within one of these
    /// ranges.
    pub fn unsaid(&self, given: &[Given], said: &[(u64, u64)]) -> impl Iterator<Item = u64> {
        let given: BTreeSet<u64> = given.iter().map(|given| given.offset).collect();
        let is_said = |offset: u64| said.iter().any(|it| (it.0..=it.1).contains(&offset));
        let silent = self.promised.difference(&given).copied();
        let silent: Vec<u64> = silent.filter(|offset| !is_said(*offset)).collect();
        // After damage nothing tells refused frames from what they were followed by.
        let unknown = self.made.passed_over() && !self.harmed.done.is_empty();
        silent.into_iter().filter(move |_| !unknown)
    }

    /// The base of the segment that an offset was written to.
    pub fn base_of(&self, offset: u64) -> u64 {
        let bases = self.made.segments.iter().map(|segment| segment.base);
        bases.filter(|base| *base <= offset).max().unwrap_or(0)
    }

    /// Asks for nothing but that no frame is cut.
    pub fn forget(&mut self) {
        self.determinable.clear();
        self.is_codec_known = false;
    }

    /// Whether the offset of an intact frame can be known.
    pub fn is_determinable(&self, place: &Place<'_>) -> bool {
        let same = |it: &Place<'_>| it.base == place.base && it.at == place.at;
        self.determinable.iter().any(same)
    }

    /// Intact frames that are not in their place any more.
    pub fn cut(&self, after: &Snapshot) -> Vec<String> {
        let stands = |place: &Place<'_>| {
            let file = after.get(&format!("{}.store", place.base));
            let bytes = file.and_then(|file| file.bytes.get(place.at..place.end()));
            bytes == Some(&place.frame.bytes)
        };
        let gone = self
            .intact
            .iter()
            .filter(|place| !self.may_be_cut(place) && !stands(place));
        gone.map(Place::describe).collect()
    }

    /// Whether a record is given at its offset, from its place.
    pub fn is_given(place: &Place<'_>, given: &[Given]) -> bool {
        given.iter().any(|given| {
            given.offset == place.frame.offset
                && given.base == place.base
                && given.position == place.at
                && given.value == place.frame.value
        })
    }

    /// Records that are given and cannot be right.
    pub fn wrong(&self, given: &[Given]) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        if !self.is_codec_known {
            return wrong;
        }
        for given in given {
            let end = given.position + 8 + given.length;
            let what = format!(
                "{} from {}.store {}..{end}",
                given.offset, given.base, given.position
            );
            let same = |place: &&Place<'_>| {
                place.base == given.base && place.at == given.position && place.end() == end
            };
            if let Some(place) = self.intact.iter().find(same) {
                if self.made.passed_over()
                    && self.harmed.done.is_empty()
                    && place.frame.kind == Kind::Refused
                {
                    wrong.push((MADE_UP, format!("{what}, {}", place.describe())));
                }
                let known = match self.made.codec {
                    Codec::Raw => self.is_determinable(place),
                    Codec::Protobuf => {
                        !self.disputed.contains(&place.frame.offset) && place.frame.bytes.len() > 8
                    }
                };
                if known && place.frame.offset != given.offset {
                    wrong.push((WRONG_OFFSET, format!("{what}, it is {}", place.describe())));
                }
                continue;
            }
            let around = |place: &&Place<'_>| {
                place.base == given.base
                    && place.at < given.position
                    && given.position < place.end()
                    && given.length > 0
                    && (self.made.codec == Codec::Protobuf || self.is_determinable(place))
            };
            if let Some(place) = self.intact.iter().find(around) {
                wrong.push((MADE_UP, format!("{what}, inside {}", place.describe())));
            }
        }
        wrong
    }
}
