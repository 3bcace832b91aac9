//! The configuration of the service, and its values that the directory shows if not
//! given.

use std::io;

use super::facts::{Facts, FileFact};
use crate::log::format::{ENTRY_BYTES, FileKind, parse_name};
use crate::log::units::Offset;

/// The defaults of the book for a limit of 0. Units: bytes.
pub const BOOK_LIMIT_BYTES: u64 = 1024;

/// Which code of the book the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// Rolls after the record that fills a segment.
    First,
    /// Rolls before the record that a full segment has no room for.
    Later,
}

/// How a service is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Which code it runs.
    pub edition: Edition,
    /// `MaxStoreBytes`.
    pub max_store_bytes: u64,
    /// `MaxIndexBytes`: the size of every open index.
    pub max_index_bytes: u64,
    /// `InitialOffset`: the base of the first segment of an empty directory.
    pub initial_offset: Offset,
}

/// The given part of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given {
    /// `MaxStoreBytes`; 0 is the book's default, as in the service.
    pub max_store_bytes: Option<u64>,
    /// `MaxIndexBytes`; 0 is the book's default, as in the service.
    pub max_index_bytes: Option<u64>,
    /// `InitialOffset`.
    pub initial_offset: Option<Offset>,
}

/// The source of a configuration value, the most certain first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Given by the user.
    Given,
    /// A padded index has this size, for the service had stretched it.
    PaddedIndex,
    /// The largest sealed file has this size.
    LargestSealed,
    /// Nothing shows it, and no file is larger than the book's default.
    BookDefault,
    /// Nothing shows it, and the default of the book is too small for the files: the next
    /// power of two with room for more.
    RoomForMore,
}

/// The source of each configuration value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources {
    /// Of `max_store_bytes`.
    pub max_store_bytes: Source,
    /// Of `max_index_bytes`.
    pub max_index_bytes: Source,
    /// Of `initial_offset`; it only matters for an empty directory.
    pub initial_offset: Source,
}

/// The given configuration, completed from the directory.
///
/// Inspects each segment's sizes and at the last bytes of each index. Of several padded
/// indexes the last one counts: every start stretches all of them again.
///
/// # Errors
///
/// When the directory or a file cannot be inspected.
pub fn assume<F: Facts>(
    facts: &mut F,
    edition: Edition,
    given: &Given,
) -> io::Result<(ServiceConfig, Sources)> {
    let shown = Shown::of(facts)?;
    let (max_store_bytes, store_source) = match given.max_store_bytes {
        Some(bytes) => (or_default(bytes), Source::Given),
        None => limit(shown.sealed_store, shown.active_store, 1),
    };
    let (max_index_bytes, index_source) = match (given.max_index_bytes, shown.padded) {
        (Some(bytes), _) => (or_default(bytes), Source::Given),
        (None, Some(bytes)) => (bytes, Source::PaddedIndex),
        (None, None) => limit(shown.sealed_index, shown.active_index, ENTRY_BYTES),
    };
    let config = ServiceConfig {
        edition,
        max_store_bytes,
        max_index_bytes,
        initial_offset: given.initial_offset.unwrap_or_default(),
    };
    let initial_offset = match given.initial_offset {
        Some(_) => Source::Given,
        None => Source::BookDefault,
    };
    let sources = Sources {
        max_store_bytes: store_source,
        max_index_bytes: index_source,
        initial_offset,
    };
    Ok((config, sources))
}

/// `NewLog` takes 0 for "not set".
pub(super) fn or_default(bytes: u64) -> u64 {
    if bytes == 0 { BOOK_LIMIT_BYTES } else { bytes }
}

/// A limit that only files show. A sealed file that leaves no room for `item_bytes` more
/// in the active one did not reach the limit: another limit sealed it.
fn limit(sealed: u64, active: u64, item_bytes: u64) -> (u64, Source) {
    let largest = sealed.max(active);
    if largest <= BOOK_LIMIT_BYTES {
        (BOOK_LIMIT_BYTES, Source::BookDefault)
    } else if active.saturating_add(item_bytes) <= sealed {
        (sealed, Source::LargestSealed)
    } else {
        let wanted = largest.saturating_add(item_bytes);
        let room = wanted.checked_next_power_of_two().unwrap_or(u64::MAX);
        (room, Source::RoomForMore)
    }
}

/// The limits that the files show. Sizes in bytes, 0 without such a file.
#[derive(Default)]
struct Shown {
    padded: Option<u64>,
    sealed_store: u64,
    sealed_index: u64,
    active_store: u64,
    active_index: u64,
}

impl Shown {
    fn of<F: Facts>(facts: &mut F) -> io::Result<Self> {
        let mut files = Vec::new();
        for name in facts.names()? {
            if let (Some(segment), Some(text)) = (parse_name(&name), name.to_str()) {
                files.push((segment.base, segment.kind, text.to_owned()));
            }
        }
        files.sort_unstable();
        let active = files.last().map(|(base, ..)| *base);
        let mut shown = Self::default();
        for (base, kind, name) in files {
            let FileFact::Regular { bytes } = facts.file(&name)? else {
                continue;
            };
            if kind == FileKind::Index && is_padded(facts, &name, bytes)? {
                shown.padded = Some(bytes);
            }
            let most = match (kind, Some(base) == active) {
                (FileKind::Store, false) => &mut shown.sealed_store,
                (FileKind::Index, false) => &mut shown.sealed_index,
                (FileKind::Store, true) => &mut shown.active_store,
                (FileKind::Index, true) => &mut shown.active_index,
            };
            *most = bytes.max(*most);
        }
        Ok(shown)
    }
}

/// Whether an index ends as one does that the service stretched: with a zero entry that
/// is not its first, or with zeros that are no complete entry.
fn is_padded<F: Facts>(facts: &mut F, name: &str, bytes: u64) -> io::Result<bool> {
    let odd = bytes % ENTRY_BYTES;
    let ends = [
        (odd > 0).then(|| (bytes - odd, odd)),
        (bytes >= 2 * ENTRY_BYTES).then(|| (bytes - odd - ENTRY_BYTES, ENTRY_BYTES)),
    ];
    for (position, count) in ends.into_iter().flatten() {
        let mut end = [0xff; 12];
        let end = end.get_mut(..usize::try_from(count).unwrap_or(0));
        let Some(end) = end else { continue };
        let got = facts.read_at(name, position, end)?;
        if got == end.len() && end.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
