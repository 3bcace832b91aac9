//! What the Go service would make of each directory of the corpus: derived by hand from
//! its code and from how the directory came about, not from what the model says.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "the helpers of a test"
)]

mod cases;
mod corpus;
mod wounds;

use std::path::{Path, PathBuf};

use proglog::inspect::finding::OffsetRange;
use proglog::inspect::service::{Edition, Held, Outcome, Runs, ServiceConfig, ServiceView};
use proglog::log::units::Offset;

fn log_dir(case: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fixtures.join(case).join("log")
}

fn config(edition: Edition, store: u64, index: u64, initial: u64) -> ServiceConfig {
    ServiceConfig {
        edition,
        max_store_bytes: store,
        max_index_bytes: index,
        initial_offset: Offset(initial),
    }
}

fn ranges(of: &[(u64, u64)]) -> Vec<OffsetRange> {
    let range = |&(first, last): &(u64, u64)| OffsetRange {
        first: Offset(first),
        last: Offset(last),
    };
    of.iter().map(range).collect()
}

fn runs(of: &[(u64, u64)]) -> Runs {
    let runs = ranges(of);
    Runs {
        offsets: runs.iter().map(|range| range.records()).sum(),
        runs,
    }
}

/// A segment's base and what it holds.
type Holds = (u64, &'static [(u64, u64)]);

fn held(of: &[Holds]) -> Vec<Held> {
    let held = |&(base, runs): &Holds| {
        ranges(runs).into_iter().map(move |range| Held {
            base: Offset(base),
            range,
            plain_names: true,
        })
    };
    of.iter().flat_map(held).collect()
}

fn works(offset: u64) -> Outcome {
    let offset = Offset(offset);
    Outcome::Works { offset }
}

fn repeats(offset: u64) -> Outcome {
    let offset = Offset(offset);
    Outcome::Repeats { offset }
}

fn refused(offset: u64) -> Outcome {
    Outcome::Refused {
        offset: Offset(offset),
        error: "EOF",
    }
}

fn outcomes(view: &ServiceView) -> Vec<Outcome> {
    let appends = view.appends.iter();
    appends.map(|append| append.outcome.clone()).collect()
}
