//! What the looking commands say to each fixture, word for word: see
//! `fixtures/<case>/expected/`. `UPDATE_EXPECTED=1` rewrites the transcripts; verify's
//! and repair's are held by those commands' own tests.

use proglog_testkit::{cases, transcript};

/// The name of each transcript, and the command that it is of.
const COMMANDS: &[(&str, &[&str])] = &[
    ("info", &["info", "log"]),
    ("read", &["read", "log", "--json", "--on-error", "skip"]),
    ("dump-index", &["dump-index", "log"]),
    ("dump-store", &["dump-store", "log"]),
    ("manifest", &["manifest", "log"]),
];

#[test]
fn every_fixture_is_told_of_as_it_is_written_down() {
    let mut wrong = Vec::new();
    for case in cases() {
        for (name, arguments) in COMMANDS {
            wrong.extend(transcript(&case, name, arguments).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
