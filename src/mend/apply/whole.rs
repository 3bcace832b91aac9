//! Files that get their names once they are whole: a missing index, which may be made
//! already, and a file put together from two copies.

use std::path::Path;
use std::sync::Arc;

use super::{Job, sync};
use crate::inspect::run::Mark;
use crate::log::disk::write_all_at;
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::units::Offset;
use crate::mend::draft::Draft;
use crate::mend::in_place;
use crate::mend::plan::NewEntries;

impl Job<'_> {
    /// A file that is put together appears whole or not at all.
    pub(super) fn assemble(
        &self,
        base: Offset,
        kind: FileKind,
        bytes: u64,
        assembly: usize,
    ) -> Result<()> {
        let path = self.path(base, kind);
        let directory = &self.directory.path;
        let file = self
            .disk
            .create_unnamed(directory, self.twin(base, kind))
            .map_err(Error::io("make a file without a name in", directory))?;
        let mut at = 0;
        self.stream(assembly, kind, 0, bytes, &mut |piece| {
            write_all_at(self.disk, &file, piece, at).map_err(Error::io("write", &path))?;
            at += piece.len() as u64;
            Ok(())
        })?;
        sync(self.disk, &file)?;
        if self.exclusive.file(&path).is_ok() {
            in_place::put(self.disk, &self.directory.path, &file, &path, self.saves)?;
        } else {
            self.disk
                .link(&file, &path)
                .map_err(Error::io("name", &path))?;
        }
        self.sync_directory()
    }

    /// A missing index appears whole or not at all: half of one would look like a
    /// store with an uncommitted tail.
    pub(super) fn build_index(&self, base: Offset, path: &Path, wanted: &NewEntries) -> Result<()> {
        let directory = &self.directory.path;
        let draft = self.draft(base, wanted);
        let made;
        let (file, rest) = if let Some((draft, next)) = &draft {
            let count = wanted.count - next.slot;
            let rest = NewEntries::of_frames(next.slot, count, next.position);
            (draft.file(), rest)
        } else {
            made = self
                .disk
                .create_unnamed(directory, self.twin(base, FileKind::Index))
                .map_err(Error::io("make a file without a name in", directory))?;
            (&made, wanted.clone())
        };
        if rest.count > 0 {
            self.write_entries(base, file, rest.first_slot, &rest)?;
        }
        sync(self.disk, file)?;
        self.disk
            .link(file, path)
            .map_err(Error::io("name", path))?;
        if let (Some(drafts), Some((_, next))) = (self.drafts, &draft) {
            drafts.note(base, next.slot);
        }
        self.sync_directory()
    }

    /// What was drafted of an index while its store was looked at, and where the rest
    /// begins.
    fn draft(&self, base: Offset, wanted: &NewEntries) -> Option<(Arc<Draft>, Mark)> {
        let draft = self.drafts?.take(base, wanted)?;
        // One that cannot be read is made again as one that reads differently is.
        let next = draft.read_back().ok().flatten()?;
        Some((draft, next))
    }
}
