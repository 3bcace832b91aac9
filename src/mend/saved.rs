//! The bytes that a change removes, saved beside the log and never in it, with a manifest
//! of their places and their replacements. Only this file knows the format of saved
//! directories.
//!
//! ```text
//! <name of the log>.proglog-saved/<n>-<UTC time>/
//!   manifest.json     one object a line: log, files, changes, end
//!   <i>.before        the bytes that change i removes, without zeros at the end
//!   <i>.after         the bytes that it writes
//!   <i>.moved         a whole file that it moves away, or replaces
//!   done              made when the change was complete: a line, with a sum of its bytes,
//!                     for each file that it made or replaced
//!   undone            made when all of it has been put back
//! ```
//!
//! The number shows which change is the newest: a clock may be set back. Older versions
//! wrote `<UTC time>-<n>`, and no number into the manifest.

mod manifest;
mod place;
pub(super) mod remains;
mod trust;

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::copying::{copy, keep};
use crate::log::dir::{Dir, FilePath};
use crate::log::disk::{Disk, DiskFile, Ownership, write_all_at};
use crate::log::durable::{sync, sync_dir};
use crate::log::error::{Error, Result};
use crate::log::window::ReadFile;
use place::Place;

pub use manifest::{FileBefore, Manifest, read_manifest};
pub(super) use place::order_of;
pub use place::{Parent, discard, is_beside, log_of, parent_for};
pub use trust::SavedDirectory;

/// The permission bits of what holds saved bytes: they may be secret.
const PRIVATE: u32 = 0o600;

/// The name of the manifest in a saved directory.
pub const MANIFEST: &str = "manifest.json";

/// The name that marks a saved directory as undone.
pub const UNDONE: &str = "undone";

/// The effect of one step of a plan on one file. Sizes and positions are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file's name in the log's directory.
    pub file: String,
    /// The kind of change.
    pub kind: ChangeKind,
}

/// The sorts of change that can be undone. Positions and sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Bytes were written; `before_bytes` of them was there already.
    Write {
        /// Position in the file.
        position: u64,
        /// Number of bytes written.
        bytes: u64,
        /// Number of these places that held a byte before.
        before_bytes: u64,
        /// The file's size before.
        size_before: u64,
    },
    /// The file was cut; of what went, `stored_bytes` are kept and the rest was zero.
    Cut {
        /// The file's size before.
        size_before: u64,
        /// The file's size from then on.
        size_after: u64,
        /// Number of removed bytes that are kept, from the first on.
        stored_bytes: u64,
    },
    /// The file was made.
    Create {
        /// Its size.
        bytes: u64,
    },
    /// The file was moved to the saved directory.
    Move {
        /// Its size.
        bytes: u64,
    },
    /// Another file was put in the place of this one, which is kept.
    Replace {
        /// Its size.
        bytes: u64,
        /// The other one's size.
        size_after: u64,
    },
}

/// A saved directory that is being filled.
pub struct Saver<'d> {
    disk: &'d dyn Disk,
    place: Place,
    manifest: Vec<u8>,
    changes: usize,
}

impl<'d> Saver<'d> {
    /// Makes a new saved directory in `parent`, or elsewhere if that is allowed and
    /// nothing may be made in `parent`. It belongs to `owner`, or to this user.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn begin(
        disk: &'d dyn Disk,
        (parent, or_elsewhere): (&Parent, bool),
        log: &Dir,
        command: &str,
        files: &[FileBefore],
        owner: Option<&Ownership>,
    ) -> Result<Self> {
        let real = log.real_path().map_err(Error::io("access", log.path()))?;
        let place = match Place::make(disk, parent, log, owner) {
            Err(error) if or_elsewhere && place::is_forbidden(&error) => {
                Place::elsewhere(disk, &real, owner).map_err(|_| error)?
            }
            made => made?,
        };
        let (number, time) = (place.number, place.time.clone());
        let mut saver = Self {
            disk,
            place,
            manifest: Vec::new(),
            changes: 0,
        };
        saver.line(&json!({
            "kind": "log", "version": 1, "path": real.display().to_string(),
            "inode": log.identity().inode,
            "command": command, "number": number, "time": time,
        }));
        for file in files {
            saver.line(&json!({"kind": "file", "name": file.name, "bytes": file.bytes}));
        }
        Ok(saver)
    }

    /// Removes the saved data: nothing was changed.
    pub fn discard(self) {
        self.place.discard(self.disk);
    }

    fn line(&mut self, value: &Value) {
        // Writing to memory does not fail.
        let _ = writeln!(self.manifest, "{value}");
    }

    fn create(&self, extension: &str) -> Result<DiskFile> {
        let name = format!("{}.{extension}", self.changes);
        self.place.create(self.disk, &name)
    }

    fn finish(&self, file: &DiskFile) -> Result<()> {
        sync(self.disk, file)
    }

    /// Saves what `after` will be written over, and `after` itself.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and those of `fill`.
    pub fn write(
        &mut self,
        name: &str,
        source: &ReadFile,
        position: u64,
        bytes: u64,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let before_bytes = bytes.min(source.file_bytes.saturating_sub(position));
        let before = self.create("before")?;
        keep(self.disk, source, position, before_bytes, &before)?;
        self.finish(&before)?;
        let after = self.create("after")?;
        let mut at = 0;
        fill(&mut |piece: &[u8]| {
            write_all_at(self.disk, &after, piece, at).map_err(Error::io("write", after.path()))?;
            at += piece.len() as u64;
            Ok(())
        })?;
        self.finish(&after)?;
        self.line(&json!({
            "kind": "write", "file": name, "position": position, "bytes": bytes,
            "before_bytes": before_bytes, "size_before": source.file_bytes,
        }));
        self.changes += 1;
        Ok(())
    }

    /// Saves the bytes that a cut to `to` removes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn cut(&mut self, name: &str, source: &ReadFile, to: u64) -> Result<()> {
        let stored_bytes = source.zeros_from()?.saturating_sub(to);
        let before = self.create("before")?;
        keep(self.disk, source, to, stored_bytes, &before)?;
        self.finish(&before)?;
        self.line(&json!({
            "kind": "cut", "file": name, "size_before": source.file_bytes,
            "size_after": to, "stored_bytes": stored_bytes,
        }));
        self.changes += 1;
        Ok(())
    }

    /// Notes that a file will be made.
    pub fn create_file(&mut self, name: &str, bytes: u64) {
        self.line(&json!({"kind": "create", "file": name, "bytes": bytes}));
        self.changes += 1;
    }

    /// Records that a file will be moved here; returns its place.
    pub fn move_file(&mut self, name: &str, bytes: u64) -> FilePath {
        let place = self.place.dir.at(format!("{}.moved", self.changes));
        self.line(&json!({"kind": "move", "file": name, "bytes": bytes}));
        self.changes += 1;
        place
    }

    /// Keeps a file that another will take the place of: under a second name, or as a
    /// copy where the saved directory is in another file system.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and reading's.
    pub fn replace_file(
        &mut self,
        name: &str,
        file: &DiskFile,
        source: &ReadFile,
        size_after: u64,
    ) -> Result<()> {
        let place = self.place.dir.at(format!("{}.moved", self.changes));
        if self.disk.link(file, &place).is_err() {
            let kept = self.create("moved")?;
            copy(self.disk, source, 0, source.file_bytes, &kept, 0)?;
            self.finish(&kept)?;
        }
        self.line(&json!({
            "kind": "replace", "file": name, "bytes": source.file_bytes,
            "size_after": size_after,
        }));
        self.changes += 1;
        Ok(())
    }

    /// Writes the manifest and makes everything durable. Only then may the log be
    /// changed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; nothing is saved then.
    pub fn seal(mut self) -> Result<Saved> {
        self.line(&json!({"kind": "end"}));
        match self.write_manifest() {
            Ok(()) => Ok(Saved { place: self.place }),
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    fn write_manifest(&self) -> Result<()> {
        let directory = &self.place.dir;
        // A manifest must not outlive the names of the files it lists.
        sync_dir(self.disk, directory)?;
        let file = self.place.create(self.disk, MANIFEST)?;
        write_all_at(self.disk, &file, &self.manifest, 0)
            .map_err(Error::io("write", file.path()))?;
        self.finish(&file)?;
        sync_dir(self.disk, directory)?;
        sync_dir(self.disk, self.place.at.dir())
    }
}

/// The saved data of a change that may be carried out now.
pub struct Saved {
    place: Place,
}

impl Saved {
    /// The saved directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.dir.path()
    }

    /// The directory in which it is saved.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.place.dir
    }

    /// Creates a file in it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn create(&self, disk: &dyn Disk, name: &str) -> Result<DiskFile> {
        self.place.create(disk, name)
    }

    /// Takes it away again: nothing was changed.
    pub fn discard(self, disk: &dyn Disk) {
        self.place.discard(disk);
    }
}
