//! The manifest of a saved directory: its parser, which rejects everything that proglog
//! would not write. It is read as a stream, because any user may have written it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Change, ChangeKind, MANIFEST};
use crate::log::dir::{Dir, Links};
use crate::log::error::{Error, Result};
use crate::log::format::parse_name;

/// The most bytes of a manifest that are read: it has about 100 for each file of a log.
const MANIFEST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The most bytes of a line: a path has at most 4096, and JSON makes up to six of one.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The largest size of a file.
const FILE_BYTES_MAX: u64 = i64::MAX.unsigned_abs();

/// A file of the log as it was before the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBefore {
    /// Its name.
    pub name: String,
    /// Its size. Bytes.
    pub bytes: u64,
}

/// The content of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The log's directory.
    pub log: PathBuf,
    /// The inode of the log's directory, which no move changes; 0 if an older version made
    /// it.
    pub inode: u64,
    /// Which command made the change.
    pub command: String,
    /// Its number among those saved in one place; 0 if an older version made it.
    pub number: u64,
    /// When, in UTC.
    pub time: String,
    /// All of the log's files before.
    pub files: Vec<FileBefore>,
    /// The changes, in the order in which they were made.
    pub changes: Vec<Change>,
}

/// Reads the manifest of a saved directory. Whether that is to be trusted is not asked.
/// Gives `None` if it was interrupted, in which case nothing was changed.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Config`] if it is not a valid manifest.
pub fn read_manifest(saved: &Dir) -> Result<Option<Manifest>> {
    let path = saved.at(MANIFEST);
    let opened = path.open(Links::Refused);
    let (file, _) = opened.map_err(Error::io("read", &path))?;
    parse(file, &path)
}

/// Reads a manifest from an open file.
///
/// # Errors
///
/// As [`read_manifest`].
pub(super) fn parse(file: File, path: &Path) -> Result<Option<Manifest>> {
    let mut lines = BufReader::new(file.take(MANIFEST_BYTES_MAX));
    let mut manifest = Manifest::default();
    let mut line = Vec::new();
    for number in 1_u64.. {
        let wrong =
            |what: &str| Error::Config(format!("{}: line {number}: {what}", path.display()));
        line.clear();
        let read = lines
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        read.map_err(Error::io("read", path))?;
        // A power cut can leave half a line, or zeros in the place of some.
        let is_whole = line.ends_with(b"\n") && !line.contains(&0);
        if !is_whole && (line.len() as u64) < LINE_BYTES_MAX {
            return Ok(None);
        }
        let value: Value =
            serde_json::from_slice(&line).map_err(|_| wrong("a line is not JSON"))?;
        let is_end = Line(&value)
            .add_to(&mut manifest)
            .map_err(|what| wrong(&what))?;
        if is_end {
            break;
        }
    }
    Ok(Some(manifest))
}

/// A line of a manifest.
struct Line<'a>(&'a Value);

impl Line<'_> {
    /// Adds the content of the line; returns whether it is the last one.
    fn add_to(&self, manifest: &mut Manifest) -> std::result::Result<bool, String> {
        let is_first = manifest.log.as_os_str().is_empty();
        let kind = self.text("kind");
        if (kind == "log") != is_first {
            return Err("the first line, and only it, must describe the log".to_owned());
        }
        match kind {
            "log" => {
                manifest.log = self.text("path").into();
                if !manifest.log.is_absolute() {
                    return Err("no path of the log".to_owned());
                }
                self.text("command").clone_into(&mut manifest.command);
                self.text("time").clone_into(&mut manifest.time);
                manifest.number = self.bytes("number").unwrap_or(0);
                manifest.inode = self.0.get("inode").and_then(Value::as_u64).unwrap_or(0);
            }
            "file" => manifest.files.push(FileBefore {
                name: self.segment_name("name")?,
                bytes: self.bytes("bytes")?,
            }),
            "end" => return Ok(true),
            _ => manifest.changes.push(Change {
                kind: self.change(kind)?,
                file: self.segment_name("file")?,
            }),
        }
        Ok(false)
    }

    fn change(&self, kind: &str) -> std::result::Result<ChangeKind, String> {
        let bytes = |key| self.bytes(key);
        let change = match kind {
            "write" => ChangeKind::Write {
                position: bytes("position")?,
                bytes: bytes("bytes")?,
                before_bytes: bytes("before_bytes")?,
                size_before: bytes("size_before")?,
            },
            "cut" => ChangeKind::Cut {
                size_before: bytes("size_before")?,
                size_after: bytes("size_after")?,
                stored_bytes: bytes("stored_bytes")?,
            },
            "create" => ChangeKind::Create {
                bytes: bytes("bytes")?,
            },
            "move" => ChangeKind::Move {
                bytes: bytes("bytes")?,
            },
            "replace" => ChangeKind::Replace {
                bytes: bytes("bytes")?,
                size_after: bytes("size_after")?,
            },
            _ => return Err("an unknown kind".to_owned()),
        };
        if fits(change) {
            Ok(change)
        } else {
            Err("impossible figures".to_owned())
        }
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A size or a position that a file can have.
    fn bytes(&self, key: &str) -> std::result::Result<u64, String> {
        let figure = self.0.get(key).and_then(Value::as_u64);
        figure
            .filter(|figure| *figure <= FILE_BYTES_MAX)
            .ok_or_else(|| format!("no number {key}"))
    }

    /// The name of a segment's file: no other is ever changed.
    fn segment_name(&self, key: &str) -> std::result::Result<String, String> {
        let name = self.text(key);
        match parse_name(OsStr::new(name)) {
            Some(_) => Ok(name.to_owned()),
            None => Err(format!("{name:?} is not the name of a segment's file")),
        }
    }
}

/// Whether the figures of a change fit together.
fn fits(change: ChangeKind) -> bool {
    match change {
        ChangeKind::Write {
            position,
            bytes,
            before_bytes,
            size_before,
        } => {
            before_bytes <= bytes
                && before_bytes <= size_before.saturating_sub(position)
                && position.saturating_add(bytes) <= FILE_BYTES_MAX
        }
        ChangeKind::Cut {
            size_before,
            size_after,
            stored_bytes,
        } => size_after <= size_before && stored_bytes <= size_before - size_after,
        ChangeKind::Create { .. } | ChangeKind::Move { .. } | ChangeKind::Replace { .. } => true,
    }
}
