//! What verify, a reader and lookups make of a log as it is now, held against each
//! other: they must agree, whatever was done to it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use proglog::inspect::finding::{Finding, FindingId, Severity};
use proglog::inspect::report::{Options, Report, TailDecision};
use proglog::log::error::Error;
use proglog::log::reader::{Content, Item, LogReader};
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::logs::{Byte, Sort};
use super::memory::{MEMORY_MAX, measured};

/// Records by offset.
pub type Records = BTreeMap<u64, Vec<u8>>;

/// A log as it is seen.
pub struct State {
    /// By verify.
    pub report: Report,
    /// By a reader from the beginning to the end.
    pub read: Records,
    /// Where the reader says that each record is: base, position, bytes of its payload.
    pub places: BTreeMap<u64, (u64, u64, u64)>,
    /// By one lookup for each offset.
    pub looked_up: Records,
}

/// How `Report::of` looks: in one thread, so that each state costs little.
pub const OPTIONS: Options = Options {
    quick: false,
    segment: None,
    tail_only: false,
    max_index_bytes: None,
    codec: None,
    threads: 1,
    ask_usage: false,
    tail: TailDecision::Leave,
};

/// Looks at `log`, up to the offset `end`, in bounded memory. Without a `codec` it is
/// what the records show.
pub fn look(log: &Path, end: u64, codec: Option<Codec>) -> Result<State, Error> {
    let (state, peak) = measured(|| {
        let report = Report::of(log, &Options { codec, ..OPTIONS })?;
        let mut reader = LogReader::open(log)?;
        if let Some(codec) = codec {
            reader.set_codec(codec);
        }
        let mut read = Records::new();
        let mut places = BTreeMap::new();
        let mut before = None;
        let _ = reader.read::<Error>(Offset(0), Offset::MAX, |item| {
            if let Item::Record(record) = item {
                assert!(before < Some(record.offset), "in order");
                before = Some(record.offset);
                read.insert(record.offset.0, bytes(&record.value)?);
                let position = record.position.0;
                let place = (record.segment.0, position, record.payload.len());
                places.insert(record.offset.0, place);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        assert!(reader.next_offset()? <= reader.claimed_end()?);
        let mut looked_up = Records::new();
        for offset in 0..end {
            let _ = reader.lookup::<Error>(Offset(offset), |item| {
                if let Item::Record(record) = item {
                    assert_eq!(record.offset.0, offset);
                    looked_up.insert(offset, bytes(&record.value)?);
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(State {
            report,
            read,
            places,
            looked_up,
        })
    });
    assert!(peak <= MEMORY_MAX, "{peak} bytes held at once");
    state
}

/// The bytes of a value, wherever they are.
fn bytes(content: &Content<'_>) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    content.pieces(|piece| {
        all.extend_from_slice(piece);
        Ok::<(), Error>(())
    })?;
    Ok(all)
}

impl State {
    /// What is not as it must be whatever the damage; empty if all is.
    pub fn contradictions(&self, records: &Records) -> Vec<String> {
        let mut wrong = Vec::new();
        // Of a fork verify counts both sides.
        let fork = |finding: &Finding| finding.id == FindingId::SegmentOverlap;
        let forked = self.report.findings.iter().any(fork);
        if self.report.records() != self.read.len() as u64 && !forked {
            wrong.push(format!(
                "verify counts {}, a reader {}",
                self.report.records(),
                self.read.len()
            ));
        }
        // In a fork with damage a look-up may find the side that a reading passes over.
        if self.read != self.looked_up && !forked {
            let of = |records: &Records| records.keys().copied().collect::<Vec<_>>();
            wrong.push(format!(
                "read {:?}, looked up {:?}",
                of(&self.read),
                of(&self.looked_up)
            ));
        }
        if self.report.is_clean() && records.keys().any(|offset| !self.read.contains_key(offset)) {
            wrong.push("clean, but not every record is read".to_owned());
        }
        wrong
    }

    /// Offsets at which there is no record, or another value than there was.
    pub fn lost(&self, records: &Records) -> Vec<u64> {
        let differs = |(offset, value): &(&u64, &Vec<u8>)| self.read.get(offset) != Some(value);
        records
            .iter()
            .filter(differs)
            .map(|(offset, _)| *offset)
            .collect()
    }

    /// Whether an error or a warning names the very field that a byte belongs to: an
    /// entry, a length, an embedded offset, or the frame that has become undecodable.
    pub fn names(&self, byte: &Byte) -> bool {
        let field = byte.field..byte.field + byte.field_bytes;
        self.report.findings.iter().any(|finding| {
            let Some(place) = &finding.place else {
                return false;
            };
            let bytes = place.position..place.position + place.bytes;
            // A key of the offset that is none any more leaves no varint to name.
            let frame = byte.sort == Sort::Offset
                && matches!(
                    finding.id,
                    FindingId::RecordUndecodable | FindingId::RecordOffsetMismatch
                )
                && bytes.contains(&byte.at)
                && bytes.end == byte.frame_end;
            finding.severity != Severity::Note
                && place.file == byte.file
                && (bytes == field || frame)
        })
    }

    /// The findings, one a line.
    pub fn told(&self) -> String {
        let line = |finding: &Finding| {
            let place = finding.place.as_ref().map(ToString::to_string);
            let offsets = finding.offsets.map(|offsets| offsets.to_string());
            format!(
                "\n    {} {} {} [{}] got {:?} expected {:?}",
                finding.id,
                finding.severity,
                place.unwrap_or_default(),
                offsets.unwrap_or_default(),
                finding.got,
                finding.expected,
            )
        };
        self.report.findings.iter().map(line).collect()
    }
}
