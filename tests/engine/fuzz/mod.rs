//! The corpus of the fuzz targets (`fuzz/corpus/<target>/`), each input through its
//! target, and the inputs that `seeds` makes of the fixtures. `fuzz/run` looks for more.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "all of it is test: it changes its own sandbox and fails by panicking"
)]

mod seeds;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use proglog_testkit::report;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target)
}

#[test]
fn the_corpus_passes() {
    let _no_forks = crate::FORKS.read();
    let mut counts = Vec::new();
    for (name, target) in targets::TARGETS {
        let mut inputs: Vec<PathBuf> = fs::read_dir(corpus(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        for input in &inputs {
            let data = fs::read(input).unwrap();
            let passed = std::panic::catch_unwind(|| target(&data));
            assert!(passed.is_ok(), "{}", input.display());
        }
        assert!(inputs.len() >= 10, "{name}: {} inputs", inputs.len());
        counts.push(format!("{name} {}", inputs.len()));
    }
    report(&format!(
        "fuzz: inputs of the corpus replayed: {}",
        counts.join(", ")
    ));
}

/// The seeds pass too. `UPDATE_CORPUS=1` writes them among the corpus.
#[test]
fn the_fixtures_pass() {
    let _no_forks = crate::FORKS.read();
    let seeds = seeds::all();
    for (target, name, data) in &seeds {
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            fs::create_dir_all(corpus(target)).unwrap();
            fs::write(corpus(target).join(format!("seed-{name}")), data).unwrap();
        }
        let passed = std::panic::catch_unwind(|| targets::run(target, data));
        assert!(passed.is_ok(), "{target}: {name}");
    }
    report(&format!(
        "fuzz: {} inputs made of the fixtures",
        seeds.len()
    ));
}
