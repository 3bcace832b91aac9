//! Reads the tree and its sources for the rules in `main.rs`: files, tokens, and the
//! few shapes in them that a rule asks for. It judges nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One `.rs` file.
pub struct Source {
    /// From the top of the tree, with slashes.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// All tokens, tests included.
    pub tokens: Vec<TokenTree>,
}

/// A path in the code: `a::b::c`. Each branch of an import group is one.
pub struct CodePath {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// Its names from the left; a glob is left out.
    pub names: Vec<String>,
}

/// A method call.
#[derive(Debug, PartialEq)]
pub struct Call {
    /// Where the method's name stands, counted from 1.
    pub line: usize,
    /// The method's name.
    pub name: String,
    /// What stands between the parentheses.
    pub arguments: String,
}

/// Every file of the tree but those that git or cargo made.
pub fn tree() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![top().to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let entry = entry.expect("a name");
            let kind = entry.file_type().expect("a type");
            if kind.is_file() {
                files.push(entry.path());
            } else if kind.is_dir() && entry.file_name() != ".git" && entry.file_name() != "target"
            {
                waiting.push(entry.path());
            }
        }
    }
    files.sort();
    files
}

/// The `.rs` files whose path begins with `below`.
pub fn sources(below: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for path in tree() {
        let inside = path.strip_prefix(top()).expect("below the top");
        if inside.starts_with(below) && inside.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            found.push(Source {
                path: inside.to_str().expect("a path in UTF-8").replace('\\', "/"),
                tokens: parse(&text),
                text,
            });
        }
    }
    assert!(!found.is_empty(), "no source below {below}");
    found
}

pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tokens of `text`: comments are gone, strings are one token each.
pub fn parse(text: &str) -> Vec<TokenTree> {
    let stream: TokenStream = text.parse().expect("Rust");
    stream.into_iter().collect()
}

/// The module that a file under `src/` is, from the crate's root; none for the root.
pub fn module_of(path: &str) -> Option<Vec<String>> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut names: Vec<_> = inside.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|last| last == "mod") {
        names.pop();
    }
    (names != ["lib"]).then_some(names)
}

/// What a path that stands in `module` means, from the crate's root; none for what is
/// not ours. Modules within a file are taken for the file itself.
pub fn resolve(module: &[String], names: &[String]) -> Option<Vec<String>> {
    let (first, rest) = names.split_first()?;
    match first.as_str() {
        "crate" | "proglog" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let (_, above) = module.split_last()?;
            let supers = rest.first().is_some_and(|next| next == "super");
            if supers {
                resolve(above, rest)
            } else {
                Some([above, rest].concat())
            }
        }
        _ => None,
    }
}

/// The tokens without the items under `#[cfg(test)]`.
pub fn without_tests(tokens: &[TokenTree]) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut rest = tokens.iter();
    while let Some(token) = rest.next() {
        let TokenTree::Group(group) = token else {
            kept.push(token.clone());
            continue;
        };
        if group.delimiter() == Delimiter::Bracket && group.stream().to_string() == "cfg (test)" {
            // The item ends with its braces or with a semicolon.
            for token in rest.by_ref() {
                match token {
                    TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                    TokenTree::Punct(punct) if punct.as_char() == ';' => break,
                    _ => {}
                }
            }
            continue;
        }
        let inside = without_tests(&inner(group));
        let mut copy = Group::new(group.delimiter(), inside.into_iter().collect());
        copy.set_span(group.span());
        kept.push(TokenTree::Group(copy));
    }
    kept
}

/// The paths of two names or more, and what a `use` names, however short.
pub fn paths(tokens: &[TokenTree]) -> Vec<CodePath> {
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        match token {
            TokenTree::Ident(_) => {
                let before = i.checked_sub(1).and_then(|i| tokens.get(i));
                let after_use = ident(before).is_some_and(|it| it == "use");
                let (end, branches) = path_at(tokens, i);
                found.extend(
                    branches
                        .into_iter()
                        .filter(|path| after_use || path.names.len() > 1),
                );
                i = end;
            }
            TokenTree::Group(group) => {
                found.extend(paths(&inner(group)));
                i += 1;
            }
            _ => i += 1,
        }
    }
    found
}

/// The path that begins at `start`, all its branches, and where it ends.
fn path_at(tokens: &[TokenTree], start: usize) -> (usize, Vec<CodePath>) {
    let mut names = Vec::new();
    let mut i = start;
    while let Some(name) = ident(tokens.get(i)) {
        names.push(name);
        i += 1;
        if !(is_punct(tokens.get(i), ':') && is_punct(tokens.get(i + 1), ':')) {
            break;
        }
        i += 2;
    }
    let line = tokens
        .get(start)
        .map_or(0, |token| token.span().start().line);
    let mut branches = Vec::new();
    match tokens.get(i) {
        Some(TokenTree::Group(group))
            if group.delimiter() == Delimiter::Brace && is_punct(tokens.get(i - 1), ':') =>
        {
            let inside = inner(group);
            for branch in inside.split(|token| is_punct(Some(token), ',')) {
                if branch.is_empty() {
                    continue;
                }
                for path in path_at(branch, 0).1 {
                    let mut all = names.clone();
                    all.extend(path.names.into_iter().filter(|name| name != "self"));
                    branches.push(CodePath {
                        line: path.line,
                        names: all,
                    });
                }
            }
            i += 1;
        }
        _ => branches.push(CodePath { line, names }),
    }
    (i, branches)
}

/// Every `.name(arguments)`.
pub fn calls(tokens: &[TokenTree]) -> Vec<Call> {
    windows(tokens, 3, &|window| match window {
        [dot, TokenTree::Ident(name), TokenTree::Group(group)]
            if is_punct(Some(dot), '.') && group.delimiter() == Delimiter::Parenthesis =>
        {
            Some(Call {
                line: name.span().start().line,
                name: name.to_string(),
                arguments: group.stream().to_string(),
            })
        }
        _ => None,
    })
}

/// Line and name of every `name!(..)`, whatever its brackets.
pub fn macros(tokens: &[TokenTree]) -> Vec<(usize, String)> {
    windows(tokens, 3, &|window| match window {
        [TokenTree::Ident(name), bang, TokenTree::Group(_)] if is_punct(Some(bang), '!') => {
            Some((name.span().start().line, name.to_string()))
        }
        _ => None,
    })
}

/// Line and names of every attribute: all identifiers between its brackets.
pub fn attributes(tokens: &[TokenTree]) -> Vec<(usize, BTreeSet<String>)> {
    windows(tokens, 2, &|window| match window {
        [mark, TokenTree::Group(group)]
            if group.delimiter() == Delimiter::Bracket
                && (is_punct(Some(mark), '#') || is_punct(Some(mark), '!')) =>
        {
            Some((group.span_open().start().line, idents(&inner(group))))
        }
        _ => None,
    })
}

/// What `look` finds in `size` tokens side by side, on every level.
fn windows<T>(
    tokens: &[TokenTree],
    size: usize,
    look: &dyn Fn(&[TokenTree]) -> Option<T>,
) -> Vec<T> {
    let mut found: Vec<T> = tokens.windows(size).filter_map(look).collect();
    for token in tokens {
        if let TokenTree::Group(group) = token {
            found.extend(windows(&inner(group), size, look));
        }
    }
    found
}

fn idents(tokens: &[TokenTree]) -> BTreeSet<String> {
    windows(tokens, 1, &|window| ident(window.first()))
        .into_iter()
        .collect()
}

fn inner(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token? {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}
