//! Where states are looked at: each once, written to real files, by several jobs at
//! once; and what came of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use proglog_testkit::{report, variable};
use tempfile::TempDir;

use crate::crash::recorder::Recording;
use crate::crash::states::{Choice, States};
use crate::crash::tree::Tree;

/// How much is tried without `PROGLOG_CRASH_SCALE`: see `mod.rs`.
const SCALE: f64 = 0.2;

/// Violations of one kind that are printed.
const SHOWN_OF_A_KIND: usize = 3;

/// What is replayed: see `mod.rs`.
pub const REPLAY: &str = "PROGLOG_CRASH_REPLAY";

/// A directory in memory, where there is such a file system.
pub fn temporary() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        TempDir::with_prefix_in("proglog-crash-", memory)
    } else {
        TempDir::with_prefix("proglog-crash-")
    };
    made.unwrap()
}

/// A state to look at.
pub struct State<'s> {
    /// What stands there.
    pub tree: &'s Tree,
    /// Which state of the recording it is.
    pub choice: &'s Choice,
    /// Its digest.
    pub digest: u64,
}

/// What a state must satisfy; the message says what it does not.
pub type Check<'c> = dyn Fn(&Bench<'_>, &State<'_>) -> Result<(), String> + 'c;

/// One job's own place to write states out.
pub struct Bench<'l> {
    /// What all jobs share.
    pub lab: &'l Lab,
    root: PathBuf,
    made: AtomicUsize,
    part: &'static str,
    /// The job's name, and the state within which another crash happens.
    place: RefCell<Vec<String>>,
}

impl Bench<'_> {
    /// Writes a tree out, into a directory of its own.
    pub fn put(&self, tree: &Tree) -> PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let root = self.root.join(number.to_string());
        fs::create_dir(&root).unwrap();
        tree.write(&root);
        root
    }

    /// Clears one away.
    pub fn clear(root: &Path) {
        fs::remove_dir_all(root).unwrap();
    }

    /// Whether this is a crash after a crash.
    pub fn is_nested(&self) -> bool {
        self.place.borrow().len() > 2
    }

    /// Does something within the state that is looked at, under a name that a replay
    /// finds again.
    pub fn within(&self, name: &str, work: impl FnOnce()) {
        let depth = self.place.borrow().len();
        let replayed = self.lab.replay.as_ref();
        if replayed.is_some_and(|replay| replay.get(depth).is_none_or(|step| step != name)) {
            return;
        }
        self.place.borrow_mut().push(name.to_owned());
        work();
        self.place.borrow_mut().pop();
    }

    /// Looks at every state of a recording, from operation `from` on. The later a
    /// state is, the more was promised; so the last ones come first, and a tree that
    /// was found good once needs no second look.
    pub fn explore(
        &self,
        recording: &Recording,
        from: usize,
        classes: &[usize],
        check: &Check<'_>,
    ) {
        let states = States::of(recording);
        let depth = self.place.borrow().len();
        if let Some(replay) = &self.lab.replay {
            if let Some(step) = replay.get(depth) {
                let choice: Choice = step.parse().expect("a state, as a failure prints it");
                self.look(&states, &choice, check);
                if depth + 1 == replay.len() {
                    println!("replayed {}", replay.join(" / "));
                }
            }
            return;
        }
        let mut seen = HashSet::new();
        for at in (from..=recording.ops.len()).rev() {
            if self.lab.stops() {
                return;
            }
            // Between two classes the promise is another one, not a larger one.
            let class = classes.partition_point(|begin| *begin <= at);
            for choice in states.at(at, self.lab.random_subsets()) {
                let tree = states.tree(&choice);
                let digest = tree.digest();
                if seen.insert((digest, class)) {
                    self.look_at(
                        &State {
                            tree: &tree,
                            choice: &choice,
                            digest,
                        },
                        check,
                    );
                }
            }
        }
    }

    /// Tells of a violation before any state is looked at.
    pub fn violation(&self, message: &str) {
        let place = self.place.borrow().join(" / ");
        self.lab.violation(format!("{place}: {message}"));
    }

    fn look(&self, states: &States<'_>, choice: &Choice, check: &Check<'_>) {
        let tree = states.tree(choice);
        let digest = tree.digest();
        self.look_at(
            &State {
                tree: &tree,
                choice,
                digest,
            },
            check,
        );
    }

    fn look_at(&self, state: &State<'_>, check: &Check<'_>) {
        self.lab.count(self.part, self.is_nested(), state.digest);
        self.place.borrow_mut().push(state.choice.to_string());
        let result = catch_unwind(AssertUnwindSafe(|| check(self, state)));
        let place = self.place.borrow().join(" / ");
        self.place.borrow_mut().pop();
        let message = match result {
            Ok(Ok(())) => return,
            Ok(Err(message)) => message,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
                format!("panicked: {}", text.unwrap_or_default())
            }
        };
        self.lab.violation(format!("{place}: {message}"));
    }
}

/// Something to explore, under a name that a replay finds again.
pub struct Job<'j> {
    /// The part of the run that it belongs to.
    pub part: &'static str,
    /// Its name.
    pub name: String,
    /// What it does.
    pub run: Box<dyn FnOnce(&Bench<'_>) + Send + 'j>,
}

/// States looked at in one part.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    distinct: usize,
    nested: usize,
}

/// All jobs' common knowledge.
pub struct Lab {
    /// How much is tried; 1 is a run of a minute or two.
    pub scale: f64,
    replay: Option<Vec<String>>,
    /// What the violation says that is enough, where one is looked for.
    wanted: Option<&'static str>,
    distinct: Mutex<HashSet<u64>>,
    /// What was found good already, by whatever its judge depends on.
    good: Mutex<HashSet<u64>>,
    tallies: Mutex<BTreeMap<&'static str, Tally>>,
    notes: Mutex<HashMap<String, usize>>,
    violations: Mutex<Vec<String>>,
}

impl Lab {
    /// A lab that tries everything, as the environment says.
    pub fn new() -> Self {
        let replay = std::env::var(REPLAY).ok();
        // A state to replay is of any run up to that of scale 1.
        let scale = if replay.is_some() { 1.0 } else { SCALE };
        Self {
            scale: variable("PROGLOG_CRASH_SCALE").unwrap_or(scale),
            replay: replay.map(|text| text.split(" / ").map(str::to_owned).collect()),
            wanted: None,
            distinct: Mutex::default(),
            good: Mutex::default(),
            tallies: Mutex::default(),
            notes: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    /// A lab for a mistake, which is found or not: the violation says `wanted`.
    pub fn for_a_mistake(wanted: &'static str) -> Self {
        Self {
            scale: 1.0,
            replay: None,
            wanted: Some(wanted),
            ..Self::new()
        }
    }

    fn stops(&self) -> bool {
        let violations = self.violations.lock().unwrap();
        let found = |wanted| violations.iter().any(|it: &String| it.contains(wanted));
        self.wanted.is_some_and(found)
    }

    fn random_subsets(&self) -> usize {
        scaled(self.scale, 60)
    }

    /// Whether a state is one of those in which a second crash is tried: one of `of`.
    pub fn samples(&self, digest: u64, of: u64) -> bool {
        if self.replay.is_some() {
            return true;
        }
        let of = scaled(1.0 / self.scale, usize::try_from(of).unwrap_or(1)) as u64;
        digest.is_multiple_of(of.max(1))
    }

    fn count(&self, part: &'static str, nested: bool, digest: u64) {
        let new = self.distinct.lock().unwrap().insert(digest);
        let mut tallies = self.tallies.lock().unwrap();
        let tally = tallies.entry(part).or_default();
        tally.distinct += usize::from(new);
        tally.nested += usize::from(new && nested);
    }

    /// Whether this was judged before, by another job too, and held against these
    /// acknowledged records or more.
    pub fn was_judged(&self, key: DefaultHasher, acknowledged: &[Vec<u8>]) -> bool {
        let mut keys = vec![key.finish()];
        let mut key = key;
        for value in acknowledged {
            value.hash(&mut key);
            keys.push(key.finish());
        }
        let mut good = self.good.lock().unwrap();
        let known = keys.last().is_some_and(|key| good.contains(key));
        good.extend(keys);
        self.replay.is_none() && known
    }

    /// Notes something that is worth counting.
    pub fn note(&self, what: &str) {
        *self
            .notes
            .lock()
            .unwrap()
            .entry(what.to_owned())
            .or_default() += 1;
    }

    fn violation(&self, message: String) {
        let mut violations = self.violations.lock().unwrap();
        let kinds = violations
            .iter()
            .filter(|other| kind(other) == kind(&message));
        if kinds.count() < SHOWN_OF_A_KIND && self.wanted.is_none() {
            println!("VIOLATION {message}");
        }
        violations.push(message);
    }

    /// Runs jobs, as many at once as there are processors.
    pub fn run(&self, jobs: Vec<Job<'_>>) {
        let jobs: Vec<Job<'_>> = jobs
            .into_iter()
            .filter(|job| {
                self.replay
                    .as_ref()
                    .is_none_or(|replay| replay[0] == job.name)
            })
            .collect();
        if self.replay.is_some() && jobs.is_empty() {
            println!("no such scenario");
        }
        let waiting = Mutex::new(jobs.into_iter());
        let directory = temporary();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let number = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let Some(job) = waiting.lock().unwrap().next() else {
                            return;
                        };
                        if self.stops() {
                            return;
                        }
                        let number = number.fetch_add(1, Ordering::Relaxed);
                        let root = directory.path().join(format!("job-{number}"));
                        fs::create_dir(&root).unwrap();
                        let bench = Bench {
                            lab: self,
                            root: root.clone(),
                            made: AtomicUsize::new(0),
                            part: job.part,
                            place: RefCell::new(vec![job.name]),
                        };
                        (job.run)(&bench);
                        Bench::clear(&root);
                    }
                });
            }
        });
    }

    /// The violations that were found.
    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    /// Tells of which kinds they are.
    pub fn tell_violations(&self) {
        let mut kinds: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for violation in self.violations.lock().unwrap().iter() {
            let entry = kinds
                .entry(kind(violation))
                .or_insert((0, violation.clone()));
            entry.0 += 1;
        }
        for (count, first) in kinds.values() {
            println!("{count} times: {first}");
        }
    }

    /// Tells what was tried, and gives the number of distinct states.
    pub fn tell(&self, began: Instant) -> usize {
        let (mut sum, mut nested) = (0, 0);
        for (part, tally) in self.tallies.lock().unwrap().iter() {
            report(&format!(
                "crash states, {part}: {} distinct, {} of them after a second crash",
                tally.distinct, tally.nested
            ));
            sum += tally.distinct;
            nested += tally.nested;
        }
        let notes: BTreeMap<String, usize> =
            self.notes.lock().unwrap().clone().into_iter().collect();
        for (note, count) in notes {
            println!("  {count} times: {note}");
        }
        report(&format!(
            "crash states: {sum} distinct, {nested} of them after a second crash, in {:.0} s",
            began.elapsed().as_secs_f64()
        ));
        sum
    }

    /// Whether one state alone was asked for.
    pub fn is_replay(&self) -> bool {
        self.replay.is_some()
    }
}

/// What a violation says but for its place and its figures.
fn kind(message: &str) -> String {
    let what = message.split_once(": ").map_or(message, |(_, what)| what);
    let figures = |c: char| c.is_ascii_digit() || "[], ".contains(c);
    what.chars().filter(|c| !figures(*c)).take(60).collect()
}

/// `count` times `scale`, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rough figure"
)]
pub fn scaled(scale: f64, count: usize) -> usize {
    ((count as f64 * scale) as usize).max(1)
}
