//! How records are found in bytes. Works on whatever part of an input is in memory: takes
//! the intact records and leaves the rest for later. Reads nothing itself.

use memchr::memmem;
use proglog::log::format::{LENGTH_BYTES, decode_length};
use proglog::log::writer::NewRecord;

use super::json;

/// Position of the first of these bytes. Most short records end in the first few bytes, which
/// are compared at once: calling `memchr` takes longer.
#[inline]
fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_be_bytes([1; 8]);
    const LOW: u64 = ONES * 0x7f;
    if let Some(first) = bytes.first_chunk() {
        // A byte of zero where it is this byte; its highest bit is set in the marks.
        let zero = u64::from_be_bytes(*first) ^ (ONES * u64::from(byte));
        let marks = !(((zero & LOW) + LOW) | zero | LOW);
        if marks != 0 {
            return Some(marks.leading_zeros() as usize / 8);
        }
    }
    memchr::memchr(byte, bytes)
}

/// The ways in which an input is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Records end with this byte, which is not part of them.
    Byte(u8),
    /// Records end with these bytes, of which there are at least two.
    Text(Vec<u8>),
    /// Each input is one record.
    Whole,
    /// A length (8 bytes, big-endian) before each record.
    Frames,
    /// A JSON object on each line.
    Json,
}

/// Why dividing an input stopped.
#[derive(Debug)]
pub enum Stopped<E> {
    /// The input is wrong here; returns where and what.
    Malformed(String),
    /// The record was not taken.
    Refused(E),
}

/// Divides one input.
pub struct Splitter<'f> {
    format: &'f Format,
    /// Records found so far.
    pub records: u64,
    /// Bytes of the input that were taken. Counted for frames only.
    position: u64,
    /// So many of the bytes that wait hold no end of a record.
    searched: usize,
    json: json::Parser,
}

impl<'f> Splitter<'f> {
    /// At the beginning of an input.
    pub fn new(format: &'f Format) -> Self {
        Self {
            format,
            records: 0,
            position: 0,
            searched: 0,
            json: json::Parser::default(),
        }
    }

    /// Hands over the intact records in `bytes`; returns how many bytes they took.
    #[inline]
    pub fn split<E>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(NewRecord<'_>) -> Result<(), E>,
    ) -> Result<usize, Stopped<E>> {
        match self.format {
            Format::Byte(byte) => {
                let searched = self.searched;
                let mut from = searched;
                let ends = std::iter::from_fn(|| {
                    let end = from + find(*byte, bytes.get(from..)?)?;
                    from = end + 1;
                    Some(end)
                });
                self.divide(bytes, ends, 1, each)
            }
            Format::Text(delimiter) => {
                let searched = self.searched;
                let rest = bytes.get(searched..).unwrap_or_default();
                let ends = memmem::find_iter(rest, delimiter);
                let taken =
                    self.divide(bytes, ends.map(|end| end + searched), delimiter.len(), each)?;
                // The beginning of a delimiter may be among the last bytes.
                self.searched = self.searched.saturating_sub(delimiter.len() - 1);
                Ok(taken)
            }
            Format::Whole => Ok(0),
            Format::Frames => self.frames(bytes, &mut each),
            Format::Json => self.json_lines(bytes, &mut each),
        }
    }

    /// Hands over what an input that has ended leaves. `bytes` is what `split` left.
    pub fn finish<E>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(NewRecord<'_>) -> Result<(), E>,
    ) -> Result<(), Stopped<E>> {
        match self.format {
            Format::Byte(_) | Format::Text(_) | Format::Json if bytes.is_empty() => Ok(()),
            Format::Byte(_) | Format::Text(_) | Format::Whole => {
                self.records += 1;
                each(value(bytes)).map_err(Stopped::Refused)
            }
            Format::Frames => self.last_frame(bytes),
            Format::Json => self.json_line(bytes, &mut each),
        }
    }

    /// The error if the frame at the start of `bytes` claims more than the `left` bytes
    /// that remain of its input.
    pub fn overreach(&self, bytes: &[u8], left: u64) -> Option<String> {
        if *self.format != Format::Frames {
            return None;
        }
        let length = decode_length(*bytes.first_chunk()?);
        let there = left.saturating_sub(LENGTH_BYTES);
        (length > there).then(|| self.cut_short(length, there))
    }

    /// Bytes of the input that intact frames took.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The records that end at `ends`, each end `end_bytes` long.
    #[inline]
    fn divide<E>(
        &mut self,
        bytes: &[u8],
        ends: impl Iterator<Item = usize>,
        end_bytes: usize,
        mut each: impl FnMut(NewRecord<'_>) -> Result<(), E>,
    ) -> Result<usize, Stopped<E>> {
        let mut start = 0;
        for end in ends {
            let record = bytes.get(start..end).unwrap_or_default();
            start = end + end_bytes;
            self.records += 1;
            each(value(record)).map_err(Stopped::Refused)?;
        }
        self.searched = bytes.len().saturating_sub(start);
        Ok(start)
    }

    fn frames<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(NewRecord<'_>) -> Result<(), E>,
    ) -> Result<usize, Stopped<E>> {
        let mut rest = bytes;
        while let Some((&length, after)) = rest.split_first_chunk() {
            let record = usize::try_from(decode_length(length))
                .ok()
                .and_then(|length| after.split_at_checked(length));
            let Some((record, after)) = record else { break };
            self.records += 1;
            self.position += (rest.len() - after.len()) as u64;
            rest = after;
            each(value(record)).map_err(Stopped::Refused)?;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Nothing may remain at the end of frames.
    fn last_frame<E>(&self, bytes: &[u8]) -> Result<(), Stopped<E>> {
        if bytes.is_empty() {
            return Ok(());
        }
        let there = bytes.len() as u64;
        Err(match bytes.first_chunk() {
            Some(&length) => {
                Stopped::Malformed(self.cut_short(decode_length(length), there - LENGTH_BYTES))
            }
            None => Stopped::Malformed(format!(
                "record {} at byte {}: {} missing from its length",
                self.records + 1,
                self.position,
                count(LENGTH_BYTES - there, "byte"),
            )),
        })
    }

    /// The record at hand claims `length` bytes and only `there` of them are there.
    fn cut_short(&self, length: u64, there: u64) -> String {
        format!(
            "record {} at byte {}: {} missing: its length is {length}, but only {there} follow",
            self.records + 1,
            self.position,
            count(length.saturating_sub(there), "byte"),
        )
    }

    fn json_lines<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(NewRecord<'_>) -> Result<(), E>,
    ) -> Result<usize, Stopped<E>> {
        let searched = self.searched;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes.get(searched..).unwrap_or_default()) {
            let end = end + searched;
            let line = bytes.get(start..end).unwrap_or_default();
            start = end + 1;
            self.json_line(line, each)?;
        }
        self.searched = bytes.len() - start;
        Ok(start)
    }

    fn json_line<E>(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(NewRecord<'_>) -> Result<(), E>,
    ) -> Result<(), Stopped<E>> {
        let number = self.records + 1;
        let record = self
            .json
            .parse(line)
            .map_err(|what| Stopped::Malformed(format!("line {number}: {what}")))?;
        each(record).map_err(Stopped::Refused)?;
        self.records = number;
        Ok(())
    }
}

/// A number and its noun. (The fuzz target has this file without `render`.)
fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn value(value: &[u8]) -> NewRecord<'_> {
    NewRecord {
        value,
        ..NewRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_some_bytes_is_found() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let count = rng.usize(..20);
            let bytes: Vec<u8> = (0..count).map(|_| rng.u8(..4).wrapping_sub(2)).collect();
            let byte = rng.u8(..3).wrapping_sub(1);
            let first = bytes.iter().position(|it| *it == byte);
            assert_eq!(find(byte, &bytes), first, "{byte} in {bytes:?}");
        }
    }

    /// The records of an input that arrives in these pieces.
    fn records(format: &Format, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
        let mut splitter = Splitter::new(format);
        let (mut found, mut waiting) = (Vec::new(), Vec::new());
        let mut each = |record: NewRecord<'_>| {
            found.push(record.value.to_vec());
            Ok::<(), ()>(())
        };
        let words = |stopped| match stopped {
            Stopped::Malformed(what) => what,
            Stopped::Refused(()) => unreachable!("nothing is refused"),
        };
        for piece in pieces {
            waiting.extend_from_slice(piece);
            let taken = splitter.split(&waiting, &mut each).map_err(words)?;
            waiting.drain(..taken);
        }
        splitter.finish(&waiting, &mut each).map_err(words)?;
        Ok(found)
    }

    /// A format, an input, and the records in it.
    type Case<'c> = (Format, &'c [u8], &'c [&'c [u8]]);

    fn byte_by_byte(input: &[u8]) -> Vec<&[u8]> {
        input.chunks(1).collect()
    }

    #[test]
    fn any_cut_gives_the_same_records() {
        let frames: Vec<u8> = [&b"ab"[..], b"", b"\n"]
            .iter()
            .flat_map(|value| [&(value.len() as u64).to_be_bytes()[..], *value].concat())
            .collect();
        let cases: [Case<'_>; 8] = [
            (Format::Byte(b'\n'), b"a\n\nb\n", &[b"a", b"", b"b"]),
            (Format::Byte(b'\n'), b"a\r\nb", &[b"a\r", b"b"]),
            (Format::Byte(0), b"\0a\nb\0", &[b"", b"a\nb"]),
            (Format::Text(b"--".to_vec()), b"a---b--", &[b"a", b"-b"]),
            (
                Format::Text(b"aab".to_vec()),
                b"aaabaaba",
                &[b"a", b"", b"a"],
            ),
            (Format::Whole, b"a\nb", &[b"a\nb"]),
            (Format::Whole, b"", &[b""]),
            (Format::Frames, &frames, &[b"ab", b"", b"\n"]),
        ];
        for (format, input, expected) in cases {
            assert_eq!(
                records(&format, &[input]).as_deref(),
                Ok(&expected.iter().map(|r| r.to_vec()).collect::<Vec<_>>()[..]),
                "{format:?}"
            );
            for cut in 0..=input.len() {
                let (first, second) = input.split_at(cut);
                assert_eq!(
                    records(&format, &[first, second]),
                    records(&format, &[input]),
                    "{format:?} cut at {cut}"
                );
            }
            assert_eq!(
                records(&format, &byte_by_byte(input)),
                records(&format, &[input])
            );
        }
    }

    #[test]
    fn an_incomplete_frame_says_what_is_missing() {
        let input = b"\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\x05abc";
        assert_eq!(
            records(&Format::Frames, &[input]),
            Err(
                "record 2 at byte 9: 2 bytes missing: its length is 5, but only 3 follow"
                    .to_owned()
            )
        );
        assert_eq!(
            records(&Format::Frames, &[&input[..16]]),
            Err("record 2 at byte 9: 1 byte missing from its length".to_owned())
        );
        let huge = [0xff; 12];
        assert!(records(&Format::Frames, &[&huge]).is_err());
        assert!(
            Splitter::new(&Format::Frames)
                .overreach(&huge, 12)
                .is_some()
        );
        assert_eq!(Splitter::new(&Format::Frames).overreach(input, 12), None);
    }
}
