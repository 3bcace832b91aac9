//! The commit: frames made durable, then the entries that commit them written, then
//! those made durable; in this order and nowhere else. A large append commits one
//! batch beside the writer, which gathers the next one while the disk syncs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use super::disk::{Disk, DiskFile, write_all_at};
use super::error::{Error, Result};

/// Records whose frames stand in the store and whose entries do not stand in the index
/// yet. Positions are bytes.
#[derive(Debug)]
pub(super) struct Batch {
    pub store: Arc<DiskFile>,
    pub index: Arc<DiskFile>,
    /// The entries, as they will stand in the index.
    pub entries: Vec<u8>,
    /// Where they will stand.
    pub index_position: u64,
    /// The length of the first frame, which is zero until the rest is durable, and
    /// where that frame begins: in a protobuf log, so that recovery never takes a
    /// torn batch for records.
    pub first_length: Option<([u8; 8], u64)>,
    /// Where the last frame ends.
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
        let sync = |file: &DiskFile| {
            if self.sync {
                disk.sync_data(file)
                    .map_err(Error::io("sync", file.path()))?;
            }
            Ok(())
        };
        let write = |file: &DiskFile, bytes: &[u8], position| {
            write_all_at(disk, file, bytes, position).map_err(Error::io("write", file.path()))
        };
        sync(&self.store)?;
        if let Some((length, position)) = self.first_length {
            write(&self.store, &length, position)?;
            sync(&self.store)?;
        }
        write(&self.index, &self.entries, self.index_position)?;
        sync(&self.index)
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
    /// Starts the thread that waits for batches.
    pub fn start(disk: &Arc<dyn Disk>) -> Self {
        let (batches, waiting) = sync_channel::<Batch>(1);
        let (ended, done) = sync_channel(1);
        let disk = Arc::clone(disk);
        let thread = std::thread::spawn(move || {
            for batch in waiting {
                let result = batch.commit(&*disk);
                if ended.send((batch, result)).is_err() {
                    return;
                }
            }
        });
        Self {
            batches: Some(batches),
            done,
            thread: Some(thread),
            pending: false,
        }
    }

    /// Hands a batch over; the one before must have been taken back. Gives it back
    /// if the thread is gone.
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

    /// Waits for the batch that is on its way, if one is.
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
            // It ends once it has no batch; a panic there is told by its own message.
            let _ = thread.join();
        }
    }
}
