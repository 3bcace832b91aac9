//! An index's entries as columns or JSON lines.

use std::io::{self, Write};
use std::path::Path;

use proglog::inspect::entries::{EntryItem, EntryView, Fault};
use proglog::inspect::finding::FindingId;
use proglog::inspect::usage::Buffered;
use proglog::log::format::{ENTRY_BYTES, LENGTH_BYTES};
use proglog::log::units::Offset;

use super::dump::{Lines, digits, log_field};
use super::prose::count;

/// The description of a segment before its entries.
pub struct Heading {
    pub base: Offset,
    pub index: String,
    /// The index's size; `None` where it is missing.
    pub index_bytes: Option<u64>,
    pub store: String,
    /// The store's size; `None` where it is missing.
    pub store_bytes: Option<u64>,
    /// The message if there is no index.
    pub no_index: String,
    /// And no store.
    pub no_store: String,
    pub entries: u64,
}

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
    fn of(heading: &Heading) -> Self {
        let store = digits(heading.store_bytes.unwrap_or(0));
        Self {
            slot: digits(heading.entries).max(4),
            relative: digits(heading.entries).max(8),
            offset: digits(heading.base.saturating_add(heading.entries).0).max(6),
            position: store.max(8),
            frame: store.clamp(5, 8),
        }
    }
}

/// Number of items printed.
#[derive(Default)]
struct Counts {
    segments: u64,
    entries: u64,
    damaged: u64,
    padding_bytes: u64,
    others: u64,
}

/// Prints entries.
pub struct Printer<W> {
    lines: Lines<W>,
    json: bool,
    hex: bool,
    /// No headings and no summary.
    quiet: bool,
    heading: Option<Heading>,
    widths: Widths,
    /// The field that names the log, in JSON.
    log: String,
    /// How each line of a valid entry begins, in JSON.
    json_start: String,
    counts: Counts,
}

impl<W: Write> Printer<W> {
    pub fn new(out: W, (json, hex, quiet): (bool, bool, bool), log: &Path) -> Self {
        Self {
            lines: Lines::new(out),
            json,
            hex,
            quiet,
            heading: None,
            widths: Widths::default(),
            log: log_field(log),
            json_start: String::new(),
            counts: Counts::default(),
        }
    }

    /// Number of items printed.
    pub fn shown(&self) -> u64 {
        self.counts.entries + self.counts.others
    }

    /// Begins a segment.
    pub fn heading(&mut self, heading: Heading) -> io::Result<()> {
        self.widths = Widths::of(&heading);
        self.json_start = format!(
            "{{\"kind\":\"entry\"{},\"segment\":{}",
            self.log, heading.base
        );
        if self.json {
            if heading.index_bytes.is_none() {
                self.json_line("missing", &heading, None)?;
                self.lines.text("}").end_line()?;
            }
        } else {
            self.text_heading(&heading)?;
        }
        self.counts.segments += 1;
        self.heading = Some(heading);
        Ok(())
    }

    fn text_heading(&mut self, heading: &Heading) -> io::Result<()> {
        if self.counts.segments > 0 && !self.quiet {
            self.lines.end_line()?;
        }
        let Some(index_bytes) = heading.index_bytes else {
            self.lines.escaped(heading.index.as_bytes());
            return self.lines.text(&heading.no_index).end_line();
        };
        if self.quiet {
            return Ok(());
        }
        self.lines.escaped(heading.index.as_bytes());
        self.lines.text(": ").text(&count(index_bytes, "byte"));
        self.lines.text("; ");
        self.lines.escaped(heading.store.as_bytes());
        match heading.store_bytes {
            Some(bytes) => self.lines.text(": ").text(&count(bytes, "byte")),
            None => self.lines.text(&heading.no_store),
        };
        self.lines.end_line()?;
        let widths = &self.widths;
        self.lines
            .right("SLOT", widths.slot)
            .next("RELATIVE", widths.relative)
            .next("OFFSET", widths.offset)
            .next("POSITION", widths.position)
            .next("FRAME", widths.frame);
        if self.hex {
            self.lines.text("  BYTES");
        }
        self.lines.end_line()
    }

    /// Prints the items of the index.
    #[inline]
    pub fn item(&mut self, item: &EntryItem) -> io::Result<()> {
        match item {
            EntryItem::Entry(view) => {
                self.counts.entries += 1;
                let damaged = view.fault.as_ref().is_some_and(|it| it.buffered.is_none());
                self.counts.damaged += u64::from(damaged);
                if self.json {
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
        let lines = &mut self.lines;
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
        if self.hex {
            lines.text("  ").hex(&view.entry.encode());
        }
        if let Some(fault) = &view.fault {
            self.mark(view, fault);
        }
        self.lines.end_line()
    }

    /// The unexpected value, and the expected one.
    fn mark(&mut self, view: &EntryView, fault: &Fault) {
        let store_bytes = self.heading.as_ref().and_then(|it| it.store_bytes);
        let lines = &mut self.lines;
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
        let lines = &mut self.lines;
        lines.text(&self.json_start);
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
        if self.hex {
            lines
                .text(",\"hex\":\"")
                .hex(&view.entry.encode())
                .text("\"");
        }
        if let Some(fault) = &view.fault {
            self.json_fault(view, fault)?;
        }
        self.lines.text("}").end_line()
    }

    fn json_fault(&mut self, view: &EntryView, fault: &Fault) -> io::Result<()> {
        let store_bytes = self.heading.as_ref().and_then(|it| it.store_bytes);
        let lines = match fault.buffered {
            None => self.lines.text_field("damage", fault.id.as_str())?,
            Some(Buffered::Live) => self.lines.text(",\"buffered\":true"),
            Some(Buffered::Unknown) => self.lines.text(",\"buffered\":null"),
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
        let (position, bytes) = item.place();
        let kind = match item {
            EntryItem::Entry(_) => return Ok(()),
            EntryItem::Unreadable { .. } => "unreadable",
            EntryItem::Padding { bytes, .. } => {
                self.counts.padding_bytes += bytes;
                "padding"
            }
            EntryItem::Partial { .. } => "partial",
        };
        if self.json {
            let Some(heading) = self.heading.take() else {
                return Ok(());
            };
            self.json_line(kind, &heading, Some((position, bytes)))?;
            self.heading = Some(heading);
            match item {
                EntryItem::Unreadable { slot, .. } => self.lines.field("slot", Some(*slot)),
                EntryItem::Partial { bytes, .. } => {
                    self.lines.text(",\"hex\":\"").hex(bytes).text("\"")
                }
                _ => &mut self.lines,
            };
            return self.lines.text("}").end_line();
        }
        self.lines.text(kind).text("  ").number(position);
        self.lines.text("+").number(bytes).text(": ");
        match item {
            EntryItem::Unreadable { slot, .. } => self.lines.text("entry ").number(*slot),
            EntryItem::Partial { bytes, .. } => self.lines.hex(bytes),
            _ => {
                self.lines.text(&count(bytes / ENTRY_BYTES, "zero entry"));
                match bytes % ENTRY_BYTES {
                    0 => &mut self.lines,
                    over => self.lines.text(" and ").text(&count(over, "byte")),
                }
            }
        };
        self.lines.end_line()
    }

    /// A JSON line about bytes of the index, up to its last field.
    fn json_line(
        &mut self,
        kind: &str,
        heading: &Heading,
        place: Option<(u64, u64)>,
    ) -> io::Result<()> {
        self.lines
            .text("{\"kind\":\"")
            .text(kind)
            .text("\"")
            .text(&self.log);
        self.lines.field("segment", Some(heading.base.0));
        self.lines.text_field("file", &heading.index)?;
        if let Some((position, bytes)) = place {
            self.lines
                .field("position", Some(position))
                .field("bytes", Some(bytes));
        }
        Ok(())
    }

    /// The last line: the counts.
    pub fn summary(&mut self) -> io::Result<()> {
        let counts = &self.counts;
        if self.json {
            self.lines.text("{\"kind\":\"summary\"").text(&self.log);
            self.lines
                .field("segments", Some(counts.segments))
                .field("entries", Some(counts.entries))
                .field("damaged_entries", Some(counts.damaged))
                .field("padding_bytes", Some(counts.padding_bytes));
            return self.lines.text("}").end_line();
        }
        if self.quiet {
            return Ok(());
        }
        if counts.segments > 0 {
            self.lines.end_line()?;
        }
        self.lines.text(&count(counts.entries, "entry"));
        self.lines.text(" shown, ").number(counts.damaged);
        self.lines.text(" of them not as expected").end_line()
    }

    /// Drops the headings of segments without an item to print.
    pub fn discard(&mut self) {
        self.lines.discard();
    }

    /// Writes everything.
    pub fn finish(&mut self) -> io::Result<()> {
        self.lines.finish()
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
