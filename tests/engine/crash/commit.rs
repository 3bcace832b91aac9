//! The operations of a commit, in their order: what the protocol writes and syncs, and what
//! it leaves out.

use std::path::Path;

use proglog::log::record::Codec;

use crate::crash::appending::Script;
use crate::crash::lab::temporary;
use crate::crash::recorder::{FileId, Op};
use crate::crash::scenarios::{self, as_it_is};

const MARK: u8 = 0xff;

fn operations(script: &Script) -> Vec<Op> {
    let root = temporary();
    let (story, failed) = script.record(root.path(), &as_it_is);
    assert_eq!(failed, None);
    story.recording.ops
}

fn script(codec: Codec, wanted: &str) -> Script {
    let mut scripts = scenarios::scripts(codec).into_iter();
    scripts.find(|(name, _)| *name == wanted).unwrap().1
}

/// The file with this name.
fn file(ops: &[Op], name: &str) -> FileId {
    let created = ops.iter().find_map(|op| match op {
        Op::Create { path, file } if path.ends_with(Path::new(name)) => Some(*file),
        _ => None,
    });
    created.unwrap()
}

#[test]
fn each_batch_is_marked_until_it_is_durable() {
    let _no_forks = crate::FORKS.read();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let ops = operations(&script(codec, "sectors"));
        let (store, index) = (file(&ops, "0.store"), file(&ops, "0.index"));
        let mut first_marks = Vec::new();
        let mut batches = 0;
        let mut ops = ops.iter().filter(|op| match op {
            Op::Write { file, .. } | Op::SyncData { file } => [store, index].contains(file),
            _ => false,
        });
        while let Some(op) = ops.next() {
            let Op::Write {
                file,
                position,
                bytes,
            } = op
            else {
                panic!("{codec}: {op:?} begins a batch");
            };
            assert_eq!((*file, bytes[0]), (store, MARK), "{codec}");
            let position = *position;
            let mut whole = bytes.clone();
            if bytes.len() == 1 {
                first_marks.push(position);
                assert_eq!(ops.next(), Some(&Op::SyncData { file: store }));
                // The mark is not written again: that could tear.
                let Some(Op::Write {
                    position: behind,
                    bytes,
                    ..
                }) = ops.next()
                else {
                    panic!("{codec}: nothing behind a mark");
                };
                assert_eq!(*behind, position + 1, "{codec}");
                whole.extend_from_slice(bytes);
            }
            let ends = position + whole.len() - 1;
            assert_eq!(
                first_marks.last() == Some(&position),
                position == 0 || position / 512 < ends / 512
            );
            assert!(whole.len() > 8 && whole[..3] == [MARK, 0, 0], "{codec}");
            assert_eq!(ops.next(), Some(&Op::SyncData { file: store }));
            let released = Op::Write {
                file: store,
                position,
                bytes: vec![0],
            };
            assert_eq!(ops.next(), Some(&released));
            assert_eq!(ops.next(), Some(&Op::SyncData { file: store }));
            assert!(matches!(ops.next(), Some(Op::Write { file, .. }) if *file == index));
            assert_eq!(ops.next(), Some(&Op::SyncData { file: index }));
            batches += 1;
        }
        // The first batch, and those that are in more than one sector.
        assert_eq!((batches, first_marks.len()), (5, 4), "{codec}");
    }
}

/// If only zeros of a batch arrive, nothing else tells an empty record before it from one
/// that became zeros.
#[test]
fn behind_an_empty_record_the_mark_comes_first() {
    let _no_forks = crate::FORKS.read();
    for (codec, expected) in [(Codec::Raw, 3), (Codec::Protobuf, 2)] {
        let ops = operations(&script(codec, "empty-and-later"));
        let first_marks = ops
            .iter()
            .filter(|op| matches!(op, Op::Write { bytes, .. } if *bytes == [MARK]));
        // Of two segments, each with a first batch.
        assert_eq!(first_marks.count(), expected, "{codec}");
    }
}

#[test]
fn without_syncs_there_is_no_mark_and_a_roll_syncs_what_it_closes() {
    let _no_forks = crate::FORKS.read();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let ops = operations(&script(codec, "no-sync"));
        let is_marked = |op: &Op| matches!(op, Op::Write { bytes, .. } if bytes[0] == MARK);
        assert!(!ops.iter().any(is_marked), "{codec}");
        let stores: Vec<FileId> = ops
            .iter()
            .filter_map(|op| match op {
                Op::Create { path, file } if path.extension().is_some_and(|it| it == "store") => {
                    Some(*file)
                }
                _ => None,
            })
            .collect();
        assert!(stores.len() > 2, "{codec}: {} segments", stores.len());
        for pair in stores.windows(2) {
            let at = |wanted: &dyn Fn(&Op) -> bool| ops.iter().position(wanted).unwrap();
            let synced = at(&|op| *op == Op::SyncData { file: pair[0] });
            let next = at(&|op| matches!(op, Op::Create { file, .. } if *file == pair[1]));
            assert!(synced < next, "{codec}");
        }
    }
}

/// An append to a log that is there syncs nothing before its first frames are written, and
/// the directory and the index as found before its first entry.
#[test]
fn what_was_found_is_synced_beside_the_first_frames() {
    let _no_forks = crate::FORKS.read();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let mut script = script(codec, "batches");
        script.runs[0].batches.truncate(1);
        script.runs.push(script.runs[0].clone());
        let ops = operations(&script);
        let (store, index) = (file(&ops, "0.store"), file(&ops, "0.index"));
        let commits = |op: &Op| *op == Op::SyncData { file: index };
        let first_run = ops.iter().position(commits).unwrap() + 1;
        let second = &ops[first_run..];
        let store_writes = |op: &Op| matches!(op, Op::Write { file, .. } if *file == store);
        let entries = |op: &Op| matches!(op, Op::Write { file, .. } if *file == index);
        let frames_at = second.iter().position(store_writes).unwrap();
        let entries_at = second.iter().position(entries).unwrap();
        let is_data_sync = |op: &&Op| matches!(op, Op::SyncData { .. });
        assert_eq!(
            second[..frames_at].iter().filter(is_data_sync).count(),
            0,
            "{second:?}"
        );
        let between = &second[frames_at..entries_at];
        assert!(
            between.contains(&Op::SyncData { file: index }),
            "{between:?}"
        );
        let is_log = |op: &Op| matches!(op, Op::SyncDir { path } if path.ends_with("log"));
        assert!(between.iter().any(is_log), "{between:?}");
        assert_eq!(
            between.iter().filter(is_data_sync).count(),
            3,
            "{between:?}"
        );
    }
}
