//! Which files an append leaves: bytes, rolls, limits, offsets; and what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use prost::Message;

use crate::append::{Sandbox, bases, lines, placed, raw, stderr};

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

#[test]
fn a_raw_log_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.appended(&[], "ab\n\nc\n");
    assert_eq!(
        fs::read(sandbox.path("log/0.store")).unwrap(),
        b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01c"
    );
    assert_eq!(
        fs::read(sandbox.path("log/0.index")).unwrap(),
        [
            &[0; 12][..],
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 10],
            &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 18],
        ]
        .concat()
    );
}

#[test]
fn the_umask_decides_who_may_write_a_new_log_and_new_pairs_follow() {
    for (umask, directory, file) in [("002", 0o775, 0o664), ("022", 0o755, 0o644)] {
        let sandbox = Sandbox::new();
        let binary = assert_cmd::cargo::cargo_bin("proglog");
        let append = |umask: &str| {
            let command = format!(
                "umask {umask}; echo a | {} append log --max-index-bytes 12",
                binary.display()
            );
            let mut shell = std::process::Command::new("sh");
            let shell = shell.args(["-c", &command]).current_dir(sandbox.path(""));
            assert!(shell.output().unwrap().status.success());
        };
        let mode = |path: &str| {
            let metadata = fs::metadata(sandbox.path(path)).unwrap();
            metadata.permissions().mode() & 0o7777
        };
        append(umask);
        // Whoever appends then has another umask.
        append("077");
        append("077");
        assert_eq!(mode("log"), directory, "{umask}");
        assert_eq!(sandbox.names().len(), 8);
        for name in sandbox.names() {
            assert_eq!(mode(&format!("log/{name}")), file, "{umask} {name}");
        }
    }
}

#[test]
fn a_protobuf_log_as_prost_encodes_it_across_rolls() {
    let sandbox = Sandbox::new();
    let input = "{\"value\":\"a\"}\n{\"value\":\"\",\"term\":3,\"type\":1}\n{\"value\":\"c\",\"term\":300}\n";
    let options = [
        "--codec=protobuf",
        "--max-index-bytes=30",
        "--initial-offset=127",
    ];
    sandbox.appended(&[&options[..], &["--input=json"]].concat(), input);
    sandbox.appended(&[], "d\n");
    let record = |value: &str, offset, term, record_type| Oracle {
        value: value.as_bytes().to_vec(),
        offset,
        term,
        record_type,
    };
    let expected: Vec<_> = [
        record("a", 127, 0, 0),
        record("", 128, 3, 1),
        record("c", 129, 300, 0),
        record("d", 130, 0, 0),
    ]
    .iter()
    .map(|record| (record.offset, record.encode_to_vec()))
    .collect();
    assert_eq!(placed(&sandbox.log()), expected);
    assert_eq!(bases(&sandbox.log()), [127, 129, 131]);
}

#[test]
fn an_empty_protobuf_record_at_offset_0_is_an_empty_frame() {
    let sandbox = Sandbox::new();
    sandbox.appended(&["--codec", "protobuf"], "\n\n");
    assert_eq!(
        sandbox.values(),
        [
            Oracle::default(),
            Oracle {
                offset: 1,
                ..Oracle::default()
            }
        ]
        .map(|r| r.encode_to_vec())
    );
}

#[test]
fn a_segment_rolls_behind_the_record_that_fills_its_store() {
    let sandbox = Sandbox::new();
    // Frames of 10 bytes: the third reaches 25.
    sandbox.appended(&["--max-store-bytes", "25"], "aa\nbb\ncc\ndd\n");
    assert_eq!(
        sandbox.names(),
        ["0.index", "0.store", "3.index", "3.store"]
    );
    let bytes = |name: &str| fs::metadata(sandbox.log().join(name)).unwrap().len();
    assert_eq!((bytes("0.store"), bytes("0.index")), (30, 36));
    assert_eq!((bytes("3.store"), bytes("3.index")), (10, 12));
    assert_eq!(sandbox.values(), raw(&["aa", "bb", "cc", "dd"]));
    // One record however large, and an empty pair at the end.
    let sandbox = Sandbox::new();
    sandbox.appended(&["--max-store-bytes", "1"], "aaaaaaaa\nb\n");
    assert_eq!(bases(&sandbox.log()), [0, 1, 2]);
    assert_eq!(fs::metadata(sandbox.path("log/2.store")).unwrap().len(), 0);
}

#[test]
fn a_segment_rolls_when_no_whole_entry_fits() {
    let sandbox = Sandbox::new();
    sandbox.appended(&["--max-index-bytes", "47"], lines(0..7));
    assert_eq!(bases(&sandbox.log()), [0, 3, 6]);
    // The limits are taken from what the log shows.
    sandbox.appended(&[], lines(7..10));
    assert_eq!(bases(&sandbox.log()), [0, 3, 6, 9]);
    assert_eq!(
        sandbox.values(),
        raw(&(0..10).map(|n| n.to_string()).collect::<Vec<_>>())
    );
    sandbox
        .append(&["--max-index-bytes", "11"])
        .assert()
        .code(2);
}

#[test]
fn offsets_and_summary_on_stdout() {
    let sandbox = Sandbox::new();
    assert_eq!(
        sandbox.appended(&["--print-offsets"], lines(0..3)),
        "0\n1\n2\n"
    );
    let line = sandbox.appended(&["--json", "--max-index-bytes=24"], lines(3..8));
    let summary: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        summary,
        serde_json::json!({"log": "log", "first_offset": 3, "last_offset": 7, "records": 5, "bytes": 45,
                           "next_offset": 8, "segments": 3})
    );
    assert_eq!(line.lines().count(), 1);
    let both = sandbox.appended(&["--json", "--print-offsets"], "x\n");
    let kinds: Vec<serde_json::Value> = both
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["offset", "summary"]);
}

#[test]
fn words_on_stderr() {
    let sandbox = Sandbox::new();
    let say = |options: &[&str], input: &str| {
        stderr(
            &sandbox
                .append(options)
                .write_stdin(input.to_owned())
                .assert()
                .success(),
        )
    };
    assert_eq!(
        say(&[], "a\nb\n"),
        "created log (raw)\nappended 2 records at offsets 0..1\n"
    );
    assert_eq!(say(&[], "c\n"), "appended 1 record at offset 2\n");
    assert_eq!(say(&[], ""), "appended 0 records\n");
    assert_eq!(say(&["-q"], "d\n"), "");
    assert!(say(&["--no-sync"], "e\n").contains("--no-sync: a power cut"));
    assert_eq!(
        say(&["--no-create"], "f\n"),
        "appended 1 record at offset 5\n"
    );
}

#[test]
fn a_protobuf_log_names_the_index_limit_the_service_needs() {
    let sandbox = Sandbox::new();
    let say = |options: &[&str]| {
        stderr(
            &sandbox
                .append(options)
                .write_stdin("a\n")
                .assert()
                .success(),
        )
    };
    assert!(say(&["--codec=protobuf"]).contains("MaxIndexBytes of at least 134217720"));
    assert!(say(&[]).contains("MaxIndexBytes"));
    assert!(!say(&["--max-index-bytes=24"]).contains("MaxIndexBytes"));
    // Now a sealed index shows it.
    assert!(!say(&[]).contains("MaxIndexBytes"));
}

#[test]
fn expect_offset() {
    let sandbox = Sandbox::new();
    let expect = |offset: &str, input: &str| {
        let options = ["--expect-offset", offset];
        sandbox
            .append(&options)
            .write_stdin(input.to_owned())
            .assert()
    };
    let said = stderr(&expect("1", "a\n").code(1));
    assert!(said.contains("the next offset is 0, not 1"), "{said}");
    assert!(!sandbox.log().exists());
    expect("1", "").code(1);
    expect("0", "a\nb\n").success();
    let said = stderr(&expect("0", "c\n").code(1));
    assert!(said.contains("the next offset is 2, not 0"), "{said}");
    expect("0", "").code(1);
    expect("2", "").success();
    expect("2", "c\n").success();
    assert_eq!(sandbox.values(), raw(&["a", "b", "c"]));
    let sandbox = Sandbox::new();
    sandbox
        .append(&["--expect-offset=7", "--initial-offset=7"])
        .write_stdin("a\n")
        .assert()
        .success();
    assert_eq!(bases(&sandbox.log()), [7]);
}

#[test]
fn the_last_offset_there_is() {
    let sandbox = Sandbox::new();
    let options = ["--initial-offset=18446744073709551613", "--json"];
    let assert = sandbox
        .append(&options)
        .write_stdin("a\nb\nc\n")
        .assert()
        .code(3);
    let said = stderr(&assert);
    assert!(said.contains("18446744073709551614"), "{said}");
    assert!(said.contains("2 records were appended to log"), "{said}");
    let summary: serde_json::Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(summary["last_offset"], u64::MAX - 1);
    assert_eq!(summary["next_offset"], u64::MAX);
    assert_eq!(sandbox.values(), raw(&["a", "b"]));
    sandbox.append(&[]).write_stdin("c\n").assert().code(3);
    assert_eq!(sandbox.values(), raw(&["a", "b"]));
}

#[test]
fn no_sync_leaves_the_same_bytes() {
    let (synced, unsynced) = (Sandbox::new(), Sandbox::new());
    synced.appended(&["--max-index-bytes=36"], lines(0..10));
    unsynced.appended(&["--max-index-bytes=36", "--no-sync"], lines(0..10));
    assert_eq!(placed(&synced.log()), placed(&unsynced.log()));
}

#[test]
fn a_log_at_the_root_of_a_disk_is_made_and_goes_on_beside_lost_and_found() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("log/lost+found")).unwrap();
    sandbox.appended(&[], "a\n");
    sandbox.appended(&[], "b\n");
    assert_eq!(sandbox.values(), raw(&["a", "b"]));
    let verify = std::process::Command::new(assert_cmd::cargo::cargo_bin("proglog"))
        .args(["verify", "log"])
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8(verify.stdout).unwrap();
    assert!(verify.status.success(), "{said}");
    assert!(!said.contains("lost"), "{said}");
}
