//! Bytes that were removed from a raw store or inserted into it displace all entries after
//! them.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::{Bytes, account, lay};
use crate::log::record::Codec;
use crate::scan::account::{Account, Doubt};

/// Values of many sizes.
fn values(rng: &mut Rng, count: usize) -> Vec<Bytes> {
    let value = |number: usize| format!("{}{number}", "v".repeat(rng.usize(..30))).into_bytes();
    (0..count).map(value).collect()
}

/// The values that are read at each slot.
fn read(account: &Account, store: &[u8]) -> BTreeMap<u64, Bytes> {
    let mut found = BTreeMap::new();
    for run in account.entries.iter().filter(|run| run.follow) {
        let mut at = usize::try_from(run.position.0).unwrap();
        for slot in run.first_slot..run.first_slot + run.count {
            let length = u64::from_be_bytes(*store[at..].first_chunk().unwrap());
            let end = at + 8 + usize::try_from(length).unwrap();
            found.insert(slot, store[at + 8..end].to_vec());
            at = end;
        }
    }
    for damaged in &account.damaged {
        found.retain(|slot, _| !(damaged.first.0..=damaged.last.0).contains(slot));
    }
    found
}

/// The slots of which the right value is read, and those of which another is.
fn judge(values: &[Bytes], store: &[u8], index: &[u8]) -> (Vec<u64>, Vec<u64>, Vec<Doubt>) {
    let account = account(Codec::Raw, store, Some(index));
    let is_right =
        |(slot, value): &(u64, Bytes)| values.get(usize::try_from(*slot).unwrap()) == Some(value);
    let (right, wrong): (Vec<_>, Vec<_>) = read(&account, store).into_iter().partition(is_right);
    let slots = |found: Vec<(u64, Bytes)>| found.into_iter().map(|it| it.0).collect();
    (slots(right), slots(wrong), account.doubts)
}

#[test]
fn entries_behind_removed_and_inserted_bytes_are_put_in_place() {
    let values = values(&mut Rng::with_seed(3), 40);
    let (store, index) = lay(&values);
    let positions = |slot: usize| values[..slot].iter().map(|it| it.len() + 8).sum::<usize>();
    let without = |from: usize, to: usize| [&store[..from], &store[to..]].concat();
    let with = |at: usize, bytes: &[u8]| [&store[..at], bytes, &store[at..]].concat();
    let at = positions(20);
    for (store, lost) in [
        (without(at + 2, at + 3), vec![20]),
        (without(at + 5, positions(23) + 9), vec![20, 21, 22, 23]),
        // Nothing but the sizes shows that a record is missing.
        (without(at, positions(21)), vec![20]),
        (without(at, positions(25)), vec![20, 21, 22, 23, 24]),
        (with(at + 2, b"\r"), vec![20]),
        (with(at + 9, &store[at - 30..at]), vec![20]),
        (with(0, b"at the beginning"), vec![]),
        (without(0, at + 3), (0..=20).collect()),
        // Two places.
        (
            [
                &store[..at + 2],
                &store[at + 4..=positions(30)],
                b"?!",
                &store[positions(30) + 1..],
            ]
            .concat(),
            vec![20, 30],
        ),
    ] {
        let (right, wrong, doubts) = judge(&values, &store, &index);
        let intact: Vec<u64> = (0..40).filter(|slot| !lost.contains(slot)).collect();
        assert_eq!(
            (right, wrong),
            (intact, vec![]),
            "without {lost:?}: {doubts:?}, {} bytes",
            store.len()
        );
    }
}

#[test]
fn of_values_of_one_size_the_last_entry_is_of_the_last_frame() {
    let values: Vec<Bytes> = (0..300).map(|it| format!("{it:06}").into_bytes()).collect();
    let (store, index) = lay(&values);
    let at = 20 * 14;
    let cut = [&store[..at + 3], &store[at + 7..]].concat();
    let (right, wrong, _) = judge(&values, &cut, &index);
    assert_eq!((right.len(), wrong), (299, vec![]));
    // Without an entry of the last frame all rows are as good.
    let (right, wrong, doubts) = judge(&values, &cut, &index[..280 * 12]);
    assert_eq!((right.len(), wrong), (20, vec![]));
    assert_eq!(doubts, [Doubt::Unnumbered]);
}

#[test]
fn few_records_get_the_offset_of_another_whatever_is_removed_or_inserted() {
    let (mut right, mut wrong, mut intact) = (0, 0, 0);
    for seed in 0..400 {
        let rng = &mut Rng::with_seed(seed);
        let count = rng.usize(20..400);
        let values = values(rng, count);
        let (mut store, index) = lay(&values);
        for _ in 0..rng.usize(1..3) {
            let (at, bytes) = (rng.usize(..store.len()), rng.usize(1..60));
            let end = (at + bytes).min(store.len());
            match rng.u8(..3) {
                0 => drop(store.drain(at..end)),
                1 => drop(store.splice(at..at, (0..bytes).map(|_| rng.u8(..)).collect::<Bytes>())),
                _ => {
                    let copy = store[at.saturating_sub(bytes)..at].to_vec();
                    store.splice(at..at, copy);
                }
            }
        }
        let found = judge(&values, &store, &index);
        right += found.0.len();
        wrong += found.1.len();
        intact += count;
    }
    assert!(
        right * 100 > intact * 95,
        "{right} of {intact}, {wrong} wrong"
    );
    assert!(wrong < 400, "{right} of {intact}, {wrong} wrong");
}
