//! A directory after changes that are not made: files cut, extended, written, renamed,
//! added and removed, in memory only. `repair` checks the result of its plan in it, and
//! the model of the service keeps its own changes to files in it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;

use super::facts::{Facts, FileFact};
use crate::log::units::Offset;

/// Facts with changes on top. Memory: the bytes that were put, nothing else.
#[derive(Debug)]
pub struct Planned<F> {
    facts: F,
    /// `None`: the name is gone.
    changes: BTreeMap<OsString, Option<Changed>>,
}

/// A name that is not as the directory has it.
#[derive(Debug, Clone)]
struct Changed {
    /// The file whose bytes show through, if any do.
    from: Option<String>,
    /// The original file, and its size after the changes.
    fact: FileFact,
    /// Number of bytes of `from` that are visible; zeros follow up to the size.
    shown_bytes: u64,
    /// The written bytes and their positions, the newest last.
    patches: Vec<(u64, Vec<u8>)>,
}

impl<F: Facts> Planned<F> {
    /// `facts` without a change yet.
    pub fn new(facts: F) -> Self {
        Self {
            facts,
            changes: BTreeMap::new(),
        }
    }

    /// Cuts `name` to `bytes`, or stretches it with zeros; makes it where it is missing.
    ///
    /// # Errors
    ///
    /// If the original cannot be read.
    pub fn set_len(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        let file = self.changed(name)?;
        file.fact = FileFact::Regular { bytes };
        file.shown_bytes = file.shown_bytes.min(bytes);
        file.patches.retain_mut(|(position, patch)| {
            let kept = usize::try_from(bytes.saturating_sub(*position));
            patch.truncate(kept.unwrap_or(usize::MAX));
            !patch.is_empty()
        });
        Ok(())
    }

    /// Writes `bytes` at `position` of `name`, which grows where it is too short.
    ///
    /// # Errors
    ///
    /// If the original cannot be read.
    pub fn put(&mut self, name: &str, position: u64, bytes: &[u8]) -> io::Result<()> {
        let end = position.saturating_add(bytes.len() as u64);
        if self.bytes(name)? < end {
            self.set_len(name, end)?;
        }
        let file = self.changed(name)?;
        file.patches.push((position, bytes.to_vec()));
        Ok(())
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &OsStr) {
        self.changes.insert(name.to_owned(), None);
    }

    /// Returns the file `from` the name `to`.
    ///
    /// # Errors
    ///
    /// If the original cannot be read.
    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.changed(from)?.clone();
        self.remove(OsStr::new(from));
        self.changes.insert(to.into(), Some(file));
        Ok(())
    }

    /// The size of `name`; 0 where it is not a regular file.
    pub(super) fn bytes(&mut self, name: &str) -> io::Result<u64> {
        Ok(match self.file(name)? {
            FileFact::Regular { bytes } => bytes,
            _ => 0,
        })
    }

    fn changed(&mut self, name: &str) -> io::Result<&mut Changed> {
        let fact = self.file(name)?;
        let shown_bytes = self.bytes(name)?;
        let slot = self.changes.entry(name.into()).or_insert_with(|| {
            Some(Changed {
                from: Some(name.to_owned()),
                fact,
                shown_bytes,
                patches: Vec::new(),
            })
        });
        // A name that was removed is created again, empty.
        Ok(slot.get_or_insert_with(|| Changed {
            from: None,
            fact: FileFact::Regular { bytes: 0 },
            shown_bytes: 0,
            patches: Vec::new(),
        }))
    }
}

impl<F: Facts> Facts for Planned<F> {
    fn names(&mut self) -> io::Result<Vec<OsString>> {
        let mut names = self.facts.names()?;
        names.retain(|name| !self.changes.contains_key(name));
        let there =
            |file: &Option<Changed>| file.as_ref().is_some_and(|f| f.fact != FileFact::Missing);
        let changed = self.changes.iter().filter(|(_, file)| there(file));
        names.extend(changed.map(|(name, _)| name.clone()));
        Ok(names)
    }

    fn file(&mut self, name: &str) -> io::Result<FileFact> {
        match self.changes.get(OsStr::new(name)) {
            Some(Some(file)) => Ok(file.fact),
            Some(None) => Ok(FileFact::Missing),
            None => self.facts.file(name),
        }
    }

    fn read_at(&mut self, name: &str, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = match self.changes.get(OsStr::new(name)) {
            None => return self.facts.read_at(name, position, into),
            Some(None) => return Ok(0),
            Some(Some(file)) => file,
        };
        let FileFact::Regular { bytes } = file.fact else {
            return Ok(0);
        };
        let there = clamp(bytes.saturating_sub(position), into.len());
        let Some(into) = into.get_mut(..there) else {
            return Ok(0);
        };
        into.fill(0);
        let shown = clamp(file.shown_bytes.saturating_sub(position), there);
        if let (Some(from), Some(into)) = (&file.from, into.get_mut(..shown))
            && shown > 0
        {
            self.facts.read_at(from, position, into)?;
        }
        for (at, patch) in &file.patches {
            lay(patch, *at, into, position);
        }
        Ok(there)
    }

    fn carried_offset(&self, payload: &[u8]) -> Option<Offset> {
        self.facts.carried_offset(payload)
    }
}

/// The smaller of the two, which is a size in memory.
fn clamp(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).map_or(most, |bytes| bytes.min(most))
}

/// Copies what of `patch` (at byte `at` of a file) falls into `into` (at `position`).
fn lay(patch: &[u8], at: u64, into: &mut [u8], position: u64) {
    let skip = clamp(position.saturating_sub(at), patch.len());
    let from = clamp(at.saturating_sub(position), into.len());
    let (Some(patch), Some(into)) = (patch.get(skip..), into.get_mut(from..)) else {
        return;
    };
    for (byte, new) in into.iter_mut().zip(patch) {
        *byte = *new;
    }
}
