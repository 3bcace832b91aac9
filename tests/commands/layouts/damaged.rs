//! Logs of ours, sound and damaged: none is taken for another program's.

use fastrand::Rng;
use proglog_testkit::{memory_directory, report};

use super::healthy::{SORTS, payloads};
use super::made::{OUR_ENTRIES, OUR_FRAMES, files, recognised};

/// Damaged logs that are tried.
const LOGS: usize = 20_000;

/// One random damage to one file.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) -> String {
    let len = bytes.len();
    let at = rng.usize(..=len);
    let some = rng.usize(1..=40);
    match rng.usize(..8) {
        0 if len > 0 => {
            let bit = rng.usize(..len * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            format!("bit {bit} flipped")
        }
        1 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        2 => {
            let end = len.min(at + some);
            bytes[at..end].fill(0);
            format!("zeros {at}..{end}")
        }
        3 => {
            let value = [0, 0, 0xff, rng.u8(..)][rng.usize(..4)];
            bytes.splice(at..at, vec![value; some]);
            format!("{some} bytes {value} inserted at {at}")
        }
        4 => {
            let end = len.min(at + some);
            bytes.drain(at..end);
            format!("{at}..{end} lost")
        }
        5 => {
            let junk: Vec<u8> = (0..some).map(|_| rng.u8(..)).collect();
            bytes.splice(at..len.min(at + some), junk);
            format!("junk at {at}")
        }
        6 => {
            let fill = [0, 0xff][rng.usize(..2)];
            bytes.resize(len + rng.usize(1..=600), fill);
            format!("{} bytes {fill} added", bytes.len() - len)
        }
        _ => {
            // Entries or frames from the front are gone.
            let end = (12 * rng.usize(1..=6)).min(len);
            bytes.drain(..end);
            format!("..{end} lost")
        }
    }
}

#[test]
fn a_damaged_log_of_ours_is_never_anothers() {
    let directory = memory_directory();
    let mut rng = Rng::with_seed(3);
    let mut wrong = Vec::new();
    for _ in 0..LOGS {
        let base = [0, 0, 7, 1000][rng.usize(..4)];
        let sort = rng.usize(..=SORTS);
        let count = rng.u64(1..=30);
        let mut payloads = payloads(sort.min(SORTS - 1), count, &mut rng);
        if sort == SORTS {
            // A text with blank lines.
            for payload in payloads.iter_mut().skip(1).step_by(3) {
                payload.clear();
            }
        }
        let (mut store, index) = files(base, &payloads, OUR_FRAMES, OUR_ENTRIES);
        let mut index = Some(index);
        let mut what = Vec::new();
        for _ in 0..rng.usize(..=3) {
            let about_index = rng.bool();
            what.push(match &mut index {
                Some(_) if rng.usize(..10) == 0 => {
                    index = None;
                    "index missing".to_owned()
                }
                Some(index) if about_index => format!("index: {}", damage(index, &mut rng)),
                _ => format!("store: {}", damage(&mut store, &mut rng)),
            });
        }
        if let Some(layout) = recognised(directory.path(), base, &store, index.as_deref()) {
            wrong.push(format!(
                "{layout}: base {base}, {count} records, sort {sort}, {what:?}"
            ));
        }
    }
    report(&format!(
        "{LOGS} damaged logs of ours, {} taken for another program's",
        wrong.len()
    ));
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Bytes that prove nothing.
#[test]
fn what_may_be_anything_is_not_anothers() {
    let directory = memory_directory();
    let mut rng = Rng::with_seed(4);
    let random: Vec<u8> = (0..5000).map(|_| rng.u8(..)).collect();
    for store in [&[] as &[u8], &[0; 4096], &[0xff; 4096], &random] {
        for index in [&[] as &[u8], &[0; 1020], &[0xff; 1020], &random] {
            assert_eq!(recognised(directory.path(), 0, store, Some(index)), None);
        }
    }
}
