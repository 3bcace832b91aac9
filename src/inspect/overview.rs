//! A log at a glance, as values: a row per segment with the states that its findings
//! mean, and totals. What `info` prints; inspects nothing by itself.

use super::finding::{Detail, Finding, FindingId, OffsetRange, Severity};
use super::report::{Report, SegmentReport};
use crate::log::format::ENTRY_BYTES;
use crate::log::units::Offset;
use crate::scan::layouts::Layout;

/// The state of a segment in a word. An empty list means clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its entries name records that are incomplete in the store.
    Lost(OffsetRange),
    /// One of its files is missing.
    NoIndex,
    /// One of its files is missing.
    NoStore,
    /// Entries or frames are not valid.
    Damaged,
    /// It has another program's layout.
    Foreign(Layout),
    /// The store ends inside a frame.
    Torn,
    /// The store continues after the last entry with intact frames.
    Unindexed(u64),
    /// The store continues after the last entry with zeros.
    ZeroTail,
    /// The index ends inside an entry.
    PartialEntry,
    /// The index continues after the last entry with zeros.
    Padded,
    /// The service cannot append to it.
    IndexFull,
    /// No segment has these offsets, which come next.
    Gap(OffsetRange),
    /// An earlier segment claims these offsets too.
    Overlap(OffsetRange),
    /// A name that the Go service does not understand, or one too many.
    Name,
    /// Something that is not a file.
    NotAFile,
    /// A file that cannot be opened.
    Closed,
    /// Its offsets go past the last there is.
    Overflow,
    /// A writer has it open; apparent damage may be data in its memory.
    Open,
    /// The same, if the existence of a writer is unknown.
    PerhapsOpen,
    /// It has no record.
    Empty,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The offset of its first record.
    pub base: Offset,
    /// Whether appends go there.
    pub is_last: bool,
    /// Intact records, as far as a scan of the end shows.
    pub records: u64,
    /// The offset after its last record.
    pub next_offset: Offset,
    /// Size of the store, if any. Bytes.
    pub store_bytes: Option<u64>,
    /// Size of the index, if any. Bytes.
    pub index_bytes: Option<u64>,
    /// How much of that is not an entry. Bytes.
    pub padding_bytes: u64,
    /// The first and the last offset of an entry without an intact record.
    pub lost: Option<OffsetRange>,
    /// Number of such entries.
    pub lost_records: u64,
    /// The offsets that its entries name and its store has incompletely, while a writer may have them in memory.
    pub buffered: Option<OffsetRange>,
    /// The states.
    pub states: Vec<State>,
}

impl Row {
    /// The offsets from its first record to its last.
    #[must_use]
    pub fn offsets(&self) -> Option<OffsetRange> {
        let last = self.next_offset.0.checked_sub(1).map(Offset)?;
        (last >= self.base && self.records > 0).then_some(OffsetRange {
            first: self.base,
            last,
        })
    }

    /// The same with those that a writer may have in memory.
    fn claimed(&self) -> Option<OffsetRange> {
        match (self.offsets(), self.buffered) {
            (Some(whole), Some(buffered)) => Some(OffsetRange {
                first: whole.first,
                last: buffered.last,
            }),
            (whole, buffered) => whole.or(buffered),
        }
    }

    /// Whether nothing is to be said of it.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.states.is_empty()
    }
}

/// The rows of all segments. They are made on demand: there may be very many.
#[derive(Debug, Clone)]
pub struct Overview<'a> {
    report: &'a Report,
    /// Those of a segment, in the order of the segments.
    findings: Vec<&'a Finding>,
    /// The totals of the rows.
    pub totals: Totals,
}

/// The totals of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Intact records.
    pub records: u64,
    /// The first and the last offset of a record.
    pub offsets: Option<OffsetRange>,
    /// The offset of the first record, or of the one that would be.
    pub lowest_offset: Offset,
    /// The offset of the next append.
    pub next_offset: Offset,
    /// Places between the segments at which offsets are missing.
    pub gaps: u64,
    /// Entries without an intact record.
    pub lost: u64,
    /// Those at the end of a store, while a writer may have them in memory.
    pub buffered: u64,
    /// Size of the stores. Bytes.
    pub store_bytes: u64,
    /// Size of the indexes. Bytes.
    pub index_bytes: u64,
    /// How much of the indexes is not an entry. Bytes.
    pub padding_bytes: u64,
}

impl<'a> Overview<'a> {
    /// The result of a quick scan of a log.
    #[must_use]
    pub fn of(report: &'a Report) -> Self {
        let mut findings: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|finding| finding.segment.is_some())
            .collect();
        findings.sort_by_key(|finding| finding.segment);
        let mut overview = Self {
            report,
            findings,
            totals: Totals {
                lowest_offset: report.lowest_offset(),
                next_offset: report.next_append(),
                ..Totals::default()
            },
        };
        let mut totals = overview.totals;
        let mut reached: Option<Offset> = None;
        for (row, segment) in overview.rows().zip(&report.segments) {
            totals.add(&row);
            if segment.has_vanished() {
                // Those before it were trimmed too.
                reached = None;
            }
            if let Some(range) = row.claimed() {
                let gap = reached.is_some_and(|last| range.first.since(last) > 1);
                totals.gaps += u64::from(gap);
                reached = reached.max(Some(range.last));
            }
        }
        overview.totals = totals;
        overview
    }

    /// A row per segment, in the order of their bases.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let mut findings = self.findings.as_slice();
        let last = self.report.segments.len().saturating_sub(1);
        let segments = self.report.segments.iter().enumerate();
        segments.map(move |(at, segment)| {
            let base = segment.listing.base();
            let before = findings.partition_point(|finding| finding.segment < Some(base));
            let own = findings.partition_point(|finding| finding.segment <= Some(base));
            let row = row(
                segment,
                findings.get(before..own).unwrap_or_default(),
                at == last,
            );
            findings = findings.get(own..).unwrap_or_default();
            row
        })
    }
}

impl Totals {
    fn add(&mut self, row: &Row) {
        let records_of = |range: Option<OffsetRange>| range.map_or(0, OffsetRange::records);
        self.records += row.records;
        self.lost += row.lost_records;
        self.buffered += records_of(row.buffered);
        self.store_bytes += row.store_bytes.unwrap_or(0);
        self.index_bytes += row.index_bytes.unwrap_or(0);
        self.padding_bytes += row.padding_bytes;
        if let Some(range) = row.offsets() {
            self.offsets = Some(match self.offsets {
                None => range,
                Some(sum) => OffsetRange {
                    first: sum.first,
                    last: sum.last.max(range.last),
                },
            });
        }
    }
}

fn row(segment: &SegmentReport, findings: &[&Finding], is_last: bool) -> Row {
    let base = segment.listing.base();
    let bytes = |file: &Option<super::listing::FileFacts>| {
        let file = file.as_ref().filter(|file| file.no_file.is_none());
        file.map(|file| file.bytes)
    };
    let index_bytes = bytes(&segment.listing.index);
    let mut row = Row {
        base,
        is_last,
        records: 0,
        next_offset: base,
        store_bytes: bytes(&segment.listing.store),
        index_bytes,
        padding_bytes: 0,
        lost: None,
        lost_records: 0,
        buffered: None,
        states: Vec::new(),
    };
    if let Some(facts) = &segment.facts {
        row.records = facts.records;
        row.next_offset = facts.next_offset();
        row.padding_bytes = facts.rest.map_or(0, |rest| rest.bytes);
    } else if let (Some(entries), Some(bytes)) = (segment.lone_index(), index_bytes) {
        row.padding_bytes = bytes.saturating_sub(entries.saturating_mul(ENTRY_BYTES));
    }
    for finding in findings {
        row.take(finding);
    }
    if segment
        .facts
        .as_ref()
        .is_some_and(|facts| facts.entries == 0)
    {
        row.states.push(State::Empty);
    }
    row
}

impl Row {
    /// The effect of a finding on the row.
    fn take(&mut self, finding: &Finding) {
        let is_note = finding.severity == Severity::Note;
        if finding.may_be_buffered() {
            self.buffered = finding.offsets;
        } else if let Some(lost) = finding.lost() {
            let range = self.lost.get_or_insert(lost);
            range.first = range.first.min(lost.first);
            range.last = range.last.max(lost.last);
            self.lost_records += lost.records();
        }
        let state = match state(finding) {
            Some(_) if finding.use_unknown => State::PerhapsOpen,
            Some(_) if is_note => match finding.id {
                FindingId::IndexPadded | FindingId::IndexDangling | FindingId::StoreTornTail => {
                    State::Open
                }
                _ => return,
            },
            Some(state) => state,
            None => return,
        };
        if !self.states.contains(&state) {
            self.states.push(state);
        }
    }
}

/// The word for a finding; `None` if it is reported elsewhere.
fn state(finding: &Finding) -> Option<State> {
    Some(match finding.id {
        FindingId::IndexDangling => finding.offsets.map_or(State::Damaged, State::Lost),
        FindingId::IndexMissing => State::NoIndex,
        FindingId::StoreMissing => State::NoStore,
        FindingId::ForeignDialect => match finding.detail {
            Detail::Layout(layout) => State::Foreign(layout),
            _ => State::Damaged,
        },
        FindingId::StoreTornTail => State::Torn,
        FindingId::StoreUnindexedTail => State::Unindexed(finding.records.unwrap_or(0)),
        FindingId::StoreZeroTail => State::ZeroTail,
        FindingId::IndexPartialEntry => State::PartialEntry,
        FindingId::IndexPadded => State::Padded,
        FindingId::IndexFull => State::IndexFull,
        FindingId::SegmentGap => State::Gap(finding.offsets?),
        FindingId::SegmentOverlap => State::Overlap(finding.offsets?),
        FindingId::PaddedName | FindingId::DuplicateBase | FindingId::StrayName => State::Name,
        FindingId::NotAFile => match finding.detail {
            Detail::NotAFile { what } if what.is_closed() => State::Closed,
            _ => State::NotAFile,
        },
        FindingId::OffsetOverflow => State::Overflow,
        FindingId::IndexEntryDamaged
        | FindingId::IndexMisaligned
        | FindingId::FrameLengthDamaged
        | FindingId::RecordUndecodable
        | FindingId::RecordOffsetMismatch
        | FindingId::RecordChanged
        | FindingId::RecordsMissing
        | FindingId::NeedsDecision
        | FindingId::StoreUnreadable => State::Damaged,
        FindingId::StoreDeadBytes | FindingId::OwnerDiffers | FindingId::IndexOverLimit => {
            return None;
        }
    })
}
