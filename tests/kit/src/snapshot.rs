//! What a directory looks like from outside, as one value to compare. Times of access
//! are left out: whether reading moves them is the mount's business.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Everything below a directory, and the directory itself under the name `.`.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    entries: BTreeMap<PathBuf, Entry>,
}

/// One name of a [`Snapshot`].
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type and permissions, as `st_mode` has them.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// The size as the file system says it; 0 for a directory. Units: bytes.
    pub size: u64,
    /// Time of the last change of the content. Units: seconds and nanoseconds.
    pub mtime: (i64, i64),
    /// What is in a file, or where a symbolic link points; nothing for anything else.
    pub bytes: Vec<u8>,
}

impl Snapshot {
    /// What `directory` looks like now.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        let mut entries = BTreeMap::from([(PathBuf::from("."), Entry::of(directory))]);
        let mut waiting = vec![PathBuf::new()];
        while let Some(below) = waiting.pop() {
            for entry in fs::read_dir(directory.join(&below)).expect("a directory") {
                let entry = entry.expect("a name");
                let name = below.join(entry.file_name());
                if entry.file_type().expect("a type").is_dir() {
                    waiting.push(name.clone());
                }
                entries.insert(name, Entry::of(&entry.path()));
            }
        }
        Self { entries }
    }

    /// The entry of this name, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(Path::new(name))
    }

    /// The files and their bytes alone: what an undo brings back.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<&Path, &[u8]> {
        self.entries
            .iter()
            .filter(|(name, _)| name.as_path() != Path::new("."))
            .map(|(name, entry)| (name.as_path(), entry.bytes.as_slice()))
            .collect()
    }
}

impl Entry {
    fn of(path: &Path) -> Self {
        let metadata = fs::symlink_metadata(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let bytes = if metadata.is_file() {
            fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        } else if metadata.is_symlink() {
            let target = fs::read_link(path).expect("a link's target");
            target.into_os_string().into_encoded_bytes()
        } else {
            Vec::new()
        };
        Self {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: if metadata.is_dir() { 0 } else { metadata.len() },
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            bytes,
        }
    }
}

/// A line per name, with a digest instead of the bytes, so that a failed comparison
/// can be read.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.entries).finish()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        let (seconds, nanoseconds) = self.mtime;
        write!(
            f,
            "{:o} {}:{} {} bytes, digest {:016x}, changed {seconds}.{nanoseconds:09}",
            self.mode,
            self.owner.0,
            self.owner.1,
            self.size,
            hasher.finish()
        )
    }
}
