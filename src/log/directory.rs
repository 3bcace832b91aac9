//! The names in a log's directory: which segments they make, in numeric order, and
//! which are none of a segment's. Opens no file; what the files hold is for others.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::format::{self, FileKind};
use super::units::Offset;

/// The names of one segment's two files, as they stand in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentNames {
    /// The offset of the segment's first record.
    pub base: Offset,
    /// The store's name, if there is one.
    pub store: Option<OsString>,
    /// The index's name, if there is one.
    pub index: Option<OsString>,
}

impl SegmentNames {
    /// The name of one half.
    #[must_use]
    pub fn name(&self, kind: FileKind) -> Option<&OsString> {
        match kind {
            FileKind::Store => self.store.as_ref(),
            FileKind::Index => self.index.as_ref(),
        }
    }

    /// Whether both halves are there.
    #[must_use]
    pub fn is_pair(&self) -> bool {
        self.store.is_some() && self.index.is_some()
    }
}

/// What names a directory holds.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// Its segments, in the order of their base offsets.
    pub segments: Vec<SegmentNames>,
    /// Names that are no segment's, sorted.
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
            let name = names.store.as_ref().or(names.index.as_ref());
            name.map(PathBuf::from)
        });
        segment.or_else(|| self.strays.first().map(PathBuf::from))
    }

    /// Lists a directory.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirectory`], [`Error::NotADirectory`], or [`Error::Io`].
    pub fn list(path: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NoDirectory {
                path: path.to_path_buf(),
            },
            io::ErrorKind::NotADirectory => Error::NotADirectory {
                path: path.to_path_buf(),
            },
            _ => Error::Io {
                action: "list",
                path: path.to_path_buf(),
                source,
            },
        })?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(Error::io("list", path))?.file_name());
        }
        Ok(Self::of_names(path, names))
    }

    /// What these names make, wherever they come from.
    #[must_use]
    pub fn of_names(path: &Path, names: Vec<OsString>) -> Self {
        let mut directory = Self {
            path: path.to_path_buf(),
            segments: Vec::new(),
            strays: Vec::new(),
            duplicates: Vec::new(),
            zero_padded: Vec::new(),
        };
        let mut parsed = Vec::with_capacity(names.len());
        for name in names {
            match format::parse_name(&name) {
                Some(parts) => parsed.push((parts, name)),
                None => directory.strays.push(name),
            }
        }
        // Shorter ones first, so that the plain name comes before padded ones.
        parsed.sort_unstable_by(|(a, a_name), (b, b_name)| {
            a.base.cmp(&b.base).then_with(|| by_length(a_name, b_name))
        });
        directory.segments.reserve_exact(parsed.len().div_ceil(2));
        for (parts, name) in parsed {
            if directory.segments.last().map(|last| last.base) != Some(parts.base) {
                directory.segments.push(SegmentNames {
                    base: parts.base,
                    store: None,
                    index: None,
                });
            }
            let Some(segment) = directory.segments.last_mut() else {
                continue;
            };
            let half = match parts.kind {
                FileKind::Store => &mut segment.store,
                FileKind::Index => &mut segment.index,
            };
            if half.is_some() {
                directory.duplicates.push((parts.base, name));
                continue;
            }
            if parts.zero_padded {
                directory.zero_padded.push((parts.base, name.clone()));
            }
            *half = Some(name);
        }
        directory.strays.sort();
        for odd in [&mut directory.duplicates, &mut directory.zero_padded] {
            odd.sort_by(|(_, a), (_, b)| by_length(a, b));
        }
        directory
    }

    /// The path of one half of a segment, whether or not it is there.
    #[must_use]
    pub fn file(&self, segment: &SegmentNames, kind: FileKind) -> PathBuf {
        match segment.name(kind) {
            Some(name) => self.path.join(name),
            None => self.path.join(format::file_name(segment.base, kind)),
        }
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
                if names.name(kind).is_some() {
                    files.push(self.file(names, kind));
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
    /// [`Error::NotALog`] where there is no segment.
    pub fn require_log(&self) -> Result<()> {
        if self.segments.is_empty() {
            return Err(Error::NotALog {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    /// Where the segment stands that holds `offset`, or would: the last one whose
    /// base is not above it.
    #[must_use]
    pub fn segment_of(&self, offset: Offset) -> Option<usize> {
        self.segments
            .partition_point(|segment| segment.base <= offset)
            .checked_sub(1)
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
        Directory::of_names(
            Path::new("log"),
            names.iter().map(|&name| name.into()).collect(),
        )
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
                .map(|path| path.display().to_string())
                .collect()
        };
        let one = of(&["0.store", "0.index"]);
        assert_eq!(names(&one), ["log/0.store", "log/0.index"]);
        let three = of(&["0.store", "0.index", "5.store", "5.index", "9.index"]);
        assert_eq!(names(&three), ["log/0.store", "log/0.index", "log/9.index"]);
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
}
