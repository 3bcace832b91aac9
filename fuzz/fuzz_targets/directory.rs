//! The target `directory` of `tests/engine/fuzz/targets`.
#![no_main]

#[path = "../../tests/engine/fuzz/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::run("directory", data));
