//! Arbitrary directories.

use proptest::prelude::*;

use super::*;

proptest! {
    /// For an arbitrary directory, the model terminates with figures that add up.
    #[test]
    fn any_directory(
        files in proptest::collection::btree_map(
            prop_oneof!["[0-3]\\.(store|index)", "0?[0-9]{1,2}\\.index", "[a-z]{1,3}", "\\PC{0,4}"],
            proptest::option::weighted(0.9, proptest::collection::vec(0_u8..3, 0..60)),
            0..8,
        ),
        max_index_bytes in 0_u64..60,
        max_store_bytes in 0_u64..60,
        later: bool,
        ranges in proptest::collection::vec((0_u64..5, 0_u64..9, 0_u64..9), 0..5),
    ) {
        let made = Made { files, unreadable: false };
        let config = ServiceConfig {
            edition: if later { LATER } else { FIRST },
            max_store_bytes,
            max_index_bytes,
            initial_offset: Offset(0),
        };
        let held: Vec<_> = ranges.iter().map(|(b, f, n)| held(*b, *f, f + n)).collect();
        let view = view(&made, &config, &held);
        let records: u64 = held.iter().map(|held| held.range.records()).sum();
        prop_assert_eq!(view.visible_records + view.hidden_records, records);
        // The routes are the result of asking each segment in turn.
        for offset in 0..12 {
            let claims = |s: &&Loaded| s.base.0 <= offset && offset < s.next.0;
            let first = view.segments.iter().find(claims).map(|s| s.base);
            let first = first.filter(|_| view.failure.is_none());
            prop_assert_eq!(view.served_by(Offset(offset)), first);
            let seen = |h: &&Held| h.range.first.0 <= offset && offset <= h.range.last.0;
            let hides = |h: &Hidden| h.range.first.0 <= offset && offset <= h.range.last.0;
            let expected = held.iter().filter(seen).filter(|h| Some(h.base) != first).count();
            prop_assert_eq!(view.hidden.iter().filter(|h| hides(h)).count(), expected);
        }
        let reads = reads(made.clone(), &config).unwrap();
        let answered = [&reads.own, &reads.foreign, &reads.errors, &reads.panics];
        let answered: u64 = answered.iter().map(|runs| runs.offsets).sum();
        let routed: u64 = view.routes.iter().map(|route| route.range.records()).sum();
        prop_assert_eq!(answered, routed);
        assume(&mut made.clone(), config.edition, &Given::default()).unwrap();
    }
}
