//! The names and sizes in a log's directory, taken before anything is opened: what
//! verify judges is the log as it was at this moment.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::log::dir::{Dir, FilePath, FileStatus, Identity, time_at};
use crate::log::directory::{Directory, SegmentNames};
use crate::log::error::{Error, Result};
use crate::log::format::FileKind;
use crate::log::segment::is_closed;
use crate::log::units::Offset;
use crate::log::window::ReadFile;

/// The kind of file under a name that should be a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFile {
    /// A symbolic link whose target is not there.
    DeadLink,
    /// A directory.
    Directory,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// Anything else.
    Device,
    /// An index that is a second name of its store.
    Twin,
    /// A file that this user may not open.
    Denied,
    /// A file that the disk does not open.
    Failing,
}

impl NoFile {
    /// Its description.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadLink => "a broken symbolic link",
            Self::Directory => "a directory",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Twin => "the store under a second name",
            Self::Denied => "cannot be opened: permission denied",
            Self::Failing => "cannot be opened: the disk reports an error",
        }
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(self) -> bool {
        matches!(self, Self::Twin) || self.is_closed()
    }

    /// Whether it is a regular file that cannot be opened.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Denied | Self::Failing)
    }
}

impl fmt::Display for NoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Metadata of one file, without its content. Its name is [`SegmentListing::file_name`].
/// Kept small: a log may have very many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Its size. Units: bytes.
    pub bytes: u64,
    /// When it was last written: seconds since the epoch, and nanoseconds since then.
    modified_second: i64,
    modified_rest: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u16,
    /// Its kind, if it is not a regular file that can be opened.
    pub no_file: Option<NoFile>,
    /// Whether the name is a symbolic link.
    pub is_link: bool,
}

impl FileFacts {
    /// Inspects `name` in `directory`; `None` if it is gone.
    fn of(path: &FilePath) -> Option<(Identity, Self)> {
        let link = path.link_metadata().ok()?;
        let is_link = link.is_symlink();
        let metadata = if is_link {
            path.metadata().ok()
        } else {
            Some(link)
        };
        let Some(metadata) = metadata else {
            let facts = Self {
                bytes: 0,
                modified_second: 0,
                modified_rest: 0,
                uid: link.uid(),
                gid: link.gid(),
                mode: permissions(&link),
                no_file: Some(NoFile::DeadLink),
                is_link: true,
            };
            return Some((link.identity(), facts));
        };
        let kind = metadata.kind();
        let (modified_second, modified_rest) = metadata.modified_at();
        let no_file = if kind.is_file() {
            None
        } else if kind.is_dir() {
            Some(NoFile::Directory)
        } else if kind.is_fifo() {
            Some(NoFile::Fifo)
        } else if kind.is_socket() {
            Some(NoFile::Socket)
        } else {
            Some(NoFile::Device)
        };
        let facts = Self {
            bytes: metadata.len(),
            modified_second,
            modified_rest,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: permissions(&metadata),
            no_file,
            is_link,
        };
        Some((metadata.identity(), facts))
    }

    /// The time of its last write; unknown for files that cannot be accessed.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        if self.no_file == Some(NoFile::DeadLink) {
            return None;
        }
        time_at(self.modified_second, self.modified_rest)
    }

    /// Whether its owner may read and write it.
    #[must_use]
    pub fn owner_can_write(&self) -> bool {
        self.mode & 0o600 == 0o600
    }
}

/// The permission bits of a file, of which there are twelve.
fn permissions(metadata: &FileStatus) -> u16 {
    u16::try_from(metadata.mode() & 0o7777).unwrap_or(0)
}

/// The two files of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentListing {
    /// The names as they are in the directory.
    pub names: SegmentNames,
    /// The store, if any.
    pub store: Option<FileFacts>,
    /// The index, if any.
    pub index: Option<FileFacts>,
}

impl SegmentListing {
    /// The offset of the segment's first record.
    #[must_use]
    pub fn base(&self) -> Offset {
        self.names.base
    }

    /// The name of the half that is a symbolic link, if one is: links are read and never
    /// changed.
    #[must_use]
    pub fn link(&self) -> Option<String> {
        let mut kinds = [FileKind::Store, FileKind::Index].into_iter();
        let is_link = |kind: &FileKind| self.file(*kind).is_some_and(|file| file.is_link);
        kinds.find(is_link).map(|kind| self.file_name(kind))
    }

    /// The name of one half: as it is there, or as it would be.
    #[must_use]
    pub fn file_name(&self, kind: FileKind) -> String {
        self.names.file_name(kind).display().to_string()
    }

    /// One half.
    #[must_use]
    pub fn file(&self, kind: FileKind) -> Option<&FileFacts> {
        match kind {
            FileKind::Store => self.store.as_ref(),
            FileKind::Index => self.index.as_ref(),
        }
    }

    /// Marks the files that cannot be opened.
    pub(super) fn mark_closed(&mut self, directory: &Directory) {
        for kind in [FileKind::Store, FileKind::Index] {
            let (Some(file), Some(name)) = (
                match kind {
                    FileKind::Store => &mut self.store,
                    FileKind::Index => &mut self.index,
                },
                self.names.name(kind),
            ) else {
                continue;
            };
            let error = ReadFile::open(&directory.dir.at(name)).err();
            let closed = error.filter(is_closed);
            file.no_file = file.no_file.or(match closed {
                Some(Error::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
                    Some(NoFile::Denied)
                }
                Some(_) => Some(NoFile::Failing),
                None => None,
            });
        }
    }

    /// Whether a file of it cannot be opened, though it is a regular file.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let files = [&self.store, &self.index].into_iter().flatten();
        files.filter_map(|file| file.no_file).any(NoFile::is_closed)
    }

    /// Whether it has a store that can be opened: without one it has no records.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.store.as_ref().is_some_and(|it| it.no_file.is_none())
    }

    /// Whether both halves are there and can be opened.
    #[must_use]
    pub fn is_readable_pair(&self) -> bool {
        let readable =
            |file: &Option<FileFacts>| file.as_ref().is_some_and(|file| file.no_file.is_none());
        readable(&self.store) && readable(&self.index)
    }
}

/// A directory with the sizes of its files.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Its names.
    pub directory: Directory,
    /// Its segments, in the order of their base offsets; a report has the same ones.
    pub segments: Vec<Arc<SegmentListing>>,
}

impl Listing {
    /// Lists a log's directory. Index sizes are taken before store sizes, so that
    /// beside a writer each entry seen has its frame.
    ///
    /// # Errors
    ///
    /// As [`Directory::list`], and `NotALog` without segments.
    pub fn of(path: &Path) -> Result<Self> {
        Self::of_directory(Directory::list(path)?)
    }

    /// The same of a directory that is open.
    ///
    /// # Errors
    ///
    /// As [`Directory::list_in`], and `NotALog` without segments.
    pub fn of_dir(dir: &Dir) -> Result<Self> {
        Self::of_directory(Directory::list_in(dir)?)
    }

    fn of_directory(mut directory: Directory) -> Result<Self> {
        directory.require_log()?;
        let mut segments = Vec::with_capacity(directory.segments.len());
        let dir = directory.dir.clone();
        // One whose files are both gone already was trimmed meanwhile.
        directory.segments.retain(|names| {
            let segment = Self::segment(&dir, names);
            let there = segment.store.is_some() || segment.index.is_some();
            segments.extend(there.then(|| Arc::new(segment)));
            there
        });
        Ok(Self {
            directory,
            segments,
        })
    }

    /// The two files of one segment, as they are now.
    #[must_use]
    pub fn segment(dir: &Dir, names: &SegmentNames) -> SegmentListing {
        let look = |kind| FileFacts::of(&dir.at(names.name(kind)?));
        let mut index = look(FileKind::Index);
        let store = look(FileKind::Store);
        if let (Some((this, index)), Some((other, _))) = (&mut index, &store)
            && this == other
            && index.no_file.is_none()
        {
            index.no_file = Some(NoFile::Twin);
        }
        SegmentListing {
            names: names.clone(),
            store: store.map(|(_, facts)| facts),
            index: index.map(|(_, facts)| facts),
        }
    }

    /// The segment that begins at `base`.
    #[must_use]
    pub fn segment_at(&self, base: Offset) -> Option<&SegmentListing> {
        let found = self
            .segments
            .binary_search_by_key(&base, |segment| segment.base());
        self.segments.get(found.ok()?).map(Arc::as_ref)
    }

    /// Takes what is known of a segment in place of what was listed.
    pub(super) fn replace(&mut self, segment: &Arc<SegmentListing>) {
        let base = segment.base();
        let found = self.segments.binary_search_by_key(&base, |it| it.base());
        if let Some(listed) = found.ok().and_then(|at| self.segments.get_mut(at)) {
            *listed = Arc::clone(segment);
        }
    }

    /// The directory of the log.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory.path
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_facts_of_a_file_take_little_memory() {
        assert_eq!(size_of::<Option<FileFacts>>(), 32);
    }

    #[test]
    fn the_time_of_the_last_write_is_the_file_systems() {
        let dir = tempfile::tempdir().expect("a directory");
        let held = Dir::open(dir.path()).expect("the directory");
        let named = tempfile::NamedTempFile::new_in(&dir).expect("a file");
        let (path, file) = (named.path(), named.as_file());
        let name = path.file_name().expect("a name");
        let rest = Duration::from_nanos(123_456_789);
        let hour = Duration::from_secs(3600);
        for time in [UNIX_EPOCH + hour + rest, UNIX_EPOCH - hour + rest] {
            file.set_modified(time).expect("a time");
            let metadata = path.metadata().expect("the file");
            let (_, facts) = FileFacts::of(&held.at(name)).expect("facts");
            assert_eq!(facts.modified(), metadata.modified().ok());
            assert_eq!(facts.modified(), Some(time));
        }
        let link = dir.path().join("0.index");
        std::os::unix::fs::symlink("nowhere", link).expect("a link");
        let (_, facts) = FileFacts::of(&held.at("0.index")).expect("facts");
        assert_eq!(facts.modified(), None);
    }
}
