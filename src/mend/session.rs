//! A log that is open for appending, with exclusive access: the lock against other
//! proglogs, the leases against other programs, and, on opening, the recovery after a
//! crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::log::config::Config;
use crate::log::create::create_directories;
use crate::log::dir::{Dir, nearest};
use crate::log::directory::Directory;
use crate::log::disk::Disk;
use crate::log::error::{Error, Result};
use crate::log::lease::{Grant, Pending, WriteLease};
use crate::log::lock::{DirectoryLock, Wait};
use crate::log::open::{self, ShownLimits};
use crate::log::processes;
use crate::log::units::Offset;
use crate::log::writer::{Committed, NewRecord, Writer};
use crate::scan::layouts;

use super::apply::{ApplyOptions, Save};
use super::exclusive::Others;
use super::leases::Leases;
use super::recover::{self, Recovered};

/// How a log is opened for appending.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Limits, codec, first offset.
    pub config: Config,
    /// How long another proglog is waited for.
    pub wait: Wait,
    /// How long any other program is waited for.
    pub wait_for_others: Wait,
    /// Whether a tail that a crash left is refused instead of recovered.
    pub no_recover: bool,
    /// The place for the bytes that recovery removes; beside the log if `None`, or, if
    /// that is not possible, in a directory of the user.
    pub save_to: Option<PathBuf>,
    /// Whether they are not saved at all.
    pub no_save: bool,
    /// Whether to continue where it cannot be known if another process writes.
    pub assume_unused: bool,
}

impl Default for OpenOptions {
    /// The log's own limits and codec; no waiting for other processes; recovery, with
    /// removed bytes saved beside the log.
    fn default() -> Self {
        let no_wait = Wait::AtMost(Duration::ZERO);
        Self {
            config: Config::default(),
            wait: no_wait,
            wait_for_others: no_wait,
            no_recover: false,
            save_to: None,
            no_save: false,
            assume_unused: false,
        }
    }
}

impl OpenOptions {
    /// Creates the directory of a new log and its missing parents, as far as they are missing.
    /// Nothing is created for a log that would be refused.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], [`Error::UseUnknown`], [`Error::Io`].
    pub fn create_directory(&self, path: &Path, disk: &dyn Disk) -> Result<Dir> {
        self.config.check()?;
        let above = nearest(path).map_err(Error::io("access", path))?;
        self.others(&|| false).check_new(&above)?;
        create_directories(disk, path, 0o777)
    }

    fn others<'a>(&self, interrupted: &'a dyn Fn() -> bool) -> Others<'a> {
        Others {
            wait: self.wait_for_others,
            assume_unused: self.assume_unused,
            interrupted,
        }
    }
}

/// Interval at which /proc is checked for writers if there are no leases. A check takes
/// milliseconds.
const LOOKS: Duration = Duration::from_millis(250);

/// The outcome of the lease requests for both files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    /// Another process has them open.
    Refused,
    /// The kernel cannot say.
    Unknown,
}

/// A log that is open for appending, and locked.
pub struct Session {
    writer: Writer,
    recovered: Option<Recovered>,
    shown: ShownLimits,
    leases: Leases,
    /// When /proc was last checked for writers.
    looked: Instant,
    /// Records committed when the leases were last asked after.
    checked_records: u64,
    /// Whether a writer was let in.
    let_in: bool,
    lock: DirectoryLock,
}

impl Session {
    /// Takes the log's lock and opens it; makes a new log in an empty directory.
    /// `interrupted` is asked while waiting.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::UseUnknown`], [`Error::ForeignLayout`], and as
    /// [`open::open`]; with
    /// `no_recover` [`Error::NeedsRecovery`] for a log that a crash left.
    pub fn open(
        path: &Path,
        options: &OpenOptions,
        disk: &Arc<dyn Disk>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Self> {
        options.config.check()?;
        let lock = DirectoryLock::take(path, options.wait, interrupted)?;
        Self::open_locked(lock, options, disk, interrupted)
    }

    /// The same under a lock that is held already.
    ///
    /// # Errors
    ///
    /// As [`Session::open`].
    pub fn open_locked(
        lock: DirectoryLock,
        options: &OpenOptions,
        disk: &Arc<dyn Disk>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Self> {
        lock.check_path()?;
        let others = || options.others(interrupted);
        let directory = Directory::list_in(lock.dir())?;
        let mut config = options.config;
        let shown = open::shown_limits(&directory)?;
        if directory.segments.is_empty() {
            others().check_new(lock.dir())?;
        } else {
            others().wait_for_writers(&directory)?;
            layouts::require_ours(&directory)?;
            // Recovery cuts the padding that shows the service's limit.
            let limits = open::limits(shown, &config);
            config.max_store_bytes = Some(limits.max_store_bytes);
            config.max_index_bytes = Some(limits.max_index_bytes);
        }
        let mut recovered = None;
        let writer = match open::open(&lock, &config, disk) {
            Err(Error::NeedsRecovery { .. }) if !options.no_recover => {
                open::check_earlier_segments(&directory)?;
                let codec = open::settle_codec(&directory, &config)?;
                let apply = ApplyOptions {
                    disk,
                    save: match (&options.save_to, options.no_save) {
                        (_, true) => Save::Nowhere,
                        (Some(parent), false) => Save::To(parent.clone()),
                        (None, false) => Save::Beside,
                    },
                    others: others(),
                    command: "append",
                };
                recovered = Some(recover::recover(&lock, Some(codec), apply)?);
                // The remaining records may not show it any more.
                config.codec = Some(codec);
                open::open(&lock, &config, disk)?
            }
            other => other?,
        };
        let mut session = Self {
            writer,
            recovered,
            shown,
            leases: Leases::default(),
            looked: Instant::now(),
            checked_records: 0,
            let_in: false,
            lock,
        };
        if session.take_leases() == Taken::Refused {
            // A reader, or a writer since the last check: our own descriptors prevent a
            // clear answer.
            config.codec = Some(session.writer.codec());
            let lock = session.lock;
            drop((session.writer, session.leases));
            others().wait_for_writers(&Directory::list_in(lock.dir())?)?;
            session.writer = open::open(&lock, &config, disk)?;
            session.lock = lock;
            session.leases = Leases::default();
            session.take_leases();
        }
        Ok(session)
    }

    /// Lets everything go but the lock: files and leases. What is not committed stays
    /// uncommitted.
    #[must_use]
    pub fn into_lock(self) -> DirectoryLock {
        self.lock
    }

    /// Leases on the active pair, where no other process has it open.
    fn take_leases(&mut self) -> Taken {
        self.leases.clear();
        for file in self.writer.active_files() {
            let taken = match WriteLease::take(file.file()) {
                Grant::Held(lease) => {
                    self.leases.add(lease);
                    continue;
                }
                Grant::Refused => Taken::Refused,
                Grant::Unknown(_) => Taken::Unknown,
            };
            self.leases.clear();
            return taken;
        }
        Taken::All
    }

    /// Checked directly before each write: whether the kernel may have let a writer in.
    fn still_held(&mut self) -> Result<()> {
        if self.leases.hold_back(Pending::Writer) {
            return Ok(());
        }
        Err(self.in_use(Vec::new()))
    }

    /// Beside a reader the kernel gives no lease. It is requested again, and /proc is
    /// checked for writers from time to time.
    fn writers_beside_readers(&mut self) -> Vec<u32> {
        if self.leases.len() > 0
            || self.take_leases() == Taken::All
            || self.looked.elapsed() < LOOKS
        {
            return Vec::new();
        }
        let files = self.writer.active_files();
        let paths = files.map(|file| file.path().to_path_buf());
        let writers = processes::users_of(&paths).into_writers();
        self.looked = Instant::now();
        writers.iter().map(|writer| writer.pid).collect()
    }

    fn in_use(&self, processes: Vec<u32>) -> Error {
        Error::InUse {
            path: self.lock.path().to_path_buf(),
            processes,
        }
    }

    /// The recovery on opening.
    #[must_use]
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// The limits that the log showed when it was opened. (A new scan would wait for our
    /// own lease.)
    #[must_use]
    pub fn shown_limits(&self) -> ShownLimits {
        self.shown
    }

    /// The writer, for its facts about the log.
    #[must_use]
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The records committed since the session was opened.
    #[must_use]
    pub fn committed(&self) -> Committed {
        self.writer.committed()
    }

    /// Appends one record; commits and rolls when due. Afterwards a process that waits to
    /// open the files is let in.
    ///
    /// # Errors
    ///
    /// As [`Writer::append`]; [`Error::InUse`] when another writer is coming, after
    /// the commit; [`Error::Moved`] before anything is written.
    #[inline]
    pub fn append(&mut self, record: NewRecord<'_>) -> Result<Offset> {
        self.lock.check_path()?;
        self.still_held()?;
        let offset = self.writer.append(record)?;
        if self.writer.committed().records != self.checked_records {
            self.after_commit()?;
        }
        Ok(offset)
    }

    /// Commits everything appended so far, and continues at a larger offset in a new
    /// segment.
    ///
    /// # Errors
    ///
    /// As [`Session::append`].
    pub fn skip_to(&mut self, base: Offset) -> Result<()> {
        self.lock.check_path()?;
        self.still_held()?;
        self.writer.skip_to(base)?;
        self.take_leases();
        Ok(())
    }

    /// Appends a record where that takes nothing but gathering: see [`Writer::gather`].
    #[inline]
    pub fn gather(&mut self, record: NewRecord<'_>) -> bool {
        self.writer.gather(record)
    }

    /// Commits everything appended so far.
    ///
    /// # Errors
    ///
    /// As [`Session::append`].
    pub fn commit(&mut self) -> Result<()> {
        self.check_path()?;
        self.still_held()?;
        self.writer.commit()?;
        self.after_commit()
    }

    /// Begins to commit all appended records, or commits them at once if a process waits
    /// to open the files.
    ///
    /// # Errors
    ///
    /// As [`Session::append`].
    pub fn commit_behind(&mut self) -> Result<()> {
        if self.is_awaited() {
            return self.commit();
        }
        self.check_path()?;
        self.still_held()?;
        self.writer.commit_behind()
    }

    /// Before anything is committed: whether the path still leads to the log.
    fn check_path(&self) -> Result<()> {
        if self.writer.has_uncommitted() {
            self.lock.check_path()?;
        }
        Ok(())
    }

    /// Whether a process waits to open the files: it is let in after a commit.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.leases.pending() != Pending::None
    }

    /// Commits everything appended so far, before the log is let go: a writer that waits
    /// is not a hindrance then.
    ///
    /// # Errors
    ///
    /// As [`Writer::commit`].
    pub fn commit_last(&mut self) -> Result<()> {
        self.check_path()?;
        self.still_held()?;
        self.writer.commit()?;
        match self.after_commit() {
            Err(Error::InUse { .. }) if self.let_in => Ok(()),
            other => other,
        }
    }

    /// Whether a writer was let in, after all that was appended was committed. To
    /// continue, the caller opens the log again.
    #[must_use]
    pub fn has_let_in(&self) -> bool {
        self.let_in
    }

    /// Lets waiting processes in, and begins the next segment when this one is full.
    fn after_commit(&mut self) -> Result<()> {
        self.checked_records = self.writer.committed().records;
        let writers = self.writers_beside_readers();
        match self.leases.pending() {
            // A service is starting: never roll under it, nor write after its writes.
            pending if pending == Pending::Writer || !writers.is_empty() => {
                self.writer.commit()?;
                self.leases.clear();
                self.let_in = true;
                return Err(self.in_use(writers));
            }
            // Readers read beside us; continue without.
            Pending::Reader => self.leases.clear(),
            Pending::None | Pending::Writer => {}
        }
        if self.writer.roll_if_full()? {
            self.take_leases();
        }
        Ok(())
    }

    /// After an error: see [`Writer::roll_back`].
    ///
    /// # Errors
    ///
    /// As [`Writer::roll_back`].
    pub fn roll_back(&mut self) -> Result<()> {
        self.writer.roll_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::disk::RealDisk;
    use crate::mend::leases::held_back_for;
    use rustix::fs::{Mode, OFlags};

    #[test]
    fn nothing_is_written_behind_a_writer_who_has_waited_for_long() {
        let directory = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let options = OpenOptions::default();
        let opened = Session::open(directory.path(), &options, &disk, &|| false);
        let mut session = opened.unwrap();
        let record = NewRecord {
            value: b"one",
            ..NewRecord::default()
        };
        session.append(record).unwrap();
        if session.leases.len() == 0 {
            return; // there are none here
        }
        let [store, _] = session.writer.active_files();
        let store = store.path().to_path_buf();
        let bytes = || std::fs::metadata(&store).unwrap().len();
        let marked = bytes();
        let comes = rustix::fs::open(&store, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty());
        assert!(comes.is_err());
        let long_ago = Instant::now().checked_sub(held_back_for());
        session.leases.nobody_waits = long_ago.unwrap();
        let refused = [session.append(record).map(|_| ()), session.commit()];
        assert!(
            refused
                .iter()
                .all(|it| matches!(it, Err(Error::InUse { .. })))
        );
        drop(session);
        assert_eq!(bytes(), marked);
    }
}
