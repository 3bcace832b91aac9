//! Reading a whole log by offset, across segments, without changing or locking
//! anything. What stands in the way (damage, gaps, forks) is handed over as it is
//! met; whether to stop there is for the caller.

use std::ops::{ControlFlow, Range};
use std::path::Path;

use super::damage::{Damage, DamageKind};
use super::detect::detect;
use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::format::{FileKind, LENGTH_BYTES};
use super::record::{Codec, Layout};
use super::segment::{Segment, is_absent};
use super::units::{Offset, Position};
use super::walk::{Committed, Flow, Visitor};
use super::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};

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
        let mut last = None;
        for (number, names) in self.directory.segments.iter().enumerate().rev() {
            // Before the last segment that is whole, only a fork's older side matters.
            if last.is_some_and(|last| number + FORK_SEGMENTS < last) {
                break;
            }
            if last.is_some() && !self.reaches(names, ends.1)? {
                continue;
            }
            match Segment::open(&self.directory, names) {
                Ok(segment) => {
                    let entries = segment.count_entries()?;
                    let whole = segment.sound_entries(codec, entries)?;
                    ends.0 = ends.0.max(names.base.saturating_add(whole));
                    ends.1 = ends.1.max(names.base.saturating_add(entries));
                    last = last.or(Some(number));
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
        let newest = at;
        let at = self.earliest_reaching(newest, offset)?;
        for newer in (at + 1..=newest).rev() {
            if let Some(names) = self.directory.segments.get(newer)
                && self.reaches(names, offset)?
            {
                let fork = Item::Obstacle {
                    obstacle: Obstacle::Overlap { newer: names.base },
                    first: offset,
                    last: Some(offset),
                };
                if each(fork)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                break;
            }
        }
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
            let later = segments.get(number + 1..).unwrap_or_default();
            let forked = self.claimed_twice(later, wanted, segment_end)?;
            let sole_end = forked.as_ref().map_or(segment_end, |(_, it)| it.start);
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
            if let Some((newer, doubled)) = forked {
                let fork = Item::Obstacle {
                    obstacle: Obstacle::Overlap { newer },
                    first: doubled.start,
                    last: Some(Offset(doubled.end.0 - 1)),
                };
                if each(fork)?.is_break() || walk(doubled.start, segment_end, &mut each)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
            wanted = wanted.max(segment_end);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Which of the offsets from `wanted` up to `end`, an older segment's, later ones
    /// claim too, and the base of the first that does.
    fn claimed_twice(
        &self,
        later: &[SegmentNames],
        wanted: Offset,
        end: Offset,
    ) -> Result<Option<(Offset, Range<Offset>)>> {
        let mut twice: Option<(Offset, Range<Offset>)> = None;
        for names in later.iter().take_while(|names| names.base < end) {
            let segment = match Segment::open(&self.directory, names) {
                Ok(segment) => segment,
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(error),
            };
            let start = names.base.max(wanted);
            let claimed = names.base.saturating_add(segment.count_entries()?).min(end);
            if claimed <= start {
                continue;
            }
            let (_, doubled) = twice.get_or_insert((names.base, start..claimed));
            doubled.end = doubled.end.max(claimed);
        }
        Ok(twice)
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
    /// A record whose payload is not in memory.
    #[cold]
    fn large_record(&mut self, record: &Committed<'_>) -> Flow {
        let start = record.position.0 + LENGTH_BYTES;
        let file = |range: Range<u64>| {
            Content::File(
                self.segment.store.clone(),
                start + range.start,
                range.end - range.start,
            )
        };
        let layout = record.layout.clone().unwrap_or(Layout {
            value: 0..record.payload_bytes,
            ..Layout::default()
        });
        let view = RecordView {
            offset: self.segment.base.saturating_add(record.slot),
            segment: self.segment.base,
            position: record.position,
            value: file(layout.value),
            payload: file(0..record.payload_bytes),
            term: layout.term,
            record_type: layout.record_type,
        };
        self.hand(Item::Record(&view))
    }

    #[inline]
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
        let (Some(payload), layout) = (record.payload, &record.layout) else {
            return Ok(self.large_record(record));
        };
        let (value, term, record_type) = match layout {
            None => (payload, 0, 0),
            Some(layout) => {
                let range = usize::try_from(layout.value.start).unwrap_or(usize::MAX)
                    ..usize::try_from(layout.value.end).unwrap_or(usize::MAX);
                let value = payload.get(range).unwrap_or_default();
                (value, layout.term, layout.record_type)
            }
        };
        let view = RecordView {
            offset: self.segment.base.saturating_add(record.slot),
            segment: self.segment.base,
            position: record.position,
            value: Content::Memory(value),
            payload: Content::Memory(payload),
            term,
            record_type,
        };
        Ok(self.hand(Item::Record(&view)))
    }

    fn dead_bytes(&mut self, _: u64, _: Position, _: u64) -> Result<Flow> {
        Ok(ControlFlow::Continue(()))
    }

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        let base = self.segment.base;
        let (mut first, mut last) = (damage.first_slot, damage.last_slot);
        // Entries off their boundaries claim slots that may stand before their place.
        if damage.kind != DamageKind::Misaligned {
            if last < self.first_slot || first >= self.end_slot {
                return Ok(ControlFlow::Continue(()));
            }
            first = first.max(self.first_slot);
            last = last.min(self.end_slot - 1);
        }
        let first = base.saturating_add(first);
        let last = base.saturating_add(last);
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
