//! The bytes of logs in our own and in other layouts.

use std::collections::BTreeMap;

use proglog_testkit::{Sandbox, entry, frame, pb};

/// The files of a log by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A sandbox with these files.
pub fn sandbox(files: &Files) -> Sandbox {
    let sandbox = Sandbox::empty();
    for (name, bytes) in files {
        sandbox.write(name, bytes);
    }
    sandbox
}

/// Frames one behind the other, and an entry for each.
pub fn lay(
    payloads: impl IntoIterator<Item = Vec<u8>>,
    frame: impl Fn(&[u8]) -> Vec<u8>,
    entry: impl Fn(u32, u64) -> Vec<u8>,
) -> (Vec<u8>, Vec<u8>) {
    let (mut store, mut index) = (Vec::new(), Vec::new());
    for (slot, payload) in (0_u32..).zip(payloads) {
        index.extend(entry(slot, store.len() as u64));
        store.extend(frame(&payload));
    }
    (store, index)
}

/// Raw payloads in our layout.
pub fn raw(values: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    lay(values.to_vec(), frame, entry)
}

/// Protobuf payloads in our layout; the first record carries `first` and has slot `slot`,
/// the first frame stands at `position`.
pub fn proto(values: &[Vec<u8>], first: u64, slot: u32, position: u64) -> (Vec<u8>, Vec<u8>) {
    let payloads = (first..)
        .zip(values)
        .map(|(offset, value)| pb(value, offset, 0, 0));
    lay(payloads.collect::<Vec<_>>(), frame, |at, p| {
        entry(at + slot, p + position)
    })
}

/// A pair of files.
pub fn pair(base: u64, (store, index): (Vec<u8>, Vec<u8>)) -> Files {
    Files::from([
        (format!("{base}.store"), store),
        (format!("{base}.index"), index),
    ])
}

/// `bytes`, then zeros up to `size`.
pub fn padded(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    assert!(
        bytes.len() <= size,
        "{} bytes, padded to {size}",
        bytes.len()
    );
    bytes.resize(size, 0);
    bytes
}

/// A checksum bit by bit: of CRC-32 or CRC-32C, by its reflected polynomial.
pub fn crc(polynomial: u32, data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ polynomial
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

/// The polynomial of CRC-32.
pub const CRC32: u32 = 0xedb8_8320;

/// The polynomial of CRC-32C.
pub const CRC32C: u32 = 0x82f6_3b78;
