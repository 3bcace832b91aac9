//! Files that get their names once they are whole: a missing index, which may be made
//! already, and a file put together from two copies.

use std::sync::Arc;

use super::{Job, sync};
use crate::inspect::run::Mark;
use crate::log::dir::FilePath;
use crate::log::disk::{DiskFile, write_all_at};
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::units::Offset;
use crate::mend::draft::Draft;
use crate::mend::named::{self, Unnamed};
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
        let directory = &self.directory.dir;
        let made = Unnamed::create(self.disk, directory, &path, self.twin(base, kind).as_ref())?;
        let mut at = 0;
        self.stream(assembly, kind, 0, bytes, &mut |piece| {
            write_all_at(self.disk, made.file(), piece, at).map_err(Error::io("write", &path))?;
            at += piece.len() as u64;
            Ok(())
        })?;
        sync(self.disk, made.file())?;
        if self.exclusive.file(&path).is_ok() {
            made.replace(&path, self.saves)?;
        } else {
            made.name(&path)?;
        }
        self.sync_directory()
    }

    /// A missing index appears whole or not at all: half of one would look like a
    /// store with an uncommitted tail.
    pub(super) fn build_index(
        &self,
        base: Offset,
        path: &FilePath,
        wanted: &NewEntries,
    ) -> Result<()> {
        let directory = &self.directory.dir;
        let draft = self.draft(base, wanted);
        if let Some((draft, next)) = &draft {
            let rest = wanted.behind(next.slot, next.position);
            self.fill_index(base, draft.file(), &rest)?;
            named::name(self.disk, directory, draft.file(), path)?;
        } else {
            let like = self.twin(base, FileKind::Index);
            let made = Unnamed::create(self.disk, directory, path, like.as_ref())?;
            self.fill_index(base, made.file(), wanted)?;
            made.name(path)?;
        }
        if let (Some(drafts), Some((_, next))) = (self.drafts, &draft) {
            drafts.note(base, next.slot);
        }
        self.sync_directory()
    }

    /// Writes the entries that are missing, and makes all durable.
    fn fill_index(&self, base: Offset, file: &DiskFile, rest: &NewEntries) -> Result<()> {
        if rest.count > 0 {
            self.write_entries(base, file, rest.first_slot, rest)?;
        }
        sync(self.disk, file)
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
