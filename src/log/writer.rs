//! Appending: frames first, made durable, then the entries that commit them. Nothing here
//! inspects damage; a log that does not end as a clean commit leaves it is refused with
//! `NeedsRecovery`.
//!
//! `commit` implements a commit. Gathered frames are copied to the store in a thread,
//! once they fill a buffer, and a full batch is committed in a thread; [`Writer::commit`]
//! waits for everything.

mod ahead;
mod flush;
mod gather;
mod mark;
mod store_thread;

use std::sync::Arc;

use self::gather::Room;
use self::gather::gather_buffer;
use self::store_thread::StoreThread;
use super::commit::{Batch, Committer, Done, Mark};
use super::config::Limits;
use super::create::{Tail, create_pair};
use super::dir::Dir;
use super::disk::{Disk, DiskFile, Ownership};
use super::durable;
use super::error::{Error, Result};
use super::format::{ENTRY_BYTES, Entry, NameStyle, encode_length};
use super::record::{self, Codec};
use super::units::{Offset, Position, RelativeOffset};

/// Frames gathered before they are handed to the kernel. Units: bytes.
const GATHER_BYTES: usize = 1024 * 1024;

/// Values from this size on are written from where they are. Units: bytes.
const LARGE_VALUE_BYTES: usize = 256 * 1024;

/// Frames of one commit. Units: bytes.
pub const COMMIT_STORE_BYTES: u64 = 64 * 1024 * 1024;

/// Entries of one commit. Units: bytes.
pub const COMMIT_INDEX_BYTES: usize = 4 * 1024 * 1024;

/// A record to append: a value, and in a protobuf log a Raft log's term and type.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRecord<'a> {
    /// The value.
    pub value: &'a [u8],
    /// The Raft term; 0 where it does not exist.
    pub term: u64,
    /// The Raft type; 0 where it does not exist.
    pub record_type: u32,
}

/// The end of a log, open for appending.
pub struct Writer {
    disk: Arc<dyn Disk>,
    directory: Dir,
    codec: Codec,
    limits: Limits,
    sync: bool,
    active: Active,
    /// Started by the first buffer that is full.
    store_thread: Option<StoreThread>,
    /// Started by the first batch that is full.
    committer: Option<Committer>,
    /// Whether a sync beside that of a batch failed: no more batches count.
    sync_failed: bool,
    /// Bytes and records committed by this writer, over all segments.
    committed: Committed,
}

/// The records that a writer has committed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Records since the writer was opened.
    pub records: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// The offset after the last one; `None` past 2^64 - 1.
    pub next_offset: Option<Offset>,
    /// The segment that the last one is in; `None` while it does not exist.
    pub last_segment: Option<Offset>,
}

/// The last segment and what of it is not committed yet.
struct Active {
    base: Offset,
    store: Arc<DiskFile>,
    index: Arc<DiskFile>,
    /// Frames up to here are committed. Units: bytes.
    committed_store: u64,
    /// Entries up to here are committed.
    committed_entries: u64,
    /// Frames up to here are committed or on their way to be. Units: bytes.
    batched_store: u64,
    /// Entries up to here are committed or on their way to be.
    batched_entries: u64,
    /// Frames up to here are with the kernel or the thread that hands them to it.
    written: u64,
    /// Frames after `written`.
    frames: Vec<u8>,
    /// Entries after the batched ones.
    entries: Vec<u8>,
    /// The mark of the batch that is being gathered.
    mark: Option<Mark>,
    /// Whether it must be durable before the rest of the batch is written, however small.
    mark_comes_first: bool,
    /// Whether the files and their names may not be durable yet: a predecessor that was
    /// killed may have left them in the page cache only.
    found: bool,
    /// Frames up to here are on their way to the disk. Units: bytes.
    ahead: u64,
    /// How much more is gathered before anything else must be done.
    room: Room,
}

impl Active {
    fn of(tail: Tail) -> Self {
        Self {
            base: tail.base,
            store: Arc::new(tail.store),
            index: Arc::new(tail.index),
            committed_store: tail.store_bytes,
            committed_entries: tail.entries,
            batched_store: tail.store_bytes,
            batched_entries: tail.entries,
            written: tail.store_bytes,
            frames: gather_buffer(),
            entries: Vec::new(),
            mark: None,
            mark_comes_first: false,
            found: tail.found,
            ahead: tail.store_bytes,
            room: Room::default(),
        }
    }

    fn entries_in_all(&self) -> u64 {
        self.batched_entries + self.entries.len() as u64 / ENTRY_BYTES
    }

    fn end(&self) -> u64 {
        self.written + self.frames.len() as u64
    }
}

impl Writer {
    /// Continues after `tail`, whose last commit was clean.
    #[must_use]
    pub fn new(
        disk: Arc<dyn Disk>,
        directory: &Dir,
        codec: Codec,
        limits: Limits,
        sync: bool,
        tail: Tail,
    ) -> Self {
        let next_offset = tail.base.checked_add(tail.entries);
        Self {
            disk,
            directory: directory.clone(),
            codec,
            limits,
            sync,
            active: Active::of(tail),
            store_thread: None,
            committer: None,
            sync_failed: false,
            committed: Committed {
                records: 0,
                bytes: 0,
                next_offset,
                last_segment: None,
            },
        }
    }

    /// The codec in which payloads are made.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The limits at which segments are full.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The records committed since the writer was opened.
    #[must_use]
    pub fn committed(&self) -> Committed {
        self.committed
    }

    /// The offset that the next record gets, committed or not.
    #[must_use]
    pub fn next_offset(&self) -> Option<Offset> {
        self.active.base.checked_add(self.active.entries_in_all())
    }

    /// The active segment's files, for leases and comparisons.
    #[must_use]
    pub fn active_files(&self) -> [&DiskFile; 2] {
        [&self.active.store, &self.active.index]
    }

    /// Whether records wait for a commit.
    #[must_use]
    pub fn has_uncommitted(&self) -> bool {
        self.active.committed_entries < self.active.entries_in_all()
    }

    /// Whether there are records that no commit was begun for.
    #[must_use]
    pub fn has_gathered(&self) -> bool {
        self.active.batched_entries < self.active.entries_in_all()
    }

    /// Appends one record, and commits when a batch or a segment is full: see
    /// [`Writer::committed`] for how far that has come, and begin the next segment
    /// with [`Writer::roll_if_full`] before anything else.
    ///
    /// # Errors
    ///
    /// [`Error::OffsetsExhausted`], [`Error::RawHoldsValuesOnly`], [`Error::InUse`],
    /// [`Error::Io`]. After an error nothing more is appended: see
    /// [`Writer::roll_back`].
    pub fn append(&mut self, record: NewRecord<'_>) -> Result<Offset> {
        // Found full, if it was written with larger limits.
        self.roll_if_full()?;
        // The offset after a record must be one too: readers name the end by it, and the
        // Go service wraps to 0 there.
        let offset = self.next_offset().filter(|offset| *offset < Offset::MAX);
        let Some(offset) = offset else {
            let last = Offset(Offset::MAX.0 - 1);
            return Err(Error::OffsetsExhausted { last });
        };
        let relative = RelativeOffset(
            u32::try_from(self.active.entries_in_all())
                .map_err(|_| Error::Config("an index numbers at most 2^32 records".to_owned()))?,
        );
        let position = Position(self.active.end());
        self.gather_frame(record, offset)?;
        let entry = Entry { relative, position };
        self.active.entries.extend_from_slice(&entry.encode());
        if self.active.frames.len() >= GATHER_BYTES {
            self.flush_behind()?;
            if let Some(done) = self.committer.as_mut().and_then(Committer::poll) {
                self.take_over(done)?;
            }
        }
        if self.is_full() {
            self.commit()?;
        } else if self.active.end() - self.active.batched_store >= COMMIT_STORE_BYTES
            || self.active.entries.len() >= COMMIT_INDEX_BYTES
        {
            self.commit_behind()?;
        }
        self.make_room();
        Ok(offset)
    }

    /// Whether the active segment takes no further record.
    fn is_full(&self) -> bool {
        self.limits
            .is_full(self.active.end(), self.active.entries_in_all())
    }

    /// Puts the record's frame after the others.
    fn gather_frame(&mut self, record: NewRecord<'_>, offset: Offset) -> Result<()> {
        let NewRecord {
            value,
            term,
            record_type,
        } = record;
        let payload_bytes = match self.codec {
            Codec::Raw if term != 0 || record_type != 0 => return Err(Error::RawHoldsValuesOnly),
            Codec::Raw => value.len() as u64,
            Codec::Protobuf => record::encoded_len(value.len() as u64, offset, term, record_type),
        };
        if self.sync && self.active.entries.is_empty() {
            self.begin_batch(payload_bytes)?;
        } else {
            let length = encode_length(payload_bytes);
            self.active.frames.extend_from_slice(&length);
        }
        let frames = &mut self.active.frames;
        if self.codec == Codec::Protobuf {
            record::encode_head(value.len() as u64, frames);
        }
        if value.len() < LARGE_VALUE_BYTES {
            frames.extend_from_slice(value);
        } else {
            self.write_mark_first(false)?;
            self.flush()?;
            self.write_frames(value)?;
        }
        if self.codec == Codec::Protobuf {
            record::encode_tail(offset, term, record_type, &mut self.active.frames);
        }
        Ok(())
    }

    /// Makes everything appended so far durable and committed.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if another process has written to the files, [`Error::Io`]. What
    /// a failed commit wrote does not count; a failed sync is final.
    pub fn commit(&mut self) -> Result<()> {
        self.wait_for_batch()?;
        if let Some(batch) = self.batch()? {
            let result = batch.commit(&*self.disk);
            self.take_over((batch, result))?;
        }
        Ok(())
    }

    /// Begins to commit everything appended so far, and continues gathering: see
    /// [`Writer::committed`] for when it is through.
    ///
    /// # Errors
    ///
    /// As [`Writer::commit`], also for the batch before.
    pub fn commit_behind(&mut self) -> Result<()> {
        self.wait_for_batch()?;
        let Some(batch) = self.batch()? else {
            return Ok(());
        };
        let disk = &self.disk;
        let committer = self.committer.get_or_insert_with(|| Committer::start(disk));
        match committer.hand_over(batch) {
            Ok(()) => Ok(()),
            Err(batch) => {
                let result = batch.commit(&*self.disk);
                self.take_over((batch, result))
            }
        }
    }

    /// Hands everything gathered to the kernel and makes a batch of it.
    fn batch(&mut self) -> Result<Option<Batch>> {
        if self.active.entries.is_empty() {
            return Ok(None);
        }
        self.write_mark_first(true)?;
        self.flush()?;
        self.nobody_else_wrote()?;
        let active = &mut self.active;
        let batch = Batch {
            store: Arc::clone(&active.store),
            index: Arc::clone(&active.index),
            entries: std::mem::take(&mut active.entries),
            index_position: active.batched_entries * ENTRY_BYTES,
            mark: active.mark.take(),
            found_in: active.found.then(|| self.directory.clone()),
            store_end: active.written,
            sync: self.sync,
        };
        active.batched_entries += batch.entries.len() as u64 / ENTRY_BYTES;
        active.batched_store = active.written;
        Ok(Some(batch))
    }

    /// Waits for the batch that is being written.
    fn wait_for_batch(&mut self) -> Result<()> {
        match self.committer.as_mut().and_then(Committer::wait) {
            Some(done) => self.take_over(done),
            None => Ok(()),
        }
    }

    /// Counts a batch that is through.
    fn take_over(&mut self, (batch, result): Done) -> Result<()> {
        result?;
        if self.sync_failed {
            // The kernel reports an error of the disk once: it may be the batch's.
            return Ok(());
        }
        let active = &mut self.active;
        active.found = false;
        let records = batch.entries.len() as u64 / ENTRY_BYTES;
        self.committed.records += records;
        self.committed.bytes += batch.store_end - active.committed_store;
        active.committed_entries += records;
        active.committed_store = batch.store_end;
        self.committed.next_offset = active.base.checked_add(active.committed_entries);
        self.committed.last_segment = Some(active.base);
        if active.entries.is_empty() {
            // Its room serves the next batch.
            active.entries = batch.entries;
            active.entries.clear();
        }
        Ok(())
    }

    /// Whether both files are as large as this writer left them. A difference is another
    /// writer, whose frames our entries must not name. No batch is being written.
    fn nobody_else_wrote(&self) -> Result<()> {
        let active = &self.active;
        let expected = [
            (&active.store, active.written),
            (&active.index, active.committed_entries * ENTRY_BYTES),
        ];
        for (file, bytes) in expected {
            let path = file.path();
            let metadata = file.file().metadata().map_err(Error::io("access", path))?;
            if metadata.len() != bytes {
                return Err(Error::InUse {
                    path: path.to_path_buf(),
                    processes: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// Closes the active segment if it is full, and begins the next; returns whether it
    /// did. An active segment is never left full.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn roll_if_full(&mut self) -> Result<bool> {
        let has_room = self.next_offset().is_some_and(|next| next < Offset::MAX);
        let roll = self.is_full() && !self.has_uncommitted() && has_room;
        if roll && let Some(base) = self.next_offset() {
            self.roll(base)?;
        }
        Ok(roll)
    }

    /// Commits everything, and continues at a larger offset in a new segment: there are no
    /// records between.
    ///
    /// # Errors
    ///
    /// As [`Writer::commit`].
    pub fn skip_to(&mut self, base: Offset) -> Result<()> {
        self.commit()?;
        self.roll(base)?;
        self.committed.next_offset = Some(base);
        Ok(())
    }

    /// Closes the active segment and begins the next. The segment is synced also with
    /// `--no-sync` and where it was found full, so that no later record can outlive an
    /// earlier one.
    fn roll(&mut self, base: Offset) -> Result<()> {
        if !self.sync || self.active.found {
            for file in [&self.active.store, &self.active.index] {
                durable::sync(&*self.disk, file)?;
            }
        }
        let like = |file: &DiskFile| Ownership::of(file.file()).ok();
        let ownership = [like(&self.active.store), like(&self.active.index)];
        let style = self.active.store.path().file_name().map(NameStyle::of);
        let name = (style.unwrap_or_default(), base);
        let tail = create_pair(&*self.disk, &self.directory, name, ownership)?;
        let frames = std::mem::take(&mut self.active.frames);
        self.active = Active {
            frames,
            ..Active::of(tail)
        };
        Ok(())
    }

    /// After an error: cuts both files back to the last commit, as far as that is
    /// possible. What stays is removed by recovery when the log is next opened.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if a file could not be cut.
    pub fn roll_back(&mut self) -> Result<()> {
        // A batch that is being written completes or fails; both are reported already.
        let _ = self.wait_for_batch();
        // So are the frames that are.
        self.store_thread = None;
        let active = &mut self.active;
        active.room = Room::default();
        active.frames.clear();
        active.entries.clear();
        active.mark = None;
        let cuts = [
            (&active.index, active.committed_entries * ENTRY_BYTES),
            (&active.store, active.committed_store),
        ];
        for (file, bytes) in cuts {
            durable::cut(&*self.disk, file, bytes)?;
        }
        active.written = active.committed_store;
        active.batched_store = active.committed_store;
        active.batched_entries = active.committed_entries;
        Ok(())
    }
}
