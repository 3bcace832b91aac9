//! The engine against a `Vec`: random sequences of append, commit, reopen, kill, a disk
//! that fails, what a crash leaves, repair, trim, undo, and after each of them every
//! way of reading, in process, on real files.
//!
//! - `system`: the log and the `Vec`, and each operation done to both; `mending`: the
//!   operations of a closed log; `mortal`: a disk that dies or fails when it is told to
//!
//! `PROGLOG_MODEL_CASES=100000 cargo test --release --test engine model::` tries so many
//! sequences. A failure prints the seed of its run and, made as short as possible, the
//! sequence: `PROGLOG_TEST_SEED=17` brings the run back.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "all of it is test: it changes its own sandbox and fails by panicking"
)]

mod mending;
mod mortal;
mod system;

use std::time::Instant;

use proglog_testkit::{report, variable};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use mortal::Fuse;
use system::{Junk, Limits, Op, Setup, System, Trim};

/// Sequences in a run without `PROGLOG_MODEL_CASES`.
const CASES: u32 = 200;

/// Operations of a sequence, at most.
const OPERATIONS: usize = 30;

fn value() -> impl Strategy<Value = Vec<u8>> {
    let letter = || b'a'..=b'z';
    prop_oneof![
        1 => Just(Vec::new()),
        8 => vec(letter(), 1..40),
        1 => (letter(), 1000_usize..5000).prop_map(|(letter, bytes)| vec![letter; bytes]),
    ]
}

fn fuse() -> impl Strategy<Value = Fuse> {
    (0_usize..14, any::<bool>(), any::<bool>()).prop_map(|(after, forever, torn)| Fuse {
        after,
        forever,
        torn,
    })
}

/// A part of what is there, from none of it (0) to all of it.
fn part() -> impl Strategy<Value = u16> {
    any::<u16>()
}

fn operation() -> impl Strategy<Value = Op> {
    let junk = prop_oneof![
        (1_usize..30).prop_map(Junk::Padding),
        (1_usize..12).prop_map(Junk::PartialEntry),
        (1_usize..30).prop_map(Junk::TornFrame),
        vec(value(), 1..4).prop_map(Junk::WholeFrames),
        vec(value(), 1..4).prop_map(Junk::Marked),
    ];
    let trim = prop_oneof![
        part().prop_map(Trim::Before),
        part().prop_map(Trim::After),
        (1_u64..4).prop_map(Trim::KeepSegments),
    ];
    prop_oneof![
        8 => vec(value(), 1..12).prop_map(Op::Append),
        4 => Just(Op::Commit),
        2 => Just(Op::Close),
        2 => fuse().prop_map(Op::Hinder),
        2 => junk.prop_map(Op::Leave),
        2 => proptest::option::of(fuse()).prop_map(Op::Repair),
        2 => (trim, proptest::option::of(fuse())).prop_map(|(trim, fuse)| Op::Trim(trim, fuse)),
        3 => proptest::option::of(fuse()).prop_map(Op::Undo),
        3 => (part(), part()).prop_map(|(from, to)| Op::Read(from, to)),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    let limits = prop_oneof![
        Just(Limits {
            store: 1 << 20,
            index: 1 << 20
        }),
        Just(Limits {
            store: 150,
            index: 1 << 20
        }),
        Just(Limits {
            store: 1 << 20,
            index: 12 * 5 + 3
        }),
        Just(Limits {
            store: 1,
            index: 12
        }),
    ];
    let first = prop_oneof![
        3 => Just(0_u64),
        1 => Just(1),
        1 => any::<u32>().prop_map(u64::from),
        1 => Just(u64::MAX - 10_000),
    ];
    (any::<bool>(), limits, first).prop_map(|(protobuf, limits, first)| Setup {
        protobuf,
        limits,
        first,
    })
}

fn sequences(cases: u32, seed: u64) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().zip(seed.to_be_bytes()) {
        *place = byte;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let sequence = (setup(), vec(operation(), 1..=OPERATIONS));
    let result = runner.run(&sequence, |(setup, operations)| {
        let mut system = System::new(setup);
        for operation in operations {
            system.apply(operation);
        }
        system.end();
        Ok(())
    });
    if let Err(error) = result {
        panic!("PROGLOG_TEST_SEED={seed}: {error}");
    }
}

#[test]
fn a_log_is_a_vec() {
    let _no_forks = crate::FORKS.read();
    let cases = variable("PROGLOG_MODEL_CASES").unwrap_or(CASES);
    let began = Instant::now();
    if let Some(seed) = variable("PROGLOG_TEST_SEED") {
        return sequences(cases, seed);
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = u32::try_from(threads).unwrap();
    let seed = fastrand::u64(..1 << 40);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let share = cases / threads + u32::from(thread < cases % threads);
            scope.spawn(move || sequences(share, seed + u64::from(thread)));
        }
    });
    report(&format!(
        "model: {cases} sequences of up to {OPERATIONS} operations, {}, seeds from {seed}, {} s",
        system::counts(),
        began.elapsed().as_secs()
    ));
}
