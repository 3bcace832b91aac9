//! Follows a log while other processes write it: the records since the last pass, and
//! whether the records read before are still valid. The caller waits, with `watch`.
//!
//! Between two passes nothing of the log is held, no lock, no lease, no descriptor: a
//! repair, an append and a starting service find it unused. A pass delivers each record
//! once, after it is committed: its entry names it, and its frame is intact. An obstacle
//! is reported as it is now; beside a writer it may be gone a moment later (an entry half
//! written, a frame in the writer's buffer), so a caller checks again before it believes
//! in it.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};

use super::detect::detect;
use super::dir::Dir;
use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::footing::{Footing, names_of};
pub use super::footing::{Rewritten, sync_read};
use super::format::{ENTRY_BYTES, FileKind};
use super::index::Index;
use super::live;
use super::lock::DirectoryLock;
use super::reader::{Item, LogReader, Obstacle, RecordView};
use super::record::Codec;
use super::seen::{Seen, mark};
use super::units::Offset;

/// Records from which on the codec is sure enough not to be searched for again.
const SURE_RECORDS: u64 = 64;

/// A time of change this recent may hide a later change within the same tick.
const TICK: Duration = Duration::from_secs(2);

/// How long an append that holds the log is left alone: it lets go when its input
/// pauses.
const PATIENCE_WITH_APPEND: Duration = Duration::from_millis(60);

/// How long to stay away from a log that is being repaired.
const PATIENCE_WITH_MENDING: Duration = Duration::from_secs(5);

/// A log that is followed.
///
/// # Examples
///
/// ```no_run
/// use proglog::log::follow::{Follower, Pass, Step};
/// use proglog::log::reader::LogReader;
///
/// let mut log = LogReader::open("data".as_ref())?;
/// let end = log.next_offset()?;
/// let mut follower = Follower::of(&mut log, end)?; // new records only
/// loop {
///     let pass = follower.pass(|record| {
///         println!("{}", record.offset);
///         Ok::<_, proglog::log::error::Error>(Step::Next)
///     })?;
///     if !matches!(pass, Pass::End) {
///         break; // an obstacle, or history was rewritten
///     }
///     while !follower.changed() {
///         std::thread::sleep(std::time::Duration::from_millis(50));
///     }
/// }
/// # Ok::<(), proglog::log::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Follower {
    directory: Directory,
    /// Whether the directory is followed wherever it is, and not what has its name.
    stays: bool,
    codec: Option<Codec>,
    /// Whether the codec was given and need not be detected.
    codec_is_given: bool,
    next: Offset,
    footing: Option<Footing>,
    seen: Option<Seen>,
    /// Since when there is something that no pass has inspected.
    changed_since: Option<Instant>,
    /// The last offset that two segments claim, as the last pass met it.
    doubled: Option<Offset>,
    /// Up to where such offsets were passed over: their records are read.
    doubled_passed: Option<Offset>,
}

/// The result of delivering a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is taken; the next one, please.
    Next,
    /// It is taken; the pass ends.
    Last,
    /// It is not taken, and comes again; the pass ends.
    Leave,
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pass {
    /// The callback ended it.
    Stopped,
    /// At the end of the log.
    End,
    /// At something that is in the way, for now at least.
    Blocked(Blocked),
    /// Offsets that were not read yet are gone from the front of the log.
    Gone {
        /// The first of them.
        first: Offset,
        /// The last of them.
        last: Offset,
    },
    /// The records read before are not valid any more.
    Rewritten(Rewritten),
}

/// The obstacle before the next record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blocked {
    /// Each thing that does, with its first and last offset.
    pub obstacles: Vec<(Obstacle, Offset, Option<Offset>)>,
    /// The first record after all of it, if any.
    pub goes_on: Option<Offset>,
}

/// The footing of a record whose value was redacted since it was read.
fn redacted(log: &mut LogReader, footing: &Footing) -> Result<Option<Footing>> {
    let mut now = None;
    let _ = log.lookup::<Error>(footing.offset, |item| {
        if let Item::Record(record) = item
            && footing.is_of(record)?
        {
            now = Some(Footing::of(record));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(now)
}

/// An error of the engine, or of the callback.
enum Stop<E> {
    Engine(Error),
    Caller(E),
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl Follower {
    /// Follows a log from `next` on, which may lie beyond its end.
    ///
    /// # Errors
    ///
    /// As [`LogReader::lookup`].
    pub fn of(log: &mut LogReader, next: Offset) -> Result<Self> {
        let directory = log.directory().clone();
        let mut footing = None;
        if let Some(before) = next.0.checked_sub(1) {
            let _ = live::undisturbed(|| {
                log.lookup::<Error>(Offset(before), |item| {
                    if let Item::Record(record) = item {
                        footing = Some(Footing::of(record));
                    }
                    Ok(ControlFlow::Continue(()))
                })
            })?;
        }
        Ok(Self {
            stays: false,
            directory,
            codec: None,
            codec_is_given: false,
            next,
            footing,
            seen: None,
            changed_since: None,
            doubled: None,
            doubled_passed: None,
        })
    }

    /// Sets the codec instead of detecting it.
    pub fn set_codec(&mut self, codec: Codec) {
        self.codec = Some(codec);
        self.codec_is_given = true;
    }

    /// The offset of the next record.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// The names in the directory, as of the last pass.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Continues at an offset after an obstacle.
    pub fn skip_to(&mut self, next: Offset) {
        self.next = self.next.max(next);
        self.doubled_passed = self.doubled.take().max(self.doubled_passed);
    }

    /// Reads on in the directory that is open, although it was moved or another one has its
    /// name.
    pub fn stay(&mut self) {
        self.stays = true;
    }

    /// Opens the log again: where it is now, or, unless it `stays`, by its path.
    fn open(&self, stays: bool) -> Result<std::result::Result<LogReader, Rewritten>> {
        let path = &self.directory.path;
        let mut dir = self.directory.dir.clone();
        if !stays {
            dir = match Dir::open(path) {
                Ok(now) if now.identity() == dir.identity() => now,
                Ok(_) => return Ok(Err(Rewritten::Replaced)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Err(Rewritten::Removed));
                }
                Err(error) => return Err(Error::io("access", path)(error)),
            };
        }
        match LogReader::open_in(&dir) {
            Err(Error::NoDirectory { .. } | Error::NotALog { .. }) => Ok(Err(Rewritten::Removed)),
            log => log.map(Ok),
        }
    }

    /// Detects the codec again in the next pass: the obstacle may exist only because a
    /// few first records looked like another codec.
    pub fn doubt_codec(&mut self) {
        if !self.codec_is_given {
            self.codec = None;
        }
    }

    /// Hands over the last record read once more, wherever its directory is now. Gives `None`
    /// if none was read, or if it was trimmed since or something is in its way, and what
    /// happened if it is not the record that was read.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn last_read<T, E: From<Error>>(
        &self,
        mut each: impl FnMut(&RecordView<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<std::result::Result<Option<T>, Rewritten>, E> {
        let Some(footing) = self.footing else {
            return Ok(Ok(None));
        };
        let mut log = match self.open(true)? {
            Ok(log) => log,
            Err(rewritten) => return Ok(Err(rewritten)),
        };
        if footing.offset < log.lowest_offset() {
            return Ok(Ok(None));
        }
        if let Some(codec) = self.codec {
            log.set_codec(codec);
        }
        let mut found = Err(Rewritten::Cut(footing.offset));
        let _ = log.lookup(footing.offset, |item| {
            found = match item {
                Item::Record(record) if footing.is_of(record)? => Ok(Some(each(record)?)),
                Item::Record(_) => Err(Rewritten::Changed(footing.offset)),
                Item::Obstacle { .. } => Ok(None),
            };
            Ok::<_, E>(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Hands over what has come, in order.
    ///
    /// # Errors
    ///
    /// Errors of the callback and of reading. A file that shrinks meanwhile is not an
    /// error: the next pass finds out why.
    pub fn pass<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(&RecordView<'_>) -> std::result::Result<Step, E>,
    ) -> std::result::Result<Pass, E> {
        // Before the files are inspected: what comes meanwhile is a change.
        self.seen = Some(self.look());
        self.changed_since = None;
        match self.read(&mut each) {
            Ok(pass) => Ok(pass),
            Err(Stop::Engine(Error::Shrunk { .. })) => {
                self.seen = None;
                Ok(Pass::Blocked(Blocked::default()))
            }
            Err(Stop::Engine(error)) => Err(error.into()),
            Err(Stop::Caller(error)) => Err(error),
        }
    }

    fn read<E>(
        &mut self,
        each: &mut impl FnMut(&RecordView<'_>) -> std::result::Result<Step, E>,
    ) -> std::result::Result<Pass, Stop<E>> {
        let mut log = match self.open(self.stays)? {
            Ok(log) => log,
            Err(rewritten) => return Ok(Pass::Rewritten(rewritten)),
        };
        let known = std::mem::replace(&mut self.directory, log.directory().clone());
        if let Some(footing) = self.footing {
            if let Some(lost) = footing.lost(&self.directory)? {
                self.footing = redacted(&mut log, &footing)?;
                if self.footing.is_none() {
                    self.footing = Some(footing);
                    return Ok(Pass::Rewritten(lost));
                }
            }
            let claims = |names: &&SegmentNames| {
                footing.segment < names.base && names.base <= footing.offset
            };
            let mut claiming = self.directory.segments.iter().filter(claims);
            if let Some(names) = claiming.find(|it| names_of(&known, it.base).is_none()) {
                return Ok(Pass::Rewritten(Rewritten::Forked {
                    segment: names.base,
                    offset: footing.offset,
                }));
            }
        }
        let lowest = log.lowest_offset();
        if lowest > self.next {
            return Ok(Pass::Gone {
                first: self.next,
                last: Offset(lowest.0 - 1),
            });
        }
        if let Some(codec) = self.settled_codec(lowest)? {
            log.set_codec(codec);
        }
        self.read_records(&mut log, each)
    }

    fn read_records<E>(
        &mut self,
        log: &mut LogReader,
        each: &mut impl FnMut(&RecordView<'_>) -> std::result::Result<Step, E>,
    ) -> std::result::Result<Pass, Stop<E>> {
        let mut blocked = Blocked::default();
        let (mut next, mut footing) = (self.next, self.footing);
        let passed = self.doubled_passed;
        let mut doubled = None;
        let flow = log.read::<Stop<E>>(next, Offset::MAX, |item| {
            let record = match item {
                Item::Record(record) => record,
                Item::Obstacle {
                    obstacle,
                    first,
                    last,
                } => {
                    if obstacle.is_followed_by_records() {
                        if last <= passed {
                            return Ok(ControlFlow::Continue(()));
                        }
                        doubled = last;
                    }
                    blocked.obstacles.push((obstacle, first, last));
                    return Ok(ControlFlow::Continue(()));
                }
            };
            if !blocked.obstacles.is_empty() {
                blocked.goes_on = Some(record.offset);
                return Ok(ControlFlow::Break(()));
            }
            let step = each(record).map_err(Stop::Caller)?;
            if step == Step::Leave {
                return Ok(ControlFlow::Break(()));
            }
            next = record.offset.saturating_add(1);
            footing = Some(Footing::of(record));
            Ok(if step == Step::Next {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        });
        (self.next, self.footing) = (next, footing);
        self.doubled = doubled;
        let flow = flow?;
        Ok(if !blocked.obstacles.is_empty() {
            Pass::Blocked(blocked)
        } else if flow.is_break() {
            Pass::Stopped
        } else {
            Pass::End
        })
    }

    /// The codec, searched for until there are records enough to be sure of it.
    fn settled_codec(&mut self, lowest: Offset) -> Result<Option<Codec>> {
        if self.codec.is_none() {
            let found = detect(&self.directory)?;
            if self.next.since(lowest) < SURE_RECORDS {
                return Ok(found);
            }
            self.codec = found;
        }
        Ok(self.codec)
    }

    /// Whether there may be something new since the last pass, and it is time for
    /// another. Costs a few `stat`, and a small read if the index is padded.
    ///
    /// A pass opens files, which a repair counts as a use of the log, and which ends the
    /// lease of an append. So while another proglog holds the lock of the directory, it
    /// comes a little later: for records, soon; for a log that shrinks or changes in
    /// place, when the other is done.
    #[must_use]
    pub fn changed(&mut self) -> bool {
        let now = self.look();
        let Some(seen) = self.seen.as_ref() else {
            return true;
        };
        if *seen == now {
            self.changed_since = None;
            return false;
        }
        let patience = if now.only_grew(seen) {
            PATIENCE_WITH_APPEND
        } else {
            PATIENCE_WITH_MENDING
        };
        let since = *self.changed_since.get_or_insert_with(Instant::now);
        since.elapsed() >= patience || DirectoryLock::holder(&self.directory.dir).is_none()
    }

    /// Whether there is something new that it is not time for yet.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.changed_since.is_some()
    }

    fn look(&self) -> Seen {
        // The directory that its path leads to now: a pass detects another one.
        let dir = Dir::open(&self.directory.path).ok();
        let status = dir.as_ref().and_then(|dir| dir.metadata().ok());
        let directory = status.as_ref().map(mark);
        let long_ago = status
            .and_then(|status| status.modified())
            .and_then(|changed| SystemTime::now().duration_since(changed).ok())
            .is_some_and(|age| age > TICK);
        let names = (!long_ago)
            .then(|| Directory::list_in(&dir?).ok().map(|it| it.segments))
            .flatten();
        let segments = names.as_ref().unwrap_or(&self.directory.segments);
        let last = segments.last();
        let at = self.directory.segment_of(self.next);
        let holding = at.and_then(|at| self.directory.segments.get(at));
        let mut files = Vec::new();
        for names in [holding, last].into_iter().flatten() {
            for kind in [FileKind::Index, FileKind::Store] {
                let status = self.directory.file(names, kind).metadata();
                files.push(status.ok().as_ref().map(mark));
            }
        }
        Seen {
            next_entry: holding.and_then(|names| self.next_entry(names)),
            directory,
            names,
            files,
        }
    }

    /// The bytes of the next record's entry, where there are any.
    fn next_entry(&self, names: &SegmentNames) -> Option<[u8; 12]> {
        let slot = self.next.since(names.base);
        let path = self.directory.file(names, FileKind::Index);
        // Most indexes end with their last entry, and need not be opened.
        let metadata = path.metadata().ok()?;
        if !metadata.is_file() || metadata.len() / ENTRY_BYTES <= slot {
            return None;
        }
        if DirectoryLock::holder(&self.directory.dir).is_some() {
            // A repairing process would count us as a user of the log.
            return self.seen.as_ref().and_then(|seen| seen.next_entry);
        }
        let mut index = Index::open(&path, 12).ok()?;
        index.entries(slot, 1).ok()?.first().copied()
    }
}
