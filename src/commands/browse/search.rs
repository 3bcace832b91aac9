//! A search through the values of the log, in a thread of its own.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proglog::log::error::{Error, Result};
use proglog::log::live;
use proglog::log::reader::{Item, LogReader};
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use crate::commands::read::pattern::Pattern;
use crate::render::field::WriteError;
use crate::render::prose::escaped;

/// Values of this size are an occasion for it too. Bytes.
const LARGE_BYTES: u64 = 1024 * 1024;

/// Records between two checks of the clock.
const RECORDS_CHECKED: u64 = 1024;

/// How often the place is reported.
const INTERVAL: Duration = Duration::from_millis(100);

/// What is searched, and from where.
#[derive(Debug, Clone)]
pub struct Search {
    pub number: u64,
    pub pattern: Pattern,
    pub is_backward: bool,
    /// The first offset, or backward the one after the last.
    pub from: Offset,
}

/// News of a search, with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    At(u64, Offset),
    Found(u64, Option<Offset>),
    Failed(u64, String),
}

/// Where a search runs.
#[derive(Clone)]
pub struct Place {
    pub path: PathBuf,
    pub codec: Option<Codec>,
    pub is_cancelled: Arc<AtomicBool>,
}

/// Searches until it finds something, or comes to an end.
pub fn run(search: &Search, place: &Place, tell: impl Fn(Message)) {
    let found = live::undisturbed(|| find(search, place, &tell));
    let message = match found {
        _ if place.is_cancelled.load(Ordering::Relaxed) => return,
        Ok(Ok(found)) => Message::Found(search.number, found),
        Ok(Err(error)) => Message::Failed(search.number, escaped(&error)),
        Err(error) => Message::Failed(search.number, escaped(&error.to_string())),
    };
    tell(message);
}

/// The offset of the first match, if any; else why a value cannot be searched.
fn find(
    search: &Search,
    place: &Place,
    tell: &impl Fn(Message),
) -> Result<std::result::Result<Option<Offset>, String>> {
    let mut log = LogReader::open(&place.path)?;
    if let Some(codec) = place.codec {
        log.set_codec(codec);
    }
    let mut found = Ok(None);
    let mut records = 0_u64;
    let mut told = Instant::now();
    let each = |item: Item<'_>| {
        let Item::Record(record) = item else {
            return Ok(ControlFlow::Continue(()));
        };
        match search.pattern.is_match(&record.value) {
            Ok(false) => {}
            Ok(true) => {
                found = Ok(Some(record.offset));
                return Ok(ControlFlow::Break(()));
            }
            Err(WriteError::Log(error)) => return Err(error),
            Err(error) => {
                found = Err(error.to_string());
                return Ok(ControlFlow::Break(()));
            }
        }
        records += 1;
        if records.is_multiple_of(RECORDS_CHECKED) || record.value.len() > LARGE_BYTES {
            if place.is_cancelled.load(Ordering::Relaxed) {
                return Ok(ControlFlow::Break(()));
            }
            if told.elapsed() >= INTERVAL {
                told = Instant::now();
                tell(Message::At(search.number, record.offset));
            }
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    };
    let _ = if search.is_backward {
        let lowest = log.lowest_offset();
        log.read_reverse(lowest, search.from, each)?
    } else {
        log.read(search.from, Offset::MAX, each)?
    };
    Ok(found)
}
