//! What is peculiar to single cases of the corpus.

use std::fs;

use proglog::inspect::service::{
    Answer, DirFacts, Edition, Facts, Failure, Given, Held, Planned, ReadBack, Source, assume,
    model, reads,
};
use proglog::log::dir::Dir;
use proglog::log::units::Offset;

use super::{config, held, log_dir, outcomes, ranges, repeats, runs, works};

#[test]
fn forked_appends_vanish_behind_the_older_segment() {
    let config = config(Edition::First, 1 << 20, 1024, 0);
    let held = held(&[(0, &[(0, 4)]), (1, &[(1, 3)])]);
    let view = model(
        DirFacts::of(&Dir::open(&log_dir("forked")).unwrap()),
        &config,
        &held,
    )
    .unwrap();
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
    let config = config(Edition::First, 1 << 20, 4096, 0);
    let facts = DirFacts::of(&Dir::open(&log_dir("index-misaligned")).unwrap());
    let view = model(facts, &config, &held(&[(0, &[(0, 3)])])).unwrap();
    assert_eq!(view.appends[0].entry_at, 1048);
    let answer = Answer::Error("EOF");
    let segment = Offset(0);
    let expected = ReadBack::Another { segment, answer };
    assert_eq!(view.appends[0].read_back, Some(expected));
}

#[test]
fn a_length_too_large_for_go_ends_the_process() {
    let config = config(Edition::First, 1 << 20, 1024, 0);
    for (case, offset, claimed) in [
        ("length-flipped", 20, (1 << 54) + 30),
        ("index-bit-flipped", 30, 0x3031_3120_696e_6465),
    ] {
        let reads = reads(DirFacts::of(&Dir::open(&log_dir(case)).unwrap()), &config).unwrap();
        assert_eq!(reads.panics, runs(&[(offset, offset)]), "{case}");
        let file = "0.store".to_owned();
        let answer = Answer::Panics(Failure::Length { file, claimed });
        assert_eq!(reads.worst, Some((Offset(offset), answer)), "{case}");
    }
}

#[test]
fn padded_names_open_an_empty_twin() {
    for edition in [Edition::First, Edition::Later] {
        let config = config(edition, 1 << 20, 1024, 0);
        let held = [Held {
            base: Offset(0),
            range: ranges(&[(0, 19)])[0],
            plain_names: false,
        }];
        let mut facts = DirFacts::of(&Dir::open(&log_dir("padded-names")).unwrap());
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
    for edition in [Edition::First, Edition::Later] {
        let config = config(edition, 1024, 1024, 0);
        let mut facts = Planned::new(DirFacts::of(&Dir::open(sandbox.path()).unwrap()));
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
    for edition in [Edition::First, Edition::Later] {
        let config = config(edition, 1 << 20, 12288, 0);
        let mut planned = Planned::new(DirFacts::of(
            &Dir::open(&log_dir("killed-index-ahead")).unwrap(),
        ));
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
        let mut facts = DirFacts::of(&Dir::open(&log_dir(case)).unwrap());
        let (config, sources) = assume(&mut facts, Edition::First, &Given::default()).unwrap();
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
