//! The quirks of the Go service, one by one, on directories that are made up.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use proptest::prelude::*;

use super::*;
use crate::log::format::{Entry, FileKind, encode_length, file_name};
use crate::log::units::{Position, RelativeOffset};

/// A directory in memory; `None` stands for a directory under a name.
#[derive(Debug, Clone, Default)]
struct Made {
    files: BTreeMap<String, Option<Vec<u8>>>,
    /// Stores that the disk gives errors for.
    unreadable: bool,
}

impl Facts for Made {
    fn names(&mut self) -> io::Result<Vec<OsString>> {
        Ok(self.files.keys().map(OsString::from).collect())
    }

    fn file(&mut self, name: &str) -> io::Result<FileFact> {
        Ok(match self.files.get(name) {
            None => FileFact::Missing,
            Some(None) => FileFact::Directory,
            Some(Some(bytes)) => FileFact::Regular {
                bytes: bytes.len() as u64,
            },
        })
    }

    fn read_at(&mut self, name: &str, position: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.unreadable && name.ends_with("store") {
            return Err(io::Error::other("EIO"));
        }
        let Some(Some(bytes)) = self.files.get(name) else {
            return Ok(0);
        };
        let from = usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let rest = &bytes[from..];
        let got = rest.len().min(into.len());
        into[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }
}

impl Made {
    fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.to_owned(), Some(bytes.into()));
        self
    }

    fn directory(mut self, name: &str) -> Self {
        self.files.insert(name.to_owned(), None);
        self
    }

    /// A clean segment of `records` records.
    fn segment(self, base: u64, records: u64) -> Self {
        let (mut store, mut index) = (Vec::new(), Vec::new());
        for relative in 0..records {
            index.extend(entry(relative, store.len() as u64));
            store.extend(frame(base + relative));
        }
        let name = |kind| file_name(Offset(base), kind);
        self.file(&name(FileKind::Store), store)
            .file(&name(FileKind::Index), index)
    }

    /// Stretches or cuts a file.
    fn sized(mut self, name: &str, bytes: usize) -> Self {
        let file = self.files.get_mut(name).unwrap().as_mut().unwrap();
        file.resize(bytes, 0);
        self
    }
}

fn entry(relative: u64, position: u64) -> [u8; 12] {
    let relative = RelativeOffset(u32::try_from(relative).unwrap());
    let position = Position(position);
    Entry { relative, position }.encode()
}

fn frame(offset: u64) -> Vec<u8> {
    let payload = record::sample(Offset(offset));
    let mut frame = encode_length(payload.len() as u64).to_vec();
    frame.extend(payload);
    frame
}

fn config(printing: Printing, max_index_bytes: u64) -> ServiceConfig {
    ServiceConfig {
        printing,
        max_store_bytes: 1 << 20,
        max_index_bytes,
        initial_offset: Offset(0),
    }
}

const FIRST: Printing = Printing::First;
const LATER: Printing = Printing::Later;

fn held(base: u64, first: u64, last: u64) -> Held {
    Held {
        base: Offset(base),
        range: span(first, last),
        plain_names: true,
    }
}

fn span(first: u64, last: u64) -> OffsetRange {
    let (first, last) = (Offset(first), Offset(last));
    OffsetRange { first, last }
}

fn view(made: &Made, config: &ServiceConfig, held: &[Held]) -> ServiceView {
    model(&mut made.clone(), config, held).unwrap()
}

fn loads(view: &ServiceView) -> Vec<(u64, u64)> {
    view.segments.iter().map(|s| (s.base.0, s.next.0)).collect()
}

fn outcomes(view: &ServiceView) -> Vec<Outcome> {
    view.appends.iter().map(|a| a.outcome.clone()).collect()
}

fn works(offset: u64) -> Outcome {
    let offset = Offset(offset);
    Outcome::Works { offset }
}

fn repeats(offset: u64) -> Outcome {
    let offset = Offset(offset);
    Outcome::Repeats { offset }
}

fn refused(offset: u64) -> Outcome {
    Outcome::Refused {
        offset: Offset(offset),
        error: "EOF",
    }
}

fn roll(base: u64, kind: RollKind) -> Roll {
    let base = Offset(base);
    let failure = None;
    Roll {
        base,
        kind,
        failure,
    }
}

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
    for printing in [FIRST, LATER] {
        let config = ServiceConfig {
            initial_offset: Offset(1),
            ..config(printing, 0)
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
    for printing in [FIRST, LATER] {
        let config = config(printing, 1024);
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
        if printing == FIRST {
            assert_eq!(outcomes(&view), [refused(1), refused(1)]);
        } else {
            // The new segment 1 stands behind 0, which claims 1 too and answers for it.
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
    for printing in [FIRST, LATER] {
        let view = view(&made, &config(printing, 4096), &[held(0, 0, 3)]);
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
fn a_limit_that_is_no_multiple_of_twelve_wedges_the_first_printing() {
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
    // With room for whole entries only, the first printing rolls in time.
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
fn a_full_store_rolls_after_or_before() {
    let made = Made::default().segment(0, 10);
    let limited = |printing| ServiceConfig {
        max_store_bytes: 100,
        ..config(printing, 1024)
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
fn the_later_printing_with_a_store_that_no_entry_names() {
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
    assert_eq!((config.printing, config.initial_offset), (LATER, Offset(1)));
    assert_eq!(sources.max_store_bytes, Source::Given);
    assert_eq!(sources.max_index_bytes, Source::Given);
}

#[test]
fn plans_change_what_is_seen_and_nothing_else() {
    let mut made = Made::default().file("a", *b"0123456789");
    let mut planned = Planned::new(&mut made);
    let see = |planned: &mut Planned<&mut Made>, name: &str, position| {
        let mut bytes = [b'?'; 6];
        let got = planned.read_at(name, position, &mut bytes).unwrap();
        String::from_utf8(bytes[..got].to_vec()).unwrap()
    };
    planned.set_len("a", 4).unwrap();
    planned.set_len("a", 6).unwrap();
    assert_eq!(see(&mut planned, "a", 0), "0123\0\0");
    planned.put("a", 5, b"xyz").unwrap();
    planned.put("a", 1, b"AB").unwrap();
    planned.put("a", 2, b"C").unwrap();
    assert_eq!(see(&mut planned, "a", 0), "0AC3\0x");
    assert_eq!(see(&mut planned, "a", 3), "3\0xyz");
    assert_eq!(see(&mut planned, "a", 9), "");
    planned.set_len("a", 7).unwrap();
    planned.set_len("a", 9).unwrap();
    assert_eq!(see(&mut planned, "a", 4), "\0xy\0\0");
    planned.rename("a", "b").unwrap();
    assert_eq!(see(&mut planned, "b", 0), "0AC3\0x");
    assert_eq!(planned.file("a").unwrap(), FileFact::Missing);
    planned.put("c", 0, b"c").unwrap();
    assert_eq!(planned.names().unwrap(), ["b", "c"]);
    planned.remove(OsStr::new("b"));
    planned.set_len("b", 1).unwrap();
    assert_eq!(see(&mut planned, "b", 0), "\0");
    let FileFact::Regular { bytes } = Facts::file(&mut made, "a").unwrap() else {
        panic!("gone");
    };
    assert_eq!(bytes, 10);
}

proptest! {
    /// Whatever stands in a directory, the model comes to an end with figures that add up.
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
            printing: if later { LATER } else { FIRST },
            max_store_bytes,
            max_index_bytes,
            initial_offset: Offset(0),
        };
        let held: Vec<_> = ranges.iter().map(|(b, f, n)| held(*b, *f, f + n)).collect();
        let view = view(&made, &config, &held);
        let records: u64 = held.iter().map(|held| held.range.records()).sum();
        prop_assert_eq!(view.visible_records + view.hidden_records, records);
        // The routes are what asking each segment in turn gives.
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
        assume(&mut made.clone(), config.printing, &Given::default()).unwrap();
    }
}
