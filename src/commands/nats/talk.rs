//! Progress of push and pull: a line on a terminal, and the summary at the end.

use std::io::Write;
use std::path::Path;

use proglog::log::progress::Progress;
use proglog::log::units::Offset;

use crate::commands::progress::{Bar, Signals};
use crate::commands::{Globals, say};
use crate::render::json_line::JsonLine;
use crate::render::prose::count;

/// The transferred records, for the progress line.
pub static MOVED: Progress = Progress::new();

/// Which way the records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the log to the stream.
    Push,
    /// From the stream to the log.
    Pull,
}

impl Way {
    fn done(self) -> &'static str {
        match self {
            Self::Push => "pushed",
            Self::Pull => "pulled",
        }
    }
}

/// The transferred records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// The offset of the first record that had to.
    pub first: Option<Offset>,
    /// The offset after the last one that has.
    pub next: Option<Offset>,
    /// The sequence of the last one that has.
    pub last_sequence: Option<u64>,
}

impl Totals {
    /// Number of records.
    pub fn records(&self) -> u64 {
        match (self.first, self.next) {
            (Some(first), Some(next)) => next.0.saturating_sub(first.0),
            _ => 0,
        }
    }
}

/// Words about the way.
pub struct Talk {
    way: Way,
    quiet: bool,
    bar: Option<Bar>,
}

impl Talk {
    /// Messages about one direction.
    pub fn new(way: Way, globals: Globals) -> Self {
        let verb = match way {
            Way::Push => "push",
            Way::Pull => "pull",
        };
        Self {
            way,
            quiet: globals.quiet,
            bar: Some(Bar::new(verb, &MOVED, || None, Signals::Handled, globals)),
        }
    }

    /// Prints a line, unless it is to be quiet.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            say(line);
        }
    }

    /// Ends with the summary, as JSON and, if all went well, in words.
    pub fn summary(
        &mut self,
        totals: &Totals,
        retries: u64,
        (log, stream): (&Path, &str),
        json: bool,
        well: bool,
    ) {
        self.bar = None;
        let records = totals.records();
        if well {
            let range = match (totals.first, totals.next) {
                (Some(first), Some(_)) if records == 1 => format!(", offset {first}"),
                (Some(first), Some(next)) if records > 1 => {
                    format!(", offsets {first}..{}", next.0 - 1)
                }
                _ => String::new(),
            };
            self.note(&format!(
                "{} {}{range}",
                self.way.done(),
                count(records, "record")
            ));
        }
        if !json {
            return;
        }
        let mut line = JsonLine::of("summary")
            .text("log", log.display().to_string())
            .text("stream", stream);
        if records > 0
            && let (Some(first), Some(next)) = (totals.first, totals.next)
        {
            line = line
                .number("first_offset", first.0)
                .number("last_offset", next.0 - 1);
        }
        line = line.number("records", records);
        if let Some(next) = totals.next {
            line = line.number("next_offset", next.0);
        }
        if let Some(sequence) = totals.last_sequence {
            line = line.number("last_sequence", sequence);
        }
        line = line.number("retries", retries);
        // A stdout that fails changes nothing of the transfer.
        if let Ok(mut out) = crate::commands::stdout() {
            let _ = writeln!(out, "{line}");
            let _ = out.flush();
        }
    }
}
