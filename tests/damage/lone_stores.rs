//! A store without index that is looked through in pieces shows what one look from the
//! beginning shows, whatever it holds, and the same frames.

use std::collections::BTreeMap;
use std::sync::Mutex;

use proglog::inspect::run::{FrameSink, Mark, Pieces};
use proglog::inspect::tail::{Tail, TailFrame, TailStart, look, look_in_pieces};
use proglog::log::dir::FilePath;
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::units::{Offset, Position};
use proglog::log::window::ReadFile;
use proglog_testkit::{LogBuilder, Sandbox, frame, pb};
use proptest::prelude::*;

use super::memory::alone;

const CODECS: [Codec; 2] = [Codec::Raw, Codec::Protobuf];

/// So few bytes make a piece.
const PIECES: [u32; 4] = [9, 40, 100, 333];

/// Keeps what it is given.
#[derive(Default)]
struct Kept {
    /// Where each slot's frame begins.
    frames: Mutex<BTreeMap<u64, u64>>,
    next: Mutex<Option<Mark>>,
}

impl FrameSink for Kept {
    fn take(&self, first_slot: u64, from: Position, starts: &[u32]) {
        let mut frames = self.frames.lock().unwrap();
        for (slot, start) in (first_slot..).zip(starts) {
            let twice = frames.insert(slot, from.0 + u64::from(*start));
            assert_eq!(twice, None, "slot {slot}");
        }
    }

    fn end(&self, next: Mark) {
        assert_eq!(self.next.lock().unwrap().replace(next), None);
    }
}

impl Kept {
    /// Whether these are the first of `frames`, up to the place that was told, and at most
    /// one that comes behind.
    fn check(self, frames: &[TailFrame], slot: u64, what: &str) -> usize {
        let kept: Vec<(u64, u64)> = self.frames.into_inner().unwrap().into_iter().collect();
        // A run that does not stand has no end.
        let Some(next) = self.next.into_inner().unwrap() else {
            return 0;
        };
        let count = usize::try_from(next.slot - slot).unwrap();
        let seen: Vec<(u64, u64)> = frames.iter().map(|it| (it.slot, it.position.0)).collect();
        assert_eq!(kept[..count], seen[..count], "{what}");
        match kept[count..] {
            [] => {}
            [more] => assert_eq!(more, (next.slot, next.position.0), "{what}"),
            _ => panic!("{what}: {kept:?}, {next:?}"),
        }
        // A record that was refused may stand in between.
        if let Some(behind) = seen.get(count) {
            assert!(next.position.0 <= behind.1, "{what}: {next:?}, {behind:?}");
        }
        count
    }
}

/// Looks in every way; gives how many frames were kept at most.
fn same(store: &ReadFile, base: u64, slot: u64, position: u64, what: &str) -> usize {
    let mut most = 0;
    for codec in CODECS {
        let start = TailStart {
            base: Offset(base),
            slot,
            position: Position(position),
            zero_entries: slot.is_multiple_of(2).then_some(0),
        };
        let (alone, frames) = by_one(store, codec, start);
        for threads in [1, 2, 3, 8] {
            for piece_bytes in PIECES {
                let what = format!("{what}, {codec}, {threads} threads, {piece_bytes} bytes");
                let kept = Kept::default();
                for sink in [None, Some(&kept as &dyn FrameSink)] {
                    let pieces = Pieces {
                        threads,
                        piece_bytes,
                        sink,
                    };
                    let tail = look_in_pieces(store, codec, start, pieces).unwrap();
                    assert_eq!(tail, alone, "{what}");
                }
                most = most.max(kept.check(&frames, slot, &what));
            }
        }
    }
    most
}

fn by_one(store: &ReadFile, codec: Codec, start: TailStart) -> (Tail, Vec<TailFrame>) {
    let mut frames = Vec::new();
    let tail = look::<Error>(store, codec, start, |frame| {
        frames.push(frame);
        Ok(())
    });
    (tail.unwrap(), frames)
}

fn store_of(bytes: &[u8]) -> (Sandbox, ReadFile) {
    let sandbox = Sandbox::empty();
    sandbox.write("0.store", bytes);
    let store = ReadFile::open(&FilePath::of(&sandbox.file("0.store")).unwrap()).unwrap();
    (sandbox, store)
}

/// Values of many lengths; some hold frames, one behind the other.
fn values(count: usize) -> Vec<Vec<u8>> {
    let inner: Vec<u8> = (0..12).flat_map(|i| frame(&vec![b'i'; i])).collect();
    let value = |i: usize| match i % 27 {
        13 => inner.clone(),
        7 => frame(b"in a value"),
        _ => vec![b'v'; (i + 1) * 7 % 23],
    };
    (0..count).map(value).collect()
}

#[test]
fn pieces_show_what_one_look_shows() {
    let _alone = alone();
    for (builder, base) in [
        (LogBuilder::raw(), 0),
        (LogBuilder::protobuf(), 0),
        (LogBuilder::protobuf(), 300),
    ] {
        let name = format!("{base}.store");
        let sandbox = Sandbox::built(&builder.segment(base, values(60)));
        let whole = sandbox.read(&name);
        let look = |bytes: &[u8], what: &str| {
            let (_sandbox, store) = store_of(bytes);
            same(&store, base, 0, 0, what)
        };
        let kept = look(&whole, "sound");
        assert!(kept >= 59, "{base}: {kept}");
        look(&[&whole[..], &[0; 100]].concat(), "zeros behind");
        look(&[&whole[..], &whole[..]].concat(), "twice");
        look(&whole[9..], "out of step");
        for cut in (0..whole.len()).step_by(37) {
            look(&whole[..cut], "cut");
        }
        for bit in (0..whole.len() * 8).step_by(331) {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            look(&bytes, &format!("bit {bit}"));
        }
    }
}

#[test]
fn pieces_of_every_fixture() {
    let _alone = alone();
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut stores = 0;
    for case in std::fs::read_dir(fixtures).unwrap().flatten() {
        let Ok(files) = std::fs::read_dir(case.path().join("log")) else {
            continue;
        };
        for file in files.flatten() {
            let name = file.file_name().into_string().unwrap();
            let Some(base) = name.strip_suffix(".store") else {
                continue;
            };
            let (Ok(base), Ok(store)) = (
                base.parse(),
                ReadFile::open(&FilePath::of(&file.path()).unwrap()),
            ) else {
                continue;
            };
            same(&store, base, 0, 0, &format!("{:?}", file.path()));
            stores += 1;
        }
    }
    assert!(stores > 20, "{stores}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_of_anything(
        pieces in prop::collection::vec(piece(), 0..60),
        slot in 0_u64..3,
    ) {
        let _alone = alone();
        let (_sandbox, store) = store_of(&pieces.concat());
        same(&store, 0, slot, 0, "random");
    }
}

/// Frames of either codec that go on or do not, and bytes that are none.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..30).prop_map(|value| frame(&value)),
        4 => (0_u64..40, 1_u64..12).prop_map(|(from, count)| (from..from + count)
            .flat_map(|offset| frame(&pb(b"value", offset, 0, 0)))
            .collect()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
        1 => (0_usize..40).prop_map(|count| vec![0; count]),
    ]
}
