//! `--grep`: which records are printed, with those before and after them as context, and
//! where a separator divides two groups.

use std::collections::VecDeque;

use proglog::log::reader::RecordView;
use proglog::log::reverse::KeptRecord;

use super::pattern::Pattern;
use super::range::Range;
use crate::commands::{Failure, options};
use crate::render::field::WriteError;

/// The options of a search.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Search")]
pub struct Options {
    /// Print only records whose value matches REGEX, in the syntax of Rust's crate regex;
    /// exit with status 1 if none does. -c, -n and --batch count records that match
    #[arg(short, long, value_name = "REGEX", allow_hyphen_values = true)]
    grep: Option<String>,
    /// Print the records that do not match
    #[arg(short = 'v', long, requires = "grep")]
    invert_match: bool,
    /// Match without regard to case
    #[arg(short, long, requires = "grep")]
    ignore_case: bool,
    /// Print N records after each match as well, and -- between groups of records
    #[arg(short = 'A', long, value_name = "N", requires = "grep", value_parser = options::number)]
    after_context: Option<u64>,
    /// Print N records before each match as well
    #[arg(short = 'B', long, value_name = "N", requires = "grep", value_parser = options::number)]
    before_context: Option<u64>,
    /// Print N records before and after each match as well
    #[arg(short = 'C', long, value_name = "N", requires = "grep", value_parser = options::number)]
    context: Option<u64>,
}

impl Options {
    /// The search, if one is asked for.
    pub fn search(&self) -> Result<Option<Search>, Failure> {
        let Some(expression) = &self.grep else {
            return Ok(None);
        };
        Ok(Some(Search {
            pattern: Pattern::new(expression, self.ignore_case)?,
            invert: self.invert_match,
            before: self.before_context.or(self.context).unwrap_or(0),
            after: self.after_context.or(self.context).unwrap_or(0),
            within: Range::ALL,
            kept: VecDeque::new(),
            after_left: 0,
            began: false,
            skipped: false,
        }))
    }

    /// Whether records that do not match are printed too.
    pub fn has_context(&self) -> bool {
        let asked = [self.after_context, self.before_context, self.context];
        asked.iter().flatten().any(|&records| records > 0)
    }

    /// The message where a search found nothing.
    pub fn in_vain(&self) -> Option<String> {
        let record = if self.invert_match { "every" } else { "no" };
        let expression = self.grep.as_ref()?;
        Some(format!("{record} record matches {expression}"))
    }
}

/// A search, and where it is between two groups.
#[derive(Debug, Clone)]
pub struct Search {
    pattern: Pattern,
    invert: bool,
    before: u64,
    after: u64,
    /// The records that may match: others are context.
    pub within: Range,
    /// The last records that were not printed.
    kept: VecDeque<KeptRecord>,
    /// Records that are still to be printed after a match.
    after_left: u64,
    /// Whether a record was printed.
    began: bool,
    /// Whether a record was left out since.
    skipped: bool,
}

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is printed, and counts.
    Match,
    /// It is printed.
    Context,
    /// It is not printed.
    Skip,
}

impl Search {
    /// Whether a record matches, wherever it is.
    pub fn is_match(&self, record: &RecordView<'_>) -> Result<bool, WriteError> {
        Ok(self.pattern.is_match(&record.value)? != self.invert)
    }

    /// The same for a value in memory.
    #[inline]
    pub fn is_match_in(&self, value: &[u8]) -> bool {
        self.pattern.regex().is_match(value) != self.invert
    }

    /// What to highlight in a value.
    pub fn highlight(&self) -> Option<&Pattern> {
        (!self.invert).then_some(&self.pattern)
    }

    /// The most records before or after a match that are printed with it.
    pub fn reach(&self) -> u64 {
        self.before.max(self.after)
    }

    /// Whether no record of the last group is missing.
    pub fn is_complete(&self) -> bool {
        self.after_left == 0
    }

    /// Decides on the next record; `may_match` if no count has been reached.
    pub fn judge(
        &mut self,
        record: &RecordView<'_>,
        may_match: bool,
    ) -> Result<Verdict, WriteError> {
        if may_match && self.within.contains(record.offset) && self.is_match(record)? {
            self.after_left = self.after;
            return Ok(Verdict::Match);
        }
        if self.after_left > 0 {
            self.after_left -= 1;
            return Ok(Verdict::Context);
        }
        if self.before > 0 {
            self.kept.push_back(KeptRecord::of(record));
        }
        if self.kept.len() as u64 > self.before || self.before == 0 {
            self.kept.pop_front();
            self.skipped = true;
        }
        Ok(Verdict::Skip)
    }

    /// The records to be printed before the one that was decided on, and whether a separator
    /// comes before them.
    pub fn before(&mut self) -> (bool, VecDeque<KeptRecord>) {
        let separates = self.skipped && self.began && self.reach() > 0;
        (self.began, self.skipped) = (true, false);
        (separates, std::mem::take(&mut self.kept))
    }
}
