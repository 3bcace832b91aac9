//! What a dump of an index and one of a store have in common: a heading for each segment,
//! the beginning of each JSON line, and the counts at the end.

use std::io::{self, Write};
use std::path::Path;

use proglog::inspect::listing::{FileFacts, SegmentListing};
use proglog::log::format::FileKind;
use proglog::log::units::Offset;

use super::dump::Lines;
use super::prose::{count, escaped_json};

/// What of each item is printed, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form {
    pub json: bool,
    /// The bytes too.
    pub hex: bool,
    /// No headings and no summary.
    pub quiet: bool,
}

/// One of the two files of a segment, as it was opened.
#[derive(Debug, Default)]
pub struct Dumped {
    /// Its name.
    pub name: String,
    /// Its size; `None` where it is missing.
    pub bytes: Option<u64>,
    /// The message if it is missing.
    absence: String,
}

impl Dumped {
    /// A listed file; `bytes` is its size if it could be opened.
    pub fn of(listed: &SegmentListing, kind: FileKind, bytes: Option<u64>) -> Self {
        Self {
            name: listed.file_name(kind),
            bytes,
            absence: absence(listed.file(kind)),
        }
    }
}

/// The message for a file that cannot be dumped: it does not exist, or is not a regular
/// one.
fn absence(file: Option<&FileFacts>) -> String {
    match file.and_then(|file| file.no_file) {
        Some(what) => format!(" is {what}, not a regular file"),
        None => " is missing".to_owned(),
    }
}

/// The printed part of a dump.
pub struct Sheet<W> {
    pub lines: Lines<W>,
    pub form: Form,
    /// The base offset of the segment.
    pub base: Offset,
    /// The dumped file.
    pub file: Dumped,
    segments: u64,
    /// The field that names the log, in JSON.
    log: String,
    /// The fields that name the log and the segment, in JSON.
    names: String,
}

impl<W: Write> Sheet<W> {
    pub fn new(out: W, form: Form, log: &Path) -> Self {
        let text = serde_json::Value::from(log.display().to_string()).to_string();
        Self {
            lines: Lines::new(out),
            form,
            base: Offset(0),
            file: Dumped::default(),
            segments: 0,
            log: format!(",\"log\":{}", escaped_json(&text)),
            names: String::new(),
        }
    }

    /// Begins a segment; whether the names of the columns follow, after the size of the
    /// file and, where there is one, of the `other` file.
    pub fn segment(
        &mut self,
        base: Offset,
        file: Dumped,
        other: Option<&Dumped>,
    ) -> io::Result<bool> {
        self.base = base;
        self.file = file;
        self.names = format!("{},\"segment\":{base}", self.log);
        self.segments += 1;
        let exists = self.file.bytes.is_some();
        if self.form.json {
            if !exists {
                self.about_file("missing")?.text("}").end_line()?;
            }
            return Ok(false);
        }
        if self.segments > 1 && !self.form.quiet {
            self.lines.end_line()?;
        }
        if self.form.quiet && exists {
            return Ok(false);
        }
        self.lines.file(&self.file);
        if let (true, Some(other)) = (exists, other) {
            self.lines.text("; ").file(other);
        }
        self.lines.end_line()?;
        Ok(exists)
    }

    /// Begins a JSON line.
    #[inline]
    pub fn start(&mut self, kind: &str) -> &mut Lines<W> {
        self.lines.text("{\"kind\":\"").text(kind).text("\"");
        self.lines.text(&self.names)
    }

    /// Begins a JSON line about the file.
    fn about_file(&mut self, kind: &str) -> io::Result<&mut Lines<W>> {
        self.start(kind);
        self.lines.text_field("file", &self.file.name)
    }

    /// Begins a JSON line about bytes of the file.
    pub fn about_bytes(
        &mut self,
        kind: &str,
        (position, bytes): (u64, u64),
    ) -> io::Result<&mut Lines<W>> {
        let lines = self.about_file(kind)?;
        lines.field("position", Some(position));
        Ok(lines.field("bytes", Some(bytes)))
    }

    /// Begins a line of text about bytes of the file.
    pub fn text_about_bytes(&mut self, kind: &str, (position, bytes): (u64, u64)) -> &mut Lines<W> {
        self.lines.text(kind).text("  ").number(position);
        self.lines.text("+").number(bytes).text(": ")
    }

    /// The last line: the counts, of which the first two are of the printed `items` and of
    /// those that are not as expected; `rest` is the end of the sentence.
    pub fn summary(
        &mut self,
        item: &str,
        counts: &[(&'static str, u64)],
        rest: &str,
    ) -> io::Result<()> {
        if self.form.json {
            self.lines.text("{\"kind\":\"summary\"").text(&self.log);
            self.lines.field("segments", Some(self.segments));
            for &(name, number) in counts {
                self.lines.field(name, Some(number));
            }
            return self.lines.text("}").end_line();
        }
        if self.form.quiet {
            return Ok(());
        }
        if self.segments > 0 {
            self.lines.end_line()?;
        }
        let mut numbers = counts.iter().map(|&(_, number)| number);
        let (shown, unexpected) = (numbers.next(), numbers.next());
        self.lines
            .text(&count(shown.unwrap_or(0), item))
            .text(" shown, ")
            .number(unexpected.unwrap_or(0))
            .text(" of them not as expected")
            .text(rest)
            .end_line()
    }
}

impl<W: Write> Lines<W> {
    /// The name of a file with its size, or that it is missing.
    fn file(&mut self, file: &Dumped) -> &mut Self {
        self.escaped(file.name.as_bytes());
        match file.bytes {
            Some(bytes) => self.text(": ").text(&count(bytes, "byte")),
            None => self.text(&file.absence),
        }
    }
}
