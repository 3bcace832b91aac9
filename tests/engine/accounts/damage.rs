//! Random damage to files whose every byte knows where it comes from, so that what is
//! left intact is known whatever was done.

use std::collections::BTreeMap;
use std::path::Path;

use fastrand::Rng;
use proglog_testkit::{choose, frame};

use super::made::Made;

/// Where a byte comes from: the number of the segment, whether of its index, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub segment: usize,
    pub index: bool,
    pub at: usize,
}

/// A file and where its bytes come from; `None` for what damage put there.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub bytes: Vec<u8>,
    pub from: Vec<Option<Origin>>,
}

impl File {
    fn of(bytes: &[u8], segment: usize, index: bool) -> Self {
        let from = (0..bytes.len()).map(|at| Some(Origin { segment, index, at }));
        Self {
            bytes: bytes.to_vec(),
            from: from.collect(),
        }
    }

    /// Overwrites; a byte that is there already stays what it is.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (place, byte) in (at..self.bytes.len()).zip(bytes) {
            if self.bytes[place] != *byte {
                self.bytes[place] = *byte;
                self.from[place] = None;
            }
        }
    }

    fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.bytes.splice(at..at, bytes.iter().copied());
        self.from.splice(at..at, bytes.iter().map(|_| None));
    }

    fn copy_in(&mut self, at: usize, from: std::ops::Range<usize>) {
        let (bytes, origins) = (self.bytes[from.clone()].to_vec(), self.from[from].to_vec());
        self.bytes.splice(at..at, bytes);
        self.from.splice(at..at, origins);
    }

    fn delete(&mut self, range: std::ops::Range<usize>) {
        self.bytes.drain(range.clone());
        self.from.drain(range);
    }

    fn cut(&mut self, size: usize) {
        self.bytes.truncate(size);
        self.from.truncate(size);
    }
}

/// The files of a log, by the base that their names say.
#[derive(Debug, Clone)]
pub struct Harmed {
    /// By base and whether it is an index.
    pub files: BTreeMap<(u64, bool), File>,
    /// What was done, in words.
    pub done: Vec<String>,
    /// Entries of other widths were written: other programs' layouts.
    pub foreign: bool,
    /// A file got another file's bytes, or a name of its own.
    pub moved: bool,
    /// Whole frames or zeros were put where they say something.
    pub misleading: bool,
}

impl Harmed {
    pub fn of(made: &Made) -> Self {
        let mut files = BTreeMap::new();
        for (number, segment) in made.segments.iter().enumerate() {
            files.insert(
                (segment.base, false),
                File::of(&segment.store, number, false),
            );
            files.insert((segment.base, true), File::of(&segment.index, number, true));
        }
        Self {
            files,
            done: Vec::new(),
            foreign: false,
            moved: false,
            misleading: false,
        }
    }

    /// The files by name.
    pub fn named(&self) -> impl Iterator<Item = (String, &File)> {
        self.files.iter().map(|((base, index), file)| {
            let half = if *index { "index" } else { "store" };
            (format!("{base}.{half}"), file)
        })
    }

    /// Does one damage.
    pub fn damage(&mut self, rng: &mut Rng) {
        let keys: Vec<(u64, bool)> = self.files.keys().copied().collect();
        let key = *choose(rng, &keys);
        let half = if key.1 { "index" } else { "store" };
        let name = format!("{}.{half}", key.0);
        let size = self.files[&key].bytes.len();
        let what = match rng.u8(..30) {
            0..=6 if size > 0 => self.flip(rng, key),
            7..=9 if size > 0 => {
                let to = rng.usize(..size);
                self.file(key).cut(to);
                format!("cut {name} to {to}")
            }
            10 | 11 if size > 0 => {
                let (at, count) = (rng.usize(..size), rng.usize(1..60));
                self.misleading |= !key.1;
                self.file(key).put(at, &vec![0; count]);
                format!("zero {name} {at}+{count}")
            }
            12 | 13 if size > 0 => {
                let (at, count) = (rng.usize(..size), rng.usize(1..60));
                self.file(key).put(at, &junk(rng, count));
                format!("junk in {name} {at}+{count}")
            }
            14 => {
                let count = *choose(rng, &[1, 7, 8, 12, 13, 100, 600]);
                self.misleading |= !key.1;
                self.file(key).insert(size, &vec![0; count]);
                format!("pad {name} by {count}")
            }
            15 => {
                let count = rng.usize(1..60);
                self.file(key).insert(size, &junk(rng, count));
                format!("append {count} of junk to {name}")
            }
            16 | 17 if size > 0 => {
                let (at, count) = (rng.usize(..size), *choose(rng, &[1, 4, 8, 12, 23, 64]));
                let zeros = rng.bool();
                self.misleading |= zeros && !key.1;
                let bytes = if zeros {
                    vec![0; count]
                } else {
                    junk(rng, count)
                };
                self.file(key).insert(at, &bytes);
                format!("insert {count} in {name} at {at}, zeros {zeros}")
            }
            18 if size > 0 => {
                let at = rng.usize(..size);
                let count = rng.usize(1..60).min(size - at);
                self.file(key).delete(at..at + count);
                format!("delete {name} {at}+{count}")
            }
            19 if size > 0 => {
                let from = rng.usize(..size);
                let to = (from + rng.usize(1..80)).min(size);
                let at = rng.usize(..=size);
                self.misleading = true;
                self.file(key).copy_in(at, from..to);
                format!("copy {name} {from}..{to} to {at}")
            }
            20 if keys.len() > 2 => {
                self.files.remove(&key);
                format!("remove {name}")
            }
            21 => self.exchange(rng, key),
            22..=28 => self.index(rng, key.0),
            _ => {
                let (base, frames) = (key.0, rng.usize(1..4));
                let Some(file) = self.files.get_mut(&(base, false)) else {
                    return;
                };
                for _ in 0..frames {
                    let count = rng.usize(..20);
                    let end = file.bytes.len();
                    file.insert(end, &frame(&junk(rng, count)));
                }
                self.misleading = true;
                format!("append {frames} frames of junk to {base}.store")
            }
        };
        self.done.push(what);
    }

    fn file(&mut self, key: (u64, bool)) -> &mut File {
        self.files.get_mut(&key).unwrap()
    }

    /// A bit, in a store rather of a length: eight zeros or nearly so.
    fn flip(&mut self, rng: &mut Rng, key: (u64, bool)) -> String {
        let file = self.file(key);
        let mut at = rng.usize(..file.bytes.len());
        if !key.1 && rng.bool() {
            let lengths = (0..file.bytes.len()).filter(|at| file.bytes[*at..].starts_with(&[0; 6]));
            let lengths: Vec<usize> = lengths.collect();
            if !lengths.is_empty() {
                at = (choose(rng, &lengths) + rng.usize(..8)).min(file.bytes.len() - 1);
            }
        }
        let byte = file.bytes[at] ^ 1 << rng.u8(..8);
        file.put(at, &[byte]);
        format!(
            "flip {}.{} at {at} to {byte:#x}",
            key.0,
            if key.1 { "index" } else { "store" }
        )
    }

    /// Two files change places, or one takes another's, or a name of its own.
    fn exchange(&mut self, rng: &mut Rng, key: (u64, bool)) -> String {
        let same: Vec<(u64, bool)> = self
            .files
            .keys()
            .copied()
            .filter(|other| other.1 == key.1 && *other != key)
            .collect();
        self.moved = true;
        let file = self.files[&key].clone();
        if same.is_empty() || rng.u8(..4) == 0 {
            let base = key.0 + rng.u64(1..50);
            self.files.insert((base, key.1), file);
            return format!("copy {key:?} to a file of base {base}");
        }
        let other = *choose(rng, &same);
        let there = self.files.insert(other, file).unwrap();
        if rng.bool() {
            self.files.insert(key, there);
            return format!("swap {key:?} and {other:?}");
        }
        format!("copy {key:?} over {other:?}")
    }

    /// Damage that only an index has: cleared, short, shifted, in sections.
    fn index(&mut self, rng: &mut Rng, base: u64) -> String {
        let Some(file) = self.files.get_mut(&(base, true)) else {
            return "nothing".to_owned();
        };
        let size = file.bytes.len();
        let entries = size / 12;
        let at = if entries > 0 {
            12 * rng.usize(..entries)
        } else {
            0
        };
        match rng.u8(..9) {
            0 => {
                file.put(0, &vec![0; size]);
                format!("clear {base}.index")
            }
            1 => {
                file.cut(0);
                format!("empty {base}.index")
            }
            2 => {
                file.put(at, &vec![0; size - at]);
                format!("clear {base}.index from {at} on")
            }
            3 => {
                let at = at + *choose(rng, &[0, 0, 0, 5]);
                file.cut(at.min(size));
                format!("cut {base}.index to {at}")
            }
            4 => {
                let count = rng.usize(1..24);
                let bytes = if rng.bool() {
                    vec![0; count]
                } else {
                    vec![0xff; count]
                };
                file.insert(0, &bytes);
                format!("shift {base}.index by {count} of {:#x}", bytes[0])
            }
            // A section at another alignment: zeros between two runs of entries.
            5 | 6 => {
                let end = *choose(rng, &[100, 500, 1020, 1024]);
                let count = end - at.min(end - 1);
                file.insert(at, &vec![0; count]);
                format!("{count} zeros in {base}.index at {at}")
            }
            7 => {
                let count = rng.usize(1..40);
                let slots = (at / 12) as u32..;
                let bytes: Vec<u8> = slots
                    .take(count)
                    .flat_map(|slot| proglog_testkit::entry(slot, 1000 + 37 * u64::from(slot)))
                    .collect();
                file.cut(at);
                file.insert(at, &bytes);
                format!("{count} entries of another log in {base}.index from {at} on")
            }
            _ => {
                // Entries of another width: positions of 4 bytes, or slots of 8.
                let wide = rng.bool();
                let chunks = file.bytes[at..].chunks_exact(12);
                let bytes: Vec<u8> = chunks
                    .flat_map(|entry| {
                        if wide {
                            [&[0; 4], entry].concat()
                        } else {
                            [&entry[..4], &entry[8..]].concat()
                        }
                    })
                    .collect();
                file.cut(at);
                file.insert(at, &bytes);
                self.foreign = true;
                format!("entries of another width in {base}.index from {at} on, wide {wide}")
            }
        }
    }
}

fn junk(rng: &mut Rng, count: usize) -> Vec<u8> {
    (0..count).map(|_| rng.u8(..)).collect()
}

/// Writes the files of a harmed log to an empty directory.
pub fn write(harmed: &Harmed, directory: &Path) {
    for (name, file) in harmed.named() {
        std::fs::write(directory.join(name), &file.bytes).unwrap();
    }
}
