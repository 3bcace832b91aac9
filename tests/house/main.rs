//! The house rules that no compiler knows, held by reading the sources as tokens:
//! imports point one way, what changes the disk stands in one file, and a file says what it
//! is, in ASCII, within 500 lines. Code under `#[cfg(test)]` may use what it likes.

mod circles;
mod reader;
mod weight;
mod words;

use std::fs;

use reader::{
    CodePath, attributes, calls, macros, module_of, parse, paths, resolve, sources, tree,
    without_tests,
};

/// The parts of the crate, and what each may import. A new folder or file directly
/// under `src/` needs a row.
const PARTS: &[(&str, &[&str])] = &[
    // `scan` stands between the bytes of `log` and its readers.
    ("log", &["scan"]),
    ("scan", &["log"]),
    ("inspect", &["log", "scan"]),
    ("mend", &["log", "scan", "inspect"]),
    // The interface of the library.
    ("appender", &["log", "mend"]),
    ("records", &["log", "scan"]),
    ("following", &["log", "inspect", "records"]),
    ("check", &["log", "inspect", "mend"]),
    ("render", &["log", "scan", "inspect", "mend"]),
    ("commands", &["log", "scan", "inspect", "mend", "render"]),
    ("cli", &["render", "commands"]),
    ("main", &["render", "commands", "cli"]),
];

/// The files of `log` from the ground up: each may import those above it in this
/// table, and nothing of `log` that stands below. Files of one row do not import each
/// other; `judge` is the other half of `walk`.
const LOG_FLOORS: &[&[&str]] = &[
    &["units", "codec", "wire", "progress", "reason", "threads"],
    &["platform"],
    &["dir"],
    &["format", "layout", "lease", "procfs", "disk"],
    &["record", "damage", "processes"],
    &["error"],
    &["durable"],
    &["window", "lock", "config", "directory", "commit", "create"],
    &["holes", "index", "payload"],
    &["walk"],
    &["evidence", "segment"],
    &["trailing", "live", "between"],
    &["judge"],
    &["detect", "writer", "items"],
    &["opened"],
    &["reader", "open"],
    &["reverse", "footing", "lookup", "seen"],
    &["follow"],
];

/// Crates that only some places know: the crate's name in code, then path prefixes
/// under `src/`.
const CRATES: &[(&str, &[&str])] = &[
    ("clap", &["commands", "cli", "main.rs"]),
    ("anyhow", &["commands", "cli", "main.rs"]),
    ("clap_complete", &["commands/completions.rs"]),
    ("clap_mangen", &["commands/man.rs"]),
    ("comfy_table", &["render"]),
    ("indicatif", &["commands/progress.rs"]),
    ("hex", &["render", "commands/append/framing.rs"]),
    // JSON is read in few places: the input of append, what mending and manifests keep.
    (
        "serde_json",
        &[
            "render",
            "commands/append",
            "mend/saved",
            "inspect/manifest/line.rs",
        ],
    ),
    ("async_nats", &["commands/nats"]),
    ("futures_util", &["commands/nats"]),
    ("percent_encoding", &["commands/nats/address.rs"]),
    ("ring", &["commands/nats/headers.rs"]),
    ("tokio", &["commands/nats"]),
    ("ratatui", &["commands/browse"]),
    (
        "blake3",
        &["inspect/manifest", "commands/read/fingerprint.rs"],
    ),
    ("crc", &["scan/layouts"]),
    ("regex", &["commands/read/pattern.rs", "render"]),
    ("regex_automata", &["commands/read/pattern.rs"]),
    ("regex_syntax", &["commands/read/pattern.rs"]),
];

/// Where the disk is changed.
const WRITER: &str = "log/disk.rs";

/// Creates a temporary file and unlinks it at once.
const UNLINKER: (&str, &str) = ("log/platform/portable.rs", "unlink");

/// Where threads are started: elsewhere a system that refuses one would end the program.
const STARTER: &str = "log/threads.rs";

/// Functions of `std::fs` (or of `rustix::fs`) that change the disk.
const FS_FUNCTIONS: &[&str] = &[
    "copy",
    "create_dir",
    "create_dir_all",
    "fallocate",
    "ftruncate",
    "hard_link",
    "linkat",
    "mkdirat",
    "pwrite",
    "remove_dir",
    "remove_dir_all",
    "remove_file",
    "rename",
    "renameat",
    "set_permissions",
    "soft_link",
    "symlink",
    "unlink",
    "unlinkat",
    "write",
];

/// The parts that reach the files of a log through the descriptor of its directory.
const BY_DESCRIPTOR: &[&str] = &["log/", "scan/", "inspect/", "mend/"];

/// Where paths are resolved: the module for it, and what looks through /proc.
const RESOLVERS: &[&str] = &[
    "log/dir.rs",
    "log/dir/",
    "log/disk.rs",
    "log/processes.rs",
    "log/platform/",
    "log/procfs.rs",
];

/// What elsewhere reads a file of /proc.
const PROC_READERS: &[(&str, &str)] = &[
    ("log/lock.rs", "read"),
    ("log/lock.rs", "read_to_string"),
    ("mend/leases.rs", "read_to_string"),
    ("mend/saved/trust.rs", "read_to_string"),
];

/// Functions of `std::fs` or `rustix::fs` that take a path.
const PATH_FUNCTIONS: &[&str] = &[
    "canonicalize",
    "exists",
    "lstat",
    "metadata",
    "open",
    "openat",
    "read",
    "read_dir",
    "read_link",
    "read_to_string",
    "readlink",
    "readlinkat",
    "stat",
    "statat",
    "symlink_metadata",
];

/// Methods of `Path` that ask the system.
const PATH_METHODS: &[&str] = &[
    "canonicalize",
    "exists",
    "read_dir",
    "read_link",
    "symlink_metadata",
    "try_exists",
];

/// Methods that change a file; `clippy.toml` has those whose names `disk` may have too.
const FILE_METHODS: &[&str] = &["map_mut", "set_modified", "set_times"];

/// The most lines that a file may have.
const LINES_MAX: usize = 500;

/// Methods of `OpenOptions` that open a file for more than reading, when given `true`.
const OPEN_METHODS: &[&str] = &["append", "create", "create_new", "truncate", "write"];

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let Some(module) = module_of(&source.path) else {
            continue; // lib.rs is the map of all of them
        };
        let part = module[0].as_str();
        let Some((_, allowed)) = PARTS.iter().find(|(name, _)| *name == part) else {
            wrong.push(format!("{}: {part} is not in PARTS", source.path));
            continue;
        };
        for path in paths(&without_tests(&source.tokens)) {
            let Some(target) = resolve(&module, &path.names) else {
                continue;
            };
            let Some(first) = target.first() else {
                continue;
            };
            let known = PARTS.iter().any(|(name, _)| name == first);
            if known && first != part && !allowed.contains(&first.as_str()) {
                wrong.push(format!(
                    "{}:{}: {part} imports {first}",
                    source.path, path.line
                ));
            }
            if part == "log" && first == "log" {
                wrong.extend(wrong_within_log(&source.path, &module, &path, &target));
            }
        }
    }
    none(&wrong);
}

#[test]
fn crates_keep_to_their_places() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let tokens = without_tests(&source.tokens);
        let paths = paths(&tokens);
        let below = source.path.trim_start_matches("src/");
        for (name, places) in CRATES {
            // A module of ours may have a crate's name.
            let ours = paths.iter().any(|path| {
                matches!(path.names[0].as_str(), "crate" | "super" | "self")
                    && path.names.last().is_some_and(|last| last == name)
            });
            if ours || places.iter().any(|place| below.starts_with(place)) {
                continue;
            }
            for path in paths.iter().filter(|path| path.names[0] == *name) {
                wrong.push(format!(
                    "{}:{}: {name} is used here",
                    source.path, path.line
                ));
            }
        }
    }
    none(&wrong);
}

#[test]
fn the_disk_is_changed_in_one_file() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let below = source.path.trim_start_matches("src/");
        if below == WRITER {
            continue;
        }
        let tokens = without_tests(&source.tokens);
        for path in paths(&tokens) {
            let names: Vec<_> = path.names.iter().map(String::as_str).collect();
            let changes = match names.as_slice() {
                [.., "fs", function] => {
                    FS_FUNCTIONS.contains(function) && (below, *function) != UNLINKER
                }
                [.., "File", "create" | "create_new"] => true,
                names => names.contains(&"MmapMut"),
            };
            if changes {
                wrong.push(format!(
                    "{}:{}: {}",
                    source.path,
                    path.line,
                    names.join("::")
                ));
            }
        }
        for call in calls(&tokens) {
            let name = call.name.as_str();
            let opens = OPEN_METHODS.contains(&name) && call.arguments == "true";
            if opens || FILE_METHODS.contains(&name) {
                wrong.push(format!("{}:{}: .{name}()", source.path, call.line));
            }
        }
    }
    none(&wrong);
}

/// Whoever opens by path twice may open two directories: see `log::dir`.
#[test]
fn a_path_is_resolved_in_one_place() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let below = source.path.trim_start_matches("src/");
        if RESOLVERS.iter().any(|it| below.starts_with(it))
            || !BY_DESCRIPTOR.iter().any(|it| below.starts_with(it))
        {
            continue;
        }
        let tokens = without_tests(&source.tokens);
        for path in paths(&tokens) {
            if let Some(what) = resolves(&path.names)
                && !PROC_READERS.contains(&(below, what))
            {
                wrong.push(format!("{}:{}: {what}", source.path, path.line));
            }
        }
        for call in calls(&tokens) {
            if PATH_METHODS.contains(&call.name.as_str()) {
                wrong.push(format!("{}:{}: .{}()", source.path, call.line, call.name));
            }
        }
    }
    none(&wrong);
}

/// What of the system a path in the code names that takes a path of the file system.
fn resolves(names: &[String]) -> Option<&str> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.as_slice() {
        [.., "fs", function] if PATH_FUNCTIONS.contains(function) => Some(function),
        [.., "File", "open" | "options"] => Some("File::open"),
        [.., "fs", "OpenOptions" | "DirBuilder"] => Some("OpenOptions"),
        _ => None,
    }
}

#[test]
fn threads_are_started_in_one_file() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        if source.path.trim_start_matches("src/") == STARTER {
            continue;
        }
        for path in paths(&without_tests(&source.tokens)) {
            let names: Vec<_> = path.names.iter().map(String::as_str).collect();
            if let [.., "thread", "spawn" | "scope" | "Builder"] = names.as_slice() {
                let what = names.join("::");
                wrong.push(format!("{}:{}: {what}", source.path, path.line));
            }
        }
    }
    none(&wrong);
}

#[test]
fn a_file_says_what_it_is_and_is_short() {
    let mut wrong = Vec::new();
    for source in sources("") {
        if !source.text.starts_with("//!") {
            wrong.push(format!("{}: does not begin with //!", source.path));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!(
                "{}: {lines} lines, at most {LINES_MAX}",
                source.path
            ));
        }
        for (line, text) in (1..).zip(source.text.lines()) {
            if !text.is_ascii() {
                wrong.push(format!("{}:{line}: not ASCII: {text}", source.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn nothing_is_silenced_without_reason_or_left_to_do() {
    let mut wrong = Vec::new();
    for source in sources("") {
        for (line, words) in attributes(&source.tokens) {
            let silences = words.contains("allow") || words.contains("expect");
            if silences && !words.contains("reason") {
                wrong.push(format!(
                    "{}:{line}: a lint silenced without reason",
                    source.path
                ));
            }
        }
        for (line, name) in macros(&source.tokens) {
            if name == "todo" || name == "unimplemented" {
                wrong.push(format!("{}:{line}: {name}", source.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn nothing_refers_to_a_place_outside_the_tree() {
    // Put together, so that this file does not hold what it looks for.
    let mut places = vec![
        ["..", "/shared"].concat(),
        ["/ho", "me/"].concat(),
        ["/ro", "ot/"].concat(),
        ["/Use", "rs/"].concat(),
    ];
    // Of one name only, as `/src`, it would be found in every other path.
    let top = env!("CARGO_MANIFEST_DIR");
    places.extend((top.matches('/').count() > 1).then(|| top.to_owned()));
    let mut wrong = Vec::new();
    for path in tree() {
        let bytes = fs::read(&path).expect("a file of the tree");
        let text = String::from_utf8_lossy(&bytes);
        for (line, text) in (1..).zip(text.lines()) {
            for place in places.iter().filter(|place| text.contains(*place)) {
                wrong.push(format!("{}:{line}: {place}", path.display()));
            }
        }
    }
    none(&wrong);
}

/// What is wrong with an import of one file of `log` by another.
fn wrong_within_log(
    source: &str,
    module: &[String],
    path: &CodePath,
    target: &[String],
) -> Option<String> {
    let (from, to) = (module.get(1)?, target.get(1)?);
    let floor = |name: &str| LOG_FLOORS.iter().position(|row| row.contains(&name));
    let (below, above) = (floor(to)?, floor(from)?);
    (from != to && below >= above)
        .then(|| format!("{source}:{}: log::{from} imports log::{to}", path.line))
}

/// A file of `log` has its place in the table.
#[test]
fn every_file_of_the_engine_has_its_floor() {
    let mut homeless = Vec::new();
    for source in sources("src/log") {
        if let Some([_, name, ..]) = module_of(&source.path).as_deref()
            && !LOG_FLOORS.iter().any(|row| row.contains(&name.as_str()))
        {
            homeless.push(source.path.clone());
        }
    }
    none(&homeless);
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The rules above against code that breaks them.
#[test]
fn the_reader_sees_what_it_should() {
    let module = module_of("src/log/store.rs").expect("a module");
    assert_eq!(module, ["log", "store"]);
    assert_eq!(module_of("src/log/mod.rs"), Some(vec!["log".to_owned()]));
    assert_eq!(module_of("src/lib.rs"), None);
    let tokens = parse(
        "use crate::{inspect::{scan, check as c}, log::*};
         use super::super::render; // use crate::cli
         fn f(file: std::fs::File) -> &'static str { file.set_times(0); todo(); \"crate::cli\" }
         #[cfg(test)] mod tests { use crate::commands; }
         #[rustfmt::skip] impl X for proglog::mend::Y {}",
    );
    let shipped = without_tests(&tokens);
    let found: Vec<_> = paths(&shipped)
        .iter()
        .filter_map(|path| resolve(&module, &path.names))
        .map(|path| path.join("::"))
        .collect();
    let expected = [
        "inspect::scan",
        "inspect::check",
        "log",
        "render",
        "mend::Y",
    ];
    assert_eq!(found, expected);
    let calls = calls(&shipped);
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].name.as_str(), calls[0].line), ("set_times", 3));
    assert!(
        paths(&tokens)
            .iter()
            .any(|path| path.names == ["crate", "commands"])
    );

    let tokens = parse("use std::fs; fn f(p: &Path) { fs::metadata(p); std::fs::File::open(p); }");
    let found: Vec<_> = paths(&tokens)
        .iter()
        .map(|it| resolves(&it.names).is_some())
        .collect();
    assert_eq!(found.iter().filter(|it| **it).count(), 2);

    let tokens = parse("#[allow(unused)] fn f() { loop { todo !() } }");
    assert!(attributes(&tokens)[0].1.contains("allow"));
    assert_eq!(macros(&tokens), [(1, "todo".to_owned())]);
    assert!(
        sources("src")
            .iter()
            .any(|source| source.path == "src/lib.rs")
    );
}
