//! Reading a log by offset, across segments, without changing or locking anything.
//! What is in the way (damage, gaps, forks) is handed over as it is met; whether to stop
//! there is for the caller.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use super::detect::detect;
use super::dir::Dir;
use super::directory::{Directory, SegmentNames};
use super::error::{Error, Result};
use super::format::{ENTRY_BYTES, FileKind};
pub use super::items::{Content, FILL, Item, Obstacle, RecordView, Taker};
use super::items::{Each, first_sound, last_sound, walk_segment};
use super::opened::{Opened, ours};
use super::record::Codec;
use super::segment::{Segment, hides_segment};
use super::units::Offset;
use super::walk::Flow;
use super::window::{ReadFile, STREAM_BYTES};

/// Earlier segments in which the older side of a fork is searched for: a bound, so that
/// one lookup does not inspect every file of a large log.
const FORK_SEGMENTS: usize = 64;

/// The sizes of indexes, as they were when they were first asked for.
pub(super) type IndexSizes = HashMap<Offset, u64>;

/// A log that is open for reading, as it was when it was opened.
#[derive(Debug)]
pub struct LogReader {
    directory: Directory,
    codec: Option<Codec>,
    /// After the last committed record, and after the last claimed one.
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
        Self::of(Directory::list(path)?)
    }

    /// Opens the log in a directory that is open.
    ///
    /// # Errors
    ///
    /// As [`LogReader::open`].
    pub fn open_in(dir: &Dir) -> Result<Self> {
        Self::of(Directory::list_in(dir)?)
    }

    fn of(directory: Directory) -> Result<Self> {
        directory.require_log()?;
        Ok(Self {
            directory,
            codec: None,
            ends: None,
        })
    }

    /// Lists the directory again. The codec and the log's end stay as they were.
    ///
    /// # Errors
    ///
    /// As [`LogReader::open`].
    pub fn list_again(&mut self) -> Result<()> {
        let directory = Directory::list_in(&self.directory.dir)?;
        directory.require_log()?;
        self.directory = directory;
        Ok(())
    }

    /// The names in the log's directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Sets the codec instead of detecting it.
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
        // A log that shows no codec now may show one when a writer's buffer is written.
        self.codec = detect(&self.directory)?;
        Ok(self.codec.unwrap_or(Codec::Raw))
    }

    /// The base of the first segment.
    #[must_use]
    pub fn lowest_offset(&self) -> Offset {
        self.directory
            .segments
            .first()
            .map_or(Offset(0), |segment| segment.base)
    }

    /// The offset after the last committed record, as of the first call.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Unreadable`], [`Error::Shrunk`].
    pub fn next_offset(&mut self) -> Result<Offset> {
        Ok(self.ends()?.0)
    }

    /// The offset after the last one that an entry claims, whether or not the store holds
    /// its record: as [`LogReader::next_offset`], or above it after a crash.
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
        let (mut last, mut sizes) = (None, IndexSizes::new());
        for (number, names) in self.directory.segments.iter().enumerate().rev() {
            // Before the last segment that is intact, only a fork's older side matters.
            if last.is_some_and(|last| number + FORK_SEGMENTS < last) {
                break;
            }
            if last.is_some() && !self.reaches(names, codec, ends.0, &mut sizes)? {
                continue;
            }
            match Opened::open(&self.directory, names, codec) {
                Ok(opened) => {
                    let whole = opened.segment.sound_entries(codec, opened.entries)?;
                    ends.0 = ends.0.max(names.base.saturating_add(whole));
                    // After another segment what is lost is a gap.
                    let claimed = if number + 1 == self.directory.segments.len() {
                        opened.claimed()
                    } else {
                        opened.entries
                    };
                    ends.1 = ends.1.max(names.base.saturating_add(claimed));
                    last = last.or(Some(number));
                }
                Err(error) if hides_segment(&error) => {
                    // How many it has is unknown: one at least.
                    if number + 1 == self.directory.segments.len() && self.is_filled(names) {
                        ends.1 = ends.1.max(names.base.saturating_add(1));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if self.codec.is_none() && ends.0 > lowest && self.codec()? != codec {
            return self.ends();
        }
        // Records up to here are read in one way, whatever comes.
        self.codec = Some(codec);
        self.ends = Some(ends);
        Ok(ends)
    }

    /// Whether a file of the segment has any bytes.
    fn is_filled(&self, names: &SegmentNames) -> bool {
        [FileKind::Store, FileKind::Index].into_iter().any(|kind| {
            let status = self.directory.file(names, kind).metadata();
            status.is_ok_and(|status| status.len() > 0)
        })
    }

    /// Whether an older segment holds valid records at `offset` or after it; decided by
    /// its size alone where possible. Invalid bytes at its end hide nothing.
    pub(super) fn reaches(
        &self,
        names: &SegmentNames,
        codec: Codec,
        offset: Offset,
        sizes: &mut IndexSizes,
    ) -> Result<bool> {
        let slot = offset.since(names.base);
        let size = || {
            let path = self.directory.file(names, FileKind::Index);
            path.metadata().map_or(0, |metadata| metadata.len())
        };
        if *sizes.entry(names.base).or_insert_with(size) / ENTRY_BYTES <= slot {
            return Ok(false);
        }
        match Segment::open(&self.directory, names).and_then(ours) {
            Ok(segment) => {
                let entries = segment.entries_for(slot, codec)?;
                let holds = |segment: &Segment, entries| -> Result<bool> {
                    Ok(slot < entries
                        && first_sound(segment, codec, entries, slot..entries)?.is_some())
                };
                if holds(&segment, entries)? {
                    return Ok(true);
                }
                // By the index that it is read by, which may be another one.
                let opened = Opened::open(&self.directory, names, codec)?;
                holds(&opened.segment, opened.entries)
            }
            Err(error) if hides_segment(&error) => Ok(false),
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
        each: impl FnMut(Item<'_>) -> std::result::Result<Flow, E>,
    ) -> std::result::Result<Flow, E> {
        self.read_to(from, end, &mut Each(each))
    }

    /// The same for a taker that takes bare values where nothing else matters.
    ///
    /// # Errors
    ///
    /// The taker's, and reading's.
    pub fn read_to<E: From<Error>>(
        &mut self,
        from: Offset,
        end: Offset,
        taker: &mut impl Taker<E>,
    ) -> std::result::Result<Flow, E> {
        let codec = self.codec()?;
        let first = self.directory.segment_of(from).unwrap_or(0);
        // A fork may have the older history in an earlier segment.
        let first = self.earliest_reaching(first, codec, from, &mut IndexSizes::new())?;
        let mut wanted = from;
        let segments = self.directory.segments.get(first..).unwrap_or_default();
        for (number, names) in segments.iter().enumerate() {
            if wanted >= end {
                break;
            }
            if names.base > wanted {
                let gap = Item::Obstacle {
                    obstacle: Obstacle::Gap,
                    first: wanted,
                    last: Some(Offset(names.base.min(end).0 - 1)),
                };
                if taker.item(gap)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                wanted = names.base;
                if wanted >= end {
                    break;
                }
            }
            let next_base = segments.get(number + 1).map(|next| next.base);
            let opened = match Opened::open(&self.directory, names, codec) {
                Ok(opened) => opened,
                Err(error) if hides_segment(&error) => {
                    let last = next_base.map(|next| Offset(next.min(end).0 - 1));
                    let hidden = hidden(&self.directory, names, error, (wanted, last));
                    if taker.item(hidden)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    wanted = next_base.unwrap_or(end);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let entries = opened.entries;
            let mut segment_end = names.base.saturating_add(entries).min(end);
            if let Some(newer) = next_base.filter(|next| *next < segment_end) {
                // Invalid bytes at its end hide nothing of the newer one.
                let from = newer.since(names.base);
                let sound = last_sound(&opened.segment, codec, entries, from..entries)?;
                let sound_slots = sound.map_or(from, |slot| slot + 1);
                segment_end = segment_end.min(names.base.saturating_add(sound_slots));
            }
            let later = segments.get(number + 1..).unwrap_or_default();
            let forked = self.claimed_twice(later, codec, wanted, segment_end)?;
            let sole_end = forked.as_ref().map_or(segment_end, |(_, it)| it.start);
            // Records without entries are reported before they are delivered.
            let walk_known = |from: Offset, to: Offset, taker: &mut _| {
                if from >= to {
                    return Ok(ControlFlow::Continue(()));
                }
                let walk = opened.walk(codec, from.since(names.base), STREAM_BYTES)?;
                walk_segment(&opened.segment, walk, (from, Offset(to.0 - 1)), taker)
            };
            let walk = |from: Offset, to: Offset, taker: &mut _| {
                let mut at = from;
                for it in &opened.told {
                    let offset = |slot| names.base.saturating_add(slot);
                    let (first, last) = (offset(it.first).max(from), offset(it.last));
                    if first >= to || last < from {
                        continue;
                    }
                    if walk_known(at, first, taker)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    let range = (first, last.min(Offset(to.0 - 1)));
                    let item = told_item(names, it.is_contested, range);
                    if Taker::<E>::item(taker, item)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    at = first;
                }
                walk_known(at, to, taker)
            };
            if walk(wanted, sole_end, taker)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if let Some((newer, doubled)) = forked {
                let fork = Item::Obstacle {
                    obstacle: Obstacle::Overlap { newer },
                    first: doubled.start,
                    last: Some(Offset(doubled.end.0 - 1)),
                };
                if taker.item(fork)?.is_break()
                    || walk(doubled.start, segment_end, taker)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
            wanted = wanted.max(segment_end);
            let lost = opened.lost_in(wanted, end).filter(|_| next_base.is_none());
            if let Some(lost) = lost
                && taker.item(lost)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Which of the offsets from `wanted` up to `end`, an older segment's, later ones
    /// claim too, and the base of the first that does.
    fn claimed_twice(
        &self,
        later: &[SegmentNames],
        codec: Codec,
        wanted: Offset,
        end: Offset,
    ) -> Result<Option<(Offset, Range<Offset>)>> {
        let mut twice: Option<(Offset, Range<Offset>)> = None;
        for names in later.iter().take_while(|names| names.base < end) {
            let segment = match Segment::open_fixed(&self.directory, names, codec).and_then(ours) {
                Ok(segment) => segment,
                Err(error) if hides_segment(&error) => continue,
                Err(error) => return Err(error),
            };
            let start = names.base.max(wanted);
            let claimed = names
                .base
                .saturating_add(segment.count_entries(Some(codec))?)
                .min(end);
            if claimed <= start {
                continue;
            }
            let (_, doubled) = twice.get_or_insert((names.base, start..claimed));
            doubled.end = doubled.end.max(claimed);
        }
        Ok(twice)
    }

    /// The first segment, at or before `at`, that claims `offset` too.
    pub(super) fn earliest_reaching(
        &self,
        at: usize,
        codec: Codec,
        offset: Offset,
        sizes: &mut IndexSizes,
    ) -> Result<usize> {
        let earlier = self.directory.segments.iter().enumerate().take(at);
        for (number, names) in earlier.skip(at.saturating_sub(FORK_SEGMENTS)) {
            if self.reaches(names, codec, offset, sizes)? {
                return Ok(number);
            }
        }
        Ok(at)
    }
}

/// Reported before records that the index does not name, or that two sides of a fork
/// have.
pub(super) fn told_item<'a>(
    names: &SegmentNames,
    is_contested: bool,
    (first, last): (Offset, Offset),
) -> Item<'a> {
    let segment = names.base;
    Item::Obstacle {
        obstacle: if is_contested {
            Obstacle::Contested { segment }
        } else {
            Obstacle::Unindexed {
                segment,
                missing: !names.has(FileKind::Index),
            }
        },
        first,
        last: Some(last),
    }
}

/// Reported in place of a segment that cannot be read, because of `error`.
pub(super) fn hidden<'a>(
    directory: &Directory,
    names: &SegmentNames,
    error: Error,
    (first, last): (Offset, Option<Offset>),
) -> Item<'a> {
    let segment = names.base;
    let store = directory.file(names, FileKind::Store);
    let obstacle = match error {
        Error::ForeignLayout { layout, .. } => Obstacle::Foreign { segment, layout },
        _ if ReadFile::open(&store).is_err() => Obstacle::Unpaired {
            segment,
            missing: FileKind::Store,
        },
        _ => Obstacle::Unpaired {
            segment,
            missing: FileKind::Index,
        },
    };
    Item::Obstacle {
        obstacle,
        first,
        last,
    }
}
