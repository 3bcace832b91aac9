//! The answers to reads, and the segments that give them.

use super::*;

/// A log of one entry that names `position` in `store`.
fn one(store: Vec<u8>, position: u64) -> Made {
    Made::default()
        .file("0.store", store)
        .file("0.index", entry(0, position))
}

fn answer(made: Made) -> (Reads, Option<Answer>) {
    let reads = reads(made, &config(FIRST, 1024)).unwrap();
    let answer = reads.worst.clone().map(|(_, answer)| answer);
    (reads, answer)
}

#[test]
fn answers_to_a_read() {
    let store = |claimed: u64, payload: &[u8]| {
        let mut store = encode_length(claimed).to_vec();
        store.extend(payload);
        store
    };
    assert_eq!(answer(one(frame(0), 0)).0.own.offsets, 1);
    assert_eq!(answer(one(frame(7), 0)).0.foreign.offsets, 1);
    // An empty payload is the empty record 0.
    assert_eq!(answer(one(store(0, &[]), 0)).0.own.offsets, 1);
    // The store ends before the length does: a plain EOF.
    let (reads, worst) = answer(one(frame(0), 4));
    assert_eq!((reads.errors.offsets, worst), (1, None));
    let (reads, worst) = answer(one(frame(0), u64::MAX));
    assert_eq!(
        (reads.errors.offsets, worst),
        (1, Some(Answer::Error("negative offset")))
    );
    let (reads, worst) = answer(one(store(5, &[0x0a]), 0));
    assert_eq!((reads.too_long.offsets, reads.errors.offsets), (1, 1));
    assert_eq!(worst, Some(Answer::TooLong { claimed: 5 }));
    let claimed = 1 << 48;
    let worst = answer(one(store(claimed, &[]), 0)).1;
    assert_eq!(worst, Some(Answer::TooLong { claimed }));
    let claimed = claimed + 1;
    let (reads, worst) = answer(one(store(claimed, &[]), 0));
    let file = "0.store".to_owned();
    assert_eq!(
        worst,
        Some(Answer::Panics(Failure::Length { file, claimed }))
    );
    assert_eq!((reads.panics.offsets, reads.errors.offsets), (1, 0));
    let (reads, worst) = answer(one(store(1, &[0xff]), 0));
    let proto = Answer::Error("proto: cannot parse invalid wire-format data");
    assert_eq!((reads.errors.offsets, worst), (1, Some(proto)));
    let mut broken = one(frame(0), 0);
    broken.unreadable = true;
    assert_eq!(answer(broken).1, Some(Answer::Error("input/output error")));
}

#[test]
fn a_long_value_is_passed_over() {
    for (value_bytes, fields) in [(4090, 3), (5000, 3), (1 << 20, 3)] {
        let mut payload = vec![0x0a];
        let mut rest = value_bytes;
        while rest > 0x7f {
            payload.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        payload.push(u8::try_from(rest).unwrap());
        payload.resize(payload.len() + value_bytes, 0xff);
        payload.extend([0x10, 5, 0x18, fields]);
        let mut store = encode_length(payload.len() as u64).to_vec();
        store.extend(&payload);
        let made = Made::default()
            .file("5.store", store.clone())
            .file("5.index", entry(0, 0));
        assert_eq!(answer(made).0.own.runs, [span(5, 5)], "{value_bytes}");
        // A value that reaches past the payload.
        store.truncate(8 + 4200.min(payload.len() - 4));
        let short = store.len() as u64 - 8;
        store[..8].copy_from_slice(&encode_length(short));
        let made = Made::default()
            .file("5.store", store)
            .file("5.index", entry(0, 0));
        let expected = u64::from(value_bytes > 4200);
        assert_eq!(answer(made).0.errors.offsets, expected, "{value_bytes}");
    }
}

#[test]
fn a_wrong_last_entry_claims_offsets_that_do_not_exist() {
    let made = Made::default().segment(0, 3);
    let index = [entry(0, 0), entry(1, 11), entry(u64::from(u32::MAX), 24)].concat();
    let made = made.file("0.index", index);
    let config = config(FIRST, 1024);
    let view = view(&made, &config, &[held(0, 0, 1)]);
    assert_eq!(view.highest, Some(Offset(u64::from(u32::MAX))));
    let reads = reads(made, &config).unwrap();
    assert_eq!(reads.own.runs, [span(0, 2)]);
    assert_eq!(reads.errors.runs, [span(3, u64::from(u32::MAX))]);
}

#[test]
fn the_first_segment_that_claims_an_offset_answers() {
    let made = Made::default().segment(0, 5).segment(2, 2).segment(4, 4);
    let held = [held(0, 0, 4), held(2, 2, 3), held(4, 4, 7)];
    let view = view(&made, &config(FIRST, 1024), &held);
    let shadows: Vec<_> = view
        .doubles
        .iter()
        .map(|d| (d.shadowed.0, d.range))
        .collect();
    assert_eq!(shadows, [(2, span(2, 3)), (4, span(4, 4))]);
    let hidden: Vec<_> = view.hidden.iter().map(|h| (h.base.0, h.range)).collect();
    assert_eq!(hidden, shadows);
    let routes: Vec<_> = view.routes.iter().map(|r| (r.base.0, r.range)).collect();
    assert_eq!(routes, [(0, span(0, 4)), (4, span(5, 7))]);
    assert_eq!(view.served_by(Offset(4)), Some(Offset(0)));
    assert_eq!(view.served_by(Offset(7)), Some(Offset(4)));
    assert_eq!(view.served_by(Offset(8)), None);
}
