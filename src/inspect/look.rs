//! A look at every segment that is asked for: several at once, each in one thread,
//! except that large ones are divided. What an earlier look told of a segment that
//! nobody changed since is not looked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::accounts;
use super::listing::{FileFacts, Listing, SegmentListing};
use super::report::{Lone, Options, Report, SegmentReport};
use super::run::{FrameSink, Pieces};
use super::tail::{self, TailStart};
use crate::log::error::{Error, Result};
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::index::Index;
use crate::log::live::Count;
use crate::log::record::Codec;
use crate::log::segment::{Segment, is_absent};
use crate::log::threads;
use crate::log::units::{Offset, Position};
use crate::log::window::{LOOKUP_BYTES, ReadFile};
use crate::scan::layouts;

/// What a look has beside the files.
#[derive(Clone, Copy, Default)]
pub struct Aids<'a> {
    /// What takes the frames of stores without index, where these are long.
    pub drafting: Option<&'a dyn Drafting>,
    /// What was seen before.
    pub before: Option<&'a Before<'a>>,
}

/// Somebody who makes entries of frames while they are looked at.
pub trait Drafting: Sync {
    /// What takes the frames of this store, the first of which has slot 0.
    fn begin(&self, base: Offset, store: &ReadFile) -> Option<Arc<dyn FrameSink>>;
}

/// An earlier look at the same log, under a lock that was not let go since.
pub struct Before<'a> {
    /// What it told.
    pub report: &'a Report,
    /// Segments that were changed since.
    pub changed: BTreeSet<Offset>,
    /// Of these, the ones that got an index whose first so many entries name the frames
    /// that were seen, in their order.
    pub drafted: BTreeMap<Offset, u64>,
}

impl Before<'_> {
    /// What was told of a segment that is as it was.
    fn unchanged(&self, look: &Look<'_>, segment: &SegmentListing) -> Option<&SegmentReport> {
        let same =
            self.is_same_look(look, segment.base()) && !self.changed.contains(&segment.base());
        let before = self.report.segment(segment.base()).filter(|_| same)?;
        (*before.listing == *segment).then_some(before)
    }

    /// How many entries of a segment need not be held against its store.
    fn drafted(&self, look: &Look<'_>, segment: &SegmentListing) -> u64 {
        let same = self.is_same_look(look, segment.base());
        let Some(before) = self.report.segment(segment.base()).filter(|_| same) else {
            return 0;
        };
        let slots = self.drafted.get(&segment.base()).copied().unwrap_or(0);
        let holds = |index: &FileFacts| slots <= index.bytes / ENTRY_BYTES;
        let there = segment.index.as_ref().is_some_and(holds);
        let same_store = before.listing.store == segment.store;
        if there && same_store { slots } else { 0 }
    }

    /// Whether both looks judge a segment by the same rules.
    fn is_same_look(&self, look: &Look<'_>, base: Offset) -> bool {
        let (then, now) = (&self.report.options, look.options);
        let is_last = |listing: &Listing| listing.directory.is_last(base);
        self.report.codec == look.codec
            && (then.quick, then.tail_only) == (now.quick, now.tail_only)
            && is_last(&self.report.listing) == is_last(look.listing)
    }
}

/// A look on its way.
pub(super) struct Look<'a> {
    pub listing: &'a Listing,
    pub codec: Option<Codec>,
    pub options: &'a Options,
    pub aids: Aids<'a>,
}

impl Look<'_> {
    /// Looks at every segment that the options ask for.
    ///
    /// # Errors
    ///
    /// Reading's, where it is not damage.
    pub fn at_segments(&self) -> Result<Vec<SegmentReport>> {
        let (listing, options) = (self.listing, self.options);
        let threads = options.threads();
        let wanted = listing
            .segments
            .iter()
            .filter(|segment| options.segment.is_none_or(|base| base == segment.base()))
            .skip(if options.tail_only {
                listing.segments.len().saturating_sub(1)
            } else {
                0
            });
        let mut reports: Vec<SegmentReport> = Vec::with_capacity(wanted.clone().count());
        reports.extend(wanted.map(|segment| SegmentReport::of(Arc::clone(segment))));
        if threads < 2 || reports.len() < threads * 2 {
            for report in &mut reports {
                self.at_segment(report, threads)?;
            }
            return Ok(reports);
        }
        // Dealt out one by one, so that large and small ones even out.
        let next = Mutex::new(reports.iter_mut());
        let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some(report) = take() {
                self.at_segment(report, 1)?;
            }
            Ok(())
        };
        let results = threads::together(threads, work);
        results.into_iter().collect::<Result<()>>()?;
        Ok(reports)
    }

    /// Fills in what a look at the segment shows.
    fn at_segment(&self, report: &mut SegmentReport, threads: usize) -> Result<()> {
        let segment = &Arc::clone(&report.listing);
        let before = self.aids.before;
        if let Some(told) = before.and_then(|before| before.unchanged(self, segment)) {
            *report = told.clone();
            return Ok(());
        }
        let directory = &self.listing.directory;
        let codec = self.codec.unwrap_or(Codec::Raw);
        let path = |kind| directory.file(&segment.names, kind);
        let is_file = |kind| {
            segment
                .file(kind)
                .is_some_and(|file| file.no_file.is_none())
        };
        if segment.is_readable_pair() {
            match Segment::open_listed(directory, &segment.names) {
                Ok(mut pair) => {
                    let quick = self.options.quick;
                    pair.fix(Some(codec), if quick { Count::Bisect } else { Count::All })?;
                    let made = before.map_or(0, |before| before.drafted(self, segment));
                    let next = self.listing.directory.next_base(segment.base());
                    report.take_pair(&pair, codec, next, self.options, threads, made)?;
                }
                // It was there when the directory was listed: somebody trims.
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        } else if is_file(FileKind::Store) {
            let store = ReadFile::open(&path(FileKind::Store))?;
            let lone = self.at_lone_store(segment, &store, threads)?;
            let whole = matches!(&lone, Lone::Store(tail) if tail.is_frames_only());
            if !whole {
                report.layout = layouts::recognise(segment.base(), &store, None)?.map(Box::new);
            }
            if report.layout.is_none() {
                self.judge_lone_store(report, &store, &lone, codec, threads)?;
                report.lone = Some(Box::new(lone));
            }
        } else if is_file(FileKind::Index) {
            let mut index = Index::open(&path(FileKind::Index), LOOKUP_BYTES)?;
            let slots = index.slots();
            let end = match index.used_end(slots * ENTRY_BYTES) {
                // Entries that the disk does not give were there all the same.
                Err(Error::Unreadable { .. }) => slots * ENTRY_BYTES,
                end => end?,
            };
            let entries = end.div_ceil(ENTRY_BYTES);
            report.lone = Some(Box::new(Lone::Index { entries }));
        }
        Ok(())
    }

    /// The account of a store whose index is gone.
    fn judge_lone_store(
        &self,
        report: &mut SegmentReport,
        store: &ReadFile,
        lone: &Lone,
        codec: Codec,
        threads: usize,
    ) -> Result<()> {
        let Lone::Store(tail) = lone else {
            return Ok(());
        };
        let base = report.listing.base();
        let pair = Segment::of_store(base, store.clone(), self.listing.directory.is_last(base));
        let judged = self
            .options
            .judged(codec, self.listing.directory.next_base(base));
        let account = accounts::of_files(&pair, false, 0, &judged)?;
        let plain = account
            .as_ref()
            .is_some_and(|account| account.end_slot == tail.frames && account.damaged.is_empty());
        if plain || self.options.quick {
            report.account = account.map(Box::new);
            return Ok(());
        }
        report.take_account(&pair, None, account, &judged, threads)
    }

    fn at_lone_store(
        &self,
        segment: &SegmentListing,
        store: &ReadFile,
        threads: usize,
    ) -> Result<Lone> {
        let base = segment.base();
        let start = TailStart {
            base,
            slot: 0,
            position: Position(0),
            zero_entries: None,
        };
        let codec = self.codec.unwrap_or(Codec::Raw);
        // A short one is followed again as fast, and a draft is an open file.
        let wanted = segment.index.is_none() && Pieces::are_several(store.file_bytes);
        let drafting = self.aids.drafting.filter(|_| wanted);
        let sink = drafting.and_then(|drafting| drafting.begin(base, store));
        let pieces = Pieces::of(threads, sink.as_deref());
        tail::look_in_pieces(store, codec, start, pieces).map(Lone::Store)
    }
}
