//! `proglog manifest` and `verify --manifest`.

use std::fs;

use proglog_testkit::{Codec, LogBuilder, Said, Sandbox, cases, run, said};

use super::{beside, lines};

const VALUES: [&[u8]; 7] = [
    b"alpha",
    b"",
    b"\0\0\0\0\0\0\0\x08",
    b"thirty bytes of text, or there",
    b"z",
    b"",
    b"zeros behind\0\0\0\0",
];

fn small(codec: Codec) -> LogBuilder {
    LogBuilder::new(codec)
        .segment(0, &VALUES[..4])
        .segment(4, &VALUES[4..])
}

/// The manifest of the sandbox's log.
fn manifest(sandbox: &Sandbox) -> String {
    let (status, stdout, stderr) = run(sandbox, &["manifest", "log"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    stdout
}

fn held(sandbox: &Sandbox, manifest: &[u8], options: &[&str]) -> Said {
    let verify = ["verify", "log", "--manifest", "-"];
    let mut command = sandbox.proglog();
    command.args(verify).args(options).write_stdin(manifest);
    said(command.output().unwrap())
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

/// Everything that can be flipped in a log's files: in values, lengths, messages and
/// entries.
#[test]
fn each_flipped_bit_of_a_log_is_found() {
    use proglog::inspect::manifest::check::check;
    use proglog::inspect::manifest::line::Reader;
    use proglog::inspect::report::{Options, Report};

    let one_thread = Options {
        threads: 1,
        ..Options::default()
    };
    for codec in [Codec::Raw, Codec::Protobuf] {
        let sandbox = Sandbox::built(&small(codec));
        let manifest = manifest(&sandbox);
        let (mut tried, mut found, mut by_values) = (0, 0, 0);
        for name in sandbox.names() {
            for bit in 0..sandbox.bytes(&name) * 8 {
                sandbox.flip(&name, bit);
                let mut report = Report::of(&sandbox.log(), &one_thread).unwrap();
                let told = !report.is_clean();
                let mut reader = Reader::open(manifest.as_bytes()).unwrap();
                let (mut checked, failure) = check(&report, &mut reader).unwrap();
                // A log whose codec cannot be told any more is not taken for another's.
                report.add_findings(std::mem::take(&mut checked.findings));
                sandbox.flip(&name, bit);
                tried += 1;
                if !report.is_clean() || failure.is_some() {
                    found += 1;
                    by_values += u64::from(!told);
                } else {
                    println!("{codec:?}: {name} bit {bit} is not found");
                }
            }
        }
        println!("{codec:?}: {tried} bits flipped, {found} found, {by_values} by digests alone");
        assert_eq!(tried, found);
        assert!(by_values > 8 * 50, "{by_values}");
        assert_eq!(held(&sandbox, manifest.as_bytes(), &["-q"]).0, 0);
    }
}

#[test]
fn the_run_of_a_changed_record_is_named() {
    let values = (0..5000).map(|n| format!("record {n}"));
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, values));
    let manifest = manifest(&sandbox);
    let at = sandbox.read("0.index")[2500 * 12 + 4..][..8]
        .try_into()
        .unwrap();
    let at = u64::from_be_bytes(at);
    sandbox.flip("0.store", (at + 8) * 8 + 7);
    let (status, stdout, _) = held(&sandbox, manifest.as_bytes(), &["--json"]);
    assert_eq!(status, 3);
    let lines = lines(&stdout);
    let finding = &lines[0];
    assert_eq!(finding["id"], "record-changed");
    assert_eq!(finding["file"], "0.store");
    assert_eq!(
        (&finding["first_offset"], &finding["last_offset"]),
        (&2048.into(), &3071.into())
    );
    let (position, bytes) = (&finding["position"], &finding["bytes"]);
    let (position, bytes) = (position.as_u64().unwrap(), bytes.as_u64().unwrap());
    assert!((position..position + bytes).contains(&(at + 8)));
    assert_eq!(finding["expected"].as_str().unwrap().len(), 64);
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["checked_runs"], &summary["fitting_runs"]),
        (&5.into(), &4.into())
    );
    let (_, stdout, _) = held(&sandbox, manifest.as_bytes(), &[]);
    assert!(
        stdout.contains("\nmanifest: 4 of 5 runs match, 3976 records\n"),
        "{stdout}"
    );
    assert!(
        stdout.contains("offsets 2048..3071: at least one of 1024 records differs"),
        "{stdout}"
    );
    let allowed = held(
        &sandbox,
        manifest.as_bytes(),
        &["--allow", "record-changed=2048..3071"],
    );
    assert_eq!(allowed.0, 0);
}

#[test]
fn a_run_ends_with_a_mebibyte_too() {
    let value = vec![b'v'; 300_000];
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, std::iter::repeat_n(value, 10)));
    let runs: Vec<String> = lines(&manifest(&sandbox))
        .iter()
        .filter(|line| line["kind"] == "run")
        .map(|line| format!("{}..{}", line["first_offset"], line["last_offset"]))
        .collect();
    assert_eq!(runs, ["0..3", "4..7", "8..9"]);
    sandbox.flip("0.store", 8 * 2_900_000);
    let manifest = sandbox.path().join("manifest");
    let text = run(&sandbox, &["manifest", "log"]).1;
    sandbox.flip("0.store", 8 * 2_900_000);
    fs::write(&manifest, text).unwrap();
    let (status, stdout, _) = run(&sandbox, &["verify", "log", "--manifest", "manifest"]);
    assert_eq!(status, 3);
    assert!(stdout.contains("offsets 8..9"), "{stdout}");
}

#[test]
fn every_sound_fixture_fits_its_own_manifest() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let before = sandbox.snapshot();
        let (_, manifest, _) = run(&sandbox, &["manifest", "log"]);
        let (status, stdout, _) = held(&sandbox, manifest.as_bytes(), &["--json"]);
        assert!(!stdout.contains("record-changed"), "{case}: {stdout}");
        let alone = run(&sandbox, &["verify", "log"]).0;
        assert_eq!(status, alone, "{case}: {stdout}");
        assert_eq!(sandbox.snapshot(), before, "{case}");
    }
}

#[test]
fn damage_is_not_called_right() {
    let sandbox = Sandbox::of("length-flipped");
    let (status, stdout, stderr) = run(&sandbox, &["manifest", "log"]);
    assert_eq!(status, 3);
    assert!(
        stderr.contains("is damaged (frame-length-damaged)"),
        "{stderr}"
    );
    let lines = lines(&stdout);
    assert_eq!(lines.last().unwrap()["damaged"], true);
    let covers = |line: &&serde_json::Value| {
        line["kind"] == "run"
            && line["first_offset"].as_u64() <= Some(20)
            && line["last_offset"].as_u64() >= Some(20)
    };
    assert_eq!(lines.iter().filter(covers).count(), 0, "{stdout}");
    // What it does hold is checked all the same.
    let sound = Sandbox::of("clean-one-segment");
    let (status, _, stderr) = held(&sound, stdout.as_bytes(), &[]);
    assert!(stderr.contains("made from a damaged log"), "{stderr}");
    assert!(status == 0 || status == 3);
}

#[test]
fn a_log_may_have_grown_been_trimmed_or_been_cut_into_other_segments() {
    let sandbox = Sandbox::built(&small(Codec::Protobuf));
    let manifest = manifest(&sandbox);
    let mut append = sandbox.proglog();
    append
        .args(["append", "log"])
        .write_stdin("more\nand more\n");
    let grown = said(append.output().unwrap());
    assert_eq!(grown.0, 0, "{}", grown.2);
    let (status, stdout, _) = held(&sandbox, manifest.as_bytes(), &[]);
    assert_eq!(status, 0);
    assert!(
        last_line(&stdout).ends_with("(values checked up to offset 6)"),
        "{stdout}"
    );
    let trimmed = run(&sandbox, &["trim", "log", "--before", "4", "--no-save"]);
    assert_eq!(trimmed.0, 0, "{}", trimmed.2);
    let (status, stdout, _) = held(&sandbox, manifest.as_bytes(), &[]);
    assert_eq!(status, 0, "{stdout}");
    assert!(
        stdout.contains("\nmanifest: 1 of 1 run matches, 3 records; 4 records trimmed since\n")
    );
    assert!(
        last_line(&stdout).ends_with("(values checked up to offset 6)"),
        "{stdout}"
    );
    let other = LogBuilder::protobuf()
        .segment(0, &VALUES[..1])
        .segment(1, &VALUES[1..6])
        .segment(6, &VALUES[6..]);
    let (status, stdout, _) = held(&Sandbox::built(&other), manifest.as_bytes(), &[]);
    assert_eq!(status, 0, "{stdout}");
    assert!(
        stdout.contains("manifest: 2 of 2 runs match, 7 records"),
        "{stdout}"
    );
}

#[test]
fn records_that_are_gone_at_the_end_are_told_of() {
    let sandbox = Sandbox::built(&small(Codec::Raw));
    let manifest = manifest(&sandbox);
    let (status, _, stderr) = run(&sandbox, &["trim", "log", "--after", "4", "--no-save"]);
    assert_eq!(status, 0, "{stderr}");
    let (status, stdout, _) = held(&sandbox, manifest.as_bytes(), &[]);
    assert_eq!(status, 3);
    assert!(
        stdout.contains("records-missing  offsets 5..6: 2 records are missing"),
        "{stdout}"
    );
    let lines = lines(&held(&sandbox, manifest.as_bytes(), &["--json"]).1);
    assert_eq!(
        (&lines[0]["first_offset"], &lines[0]["last_offset"]),
        (&5.into(), &6.into())
    );
}

#[test]
fn only_one_segment_is_asked_for() {
    let sandbox = Sandbox::built(&small(Codec::Raw));
    let manifest = manifest(&sandbox);
    for base in ["0", "4"] {
        let (status, stdout, _) = held(&sandbox, manifest.as_bytes(), &["--segment", base]);
        assert_eq!(status, 0, "{stdout}");
        assert!(stdout.contains("manifest: 1 of 1 run matches"), "{stdout}");
    }
    assert_eq!(held(&sandbox, manifest.as_bytes(), &["--quick"]).0, 2);
}

#[test]
fn a_manifest_of_another_log() {
    let raw = Sandbox::built(&small(Codec::Raw));
    let protobuf = Sandbox::built(&small(Codec::Protobuf));
    let (status, _, stderr) = held(&protobuf, manifest(&raw).as_bytes(), &[]);
    assert_eq!(status, 2);
    assert!(stderr.contains("the manifest is of a raw log, and this one is protobuf"));
    assert!(
        stderr.contains("hint: the command `diff` compares"),
        "{stderr}"
    );
    let other = LogBuilder::raw().segment(0, ["x"; 4]).segment(4, ["y"; 3]);
    let (status, _, stderr) = held(&Sandbox::built(&other), manifest(&raw).as_bytes(), &[]);
    assert_eq!(status, 3);
    assert!(stderr.contains("the manifest of another log?"), "{stderr}");
}

#[test]
fn a_manifest_that_is_none() {
    let sandbox = Sandbox::built(&small(Codec::Raw));
    let whole = manifest(&sandbox);
    for (text, said) in [
        ("", "the manifest is empty"),
        ("\n\n", "the manifest is empty"),
        ("hello\n", "line 1 of the manifest: no JSON object"),
        (
            "{\"kind\":\"run\"}\n",
            "line 1 of the manifest: it does not begin a manifest",
        ),
        (
            "{\"kind\":\"manifest\",\"version\":2,\"hash\":\"blake3\"}\n",
            "version 2",
        ),
        (&format!("{whole}{whole}"), "something follows the summary"),
        (
            &whole.replace("\"bytes\":", "\"bites\":"),
            "no number \"bytes\"",
        ),
        (
            &whole.replacen("\"last_offset\":3", "\"last_offset\":-3", 1),
            "no number \"last_offset\"",
        ),
        (
            &whole.replacen("\"first_offset\":4", "\"first_offset\":3", 1),
            "do not follow",
        ),
    ] {
        let (status, stdout, stderr) = held(&sandbox, text.as_bytes(), &[]);
        assert_eq!(status, 2, "{text}");
        assert!(stderr.contains(said), "{text}: {stderr}");
        assert!(
            !stdout.contains("ok: ") && !stdout.contains("values checked"),
            "{stdout}"
        );
        if !stdout.is_empty() {
            let last = stdout.lines().last().unwrap();
            assert!(last.starts_with("check by the manifest failed"), "{stdout}");
            let (_, json, _) = held(&sandbox, text.as_bytes(), &["--json"]);
            assert!(json.contains("\"manifest_failed\":true"), "{json}");
            assert!(
                !json.contains("record-changed") && !json.contains("checked_"),
                "{json}"
            );
        }
        assert!(
            stderr.contains("\nhint: ") || stderr.starts_with("hint: "),
            "{stderr}"
        );
    }
    // A line without end does not size a buffer.
    let endless = [
        b"{\"kind\":\"manifest\",\"version\":1,\"x\":\"".to_vec(),
        vec![b'x'; 4_000_000],
    ];
    assert_eq!(held(&sandbox, &endless.concat(), &[]).0, 2);
    let missing = run(&sandbox, &["verify", "log", "--manifest", "none"]);
    assert_eq!(missing.0, 2);
    assert!(missing.2.contains("none"), "{}", missing.2);
}

/// Cut off anywhere, or with any bit of it changed, it is never taken for a whole one.
#[test]
fn a_manifest_that_was_cut_or_changed_is_noticed() {
    use proglog::inspect::manifest::check::check;
    use proglog::inspect::manifest::line::Reader;
    use proglog::inspect::report::{Options, Report};

    let one_thread = Options {
        threads: 1,
        ..Options::default()
    };
    let sandbox = Sandbox::built(&small(Codec::Protobuf));
    let manifest = manifest(&sandbox);
    let report = Report::of(&sandbox.log(), &one_thread).unwrap();
    let is_held = |text: &[u8]| {
        let Ok(mut reader) = Reader::open(text) else {
            return false;
        };
        let (checked, failure) = check(&report, &mut reader).unwrap();
        failure.is_none() && checked.findings.is_empty()
    };
    assert!(is_held(manifest.as_bytes()));
    // Without its last line end it still is whole.
    for end in 0..manifest.len() - 1 {
        assert!(!is_held(&manifest.as_bytes()[..end]), "{end}");
    }
    let mut text = manifest.into_bytes();
    let mut tried = 0;
    for bit in 0..text.len() * 8 {
        text[bit / 8] ^= 1 << (bit % 8);
        let held = is_held(&text);
        text[bit / 8] ^= 1 << (bit % 8);
        tried += 1;
        assert!(!held, "bit {bit}");
    }
    println!("{tried} bits of a manifest flipped, all found");
}

#[test]
fn nothing_is_written_into_the_log() {
    let sandbox = Sandbox::built(&small(Codec::Raw));
    let inside = fs::File::create(sandbox.file("manifest")).unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("proglog"));
    command
        .current_dir(sandbox.path())
        .args(["manifest", "log"]);
    let output = command.stdout(inside).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("log/manifest is in the log's directory"),
        "{stderr}"
    );
    assert_eq!(sandbox.bytes("manifest"), 0);
}

/// The digests are BLAKE3 over frames as they stand in the store.
#[test]
fn a_digest_can_be_taken_by_hand() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, &VALUES[..4]));
    beside(&sandbox, "copy", &small(Codec::Raw));
    let lines = lines(&manifest(&sandbox));
    let run = &lines[1];
    assert_eq!(run["kind"], "run");
    let digest = blake3::hash(&sandbox.read("0.store")).to_hex().to_string();
    assert_eq!(run["digest"], digest.as_str());
    let mut gathered = Vec::new();
    for number in [0, 0, 3, sandbox.bytes("0.store")] {
        gathered.extend(number.to_be_bytes());
    }
    gathered.extend(blake3::hash(&sandbox.read("0.store")).as_bytes());
    let all = blake3::hash(&gathered).to_hex().to_string();
    assert_eq!(
        (&lines[2]["digest"], &lines[3]["digest"]),
        (&all.as_str().into(), &all.as_str().into())
    );
}
