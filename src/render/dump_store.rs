//! A store's frames as columns or JSON lines.

use std::io::{self, Write};
use std::path::Path;

use proglog::inspect::frames::{FrameItem, FrameView, HEAD_BYTES, NoFrame};
use proglog::inspect::listing::SegmentListing;
use proglog::log::format::{FileKind, LENGTH_BYTES};
use proglog::log::reader::Content;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::dump::{Failed, digits};
use super::prose::{COLUMNS, count, either};
use super::sheet::{Dumped, Form, Sheet};

/// Columns that a value gets in any case.
const VALUE_LEAST: usize = 12;

/// The widths of the columns.
#[derive(Default)]
struct Widths {
    position: usize,
    frame: usize,
    offset: usize,
    /// The columns that remain for the value.
    value: usize,
}

impl Widths {
    fn of(codec: Codec, base: Offset, store_bytes: u64) -> Self {
        let position = digits(store_bytes).max(8);
        let frame = position.min(8);
        let offset = digits(base.saturating_add(store_bytes / LENGTH_BYTES).0);
        let (offset, columns) = match codec {
            Codec::Raw => (offset.max(7), 1),
            Codec::Protobuf => (offset.max(8), 2),
        };
        // Two between columns, and eight for the length.
        let before = position + 2 + frame + (offset + 2) * columns + 2 + 8 + 2;
        Self {
            position,
            frame,
            offset,
            value: COLUMNS.saturating_sub(before).max(VALUE_LEAST),
        }
    }
}

/// Number of items printed.
#[derive(Default)]
struct Counts {
    frames: u64,
    unexpected: u64,
    no_frame_bytes: u64,
    zero_bytes: u64,
    others: u64,
}

/// Prints frames.
pub struct Printer<W> {
    pub sheet: Sheet<W>,
    codec: Codec,
    store_bytes: u64,
    widths: Widths,
    counts: Counts,
}

impl<W: Write> Printer<W> {
    pub fn new(out: W, form: Form, codec: Codec, log: &Path) -> Self {
        Self {
            sheet: Sheet::new(out, form, log),
            codec,
            store_bytes: 0,
            widths: Widths::default(),
            counts: Counts::default(),
        }
    }

    /// Number of items printed.
    pub fn shown(&self) -> u64 {
        self.counts.frames + self.counts.others
    }

    /// Begins a segment; `store_bytes` is the size of its store, if it has one.
    pub fn heading(&mut self, listed: &SegmentListing, store_bytes: Option<u64>) -> io::Result<()> {
        self.store_bytes = store_bytes.unwrap_or(0);
        self.widths = Widths::of(self.codec, listed.base(), self.store_bytes);
        let store = Dumped::of(listed, FileKind::Store, store_bytes);
        if !self.sheet.segment(listed.base(), store, None)? {
            return Ok(());
        }
        let (widths, lines) = (&self.widths, &mut self.sheet.lines);
        lines
            .right("POSITION", widths.position)
            .next("FRAME", widths.frame)
            .next("OFFSET", widths.offset);
        if self.codec == Codec::Protobuf {
            lines.next("EMBEDDED", widths.offset);
        }
        lines.text("    LENGTH  VALUE").end_line()
    }

    /// Prints an item of the store with its offset; `content` has its bytes if requested.
    pub fn item(
        &mut self,
        item: &FrameItem<'_>,
        offset: Option<Offset>,
        content: Option<&Content<'_>>,
    ) -> Result<(), Failed> {
        match item {
            FrameItem::Frame(view) => {
                self.counts.frames += 1;
                self.counts.unexpected += u64::from(!view.is_expected());
                if self.sheet.form.json {
                    self.json_frame(view);
                } else {
                    self.text_frame(view);
                }
            }
            FrameItem::NoFrame {
                position,
                bytes,
                why,
            } => {
                self.counts.others += 1;
                self.counts.no_frame_bytes += bytes;
                self.no_frame(*position, *bytes, *why)?;
            }
            FrameItem::EmptyRow { .. } => {
                self.counts.frames += item.frames();
                self.empty_row(item, offset)?;
            }
            FrameItem::Zeros { position, bytes } => {
                self.counts.others += 1;
                self.counts.zero_bytes += bytes;
                self.zeros(*position, *bytes)?;
            }
        }
        self.end_item(item.place().0, content)
    }

    /// Ends the line, with the bytes where they are wanted.
    fn end_item(&mut self, position: u64, content: Option<&Content<'_>>) -> Result<(), Failed> {
        if !self.sheet.form.json {
            self.sheet.lines.end_line()?;
            return match content {
                Some(content) => self.sheet.lines.hex_dump(content, position),
                None => Ok(()),
            };
        }
        if let Some(content) = content {
            self.sheet.lines.text(",\"hex\":\"");
            self.sheet.lines.hex_content(content)?;
            self.sheet.lines.text("\"");
        }
        Ok(self.sheet.lines.text("}").end_line()?)
    }

    fn json_frame(&mut self, view: &FrameView<'_>) {
        self.sheet
            .start("frame")
            .field("position", Some(view.position))
            .field("frame", Some(view.frame_bytes()))
            .field("offset", view.offset.map(|offset| offset.0))
            .field("embedded_offset", view.carries)
            .field("length", Some(view.value.1));
        self.sheet.lines.text(",\"value_head\":\"");
        self.sheet.lines.escaped_json(view.head).text("\"");
        if view.undecodable {
            self.sheet.lines.text(",\"undecodable\":true");
        }
    }

    fn text_frame(&mut self, view: &FrameView<'_>) {
        let widths = &self.widths;
        let lines = &mut self.sheet.lines;
        lines
            .column(view.position, widths.position)
            .next_number(view.frame_bytes(), widths.frame)
            .next_maybe(view.offset.map(|offset| offset.0), widths.offset);
        if self.codec == Codec::Protobuf {
            lines.next_maybe(view.carries, widths.offset);
        }
        lines.next_number(view.value.1, 8).text("  ");
        let more = view.value.1 > HEAD_BYTES;
        lines.escaped_within(view.head, more, self.widths.value);
        if view.undecodable {
            lines.text("  ! no record");
        } else if let (false, Some(carries)) = (view.is_expected(), view.carries) {
            lines.text("  ! carries ").number(carries);
            if let Some(offset) = view.offset {
                lines.text(", ").number(offset.0).text(" expected");
            }
        }
    }

    fn no_frame(&mut self, position: u64, bytes: u64, why: NoFrame) -> io::Result<()> {
        let (word, figure) = match why {
            NoFrame::CutShort => ("cut-short", None),
            NoFrame::PastEnd(length) => ("past-end", Some(length)),
            NoFrame::ZeroLength => ("zero-length", Some(0)),
            NoFrame::NoRecord(length) => ("no-record", Some(length)),
            NoFrame::Unreadable => ("unreadable", None),
            NoFrame::Unfinished => ("unfinished", None),
            NoFrame::Buffered => ("buffered", None),
        };
        if self.sheet.form.json {
            self.sheet
                .about_bytes("no-frame", (position, bytes))?
                .text_field("why", word)?
                .field("got", figure)
                .field("store_bytes", Some(self.store_bytes));
            return Ok(());
        }
        let lines = self.sheet.text_about_bytes("no frame", (position, bytes));
        match why {
            NoFrame::CutShort => lines.text("fewer bytes than a length has"),
            NoFrame::PastEnd(length) => lines
                .text("a length of ")
                .number(length)
                .text(" runs past the end of the store (")
                .number(self.store_bytes)
                .text(")"),
            NoFrame::ZeroLength => lines.text("a length of 0 above offset 0"),
            NoFrame::NoRecord(length) => lines.number(length).text(" bytes that are not a record"),
            NoFrame::Unreadable => lines.text("the disk reports an error"),
            NoFrame::Unfinished => lines.text("an append that was interrupted, or is in progress"),
            NoFrame::Buffered => {
                lines.text("the rest of the frame is in the writer's buffer");
                return Ok(());
            }
        };
        let end = position.saturating_add(bytes);
        if end < self.store_bytes {
            lines.text("; continues at ").number(end);
        } else {
            lines.text("; no valid frame follows");
        }
        Ok(())
    }

    fn empty_row(&mut self, row: &FrameItem<'_>, first: Option<Offset>) -> io::Result<()> {
        let frames = row.frames();
        if self.sheet.form.json {
            self.sheet
                .about_bytes("empty-row", row.place())?
                .field("frames", Some(frames))
                .field("offset", first.map(|first| first.0));
            return Ok(());
        }
        let lines = self.sheet.text_about_bytes("zeros", row.place());
        lines.text(&count(frames, "empty record"));
        if let Some(first) = first {
            lines.text(", offsets ").number(first.0).text("..");
            lines.number(first.saturating_add(frames - 1).0);
        }
        Ok(())
    }

    fn zeros(&mut self, position: u64, bytes: u64) -> io::Result<()> {
        if self.sheet.form.json {
            self.sheet.about_bytes("zeros", (position, bytes))?;
            return Ok(());
        }
        let or_empty = self.codec == Codec::Raw || (self.sheet.base.0 == 0 && position == 0);
        let lines = self.sheet.text_about_bytes("zeros", (position, bytes));
        lines.text("up to the end of the store");
        if or_empty {
            lines.text(", or as many empty records as fit");
        }
        Ok(())
    }

    /// The last line: the counts.
    pub fn summary(&mut self) -> io::Result<()> {
        let lost = self.counts.no_frame_bytes;
        let rest = match lost {
            0 => String::new(),
            _ => format!(
                "; {} {} not a frame",
                count(lost, "byte"),
                either(lost, "is", "are")
            ),
        };
        let counts = [
            ("frames", self.counts.frames),
            ("unexpected", self.counts.unexpected),
            ("no_frame_bytes", lost),
            ("zero_bytes", self.counts.zero_bytes),
        ];
        self.sheet.summary("frame", &counts, &rest)
    }
}
