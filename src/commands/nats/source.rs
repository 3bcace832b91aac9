//! The log as one side of the road sees it: where it begins and ends, single records
//! held against messages, and whether it has grown. Every look opens it anew.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proglog::log::directory::Directory;
use proglog::log::error::Error;
use proglog::log::format::FileKind;
use proglog::log::reader::{Item, LogReader, RecordView};
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::scan::layouts;

use super::feed::obstacle;
use super::message::{LogDigest, LogId};
use super::{Trouble, cannot};
use crate::commands::signals::Signals;

/// The longest that a look at the files' sizes is taken for a look at the log: what is
/// written through a mapping changes no size.
const FULL_LOOK: Duration = Duration::from_secs(1);

/// A log that is read.
pub struct Source {
    path: PathBuf,
    codec: Option<Codec>,
    /// What the directory looked like at the last full look, and when that was.
    seen: Option<(Look, Instant)>,
}

/// What can be seen of a log without opening its files: how many segments, and the
/// last one's base, sizes and time.
#[derive(Debug, PartialEq, Eq)]
struct Look(usize, Option<Offset>, [Option<(u64, i64, i64)>; 2]);

/// Where a log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset.
    pub lowest: Offset,
    /// The offset behind the last record.
    pub next: Offset,
}

impl Bounds {
    /// Whether there is no record.
    pub fn is_empty(self) -> bool {
        self.lowest >= self.next
    }

    /// Whether the record at an offset is there.
    pub fn hold(self, offset: Offset) -> bool {
        self.lowest <= offset && offset < self.next
    }
}

/// What a record is like beside one of these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// It is the same.
    Same,
    /// It is another one.
    Other,
    /// There is none.
    Absent,
}

impl Source {
    /// A log in a directory; with a codec only if it must not be looked for.
    pub fn new(path: &Path, codec: Option<Codec>) -> Self {
        Self {
            path: path.to_path_buf(),
            codec,
            seen: None,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log as it is now.
    pub fn reader(&self) -> Result<LogReader, Error> {
        let mut log = LogReader::open(&self.path)?;
        layouts::require_ours(log.directory())?;
        if let Some(codec) = self.codec {
            log.set_codec(codec);
        }
        Ok(log)
    }

    /// Where it begins and ends now.
    pub fn bounds(&self) -> Result<Bounds, Error> {
        let mut log = self.reader()?;
        Ok(Bounds {
            lowest: log.lowest_offset(),
            next: log.next_offset()?,
        })
    }

    /// The same, or `None` where there is no log yet and one may be made.
    pub fn bounds_if_any(&self) -> Result<Option<Bounds>, Error> {
        match Directory::list(&self.path) {
            Err(Error::NoDirectory { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok(directory) if directory.segments.is_empty() => Ok(None),
            Ok(_) => self.bounds().map(Some),
        }
    }

    /// The log's codec; raw where no record shows it.
    pub fn codec(&self) -> Result<Codec, Error> {
        self.reader()?.codec()
    }

    /// Hands over the one record at an offset, if it is there and sound.
    fn record<T>(
        &self,
        offset: Offset,
        take: impl FnOnce(&RecordView<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Trouble> {
        let mut log = self.reader()?;
        let directory = log.directory().path.clone();
        let (mut taken, mut take) = (None, Some(take));
        let _ = log.lookup::<Trouble>(offset, |item| {
            match item {
                Item::Record(record) => {
                    taken = take.take().map(|take| take(record)).transpose()?;
                }
                Item::Obstacle {
                    obstacle: what,
                    first,
                    last,
                } => return Err(obstacle(&directory, what, first, last)),
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(taken)
    }

    /// Holds the record at an offset against a message.
    pub fn compare(
        &self,
        offset: Offset,
        (term, record_type): (u64, u32),
        value: &[u8],
    ) -> Result<Likeness, Trouble> {
        let same = self.record(offset, |record| {
            if record.term != term
                || record.record_type != record_type
                || record.value.len() != value.len() as u64
            {
                return Ok(false);
            }
            let (mut rest, mut same) = (value, true);
            record.value.pieces(|piece| {
                let (here, behind) = rest.split_at_checked(piece.len()).unwrap_or((rest, &[]));
                same &= here.cmp(piece) == Ordering::Equal;
                rest = behind;
                Ok::<(), Error>(())
            })?;
            Ok(same)
        })?;
        Ok(match same {
            Some(true) => Likeness::Same,
            Some(false) => Likeness::Other,
            None => Likeness::Absent,
        })
    }

    /// The name of a log whose stream begins with this record; `None` if it is not there.
    pub fn id(&self, first: Offset) -> Result<Option<LogId>, Trouble> {
        self.record(first, |record| {
            let mut digest = LogDigest::new(first, record.term, record.record_type);
            record.value.pieces(|piece| {
                digest.update(piece);
                Ok::<(), Error>(())
            })?;
            Ok(digest.finish())
        })
    }

    /// Refuses a record that no message holds: of `from..end`, with values of at most
    /// `value_bytes_max`. A signal ends the look.
    pub fn check_sizes(
        &self,
        from: Offset,
        end: Offset,
        value_bytes_max: u64,
        signals: &Signals,
    ) -> Result<(), Trouble> {
        let mut large = None;
        let _ = self.reader()?.read::<Error>(from, end, |item| {
            Ok(match item {
                Item::Record(record) if record.value.len() > value_bytes_max => {
                    large = Some((record.offset, record.value.len()));
                    ControlFlow::Break(())
                }
                Item::Record(_) if signals.raised().is_some() => ControlFlow::Break(()),
                Item::Record(_) => ControlFlow::Continue(()),
                // What cannot be read is told when it is come by.
                Item::Obstacle { .. } => ControlFlow::Break(()),
            })
        })?;
        match large {
            None => signals
                .raised()
                .map_or(Ok(()), |it| Err(Trouble::Signal(it))),
            Some((offset, bytes)) => Err(cannot(format!(
                "offset {offset} has {bytes} bytes: the server takes at most {value_bytes_max} \
                 beside the headers (max_payload, or the stream's max_msg_size)"
            ))),
        }
    }

    /// Where the log ends, if it may have grown since this was last asked.
    pub fn grown(&mut self) -> Result<Option<Bounds>, Error> {
        let look = look(&self.path)?;
        if let Some((seen, when)) = &self.seen
            && *seen == look
            && when.elapsed() < FULL_LOOK
        {
            return Ok(None);
        }
        let bounds = self.bounds()?;
        self.seen = Some((look, Instant::now()));
        Ok(Some(bounds))
    }
}

fn look(path: &Path) -> Result<Look, Error> {
    let directory = Directory::list(path)?;
    let last = directory.segments.last();
    let file = |kind| {
        let metadata = std::fs::metadata(directory.file(last?, kind)).ok()?;
        Some((metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    };
    Ok(Look(
        directory.segments.len(),
        last.map(|names| names.base),
        [file(FileKind::Store), file(FileKind::Index)],
    ))
}
