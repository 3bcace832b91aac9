//! Reading as a library offers it: [`Reader`] and its iterators.

use std::collections::VecDeque;
use std::iter::FusedIterator;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::path::Path;

use crate::log::dir::Dir;
use crate::log::directory::Directory;
use crate::log::error::{Error, Result};
use crate::log::items::{Item, Obstacle, RecordView};
use crate::log::reader::LogReader;
use crate::log::record::Codec;
use crate::log::units::{Offset, Position};
use crate::scan::layouts;

/// Records that are read at once.
const BLOCK_RECORDS: usize = 4096;

/// Values that are read at once, if one is not larger. Units: bytes.
const BLOCK_BYTES: usize = 4 << 20;

/// The default of [`Reader::with_max_value_bytes`]. Units: bytes.
const MAX_VALUE_BYTES: u64 = 1 << 30;

/// A record with its value in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    offset: Offset,
    segment: Offset,
    position: Position,
    value: Vec<u8>,
    term: u64,
    kind: u32,
}

impl Record {
    /// The record's number in the log.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The bytes that were appended.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The bytes that were appended, without a copy.
    #[must_use]
    pub fn into_value(self) -> Vec<u8> {
        self.value
    }

    /// The Raft term; 0 in a raw log.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// The Raft type; 0 in a raw log.
    #[must_use]
    pub fn record_type(&self) -> u32 {
        self.kind
    }

    /// The base offset of its segment.
    #[must_use]
    pub fn segment(&self) -> Offset {
        self.segment
    }

    /// The position of its frame in the store. Units: bytes.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

/// Why records could not be read. An iterator continues after an obstacle and after a value
/// that is too large; after an error of the engine it ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The engine was stopped: the disk, permissions.
    #[error(transparent)]
    Stopped(#[from] Error),
    /// Something is wrong with the log at these offsets.
    #[error("offsets {first}{}: {}", to(*last), obstacle.summary())]
    #[non_exhaustive]
    Obstacle {
        /// What is wrong.
        obstacle: Obstacle,
        /// The first offset concerned.
        first: Offset,
        /// The last offset concerned, if it is known.
        last: Option<Offset>,
    },
    /// The value is larger than [`Reader::with_max_value_bytes`] allows; it was not read.
    #[error("offset {offset}: the value has {bytes} bytes, more than the maximum of {max}")]
    #[non_exhaustive]
    ValueTooLarge {
        /// The offset of the record.
        offset: Offset,
        /// The size of its value. Units: bytes.
        bytes: u64,
        /// The maximum. Units: bytes.
        max: u64,
    },
    /// A log that is followed was trimmed: these records are gone and were not read.
    #[error("offsets {first}..={last}: trimmed before they were read")]
    #[non_exhaustive]
    Gone {
        /// The first offset.
        first: Offset,
        /// The last offset.
        last: Offset,
    },
    /// A log that is followed is not the one whose records were read: it was removed,
    /// replaced, or cut before offset `next` and written again.
    #[error("history was rewritten: the records before offset {next} are not those that were read")]
    #[non_exhaustive]
    Rewritten {
        /// The offset after the last record that was read.
        next: Offset,
    },
}

impl ReadError {
    pub(crate) fn obstacle(obstacle: Obstacle, first: Offset, last: Option<Offset>) -> Self {
        Self::Obstacle {
            obstacle,
            first,
            last,
        }
    }
}

fn to(last: Option<Offset>) -> String {
    last.map_or_else(|| " and following".to_owned(), |last| format!("..={last}"))
}

/// A log that is open for reading. It takes no lock, changes nothing, and needs no permission
/// to write; other processes may write the log meanwhile.
///
/// # Examples
///
/// ```
/// # use proglog::{Appender, Offset, Reader};
/// # let parent = tempfile::tempdir()?;
/// # let dir = parent.path();
/// # let mut log = Appender::open(dir)?;
/// # log.append_all(["a", "b", "c"])?;
/// # log.commit()?;
/// # drop(log);
/// let reader = Reader::open(dir)?;
/// let newest_first: Result<Vec<_>, _> = reader.records(..).rev().collect();
/// assert_eq!(newest_first?[0].value(), b"c");
/// assert!(reader.get(Offset(7))?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reader {
    dir: Dir,
    codec: Option<Codec>,
    max_value_bytes: u64,
}

impl Reader {
    /// Opens the log in a directory.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirectory`], [`Error::NotADirectory`], [`Error::NotALog`],
    /// [`Error::ForeignLayout`], [`Error::Io`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let directory = Directory::list(dir.as_ref())?;
        directory.require_log()?;
        layouts::require_any_ours(&directory)?;
        Ok(Self {
            dir: directory.dir,
            codec: None,
            max_value_bytes: MAX_VALUE_BYTES,
        })
    }

    /// Reads records in this codec instead of the one that they show.
    #[must_use]
    pub fn with_codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// The size of the largest value that is read into memory, 1 GiB by default: a length on
    /// disk may be wrong, and a sparse file of any size takes no room. A record with a larger
    /// value is reported as [`ReadError::ValueTooLarge`]. Units: bytes.
    #[must_use]
    pub fn with_max_value_bytes(mut self, bytes: u64) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// A record with its value, if that is not too large.
    pub(crate) fn record(&self, view: &RecordView<'_>) -> Result<Read> {
        let (bytes, max) = (view.value.len(), self.max_value_bytes);
        if bytes > max {
            let offset = view.offset;
            return Ok(Err(ReadError::ValueTooLarge { offset, bytes, max }));
        }
        Ok(Ok(Record {
            offset: view.offset,
            segment: view.segment,
            position: view.position,
            value: view.value.to_vec()?,
            term: view.term,
            kind: view.record_type,
        }))
    }

    /// The directory as it is now.
    pub(crate) fn log(&self) -> Result<LogReader> {
        let mut log = LogReader::open_in(&self.dir)?;
        if let Some(codec) = self.codec {
            log.set_codec(codec);
        }
        Ok(log)
    }

    pub(crate) fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// The offsets of the log: of its first record and after its last one. Reads the directory
    /// and the end of the last index.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Unreadable`], [`Error::Shrunk`].
    pub fn read_offsets(&self) -> Result<std::ops::Range<Offset>> {
        let mut log = self.log()?;
        Ok(log.lowest_offset()..log.next_offset()?)
    }

    /// One record; `None` if no segment has the offset.
    ///
    /// # Errors
    ///
    /// [`ReadError::Obstacle`] if the record is damaged or if it is not certain which record
    /// has the offset; [`ReadError::ValueTooLarge`]; [`ReadError::Stopped`].
    pub fn get(&self, offset: Offset) -> std::result::Result<Option<Record>, ReadError> {
        let mut found = None;
        let _ = self.log()?.lookup::<ReadError>(offset, |item| {
            found = match item {
                Item::Record(record) => Some(self.record(record)??),
                Item::Obstacle {
                    obstacle: Obstacle::Gap,
                    ..
                } => None,
                Item::Obstacle {
                    obstacle,
                    first,
                    last,
                } => return Err(ReadError::obstacle(obstacle, first, last)),
            };
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// The records of a range that are in the log at the first call of `next`. Nothing is read
    /// before.
    ///
    /// The iterator reports damage, gaps and overlaps as [`ReadError::Obstacle`] in the place
    /// of the records, and continues after them; and a value that is too large as
    /// [`ReadError::ValueTooLarge`].
    pub fn records(&self, range: impl RangeBounds<Offset>) -> Records {
        let (from, end) = bounds(&range);
        Records {
            reader: self.clone(),
            log: None,
            from,
            end,
            front: Block::default(),
            back: Block::default(),
            told: [None, None],
        }
    }
}

pub(crate) fn bounds(range: &impl RangeBounds<Offset>) -> (Offset, Offset) {
    let from = match range.start_bound() {
        Bound::Included(first) => *first,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => Offset(0),
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => Offset::MAX,
    };
    (from, end)
}

/// A record, or what is in its place.
pub(crate) type Read = std::result::Result<Record, ReadError>;

/// What was read, until it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Block {
    items: VecDeque<Read>,
    bytes: usize,
}

impl Block {
    pub fn pop(&mut self) -> Option<Read> {
        let item = self.items.pop_front();
        self.taken(item)
    }

    fn pop_last(&mut self) -> Option<Read> {
        let item = self.items.pop_back();
        self.taken(item)
    }

    fn taken(&mut self, item: Option<Read>) -> Option<Read> {
        if let Some(Ok(record)) = &item {
            self.bytes -= record.value.len();
        }
        item
    }

    pub fn push(&mut self, item: Read) {
        if let Ok(record) = &item {
            self.bytes += record.value.len();
        }
        self.items.push_back(item);
    }

    pub fn is_full(&self) -> bool {
        self.items.len() >= BLOCK_RECORDS || self.bytes >= BLOCK_BYTES
    }
}

/// The iterator of [`Reader::records`].
#[derive(Debug)]
pub struct Records {
    reader: Reader,
    /// The log as it was at the first call.
    log: Option<LogReader>,
    /// Offsets that were not read yet.
    from: Offset,
    end: Offset,
    /// What was read from the beginning of the range, in its order.
    front: Block,
    /// What was read from its end, the last one first.
    back: Block,
    /// The obstacle before records that was reported last on each side, and the end of its
    /// range that does not move: it is met again with the next block.
    told: [Option<(Obstacle, Option<Offset>)>; 2],
}

impl Records {
    /// Reads the next block of one side. After an error there is nothing more.
    fn read(&mut self, backwards: bool) {
        if self.from >= self.end {
            return;
        }
        if let Err(error) = self.try_read(backwards) {
            self.end = self.from;
            self.side(backwards).push(Err(error));
        }
    }

    fn side(&mut self, backwards: bool) -> &mut Block {
        if backwards {
            &mut self.back
        } else {
            &mut self.front
        }
    }

    fn try_read(&mut self, backwards: bool) -> std::result::Result<(), ReadError> {
        let mut log = if let Some(log) = self.log.take() {
            log
        } else {
            let mut log = self.reader.log()?;
            self.from = self.from.max(log.lowest_offset());
            self.end = self.end.min(log.claimed_end()?);
            log
        };
        let (mut from, mut end) = (self.from, self.end);
        let reader = &self.reader;
        let (block, told) = match (backwards, &mut self.told) {
            (false, [told, _]) => (&mut self.front, told),
            (true, [_, told]) => (&mut self.back, told),
        };
        let take = |item: Item<'_>| {
            match item {
                Item::Record(record) => {
                    if backwards {
                        end = record.offset;
                    } else {
                        from = record.offset.saturating_add(1);
                    }
                    block.push(reader.record(record)?);
                }
                Item::Obstacle {
                    obstacle,
                    first,
                    last,
                } => {
                    if obstacle.is_followed_by_records() {
                        let this =
                            Some((obstacle.clone(), if backwards { Some(first) } else { last }));
                        if *told == this {
                            return Ok(ControlFlow::Continue(()));
                        }
                        *told = this;
                    } else if backwards {
                        end = first;
                    } else {
                        from = last.map_or(end, |last| last.saturating_add(1));
                    }
                    block.push(Err(ReadError::obstacle(obstacle, first, last)));
                }
            }
            Ok::<_, ReadError>(if block.is_full() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        };
        let flow = if backwards {
            log.read_reverse(self.from, self.end, take)
        } else {
            log.read(self.from, self.end, take)
        };
        let is_complete = flow?.is_continue();
        self.log = Some(log);
        (self.from, self.end) = if is_complete { (end, end) } else { (from, end) };
        Ok(())
    }
}

impl Iterator for Records {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        if self.front.items.is_empty() {
            self.read(false);
        }
        self.front.pop().or_else(|| self.back.pop_last())
    }
}

impl DoubleEndedIterator for Records {
    fn next_back(&mut self) -> Option<Read> {
        if self.back.items.is_empty() {
            self.read(true);
        }
        self.back.pop().or_else(|| self.front.pop_last())
    }
}

impl FusedIterator for Records {}
