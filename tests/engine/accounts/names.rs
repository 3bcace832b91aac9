//! Directories whose names say that they are another program's, or a fork's.

use proglog_testkit::Codec;

use super::forge::{Files, padded};
use super::layouts::{DRY_RUNS, WRITING};
use super::outcome::{brief, made, read, text};
use super::run::{Case, none};

#[test]
fn a_kafka_partition_is_named_and_left() {
    let mut wrong = Vec::new();
    for bases in [&[0, 12][..], &[0], &[5, 100, 2000]] {
        for timeindex in [false, true] {
            let mut files = Files::new();
            for base in bases {
                files.insert(format!("{base:020}.log"), vec![0; 61]);
                let entries = [5_u32, 400, 9, 800].map(u32::to_be_bytes).concat();
                files.insert(format!("{base:020}.index"), padded(entries, 1024));
                if timeindex {
                    files.insert(format!("{base:020}.timeindex"), vec![0; 120]);
                }
            }
            let case = Case::new(format!("kafka {bases:?}, timeindex {timeindex}"), files);
            for arguments in WRITING.iter().chain(DRY_RUNS) {
                let said = case.untouched(arguments, "a line\n", &mut wrong);
                if ![2, 3].contains(&said.status) {
                    wrong.push(format!("{}: {arguments:?}: {}", case.name, said.all()));
                }
            }
            let verify = case.untouched(&["verify", "log"], "", &mut wrong);
            if ![2, 3].contains(&verify.status) || !verify.all().contains("Kafka") {
                wrong.push(format!("{}: verify: {}", case.name, verify.all()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn names_that_are_padded_throughout_are_a_note() {
    let mut wrong = Vec::new();
    for codec in [Codec::Raw, Codec::Protobuf] {
        for bases in [&[0_u64, 10][..], &[0]] {
            let mut files = Files::new();
            for base in bases {
                let (store, index) = made(codec, *base, &text(10));
                files.insert(format!("{base:020}.store"), store);
                files.insert(format!("{base:020}.index"), index);
            }
            let next = bases.last().unwrap() + 10;
            let case = Case::new(format!("{codec:?} padded names {bases:?}"), files);
            let verify = case.untouched(&["verify", "--json", "log"], "", &mut wrong);
            let notes = verify
                .json()
                .into_iter()
                .filter(|line| line["kind"] == "finding");
            if verify.status != 0 || notes.count() != 1 {
                wrong.push(format!("{}: verify: {}", case.name, verify.all()));
            }
            for arguments in [&["repair", "log"][..], &["repair", "--dry-run", "log"]] {
                let said = case.untouched(arguments, "", &mut wrong);
                if said.status != 0 {
                    wrong.push(format!("{}: {arguments:?}: {}", case.name, said.all()));
                }
            }
            // A roll: the new segment's name is of the same style.
            let arguments = [
                "append",
                "--print-offsets",
                "--max-store-bytes",
                "100",
                "log",
            ];
            let (said, appended, _) = case.run(&arguments, "a line\nanother line\n");
            let offsets = format!("{next}\n{}\n", next + 1);
            let plain = |name: &String| name.len() != "00000000000000000000.store".len();
            let names = appended.names();
            if said.status != 0
                || said.out != offsets
                || names.iter().any(plain)
                || names.len() <= case.files.len()
            {
                wrong.push(format!("{}: {names:?}: {}", case.name, said.all()));
            }
            let (found, read) = read(&appended);
            if found.len() as u64 != next + 2 || read.status != 0 {
                wrong.push(format!("{}: {}: {}", case.name, brief(&found), read.err));
            }
        }
    }
    none(&wrong);
}
