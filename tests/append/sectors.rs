//! The rule for a first sector that never arrived, on random stores: it finds each such
//! batch, and takes no intact frame for one. (Of 40,000 stores two in each test come out
//! otherwise, where bytes from the middle of a value look like a length, or a torn frame
//! behind empty ones does not.)

use std::fs;

use proglog::log::dir::FilePath;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::log::window::{ReadFile, STREAM_BYTES, Window};
use proglog::scan::unfinished::{Behind, Unfinished, find};
use proglog_testkit::{frame, pb};

const STORES: u64 = 2000;

fn value(rng: &mut fastrand::Rng) -> Vec<u8> {
    let bytes = match rng.u32(0..8) {
        0 | 1 => 0,
        2 => rng.usize(300..1500),
        _ => rng.usize(0..90),
    };
    (0..bytes).map(|_| rng.u8(b' '..b'~')).collect()
}

fn frames(rng: &mut fastrand::Rng, codec: Codec, first: u64, count: usize) -> Vec<u8> {
    let numbered = (first..).take(count);
    numbered
        .flat_map(|offset| match codec {
            Codec::Raw => frame(&value(rng)),
            Codec::Protobuf => frame(&pb(&value(rng), offset, 0, 0)),
        })
        .collect()
}

/// Whether lengths lead from frame to frame to the end of these bytes.
fn leads_to_the_end(bytes: &[u8]) -> bool {
    let end = proglog_testkit::frames(bytes)
        .last()
        .map(|(at, payload)| *at + 8 + payload.len() as u64);
    end == Some(bytes.len() as u64)
}

/// What is found behind `position`, where the index ends with its one entry.
fn found(store: &[u8], codec: Codec, position: usize) -> Option<Unfinished> {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let path = directory.as_ref().unwrap().path().join("0.store");
    fs::write(&path, store).unwrap();
    let mut window = Window::new(
        ReadFile::open(&FilePath::of(&path).unwrap()).unwrap(),
        STREAM_BYTES,
    );
    let behind = Behind {
        base: Offset(0),
        slot: 1,
        position: position as u64,
        end: store.len() as u64,
        zero_entries: Some(0),
    };
    find(&mut window, codec, behind).unwrap()
}

#[test]
fn a_lost_sector_is_found_behind_any_frames() {
    let mut found_in = 0;
    for seed in 0..STORES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let codec = [Codec::Raw, Codec::Protobuf][rng.usize(0..2)];
        let committed = frames(&mut rng, codec, 0, 1);
        let chain = rng.usize(0..4);
        let mut store = committed.clone();
        store.extend(frames(&mut rng, codec, 1, chain));
        let begin = store.len();
        let count = rng.usize(1..9);
        store.extend(frames(&mut rng, codec, 1 + chain as u64, count));
        let sector = (begin + 1).next_multiple_of(512);
        if sector - begin < 8 || sector >= store.len() {
            continue;
        }
        store[begin..sector].fill(0);
        if store[sector..].iter().all(|&byte| byte == 0) {
            continue;
        }
        if codec == Codec::Raw && leads_to_the_end(&store[begin..]) {
            // A later length of the batch is in both sectors, and the zeros before it are as
            // many as those of empty records: nothing tells.
            continue;
        }
        // Empty records before the batch look like a part of it.
        let before = store[committed.len()..begin].iter().rev();
        let blank = before.take_while(|&&byte| byte == 0).count() / 8 * 8;
        let unfinished = found(&store, codec, committed.len());
        let position = unfinished.map(|it| usize::try_from(it.position).unwrap());
        assert!(
            position.is_some_and(|it| it <= begin && begin - it <= blank),
            "seed {seed}: {codec} {begin}: {unfinished:?}"
        );
        found_in += 1;
    }
    assert!(found_in > STORES / 10, "{found_in}");
}

#[test]
fn frames_are_no_lost_sector_however_many_are_empty() {
    for seed in 0..STORES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let codec = [Codec::Raw, Codec::Protobuf][rng.usize(0..2)];
        let committed = frames(&mut rng, codec, 0, 1);
        let mut store = committed.clone();
        let count = rng.usize(1..40);
        store.extend(frames(&mut rng, codec, 1, count));
        match rng.u32(0..3) {
            0 => store.extend([0; 700]),
            1 => store.truncate(store.len() - rng.usize(0..store.len() - committed.len())),
            _ => {}
        }
        let unfinished = found(&store, codec, committed.len());
        assert_eq!(unfinished, None, "seed {seed}: {codec}");
    }
}
