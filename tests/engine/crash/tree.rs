//! Directories and files in memory: what a crash leaves, before it is written out for
//! a look at it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Everything below one directory, by path from there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// The directories.
    pub dirs: BTreeSet<PathBuf>,
    /// The files and their bytes.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Tree {
    /// What stands below `root`.
    pub fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        let mut waiting = vec![PathBuf::new()];
        while let Some(below) = waiting.pop() {
            for entry in fs::read_dir(root.join(&below)).unwrap() {
                let entry = entry.unwrap();
                let path = below.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    tree.dirs.insert(path.clone());
                    waiting.push(path);
                } else {
                    tree.files.insert(path, fs::read(entry.path()).unwrap());
                }
            }
        }
        tree
    }

    /// Writes it out below `root`, which is empty.
    pub fn write(&self, root: &Path) {
        for dir in &self.dirs {
            fs::create_dir(root.join(dir)).unwrap();
        }
        for (path, bytes) in &self.files {
            fs::write(root.join(path), bytes).unwrap();
        }
    }

    /// The files directly in `dir`, by name.
    pub fn within(&self, dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let here = self
            .files
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        here.map(|(path, bytes)| {
            let name = path.file_name().unwrap_or_default();
            (name.to_string_lossy().into_owned(), bytes.clone())
        })
        .collect()
    }

    /// A digest that two trees share if they differ in the time only at which bytes
    /// were saved.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for dir in &self.dirs {
            timeless(dir).hash(&mut hasher);
        }
        for (path, bytes) in &self.files {
            timeless(path).hash(&mut hasher);
            bytes.len().hash(&mut hasher);
            if !path.ends_with("manifest.json") {
                bytes.hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

/// A path without the time that the name of a saved directory says.
pub fn timeless(path: &Path) -> PathBuf {
    let mut saved = false;
    path.iter()
        .map(|part| {
            let part = part.to_string_lossy();
            let time = std::mem::replace(&mut saved, part.ends_with(".proglog-saved"));
            match part.split_once('-') {
                Some((number, _)) if time => number.to_owned(),
                _ => part.into_owned(),
            }
        })
        .collect()
}
