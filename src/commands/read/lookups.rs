//! `--offsets`: looks up the records whose offsets a file lists, in the order of the list.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use proglog::log::error::reason;
use proglog::log::lookup::OpenSegments;
use proglog::log::reader::LogReader;

use super::deliver::Delivery;
use super::{Arguments, Outcome, one, undisturbed};
use crate::commands::offsets::Place;
use crate::commands::{Failure, Status, quote, say};

/// More bytes than a line with an offset has.
const LINE_MAX: u64 = 64;

/// Prints the records of a list. An offset that is not in the log is reported, and the others
/// follow.
pub fn run(
    log: &mut LogReader,
    arguments: &Arguments,
    list: &Path,
    delivery: &mut Delivery,
) -> anyhow::Result<Outcome> {
    let name = if list == "-" {
        "standard input".to_owned()
    } else {
        quote(list)
    };
    let failed = |what: &str| Failure::new(Status::Failed, format!("--offsets {name}{what}"));
    let input: Box<dyn Read> = if list == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(list).map_err(|error| failed(&format!(": {}", reason(&error))))?;
        Box::new(file)
    };
    let mut input = BufReader::new(input);
    let mut open = OpenSegments::default();
    let (mut line, mut number, mut missing) = (Vec::new(), 0_u64, 0_u64);
    while !delivery.is_stopped() && !delivery.is_done() {
        if !input.buffer().contains(&b'\n') {
            // Another program may wait for the records before it continues the list.
            delivery.flush()?;
        }
        line.clear();
        let read = input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        if read.map_err(|error| failed(&format!(": {}", reason(&error))))? == 0 {
            break;
        }
        number += 1;
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        let place: Place = text.parse().map_err(|what| {
            failed(&format!(
                ", line {number}: {text:?} is not an offset: {what}"
            ))
        })?;
        let looked_up = undisturbed(log, arguments, |log| {
            let outcome = one(log, &mut open, place, delivery);
            if !outcome.as_ref().is_ok_and(|_| delivery.came()) {
                // Its directory is listed again.
                open = OpenSegments::default();
            }
            outcome
        });
        if let Outcome::No(message) = looked_up? {
            missing += 1;
            delivery.flush()?;
            say(&format!("error: {message}"));
        }
    }
    Ok(match missing {
        0 => Outcome::Done,
        _ => Outcome::No(format!("{missing} of {number} offsets are not in the log")),
    })
}
