//! The service that writes while a command runs again and again, and the user whose
//! command it is.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use proglog_testkit::{Sandbox, Service, proglog, report, variable};

/// Seconds for each command, over all kinds of logs, where nothing else is said.
const SECONDS: f64 = 3.0;

/// A service and its load.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub name: &'static str,
    store_bytes_max: u64,
    index_bytes_max: usize,
    /// Records that are there before the first command.
    before: u64,
    /// Records of a burst, and the pause behind it.
    burst: u64,
    pause: Duration,
    /// The oldest segments are removed until so many are left.
    keep: usize,
    /// Whether it is stopped and started again now and then.
    restarts: bool,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [
        Self {
            name: "default limits",
            store_bytes_max: 1024,
            index_bytes_max: 1024,
            before: 500,
            burst: 1,
            pause: Duration::from_millis(1),
            keep: 100,
            restarts: false,
        },
        Self {
            name: "small limits",
            store_bytes_max: 16 * 1024,
            index_bytes_max: 12 * 200,
            before: 2000,
            burst: 300,
            pause: Duration::from_millis(15),
            keep: 60,
            restarts: false,
        },
        Self {
            name: "large index",
            store_bytes_max: 1 << 30,
            index_bytes_max: 12 * 100_000,
            before: 30_000,
            burst: 2,
            pause: Duration::from_millis(1),
            keep: usize::MAX,
            restarts: false,
        },
        Self {
            name: "restarts",
            store_bytes_max: 8 * 1024,
            index_bytes_max: 1000,
            before: 500,
            burst: 20,
            pause: Duration::from_millis(2),
            keep: 40,
            restarts: true,
        },
    ];
}

/// Who runs the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// The owner of the log.
    Owner,
    /// Somebody who may read it and no more.
    Other,
}

/// The value of each record: of all lengths, some larger than the service's buffer.
pub(crate) fn value(offset: u64) -> String {
    let bytes = match offset {
        _ if offset % 997 == 996 => 9000,
        _ if offset % 101 == 100 => 700,
        _ => usize::try_from(offset % 60).unwrap(),
    };
    format!("record {offset} {}", "x".repeat(bytes))
}

/// The binary, where another user can run it.
pub(crate) fn program(log: &Path) -> PathBuf {
    log.parent().unwrap().join("proglog")
}

/// Puts the binary there: as a link, for a copy that is being written cannot be run.
fn install(program: &Path) {
    let built = proglog();
    if std::fs::hard_link(built.get_program(), program).is_err() {
        std::fs::copy(built.get_program(), program).unwrap();
    }
}

/// What is run beside the service, and under which name.
pub(crate) struct Beside<F> {
    name: &'static str,
    command: F,
}

/// A command beside the service; it is given the log and the next offset.
pub(crate) fn beside<F: Fn(&Path, u64) -> Command>(name: &'static str, command: F) -> Beside<F> {
    Beside { name, command }
}

impl<F: Fn(&Path, u64) -> Command> Beside<F> {
    /// Runs the command again and again beside each kind of service, as each user, and
    /// has each run checked.
    pub(crate) fn each(self, check: impl Fn(&Output, User)) {
        let seconds = variable("PROGLOG_LIVE_SECONDS").unwrap_or(SECONDS);
        let is_root = rustix::process::geteuid().is_root();
        let users: &[User] = if is_root {
            &[User::Owner, User::Other]
        } else {
            report("live: SKIPPED as another user: only root can become one");
            &[User::Owner]
        };
        let parts = u32::try_from(users.len() * Kind::ALL.len()).unwrap();
        let time = Duration::from_secs_f64(seconds) / parts;
        let mut runs = 0;
        for kind in Kind::ALL {
            for user in users {
                runs += self.run(kind, *user, time, &check);
            }
        }
        report(&format!(
            "live: {}: {runs} runs beside a service",
            self.name
        ));
    }

    fn run(&self, kind: Kind, user: User, time: Duration, check: &impl Fn(&Output, User)) -> u64 {
        let sandbox = Sandbox::empty();
        let readable = PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(sandbox.path(), readable).unwrap();
        install(&program(&sandbox.log()));
        let mut service = start(&sandbox.log(), kind);
        append(&mut service, kind.before, kind);
        let stop = AtomicBool::new(false);
        let next = AtomicU64::new(service.next_offset());
        let mut runs = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| write(service, kind, &sandbox.log(), &stop, &next));
            let _ended = Ended(&stop);
            let end = Instant::now() + time;
            while runs == 0 || Instant::now() < end {
                let mut command = (self.command)(&sandbox.log(), next.load(Ordering::Relaxed));
                command.stdin(Stdio::null()).current_dir("/");
                if user == User::Other {
                    command.uid(65534).gid(65534);
                }
                let output = command.output().unwrap();
                let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    check(&output, user);
                }));
                if let Err(panic) = checked {
                    report(&format!(
                        "live: {}: run {runs} beside {} as {user:?}",
                        self.name, kind.name
                    ));
                    std::panic::resume_unwind(panic);
                }
                runs += 1;
            }
        });
        runs
    }
}

/// Stops the service, whatever comes of the test.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn start(log: &Path, kind: Kind) -> Service {
    Service::start(log, kind.store_bytes_max, kind.index_bytes_max)
}

fn append(service: &mut Service, records: u64, kind: Kind) {
    for _ in 0..records {
        service.append(value(service.next_offset()).as_bytes());
        service.truncate(kind.keep);
    }
}

/// Writes until it is told to stop; reads of some segment flush its buffer.
fn write(mut service: Service, kind: Kind, log: &Path, stop: &AtomicBool, next: &AtomicU64) {
    let mut rng = Rng::with_seed(7);
    let mut bursts = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        append(&mut service, kind.burst, kind);
        next.store(service.next_offset(), Ordering::Relaxed);
        bursts += 1;
        if bursts % 64 == 63 {
            // Faster than anybody waits for.
            append(&mut service, 500, kind);
        }
        if rng.u8(..16) == 0 {
            let segments = service.segments();
            let at = rng.usize(..segments.len());
            segments[at].flush();
        }
        if kind.restarts && rng.u8(..32) == 0 {
            service.stop();
            std::thread::sleep(kind.pause);
            service = start(log, kind);
        }
        std::thread::sleep(kind.pause);
    }
    service.stop();
}
