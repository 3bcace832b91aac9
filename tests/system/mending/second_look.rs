//! What an earlier look told is told again only where nothing changed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use proglog::inspect::finding::FindingId;
use proglog::inspect::listing::Listing;
use proglog::inspect::look::Before;
use proglog::inspect::report::{Options, Report};
use proglog::log::units::Offset;
use proglog_testkit::{Codec, LogBuilder, Sandbox};

use crate::mending::library;

/// Changes a byte of a length and leaves the file as old as it was.
fn damage_secretly(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn a_second_look_looks_at_what_changed() {
    let values = |count| vec![vec![b'v'; 150]; count];
    let builder = LogBuilder::new(Codec::Raw);
    let sandbox = Sandbox::built(&builder.segment(0, values(9)).segment(9, values(4)));
    let log = sandbox.log();
    let report = library::report(&log);
    assert!(report.is_clean());
    let again = |changed: &[u64]| {
        let before = Before {
            report: &report,
            changed: changed.iter().copied().map(Offset).collect::<BTreeSet<_>>(),
        };
        let listing = Listing::of(&log).unwrap();
        let after = Report::once(listing, &Options::default(), Some(&before)).unwrap();
        assert_eq!(after.segments.len(), 2);
        let damages = |id: &&FindingId| **id == FindingId::FrameLengthDamaged;
        let ids: Vec<FindingId> = after.findings.iter().map(|it| it.id).collect();
        (ids.iter().filter(damages).count(), after.records())
    };
    assert_eq!(again(&[]), (0, 13));
    damage_secretly(&log.join("0.store"));
    assert_eq!(again(&[]), (0, 13), "it was looked at");
    assert_eq!(again(&[9]), (0, 13), "it was looked at");
    assert_eq!(again(&[0]), (1, 12), "it was not looked at");
    // A file with another time is another file.
    let file = File::options().write(true).open(log.join("0.store"));
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    file.unwrap().set_modified(long_ago).unwrap();
    assert_eq!(again(&[]), (1, 12), "it was not looked at");
}
