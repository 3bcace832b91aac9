//! docs/json.md is held true: whatever any command prints with `--json` is documented
//! there, with its type and with whether it may be left out, and whatever is documented
//! there is printed by some command.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod copies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

use proglog_testkit::{LogBuilder, Sandbox, cases, frame, pb, proglog};
use serde_json::{Map, Value};

/// What is documented and not seen here, and why.
const UNSEEN: &[(&str, &str, &str)] = &[
    (
        "dump-index",
        "unreadable",
        "a disk that gives errors is needed",
    ),
    ("salvage", "unopened", "somebody who is not root is needed"),
    ("push", "summary", "a server is needed: see tests/nats"),
    ("pull", "summary", "a server is needed: see tests/nats"),
];

/// The kinds that need a kernel which tells who has a file open.
const WITH_A_WRITER: &[(&str, &str, &str)] = &[
    ("info", "process", "kind"),
    ("info", "process", "pid"),
    ("info", "process", "name"),
    ("info", "segment", "pending"),
];

/// The fields that need another user or a file system that hides writers.
const WHERE_NOBODY_KNOWS: &[(&str, &str, &str)] = &[
    ("info", "summary", "in_use_reason"),
    ("verify", "summary", "in_use_reason"),
];

/// What a command prints under one `kind`; the kind is empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    command: String,
    kind: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.command, self.kind)
    }
}

/// A row of the document.
#[derive(Debug, Clone)]
struct Row {
    types: Vec<String>,
    always: bool,
    /// Headings that several commands share are seen if one of them prints the field.
    heading: usize,
}

/// The tables of docs/json.md.
type Document = BTreeMap<Kind, BTreeMap<String, Row>>;

fn document() -> Document {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md");
    let text = fs::read_to_string(path).unwrap();
    let mut document = Document::new();
    let mut kinds: Vec<Kind> = Vec::new();
    let mut heading = 0;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            heading += 1;
            let (commands, kind) = title.split_once(": ").unwrap();
            let kind = if kind == "no kind" { "" } else { kind };
            let kind_of = |command: &str| Kind {
                command: command.to_owned(),
                kind: kind.to_owned(),
            };
            kinds = commands.split(", ").map(kind_of).collect();
        } else if line.starts_with("## ") {
            kinds.clear();
        } else if let Some(row) = line.strip_prefix("| `") {
            let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
            let [field, types, _, what, left_out] = cells[..] else {
                panic!("five columns: {line}");
            };
            assert!(!what.is_empty() && !left_out.is_empty(), "{line}");
            assert!(!kinds.is_empty(), "under no heading: {line}");
            let row = Row {
                types: types.split(" or ").map(str::to_owned).collect(),
                always: left_out == "-",
                heading,
            };
            for kind in &kinds {
                let rows = document.entry(kind.clone()).or_default();
                let before = rows.insert(field.trim_end_matches('`').to_owned(), row.clone());
                assert!(before.is_none(), "twice: {kind}: {line}");
            }
        }
    }
    document
}

/// What was printed, held against the document line by line.
struct Seen {
    document: Document,
    fields: BTreeSet<(Kind, String)>,
    /// Fields that a line of their kind did not have.
    left_out: BTreeSet<(Kind, String)>,
    wrong: BTreeSet<String>,
}

impl Seen {
    fn new() -> Self {
        Self {
            document: document(),
            fields: BTreeSet::new(),
            left_out: BTreeSet::new(),
            wrong: BTreeSet::new(),
        }
    }

    /// Runs a command in a sandbox with `--json` and looks at what it prints; the first
    /// argument is the command's name.
    fn run(&mut self, sandbox: &Sandbox, arguments: &[&str]) -> Vec<Map<String, Value>> {
        self.run_with(sandbox, arguments, "")
    }

    fn run_with(
        &mut self,
        sandbox: &Sandbox,
        arguments: &[&str],
        stdin: &str,
    ) -> Vec<Map<String, Value>> {
        let output = proglog()
            .current_dir(sandbox.path())
            .args(arguments)
            .arg("--json")
            .write_stdin(stdin)
            .output()
            .unwrap();
        let status = output.status.code().unwrap();
        assert!((0..=4).contains(&status), "{arguments:?}: {status}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.is_empty() || stdout.ends_with('\n'), "{arguments:?}");
        let lines: Vec<Map<String, Value>> = stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        for line in &lines {
            self.line(arguments[0], line);
        }
        self.stream(arguments, &lines);
        lines
    }

    /// One line: every field documented, with this type; none missing that is never
    /// left out.
    fn line(&mut self, command: &str, line: &Map<String, Value>) {
        let kind = Kind {
            command: command.to_owned(),
            kind: line
                .get("kind")
                .map_or("", |kind| kind.as_str().unwrap())
                .to_owned(),
        };
        let Some(rows) = self.document.get(&kind) else {
            self.wrong.insert(format!("{kind} is not documented"));
            return;
        };
        for (field, value) in line {
            self.fields.insert((kind.clone(), field.clone()));
            let found = match value {
                Value::Null => "null",
                Value::Bool(_) => "bool",
                Value::Number(number) if number.is_u64() => "number",
                Value::String(_) => "text",
                _ => "something else",
            };
            match rows.get(field) {
                None => self
                    .wrong
                    .insert(format!("{kind}: {field} is not documented")),
                Some(row) if !row.types.iter().any(|it| it == found) => {
                    let types = row.types.join(" or ");
                    self.wrong
                        .insert(format!("{kind}: {field} is {found}, not {types}"))
                }
                Some(_) => false,
            };
        }
        for (field, row) in rows {
            if line.contains_key(field) {
                continue;
            }
            self.left_out.insert((kind.clone(), field.clone()));
            if row.always {
                self.wrong
                    .insert(format!("{kind}: {field} is left out: {line:?}"));
            }
        }
    }

    /// A whole stream: with several kinds in it all lines have one, and the last is the
    /// summary, which stands nowhere else.
    fn stream(&mut self, arguments: &[&str], lines: &[Map<String, Value>]) {
        let kinds: BTreeSet<Option<&str>> = lines
            .iter()
            .map(|line| line.get("kind").map(|kind| kind.as_str().unwrap()))
            .collect();
        let summaries = lines
            .iter()
            .filter(|line| line.get("kind").is_some_and(|kind| kind == "summary"))
            .count();
        let last_is_one = lines
            .last()
            .and_then(|line| line.get("kind"))
            .is_some_and(|kind| kind == "summary");
        let position = arguments.contains(&"--position");
        let several = kinds.len() > 1 && !position;
        if (several && (kinds.contains(&None) || !last_is_one))
            || summaries > 1
            || (summaries == 1 && !last_is_one)
        {
            self.wrong
                .insert(format!("{arguments:?}: {kinds:?}, no summary at the end"));
        }
    }

    /// What is documented and was not seen, or never left out though it may be.
    fn unseen(&self, writers_are_known: bool) -> Vec<String> {
        let under = |fields: &BTreeSet<(Kind, String)>| -> BTreeSet<(usize, String)> {
            let place = |(kind, field): &(Kind, String)| {
                let row = self.document.get(kind)?.get(field)?;
                Some((row.heading, field.clone()))
            };
            fields.iter().filter_map(place).collect()
        };
        let (printed, left_out) = (under(&self.fields), under(&self.left_out));
        let mut unseen = Vec::new();
        for (kind, rows) in &self.document {
            if excused(UNSEEN, kind, None) {
                continue;
            }
            for (field, row) in rows {
                let excuse = |list| excused(list, kind, Some(field));
                if excuse(WHERE_NOBODY_KNOWS) || !writers_are_known && excuse(WITH_A_WRITER) {
                    continue;
                }
                let place = (row.heading, field.clone());
                if !printed.contains(&place) {
                    unseen.push(format!("{kind}: {field} was never printed"));
                }
                if !row.always && !left_out.contains(&place) {
                    unseen.push(format!("{kind}: {field} was never left out"));
                }
            }
        }
        unseen
    }
}

fn excused(list: &[(&str, &str, &str)], kind: &Kind, field: Option<&str>) -> bool {
    list.iter().any(|(command, of, last)| {
        *command == kind.command && *of == kind.kind && field.is_none_or(|field| field == *last)
    })
}

#[test]
fn the_document_is_true() {
    let mut seen = Seen::new();
    for case in cases() {
        looks(&mut seen, &Sandbox::of(&case));
        changes(&mut seen, &case);
    }
    appends(&mut seen);
    damages(&mut seen);
    places(&mut seen);
    copies::compared(&mut seen);
    copies::mended(&mut seen);
    let writers_are_known = beside_a_writer(&mut seen);
    let bare = Sandbox::bare();
    seen.run(&bare, &["explain"]);
    seen.run(&bare, &["explain", "segment-gap"]);
    let mut wrong: Vec<String> = seen.wrong.iter().cloned().collect();
    wrong.extend(seen.unseen(writers_are_known));
    assert!(wrong.is_empty(), "docs/json.md:\n{}", wrong.join("\n"));
}

/// Every command that only looks, with every option that bears on what it prints.
#[expect(clippy::disallowed_methods, reason = "a cursor file, beside the log")]
fn looks(seen: &mut Seen, sandbox: &Sandbox) {
    fs::write(sandbox.path().join("0.cursor"), "0\n").unwrap();
    for arguments in [
        &["read", "log"][..],
        &["read", "log", "--on-error", "skip", "--no-decode"],
        &["read", "log", "-n", "3", "-r"],
        &["verify", "log"],
        &["verify", "log", "-q"],
        &["verify", "log", "--quick"],
        &["verify", "log", "--service"],
        &["verify", "log", "--service", "--quick", "-q"],
        &["verify", "log", "--service", "--max-index-bytes", "1020"],
        &["verify", "log", "--allow", "index-padded"],
        &["verify", "log", "--codec", "raw"],
        &["info", "log"],
        &["info", "log", "--sizes"],
        &["info", "log", "--cursor-file", "0.cursor"],
        &["dump-index", "log"],
        &["dump-index", "log", "--hex", "--from", "-9"],
        &["dump-index", "log", "--position", "13"],
        &["dump-store", "log"],
        &["dump-store", "log", "--hex", "--from", "-9"],
        &["dump-store", "log", "--position", "13"],
        &["dump-store", "log", "--codec", "raw"],
        &["repair", "log", "--dry-run"],
        &["repair", "log", "--dry-run", "--adopt-tail"],
        &["trim", "log", "--keep-segments", "1", "--dry-run"],
        &["truncate-index", "log", "--leave-tail", "--dry-run"],
        &["undo", "log", "--list"],
    ] {
        seen.run(sandbox, arguments);
    }
}

/// Every command that changes a log, and what takes it back.
fn changes(seen: &mut Seen, case: &str) {
    for change in [
        &["repair", "log"][..],
        &["repair", "log", "--no-save", "-q"],
        &["trim", "log", "--keep-segments", "1"],
        &["trim", "log", "--after", "15"],
        &["trim", "log", "--before", "40", "--no-save"],
        &["truncate-index", "log"],
        &["truncate-index", "log", "--leave-tail"],
    ] {
        let sandbox = Sandbox::of(case);
        seen.run(&sandbox, change);
        seen.run(&sandbox, &["undo", "log"]);
        seen.run(&sandbox, &["undo", "log", "--list"]);
    }
    let sandbox = Sandbox::of(case);
    seen.run(&sandbox, &["repair", "log"]);
    seen.run(&sandbox, &["undo", "log", "--dry-run"]);
    seen.run(&sandbox, &["undo", "log", "--dry-run", "--into", "before"]);
    seen.run(&sandbox, &["undo", "log", "--into", "before"]);
    seen.run(&sandbox, &["undo", "log", "--prune", "--dry-run"]);
    seen.run(&sandbox, &["redact", "log", "-1", "--dry-run"]);
    seen.run(&sandbox, &["redact", "log", "0", "--yes"]);
    seen.run(&sandbox, &["undo", "log", "--prune"]);
    let sandbox = Sandbox::of(case);
    seen.run_with(&sandbox, &["append", "log"], "one\ntwo\n");
}

fn appends(seen: &mut Seen) {
    let sandbox = Sandbox::bare();
    seen.run(&sandbox, &["append", "log"]);
    let append = ["append", "log", "--max-store-bytes", "20"];
    let lines = seen.run_with(&sandbox, &append, "one\ntwo\nthree\n");
    assert_eq!(lines[0]["segments"], 2);
    // 3 + 3 + 5 bytes of values, and 8 bytes of length before each.
    assert_eq!(lines[0]["bytes"], 35);
    let lines = seen.run_with(&sandbox, &["append", "log", "--print-offsets"], "four\n");
    assert_eq!(lines.len(), 2);
    let lines = seen.run_with(&sandbox, &["append", "log", "--expect-offset", "0"], "no\n");
    assert_eq!(lines[0]["records"], 0);
    // Nothing is appended to a log that does not exist.
    seen.run_with(&sandbox, &["append", "new", "--print-offsets"], "");
    looks(seen, &sandbox);
}

/// Small logs with what no fixture shows.
fn damages(seen: &mut Seen) {
    let five = || LogBuilder::protobuf().segment(0, ["a", "b", "c", "d", "e"]);
    // The start of an entry at the end of the index.
    let sandbox = Sandbox::built(&five());
    sandbox.append_bytes("0.index", &[0, 0, 0, 5, 0]);
    looks(seen, &sandbox);
    // An entry with another relative offset, and one with another position.
    let sandbox = Sandbox::built(&five());
    sandbox.put("0.index", 12, &7_u32.to_be_bytes());
    sandbox.put("0.index", 28, &1_u64.to_be_bytes());
    looks(seen, &sandbox);
    // A record that carries another offset; then one that is none.
    let sandbox = Sandbox::built(&five());
    let third = frame(&pb(b"c", 2, 0, 0));
    let bytes = sandbox.read("0.store");
    let place = bytes
        .windows(third.len())
        .position(|it| it == third)
        .unwrap();
    sandbox.put("0.store", place as u64, &frame(&pb(b"c", 9, 0, 0)));
    looks(seen, &sandbox);
    sandbox.put("0.store", place as u64 + 8, b"\xff");
    looks(seen, &sandbox);
    // Fewer bytes than a length has; then offsets past the last there is.
    let sandbox = Sandbox::built(&five());
    sandbox.append_bytes("0.store", &[0, 0, 1]);
    looks(seen, &sandbox);
    looks(
        seen,
        &Sandbox::built(&LogBuilder::raw().segment(u64::MAX, ["a", "b"])),
    );
    // Entries of another program.
    let sandbox = Sandbox::built(&five());
    let wide: Vec<u8> = sandbox
        .read("0.index")
        .chunks(12)
        .flat_map(|entry| [&[0; 4], entry].concat())
        .collect();
    sandbox.write("0.index", &wide);
    seen.run(&sandbox, &["verify", "log"]);
    seen.run(&sandbox, &["info", "log"]);
    // A file that its owner cannot write.
    let sandbox = Sandbox::built(&five().segment(5, ["f"]));
    let read_only = Permissions::from_mode(0o444);
    fs::set_permissions(sandbox.file("0.store"), read_only).unwrap();
    looks(seen, &sandbox);
    // An empty store that is alone, and a directory that the service stumbles over.
    let sandbox = Sandbox::empty();
    sandbox.write("0.store", b"");
    looks(seen, &sandbox);
    seen.run(&sandbox, &["repair", "log"]);
    sandbox.make_directory("7.store");
    looks(seen, &sandbox);
    // A protobuf log that only says so.
    let sandbox = Sandbox::empty();
    sandbox.write("0.store", b"");
    sandbox.write("0.index", &[0; 24]);
    seen.run(&sandbox, &["verify", "log", "--codec", "protobuf"]);
}

/// More places of one sort than are kept one by one: every second payload is no record.
fn places(seen: &mut Seen) {
    let values = std::iter::repeat_n("v", 40_100);
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, values));
    let index = sandbox.read("0.index");
    let mut store = sandbox.read("0.store");
    for entry in index.chunks(24).skip(1) {
        let position = u64::from_be_bytes(entry[4..12].try_into().unwrap());
        store[usize::try_from(position).unwrap() + 8] = 0x0f;
    }
    sandbox.write("0.store", &store);
    let lines = seen.run(&sandbox, &["verify", "log"]);
    assert!(lines.len() > 20_000, "{}", lines.len());
}

/// Beside a writer, whose memory may hold what the store lacks. Whether the kernel
/// tells who it is.
#[expect(clippy::print_stderr, reason = "a skip is said")]
#[expect(clippy::disallowed_methods, reason = "a test's own writer")]
fn beside_a_writer(seen: &mut Seen) -> bool {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["one", "two", "three"]));
    sandbox.cut("0.store", 11);
    let open = |name| {
        File::options()
            .write(true)
            .open(sandbox.file(name))
            .unwrap()
    };
    let writer = (open("0.store"), open("0.index"));
    looks(seen, &sandbox);
    let lines = seen.run(&sandbox, &["info", "log"]);
    seen.run(&sandbox, &["salvage", "log", "new"]);
    drop(writer);
    let known = lines.iter().any(|line| line["kind"] == "process");
    if !known {
        eprintln!("SKIPPED: the kernel does not tell who has a file open here");
    }
    known
}
