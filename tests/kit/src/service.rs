//! A Go service's way to write a log: each index is a file that is mapped and grown in
//! advance to its limit, each store is written through a buffer of 4096 bytes, and the
//! index is truncated to its entries when the service closes it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use memmap2::MmapMut;

use crate::{frame, pb};

/// What bufio.Writer holds. Units: bytes.
const BUFFER_BYTES: usize = 4096;

/// Bytes of an index entry.
const ENTRY_BYTES: usize = 12;

/// A segment as the service has it open.
pub struct ServiceSegment {
    base: u64,
    store: File,
    buffer: Vec<u8>,
    position: u64,
    index_file: File,
    index: MmapMut,
    entries: usize,
}

/// A service that has a log open, in this process.
pub struct Service {
    directory: PathBuf,
    store_bytes_max: u64,
    index_bytes_max: usize,
    segments: Vec<ServiceSegment>,
    next: u64,
}

fn open(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    options
        .open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[expect(unsafe_code, reason = "the service maps its indexes")]
fn map(file: &File) -> MmapMut {
    // SAFETY: the file stays as long as it is mapped until the mapping is gone.
    unsafe { MmapMut::map_mut(file).expect("a mapping") }
}

impl ServiceSegment {
    /// The store first, then the index, which is grown and mapped.
    fn open(directory: &Path, base: u64, index_bytes_max: usize) -> Self {
        let store = open(&directory.join(format!("{base}.store")));
        let position = store.metadata().expect("a store").len();
        let index_file = open(&directory.join(format!("{base}.index")));
        let index_bytes = index_file.metadata().expect("an index").len();
        let entries = usize::try_from(index_bytes).expect("a small index") / ENTRY_BYTES;
        index_file
            .set_len(index_bytes_max as u64)
            .expect("a larger index");
        Self {
            base,
            index: map(&index_file),
            store,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            position,
            index_file,
            entries,
        }
    }

    fn append(&mut self, payload: &[u8]) {
        let position = self.position;
        let length = (payload.len() as u64).to_be_bytes();
        self.position += frame(payload).len() as u64;
        self.buffered(&length);
        self.buffered(payload);
        // In two steps, as the service's encoder does.
        let at = self.entries * ENTRY_BYTES;
        let relative = u32::try_from(self.entries).expect("few entries");
        self.index[at..at + 4].copy_from_slice(&relative.to_be_bytes());
        self.index[at + 4..at + ENTRY_BYTES].copy_from_slice(&position.to_be_bytes());
        self.entries += 1;
    }

    /// As `bufio.Writer.Write`: a full buffer is written, and what is larger than an
    /// empty one goes past it.
    fn buffered(&mut self, mut bytes: &[u8]) {
        while bytes.len() > BUFFER_BYTES - self.buffer.len() {
            if self.buffer.is_empty() {
                self.store.write_all(bytes).expect("a written store");
                return;
            }
            let (now, rest) = bytes.split_at(BUFFER_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(now);
            self.flush();
            bytes = rest;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Writes the buffer, as each read of the segment does.
    pub fn flush(&mut self) {
        self.store.write_all(&self.buffer).expect("a written store");
        self.buffer.clear();
    }

    /// The index is truncated first, then the store is flushed.
    fn close(mut self) {
        let entries = self.entries as u64;
        self.index.flush().expect("a synced index");
        drop(self.index);
        self.index_file
            .set_len(entries * ENTRY_BYTES as u64)
            .expect("a truncated index");
        self.store.write_all(&self.buffer).expect("a written store");
    }
}

impl Service {
    /// Opens the log in `directory`, or begins one, with these limits: `MaxStoreBytes`
    /// and `MaxIndexBytes`.
    #[must_use]
    pub fn start(directory: &Path, store_bytes_max: u64, index_bytes_max: usize) -> Self {
        let mut bases: Vec<u64> = fs::read_dir(directory)
            .expect("the log's directory")
            .map(|entry| entry.expect("a name").file_name())
            .filter_map(|name| name.to_str()?.strip_suffix(".store")?.parse().ok())
            .collect();
        bases.sort_unstable();
        let mut service = Self {
            directory: directory.to_path_buf(),
            store_bytes_max,
            index_bytes_max,
            segments: Vec::new(),
            next: 0,
        };
        for base in bases {
            service.open_segment(base);
        }
        if service.segments.is_empty() {
            service.open_segment(0);
        }
        let last = service.last();
        service.next = last.base + last.entries as u64;
        service
    }

    fn open_segment(&mut self, base: u64) {
        let segment = ServiceSegment::open(&self.directory, base, self.index_bytes_max);
        self.segments.push(segment);
    }

    fn last(&mut self) -> &mut ServiceSegment {
        self.segments.last_mut().expect("an active segment")
    }

    /// The offset of the next record.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// The open segments, the active one last.
    pub fn segments(&mut self) -> &mut [ServiceSegment] {
        &mut self.segments
    }

    /// Appends a record with this value, and rolls behind it where a limit is reached.
    pub fn append(&mut self, value: &[u8]) {
        let payload = pb(value, self.next, 0, 0);
        let (store_max, index_max) = (self.store_bytes_max, self.index_bytes_max);
        let last = self.last();
        last.append(&payload);
        let is_full = last.position >= store_max || (last.entries + 1) * ENTRY_BYTES > index_max;
        self.next += 1;
        if is_full {
            self.open_segment(self.next);
        }
    }

    /// Removes the oldest segments until so many are left.
    pub fn truncate(&mut self, keep: usize) {
        while self.segments.len() > keep {
            let segment = self.segments.remove(0);
            let base = segment.base;
            segment.close();
            for kind in ["index", "store"] {
                let path = self.directory.join(format!("{base}.{kind}"));
                fs::remove_file(path).expect("a removed file");
            }
        }
    }

    /// Closes all segments.
    pub fn stop(self) {
        for segment in self.segments {
            segment.close();
        }
    }
}
