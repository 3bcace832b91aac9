//! Healthy logs of other programs: lengths, checksums and entries of other widths and
//! byte orders. Every writing command leaves every byte, size and time alone; verify
//! names the layout.

use proglog_testkit::{entry, frame, pb};

use super::forge::{CRC32, CRC32C, Files, crc, lay, padded, pair};
use super::outcome::text;
use super::run::{Case, none, run_in};

/// Commands that write.
pub const WRITING: &[&[&str]] = &[
    &["append", "log"],
    &["append", "--codec", "raw", "log"],
    &["repair", "log"],
    &["repair", "--adopt-tail", "log"],
    &["trim", "log", "--after", "0"],
    &["trim", "log", "--before", "1"],
    &["truncate-index", "log"],
];

/// And what they would do.
pub const DRY_RUNS: &[&[&str]] = &[
    &["repair", "--dry-run", "log"],
    &["trim", "--dry-run", "log", "--after", "0"],
    &["trim", "--dry-run", "log", "--before", "1"],
    &["truncate-index", "--dry-run", "log"],
];

/// An integer of so many bytes.
fn integer(value: u64, bytes: usize, little: bool) -> Vec<u8> {
    let mut all = value.to_be_bytes()[8 - bytes..].to_vec();
    if little {
        all.reverse();
    }
    all
}

/// Where a checksum stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Between,
    Behind,
}

/// How a frame is written.
#[derive(Debug, Clone, Copy)]
struct Frames {
    length: usize,
    little: bool,
    checksum: Option<(Place, usize, u32)>,
}

impl Frames {
    /// What its name must say.
    fn words(self) -> Vec<String> {
        let mut words = vec![format!("{} bytes", self.length)];
        words.extend(self.little.then(|| "little-endian".to_owned()));
        words.extend(self.checksum.map(|_| "checksum".to_owned()));
        words
    }

    fn frame(self, payload: &[u8]) -> Vec<u8> {
        let length = integer(payload.len() as u64, self.length, self.little);
        let Some((place, bytes, polynomial)) = self.checksum else {
            return [&length, payload].concat();
        };
        // 8 bytes hold a checksum that has as many: two of 4 will do.
        let low = crc(polynomial, payload);
        let sum = match bytes {
            4 => integer(u64::from(low), 4, self.little),
            _ => integer(u64::from(low) << 32 | u64::from(!low), 8, self.little),
        };
        match place {
            Place::Before => [&sum, &length, payload].concat(),
            Place::Between => [&length[..], &sum, payload].concat(),
            Place::Behind => [&length, payload, &sum].concat(),
        }
    }
}

/// How an entry is written: widths of offset, position and the rest.
#[derive(Debug, Clone, Copy)]
struct Entries {
    widths: (usize, usize, usize),
    little: (bool, bool),
    /// Whether the offset counts from the log's beginning.
    absolute: bool,
}

impl Entries {
    fn entry(self, base: u64, slot: u32, position: u64, length: usize) -> Vec<u8> {
        let offset = u64::from(slot) + if self.absolute { base } else { 0 };
        let (a, b, c) = self.widths;
        let mut entry = integer(offset, a, self.little.0);
        entry.extend(integer(position, b, self.little.1));
        if c > 0 {
            entry.extend(integer(length as u64, c, self.little.1));
        }
        entry
    }

    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for widths in [
            (4, 4, 0),
            (4, 8, 0),
            (8, 4, 0),
            (8, 8, 0),
            (4, 8, 4),
            (4, 8, 8),
        ] {
            for little in [(false, false), (true, false), (false, true), (true, true)] {
                for absolute in [false, true] {
                    if widths != (4, 8, 0) || little != (false, false) {
                        all.push(Self {
                            widths,
                            little,
                            absolute,
                        });
                    }
                }
            }
        }
        all
    }
}

/// Values of a log: how long they are decides what a frame may be taken for.
fn values(sort: usize, n: u32) -> Vec<Vec<u8>> {
    (0..n)
        .map(|i| match sort {
            0 => format!("record number {i}").into_bytes(),
            1 => format!("a line of {} ", i * 7919 % 1000)
                .repeat(1 + i as usize % 5)
                .into_bytes(),
            // Bytes of any value, of any length.
            2 => {
                let mut random = fastrand::Rng::with_seed(u64::from(i) + 77);
                (0..=i * 31 % 90).map(|_| random.u8(..)).collect()
            }
            // A Record.
            _ => pb(format!("value {i}").as_bytes(), u64::from(i), 0, 0),
        })
        .collect()
}

/// No command changes it, each ends with 3, verify names another layout with all of `words`.
pub fn is_left(case: &Case, words: &[String], wrong: &mut Vec<String>) {
    let sandbox = case.sandbox();
    let before = sandbox.snapshot();
    let mut run = |arguments: &[&str]| {
        let said = run_in(sandbox.path(), arguments, "a line\n");
        if said.status != 3 {
            wrong.push(format!("{}: {arguments:?}: {}", case.name, said.all()));
        }
        said
    };
    let verify = run(&["verify", "--json", "log"]);
    for arguments in WRITING
        .iter()
        .chain(DRY_RUNS)
        .chain(&[&["read", "log"][..]])
    {
        run(arguments);
    }
    if sandbox.snapshot() != before {
        // Once more, to say which of them it was.
        for arguments in WRITING.iter().chain(DRY_RUNS) {
            case.untouched(arguments, "a line\n", wrong);
        }
    }
    let mut findings = verify
        .json()
        .into_iter()
        .filter(|line| line["kind"] == "finding");
    let named = findings.any(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["id"] == "foreign-dialect" && words.iter().all(|word| message.contains(word.as_str()))
    });
    if !named {
        wrong.push(format!(
            "{}: verify, not {words:?}: {}",
            case.name,
            verify.all()
        ));
    }
}

fn files(
    base: u64,
    frames: impl Fn(&[u8]) -> Vec<u8>,
    entries: impl Fn(u32, u64, usize) -> Vec<u8>,
    values: Vec<Vec<u8>>,
) -> Files {
    let lengths: Vec<usize> = values.iter().map(Vec::len).collect();
    pair(
        base,
        lay(values, frames, |slot, position| {
            entries(slot, position, lengths[slot as usize])
        }),
    )
}

#[test]
fn entries_of_other_widths_are_left() {
    let mut wrong = Vec::new();
    for (number, layout) in Entries::all().into_iter().enumerate() {
        let base = if layout.absolute { 300 } else { 0 };
        let n = [3, 20, 41][number % 3];
        let mut files = files(
            base,
            frame,
            |slot, position, length| layout.entry(base, slot, position, length),
            values(number % 4, n),
        );
        for padding in [0, 4096] {
            let index = files.get_mut(&format!("{base}.index")).unwrap();
            *index = padded(index.clone(), index.len() + padding);
            let name = format!("{n} records, {layout:?}, padding {padding}");
            let (a, b, c) = layout.widths;
            let words = [format!("{} bytes", a + b + c)];
            is_left(&Case::new(name, files.clone()), &words, &mut wrong);
        }
    }
    none(&wrong);
}

#[test]
fn frames_of_other_layouts_are_left() {
    let mut wrong = Vec::new();
    let mut layouts = Vec::new();
    for length in [4, 8] {
        for little in [false, true] {
            for place in [
                None,
                Some(Place::Before),
                Some(Place::Between),
                Some(Place::Behind),
            ] {
                for (bytes, polynomial) in [(4, CRC32), (8, CRC32C)] {
                    let checksum = place.map(|place| (place, bytes, polynomial));
                    let ours = length == 8 && !little && place.is_none();
                    if !ours && (place.is_some() || bytes == 4) {
                        layouts.push(Frames {
                            length,
                            little,
                            checksum,
                        });
                    }
                }
            }
        }
    }
    for (number, layout) in layouts.into_iter().enumerate() {
        let n = [2, 20, 7][number % 3];
        for sort in 0..4 {
            // Its entries are ours, or of a width that goes with the lengths.
            let entries = |slot: u32, position: u64, _: usize| match sort % 2 {
                0 => entry(slot, position),
                _ => integer(u64::from(slot), 4, layout.little)
                    .into_iter()
                    .chain(integer(position, layout.length, layout.little))
                    .collect(),
            };
            let files = files(0, |payload| layout.frame(payload), entries, values(sort, n));
            let name = format!("{n} records of sort {sort}, {layout:?}");
            is_left(&Case::new(name, files), &layout.words(), &mut wrong);
        }
    }
    none(&wrong);
}

#[test]
fn one_frame_with_a_checksum_that_verifies_is_left() {
    let mut wrong = Vec::new();
    for place in [Place::Before, Place::Between, Place::Behind] {
        for polynomial in [CRC32, CRC32C] {
            for (length, little) in [(8, false), (8, true), (4, false), (4, true)] {
                let layout = Frames {
                    length,
                    little,
                    checksum: Some((place, 4, polynomial)),
                };
                let entries = |slot: u32, position: u64, _: usize| entry(slot, position);
                let files = files(0, |payload| layout.frame(payload), entries, values(3, 1));
                is_left(
                    &Case::new(format!("one record, {layout:?}"), files),
                    &layout.words(),
                    &mut wrong,
                );
            }
        }
    }
    none(&wrong);
}

/// The six layouts that were seen, as they were seen; `layouts` has many more.
#[test]
fn the_layouts_that_were_seen_are_left() {
    let values = text(20);
    let all = |frame: &dyn Fn(&[u8]) -> Vec<u8>, entry: &dyn Fn(u32, u64) -> Vec<u8>| {
        lay(values.clone(), frame, entry)
    };
    let one = |frame: &dyn Fn(&[u8]) -> Vec<u8>| lay([pb(&values[0], 0, 0, 0)], frame, entry);
    let sum = |payload: &[u8]| crc(CRC32C, payload).to_be_bytes();
    let four = |slot: u32, p: u64| [slot.to_be_bytes(), (p as u32).to_be_bytes()].concat();
    let (mut killed, mut little) = lay(text(40), frame, |slot, p| {
        [&slot.to_le_bytes()[..], &p.to_le_bytes()].concat()
    });
    killed.truncate(killed.len() - 5);
    little = padded(little, 1020);
    let cases = [
        ("entries 4+4", all(&frame, &four)),
        (
            "entries 8+8",
            all(&frame, &|slot, p| {
                [u64::from(slot).to_be_bytes(), p.to_be_bytes()].concat()
            }),
        ),
        (
            "lengths of 4",
            all(&|b| [&(b.len() as u32).to_be_bytes(), b].concat(), &four),
        ),
        ("crc before", one(&|b| [&sum(b)[..], &frame(b)].concat())),
        ("crc behind", one(&|b| [&frame(b)[..], &sum(b)].concat())),
        ("little-endian index, killed", (killed, little)),
    ];
    let mut wrong = Vec::new();
    for (name, files) in cases {
        is_left(&Case::new(name, pair(0, files)), &[], &mut wrong);
    }
    none(&wrong);
}
