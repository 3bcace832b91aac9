//! Each file of each log, cut to each length.

use super::logs::{Byte, Made, all};
use super::memory::alone;
use super::states::{State, look};

#[test]
fn each_truncation_is_told_of_and_costs_what_was_cut_off() {
    let _alone = alone();
    let mut wrong = Vec::new();
    for log in all() {
        let end = log.records.keys().max().unwrap() + 2;
        for (file, whole) in &log.files {
            let size = whole.len() as u64;
            let mut found = 0;
            for length in 0..size {
                log.sandbox.cut(file, length);
                let state = look(&log.sandbox.log(), end, None).unwrap();
                log.sandbox.write(file, whole);
                found += u64::from(!state.report.is_clean());
                for what in judge(&log, file, length, &state) {
                    let told = state.told();
                    wrong.push(format!(
                        "{}: {file} cut to {length}: {what}{told}",
                        log.name
                    ));
                }
            }
            println!("{}: {file}: cut to {size} lengths, {found} found", log.name);
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// A record is lost when a byte of its frame or of its entry is: that one, no other,
/// and never only in part.
fn judge(log: &Made, file: &str, length: u64, state: &State) -> Vec<String> {
    let mut wrong = state.contradictions(&log.records);
    let cut_off = |byte: &&Byte| byte.file == file && byte.at >= length;
    let mut expected: Vec<u64> = log
        .bytes
        .iter()
        .filter(cut_off)
        .map(|byte| byte.offset)
        .collect();
    expected.sort_unstable();
    expected.dedup();
    let lost = state.lost(&log.records);
    if lost != expected {
        wrong.push(format!("lost {lost:?}, not {expected:?}"));
    }
    if state.report.is_clean() {
        wrong.push("not told of".to_owned());
    }
    wrong
}
