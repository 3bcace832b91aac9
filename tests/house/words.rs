//! Words that the text of the product does not use: comments and strings of `src`,
//! README.md, CHANGELOG.md and `docs/`. Code between backticks and paths are names, not
//! text.

use std::fs;

use super::reader::{sources, top};

/// Words and phrases, and the standard term for each.
const BANNED: &[(&[&str], &str)] = &[
    (&["mend", "mends", "mended", "mending"], "repair"),
    (&["whoever"], "name the process or person"),
    (
        &["somebody", "nobody"],
        "another process, no process, a user",
    ),
    (&["talk", "talks"], "messages"),
    (
        &[
            "a look at",
            "look at",
            "looks at",
            "looked at",
            "looking at",
            "look into",
        ],
        "inspect, scan, check",
    ),
    (
        &["goes on", "go on", "went on", "going on"],
        "continue, proceed",
    ),
    (
        &[
            "take back",
            "takes back",
            "took back",
            "taken back",
            "take it back",
        ],
        "undo, revert",
    ),
    (&["given again"], "reused"),
    (&["the answer is no"], "negative result"),
    (&["could not do it"], "failure"),
    (
        &["comes about", "comes by", "came by"],
        "is caused by, meets",
    ),
    (
        &[
            "printings",
            "first printing",
            "later printing",
            "printing of the book",
        ],
        "edition",
    ),
    (
        &["held against", "hold against", "holds against"],
        "compare with",
    ),
    (&["unclean"], "needs recovery"),
    (&["dead bytes"], "unreferenced bytes"),
    (
        &[
            "whole record",
            "whole records",
            "whole frame",
            "whole frames",
        ],
        "intact",
    ),
    (&["sound", "unsound"], "valid, invalid"),
    (&["stands", "stood"], "is, was"),
    (&["there is none", "that is none"], "it does not exist"),
    (&["anew"], "again"),
    (&["cut short"], "interrupted, truncated"),
    (&["for ever"], "forever"),
    (
        &[
            "is no log",
            "is no directory",
            "is no record",
            "is no regular file",
        ],
        "is not a",
    ),
    (
        &["say which", "says which", "who is wrong"],
        "name the choice",
    ),
    (
        &[
            "is whole",
            "are whole",
            "was whole",
            "were whole",
            "it whole",
            "hold whole",
            "holds whole",
            "arrives whole",
            "appears whole",
            "or whole",
            "not whole",
            "whole ones",
            "whole entries",
            "whole entry",
            "whole line",
            "whole manifest",
            "whole log",
            "whole store",
            "whole segment",
            "whole segments",
        ],
        "intact, complete, all of it",
    ),
    (
        &[
            "take away",
            "takes away",
            "taken away",
            "took away",
            "put back",
            "puts back",
        ],
        "remove, restore",
    ),
    (&["anybody", "anyone"], "another process, any user"),
    (
        &[
            "says whether",
            "says how many",
            "says where and",
            "all is said",
            "to say",
            "says no",
        ],
        "returns, prints, decides",
    ),
    (
        &[
            "behind the",
            "behind a",
            "behind it",
            "behind them",
            "behind padding",
        ],
        "after",
    ),
];

/// Where a banned word is the right one: the file, the word, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("src/lib.rs", "go on", "the language Go, on disk"),
    (
        "src/inspect/service/read.rs",
        "go on",
        "the language Go, on Linux",
    ),
];

/// The text of a Rust file: its comments and strings, a line each, with their line numbers.
fn rust_text(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut chars = source.chars().peekable();
    let mut line = 1;
    while let Some(c) = chars.next() {
        let begin = line;
        let mut text = String::new();
        match c {
            '/' if chars.peek() == Some(&'/') => {
                while chars.next_if(|c| ['/', '!'].contains(c)).is_some() {}
                while let Some(c) = chars.next_if(|&c| c != '\n') {
                    text.push(c);
                }
            }
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => match chars.next() {
                            Some('\n') => line += 1,
                            Some('n') => text.push(' '),
                            _ => {}
                        },
                        c => {
                            line += usize::from(c == '\n');
                            text.push(c);
                        }
                    }
                }
            }
            // A character, or the beginning of a lifetime.
            '\'' if chars.next_if_eq(&'\\').is_some() => {
                chars.next();
            }
            '\'' if chars.next_if_eq(&'"').is_some() => {}
            '\n' => line += 1,
            _ => {}
        }
        if !text.is_empty() {
            found.push((begin, text));
        }
    }
    found
}

/// The words of a text in small letters, one space between them, without code and paths.
/// A mark between two parts of a sentence separates their words.
fn words(text: &str) -> String {
    let outside = text.split('`').step_by(2);
    let mut words = String::from(" ");
    for word in outside.flat_map(str::split_whitespace) {
        let is_name = word.contains(['/', '_', '<']) || word.contains("::");
        let ends_part = word.ends_with([',', '.', ';', ':', ')']);
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if !is_name && !word.is_empty() {
            words.push_str(&word.to_lowercase());
            words.push_str(if ends_part { " . " } else { " " });
        }
    }
    words
}

/// The banned words in a text, with what to write instead.
fn banned(text: &str) -> Vec<(&'static str, &'static str)> {
    let words = words(text);
    let rows = BANNED.iter();
    rows.flat_map(|(phrases, instead)| phrases.iter().map(|phrase| (*phrase, *instead)))
        .filter(|(phrase, _)| words.contains(&format!(" {phrase} ")))
        .collect()
}

/// All texts: a file, a line, and the paragraph that begins there.
fn paragraphs() -> Vec<(String, usize, String)> {
    let mut found: Vec<(String, usize, String)> = Vec::new();
    for source in sources("src") {
        let mut last = 0;
        for (line, text) in rust_text(&source.text) {
            match found.last_mut() {
                // The next line of the same comment.
                Some((path, _, before)) if *path == source.path && line == last + 1 => {
                    before.push(' ');
                    before.push_str(&text);
                }
                _ => found.push((source.path.clone(), line, text)),
            }
            last = line;
        }
    }
    let mut pages = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for entry in fs::read_dir(top().join("docs")).expect("a directory") {
        let name = entry.expect("a name").file_name();
        pages.push(format!("docs/{}", name.to_string_lossy()));
    }
    for page in pages
        .into_iter()
        .filter(|page| page.rsplit('.').next() == Some("md"))
    {
        let text = fs::read_to_string(top().join(&page)).expect("text");
        let mut line = 1;
        for paragraph in text.split("\n\n") {
            found.push((page.clone(), line, paragraph.to_owned()));
            line += paragraph.matches('\n').count() + 2;
        }
    }
    found
}

#[test]
fn the_text_is_in_standard_terms() {
    let paragraphs = paragraphs();
    assert!(paragraphs.len() > 5000, "{}", paragraphs.len());
    let mut used = vec![false; EXCEPTIONS.len()];
    let mut wrong = Vec::new();
    for (path, line, text) in &paragraphs {
        for (phrase, instead) in banned(text) {
            let is_this = |(file, word, _): &(&str, &str, &str)| file == path && *word == phrase;
            match EXCEPTIONS.iter().position(is_this) {
                Some(number) => used[number] = true,
                None => wrong.push(format!("{path}:{line}: \"{phrase}\": {instead}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused = EXCEPTIONS.iter().zip(used).find(|(_, used)| !used);
    assert!(unused.is_none(), "an exception for nothing: {unused:?}");
}

#[test]
fn banned_words_are_found() {
    let source = "//! It goes\n//! on, `mend` or `a look at` aside.\nfn mend() -> &'static str {\n    \
                  let quote = '\"';\n    \"is no \\\n     log\\n\"\n}\n";
    let text = rust_text(source);
    let joined: Vec<&str> = text.iter().map(|(_, text)| text.as_str()).collect();
    let found: Vec<&str> = banned(&joined.join(" ")).iter().map(|it| it.0).collect();
    assert_eq!(found, ["goes on", "is no log"], "{text:?}");
    assert_eq!(text.last().map(|it| it.0), Some(5));
    assert!(banned("src/mend/plan.rs, `whoever`, a soundtrack, is no, record").is_empty());
}
