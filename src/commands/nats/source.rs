//! The log as the source of a push: where it begins and ends, single records compared
//! with messages, and whether it has grown. Every scan opens it again.

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

/// The longest time for which a check of the file sizes replaces a scan of the log:
/// writes through a mapping change no size.
const FULL_LOOK: Duration = Duration::from_secs(1);

/// A log that is read.
pub struct Source {
    path: PathBuf,
    codec: Option<Codec>,
    /// The state of the directory at the last full scan, and its time.
    seen: Option<(Look, Instant)>,
}

/// Metadata of a log, available without opening its files: number of segments, and base,
/// sizes and time of the last one.
#[derive(Debug, PartialEq, Eq)]
struct Look(usize, Option<Offset>, [Option<(u64, i64, i64)>; 2]);

/// The first and the next offset of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset.
    pub lowest: Offset,
    /// The offset after the last record.
    pub next: Offset,
}

impl Bounds {
    /// Whether the log has no records.
    pub fn is_empty(self) -> bool {
        self.lowest >= self.next
    }

    /// Whether the record at an offset is there.
    pub fn hold(self, offset: Offset) -> bool {
        self.lowest <= offset && offset < self.next
    }
}

/// The comparison of a record with one of these payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// It is the same.
    Same,
    /// It is another one.
    Other,
    /// No such record.
    Absent,
}

impl Source {
    /// A log in a directory; with a codec only if it must not be searched for.
    pub fn new(path: &Path, codec: Option<Codec>) -> Self {
        Self {
            path: path.to_path_buf(),
            codec,
            seen: None,
        }
    }

    /// Its directory.
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

    /// The current first and next offset.
    pub fn bounds(&self) -> Result<Bounds, Error> {
        let mut log = self.reader()?;
        Ok(Bounds {
            lowest: log.lowest_offset(),
            next: log.next_offset()?,
        })
    }

    /// The same, or `None` if the log does not exist yet and may be created.
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

    /// Reads one record, if it exists and is valid.
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
    /// `value_bytes_max`. A signal ends the scan.
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
                // An unreadable record is reported when it is reached.
                Item::Obstacle { .. } => ControlFlow::Break(()),
            })
        })?;
        match large {
            None => signals
                .raised()
                .map_or(Ok(()), |it| Err(Trouble::Signal(it))),
            Some((offset, bytes)) => Err(cannot(format!(
                "offset {offset} has {bytes} bytes: the server accepts at most \
                 {value_bytes_max} besides the headers (max_payload, or the stream's \
                 max_msg_size)"
            ))),
        }
    }

    /// The end of the log, if it may have grown since the last call.
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
