//! The log that is appended to: locked when the first record arrives, released while the
//! input pauses, locked again. Knows which records are committed and under which offsets.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proglog::log::config::Limits;
use proglog::log::dir::Dir;
use proglog::log::directory::Directory;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::format::ENTRY_BYTES;
use proglog::log::lock::{self, DirectoryLock, Wait};
use proglog::log::open::ShownLimits;
use proglog::log::reader::LogReader;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::log::writer::NewRecord;
use proglog::mend::session::{OpenOptions, Session};

use super::report::{Talk, Totals, in_words};
pub use super::trouble::Trouble;
use crate::commands::signals::{Signals, interruptible, last_words};
use crate::commands::{Failure, Status, quote, say};

/// The longest that records of a stream without pauses wait for their commit.
const COMMIT_INTERVAL: Duration = Duration::from_millis(250);

/// While no input comes: the least time between two commits, and how long the log is kept then.
const REST: Duration = Duration::from_millis(1);

/// Time for a waiting process to get access.
const LET_IN: Duration = Duration::from_millis(20);

/// A log to append to.
pub struct Target<'a> {
    path: &'a Path,
    options: OpenOptions,
    expected: Option<Offset>,
    must_exist: bool,
    /// The log's directory, once it was taken: after a pause it must still be there.
    dir: Option<Dir>,
    /// Whether this run created the log: it was created when the first record arrived.
    is_new: bool,
    /// Device and inode of the inputs.
    inputs: Vec<(u64, u64)>,
    signals: &'a Signals,
    disk: Arc<dyn Disk>,
    open: Option<Open>,
    /// The lock, where it is kept while input pauses.
    lock: Option<DirectoryLock>,
    totals: Totals,
    last_segment: Option<Offset>,
    talk: Talk,
}

/// The log while we have it.
struct Open {
    session: Session,
    /// Offset of the first record of this run; `None` past 2^64 - 1.
    first: Option<Offset>,
    /// Number of committed records of the writer that the totals include.
    seen_records: u64,
    /// And how many of their bytes.
    seen_bytes: u64,
    /// When a commit was last begun because it was time.
    last_commit: Instant,
}

impl<'a> Target<'a> {
    /// A log that is taken later. What can be refused already is: a file, a
    /// directory that holds other things, a missing one with `must_exist`.
    pub fn new(
        path: &'a Path,
        options: OpenOptions,
        expected: Option<Offset>,
        must_exist: bool,
        signals: &'a Signals,
        talk: Talk,
    ) -> Result<Self, Error> {
        let target = Self {
            path,
            options,
            expected,
            must_exist,
            dir: None,
            is_new: false,
            inputs: Vec::new(),
            signals,
            disk: Arc::new(RealDisk),
            open: None,
            lock: None,
            totals: Totals::default(),
            last_segment: None,
            talk,
        };
        target.options.config.check()?;
        target.look()?;
        Ok(target)
    }

    /// These inputs are read meanwhile; none of them may be a file of the log.
    pub fn set_inputs(&mut self, inputs: Vec<(u64, u64)>) {
        self.inputs = inputs;
    }

    /// Takes the log now, before there is a record: a new one begins with this offset
    /// and has this codec. From here on it is kept from other proglogs, and must stay
    /// as it is. Gives the next offset.
    #[cfg(feature = "nats")]
    pub fn begin(
        &mut self,
        initial: Option<Offset>,
        codec: Option<Codec>,
    ) -> Result<Option<Offset>, Trouble> {
        if self.open.is_none() && self.lock.is_none() {
            self.options.config.initial_offset = initial;
            self.options.config.codec = codec;
            self.take()?;
            self.expected = self.totals.next_offset;
            self.pause()?;
        }
        Ok(self.totals.next_offset)
    }

    /// Continues at a larger offset in a new segment. Everything before is committed.
    #[cfg(feature = "nats")]
    pub fn skip_to(&mut self, base: Offset) -> Result<(), Trouble> {
        if self.open.is_none() {
            self.take()?;
        }
        if let Some(open) = &mut self.open {
            let skipped = open.session.skip_to(base);
            self.count_committed();
            skipped?;
        }
        self.totals.next_offset = Some(base);
        if let Some(open) = &mut self.open {
            open.first = base.0.checked_sub(open.seen_records).map(Offset);
        }
        Ok(())
    }

    /// The committed records.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The codec of a log without records that show it: the command that continues must
    /// give it.
    pub fn codec_to_say(&self) -> Option<Codec> {
        let empty = self.is_new && self.totals.records == 0;
        self.options.config.codec.filter(|_| empty)
    }

    /// Messages to the user.
    pub fn talk(&mut self) -> &mut Talk {
        &mut self.talk
    }

    /// How long the input is waited for before [`Target::rest`]; without a limit if that
    /// would change nothing.
    pub fn patience(&self) -> Option<Duration> {
        let open = self.open.as_ref()?;
        let rest = REST.saturating_sub(open.last_commit.elapsed());
        let waits = open.session.writer().has_gathered();
        Some(if waits { rest } else { REST })
    }

    /// While no input comes: begins to commit what came, or, if that is done, releases the
    /// log.
    pub fn rest(&mut self) -> Result<(), Trouble> {
        let gathered = |open: &Open| open.session.writer().has_gathered();
        if self.open.as_ref().is_some_and(gathered) {
            self.commit_behind()?;
            self.talk.flush();
            return Ok(());
        }
        self.pause()
    }

    /// Appends a record, and takes the log first if need be.
    #[inline]
    pub fn append(&mut self, record: NewRecord<'_>) -> Result<(), Trouble> {
        if let Some(open) = &mut self.open
            && open.session.gather(record)
        {
            return Ok(());
        }
        self.append_other(record)
    }

    /// Appends a record that takes more than gathering it.
    #[cold]
    fn append_other(&mut self, record: NewRecord<'_>) -> Result<(), Trouble> {
        if self.open.is_none() {
            self.take()?;
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let result = open.session.append(record);
        if open.session.committed().records != open.seen_records {
            self.count_committed();
        }
        self.go_on(result.map(|_| ()))
    }

    /// Waits for a writer that was let in, if that is what stopped us, and takes the log
    /// again.
    fn go_on(&mut self, result: Result<(), Error>) -> Result<(), Trouble> {
        let waits = self.options.wait_for_others != Wait::AtMost(Duration::ZERO);
        let let_in = |open: &mut Open| waits && open.session.has_let_in();
        if let Err(Error::InUse { .. }) = result
            && let Some(open) = self.open.take_if(let_in)
        {
            self.lock = Some(open.session.into_lock());
            self.expected = self.expected.and(self.totals.next_offset);
            std::thread::sleep(LET_IN);
            return self.take();
        }
        Ok(result?)
    }

    /// Between two reads of a stream that never pauses: commits from time to time, and at
    /// once if another process waits for the files.
    pub fn breathe(&mut self) -> Result<(), Trouble> {
        let is_due = |open: &Open| {
            open.last_commit.elapsed() >= COMMIT_INTERVAL || open.session.is_awaited()
        };
        if self.open.as_ref().is_some_and(is_due) {
            self.commit_behind()?;
        }
        Ok(())
    }

    /// Begins to commit: the next records gather meanwhile.
    fn commit_behind(&mut self) -> Result<(), Trouble> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.last_commit = Instant::now();
        let result = open.session.commit_behind();
        self.count_committed();
        self.go_on(result)
    }

    /// Commits the appended records and releases the log, if allowed.
    pub fn pause(&mut self) -> Result<(), Trouble> {
        let result = match &mut self.open {
            Some(open) => open.session.commit_last(),
            None => Ok(()),
        };
        self.count_committed();
        result?;
        last_words(in_words(&self.totals));
        if let Some(open) = self.open.take()
            && self.expected.is_some()
        {
            // The lock alone keeps other proglogs out until the end, and no other
            // process.
            self.lock = Some(open.session.into_lock());
            self.expected = self.totals.next_offset;
        }
        self.talk.flush();
        Ok(())
    }

    /// Commits the appended records and ends.
    pub fn finish(&mut self) -> Result<(), Trouble> {
        self.expected = None;
        let finished = self.pause();
        self.lock = None;
        finished
    }

    /// Opens a log that got no record, with the result that one would have.
    pub fn check_without_records(&mut self) -> Result<(), Trouble> {
        match self.look()? {
            _ if !self.totals.is_untouched() => Ok(()),
            // Not finished: a full segment is not followed by an empty one.
            Some(directory) if !directory.segments.is_empty() => {
                self.take().map(|()| self.open = None)
            }
            directory => self.check_expected(directory.as_ref()),
        }
    }

    /// After an error of the engine: removes everything that is not committed.
    pub fn abandon(&mut self, error: &Error) {
        if let Some(open) = &mut self.open
            // Bytes of another process are never cut.
            && !matches!(error, Error::InUse { .. })
            && let Err(error) = open.session.roll_back()
        {
            say(&error.to_string());
        }
        // A batch that was being written is complete by now.
        self.count_committed();
        self.open = None;
        self.talk.flush();
    }

    /// The directory as it is; `None` where it does not exist and one may be made.
    fn look(&self) -> Result<Option<Directory>, Error> {
        let directory = match Directory::list(self.path) {
            Ok(directory) => directory,
            Err(Error::NoDirectory { .. }) if !self.must_exist => return Ok(None),
            Err(error) => return Err(error),
        };
        if self.must_exist {
            directory.require_log()?;
        }
        match directory.strays.first() {
            Some(name) if directory.segments.is_empty() => Err(Error::NotEmpty {
                path: directory.path.clone(),
                name: name.into(),
            }),
            _ => Ok(Some(directory)),
        }
    }

    /// Takes the log, for the first time or again.
    fn take(&mut self) -> Result<(), Trouble> {
        if let Some(dir) = &self.dir {
            lock::check_path(dir)?;
        }
        let found = self.look()?;
        let is_new = found.as_ref().is_none_or(Directory::is_empty);
        if is_new {
            // Nothing is created for a negative result.
            self.check_expected(found.as_ref())?;
        }
        let dir = match (self.dir.take(), found) {
            (Some(dir), _) => dir,
            (None, Some(found)) if !is_new => found.dir,
            _ => self.options.create_directory(self.path, &*self.disk)?,
        };
        self.dir = Some(dir.clone());
        let interrupted = || self.signals.raised().is_some();
        let lock = self.lock.take();
        let session = interruptible(|| match lock {
            Some(lock) => Session::open_locked(lock, &self.options, &self.disk, &interrupted),
            None => DirectoryLock::take_in(dir, self.options.wait, &interrupted).and_then(|lock| {
                Session::open_locked(lock, &self.options, &self.disk, &interrupted)
            }),
        });
        let session = session?;
        let first = session.writer().next_offset();
        let limits = session.writer().limits();
        let codec = session.writer().codec();
        // A finding, which the quiet hear too.
        if let Some(recovered) = session.recovered() {
            for line in crate::render::plan::recovery(recovered, self.path) {
                say(&line);
            }
        }
        self.refuse_own_files(&session)?;
        if let Some(expected) = self.expected
            && first != Some(expected)
        {
            return Err(unexpected(expected, first).into());
        }
        if self.totals.records == 0 {
            self.announce(is_new, codec, limits, session.shown_limits());
        }
        self.totals.next_offset = first;
        self.is_new |= is_new;
        // The next time it is this log again, or none.
        self.must_exist = true;
        self.options.config.initial_offset = None;
        self.options.config.codec = Some(codec);
        self.options.config.max_store_bytes = Some(limits.max_store_bytes);
        self.options.config.max_index_bytes = Some(limits.max_index_bytes);
        let now = Instant::now();
        self.open = Some(Open {
            session,
            first,
            seen_records: 0,
            seen_bytes: 0,
            // The first records are not waited with.
            last_commit: now.checked_sub(REST).unwrap_or(now),
        });
        Ok(())
    }

    /// Prints once what kind of log this is, if that matters.
    fn announce(&mut self, is_new: bool, codec: Codec, limits: Limits, shown: ShownLimits) {
        let log = quote(self.path);
        if is_new {
            self.talk.say(&format!("created {log} ({codec})"));
        }
        if self.options.config.no_sync {
            self.talk.say(&format!(
                "note: --no-sync: a power cut can lose these records; after a power cut, run: \
                 proglog verify {log}"
            ));
        }
        let told = self.options.config.max_index_bytes.is_some();
        if codec == Codec::Protobuf && !told && shown.max_index_bytes.is_none() {
            self.talk.say(&format!(
                "note: from now on the service needs a MaxIndexBytes of at least {}: with less \
                 it destroys entries (--max-index-bytes)",
                limits.max_index_bytes / ENTRY_BYTES * ENTRY_BYTES
            ));
        }
    }

    /// Whether the log meets the expectation as it is now. One that has records is
    /// asked again once it is locked.
    fn check_expected(&self, found: Option<&Directory>) -> Result<(), Trouble> {
        let Some(expected) = self.expected else {
            return Ok(());
        };
        let next = match found {
            Some(directory) if !directory.segments.is_empty() => {
                interruptible(|| LogReader::open(self.path)?.next_offset())?
            }
            _ => self.options.config.initial_offset.unwrap_or_default(),
        };
        if next == expected {
            return Ok(());
        }
        Err(unexpected(expected, Some(next)).into())
    }

    /// An input that grows as we append would never end.
    fn refuse_own_files(&self, session: &Session) -> Result<(), Failure> {
        for file in session.writer().active_files() {
            if let Ok(metadata) = file.file().metadata()
                && self.inputs.contains(&identity(&metadata))
            {
                return Err(Failure::new(
                    Status::Failed,
                    format!(
                        "{}: is both an input and a file of the log",
                        file.path().display()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Adds the committed records of the writer to the totals.
    fn count_committed(&mut self) {
        let Some(open) = &mut self.open else { return };
        let committed = open.session.committed();
        let new = committed.records - open.seen_records;
        let (Some(first), true) = (open.first, new > 0) else {
            return;
        };
        let from = first.saturating_add(open.seen_records);
        let last = first.saturating_add(committed.records - 1);
        let totals = &mut self.totals;
        let behind = totals.last_offset.and_then(|last| last.checked_add(1));
        totals.mixed |= behind.is_some_and(|behind| behind != from);
        totals.records += new;
        totals.bytes += committed.bytes - open.seen_bytes;
        totals.first_offset.get_or_insert(from);
        totals.last_offset = Some(last);
        totals.next_offset = committed.next_offset;
        // An append commits at most once, so that no segment is missed here.
        if self.last_segment != committed.last_segment {
            self.last_segment = committed.last_segment;
            totals.segments += 1;
        }
        open.seen_records = committed.records;
        open.seen_bytes = committed.bytes;
        self.talk.offsets(from, last);
    }
}

/// The failure of `--expect-offset`.
fn unexpected(expected: Offset, next: Option<Offset>) -> Failure {
    let next = match next {
        Some(next) => format!("the next offset is {next}"),
        None => "the log has no next offset".to_owned(),
    };
    Failure::new(
        Status::No,
        format!("{next}, not {expected}: nothing appended"),
    )
}

fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}
