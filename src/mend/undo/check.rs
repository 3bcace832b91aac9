//! The conditions of an undo: every file is as the change left it, or as it was before.

use super::Undo;
use crate::log::dir::FilePath;
use crate::log::directory::Directory;
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::window::{ReadFile, STREAM_BYTES, Window};
use crate::mend::done;
use crate::mend::runs::fill::UNFINISHED;
use crate::mend::saved::{Change, ChangeKind};

/// Bytes that are compared at once.
const COMPARED_BYTES: u64 = 64 * 1024;

/// Bytes that may be in a file from a position on.
struct Layer {
    position: u64,
    bytes: u64,
    /// Up to here zeros may be: a cut's zeros are not stored, and a file that is growing
    /// again has them for a moment.
    zeros_to: u64,
    window: Window,
}

impl Layer {
    /// Strikes the bytes from `at` on that are as this layer has them.
    fn explain(&mut self, at: u64, here: &[u8], unexplained: &mut [bool]) -> Result<()> {
        for (place, (byte, flag)) in (at..).zip(here.iter().zip(unexplained.iter_mut())) {
            let unfinished = [0, UNFINISHED].contains(byte);
            if unfinished && place >= self.position && place < self.zeros_to {
                *flag = false;
            }
        }
        let first = at.max(self.position);
        let end = (at + here.len() as u64).min(self.position + self.bytes);
        let Some(count) = end.checked_sub(first).filter(|count| *count > 0) else {
            return Ok(());
        };
        let count = usize::try_from(count).unwrap_or(0);
        let skip = usize::try_from(first - at).unwrap_or(0);
        let bytes = self.window.bytes(first - self.position, count)?;
        let pairs = here.iter().zip(unexplained.iter_mut()).skip(skip);
        for ((byte, flag), expected) in pairs.zip(bytes) {
            *flag &= byte != expected;
        }
        Ok(())
    }
}

impl Layer {
    /// Up to where zeros may be from `at` on, as far as is known without reading.
    fn zeros_until(&mut self, at: u64) -> u64 {
        let Some(place) = at.checked_sub(self.position) else {
            return at;
        };
        let hole = match self.window.data_from(place) {
            Some(data) => data.start.min(self.bytes),
            None => self.bytes,
        };
        let mut until = at.max(self.position.saturating_add(hole));
        if until < self.zeros_to {
            until = self.zeros_to;
        }
        until
    }
}

impl Undo<'_> {
    /// Whether every file is as the change left it, or as it was before it.
    pub(super) fn check(&self, directory: &Directory) -> Result<()> {
        let manifest = &self.change.manifest;
        let changed = |name: &str| manifest.changes.iter().any(|change| change.file == name);
        for names in &directory.segments {
            let halves = [FileKind::Store, FileKind::Index];
            for name in halves.into_iter().filter_map(|kind| names.name(kind)) {
                let name = name.display().to_string();
                let before = manifest.files.iter().find(|file| file.name == name);
                match before {
                    _ if changed(&name) => {}
                    None => return Err(self.changed(&name, "was made")),
                    Some(before) => {
                        let path = directory.dir.at(&name);
                        let now = path.metadata().map_err(Error::io("access", &path))?;
                        if now.len() != before.bytes {
                            return Err(self.changed(&name, "changed its size"));
                        }
                    }
                }
            }
        }
        for file in &manifest.files {
            if !changed(&file.name) && !directory.dir.at(&file.name).is_there() {
                return Err(self.changed(&file.name, "was removed"));
            }
        }
        for (number, change) in manifest.changes.iter().enumerate() {
            self.check_change(number, change)?;
        }
        Ok(())
    }

    fn check_change(&self, number: usize, change: &Change) -> Result<()> {
        let path = self.log.at(&change.file);
        let name = &change.file;
        let moved = format!("{number}.moved");
        // A link that was moved is moved back, and never opened.
        let is_move = matches!(change.kind, ChangeKind::Move { .. });
        self.saved.check_moved(&moved, is_move)?;
        let mut place = self.change.dir.at(moved);
        if is_move {
            place = super::followed(self.log, place);
        }
        let size = |path: &FilePath| path.metadata().ok().map(|m| m.len());
        let written = |path: &FilePath| {
            if path.is_there() {
                done::is_written_since(self.saved, &self.readable(path)?)
            } else {
                Ok(false)
            }
        };
        match change.kind {
            ChangeKind::Move { bytes } => {
                match (size(&place), size(&path)) {
                    (Some(there), None) if there == bytes => Ok(()),
                    // Restored by an undo that was interrupted.
                    (None, Some(here)) if here == bytes => Ok(()),
                    (Some(_), Some(_)) => Err(self.changed(name, "was recreated")),
                    _ => Err(self.changed(name, "or its saved copy changed")),
                }
            }
            // Its size alone would not reveal a record in the place of another.
            ChangeKind::Replace { .. } if place.is_there() && written(&path)? => {
                Err(self.changed(name, "was written to"))
            }
            ChangeKind::Create { .. } if written(&path)? => {
                Err(self.changed(name, "was written to"))
            }
            ChangeKind::Replace { bytes, size_after } => match (size(&place), size(&path)) {
                (Some(there), Some(here))
                    if there == bytes && [bytes, size_after].contains(&here) =>
                {
                    Ok(())
                }
                (None, Some(here)) if here == bytes => Ok(()),
                // Ended where the one was gone and the next had no name yet.
                (Some(there), None) if there == bytes => Ok(()),
                _ => Err(self.changed(name, "or its saved copy changed")),
            },
            ChangeKind::Create { bytes } => match path.metadata() {
                Ok(metadata) if metadata.len() != bytes => {
                    Err(self.changed(name, "changed its size"))
                }
                _ => Ok(()),
            },
            ChangeKind::Write {
                position, bytes, ..
            } => {
                let file = self.readable(&path)?;
                if file.file_bytes > self.most_bytes(name) {
                    return Err(self.changed(name, "has grown"));
                }
                self.compare(name, &file, position, position + bytes)
            }
            ChangeKind::Cut {
                size_before,
                size_after,
                ..
            } => {
                let file = self.readable(&path)?;
                if file.file_bytes < size_after || file.file_bytes > self.most_bytes(name) {
                    return Err(self.changed(name, "changed its size"));
                }
                self.compare(name, &file, size_after, size_before)
            }
        }
    }

    /// The largest that a file was or became; another of its changes may make it grow.
    pub(super) fn most_bytes(&self, name: &str) -> u64 {
        let changes = self.change.manifest.changes.iter();
        let sizes = changes
            .filter(|change| change.file == name)
            .map(|change| match change.kind {
                ChangeKind::Write {
                    position,
                    bytes,
                    size_before,
                    ..
                } => size_before.max(position.saturating_add(bytes)),
                ChangeKind::Cut { size_before, .. } => size_before,
                ChangeKind::Create { bytes } | ChangeKind::Move { bytes } => bytes,
                ChangeKind::Replace { bytes, size_after } => bytes.max(size_after),
            });
        sizes.max().unwrap_or(0)
    }

    /// The bytes that may be in a file, each from a position on: the previous ones, and
    /// those that the change wrote.
    fn layers(&self, name: &str) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        for (number, change) in self.change.manifest.changes.iter().enumerate() {
            if change.file != name {
                continue;
            }
            let mut add = |extension, position, bytes, zeros_to| -> Result<()> {
                let file = self.stored(number, extension, bytes)?;
                layers.push(Layer {
                    position,
                    bytes,
                    zeros_to,
                    window: Window::new(file, STREAM_BYTES),
                });
                Ok(())
            };
            match change.kind {
                ChangeKind::Write {
                    position,
                    bytes,
                    before_bytes,
                    ..
                } => {
                    add("before", position, before_bytes, 0)?;
                    // A write that was interrupted may leave zeros, as a cut does.
                    add("after", position, bytes, position + bytes)?;
                }
                ChangeKind::Cut {
                    size_before,
                    size_after,
                    stored_bytes,
                } => add("before", size_after, stored_bytes, size_before)?,
                ChangeKind::Create { .. }
                | ChangeKind::Move { .. }
                | ChangeKind::Replace { .. } => {}
            }
        }
        Ok(layers)
    }

    /// The sizes of the cut that the change made to a file, before and after.
    pub(super) fn cut_of(&self, name: &str) -> Option<(u64, u64)> {
        let changes = self.change.manifest.changes.iter();
        changes
            .filter(|change| change.file == name)
            .find_map(|change| match change.kind {
                ChangeKind::Cut {
                    size_before,
                    size_after,
                    ..
                } => Some((size_before, size_after)),
                _ => None,
            })
    }

    /// Whether each byte from `from` to `to` is one of those that may be there.
    fn compare(&self, name: &str, file: &ReadFile, from: u64, to: u64) -> Result<()> {
        let end = file.file_bytes.min(to);
        let mut window = Window::new(file.clone(), STREAM_BYTES);
        let mut layers = self.layers(name)?;
        let mut at = from;
        while at < end {
            // Terabytes of a hole where zeros may be.
            let hole = window.data_from(at).map_or(end, |data| data.start).min(end);
            let zeros = layers.iter_mut().map(|layer| layer.zeros_until(at)).max();
            let until = zeros.unwrap_or(at).min(hole);
            if until > at {
                at = until;
                continue;
            }
            let count = usize::try_from((end - at).min(COMPARED_BYTES)).unwrap_or(0);
            let here = window.bytes(at, count)?;
            let mut unexplained = vec![true; count];
            for layer in &mut layers {
                layer.explain(at, here, &mut unexplained)?;
            }
            if unexplained.contains(&true) {
                return Err(self.changed(name, "holds other bytes"));
            }
            at += count as u64;
        }
        Ok(())
    }
}
