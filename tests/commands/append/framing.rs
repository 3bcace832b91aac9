//! How records are found in input, and which bytes they become.

use proptest::prelude::*;

use crate::append::{Sandbox, raw, stderr};

#[test]
fn lines_end_with_a_newline_that_is_not_part_of_them() {
    let sandbox = Sandbox::new();
    sandbox.appended(&[], "a\n\nb\r\n\0c");
    assert_eq!(sandbox.values(), raw(&["a", "", "b\r", "\0c"]));
}

#[test]
fn each_file_ends_its_last_line() {
    let sandbox = Sandbox::new();
    sandbox.file("one", "a\nb");
    sandbox.file("two", "");
    sandbox.file("three", "c\n");
    sandbox.appended(&["one", "two", "-", "three"], "x");
    assert_eq!(sandbox.values(), raw(&["a", "b", "x", "c"]));
}

#[test]
fn other_delimiters() {
    for (options, input) in [
        (&["-0"][..], &b"a\nb\0\0c\0"[..]),
        (&["--null"], b"a\nb\0\0c"),
        (&["--input", "null"], b"a\nb\0\0c\0"),
        (&["-d", ","], b"a\nb,,c,"),
        (&["--delimiter", "\\x00"], b"a\nb\0\0c"),
        (&["--delimiter=--"], b"a\nb----c"),
        (&["-d", "-"], b"a\nb--c-"),
        (&["-d", "\\r\\n"], b"a\nb\r\n\r\nc\r\n"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.appended(options, input);
        assert_eq!(sandbox.values(), raw(&["a\nb", "", "c"]), "{options:?}");
    }
}

#[test]
fn whole_makes_one_record_of_each_input() {
    let sandbox = Sandbox::new();
    sandbox.file("one", "a\nb\n");
    sandbox.file("empty", "");
    sandbox.appended(&["--input", "whole", "one", "empty", "-"], "x\n");
    assert_eq!(sandbox.values(), raw(&["a\nb\n", "", "x\n"]));
}

#[test]
fn messages_are_records_and_no_input_is_read() {
    let sandbox = Sandbox::new();
    let messages = ["-m", "one\ntwo", "-m", "", "--message=-3", "-m", "--json"];
    sandbox.appended(&messages, "not read");
    assert_eq!(sandbox.values(), raw(&["one\ntwo", "", "-3", "--json"]));
    for other in [&["-"][..], &["-0"], &["-d", ","], &["--input", "lines"]] {
        let options = [&["-m", "x"][..], other].concat();
        let refused = sandbox.append(&options).assert().code(2);
        assert!(
            stderr(&refused).contains("cannot be used with"),
            "{other:?}"
        );
    }
    assert_eq!(sandbox.values().len(), 4);
}

fn frame(value: &[u8]) -> Vec<u8> {
    [&(value.len() as u64).to_be_bytes()[..], value].concat()
}

#[test]
fn frames_are_lossless() {
    let sandbox = Sandbox::new();
    let values = [&b"a\n"[..], b"", b"\0\xff"];
    let input: Vec<u8> = values.iter().flat_map(|value| frame(value)).collect();
    sandbox.appended(&["--input", "frames"], &input);
    assert_eq!(sandbox.values(), raw(&values));
    assert_eq!(std::fs::read(sandbox.path("log/0.store")).unwrap(), input);
}

#[test]
fn an_incomplete_frame_commits_what_is_before_it() {
    for (tail, missing) in [
        (
            &b"\0\0\0\0\0\0\0\x09xyz"[..],
            "record 3 at byte 19: 6 bytes missing",
        ),
        (
            b"\0\0\0\0\0",
            "record 3 at byte 19: 3 bytes missing from its length",
        ),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xffxyz",
            "record 3 at byte 19: ",
        ),
        (b"\x0f\xff\xff\xff\xff\xff\xff\xff", "record 3 at byte 19: "),
    ] {
        let input = [&frame(b"a")[..], &frame(b"bc"), tail].concat();
        for file in [false, true] {
            let sandbox = Sandbox::new();
            sandbox.file("input", &input);
            let options = ["--input", "frames", if file { "input" } else { "-" }];
            let assert = sandbox.append(&options).write_stdin(input.clone()).assert();
            let assert = assert.code(2).stdout("");
            assert!(stderr(&assert).contains(missing), "{}", stderr(&assert));
            assert!(stderr(&assert).contains("2 records were appended to log, next offset 2"));
            assert_eq!(sandbox.values(), raw(&["a", "bc"]));
        }
    }
}

#[test]
fn json_lines() {
    let sandbox = Sandbox::new();
    let input = "{\"offset\":9,\"value\":\"a\\nb\"}\n{\"value_base64\":\"/wA=\",\"frame\":27}";
    sandbox.appended(&["--input", "json"], input);
    assert_eq!(sandbox.values(), raw(&[&b"a\nb"[..], b"\xff\0"]));
}

#[test]
fn bad_json_names_file_and_line_and_commits_what_is_before_it() {
    for (line, what) in [
        (
            "{\"value\":\"b\",\"value_base64\":\"\"}",
            "both value and value_base64",
        ),
        ("{\"offset\":1}", "neither value nor value_base64"),
        ("{\"value\":", "the JSON object is incomplete"),
        ("", "empty"),
        (
            "{\"value\":\"b\",\"term\":1}",
            "a raw log has no terms and no types",
        ),
        (
            "{\"value\":\"b\",\"type\":1}",
            "a raw log has no terms and no types",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("one", "{\"value\":\"x\"}\n");
        sandbox.file(
            "two",
            format!("{{\"value\":\"a\"}}\n{line}\n{{\"value\":\"c\"}}\n"),
        );
        let assert = sandbox.append(&["--input", "json", "one", "two"]).assert();
        let said = stderr(&assert.code(2));
        assert!(said.contains("error: two: line 2: "), "{said}");
        assert!(said.contains(what), "{said}");
        let hint = "hint: fix the input, then:\nhint: tail -n +2 two | proglog append log --input json \
                    --expect-offset 2";
        assert!(said.contains(hint), "{said}");
        assert_eq!(sandbox.values(), raw(&["x", "a"]));
    }
}

#[test]
fn records_longer_than_every_buffer() {
    let sandbox = Sandbox::new();
    let values: Vec<Vec<u8>> = [0_usize, 300_000, 1, 3_000_000, 262_144, 262_143, 70_000_000]
        .iter()
        .map(|&length| (b'a'..=b'y').cycle().take(length).collect())
        .collect();
    sandbox.appended(&[], values.join(&b'\n'));
    assert_eq!(sandbox.values(), values);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..30),
        store_limit in 1_u64..400,
        index_limit in 12_u64..200,
        which in 0..3,
    ) {
        let sandbox = Sandbox::new();
        let (options, input): (_, Vec<u8>) = match which {
            0 => (["--input", "frames"], values.iter().flat_map(|value| frame(value)).collect()),
            1 => (["--input", "json"], values.iter().flat_map(|value| json_line(value)).collect()),
            _ => (["-d", "\\x00\\xff\\x00"], values.iter().fold(Vec::new(), |mut input, value| {
                input.extend(value.iter().map(|&byte| byte | 1));
                input.extend([0, 0xff, 0]);
                input
            })),
        };
        let limits = [
            format!("--max-store-bytes={store_limit}"),
            format!("--max-index-bytes={index_limit}"),
        ];
        let options: Vec<&str> = options.into_iter().chain(limits.iter().map(String::as_str)).collect();
        sandbox.appended(&options, &input);
        let expected: Vec<Vec<u8>> = match which {
            2 => values.iter().map(|value| value.iter().map(|&byte| byte | 1).collect()).collect(),
            _ => values,
        };
        prop_assert_eq!(sandbox.values(), expected);
    }
}

fn json_line(value: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let object = match std::str::from_utf8(value) {
        Ok(text) => serde_json::json!({ "value": text }),
        Err(_) => serde_json::json!({
            "value_base64": base64::engine::general_purpose::STANDARD.encode(value)
        }),
    };
    format!("{object}\n").into_bytes()
}
