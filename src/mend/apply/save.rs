//! Everything that a plan removes or overwrites, saved before the first change.

use super::{Job, Save};
use crate::log::dir::{Dir, FilePath, FileStatus};
use crate::log::disk::Ownership;
use crate::log::error::{Error, Result};
use crate::log::format::ENTRY_BYTES;
use crate::mend::plan::{Plan, Step};
use crate::mend::saved::{FileBefore, Parent, Saved, Saver};

/// The places of files that are moved away, by the number of the step.
pub(super) type Moved = Vec<(usize, FilePath)>;

/// The place for the bytes that a plan removes from the log `log`; `None` is nowhere.
///
/// # Errors
///
/// [`Error::Config`](crate::log::error::Error::Config) for a place in the log;
/// [`Error::Io`](crate::log::error::Error::Io) where whole files cannot be moved there.
pub(super) fn place(plan: &Plan, log: &Dir, save: &Save) -> Result<Option<Parent>> {
    let save_to = match save {
        Save::Nowhere => return Ok(None),
        Save::Beside => None,
        Save::To(parent) => Some(parent.as_path()),
    };
    let parent = Parent::of(log, save_to)?;
    if moves_files(plan) {
        parent.check_moves(log)?;
    }
    Ok(Some(parent))
}

fn moves_files(plan: &Plan) -> bool {
    let moves = |step: &Step| matches!(step, Step::MoveAway { .. });
    plan.steps.iter().any(moves)
}

impl Job<'_> {
    /// Saves everything that the plan removes or overwrites.
    pub(super) fn save(&self, save: &Save, command: &str) -> Result<(Option<Saved>, Moved)> {
        let log = &self.directory.dir;
        let Some(parent) = place(self.plan, log, save)? else {
            return Ok((None, Moved::new()));
        };
        let seen = self.plan.seen();
        let files: Vec<FileBefore> = seen
            .map(|seen| FileBefore {
                name: seen.name,
                bytes: seen.bytes,
            })
            .collect();
        // The requested place is not replaced by another, and a file moves within a disk
        // only.
        let or_elsewhere = *save == Save::Beside && !moves_files(self.plan);
        let owner = self.owner(log)?;
        let place = (&parent, or_elsewhere);
        let mut saver = Saver::begin(self.disk, place, log, command, &files, owner.as_ref())?;
        match self.save_all(&mut saver) {
            Ok(moved) => Ok((Some(saver.seal()?), moved)),
            Err(error) => {
                saver.discard();
                Err(error)
            }
        }
    }

    /// The owner of the saved directory, if not this user: the owner of the log's
    /// directory, if he owns all files whose bytes it will hold.
    fn owner(&self, log: &Dir) -> Result<Option<Ownership>> {
        let log = log.metadata().map_err(Error::io("access", log.path()))?;
        let is_his = |step: &Step| {
            let (base, kind) = step.file();
            let path = self.path(base, kind);
            let status = match self.exclusive.file(&path) {
                Ok(file) => FileStatus::of(file.file()),
                Err(_) => path.link_metadata(),
            };
            // A file that does not exist yet has no bytes.
            status.map_or(true, |it| it.uid() == log.uid())
        };
        let own = rustix::process::geteuid().as_raw();
        let gives = log.uid() != own && self.plan.steps.iter().all(is_his);
        Ok(gives.then(|| Ownership::new(log.uid(), log.gid(), 0)))
    }

    fn save_all(&self, saver: &mut Saver<'_>) -> Result<Moved> {
        let mut moved = Moved::new();
        for (number, step) in self.plan.steps.iter().enumerate() {
            let (base, kind) = step.file();
            let path = self.path(base, kind);
            let name = Self::name(&path);
            match step.clone() {
                Step::CreateEmpty { .. } => saver.create_file(&name, 0),
                Step::BuildIndex { entries, .. } => {
                    saver.create_file(&name, entries.count * ENTRY_BYTES);
                }
                Step::WriteEntries { base, entries } => {
                    let position = entries.first_slot * ENTRY_BYTES;
                    let bytes = entries.count * ENTRY_BYTES;
                    let index = self.exclusive.readable(&path)?;
                    saver.write(&name, &index, position, bytes, |put| {
                        self.make_entries(base, &entries, put)
                    })?;
                }
                Step::Cut { to, .. } => saver.cut(&name, &self.exclusive.readable(&path)?, to)?,
                Step::Fill {
                    position,
                    bytes,
                    assembly,
                    ..
                } => {
                    let file = self.exclusive.readable(&path)?;
                    saver.write(&name, &file, position, bytes, |put| {
                        self.stream(assembly, kind, position, bytes, put)
                    })?;
                }
                Step::Assemble { from: None, to, .. } => saver.create_file(&name, to),
                Step::Assemble {
                    from: Some(_), to, ..
                } => {
                    let file = self.exclusive.file(&path)?;
                    saver.replace_file(&name, file, &self.exclusive.readable(&path)?, to)?;
                }
                Step::Overwrite { .. } => {}
                Step::MoveAway { bytes, .. } => {
                    moved.push((number, saver.move_file(&name, bytes)));
                }
            }
        }
        Ok(moved)
    }
}
