//! A store's frames as columns or JSON lines.

use std::io::{self, Write};
use std::path::Path;

use proglog::inspect::frames::{FrameItem, FrameView, HEAD_BYTES, NoFrame};
use proglog::log::format::LENGTH_BYTES;
use proglog::log::reader::Content;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::dump::{Failed, Lines, digits, log_field};
use super::prose::{COLUMNS, count, either};

/// Columns that a value gets in any case.
const VALUE_LEAST: usize = 12;

/// The description of a segment before its frames.
pub struct Heading {
    pub base: Offset,
    pub store: String,
    /// The store's size; `None` where it is missing.
    pub store_bytes: Option<u64>,
    /// The message if there is no store.
    pub no_store: String,
}

/// The widths of the columns.
#[derive(Default)]
struct Widths {
    position: usize,
    frame: usize,
    offset: usize,
    /// The columns that remain for the value.
    value: usize,
}

/// Number of items printed.
#[derive(Default)]
struct Counts {
    segments: u64,
    frames: u64,
    unexpected: u64,
    no_frame_bytes: u64,
    zero_bytes: u64,
    others: u64,
}

/// Prints frames.
pub struct Printer<W> {
    lines: Lines<W>,
    json: bool,
    hex: bool,
    /// No headings and no summary.
    quiet: bool,
    codec: Codec,
    /// The field that names the log, in JSON.
    log: String,
    base: Offset,
    store: String,
    store_bytes: u64,
    widths: Widths,
    counts: Counts,
}

impl<W: Write> Printer<W> {
    pub fn new(out: W, (json, hex, quiet): (bool, bool, bool), codec: Codec, log: &Path) -> Self {
        Self {
            lines: Lines::new(out),
            json,
            hex,
            quiet,
            codec,
            log: log_field(log),
            base: Offset(0),
            store: String::new(),
            store_bytes: 0,
            widths: Widths::default(),
            counts: Counts::default(),
        }
    }

    /// Number of items printed.
    pub fn shown(&self) -> u64 {
        self.counts.frames + self.counts.others
    }

    /// Whether the bytes of each item are shown too.
    pub fn wants_bytes(&self) -> bool {
        self.hex
    }

    /// Begins a segment.
    pub fn heading(&mut self, heading: Heading) -> io::Result<()> {
        let first = self.counts.segments == 0;
        self.counts.segments += 1;
        self.base = heading.base;
        self.store = heading.store;
        self.store_bytes = heading.store_bytes.unwrap_or(0);
        let position = digits(self.store_bytes).max(8);
        let frame = position.min(8);
        let offset = digits(self.base.saturating_add(self.store_bytes / LENGTH_BYTES).0);
        let offset = offset.max(match self.codec {
            Codec::Raw => 7,
            Codec::Protobuf => 8,
        });
        let offsets = match self.codec {
            Codec::Raw => offset + 2,
            Codec::Protobuf => (offset + 2) * 2,
        };
        // Two between columns, and eight for the length.
        let before = position + 2 + frame + offsets + 2 + 8 + 2;
        self.widths = Widths {
            position,
            frame,
            offset,
            value: COLUMNS.saturating_sub(before).max(VALUE_LEAST),
        };
        if self.json {
            if heading.store_bytes.is_none() {
                self.json_start("missing");
                self.lines.text_field("file", &self.store)?.text("}");
                return self.lines.end_line();
            }
            return Ok(());
        }
        if !first && !self.quiet {
            self.lines.end_line()?;
        }
        if heading.store_bytes.is_none() {
            self.lines.escaped(self.store.as_bytes());
            return self.lines.text(&heading.no_store).end_line();
        }
        if self.quiet {
            return Ok(());
        }
        self.lines.escaped(self.store.as_bytes());
        self.lines.text(": ").text(&count(self.store_bytes, "byte"));
        self.lines.end_line()?;
        let widths = &self.widths;
        self.lines
            .right("POSITION", widths.position)
            .next("FRAME", widths.frame)
            .next("OFFSET", widths.offset);
        if self.codec == Codec::Protobuf {
            self.lines.next("EMBEDDED", widths.offset);
        }
        self.lines.text("    LENGTH  VALUE").end_line()
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
                if self.json {
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
        if !self.json {
            self.lines.end_line()?;
            return match content {
                Some(content) => self.lines.hex_dump(content, position),
                None => Ok(()),
            };
        }
        if let Some(content) = content {
            self.lines.text(",\"hex\":\"");
            self.lines.hex_content(content)?;
            self.lines.text("\"");
        }
        Ok(self.lines.text("}").end_line()?)
    }

    fn json_start(&mut self, kind: &str) {
        self.lines.text("{\"kind\":\"").text(kind).text("\"");
        self.lines.text(&self.log);
        self.lines.text(",\"segment\":").number(self.base.0);
    }

    fn json_frame(&mut self, view: &FrameView<'_>) {
        self.json_start("frame");
        self.lines
            .field("position", Some(view.position))
            .field("frame", Some(view.frame_bytes()))
            .field("offset", view.offset.map(|offset| offset.0))
            .field("embedded_offset", view.carries)
            .field("length", Some(view.value.1));
        self.lines.text(",\"value_head\":\"");
        self.lines.escaped_json(view.head).text("\"");
        if view.undecodable {
            self.lines.text(",\"undecodable\":true");
        }
    }

    fn text_frame(&mut self, view: &FrameView<'_>) {
        let widths = &self.widths;
        let lines = &mut self.lines;
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
        if self.json {
            self.json_start("no-frame");
            self.lines
                .text_field("file", &self.store)?
                .field("position", Some(position))
                .field("bytes", Some(bytes))
                .text_field("why", word)?
                .field("got", figure)
                .field("store_bytes", Some(self.store_bytes));
            return Ok(());
        }
        let lines = &mut self.lines;
        lines.text("no frame  ").number(position).text("+");
        lines.number(bytes).text(": ");
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
        let (position, bytes) = row.place();
        let frames = row.frames();
        if self.json {
            self.json_start("empty-row");
            self.lines
                .text_field("file", &self.store)?
                .field("position", Some(position))
                .field("bytes", Some(bytes))
                .field("frames", Some(frames))
                .field("offset", first.map(|first| first.0));
            return Ok(());
        }
        self.lines.text("zeros  ").number(position).text("+");
        self.lines.number(bytes).text(": ");
        self.lines.text(&count(frames, "empty record"));
        if let Some(first) = first {
            self.lines.text(", offsets ").number(first.0).text("..");
            self.lines.number(first.saturating_add(frames - 1).0);
        }
        Ok(())
    }

    fn zeros(&mut self, position: u64, bytes: u64) -> io::Result<()> {
        if self.json {
            self.json_start("zeros");
            self.lines
                .text_field("file", &self.store)?
                .field("position", Some(position))
                .field("bytes", Some(bytes));
            return Ok(());
        }
        self.lines.text("zeros  ").number(position).text("+");
        self.lines
            .number(bytes)
            .text(": up to the end of the store");
        if self.codec == Codec::Raw || (self.base.0 == 0 && position == 0) {
            self.lines.text(", or as many empty records as fit");
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
                .field("frames", Some(counts.frames))
                .field("unexpected", Some(counts.unexpected))
                .field("no_frame_bytes", Some(counts.no_frame_bytes))
                .field("zero_bytes", Some(counts.zero_bytes));
            return self.lines.text("}").end_line();
        }
        if self.quiet {
            return Ok(());
        }
        if counts.segments > 0 {
            self.lines.end_line()?;
        }
        self.lines.text(&count(counts.frames, "frame"));
        self.lines.text(" shown, ").number(counts.unexpected);
        self.lines.text(" of them not as expected");
        if counts.no_frame_bytes > 0 {
            let verb = either(counts.no_frame_bytes, "is", "are");
            self.lines
                .text("; ")
                .text(&count(counts.no_frame_bytes, "byte"));
            self.lines.text(" ").text(verb).text(" not a frame");
        }
        self.lines.end_line()
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
