//! Payloads as the service has them: the one that the next append is tried with, and
//! the number that a value begins with. What a payload says is known to the log.

use crate::log::record::Record;
use crate::log::units::Offset;

/// The number at the front of `bytes`, which moves after it. Ten bytes at most, and the
/// tenth holds one bit.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift == 63 && *first > 1 {
            return None;
        }
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The bytes of a Record with a value of one byte, as the service would append it.
pub(super) fn sample(offset: Offset) -> Vec<u8> {
    let record = Record {
        value: b"x".to_vec(),
        offset,
        ..Record::default()
    };
    record.encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;
    use prost::encoding::{decode_varint, encode_varint};

    #[derive(Clone, PartialEq, Message)]
    struct Record {
        #[prost(bytes = "vec", tag = "1")]
        value: Vec<u8>,
        #[prost(uint64, tag = "2")]
        offset: u64,
    }

    proptest! {
        #[test]
        fn numbers_are_what_prost_writes(number: u64, behind: Vec<u8>) {
            let mut bytes = Vec::new();
            encode_varint(number, &mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(varint(&mut &bytes[..cut]), None);
            }
            bytes.extend(&behind);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(varint(&mut rest), Some(number));
            prop_assert_eq!(rest, behind);
        }

        #[test]
        fn any_bytes_are_a_number_when_they_are_to_prost(
            bytes in proptest::collection::vec(prop_oneof![0x7f_u8.., 0_u8..3], 0..12),
        ) {
            let expected = decode_varint(&mut bytes.as_slice()).ok();
            prop_assert_eq!(varint(&mut bytes.as_slice()), expected);
        }

        #[test]
        fn samples_are_records(offset: u64) {
            let bytes = sample(Offset(offset));
            let record = Record::decode(bytes.as_slice()).unwrap();
            prop_assert_eq!((record.offset, record.value.as_slice()), (offset, &b"x"[..]));
            prop_assert_eq!(bytes, record.encode_to_vec());
        }
    }

    #[test]
    fn the_tenth_byte_holds_one_bit() {
        let largest = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert_eq!(varint(&mut &largest[..]), Some(u64::MAX));
        let too_long = [255, 255, 255, 255, 255, 255, 255, 255, 255, 2];
        assert_eq!(varint(&mut &too_long[..]), None);
        assert_eq!(varint(&mut &[128; 11][..]), None);
    }
}
