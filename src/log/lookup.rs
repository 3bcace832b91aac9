//! Looks up single records by offset, without a scan of any other segment.

use std::ops::ControlFlow;

use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::items::{Each, Item, Obstacle, walk_segment};
use super::opened::Opened;
use super::reader::{IndexSizes, LogReader, hidden, told_item};
use super::record::Codec;
use super::segment::hides_segment;
use super::units::Offset;
use super::walk::Flow;
use super::window::LOOKUP_BYTES;

/// Segments that are open at once.
const OPEN_MAX: usize = 64;

/// The segments of previous lookups.
#[derive(Default)]
pub struct OpenSegments {
    last: Option<(Offset, Opened)>,
    /// Those before it, the latest at the end.
    older: Vec<(Offset, Opened)>,
    /// A log has many older segments, and each lookup asks after those before its own.
    sizes: IndexSizes,
}

impl OpenSegments {
    /// The segment as it was when it was opened.
    fn segment(
        &mut self,
        directory: &Directory,
        names: &SegmentNames,
        codec: Codec,
    ) -> Result<&Opened> {
        let base = names.base;
        let found = match self.last.take() {
            Some(last) if last.0 == base => last,
            last => {
                self.older.extend(last);
                if self.older.len() >= OPEN_MAX {
                    self.older.remove(0);
                }
                match self.older.iter().position(|it| it.0 == base) {
                    Some(at) => self.older.remove(at),
                    None => (base, Opened::open(directory, names, codec)?),
                }
            }
        };
        Ok(&self.last.insert(found).1)
    }
}

impl LogReader {
    /// The one record at `offset`, without a scan of any other segment. Hands over
    /// nothing where no entry claims the offset.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn lookup<E: From<Error>>(
        &mut self,
        offset: Offset,
        each: impl FnMut(Item<'_>) -> std::result::Result<Flow, E>,
    ) -> std::result::Result<Flow, E> {
        self.lookup_in(&mut OpenSegments::default(), offset, each)
    }

    /// The same for many offsets, in any order: the segments stay open from one to the next,
    /// and are read as they were when they were opened.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn lookup_in<E: From<Error>>(
        &mut self,
        open: &mut OpenSegments,
        offset: Offset,
        mut each: impl FnMut(Item<'_>) -> std::result::Result<Flow, E>,
    ) -> std::result::Result<Flow, E> {
        let codec = self.codec()?;
        let Some(at) = self.directory().segment_of(offset) else {
            return Ok(ControlFlow::Continue(()));
        };
        // In a fork the older segment's record is the one that was there first.
        let newest = at;
        let at = self.earliest_reaching(newest, codec, offset, &mut open.sizes)?;
        for newer in (at + 1..=newest).rev() {
            if let Some(names) = self.directory().segments.get(newer)
                && self.reaches(names, codec, offset, &mut open.sizes)?
            {
                let fork = Item::Obstacle {
                    obstacle: Obstacle::Overlap { newer: names.base },
                    first: offset,
                    last: Some(offset),
                };
                if each(fork)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                break;
            }
        }
        if let Some(names) = self.directory().segments.get(at) {
            let slot = offset.since(names.base);
            let opened = match open.segment(self.directory(), names, codec) {
                Ok(opened) => opened,
                Err(error) if hides_segment(&error) => {
                    return each(hidden(
                        self.directory(),
                        names,
                        error,
                        (offset, Some(offset)),
                    ));
                }
                Err(error) => return Err(error.into()),
            };
            let mut told = opened.told.iter();
            let told = told.find(|it| (it.first..=it.last).contains(&slot));
            if slot < opened.entries
                && let Some(told) = told
                && each(told_item(names, told.is_contested, (offset, offset)))?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
            if slot >= opened.entries {
                return match opened.lost_in(offset, offset.saturating_add(1)) {
                    Some(lost) => each(lost),
                    None => Ok(ControlFlow::Continue(())),
                };
            }
            let walk = opened.walk(codec, slot, LOOKUP_BYTES)?;
            return walk_segment(&opened.segment, walk, (offset, offset), &mut Each(each));
        }
        Ok(ControlFlow::Continue(()))
    }
}
