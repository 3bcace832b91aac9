//! Imports among files run in no circle.

use std::collections::{BTreeMap, BTreeSet};

use super::none;
use super::reader::{module_of, paths, resolve, sources, without_tests};

/// A file can be read after those that it imports: none of them imports it, on any way. (A
/// folder's own file, which its files use, is not counted.)
#[test]
fn no_imports_run_in_a_circle() {
    let sources = sources("src");
    let modules: BTreeSet<Vec<String>> = sources
        .iter()
        .filter_map(|source| module_of(&source.path))
        .collect();
    let mut imports: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    let mut targets = Vec::new();
    for source in &sources {
        let Some(module) = module_of(&source.path) else {
            continue;
        };
        for path in paths(&without_tests(&source.tokens)) {
            targets.extend(resolve(&module, &path.names).map(|target| (module.clone(), target)));
        }
    }
    for (module, target) in &targets {
        let names = (1..=target.len()).rev().map(|length| &target[..length]);
        let file = names.into_iter().find(|it| modules.contains(*it));
        if let Some(file) = file.filter(|file| !module.starts_with(file)) {
            imports.entry(module).or_default().insert(file);
        }
    }
    // What imports nothing that is left can be read next.
    loop {
        let before = imports.len();
        let left: BTreeSet<&[String]> = imports.keys().copied().collect();
        imports.retain(|_, files| files.iter().any(|file| left.contains(file)));
        if imports.len() == before {
            break;
        }
    }
    let circle = imports.keys().map(|module| module.join("::"));
    none(&circle.collect::<Vec<_>>());
}
