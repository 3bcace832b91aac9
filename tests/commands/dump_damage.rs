//! Dumps of small logs that are damaged in any way: no panic, an end, every byte told
//! of exactly once, and the same judgement from wherever a dump begins.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::ControlFlow;

use proglog::inspect::entries::{EntryItem, IndexDump};
use proglog::inspect::frames::{FrameItem, StoreDump};
use proglog::log::directory::Directory;
use proglog::log::error::Error;
use proglog::log::format::FileKind;
use proglog::log::record::Codec;
use proglog_testkit::{LogBuilder, Sandbox, entry, frame, pb};
use proptest::prelude::*;

/// What is done to the bytes of a small log.
#[derive(Debug, Clone)]
enum Harm {
    Flip {
        store: bool,
        bit: u64,
    },
    Cut {
        store: bool,
        bytes: u64,
    },
    Zeros {
        store: bool,
        count: u64,
    },
    Put {
        store: bool,
        at: u64,
        bytes: Vec<u8>,
    },
    Add {
        store: bool,
        bytes: Vec<u8>,
    },
}

fn harm() -> impl Strategy<Value = Harm> {
    let bytes = || proptest::collection::vec(any::<u8>(), 1..40);
    prop_oneof![
        (any::<bool>(), any::<u64>()).prop_map(|(store, bit)| Harm::Flip { store, bit }),
        (any::<bool>(), any::<u64>()).prop_map(|(store, bytes)| Harm::Cut { store, bytes }),
        (any::<bool>(), 1..300_u64).prop_map(|(store, count)| Harm::Zeros { store, count }),
        (any::<bool>(), any::<u64>(), bytes()).prop_map(|(store, at, bytes)| Harm::Put {
            store,
            at,
            bytes
        }),
        (any::<bool>(), bytes()).prop_map(|(store, bytes)| Harm::Add { store, bytes }),
    ]
}

fn apply(harm: &Harm, store: &mut Vec<u8>, index: &mut Vec<u8>) {
    let (Harm::Flip {
        store: is_store, ..
    }
    | Harm::Cut {
        store: is_store, ..
    }
    | Harm::Zeros {
        store: is_store, ..
    }
    | Harm::Put {
        store: is_store, ..
    }
    | Harm::Add {
        store: is_store, ..
    }) = harm;
    let bytes = if *is_store { store } else { index };
    let below = |number: u64, len: usize| usize::try_from(number % (len as u64).max(1)).unwrap();
    match harm {
        Harm::Flip { bit, .. } => {
            let bit = below(*bit, bytes.len() * 8);
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        Harm::Cut { bytes: at, .. } => bytes.truncate(below(*at, bytes.len())),
        Harm::Zeros { count, .. } => {
            bytes.resize(bytes.len() + usize::try_from(*count).unwrap(), 0);
        }
        Harm::Put { at, bytes: new, .. } => {
            let at = below(*at, bytes.len());
            for (old, new) in bytes.iter_mut().skip(at).zip(new) {
                *old = *new;
            }
        }
        Harm::Add { bytes: new, .. } => bytes.extend(new),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// Whatever the bytes: no panic, an end, and each byte told of exactly once.
    #[test]
    fn damage_of_any_sort_is_told_byte_by_byte(
        protobuf in any::<bool>(),
        base in prop_oneof![Just(0_u64), Just(7), Just(u64::MAX - 3)],
        lengths in proptest::collection::vec(0..60_usize, 0..30),
        harms in proptest::collection::vec(harm(), 0..4),
        slot in 0..40_u64,
    ) {
        let mut store = Vec::new();
        let mut index = Vec::new();
        for (relative, length) in (0_u32..).zip(&lengths) {
            let value = vec![b'v'; *length];
            index.extend(entry(relative, store.len() as u64));
            let offset = base.wrapping_add(u64::from(relative));
            let payload = if protobuf { pb(&value, offset, 0, 0) } else { value };
            store.extend(frame(&payload));
        }
        for harm in &harms {
            apply(harm, &mut store, &mut index);
        }
        let sandbox = Sandbox::empty();
        sandbox.write(&format!("{base}.store"), &store);
        sandbox.write(&format!("{base}.index"), &index);
        let codec = if protobuf { Codec::Protobuf } else { Codec::Raw };
        let directory = Directory::list(&sandbox.log()).unwrap();
        let names = directory.segments.first().unwrap();

        let entries = IndexDump::open(&directory, names, codec).unwrap().unwrap();
        let mut end = 0;
        let mut slots = Vec::new();
        entries.each(0, |item| {
            let (position, bytes) = item.place();
            assert_eq!(position, end, "{item:?}");
            end += bytes;
            if let EntryItem::Entry(view) = item {
                slots.push(*view);
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        }).unwrap();
        prop_assert_eq!(end, index.len() as u64);

        // From a slot on, the same is said as on the way from the beginning.
        let mut later = Vec::new();
        entries.each(slot, |item| {
            if let EntryItem::Entry(view) = item {
                later.push(*view);
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        }).unwrap();
        let wanted: Vec<_> = slots.into_iter().filter(|view| view.slot.is_none_or(|it| it >= slot)).collect();
        prop_assert_eq!(later, wanted);

        let path = directory.file(names, FileKind::Store);
        let mut end = 0;
        StoreDump::open(&path, names.base, codec).unwrap().each(|item, _| {
            let (position, bytes) = item.place();
            assert_eq!(position, end, "{item:?}");
            assert!(bytes > 0);
            end += bytes;
            if let FrameItem::Frame(frame) = item {
                assert!(frame.head.len() as u64 <= frame.value.1);
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        }).unwrap();
        prop_assert_eq!(end, store.len() as u64);
    }
}

#[test]
fn damage_of_any_sort_ends_with_0() {
    // A fixed walk through positions and bytes: each run is one process.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for round in 0..60 {
        let builder = if round % 2 == 0 {
            LogBuilder::raw()
        } else {
            LogBuilder::protobuf()
        };
        let values = (0..20).map(|i| "v".repeat(i * 3));
        let sandbox = Sandbox::built(&builder.segment(0, values).segment(20, ["a", "b"]));
        for _ in 0..3 {
            let name =
                ["0.store", "0.index", "20.store", "20.index"][usize::try_from(next(4)).unwrap()];
            let size = sandbox.bytes(name).max(1);
            match next(4) {
                0 if sandbox.bytes(name) > 0 => sandbox.flip(name, next(size * 8)),
                1 if sandbox.bytes(name) > 0 => sandbox.cut(name, next(size)),
                2 => sandbox.pad_zeros(name, 1 + next(200)),
                _ => sandbox.append_bytes(
                    name,
                    &frame(&[b'x'; 9])[..=usize::try_from(next(16)).unwrap()],
                ),
            }
        }
        for arguments in [
            ["info", "log", "--sizes"],
            ["info", "log", "--json"],
            ["dump-index", "log", "--hex"],
            ["dump-store", "log", "--json"],
        ] {
            sandbox.proglog().args(arguments).assert().success();
        }
    }
}
