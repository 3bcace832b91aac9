//! The account of a segment: what each byte of its two files is, by the reading that needs
//! the fewest faults.

use std::collections::HashMap;

use super::bytes::Bytes;
use super::candidates::{self, Search};
pub use super::frames::Doubt;
use super::frames::{self, Frame};
use super::number_protobuf::{self, IndexState};
use super::path::{self, Piece, Segment};
use super::sections::{self, Sections};
use super::{number_raw, verdict};
use crate::log::error::Result;
use crate::log::format::{ENTRY_BYTES, LENGTH_BYTES};
use crate::log::index::Index;
use crate::log::record::Codec;
use crate::log::units::{Offset, Position};
use crate::log::window::{LOOKUP_BYTES, ReadFile};

/// Entries before the first fault that are asked for the largest frame.
const ENTRIES_BEFORE: u64 = 64;

/// Bytes that a running service keeps of its store in memory.
pub(super) const SERVICE_BUFFER_BYTES: u64 = 4096;

/// The two files of a segment, and what is known of them.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The store, up to where it is judged.
    pub store: &'a ReadFile,
    /// The index, if there is one.
    pub index: Option<&'a ReadFile>,
    /// The segment's base offset.
    pub base: Offset,
    /// The log's codec.
    pub codec: Codec,
    /// The base offset of the next segment.
    pub next_base: Option<Offset>,
    /// How many entries from slot 0 on are known to be right.
    pub sound_entries: u64,
    /// Whether nobody may have written frames without entries: a person said so.
    pub trust_tail: bool,
}

impl Input<'_> {
    /// The index, or one that has no entry.
    pub(super) fn index_file(&self) -> ReadFile {
        let mut file = self.index.unwrap_or(self.store).clone();
        if self.index.is_none() {
            file.file_bytes = 0;
        }
        file
    }
}

/// Entries of an index, for consecutive slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entries {
    /// The first slot.
    pub first_slot: u64,
    /// How many slots.
    pub count: u64,
    /// The position that the first entry names. Units: bytes.
    pub position: Position,
    /// Whether each next entry names the end of the frame before; else all name the same
    /// position, for their frames are not there.
    pub follow: bool,
}

/// Why the records of some offsets cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// Their bytes are damaged where the record should be.
    Missing,
    /// The frame's length is wrong; its value is intact.
    Length,
    /// The payload is damaged, or carries another offset.
    Payload,
    /// Eight zero bytes are where the record was.
    Zeros,
    /// Entries promise them behind the last record of the store.
    Lost,
}

/// Offsets whose records cannot be read, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged {
    /// The first offset.
    pub first: Offset,
    /// The last offset.
    pub last: Offset,
    /// Why.
    pub loss: Loss,
}

/// What bytes are that no entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unreferenced {
    /// Between two records that follow each other: no record is missing.
    Dead,
    /// Bytes where records were.
    Junk,
    /// An append that the service refused.
    Refused,
    /// An earlier copy of a record whose offset a later one has.
    Repeated,
    /// A record of another history.
    Second,
    /// A whole frame that nothing numbers.
    Unnumbered,
    /// A frame that the store's end cuts short.
    Torn,
    /// Zeros up to the store's end.
    Zeros,
}

/// Bytes of the store that no entry names. Units: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where they begin.
    pub position: u64,
    /// How many they are.
    pub bytes: u64,
    /// How many frames they are, where they are frames.
    pub frames: u64,
    /// What they are.
    pub kind: Unreferenced,
}

/// A record under an offset that another record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contested {
    /// The offset that both claim.
    pub offset: Offset,
    /// Where the frame begins.
    pub position: Position,
}

/// What every byte of a segment is, from its first fault on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The first slot that the account speaks of; the entries before it are right.
    pub first_slot: u64,
    /// The entries from there on, as they should be.
    pub entries: Vec<Entries>,
    /// How many entries the index should have in all.
    pub slots: u64,
    /// Records from `first_slot` on that can be read by these entries.
    pub records: u64,
    /// Records among these that no entry of the index names.
    pub unindexed: u64,
    /// The slot behind the last record, readable or not.
    pub end_slot: u64,
    /// The entries that are not in the index as they should be, in ascending order.
    pub writes: Vec<Entries>,
    /// The first entry that is not what it should be, and is no padding: its slot, and what
    /// it says beside what is right: positions, or relative offsets where these are wrong.
    pub first_wrong: Option<(u64, u64, u64)>,
    /// Unused slots up to the index's end: the byte at which they begin, and their bytes.
    pub padding: Option<(u64, u64)>,
    /// Entries of the index that stand at another place than their own: the byte at which
    /// the first one begins, and the slots that they name, the last one excluded.
    pub misplaced: Option<(u64, u64, u64)>,
    /// Whether the index is nothing but entries from slot 0 and padding, all of them right.
    pub index_sound: bool,
    /// Whether the index is to be left as it is until a person has decided.
    pub keep_index: bool,
    /// Where the store may be cut; its size if nothing may be cut.
    pub store_end: u64,
    /// Where the last record ends, readable or not. Units: bytes.
    pub records_end: u64,
    /// Offsets without a readable record.
    pub damaged: Vec<Damaged>,
    /// Bytes of the store that no record has.
    pub unreferenced: Vec<Stretch>,
    /// Records of another history.
    pub contested: Vec<Contested>,
    /// Why a person decides; empty where nobody has to.
    pub doubts: Vec<Doubt>,
}

impl Account {
    /// Of a segment whose `slots` entries are all right, with nothing behind its last frame.
    #[must_use]
    pub fn sound(slots: u64, records: u64, store_end: u64, padded: bool) -> Self {
        Self {
            first_slot: slots,
            entries: Vec::new(),
            slots,
            records: records.saturating_sub(slots),
            unindexed: 0,
            end_slot: slots,
            writes: Vec::new(),
            misplaced: None,
            first_wrong: None,
            padding: None,
            index_sound: !padded,
            keep_index: false,
            store_end,
            records_end: store_end,
            damaged: Vec::new(),
            unreferenced: Vec::new(),
            contested: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// Whether nothing is unusual but frames that continue where the index ends.
    #[must_use]
    pub fn is_plain_tail(&self) -> bool {
        self.first_wrong.is_none()
            && self.misplaced.is_none()
            && self.contested.is_empty()
            && self.damaged.iter().all(|it| it.loss == Loss::Lost)
            && self.entries.iter().filter(|run| run.follow).count() <= 1
    }

    /// The same after a person has said that what is no record at the end is to go.
    #[must_use]
    pub fn without_tail(mut self) -> Self {
        if self.keep_index {
            return self;
        }
        self.store_end = self.store_end.min(self.records_end);
        let decided = [
            Doubt::Unnumbered,
            Doubt::EmptyRow,
            Doubt::ZerosOrRecord,
            Doubt::HoldsFrames,
            Doubt::LongRemainder,
            Doubt::MayBeUnwritten,
        ];
        self.doubts.retain(|doubt| !decided.contains(doubt));
        let end = self.end_slot;
        for runs in [&mut self.entries, &mut self.writes] {
            runs.retain(|run| run.first_slot < end);
        }
        self.slots = self.slots.min(end.max(self.first_slot));
        self
    }

    /// The account of an input from its first fault on; `None` if it has more frames or
    /// entries than are judged at once.
    ///
    /// # Errors
    ///
    /// [`Error::Shrunk`](crate::log::error::Error::Shrunk) and
    /// [`Error::Io`](crate::log::error::Error::Io); bytes that the disk does not give are
    /// no frame.
    pub fn of(input: &Input<'_>) -> Result<Option<Self>> {
        let mut index = Index::of(input.index_file(), LOOKUP_BYTES);
        // Nothing is guessed about the bytes of an unfinished batch.
        let mut known = input.store.clone();
        if let Some(position) = unfinished_behind_entries(input)? {
            known.file_bytes = position;
        }
        let mut store = Bytes::new(&known)?;
        let Some(mut explored) = explore(input, &mut store, &mut index)? else {
            return Ok(None);
        };
        if let Some(position) = explored.unfinished_batch(&mut store)? {
            // Nothing of an unfinished batch is a frame.
            let mut before = input.store.clone();
            before.file_bytes = position;
            store = Bytes::new(&before)?;
            match explore(input, &mut store, &mut index)? {
                Some(again) => explored = again,
                None => return Ok(None),
            }
        }
        let evidence = Evidence::gather(input, explored, &mut store, &mut index)?;
        verdict::account(input, &mut store, &mut index, evidence).map(Some)
    }
}

/// Where an unfinished batch begins behind entries that are all valid.
fn unfinished_behind_entries(input: &Input<'_>) -> Result<Option<u64>> {
    let Some(index) = input.index else {
        return Ok(None);
    };
    let segment = crate::log::segment::Segment {
        base: input.base,
        store: input.store.clone(),
        index: index.clone(),
        is_last: input.next_base.is_none(),
        entries: None,
    };
    let found = super::unfinished::in_segment(&segment, input.codec)?;
    Ok(found.map(|unfinished| unfinished.position))
}

/// What the account is made of.
pub(super) struct Evidence {
    pub segment: Segment,
    pub sections: Sections,
    pub index: IndexState,
    pub path: Vec<Piece>,
    pub frames: Vec<Frame>,
    pub doubts: Vec<Doubt>,
    pub table: candidates::Candidates,
}

/// The cheapest way through a store, and what it was found by.
pub(super) struct Explored {
    pub segment: Segment,
    pub sections: Sections,
    pub path: Vec<Piece>,
    table: candidates::Candidates,
}

impl Explored {
    /// Where an unfinished batch begins: a mark behind which no entry names a place.
    fn unfinished_batch(&self, store: &mut Bytes) -> Result<Option<u64>> {
        let last = self.segment.named.last().map(|it| it.0);
        for piece in &self.path {
            let unnamed = last.is_none_or(|last| last < piece.start);
            if matches!(piece.kind, path::Kind::Gap | path::Kind::Torn)
                && unnamed
                && store.is_marked(piece.start)?
            {
                return Ok(Some(piece.start));
            }
        }
        Ok(None)
    }
}

/// Divides the index and finds the cheapest way through the store; `None` if there is more
/// than is judged at once.
pub(super) fn explore(
    input: &Input<'_>,
    store: &mut Bytes,
    index: &mut Index,
) -> Result<Option<Explored>> {
    let (slot, from) = first_place(input, store, index)?;
    let Some(sections) = sections::divide(index, store, slot * ENTRY_BYTES)? else {
        return Ok(None);
    };
    let base = input.base.0;
    let slots = store.size / 9 + index.file_bytes() / ENTRY_BYTES + 2;
    let mut named: Vec<(u64, u64)> = sections
        .claims()
        .filter(|(_, position)| *position < store.size && *position >= from)
        .map(|(slot, position)| (position, slot))
        .collect();
    named.sort_unstable();
    named.dedup();
    let mut segment = Segment {
        codec: input.codec,
        base,
        slot,
        from,
        offsets: base..base.saturating_add(slots),
        named,
        padded: sections.is_padded(),
        unpadded: index.file_bytes() > 0 && sections.rest.is_empty(),
        largest: largest(store, index, slot)?,
    };
    for at in 0..segment.named.len() {
        let Some((position, _)) = segment.named.get(at).copied() else {
            break;
        };
        if let Some(end) = store.end(position)?
            && segment.names(store, position)?
        {
            segment.largest = segment.largest.max(end - position);
        }
    }
    let search = Search {
        from,
        codec: input.codec,
        offsets: segment.offsets.clone(),
        named: &segment.named,
    };
    let Some(table) = candidates::find(store, &search)? else {
        return Ok(None);
    };
    let Some(path) = path::find(&segment, store, &table)? else {
        return Ok(None);
    };
    Ok(Some(Explored {
        segment,
        sections,
        path,
        table,
    }))
}

impl Evidence {
    fn gather(
        input: &Input<'_>,
        explored: Explored,
        store: &mut Bytes,
        index: &mut Index,
    ) -> Result<Self> {
        let Explored {
            segment,
            sections,
            path,
            table,
        } = explored;
        let slot = segment.slot;
        let state = IndexState {
            sound: is_sound(&segment, store, index, &sections, &path)?,
            padded: segment.padded,
            entries: slot.max(
                sections
                    .runs
                    .iter()
                    .map(|run| run.slot + run.positions.len() as u64)
                    .max()
                    .unwrap_or(0),
            ),
        };
        let path = verdict::empty_records_at_end(&segment, state, path);
        let mut frames = frames::of_path(&path);
        let doubts = match input.codec {
            Codec::Raw => {
                let claims: HashMap<u64, u64> = sections.claims().collect();
                let next = input.next_base.map(|next| next.0);
                number_raw::number(&segment, store, &path, &claims, next, &mut frames)?
            }
            Codec::Protobuf => number_protobuf::number(&segment, store, &path, state, &mut frames)?,
        };
        if let Some(room) = input
            .next_base
            .and_then(|next| next.0.checked_sub(segment.base))
        {
            // No frame without an entry takes an offset of the next segment.
            for frame in frames.iter_mut().filter(|frame| !frame.named) {
                if frame.slot.is_some_and(|slot| slot >= room) {
                    frame.slot = None;
                    frame.state = frames::State::Unnumbered;
                }
            }
        }
        frames.sort_unstable_by_key(|frame| (frame.start, frame.end));
        Ok(Self {
            segment,
            sections,
            index: state,
            path,
            frames,
            doubts,
            table,
        })
    }
}

/// Where the account begins: at the last entry that is known to be right, so that what
/// follows is held against the frame before it.
fn first_place(input: &Input<'_>, store: &Bytes, index: &mut Index) -> Result<(u64, u64)> {
    let Some(slot) = input.sound_entries.checked_sub(1) else {
        return Ok((0, 0));
    };
    if slot >= index.slots() {
        return Ok((0, 0));
    }
    let position = index.entry(slot)?.position.0;
    Ok(if position < store.size {
        (slot, position)
    } else {
        (0, 0)
    })
}

/// The largest of some frames right before `slot`.
fn largest(store: &mut Bytes, index: &mut Index, slot: u64) -> Result<u64> {
    let mut largest = 0;
    for before in slot.saturating_sub(ENTRIES_BEFORE)..slot {
        let position = index.entry(before)?.position.0;
        if let Some(end) = store.end(position)? {
            largest = largest.max(end - position);
        }
    }
    Ok(largest)
}

/// Whether the index is one run of entries from slot 0 that name frames, or lie behind the
/// last one, and then padding only.
fn is_sound(
    segment: &Segment,
    store: &mut Bytes,
    index: &Index,
    sections: &Sections,
    path: &[Piece],
) -> Result<bool> {
    if index.file_bytes() == 0 || sections.rest.iter().any(|rest| !rest.padding) {
        return Ok(false);
    }
    let [run] = sections.runs.as_slice() else {
        return Ok(sections.runs.is_empty());
    };
    if run.at != run.slot * ENTRY_BYTES || run.slot != segment.slot {
        return Ok(false);
    }
    if run.positions == [0] {
        return Ok(true);
    }
    // Entries that name nothing are the last ones, and begin where no frame is.
    let mut dangling = None;
    for &position in &run.positions {
        let whole = segment.names(store, position)? && store.end(position)?.is_some();
        match (whole, dangling) {
            (true, Some(_)) => return Ok(false),
            (false, None) => dangling = Some(position),
            _ => {}
        }
    }
    let begins_no_frame = |position: u64| {
        let at = path.partition_point(|piece| piece.start < position);
        let piece = path.get(at);
        piece.is_some_and(|it| it.start == position && it.kind != path::Kind::Frame)
    };
    Ok(dangling.is_none_or(|it| it == store.size || begins_no_frame(it)))
}

/// What a frame takes at least. Units: bytes.
pub(super) const LEAST_FRAME: u64 = LENGTH_BYTES;
