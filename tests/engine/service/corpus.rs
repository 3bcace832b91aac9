//! Each case as the Go code has it.

use proglog::inspect::service::{DirFacts, Edition, Roll, model, reads};
use proglog::log::dir::Dir;
use proglog::log::units::Offset;

use super::cases::{Case, cases};
use super::{config, held, log_dir, outcomes, ranges, runs, works};

fn check(case: &Case, edition: Edition) {
    let (store, index, initial) = case.limits;
    let config = config(edition, store, index, initial);
    let name = format!("{}, {edition:?}", case.name);
    let mut facts = DirFacts::of(&Dir::open(&log_dir(case.name)).unwrap());
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
    let (expected, rolls) = match edition {
        Edition::First => (&case.first, None),
        Edition::Later => (&case.later, case.rolls),
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
        check(case, Edition::First);
        check(case, Edition::Later);
    }
    // The other two have tests of their own.
    assert_eq!(cases.len() + 2, 28);
}

#[test]
fn only_the_cases_without_a_wound_are_sound_to_the_service() {
    for case in cases() {
        let (store, index, initial) = case.limits;
        let config = config(Edition::First, store, index, initial);
        let facts = DirFacts::of(&Dir::open(&log_dir(case.name)).unwrap());
        let view = model(facts, &config, &held(case.holds)).unwrap();
        let misaligned = case.name == "index-misaligned";
        let expected =
            case.hides.is_empty() && case.first[0] == works(case.loads.last().unwrap().1);
        assert_eq!(view.is_sound(), expected && !misaligned, "{}", case.name);
    }
}
