//! Compares the log with the answers of the service: routes, doubles, hidden records.
//! Opens no file.

use super::append::Taken;
use super::{Double, Held, Hidden, Loaded, Route, ServiceView};
use crate::inspect::finding::OffsetRange;
use crate::log::units::Offset;

/// Close cuts each index to the size that the segment assumed, a twin's last.
pub(super) fn pads_on_close(segments: &[Loaded]) -> Vec<Offset> {
    let mut found: Option<&Loaded> = None;
    let mut pads = Vec::new();
    for segment in segments {
        match found {
            Some(first) if segment.twin => {
                if segment.index_bytes > first.index_bytes && pads.last() != Some(&segment.base) {
                    pads.push(segment.base);
                }
            }
            _ => found = Some(segment),
        }
    }
    pads
}

/// Which segment answers which offsets: the first one loaded that claims it. They are
/// loaded in the order of their bases, so that whatever an earlier one claims is a run
/// that reaches back to the later one's base.
pub(super) fn routes(segments: &[Loaded]) -> (Vec<Route>, Vec<Double>) {
    let mut routes = Vec::new();
    let mut doubles: Vec<Double> = Vec::new();
    let mut claimed = 0;
    for segment in segments {
        let base = segment.base;
        let shadow_end = claimed.min(segment.next.0);
        if let Some(range) = range(base.0, shadow_end)
            && !segment.twin
        {
            doubles.push(Double {
                shadowed: base,
                range,
            });
        }
        if let Some(range) = range(base.0.max(claimed), segment.next.0) {
            routes.push(Route { base, range });
        }
        claimed = claimed.max(segment.next.0);
    }
    (routes, doubles)
}

/// The offsets from `first` to before `end`, if there are any.
fn range(first: u64, end: u64) -> Option<OffsetRange> {
    let last = end.checked_sub(1).filter(|last| *last >= first)?;
    Some(OffsetRange {
        first: Offset(first),
        last: Offset(last),
    })
}

/// Divides the records of the log into those that the service serves and those that it
/// hides. A valid entry names its record, so a record is served if its segment answers.
pub(super) fn compare(view: &mut ServiceView, held: &[Held]) {
    for held in held {
        let from = view.routes.partition_point(|r| r.base < held.base);
        let mine = view.routes.get(from..).unwrap_or_default().iter();
        let mine = mine
            .take_while(|route| route.base == held.base)
            .filter(|_| held.plain_names);
        // The next offset of the run that is neither counted as served nor as hidden.
        let mut next = Some(held.range.first);
        let mut hidden = Vec::new();
        for route in mine {
            let first = route.range.first.max(held.range.first);
            let last = route.range.last.min(held.range.last);
            let Some(at) = next.filter(|_| first <= last) else {
                continue;
            };
            hidden.extend(range(at.0, first.0));
            let served = OffsetRange { first, last };
            view.visible_records = view.visible_records.saturating_add(served.records());
            next = last.checked_add(1).filter(|at| *at <= held.range.last);
        }
        hidden.extend(next.map(|first| OffsetRange {
            first,
            last: held.range.last,
        }));
        for range in hidden {
            view.hidden_records = view.hidden_records.saturating_add(range.records());
            let base = held.base;
            view.hidden.push(Hidden { base, range });
        }
    }
}

/// The offsets that records of the log have, as ranges by their last offset.
pub(super) struct Numbers(Vec<OffsetRange>);

impl Numbers {
    pub(super) fn of(held: &[Held]) -> Self {
        let mut ranges: Vec<OffsetRange> = held.iter().map(|held| held.range).collect();
        ranges.sort_unstable_by_key(|range| range.first);
        // Merged, so that the last offsets ascend as the first ones do.
        ranges.dedup_by(|later, earlier| {
            let meets = later.first <= earlier.last;
            if meets {
                earlier.last = earlier.last.max(later.last);
            }
            meets
        });
        Self(ranges)
    }
}

impl Taken for Numbers {
    fn has(&self, offset: Offset) -> bool {
        let at = self.0.partition_point(|range| range.last < offset);
        self.0.get(at).is_some_and(|range| range.first <= offset)
    }

    fn highest(&self) -> Option<Offset> {
        self.0.last().map(|range| range.last)
    }
}
