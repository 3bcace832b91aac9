//! Reading a whole log by offset, across segments, without changing or locking
//! anything. What stands in the way (damage, gaps, forks) is handed over as it is
//! met; whether to stop there is for the caller.

use std::ops::ControlFlow;
use std::path::Path;

use super::damage::Damage;
use super::detect::detect;
use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::format::{FileKind, LENGTH_BYTES};
use super::record::{Codec, Layout};
use super::segment::{Segment, is_absent};
use super::units::{Offset, Position};
use super::walk::{Committed, Flow, Visitor};
use super::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};

/// Slots that are walked along at once when reading backwards.
const REVERSE_BLOCK: u64 = 4096;

/// Earlier segments in which the older side of a fork is looked for: a bound, so that
/// one lookup does not look at every file of a large log.
const FORK_SEGMENTS: usize = 64;

/// Bytes of a record: in memory, or where they stand if they are too many.
#[derive(Debug, Clone)]
pub enum Content<'a> {
    /// The bytes.
    Memory(&'a [u8]),
    /// The file that holds them, where they begin, and how many they are.
    File(ReadFile, u64, u64),
}

impl Content<'_> {
    /// How many bytes they are.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, _, bytes) => *bytes,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands over all bytes, in pieces of bounded size.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn pieces<E: From<Error>>(
        &self,
        mut piece: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        match self {
            Self::Memory(bytes) => piece(bytes),
            Self::File(file, start, bytes) => {
                let mut window = Window::new(file.clone(), STREAM_BYTES);
                let mut at = 0;
                while at < *bytes {
                    let count = (*bytes - at).min(STREAM_BYTES as u64);
                    let count_here = usize::try_from(count).unwrap_or(STREAM_BYTES);
                    piece(window.bytes(start + at, count_here)?)?;
                    at += count;
                }
                Ok(())
            }
        }
    }
}

/// One record as a reader gets it.
#[derive(Debug, Clone)]
pub struct RecordView<'a> {
    /// The record's number in the log.
    pub offset: Offset,
    /// The base offset of its segment.
    pub segment: Offset,
    /// Where its frame begins in the store.
    pub position: Position,
    /// What was appended.
    pub value: Content<'a>,
    /// The frame's payload: in a protobuf log the encoded message.
    pub payload: Content<'a>,
    /// The Raft term, in a protobuf log.
    pub term: u64,
    /// The Raft type, in a protobuf log.
    pub record_type: u32,
}

/// Something that stands in the way of a reader.
#[derive(Debug, Clone)]
pub enum Obstacle {
    /// Entries or frames of one segment that are not sound.
    Damage {
        /// The segment's base offset.
        segment: Offset,
        /// What is wrong.
        damage: Damage,
    },
    /// Offsets that stand in no segment.
    Gap,
    /// Offsets that two segments claim; the older one's come next.
    Overlap {
        /// The base of the segment that claims them too.
        newer: Offset,
    },
    /// A segment of which one file is missing or no regular file.
    Unpaired {
        /// The segment's base offset.
        segment: Offset,
        /// The half that is missing.
        missing: FileKind,
    },
}

/// What a reader comes by, in the order of the log.
#[derive(Debug)]
pub enum Item<'a> {
    /// A committed record.
    Record(&'a RecordView<'a>),
    /// Offsets `first..=last` cannot be had; `last` is `None` where nobody knows.
    Obstacle {
        /// What stands in the way.
        obstacle: Obstacle,
        /// The first offset concerned.
        first: Offset,
        /// The last offset concerned.
        last: Option<Offset>,
    },
}

/// A log that is open for reading, as it was when it was opened.
#[derive(Debug)]
pub struct LogReader {
    directory: Directory,
    codec: Option<Codec>,
    /// Behind the last committed record, and behind the last claimed one.
    ends: Option<(Offset, Offset)>,
}

impl LogReader {
    /// Opens the log in `path`. Opens no segment until one is needed.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirectory`], [`Error::NotADirectory`], [`Error::NotALog`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use proglog::log::reader::{Item, LogReader};
    /// use proglog::log::units::Offset;
    ///
    /// let mut log = LogReader::open("data".as_ref())?;
    /// let end = log.next_offset()?;
    /// log.read(Offset(0), end, |item| {
    ///     if let Item::Record(record) = item {
    ///         println!("{} has {} bytes", record.offset, record.value.len());
    ///     }
    ///     Ok::<_, proglog::log::error::Error>(std::ops::ControlFlow::Continue(()))
    /// })?;
    /// # Ok::<(), proglog::log::error::Error>(())
    /// ```
    pub fn open(path: &Path) -> Result<Self> {
        let directory = Directory::list(path)?;
        directory.require_log()?;
        Ok(Self {
            directory,
            codec: None,
            ends: None,
        })
    }

    /// The names in the log's directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Says which codec the log has instead of looking.
    pub fn set_codec(&mut self, codec: Codec) {
        self.codec = Some(codec);
    }

    /// The log's codec; raw where no record shows it.
    ///
    /// # Errors
    ///
    /// As [`detect`].
    pub fn codec(&mut self) -> Result<Codec> {
        if let Some(codec) = self.codec {
            return Ok(codec);
        }
        let codec = detect(&self.directory)?.unwrap_or(Codec::Raw);
        self.codec = Some(codec);
        Ok(codec)
    }

    /// The base of the first segment.
    #[must_use]
    pub fn lowest_offset(&self) -> Offset {
        self.directory
            .segments
            .first()
            .map_or(Offset(0), |segment| segment.base)
    }

    /// The offset behind the last committed record, as of the first call.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Unreadable`], [`Error::Shrunk`].
    pub fn next_offset(&mut self) -> Result<Offset> {
        Ok(self.ends()?.0)
    }

    /// The offset behind the last one that an entry claims, whether or not the store
    /// holds its record: as [`LogReader::next_offset`], or above it after a crash.
    ///
    /// # Errors
    ///
    /// As [`LogReader::next_offset`].
    pub fn claimed_end(&mut self) -> Result<Offset> {
        Ok(self.ends()?.1)
    }

    fn ends(&mut self) -> Result<(Offset, Offset)> {
        if let Some(ends) = self.ends {
            return Ok(ends);
        }
        let codec = self.codec()?;
        let lowest = self.lowest_offset();
        let mut ends = (lowest, lowest);
        for names in self.directory.segments.iter().rev() {
            match Segment::open(&self.directory, names) {
                Ok(segment) => {
                    let entries = segment.count_entries()?;
                    let whole = segment.sound_entries(codec, entries)?;
                    ends = (
                        names.base.saturating_add(whole),
                        names.base.saturating_add(entries),
                    );
                    break;
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.ends = Some(ends);
        Ok(ends)
    }

    /// The one record at `offset`, without a look at any other segment. Hands over
    /// nothing where no entry claims the offset.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn lookup<E: From<Error>>(
        &mut self,
        offset: Offset,
        mut each: impl FnMut(Item<'_>) -> std::result::Result<Flow, E>,
    ) -> std::result::Result<Flow, E> {
        let codec = self.codec()?;
        let Some(at) = self.directory.segment_of(offset) else {
            return Ok(ControlFlow::Continue(()));
        };
        // In a fork the older segment's record is the one that was there first.
        let at = self.earliest_reaching(at, offset)?;
        if let Some(names) = self.directory.segments.get(at) {
            let segment = match Segment::open(&self.directory, names) {
                Ok(segment) => segment,
                Err(error) if is_absent(&error) => {
                    return each(unpaired(&self.directory, names, offset, Some(offset)));
                }
                Err(error) => return Err(error.into()),
            };
            let slot = offset.since(names.base);
            let entries = segment.bisect_entries()?;
            if slot >= entries {
                return Ok(ControlFlow::Continue(()));
            }
            let wanted = (offset, Some(offset));
            return walk_segment(&segment, codec, entries, wanted, LOOKUP_BYTES, &mut each);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether an older segment's entries reach to `offset`; told by its size alone
    /// where that is enough.
    fn reaches(&self, names: &SegmentNames, offset: Offset) -> Result<bool> {
        let path = self.directory.file(names, FileKind::Index);
        let slot = offset.since(names.base);
        let Ok(metadata) = std::fs::metadata(&path) else {
            return Ok(false);
        };
        if metadata.len() / super::format::ENTRY_BYTES <= slot {
            return Ok(false);
        }
        match Segment::open(&self.directory, names) {
            Ok(segment) => Ok(slot < segment.bisect_entries()?),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hands over everything from `from` up to `end` (excluded), in order.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn read<E: From<Error>>(
        &mut self,
        from: Offset,
        end: Offset,
        mut each: impl FnMut(Item<'_>) -> std::result::Result<Flow, E>,
    ) -> std::result::Result<Flow, E> {
        let codec = self.codec()?;
        let first = self.directory.segment_of(from).unwrap_or(0);
        // A fork may have the older history in an earlier segment.
        let first = self.earliest_reaching(first, from)?;
        let mut wanted = from;
        let segments = self.directory.segments.get(first..).unwrap_or_default();
        for (number, names) in segments.iter().enumerate() {
            if wanted >= end {
                break;
            }
            if names.base > wanted {
                let last = Offset(names.base.min(end).0 - 1);
                let gap = Item::Obstacle {
                    obstacle: Obstacle::Gap,
                    first: wanted,
                    last: Some(last),
                };
                if each(gap)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                wanted = names.base;
                if wanted >= end {
                    break;
                }
            }
            let next_base = segments.get(number + 1).map(|next| next.base);
            let segment = match Segment::open(&self.directory, names) {
                Ok(segment) => segment,
                Err(error) if is_absent(&error) => {
                    let last = next_base.map(|next| Offset(next.min(end).0 - 1));
                    if each(unpaired(&self.directory, names, wanted, last))?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    wanted = next_base.unwrap_or(end);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let entries = segment.count_entries()?;
            let segment_end = names.base.saturating_add(entries).min(end);
            let forked = next_base.filter(|next| *next < segment_end);
            let sole_end = forked.unwrap_or(segment_end);
            let walk = |from: Offset, to: Offset, each: &mut _| {
                if from >= to {
                    return Ok(ControlFlow::Continue(()));
                }
                let range = (from, Some(Offset(to.0 - 1)));
                walk_segment(&segment, codec, entries, range, STREAM_BYTES, each)
            };
            if walk(wanted, sole_end, &mut each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if let Some(newer) = forked.filter(|newer| wanted.max(*newer) < segment_end) {
                let fork = Item::Obstacle {
                    obstacle: Obstacle::Overlap { newer },
                    first: wanted.max(newer),
                    last: Some(Offset(segment_end.0 - 1)),
                };
                let older = wanted.max(newer);
                if each(fork)?.is_break() || walk(older, segment_end, &mut each)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            wanted = wanted.max(segment_end);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The same, backwards. Obstacles come where they are met from behind.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn read_reverse<E: From<Error>>(
        &mut self,
        from: Offset,
        end: Offset,
        mut each: impl FnMut(Item<'_>) -> std::result::Result<Flow, E>,
    ) -> std::result::Result<Flow, E> {
        let mut high = end;
        while high > from {
            let low = self.block_before(high).max(from);
            let mut positions = Vec::new();
            // Forwards first, to judge each slot as every other reader does.
            let _ = self.read::<E>(low, high, |item| {
                positions.push(match item {
                    Item::Record(record) => Backwards::Record(record.offset),
                    Item::Obstacle {
                        obstacle,
                        first,
                        last,
                    } => Backwards::Obstacle(obstacle, first, last),
                });
                Ok(ControlFlow::Continue(()))
            })?;
            for item in positions.into_iter().rev() {
                let flow = match item {
                    Backwards::Record(offset) => self.lookup(offset, &mut each)?,
                    Backwards::Obstacle(obstacle, first, last) => each(Item::Obstacle {
                        obstacle,
                        first,
                        last,
                    })?,
                };
                if flow.is_break() {
                    return Ok(flow);
                }
            }
            high = low;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Where a block begins that ends before `high` and lies in one segment, or in
    /// the gap behind one.
    fn block_before(&self, high: Offset) -> Offset {
        let last = Offset(high.0.saturating_sub(1));
        let base = self
            .directory
            .segment_of(last)
            .and_then(|at| self.directory.segments.get(at))
            .map_or(Offset(0), |names| names.base);
        Offset(high.0.saturating_sub(REVERSE_BLOCK)).max(base)
    }

    /// The first segment, at or before `at`, that claims `offset` too.
    fn earliest_reaching(&self, at: usize, offset: Offset) -> Result<usize> {
        let earlier = self.directory.segments.iter().enumerate().take(at);
        for (number, names) in earlier.skip(at.saturating_sub(FORK_SEGMENTS)) {
            if self.reaches(names, offset)? {
                return Ok(number);
            }
        }
        Ok(at)
    }
}

/// An item that is kept until its turn comes from behind.
enum Backwards {
    Record(Offset),
    Obstacle(Obstacle, Offset, Option<Offset>),
}

fn unpaired<'a>(
    directory: &Directory,
    names: &SegmentNames,
    first: Offset,
    last: Option<Offset>,
) -> Item<'a> {
    let store = directory.file(names, FileKind::Store);
    let missing = if names.store.is_none() || !store.is_file() {
        FileKind::Store
    } else {
        FileKind::Index
    };
    Item::Obstacle {
        obstacle: Obstacle::Unpaired {
            segment: names.base,
            missing,
        },
        first,
        last,
    }
}

/// Walks along the part of one segment that is asked for: first and last offset.
fn walk_segment<E: From<Error>>(
    segment: &Segment,
    codec: Codec,
    entries: u64,
    (first, last): (Offset, Option<Offset>),
    read_bytes: usize,
    each: &mut impl FnMut(Item<'_>) -> std::result::Result<Flow, E>,
) -> std::result::Result<Flow, E> {
    let first_slot = first.since(segment.base);
    let end_slot = last.map_or(entries, |last| {
        last.since(segment.base).saturating_add(1).min(entries)
    });
    let mut walk = segment.walk(codec, entries, read_bytes);
    walk.seek(first_slot)?;
    let mut adapter = Adapter {
        segment,
        first_slot,
        end_slot,
        each,
        failure: None,
    };
    let flow = walk.run(end_slot, &mut adapter);
    if let Some(failure) = adapter.failure {
        return Err(failure);
    }
    Ok(flow?)
}

/// Makes records of slots.
struct Adapter<'s, F, E> {
    segment: &'s Segment,
    first_slot: u64,
    end_slot: u64,
    each: &'s mut F,
    /// The callback's error, on its way past the walk.
    failure: Option<E>,
}

impl<F, E> Adapter<'_, F, E>
where
    F: FnMut(Item<'_>) -> std::result::Result<Flow, E>,
{
    fn hand(&mut self, item: Item<'_>) -> Flow {
        match (self.each)(item) {
            Ok(flow) => flow,
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl<F, E> Visitor for Adapter<'_, F, E>
where
    F: FnMut(Item<'_>) -> std::result::Result<Flow, E>,
{
    const PAYLOADS: bool = true;

    #[inline]
    fn record(&mut self, record: &Committed<'_>) -> Result<Flow> {
        if record.slot < self.first_slot {
            return Ok(ControlFlow::Continue(()));
        }
        let start = record.position.0 + LENGTH_BYTES;
        let file = |range: std::ops::Range<u64>| {
            Content::File(
                self.segment.store.clone(),
                start + range.start,
                range.end - range.start,
            )
        };
        let payload = match record.payload {
            Some(payload) => Content::Memory(payload),
            None => file(0..record.payload_bytes),
        };
        let Layout {
            value,
            term,
            record_type,
            ..
        } = record.layout.clone().unwrap_or(Layout {
            value: 0..record.payload_bytes,
            ..Layout::default()
        });
        let value = match record.payload {
            Some(payload) => {
                let range = usize::try_from(value.start).unwrap_or(usize::MAX)
                    ..usize::try_from(value.end).unwrap_or(usize::MAX);
                Content::Memory(payload.get(range).unwrap_or_default())
            }
            None => file(value),
        };
        let view = RecordView {
            offset: self.segment.base.saturating_add(record.slot),
            segment: self.segment.base,
            position: record.position,
            value,
            payload,
            term,
            record_type,
        };
        Ok(self.hand(Item::Record(&view)))
    }

    fn dead_bytes(&mut self, _: u64, _: Position, _: u64) -> Result<Flow> {
        Ok(ControlFlow::Continue(()))
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        if damage.last_slot < self.first_slot || damage.first_slot >= self.end_slot {
            return Ok(ControlFlow::Continue(()));
        }
        let base = self.segment.base;
        let first = base.saturating_add(damage.first_slot.max(self.first_slot));
        let last = base.saturating_add(damage.last_slot.min(self.end_slot - 1));
        Ok(self.hand(Item::Obstacle {
            obstacle: Obstacle::Damage {
                segment: base,
                damage,
            },
            first,
            last: Some(last),
        }))
    }
}
