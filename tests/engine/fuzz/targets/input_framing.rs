//! The input of an append: a byte for the framing, a byte for where it is cut, the
//! input. It divides into the same records however it arrives, as a naive reader
//! divides it.

use proglog::log::writer::NewRecord;
use proglog_testkit::frames;

use super::append::framing::{Format, Splitter, Stopped};
use super::scratch::split_first;

/// A record: its value, and a Raft log's term and type.
type Found = (Vec<u8>, u64, u32);

pub fn run(data: &[u8]) {
    let (kind, rest) = split_first(data);
    let (cut, input) = split_first(rest);
    let format = match kind % 7 {
        0 => Format::Byte(b'\n'),
        1 => Format::Byte(0),
        2 => Format::Byte(kind),
        3 => Format::Text(b"aab".to_vec()),
        4 => Format::Whole,
        5 => Format::Frames,
        _ => Format::Json,
    };
    let whole = divide(&format, input, input.len().max(1));
    let piece = usize::from(cut).max(1);
    let in_pieces = divide(&format, input, piece);
    assert_eq!(whole, in_pieces, "{format:?} in pieces of {piece} bytes");
    let (records, error) = whole;
    let values: Vec<&[u8]> = records.iter().map(|(value, _, _)| &value[..]).collect();
    match &format {
        Format::Byte(byte) => assert_eq!(values, divided(input, &[*byte])),
        Format::Text(text) => assert_eq!(values, divided(input, text)),
        Format::Whole => assert_eq!(values, [input]),
        Format::Frames => {
            let expected = frames(input);
            let expected: Vec<&[u8]> = expected.iter().map(|(_, value)| &value[..]).collect();
            assert_eq!(values, expected);
            let taken: usize = expected.iter().map(|value| value.len() + 8).sum();
            assert_eq!(error.is_some(), taken < input.len(), "{error:?}");
        }
        Format::Json => {
            let lines = divided(input, b"\n");
            assert!(values.len() <= lines.len());
            assert_eq!(error.is_some(), values.len() < lines.len(), "{error:?}");
            for (line, (value, term, kind)) in lines.iter().zip(&records) {
                let json: serde_json::Value = serde_json::from_slice(line).unwrap();
                if let Some(text) = json["value"].as_str() {
                    assert_eq!(value, text.as_bytes());
                }
                assert_eq!(json["term"].as_u64().unwrap_or(0), *term);
                assert_eq!(json["type"].as_u64().unwrap_or(0), u64::from(*kind));
            }
        }
    }
}

/// The records of an input that arrives in pieces, and what stopped it.
fn divide(format: &Format, input: &[u8], piece: usize) -> (Vec<Found>, Option<String>) {
    let mut splitter = Splitter::new(format);
    let mut found = Vec::new();
    let mut waiting = Vec::new();
    let mut each = |record: NewRecord<'_>| {
        found.push((record.value.to_vec(), record.term, record.record_type));
        Ok::<(), ()>(())
    };
    let mut divide = || {
        for piece in input.chunks(piece) {
            waiting.extend_from_slice(piece);
            let taken = splitter.split(&waiting, &mut each)?;
            waiting.drain(..taken);
        }
        splitter.finish(&waiting, &mut each)
    };
    let error = match divide() {
        Ok(()) => None,
        Err(Stopped::Malformed(what)) => Some(what),
        Err(Stopped::Refused(())) => unreachable!("nothing is refused"),
    };
    (found, error)
}

/// What stands before each delimiter, and behind the last one if there is anything.
fn divided<'i>(input: &'i [u8], delimiter: &[u8]) -> Vec<&'i [u8]> {
    let mut records = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(delimiter.len()).position(|it| it == delimiter) {
        records.push(&rest[..at]);
        rest = &rest[at + delimiter.len()..];
    }
    if !rest.is_empty() {
        records.push(rest);
    }
    records
}
