//! An index that fits none of the layouts. It is another program's if
//!
//! - it has no entries of ours: none at its own place that names its frame, and at no byte
//!   two or more of consecutive slots and ascending positions of which one names its frame;
//!   and all of these are less than a third of the index (another log's). Our index
//!   keeps some of these, whatever damages a part of it;
//! - its bytes repeat, as those of numbers and of text do: junk has no order, and a single
//!   value is a range that was cleared;
//! - it is larger than what a few entries of ours with damage leave, or has the positions of
//!   all frames in entries of another size.
//!
//! A complete index of ours after a few bytes that look like a header is another
//! program's too. Neither is proven: ours may have been overwritten by another file.

use std::collections::BTreeSet;
use std::fmt;

use super::frames::{Places, Store};
use super::{Order, PROOF, entries};
use crate::log::error::Result;
use crate::log::format::{ENTRY_BYTES, Entry, LENGTH_BYTES};
use crate::log::window::Window;

/// The beginning of an index, which is searched for entries of ours. Units: bytes.
const SEARCHED_BYTES: u64 = 1024 * 1024;

/// Fewer bytes, without ranges of one value, may be of a few entries of ours with damage.
const BYTES_MIN: usize = 64;

/// The same for text, which damage does not make.
const TEXT_BYTES_MIN: usize = 12;

/// A header is not larger. Units: bytes.
const HEADER_BYTES_MAX: u64 = 4096;

/// A smaller position may be one of a store that was cut. Units: bytes.
const STORE_BYTES: u64 = 1024 * 1024 * 1024;

/// Entries of other programs, not larger than this, are compared with all frames.
const ENTRY_BYTES_MAX: usize = 32;

/// The bytes of a position that are compared: most stores are small.
const NUMBER_BYTES: usize = 4;

/// Text is printed from this byte on.
const PRINTED: std::ops::RangeInclusive<u8> = b' '..=b'~';

/// The index of another program, in an unknown layout. Units: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownIndex {
    /// The size of the index.
    pub bytes: u64,
    /// The size of the header, if entries of ours follow.
    pub header_bytes: Option<u64>,
}

impl fmt::Display for UnknownIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.header_bytes {
            Some(bytes) => write!(f, "an index with a header of {bytes} bytes"),
            None => write!(
                f,
                "an index of {} bytes without one entry that names a frame",
                self.bytes
            ),
        }
    }
}

/// Entries of the form of ours, one after the other.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    /// Where it begins. Units: bytes.
    at: u64,
    first: Entry,
    last: Entry,
    entries: u64,
    /// Entries whose position is the end of a frame after the one before, or more.
    ascending: u64,
    /// Entries that name their frames.
    named: u64,
}

impl Run {
    fn of(at: u64, entry: Entry) -> Self {
        Self {
            at,
            first: entry,
            last: entry,
            entries: 1,
            ..Self::default()
        }
    }

    fn add(&mut self, entry: Entry) {
        let behind = self.last.position.0.saturating_add(LENGTH_BYTES);
        self.ascending += u64::from(entry.position.0 >= behind);
        self.last = entry;
        self.entries += 1;
    }

    fn bytes(&self) -> u64 {
        self.entries * ENTRY_BYTES
    }

    /// Whether these may be entries of ours, of this store or of another one.
    fn is_in_form(&self) -> bool {
        let counted_from_one = self.first.relative.0 > 0 && self.first.position.0 == 0;
        let most_ascend = self.ascending * 3 + 2 >= self.entries.saturating_sub(1) * 2;
        self.ascending > 0 && most_ascend && !counted_from_one
    }
}

/// The index, if another program wrote it.
pub(super) fn find(
    index: &mut Option<Window>,
    store: &mut Store,
    places: &Places,
) -> Result<Option<UnknownIndex>> {
    let Some(index) = index else { return Ok(None) };
    let content = content(index)?;
    let found = |header_bytes| UnknownIndex {
        bytes: index.file_bytes(),
        header_bytes,
    };
    match runs(&content, store, places)?.as_slice() {
        [] if is_written(&content) && !names_a_frame(&content, store, places)? => {
            Ok(Some(found(None)))
        }
        [] if names_all(&content, index.file_bytes(), places) => Ok(Some(found(None))),
        [run] if is_behind_header(*run, &content) => Ok(Some(found(Some(run.at)))),
        _ => Ok(None),
    }
}

/// Entries of ours in the longest run of them.
pub(super) fn entries_of_ours(
    index: &mut Option<Window>,
    store: &mut Store,
    places: &Places,
) -> Result<usize> {
    let Some(index) = index else { return Ok(0) };
    let runs = runs(&content(index)?, store, places)?;
    let longest = runs.iter().map(|run| run.entries).max().unwrap_or(0);
    Ok(usize::try_from(longest).unwrap_or(usize::MAX))
}

/// The beginning of an index, without zeros at its end.
fn content(index: &mut Window) -> Result<Vec<u8>> {
    let end = index.source().nonzero_end(index.file_bytes())? + ENTRY_BYTES;
    let end = end.min(index.file_bytes()).min(SEARCHED_BYTES);
    let count = usize::try_from(end).unwrap_or(0);
    Ok(index.bytes(0, count)?.to_vec())
}

/// The runs of entries of ours, wherever they begin.
fn runs(content: &[u8], store: &mut Store, places: &Places) -> Result<Vec<Run>> {
    let used_bytes = without_ranges(content).len() as u64;
    let position_max = store.file_bytes().max(STORE_BYTES);
    let mut rows: [Run; entries::OURS_BYTES] = Default::default();
    let mut runs = Vec::new();
    let windows = content.windows(entries::OURS_BYTES).zip(0_u64..);
    for ((bytes, at), row) in windows.zip((0..entries::OURS_BYTES).cycle()) {
        let (Some(entry), Some(run)) = (bytes.first_chunk().map(Entry::decode), rows.get_mut(row))
        else {
            continue;
        };
        let (slot, position) = (entry.relative.0, entry.position.0);
        let mut end = |run: Run| runs.extend(Some(run).filter(|run| run.entries > 1));
        if position >= position_max {
            end(std::mem::take(run));
            continue;
        }
        if run.entries > 0 && run.last.relative.0.checked_add(1) == Some(slot) {
            run.add(entry);
        } else {
            end(std::mem::replace(run, Run::of(at, entry)));
        }
        let is_named = slot > 0 && places.is_frame(store, u64::from(slot), position)?;
        run.named += u64::from(is_named);
    }
    runs.extend(rows);
    runs.retain(Run::is_in_form);
    // Those of another log, or of another history, name nothing here.
    if runs.iter().map(Run::bytes).sum::<u64>() * 3 < used_bytes {
        runs.retain(|run| run.named > 0);
    }
    Ok(runs)
}

/// Whether an entry of ours at its own place names its frame.
fn names_a_frame(content: &[u8], store: &mut Store, places: &Places) -> Result<bool> {
    for (bytes, slot) in content.chunks_exact(entries::OURS_BYTES).zip(0_u32..) {
        let entry = bytes.first_chunk().map(Entry::decode).unwrap_or_default();
        let is_placed = slot > 0 && entry.relative.0 == slot;
        if is_placed && places.is_frame(store, u64::from(slot), entry.position.0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether entries of one size, other than ours, have the positions of all frames at one place
/// in each, and nothing follows.
fn names_all(content: &[u8], index_bytes: u64, places: &Places) -> bool {
    let count = places.starts.len();
    let number = |at: usize, order: Order| {
        let byte = |at| content.get(at).copied().unwrap_or(0);
        order.number(&[byte(at), byte(at + 1), byte(at + 2), byte(at + 3)])
    };
    let names = |bytes: usize, at: usize| {
        Order::BOTH.into_iter().any(|order| {
            let mut starts = places.starts.iter().zip(0..);
            starts.all(|(start, slot)| number(slot * bytes + at, order) == *start)
        })
    };
    let is_all = |bytes: usize| {
        let behind = content.get(count * bytes..).unwrap_or_default();
        (count * bytes) as u64 <= index_bytes && behind.iter().all(|byte| *byte == 0)
    };
    let mut sizes = (NUMBER_BYTES..=ENTRY_BYTES_MAX).filter(|it| *it != entries::OURS_BYTES);
    count >= PROOF
        && sizes.any(|bytes| is_all(bytes) && (0..=bytes - NUMBER_BYTES).any(|at| names(bytes, at)))
}

/// Whether a program wrote these bytes, and not only a few of them.
fn is_written(content: &[u8]) -> bool {
    let used = without_ranges(content);
    let is_text = used.len() >= TEXT_BYTES_MIN && used.iter().copied().all(is_printed);
    is_text || used.len() >= BYTES_MIN && repeats(&used)
}

/// The bytes that are of no range of one value, as one that was never written or cleared.
fn without_ranges(content: &[u8]) -> Vec<u8> {
    let same = content.chunk_by(|a, b| a == b);
    let short = same.filter(|same| same.len() < entries::OURS_BYTES);
    short.flatten().copied().collect()
}

fn is_printed(byte: u8) -> bool {
    PRINTED.contains(&byte) || byte.is_ascii_whitespace()
}

/// Whether all entries of ours follow bytes that may be a header: a name, or numbers
/// without the unused entries of an index of ours.
fn is_behind_header(run: Run, content: &[u8]) -> bool {
    let at = usize::try_from(run.at).unwrap_or(usize::MAX);
    let Some((header, behind)) = content.split_at_checked(at) else {
        return false;
    };
    let rest = usize::try_from(run.bytes()).unwrap_or(usize::MAX);
    let is_complete = behind
        .get(rest..)
        .is_none_or(|it| without_ranges(it).len() < entries::OURS_BYTES);
    let values: BTreeSet<&u8> = header.iter().collect();
    let is_named = header.iter().take(PROOF).all(u8::is_ascii_alphanumeric);
    run.first.is_zero()
        && run.entries > PROOF as u64
        && is_complete
        && header.len() > PROOF
        && values.len() >= PROOF
        && run.at <= HEADER_BYTES_MAX
        && (is_named || without_ranges(header) == header && repeats(header))
}

/// Whether pairs of equal bytes are several times as frequent as in junk.
fn repeats(bytes: &[u8]) -> bool {
    let mut counts = [0_u64; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let count = bytes.len() as u64;
    let pairs: u64 = counts.iter().map(|it| it * it).sum();
    pairs > 4 * (count + count * count.saturating_sub(1) / 256)
}
