//! A store alone, as `dump-store` goes along it: a byte for codec and base, then the
//! store. Every byte belongs to one item, in order; the frames that a naive reader
//! sees from the beginning are seen.

use std::ops::ControlFlow;

use proglog::inspect::frames::{FrameItem, StoreDump};
use proglog::log::dir::FilePath;
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog_testkit::frames;

use super::scratch::{Scratch, base, codec, split_first};

pub fn run(data: &[u8]) {
    let (first, store) = split_first(data);
    let (codec, base) = (codec(first), base(first));
    let scratch = Scratch::new();
    let path = scratch.write(&format!("{base}.store"), store);
    let mut dump = StoreDump::open(&FilePath::of(&path).unwrap(), Offset(base), codec).unwrap();
    let mut end = 0;
    let mut seen = Vec::new();
    let done = dump.each(|item, _| {
        let (position, bytes) = item.place();
        assert_eq!(position, end, "{item:?}");
        assert!(bytes > 0, "{item:?}");
        end += bytes;
        if let FrameItem::Frame(frame) = item {
            let from = usize::try_from(frame.position).unwrap();
            let length = u64::from_be_bytes(store[from..from + 8].try_into().unwrap());
            assert_eq!(frame.payload_bytes, length);
            seen.push(frame.position);
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    });
    done.unwrap();
    assert_eq!(end, store.len() as u64);
    if codec == Codec::Raw {
        // Zeros at the end are no frames to us; what ends with another byte is one.
        let real = store
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        for (position, payload) in frames(store) {
            let end = usize::try_from(position).unwrap() + 8 + payload.len();
            if payload.is_empty() || end > real {
                break; // where zeros are meant, opinions may differ from here on
            }
            assert!(seen.contains(&position), "no frame at {position}");
        }
    }
}
