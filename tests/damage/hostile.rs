//! Bytes that no log ever held, and files that seem endless. Looking at them ends
//! within seconds and in bounded memory; what it says of them matters little.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use proglog::inspect::report::{Options, Report};
use proglog::log::error::Error;
use proglog::log::reader::{Item, LogReader};
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog_testkit::{Sandbox, entry, frame, pb};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::memory::{MEMORY_MAX, alone, measured};
use super::states::look;

/// How long a look may take. These are debug builds on busy machines.
const SECONDS_MAX: u64 = 30;

const TIB: u64 = 1 << 40;

/// Entries that are made up at once.
const MANY: u32 = 100_000;

/// Directories that are made up.
const CASES: u32 = 2000;

/// Looks at the log as verify and a reader do, from the beginning to the end, and at
/// its end alone; gives up after a while.
fn survives(sandbox: &Sandbox, what: &str) {
    for codec in [Some(Codec::Raw), Some(Codec::Protobuf)] {
        let log = sandbox.log();
        let begun = Instant::now();
        let (done, waiting) = mpsc::channel();
        let ((), peak) = measured(|| {
            thread::spawn(move || done.send(look_at_all(&log, codec)));
            let limit = Duration::from_secs(SECONDS_MAX);
            let result = waiting.recv_timeout(limit);
            result
                .unwrap_or_else(|error| panic!("{what}, {codec:?}: {error}"))
                .unwrap();
        });
        assert!(peak <= MEMORY_MAX, "{what}, {codec:?}: {peak} bytes held");
        let seconds = begun.elapsed().as_secs_f64();
        println!("{what}, {codec:?}: {seconds:.2} s, {} KiB", peak / 1024);
    }
}

fn look_at_all(log: &Path, codec: Option<Codec>) -> Result<(), Error> {
    for quick in [true, false] {
        let options = Options {
            codec,
            quick,
            threads: 2,
            ..Options::default()
        };
        let report = Report::of(log, &options)?;
        assert!(report.findings.len() < 100_000);
    }
    let mut reader = LogReader::open(log)?;
    if let Some(codec) = codec {
        reader.set_codec(codec);
    }
    let end = reader.claimed_end()?;
    assert!(reader.next_offset()? <= end);
    let mut seen = 0_u64;
    let _ = reader.read::<Error>(Offset(0), Offset::MAX, |item| {
        seen += u64::from(matches!(item, Item::Record(_)));
        Ok(ControlFlow::Continue(()))
    })?;
    for offset in [0, 1, end.0 / 2, end.0.saturating_sub(1), end.0, u64::MAX] {
        let _ = reader.lookup::<Error>(Offset(offset), |_| Ok(ControlFlow::Continue(())))?;
    }
    Ok(())
}

/// Makes a file of the log as large as that, without writing.
fn stretch(sandbox: &Sandbox, name: &str, bytes: u64) {
    let file = File::options()
        .write(true)
        .open(sandbox.file(name))
        .unwrap();
    file.set_len(bytes).unwrap();
}

fn put_at(sandbox: &Sandbox, name: &str, position: u64, bytes: &[u8]) {
    let file = File::options()
        .write(true)
        .open(sandbox.file(name))
        .unwrap();
    file.write_all_at(bytes, position).unwrap();
}

fn pair(store: &[u8], index: &[u8]) -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.write("0.store", store);
    sandbox.write("0.index", index);
    sandbox
}

fn made_up_entries(count: u32, position: impl Fn(u32) -> u64) -> Vec<u8> {
    (0..count)
        .flat_map(|slot| entry(slot, position(slot)))
        .collect()
}

#[test]
fn files_that_seem_endless() {
    let _alone = alone();
    let sandbox = pair(&[], &[]);
    stretch(&sandbox, "0.store", TIB);
    survives(&sandbox, "a store of 1 TiB of zeros");
    stretch(&sandbox, "0.index", TIB);
    survives(&sandbox, "and an index of 1 TiB of zeros");
    stretch(&sandbox, "0.store", 0);
    survives(&sandbox, "an index of 1 TiB of zeros alone");
    stretch(&sandbox, "0.store", TIB);
    put_at(&sandbox, "0.index", 1 << 30, &[1]);
    survives(&sandbox, "a byte at 1 GiB");
    put_at(&sandbox, "0.index", TIB - 1, &[1]);
    survives(&sandbox, "and one at the end");
    put_at(&sandbox, "0.store", TIB - 1, &[1]);
    survives(&sandbox, "and one at the end of the store");

    let text = frame(&[b'x'; 100]);
    let sandbox = pair(
        &text.repeat(5),
        &made_up_entries(5, |slot| u64::from(slot) * 108),
    );
    stretch(&sandbox, "0.store", TIB);
    stretch(&sandbox, "0.index", TIB);
    survives(&sandbox, "five records and 1 TiB of zeros");
    put_at(&sandbox, "0.store", 108, &(TIB / 2).to_be_bytes());
    survives(&sandbox, "and a length of half a TiB");
}

/// In a raw log each eight of them are a frame without value.
#[test]
fn zeros_that_were_written() {
    let _alone = alone();
    let frames = frame(&[b'v'; 100]).repeat(20_000);
    let store = [&frames[..], &vec![0; 3 << 20], &frames].concat();
    survives(&pair(&store, &[]), "zeros between frames");
    let sandbox = Sandbox::empty();
    sandbox.write("0.store", &store);
    survives(&sandbox, "zeros between frames, no index");
}

/// Each is a record by its fields, of an offset that is not in this segment.
#[test]
fn frames_that_claim_those_behind_them() {
    const VALUE: usize = 6 << 20;
    let _alone = alone();
    let field = [&[0x0a][..], &[0x80, 0x80, 0x80, 0x03]].concat();
    let payload_bytes = (field.len() + VALUE) as u64;
    let head = [&payload_bytes.to_be_bytes()[..], &field, &[1; 51]].concat();
    let store = [&[0xff; 9], &head.repeat(300_000)[..]].concat();
    let sandbox = Sandbox::empty();
    sandbox.write("5.store", &store);
    survives(&sandbox, "frames in frames, no index");
    sandbox.write("5.index", &entry(0, 0));
    survives(&sandbox, "frames in frames");
    // Between them and it the walk looks for the records of the slots before it.
    let last = frame(&pb(b"sound", 8, 0, 0));
    sandbox.write("5.store", &[&store[..], &last].concat());
    let wrong = (0..3).map(|slot| entry(slot, slot.into()));
    let at = store.len() as u64;
    let entries: Vec<_> = wrong.chain([entry(3, at)]).collect();
    sandbox.write("5.index", &entries.concat());
    survives(&sandbox, "frames in frames before a record");
}

#[test]
fn entries_that_name_what_they_should_not() {
    let _alone = alone();
    let small = frame(b"\x0a\x01a").repeat(1000);
    survives(
        &pair(&small, &made_up_entries(MANY, |_| 0)),
        "all entries at 0",
    );
    survives(
        &pair(
            &small,
            &made_up_entries(MANY, |slot| u64::from(slot % 1000) * 11),
        ),
        "in circles",
    );
    survives(
        &pair(&small, &made_up_entries(MANY, u64::from)),
        "byte after byte",
    );
    survives(
        &pair(
            &small,
            &made_up_entries(MANY, |slot| u64::MAX - u64::from(slot)),
        ),
        "past the end",
    );
    let mut hole = vec![0; 12 * 2_000_000];
    survives(&pair(&small, &hole), "two million zero entries");
    hole.extend(entry(2_000_000, 11));
    survives(
        &pair(&small, &hole),
        "two million zero entries and a last one",
    );
    survives(&pair(&vec![0; 3 << 20], &hole), "and a store of zeros");
    survives(
        &pair(
            &vec![0; 3 << 20],
            &made_up_entries(MANY, |slot| u64::from(slot) * 2),
        ),
        "in zeros",
    );
    survives(
        &pair(
            &vec![0xff; 1 << 20],
            &made_up_entries(MANY, |slot| u64::from(slot) * 2),
        ),
        "in ones",
    );
    survives(&pair(&small, &vec![0xff; 12 * 100_000]), "entries of ones");
}

#[test]
fn a_huge_frame_of_tiny_fields() {
    let _alone = alone();
    let payload = [0x28, 0].repeat(1 << 18);
    let store = frame(&payload);
    for (what, index) in [
        ("named by all", made_up_entries(100_000, |_| 0)),
        ("named once", made_up_entries(1, |_| 0)),
        ("named at every byte", made_up_entries(100_000, u64::from)),
        ("named by none", vec![0; 12_000]),
    ] {
        survives(&pair(&store, &index), what);
    }
    // Each eight bytes are a length that leads to more of them.
    let nested = [0, 0, 0, 0, 0, 0x20, 0x28, 0].repeat(1 << 17);
    survives(
        &pair(&nested, &made_up_entries(1000, |slot| u64::from(slot) * 8)),
        "in each other",
    );
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![0..40_u64, Just(u64::MAX), Just(1 << 63), Just(1 << 40)];
    let frames =
        (length, vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(length, mut bytes, honest)| {
            let length = if honest { bytes.len() as u64 } else { length };
            bytes.splice(0..0, length.to_be_bytes());
            bytes
        });
    let entries = (0..8_u32, 0..300_u64).prop_map(|(slot, position)| entry(slot, position));
    prop_oneof![
        vec(any::<u8>(), 0..100),
        (0..200_usize).prop_map(|count| vec![0; count]),
        vec(frames, 0..8).prop_map(|frames| frames.concat()),
        vec(entries, 0..20).prop_map(|entries| entries.concat()),
        (0..20_u32, 0..40_u64)
            .prop_map(|(count, step)| made_up_entries(count, |slot| { u64::from(slot) * step })),
    ]
}

#[test]
fn whatever_a_directory_holds() {
    let _alone = alone();
    let names = prop::sample::select(vec![
        "0.store",
        "0.index",
        "00.index",
        "3.store",
        "3.index",
        "007.store",
        "9.store",
        "9.index",
        "18446744073709551615.store",
        "18446744073709551615.index",
        "18446744073709551616.store",
        "LOCK",
        ".index",
    ]);
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..Config::default()
    };
    let codecs = prop::sample::select(vec![None, Some(Codec::Raw), Some(Codec::Protobuf)]);
    let strategy = (codecs, vec((names, bytes()), 1..8));
    let result = TestRunner::new(config).run(&strategy, |(codec, files)| {
        let sandbox = Sandbox::empty();
        for (name, bytes) in &files {
            sandbox.write(name, bytes);
        }
        match look(&sandbox.log(), 40, codec) {
            Ok(state) => {
                // Lookups reach as far as they are asked to.
                let mut wrong = Vec::new();
                for (offset, value) in state.read.range(..40) {
                    if state.looked_up.get(offset) != Some(value) {
                        wrong.push(*offset);
                    }
                }
                let more = state
                    .looked_up
                    .keys()
                    .any(|offset| !state.read.contains_key(offset));
                prop_assert!(
                    wrong.is_empty() && !more,
                    "{wrong:?} {more} {}",
                    state.told()
                );
            }
            Err(Error::NotALog { .. }) => {}
            Err(error) => prop_assert!(false, "{error}"),
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
