//! The commit protocol, the same for both codecs. The first length of a batch is marked
//! when the batch is written. Commit: sync the store, set the true length, which is one
//! byte, sync the store, write the entries, sync the index. So a frame without a mark in
//! front of it is intact, and an entry names intact frames only. A large append commits one
//! batch beside the writer, which gathers the next one while the disk syncs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use super::dir::Dir;
use super::disk::{Disk, DiskFile, write_all_at};
use super::durable::{sync, sync_dir};
use super::error::{Error, Result};
use super::format::LENGTH_MARK;
use super::threads;

/// The mark of a batch that is not durable yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Position in the store: the first byte of the batch.
    pub position: u64,
    /// The byte that replaces it.
    pub first_byte: u8,
}

impl Mark {
    /// Writes the mark alone and makes it durable.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn write_first(disk: &dyn Disk, store: &DiskFile, position: u64) -> Result<()> {
        write_all_at(disk, store, &[LENGTH_MARK], position)
            .map_err(Error::io("write", store.path()))?;
        sync(disk, store)
    }
}

/// Records whose frames are in the store and whose entries are not in the index yet.
/// Positions are bytes.
#[derive(Debug)]
pub(super) struct Batch {
    pub store: Arc<DiskFile>,
    pub index: Arc<DiskFile>,
    /// The entries, as they will be in the index.
    pub entries: Vec<u8>,
    /// Their future position.
    pub index_position: u64,
    /// The mark; `None` without syncs.
    pub mark: Option<Mark>,
    /// The directory, if its names and the index as it was found may not be durable yet.
    pub found_in: Option<Dir>,
    /// End of the last frame.
    pub store_end: u64,
    /// Whether the syncs are carried out.
    pub sync: bool,
}

impl Batch {
    /// Commits the batch.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]. Nothing of it counts then, and a failed sync is final.
    pub fn commit(&self, disk: &dyn Disk) -> Result<()> {
        let write = |file: &DiskFile, bytes: &[u8], position| {
            write_all_at(disk, file, bytes, position).map_err(Error::io("write", file.path()))
        };
        if self.sync {
            self.sync_frames(disk)?;
        }
        if let Some(Mark {
            position,
            first_byte,
        }) = self.mark
        {
            write(&self.store, &[first_byte], position)?;
            sync(disk, &self.store)?;
        }
        write(&self.index, &self.entries, self.index_position)?;
        if self.sync {
            sync(disk, &self.index)?;
        }
        Ok(())
    }

    /// Makes the frames durable, and at the same time what was found: the names of the
    /// files, and entries after which new ones must not become durable first.
    fn sync_frames(&self, disk: &dyn Disk) -> Result<()> {
        let Some(directory) = &self.found_in else {
            return sync(disk, &self.store);
        };
        let sync_found = || {
            sync_dir(disk, directory)?;
            sync(disk, &self.index)
        };
        let (frames, found) = threads::beside(|| sync(disk, &self.store), sync_found);
        found.and(frames)
    }
}

/// A batch that has been through, and how that went.
pub(super) type Done = (Batch, Result<()>);

/// Commits one batch at a time beside the writer.
pub(super) struct Committer {
    batches: Option<SyncSender<Batch>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
    pending: bool,
}

impl Committer {
    /// Starts the thread that waits for batches. Where it does not exist, all are given
    /// back.
    pub fn start(disk: &Arc<dyn Disk>) -> Self {
        let (batches, waiting) = sync_channel::<Batch>(1);
        let (ended, done) = sync_channel(1);
        let disk = Arc::clone(disk);
        let thread = threads::start(move || {
            for batch in waiting {
                let result = batch.commit(&*disk);
                if ended.send((batch, result)).is_err() {
                    return;
                }
            }
        })
        .ok();
        Self {
            batches: thread.is_some().then_some(batches),
            done,
            thread,
            pending: false,
        }
    }

    /// Hands a batch over; the one before must have been undone. Gives it back if the
    /// thread is gone.
    pub fn hand_over(&mut self, batch: Batch) -> std::result::Result<(), Batch> {
        match &self.batches {
            Some(batches) => batches.send(batch).map_err(|error| error.0)?,
            None => return Err(batch),
        }
        self.pending = true;
        Ok(())
    }

    /// The batch that is through, if one is.
    pub fn poll(&mut self) -> Option<Done> {
        if !self.pending {
            return None;
        }
        match self.done.try_recv() {
            Ok(done) => {
                self.pending = false;
                Some(done)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// Waits for the batch that is being written, if any.
    pub fn wait(&mut self) -> Option<Done> {
        if !self.pending {
            return None;
        }
        self.pending = false;
        self.done.recv().ok()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // The thread ends when it has no batch; a panic there prints its own message.
            let _ = thread.join();
        }
    }
}
