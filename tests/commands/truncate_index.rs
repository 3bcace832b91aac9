//! `proglog truncate-index`: what it cuts and says, and what it refuses.

use proglog_testkit::{Said, Sandbox, cases, json};

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Said {
    proglog_testkit::run(sandbox, &[&["truncate-index"], arguments].concat())
}

#[test]
fn it_says_what_was_padding() {
    let sandbox = Sandbox::of("killed-padding-only");
    let line = "  0.index: 4096 -> 480 bytes (40 entries kept; 3616 bytes of padding)\n";
    let (status, stdout, _) = run(&sandbox, &["log", "--dry-run"]);
    assert_eq!((status, sandbox.bytes("0.index")), (0, 4096));
    assert_eq!(stdout, format!("would be changed, in this order:\n{line}"));
    let store = sandbox.read("0.store");
    let (status, stdout, _) = run(&sandbox, &["log"]);
    assert_eq!((status, sandbox.bytes("0.index")), (0, 480));
    assert_eq!(stdout, format!("changed, in this order:\n{line}"));
    assert_eq!(sandbox.read("0.store"), store);
    let (status, stdout, _) = run(&sandbox, &["log"]);
    assert_eq!((status, stdout.as_str()), (0, "nothing to change\n"));
}

#[test]
fn it_never_touches_a_store_nor_buries_a_tail() {
    for case in cases() {
        for dry_run in [&["log", "--dry-run"][..], &["log"]] {
            let sandbox = Sandbox::of(&case);
            let before = sandbox.snapshot();
            let (status, stdout, stderr) = run(&sandbox, dry_run);
            let after = sandbox.snapshot();
            for (name, bytes) in before.contents() {
                if name.extension().is_some_and(|ending| ending == "store") {
                    assert_eq!(after.contents().get(name), Some(&bytes), "{case}");
                }
            }
            if status == 3 {
                assert_eq!(after, before, "{case}");
                assert!(stdout.is_empty(), "{case}: {stdout}");
                assert!(
                    stderr.contains("hint: proglog repair log"),
                    "{case}: {stderr}"
                );
            }
        }
    }
}

#[test]
fn a_tail_that_stays_is_insisted_on() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let store = sandbox.read("0.store");
    let before = sandbox.snapshot();
    let (status, _, stderr) = run(&sandbox, &["log"]);
    assert_eq!(status, 3, "{stderr}");
    assert!(stderr.contains("0.store 12272+16"), "{stderr}");
    assert_eq!(sandbox.snapshot(), before);
    let (status, stdout, _) = run(&sandbox, &["log", "--leave-tail"]);
    assert_eq!(status, 0);
    let said = "(243 entries kept; 57 entries without records, 8688 bytes of padding)";
    let words: Vec<&str> = stdout.split_whitespace().collect();
    assert!(words.join(" ").contains(said), "{stdout}");
    assert_eq!(sandbox.bytes("0.index"), 2916);
    assert_eq!(sandbox.read("0.store"), store);
}

#[test]
fn one_segment_alone() {
    let sandbox = Sandbox::of("killed-three-segments");
    let (status, _, stderr) = run(&sandbox, &["log", "--segment", "235", "--leave-tail"]);
    assert_eq!(status, 0, "{stderr}");
    let sizes = ["0.index", "235.index", "465.index"].map(|name| sandbox.bytes(name));
    assert_eq!(sizes, [6000, 1860, 6000]);
    let (status, _, stderr) = run(&sandbox, &["log", "--segment", "7"]);
    assert_eq!(status, 2, "{stderr}");
}

#[test]
fn json_lines_and_undo() {
    let sandbox = Sandbox::of("killed-padding-only");
    let before = sandbox.snapshot();
    let (_, stdout, _) = run(&sandbox, &["log", "--json"]);
    let lines = json(&stdout);
    let step = lines.first().unwrap();
    assert_eq!(step.get("entries_kept").unwrap(), 40);
    assert_eq!(step.get("padding").unwrap(), 3616);
    assert_eq!(lines.last().unwrap().get("kind").unwrap(), "summary");
    sandbox.proglog().args(["undo", "log"]).assert().success();
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}
