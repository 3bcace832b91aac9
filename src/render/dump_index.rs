//! An index's entries as columns or JSON lines.

use std::io::{self, Write};
use std::path::Path;

use proglog::inspect::entries::{EntryItem, EntryView, Fault, IndexDump};
use proglog::inspect::finding::FindingId;
use proglog::inspect::listing::SegmentListing;
use proglog::inspect::usage::Buffered;
use proglog::log::format::{ENTRY_BYTES, FileKind, LENGTH_BYTES};
use proglog::log::units::Offset;

use super::dump::digits;
use super::prose::count;
use super::sheet::{Dumped, Form, Sheet};

/// The widths of the columns.
#[derive(Default)]
struct Widths {
    slot: usize,
    relative: usize,
    offset: usize,
    position: usize,
    frame: usize,
}

impl Widths {
    fn of(base: Offset, entries: u64, store_bytes: u64) -> Self {
        let store = digits(store_bytes);
        Self {
            slot: digits(entries).max(4),
            relative: digits(entries).max(8),
            offset: digits(base.saturating_add(entries).0).max(6),
            position: store.max(8),
            frame: store.clamp(5, 8),
        }
    }
}

/// Number of items printed.
#[derive(Default)]
struct Counts {
    entries: u64,
    damaged: u64,
    padding_bytes: u64,
    others: u64,
}

/// Prints entries.
pub struct Printer<W> {
    pub sheet: Sheet<W>,
    /// The store's size; `None` where it is missing.
    store_bytes: Option<u64>,
    widths: Widths,
    counts: Counts,
}

impl<W: Write> Printer<W> {
    pub fn new(out: W, form: Form, log: &Path) -> Self {
        Self {
            sheet: Sheet::new(out, form, log),
            store_bytes: None,
            widths: Widths::default(),
            counts: Counts::default(),
        }
    }

    /// Number of items printed.
    pub fn shown(&self) -> u64 {
        self.counts.entries + self.counts.others
    }

    /// Begins a segment; `dump` is its index, if it has one.
    pub fn heading(&mut self, listed: &SegmentListing, dump: Option<&IndexDump>) -> io::Result<()> {
        let index = dump.map(IndexDump::index_bytes);
        let index = Dumped::of(listed, FileKind::Index, index);
        self.store_bytes = dump.and_then(IndexDump::store_bytes);
        let store = Dumped::of(listed, FileKind::Store, self.store_bytes);
        let entries = dump.map_or(0, |dump| dump.entries);
        self.widths = Widths::of(listed.base(), entries, self.store_bytes.unwrap_or(0));
        if !self.sheet.segment(listed.base(), index, Some(&store))? {
            return Ok(());
        }
        let (widths, lines) = (&self.widths, &mut self.sheet.lines);
        lines
            .right("SLOT", widths.slot)
            .next("RELATIVE", widths.relative)
            .next("OFFSET", widths.offset)
            .next("POSITION", widths.position)
            .next("FRAME", widths.frame);
        if self.sheet.form.hex {
            lines.text("  BYTES");
        }
        lines.end_line()
    }

    /// Prints the items of the index.
    #[inline]
    pub fn item(&mut self, item: &EntryItem) -> io::Result<()> {
        match item {
            EntryItem::Entry(view) => {
                self.counts.entries += 1;
                let damaged = view.fault.as_ref().is_some_and(|it| it.buffered.is_none());
                self.counts.damaged += u64::from(damaged);
                if self.sheet.form.json {
                    self.json_entry(view)
                } else {
                    self.text_entry(view)
                }
            }
            other => self.other(other),
        }
    }

    #[inline]
    fn text_entry(&mut self, view: &EntryView) -> io::Result<()> {
        let widths = &self.widths;
        let lines = &mut self.sheet.lines;
        match view.slot {
            Some(slot) => lines.column(slot, widths.slot),
            None => lines.right("-", widths.slot),
        };
        lines.next_number(u64::from(view.entry.relative.0), widths.relative);
        match view.offset {
            Some(offset) => lines.next_number(offset.0, widths.offset),
            None => lines.next("-", widths.offset),
        };
        lines.next_number(view.entry.position.0, widths.position);
        lines.next_maybe(frame_bytes(view), widths.frame);
        if self.sheet.form.hex {
            lines.text("  ").hex(&view.entry.encode());
        }
        if let Some(fault) = &view.fault {
            self.mark(view, fault);
        }
        self.sheet.lines.end_line()
    }

    /// The unexpected value, and the expected one.
    fn mark(&mut self, view: &EntryView, fault: &Fault) {
        let store_bytes = self.store_bytes;
        let lines = &mut self.sheet.lines;
        match fault.buffered {
            None => lines.text("  ! ").text(fault.id.as_str()),
            Some(Buffered::Live) => lines.text("  in the writer's buffer"),
            Some(Buffered::Unknown) => lines.text("  perhaps in a writer's buffer"),
        };
        let mut separator = ": ";
        let mut say = |what: &str, number: Option<u64>| {
            if let Some(number) = number {
                lines.text(separator).text(what).number(number);
                separator = ", ";
            }
        };
        if view.slot.is_none() {
            say("is at byte ", Some(view.index_position));
        }
        say("expected relative ", fault.relative);
        say("expected position ", fault.position);
        let expected = fault.payload_bytes.and_then(with_length);
        say("expected frame ", expected);
        if fault.carries.is_some() {
            say("carries ", fault.carries);
            say("expected ", view.offset.map(|offset| offset.0));
        }
        if fault.id == FindingId::IndexDangling {
            say("needs bytes up to ", needed(view));
            say("the store ends at ", store_bytes);
        }
    }

    #[inline]
    fn json_entry(&mut self, view: &EntryView) -> io::Result<()> {
        let hex = self.sheet.form.hex;
        let lines = self.sheet.start("entry");
        if let Some(slot) = view.slot {
            lines.text(",\"slot\":").number(slot);
        }
        lines
            .text(",\"relative\":")
            .number(u64::from(view.entry.relative.0));
        if let Some(offset) = view.offset {
            lines.text(",\"offset\":").number(offset.0);
        }
        lines.text(",\"position\":").number(view.entry.position.0);
        if let Some(frame) = frame_bytes(view) {
            lines.text(",\"frame\":").number(frame);
        }
        if hex {
            lines
                .text(",\"hex\":\"")
                .hex(&view.entry.encode())
                .text("\"");
        }
        if let Some(fault) = &view.fault {
            self.json_fault(view, fault)?;
        }
        self.sheet.lines.text("}").end_line()
    }

    fn json_fault(&mut self, view: &EntryView, fault: &Fault) -> io::Result<()> {
        let store_bytes = self.store_bytes;
        let lines = match fault.buffered {
            None => self.sheet.lines.text_field("damage", fault.id.as_str())?,
            Some(Buffered::Live) => self.sheet.lines.text(",\"buffered\":true"),
            Some(Buffered::Unknown) => self.sheet.lines.text(",\"buffered\":null"),
        };
        if view.slot.is_none() {
            lines.field("index_position", Some(view.index_position));
        }
        lines
            .field("expected_relative", fault.relative)
            .field("expected_position", fault.position)
            .field("expected_frame", fault.payload_bytes.and_then(with_length))
            .field("embedded_offset", fault.carries);
        if fault.id == FindingId::IndexDangling {
            lines
                .field("expected_store_bytes", needed(view))
                .field("store_bytes", store_bytes);
        }
        Ok(())
    }

    /// Padding, a part of an entry, what cannot be read.
    fn other(&mut self, item: &EntryItem) -> io::Result<()> {
        self.counts.others += 1;
        let kind = match item {
            EntryItem::Entry(_) => return Ok(()),
            EntryItem::Unreadable { .. } => "unreadable",
            EntryItem::Padding { bytes, .. } => {
                self.counts.padding_bytes += bytes;
                "padding"
            }
            EntryItem::Partial { .. } => "partial",
        };
        if self.sheet.form.json {
            let lines = self.sheet.about_bytes(kind, item.place())?;
            match item {
                EntryItem::Unreadable { slot, .. } => lines.field("slot", Some(*slot)),
                EntryItem::Partial { bytes, .. } => lines.text(",\"hex\":\"").hex(bytes).text("\""),
                _ => lines,
            };
            return lines.text("}").end_line();
        }
        let lines = self.sheet.text_about_bytes(kind, item.place());
        match item {
            EntryItem::Unreadable { slot, .. } => lines.text("entry ").number(*slot),
            EntryItem::Partial { bytes, .. } => lines.hex(bytes),
            _ => {
                let (_, bytes) = item.place();
                lines.text(&count(bytes / ENTRY_BYTES, "zero entry"));
                match bytes % ENTRY_BYTES {
                    0 => &mut *lines,
                    over => lines.text(" and ").text(&count(over, "byte")),
                }
            }
        };
        lines.end_line()
    }

    /// The last line: the counts.
    pub fn summary(&mut self) -> io::Result<()> {
        let counts = [
            ("entries", self.counts.entries),
            ("damaged_entries", self.counts.damaged),
            ("padding_bytes", self.counts.padding_bytes),
        ];
        self.sheet.summary("entry", &counts, "")
    }
}

fn with_length(payload_bytes: u64) -> Option<u64> {
    payload_bytes.checked_add(LENGTH_BYTES)
}

/// Bytes of the frame where the entry points, its length included. A length that
/// is not believed is shown all the same.
fn frame_bytes(view: &EntryView) -> Option<u64> {
    view.payload_bytes
        .map(|bytes| bytes.saturating_add(LENGTH_BYTES))
}

/// How large the store must be for the entry's frame, as far as that is known.
fn needed(view: &EntryView) -> Option<u64> {
    let frame = frame_bytes(view).unwrap_or(LENGTH_BYTES);
    view.entry.position.0.checked_add(frame)
}
