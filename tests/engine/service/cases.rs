//! What is expected of each case of the corpus.

use proglog::inspect::service::{Outcome, RollKind};

use super::{Holds, refused, repeats, works};

/// What is expected of a case. Outcomes: the first append and the one after.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// `MaxStoreBytes`, `MaxIndexBytes`, `InitialOffset` of its last run.
    pub(crate) limits: (u64, u64, u64),
    pub(crate) holds: &'static [Holds],
    /// Base and next offset of each segment.
    pub(crate) loads: &'static [(u64, u64)],
    /// Lowest and highest offset reported.
    pub(crate) reports: (u64, u64),
    pub(crate) hides: &'static [(u64, u64)],
    pub(crate) first: [Outcome; 2],
    /// The segment that the later edition opens before the next append.
    pub(crate) rolls: Option<(u64, RollKind)>,
    pub(crate) later: [Outcome; 2],
    /// Offsets answered by the record, by another record, and by an error.
    pub(crate) reads: Option<[&'static [(u64, u64)]; 3]>,
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
/// first edition refuses forever, the later one begins a second history.
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

pub(crate) fn cases() -> Vec<Case> {
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
