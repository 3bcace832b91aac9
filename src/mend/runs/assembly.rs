//! A segment assembled from runs of frames, wherever they are: the bytes of its store and
//! its index. Produces them piece by piece; `apply` and `salvage` write them.

use std::ops::Range;

use super::run::{Cursor, Run};
use crate::log::error::{Error, Result};
use crate::log::format::{ENTRY_BYTES, Entry, FileKind};
use crate::log::units::{Offset, Position, RelativeOffset};
use crate::log::window::{ReadFile, STREAM_BYTES, Window};
use crate::mend::copying;
use crate::mend::gather::Gather;

/// The source of a run of an assembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The store of the segment itself, as it is.
    Here,
    /// Another file.
    Elsewhere,
}

/// A run and its place in the segment that is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The frames.
    pub run: Run,
    /// The owner of the frames.
    pub source: Source,
    /// Position of the first of them in the new store. Bytes.
    pub at: u64,
}

impl Part {
    /// End of the last of its frames in the new store. Bytes.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.at + (self.run.end - self.run.position)
    }
}

/// A segment put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    /// Its base offset.
    pub base: Offset,
    /// Its parts, in the order of their offsets. Bytes of omitted offsets stay unchanged.
    pub parts: Vec<Part>,
    /// Whether nothing is to stay after them.
    pub closed: bool,
}

impl Assembly {
    /// The size of its store. Bytes.
    #[must_use]
    pub fn store_bytes(&self) -> u64 {
        self.parts.last().map_or(0, Part::end)
    }

    /// Number of entries in its index.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let last = self.parts.last();
        last.map_or(0, |last| Offset(last.run.next).since(self.base))
    }

    /// The size of one of its files. Bytes.
    #[must_use]
    pub fn bytes(&self, kind: FileKind) -> u64 {
        match kind {
            FileKind::Store => self.store_bytes(),
            FileKind::Index => self.entries() * ENTRY_BYTES,
        }
    }

    /// Hands over `bytes` bytes of one of its files from `position` on, in pieces.
    /// `here` is the segment's own store, where it is open already. No part may be
    /// missing there.
    ///
    /// # Errors
    ///
    /// `put`'s and reading's; [`Error::CannotAppend`] if frames are not where they
    /// were when this was planned.
    pub fn stream(
        &self,
        kind: FileKind,
        position: u64,
        bytes: u64,
        here: Option<&ReadFile>,
        put: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        match kind {
            FileKind::Store => self.store(position, position + bytes, here, put),
            FileKind::Index => {
                let first = position / ENTRY_BYTES;
                let next = first + bytes / ENTRY_BYTES;
                let mut gather = Gather::to(put);
                self.each_entry(first, next, here, |entry| gather.add(&entry.encode()))?;
                gather.finish()
            }
        }
    }

    fn open(part: &Part, here: Option<&ReadFile>) -> Result<ReadFile> {
        match (part.source, here) {
            (Source::Here, Some(here)) => Ok(here.clone()),
            _ => ReadFile::open(&part.run.store.path),
        }
    }

    fn store(
        &self,
        from: u64,
        to: u64,
        here: Option<&ReadFile>,
        put: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut cursor = Cursor::default();
        let mut gather = Gather::to(put);
        for part in self.parts_between(from, to) {
            let (mut at, end) = (part.at.max(from), part.end().min(to));
            let open = || Self::open(part, here);
            let window = cursor.at_in(&part.run, part.run.first, open)?.window();
            while at < end {
                let count = (end - at).min(STREAM_BYTES as u64);
                let size = usize::try_from(count).unwrap_or(STREAM_BYTES);
                let piece = copying::bytes(window, part.run.position + (at - part.at), size)?;
                at += count;
                gather.add(piece)?;
            }
        }
        gather.finish()
    }

    /// The parts that have bytes between two places of the new store.
    fn parts_between(&self, from: u64, to: u64) -> impl Iterator<Item = &Part> {
        let first = self.parts.partition_point(|part| part.end() <= from);
        let parts = self.parts.get(first..).unwrap_or_default().iter();
        parts.take_while(move |part| part.at < to)
    }

    /// Hands over each frame that begins between two places of the new store: where it
    /// begins and ends there, where it begins in the store that it is from, and that.
    ///
    /// # Errors
    ///
    /// As [`Assembly::stream`].
    pub fn each_frame(
        &self,
        from: u64,
        to: u64,
        here: Option<&ReadFile>,
        mut each: impl FnMut(Range<u64>, u64, &mut Window) -> Result<()>,
    ) -> Result<()> {
        let mut cursor = Cursor::default();
        for part in self.parts_between(from, to) {
            let open = || Self::open(part, here);
            let frames = cursor.at_in(&part.run, part.run.first, open)?;
            for _ in 0..part.run.records() {
                let (begin, end) = frames.next_frame()?;
                let moved = |at: u64| part.at + (at - part.run.position);
                if (from..to).contains(&moved(begin)) {
                    each(moved(begin)..moved(end), begin, frames.window())?;
                }
            }
        }
        Ok(())
    }

    /// Makes the entries from slot `first` up to `next` (excluded), but for those that
    /// no part has.
    ///
    /// # Errors
    ///
    /// As [`Assembly::stream`].
    pub fn each_entry(
        &self,
        first: u64,
        next: u64,
        here: Option<&ReadFile>,
        mut each: impl FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        let slot_of = |part: &Part| Offset(part.run.first).since(self.base);
        let before = |part: &Part| slot_of(part).saturating_add(part.run.records()) <= first;
        let skipped = self.parts.partition_point(before);
        let mut cursor = Cursor::default();
        for part in self.parts.get(skipped..).unwrap_or_default() {
            let slot = slot_of(part);
            let (from, to) = (slot.max(first), (slot + part.run.records()).min(next));
            if from >= to {
                break;
            }
            let open = || Self::open(part, here);
            let frames = cursor.at_in(&part.run, part.run.first + (from - slot), open)?;
            for slot in from..to {
                let (begin, _) = frames.next_frame()?;
                let relative = u32::try_from(slot)
                    .map_err(|_| Error::Config("an index numbers at most 2^32 records".into()))?;
                each(Entry {
                    relative: RelativeOffset(relative),
                    position: Position(part.at + (begin - part.run.position)),
                })?;
            }
        }
        Ok(())
    }
}
