//! Behind a Go service's records: what append leaves is a log that the service opens
//! and goes on with, by the model of its rules.

use proglog::inspect::finding::OffsetRange;
use proglog::inspect::service::{DirFacts, Edition, Held, Outcome, ServiceConfig, model};
use proglog::log::dir::Dir;
use proglog::log::units::Offset;
use proglog_testkit::{LogBuilder, Sandbox};

#[test]
fn a_service_goes_on_behind_two_hundred_records_of_ours() {
    // Five records as the service writes them; then ours, within its limits.
    let values = ["zero", "one", "two", "three", "four"];
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, values));
    let lines: String = (0..200).map(|n| format!("record {n}\n")).collect();
    let limits = ["--max-store-bytes=1024", "--max-index-bytes=1020"];
    let append = sandbox
        .proglog()
        .args(["append", "log"])
        .args(limits)
        .write_stdin(lines)
        .output();
    assert!(append.unwrap().status.success());
    for edition in [Edition::First, Edition::Later] {
        let config = ServiceConfig {
            edition,
            max_store_bytes: 1024,
            max_index_bytes: 1020,
            initial_offset: Offset(0),
        };
        let view = model(
            DirFacts::of(&Dir::open(&sandbox.log()).unwrap()),
            &config,
            &held(&sandbox),
        )
        .unwrap();
        assert!(view.failure.is_none(), "{:?}", view.failure);
        assert_eq!(
            (view.lowest, view.highest),
            (Some(Offset(0)), Some(Offset(204)))
        );
        assert!(
            view.hidden.is_empty() && view.doubles.is_empty(),
            "{view:?}"
        );
        let next = Outcome::Works {
            offset: Offset(205),
        };
        assert_eq!(
            view.next_append().map(|append| &append.outcome),
            Some(&next)
        );
    }
}

/// What the log holds, by the names of its segments: all of them are full but the last.
fn held(sandbox: &Sandbox) -> Vec<Held> {
    let mut bases: Vec<u64> = sandbox
        .names()
        .iter()
        .filter_map(|name| name.strip_suffix(".store")?.parse().ok())
        .collect();
    bases.sort_unstable();
    let ends = bases.iter().copied().skip(1).chain([205]);
    let held = |(base, end): (u64, u64)| {
        (base < end).then(|| Held {
            base: Offset(base),
            range: OffsetRange {
                first: Offset(base),
                last: Offset(end - 1),
            },
            plain_names: true,
        })
    };
    bases.iter().copied().zip(ends).filter_map(held).collect()
}
