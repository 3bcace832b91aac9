//! A complete scan of a log as one value: listing, facts of each segment, findings.
//! Everything that prints, plans or serialises starts from it.

use std::sync::Arc;

use super::facts::SegmentFacts;
use super::finding::{self, Finding, Severity};
use super::listing::{FileFacts, Listing, SegmentListing};
use super::tail::Tail;
use super::usage::Usage;
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::log::threads;
use crate::log::units::Offset;
use crate::scan::account::Account;
use crate::scan::layouts::{self, Layout};

/// How a log is inspected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Only names, sizes, pairing and last entries.
    pub quick: bool,
    /// Only this segment.
    pub segment: Option<Offset>,
    /// Only what one commit can have written at the end of the last segment: what an
    /// append inspects before it continues.
    pub tail_only: bool,
    /// The service's `MaxIndexBytes`, if it is known.
    pub max_index_bytes: Option<u64>,
    /// The codec, if given.
    pub codec: Option<Codec>,
    /// Threads to use; 0 for as many as there are processors.
    pub threads: usize,
    /// Whether other processes are asked after.
    pub ask_usage: bool,
    /// How to treat the end of a segment that needs a decision.
    pub tail: TailDecision,
}

/// The decision of a person about the end of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TailDecision {
    /// Nothing: it stays as it is.
    #[default]
    Leave,
    /// Frames there are records, though they may have arrived in part only.
    Adopt,
    /// Bytes that are not records are removed.
    Drop,
}

impl Options {
    /// Threads to use, at least one.
    pub(crate) fn threads(&self) -> usize {
        threads::number(self.threads)
    }
}

/// The result for one segment. For a valid one only its figures are kept: a log may have
/// very many.
#[derive(Debug, Clone)]
pub struct SegmentReport {
    /// Its names and sizes.
    pub listing: Arc<SegmentListing>,
    /// The result of a scan of the pair; `None` without a pair or if not requested.
    pub facts: Option<SegmentFacts>,
    /// The result of a scan of one file without its other file.
    pub(super) lone: Option<Box<Lone>>,
    /// The layout of another program that wrote it: then there are no other facts.
    pub layout: Option<Box<Layout>>,
    /// The account of its bytes, if its files are not as a clean commit leaves them.
    pub account: Option<Box<Account>>,
    /// Whether the facts are those of the index that the account gives, not of the
    /// existing one.
    pub by_account: bool,
}

/// One half of a segment without the other.
#[derive(Debug, Clone)]
pub(super) enum Lone {
    Store(Tail),
    Index { entries: u64 },
}

impl SegmentReport {
    /// A segment that was not inspected yet.
    pub(crate) fn of(listing: Arc<SegmentListing>) -> Self {
        Self {
            listing,
            facts: None,
            lone: None,
            layout: None,
            account: None,
            by_account: false,
        }
    }

    /// The content of a store without index.
    #[must_use]
    pub fn lone_store(&self) -> Option<&Tail> {
        match self.lone.as_deref()? {
            Lone::Store(tail) => Some(tail),
            Lone::Index { .. } => None,
        }
    }

    /// Of an index without store: how many entries it has.
    #[must_use]
    pub fn lone_index(&self) -> Option<u64> {
        match self.lone.as_deref()? {
            Lone::Index { entries } => Some(*entries),
            Lone::Store(_) => None,
        }
    }

    /// Whether nothing of it was inspected, because a file cannot be opened.
    pub(super) fn is_closed(&self) -> bool {
        self.listing.is_closed() && self.facts.is_none() && self.lone.is_none()
    }

    /// Whether its files were there when the directory was listed, and gone when they were
    /// to be read.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
        let looked_at = self.facts.is_some() || self.lone.is_some() || self.layout.is_some();
        !looked_at && self.listing.is_readable_pair()
    }
}

/// The result for a log.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its names and sizes.
    pub listing: Listing,
    /// The codec that its records show.
    pub codec: Option<Codec>,
    /// The processes that have it open.
    pub usage: Usage,
    /// Its segments, in the order of their base offsets.
    pub segments: Vec<SegmentReport>,
    /// The findings, in the order of severity and place.
    pub findings: Vec<Finding>,
    /// How it was inspected.
    pub options: Options,
}

impl Report {
    /// Fails if another program's layout was found, or if a file cannot be opened: nothing
    /// may be changed then.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignLayout`], [`Error::Io`].
    pub fn require_ours(&self) -> Result<()> {
        self.require_opened()?;
        self.foreign().next().map_or(Ok(()), Err)
    }

    /// Fails if all records of the log are in another program's layout.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignLayout`].
    pub fn require_any_ours(&self) -> Result<()> {
        let is_filled = |file: &FileFacts| file.no_file.is_none() && file.bytes > 0;
        let is_ours = |segment: &SegmentReport| {
            segment.layout.is_none() && segment.listing.store.as_ref().is_some_and(is_filled)
        };
        if self.segments.iter().any(is_ours) {
            return Ok(());
        }
        self.foreign().next().map_or(Ok(()), Err)
    }

    /// Fails if a file of the log cannot be opened.
    pub(super) fn require_opened(&self) -> Result<()> {
        for segment in self.segments.iter().filter(|it| it.listing.is_closed()) {
            Segment::open(&self.listing.directory, &segment.listing.names)?;
        }
        Ok(())
    }

    /// The segments in another program's layout, as the errors that a reader meets.
    pub fn foreign(&self) -> impl Iterator<Item = Error> {
        self.segments.iter().filter_map(|segment| {
            let layout = segment.layout.as_ref()?;
            let name = segment.listing.file_name(FileKind::Store);
            Some(layouts::foreign(&self.listing.path().join(name), **layout))
        })
    }

    /// Adds the findings of another scan.
    pub fn add_findings(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
        finding::sort(&mut self.findings);
    }

    /// The segment with this base.
    #[must_use]
    pub fn segment(&self, base: Offset) -> Option<&SegmentReport> {
        let at = self
            .segments
            .binary_search_by_key(&base, |segment| segment.listing.base());
        self.segments.get(at.ok()?)
    }

    /// Whether a segment is the active one.
    #[must_use]
    pub fn is_last(&self, segment: &SegmentReport) -> bool {
        self.listing.directory.is_last(segment.listing.base())
    }

    /// Committed records that are intact.
    #[must_use]
    pub fn records(&self) -> u64 {
        let facts = self.segments.iter().filter_map(|s| s.facts.as_ref());
        facts.map(|facts| facts.records).sum()
    }

    /// Number of records that are intact here but not in a later report of the log.
    #[must_use]
    pub fn records_lost_in(&self, later: &Self) -> u64 {
        let later = later.segments.iter().filter_map(|s| s.facts.as_ref());
        let later: Vec<&SegmentFacts> = later.collect();
        let mine = self.segments.iter().filter_map(|s| s.facts.as_ref());
        mine.map(|mine| {
            // Both are in the order of their base offsets.
            match later.binary_search_by_key(&mine.base, |facts| facts.base) {
                Ok(at) => later.get(at).map_or(0, |later| mine.records_lost_in(later)),
                Err(_) => mine.records,
            }
        })
        .sum()
    }

    /// Number of findings of a severity.
    #[must_use]
    pub fn lowest_offset(&self) -> Offset {
        self.segments
            .first()
            .map_or(Offset(0), |segment| segment.listing.base())
    }

    /// The offset after the last committed record: the highest of all segments, for in a
    /// forked log an earlier one may reach past the last.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        let facts = self.segments.iter().filter_map(|s| s.facts.as_ref());
        let next = facts.map(SegmentFacts::next_offset).max();
        next.unwrap_or_else(|| self.lowest_offset())
    }

    /// The offset of the next append, which adopts first what continues after the last
    /// entry, unless a person must decide.
    #[must_use]
    pub fn next_append(&self) -> Offset {
        let adopted = |segment: &SegmentReport| {
            let account = segment.account.as_deref();
            let clear = account.filter(|account| account.doubts.is_empty())?;
            Some(segment.listing.base().saturating_add(clear.end_slot))
        };
        let adopted = self.segments.iter().filter_map(adopted).max();
        self.next_offset().max(adopted.unwrap_or_default())
    }
    /// Number of findings of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let same = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(same).count()
    }

    /// Whether there is neither an error nor a warning.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.count(Severity::Error) + self.count(Severity::Warning) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::directory::SegmentNames;

    #[test]
    fn a_sound_segment_takes_little_memory() {
        // 100,000 of them in less than 32 MiB, with the program itself.
        let shared = size_of::<SegmentListing>() + 2 * size_of::<usize>();
        let pointers = size_of::<Arc<SegmentListing>>();
        let names = size_of::<SegmentNames>();
        let report = size_of::<SegmentReport>();
        assert!(shared + pointers + names + report <= 256);
    }
}
