//! Many logs, each from its seed, on all cores, until enough processes were killed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proglog_testkit::{report, variable};

/// Kills in a run without `PROGLOG_KILLS`.
const KILLS: usize = 300;

/// How often a log is tried that `PROGLOG_TEST_SEED` names.
const REPLAYS: usize = 50;

/// What is counted over all logs of a test.
#[derive(Default)]
pub struct Counts {
    /// Processes that a kill ended.
    pub kills: AtomicUsize,
    /// Processes that were to be killed, and some of them ended before.
    pub runs: AtomicUsize,
    /// How long a run that was not killed takes, about. Units: nanoseconds.
    expected: AtomicU64,
}

impl Counts {
    /// When to kill: at any moment of a run, or a little later.
    pub fn moment(&self, rng: &mut fastrand::Rng) -> Duration {
        let expected = self.expected.load(Ordering::Relaxed).max(4_000_000);
        Duration::from_nanos(rng.u64(..expected + expected / 20))
    }

    /// Counts a run and learns how long they take.
    pub fn count(&self, ended: &proglog_testkit::Ended) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let before = self.expected.load(Ordering::Relaxed).max(4_000_000);
        let next = if ended.was_killed() {
            self.kills.fetch_add(1, Ordering::Relaxed);
            before + before / 50
        } else {
            let took = u64::try_from(ended.took.as_nanos()).unwrap();
            (before * 7 + took) / 8
        };
        self.expected.store(next, Ordering::Relaxed);
    }
}

/// Does `one` for seed after seed until a share of a run's kills has come: of 10,
/// `tenths`. Fails with the seeds that failed.
pub fn until_killed(what: &str, tenths: usize, one: impl Fn(u64, &Counts) + Sync) {
    let counts = Counts::default();
    if let Some(seed) = variable("PROGLOG_TEST_SEED") {
        (0..REPLAYS).for_each(|_| one(seed, &counts));
        return;
    }
    let began = Instant::now();
    let wanted = variable("PROGLOG_KILLS").unwrap_or(KILLS);
    let wanted = wanted * tenths / 10;
    let first = fastrand::u64(..1 << 40);
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while counts.kills.load(Ordering::Relaxed) < wanted {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if catch_unwind(AssertUnwindSafe(|| one(seed, &counts))).is_err() {
                        let mut failed = failed.lock().unwrap();
                        failed.push(seed);
                        if failed.len() > 20 {
                            return;
                        }
                    }
                }
            });
        }
    });
    let logs = next.load(Ordering::Relaxed) - first;
    let failed = failed.into_inner().unwrap();
    report(&format!(
        "kills: {what}: {} kill -9 in {} runs on {logs} logs, seeds from {first}, {} failed, {} s",
        counts.kills.load(Ordering::Relaxed),
        counts.runs.load(Ordering::Relaxed),
        failed.len(),
        began.elapsed().as_secs(),
    ));
    assert!(
        failed.is_empty(),
        "PROGLOG_TEST_SEED={} makes a log that failed; all: {failed:?}",
        failed[0]
    );
}
