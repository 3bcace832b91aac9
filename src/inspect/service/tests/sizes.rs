//! The effect of the size of an index and its limit, and the limits that the files show.

use super::*;

#[test]
fn a_smaller_limit_cuts_an_index_and_panics() {
    // 205 entries, of which 1024 bytes are 85 and a third.
    let made = Made::default().segment(0, 205).segment(205, 3);
    let held = [held(0, 0, 204), held(205, 205, 207)];
    let view = view(&made, &config(FIRST, 1024), &held);
    let failure = view.failure.clone().unwrap();
    assert_eq!((failure.base, failure.why.is_panic()), (Offset(0), true));
    assert_eq!(
        failure.why.to_string(),
        "runtime error: slice bounds out of range [:2452] with capacity 1024"
    );
    assert_eq!(failure.destroys, [span(85, 204)]);
    assert_eq!((view.lowest, view.highest), (None, None));
    assert_eq!((view.hidden_records, view.visible_records), (208, 0));
    assert!(view.appends.is_empty() && view.segments.is_empty() && !view.is_sound());
    assert!(
        reads(made.clone(), &config(FIRST, 1024))
            .unwrap()
            .own
            .is_empty()
    );
    // The last entry begins within the mapping and ends past it.
    let made = Made::default().segment(0, 86);
    let view = self::view(&made, &config(FIRST, 1024), &held[..1]);
    let text = view.failure.unwrap().why.to_string();
    assert!(text.contains("[:1032] with capacity 1024"), "{text}");
    // Padding is cut without a loss, but the panic is the same.
    let padded = Made::default().segment(0, 40).sized("0.index", 4096);
    let view = self::view(&padded, &config(FIRST, 1024), &[self::held(0, 0, 39)]);
    let failure = view.failure.unwrap();
    assert!(failure.why.is_panic() && failure.destroys.is_empty());
}

#[test]
fn bytes_behind_the_last_whole_entry_that_a_limit_cuts_are_no_panic() {
    let made = Made::default().segment(0, 85).sized("0.index", 1027);
    let view = view(&made, &config(FIRST, 1024), &[held(0, 0, 84)]);
    assert_eq!((view.failure.clone(), loads(&view)), (None, vec![(0, 85)]));
    assert_eq!(outcomes(&view), [refused(85), refused(85)]);
}

#[test]
fn an_index_of_less_than_an_entry_counts_as_empty_and_misplaces_the_next() {
    let made = Made::default().segment(0, 2).sized("0.index", 5);
    let view = view(&made, &config(FIRST, 1024), &[held(0, 0, 1)]);
    assert_eq!(loads(&view), [(0, 0)]);
    assert_eq!((view.hidden_records, view.appends[0].entry_at), (2, 5));
    assert_eq!(outcomes(&view), [repeats(0), repeats(1)]);
    assert!(matches!(
        view.appends[0].read_back,
        Some(ReadBack::Another {
            segment: Offset(0),
            ..
        })
    ));
}

#[test]
fn after_a_crash_a_larger_limit_writes_between_the_entries() {
    let made = Made::default().segment(0, 4).sized("0.index", 1024);
    for edition in [FIRST, LATER] {
        let view = view(&made, &config(edition, 4096), &[held(0, 0, 3)]);
        assert_eq!(outcomes(&view), [repeats(1), repeats(2)]);
        let entries: Vec<_> = view.appends.iter().map(|a| a.entry_at).collect();
        assert_eq!(entries, [1024, 1036]);
        // Reading offset 1 finds the old record 1.
        assert!(matches!(
            view.appends[0].read_back,
            Some(ReadBack::Another {
                segment: Offset(0),
                answer: Answer::Record {
                    position: Position(11),
                    carries: Offset(1)
                }
            })
        ));
    }
}

#[test]
fn a_limit_that_is_no_multiple_of_twelve_wedges_the_first_edition() {
    let made = Made::default().segment(0, 84);
    let first = view(&made, &config(FIRST, 1024), &[held(0, 0, 83)]);
    assert_eq!(outcomes(&first), [works(84), refused(85)]);
    assert_eq!(
        (&first.appends[0].rolls_after, first.is_sound()),
        (&None, false)
    );
    let later = view(&made, &config(LATER, 1024), &[held(0, 0, 83)]);
    assert_eq!(outcomes(&later), [works(84), works(85)]);
    assert_eq!(later.appends[0].rolls_before, None);
    assert_eq!(
        later.appends[1].rolls_before,
        Some(roll(85, RollKind::AtTheEnd))
    );
    assert!(later.is_sound());
    // With room for complete entries only, the first edition rolls in time.
    let even = view(&made, &config(FIRST, 1020), &[held(0, 0, 83)]);
    assert_eq!(outcomes(&even), [works(84), works(85)]);
    assert_eq!(
        even.appends[0].rolls_after,
        Some(roll(85, RollKind::AtTheEnd))
    );
    assert_eq!(even.appends[1].segment, Some(Offset(85)));
    assert!(even.is_sound());
}

#[test]
fn an_active_segment_that_is_exactly_full_refuses_every_append() {
    let made = Made::default().segment(0, 85);
    let config = config(FIRST, 1020);
    let view = view(&made, &config, &[held(0, 0, 84)]);
    assert_eq!(outcomes(&view), [refused(85), refused(85)]);
    // Each try leaves its frame in the store all the same.
    let store_bytes = |log: &mut GoLog<Made>| Facts::file(&mut log.disk, "0.store").unwrap();
    let mut log = GoLog::open(made, config).unwrap().log;
    let FileFact::Regular { bytes } = store_bytes(&mut log) else {
        panic!("no store");
    };
    log.append(&Numbers::of(&[])).unwrap();
    let bytes = bytes + frame(85).len() as u64;
    assert_eq!(store_bytes(&mut log), FileFact::Regular { bytes });
}

#[test]
fn limits_from_files() {
    let of = |made: Made| {
        let given = Given::default();
        let (config, sources) = assume(&mut made.clone(), FIRST, &given).unwrap();
        (config.max_index_bytes, sources.max_index_bytes)
    };
    let sealed = |active| Made::default().segment(0, 100).segment(100, active);
    assert_eq!(of(sealed(99)), (1200, Source::LargestSealed));
    // No room for one entry more: not the index's limit sealed the first segment.
    assert_eq!(of(sealed(100)), (2048, Source::RoomForMore));
    assert_eq!(
        of(Made::default().segment(0, 85)),
        (1024, Source::BookDefault)
    );
    let padded = |bytes| Made::default().segment(0, 85).sized("0.index", bytes);
    assert_eq!(of(padded(1024)), (1024, Source::PaddedIndex));
    assert_eq!(of(padded(1032)), (1032, Source::PaddedIndex));
    let of_zero_alone = Made::default().segment(0, 1);
    assert_eq!(of(of_zero_alone).1, Source::BookDefault);
    let given = Given {
        max_store_bytes: Some(0),
        max_index_bytes: Some(240),
        initial_offset: Some(Offset(1)),
    };
    let (config, sources) = assume(&mut padded(1032), LATER, &given).unwrap();
    assert_eq!(
        (config.max_store_bytes, config.max_index_bytes),
        (1024, 240)
    );
    assert_eq!((config.edition, config.initial_offset), (LATER, Offset(1)));
    assert_eq!(sources.max_store_bytes, Source::Given);
    assert_eq!(sources.max_index_bytes, Source::Given);
}
