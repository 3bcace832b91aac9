//! What is done with arbitrary bytes, and what must hold of it whatever they are. Each
//! target is a function of a slice, which panics if something does not hold: cargo-fuzz
//! (`fuzz/`) and the replay of the corpus (`tests/engine/fuzz`) call the same ones.

mod append;
mod directory;
mod index_scan;
mod input_framing;
mod record_decode;
mod scratch;
mod store_scan;

/// A target's name, as in `fuzz/`, and the target.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("directory", directory::run),
    ("index_scan", index_scan::run),
    ("input_framing", input_framing::run),
    ("record_decode", record_decode::run),
    ("store_scan", store_scan::run),
];

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, target) = target.expect("a target of that name");
    target(data);
}
