//! Places of a store at which a dump can begin: those that valid entries name, and those that
//! earlier dumps passed.

use std::ops::ControlFlow;

use proglog::inspect::entries::{EntryItem, IndexDump};
use proglog::log::error::{Error, Result};
use proglog::log::format::FileKind;
use proglog::log::index::Index;
use proglog::log::segment::is_absent;
use proglog::log::units::Offset;
use proglog::log::window::LOOKUP_BYTES;

use super::places::Shown;
use super::rows::AROUND;

/// Entries from one place on that are searched for one that a dump can begin at.
const ENTRIES_SEARCHED: usize = 4096;

/// Places that are remembered of a store, and the items between them at first.
const PLACES_MAX: usize = 4096;
const PLACES_EVERY: u64 = 2048;

/// Places of a store at which a dump can begin, found by earlier dumps: for what no entry
/// names.
#[derive(Debug, Default)]
pub struct Places {
    /// The segment, and the size of its store.
    of: Option<(Offset, u64)>,
    found: Vec<(u64, Offset)>,
    every: u64,
    since: u64,
}

impl Places {
    /// Forgets those of another store.
    pub fn begin(&mut self, base: Offset, store_bytes: u64) {
        if self.of != Some((base, store_bytes)) {
            *self = Self {
                of: Some((base, store_bytes)),
                every: PLACES_EVERY,
                ..Self::default()
            };
        }
    }

    /// Takes an expected frame that a dump passes.
    pub fn pass(&mut self, position: u64, offset: Offset) {
        if self.found.last().is_some_and(|last| last.0 >= position) {
            return;
        }
        self.since += 1;
        if self.since < self.every {
            return;
        }
        self.since = 0;
        self.found.push((position, offset));
        if self.found.len() >= PLACES_MAX {
            let mut at = 0;
            self.found.retain(|_| {
                at += 1;
                at % 2 == 0
            });
            self.every *= 2;
        }
    }

    /// The last but one at or before a position: the rows before it are wanted too.
    pub fn before(&self, position: u64) -> Option<(u64, Offset)> {
        let end = self.found.partition_point(|place| place.0 <= position);
        self.found.get(end.checked_sub(2)?).copied()
    }
}

/// The entries of a segment as places where a dump of its store can begin.
pub struct Anchors {
    index: Index,
    dump: IndexDump,
    base: Offset,
}

impl Anchors {
    pub fn open(shown: Shown<'_>) -> Result<Option<Self>> {
        let path = shown.directory.file(shown.names, FileKind::Index);
        let index = match Index::open(&path, LOOKUP_BYTES) {
            Err(error) if is_absent(&error) => return Ok(None),
            index => index?,
        };
        let dump = IndexDump::open(shown.directory, shown.names, shown.codec)?;
        Ok(dump.map(|dump| Self {
            index,
            dump,
            base: shown.names.base,
        }))
    }

    /// The first slot whose entry names a later position, if the entries ascend.
    pub fn slot_after(&mut self, position: u64) -> Result<u64> {
        self.index.slot_after(position, self.dump.entries)
    }

    /// The first valid entry from `slot` on that names a position after `after`, if given.
    pub fn valid(&self, slot: u64, after: Option<u64>) -> Result<Option<(u64, Offset)>> {
        let mut found = None;
        let mut left = ENTRIES_SEARCHED;
        self.dump.each::<Error>(slot, |item| {
            left -= 1;
            if let EntryItem::Entry(view) = item
                && let (Some(_), None, Some(offset)) = (view.slot, &view.fault, view.offset)
                && after.is_none_or(|after| view.entry.position.0 > after)
            {
                found = Some((view.entry.position.0, offset));
            }
            Ok(if found.is_some() || left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok(found)
    }

    /// A place some frames before a position.
    pub fn before(&mut self, position: u64) -> Result<Option<(u64, Offset)>> {
        let mut slot = self.slot_after(position)?;
        for back in [
            AROUND as u64,
            ENTRIES_SEARCHED as u64,
            16 * ENTRIES_SEARCHED as u64,
        ] {
            slot = slot.saturating_sub(back);
            if let Some(place) = self.valid(slot, None)?.filter(|it| it.0 <= position) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// A place some frames before that of an offset that no valid entry names.
    pub fn before_offset(&self, offset: Offset) -> Result<Option<(u64, Offset)>> {
        let slot = offset.since(self.base).min(self.dump.entries);
        let place = self.valid(slot.saturating_sub(AROUND as u64), None)?;
        Ok(place.filter(|it| it.1 <= offset))
    }

    /// Where the frame of an offset is.
    pub fn of_offset(&self, offset: Offset) -> Result<Option<u64>> {
        let slot = offset.since(self.base);
        if slot >= self.dump.entries {
            return Ok(None);
        }
        let place = self.valid(slot, None)?;
        Ok(place.filter(|it| it.1 == offset).map(|it| it.0))
    }
}
