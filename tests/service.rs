//! What the Go service would make of each directory of the corpus: derived by hand from
//! its code and from how the directory came about, not from what the model says.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "the helpers of a test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use proglog::inspect::finding::OffsetRange;
use proglog::inspect::service::{
    Answer, DirFacts, Facts, Failure, Given, Held, Outcome, Planned, Printing, ReadBack, Roll,
    RollKind, Runs, ServiceConfig, ServiceView, Source, assume, model, reads,
};
use proglog::log::units::Offset;

fn log_dir(case: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fixtures.join(case).join("log")
}

fn config(printing: Printing, store: u64, index: u64, initial: u64) -> ServiceConfig {
    ServiceConfig {
        printing,
        max_store_bytes: store,
        max_index_bytes: index,
        initial_offset: Offset(initial),
    }
}

fn ranges(of: &[(u64, u64)]) -> Vec<OffsetRange> {
    let range = |&(first, last): &(u64, u64)| OffsetRange {
        first: Offset(first),
        last: Offset(last),
    };
    of.iter().map(range).collect()
}

fn runs(of: &[(u64, u64)]) -> Runs {
    let runs = ranges(of);
    Runs {
        offsets: runs.iter().map(|range| range.records()).sum(),
        runs,
    }
}

/// A segment's base and what it holds.
type Holds = (u64, &'static [(u64, u64)]);

fn held(of: &[Holds]) -> Vec<Held> {
    let held = |&(base, runs): &Holds| {
        ranges(runs).into_iter().map(move |range| Held {
            base: Offset(base),
            range,
            plain_names: true,
        })
    };
    of.iter().flat_map(held).collect()
}

/// What is expected of a case. Outcomes: the first append and the one after.
struct Case {
    name: &'static str,
    /// `MaxStoreBytes`, `MaxIndexBytes`, `InitialOffset` of its last run.
    limits: (u64, u64, u64),
    holds: &'static [Holds],
    /// Base and next offset of each segment.
    loads: &'static [(u64, u64)],
    /// Lowest and highest offset reported.
    reports: (u64, u64),
    hides: &'static [(u64, u64)],
    first: [Outcome; 2],
    /// The segment that the later printing opens before the next append.
    rolls: Option<(u64, RollKind)>,
    later: [Outcome; 2],
    /// Offsets answered by the record, by another record, and by an error.
    reads: Option<[&'static [(u64, u64)]; 3]>,
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

/// A case in which nothing is wrong: the records from `first` on, to before `next`.
fn sound(
    name: &'static str,
    limits: (u64, u64, u64),
    holds: &'static [Holds],
    loads: &'static [(u64, u64)],
    own: &'static [(u64, u64)],
) -> Case {
    let next = loads.last().unwrap().1;
    Case {
        name,
        limits,
        holds,
        loads,
        reports: (loads[0].0, next.saturating_sub(1)),
        hides: &[],
        first: [works(next), works(next + 1)],
        rolls: None,
        later: [works(next), works(next + 1)],
        reads: Some([own, &[], &[]]),
    }
}

/// A case in which the last index is padded: its first record is all that is seen, the
/// first printing refuses for ever, the later one begins a second history.
fn killed(
    name: &'static str,
    limits: (u64, u64, u64),
    holds: &'static [Holds],
    loads: &'static [(u64, u64)],
    hides: &'static [(u64, u64)],
    own: &'static [(u64, u64)],
) -> Case {
    let next = loads.last().unwrap().1;
    Case {
        name,
        limits,
        holds,
        loads,
        reports: (loads[0].0, next - 1),
        hides,
        first: [refused(next), refused(next)],
        rolls: Some((next, RollKind::Forks)),
        later: [repeats(next), repeats(next + 1)],
        reads: Some([own, &[], &[]]),
    }
}

fn cases() -> Vec<Case> {
    let mib = 1 << 20;
    vec![
        sound("clean-empty", (1024, 1024, 0), &[], &[(0, 0)], &[]),
        sound(
            "clean-one-segment",
            (mib, 12000, 0),
            &[(0, &[(0, 399)])],
            &[(0, 400)],
            &[(0, 399)],
        ),
        sound(
            "clean-three-segments",
            (1024, 1024, 0),
            &[(0, &[(0, 22)]), (23, &[(23, 42)]), (43, &[(43, 59)])],
            &[(0, 23), (23, 43), (43, 60)],
            &[(0, 59)],
        ),
        Case {
            // Segment 0 claims 0..4, so that segment 1 is never asked for 1..4.
            name: "forked",
            limits: (mib, 1024, 0),
            holds: &[(0, &[(0, 4)]), (1, &[(1, 3)])],
            loads: &[(0, 5), (1, 4)],
            reports: (0, 3),
            hides: &[(1, 3)],
            first: [repeats(4), works(5)],
            rolls: None,
            later: [repeats(4), works(5)],
            reads: Some([&[(0, 4)], &[], &[]]),
        },
        sound(
            "gap-orphans",
            (100_000, 4096, 0),
            &[(0, &[(0, 104)])],
            &[(0, 105)],
            &[(0, 104)],
        ),
        sound(
            "gap-torn",
            (mib, 12288, 0),
            &[(0, &[(0, 250)])],
            &[(0, 251)],
            &[(0, 250)],
        ),
        Case {
            // Entry 30 names a place inside a value: "011 inde", read as a length, is too
            // much for Go.
            reads: Some([&[(0, 29), (31, 59)], &[], &[]]),
            ..sound(
                "index-bit-flipped",
                (mib, 1024, 0),
                &[(0, &[(0, 29), (31, 59)])],
                &[(0, 60)],
                &[],
            )
        },
        Case {
            // 1048 bytes are 87 entries and 4 bytes. Entry 86 straddles two real ones and
            // begins with the low half of a position, 192. Entries 4..84 are zero: record 0.
            name: "index-misaligned",
            limits: (mib, 4096, 0),
            holds: &[(0, &[(0, 3)])],
            loads: &[(0, 193)],
            reports: (0, 192),
            hides: &[],
            first: [works(193), works(194)],
            rolls: None,
            later: [works(193), works(194)],
            reads: Some([&[(0, 3)], &[(4, 84)], &[(85, 192)]]),
        },
        Case {
            name: "index-missing",
            limits: (mib, 4096, 0),
            holds: &[(0, &[(0, 29)])],
            loads: &[(0, 0)],
            reports: (0, 0),
            hides: &[(0, 29)],
            first: [repeats(0), repeats(1)],
            rolls: None,
            later: [repeats(0), repeats(1)],
            reads: Some([&[], &[], &[]]),
        },
        Case {
            // MaxIndexBytes = 120 is ten entries: the index is full.
            name: "index-shrunk",
            limits: (mib, 120, 0),
            holds: &[(0, &[(0, 49)])],
            loads: &[(0, 10)],
            reports: (0, 9),
            hides: &[(10, 49)],
            first: [refused(10), refused(10)],
            rolls: Some((10, RollKind::Forks)),
            later: [repeats(10), repeats(11)],
            reads: Some([&[(0, 9)], &[], &[]]),
        },
        Case {
            // The zero entry is taken for record 0, which does not exist.
            rolls: Some((1, RollKind::AtTheEnd)),
            later: [works(1), works(2)],
            reads: Some([&[], &[], &[(0, 0)]]),
            ..killed("killed-empty", (1024, 1024, 0), &[], &[(0, 1)], &[], &[])
        },
        killed(
            "killed-index-ahead",
            (mib, 12288, 0),
            &[(0, &[(0, 242)])],
            &[(0, 1)],
            &[(1, 242)],
            &[(0, 0)],
        ),
        Case {
            // The only record is seen, and nothing is behind it to be repeated.
            rolls: Some((1, RollKind::AtTheEnd)),
            later: [works(1), works(2)],
            ..killed(
                "killed-one-record",
                (1024, 1024, 0),
                &[(0, &[(0, 0)])],
                &[(0, 1)],
                &[],
                &[(0, 0)],
            )
        },
        killed(
            "killed-padding-only",
            (mib, 4096, 0),
            &[(0, &[(0, 39)])],
            &[(0, 1)],
            &[(1, 39)],
            &[(0, 0)],
        ),
        killed(
            "killed-then-reopened",
            (mib, 12288, 0),
            &[(0, &[(0, 236)])],
            &[(0, 1)],
            &[(1, 236)],
            &[(0, 0)],
        ),
        killed(
            "killed-three-segments",
            (12000, 6000, 0),
            &[(0, &[(0, 159)]), (235, &[(235, 389)]), (465, &[(465, 623)])],
            &[(0, 1), (235, 236), (465, 466)],
            &[(1, 159), (236, 389), (466, 623)],
            &[(0, 0), (235, 235), (465, 465)],
        ),
        sound(
            "length-flipped",
            (mib, 1024, 0),
            &[(0, &[(0, 19), (21, 59)])],
            &[(0, 60)],
            &[(0, 19), (21, 59)],
        ),
        sound(
            "raft-log",
            (1500, 1200, 1),
            &[(1, &[(1, 27)]), (28, &[(28, 50)])],
            &[(1, 28), (28, 51)],
            &[(1, 50)],
        ),
        killed(
            "raft-log-never-closed",
            (mib, 12000, 1),
            &[(1, &[(1, 374)])],
            &[(1, 2)],
            &[(2, 374)],
            &[(1, 1)],
        ),
        Case {
            // What a raw payload is to a protobuf decoder is chance.
            reads: None,
            ..sound(
                "raw-binary",
                (mib, 1024, 0),
                &[(0, &[(0, 39)])],
                &[(0, 40)],
                &[],
            )
        },
        Case {
            reads: None,
            ..sound(
                "raw-clean",
                (1024, 1024, 0),
                &[(0, &[(0, 25)]), (26, &[(26, 48)]), (49, &[(49, 59)])],
                &[(0, 26), (26, 49), (49, 60)],
                &[],
            )
        },
        Case {
            reads: None,
            ..sound(
                "raw-torn",
                (mib, 1024, 0),
                &[(0, &[(0, 58)])],
                &[(0, 60)],
                &[],
            )
        },
        sound(
            "segment-missing",
            (1024, 1024, 0),
            &[(0, &[(0, 19)]), (41, &[(41, 57)]), (58, &[(58, 59)])],
            &[(0, 20), (41, 58), (58, 60)],
            &[(0, 19), (41, 59)],
        ),
        Case {
            // It makes an empty 19.store; the entries then name nothing.
            reads: Some([&[(0, 18), (42, 59)], &[], &[(19, 41)]]),
            ..sound(
                "store-missing",
                (1024, 1024, 0),
                &[(0, &[(0, 18)]), (42, &[(42, 59)])],
                &[(0, 19), (19, 42), (42, 60)],
                &[],
            )
        },
        sound(
            "store-zero-tail",
            (mib, 1024, 0),
            &[(0, &[(0, 59)])],
            &[(0, 60)],
            &[(0, 59)],
        ),
        Case {
            name: "wedged",
            limits: (100_000, 1024, 0),
            holds: &[(0, &[(0, 84)])],
            loads: &[(0, 85)],
            reports: (0, 84),
            hides: &[],
            first: [refused(85), refused(85)],
            rolls: Some((85, RollKind::AtTheEnd)),
            later: [works(85), works(86)],
            reads: Some([&[(0, 84)], &[], &[]]),
        },
    ]
}

fn outcomes(view: &ServiceView) -> Vec<Outcome> {
    let appends = view.appends.iter();
    appends.map(|append| append.outcome.clone()).collect()
}

fn check(case: &Case, printing: Printing) {
    let (store, index, initial) = case.limits;
    let config = config(printing, store, index, initial);
    let name = format!("{}, {printing:?}", case.name);
    let mut facts = DirFacts::new(&log_dir(case.name));
    let view = model(&mut facts, &config, &held(case.holds)).unwrap();
    assert_eq!(view.failure, None, "{name}");
    let loads: Vec<_> = view.segments.iter().map(|s| (s.base.0, s.next.0)).collect();
    assert_eq!(loads, case.loads, "{name}");
    let (lowest, highest) = case.reports;
    assert_eq!(view.lowest, Some(Offset(lowest)), "{name}");
    assert_eq!(view.highest, Some(Offset(highest)), "{name}");
    let hides: Vec<_> = view.hidden.iter().map(|hidden| hidden.range).collect();
    assert_eq!(hides, ranges(case.hides), "{name}");
    let hidden: u64 = hides.iter().map(|range| range.records()).sum();
    assert_eq!(view.hidden_records, hidden, "{name}");
    let (expected, rolls) = match printing {
        Printing::First => (&case.first, None),
        Printing::Later => (&case.later, case.rolls),
    };
    assert_eq!(outcomes(&view), expected, "{name}");
    let roll = rolls.map(|(base, kind)| Roll {
        base: Offset(base),
        kind,
        failure: None,
    });
    assert_eq!(view.appends[0].rolls_before, roll, "{name}");
    if let Some([own, foreign, errors]) = case.reads {
        let reads = reads(&mut facts, &config).unwrap();
        assert_eq!(reads.own, runs(own), "{name}");
        assert_eq!(reads.foreign, runs(foreign), "{name}");
        assert_eq!(reads.errors, runs(errors), "{name}");
    }
}

#[test]
fn each_case_as_the_go_code_has_it() {
    let cases = cases();
    for case in &cases {
        check(case, Printing::First);
        check(case, Printing::Later);
    }
    // The other two have tests of their own.
    assert_eq!(cases.len() + 2, 28);
}

#[test]
fn only_the_cases_without_a_wound_are_sound_to_the_service() {
    for case in cases() {
        let (store, index, initial) = case.limits;
        let config = config(Printing::First, store, index, initial);
        let facts = DirFacts::new(&log_dir(case.name));
        let view = model(facts, &config, &held(case.holds)).unwrap();
        let misaligned = case.name == "index-misaligned";
        let expected =
            case.hides.is_empty() && case.first[0] == works(case.loads.last().unwrap().1);
        assert_eq!(view.is_sound(), expected && !misaligned, "{}", case.name);
    }
}

#[test]
fn forked_appends_vanish_behind_the_older_segment() {
    let config = config(Printing::First, 1 << 20, 1024, 0);
    let held = held(&[(0, &[(0, 4)]), (1, &[(1, 3)])]);
    let view = model(DirFacts::new(&log_dir("forked")), &config, &held).unwrap();
    assert_eq!(view.doubles.len(), 1);
    assert_eq!(view.doubles[0].shadowed, Offset(1));
    assert_eq!(view.doubles[0].range, ranges(&[(1, 3)])[0]);
    assert_eq!(view.served_by(Offset(2)), Some(Offset(0)));
    assert_eq!(view.served_by(Offset(5)), None);
    // The record goes to segment 1, the reader is sent to segment 0.
    assert_eq!(view.appends[0].segment, Some(Offset(1)));
    assert!(matches!(
        view.appends[0].read_back,
        Some(ReadBack::Another {
            segment: Offset(0),
            answer: Answer::Record {
                carries: Offset(4),
                ..
            }
        })
    ));
    assert_eq!(view.appends[1].read_back, Some(ReadBack::Itself));
}

#[test]
fn a_misaligned_append_is_not_found_again() {
    let config = config(Printing::First, 1 << 20, 4096, 0);
    let facts = DirFacts::new(&log_dir("index-misaligned"));
    let view = model(facts, &config, &held(&[(0, &[(0, 3)])])).unwrap();
    assert_eq!(view.appends[0].entry_at, 1048);
    let answer = Answer::Error("EOF");
    let segment = Offset(0);
    let expected = ReadBack::Another { segment, answer };
    assert_eq!(view.appends[0].read_back, Some(expected));
}

#[test]
fn a_length_too_large_for_go_ends_the_process() {
    let config = config(Printing::First, 1 << 20, 1024, 0);
    for (case, offset, claimed) in [
        ("length-flipped", 20, (1 << 54) + 30),
        ("index-bit-flipped", 30, 0x3031_3120_696e_6465),
    ] {
        let reads = reads(DirFacts::new(&log_dir(case)), &config).unwrap();
        assert_eq!(reads.panics, runs(&[(offset, offset)]), "{case}");
        let file = "0.store".to_owned();
        let answer = Answer::Panics(Failure::Length { file, claimed });
        assert_eq!(reads.worst, Some((Offset(offset), answer)), "{case}");
    }
}

#[test]
fn padded_names_open_an_empty_twin() {
    for printing in [Printing::First, Printing::Later] {
        let config = config(printing, 1 << 20, 1024, 0);
        let held = [Held {
            base: Offset(0),
            range: ranges(&[(0, 19)])[0],
            plain_names: false,
        }];
        let mut facts = DirFacts::new(&log_dir("padded-names"));
        let view = model(&mut facts, &config, &held).unwrap();
        assert_eq!(view.creates, ["0.store", "0.index"]);
        assert_eq!((view.segments.len(), view.highest), (1, Some(Offset(0))));
        assert_eq!((view.visible_records, view.hidden_records), (0, 20));
        assert_eq!(outcomes(&view), [repeats(0), repeats(1)]);

        let mut renamed = Planned::new(facts);
        for kind in ["store", "index"] {
            let from = format!("00000000000000000000.{kind}");
            renamed.rename(&from, &format!("0.{kind}")).unwrap();
        }
        let held = held_plain(&held);
        let view = model(&mut renamed, &config, &held).unwrap();
        assert!(view.is_sound() && view.creates.is_empty());
        assert_eq!(outcomes(&view), [works(20), works(21)]);
        let reads = reads(renamed, &config).unwrap();
        assert_eq!(reads.own, runs(&[(0, 19)]));
    }
}

fn held_plain(held: &[Held]) -> Vec<Held> {
    let plain = |held: &Held| Held {
        plain_names: true,
        ..*held
    };
    held.iter().map(plain).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a sandbox of the test's own")]
fn stray_files_open_a_segment_three_times() {
    let sandbox = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(log_dir("stray-files")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), sandbox.path().join(entry.file_name())).unwrap();
        }
    }
    fs::create_dir(sandbox.path().join("lost+found")).unwrap();
    let held = held(&[(0, &[(0, 20)]), (21, &[(21, 41)]), (42, &[(42, 59)])]);
    for printing in [Printing::First, Printing::Later] {
        let config = config(printing, 1024, 1024, 0);
        let mut facts = Planned::new(DirFacts::new(sandbox.path()));
        // Nine names: 0 five times, 21 and 42 twice; every other one is opened. The second
        // and third 0 see the index as the first one stretched it.
        let view = model(&mut facts, &config, &held).unwrap();
        let loads: Vec<_> = view.segments.iter().map(|s| (s.base.0, s.next.0)).collect();
        assert_eq!(loads, [(0, 21), (0, 1), (0, 1), (21, 42), (42, 60)]);
        let twins: Vec<_> = view.segments.iter().map(|s| s.twin).collect();
        assert_eq!(twins, [false, true, true, false, false]);
        assert_eq!(view.pads_on_close, [Offset(0)]);
        assert_eq!(
            (view.lowest, view.highest),
            (Some(Offset(0)), Some(Offset(59)))
        );
        assert!(view.doubles.is_empty() && view.hidden.is_empty() && view.skipped.is_empty());
        assert_eq!(outcomes(&view), [works(60), works(61)]);
        assert_eq!(reads(&mut facts, &config).unwrap().own, runs(&[(0, 59)]));

        // Without the strays: one segment each, and nothing is padded on close.
        for stray in ["LOCK", "lost+found", "0.index.bak"] {
            facts.remove(stray.as_ref());
        }
        assert_eq!(facts.names().unwrap().len(), 6);
        let view = model(&mut facts, &config, &held).unwrap();
        assert_eq!((view.segments.len(), view.pads_on_close.len()), (3, 0));
    }
}

#[test]
fn killed_index_ahead_after_its_repair() {
    for printing in [Printing::First, Printing::Later] {
        let config = config(printing, 1 << 20, 12288, 0);
        let mut planned = Planned::new(DirFacts::new(&log_dir("killed-index-ahead")));
        planned.set_len("0.index", 243 * 12).unwrap();
        planned.set_len("0.store", 12272).unwrap();
        let view = model(&mut planned, &config, &held(&[(0, &[(0, 242)])])).unwrap();
        assert!(view.is_sound());
        assert_eq!(
            (view.highest, view.visible_records),
            (Some(Offset(242)), 243)
        );
        assert_eq!(outcomes(&view), [works(243), works(244)]);
        assert_eq!(reads(planned, &config).unwrap().own, runs(&[(0, 242)]));
    }
}

#[test]
fn what_the_files_show_of_the_limits() {
    let shown = |case: &str| {
        let mut facts = DirFacts::new(&log_dir(case));
        let (config, sources) = assume(&mut facts, Printing::First, &Given::default()).unwrap();
        (
            (config.max_store_bytes, sources.max_store_bytes),
            (config.max_index_bytes, sources.max_index_bytes),
        )
    };
    let default = (1024, Source::BookDefault);
    assert_eq!(shown("clean-empty"), (default, default));
    assert_eq!(shown("wedged").1, default);
    let three = ((1093, Source::LargestSealed), default);
    assert_eq!(shown("clean-three-segments"), three);
    // 20157 and 4800 bytes: more than the default, and nothing sealed.
    let one = ((32768, Source::RoomForMore), (8192, Source::RoomForMore));
    assert_eq!(shown("clean-one-segment"), one);
    for (case, bytes) in [
        ("killed-empty", 1024),
        ("killed-one-record", 1024),
        ("killed-padding-only", 4096),
        ("killed-index-ahead", 12288),
        ("killed-then-reopened", 12288),
        ("killed-three-segments", 6000),
        ("raft-log-never-closed", 12000),
    ] {
        assert_eq!(shown(case).1, (bytes, Source::PaddedIndex), "{case}");
    }
    assert_eq!(shown("index-misaligned").1, (2048, Source::RoomForMore));
}
