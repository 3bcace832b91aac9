//! A run: adjacent frames of one store, of records with consecutive offsets; and the frames
//! of runs, one after the other.

use std::path::Path;
use std::sync::Arc;

use crate::log::dir::FilePath;
use crate::log::error::{Error, Result};
use crate::log::format::{LENGTH_BYTES, frame_end};
use crate::log::units::{Offset, Position};
use crate::log::window::{ReadFile, STREAM_BYTES, Window};

/// The store of a segment.
#[derive(Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// Its directory.
    pub path: FilePath,
    /// The base of the segment that it belongs to.
    pub segment: Offset,
}

/// Adjacent frames of one store, of records with consecutive offsets. A damaged log may
/// have very many of these, so common fields are not in each. Units: positions are bytes
/// of the store; `next` and `end` are excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The store.
    pub store: Arc<StoreFile>,
    /// The offset of the first record.
    pub first: u64,
    /// The offset after the last record.
    pub next: u64,
    /// Position of the first frame.
    pub position: u64,
    /// End of the last frame.
    pub end: u64,
}

impl Run {
    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.next.saturating_sub(self.first)
    }

    /// The records of it from offset `from` up to `to` (excluded), if there are any.
    /// `cursor` is kept from one clip to the next: each continues where the last one
    /// ended.
    ///
    /// # Errors
    ///
    /// Reading's; [`Error::CannotAppend`] if the frames are not there any more.
    pub fn clip(&self, from: u64, to: u64, cursor: &mut Cursor) -> Result<Option<Self>> {
        let (first, next) = (self.first.max(from), self.next.min(to));
        if first >= next {
            return Ok(None);
        }
        let mut clipped = self.clone();
        if first != self.first {
            clipped.position = cursor.at(self, first)?.position;
        }
        if next != self.next {
            clipped.end = cursor.at(self, next)?.position;
        }
        (clipped.first, clipped.next) = (first, next);
        Ok(Some(clipped))
    }
}

/// A place in one run after the other. A store stays open, and its buffered bytes stay
/// valid, as long as the runs belong to it: many small ones cost no more than a large
/// one, and offsets requested in order are found in one pass.
#[derive(Debug, Default)]
pub struct Cursor {
    at: Option<(Run, Frames)>,
}

impl Cursor {
    /// The frames of `run` from the one of `offset` on.
    ///
    /// # Errors
    ///
    /// As [`Frames::next_frame`], and as [`ReadFile::open`].
    pub fn at(&mut self, run: &Run, offset: u64) -> Result<&mut Frames> {
        self.at_in(run, offset, || ReadFile::open(&run.store.path))
    }

    /// The same, where `open` opens the run's store.
    ///
    /// # Errors
    ///
    /// As [`Cursor::at`].
    pub fn at_in(
        &mut self,
        run: &Run,
        offset: u64,
        open: impl FnOnce() -> Result<ReadFile>,
    ) -> Result<&mut Frames> {
        let frames = match self.at.take() {
            Some((of, frames)) if of == *run && frames.offset <= offset => frames,
            Some((of, frames)) if of.store == run.store => frames.turned_to(run),
            _ => Frames::new(open()?, run),
        };
        let (_, frames) = self.at.insert((run.clone(), frames));
        frames.skip_to(offset)?;
        Ok(frames)
    }
}

/// The frames of a run, one after the other.
#[derive(Debug)]
pub struct Frames {
    window: Window,
    /// The offset of the next frame, and where it begins.
    offset: u64,
    position: u64,
    end: u64,
}

impl Frames {
    /// The frames of `run`, from the first on; `store` is its store.
    #[must_use]
    pub fn new(store: ReadFile, run: &Run) -> Self {
        Self {
            window: Window::new(store, STREAM_BYTES),
            offset: run.first,
            position: run.position,
            end: run.end,
        }
    }

    /// The frames of another run of the same store.
    fn turned_to(mut self, run: &Run) -> Self {
        (self.offset, self.position, self.end) = (run.first, run.position, run.end);
        self
    }

    /// The store.
    pub fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Passes the frames below `offset`; returns the position of its frame, which is the
    /// end of the one before.
    ///
    /// # Errors
    ///
    /// As [`Frames::next_frame`].
    pub fn skip_to(&mut self, offset: u64) -> Result<u64> {
        while self.offset < offset {
            self.next_frame()?;
        }
        Ok(self.position)
    }

    /// Position and end of the next frame.
    ///
    /// # Errors
    ///
    /// Reading's; [`Error::CannotAppend`] if no intact frame is there any more.
    pub fn next_frame(&mut self) -> Result<(u64, u64)> {
        let begin = self.position;
        let limit = self.end.min(self.window.file_bytes());
        let gone = |path: &Path| Error::CannotAppend {
            path: path.to_path_buf(),
            why: format!("no intact frame is at byte {begin} any more; run the command again"),
        };
        if begin.saturating_add(LENGTH_BYTES) > limit {
            return Err(gone(self.window.source().path()));
        }
        let payload_bytes = self.window.length_at(begin)?;
        let Some(end) = frame_end(Position(begin), payload_bytes, limit) else {
            return Err(gone(self.window.source().path()));
        };
        self.position = end.0;
        self.offset += 1;
        Ok((begin, end.0))
    }
}
