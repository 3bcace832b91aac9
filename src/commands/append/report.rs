//! The messages to the user: offsets and the summary on stdout, notes on stderr, and how
//! to continue after an error. A stdout that fails is ignored: it never stops an append
//! and never changes its status.

use proglog::log::error::reason;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use proglog::log::units::Offset;
use serde_json::{Map, Value, json};

use super::framing::Format;
use super::input::Input;
use crate::commands::signals::interruptible;
use crate::commands::{quote, quote_word, say};
use crate::render::prose::{count, escaped_json};

/// The records committed so far, over all periods of access.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Records.
    pub records: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// First offset.
    pub first_offset: Option<Offset>,
    /// Last offset.
    pub last_offset: Option<Offset>,
    /// The offset after the last one, as far as we know; `None` before the log was
    /// inspected, and past 2^64 - 1.
    pub next_offset: Option<Offset>,
    /// Segments that the records are in.
    pub segments: u64,
    /// Whether others' records are between.
    pub mixed: bool,
}

impl Totals {
    /// Whether the log was not even inspected.
    pub fn is_untouched(&self) -> bool {
        self.records == 0 && self.next_offset.is_none()
    }
}

/// Stdout and stderr.
pub struct Talk {
    /// `None` once it has failed, and where nothing is to be printed.
    out: Option<BufWriter<File>>,
    print_offsets: bool,
    json: bool,
    quiet: bool,
}

impl Talk {
    /// The messages that the options select.
    pub fn new(print_offsets: bool, json: bool, quiet: bool) -> Self {
        let out = (print_offsets || json).then(crate::commands::streamed_stdout);
        Self {
            out: out.and_then(Result::ok),
            print_offsets,
            json,
            quiet,
        }
    }

    /// Prints a line on stderr, unless it is to be quiet.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            say(line);
        }
    }

    /// Prints the offsets of records that are committed: from..last, both included.
    pub fn offsets(&mut self, from: Offset, last: Offset) {
        if !self.print_offsets {
            return;
        }
        let json = self.json;
        let mut digits = itoa::Buffer::new();
        for offset in from.0..=last.0 {
            let number = digits.format(offset);
            let printed = self.print(|out| {
                if json {
                    out.write_all(br#"{"kind":"offset","offset":"#)?;
                    out.write_all(number.as_bytes())?;
                    out.write_all(b"}\n")
                } else {
                    out.write_all(number.as_bytes())?;
                    out.write_all(b"\n")
                }
            });
            if !printed {
                break;
            }
        }
        self.flush();
    }

    /// Flushes the output.
    pub fn flush(&mut self) {
        self.print(Write::flush);
    }

    /// Prints; after a failure never again. Returns whether it went well.
    fn print(&mut self, print: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> bool {
        let Some(out) = &mut self.out else {
            return false;
        };
        // The reader may be gone.
        let Err(error) = interruptible(|| print(out)) else {
            return true;
        };
        // A closed stdout is not an error: the append continues.
        if error.kind() != ErrorKind::BrokenPipe {
            let what = if self.print_offsets {
                "offsets are missing there; the append continues"
            } else {
                "the summary is missing there"
            };
            say(&format!(
                "error: cannot write to stdout: {}: {what}",
                reason(&error)
            ));
        }
        if let Some(out) = self.out.take() {
            // The buffer is not written again when it is dropped.
            let _ = out.into_parts();
        }
        false
    }

    /// Ends with the summary.
    pub fn summary(&mut self, log: &Path, totals: &Totals, went_well: bool) {
        let line = Value::Object(as_json(log, totals, self.print_offsets)).to_string();
        self.end(&in_words(totals), &escaped_json(&line), went_well);
    }

    /// Ends with a result, in words if all went well, and as a line of JSON.
    pub fn end(&mut self, words: &str, line: &str, went_well: bool) {
        if went_well {
            self.say(words);
        }
        if self.json {
            self.print(|out| writeln!(out, "{line}"));
        }
        self.flush();
    }
}

/// `appended 1000 records at offsets 0..999`.
pub fn in_words(totals: &Totals) -> String {
    let records = count(totals.records, "record");
    match (totals.first_offset, totals.last_offset) {
        (Some(first), Some(last)) if first == last => {
            format!("appended {records} at offset {first}")
        }
        (Some(first), Some(last)) if totals.mixed => {
            format!(
                "appended {records} among offsets {first}..{last} (other processes appended \
                     too)"
            )
        }
        (Some(first), Some(last)) => format!("appended {records} at offsets {first}..{last}"),
        _ => format!("appended {records}"),
    }
}

fn as_json(log: &Path, totals: &Totals, with_kind: bool) -> Map<String, Value> {
    let mut object = Map::new();
    if with_kind {
        object.insert("kind".to_owned(), json!("summary"));
    }
    object.insert("log".to_owned(), json!(log.display().to_string()));
    for (name, offset) in [
        ("first_offset", totals.first_offset),
        ("last_offset", totals.last_offset),
    ] {
        if let Some(offset) = offset {
            object.insert(name.to_owned(), json!(offset.0));
        }
    }
    object.insert("records".to_owned(), json!(totals.records));
    object.insert("bytes".to_owned(), json!(totals.bytes));
    if let Some(next) = totals.next_offset {
        object.insert("next_offset".to_owned(), json!(next.0));
    }
    object.insert("segments".to_owned(), json!(totals.segments));
    object
}

/// The state needed to continue after an error.
pub struct Resume<'a> {
    /// The log.
    pub log: &'a Path,
    /// How the inputs are divided.
    pub format: &'a Format,
    /// All inputs.
    pub inputs: &'a [Input],
    /// Number of records read before each input that was started.
    pub begun: &'a [u64],
    /// Options for the command that continues.
    pub options: &'a str,
    /// The directory for the bytes that a recovery removes, if given.
    pub save_to: Option<&'a Path>,
    /// The committed records.
    pub totals: Totals,
    /// Whether the input must be repaired first, and so what follows is no help yet.
    pub mend_first: bool,
}

impl Resume<'_> {
    /// How to continue from here: a command where there is one, else what to skip.
    pub fn hints(&self) -> Vec<String> {
        let Some(hint) = self.onwards() else {
            return Vec::new();
        };
        let first = self.mend_first.then(|| "fix the input, then:".to_owned());
        first.into_iter().chain([hint]).collect()
    }

    fn onwards(&self) -> Option<String> {
        let committed = self.totals.records;
        // After the last offset nothing can be appended.
        let next = self.totals.next_offset.filter(|next| *next < Offset::MAX)?;
        let at = self.begun.iter().rposition(|&begun| begun <= committed)?;
        let input = self.inputs.get(at)?;
        let done = committed - self.begun.get(at)?;
        let rest: String = self
            .inputs
            .get(at + 1..)?
            .iter()
            .map(|input| match &input.path {
                Some(path) => format!(" {}", quote(path)),
                None => " -".to_owned(),
            })
            .collect();
        let log = quote(self.log);
        let options = format!(
            "{}{} --expect-offset {next}",
            self.format_options(),
            self.options
        );
        let command = self.skipping(input, done).map(|skip| {
            let input = if rest.is_empty() { "" } else { " -" };
            format!("{skip}proglog append {log}{input}{rest}{options}")
        });
        Some(command.unwrap_or_else(|| {
            let (name, records) = (input.name(), count(done, "record"));
            format!("skip {records} of {name} and append the rest with{options}")
        }))
    }

    /// The shell command that skips the first records of an input, if a pipe can do it.
    fn skipping(&self, input: &Input, records: u64) -> Option<String> {
        let zero = match self.format {
            Format::Byte(b'\n') | Format::Json => "",
            Format::Byte(0) => "-z ",
            _ => return None,
        };
        let path = quote(&input.regular_path()?);
        Some(format!(
            "tail {zero}-n +{} {path} | ",
            records.saturating_add(1)
        ))
    }

    /// The options that name the format; `None` where they cannot be typed simply.
    fn format_options(&self) -> String {
        let text = |bytes: &[u8]| {
            let escaped: String = bytes.iter().map(|&byte| escape(byte)).collect();
            format!(" -d {}", quote_word(escaped))
        };
        match self.format {
            Format::Byte(b'\n') => String::new(),
            Format::Byte(0) => " -0".to_owned(),
            Format::Byte(byte) => text(&[*byte]),
            Format::Text(bytes) => text(bytes),
            Format::Whole => " --input whole".to_owned(),
            Format::Frames => " --input frames".to_owned(),
            Format::Json => " --input json".to_owned(),
        }
    }
}

/// A byte of a delimiter as `-d` takes it.
fn escape(byte: u8) -> String {
    match byte {
        b'\\' => r"\\".to_owned(),
        0x21..=0x7e => char::from(byte).to_string(),
        _ => format!(r"\x{byte:02x}"),
    }
}
