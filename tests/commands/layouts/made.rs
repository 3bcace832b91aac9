//! Logs of other programs, made from the description of a layout alone.

use std::fs;
use std::path::Path;

use proglog::log::dir::FilePath;
use proglog::log::units::Offset;
use proglog::log::window::ReadFile;
use proglog::scan::layouts::{EntryLayout, FrameLayout, Layout, Number, Order, Place, recognize};

pub fn number(value: u64, number: Number) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let skip = 8 - usize::try_from(number.bytes).expect("a width");
    let mut bytes = bytes[skip..].to_vec();
    if number.order == Order::Little {
        bytes.reverse();
    }
    bytes
}

/// CRC-32C, bit by bit.
pub fn crc32c(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = (crc >> 1) ^ (0x82f6_3b78 * low);
        }
    }
    !crc
}

/// FNV-1a, of 64 bits.
fn hash(data: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    data.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

pub fn frame(payload: &[u8], layout: FrameLayout) -> Vec<u8> {
    let length = number(payload.len() as u64, layout.length);
    let Some((bytes, place)) = layout.checksum else {
        return [length, payload.to_vec()].concat();
    };
    let checksum = if bytes == 4 {
        u64::from(crc32c(payload))
    } else {
        hash(payload)
    };
    let order = layout.length.order;
    let checksum = number(checksum, Number { bytes, order });
    match place {
        Place::Before => [checksum, length, payload.to_vec()].concat(),
        Place::Between => [length, checksum, payload.to_vec()].concat(),
        Place::Behind => [length, payload.to_vec(), checksum].concat(),
    }
}

/// A store and an index.
pub fn files(
    base: u64,
    payloads: &[Vec<u8>],
    frames: FrameLayout,
    entries: EntryLayout,
) -> (Vec<u8>, Vec<u8>) {
    let (mut store, mut index) = (Vec::new(), Vec::new());
    for (payload, slot) in payloads.iter().zip(0..) {
        let offset = if entries.absolute { base + slot } else { slot };
        let offset = number(offset + u64::from(entries.from_one), entries.offset);
        let frame = frame(payload, frames);
        let end = if entries.ends { frame.len() } else { 0 };
        let position = number((store.len() + end) as u64, entries.position);
        let order = if entries.position_first {
            [position, offset]
        } else {
            [offset, position]
        };
        index.extend(order.concat());
        let more = usize::try_from(entries.more_bytes).expect("a width");
        index.extend(
            &0x1234_5678_9abc_def0_u64
                .wrapping_mul(slot + 1)
                .to_be_bytes()[..more],
        );
        store.extend(frame);
    }
    (store, index)
}

pub const OUR_FRAMES: FrameLayout = FrameLayout {
    length: Number {
        bytes: 8,
        order: Order::Big,
    },
    checksum: None,
};

pub const OUR_ENTRIES: EntryLayout = EntryLayout {
    offset: Number {
        bytes: 4,
        order: Order::Big,
    },
    position: Number {
        bytes: 8,
        order: Order::Big,
    },
    position_first: false,
    more_bytes: 0,
    absolute: false,
    from_one: false,
    ends: false,
    sparse: false,
};

pub fn all_frames() -> Vec<FrameLayout> {
    let mut all = Vec::new();
    for bytes in [8, 4] {
        for order in [Order::Big, Order::Little] {
            let length = Number { bytes, order };
            all.push(FrameLayout {
                length,
                checksum: None,
            });
            for bytes in [4, 8] {
                for place in [Place::Before, Place::Between, Place::Behind] {
                    all.push(FrameLayout {
                        length,
                        checksum: Some((bytes, place)),
                    });
                }
            }
        }
    }
    all
}

pub fn all_entries(base: u64) -> Vec<EntryLayout> {
    let mut all = Vec::new();
    for (a, b, more_bytes) in [
        (4, 4, 0),
        (4, 8, 0),
        (8, 4, 0),
        (8, 8, 0),
        (4, 8, 4),
        (4, 8, 8),
    ] {
        for first in [Order::Big, Order::Little] {
            for second in [Order::Big, Order::Little] {
                for kind in 0..12 {
                    let (absolute, position_first) = (kind % 2 == 1, kind / 2 % 2 == 1);
                    let (from_one, ends) = (kind / 4 == 1, kind / 4 == 2);
                    let is_plain = !from_one && !ends;
                    let is_big = first == Order::Big && second == Order::Big;
                    if absolute && base == 0
                        || position_first && more_bytes > 0
                        || !is_plain && !is_big
                    {
                        continue;
                    }
                    all.push(EntryLayout {
                        offset: Number {
                            bytes: a,
                            order: first,
                        },
                        position: Number {
                            bytes: b,
                            order: second,
                        },
                        position_first,
                        more_bytes,
                        absolute,
                        from_one,
                        ends,
                        sparse: false,
                    });
                }
            }
        }
    }
    all
}

/// What is recognised in these files, written into `directory`.
pub fn recognised(
    directory: &Path,
    base: u64,
    store: &[u8],
    index: Option<&[u8]>,
) -> Option<Layout> {
    let open = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).expect("a file");
        ReadFile::open(&FilePath::of(&path).expect("a path")).expect("a file")
    };
    let store = open("store", store);
    let index = index.map(|index| open("index", index));
    recognize(Offset(base), &store, index.as_ref()).expect("readable")
}
