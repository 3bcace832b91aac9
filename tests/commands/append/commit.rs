//! What an interrupted commit leaves, in both codecs, and what becomes of it: the cases of
//! the commit protocol, one by one, with bytes that no crash was needed for.

use std::fs;

use proglog_testkit::{Codec, LogBuilder, Sandbox, entry, frame, frames, pb};

const CODECS: [Codec; 2] = [Codec::Raw, Codec::Protobuf];

fn frame_of(codec: Codec, offset: u64, value: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Raw => frame(value),
        Codec::Protobuf => frame(&pb(value, offset, 0, 0)),
    }
}

/// Frames for the offsets from `first` on.
fn batch(codec: Codec, first: u64, values: &[&str]) -> Vec<u8> {
    let numbered = (first..).zip(values);
    numbered
        .flat_map(|(offset, value)| frame_of(codec, offset, value.as_bytes()))
        .collect()
}

fn marked(mut frames: Vec<u8>) -> Vec<u8> {
    frames[0] = 0xff;
    frames
}

/// A log with these committed values, and the end of its store.
fn log(codec: Codec, values: &[&str]) -> (Sandbox, u64) {
    let sandbox = Sandbox::built(&LogBuilder::new(codec).segment(0, values));
    let end = sandbox.bytes("0.store");
    (sandbox, end)
}

/// Runs the binary; gives what it printed on both outputs.
fn run(sandbox: &Sandbox, status: i32, arguments: &[&str], input: &str) -> String {
    let mut command = sandbox.proglog();
    let assert = command.args(arguments).write_stdin(input).assert();
    let output = assert.get_output();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    text
}

fn values(sandbox: &Sandbox) -> Vec<String> {
    let text = run(sandbox, 0, &["read", "log"], "");
    text.lines().map(ToOwned::to_owned).collect()
}

fn append(sandbox: &Sandbox, codec: Codec, value: &str) -> String {
    let codec = format!("--codec={}", codec.as_str());
    let arguments = ["append", "log", "--print-offsets", &codec];
    run(sandbox, 0, &arguments, &format!("{value}\n"))
}

/// Whether nothing was saved beside the log.
fn saved_nothing(sandbox: &Sandbox) -> bool {
    fs::read_dir(sandbox.path()).unwrap().count() == 1
}

/// After a repair, and after an append that recovers, the log has these values; nothing is
/// saved by the append.
fn recovers(sandbox: &Sandbox, codec: Codec, kept: &[&str], why: &str) {
    let before: Vec<_> = ["0.store", "0.index"].map(|name| sandbox.read(name)).into();
    run(sandbox, 0, &["repair", "log"], "");
    let (frames_of_repair, index_of_repair) =
        (frames(&sandbox.read("0.store")), sandbox.bytes("0.index"));
    assert_eq!(
        frames_of_repair.len(),
        kept.len(),
        "{codec:?} {why}: repair"
    );
    assert_eq!(
        index_of_repair,
        kept.len() as u64 * 12,
        "{codec:?} {why}: repair"
    );
    let repaired = sandbox.snapshot();
    run(sandbox, 0, &["repair", "log"], "");
    assert_eq!(
        sandbox.snapshot(),
        repaired,
        "{codec:?} {why}: a second repair"
    );
    for (name, bytes) in ["0.store", "0.index"].iter().zip(&before) {
        sandbox.write(name, bytes);
    }
    for saved in fs::read_dir(sandbox.path()).unwrap() {
        let path = saved.unwrap().path();
        if path != sandbox.log() {
            fs::remove_dir_all(path).unwrap();
        }
    }
    let said = append(sandbox, codec, "new");
    let next = kept.len();
    assert!(
        said.contains(&format!("{next}\n")),
        "{codec:?} {why}: {said}"
    );
    assert!(saved_nothing(sandbox), "{codec:?} {why}: {said}");
    let mut expected = kept.to_vec();
    expected.push("new");
    assert_eq!(values(sandbox), expected, "{codec:?} {why}");
    let verified = run(sandbox, 0, &["verify", "log"], "");
    assert!(verified.contains("ok:"), "{codec:?} {why}: {verified}");
}

#[test]
fn a_marked_batch_is_cut_wherever_it_was_torn() {
    for codec in CODECS {
        let tail = marked(batch(codec, 2, &["three", "four", "five"]));
        let whole = tail.len();
        for cut in [1, 2, 4, 7, 8, 9, whole / 2, whole - 1, whole] {
            for zeros in [0, whole - cut] {
                let (sandbox, _) = log(codec, &["one", "two"]);
                let torn = [&tail[..cut], &vec![0; zeros]].concat();
                sandbox.append_bytes("0.store", &torn);
                let said = run(&sandbox, 3, &["verify", "log"], "");
                assert!(said.contains("of an interrupted append"), "{said}");
                let dumped = run(&sandbox, 0, &["dump-store", "log"], "");
                assert!(dumped.contains("2 frames shown"), "{dumped}");
                let why = format!("{cut} bytes, then {zeros} zeros");
                recovers(&sandbox, codec, &["one", "two"], &why);
            }
        }
    }
}

#[test]
fn a_new_log_may_begin_with_a_mark() {
    for codec in CODECS {
        let tail = marked(batch(codec, 0, &["one", "two"]));
        for cut in [1, 8, tail.len()] {
            let (sandbox, _) = log(codec, &[]);
            sandbox.append_bytes("0.store", &tail[..cut]);
            recovers(&sandbox, codec, &[], &format!("{cut} bytes"));
        }
    }
}

/// Padding says that a service was started on the mark: what is after it may be its records,
/// whose entries a power cut took.
#[test]
fn a_padded_index_keeps_what_is_behind_a_mark() {
    for codec in CODECS {
        let (sandbox, _) = log(codec, &["one", "two"]);
        sandbox.append_bytes("0.store", &marked(batch(codec, 2, &["x"])));
        sandbox.append_bytes("0.store", &batch(codec, 2, &["of", "a", "service"]));
        let mut index = sandbox.read("0.index");
        index.resize(1024, 0);
        sandbox.write("0.index", &index);
        let before = sandbox.read("0.store");
        let refused = run(
            &sandbox,
            3,
            &["append", "log", "--codec", codec.as_str()],
            "new\n",
        );
        assert!(refused.contains("store-torn-tail"), "{codec:?}: {refused}");
        assert_eq!(sandbox.read("0.store"), before, "{codec:?}");
    }
}

#[test]
fn the_chain_before_a_mark_is_adopted() {
    for codec in CODECS {
        for committed in [&[][..], &["one", "two"]] {
            let first = committed.len() as u64;
            let chain = ["a", "bb", "ccc"];
            let index_ends: [&dyn Fn(u64) -> Vec<u8>; 4] = [
                &|_| Vec::new(),
                &|end| entry(u32::try_from(first).unwrap(), end)[..7].to_vec(),
                &|end| entry(u32::try_from(first).unwrap(), end),
                &|_| vec![0; 36],
            ];
            for (number, index_end) in index_ends.iter().enumerate() {
                let (sandbox, end) = log(codec, committed);
                sandbox.append_bytes("0.store", &batch(codec, first, &chain));
                let tail = marked(batch(codec, first + 3, &["x", "yy"]));
                sandbox.append_bytes("0.store", &tail[..tail.len() - 1]);
                let index = [sandbox.read("0.index"), index_end(end)].concat();
                sandbox.write("0.index", &index);
                let kept = [committed, &chain].concat();
                recovers(&sandbox, codec, &kept, &format!("index {number}"));
            }
        }
    }
}

/// Healthy frames around a sector's end, the index of which was cut: they are adopted.
#[test]
fn blank_lines_and_lengths_in_two_sectors_are_no_lost_sector() {
    // (where the first of the frames begins, what they are)
    let cases: [(u64, &[&str]); 6] = [
        (508, &["a", "b"]),
        (505, &["a"]),
        (504, &["", "a", "b"]),
        (496, &["", "", "text", "", "more"]),
        (500, &["", "a text whose length is in two sectors", "more"]),
        (448, &["", "", "", "", "", "", "", "", "text"]),
    ];
    for (begin, behind) in cases {
        let first = "v".repeat(usize::try_from(begin).unwrap() - 8);
        let (sandbox, end) = log(Codec::Raw, &[&first]);
        assert_eq!(end, begin);
        sandbox.append_bytes("0.store", &batch(Codec::Raw, 1, behind));
        let kept = [&[first.as_str()], behind].concat();
        let torn = [sandbox.read("0.store"), frame(b"torn")[..10].to_vec()].concat();
        let index = sandbox.read("0.index");
        recovers(&sandbox, Codec::Raw, &kept, &format!("from {begin} on"));
        // A torn frame behind them changes nothing.
        sandbox.write("0.store", &torn);
        sandbox.write("0.index", &index);
        append(&sandbox, Codec::Raw, "new");
        assert_eq!(
            values(&sandbox),
            [&kept[..], &["new"]].concat(),
            "from {begin} on"
        );
    }
}

#[test]
fn a_service_that_went_on_behind_a_mark_loses_nothing() {
    for codec in CODECS {
        for chain in [&[][..], &["whole"]] {
            let (sandbox, end) = log(codec, &["one", "two"]);
            let mut tail = batch(codec, 2, chain);
            tail.extend(marked(batch(codec, 2, &["never", "acknowledged"])));
            let served = end + tail.len() as u64;
            tail.extend(batch(codec, 2, &["three", "four"]));
            sandbox.append_bytes("0.store", &tail);
            let four = served + frame_of(codec, 2, b"three").len() as u64;
            let entries = [entry(2, served), entry(3, four)].concat();
            sandbox.append_bytes("0.index", &entries);
            let before = sandbox.snapshot();
            let expected = ["one", "two", "three", "four"];
            assert_eq!(values(&sandbox), expected, "{codec:?}");
            let verified = run(&sandbox, 0, &["verify", "log"], "");
            assert!(
                verified.contains("store-dead-bytes"),
                "{codec:?}: {verified}"
            );
            let dumped = run(&sandbox, 0, &["dump-store", "log"], "");
            assert!(
                !dumped.contains("never") && dumped.contains("four"),
                "{dumped}"
            );
            run(&sandbox, 0, &["repair", "log"], "");
            assert_eq!(sandbox.snapshot(), before, "{codec:?}: nothing to repair");
            // A whole frame that is no record is not thrown away.
            let orphans = codec == Codec::Protobuf && !chain.is_empty();
            let said = run(&sandbox, 0, &["salvage", "log", "new"], "");
            assert_eq!(said.contains("(1 orphan)"), orphans, "{said}");
            let salvaged = run(&sandbox, 0, &["read", "new"], "");
            assert_eq!(salvaged.lines().collect::<Vec<_>>(), expected, "{codec:?}");
            append(&sandbox, codec, "five");
            assert_eq!(values(&sandbox), [&expected[..], &["five"]].concat());
            assert!(sandbox.read("0.store").starts_with(&before_store(&before)));
        }
    }
}

fn before_store(before: &proglog_testkit::Snapshot) -> Vec<u8> {
    let contents = before.contents();
    let store = contents.iter().find(|(path, _)| path.ends_with("0.store"));
    store.unwrap().1.to_vec()
}

#[test]
fn a_marked_batch_that_cannot_be_saved_is_cut_all_the_same() {
    for codec in CODECS {
        for command in ["repair", "append"] {
            let (sandbox, end) = log(codec, &["one", "two"]);
            sandbox.append_bytes("0.store", &marked(batch(codec, 2, &["three"])));
            // A file where the directory would be.
            fs::write(sandbox.path().join("log.proglog-saved"), "").unwrap();
            run(&sandbox, 0, &[command, "log"], "");
            if command == "append" {
                append(&sandbox, codec, "new");
                assert_eq!(values(&sandbox), ["one", "two", "new"]);
            } else {
                assert_eq!(sandbox.bytes("0.store"), end, "{codec:?} {command}");
            }
        }
    }
}

#[test]
fn a_mark_in_a_log_in_use_is_a_note() {
    for codec in CODECS {
        let (sandbox, _) = log(codec, &["one", "two"]);
        sandbox.append_bytes("0.store", &marked(batch(codec, 2, &["three"])));
        let writer = fs::File::options()
            .append(true)
            .open(sandbox.file("0.store"));
        let verified = run(&sandbox, 0, &["verify", "log"], "");
        drop(writer);
        assert!(verified.contains("an append in progress"), "{verified}");
    }
}

/// A page of a frame may be missing where nobody syncs: a human decides.
#[test]
fn a_frame_with_a_sector_of_zeros_is_left_where_the_index_is_padded() {
    let text = "t".repeat(600);
    let holed = [&b"a"[..], &[0; 1600], b"z"].concat();
    for (value, status) in [(text.as_bytes(), 0), (&holed[..], 3)] {
        let (sandbox, end) = log(Codec::Raw, &["one", "two"]);
        sandbox.append_bytes("0.store", &frame(value));
        sandbox.pad_zeros("0.index", 1000);
        run(&sandbox, status, &["repair", "log"], "");
        assert_eq!(sandbox.bytes("0.store"), end + 8 + value.len() as u64);
        run(&sandbox, status, &["append", "log"], "new\n");
        let entries = if status == 0 {
            48
        } else {
            sandbox.bytes("0.index")
        };
        assert_eq!(sandbox.bytes("0.index"), entries);
    }
}
