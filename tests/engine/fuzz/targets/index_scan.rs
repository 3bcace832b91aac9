//! A segment, as `dump-index`, `verify` and `read` go along it: a byte for codec and
//! base, the length of the index (u16), the index, the store. Every byte of the index
//! belongs to one item, in order. What is read has its entry and its frame, and where
//! every entry is sound, everything is read.

use std::ops::ControlFlow;

use proglog::inspect::entries::IndexDump;
use proglog::inspect::report::{Options, Report};
use proglog::log::directory::Directory;
use proglog::log::error::Error;
use proglog::log::reader::{Item, LogReader, Obstacle};
use proglog::log::record::Codec;
use proglog_testkit::whole_records;

use super::scratch::{Scratch, base, codec, sized, split_first};

pub fn run(data: &[u8]) {
    let (first, rest) = split_first(data);
    let (index, store) = sized(rest);
    let (codec, base) = (codec(first), base(first));
    let scratch = Scratch::new();
    scratch.write(&format!("{base}.index"), index);
    scratch.write(&format!("{base}.store"), store);

    let directory = Directory::list(&scratch.log()).unwrap();
    let names = &directory.segments[0];
    let dump = IndexDump::open(&directory, names, codec).unwrap().unwrap();
    let mut end = 0;
    let done = dump.each(0, |item| {
        let (position, bytes) = item.place();
        assert_eq!(position, end, "{item:?}");
        assert!(bytes > 0, "{item:?}");
        end += bytes;
        Ok::<_, Error>(ControlFlow::Continue(()))
    });
    done.unwrap();
    assert_eq!(end, index.len() as u64);

    let options = Options {
        codec: Some(codec),
        ..Options::default()
    };
    let report = Report::of(&scratch.log(), &options).unwrap();
    if report.require_ours().is_err() {
        // Another program's: no command reads it.
        return;
    }
    let mut reader = LogReader::open(&scratch.log()).unwrap();
    reader.set_codec(codec);
    let next = reader.next_offset().unwrap();
    let lowest = reader.lowest_offset();
    let mut read = Vec::new();
    let mut told = Vec::new();
    let done = reader.read(lowest, next, |item| {
        if let Item::Obstacle {
            obstacle: Obstacle::Unindexed { .. } | Obstacle::Contested { .. },
            first,
            last: Some(last),
        } = item
        {
            told.push(first..=last);
        } else if let Item::Record(record) = item {
            let mut value = Vec::new();
            record.value.pieces(|piece| {
                value.extend_from_slice(piece);
                Ok::<_, Error>(())
            })?;
            if !told.iter().any(|range| range.contains(&record.offset)) {
                let slot = usize::try_from(record.offset.0 - base).unwrap();
                let entry = &index[slot * 12..slot * 12 + 12];
                let relative = u32::try_from(slot).unwrap().to_be_bytes();
                assert_eq!(entry[..4], relative);
                assert_eq!(entry[4..], record.position.0.to_be_bytes());
            }
            read.push((record.offset.0, value));
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    });
    let _ = done.unwrap();
    assert_eq!(
        report.records(),
        read.len() as u64,
        "verify and read differ"
    );

    let testkit = match codec {
        Codec::Raw => proglog_testkit::Codec::Raw,
        Codec::Protobuf => proglog_testkit::Codec::Protobuf,
    };
    let known = whole_records(&scratch.log(), testkit);
    if known.len() * 12 == index.len() && base.checked_add(known.len() as u64).is_some() {
        let without_gaps = codec == Codec::Protobuf || report.findings.is_empty();
        if without_gaps {
            // What is contested, or not in the index, is told and read.
            let missed = known.iter().find(|it| !read.contains(it));
            assert!(missed.is_none(), "{missed:?} is not read");
        }
    }
}
