//! How large the records of a log are: one pass over all of them, counted in classes
//! that double.

use std::ops::ControlFlow;

use crate::log::error::Result;
use crate::log::live;
use crate::log::record::Codec;
use crate::log::segment::{Segment, is_absent};
use crate::log::walk::{Committed, Flow, Visitor};
use crate::log::window::STREAM_BYTES;

use super::report::Report;

/// Classes: empty, then one for each number of bits that a size can have.
const CLASSES: usize = 65;

/// The distribution of the sizes of values. Units: bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Number of values with `class` bits in their size.
    counts: [u64; CLASSES],
    /// Number of values.
    pub records: u64,
    /// Bytes of all values.
    pub total: u64,
    /// The smallest and the largest.
    pub range: Option<(u64, u64)>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            counts: [0; CLASSES],
            records: 0,
            total: 0,
            range: None,
        }
    }
}

/// Values whose sizes lie in `first..=last` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// The smallest size of the class.
    pub first: u64,
    /// The largest size of the class.
    pub last: u64,
    /// Number of values of these sizes.
    pub records: u64,
}

impl Sizes {
    /// Inspects every committed record of the log.
    ///
    /// # Errors
    ///
    /// As [`crate::log::walk::Walk::run`].
    pub fn of(report: &Report) -> Result<Self> {
        let (directory, codec) = (
            &report.listing.directory,
            report.codec.unwrap_or(Codec::Raw),
        );
        let mut sizes = Self::default();
        let ours = report.segments.iter().filter(|it| it.layout.is_none());
        for segment in ours
            .map(|it| &it.listing)
            .filter(|it| it.is_readable_pair())
        {
            let counted = live::undisturbed(|| {
                let mut counted = sizes.clone();
                let pair = match Segment::open_fixed(directory, &segment.names, codec) {
                    Err(error) if is_absent(&error) => return Ok(counted),
                    other => other?,
                };
                let entries = pair.entries_or_slots(codec)?;
                let mut walk = pair.walk(codec, entries, STREAM_BYTES);
                let _ = walk.run(entries, &mut counted)?;
                Ok(counted)
            });
            sizes = counted?;
        }
        Ok(sizes)
    }

    fn count(&mut self, bytes: u64) {
        let class = (u64::BITS - bytes.leading_zeros()) as usize;
        if let Some(count) = self.counts.get_mut(class) {
            *count += 1;
        }
        self.records += 1;
        self.total = self.total.saturating_add(bytes);
        let (least, most) = self.range.unwrap_or((bytes, bytes));
        self.range = Some((least.min(bytes), most.max(bytes)));
    }

    /// The classes from the first to the last that has any value.
    #[must_use]
    pub fn classes(&self) -> Vec<Class> {
        let used = |count: &u64| *count > 0;
        let (Some(first), Some(last)) = (
            self.counts.iter().position(used),
            self.counts.iter().rposition(used),
        ) else {
            return Vec::new();
        };
        (0_u32..)
            .zip(self.counts)
            .take(last + 1)
            .skip(first)
            .map(|(bits, records)| Class {
                first: bits.checked_sub(1).map_or(0, |below| 1 << below),
                last: u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0),
                records,
            })
            .collect()
    }
}

impl Visitor for Sizes {
    const PAYLOADS: bool = false;

    fn record(&mut self, record: &Committed<'_>) -> Result<Flow> {
        self.count(match &record.layout {
            Some(layout) => layout.value.end - layout.value.start,
            None => record.payload_bytes,
        });
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_double_and_leave_no_size_out() {
        let mut sizes = Sizes::default();
        for bytes in [0, 1, 2, 3, 4, u64::MAX] {
            sizes.count(bytes);
        }
        let classes = sizes.classes();
        let of = |at: usize| (classes[at].first, classes[at].last, classes[at].records);
        assert_eq!(of(0), (0, 0, 1));
        assert_eq!(of(1), (1, 1, 1));
        assert_eq!(of(2), (2, 3, 2));
        assert_eq!(of(3), (4, 7, 1));
        assert_eq!(of(64), (1 << 63, u64::MAX, 1));
        assert_eq!(sizes.range, Some((0, u64::MAX)));
        for pair in classes.windows(2) {
            assert_eq!(pair[0].last + 1, pair[1].first);
        }
    }
}
