//! A scan in parts finds what one walk from the beginning finds.

use proglog::inspect::scan::{scan, scan_in_parts};
use proglog::log::directory::Directory;
use proglog::log::segment::Segment;
use proglog_testkit::{LogBuilder, Sandbox};

use super::memory::alone;

/// So few entries make a part.
const PART: u64 = 5;

fn same(sandbox: &Sandbox, codec: proglog::log::record::Codec, what: &str) {
    let directory = Directory::list(&sandbox.log()).unwrap();
    let segment = Segment::open(&directory, &directory.segments[0]).unwrap();
    let alone = scan(&segment, codec, 1).unwrap();
    for threads in [2, 3, 4, 7] {
        let parts = scan_in_parts(&segment, codec, threads, PART).unwrap();
        assert_eq!(parts, alone, "{what}, {threads} threads");
    }
}

#[test]
fn parts_find_what_one_walk_finds() {
    let _alone = alone();
    let values: Vec<String> = (0..43).map(|i| "x".repeat(i * 7 % 13)).collect();
    for builder in [LogBuilder::raw(), LogBuilder::protobuf()] {
        let codec = if format!("{builder:?}").contains("Raw") {
            "raw"
        } else {
            "protobuf"
        };
        let codec = codec.parse().unwrap();
        let sandbox = Sandbox::built(&builder.segment(0, &values));
        same(&sandbox, codec, "sound");
        for name in ["0.store", "0.index"] {
            let whole = sandbox.read(name);
            for bit in (0..sandbox.bytes(name) * 8).step_by(13) {
                sandbox.flip(name, bit);
                same(&sandbox, codec, &format!("{name} bit {bit}"));
                sandbox.flip(name, bit);
            }
            for length in (0..sandbox.bytes(name)).step_by(5) {
                sandbox.cut(name, length);
                same(&sandbox, codec, &format!("{name} cut to {length}"));
                sandbox.write(name, &whole);
            }
            sandbox.pad_zeros(name, 100);
            same(&sandbox, codec, &format!("{name} padded"));
            sandbox.write(name, &whole);
        }
    }
}
