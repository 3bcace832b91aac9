//! The accounts of small segments, one cause at a time.

use super::account::{Account, Doubt, Input, Unreferenced};
use super::cost;
use super::image::Image;
use crate::log::index::Index;
use crate::log::record::{Codec, Record};
use crate::log::units::Offset;
use crate::log::window::LOOKUP_BYTES;

mod apart;
mod displaced;
mod lives;

type Bytes = Vec<u8>;

fn frame(payload: &[u8]) -> Bytes {
    let mut frame = (payload.len() as u64).to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

fn entry(slot: u32, position: usize) -> Bytes {
    let mut entry = slot.to_be_bytes().to_vec();
    entry.extend_from_slice(&(position as u64).to_be_bytes());
    entry
}

fn value(number: u64) -> Bytes {
    format!("record number {number}").into_bytes()
}

fn record(offset: u64) -> Bytes {
    let record = Record {
        value: value(offset),
        offset: Offset(offset),
        ..Record::default()
    };
    record.encode()
}

/// Store and index of these payloads.
fn lay(payloads: &[Bytes]) -> (Bytes, Bytes) {
    let (mut store, mut index) = (Vec::new(), Vec::new());
    for (slot, payload) in payloads.iter().enumerate() {
        index.extend(entry(u32::try_from(slot).unwrap(), store.len()));
        store.extend(frame(payload));
    }
    (store, index)
}

fn raw(count: u64) -> (Bytes, Bytes) {
    lay(&(0..count).map(value).collect::<Vec<_>>())
}

fn protobuf(offsets: impl IntoIterator<Item = u64>) -> (Bytes, Bytes) {
    lay(&offsets.into_iter().map(record).collect::<Vec<_>>())
}

fn account(codec: Codec, store: &[u8], index: Option<&[u8]>) -> Account {
    account_behind(0, codec, store, index)
}

/// The same if this many entries are known to be right.
fn account_behind(sound_entries: u64, codec: Codec, store: &[u8], index: Option<&[u8]>) -> Account {
    let write = |name: &str, bytes: &[u8]| {
        let mut image = Image::new(name.as_ref()).unwrap();
        image.put(0, bytes).unwrap();
        image.read().unwrap()
    };
    let store = write("0.store", store);
    let index = index.map(|index| write("0.index", index));
    let input = Input {
        store: &store,
        index: index.as_ref(),
        base: Offset(0),
        codec,
        next_base: None,
        sound_entries,
        trust_tail: false,
    };
    let found = Account::of(&input).unwrap().unwrap();
    // If the frames alone show it, a search returns the same.
    let store = super::bytes::Bytes::new(&store).unwrap();
    let index = Index::of(input.index_file(), LOOKUP_BYTES);
    let searched = Account::searched(&input, store, index).unwrap();
    if found.store_end == input.store.file_bytes {
        assert_eq!(searched, Some(found.clone()));
    }
    found
}

/// Records, where the store may end, and why a person decides.
fn verdict(account: &Account) -> (u64, u64, &[Doubt]) {
    (account.records, account.store_end, &account.doubts)
}

#[test]
fn an_empty_record_before_an_unfinished_batch_is_there() {
    for codec in [Codec::Raw, Codec::Protobuf] {
        let mut store = frame(b"");
        let index = entry(0, 0);
        let mut batch = frame(&record(1));
        batch[0] = 0xff;
        store.extend(batch);
        let found = account_behind(1, codec, &store, Some(&index));
        assert_eq!(verdict(&found), (1, 8, &[][..]), "{codec:?}: {found:?}");
    }
}

#[test]
fn a_fault_costs_more_than_any_frame_gains_alone_and_less_than_a_few() {
    // One frame in the middle of intact ones is not worth a second fault; two are.
    let gain = cost::LINK + cost::CARRIED;
    let doubled = [cost::FAULT + cost::UNEXPLAINED, 2.0 * gain];
    assert!(cost::FAULT + cost::ONE_BIT > gain);
    assert!(doubled.is_sorted(), "{doubled:?}");
    // An end that a crash leaves is likelier than damage, zeros are likeliest.
    let ends = [cost::ZEROS, cost::TORN, cost::FAULT];
    assert!(ends.is_sorted(), "{ends:?}");
    // A gap of a quarter of a mebibyte is at most one more fault.
    let long = [cost::PER_BYTE * 4096.0 * 64.0, cost::FAULT];
    assert!(long.is_sorted(), "{long:?}");
}

#[test]
fn an_intact_segment_has_no_fault() {
    for (codec, (store, index)) in [(Codec::Raw, raw(20)), (Codec::Protobuf, protobuf(0..20))] {
        let account = account(codec, &store, Some(&index));
        assert_eq!(verdict(&account), (20, store.len() as u64, &[][..]));
        assert!(
            account.writes.is_empty() && account.index_sound,
            "{account:?}"
        );
        assert!(account.damaged.is_empty() && account.unreferenced.is_empty());
    }
}

#[test]
fn an_index_that_is_short_zero_or_gone_costs_no_record() {
    for (codec, (store, index)) in [(Codec::Raw, raw(20)), (Codec::Protobuf, protobuf(0..20))] {
        let mut half_zero = index[..120].to_vec();
        half_zero.resize(240, 0);
        let foreign: Bytes = (10..24)
            .flat_map(|slot| entry(slot, 1000 + 37 * slot as usize))
            .collect();
        let wrong = [&index[..120], &foreign].concat();
        let shifted = [&index[..60], &[0; 7], &index[60..]].concat();
        for index in [
            None,
            Some(&index[..120]),
            Some(&half_zero[..]),
            Some(&wrong),
            Some(&shifted),
        ] {
            let account = account(codec, &store, index);
            assert_eq!(
                verdict(&account),
                (20, store.len() as u64, &[][..]),
                "{index:?}"
            );
            assert!(!account.writes.is_empty());
            assert!(account.damaged.is_empty(), "{account:?}");
        }
    }
}

#[test]
fn one_flipped_bit_of_a_length_costs_its_record_alone() {
    for (codec, (mut store, index)) in [(Codec::Raw, raw(20)), (Codec::Protobuf, protobuf(0..20))] {
        let at = usize::try_from(u64::from_be_bytes(index[64..72].try_into().unwrap())).unwrap();
        store[at + 5] ^= 4;
        for index in [Some(&index[..]), None] {
            let account = account(codec, &store, index);
            assert_eq!(
                verdict(&account),
                (19, store.len() as u64, &[][..]),
                "{account:?}"
            );
            let damaged = account.damaged.first().unwrap();
            assert_eq!((damaged.first, damaged.last), (Offset(5), Offset(5)));
        }
    }
}

#[test]
fn raw_frames_behind_a_destroyed_length_have_no_number_without_entries() {
    let (mut store, index) = raw(20);
    store[100..130].fill(0xa5);
    let found = account(Codec::Raw, &store, None);
    assert_eq!(found.doubts, [Doubt::Unnumbered]);
    assert_eq!(found.store_end, store.len() as u64);
    // Entries number them.
    let found = account(Codec::Raw, &store, Some(&index));
    assert_eq!(found.doubts, []);
    assert!(found.records >= 17, "{found:?}");
}

#[test]
fn carried_offsets_number_what_stands_behind_damage() {
    let (mut store, _) = protobuf(0..20);
    store[100..130].fill(0xa5);
    let account = account(Codec::Protobuf, &store, None);
    assert_eq!(account.doubts, []);
    assert!(account.records >= 17, "{account:?}");
    assert_eq!(account.slots, 20);
    assert_eq!(account.lost_from(account.end_slot), None);
}

#[test]
fn a_torn_frame_is_cut_and_a_remainder_that_holds_frames_is_not() {
    let (store, index) = raw(20);
    let end = store.len() - 24;
    let found = account(
        Codec::Raw,
        &store[..store.len() - 5],
        Some(&index[..index.len() - 12]),
    );
    assert_eq!(verdict(&found), (19, end as u64, &[][..]));
    let padded = [&index[..120], &[0; 120]].concat();
    let mut bad = store.clone();
    bad[230 + 2..230 + 6].fill(0x5a);
    let found = account(Codec::Raw, &bad, Some(&padded));
    assert_eq!(found.store_end, store.len() as u64);
    assert!(!found.doubts.is_empty(), "{found:?}");
}

#[test]
fn zeros_at_the_end_are_no_records_where_the_index_is_sound() {
    let (store, index) = raw(20);
    let zeros = [&store[..], &[0; 64]].concat();
    let found = account(Codec::Raw, &zeros, Some(&index));
    assert_eq!(verdict(&found), (20, store.len() as u64, &[][..]));
    // Without an index a few may be empty records.
    let found = account(Codec::Raw, &zeros, None);
    assert_eq!(verdict(&found), (28, zeros.len() as u64, &[][..]));
}

#[test]
fn zeros_behind_an_empty_record_at_the_end_may_have_been_its_value() {
    let (store, index) = lay(&[value(0), Bytes::new()]);
    for (zeros, unused) in [
        (0, 0),
        (1, 0),
        (8, 0),
        (9, 0),
        (15, 0),
        (24, 0),
        (24, 3),
        (400, 4),
    ] {
        let store = [&store[..], &vec![0; zeros]].concat();
        let index = [&index[..], &vec![0; unused * 12]].concat();
        let found = account(Codec::Raw, &store, Some(&index));
        let wanted = if zeros == 0 {
            (2, Vec::new())
        } else {
            (1, vec![Doubt::ZerosOrRecord])
        };
        assert_eq!((found.records, found.doubts), wanted, "{zeros} {unused}");
    }
}

#[test]
fn frames_after_one_bad_length_are_not_numbered_if_it_may_be_one_of_two() {
    let mut values: Vec<Bytes> = (0..20).map(value).collect();
    values[13].clear();
    for (empty, records) in [(true, 12), (false, 19)] {
        if empty {
            values[12].clear();
        } else {
            values[12] = value(12);
        }
        let (mut store, index) = lay(&values);
        let at: u64 = values[..13].iter().map(|it| it.len() as u64 + 8).sum();
        store[usize::try_from(at).unwrap() + 6] = 0x20;
        let found = account(Codec::Raw, &store, Some(&index[..120]));
        assert_eq!(found.records, records, "{found:?}");
        assert_eq!(found.store_end, store.len() as u64);
        assert_eq!(found.doubts.is_empty(), !empty);
    }
}

#[test]
fn a_store_that_may_hold_a_frame_is_not_cut_to_nothing() {
    let (whole, _) = raw(2);
    let junk = [
        &[0, 0, 0, 0, 0, 0, 0x60, 7][..],
        b"junk",
        &whole,
        b"\xf0junk junk",
    ]
    .concat();
    let found = account(Codec::Raw, &junk, Some(&[]));
    assert_eq!(
        verdict(&found),
        (0, junk.len() as u64, &[Doubt::HoldsFrames][..])
    );
    // Text holds none, and neither does an append that was interrupted.
    let torn = &frame(&[b't'; 300])[..200];
    let found = account(Codec::Raw, torn, Some(&[]));
    assert_eq!(verdict(&found), (0, 0, &[][..]));
}

#[test]
fn an_entry_that_arrived_in_part_is_written_again() {
    let (store, index) = lay(&[vec![0; 300], Bytes::new(), value(2), value(3)]);
    let whole = (4, store.len() as u64, &[][..]);
    let marked = [&store[..], &[0xff, 0, 0]].concat();
    for written in 1..4 {
        for bytes in 0..12 {
            let mut torn = index.clone();
            torn[written * 12 + bytes..].fill(0);
            for store in [&store, &marked] {
                let found = account(Codec::Raw, store, Some(&torn));
                assert_eq!(verdict(&found), whole, "{written} {bytes}");
            }
        }
    }
    // The last record may be empty.
    let (store, index) = lay(&[value(0), value(1), Bytes::new(), Bytes::new()]);
    let marked = [&store[..], &[0xff]].concat();
    for written in 2..4 {
        for bytes in 0..12 {
            let mut torn = index.clone();
            torn[written * 12 + bytes..].fill(0);
            let found = account(Codec::Raw, &marked, Some(&torn));
            assert_eq!(found.doubts, [], "{written} {bytes}");
            assert!(found.records >= written as u64, "{written} {bytes}");
        }
    }
}

#[test]
fn refused_appends_are_cut_only_where_that_is_proven() {
    let (store, index) = protobuf([0, 1, 2, 3, 3, 3]);
    let three = account(Codec::Protobuf, &store, Some(&index[..36]));
    let end = protobuf(0..3).0.len() as u64;
    assert_eq!(verdict(&three), (3, end, &[][..]));
    let refused = three.unreferenced.last().unwrap();
    assert_eq!((refused.kind, refused.frames), (Unreferenced::Refused, 3));
    // Without an index the last of them is a record, and nothing is cut.
    let found = account(Codec::Protobuf, &store, None);
    assert_eq!(verdict(&found), (4, store.len() as u64, &[][..]));
    // Ascending offsets were never refused.
    let (store, index) = protobuf(0..6);
    let found = account(Codec::Protobuf, &store, Some(&index[..36]));
    assert_eq!(verdict(&found), (6, store.len() as u64, &[][..]));
}

#[test]
fn appends_refused_behind_the_padding_of_an_empty_segment_are_cut() {
    let (store, _) = protobuf([1, 1, 1]);
    let found = account(Codec::Protobuf, &store, Some(&[0; 1024]));
    assert_eq!(verdict(&found), (0, 0, &[][..]));
    // The first of them was acknowledged, where offset 0 is there.
    let (store, _) = protobuf([0, 1, 1, 1]);
    let found = account(Codec::Protobuf, &store, Some(&[0; 1024]));
    assert_eq!(found.records, 2, "{found:?}");
}

#[test]
fn a_raw_frame_that_may_not_have_arrived_is_for_a_person() {
    let values = [
        value(0),
        value(1),
        [vec![b'x'; 600], vec![0; 1200]].concat(),
    ];
    let (store, index) = lay(&values);
    let padded = [&index[..24], &[0; 1000]].concat();
    let found = account(Codec::Raw, &store, Some(&padded));
    assert_eq!(found.store_end, store.len() as u64);
    assert!(found.doubts.contains(&Doubt::MayBeUnwritten), "{found:?}");
    assert_eq!(found.slots, 2);
    // An index without padding was written after its frames were durable.
    let found = account(Codec::Raw, &store, Some(&index[..24]));
    assert_eq!(verdict(&found), (3, store.len() as u64, &[][..]));
}

#[test]
fn a_store_of_another_segment_is_for_a_person() {
    let (store, _) = protobuf(500..510);
    let found = account(Codec::Protobuf, &store, Some(&[]));
    assert_eq!(
        verdict(&found),
        (0, store.len() as u64, &[Doubt::Unnumbered][..])
    );
    let (_, index) = protobuf(0..10);
    let found = account(Codec::Protobuf, &[], Some(&index));
    assert_eq!(found.doubts, [Doubt::StoreEmpty]);
    assert!(found.keep_index);
}

#[test]
fn frames_that_lead_to_the_end_are_told_without_a_search() {
    let blanks =
        |count: usize| lay(&[vec![value(0)], vec![Vec::new(); count], vec![value(1)]].concat());
    for (codec, (store, index)) in [
        (Codec::Raw, raw(9)),
        (Codec::Raw, blanks(16)),
        (Codec::Raw, blanks(17)),
        (Codec::Protobuf, protobuf(0..9)),
        (Codec::Protobuf, protobuf([0, 1, 2, 2, 3])),
        (Codec::Protobuf, protobuf(3..9)),
    ] {
        account(codec, &store, None);
        for sound in [0, 1, 2] {
            let index = &index[..sound * 12];
            let found = account_behind(sound as u64, codec, &store, Some(index));
            assert_eq!(found.store_end, store.len() as u64);
        }
    }
    let found = account(Codec::Raw, &blanks(17).0, None);
    assert!(found.doubts.contains(&Doubt::EmptyRow), "{found:?}");
}

#[test]
fn a_long_row_of_zeros_is_for_a_person() {
    let (before, _) = raw(3);
    let (behind, _) = lay(&[value(3), value(4), value(5)]);
    for zeros in [17 * 8, 64 * 8, 65 * 8, 65 * 8 + 3, 100_000] {
        let store = [&before[..], &vec![0; zeros], &behind].concat();
        let found = account(Codec::Raw, &store, None);
        assert_eq!(found.store_end, store.len() as u64, "{zeros}");
        assert!(
            found.doubts.contains(&Doubt::EmptyRow),
            "{zeros}: {found:?}"
        );
        assert!(found.records <= 3, "{zeros}: {found:?}");
    }
}

/// The entries of missing records are written also where the index has the first of them.
#[test]
fn the_rest_of_a_missing_row_is_written() {
    let (store, index) = protobuf([0, 1]);
    let (behind, _) = protobuf([5]);
    let gap = store.len();
    let store = [&store[..], &[0xa5; 100], &behind].concat();
    let index = [&index[..], &entry(2, gap)].concat();
    let found = account(Codec::Protobuf, &store, Some(&index));
    let written = found.writes.iter().map(|it| (it.first_slot, it.count));
    assert_eq!(written.collect::<Vec<_>>(), [(3, 2), (5, 1)], "{found:?}");
}
