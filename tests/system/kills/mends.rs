//! Repair, trim, truncate-index and undo, killed at random moments, on damaged logs:
//! no record that could be read is lost, the same command ends what was begun, with the
//! bytes that an uninterrupted run leaves, and undo gives the damaged log back.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use proglog_testkit::{Codec, Ended, Running, choose, memory_directory, whole_records};

use crate::kills::damaged::{self, Files, bases, damaged, sound};
use crate::kills::lots::{Counts, until_killed};

/// No command takes so long.
const LONG: Duration = Duration::from_secs(60);

/// A log of its own directory, in which saved bytes may lie beside it.
struct Place<'a> {
    root: &'a Path,
}

impl<'a> Place<'a> {
    fn new(root: &'a Path, files: &Files) -> Self {
        damaged::write(files, &root.join("log"));
        Self { root }
    }

    fn log(&self) -> std::path::PathBuf {
        self.root.join("log")
    }

    fn run(&self, arguments: &[&str], time: Duration) -> Ended {
        Running::start(arguments, &self.log(), self.root).end_within(time)
    }

    fn files(&self) -> Files {
        damaged::read(&self.log())
    }

    /// Takes back change after change until none is left.
    fn undo_all(&self) {
        for _ in 0..20 {
            let ended = self.run(&["undo"], LONG);
            match ended.status.code() {
                Some(0) => {}
                Some(1) => return,
                code => panic!("undo: {code:?}: {}", ended.said()),
            }
        }
        panic!("undo finds no end");
    }
}

/// A command that mends, and the log that it is for.
fn case(rng: &mut Rng) -> (Vec<String>, Codec, Files) {
    let (codec, files, arguments) = match rng.u8(..8) {
        0 | 1 => {
            let codec = *choose(rng, &[Codec::Raw, Codec::Protobuf]);
            let files = sound(rng, codec);
            let bases = bases(&files);
            let (first, last) = (bases[0], bases[bases.len() - 1]);
            let arguments = match rng.u8(..3) {
                0 => vec!["--before".to_owned(), rng.u64(first..=last).to_string()],
                1 => vec!["--after".to_owned(), rng.u64(first..=last).to_string()],
                _ => vec!["--keep-segments".to_owned(), rng.usize(1..5).to_string()],
            };
            (codec, files, [vec!["trim".to_owned()], arguments].concat())
        }
        2 => {
            let (codec, files) = damaged(rng);
            (codec, files, vec!["truncate-index".to_owned()])
        }
        _ => {
            let (codec, files) = damaged(rng);
            (codec, files, vec!["repair".to_owned()])
        }
    };
    (arguments, codec, files)
}

fn one(seed: u64, counts: &Counts) {
    let mut rng = Rng::with_seed(seed);
    let (arguments, codec, files) = case(&mut rng);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let about = format!("seed {seed}: {arguments:?}");
    let rooms = [(); 3].map(|()| memory_directory());
    let [reference, killed, undone] = [0, 1, 2].map(|n| Place::new(rooms[n].path(), &files));

    // What an uninterrupted run does.
    let whole = reference.run(&arguments, LONG);
    let mended = reference.files();
    let code = whole.status.code();
    assert!(
        matches!(code, Some(0 | 3)),
        "{about}: {code:?}: {}",
        whole.said()
    );

    // Killed, perhaps more than once, then run to its end.
    let before = whole_records(&killed.log(), codec);
    let kept = whole_records(&reference.log(), codec);
    for _ in 0..rng.u8(1..4) {
        let ended = killed.run(&arguments, counts.moment(&mut rng));
        counts.count(&ended);
        let there = whole_records(&killed.log(), codec);
        for record in &kept {
            if before.contains(record) {
                assert!(there.contains(record), "{about}: {} is lost", record.0);
            }
        }
        let verified = killed.run(&["verify", "-q"], LONG).status.code();
        assert!(
            matches!(verified, Some(0 | 3)),
            "{about}: verify {verified:?}"
        );
    }
    let ended = killed.run(&arguments, LONG);
    let again = ended.status.code();
    // A log whose index was full ends a repair with 3, which no file shows afterwards:
    // where the kill came behind the last change, the end is that of a second run.
    assert!(
        again == code || again == reference.run(&arguments, LONG).status.code(),
        "{about}: {code:?} alone, after a kill {again:?}: {}",
        ended.said()
    );
    same(
        &killed.files(),
        &mended,
        &format!("{about}: killed, then again"),
    );
    killed.undo_all();
    same(
        &killed.files(),
        &files,
        &format!("{about}: killed, again, undone"),
    );

    // The undo itself, killed.
    if undone.run(&arguments, LONG).status.code() == code && mended != files {
        let ended = undone.run(&["undo"], counts.moment(&mut rng));
        counts.count(&ended);
        undone.undo_all();
        same(&undone.files(), &files, &format!("{about}: undo, killed"));
    }
    let _ = fs::remove_dir_all(killed.log());
}

fn same(found: &Files, expected: &Files, about: &str) {
    if found == expected {
        return;
    }
    let sizes = |files: &Files| -> Vec<String> {
        let differ = files.iter().filter(|(name, bytes)| {
            expected.get(*name) != Some(bytes) || found.get(*name) != Some(bytes)
        });
        differ
            .map(|(name, bytes)| format!("{name} {}", bytes.len()))
            .collect()
    };
    panic!(
        "{about}: {:?}, expected {:?}",
        sizes(found),
        sizes(expected)
    );
}

#[test]
fn no_killed_mending_loses_a_record_or_its_way() {
    until_killed("repair, undo, trim, truncate-index", 4, one);
}
