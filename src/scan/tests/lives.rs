//! What services leave that were killed, restarted, and refused appends.

use super::super::account::Doubt;
use super::{Bytes, account, account_behind, entry, frame, protobuf, raw, record, value, verdict};
use crate::log::record::Codec;
use crate::log::units::Offset;

fn records(codec: Codec, count: u64) -> (Bytes, Bytes) {
    match codec {
        Codec::Raw => raw(count),
        Codec::Protobuf => protobuf(0..count),
    }
}

/// Appends records and entries with these slots.
fn go_on(codec: Codec, slots: std::ops::Range<u64>, store: &mut Bytes, index: &mut Bytes) {
    for slot in slots {
        index.extend(entry(u32::try_from(slot).unwrap(), store.len()));
        store.extend(frame(&match codec {
            Codec::Raw => value(slot),
            Codec::Protobuf => record(slot),
        }));
    }
}

#[test]
fn two_histories_are_for_a_person() {
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (first, behind, padded) in [(2, 30, 1024), (2, 1, 1020), (10, 3, 1024), (10, 20, 1020)]
        {
            let (mut store, mut index) = records(codec, first);
            index.resize(padded, 0);
            go_on(codec, 1..1 + behind, &mut store, &mut index);
            // Records before the first fault are known to be right.
            for sound in [0, 1, first] {
                let found = account_behind(sound, codec, &store, Some(&index));
                assert_eq!(found.doubts, [Doubt::TwoHistories]);
                assert!(found.keep_index);
                let size = store.len() as u64;
                let before = sound.saturating_sub(1);
                let records = first.max(behind + 1) - before;
                assert_eq!((found.records, found.store_end), (records, size));
                let contested = found.contested.iter().map(|it| it.offset.0);
                assert!(contested.eq(1..first.min(behind + 1)), "{found:?}");
                let misplaced = (padded as u64, 1, behind + 1);
                assert_eq!(found.misplaced, Some(misplaced));
            }
        }
    }
}

#[test]
fn a_service_that_was_killed_with_an_empty_segment_goes_on_at_its_second_offset() {
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (count, lost, padded) in [(20, 0, 1024), (20, 2, 1020), (1, 0, 1020), (2, 5, 1024)] {
            // Entries whose frames were lost, then padding.
            let (_, mut index) = records(codec, lost);
            index.resize(padded, 0);
            let mut store = Vec::new();
            go_on(codec, 1..1 + count, &mut store, &mut index);
            let found = account(codec, &store, Some(&index));
            assert_eq!(verdict(&found), (count, store.len() as u64, &[][..]));
            let [missing] = found.damaged[..] else {
                panic!("{found:?}");
            };
            assert_eq!((missing.first, missing.last), (Offset(0), Offset(0)));
            // What is written then says the same.
            let (_, mut index) = (entry(0, 0), entry(0, 0));
            go_on(codec, 1..1 + count, &mut Vec::new(), &mut index);
            let again = account(codec, &store, Some(&index));
            assert_eq!((again.damaged, again.writes), (found.damaged, Vec::new()));
        }
    }
}

#[test]
fn an_entry_after_missing_ones_counts_where_as_many_frames_are_missing() {
    for codec in [Codec::Raw, Codec::Protobuf] {
        for count in [4, 5, 6, 8, 12, 20] {
            let (store, index) = records(codec, count);
            for from in 1..usize::try_from(count).unwrap() - 1 {
                for to in from + 1..index.len() / 12 {
                    for junk in [&[][..], &[7, 0, 9, 1, 1, 1]] {
                        let index = [&index[..from * 12], junk, &index[to * 12..]].concat();
                        let found = account(codec, &store, Some(&index));
                        let whole = (count, store.len() as u64, &[][..]);
                        assert_eq!(verdict(&found), whole, "{count} {from} {to}");
                        assert!(found.damaged.is_empty(), "{found:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_was_not_acknowledged_between_two_raw_records_is_no_fault_of_theirs() {
    let refused = |count: u64| raw(count).0;
    let torn = &refused(1)[..20];
    for left in [
        refused(1),
        refused(5),
        [&refused(2)[..], torn].concat(),
        [&refused(1)[..], &[0; 100]].concat(),
        [&[0xff, 0, 0], &refused(1)[3..]].concat(),
    ] {
        for behind in [1, 2, 10] {
            let (mut store, mut index) = raw(20);
            store.extend(&left);
            go_on(Codec::Raw, 20..20 + behind, &mut store, &mut index);
            let found = account(Codec::Raw, &store, Some(&index));
            let whole = (20 + behind, store.len() as u64, &[][..]);
            assert_eq!(verdict(&found), whole, "{} {behind}: {found:?}", left.len());
            assert!(found.writes.is_empty() && found.damaged.is_empty());
        }
    }
}

#[test]
fn a_refused_frame_is_not_the_record_that_is_lost_after_it() {
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (refused, padded) in [(1, 2400), (2, 2400), (3, 264)] {
            for torn in [0, 20] {
                let (mut store, mut index) = records(codec, 20);
                let frame = match codec {
                    Codec::Raw => frame(&value(99)),
                    Codec::Protobuf => frame(&record(20)),
                };
                for _ in 0..refused {
                    store.extend(&frame);
                }
                let end = store.len() + if torn > 0 { frame.len() } else { 0 };
                store.extend(&frame[..torn]);
                index.extend([entry(20, end), entry(21, end + 40)].concat());
                index.resize(padded, 0);
                let found = account(codec, &store, Some(&index));
                assert_eq!((found.records, found.end_slot), (20, 20), "{found:?}");
                assert!(found.doubts.contains(&Doubt::Unnumbered), "{found:?}");
                let kept = store.len() as u64 - torn as u64;
                assert!(found.store_end >= kept, "{found:?}");
                assert_eq!(found.lost_from(20), Some(20..=21));
                assert!(found.writes.is_empty() && found.slots == 22, "{found:?}");
            }
        }
    }
}
