//! A Go service's way to write, and a follower beside it: every index padded and
//! mapped, its entries there before their frames, which wait in a buffer of 4096
//! bytes for each store, sealed ones too.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use memmap2::MmapMut;
use proglog_testkit::{Sandbox, frame, pb};

use crate::lines;
use crate::running::Reading;

/// What bufio.Writer holds. Units: bytes.
const BUFFER_BYTES: usize = 4096;

/// A segment as the service has it open.
struct Segment {
    store: File,
    buffer: Vec<u8>,
    position: u64,
    index_file: File,
    index: MmapMut,
    entries: usize,
}

/// The service.
struct Service {
    directory: PathBuf,
    index_bytes: usize,
    segments: Vec<Segment>,
    next: u64,
}

fn open(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).unwrap()
}

#[expect(unsafe_code, reason = "the service maps its indexes")]
fn map(file: &File) -> MmapMut {
    // SAFETY: the file is as long as it is mapped until the mapping is gone.
    unsafe { MmapMut::map_mut(file).unwrap() }
}

impl Segment {
    fn create(directory: &Path, base: u64, index_bytes: usize) -> Self {
        let store = open(&directory.join(format!("{base}.store")));
        let index_file = open(&directory.join(format!("{base}.index")));
        index_file.set_len(index_bytes as u64).unwrap();
        Self {
            index: map(&index_file),
            store,
            buffer: Vec::new(),
            position: 0,
            index_file,
            entries: 0,
        }
    }

    fn append(&mut self, payload: &[u8]) {
        let frame = frame(payload);
        self.buffer.extend(&frame);
        let at = self.entries * 12;
        // In two steps, as the service's two stores are.
        self.index[at..at + 4].copy_from_slice(&u32::try_from(self.entries).unwrap().to_be_bytes());
        std::thread::yield_now();
        self.index[at + 4..at + 12].copy_from_slice(&self.position.to_be_bytes());
        self.entries += 1;
        self.position += frame.len() as u64;
        while self.buffer.len() > BUFFER_BYTES {
            let rest = self.buffer.split_off(BUFFER_BYTES);
            self.store.write_all(&self.buffer).unwrap();
            self.buffer = rest;
        }
    }

    fn flush(&mut self) {
        self.store.write_all(&self.buffer).unwrap();
        self.buffer.clear();
    }

    /// The index is cut first, then the store is flushed.
    fn close(mut self) {
        let entries = self.entries as u64;
        self.index.flush().unwrap();
        drop(self.index);
        self.index_file.set_len(entries * 12).unwrap();
        self.store.write_all(&self.buffer).unwrap();
    }
}

impl Service {
    fn start(sandbox: &Sandbox, index_bytes: usize) -> Self {
        let mut service = Self {
            directory: sandbox.log(),
            index_bytes,
            segments: Vec::new(),
            next: 0,
        };
        service.roll();
        service
    }

    fn roll(&mut self) {
        let segment = Segment::create(&self.directory, self.next, self.index_bytes);
        self.segments.push(segment);
    }

    fn append(&mut self, records: u64) {
        for _ in 0..records {
            let payload = pb(self.next.to_string().as_bytes(), self.next, 0, 0);
            let segment = self.segments.last_mut().unwrap();
            segment.append(&payload);
            let is_full = (segment.entries + 1) * 12 > self.index_bytes;
            self.next += 1;
            if is_full {
                self.roll();
            }
        }
    }

    fn stop(self) {
        for segment in self.segments {
            segment.close();
        }
    }
}

#[test]
fn what_waits_in_a_buffer_is_waited_for() {
    let sandbox = Sandbox::empty();
    let mut service = Service::start(&sandbox, 12 * 100);
    let mut reading = Reading::start(&sandbox, &["-f"]);
    service.append(40);
    // Longer than it takes to believe in damage.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    reading.waits();
    reading.prints("");
    service.segments[0].flush();
    reading.prints(&lines(0..40));
    // A roll with records of the sealed segment still in the buffer.
    service.append(100);
    reading.waits();
    assert_eq!(service.segments.len(), 2);
    reading.prints(&lines(0..40));
    service.segments[1].flush();
    reading.waits();
    reading.prints(&lines(0..40));
    service.segments[0].flush();
    reading.prints(&lines(0..140));
    service.append(25);
    reading.waits();
    service.stop();
    reading.prints(&lines(0..165));
    reading.waits();
    // Then proglog writes on.
    crate::append(&sandbox, 165..170, &[]);
    reading.prints(&lines(0..170));
}

#[test]
fn a_service_at_full_speed_is_followed_through_its_rolls() {
    let sandbox = Sandbox::empty();
    let mut service = Service::start(&sandbox, 12 * 1000);
    let reading = Reading::start(&sandbox, &["-f", "-c", "20000"]);
    for _ in 0..200 {
        service.append(100);
        if service.next.is_multiple_of(1000) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    service.stop();
    let ended = reading.end().told(0, &[]);
    assert!(ended.out == lines(0..20000), "{} bytes", ended.out.len());
}

#[test]
fn entries_of_a_killed_service_are_damage() {
    let sandbox = Sandbox::empty();
    let mut service = Service::start(&sandbox, 12 * 100);
    service.append(40);
    service.segments[0].flush();
    service.append(5);
    let reading = Reading::start(&sandbox, &["-f"]);
    reading.prints(&lines(0..40));
    drop(service);
    let ended = reading.end();
    ended.told(
        3,
        &[
            "index-dangling",
            "offsets 40..44",
            "nothing follows",
            "proglog verify log",
        ],
    );
}

#[test]
fn what_a_killed_service_left_is_passed_once_it_is_mended() {
    let sandbox = Sandbox::empty();
    let mut service = Service::start(&sandbox, 12 * 100);
    service.append(40);
    service.segments[0].flush();
    drop(service);
    let mut reading = Reading::start(&sandbox, &["-f"]);
    reading.prints(&lines(0..40));
    sandbox
        .proglog()
        .args(["repair", "log", "--wait=20"])
        .assert()
        .success();
    crate::append(&sandbox, 40..60, &["--max-index-bytes=600"]);
    reading.prints(&lines(0..60));
    reading.waits();
}
