//! Whether a recovery removes bytes that a person could want back. The rest of an
//! interrupted append is mostly nothing: zeros, half an entry, a batch that was not
//! acknowledged.

use super::entries;
use super::plan::{Plan, Step};
use crate::log::directory::Directory;
use crate::log::error::Result;
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::index::Index;
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};
use crate::scan::unfinished::is_marked;

/// Whether carrying the plan out loses no byte that holds anything.
///
/// # Errors
///
/// Reading's.
pub(super) fn loses_nothing(plan: &Plan, directory: &Directory) -> Result<bool> {
    for step in &plan.steps {
        let (base, kind) = step.file();
        let open = |kind| {
            let names = directory.segment(base);
            let name = names.map(|names| names.file_name(kind)).unwrap_or_default();
            ReadFile::open(&directory.dir.at(name))
        };
        let nothing = match step.clone() {
            Step::CreateEmpty { .. } | Step::BuildIndex { .. } => true,
            Step::Cut { to, .. } => cuts_nothing(&open(kind)?, kind, to)?,
            Step::WriteEntries { .. } => {
                let (store, index) = (open(FileKind::Store)?, open(FileKind::Index)?);
                writes_over_nothing(step, &store, &index)?
            }
            Step::MoveAway { .. }
            | Step::Fill { .. }
            | Step::Assemble { .. }
            | Step::Overwrite { .. } => false,
        };
        if !nothing {
            return Ok(false);
        }
    }
    Ok(true)
}

fn cuts_nothing(file: &ReadFile, kind: FileKind, to: u64) -> Result<bool> {
    let end = file.file_bytes;
    let nothing = match kind {
        FileKind::Index => end.saturating_sub(to) < ENTRY_BYTES,
        FileKind::Store => {
            to >= end || is_marked(&mut Window::new(file.clone(), LOOKUP_BYTES), to)?
        }
    };
    Ok(nothing || Index::of(file.clone(), STREAM_BYTES).nonzero_end(end)? <= to)
}

/// Whether the plan writes entries, and each of them over zeros or over bytes of its own: an
/// append was interrupted while it wrote them.
///
/// # Errors
///
/// Reading's.
pub(super) fn completes_entries(plan: &Plan, directory: &Directory) -> Result<bool> {
    let mut writes = false;
    for step in &plan.steps {
        let (base, _) = step.file();
        if let (Step::WriteEntries { .. }, Some(names)) = (step, directory.segment(base)) {
            let open = |kind| ReadFile::open(&directory.file(names, kind));
            let (store, index) = (open(FileKind::Store)?, open(FileKind::Index)?);
            if !writes_over_nothing(step, &store, &index)? {
                return Ok(false);
            }
            writes = true;
        }
    }
    Ok(writes)
}

/// Whether a marked batch goes with the plan, and nothing else that holds anything: it was
/// never acknowledged, and is cut also where it cannot be saved.
///
/// # Errors
///
/// Reading's.
pub(super) fn cuts_only_a_batch(plan: &Plan, directory: &Directory) -> Result<bool> {
    let mut batch = false;
    for step in &plan.steps {
        let (base, kind) = step.file();
        if let (Step::Cut { to, .. }, FileKind::Store) = (step, kind)
            && let Some(names) = directory.segment(base)
        {
            let store = ReadFile::open(&directory.file(names, kind))?;
            batch |= is_marked(&mut Window::new(store, LOOKUP_BYTES), *to)?;
        }
    }
    Ok(batch && loses_nothing(plan, directory)?)
}

/// Whether entries are written after the end, over zeros, or over themselves.
fn writes_over_nothing(step: &Step, store: &ReadFile, index: &ReadFile) -> Result<bool> {
    let Step::WriteEntries { entries, .. } = step else {
        return Ok(false);
    };
    let mut window = Window::new(index.clone(), STREAM_BYTES);
    let mut position = entries.first_slot * ENTRY_BYTES;
    let mut nothing = true;
    entries::make(store, entries, |entry| {
        let there = index.file_bytes.saturating_sub(position).min(ENTRY_BYTES);
        if nothing && there > 0 {
            let before = window.bytes(position, usize::try_from(there).unwrap_or(0))?;
            let pairs = before.iter().zip(entry.encode());
            nothing = pairs.into_iter().all(|(old, new)| [0, new].contains(old));
        }
        position += ENTRY_BYTES;
        Ok(())
    })?;
    Ok(nothing)
}
