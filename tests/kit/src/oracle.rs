//! The reader that the product is compared with. It holds whole files in memory and
//! follows the definition word for word:
//!
//! Entry i is sound when its relative offset is i; its position is 0 for i = 0, else
//! not before the previous sound frame's end; its frame ends within the store and not
//! past the next sound entry's position; and, in a protobuf log, its record decodes and
//! carries base + i. A record is committed when its entry is sound.
//!
//! Padding needs no rule of its own: a zero entry says relative offset 0, so only entry
//! 0 can be one, and only where the store holds a whole frame at 0. Nor do dead bytes:
//! no entry names them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost::Message as _;

use crate::{Codec, Record};

/// Bytes of a length.
const LENGTH: usize = 8;

/// Bytes of an index entry.
const ENTRY: usize = 12;

/// A record whose entry is sound as far as it and its own frame can tell.
struct Candidate {
    offset: u64,
    value: Vec<u8>,
    position: usize,
    end: usize,
}

/// Offset and value of each record of the log in `directory` that is committed and
/// whole, segment by segment in the order of their bases. Where segments overlap, an
/// offset is there twice.
#[must_use]
pub fn whole_records(directory: &Path, codec: Codec) -> Vec<(u64, Vec<u8>)> {
    let stores = files(directory, "store");
    let indexes = files(directory, "index");
    let mut records = Vec::new();
    for (base, store) in &stores {
        let Some(index) = indexes.get(base) else {
            continue; // without an entry nothing is committed
        };
        let candidates = candidates(*base, store, index, codec);
        let sound = without_overlaps(candidates, store.len());
        records.extend(sound.into_iter().map(|it| (it.offset, it.value)));
    }
    records
}

/// Position and payload of the whole frames that follow each other from the beginning
/// of `store`: what is seen by a reader who knows no index.
#[must_use]
pub fn frames(store: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut position = 0;
    while let Some(payload) = payload_at(store, position) {
        found.push((position as u64, payload.to_vec()));
        position += LENGTH + payload.len();
    }
    found
}

/// The files with this extension, by base. Of two names for one base the plain one
/// counts.
fn files(directory: &Path, extension: &str) -> BTreeMap<u64, Vec<u8>> {
    let mut found: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("the log's directory") {
        let path = entry.expect("a name").path();
        let name = path.file_name().expect("a name");
        let Some((stem, ending)) = name.to_str().and_then(|name| name.rsplit_once('.')) else {
            continue;
        };
        let digits = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit());
        let Ok(base) = stem.parse::<u64>() else {
            continue;
        };
        if !digits || ending != extension || !path.is_file() {
            continue;
        }
        if stem == base.to_string() || !found.contains_key(&base) {
            found.insert(base, fs::read(&path).expect("a segment's file"));
        }
    }
    found
}

/// What an index names that is sound as far as each entry alone can tell.
fn candidates(base: u64, store: &[u8], index: &[u8], codec: Codec) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (i, bytes) in (0_u32..).zip(index.chunks_exact(ENTRY)) {
        let (relative, position) = bytes.split_at(4);
        let relative = u32::from_be_bytes(relative.try_into().expect("4 bytes"));
        let position = u64::from_be_bytes(position.try_into().expect("8 bytes"));
        if relative != i || (i == 0 && position != 0) {
            continue;
        }
        let Some(offset) = base.checked_add(u64::from(i)) else {
            continue;
        };
        let Ok(position) = usize::try_from(position) else {
            continue;
        };
        let Some(payload) = payload_at(store, position) else {
            continue;
        };
        let value = match codec {
            Codec::Raw => payload.to_vec(),
            Codec::Protobuf => match Record::decode(payload) {
                Ok(record) if record.offset == offset => record.value,
                _ => continue,
            },
        };
        found.push(Candidate {
            offset,
            value,
            position,
            end: position + LENGTH + payload.len(),
        });
    }
    found
}

/// The payload of the frame at `position`, if the store holds all of it.
fn payload_at(store: &[u8], position: usize) -> Option<&[u8]> {
    let rest = store.get(position..)?;
    let (length, rest) = rest.split_at_checked(LENGTH)?;
    let length = u64::from_be_bytes(length.try_into().expect("8 bytes"));
    rest.get(..usize::try_from(length).ok()?)
}

/// Strikes out candidates until no frame reaches past the position of the next.
///
/// The definition judges each of two neighbours by the other if that one is sound, so
/// it does not say which of two that overlap is not. Here it is the one that fits the
/// rest of the log on fewer sides, and of equals the first, whose length claims bytes
/// that an entry names.
fn without_overlaps(mut candidates: Vec<Candidate>, store_bytes: usize) -> Vec<Candidate> {
    while let Some(first) = first_overlap(&candidates) {
        let second = first + 1;
        let worse =
            if fits(&candidates, second, store_bytes) < fits(&candidates, first, store_bytes) {
                second
            } else {
                first
            };
        candidates.remove(worse);
    }
    candidates
}

/// The first candidate whose frame reaches past the position of the next.
fn first_overlap(candidates: &[Candidate]) -> Option<usize> {
    candidates
        .windows(2)
        .position(|pair| pair[0].end > pair[1].position)
}

/// On how many sides, of two, the frame of a candidate meets its neighbour's exactly.
fn fits(candidates: &[Candidate], i: usize, store_bytes: usize) -> usize {
    let before = i.checked_sub(1).map_or(0, |i| candidates[i].end);
    let after = candidates
        .get(i + 1)
        .map_or(store_bytes, |next| next.position);
    usize::from(candidates[i].position == before) + usize::from(candidates[i].end == after)
}
