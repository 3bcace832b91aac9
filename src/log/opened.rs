//! A segment for a reader: by its own index, or, if that hides records of the store, by
//! the index that the account of the segment gives.

use super::damage::Damage;
use super::directory::{Directory, SegmentNames};
use super::error::Result;
use super::format::ENTRY_BYTES;
use super::items::{Item, Obstacle};
use super::record::Codec;
use super::segment::{Segment, is_absent, is_closed};
use super::units::Offset;
use super::walk::Walk;
use crate::scan::account::{Account, Input};
use crate::scan::{image, layouts, reading};

/// A segment that is open for reading.
pub(super) struct Opened {
    /// The store, and the index that is read.
    pub segment: Segment,
    /// Number of real entries.
    pub entries: u64,
    /// Slots with an obstacle before their records, in ascending order.
    pub told: Vec<Told>,
    /// Slots after all of these, which the index that is there names: their records are lost.
    pub lost: Option<Damage>,
}

/// Slots whose records are not those that the index that is there names. Both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The first one.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// Whether two sides of a fork claim them; else their entries are not in the index.
    pub is_contested: bool,
}

/// The segment, unless another program wrote it.
pub(super) fn ours(segment: Segment) -> Result<Segment> {
    layouts::require_segment(segment.base, &segment.store, Some(&segment.index))?;
    Ok(segment)
}

impl Opened {
    /// Opens a segment.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`], and reading's.
    pub fn open(directory: &Directory, names: &SegmentNames, codec: Codec) -> Result<Self> {
        let segment = match Segment::open_fixed(directory, names, codec).and_then(ours) {
            Ok(segment) => segment,
            Err(error) if is_absent(&error) || is_closed(&error) => {
                return Self::without_index(directory, names, codec, error);
            }
            Err(error) => return Err(error),
        };
        let entries = segment.count_entries(Some(codec))?;
        if let Some(account) = reading::other_account(&segment, entries, codec)?
            && let Some(opened) = Self::by_account(&segment, true, &account)?
        {
            return Ok(opened);
        }
        Ok(Self {
            segment,
            entries,
            told: Vec::new(),
            lost: None,
        })
    }

    /// The slot after the last record, readable or lost.
    pub fn claimed(&self) -> u64 {
        let lost = self.lost.as_ref().map(|lost| lost.last_slot + 1);
        lost.unwrap_or(self.entries)
    }

    /// The lost records from `first` up to `end` (excluded).
    pub fn lost_in<'a>(&self, first: Offset, end: Offset) -> Option<Item<'a>> {
        let (base, damage) = (self.segment.base, self.lost.as_ref()?);
        let first = first.max(base.saturating_add(damage.first_slot));
        let last = Offset(end.0.checked_sub(1)?).min(base.saturating_add(damage.last_slot));
        (first <= last).then(|| Item::Obstacle {
            obstacle: Obstacle::Damage {
                segment: base,
                damage: damage.clone(),
            },
            first,
            last: Some(last),
        })
    }

    /// A walk that begins before `slot`.
    ///
    /// # Errors
    ///
    /// As [`Walk::seek`].
    pub fn walk(&self, codec: Codec, slot: u64, read_bytes: usize) -> Result<Walk> {
        let mut walk = self.segment.walk(codec, self.entries, read_bytes);
        // Of two sides of a fork one leads back in the store: which records are valid
        // after that, only a walk from the beginning tells.
        if !self.told.iter().any(|told| told.is_contested) {
            walk.seek(slot)?;
        }
        Ok(walk)
    }

    fn without_index(
        directory: &Directory,
        names: &SegmentNames,
        codec: Codec,
        error: super::error::Error,
    ) -> Result<Self> {
        let Ok(segment) = Segment::without_index(directory, names) else {
            return Err(error);
        };
        layouts::require_segment(segment.base, &segment.store, None)?;
        let account = Account::of(&Input {
            index: None,
            ..reading::input(&segment, codec, 0)
        })?;
        let Some(account) = account.filter(|account| account.end_slot > 0) else {
            return Err(error);
        };
        Self::by_account(&segment, false, &account)?.ok_or(error)
    }

    /// The segment by the index that its account gives; `None` if that is too large.
    fn by_account(segment: &Segment, has_index: bool, account: &Account) -> Result<Option<Self>> {
        let (base, path) = (segment.base, segment.index.path());
        let index = Some(&segment.index).filter(|_| has_index);
        let Some(index) = image::of_account(account, &segment.store, index, path)? else {
            return Ok(None);
        };
        let contested = account.contested.iter().map(|it| it.offset.since(base));
        let contested = contested.clone().min().zip(contested.max());
        let first = account.writes.first().map(|it| it.first_slot);
        let first = first.unwrap_or(account.end_slot);
        // The contested part lies between two stretches that are not in the index.
        let (from, to) =
            contested.map_or((account.end_slot, account.end_slot), |it| (it.0, it.1 + 1));
        let stretches = [
            (first, from.min(account.end_slot), false),
            (from, to, true),
            (first.max(to), account.end_slot, false),
        ];
        let told = stretches.into_iter().filter(|it| it.0 < it.1);
        let told = told.map(|(first, end, is_contested)| Told {
            first,
            last: end - 1,
            is_contested,
        });
        Ok(Some(Self {
            entries: index.file_bytes / ENTRY_BYTES,
            segment: Segment {
                index,
                entries: None,
                ..segment.clone()
            },
            told: told.collect(),
            lost: account.lost_from(account.slots).map(|slots| {
                let bytes = segment.store.file_bytes;
                Damage::dangling(*slots.start(), *slots.end(), bytes, None)
            }),
        }))
    }
}
