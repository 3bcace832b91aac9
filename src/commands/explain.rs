//! `proglog explain [ID]`: describes a finding and its causes.
//!
//! ```console
//! $ proglog explain segment-gap
//! segment-gap - error - offsets that no segment contains
//! ...
//! ```
//!
//! Without an id: all of them, a line each. No log is inspected.

use std::io::{self, Write};

use clap::Args;
use proglog::inspect::finding::FindingId;

use super::{Globals, Status, stdout};
use crate::render::prose::{columns, fitted};
use crate::render::{explain, finding_json as json};

const EXAMPLES: &str = "\
proglog explain                    list all findings
proglog explain index-dangling     describe one: bytes, causes, remedy
proglog explain --json             the same for a script";

/// Describe a finding: cause, impact, remedy
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The id of a finding, as verify prints it
    #[arg(value_parser = find)]
    id: Option<FindingId>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// Prints one text, or the list.
pub fn run(arguments: &Arguments, _: Globals) -> anyhow::Result<Status> {
    let print = || -> io::Result<()> {
        let mut out = stdout()?;
        match (arguments.id, arguments.json) {
            (Some(id), true) => json::explanation(&mut out, id)?,
            (None, true) => {
                for id in FindingId::ALL {
                    json::explanation(&mut out, *id)?;
                }
            }
            (Some(id), false) => {
                out.write_all(fitted(id.explanation(), columns(), 0).as_bytes())?;
            }
            (None, false) => {
                let mut list = Vec::new();
                explain::list(&mut list)?;
                let list = String::from_utf8_lossy(&list);
                out.write_all(fitted(&list, columns(), 4).as_bytes())?;
            }
        }
        out.flush()
    };
    print().map_err(|error| anyhow::Error::from(error).context("cannot write to stdout"))?;
    Ok(Status::Done)
}

/// The error for a word that is not an id.
pub const UNKNOWN: &str = "no finding has this id";

/// The id that is written so; else an error with those that are written nearly so.
pub fn find(word: &str) -> Result<FindingId, String> {
    word.parse().map_err(|()| {
        let near: Vec<&str> = nearest(word).iter().map(|id| id.as_str()).collect();
        match near.as_slice() {
            [] => UNKNOWN.to_owned(),
            near => format!("{UNKNOWN}; did you mean {}?", near.join(" or ")),
        }
    })
}

/// The ids that a word may represent: those written most alike, or that hold it.
fn nearest(word: &str) -> Vec<FindingId> {
    let word = word.to_ascii_lowercase();
    let most = 1 + word.len() / 4;
    let distances = FindingId::ALL
        .iter()
        .map(|&id| (strsim::levenshtein(&word, id.as_str()), id));
    let mut near: Vec<(usize, FindingId)> = distances
        .filter(|(distance, _)| *distance <= most)
        .collect();
    if near.is_empty() && word.len() > 2 {
        let holds = |id: &&FindingId| id.as_str().contains(&word);
        near = FindingId::ALL
            .iter()
            .filter(holds)
            .map(|&id| (0, id))
            .collect();
    }
    near.sort();
    let best = near.first().map_or(0, |(distance, _)| *distance);
    let best = near.into_iter().filter(|(distance, _)| *distance == best);
    best.map(|(_, id)| id).take(6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_nearly_ids() {
        assert_eq!(find("segment-gap"), Ok(FindingId::SegmentGap));
        assert_eq!(nearest("segmnt-gap"), [FindingId::SegmentGap]);
        assert_eq!(nearest("INDEX-PADED"), [FindingId::IndexPadded]);
        assert_eq!(nearest("gap"), [FindingId::SegmentGap]);
        assert_eq!(nearest("x"), []);
        assert_eq!(nearest("quite something else"), []);
    }
}
