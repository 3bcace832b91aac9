//! Damaged logs for commands that mend: those of `fixtures/`, and random ones of many
//! segments with what a service's crash, a power cut or an accident leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use proglog_testkit::{Codec, LogBuilder, Sandbox, cases, choose, frame, pb};

/// The files of a log.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A log of many segments as it was before any damage.
pub fn sound(rng: &mut Rng, codec: Codec) -> Files {
    let mut builder = LogBuilder::new(codec);
    let mut base = *choose(rng, &[0, 1, 1000]);
    for _ in 0..rng.usize(2..24) {
        let count = rng.u64(1..30);
        let values = (base..base + count).map(|offset| {
            let mut value = format!("{offset}:").into_bytes();
            value.resize(value.len() + rng.usize(..60), b'x');
            value
        });
        let values: Vec<Vec<u8>> = values.collect();
        builder = builder.segment(base, values);
        base += count;
    }
    builder.files()
}

/// Codec and files of a log that wants mending.
pub fn damaged(rng: &mut Rng) -> (Codec, Files) {
    if rng.u8(..3) == 0 {
        let name = choose(rng, &cases()).clone();
        let sandbox = Sandbox::of(&name);
        let codec = if name.starts_with("raw") {
            Codec::Raw
        } else {
            Codec::Protobuf
        };
        let files = sandbox.names().into_iter();
        let files = files.filter(|name| sandbox.file(name).is_file());
        return (
            codec,
            files
                .map(|name| (name.clone(), sandbox.read(&name)))
                .collect(),
        );
    }
    let codec = *choose(rng, &[Codec::Raw, Codec::Protobuf]);
    let mut files = sound(rng, codec);
    let bases = bases(&files);
    let (last, sealed) = bases.split_last().unwrap();
    // As a killed service leaves it: every index padded.
    if rng.bool() {
        for base in &bases {
            let index = files.get_mut(&format!("{base}.index")).unwrap();
            index.resize(index.len() + 12 * rng.usize(1..40), 0);
        }
    }
    // Frames that no entry names, torn at the end or not.
    for _ in 0..rng.u64(..4) {
        let next = last + files[&format!("{last}.index")].len() as u64 / 12;
        let store = files.get_mut(&format!("{last}.store")).unwrap();
        store.extend(match codec {
            Codec::Raw => frame(b"nobody was told"),
            Codec::Protobuf => frame(&pb(b"nobody was told", next, 0, 0)),
        });
        store.truncate(store.len() - rng.usize(..6));
    }
    for base in sealed {
        let (index, store) = (format!("{base}.index"), format!("{base}.store"));
        match rng.u8(..12) {
            0 => drop(files.remove(&index)),
            1 => {
                let index = files.get_mut(&index).unwrap();
                index.truncate(index.len() - rng.usize(1..=12.min(index.len())));
            }
            2 => {
                let index = files.get_mut(&index).unwrap();
                let slot = 12 * rng.usize(..index.len() / 12);
                index[slot..slot + 12].fill(0);
            }
            3 => {
                let store = files.get_mut(&store).unwrap();
                store.truncate(store.len() - rng.usize(1..8));
            }
            4 => files.get_mut(&store).unwrap().extend([0; 4096]),
            _ => {}
        }
    }
    (codec, files)
}

/// The bases of the stores, in order.
pub fn bases(files: &Files) -> Vec<u64> {
    let stems = files.keys().filter_map(|name| name.strip_suffix(".store"));
    let mut bases: Vec<u64> = stems.filter_map(|stem| stem.parse().ok()).collect();
    bases.sort_unstable();
    bases
}

/// Writes the files into a directory, which is made.
pub fn write(files: &Files, directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for (name, bytes) in files {
        fs::write(directory.join(name), bytes).unwrap();
    }
}

/// The files of a directory as they are now.
pub fn read(directory: &Path) -> Files {
    let names = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let files = names.filter(|entry| entry.path().is_file());
    files
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}
