//! Which states a crash may leave of what was recorded, and each of them as a tree.
//!
//! Up to some operation all were begun. Bytes and sizes need a sync of their file to
//! be durable, names one of their directory; what is not durable yet is there or not,
//! each for itself, and the last write may be there in part.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::crash::recorder::{FileId, Op, Recording};
use crate::crash::tree::Tree;

/// Operations up to which all subsets are tried.
const SUBSETS_MAX: usize = 9;

/// Writes of which this many are pending have each subset torn; with more, only the
/// telling ones are.
const TORN_SUBSETS_MAX: usize = 4;

/// Bytes that come together or not at all.
const SECTOR: usize = 512;

/// A cut zeroes the rest of the block in which a file shall end, before it is shorter.
const BLOCK: usize = 4096;

/// What stands where a torn write did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// What stood there before.
    Missing,
    /// Zeros: the size was written, the bytes were not.
    Zero,
    /// Anything.
    Junk,
    /// The other way round: the first bytes, up to the end of a sector, did not come, and
    /// all others did.
    Late,
    /// Of the bytes behind the first sector only those of the next one came.
    Alone,
    /// A cut that is not durable: zeros up to the end of the block, and the size as before.
    Zeroed,
}

/// One state that a crash may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// How many operations were begun.
    pub at: usize,
    /// Which of them never came to the disk.
    pub absent: Vec<usize>,
    /// The write that came in part, how many bytes of it, and the rest.
    pub torn: Option<(usize, usize, Rest)>,
}

/// `17-12,14~15.4z`: 17 begun, 12 and 14 absent, of 15 four bytes and then zeros.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        for (number, op) in self.absent.iter().enumerate() {
            write!(f, "{}{op}", if number == 0 { '-' } else { ',' })?;
        }
        if let Some((op, kept, rest)) = self.torn {
            let rest = match rest {
                Rest::Missing => 'm',
                Rest::Zero => 'z',
                Rest::Junk => 'j',
                Rest::Late => 'l',
                Rest::Alone => 'a',
                Rest::Zeroed => 'c',
            };
            write!(f, "~{op}.{kept}{rest}")?;
        }
        Ok(())
    }
}

impl FromStr for Choice {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, torn) = match text.split_once('~') {
            Some((rest, torn)) => (rest, Some(torn)),
            None => (text, None),
        };
        let (at, absent) = rest.split_once('-').unwrap_or((rest, ""));
        let absent = absent.split(',').filter(|op| !op.is_empty());
        let torn = torn
            .and_then(|torn| torn.split_once('.'))
            .map(|(op, kept)| {
                let rest = match kept.chars().last() {
                    Some('z') => Rest::Zero,
                    Some('j') => Rest::Junk,
                    Some('l') => Rest::Late,
                    Some('a') => Rest::Alone,
                    Some('c') => Rest::Zeroed,
                    _ => Rest::Missing,
                };
                let kept = kept.trim_end_matches(char::is_alphabetic);
                Ok((op.parse()?, kept.parse()?, rest))
            });
        Ok(Self {
            at: at.parse()?,
            absent: absent.map(str::parse).collect::<Result<_, _>>()?,
            torn: torn.transpose()?,
        })
    }
}

/// A small generator of numbers: the same for the same seed.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }
}

/// The crash states of one recording.
pub struct States<'r> {
    recording: &'r Recording,
    /// For each operation, how many were done when it became durable.
    durable_from: Vec<usize>,
}

impl<'r> States<'r> {
    /// The states of `recording`.
    pub fn of(recording: &'r Recording) -> Self {
        let ops = &recording.ops;
        let synced_file = |at: usize, wanted: FileId| {
            let later = ops.iter().enumerate().skip(at + 1);
            let mut syncs = later.filter(|(_, op)| **op == Op::SyncData { file: wanted });
            syncs.next().map_or(usize::MAX, |(at, _)| at + 1)
        };
        let synced_name = |at: usize, path: &Path| {
            let parent = path.parent().unwrap_or(Path::new("")).to_owned();
            let sync = Op::SyncDir { path: parent };
            let mut syncs = ops
                .iter()
                .enumerate()
                .skip(at + 1)
                .filter(|(_, op)| **op == sync);
            syncs.next().map_or(usize::MAX, |(at, _)| at + 1)
        };
        let durable_from = ops.iter().enumerate().map(|(at, op)| match op {
            Op::Write { file, .. } | Op::SetLen { file, .. } => synced_file(at, *file),
            Op::Create { path, .. }
            | Op::Link { path, .. }
            | Op::CreateDir { path }
            | Op::Remove { path }
            | Op::RemoveDir { path } => synced_name(at, path),
            Op::Rename { from, to, .. } => synced_name(at, from).max(synced_name(at, to)),
            Op::SyncData { .. } | Op::SyncDir { .. } | Op::CreateUnnamed => 0,
        });
        Self {
            recording,
            durable_from: durable_from.collect(),
        }
    }

    /// The operations of the first `at` that are not durable.
    fn pending(&self, at: usize) -> Vec<usize> {
        let durable = |op: &usize| self.durable_from[*op] > at;
        (0..at).filter(durable).collect()
    }

    /// The states in which `at` operations were begun.
    pub fn at(&self, at: usize, random_subsets: usize) -> Vec<Choice> {
        let pending = self.pending(at);
        let mut choices = Vec::new();
        for absent in absent_sets(&pending, random_subsets, at as u64) {
            let last = pending.iter().rev().find(|op| {
                !absent.contains(op)
                    && matches!(
                        self.recording.ops[**op],
                        Op::Write { .. } | Op::SetLen { .. }
                    )
            });
            if let Some(&op) = last
                && matches!(self.recording.ops[op], Op::SetLen { .. })
            {
                let torn = Some((op, 0, Rest::Zeroed));
                let absent = absent.clone();
                choices.push(Choice { at, absent, torn });
            }
            let telling = pending.len() <= TORN_SUBSETS_MAX || absent.len() <= 1;
            if let Some(&op) = last
                && telling
                && let Op::Write {
                    bytes, position, ..
                } = &self.recording.ops[op]
            {
                let sector = SECTOR - position % SECTOR;
                let late = (sector < bytes.len()).then_some(Rest::Late);
                let alone = (sector + SECTOR < bytes.len()).then_some(Rest::Alone);
                for rest in [late, alone].into_iter().flatten() {
                    let absent = absent.clone();
                    let torn = Some((op, sector, rest));
                    choices.push(Choice { at, absent, torn });
                }
                for kept in cuts(bytes.len()) {
                    let rests: &[Rest] = match bytes.len() {
                        // One byte cannot tear: the mark of a batch relies on it.
                        1 => &[Rest::Missing, Rest::Zero],
                        _ => &[Rest::Missing, Rest::Zero, Rest::Junk],
                    };
                    for &rest in rests {
                        let absent = absent.clone();
                        let torn = Some((op, kept, rest));
                        choices.push(Choice { at, absent, torn });
                    }
                }
            }
            let torn = None;
            choices.push(Choice { at, absent, torn });
        }
        choices
    }

    /// Whether nothing is missing and nothing torn, as after a kill.
    pub fn is_kill(choice: &Choice) -> bool {
        choice.absent.is_empty() && choice.torn.is_none()
    }

    /// What stands on the disk then.
    pub fn tree(&self, choice: &Choice) -> Tree {
        let recording = self.recording;
        let mut names = recording.initial_files.clone();
        let mut dirs = recording.initial.dirs.clone();
        let mut contents: BTreeMap<FileId, Vec<u8>> = names
            .iter()
            .map(|(path, file)| (*file, recording.initial.files[path].clone()))
            .collect();
        for (number, op) in recording.ops.iter().enumerate().take(choice.at) {
            if choice.absent.contains(&number) {
                continue;
            }
            match op {
                Op::Create { path, file } | Op::Link { path, file } => {
                    names.insert(path.clone(), *file);
                }
                Op::CreateDir { path } => {
                    dirs.insert(path.clone());
                }
                Op::Write {
                    file,
                    position,
                    bytes,
                } => {
                    let content = contents.entry(*file).or_default();
                    match choice.torn {
                        Some((op, late, Rest::Late)) if op == number => {
                            put(content, *position + late, &bytes[late..]);
                        }
                        Some((op, late, Rest::Alone)) if op == number => {
                            let end = content.len().max(position + bytes.len());
                            content.resize(end, 0);
                            put(content, position + late, &bytes[late..late + SECTOR]);
                        }
                        Some((op, kept, rest)) if op == number => {
                            // One byte that is there already is the old or the new one.
                            let is_there = bytes.len() == 1 && content.len() > *position;
                            if !is_there || rest != Rest::Zero {
                                put(content, *position, &torn(bytes, kept, rest));
                            }
                        }
                        _ => put(content, *position, bytes),
                    }
                }
                Op::SetLen { file, bytes } => {
                    let content = contents.entry(*file).or_default();
                    match choice.torn {
                        Some((op, ..)) if op == number && *bytes < content.len() => {
                            let end = bytes.next_multiple_of(BLOCK).min(content.len());
                            content[*bytes..end].fill(0);
                        }
                        _ => content.resize(*bytes, 0),
                    }
                }
                Op::Remove { path } => {
                    names.remove(path);
                }
                Op::RemoveDir { path } => {
                    dirs.remove(path);
                }
                Op::Rename { from, to, file } => {
                    names.remove(from);
                    names.insert(to.clone(), *file);
                }
                Op::SyncData { .. } | Op::SyncDir { .. } | Op::CreateUnnamed => {}
            }
        }
        reachable(&dirs, &names, &contents)
    }
}

/// What has a name in a directory that has one.
fn reachable(
    dirs: &BTreeSet<PathBuf>,
    names: &BTreeMap<PathBuf, FileId>,
    contents: &BTreeMap<FileId, Vec<u8>>,
) -> Tree {
    let mut tree = Tree::default();
    let is_there = |dirs: &BTreeSet<PathBuf>, path: &Path| {
        let parent = path.parent().unwrap_or(Path::new(""));
        parent.as_os_str().is_empty() || dirs.contains(parent)
    };
    for dir in dirs {
        if is_there(&tree.dirs, dir) {
            tree.dirs.insert(dir.clone());
        }
    }
    for (path, file) in names {
        if is_there(&tree.dirs, path) {
            let bytes = contents.get(file).cloned().unwrap_or_default();
            tree.files.insert(path.clone(), bytes);
        }
    }
    tree
}

fn put(content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if content.len() < end && !bytes.is_empty() {
        content.resize(end, 0);
    }
    if !bytes.is_empty() {
        content[position..end].copy_from_slice(bytes);
    }
}

fn torn(bytes: &[u8], kept: usize, rest: Rest) -> Vec<u8> {
    let mut there = bytes[..kept.min(bytes.len())].to_vec();
    let mut random = Random(bytes.len() as u64 * 1_000_003 + kept as u64);
    match rest {
        Rest::Missing | Rest::Late | Rest::Alone | Rest::Zeroed => {}
        Rest::Zero => there.resize(bytes.len(), 0),
        Rest::Junk => there.resize_with(bytes.len(), || random.next().to_be_bytes()[3]),
    }
    there
}

/// The bytes at which a write is torn.
fn cuts(bytes: usize) -> BTreeSet<usize> {
    let sectors = (1..=bytes / SECTOR).map(|sector| sector * SECTOR);
    [0, 1, 4, 7, 8, 9, 11, bytes / 2, bytes.saturating_sub(1)]
        .into_iter()
        .chain(sectors)
        .filter(|cut| *cut < bytes)
        .collect()
}

/// Which of the pending operations may be absent.
fn absent_sets(pending: &[usize], random_subsets: usize, seed: u64) -> Vec<Vec<usize>> {
    let count = pending.len();
    if count <= SUBSETS_MAX {
        let subset = |bits: usize| {
            let absent = (0..count).filter(|bit| bits >> bit & 1 == 1);
            absent.map(|bit| pending[bit]).collect()
        };
        return (0..1_usize << count).map(subset).collect();
    }
    let mut sets: BTreeSet<Vec<usize>> = BTreeSet::from([Vec::new(), pending.to_vec()]);
    let without = |out: &[usize]| -> Vec<usize> {
        let kept = pending.iter().filter(|op| !out.contains(op));
        kept.copied().collect()
    };
    for (first, one) in pending.iter().enumerate() {
        sets.insert(vec![*one]);
        sets.insert(without(&[*one]));
        sets.insert(pending[first..].to_vec());
        for two in &pending[first + 1..] {
            sets.insert(vec![*one, *two]);
            sets.insert(without(&[*one, *two]));
        }
    }
    let mut random = Random(seed);
    for _ in 0..random_subsets {
        let bits = random.next();
        let absent = pending.iter().enumerate();
        sets.insert(
            absent
                .filter(|(bit, _)| bits >> (bit % 64) & 1 == 1)
                .map(|(_, op)| *op)
                .collect(),
        );
    }
    sets.into_iter().collect()
}
