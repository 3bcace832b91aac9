//! Files that get their names once they are complete: a missing index, and a file put together
//! from two copies.

use super::{Job, sync};
use crate::log::dir::FilePath;
use crate::log::error::Result;
use crate::log::format::FileKind;
use crate::log::units::Offset;
use crate::mend::copying;
use crate::mend::named::Unnamed;
use crate::mend::plan::NewEntries;

impl Job<'_> {
    /// A file that is put together appears complete or not at all.
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
            copying::put(self.disk, made.file(), piece, at)?;
            at += piece.len() as u64;
            Ok(())
        })?;
        copying::stretch(self.disk, made.file(), bytes)?;
        sync(self.disk, made.file())?;
        if self.exclusive.file(&path).is_ok() {
            made.replace(&path, self.saves)?;
        } else {
            made.name(&path)?;
        }
        self.sync_directory()
    }

    /// A missing index appears complete or not at all: half of one would look like a
    /// store with an uncommitted tail.
    pub(super) fn build_index(
        &self,
        base: Offset,
        path: &FilePath,
        wanted: &NewEntries,
    ) -> Result<()> {
        let directory = &self.directory.dir;
        let like = self.twin(base, FileKind::Index);
        let made = Unnamed::create(self.disk, directory, path, like.as_ref())?;
        if wanted.count > 0 {
            self.write_entries(base, made.file(), wanted.first_slot, wanted)?;
        }
        sync(self.disk, made.file())?;
        made.name(path)?;
        self.sync_directory()
    }
}
