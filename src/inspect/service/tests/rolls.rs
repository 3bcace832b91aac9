//! When a segment is full, and where the next one begins.

use super::*;

#[test]
fn a_full_store_rolls_after_or_before() {
    let made = Made::default().segment(0, 10);
    let limited = |edition| ServiceConfig {
        max_store_bytes: 100,
        ..config(edition, 1024)
    };
    let first = view(&made, &limited(FIRST), &[held(0, 0, 9)]);
    assert_eq!(
        (first.appends[0].segment, outcomes(&first)[0].clone()),
        (Some(Offset(0)), works(10))
    );
    assert_eq!(
        first.appends[0].rolls_after,
        Some(roll(11, RollKind::AtTheEnd))
    );
    let later = view(&made, &limited(LATER), &[held(0, 0, 9)]);
    assert_eq!(
        (later.appends[0].segment, outcomes(&later)[0].clone()),
        (Some(Offset(10)), works(10))
    );
    assert_eq!(
        later.appends[0].rolls_before,
        Some(roll(10, RollKind::AtTheEnd))
    );
}

#[test]
fn the_later_edition_with_a_store_that_no_entry_names() {
    let limited = ServiceConfig {
        max_store_bytes: 10,
        ..config(LATER, 1024)
    };
    // The highest offset of an empty log is 0: offset 0 is left out.
    let zero = Made::default().segment(0, 3).sized("0.index", 0);
    let zero = view(&zero, &limited, &[]);
    assert_eq!(zero.appends[0].rolls_before, Some(roll(1, RollKind::Skips)));
    assert_eq!(outcomes(&zero)[0], works(1));
    assert!(!zero.is_sound());
    // Above 0 it opens the same pair again, stretched by then, which refuses once.
    let seven = Made::default().segment(7, 3).sized("7.index", 0);
    let seven = view(&seven, &limited, &[]);
    assert_eq!(seven.appends[0].rolls_before, Some(roll(7, RollKind::Twin)));
    assert_eq!(outcomes(&seven), [refused(8), works(8)]);
    assert_eq!(
        seven.appends[1].rolls_before,
        Some(roll(8, RollKind::AtTheEnd))
    );
}

#[test]
fn a_roll_that_fails() {
    // 0, 0, 10, 12: 12 is skipped on open, and found when the log gets there.
    let made = |records| {
        Made::default()
            .segment(0, 10)
            .segment(10, records)
            .directory("12.index")
    };
    let made = |records| {
        let mut made = made(records);
        made.files.remove("10.store");
        made
    };
    let why = Failure::Open {
        file: "12.index".to_owned(),
        error: "is a directory",
    };
    let first = view(&made(1), &config(FIRST, 24), &[]);
    assert!(
        first.failure.is_some(),
        "segment 0 has more than two entries"
    );
    let first = view(&made(1), &config(FIRST, 120), &[]);
    assert_eq!(loads(&first), [(0, 10), (10, 11)]);
    assert_eq!(first.appends[0].rolls_after, None);
    let short = Made::default()
        .segment(0, 2)
        .file("10.index", entry(0, 0))
        .directory("12.index");
    let first = view(&short, &config(FIRST, 24), &[]);
    assert_eq!(outcomes(&first)[0], works(11));
    let after = first.appends[0].rolls_after.as_ref().unwrap();
    assert_eq!(
        (after.base, after.failure.as_ref()),
        (Offset(12), Some(&why))
    );
    assert_eq!(outcomes(&first)[1], refused(12));
    let full = short.file("10.index", [entry(0, 0), entry(1, 0)].concat());
    let later = view(&full, &config(LATER, 24), &[]);
    assert_eq!(outcomes(&later)[0], Outcome::DoesNotRoll { why });
}

#[test]
fn a_roll_into_a_larger_index_panics() {
    let made = Made::default()
        .segment(0, 2)
        .file("10.index", [entry(0, 0), entry(1, 0)].concat())
        .file("12.index", [0; 36]);
    let view = view(&made, &config(LATER, 24), &[]);
    assert_eq!(view.skipped, [Offset(12)]);
    assert!(matches!(&outcomes(&view)[..], [Outcome::Panics { why }] if why.is_panic()));
}

#[test]
fn a_fork_repeats_offsets() {
    let made = Made::default().segment(0, 40).sized("0.index", 1024);
    let view = view(&made, &config(LATER, 1024), &[held(0, 0, 39)]);
    assert_eq!(view.appends[0].rolls_before, Some(roll(1, RollKind::Forks)));
    assert_eq!(outcomes(&view), [repeats(1), repeats(2)]);
    assert_eq!(view.appends[0].read_back, Some(ReadBack::Itself));
    assert_eq!(view.hidden[0].range, span(1, 39));
}
