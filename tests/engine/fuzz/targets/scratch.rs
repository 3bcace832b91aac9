//! A log in memory that an input describes, and what the inputs have in common.

use std::fs;
use std::path::{Path, PathBuf};

use proglog::log::record::Codec;
use proglog_testkit::memory_directory;
use tempfile::TempDir;

/// A directory for one input.
pub struct Scratch {
    room: TempDir,
}

impl Scratch {
    /// With an empty log in it.
    pub fn new() -> Self {
        let room = memory_directory();
        fs::create_dir(room.path().join("log")).unwrap();
        Self { room }
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.room.path().join("log")
    }

    /// Makes a file of the log.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.log().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Names and bytes of the log's files, sorted.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        files(&self.log())
    }
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// The first byte, which says something about the rest; 0 if there is none.
pub fn split_first(data: &[u8]) -> (u8, &[u8]) {
    data.split_first()
        .map_or((0, data), |(first, rest)| (*first, rest))
}

/// The codec that a byte's lowest bit names.
pub fn codec(byte: u8) -> Codec {
    if byte & 1 == 0 {
        Codec::Raw
    } else {
        Codec::Protobuf
    }
}

/// The base offset that a byte names.
pub fn base(byte: u8) -> u64 {
    match byte >> 1 & 7 {
        0 | 1 => 0,
        2 => 1,
        3 => 8,
        4 => 127,
        5 => u64::from(u32::MAX),
        6 => u64::MAX - 3,
        _ => u64::MAX,
    }
}

/// Bytes behind their own length (u16, big-endian), and what is left; as many as there
/// are if that is less.
pub fn sized(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else {
        return (data, &[]);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    rest.split_at(length.min(rest.len()))
}
