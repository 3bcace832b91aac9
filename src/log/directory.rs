//! The names in the directory of a log: the segments that they form, in numeric order,
//! and the other names. Opens no file.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::dir::{Dir, FilePath};
use super::error::{Error, Result};
use super::format::{self, FileKind, NameStyle};
use super::units::Offset;

/// Names that a file system may keep in its root directory: not part of a log.
const LOST_AND_FOUND: &str = "lost+found";

/// The names of one segment's two files, as they are in the directory. There may be very
/// many of these: the plain names are not kept but made from the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentNames {
    /// The offset of the segment's first record.
    pub base: Offset,
    has_store: bool,
    has_index: bool,
    /// The names that are not the plain ones; next to no segment has any.
    odd: Option<Box<OddNames>>,
}

/// The names of a segment's files that have leading zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OddNames {
    store: Option<OsString>,
    index: Option<OsString>,
}

impl SegmentNames {
    /// Of a segment without files.
    fn none(base: Offset) -> Self {
        Self {
            base,
            has_store: false,
            has_index: false,
            odd: None,
        }
    }

    /// Whether one half is there.
    #[must_use]
    pub fn has(&self, kind: FileKind) -> bool {
        match kind {
            FileKind::Store => self.has_store,
            FileKind::Index => self.has_index,
        }
    }

    /// The name of one half, if it is there.
    #[must_use]
    pub fn name(&self, kind: FileKind) -> Option<OsString> {
        self.has(kind).then(|| self.file_name(kind))
    }

    /// The name of one half: as it is there, or as it would be.
    #[must_use]
    pub fn file_name(&self, kind: FileKind) -> OsString {
        let odd = self.odd.as_ref().and_then(|odd| match kind {
            FileKind::Store => odd.store.as_ref(),
            FileKind::Index => odd.index.as_ref(),
        });
        odd.map_or_else(|| self.new_name(kind), Clone::clone)
    }

    /// The name of a half that has no odd one: in the style of its twin if it is missing.
    fn new_name(&self, kind: FileKind) -> OsString {
        let twin = self.odd.as_ref().and_then(|odd| match kind {
            FileKind::Store => odd.index.as_ref(),
            FileKind::Index => odd.store.as_ref(),
        });
        let style = twin.filter(|_| !self.has(kind)).map(|it| NameStyle::of(it));
        style.unwrap_or_default().file_name(self.base, kind).into()
    }

    /// Whether all names that are there are the plain ones.
    #[must_use]
    pub fn are_plain(&self) -> bool {
        self.odd.is_none()
    }

    /// Whether both halves are there.
    #[must_use]
    pub fn is_pair(&self) -> bool {
        self.has_store && self.has_index
    }

    /// Adds one half, under a name with leading zeros if `odd` is one.
    fn add(&mut self, kind: FileKind, odd: Option<OsString>) {
        self.set(kind, true, odd);
    }

    /// Takes one half out, as if it were not there.
    pub fn remove(&mut self, kind: FileKind) {
        self.set(kind, false, None);
    }

    fn set(&mut self, kind: FileKind, there: bool, name: Option<OsString>) {
        if self.odd.is_some() || name.is_some() {
            let odd = self.odd.get_or_insert_default();
            match kind {
                FileKind::Store => odd.store = name,
                FileKind::Index => odd.index = name,
            }
            if **odd == OddNames::default() {
                self.odd = None;
            }
        }
        match kind {
            FileKind::Store => self.has_store = there,
            FileKind::Index => self.has_index = there,
        }
    }
}

/// The names in a directory.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Its path.
    pub path: PathBuf,
    /// The directory itself: its files are opened through it.
    pub dir: Dir,
    /// Its segments, in the order of their base offsets.
    pub segments: Vec<SegmentNames>,
    /// Names that are no segment's, sorted; `lost+found` is not one of them.
    pub strays: Vec<OsString>,
    /// Second names for a file that is there already (`000.store` beside `0.store`).
    pub duplicates: Vec<(Offset, OsString)>,
    /// Names with leading zeros that are read all the same.
    pub zero_padded: Vec<(Offset, OsString)>,
}

impl Directory {
    /// The name of something that is in it, a file of a segment where there is one.
    #[must_use]
    pub fn first_name(&self) -> Option<PathBuf> {
        let segment = self.segments.first().and_then(|names| {
            let name = names.name(FileKind::Store);
            name.or_else(|| names.name(FileKind::Index))
        });
        segment
            .map(PathBuf::from)
            .or_else(|| self.strays.first().map(PathBuf::from))
    }

    /// Lists a directory.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirectory`], [`Error::NotADirectory`], [`Error::KafkaPartition`], or
    /// [`Error::Io`].
    pub fn list(path: &Path) -> Result<Self> {
        Self::list_in(&Self::open(path)?)
    }

    /// Opens a directory, and lists nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirectory`], [`Error::NotADirectory`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Dir> {
        Dir::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NoDirectory {
                path: path.to_path_buf(),
            },
            io::ErrorKind::NotADirectory => Error::NotADirectory {
                path: path.to_path_buf(),
            },
            _ => Error::io("list", path)(source),
        })
    }

    /// The same of a directory that is open.
    ///
    /// # Errors
    ///
    /// [`Error::KafkaPartition`], or [`Error::Io`].
    pub fn list_in(dir: &Dir) -> Result<Self> {
        let mut names = Names::default();
        dir.each_name(|name| names.add(name))
            .map_err(|source| match source.kind() {
                // It was removed.
                io::ErrorKind::NotFound => Error::NoDirectory {
                    path: dir.path().to_path_buf(),
                },
                _ => Error::io("list", dir.path())(source),
            })?;
        let directory = names.make(dir);
        if directory.is_kafka_partition() {
            return Err(Error::KafkaPartition {
                path: directory.path,
            });
        }
        Ok(directory)
    }

    /// The segments formed by these names, wherever they come from.
    #[must_use]
    pub fn of_names(dir: &Dir, all: Vec<OsString>) -> Self {
        let mut names = Names::default();
        for name in all {
            names.add(&name);
        }
        names.make(dir)
    }

    /// Whether Kafka wrote it: its names end in `.log`, `.index` and `.timeindex`.
    fn is_kafka_partition(&self) -> bool {
        let has_store = |names: &SegmentNames| names.has(FileKind::Store);
        self.strays.iter().any(|name| format::is_kafka_name(name))
            && !self.segments.iter().any(has_store)
    }

    /// The style of its names: padded if all of them are.
    #[must_use]
    pub fn name_style(&self) -> NameStyle {
        let files = self.segments.iter().flat_map(|names| {
            let halves = [FileKind::Store, FileKind::Index].into_iter();
            halves.filter_map(|kind| Some((names.name(kind)?, names.base, kind)))
        });
        let is_padded = |(name, base, kind): (OsString, Offset, FileKind)| {
            name == *NameStyle::Padded.file_name(base, kind)
        };
        let padded = !self.zero_padded.is_empty() && self.duplicates.is_empty();
        if padded && files.into_iter().all(is_padded) {
            NameStyle::Padded
        } else {
            NameStyle::Plain
        }
    }

    /// The base of the segment after the one with this base.
    #[must_use]
    pub fn next_base(&self, base: Offset) -> Option<Offset> {
        let next = self.segments.partition_point(|names| names.base <= base);
        self.segments.get(next).map(|names| names.base)
    }

    /// Whether the segment with this base is the last one, to which appends go.
    #[must_use]
    pub fn is_last(&self, base: Offset) -> bool {
        self.segments.last().is_some_and(|last| last.base == base)
    }

    /// The segment with this base.
    #[must_use]
    pub fn segment(&self, base: Offset) -> Option<&SegmentNames> {
        let at = self
            .segments
            .binary_search_by_key(&base, |names| names.base);
        self.segments.get(at.ok()?)
    }

    /// The path of one half of a segment, whether or not it is there.
    #[must_use]
    pub fn file(&self, segment: &SegmentNames, kind: FileKind) -> FilePath {
        self.dir.at(segment.file_name(kind))
    }

    /// The files that every writer of the log has open: those of the first and of the
    /// last segment, each once.
    #[must_use]
    pub fn telling_files(&self) -> Vec<PathBuf> {
        let first = self.segments.first();
        let last = self.segments.last().filter(|last| Some(*last) != first);
        let mut files = Vec::new();
        for names in [first, last].into_iter().flatten() {
            for kind in [FileKind::Store, FileKind::Index] {
                if names.has(kind) {
                    files.push(self.file(names, kind).to_path_buf());
                }
            }
        }
        files
    }

    /// Whether nothing at all is in the directory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.strays.is_empty()
    }

    /// An error for a directory without segments.
    ///
    /// # Errors
    ///
    /// [`Error::NotALog`] without segments.
    pub fn require_log(&self) -> Result<()> {
        if self.segments.is_empty() {
            return Err(Error::NotALog {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    /// The index of the segment that holds `offset`, or would: the last one whose base is
    /// not above it.
    #[must_use]
    pub fn segment_of(&self, offset: Offset) -> Option<usize> {
        self.segments
            .partition_point(|segment| segment.base <= offset)
            .checked_sub(1)
    }
}

/// Names while they are being gathered.
#[derive(Debug, Default)]
struct Names {
    found: Vec<Found>,
    padded: Vec<OsString>,
    strays: Vec<OsString>,
}

/// A name of a segment's file. Plain ones sort before padded ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    base: Offset,
    /// 0 for a plain name, else 1 + the number of the padded one.
    padded: u32,
    kind: FileKind,
}

impl Names {
    fn add(&mut self, name: &OsStr) {
        match format::parse_name(name) {
            Some(parts) if parts.zero_padded => self.padded.push(name.to_owned()),
            Some(parts) => self.found.push(Found {
                base: parts.base,
                padded: 0,
                kind: parts.kind,
            }),
            None if name == LOST_AND_FOUND => {}
            None => self.strays.push(name.to_owned()),
        }
    }

    /// The directory in which these are all.
    fn make(mut self, dir: &Dir) -> Directory {
        self.strays.sort();
        // Shorter ones first: of several padded ones the shortest counts.
        self.padded.sort_by(|a, b| by_length(a, b));
        for (name, number) in self.padded.iter().zip(1..) {
            if let Some(parts) = format::parse_name(name) {
                self.found.push(Found {
                    base: parts.base,
                    padded: number,
                    kind: parts.kind,
                });
            }
        }
        self.found.sort_unstable();
        let of_segments = || self.found.chunk_by(|a, b| a.base == b.base);
        let mut directory = Directory {
            path: dir.path().to_path_buf(),
            dir: dir.clone(),
            segments: Vec::with_capacity(of_segments().count()),
            strays: self.strays,
            duplicates: Vec::new(),
            zero_padded: Vec::new(),
        };
        for files in of_segments() {
            let base = files.first().map_or(Offset(0), |file| file.base);
            let mut segment = SegmentNames::none(base);
            for file in files {
                let number = usize::try_from(file.padded).unwrap_or(0);
                let padded = number.checked_sub(1).and_then(|at| self.padded.get(at));
                let odd = match (segment.has(file.kind), padded) {
                    (false, Some(_)) => Some(&mut directory.zero_padded),
                    (true, Some(_)) => Some(&mut directory.duplicates),
                    // A plain name that the system gave twice is one name.
                    (_, None) => None,
                };
                if let (Some(odd), Some(name)) = (odd, padded) {
                    odd.push((base, name.clone()));
                }
                if !segment.has(file.kind) {
                    segment.add(file.kind, padded.cloned());
                }
            }
            directory.segments.push(segment);
        }
        for odd in [&mut directory.duplicates, &mut directory.zero_padded] {
            odd.sort_by(|(_, a), (_, b)| by_length(a, b));
        }
        directory
    }
}

/// Shorter names first.
fn by_length(a: &OsStr, b: &OsStr) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Directory {
        let dir = Dir::open(&std::env::temp_dir()).unwrap();
        Directory::of_names(&dir, names.iter().map(|&name| name.into()).collect())
    }

    #[test]
    fn segments_sort_by_number() {
        let log = of(&[
            "10.index", "9.store", "10.store", "9.index", "0.store", "0.index",
        ]);
        let bases: Vec<u64> = log.segments.iter().map(|segment| segment.base.0).collect();
        assert_eq!(bases, [0, 9, 10]);
        assert!(log.segments.iter().all(SegmentNames::is_pair));
        assert_eq!(log.segment_of(Offset(9)), Some(1));
        assert_eq!(log.segment_of(Offset(u64::MAX)), Some(2));
    }

    #[test]
    fn the_first_and_the_last_pair_tell_who_writes() {
        let names = |log: &Directory| -> Vec<String> {
            let files = log.telling_files();
            files
                .iter()
                .filter_map(|path| Some(path.file_name()?.display().to_string()))
                .collect()
        };
        let one = of(&["0.store", "0.index"]);
        assert_eq!(names(&one), ["0.store", "0.index"]);
        let three = of(&["0.store", "0.index", "5.store", "5.index", "9.index"]);
        assert_eq!(names(&three), ["0.store", "0.index", "9.index"]);
    }

    #[test]
    fn the_plain_name_wins_over_a_padded_one() {
        let log = of(&["000.store", "0.store", "0.index", "LOCK"]);
        assert_eq!(log.duplicates, [(Offset(0), "000.store".into())]);
        assert!(log.zero_padded.is_empty());
        assert_eq!(log.strays, ["LOCK"]);
        assert_eq!(log.segment_of(Offset(3)), Some(0));
        let padded = of(&["07.store", "07.index"]);
        assert_eq!(padded.zero_padded.len(), 2);
        assert_eq!(padded.segment_of(Offset(3)), None);
    }

    #[test]
    fn the_root_of_a_file_system_is_empty() {
        assert!(of(&["lost+found"]).is_empty());
        assert_eq!(of(&["lost+found", "lost"]).strays, ["lost"]);
    }

    #[test]
    fn odd_names_are_kept_and_can_be_taken_out() {
        let mut log = of(&["0.index", "007.store", "7.index", "0.store", "0.store"]);
        // The system may list a name of a changing directory twice.
        assert!(log.duplicates.is_empty());
        let padded = log.segments.pop().expect("segment 7");
        assert_eq!(padded.name(FileKind::Store), Some("007.store".into()));
        assert_eq!(padded.name(FileKind::Index), Some("7.index".into()));
        assert!(!padded.are_plain());
        let mut lone = padded.clone();
        lone.remove(FileKind::Store);
        assert_eq!(lone.name(FileKind::Store), None);
        assert_eq!(lone.file_name(FileKind::Store), "7.store");
        assert!(lone.are_plain() && !lone.is_pair());
    }
}
