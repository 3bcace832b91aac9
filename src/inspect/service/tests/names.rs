//! Which files the service opens, and as what: names, halves and strays.

use super::*;

#[test]
fn what_it_makes_of_a_name() {
    for (name, base) in [
        ("0.index", 0),
        ("23.store", 23),
        ("00000000000000000023.store", 23),
        ("23", 23),
        ("23.store.bak", 0),
        ("0.index.tmp", 0),
        ("23.", 23),
        (".23", 0),
        (".hidden", 0),
        ("LOCK", 0),
        ("lost+found", 0),
        ("+1.store", 0),
        ("-1.store", 0),
        ("1_0.store", 0),
        ("1e3.store", 0),
        ("18446744073709551615.store", u64::MAX),
        ("18446744073709551616.store", u64::MAX),
        ("99999999999999999999.store", u64::MAX),
        // Too large before the x is reached.
        ("99999999999999999999x.store", u64::MAX),
        ("9999999999999999999x.store", 0),
    ] {
        assert_eq!(open::base_of(OsStr::new(name)), base, "{name}");
    }
}

#[test]
fn an_empty_directory_begins_at_the_initial_offset() {
    for edition in [FIRST, LATER] {
        let config = ServiceConfig {
            initial_offset: Offset(1),
            ..config(edition, 0)
        };
        let view = view(&Made::default(), &config, &[]);
        assert_eq!(view.creates, ["1.store", "1.index"]);
        assert_eq!(
            (view.lowest, view.highest),
            (Some(Offset(1)), Some(Offset(0)))
        );
        assert_eq!(outcomes(&view), [works(1), works(2)]);
        assert_eq!(view.config.max_index_bytes, BOOK_LIMIT_BYTES);
        assert!(view.is_sound());
    }
}

#[test]
fn lone_halves_shift_the_pairs() {
    let whole = Made::default().segment(0, 20).segment(40, 5);
    let config = config(FIRST, 1024);
    // 0, 0, 20, 40, 40: the fifth name is the third pair.
    let one = whole.clone().file("20.index", []);
    let one = view(&one, &config, &[]);
    assert_eq!(loads(&one), [(0, 20), (20, 20), (40, 45)]);
    assert_eq!(one.creates, ["20.store"]);
    // 0, 0, 20, 30, 40, 40: 20 and 30 are one pair to it.
    let two = whole.file("20.index", []).file("30.store", []);
    let two = view(
        &two,
        &config,
        &[held(0, 0, 19), held(30, 30, 31), held(40, 40, 44)],
    );
    assert_eq!(loads(&two), [(0, 20), (20, 20), (40, 45)]);
    assert_eq!(two.skipped, [Offset(30)]);
    assert_eq!(two.hidden.len(), 1);
    assert_eq!(two.hidden[0].range, span(30, 31));
    assert_eq!((two.visible_records, two.hidden_records), (25, 2));
}

#[test]
fn names_with_leading_zeros_are_never_its_segment() {
    let made = Made::default().segment(0, 3);
    let made = made
        .file("000.store", frame(0))
        .file("000.index", entry(0, 0));
    let padded = Held {
        plain_names: false,
        ..held(0, 0, 0)
    };
    let view = view(&made, &config(FIRST, 1024), &[held(0, 0, 2), padded]);
    // Four names of 0 are two segments, both on the plain files.
    assert_eq!(loads(&view), [(0, 3), (0, 1)]);
    assert_eq!((view.visible_records, view.hidden_records), (3, 1));
}

#[test]
fn a_stray_name_makes_the_only_segment_its_own_twin() {
    // 0, 0, 0: opened twice, and the second sees the index stretched by the first.
    let made = Made::default().segment(0, 20).file("LOCK", []);
    for edition in [FIRST, LATER] {
        let config = config(edition, 1024);
        let view = view(&made, &config, &[held(0, 0, 19)]);
        assert_eq!(loads(&view), [(0, 20), (0, 1)]);
        assert_eq!(
            (view.segments[0].twin, view.segments[1].twin),
            (false, true)
        );
        assert_eq!(view.segments[1].index_bytes, 1024);
        assert_eq!(view.pads_on_close, [Offset(0)]);
        assert_eq!((view.highest, view.hidden_records), (Some(Offset(0)), 0));
        let reads = reads(made.clone(), &config).unwrap();
        assert_eq!(reads.own.runs, [span(0, 19)]);
        assert!(!view.is_sound());
        if edition == FIRST {
            assert_eq!(outcomes(&view), [refused(1), refused(1)]);
        } else {
            // The new segment 1 is after 0, which claims 1 too and answers for it.
            assert_eq!(outcomes(&view), [repeats(1), repeats(2)]);
            assert_eq!(view.appends[0].rolls_before, Some(roll(1, RollKind::Forks)));
            assert!(matches!(
                view.appends[0].read_back,
                Some(ReadBack::Another {
                    segment: Offset(0),
                    ..
                })
            ));
        }
    }
}

#[test]
fn a_stray_name_beside_an_empty_log_makes_offset_0_up() {
    let made = Made::default().segment(0, 0).file("LOCK", []);
    let config = config(FIRST, 1024);
    let view = view(&made, &config, &[]);
    assert_eq!(loads(&view), [(0, 0), (0, 1)]);
    assert_eq!(outcomes(&view), [refused(1), refused(1)]);
    assert_eq!(reads(made, &config).unwrap().errors.runs, [span(0, 0)]);
}

#[test]
fn the_largest_base_wraps() {
    let made = Made::default().file("99999999999999999999.index", []);
    let view = view(&made, &config(FIRST, 1024), &[]);
    assert_eq!(loads(&view), [(u64::MAX, u64::MAX)]);
    assert_eq!(
        view.creates,
        ["18446744073709551615.store", "18446744073709551615.index"]
    );
    assert_eq!(view.highest, Some(Offset(u64::MAX - 1)));
    // Acknowledged; then the next offset is 0, and nothing is in range.
    assert_eq!(outcomes(&view), [works(u64::MAX), works(0)]);
    assert_eq!(view.appends[0].read_back, Some(ReadBack::OutOfRange));
    let full = Made::default().segment(u64::MAX, 1);
    let full = self::view(
        &full,
        &config(FIRST, 1024),
        &[held(u64::MAX, u64::MAX, u64::MAX)],
    );
    assert_eq!(loads(&full), [(u64::MAX, 0)]);
    assert_eq!((full.highest, full.hidden_records), (Some(Offset(0)), 1));
    assert!(full.routes.is_empty());
}

#[test]
fn a_directory_under_a_segments_name_ends_the_start() {
    let made = Made::default()
        .segment(0, 3)
        .directory("3.store")
        .file("3.index", []);
    let view = view(&made, &config(FIRST, 1024), &[held(0, 0, 2)]);
    let failure = view.failure.unwrap();
    assert_eq!((failure.base, failure.why.is_panic()), (Offset(3), false));
    assert_eq!(failure.why.to_string(), "open 3.store: is a directory");
    assert_eq!((view.segments.len(), view.hidden_records), (1, 3));
}
