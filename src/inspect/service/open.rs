//! The steps of the service when it opens a directory, as in `NewLog`, `newSegment`,
//! `newStore` and `newIndex`, on files that exist in memory only.
//!
//! ```text
//! names -> base offsets -> sorted, taken in pairs -> newSegment for each:
//!   N.store opened, its size noted
//!   N.index opened, its size noted, then cut or stretched to MaxIndexBytes and mapped
//!   next offset = base + the relative offset that the last entry says + 1
//! ```
//!
//! Source: `log.go`, `segment.go`, `index.go` and `store.go` of the book's service.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::facts::{Facts, FileFact};
use super::limits::{Edition, ServiceConfig};
use super::planned::Planned;
use crate::log::format::{ENTRY_BYTES, Entry, FileKind, file_name};
use crate::log::units::Offset;

/// Bytes of the relative offset in an entry, which the service slices out first.
const RELATIVE_BYTES: u64 = 4;

/// Why the service does not continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A file does not open: an error, which ends the start or the append.
    Open {
        /// The file's name.
        file: String,
        /// The error of the system.
        error: &'static str,
    },
    /// An entry lies past the mapping: a panic, which ends the process.
    PastMapping {
        /// The index's name.
        file: String,
        /// The byte that the slice was to end at.
        wanted: u64,
        /// The bytes that are mapped: `MaxIndexBytes`.
        mapped: u64,
    },
    /// A length that Go allocates no memory for: a panic, which ends the process.
    Length {
        /// The store's name.
        file: String,
        /// The value of the length field.
        claimed: u64,
    },
}

impl Failure {
    /// Whether the process dies of it, instead of getting an error.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        !matches!(self, Self::Open { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { file, error } => write!(f, "open {file}: {error}"),
            Self::PastMapping { wanted, mapped, .. } => write!(
                f,
                "runtime error: slice bounds out of range [:{wanted}] with capacity {mapped}"
            ),
            Self::Length { .. } => f.write_str("runtime error: makeslice: len out of range"),
        }
    }
}

/// A segment as the service holds it in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GoSegment {
    pub(super) base: u64,
    /// Wraps to 0 past 2^64 - 1, as it does in Go.
    pub(super) next: u64,
    pub(super) store_name: String,
    pub(super) index_name: String,
    /// The size of the store according to the service; its own appends count, a twin's do
    /// not.
    pub(super) store_bytes: u64,
    /// The size of the index according to the service: padding counts as entries.
    pub(super) index_bytes: u64,
    /// The bytes of the index that it mapped.
    pub(super) mapped_bytes: u64,
}

impl GoSegment {
    pub(super) fn is_maxed(&self, config: &ServiceConfig) -> bool {
        let full = self.index_bytes.saturating_add(ENTRY_BYTES) > self.mapped_bytes;
        self.store_bytes >= config.max_store_bytes
            || self.index_bytes >= config.max_index_bytes
            || (config.edition == Edition::Later && full)
    }

    /// Complete entries that it believes its index to hold.
    pub(super) fn entries(&self) -> u64 {
        self.index_bytes / ENTRY_BYTES
    }
}

/// The service with a log open.
#[derive(Debug)]
pub(super) struct GoLog<F> {
    pub(super) disk: Planned<F>,
    pub(super) config: ServiceConfig,
    pub(super) segments: Vec<GoSegment>,
    /// Names that it created, in order.
    pub(super) created: Vec<String>,
    /// Room for a payload that is being inspected.
    pub(super) payload: Vec<u8>,
}

/// How far an open came.
pub(super) struct Opening<F> {
    pub(super) log: GoLog<F>,
    /// Why it ended, and at which segment.
    pub(super) stopped: Option<Stopped>,
}

/// The segment that the service could not open.
pub(super) struct Stopped {
    pub(super) base: u64,
    pub(super) why: Failure,
    /// The size that its index had before.
    pub(super) index_bytes: u64,
}

impl<F: Facts> GoLog<F> {
    /// `NewLog`.
    pub(super) fn open(facts: F, config: ServiceConfig) -> io::Result<Opening<F>> {
        let mut log = Self {
            disk: Planned::new(facts),
            config,
            segments: Vec::new(),
            created: Vec::new(),
            payload: Vec::new(),
        };
        let mut bases: Vec<u64> = log.disk.names()?.iter().map(|n| base_of(n)).collect();
        bases.sort_unstable();
        // Two names are one segment to it, whichever two.
        let mut bases: Vec<u64> = bases.into_iter().step_by(2).collect();
        if bases.is_empty() {
            bases.push(config.initial_offset.0);
        }
        for base in bases {
            let before = log.disk.file(&file_name(Offset(base), FileKind::Index))?;
            if let Err(why) = log.new_segment(base)? {
                let index_bytes = match before {
                    FileFact::Regular { bytes } => bytes,
                    _ => 0,
                };
                let stopped = Some(Stopped {
                    base,
                    why,
                    index_bytes,
                });
                return Ok(Opening { log, stopped });
            }
        }
        Ok(Opening { log, stopped: None })
    }

    /// `newSegment`: opens the pair of `base`, and makes it the active one.
    pub(super) fn new_segment(&mut self, base: u64) -> io::Result<Result<(), Failure>> {
        let store_name = file_name(Offset(base), FileKind::Store);
        let index_name = file_name(Offset(base), FileKind::Index);
        let store_bytes = match self.open_file(&store_name)? {
            Ok(bytes) => bytes,
            Err(failure) => return Ok(Err(failure)),
        };
        let index_bytes = match self.open_file(&index_name)? {
            Ok(bytes) => bytes,
            Err(failure) => return Ok(Err(failure)),
        };
        let mapped_bytes = self.config.max_index_bytes;
        self.disk.set_len(&index_name, mapped_bytes)?;
        let mut segment = GoSegment {
            base,
            next: base,
            store_name,
            index_name,
            store_bytes,
            index_bytes,
            mapped_bytes,
        };
        match self.index_read(&segment, segment.entries().wrapping_sub(1))? {
            Err(failure) => return Ok(Err(failure)),
            Ok(None) => {}
            Ok(Some(entry)) => {
                let relative = u64::from(entry.relative.0);
                segment.next = base.wrapping_add(relative).wrapping_add(1);
            }
        }
        self.segments.push(segment);
        Ok(Ok(()))
    }

    /// `index.Read`; `None` is its EOF.
    pub(super) fn index_read(
        &mut self,
        segment: &GoSegment,
        entry: u64,
    ) -> io::Result<Result<Option<Entry>, Failure>> {
        if segment.index_bytes == 0 {
            return Ok(Ok(None));
        }
        // The service counts entries in 32 bits.
        let position = (entry & u64::from(u32::MAX)) * ENTRY_BYTES;
        let end = position + ENTRY_BYTES;
        if segment.index_bytes < end {
            return Ok(Ok(None));
        }
        if end > segment.mapped_bytes {
            let first_slice = position + RELATIVE_BYTES;
            let wanted = if first_slice > segment.mapped_bytes {
                first_slice
            } else {
                end
            };
            return Ok(Err(Failure::PastMapping {
                file: segment.index_name.clone(),
                wanted,
                mapped: segment.mapped_bytes,
            }));
        }
        let mut bytes = [0; 12];
        self.disk
            .read_at(&segment.index_name, position, &mut bytes)?;
        Ok(Ok(Some(Entry::decode(&bytes))))
    }

    /// `os.OpenFile` for reading and writing, and the size; creates missing files.
    fn open_file(&mut self, name: &str) -> io::Result<Result<u64, Failure>> {
        let error = match self.disk.file(name)? {
            FileFact::Regular { bytes } => return Ok(Ok(bytes)),
            FileFact::Missing => {
                self.disk.set_len(name, 0)?;
                self.created.push(name.to_owned());
                return Ok(Ok(0));
            }
            FileFact::Directory => "is a directory",
            FileFact::Special => "not a regular file",
        };
        Ok(Err(Failure::Open {
            file: name.to_owned(),
            error,
        }))
    }
}

/// The base offset that the service derives from a name: the part before the last dot,
/// through `strconv.ParseUint`, whose error it drops.
pub(super) fn base_of(name: &OsStr) -> u64 {
    let name = name.as_bytes();
    let end = name.iter().rposition(|byte| *byte == b'.');
    let stem = name.get(..end.unwrap_or(name.len())).unwrap_or(name);
    let mut base = 0_u64;
    for byte in stem {
        if !byte.is_ascii_digit() {
            return 0;
        }
        let next = base
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(byte - b'0')));
        // A number too large ends the loop, whatever follows.
        let Some(next) = next else { return u64::MAX };
        base = next;
    }
    base
}
