//! The thread that copies gathered frames to the store while the next ones are gathered.
//! It knows nothing of commits: a commit waits first until all is written.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::ahead::Stretch;
use super::gather::gather_buffer;
use crate::log::disk::{Disk, DiskFile, write_all_at};
use crate::log::threads;

/// Buffers of frames: one is gathered, one waits, one is written.
const BUFFERS: usize = 3;

/// Frames that are in the store once they are written.
#[derive(Debug)]
pub(super) struct Piece {
    pub store: Arc<DiskFile>,
    pub frames: Vec<u8>,
    /// Position in the store. Units: bytes.
    pub position: u64,
    /// The stretch to write back afterwards.
    pub ahead: Option<Stretch>,
}

impl Piece {
    /// Writes the frames, and returns their buffer.
    fn write(self, disk: &dyn Disk) -> io::Result<Vec<u8>> {
        write_all_at(disk, &self.store, &self.frames, self.position)?;
        if let Some(stretch) = self.ahead {
            stretch.send(&self.store);
        }
        let mut buffer = self.frames;
        buffer.clear();
        Ok(buffer)
    }
}

/// Writes pieces in the order in which they come.
pub(super) struct StoreThread {
    pieces: Option<SyncSender<Piece>>,
    written: Receiver<io::Result<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    /// Buffers that are neither gathered nor on their way.
    free: Vec<Vec<u8>>,
    /// Pieces that are not written yet. After a failed piece it never gets to 0 again, so
    /// that the written bytes are never assumed complete.
    pending: usize,
}

impl StoreThread {
    /// Starts the thread; `None` where the system has none to give.
    pub fn start(disk: &Arc<dyn Disk>) -> Option<Self> {
        let (pieces, waiting) = sync_channel::<Piece>(BUFFERS);
        let (ended, written) = sync_channel(BUFFERS);
        let disk = Arc::clone(disk);
        let write = move || {
            for piece in waiting {
                let result = piece.write(&*disk);
                // A piece after a failed one would be after a gap.
                let is_last = result.is_err();
                if ended.send(result).is_err() || is_last {
                    return;
                }
            }
        };
        let thread = threads::start(write).ok()?;
        Some(Self {
            pieces: Some(pieces),
            written,
            thread: Some(thread),
            // Memory that is not used yet costs nothing.
            free: (1..BUFFERS).map(|_| gather_buffer()).collect(),
            pending: 0,
        })
    }

    /// Queues a piece for writing, and returns an empty buffer for the next one.
    ///
    /// # Errors
    ///
    /// Those of the writes before.
    pub fn hand_over(&mut self, piece: Piece) -> io::Result<Vec<u8>> {
        let pieces = self.pieces.as_ref();
        let taken = pieces.is_some_and(|pieces| pieces.send(piece).is_ok());
        self.pending += 1;
        if !taken {
            // The thread has ended: a piece before this one says why.
            self.wait()?;
        }
        loop {
            if let Some(buffer) = self.free.pop() {
                return Ok(buffer);
            }
            self.take_back()?;
        }
    }

    /// Waits until everything that was handed over is written.
    ///
    /// # Errors
    ///
    /// Those of the writes.
    pub fn wait(&mut self) -> io::Result<()> {
        while self.pending > 0 {
            self.take_back()?;
        }
        Ok(())
    }

    fn take_back(&mut self) -> io::Result<()> {
        let gone = |_| io::Error::other("the thread that writes is gone");
        let buffer = self.written.recv().map_err(gone)??;
        self.pending -= 1;
        self.free.push(buffer);
        Ok(())
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            // The thread ends when it has no piece; a panic there prints its own message.
            let _ = thread.join();
        }
    }
}
