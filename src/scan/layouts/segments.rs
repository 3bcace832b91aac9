//! The layouts of the segments of a log: whether it may be read, and whether it may be
//! changed.

use std::path::Path;

use super::entries::{self, OURS as OUR_ENTRIES};
use super::frames::{OURS as OUR_FRAMES, Store};
use super::{Layout, PROOF, recognize};
use crate::log::directory::{Directory, SegmentNames};
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::live;
use crate::log::segment::{hides_segment, is_absent, is_closed};
use crate::log::units::Offset;
use crate::log::window::{LOOKUP_BYTES, ReadFile, Window};
use crate::scan::unfinished;

/// Segments that [`require_ours`] checks from each end of a log: its cost must not grow
/// with the log.
const SEGMENTS_FROM_EACH_END: usize = 4;

/// Fails if a segment of the log has another program's layout. Checks a few segments
/// from each end of the log.
///
/// # Errors
///
/// [`Error::ForeignLayout`], and as [`recognize`].
pub fn require_ours(directory: &Directory) -> Result<()> {
    let segments = &directory.segments;
    let behind = segments.len().saturating_sub(SEGMENTS_FROM_EACH_END);
    for (at, names) in segments.iter().enumerate() {
        if at >= SEGMENTS_FROM_EACH_END && at < behind {
            continue;
        }
        if let Some(layout) = of_files(directory, names, is_absent)? {
            return Err(foreign(&directory.file(names, FileKind::Store), layout));
        }
    }
    Ok(())
}

/// Fails if all records of the log are in another program's layout or in files that cannot be
/// opened: what a reader can read is in the other segments.
///
/// # Errors
///
/// [`Error::ForeignLayout`], [`Error::Io`], and as [`recognize`].
pub fn require_any_ours(directory: &Directory) -> Result<()> {
    let mut first = None;
    for names in &directory.segments {
        let store = directory.file(names, FileKind::Store);
        let error = match of_segment(directory, names)? {
            Some(layout) => foreign(&store, layout),
            None => match ReadFile::open(&store) {
                Ok(store) if store.file_bytes > 0 => return Ok(()),
                Err(error) if is_closed(&error) => error,
                _ => continue,
            },
        };
        first.get_or_insert(error);
    }
    first.map_or(Ok(()), Err)
}

/// Fails if a segment that is open has another program's layout.
///
/// # Errors
///
/// As [`require_ours`].
pub(crate) fn require_segment(
    base: Offset,
    store: &ReadFile,
    index: Option<&ReadFile>,
) -> Result<()> {
    let layout = recognize(base, store, index)?;
    layout.map_or(Ok(()), |it| Err(foreign(store.path(), it)))
}

/// The error for another program's layout in a store.
#[must_use]
pub fn foreign(store: &Path, layout: Layout) -> Error {
    Error::ForeignLayout {
        path: store.to_path_buf(),
        layout: layout.to_string(),
    }
}

/// Fails if none of these segments is empty or shows a record of ours: they may be files of
/// another program that has the same names.
///
/// # Errors
///
/// [`Error::ForeignLayout`], and as [`recognize`].
pub fn require_record<'a>(
    directory: &Directory,
    segments: impl Iterator<Item = &'a SegmentNames>,
) -> Result<()> {
    let mut first = None;
    for names in segments {
        let Some(store) = open(directory, names, FileKind::Store, is_absent)? else {
            return Ok(());
        };
        let index = open(directory, names, FileKind::Index, is_absent)?;
        if shows_record(names.base, &store, index.as_ref())? {
            return Ok(());
        }
        first.get_or_insert(directory.file(names, FileKind::Store));
    }
    first.map_or(Ok(()), |path| {
        Err(Error::ForeignLayout {
            path: path.to_path_buf(),
            layout: "perhaps a store without one record".to_owned(),
        })
    })
}

fn shows_record(base: Offset, store: &ReadFile, index: Option<&ReadFile>) -> Result<bool> {
    let may_be_torn = store.file_bytes < OUR_FRAMES.length.bytes;
    if may_be_torn || store.first_nonzero(0)?.is_none() {
        return Ok(true);
    }
    if unfinished::is_marked(&mut Window::new(store.clone(), LOOKUP_BYTES), 0)? {
        return Ok(true);
    }
    let mut store = Store::new(store);
    let index = &mut index.map(|index| Window::new(index.clone(), LOOKUP_BYTES));
    Ok(store.walk(OUR_FRAMES, PROOF)?.filled > 0
        || entries::pairs(index, &mut store, OUR_ENTRIES, base)? > 0
        || store.resumed()? >= PROOF)
}

/// The layout of a segment that another program wrote, as [`recognize`] finds it in its
/// files, as far as they can be opened.
///
/// # Errors
///
/// As [`recognize`].
pub fn of_segment(directory: &Directory, names: &SegmentNames) -> Result<Option<Layout>> {
    of_files(directory, names, hides_segment)
}

fn of_files(
    directory: &Directory,
    names: &SegmentNames,
    is_left_out: fn(&Error) -> bool,
) -> Result<Option<Layout>> {
    live::undisturbed(|| {
        // The index first, as readers do: each of its entries has its frame.
        let index = open(directory, names, FileKind::Index, is_left_out)?;
        match open(directory, names, FileKind::Store, is_left_out)? {
            Some(store) => recognize(names.base, &store, index.as_ref()),
            None => Ok(None),
        }
    })
}

fn open(
    directory: &Directory,
    names: &SegmentNames,
    kind: FileKind,
    is_left_out: fn(&Error) -> bool,
) -> Result<Option<ReadFile>> {
    match ReadFile::open(&directory.file(names, kind)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_left_out(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
