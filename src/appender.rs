//! Appending as a library offers it: [`Appender`].

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::log::directory::Directory;
use crate::log::disk::{Disk, RealDisk};
use crate::log::error::{Error, Result};
use crate::log::lock::Wait;
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::log::writer::NewRecord;
use crate::mend::session::{OpenOptions, Session};

/// A log that is open for appending, under its lock.
///
/// Records are in the log, and on disk, when [`commit`](Self::commit) has returned. A record
/// that was not committed when the appender is dropped is not in the log. While the appender
/// exists, no other proglog changes the log; a writer that takes no lock ends it with
/// [`Error::InUse`](Error::InUse).
///
/// # Examples
///
/// ```
/// use proglog::{Appender, Codec};
///
/// # let parent = tempfile::tempdir()?;
/// # let dir = parent.path().join("log");
/// let mut log = Appender::options().codec(Codec::Protobuf).open(&dir)?;
/// let offsets = log.append_all(["a", "b"])?;
/// log.commit()?;
/// assert_eq!(offsets.end, log.next_offset().unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Appender {
    session: Session,
}

impl Appender {
    /// Opens a log, or creates it if the directory is empty or does not exist: see
    /// [`AppenderOptions::open`].
    ///
    /// # Errors
    ///
    /// As [`AppenderOptions::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(dir)
    }

    /// How a log is opened, with the defaults.
    #[must_use]
    pub fn options() -> AppenderOptions {
        AppenderOptions::default()
    }

    /// Appends one record. It is durable after the next [`commit`](Self::commit).
    ///
    /// # Errors
    ///
    /// [`Error::Moved`](Error::Moved) if the directory was replaced,
    /// [`Error::InUse`](Error::InUse) if another writer came,
    /// [`Error::OffsetsExhausted`](Error::OffsetsExhausted),
    /// [`Error::Io`](Error::Io).
    pub fn append(&mut self, value: impl AsRef<[u8]>) -> Result<Offset> {
        self.session.append(NewRecord {
            value: value.as_ref(),
            ..NewRecord::default()
        })
    }

    /// Appends one record with the term and the type of a Raft log entry.
    ///
    /// # Errors
    ///
    /// As [`Appender::append`];
    /// [`Error::RawHoldsValuesOnly`](Error::RawHoldsValuesOnly) in a raw log.
    pub fn append_raft(
        &mut self,
        value: impl AsRef<[u8]>,
        term: u64,
        record_type: u32,
    ) -> Result<Offset> {
        self.session.append(NewRecord {
            value: value.as_ref(),
            term,
            record_type,
        })
    }

    /// Appends records and returns their offsets, which are consecutive.
    ///
    /// # Errors
    ///
    /// As [`Appender::append`]; the records before the failed one are appended.
    pub fn append_all<V: AsRef<[u8]>>(
        &mut self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Range<Offset>> {
        let mut offsets: Option<Range<Offset>> = None;
        for value in values {
            let offset = self.append(value)?;
            let first = offsets.map_or(offset, |offsets| offsets.start);
            offsets = Some(first..offset.saturating_add(1));
        }
        let next = || self.next_offset().unwrap_or(Offset::MAX);
        Ok(offsets.unwrap_or_else(|| next()..next()))
    }

    /// Makes everything appended so far durable: it survives a power cut.
    ///
    /// # Errors
    ///
    /// As [`Appender::append`]. What a failed commit wrote does not count.
    pub fn commit(&mut self) -> Result<()> {
        self.session.commit()
    }

    /// The offset of the next record, committed or not; `None` after the largest one.
    #[must_use]
    pub fn next_offset(&self) -> Option<Offset> {
        self.session.writer().next_offset()
    }

    /// The codec of the log.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.session.writer().codec()
    }
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender")
            .field("codec", &self.codec())
            .field("next_offset", &self.next_offset())
            .finish_non_exhaustive()
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        if self.session.writer().has_uncommitted() {
            // The next opening removes what could not be removed here.
            let _ = self.session.roll_back();
        }
    }
}

/// How a log is opened for appending. What is not set is taken from the log, or, in a new
/// one, from the defaults of the Go service.
#[derive(Debug, Clone, Default)]
pub struct AppenderOptions {
    options: OpenOptions,
}

impl AppenderOptions {
    /// The encoding of records. In a log that has records, theirs; raw in a new log.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.options.config.codec = Some(codec);
        self
    }

    /// The size of a store at which its segment is full: the record that reaches it is the
    /// last. Units: bytes.
    #[must_use]
    pub fn max_store_bytes(mut self, bytes: u64) -> Self {
        self.options.config.max_store_bytes = Some(bytes);
        self
    }

    /// The size that an index never exceeds. Units: bytes.
    #[must_use]
    pub fn max_index_bytes(mut self, bytes: u64) -> Self {
        self.options.config.max_index_bytes = Some(bytes);
        self
    }

    /// The offset of the first record of a new log.
    #[must_use]
    pub fn initial_offset(mut self, offset: Offset) -> Self {
        self.options.config.initial_offset = Some(offset);
        self
    }

    /// Whether a commit waits for the disk (by default it does). Without, records survive
    /// the end of the process, but not a power cut.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.options.config.no_sync = !sync;
        self
    }

    /// How long to wait for other processes that write the log; by default not at all.
    #[must_use]
    pub fn wait(mut self, duration: Duration) -> Self {
        self.options.wait = Wait::AtMost(duration);
        self.options.wait_for_others = Wait::AtMost(duration);
        self
    }

    /// Whether the end that a crash left is recovered (by default it is). The removed
    /// bytes are saved in a directory beside the log.
    #[must_use]
    pub fn recover(mut self, recover: bool) -> Self {
        self.options.no_recover = !recover;
        self
    }

    /// Continues where the system cannot say whether another process writes the log. The
    /// caller asserts that none does.
    #[must_use]
    pub fn assume_unused(mut self, assume: bool) -> Self {
        self.options.assume_unused = assume;
        self
    }

    /// Opens a log, or creates it if the directory is empty or does not exist. An end that a
    /// crash left is recovered first.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`](Error::InUse), [`Error::UseUnknown`](Error::UseUnknown),
    /// [`Error::NeedsRecovery`](Error::NeedsRecovery) if recovery is off,
    /// [`Error::CannotAppend`](Error::CannotAppend) if the log is damaged otherwise,
    /// [`Error::ForeignLayout`](Error::ForeignLayout),
    /// [`Error::CodecContradicts`](Error::CodecContradicts),
    /// [`Error::NotEmpty`](Error::NotEmpty) for a directory of other files,
    /// [`Error::Config`](Error::Config) for a limit that is too small,
    /// [`Error::Io`](Error::Io).
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Appender> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let dir = dir.as_ref();
        if let Err(Error::NoDirectory { .. }) = Directory::list(dir) {
            self.options.create_directory(dir, &*disk)?;
        }
        let session = Session::open(dir, &self.options, &disk, &|| false)?;
        Ok(Appender { session })
    }
}
