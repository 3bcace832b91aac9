//! Passes gathered frames to the kernel: a full buffer goes to the store thread, and the
//! rest of a commit is written when that thread has written everything else.

use std::sync::Arc;

use super::Writer;
use super::gather::Room;
use super::store_thread::{Piece, StoreThread};
use crate::log::disk::write_all_at;
use crate::log::error::{Error, Result};

impl Writer {
    /// Has the gathered frames handed to the kernel, and continues with another buffer.
    pub(super) fn flush_behind(&mut self) -> Result<()> {
        self.write_mark_first(false)?;
        if self.store_thread.is_none() {
            self.store_thread = StoreThread::start(&self.disk);
        }
        let Some(thread) = &mut self.store_thread else {
            return self.flush();
        };
        let active = &mut self.active;
        active.room = Room::default();
        let position = active.written;
        active.written = active.end();
        let piece = Piece {
            store: Arc::clone(&active.store),
            frames: std::mem::take(&mut active.frames),
            position,
            ahead: active.take_ahead(self.sync),
        };
        let path = active.store.path();
        active.frames = thread.hand_over(piece).map_err(Error::io("write", path))?;
        Ok(())
    }

    /// Hands the gathered frames to the kernel.
    pub(super) fn flush(&mut self) -> Result<()> {
        if let Some(thread) = &mut self.store_thread {
            let path = self.active.store.path();
            thread.wait().map_err(Error::io("write", path))?;
        }
        let frames = std::mem::take(&mut self.active.frames);
        let result = self.write_frames(&frames);
        self.active.frames = frames;
        result?;
        self.active.frames.clear();
        Ok(())
    }

    pub(super) fn write_frames(&mut self, bytes: &[u8]) -> Result<()> {
        self.active.room = Room::default();
        let store = &self.active.store;
        write_all_at(&*self.disk, store, bytes, self.active.written)
            .map_err(Error::io("write", store.path()))?;
        self.active.written += bytes.len() as u64;
        if let Some(stretch) = self.active.take_ahead(self.sync) {
            stretch.send(&self.active.store);
        }
        Ok(())
    }
}
