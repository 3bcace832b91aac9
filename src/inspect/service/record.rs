//! Just enough of the Record message to say which offset a payload carries, as Go's
//! protobuf reads it; stands in until the codec of the log answers through
//! `Facts::carried_offset`. Groups, which no Record has, count as no Record.

use crate::log::units::Offset;

const OFFSET_FIELD: u64 = 2;
const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;

/// The offset in the Record `payload`, 0 where it has none; `None` if it is no Record.
pub(super) fn carried_offset(mut payload: &[u8]) -> Option<Offset> {
    let mut offset = 0;
    while !payload.is_empty() {
        let key = varint(&mut payload)?;
        let number = key >> 3;
        if number == 0 || number > FIELD_NUMBER_MAX {
            return None;
        }
        match key & 7 {
            0 => {
                let value = varint(&mut payload)?;
                if number == OFFSET_FIELD {
                    offset = value;
                }
            }
            1 => skip(&mut payload, 8)?,
            2 => {
                let bytes = varint(&mut payload)?;
                skip(&mut payload, bytes)?;
            }
            5 => skip(&mut payload, 4)?,
            _ => return None,
        }
    }
    Some(Offset(offset))
}

/// The number at the front of `bytes`, which moves behind it. Ten bytes at most, and
/// the tenth holds one bit.
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

fn skip(payload: &mut &[u8], bytes: u64) -> Option<()> {
    *payload = payload.get(usize::try_from(bytes).ok()?..)?;
    Some(())
}

/// The bytes of a Record with a value of one byte, as the service would append it.
pub(super) fn sample(offset: Offset) -> Vec<u8> {
    let mut bytes = vec![0x0a, 1, b'x'];
    if offset.0 != 0 {
        bytes.push(0x10);
        let mut rest = offset.0;
        while rest > 0x7f {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push((rest & 0x7f) as u8);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    struct Record {
        #[prost(bytes = "vec", tag = "1")]
        value: Vec<u8>,
        #[prost(uint64, tag = "2")]
        offset: u64,
        #[prost(uint64, tag = "3")]
        term: u64,
        #[prost(uint32, tag = "4")]
        kind: u32,
    }

    proptest! {
        #[test]
        fn agrees_with_prost_on_records(value: Vec<u8>, offset: u64, term: u64, kind: u32) {
            let bytes = Record { value, offset, term, kind }.encode_to_vec();
            prop_assert_eq!(carried_offset(&bytes), Some(Offset(offset)));
            for cut in 0..bytes.len() {
                let expected = Record::decode(&bytes[..cut]).ok().map(|r| Offset(r.offset));
                prop_assert_eq!(carried_offset(&bytes[..cut]), expected);
            }
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = carried_offset(&bytes);
        }

        #[test]
        fn samples_are_records(offset: u64) {
            let record = Record::decode(sample(Offset(offset)).as_slice()).unwrap();
            prop_assert_eq!((record.offset, record.value.len()), (offset, 1));
        }
    }

    #[test]
    fn what_is_no_record() {
        assert_eq!(carried_offset(&[]), Some(Offset(0)));
        assert_eq!(carried_offset(&[0x10, 5]), Some(Offset(5)));
        // The offset twice: the last one counts.
        assert_eq!(carried_offset(&[0x10, 5, 0x10, 6]), Some(Offset(6)));
        for bad in [
            &[0x0a, 2, 0][..],
            &[0x10],
            &[0x02, 0],
            &[0x0b],
            &[0x10, 0x80],
        ] {
            assert_eq!(carried_offset(bad), None, "{bad:?}");
        }
        let too_long = [0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2];
        assert_eq!(carried_offset(&too_long), None);
    }
}
