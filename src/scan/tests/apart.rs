//! Faults that are far apart: judged one by one, with the result of one search for all, or
//! a clearer one.

use fastrand::Rng;

use super::{Bytes, protobuf, raw};
use crate::log::index::Index;
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::log::window::LOOKUP_BYTES;
use crate::scan::account::{Account, Input};
use crate::scan::image::Image;
use crate::scan::{apart, bytes};

const RECORDS: u64 = 600;

/// Harms the files somewhere; says how.
fn harm(rng: &mut Rng, store: &mut Bytes, index: &mut Bytes) -> String {
    let slots = index.len() / 12;
    let slot = rng.usize(..slots);
    let entry = slot * 12;
    let position: [u8; 8] = index[entry + 4..entry + 12].try_into().unwrap();
    let frame = usize::try_from(u64::from_be_bytes(position)).unwrap();
    let frame = frame.min(store.len().saturating_sub(40));
    let kind = rng.u8(..8);
    match kind {
        0 => index[entry + rng.usize(..12)] ^= 1 << rng.u8(..8),
        1 => index[entry..entry + 12].fill(0),
        2 => store[frame + rng.usize(..8)] ^= 1 << rng.u8(..8),
        3 => store[frame + rng.usize(8..30)] ^= 1 << rng.u8(..8),
        4 => store[frame..frame + rng.usize(1..40)].fill(0),
        5 => drop(store.drain(frame..frame + rng.usize(1..40))),
        6 => store.truncate(store.len() - rng.usize(..20)),
        _ => index.truncate(index.len() - rng.usize(..40)),
    }
    format!("{kind} at slot {slot}")
}

/// The account that is made one by one, if it is, and the one of a single search.
fn both(codec: Codec, store: &[u8], index: &[u8]) -> (Option<Account>, Option<Account>) {
    let file = |bytes: &[u8]| {
        let mut image = Image::new("file".as_ref()).unwrap();
        image.put(0, bytes).unwrap();
        image.read().unwrap()
    };
    let (store, index) = (file(store), file(index));
    let mut input = Input {
        store: &store,
        index: Some(&index),
        base: Offset(0),
        codec,
        next_base: None,
        sound_entries: 0,
        trust_tail: false,
    };
    let mut bytes = bytes::Bytes::new(&store).unwrap();
    let mut entries = Index::of(input.index_file(), LOOKUP_BYTES);
    let apart = apart::account(&input, &mut bytes, &mut entries).unwrap();
    // It finds out by itself where the first fault is.
    let first = apart.as_ref().map_or(0, |account| account.first_slot);
    input.sound_entries = if first > 0 { first + 1 } else { 0 };
    (apart, Account::searched(&input, bytes, entries).unwrap())
}

#[test]
fn faults_one_by_one_have_the_account_of_a_search_for_all_or_a_clearer_one() {
    let (mut apart, mut differ) = (0, Vec::new());
    for seed in 0..1000 {
        let mut rng = Rng::with_seed(seed);
        let (codec, (mut store, mut index)) = if rng.bool() {
            (Codec::Raw, raw(RECORDS))
        } else {
            (Codec::Protobuf, protobuf(0..RECORDS))
        };
        let harms = (0..rng.u8(1..4)).map(|_| harm(&mut rng, &mut store, &mut index));
        let harms: Vec<String> = harms.collect();
        let (found, searched) = both(codec, &store, &index);
        if let Some(found) = found {
            apart += 1;
            // What is at the end may keep a single search from a clear answer in the middle,
            // and where bytes were inserted between frames of one size neither is clear.
            let clearer = |searched: &Account| {
                if found.doubts.is_empty() {
                    found.records > searched.records
                } else {
                    !searched.doubts.is_empty()
                }
            };
            if !searched
                .as_ref()
                .is_some_and(|it| *it == found || clearer(it))
            {
                differ.push(format!(
                    "seed {seed}, {codec:?}: {harms:?}:\n{found:?}\n{searched:?}"
                ));
            }
        }
    }
    assert!(
        differ.is_empty(),
        "{} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
    assert!(apart > 500, "only {apart} of them are judged one by one");
}

#[test]
fn a_fault_is_searched_for_without_the_records_that_follow() {
    let (store, mut index) = raw(RECORDS);
    index[10 * 12 + 11] ^= 1;
    let (found, searched) = both(Codec::Raw, &store, &index);
    let found = found.expect("one wrong entry is apart from the end");
    assert_eq!(Some(&found), searched.as_ref());
    assert_eq!(found.writes.len(), 1);
    assert_eq!(
        (found.slots, found.store_end),
        (RECORDS, store.len() as u64)
    );
}
