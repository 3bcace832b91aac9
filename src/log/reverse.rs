//! Reading a log backwards: a block of offsets is read forwards, so that each slot is
//! judged as every other reader does, kept within bounds, and handed over from the end.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use super::error::Error;
use super::reader::{Content, Item, LogReader, Obstacle, RecordView};
use super::units::{Offset, Position};
use super::walk::Flow;

/// Items that are kept at once.
const KEPT_ITEMS: usize = 4096;

/// Payloads that are kept at once. Units: bytes.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

impl LogReader {
    /// As [`LogReader::read`], backwards. Obstacles come where they are met from the end.
    ///
    /// # Errors
    ///
    /// The callback's, and reading's.
    pub fn read_reverse<E: From<Error>>(
        &mut self,
        from: Offset,
        end: Offset,
        mut each: impl FnMut(Item<'_>) -> Result<Flow, E>,
    ) -> Result<Flow, E> {
        let mut high = end;
        let mut reach = KEPT_ITEMS as u64;
        while high > from {
            let low = Offset(high.0.saturating_sub(reach)).max(from);
            let mut kept = Kept::default();
            let _ = self.read::<E>(low, high, |item| {
                kept.take(item);
                Ok(ControlFlow::Continue(()))
            })?;
            kept.close(None);
            for item in kept.items.iter().rev() {
                let flow = item.with_item(&mut each)?;
                if flow.is_break() {
                    return Ok(flow);
                }
            }
            // Larger steps across a gap, smaller ones where records are large.
            reach = match kept.items.len() as u64 {
                count if kept.overfull => count,
                _ if kept.records == 0 => reach.saturating_mul(2),
                _ => KEPT_ITEMS as u64,
            };
            high = kept.begin(low);
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// An item that is kept until its turn comes from the end.
enum KeptItem {
    Record(KeptRecord),
    Obstacle(Obstacle, Offset, Option<Offset>),
}

/// A record that outlives the reader's buffer.
#[derive(Debug, Clone)]
pub struct KeptRecord {
    /// The record but for bytes that were in memory.
    view: RecordView<'static>,
    payload: Vec<u8>,
    /// Position of the value in the payload.
    value: Range<usize>,
}

impl KeptItem {
    fn first(&self) -> Offset {
        match self {
            Self::Record(record) => record.view.offset,
            Self::Obstacle(_, first, _) => *first,
        }
    }

    /// Bytes of memory that it takes, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Record(record) => record.payload.len(),
            Self::Obstacle(..) => 0,
        }
    }

    fn with_item<R>(&self, each: impl FnOnce(Item<'_>) -> R) -> R {
        match self {
            Self::Record(record) => each(Item::Record(&record.view())),
            Self::Obstacle(obstacle, first, last) => each(Item::Obstacle {
                obstacle: obstacle.clone(),
                first: *first,
                last: *last,
            }),
        }
    }
}

impl KeptRecord {
    /// The record as it was read.
    #[must_use]
    pub fn view(&self) -> RecordView<'_> {
        let mut view: RecordView<'_> = self.view.clone();
        if let Content::Memory(_) = view.payload {
            let value = self.payload.get(self.value.clone());
            view.payload = Content::Memory(&self.payload);
            view.value = Content::Memory(value.unwrap_or_default());
        }
        view
    }

    /// Copies a record, but for a payload that is not in memory.
    #[must_use]
    pub fn of(record: &RecordView<'_>) -> Self {
        let (payload, value) = match (&record.payload, &record.value) {
            (Content::Memory(payload), Content::Memory(value)) => {
                // The value is a part of the payload, but for an empty one.
                let start = value.as_ptr().addr().wrapping_sub(payload.as_ptr().addr());
                let start = start.min(payload.len() - value.len());
                (payload.to_vec(), start..start + value.len())
            }
            _ => (Vec::new(), 0..0),
        };
        Self {
            view: RecordView {
                offset: record.offset,
                segment: record.segment,
                position: Position(record.position.0),
                value: in_file(&record.value),
                payload: in_file(&record.payload),
                term: record.term,
                record_type: record.record_type,
            },
            payload,
            value,
        }
    }
}

/// The content, or nothing in place of bytes in memory.
fn in_file(content: &Content<'_>) -> Content<'static> {
    match content {
        Content::Memory(_) => Content::Memory(&[]),
        Content::File(file, start, bytes) => Content::File(file.clone(), *start, *bytes),
    }
}

/// The last items of a block, in order.
#[derive(Default)]
struct Kept {
    items: VecDeque<KeptItem>,
    bytes: usize,
    records: u64,
    /// Whether items at the front had to go.
    overfull: bool,
    /// Obstacles whose records are still coming, the innermost at the end: from the end of
    /// the log they are met first.
    open: Vec<(Obstacle, Offset, Option<Offset>)>,
}

impl Kept {
    fn take(&mut self, item: Item<'_>) {
        let first = match &item {
            Item::Record(record) => record.offset,
            Item::Obstacle { first, .. } => *first,
        };
        self.close(Some(first));
        match item {
            Item::Record(record) => {
                self.records += 1;
                self.push(KeptItem::Record(KeptRecord::of(record)));
            }
            Item::Obstacle {
                obstacle,
                first,
                last,
            } if obstacle.is_followed_by_records() => self.open.push((obstacle, first, last)),
            Item::Obstacle {
                obstacle,
                first,
                last,
            } => self.push(KeptItem::Obstacle(obstacle, first, last)),
        }
    }

    /// Keeps the obstacles whose records all lie before `next`; without it all.
    fn close(&mut self, next: Option<Offset>) {
        let ends = |open: &mut (Obstacle, Offset, Option<Offset>)| {
            next.is_none_or(|next| open.2.is_some_and(|last| last < next))
        };
        while let Some((obstacle, first, last)) = self.open.pop_if(ends) {
            self.push(KeptItem::Obstacle(obstacle, first, last));
        }
    }

    fn push(&mut self, item: KeptItem) {
        self.bytes += item.bytes();
        self.items.push_back(item);
        while self.items.len() > KEPT_ITEMS
            || (self.bytes > KEPT_BYTES && self.items.len() > 2)
            || (self.overfull && self.begins_with_an_end())
        {
            if let Some(gone) = self.items.pop_front() {
                self.bytes -= gone.bytes();
                self.overfull = true;
            }
        }
    }

    /// Whether the first item belongs to records before it, which had to go.
    fn begins_with_an_end(&self) -> bool {
        matches!(self.items.front(), Some(KeptItem::Obstacle(it, ..)) if it.is_followed_by_records())
    }

    /// The start of the block that was kept in full.
    fn begin(&self, low: Offset) -> Offset {
        if !self.overfull {
            return low;
        }
        self.items.front().map_or(low, KeptItem::first).max(low)
    }
}
