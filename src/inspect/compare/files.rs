//! The files of two logs as they are, byte by byte: names, sizes, the first byte that
//! differs. Padding, unreferenced bytes and the boundaries of segments count here.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Side;
use crate::inspect::listing::{FileFacts, Listing};
use crate::inspect::rounds;
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::segment::is_absent;
use crate::log::threads;
use crate::log::units::Offset;
use crate::log::walk::Flow;
use crate::log::window::ReadFile;

/// Bytes that are compared with each other at once.
const BLOCK_BYTES: usize = 128 * 1024;

/// Bytes of a file that are one piece of work.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;

/// One name that is not the same file in both directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDifference {
    /// The name.
    pub file: String,
    /// The differences.
    pub what: FileWhat,
}

/// How two files of one name differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileWhat {
    /// The other directory does not have the name.
    Only(Side, u64),
    /// Both have it.
    Differs {
        /// The sizes. Units: bytes.
        bytes: [u64; 2],
        /// The first byte that differs; the end of the shorter one where it is the
        /// beginning of the other.
        position: u64,
    },
    /// One of them is not a regular file, and is never opened.
    NotAFile {
        /// Which sides' are.
        files: [bool; 2],
    },
}

/// Compares the files of all segments of two logs, in the order of the segments, as
/// large as they were listed.
///
/// # Errors
///
/// The callback's, and reading's.
pub fn compare<E: From<Error>>(
    a: &Listing,
    b: &Listing,
    mut each: impl FnMut(FileDifference) -> std::result::Result<Flow, E>,
) -> std::result::Result<u64, E> {
    let mut equal = 0;
    let mut done: Option<Arc<str>> = None;
    let pieces = names(a, b).flat_map(|(file, both)| pieces(a, b, &file, both));
    let threads = threads::number(0);
    let _ = rounds::in_rounds(pieces, threads, Piece::look, |answer: Answer| {
        // After the first difference of a file nothing more is said of it.
        if done.as_ref() == Some(&answer.file) {
            return Ok(ControlFlow::Continue(()));
        }
        let Some(what) = answer.what else {
            equal += u64::from(answer.last);
            return Ok::<_, E>(ControlFlow::Continue(()));
        };
        done = Some(Arc::clone(&answer.file));
        each(FileDifference {
            file: answer.file.to_string(),
            what,
        })
    })?;
    Ok(equal)
}

/// One name's files, as they were listed.
type Both<'a> = [Option<&'a FileFacts>; 2];

/// The names of both directories in the order of the segments, the index before the
/// store.
fn names<'a>(a: &'a Listing, b: &'a Listing) -> impl Iterator<Item = (Arc<str>, Both<'a>)> {
    let segments = a.segments.iter().chain(&b.segments);
    let mut bases: Vec<Offset> = segments.map(|segment| segment.base()).collect();
    bases.sort_unstable();
    bases.dedup();
    let of_base = move |base| {
        let mut names: BTreeMap<Arc<str>, Both<'a>> = BTreeMap::new();
        for (side, listing) in [a, b].into_iter().enumerate() {
            let Some(segment) = listing.segment_at(base) else {
                continue;
            };
            for kind in [FileKind::Index, FileKind::Store] {
                let both = segment
                    .file(kind)
                    .map(|_| names.entry(segment.file_name(kind).into()).or_default());
                if let Some(place) = both.and_then(|both| both.get_mut(side)) {
                    *place = segment.file(kind);
                }
            }
        }
        names
    };
    bases.into_iter().flat_map(of_base)
}

/// A piece of one file.
struct Piece<'a> {
    dirs: [&'a Listing; 2],
    file: Arc<str>,
    both: Both<'a>,
    position: u64,
}

struct Answer {
    file: Arc<str>,
    what: Option<FileWhat>,
    /// Whether it was the file's last piece.
    last: bool,
}

fn pieces<'a>(
    a: &'a Listing,
    b: &'a Listing,
    file: &Arc<str>,
    both: Both<'a>,
) -> impl Iterator<Item = Piece<'a>> + use<'a> {
    let file = Arc::clone(file);
    let shorter = both.iter().map(|file| file.map_or(0, |file| file.bytes));
    let count = shorter.min().unwrap_or(0).div_ceil(PIECE_BYTES).max(1);
    (0..count).map(move |piece| Piece {
        dirs: [a, b],
        file: Arc::clone(&file),
        both,
        position: piece * PIECE_BYTES,
    })
}

impl Piece<'_> {
    fn look(&self) -> Result<Answer> {
        let [a, b] = self.both;
        let answer = |what, last| Answer {
            file: Arc::clone(&self.file),
            what,
            last,
        };
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (Some(a), None) => return Ok(answer(Some(FileWhat::Only(Side::A, a.bytes)), true)),
            (None, Some(b)) => return Ok(answer(Some(FileWhat::Only(Side::B, b.bytes)), true)),
            (None, None) => return Ok(answer(None, true)),
        };
        let files = [a.no_file.is_none(), b.no_file.is_none()];
        if files != [true, true] {
            let what = (files != [false, false]).then_some(FileWhat::NotAFile { files });
            return Ok(answer(what, true));
        }
        let shorter = a.bytes.min(b.bytes);
        let end = shorter.min(self.position.saturating_add(PIECE_BYTES));
        let [dir_a, dir_b] = self.dirs;
        let paths = [dir_a, dir_b].map(|dir| dir.directory.dir.at(&*self.file));
        let [path_a, path_b] = &paths;
        let bytes = [a.bytes, b.bytes];
        let differs = |position| Some(FileWhat::Differs { bytes, position });
        let files = match (ReadFile::open(path_a), ReadFile::open(path_b)) {
            // Removed since it was listed.
            (Err(error), Ok(_)) if is_absent(&error) => {
                return Ok(answer(Some(FileWhat::Only(Side::B, b.bytes)), true));
            }
            (Ok(_), Err(error)) if is_absent(&error) => {
                return Ok(answer(Some(FileWhat::Only(Side::A, a.bytes)), true));
            }
            (Err(one), Err(other)) if is_absent(&one) && is_absent(&other) => {
                return Ok(answer(None, true));
            }
            (a, b) => (a?, b?),
        };
        match first_difference(&files.0, &files.1, self.position, end) {
            Ok(None) => {}
            Ok(Some(position)) => return Ok(answer(differs(position), true)),
            // Truncated since then: it ends there.
            Err(Error::Shrunk { file_bytes, .. }) => {
                return Ok(answer(differs(file_bytes.min(end)), true));
            }
            Err(error) => return Err(error),
        }
        let last = end == shorter;
        let cut = last && a.bytes != b.bytes;
        Ok(answer(if cut { differs(shorter) } else { None }, last))
    }
}

fn first_difference(a: &ReadFile, b: &ReadFile, from: u64, end: u64) -> Result<Option<u64>> {
    let mut blocks = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
    let mut at = from;
    while at < end {
        let count = usize::try_from(end - at).map_or(BLOCK_BYTES, |it| it.min(BLOCK_BYTES));
        let (Some(of_a), Some(of_b)) = (blocks.0.get_mut(..count), blocks.1.get_mut(..count))
        else {
            return Ok(None);
        };
        a.read_at(of_a, at)?;
        b.read_at(of_b, at)?;
        if of_a != of_b {
            let found = of_a.iter().zip(of_b.iter()).position(|(a, b)| a != b);
            return Ok(found.map(|found| at + found as u64));
        }
        at += count as u64;
    }
    Ok(None)
}
