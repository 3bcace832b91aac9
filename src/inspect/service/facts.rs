//! The queries of the model of the Go service on a directory, and their answers from real
//! files: regular files only, read-only positioned reads, no length is trusted. `open`
//! and `read` interpret the answers.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::log::dir::{Dir, Links};
use crate::log::units::Offset;

/// The file under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFact {
    /// Nothing: the service would create it.
    Missing,
    /// A regular file of this size.
    Regular {
        /// Its size.
        bytes: u64,
    },
    /// A directory.
    Directory,
    /// A FIFO, a device or a socket.
    Special,
}

/// A directory as the service would find it.
pub trait Facts {
    /// Every name in the directory, in any order, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// The file under `name`.
    fn names(&mut self) -> io::Result<Vec<OsString>>;

    /// The file under `name`.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    fn file(&mut self, name: &str) -> io::Result<FileFact>;

    /// Fills `into` from byte `position` of the regular file `name`, and returns how many
    /// bytes there were; fewer than asked only at the end of the file.
    ///
    /// # Errors
    ///
    /// The error of the disk.
    fn read_at(&mut self, name: &str, position: u64, into: &mut [u8]) -> io::Result<usize>;

    /// The offset in a payload, or `None` if it is not a Record.
    ///
    /// The interface for the codec of the log: a caller with a better decoder answers
    /// with it here.
    fn carried_offset(&self, payload: &[u8]) -> Option<Offset> {
        crate::log::record::layout_of(payload)
            .ok()
            .map(|layout| Offset(layout.offset))
    }
}

impl<F: Facts + ?Sized> Facts for &mut F {
    fn names(&mut self) -> io::Result<Vec<OsString>> {
        (**self).names()
    }

    fn file(&mut self, name: &str) -> io::Result<FileFact> {
        (**self).file(name)
    }

    fn read_at(&mut self, name: &str, position: u64, into: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(name, position, into)
    }

    fn carried_offset(&self, payload: &[u8]) -> Option<Offset> {
        (**self).carried_offset(payload)
    }
}

/// Bytes per read of the disk for small requests.
const WINDOW_BYTES: usize = 64 * 1024;

/// Number of files kept open: the pair that is being walked.
const OPEN_FILES: usize = 2;

/// A real directory.
#[derive(Debug)]
pub struct DirFacts {
    dir: Dir,
    open: Vec<OpenFile>,
}

/// A file with the bytes around the last requested place. Indexes and stores are walked
/// forwards, twelve and eight bytes at a time.
#[derive(Debug)]
struct OpenFile {
    name: String,
    file: File,
    window: Vec<u8>,
    window_at: u64,
}

impl DirFacts {
    /// The facts of `dir`; inspects nothing yet.
    #[must_use]
    pub fn of(dir: &Dir) -> Self {
        Self {
            dir: dir.clone(),
            open: Vec::new(),
        }
    }

    fn open_file(&mut self, name: &str) -> io::Result<&mut OpenFile> {
        if let Some(at) = self.open.iter().position(|open| open.name == name) {
            let open = self.open.remove(at);
            self.open.push(open);
        } else {
            let (file, _) = self.dir.at(name).open(Links::Followed)?;
            if self.open.len() >= OPEN_FILES {
                self.open.remove(0);
            }
            self.open.push(OpenFile {
                name: name.to_owned(),
                file,
                window: Vec::new(),
                window_at: 0,
            });
        }
        self.open
            .last_mut()
            .ok_or_else(|| io::Error::other("no file is open"))
    }
}

impl Facts for DirFacts {
    fn names(&mut self) -> io::Result<Vec<OsString>> {
        self.dir.names()
    }

    fn file(&mut self, name: &str) -> io::Result<FileFact> {
        match self.dir.at(name).metadata() {
            Ok(meta) if meta.is_file() => Ok(FileFact::Regular { bytes: meta.len() }),
            Ok(meta) if meta.is_dir() => Ok(FileFact::Directory),
            Ok(_) => Ok(FileFact::Special),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FileFact::Missing),
            Err(error) => Err(error),
        }
    }

    fn read_at(&mut self, name: &str, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let open = self.open_file(name)?;
        if into.len() >= WINDOW_BYTES {
            return fill(&open.file, position, into);
        }
        if let Some(bytes) = open.in_window(position, into.len()) {
            into.copy_from_slice(bytes);
            return Ok(into.len());
        }
        open.window.resize(WINDOW_BYTES, 0);
        let got = match fill(&open.file, position, &mut open.window) {
            Ok(got) => got,
            Err(error) => {
                // An unreadable place further on must not hide the requested bytes.
                open.window.clear();
                return fill(&open.file, position, into).map_err(|_| error);
            }
        };
        open.window.truncate(got);
        open.window_at = position;
        let bytes = open.window.get(..into.len()).unwrap_or(&open.window);
        if let Some(into) = into.get_mut(..bytes.len()) {
            into.copy_from_slice(bytes);
        }
        Ok(bytes.len())
    }
}

impl OpenFile {
    fn in_window(&self, position: u64, bytes: usize) -> Option<&[u8]> {
        let from = usize::try_from(position.checked_sub(self.window_at)?).ok()?;
        self.window.get(from..from.checked_add(bytes)?)
    }
}

/// Reads until `into` is full or the file ends.
fn fill(file: &File, position: u64, into: &mut [u8]) -> io::Result<usize> {
    // The kernel refuses to read past the largest signed position; no file extends there.
    let end = position.checked_add(into.len() as u64);
    if end.is_none_or(|end| i64::try_from(end).is_err()) {
        return Ok(0);
    }
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = position.saturating_add(filled as u64);
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn reads_are_what_the_file_says_wherever_they_fall() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        file.write_all(&bytes).unwrap();
        let name = file.path().file_name().unwrap().to_str().unwrap();
        let mut facts = DirFacts::of(&Dir::open(dir.path()).unwrap());
        let whole = FileFact::Regular {
            bytes: bytes.len() as u64,
        };
        assert_eq!(facts.file(name).unwrap(), whole);
        for ask in [0, 1, 12, 4096, WINDOW_BYTES - 1, WINDOW_BYTES, 100_000] {
            for position in [0, 5, 65_530, 65_536, 131_000, 799_990, 800_000, 800_001, 3] {
                let mut into = vec![0; ask];
                let got = facts.read_at(name, position as u64, &mut into).unwrap();
                let rest = bytes.get(position..).unwrap_or_default();
                assert_eq!(got, ask.min(rest.len()), "{ask} at {position}");
                assert_eq!(into[..got], rest[..got], "{ask} at {position}");
            }
        }
        let mut into = [0; 8];
        assert_eq!(facts.read_at(name, u64::MAX, &mut into).unwrap(), 0);
        assert_eq!(facts.read_at(name, i64::MAX as u64, &mut into).unwrap(), 0);
    }

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let inner = tempfile::tempdir_in(dir.path()).unwrap();
        let name = inner.path().file_name().unwrap().to_str().unwrap();
        let mut facts = DirFacts::of(&Dir::open(dir.path()).unwrap());
        assert_eq!(facts.file(name).unwrap(), FileFact::Directory);
        assert!(facts.read_at(name, 0, &mut [0]).is_err());
        assert_eq!(facts.file("none").unwrap(), FileFact::Missing);
        assert_eq!(facts.names().unwrap(), [name]);
        let mut devices = DirFacts::of(&Dir::open("/dev".as_ref()).unwrap());
        assert_eq!(devices.file("null").unwrap(), FileFact::Special);
        assert!(devices.read_at("null", 0, &mut [0]).is_err());
    }
}
