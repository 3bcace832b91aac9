//! Random pairs of logs, held against what a map of their records says.

use std::collections::BTreeMap;

use proglog_testkit::{Codec, LogBuilder, Sandbox, run};

use std::fs;

use serde_json::Value;

use super::{beside, lines, ranges};

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

type Records = BTreeMap<u64, Vec<u8>>;

/// A log of these records in segments of random sizes; gaps begin new ones.
fn build(records: &Records, numbers: &mut Numbers) -> LogBuilder {
    let codec = [Codec::Raw, Codec::Protobuf][usize::try_from(numbers.below(2)).unwrap()];
    let mut builder = LogBuilder::new(codec);
    let mut segment: Vec<&[u8]> = Vec::new();
    let mut base = 0;
    for (offset, value) in records {
        let follows = base + segment.len() as u64 == *offset;
        if !segment.is_empty() && (!follows || numbers.below(6) == 0) {
            builder = builder.segment(base, std::mem::take(&mut segment));
        }
        if segment.is_empty() {
            base = *offset;
        }
        segment.push(value);
    }
    builder.segment(base, segment)
}

/// What a comparison of both must say.
fn expected(a: &Records, b: &Records) -> Vec<String> {
    let mut said: Vec<(&str, u64, u64)> = Vec::new();
    let offsets: std::collections::BTreeSet<u64> = a.keys().chain(b.keys()).copied().collect();
    for offset in offsets {
        let kind = match (a.get(&offset), b.get(&offset)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(_), Some(_)) => "differs",
            (Some(_), None) => "only a",
            _ => "only b",
        };
        match said.last_mut() {
            Some((last, _, end)) if *last == kind && *end + 1 == offset => *end = offset,
            _ => said.push((kind, offset, offset)),
        }
    }
    let text = said
        .iter()
        .map(|(kind, first, last)| format!("{kind} {first}..{last}"));
    text.collect()
}

#[test]
fn a_comparison_says_what_the_records_say() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut same, mut different) = (0, 0);
    for round in 0..200 {
        let mut a = Records::new();
        let first = [0, 1, 500][usize::try_from(numbers.below(3)).unwrap()];
        for offset in first..first + 1 + numbers.below(40) {
            // A value that a protobuf log may not be taken for.
            let bytes = numbers.below(9);
            let value = (0..bytes).map(|_| b"abc"[usize::try_from(numbers.below(3)).unwrap()]);
            a.insert(offset, value.collect());
        }
        let mut b = a.clone();
        for _ in 0..numbers.below(4) {
            let keys: Vec<u64> = b.keys().copied().collect();
            let at = keys[usize::try_from(numbers.below(keys.len() as u64)).unwrap()];
            match numbers.below(4) {
                0 if b.len() > 1 => {
                    b.remove(&at);
                }
                1 => {
                    let end = keys[keys.len() - 1] + 1;
                    b.insert(end, b"new".to_vec());
                }
                2 if at != keys[0] => {
                    b.split_off(&at);
                }
                _ => {
                    b.insert(at, b"changed".to_vec());
                }
            }
        }
        let sandbox = Sandbox::built(&build(&a, &mut numbers));
        beside(&sandbox, "copy", &build(&b, &mut numbers));
        let wanted = expected(&a, &b);
        let (status, stdout, stderr) = run(&sandbox, &["diff", "log", "copy", "--json"]);
        assert_eq!(
            ranges(&lines(&stdout)),
            wanted,
            "round {round}: {stdout}{stderr}"
        );
        assert_eq!(status, i32::from(!wanted.is_empty()), "round {round}");
        same += u64::from(wanted.is_empty());
        different += u64::from(!wanted.is_empty());
    }
    println!("{same} pairs the same, {different} different");
    assert!(same > 20 && different > 20);
}

/// What `read` gives of a log, damage skipped.
fn read(sandbox: &Sandbox, log: &str) -> Records {
    let read = ["read", log, "--json", "--on-error", "skip"];
    let (_, stdout, _) = run(sandbox, &read);
    let mut records = Records::new();
    for line in stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let field = ["value", "value_base64"]
            .into_iter()
            .find(|it| !line[it].is_null());
        let value = line[field.unwrap()].as_str().unwrap();
        records.insert(line["offset"].as_u64().unwrap(), value.into());
    }
    records
}

/// Whatever is damaged: where nothing is said, both logs give the same.
#[test]
fn nothing_is_called_equal_that_is_not() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let (mut equal, mut told) = (0, 0);
    for round in 0..120 {
        let records: Records = (0..24)
            .map(|offset| (offset, format!("value {offset}").into_bytes()))
            .collect();
        let sandbox = Sandbox::built(&build(&records, &mut numbers));
        let copy = beside(&sandbox, "copy", &build(&records, &mut numbers));
        for dir in [sandbox.log(), copy] {
            for _ in 0..numbers.below(3) {
                let files: Vec<_> = fs::read_dir(&dir).unwrap().flatten().collect();
                let file = &files[usize::try_from(numbers.below(files.len() as u64)).unwrap()];
                let mut bytes = fs::read(file.path()).unwrap();
                let at = usize::try_from(numbers.below(bytes.len().max(1) as u64)).unwrap();
                match numbers.below(8) {
                    0 => bytes.truncate(at),
                    1 => bytes.extend([0; 24]),
                    2 => {
                        fs::remove_file(file.path()).unwrap();
                        continue;
                    }
                    _ if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
                    _ => {}
                }
                fs::write(file.path(), bytes).unwrap();
            }
        }
        let (status, stdout, stderr) = run(&sandbox, &["diff", "log", "copy", "--json"]);
        if status == 2 {
            assert!(stderr.contains("not a log"), "round {round}: {stderr}");
            continue;
        }
        let ranges: Vec<Value> = lines(&stdout)
            .into_iter()
            .filter(|line| !line["first_offset"].is_null())
            .collect();
        let (a, b) = (read(&sandbox, "log"), read(&sandbox, "copy"));
        for offset in 0..40 {
            let holds = |range: &&Value| {
                let (first, last) = (&range["first_offset"], &range["last_offset"]);
                (first.as_u64().unwrap()..=last.as_u64().unwrap()).contains(&offset)
            };
            let said = ranges.iter().find(holds);
            let kind = said.map(|range| range["kind"].as_str().unwrap());
            let where_told = format!("round {round}, offset {offset}: {kind:?}\n{stdout}");
            match (a.get(&offset), b.get(&offset)) {
                (Some(a), Some(b)) if a == b => {
                    // What stands under an offset twice is given once by a reader.
                    assert!(kind.is_none() || kind == Some("damaged"), "{where_told}");
                    equal += u64::from(kind.is_none());
                }
                (Some(_), Some(_)) => {
                    assert!(matches!(kind, Some("differs" | "damaged")), "{where_told}");
                }
                (None, None) => assert!(matches!(kind, None | Some("damaged")), "{where_told}"),
                _ => assert!(matches!(kind, Some("only" | "damaged")), "{where_told}"),
            }
            told += u64::from(kind.is_some());
        }
    }
    println!("{equal} records equal, {told} told of");
    assert!(equal > 500 && told > 100, "{equal} {told}");
}
