//! The append command, held against the bytes that it leaves on disk. The reader here
//! is the test's own, so that nothing of ours vouches for itself.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "a test that cannot go on has failed, and says what it skips"
)]

mod commit;
mod framing;
mod goes_on;
mod log;
mod moved;
mod process;
mod refusal;
mod saving;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A directory for a test, with a log that is not there yet.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("log")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// `proglog append LOG` with these options, run in the sandbox.
    pub(crate) fn append(&self, options: &[&str]) -> Command {
        let mut command = Command::cargo_bin("proglog").unwrap();
        command.current_dir(self.dir.path()).arg("append");
        command.arg("log").args(options).write_stdin("");
        command
    }

    /// Appends `input` and demands that it goes well; gives what was said on stdout.
    pub(crate) fn appended(&self, options: &[&str], input: impl AsRef<[u8]>) -> String {
        let assert = self.append(options).write_stdin(input.as_ref()).assert();
        String::from_utf8(assert.success().get_output().stdout.clone()).unwrap()
    }

    pub(crate) fn values(&self) -> Vec<Vec<u8>> {
        payloads(&self.log())
    }

    /// The names in the log's directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.log())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// What a command said on stderr.
pub(crate) fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// A record's place: its offset, and its payload.
pub(crate) type Placed = (u64, Vec<u8>);

/// The records that an append left, in order. Holds the log to what a clean end is:
/// each frame has its entry and nothing stands behind the last one.
pub(crate) fn placed(log: &Path) -> Vec<Placed> {
    let mut records = Vec::new();
    for base in bases(log) {
        let (found, clean) = segment(log, base);
        assert!(clean, "segment {base} does not end with a commit");
        records.extend(found);
    }
    records
}

pub(crate) fn payloads(log: &Path) -> Vec<Vec<u8>> {
    placed(log)
        .into_iter()
        .map(|(_, payload)| payload)
        .collect()
}

/// The base offsets of the segments; none of a log that is not there yet.
pub(crate) fn bases(log: &Path) -> Vec<u64> {
    let mut bases: Vec<u64> = fs::read_dir(log)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".store")
                .map(|base| base.parse().unwrap())
        })
        .collect();
    bases.sort_unstable();
    bases
}

/// The committed records of a segment, and whether nothing else is in its files.
pub(crate) fn segment(log: &Path, base: u64) -> (Vec<Placed>, bool) {
    // The index first: a live writer puts a frame there before its entry.
    let index = fs::read(log.join(format!("{base}.index"))).unwrap_or_default();
    let store = fs::read(log.join(format!("{base}.store"))).unwrap();
    let (mut records, mut end) = (Vec::new(), 0);
    for (slot, entry) in index.chunks_exact(12).enumerate() {
        let relative = u32::from_be_bytes(entry[..4].try_into().unwrap());
        let position = u64::from_be_bytes(entry[4..].try_into().unwrap());
        assert_eq!(relative as usize, slot, "relative offset in segment {base}");
        assert_eq!(position, end as u64, "position in segment {base}");
        let length = u64::from_be_bytes(store[end..end + 8].try_into().unwrap());
        let start = end + 8;
        end = start + usize::try_from(length).unwrap();
        records.push((base + slot as u64, store[start..end].to_vec()));
    }
    let clean = end == store.len() && index.len().is_multiple_of(12);
    (records, clean)
}

/// Values as a raw log holds them.
pub(crate) fn raw<V: AsRef<[u8]>>(values: &[V]) -> Vec<Vec<u8>> {
    values.iter().map(|value| value.as_ref().to_vec()).collect()
}

/// Lines `from..to` with their newlines.
pub(crate) fn lines(numbers: std::ops::Range<u64>) -> String {
    numbers.map(|number| format!("{number}\n")).collect()
}
