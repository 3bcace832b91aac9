//! What the commands for more than one copy print.

use std::fs;

use proglog_testkit::{LogBuilder, Sandbox, cases, frame, proglog};

use super::Seen;

/// Two copies compared, and manifests of them.
#[expect(clippy::disallowed_methods, reason = "a test's own files")]
pub fn compared(seen: &mut Seen) {
    let protobuf = |term, kind, values: &[&str]| {
        let builder = LogBuilder::protobuf().raft(term, kind);
        builder.segment(0, values.iter())
    };
    let logs = [
        protobuf(1, 1, &["a", "b", "c"]),
        protobuf(2, 1, &["a", "b", "c", "d"]),
        protobuf(1, 2, &["a", "b", "c"]),
        protobuf(1, 1, &["a", "bb", "c"]),
        LogBuilder::raw().segment(0, [""; 0]),
        LogBuilder::raw()
            .segment(0, ["a", "c", "c"])
            .segment(9, ["x"]),
    ];
    for a in &logs {
        let sandbox = Sandbox::built(a);
        let manifest = proglog()
            .current_dir(sandbox.path())
            .args(["manifest", "log"])
            .output();
        fs::write(sandbox.path().join("manifest"), manifest.unwrap().stdout).unwrap();
        seen.run(&sandbox, &["manifest", "log"]);
        let copy = sandbox.path().join("copy");
        for b in &logs {
            let _ = fs::remove_dir_all(&copy);
            fs::create_dir(&copy).unwrap();
            for (name, bytes) in b.files() {
                fs::write(copy.join(name), bytes).unwrap();
            }
            seen.run(&sandbox, &["diff", "log", "copy"]);
            seen.run(&sandbox, &["diff", "log", "copy", "-q"]);
            seen.run(&sandbox, &["diff", "log", "copy", "--files"]);
            seen.run(&sandbox, &["verify", "copy", "--manifest", "manifest"]);
        }
        fs::remove_file(copy.join("0.store")).unwrap();
        fs::create_dir(copy.join("0.store")).unwrap();
        seen.run(&sandbox, &["diff", "log", "copy"]);
        seen.run(&sandbox, &["diff", "log", "copy", "--files"]);
        seen.run(&sandbox, &["manifest", "copy"]);
    }
}

/// A copy that mends another, and what is salvaged of one.
pub fn mended(seen: &mut Seen) {
    let ten = || {
        LogBuilder::raw()
            .segment(0, ["a", "b", "c"])
            .segment(3, ["d", "e"])
    };
    let pair = |here: &LogBuilder, there: &LogBuilder| {
        let sandbox = Sandbox::built(here);
        let made = std::process::Command::new("cp")
            .arg("-r")
            .arg(Sandbox::built(there).log())
            .arg(sandbox.path().join("copy"))
            .status();
        assert!(made.unwrap().success());
        sandbox
    };
    let sandbox = pair(&ten(), &ten().segment(5, ["f"]));
    // A length that leads past the end, a store that is gone, one that is too short.
    sandbox.flip("0.store", 9 * 8);
    sandbox.remove("3.store");
    seen.run(
        &sandbox,
        &["repair", "log", "--replica", "copy", "--dry-run"],
    );
    seen.run(&sandbox, &["repair", "log", "--replica", "copy"]);
    let mut shifted = sandbox.read("0.store");
    shifted.remove(17);
    sandbox.write("0.store", &shifted);
    seen.run(&sandbox, &["repair", "log", "--replica", "copy"]);
    let other = LogBuilder::raw().segment(0, ["a", "x"]);
    seen.run(
        &pair(&ten(), &other),
        &["repair", "log", "--replica", "copy"],
    );

    for case in cases() {
        let sandbox = Sandbox::of(&case);
        seen.run(
            &sandbox,
            &["salvage", "log", "new", "--prefer", "new", "--dry-run"],
        );
        seen.run(&sandbox, &["salvage", "log", "new", "--prefer", "old"]);
    }
    // A segment that another program wrote: entries of 16 bytes.
    let sandbox = Sandbox::built(&ten().segment(5, ["f", "g", "h"]));
    let wide = |slot: u64| [slot.to_be_bytes(), (slot * 9).to_be_bytes()].concat();
    sandbox.write("5.index", &[wide(0), wide(1), wide(2)].concat());
    seen.run(&sandbox, &["salvage", "log", "new"]);
    // A frame that may lack a part, and an append that was interrupted.
    let sandbox = Sandbox::built(&ten());
    sandbox.append_bytes("3.store", &frame(&[&[0; 1500][..], b"orphan"].concat()));
    sandbox.pad_zeros("3.index", 120);
    seen.run(&sandbox, &["salvage", "log", "new"]);
    let sandbox = Sandbox::built(&ten());
    sandbox.append_bytes("3.store", b"\xff\0\0\0\0\0\0\x03new");
    seen.run(&sandbox, &["verify", "log"]);
    seen.run(&sandbox, &["dump-store", "log"]);
    for base in [0, u64::MAX] {
        let values = [&["begin"][..], &[""; 64], &["end"]].concat();
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(base, values));
        seen.run(&sandbox, &["dump-store", "log"]);
        seen.run(&sandbox, &["dump-store", "log", "--hex"]);
    }
}
