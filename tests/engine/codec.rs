//! The record codec against prost: what the one takes, refuses and finds in a
//! payload, the other does too.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::convert::Infallible;
use std::fmt::Debug;
use std::ops::Range;

use proglog::log::record::{
    Bytes, DecodeError, Layout, LayoutError, Record, decode, encode_head, encode_tail, encoded_len,
    is_canonical_with_value, is_prefix, layout, layout_of,
};
use proglog::log::units::Offset;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;

/// The schema as prost sees it.
#[derive(Clone, PartialEq, Message)]
struct Oracle {
    #[prost(bytes = "vec", tag = "1")]
    value: Vec<u8>,
    #[prost(uint64, tag = "2")]
    offset: u64,
    #[prost(uint64, tag = "3")]
    term: u64,
    #[prost(uint32, tag = "4")]
    record_type: u32,
}

impl Oracle {
    fn record(self, unknown: Vec<u8>) -> Record {
        Record {
            value: self.value,
            offset: Offset(self.offset),
            term: self.term,
            record_type: self.record_type,
            unknown,
        }
    }
}

/// A source that is no slice, and holds the reader to its promises.
struct Streamed<'p> {
    payload: &'p [u8],
    next: u64,
}

impl Bytes for Streamed<'_> {
    type Error = Infallible;

    fn len(&self) -> u64 {
        self.payload.len() as u64
    }

    fn byte(&mut self, at: u64) -> Result<u8, Infallible> {
        assert!(at >= self.next, "byte {at} after byte {}", self.next);
        self.next = at + 1;
        Ok(self.payload[usize::try_from(at).unwrap()])
    }
}

fn what<T: Debug>(result: Result<T, LayoutError<Infallible>>) -> Result<T, DecodeError> {
    result.map_err(|error| match error {
        LayoutError::Illegal { what, .. } => what,
        LayoutError::Source(never) => match never {},
    })
}

fn part(payload: &[u8], range: Range<u64>) -> &[u8] {
    &payload[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
}

/// A varint as short as can be.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// Everything that must hold of any bytes whatever; whether they are a record.
fn check(payload: &[u8]) -> Result<bool, TestCaseError> {
    let got = layout_of(payload);
    let streamed = what(layout(&mut Streamed { payload, next: 0 }));
    prop_assert_eq!(&got, &streamed);
    prop_assert_eq!(&got, &what(layout(&mut &payload[..])));

    let Ok(oracle) = Oracle::decode(payload) else {
        prop_assert!(got.is_err(), "prost refuses {:02x?}", payload);
        prop_assert_eq!(decode(payload), Err(got.unwrap_err()));
        return Ok(false);
    };
    let Ok(found) = got else {
        return Err(TestCaseError::fail(format!("prost takes {payload:02x?}")));
    };
    prop_assert!(is_prefix(payload));
    prop_assert_eq!(part(payload, found.value.clone()), &oracle.value);
    prop_assert_eq!(found.offset, oracle.offset);
    prop_assert_eq!(found.term, oracle.term);
    prop_assert_eq!(found.record_type, oracle.record_type);
    if let Some(range) = &found.offset_field {
        let alone = [&[0x10], part(payload, range.clone())].concat();
        prop_assert_eq!(Oracle::decode(&alone[..]).unwrap().offset, oracle.offset);
    } else {
        prop_assert_eq!(oracle.offset, 0);
    }

    let record = decode(payload).unwrap();
    let encoded = record.encode();
    prop_assert_eq!(record.unknown.is_empty(), !found.has_unknown);
    prop_assert_eq!(&record, &oracle.clone().record(record.unknown.clone()));
    let known = oracle.encode_to_vec();
    prop_assert_eq!(&encoded, &[&known[..], &record.unknown].concat());
    prop_assert_eq!(Oracle::decode(&encoded[..]).unwrap(), oracle.clone());
    prop_assert_eq!(decode(&encoded).unwrap(), record.clone());
    // What is kept says nothing of ours.
    prop_assert_eq!(
        Oracle::decode(&record.unknown[..]).unwrap(),
        Oracle::default()
    );
    prop_assert_eq!(
        is_canonical_with_value(payload),
        payload.first() == Some(&0x0a) && encoded == payload
    );
    prop_assert_eq!(is_canonical_with_value(&encoded), !oracle.value.is_empty());
    Ok(true)
}

/// Numbers of all lengths, not the long ones only.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
}

fn record() -> impl Strategy<Value = Record> {
    let value = prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 120..300)];
    (value, number(), number(), number()).prop_map(|(value, offset, term, record_type)| Record {
        value,
        offset: Offset(offset),
        term,
        record_type: u32::try_from(record_type & 0xffff_ffff).unwrap(),
        unknown: Vec::new(),
    })
}

/// A number as it may stand on the wire: short, stretched by empty groups of seven
/// bits, or too long.
fn wire_number(number: impl Strategy<Value = u64>) -> impl Strategy<Value = Vec<u8>> {
    (number, 0..60_u8, 0..12_usize, any::<u8>()).prop_map(|(number, kind, stretch, last)| {
        let mut bytes = varint(number);
        match kind {
            0..6 => {
                *bytes.last_mut().unwrap() |= 0x80;
                bytes.resize(bytes.len().max(stretch), 0x80);
                bytes.push(0);
            }
            6 => {
                bytes = vec![0x80; 9];
                bytes.push(last & 3);
            }
            7 => bytes = vec![0xff; stretch],
            _ => {}
        }
        bytes
    })
}

fn key() -> impl Strategy<Value = u64> {
    let field = prop_oneof![8 => 1..9_u64, 1 => 0..30_u64, 1 => (1_u64 << 29) - 2..(1 << 29) + 2];
    let wire_type = prop_oneof![12 => 0..6_u64, 1 => 6..8_u64];
    (field, wire_type).prop_map(|(field, wire_type)| field << 3 | wire_type)
}

/// A field as it should be, with a number of ours or another.
fn good_field() -> impl Strategy<Value = Vec<u8>> {
    let with = |key: u64, rest: Vec<u8>| [varint(key), rest].concat();
    let sized = |bytes: Vec<u8>| [varint(bytes.len() as u64), bytes].concat();
    let any_number = || wire_number(number());
    prop_oneof![
        vec(any::<u8>(), 0..12).prop_map(move |bytes| with(0x0a, sized(bytes))),
        any_number().prop_map(move |bytes| with(0x10, bytes)),
        any_number().prop_map(move |bytes| with(0x18, bytes)),
        any_number().prop_map(move |bytes| with(0x20, bytes)),
        (5..3000_u64, any_number()).prop_map(move |(field, bytes)| with(field << 3, bytes)),
        (5..3000_u64, any::<[u8; 8]>())
            .prop_map(move |(field, bytes)| with(field << 3 | 1, bytes.to_vec())),
        (5..3000_u64, vec(any::<u8>(), 0..12))
            .prop_map(move |(field, bytes)| with(field << 3 | 2, sized(bytes))),
        (5..3000_u64, any::<[u8; 4]>())
            .prop_map(move |(field, bytes)| with(field << 3 | 5, bytes.to_vec())),
    ]
}

/// What looks like a field, and may be none.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => good_field(),
        1 => (wire_number(key()), wire_number(0..12_u64)).prop_map(|(key, rest)| [key, rest].concat()),
        1 => (wire_number(key()), vec(any::<u8>(), 0..9)).prop_map(|(key, rest)| [key, rest].concat()),
        1 => wire_number(key()),
    ]
}

/// Fields in groups in groups, mostly closed by the number that opened them.
fn nested() -> impl Strategy<Value = Vec<u8>> {
    let leaf = vec(good_field(), 0..4).prop_map(|fields| fields.concat());
    leaf.prop_recursive(6, 40, 3, |inside| {
        (5..40_u64, vec(inside, 0..3), good_field(), 0..40_u8).prop_map(
            |(field, inside, more, slip)| {
                let end = field + u64::from(slip == 0);
                let (open, close) = (varint(field << 3 | 3), varint(end << 3 | 4));
                [open, inside.concat(), close, more].concat()
            },
        )
    })
}

/// Groups about as deep as they may be.
fn deep() -> impl Strategy<Value = Vec<u8>> {
    let inside = prop_oneof![Just(Vec::new()), good_field()];
    (95..105_usize, inside, 0..8_usize, good_field()).prop_map(|(depth, inside, less, more)| {
        let closed = depth - less / 6;
        [vec![0x2b; depth], inside, vec![0x2c; closed], more].concat()
    })
}

/// Anything that tells fields from each other.
fn wire_shaped() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(garbage(), 0..8).prop_map(|fields| fields.concat()),
        4 => vec(prop_oneof![good_field(), nested()], 0..5).prop_map(|fields| fields.concat()),
        1 => deep(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn arbitrary_bytes(payload in vec(any::<u8>(), 0..60)) {
        check(&payload)?;
    }

    #[test]
    fn wire_shaped_bytes(payload in wire_shaped()) {
        check(&payload)?;
    }

    #[test]
    fn mutated_records(
        record in record(),
        behind in wire_shaped(),
        changes in vec((any::<Index>(), any::<u8>(), 0..4_u8), 0..4),
    ) {
        let mut payload = [record.encode(), behind].concat();
        for (place, byte, verb) in changes {
            if payload.is_empty() {
                break;
            }
            let at = place.index(payload.len());
            match verb {
                0 => payload[at] = byte,
                1 => payload[at] ^= 1 << (byte & 7),
                2 => payload.insert(at, byte),
                _ => _ = payload.remove(at),
            }
        }
        check(&payload)?;
    }

    #[test]
    fn records_are_written_as_prost_writes_them(record in record()) {
        let oracle = Oracle {
            value: record.value.clone(),
            offset: record.offset.0,
            term: record.term,
            record_type: record.record_type,
        };
        let bytes = record.encode();
        prop_assert_eq!(&bytes, &oracle.encode_to_vec());
        prop_assert!(check(&bytes)?);
        prop_assert_eq!(&decode(&bytes).unwrap(), &record);

        let value_bytes = record.value.len() as u64;
        let known = encoded_len(value_bytes, record.offset, record.term, record.record_type);
        prop_assert_eq!(known, bytes.len() as u64);
        let mut parts = Vec::new();
        encode_head(value_bytes, &mut parts);
        parts.extend_from_slice(&record.value);
        encode_tail(record.offset, record.term, record.record_type, &mut parts);
        prop_assert_eq!(parts, bytes);
    }

    #[test]
    fn unknown_fields_survive_a_copy(
        record in record(),
        unknown in nested(),
        first in any::<bool>(),
    ) {
        let known = record.encode();
        let payload = if first {
            [&unknown[..], &known].concat()
        } else {
            [&known[..], &unknown].concat()
        };
        if check(&payload)? {
            let kept = decode(&payload).unwrap().unknown;
            let apart = decode(&unknown).unwrap().unknown;
            prop_assert_eq!(kept, apart);
        }
    }

    /// Cut anywhere, a record is a prefix of one.
    #[test]
    fn every_prefix(record in record(), behind in wire_shaped()) {
        let whole = [record.encode(), behind].concat();
        let legal = check(&whole)?;
        for cut in 0..whole.len() {
            check(&whole[..cut])?;
            prop_assert!(!legal || is_prefix(&whole[..cut]), "cut at {}", cut);
        }
    }

    /// What is no prefix cannot be made a record by more bytes; nor is it one again.
    #[test]
    fn no_prefix_of_anything(payload in wire_shaped(), more in wire_shaped()) {
        if !is_prefix(&payload) {
            let longer = [payload, more].concat();
            prop_assert!(!is_prefix(&longer));
            prop_assert!(Oracle::decode(&longer[..]).is_err());
        }
    }
}

/// All payloads of up to two bytes, and of three behind a few beginnings.
#[test]
fn short_payloads_exhaustively() {
    check(&[]).unwrap();
    for a in 0..=u8::MAX {
        check(&[a]).unwrap();
        for b in 0..=u8::MAX {
            check(&[a, b]).unwrap();
            for beginning in [&[0x0a][..], &[0x10], &[0x0a, 1], &[0x20, 1], &[0x2b]] {
                check(&[beginning, &[a, b]].concat()).unwrap();
            }
        }
    }
}

/// Numbers of every length with every last byte, as numbers, lengths and keys.
#[test]
fn varints_of_every_length() {
    for length in 0..12 {
        for (fill, last) in (0..=u8::MAX).flat_map(|last| [(0x80, last), (0xff, last)]) {
            let number = [vec![fill; length], vec![last]].concat();
            for beginning in [
                &[][..],
                &[0x0a],
                &[0x10],
                &[0x18],
                &[0x20],
                &[0x28],
                &[0x2b],
            ] {
                check(&[beginning, &number].concat()).unwrap();
            }
            for first in [0x82, 0x8a, 0x90, 0xa8, 0xac, 0xae] {
                check(&[&[first][..], &number, &[0]].concat()).unwrap();
            }
        }
    }
}

/// A test of the tests: the generators make enough of both kinds.
#[test]
fn the_generators_make_good_and_bad_payloads() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut taken, mut unknown) = (0, 0);
    for _ in 0..1000 {
        let payload = wire_shaped().new_tree(&mut runner).unwrap().current();
        let found: Option<Layout> = layout_of(&payload).ok();
        taken += u32::from(found.is_some());
        unknown += u32::from(found.is_some_and(|found| found.has_unknown));
    }
    assert!((250..750).contains(&taken), "{taken} of 1000");
    assert!(unknown > 150, "{unknown} of 1000");
}
