//! Inputs for the targets made of the fixtures, so that a search begins where logs are.

use std::fs;

use proglog_testkit::{Sandbox, cases, frame, frames, pb};

/// Longer ones slow a search down. Units: bytes.
const BYTES_MAX: usize = 3000;

/// Target, name, input.
pub type Seed = (&'static str, String, Vec<u8>);

pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let codec = u8::from(!case.starts_with("raw"));
        let mut directory = vec![0];
        let names = sandbox.names();
        let names = names.iter().filter(|name| sandbox.file(name).is_file());
        for (number, name) in names.enumerate() {
            let bytes = sandbox.read(name);
            let short = &bytes[..bytes.len().min(300)];
            let is_store = name.ends_with("store");
            // Segments whose bases follow each other, whatever they were.
            let place = u8::try_from(number / 2 * 2).unwrap() | u8::from(!is_store);
            directory.extend([&[place][..], &length(short), short].concat());
            if is_store {
                let store = [&[codec][..], short].concat();
                seeds.push(("store_scan", format!("{case}-{name}"), store));
                let twin = name.replace(".store", ".index");
                let index = fs::read(sandbox.file(&twin)).unwrap_or_default();
                let index = &index[..index.len().min(240)];
                let long = &bytes[..bytes.len().min(900)];
                let segment = [&[codec][..], &length(index), index, long].concat();
                seeds.push(("index_scan", format!("{case}-{name}"), segment));
                for (position, payload) in frames(&bytes).into_iter().take(1) {
                    let name = format!("{case}-{name}-{position}");
                    seeds.push(("record_decode", name, payload));
                }
            }
        }
        seeds.push(("directory", case, directory));
    }
    let json = "{\"value\":\"a\\u00e4\"}\n{\"value_base64\":\"AAEC\",\"term\":3,\"type\":1}\n";
    let framed = [frame(b"ab"), frame(b""), frame(&pb(b"value", 7, 1, 2))].concat();
    let inputs: [(&str, u8, &[u8]); 8] = [
        ("lines", 0, b"a\n\nb\r\nc"),
        ("null", 1, b"a\0\0b\nc\0"),
        ("comma", 44, b"a,,b,"),
        ("text", 3, b"aaabaabx"),
        ("whole", 4, b"a\nb"),
        ("frames", 5, &framed),
        ("frames-cut", 5, &framed[..framed.len() - 1]),
        ("json", 6, json.as_bytes()),
    ];
    for (name, kind, input) in inputs {
        for cut in [1, 3] {
            let data = [&[kind, cut], input].concat();
            seeds.push(("input_framing", format!("{name}-{cut}"), data));
        }
    }
    seeds.retain(|(_, _, data)| data.len() <= BYTES_MAX);
    seeds
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap().to_be_bytes()
}
