use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::log::window::ReadFile;
use proglog::scan::account::{Account, Input};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let dir = std::path::Path::new(&a[1]);
    let codec = if a[2] == "raw" {
        Codec::Raw
    } else {
        Codec::Protobuf
    };
    let mut bases: Vec<u64> = std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|e| {
            e.unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .strip_suffix(".store")
                .map(|s| s.parse().unwrap())
        })
        .collect();
    bases.sort();
    for (i, b) in bases.iter().enumerate() {
        let store = ReadFile::open(&dir.join(format!("{b}.store"))).unwrap();
        let index = ReadFile::open(&dir.join(format!("{b}.index"))).ok();
        let t = std::time::Instant::now();
        let acc = Account::of(&Input {
            store: &store,
            index: index.as_ref(),
            base: Offset(*b),
            codec,
            next_base: bases.get(i + 1).map(|b| Offset(*b)),
            sound_entries: 0,
            trust_tail: false,
        })
        .unwrap();
        println!("segment {b}: {:#?} {:?}", acc, t.elapsed());
    }
}
