//! A segment as a reader sees it: by its own index, or, where that hides records of the
//! store, by the index that the segment's account gives.

use super::damage::Damage;
use super::directory::{Directory, SegmentNames};
use super::error::Result;
use super::format::ENTRY_BYTES;
use super::items::first_sound;
use super::record::Codec;
use super::segment::{Segment, is_absent};
use super::units::Offset;
use super::walk::{Committed, Flow, Visitor};
use super::window::LOOKUP_BYTES;
use crate::scan::account::{Account, Input};
use crate::scan::image;

/// Entries before the last sound one that must be sound for those before them to be taken
/// for sound.
const ENTRIES_CHECKED: u64 = 64;

/// A segment that is open for reading.
pub(super) struct Opened {
    /// The store, and the index that is read.
    pub segment: Segment,
    /// How many entries of it are real.
    pub entries: u64,
    /// The slots whose entries are not in the index that is there, the last one included.
    pub unindexed: Option<(u64, u64)>,
}

impl Opened {
    /// Opens a segment.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`], and reading's.
    pub fn open(directory: &Directory, names: &SegmentNames, codec: Codec) -> Result<Self> {
        let next = directory
            .segments
            .partition_point(|it| it.base <= names.base);
        let next_base = directory.segments.get(next).map(|it| it.base);
        let segment = match Segment::open_fixed(directory, names, codec) {
            Ok(segment) => segment,
            Err(error) if is_absent(&error) => {
                return Self::without_index(directory, names, codec, next_base, error);
            }
            Err(error) => return Err(error),
        };
        let entries = segment.count_entries(Some(codec))?;
        if let Some(other) = Self::by_account(&segment, entries, codec, next_base)? {
            return Ok(other);
        }
        Ok(Self {
            segment,
            entries,
            unindexed: None,
        })
    }

    /// Opens a segment for a look-up: by its index alone where that names the slot's record.
    ///
    /// # Errors
    ///
    /// As [`Opened::open`].
    pub fn for_slot(
        directory: &Directory,
        names: &SegmentNames,
        codec: Codec,
        slot: u64,
    ) -> Result<Self> {
        if let Ok(mut segment) = Segment::open(directory, names) {
            let entries = segment.entries_for(slot, codec)?;
            segment.store.take_size()?;
            if slot < entries && first_sound(&segment, codec, entries, slot..slot + 1)?.is_some() {
                return Ok(Self {
                    segment,
                    entries,
                    unindexed: None,
                });
            }
        }
        Self::open(directory, names, codec)
    }

    fn without_index(
        directory: &Directory,
        names: &SegmentNames,
        codec: Codec,
        next_base: Option<Offset>,
        error: super::error::Error,
    ) -> Result<Self> {
        let Ok(segment) = Segment::without_index(directory, names) else {
            return Err(error);
        };
        let account = account(&segment, None, codec, 0, next_base)?;
        let Some(account) = account.filter(|account| account.end_slot > 0) else {
            return Err(error);
        };
        Self::read_by(&account, &segment, None)?.ok_or(error)
    }

    /// The segment by its account, where its index hides what that has.
    fn by_account(
        segment: &Segment,
        entries: u64,
        codec: Codec,
        next_base: Option<Offset>,
    ) -> Result<Option<Self>> {
        let sound = segment.sound_entries(codec, entries)?;
        if sound == entries
            && entries * ENTRY_BYTES == segment.index.file_bytes
            && ends_with_store(segment, entries)?
        {
            return Ok(None);
        }
        let start = if is_sound_before(segment, codec, entries, sound)? {
            sound
        } else {
            0
        };
        let account = account(segment, Some(segment), codec, start, next_base)?;
        let Some(account) = account.filter(|it| it.end_slot > sound && !it.is_plain_tail()) else {
            return Ok(None);
        };
        let has_index = Some(&segment.index);
        Self::read_by(&account, segment, has_index)
    }

    fn read_by(
        account: &Account,
        segment: &Segment,
        index: Option<&super::window::ReadFile>,
    ) -> Result<Option<Self>> {
        let path = segment.index.path();
        let read = image::of_account(account, &segment.store, index, path)?;
        let first = account.writes.first().map(|it| it.first_slot);
        Ok(read.map(|index| Self {
            entries: index.file_bytes / ENTRY_BYTES,
            segment: Segment {
                index,
                entries: None,
                ..segment.clone()
            },
            unindexed: first.and_then(|first| {
                let last = account.end_slot.checked_sub(1)?;
                (first <= last).then_some((first, last))
            }),
        }))
    }
}

fn account(
    segment: &Segment,
    index: Option<&Segment>,
    codec: Codec,
    sound_entries: u64,
    next_base: Option<Offset>,
) -> Result<Option<Account>> {
    Account::of(&Input {
        store: &segment.store,
        index: index.map(|segment| &segment.index),
        base: segment.base,
        codec,
        next_base,
        sound_entries,
        trust_tail: false,
    })
}

/// Whether the frame of the last entry ends where the store does.
fn ends_with_store(segment: &Segment, entries: u64) -> Result<bool> {
    let Some(last) = entries.checked_sub(1) else {
        return Ok(segment.store.file_bytes == 0);
    };
    let position = segment.entries(LOOKUP_BYTES).entry(last)?.position;
    let mut store = super::window::Window::new(segment.store.clone(), LOOKUP_BYTES);
    let end = store.frame_end_at(position.0)?;
    Ok(end.is_some_and(|end| end.0 == segment.store.file_bytes))
}

/// Whether the entries right before `sound` are right.
fn is_sound_before(segment: &Segment, codec: Codec, entries: u64, sound: u64) -> Result<bool> {
    let mut walk = segment.walk(codec, entries, LOOKUP_BYTES);
    walk.seek(sound.saturating_sub(ENTRIES_CHECKED))?;
    let mut first = FirstFault::default();
    let _ = walk.run(sound, &mut first)?;
    Ok(!first.found)
}

#[derive(Default)]
struct FirstFault {
    found: bool,
}

impl Visitor for FirstFault {
    const PAYLOADS: bool = false;

    fn record(&mut self, _: &Committed<'_>) -> Result<Flow> {
        Ok(Flow::Continue(()))
    }

    fn dead_bytes(&mut self, _: u64, _: super::units::Position, _: u64) -> Result<Flow> {
        Ok(Flow::Continue(()))
    }

    fn damage(&mut self, _: Damage) -> Result<Flow> {
        self.found = true;
        Ok(Flow::Break(()))
    }
}
