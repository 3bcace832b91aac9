//! Runs every console block of README.md and of the guides in docs/, except the two that
//! set up and test (`.ci/run` runs these), and compares the output with what is shown
//! there; likewise the picture. `UPDATE_EXPECTED=1` rewrites the files: read the difference.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proglog_testkit::{Sandbox, proglog};

/// The texts whose commands are run, each in a shell of its own.
const TEXTS: &[&str] = &["README.md", "docs/guide.md", "docs/copies.md"];

/// A directory of `mktemp -d`, as the texts show it.
const TEMPORARY: &str = "/tmp/tmp.kI0SEtUoe4";

/// What stands between the outputs of two commands, and before the status.
const MARK: char = '\u{1e}';

/// Every time of day in what is printed, as README.md shows it.
const TIME: &str = "2026-01-02T03:04:05Z";

/// What else than a shell and its tools the examples need.
const TOOLS: &[&str] = &["jq", "duckdb", "kcat", "protoc"];

/// kcat with a broker of its own, inside its process.
const KCAT: &str = "test.mock.num.brokers=1\nlog_level=0\n";

/// The columns of the picture.
const COLUMNS: usize = 80;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One bash, its directory `sandbox`, its proglog the one that was built; runs the
/// commands in turn and gives what each printed on stdout and stderr.
#[expect(clippy::disallowed_methods, reason = "a file of the sandbox")]
fn shell(sandbox: &Sandbox, commands: &[String]) -> Vec<String> {
    let mut script = String::from("exec 2>&1\n");
    for command in commands {
        // The status stays what it was, for a command that asks.
        let _ = write!(
            script,
            "{command}\nstatus=$?; printf '\\036'; (exit $status)\n"
        );
    }
    let kcat = sandbox.path().join("kcat.conf");
    fs::write(&kcat, KCAT).unwrap();
    let binary = PathBuf::from(proglog().get_program());
    let mut path = OsString::from(binary.parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = assert_cmd::Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(sandbox.path())
        .env("PATH", path)
        .env("KCAT_CONFIG", &kcat)
        .env("LC_ALL", "C")
        .env("TMPDIR", sandbox.path().canonicalize().unwrap())
        .env("TZ", "UTC")
        .env_remove("OLDPWD")
        .output()
        .unwrap();
    let mut printed = String::from_utf8(output.stdout).unwrap();
    printed = printed.replace(
        &format!("% Reading configuration from file {}\n", kcat.display()),
        "",
    );
    let mut printed: Vec<String> = printed.split(MARK).map(timeless).collect();
    printed.pop();
    assert_eq!(printed.len(), commands.len(), "{printed:?}");
    printed
}

/// The text with every time of day turned into `TIME`.
fn timeless(text: &str) -> String {
    let short: String = TIME.chars().filter(|&c| c != ':').collect();
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let time = [TIME, &short].into_iter().find(|time| is_like(rest, time));
        if let Some(time) = time {
            result.push_str(time);
            rest = &rest[time.len()..];
        } else {
            result.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    result
}

/// Whether a text begins as the pattern does, one digit being like another.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut text = text.bytes();
    pattern.bytes().all(|expected| {
        text.next().is_some_and(|byte| {
            byte == expected || (byte.is_ascii_digit() && expected.is_ascii_digit())
        })
    })
}

/// The text with the names of temporary directories below `parent` turned into `TEMPORARY`.
fn placeless(text: &str, parent: &Path) -> String {
    let prefix = format!("{}/tmp.", parent.display());
    let mut parts = text.split(&prefix);
    let mut result = parts.next().unwrap().to_owned();
    for part in parts {
        let name = part.bytes().take_while(u8::is_ascii_alphanumeric).count();
        result.push_str(TEMPORARY);
        result.push_str(&part[name..]);
    }
    result
}

/// Writes a file if that was asked for, else compares it.
#[expect(
    clippy::disallowed_methods,
    reason = "a file of this tree, not of a log"
)]
fn holds(name: &str, expected: &str) {
    let path = root().join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(
        found == expected,
        "{name} is not what is printed now (UPDATE_EXPECTED=1 rewrites it); first: {differs:?}"
    );
}

/// A piece of a text.
enum Piece {
    /// Lines that are copied.
    Text(String),
    /// The commands of a console block, whose output is to be shown.
    Console(Vec<String>),
}

/// A text in pieces; the fences of a block belong to the text around it. A block with one
/// of the missing tools in it is text, and so are the two blocks that `.ci/run` takes from
/// README.md.
fn pieces(text: &str, is_readme: bool, missing: &[&str]) -> Vec<Piece> {
    let mut pieces = vec![Piece::Text(String::new())];
    let (mut console, mut heading, mut first) = (false, "", is_readme);
    let mut behind = text;
    for line in text.lines() {
        behind = behind.split_once('\n').map_or("", |(_, behind)| behind);
        if line == "```" && console {
            console = false;
            pieces.push(Piece::Text(String::new()));
        }
        match pieces.last_mut().unwrap() {
            Piece::Text(text) => {
                text.push_str(line);
                text.push('\n');
            }
            Piece::Console(commands) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    assert!(!command.ends_with('\\'), "one line each: {command}");
                    commands.push(command.to_owned());
                }
            }
        }
        if line.starts_with("## ") {
            heading = line;
        }
        if line == "```console" {
            let set_up = first || heading == "## Test";
            first = false;
            let block = behind.split("\n```").next().unwrap();
            let needs = |tool: &&str| block.contains(&format!("| {tool} "));
            if !set_up && !missing.iter().any(needs) {
                console = true;
                pieces.push(Piece::Console(Vec::new()));
            }
        }
    }
    assert!(!console, "a block that does not end");
    pieces
}

#[test]
fn what_the_texts_show_is_what_is_printed() {
    let is_missing = |tool: &&str| {
        let missing = std::process::Command::new(tool).arg("-V").output().is_err();
        if missing {
            eprintln!("SKIPPED: no {tool} here: examples with it are not run");
        }
        missing
    };
    let missing: Vec<&str> = TOOLS.iter().copied().filter(is_missing).collect();
    for name in TEXTS {
        holds(name, &shown(name, &missing));
    }
}

/// A text with what its commands print now.
fn shown(name: &str, missing: &[&str]) -> String {
    let text = fs::read_to_string(root().join(name)).unwrap();
    let sandbox = Sandbox::bare();
    symlink(root().join("fixtures"), sandbox.path().join("fixtures")).unwrap();
    let place = sandbox.path().canonicalize().unwrap();
    let pieces = pieces(&text, name == "README.md", missing);
    let commands: Vec<String> = pieces
        .iter()
        .flat_map(|piece| match piece {
            Piece::Text(_) => &[],
            Piece::Console(commands) => commands.as_slice(),
        })
        .cloned()
        .collect();
    assert!(commands.len() > 10, "{name}: {commands:?}");
    let mut printed = shell(&sandbox, &commands).into_iter();
    let mut shown = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => shown.push_str(&text),
            Piece::Console(commands) => {
                for command in commands {
                    let printed = placeless(&printed.next().unwrap(), &place);
                    let _ = write!(shown, "$ {command}\n{printed}");
                }
            }
        }
    }
    let left = fs::read_dir(&place).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with("tmp."));
    assert_eq!(left.count(), 0, "{name}: directories are left behind");
    shown
}

/// What `.ci/run` looks for is where it looks.
#[test]
fn the_two_blocks_that_set_up_are_there() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let block = |text: &str| -> String {
        let (_, block) = text.split_once("```console\n$ ").unwrap();
        block.split_once("\n```").unwrap().0.to_owned()
    };
    assert!(block(&readme).starts_with("cargo build --release && "));
    let (_, test) = readme.split_once("\n## Test\n").unwrap();
    assert_eq!(block(test), "cargo test --workspace");
}

#[test]
fn every_link_leads_somewhere() {
    let docs = fs::read_dir(root().join("docs")).unwrap().flatten();
    let docs = docs.map(|entry| format!("docs/{}", entry.file_name().display()));
    let docs = docs.filter(|name| Path::new(name).extension() == Some("md".as_ref()));
    for name in docs.chain(["README.md".into(), "CHANGELOG.md".into()]) {
        let name = name.as_str();
        let text = fs::read_to_string(root().join(name)).unwrap();
        assert!(text.is_ascii(), "{name}");
        for (_, link) in text
            .match_indices("](")
            .map(|(at, _)| text[at..].split_at(2))
        {
            let target = link.split(')').next().unwrap();
            let (target, _) = target.split_once('#').unwrap_or((target, ""));
            if !target.is_empty() && !target.contains("://") {
                let path = root().join(name).parent().unwrap().join(target);
                assert!(path.exists(), "{name}: {target}");
            }
        }
        let places = text.split('`').skip(1).step_by(2);
        for place in places.filter(|it| it.starts_with("src/") && !it.contains(' ')) {
            let place = place.trim_end_matches("/*");
            assert!(root().join(place).exists(), "{name}: {place}");
        }
    }
}

#[test]
fn the_picture_shows_what_is_printed() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let commands = ["verify log", "repair log", "verify log"];
    let colored = commands.map(|command| format!("proglog {command} --color always"));
    let printed = shell(&sandbox, &colored);
    let place = sandbox.path().canonicalize().unwrap();
    let mut lines = Vec::new();
    for (command, printed) in commands.iter().zip(printed) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!(
            "\x1b[1;32m$\x1b[0m \x1b[1mproglog {command}\x1b[0m"
        ));
        lines.extend(
            printed
                .replace(place.to_str().unwrap(), "/srv")
                .lines()
                .map(str::to_owned),
        );
    }
    holds("docs/picture.svg", &svg(&lines));
}

/// A terminal of `COLUMNS` columns that shows these lines, as a picture.
fn svg(lines: &[String]) -> String {
    const CELL: (usize, usize) = (8, 18);
    const MARGIN: usize = 16;
    let rows: Vec<Vec<(char, &str)>> = lines.iter().flat_map(|line| rows(line)).collect();
    let width = COLUMNS * CELL.0 + 2 * MARGIN;
    let height = rows.len() * CELL.1 + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\">\n\
         <style>\n\
         text {{ font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; \
         fill: #d8dee9; white-space: pre }}\n\
         .s1 {{ font-weight: bold }}\n\
         .s1-31 {{ font-weight: bold; fill: #ff6b6b }}\n\
         .s1-32 {{ font-weight: bold; fill: #7ddc8a }}\n\
         .s1-33 {{ font-weight: bold; fill: #f2c14e }}\n\
         .s1-36 {{ font-weight: bold; fill: #6cc5e0 }}\n\
         </style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1b2028\"/>\n"
    );
    for (number, row) in rows.iter().enumerate() {
        let y = MARGIN + number * CELL.1 + 13;
        let mut column = 0;
        for run in row.chunk_by(|a, b| a.1 == b.1 && (a.0 == ' ') == (b.0 == ' ')) {
            let text: String = run.iter().map(|(c, _)| *c).collect();
            let x = MARGIN + column * CELL.0;
            column += run.len();
            if text.trim().is_empty() {
                continue;
            }
            // Each word gets the width of its cells, whatever font there is.
            let cells = run.len() * CELL.0;
            let class = match run[0].1 {
                "" | "0" => String::new(),
                code => format!(" class=\"s{}\"", code.replace(';', "-")),
            };
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" textLength=\"{cells}\"{class}>{text}</text>"
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A line as the rows of a terminal: each character with the codes it is shown under.
fn rows(line: &str) -> Vec<Vec<(char, &str)>> {
    let mut cells = Vec::new();
    let mut code = "";
    for (number, part) in line.split('\x1b').enumerate() {
        let text = if number == 0 {
            part
        } else {
            let (new, text) = part.strip_prefix('[').unwrap().split_once('m').unwrap();
            code = new;
            text
        };
        cells.extend(text.chars().map(|c| (c, code)));
    }
    if cells.is_empty() {
        return vec![cells];
    }
    cells.chunks(COLUMNS).map(<[_]>::to_vec).collect()
}
