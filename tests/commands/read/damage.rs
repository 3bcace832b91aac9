//! Damage in what was asked for: everything before it is printed, the finding is
//! told with its place and its figures, and `skip` goes on behind it.

use super::builder::{Kind, Sandbox, lines};

const BOTH: [Kind; 2] = [Kind::Raw, Kind::Protobuf];

fn except(gone: std::ops::Range<u64>, all: u64) -> String {
    lines((0..all).filter(|offset| !gone.contains(offset)))
}

/// Stops before `gone`, with this finding; skips it; and never mistakes another part.
#[track_caller]
fn stops_and_skips(log: &Sandbox, gone: std::ops::Range<u64>, all: u64, words: &[&str]) {
    let goes_on = format!("continues at offset {}", gone.end);
    let mut words = words.to_vec();
    words.push(&goes_on);
    let ran = log.read(&[]).told(3, &words);
    assert_eq!(ran.text(), lines(0..gone.start));
    assert!(ran.err.contains("hint: "), "{}", ran.err);
    let ran = log.read(&["--on-error", "skip"]).told(3, &words);
    assert_eq!(ran.text(), except(gone.clone(), all));

    let last = (gone.end - 1).to_string();
    let ran = log.read(&["--offset", &last]).told(3, &words[..1]);
    assert!(ran.out.is_empty());
    let ran = log.read(&["--to", &(gone.start - 1).to_string()]).clean();
    assert_eq!(ran.text(), lines(0..gone.start));
    let ran = log.read(&["--from", &gone.end.to_string()]).clean();
    assert_eq!(ran.text(), lines(gone.end..all));
    let ran = log.read(&["-c", &gone.start.to_string()]).clean();
    assert_eq!(ran.text(), lines(0..gone.start));
    let ran = log.read(&["-n", &(all - gone.end).to_string()]).clean();
    assert_eq!(ran.text(), lines(gone.end..all));

    let before = format!("continues at offset {}", gone.start - 1);
    let ran = log.read(&["-r"]).told(3, &[words[0], &before]);
    assert_eq!(ran.text(), lines((gone.end..all).rev()));
    let ran = log
        .read(&["-r", "--on-error", "skip"])
        .told(3, &[words[0], &before]);
    let expected = lines((0..all).rev().filter(|offset| !gone.contains(offset)));
    assert_eq!(ran.text(), expected);
    let ran = log
        .read(&["-n", &(all - gone.end + 1).to_string()])
        .told(3, &words[..1]);
    assert_eq!(ran.text(), lines([gone.start - 1]));
}

#[test]
fn a_damaged_length() {
    for kind in BOTH {
        let log = Sandbox::numbered(kind, &[10, 10]);
        let position = log.position(10, 5);
        log.put("10.store", position, &[0, 0x40]);
        let place = format!("frame-length-damaged: 10.store {position}+8: ");
        let length = if kind == Kind::Raw { 9 } else { 13 };
        let figures = format!("a length of {}, expected {length}", (1_u64 << 54) + length);
        stops_and_skips(&log, 15..16, 20, &[&place, &figures]);
    }
}

#[test]
fn a_damaged_entry() {
    for kind in BOTH {
        let log = Sandbox::numbered(kind, &[10, 10]);
        log.put("0.index", 12 * 4 + 11, &[0xff]);
        let position = if kind == Kind::Raw { 64 } else { 78 };
        let figures = format!("entry 4 has 255, expected {position}");
        stops_and_skips(
            &log,
            4..5,
            20,
            &["index-entry-damaged: 0.index 48+12: ", &figures],
        );
    }
}

#[test]
fn several_damaged_entries_are_one_finding() {
    let log = Sandbox::numbered(Kind::Protobuf, &[20]);
    for slot in 5..9 {
        log.put("0.index", 12 * slot + 11, &[0xff]);
    }
    let ran = log
        .read(&["--on-error", "skip"])
        .told(3, &["offsets 5..8", "3 more places"]);
    assert_eq!(ran.err.matches("index-entry-damaged").count(), 1);
    assert_eq!(ran.text(), except(5..9, 20));
}

#[test]
fn a_record_that_is_none_or_anothers() {
    let log = Sandbox::numbered(Kind::Protobuf, &[10, 10]);
    let position = log.position(0, 6) + 8;
    log.put("0.store", position, &[0x0f]);
    stops_and_skips(&log, 6..7, 20, &["record-undecodable: 0.store "]);
    let log = Sandbox::numbered(Kind::Protobuf, &[10, 10]);
    let position = log.position(0, 7) - 1;
    log.put("0.store", position, &[9]);
    let place = format!("record-offset-mismatch: 0.store {position}+1: ");
    let figures = "a record with offset 9, expected 6";
    stops_and_skips(&log, 6..7, 20, &[&place, figures]);
}

#[test]
fn a_gap_and_a_missing_half() {
    for kind in BOTH {
        let log = Sandbox::numbered(kind, &[10, 5, 10]);
        log.remove("10.store");
        stops_and_skips(&log, 10..15, 25, &["store-missing: 10.store is missing"]);
        log.remove("10.index");
        stops_and_skips(&log, 10..15, 25, &["segment-gap: "]);
        let log = Sandbox::numbered(kind, &[10, 5, 10]);
        log.remove("10.index");
        // The store holds the records, and says which they are.
        let words = ["index-missing: 10.index is missing", "offsets 10..14"];
        assert_eq!(log.read(&[]).told(3, &words).text(), lines(0..10));
        let ran = log.read(&["--on-error", "skip"]).told(3, &words);
        assert_eq!(ran.text(), lines(0..25));
    }
}

#[test]
fn the_last_segment_lacks_a_half() {
    let log = Sandbox::numbered(Kind::Raw, &[10, 5]);
    log.remove("10.store");
    for arguments in [&[][..], &["--on-error", "skip"], &["-n", "10"]] {
        let ran = log
            .read(arguments)
            .told(3, &["store-missing: 10.store is missing"]);
        assert_eq!(ran.text(), lines(0..10));
    }
    assert_eq!(
        log.read(&["-r"]).told(3, &["store-missing"]).text(),
        lines((0..10).rev())
    );
    log.read(&["--offset", "12"]).told(3, &["store-missing"]);
    // One that never got a record: nothing is lost.
    let log = Sandbox::numbered(Kind::Raw, &[10, 0]);
    log.remove("10.store");
    assert_eq!(log.read(&[]).clean().text(), lines(0..10));
}

#[test]
fn a_directory_in_place_of_a_file() {
    let log = Sandbox::numbered(Kind::Raw, &[10, 5, 5]);
    log.remove("10.store");
    std::fs::create_dir(log.file("10.store")).unwrap();
    // Not through the sandbox's own check, which reads every name.
    let ran = super::builder::read(&log.dir(), &["--on-error", "skip"]);
    let ran = ran.told(3, &["not-a-file: 10.store is not a regular file"]);
    assert_eq!(ran.text(), except(10..15, 20));
}

/// Records without entries are reported before they are printed, from both ends.
#[test]
fn a_missing_index() {
    for base in [0, 10, 15] {
        let log = Sandbox::numbered(Kind::Raw, &[10, 5, 5]);
        log.remove(&format!("{base}.index"));
        let end = [10, 15, 20].into_iter().find(|end| *end > base).unwrap();
        let told = format!("index-missing: {base}.index is missing");
        let offsets = format!("not in the index: offsets {base}..{}", end - 1);
        let words = [told.as_str(), &offsets];
        assert_eq!(log.read(&[]).told(3, &words).text(), lines(0..base));
        let ran = log.read(&["-r"]).told(3, &words);
        assert_eq!(ran.text(), lines((end..20).rev()));
        let skip = ["--on-error", "skip"];
        assert_eq!(log.read(&skip).told(3, &words).text(), lines(0..20));
        let ran = log.read(&["-r", "--on-error", "skip"]).told(3, &words);
        assert_eq!(ran.text(), lines((0..20).rev()));
    }
}

/// More than is kept at once on the way back.
#[test]
fn a_missing_index_of_a_large_segment() {
    let mut log = Sandbox::new(Kind::Raw);
    let large = |count| vec!["x".repeat(6 << 20); count];
    log.segment(&large(2));
    log.segment(&[large(5), vec!["small".to_owned(); 9000], large(5)].concat());
    log.segment(&large(2));
    log.remove("2.index");
    let read = |arguments: &[&str]| {
        let format = ["--format", "%o\\n", "--on-error", "skip"];
        let ran = log.read(&[&format[..], arguments].concat());
        let ran = ran.told(3, &["index-missing: 2.index is missing"]);
        let offsets = ran.lines().into_iter().map(|it| it.parse::<u64>().unwrap());
        offsets.collect::<Vec<_>>()
    };
    let all: Vec<u64> = (0..9014).collect();
    assert_eq!(read(&[]), all);
    let back: Vec<u64> = all.into_iter().rev().collect();
    assert_eq!(read(&["-r"]), back);
    let ran = log.read(&["-r", "--format", "%o\\n"]);
    let ran = ran.told(3, &["offsets 2..9011", "continues at offset 1"]);
    assert_eq!(ran.lines(), ["9013", "9012"]);
}

#[test]
fn a_fork() {
    for kind in BOTH {
        let mut log = Sandbox::numbered(kind, &[10]);
        log.segment_at(6, &["other 6", "other 7"]);
        log.next = 10;
        let words = [
            "segment-overlap: 6.index claims",
            "offsets 6..7",
            "continues at offset 8",
        ];
        let ran = log.read(&[]).told(3, &words);
        assert_eq!(ran.text(), lines(0..6));
        let ran = log.read(&["--on-error", "skip"]).told(3, &words[..2]);
        assert_eq!(ran.text(), lines(0..10));
        assert!(
            log.read(&["--offset", "7"])
                .told(3, &["segment-overlap"])
                .out
                .is_empty()
        );
        let ran = log
            .read(&["--offset", "7", "--on-error", "skip"])
            .told(3, &["segment-overlap"]);
        assert_eq!(ran.text(), lines([7]));
        for offset in [5, 8, 9] {
            assert_eq!(
                log.read(&["--offset", &offset.to_string()]).clean().text(),
                lines([offset])
            );
        }
        let ran = log
            .read(&["-r"])
            .told(3, &["segment-overlap", "continues at offset 5"]);
        assert_eq!(ran.text(), lines([9, 8]));
        log.read(&["--offset", "10"])
            .told(1, &["the next offset is 10"]);
    }
}

#[test]
fn entries_whose_frames_are_not_there() {
    for kind in BOTH {
        let log = Sandbox::numbered(kind, &[5, 15]);
        // Into the frame before the last two, so that three are lost.
        let bytes = log.bytes("5.store").len() - log.position(5, 12) - 3;
        log.cut("5.store", bytes);
        log.pad("5.index", 4096);
        let words = [
            "index-dangling: 5.index 144+36: ",
            "offsets 17..19",
            "nothing follows",
        ];
        for arguments in [&[][..], &["--on-error", "skip"]] {
            assert_eq!(log.read(arguments).told(3, &words).text(), lines(0..17));
        }
        assert_eq!(log.read(&["-n", "2"]).told(3, &words).text(), lines(15..17));
        assert_eq!(
            log.read(&["-r"]).told(3, &words[..2]).text(),
            lines((0..17).rev())
        );
        assert_eq!(log.read(&["-c", "17"]).clean().text(), lines(0..17));
        assert_eq!(log.read(&["--to", "16"]).clean().text(), lines(0..17));
        assert_eq!(log.read(&["--offset=-1"]).clean().text(), lines([16]));
        log.read(&["--offset", "18"]).told(3, &["index-dangling"]);
        log.read(&["--from", "18"])
            .told(3, &["index-dangling", "offsets 18..19"]);
        log.read(&["--offset", "20"])
            .told(1, &["not in the log yet: the next offset is 17"]);
    }
}

#[test]
fn a_damaged_entry_in_the_middle_does_not_move_the_end() {
    for kind in BOTH {
        let log = Sandbox::numbered(kind, &[100]);
        log.cut("0.store", 3);
        for slot in [24, 49, 50, 74] {
            log.put("0.index", 12 * slot + 5, &[0x7f]);
        }
        let ran = log.read(&["--offset=-1"]).clean();
        assert_eq!(ran.text(), lines([98]));
        let ran = log
            .read(&["--on-error", "skip"])
            .told(3, &["index-entry-damaged", "index-dangling"]);
        let gone = [24, 49, 50, 74, 99];
        assert_eq!(
            ran.text(),
            lines((0..100).filter(|offset| !gone.contains(offset)))
        );
    }
}

/// Whatever a byte becomes, no record is printed that was never written, and the
/// status says so if one is missing.
#[test]
fn any_flipped_byte_of_a_protobuf_index() {
    let log = Sandbox::numbered(Kind::Protobuf, &[6, 6]);
    let sound = log.bytes("6.index");
    for at in 0..sound.len() {
        for bit in [0x01, 0x10, 0x80] {
            log.put("6.index", at, &[sound[at] ^ bit]);
            let ran = log.read(&["--on-error", "skip"]);
            let printed = ran.lines();
            let known: Vec<String> = (0..12).map(super::builder::value).collect();
            assert!(
                printed
                    .iter()
                    .all(|line| known.iter().any(|value| value == line)),
                "{at}"
            );
            assert!(
                printed.is_sorted_by(|a, b| a.len() < b.len() || a < b),
                "{printed:?}"
            );
            // The last record's entry is not missed: the store goes on where it should.
            assert!((11..=12).contains(&printed.len()), "byte {at}: {}", ran.err);
            assert_eq!(ran.status, 3, "byte {at}");
        }
        log.put("6.index", at, &sound[at..=at]);
    }
}

#[test]
fn records_that_zeros_replace_at_the_end_are_told() {
    for kind in BOTH {
        let log = Sandbox::numbered(kind, &[10]);
        let mut store = log.bytes("0.store");
        let from = log.position(0, 7);
        store[from..].fill(0);
        std::fs::write(log.file("0.store"), store).unwrap();
        for arguments in [
            &[][..],
            &["7..9"],
            &["9"],
            &["-r"],
            &["-n", "2"],
            &["-g", "."],
        ] {
            log.read(arguments).told(3, &["offset", "not in 0.store"]);
        }
        // Of a raw log the first of these zeros may be an empty record.
        let text = log.read(&[]).text().replace("\n\n", "\n");
        assert_eq!(text, lines(0..7), "{kind:?}");
        assert_eq!(log.read(&["0..6"]).clean().text(), lines(0..7));
    }
}
