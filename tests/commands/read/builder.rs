//! Logs made by hand, byte by byte and without the engine, and the runs over them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use assert_cmd::Command;
use tempfile::TempDir;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Raw,
    Protobuf,
}

/// A log of a few segments in a directory that goes away with it.
pub struct Sandbox {
    pub kind: Kind,
    pub next: u64,
    root: TempDir,
}

/// How a run ended.
pub struct Ran {
    pub status: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Ran {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("text")
    }

    pub fn lines(&self) -> Vec<&str> {
        self.text().lines().collect()
    }

    /// Nothing told, and status 0.
    #[track_caller]
    pub fn clean(self) -> Self {
        assert_eq!((self.status, self.err.as_str()), (0, ""));
        self
    }

    /// This status, and each of these words on stderr.
    #[track_caller]
    pub fn told(self, status: i32, words: &[&str]) -> Self {
        assert_eq!(self.status, status, "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
        self
    }
}

impl Sandbox {
    pub fn new(kind: Kind) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("log")).unwrap();
        Self {
            kind,
            next: 0,
            root,
        }
    }

    /// Records `record 0`, `record 1`, ... in segments of these sizes.
    pub fn numbered(kind: Kind, segments: &[u64]) -> Self {
        let mut log = Self::new(kind);
        for &records in segments {
            let first = log.next;
            let values: Vec<String> = (first..first + records).map(value).collect();
            log.segment(&values);
        }
        log
    }

    pub fn copy_of(case: &str) -> Self {
        let log = Self::new(Kind::Protobuf);
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(case);
        for entry in fs::read_dir(from.join("log")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::write(
                    log.dir().join(entry.file_name()),
                    fs::read(entry.path()).unwrap(),
                )
                .unwrap();
            }
        }
        log
    }

    pub fn dir(&self) -> PathBuf {
        self.root.path().join("log")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// A segment at the log's end with these values; gives its base.
    pub fn segment<V: AsRef<[u8]>>(&mut self, values: &[V]) -> u64 {
        let base = self.next;
        self.segment_at(base, values);
        self.next = base + values.len() as u64;
        base
    }

    pub fn segment_at<V: AsRef<[u8]>>(&self, base: u64, values: &[V]) {
        let (mut store, mut index) = (Vec::new(), Vec::new());
        for (slot, value) in values.iter().enumerate() {
            index.extend((slot as u32).to_be_bytes());
            index.extend((store.len() as u64).to_be_bytes());
            let payload = payload(self.kind, base + slot as u64, value.as_ref());
            store.extend((payload.len() as u64).to_be_bytes());
            store.extend(payload);
        }
        fs::write(self.file(&format!("{base}.store")), store).unwrap();
        fs::write(self.file(&format!("{base}.index")), index).unwrap();
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap()
    }

    pub fn put(&self, name: &str, at: usize, bytes: &[u8]) {
        let mut all = self.bytes(name);
        all[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(self.file(name), all).unwrap();
    }

    pub fn cut(&self, name: &str, bytes: usize) {
        let mut all = self.bytes(name);
        all.truncate(all.len() - bytes);
        fs::write(self.file(name), all).unwrap();
    }

    pub fn pad(&self, name: &str, bytes: usize) {
        let mut all = self.bytes(name);
        all.resize(all.len() + bytes, 0);
        fs::write(self.file(name), all).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap();
    }

    /// Where the frame of a slot begins, by its entry.
    pub fn position(&self, base: u64, slot: usize) -> usize {
        let index = self.bytes(&format!("{base}.index"));
        let at: [u8; 8] = index[12 * slot + 4..12 * slot + 12].try_into().unwrap();
        u64::from_be_bytes(at) as usize
    }

    /// Runs `proglog read`; nothing in the directory may change by it.
    #[track_caller]
    pub fn read(&self, arguments: &[&str]) -> Ran {
        let before = self.state();
        let ran = read(&self.dir(), arguments);
        assert!(before == self.state(), "the directory changed");
        ran
    }

    /// Every name, with its bytes and when they changed.
    fn state(&self) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
        fs::read_dir(self.dir())
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                (path.clone(), (fs::read(&path).unwrap(), modified))
            })
            .collect()
    }
}

/// What `numbered` puts at an offset.
pub fn value(offset: u64) -> String {
    format!("record {offset}")
}

/// The lines that print these offsets.
pub fn lines(offsets: impl IntoIterator<Item = u64>) -> String {
    offsets
        .into_iter()
        .map(|offset| value(offset) + "\n")
        .collect()
}

pub fn read(dir: &Path, arguments: &[&str]) -> Ran {
    let output = Command::cargo_bin("proglog")
        .unwrap()
        .arg("read")
        .arg(dir)
        .args(arguments)
        .output()
        .unwrap();
    Ran {
        status: output.status.code().expect("no signal"),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn payload(kind: Kind, offset: u64, value: &[u8]) -> Vec<u8> {
    if kind == Kind::Raw {
        return value.to_vec();
    }
    let mut payload = Vec::new();
    if !value.is_empty() {
        payload.push(0x0a);
        varint(value.len() as u64, &mut payload);
        payload.extend_from_slice(value);
    }
    if offset > 0 {
        payload.push(0x10);
        varint(offset, &mut payload);
    }
    payload
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
