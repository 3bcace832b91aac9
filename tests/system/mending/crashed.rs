//! Ends of logs that a crash left, each once: an append goes on behind all of what was
//! committed, and a repair loses nothing of it. (`tests/engine/crash` tries them by the
//! thousand; these are the ones that were once refused, or cost a record.)

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proglog::inspect::finding::FindingId;
use proglog::log::config::Config;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::lock::Wait;
use proglog::log::record;
use proglog::log::writer::NewRecord;
use proglog::mend::session::{OpenOptions, Session};
use proglog_testkit::{Codec, LogBuilder, Sandbox, entry, frame, pb, whole_records};

use crate::mending::library;

fn codec_of(codec: Codec) -> record::Codec {
    match codec {
        Codec::Raw => record::Codec::Raw,
        Codec::Protobuf => record::Codec::Protobuf,
    }
}

/// Appends `more` as the command does, and gives how many records were found.
fn append(log: &Path, codec: Option<Codec>) -> Result<u64, Error> {
    // Other tests start processes, which hold our descriptors until they are programs.
    let wait = Wait::AtMost(Duration::from_secs(10));
    let options = OpenOptions {
        config: Config {
            codec: codec.map(codec_of),
            ..Config::default()
        },
        wait,
        wait_for_others: wait,
        assume_unused: true,
        ..OpenOptions::default()
    };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut session = Session::open(log, &options, &disk, &|| false)?;
    let offset = session.append(NewRecord {
        value: b"more",
        ..NewRecord::default()
    })?;
    session.commit()?;
    Ok(offset.0)
}

/// The log before its last entry was written, and the place of that entry.
fn log_of(codec: Codec, records: u32) -> (Sandbox, u64) {
    let values = (0..records).map(|number| format!("value {number}"));
    let sandbox = Sandbox::built(&LogBuilder::new(codec).segment(0, values));
    (sandbox, u64::from(records - 1) * 12)
}

#[test]
fn an_entry_that_was_half_written_is_completed() {
    for codec in [Codec::Raw, Codec::Protobuf] {
        // Above 255 and above 65535 the first half of a relative offset is another one.
        for records in [2, 3, 40, 300, 70_000] {
            for kept in 0..12 {
                let (sandbox, at) = log_of(codec, records);
                let whole = sandbox.read("0.index");
                let cut = usize::try_from(at + kept).unwrap();
                let mut index = whole.clone();
                index[cut..].fill(0);
                sandbox.write("0.index", &index);
                let what = format!("{} {records} {kept}", codec.as_str());
                let found = append(&sandbox.log(), Some(codec)).expect(&what);
                // Also with nothing of it there: its frame is intact.
                assert_eq!(found, u64::from(records), "{what}");
                let left = whole_records(&sandbox.log(), codec);
                assert_eq!(left.len() as u64, found + 1, "{what}");
                assert!(library::report(&sandbox.log()).is_clean(), "{what}");
            }
        }
    }
}

/// The same for whoever looks: it is told of as a damaged entry, and nothing is cut.
#[test]
fn a_half_written_entry_is_no_padding() {
    let (sandbox, at) = log_of(Codec::Raw, 300);
    let right = sandbox.read("0.index");
    sandbox.put("0.index", at + 11, &[0]);
    let findings = library::report(&sandbox.log()).findings;
    let ids: Vec<FindingId> = findings.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, [FindingId::IndexEntryDamaged]);
    library::repair(&sandbox.log());
    assert_eq!(sandbox.read("0.index"), right);
}

/// Bytes of the first two entries, taken off their boundaries, look like an entry.
#[test]
fn a_half_written_second_entry_does_not_look_misaligned() {
    let builder = LogBuilder::raw().segment(7, [&b""[..], &b"0123456789"[..]]);
    let sandbox = Sandbox::built(&builder);
    sandbox.put("7.index", 23, &[0]);
    assert_eq!(append(&sandbox.log(), None).unwrap(), 9);
    assert_eq!(whole_records(&sandbox.log(), Codec::Raw).len(), 3);
}

/// What nothing commits says nothing of the codec that was asked for.
#[test]
fn a_first_append_that_was_cut_short_has_no_codec() {
    let payload = pb(&[7; 600], 0, 0, 0);
    let true_length = payload.len().to_be_bytes();
    for torn in [[0; 7].as_slice(), &true_length[1..]] {
        let length = [&[0xff], torn].concat();
        let sandbox = Sandbox::empty();
        let mut store = [&length[..], &payload].concat();
        store.extend(frame(&pb(b"second", 1, 0, 0)));
        store.extend(frame(&pb(b"third", 2, 0, 0)));
        sandbox.write("0.store", &store);
        sandbox.write("0.index", &[]);
        let unknown = append(&sandbox.log(), None);
        assert!(
            matches!(unknown, Err(Error::CodecUnknown { .. })),
            "{unknown:?}"
        );
        assert_eq!(append(&sandbox.log(), Some(Codec::Protobuf)).unwrap(), 0);
        let left = whole_records(&sandbox.log(), Codec::Protobuf);
        assert_eq!(left, [(0, b"more".to_vec())]);
    }
}

/// Zeros over a length are damage, and the frames behind it are not cut.
#[test]
fn zeros_over_a_length_are_no_unfinished_batch() {
    let values = ["a", "b", "c", "d", "e", "f"];
    let length = frame(&pb(b"a", 1, 0, 0)).len() as u64;
    let damages: [fn(&Sandbox, u64); 2] = [
        // In a sealed segment, whose index lost its last entries.
        |log, third| {
            log.put("0.store", third, &[0; 8]);
            log.cut("0.index", 24);
        },
        // In the last one, where entries stand that say nothing.
        |log, third| {
            log.put("0.store", third, &[0; 8]);
            log.put("0.index", 24, &[0xa5; 48]);
            log.remove("6.store");
            log.remove("6.index");
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        let builder = LogBuilder::protobuf().segment(0, values).segment(6, ["g"]);
        let sandbox = Sandbox::built(&builder);
        let third = 2 * length - 2; // record 0 carries no offset
        damage(&sandbox, third);
        let store = sandbox.read("0.store");
        let report = library::report(&sandbox.log());
        let third_damaged = report.findings.iter().any(|finding| {
            finding.id == FindingId::FrameLengthDamaged
                && finding.offsets.is_some_and(|it| it.to_string() == "2")
        });
        assert!(third_damaged, "{number}: {:?}", report.findings);
        library::repair(&sandbox.log());
        assert_eq!(sandbox.read("0.store"), store, "{number}");
        // The records carry their offsets.
        let records = whole_records(&sandbox.log(), Codec::Protobuf);
        let offsets: Vec<u64> = records.iter().map(|(offset, _)| *offset).collect();
        let sealed = sandbox.file("6.store").exists();
        let expected = [0, 1, 3, 4, 5, 6];
        assert_eq!(offsets, expected[..5 + usize::from(sealed)], "{number}");
    }
}

/// What is committed outvotes what is not.
#[test]
fn an_unfinished_segment_does_not_turn_a_log_raw() {
    let builder = LogBuilder::protobuf().segment(0, ["a", "b"]);
    let sandbox = Sandbox::built(&builder);
    let mut batch = frame(&pb(&[0; 90], 2, 0, 0));
    batch[0] = 0xff;
    sandbox.write("2.store", &batch);
    sandbox.write("2.index", &[]);
    let codec = library::report(&sandbox.log()).codec;
    assert_eq!(codec, Some(record::Codec::Protobuf));
    assert_eq!(append(&sandbox.log(), None).unwrap(), 2);
}

/// The mark of a later commit, and a whole record behind the marked one.
#[test]
fn a_later_commit_that_is_marked_is_cut() {
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, ["a", "b"]));
    let before = sandbox.read("0.store");
    let mut batch = frame(&pb(&[9; 700], 2, 0, 0));
    batch[0] = 0xff;
    batch.extend(frame(&pb(b"x", 3, 0, 0)));
    sandbox.append_bytes("0.store", &batch);
    assert_eq!(append(&sandbox.log(), None).unwrap(), 2);
    assert!(sandbox.read("0.store").starts_with(&before));
    assert_eq!(whole_records(&sandbox.log(), Codec::Protobuf).len(), 3);
}

/// A hole in the index before a sound entry, and behind that one an entry of nothing:
/// the lengths lead from the last sound frame to the sound entry.
#[test]
fn a_sound_raw_entry_between_two_wrecks_is_kept() {
    let (sandbox, _) = log_of(Codec::Raw, 8);
    let right = sandbox.read("0.index");
    sandbox.put("0.index", 47, &[0; 36]);
    sandbox.append_bytes("0.index", &entry(19, 4000));
    library::repair(&sandbox.log());
    assert_eq!(sandbox.read("0.index"), right);
    assert_eq!(whole_records(&sandbox.log(), Codec::Raw).len(), 8);
}

/// Lost bytes in the store, a wrong entry behind them, then a sound one.
#[test]
fn a_sound_raw_record_behind_lost_bytes_is_kept() {
    let values = [&[1; 20][..], &[2; 20], &[3; 20], &[4; 20]];
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(22, values));
    sandbox.put("22.store", 5, &[0; 54]);
    sandbox.put("22.index", 24 + 10, &[9]);
    sandbox.append_bytes("22.store", &frame(b"nobody's"));
    let before = whole_records(&sandbox.log(), Codec::Raw);
    assert!(before.contains(&(25, vec![4; 20])));
    library::repair(&sandbox.log());
    let after = whole_records(&sandbox.log(), Codec::Raw);
    assert!(after.contains(&(25, vec![4; 20])), "{after:?}");
    let again = library::repair(&sandbox.log()).steps;
    assert!(again.is_empty(), "{again:?}");
}
