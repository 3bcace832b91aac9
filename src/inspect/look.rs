//! A scan of the requested segments: several at once, each in one thread, except that
//! large ones are divided. The results of an earlier scan are reused for segments that
//! did not change since.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::accounts;
use super::check;
use super::listing::{Listing, SegmentListing};
use super::report::{Lone, Options, Report, SegmentReport};
use super::scan::{self, SegmentFacts};
use super::tail::{self, TailStart};
use super::usage::Usage;
use crate::log::detect::detect;
use crate::log::error::{Error, Result, readable};
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::index::Index;
use crate::log::live::Count;
use crate::log::record::Codec;
use crate::log::segment::{Segment, is_absent, is_closed};
use crate::log::threads;
use crate::log::units::{Offset, Position};
use crate::log::window::{LOOKUP_BYTES, ReadFile};
use crate::scan::account::Account;
use crate::scan::layouts;

/// An earlier scan of the same log, under a lock that was not let go since.
pub struct Before<'a> {
    /// Its result.
    pub report: &'a Report,
    /// Segments that were changed since.
    pub changed: BTreeSet<Offset>,
}

impl Before<'_> {
    /// The result for a segment that did not change.
    fn unchanged(&self, look: &Look<'_>, segment: &SegmentListing) -> Option<&SegmentReport> {
        let same =
            self.is_same_look(look, segment.base()) && !self.changed.contains(&segment.base());
        let before = self.report.segment(segment.base()).filter(|_| same)?;
        (*before.listing == *segment).then_some(before)
    }

    /// Whether both scans judge a segment by the same rules.
    fn is_same_look(&self, look: &Look<'_>, base: Offset) -> bool {
        let (then, now) = (&self.report.options, look.options);
        let is_last = |listing: &Listing| listing.directory.is_last(base);
        self.report.codec == look.codec
            && (then.quick, then.tail_only) == (now.quick, now.tail_only)
            && is_last(&self.report.listing) == is_last(look.listing)
    }
}

/// A running scan.
pub(super) struct Look<'a> {
    pub listing: &'a Listing,
    pub codec: Option<Codec>,
    pub options: &'a Options,
    /// The earlier results.
    pub before: Option<&'a Before<'a>>,
}

impl Look<'_> {
    /// Inspects every segment that the options ask for.
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

    /// Fills in the result of a scan of the segment, as far as its files can be opened.
    fn at_segment(&self, report: &mut SegmentReport, threads: usize) -> Result<()> {
        match self.scan_segment(report, threads) {
            Err(error) if is_closed(&error) => {
                Arc::make_mut(&mut report.listing).mark_closed(&self.listing.directory);
                self.scan_segment(report, threads)
            }
            scanned => scanned,
        }
    }

    fn scan_segment(&self, report: &mut SegmentReport, threads: usize) -> Result<()> {
        let segment = &Arc::clone(&report.listing);
        if let Some(told) = self
            .before
            .and_then(|before| before.unchanged(self, segment))
        {
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
                    report.take_pair(&pair, codec, self.options, threads)?;
                }
                // It existed when the directory was listed: another process trims the
                // log.
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        } else if is_file(FileKind::Store) {
            let store = ReadFile::open(&path(FileKind::Store))?;
            let next = self.listing.directory.next_base(segment.base());
            let pair = Segment::of_store(segment.base(), store, next);
            report.take_store(&pair, codec, self.options, threads)?;
        } else if is_file(FileKind::Index) {
            let mut index = Index::open(&path(FileKind::Index), LOOKUP_BYTES)?;
            let slots = index.slots();
            // Entries that the disk does not give were there all the same.
            let end = readable(index.used_end(slots * ENTRY_BYTES))?;
            let end = end.unwrap_or(slots * ENTRY_BYTES);
            let entries = end.div_ceil(ENTRY_BYTES);
            report.lone = Some(Box::new(Lone::Index { entries }));
        }
        Ok(())
    }
}

impl SegmentReport {
    /// Scans both files, as far as the options ask for it.
    pub(crate) fn take_pair(
        &mut self,
        pair: &Segment,
        codec: Codec,
        options: &Options,
        threads: usize,
    ) -> Result<()> {
        let facts = if options.quick {
            scan::scan_end(pair, codec)?
        } else if options.tail_only {
            scan::scan_last_commit(pair, codec)?
        } else {
            scan::scan(pair, codec, threads)?
        };
        if facts.unclean.is_some() {
            self.layout =
                layouts::recognize(pair.base, &pair.store, Some(&pair.index))?.map(Box::new);
        }
        if self.layout.is_some() {
            return Ok(());
        }
        if options.quick {
            self.facts = Some(facts);
            return Ok(());
        }
        let account = accounts::of_pair(pair, &facts, codec, options.tail)?;
        self.take_account(pair, Some(facts), account, codec, threads)
    }

    /// Takes the account of a segment, and its facts: where the index hides records of
    /// the account, the facts of the index that it should have.
    pub(crate) fn take_account(
        &mut self,
        pair: &Segment,
        facts: Option<SegmentFacts>,
        account: Option<Account>,
        codec: Codec,
        threads: usize,
    ) -> Result<()> {
        self.facts = facts;
        let Some(account) = account else {
            return Ok(());
        };
        let other = match &self.facts {
            Some(facts) => accounts::is_read(&account, pair, facts, codec)?,
            None => true,
        };
        if other && let Some(read) = accounts::by_account(&account, pair, self.facts.is_some())? {
            self.facts = Some(scan::scan(&read, codec, threads)?);
            self.by_account = true;
        }
        self.account = Some(Box::new(account));
        Ok(())
    }

    /// Fills in the result of a scan of a store without index.
    pub(crate) fn take_store(
        &mut self,
        pair: &Segment,
        codec: Codec,
        options: &Options,
        threads: usize,
    ) -> Result<()> {
        if let Some((account, tail)) = accounts::of_frames_alone(pair, codec, options.tail)? {
            self.lone = Some(Box::new(Lone::Store(tail)));
            self.account = Some(Box::new(account));
            return Ok(());
        }
        let start = TailStart {
            base: pair.base,
            slot: 0,
            position: Position(0),
        };
        let tail = tail::look(&pair.store, codec, start, |_| Ok::<_, Error>(()))?;
        if !tail.is_frames_only() {
            self.layout = layouts::recognize(pair.base, &pair.store, None)?.map(Box::new);
        }
        if self.layout.is_some() {
            return Ok(());
        }
        self.lone = Some(Box::new(Lone::Store(tail)));
        let account = accounts::of_files(pair, false, (0, codec), options.tail)?;
        let plain = account
            .as_ref()
            .is_some_and(|account| account.end_slot == tail.frames && account.damaged.is_empty());
        if plain || options.quick {
            self.account = account.map(Box::new);
            return Ok(());
        }
        self.take_account(pair, None, account, codec, threads)
    }
}

impl Report {
    /// One scan, whatever other processes do to the log meanwhile: for a caller that has
    /// locked it. Results in `before` are reused where nothing changed.
    ///
    /// # Errors
    ///
    /// As [`Report::of`].
    pub fn once(
        mut listing: Listing,
        options: &Options,
        before: Option<&Before<'_>>,
    ) -> Result<Self> {
        let path = listing.path().to_path_buf();
        let usage = if options.ask_usage {
            Usage::of(&listing.directory)
        } else {
            Usage {
                in_use: Some(false),
                ..Usage::default()
            }
        };
        let mut codec = match options.codec {
            Some(codec) => Some(codec),
            None => detect(&listing.directory)?,
        };
        if let Some(base) = options.segment
            && !listing
                .segments
                .iter()
                .any(|segment| segment.base() == base)
        {
            return Err(Error::NoSegment { path, base });
        }
        let look = |codec| {
            let look = Look {
                listing: &listing,
                codec,
                options,
                before,
            };
            look.at_segments()
        };
        let mut segments = look(codec)?;
        let any = |segment: &SegmentReport| segment.facts.as_ref().is_some_and(|it| it.records > 0);
        if codec.is_none() && segments.iter().any(any) {
            // The first frames may have come since then.
            codec = detect(&listing.directory)?;
            if codec.is_some() {
                segments = look(codec)?;
            }
        }
        for segment in segments.iter().filter(|it| it.listing.is_closed()) {
            listing.replace(&segment.listing);
        }
        let mut report = Self {
            listing,
            codec,
            usage,
            segments,
            findings: Vec::new(),
            options: *options,
        };
        // Of files that cannot be opened nothing is known.
        if report.segments.iter().all(SegmentReport::is_closed) {
            report.require_opened()?;
        }
        report.findings = check::findings(&report);
        Ok(report)
    }

    /// Inspects the last segment in full, where the report is a quick one: what is at the
    /// end of its index does not tell what its store holds.
    ///
    /// # Errors
    ///
    /// Reading's.
    pub fn look_at_end(&mut self) -> Result<()> {
        let Some(last) = self.segments.last_mut() else {
            return Ok(());
        };
        let options = Options {
            quick: false,
            segment: Some(last.listing.base()),
            ..self.options
        };
        let look = Look {
            listing: &self.listing,
            codec: self.codec,
            options: &options,
            before: None,
        };
        if let Some(found) = look.at_segments()?.pop() {
            *last = found;
        }
        Ok(())
    }

    /// The same if the last segment is not as a clean commit leaves it, and the log is not in
    /// use.
    ///
    /// # Errors
    ///
    /// Reading's.
    pub fn look_at_unclean_end(&mut self) -> Result<()> {
        let facts = self.segments.last().map(|last| last.facts.as_ref());
        let is_clean = facts.is_none_or(|facts| facts.is_some_and(SegmentFacts::is_clean));
        if is_clean || self.usage.in_use != Some(false) {
            return Ok(());
        }
        self.look_at_end()
    }
}
