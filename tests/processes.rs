//! Other processes, real ones: what the kernel and `/proc` tell of them, and that
//! looking disturbs nobody. The other processes are this test binary over again, in a
//! role that an environment variable names; they end with their standard input.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of it is test, the helpers too"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use proglog::log::lease::{Grant, Pending, Probe, WriteLease, install_handler, probe_writer};
use proglog::log::processes::{Process, Use, Users, in_use, users_of};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tempfile::TempDir;

const ROLE: &str = "PROGLOG_TEST_ROLE";
const FILE: &str = "PROGLOG_TEST_FILE";
/// Long enough for a loaded machine, and short of the kernel's 45 seconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// One test at a time: a child that is being started has for an instant a copy of
/// every descriptor that any test has open, and thereby counts as a user.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file of 4096 bytes on each of the machine's usual file systems.
struct Place {
    _directory: TempDir,
    path: PathBuf,
}

impl Place {
    fn all() -> Vec<Self> {
        [std::env::temp_dir(), PathBuf::from("/dev/shm")]
            .iter()
            .filter(|parent| parent.is_dir())
            .map(|parent| Self::under(parent))
            .filter(Self::has_leases)
            .collect()
    }

    fn under(parent: &Path) -> Self {
        let directory = tempfile::tempdir_in(parent).unwrap();
        let path = directory.path().join("0.index");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(&path, flags, Mode::from(0o644)).unwrap());
        file.write_all(&[7; 4096]).unwrap();
        Self {
            _directory: directory,
            path,
        }
    }

    fn has_leases(&self) -> bool {
        match probe_writer(&File::open(&self.path).unwrap()) {
            Probe::Unknown(error) => {
                eprintln!("NOT TESTED at {}: {error}", self.path.display());
                false
            }
            Probe::Free | Probe::FreeButForMappings | Probe::Writer => true,
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn probe(&self) -> Probe {
        probe_writer(&File::open(&self.path).unwrap())
    }

    /// Whether the kernel sees what is done in this role: nobody's mapping without a
    /// descriptor, on overlayfs.
    fn shows(&self, role: &str) -> bool {
        !(role.contains("mapped") && matches!(self.probe(), Probe::FreeButForMappings))
    }

    fn is_free(&self) -> bool {
        matches!(self.probe(), Probe::Free | Probe::FreeButForMappings)
    }

    fn lease(&self) -> WriteLease {
        match WriteLease::take(&File::open(&self.path).unwrap()) {
            Grant::Held(lease) => lease,
            refused => panic!("{refused:?}"),
        }
    }

    fn users(&self) -> Users {
        users_of(&self.files())
    }
}

fn open(path: &Path, flags: OFlags) -> Result<File, Errno> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map(File::from)
}

/// Another process; dropping it ends it.
struct Other {
    child: Child,
    words: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Other {
    /// Starts one and waits until it has done what its role is.
    fn start(role: &str, file: &Path) -> Self {
        let other = Self::spawn(&mut Self::command(role, file)).unwrap();
        other.expect("ready");
        other
    }

    fn command(role: &str, file: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "role", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(FILE, file);
        command
    }

    fn spawn(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            // The test harness writes lines of its own.
            for line in lines.map_while(Result::ok) {
                if let Some((_, answer)) = line.split_once("answer: ") {
                    let _ = sender.send(answer.to_owned());
                }
            }
        });
        Ok(Self {
            words: child.stdin.take(),
            child,
            answers,
        })
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.words.as_mut().unwrap(), "{word}").unwrap();
    }

    fn answer(&self) -> String {
        self.answers.recv_timeout(DEADLINE).unwrap()
    }

    fn expect(&self, answer: &str) {
        assert_eq!(self.answer(), answer);
    }

    fn has_said_nothing(&self) -> bool {
        self.answers.try_recv().is_err()
    }

    /// Waits for its end, and says whether it succeeded.
    fn end(mut self) -> bool {
        drop(self.words.take());
        let answer = self.answers.recv_timeout(DEADLINE);
        assert_eq!(answer, Err(RecvTimeoutError::Disconnected));
        self.child.wait().unwrap().success()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(answer: &str) {
    println!("answer: {answer}");
}

/// Waits for a word from the test; at its end there is none.
fn hear() -> Option<String> {
    std::io::stdin().lines().next().map(Result::unwrap)
}

/// What the other processes do. In the test run itself there is no role.
#[test]
fn role() {
    let (Some(role), Some(file)) = (std::env::var_os(ROLE), std::env::var_os(FILE)) else {
        return;
    };
    let file = PathBuf::from(file);
    match role.to_str().unwrap() {
        "reader" => hold(&open(&file, OFlags::RDONLY).unwrap()),
        "writer" => hold(&open(&file, OFlags::RDWR).unwrap()),
        "only writer" => hold(&open(&file, OFlags::WRONLY).unwrap()),
        "path" => hold(&open(&file, OFlags::PATH).unwrap()),
        "mapped reader" => hold(&map(&file, OFlags::RDONLY)),
        "mapped writer" => hold(&map_mut(&file)),
        "writer mapped for reading" => hold(&map(&file, OFlags::RDWR)),
        "comes to read" => come(&file, OFlags::RDONLY),
        "comes to write" => come(&file, OFlags::RDWR),
        "leaseholder" => {
            let Grant::Held(lease) = WriteLease::take(&File::open(&file).unwrap()) else {
                panic!("no lease");
            };
            say("ready");
            while hear().is_some() {
                say(&format!("{:?}", lease.pending()));
            }
        }
        "prober" => {
            say("ready");
            let heard = std::thread::spawn(hear);
            while !heard.is_finished() {
                let probe = probe_writer(&File::open(&file).unwrap());
                assert!(!matches!(probe, Probe::Unknown(_)), "{probe:?}");
            }
        }
        "stranger" => {
            say(&format!("{:?}", probe_writer(&File::open(&file).unwrap())));
            let file = File::open(&file).unwrap();
            say(&format!("{:?}", WriteLease::take(&file)));
            drop(file);
            let files = [PathBuf::from(std::env::var_os(FILE).unwrap())];
            say(&format!("{:?}", in_use(&files)));
        }
        role => panic!("{role}"),
    }
}

fn hold<T>(_held: &T) {
    say("ready");
    hear();
}

fn come(file: &Path, flags: OFlags) {
    say("ready");
    hear();
    let _file = open(file, flags).unwrap();
    say("opened");
    hear();
}

/// A mapping of the file, whose descriptor is closed.
#[expect(unsafe_code, reason = "what is tested is how others map")]
fn map(file: &Path, flags: OFlags) -> memmap2::Mmap {
    let opened = open(file, flags).unwrap();
    // SAFETY: nobody changes the file's size, and nobody looks at the bytes.
    let mapped = unsafe { memmap2::Mmap::map(&opened).unwrap() };
    drop(opened);
    assert!(!has_descriptor(file));
    mapped
}

/// Likewise, and it can be written to.
#[expect(unsafe_code, reason = "what is tested is how others map")]
fn map_mut(file: &Path) -> memmap2::MmapMut {
    let opened = open(file, OFlags::RDWR).unwrap();
    // SAFETY: as above.
    let mapped = unsafe { memmap2::MmapMut::map_mut(&opened).unwrap() };
    drop(opened);
    assert!(!has_descriptor(file));
    mapped
}

fn has_descriptor(file: &Path) -> bool {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .any(|fd| std::fs::read_link(fd.unwrap().path()).is_ok_and(|link| link == file))
}

/// Asks again and again until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn only(processes: &[Process]) -> &Process {
    assert_eq!(processes.len(), 1, "{processes:?}");
    &processes[0]
}

#[test]
fn nobody() {
    let _alone = alone();
    for place in Place::all() {
        assert!(place.is_free());
        assert_eq!(in_use(&place.files()), Use::NoWriter);
        assert_eq!(place.users().processes, []);
        assert_eq!(place.lease().pending(), Pending::None);
        // This process itself is not one of the others.
        let _own = open(&place.path, OFlags::RDWR).unwrap();
        assert_eq!(place.users().processes, []);
    }
}

#[test]
fn readers_are_named_and_hinder_only_a_lease() {
    let _alone = alone();
    for place in Place::all() {
        for role in ["reader", "mapped reader"] {
            let other = Other::start(role, &place.path);
            assert!(place.is_free(), "{role}");
            assert_eq!(in_use(&place.files()), Use::NoWriter, "{role}");
            let users = place.users();
            let seen = only(&users.processes);
            assert_eq!((seen.pid, seen.writes), (other.child.id(), false), "{role}");
            let file = File::open(&place.path).unwrap();
            let is_seen = matches!(WriteLease::take(&file), Grant::Refused);
            assert_eq!(is_seen, place.shows(role), "{role}");
            assert!(other.end());
        }
    }
}

#[test]
fn writers_are_found_and_named() {
    let _alone = alone();
    let roles = [
        "writer",
        "only writer",
        "mapped writer",
        "writer mapped for reading",
    ];
    for place in Place::all() {
        for role in roles {
            let before = SystemTime::now();
            let other = Other::start(role, &place.path);
            let after = SystemTime::now();
            let is_seen = matches!(place.probe(), Probe::Writer);
            assert_eq!(is_seen, place.shows(role), "{role}");
            let Use::Writers(writers) = in_use(&place.files()) else {
                panic!("{role}");
            };
            let writer = only(&writers);
            assert_eq!(writer.pid, other.child.id(), "{role}");
            assert!(writer.writes, "{role}");
            assert!(writer.name.starts_with("processes-"), "{writer:?}");
            let started = writer.started.unwrap();
            let margin = Duration::from_millis(50);
            assert!(started > before - margin && started < after + margin);
            let file = File::open(&place.path).unwrap();
            let is_seen = matches!(WriteLease::take(&file), Grant::Refused);
            assert_eq!(is_seen, place.shows(role), "{role}");
            assert!(other.end());
        }
    }
}

#[test]
fn a_path_descriptor_opens_nothing() {
    let _alone = alone();
    for place in Place::all() {
        let other = Other::start("path", &place.path);
        assert_eq!(place.users().processes, []);
        assert_eq!(place.lease().pending(), Pending::None);
        assert!(other.end());
    }
}

#[test]
fn the_names_of_a_file_do_not_matter() {
    let _alone = alone();
    for place in Place::all() {
        let directory = place.path.parent().unwrap();
        let link = directory.join("link");
        std::os::unix::fs::symlink(&place.path, &link).unwrap();
        let hard = directory.join("hard");
        rustix::fs::link(&place.path, &hard).unwrap();
        for role in ["writer", "mapped writer"] {
            let other = Other::start(role, &hard);
            for name in [&place.path, &link] {
                let Use::Writers(writers) = in_use(std::slice::from_ref(name)) else {
                    panic!("{role}");
                };
                assert_eq!(only(&writers).pid, other.child.id(), "{role}");
            }
        }
    }
}

#[test]
fn several_files_and_several_processes() {
    let _alone = alone();
    let parent = std::env::temp_dir();
    let [first, second] = [Place::under(&parent), Place::under(&parent)];
    let files = [first.path.clone(), second.path.clone()];
    let reader = Other::start("reader", &first.path);
    let writer = Other::start("writer", &second.path);
    let mut expected = vec![(reader.child.id(), false), (writer.child.id(), true)];
    expected.sort_unstable();
    let seen: Vec<_> = users_of(&files)
        .processes
        .iter()
        .map(|process| (process.pid, process.writes))
        .collect();
    assert_eq!(seen, expected);
    if second.has_leases() {
        assert!(matches!(in_use(&files), Use::Writers(writers)
            if only(&writers).pid == writer.child.id()));
    }
}

#[test]
fn a_probe_leaves_nothing_behind() {
    let _alone = alone();
    for place in Place::all() {
        let file = File::open(&place.path).unwrap();
        assert!(!matches!(probe_writer(&file), Probe::Writer));
        // With a lease on `file` this would have to wait.
        drop(open(&place.path, OFlags::RDWR | OFlags::NONBLOCK).unwrap());
        assert_eq!(in_use(&place.files()), Use::NoWriter);
    }
}

/// Writers come all the time, so some in the instant of a probe, whose process then
/// gets the signal.
#[test]
fn probes_and_writers_do_each_other_no_harm() {
    let _alone = alone();
    for place in Place::all() {
        let prober = Other::start("prober", &place.path);
        let start = Instant::now();
        let mut slowest = Duration::ZERO;
        while start.elapsed() < Duration::from_millis(300) {
            let opening = Instant::now();
            drop(open(&place.path, OFlags::RDWR).unwrap());
            slowest = slowest.max(opening.elapsed());
        }
        assert!(slowest < DEADLINE, "{slowest:?}");
        assert!(prober.end());
    }
}

#[test]
fn a_lease_ends_with_its_value() {
    let _alone = alone();
    for place in Place::all() {
        let come = |flags| open(&place.path, flags | OFlags::NONBLOCK);
        for flags in [OFlags::RDONLY, OFlags::RDWR] {
            // It outlives the file that it was taken on, and ends before it.
            let lease = place.lease();
            assert_eq!(come(flags).unwrap_err(), Errno::AGAIN);
            drop(lease);
            come(flags).unwrap();

            let file = open(&place.path, OFlags::RDWR).unwrap();
            let Grant::Held(lease) = WriteLease::take(&file) else {
                panic!("no lease");
            };
            assert_eq!(come(flags).unwrap_err(), Errno::AGAIN);
            drop(lease);
            come(flags).unwrap();
        }
    }
}

#[test]
fn who_comes_is_reported_and_waits_until_the_lease_is_let_go() {
    let _alone = alone();
    let breaks = install_handler().unwrap();
    for place in Place::all() {
        for (role, pending) in [
            ("comes to read", Pending::Reader),
            ("comes to write", Pending::Writer),
        ] {
            let lease = place.lease();
            let mut other = Other::start(role, &place.path);
            assert_eq!(lease.pending(), Pending::None);
            let _ = breaks.take();
            other.tell("go");
            until(role, || lease.pending() != Pending::None);
            assert_eq!(lease.pending(), pending);
            until("the signal", || breaks.take());
            // It is in `open`, and stays there.
            std::thread::sleep(Duration::from_millis(20));
            assert!(other.has_said_nothing(), "{role}");
            drop(lease);
            other.expect("opened");
            assert!(other.end());
        }
    }
}

#[test]
fn the_signal_ends_a_wait() {
    let _alone = alone();
    let breaks = install_handler().unwrap();
    let Some(place) = Place::all().pop() else {
        return;
    };
    let lease = place.lease();
    let _ = breaks.take();
    let mut other = Other::start("comes to read", &place.path);
    other.tell("go");
    let wait = rustix::time::Timespec::try_from(DEADLINE).unwrap();
    let ready = loop {
        let mut input = [rustix::event::PollFd::new(
            breaks,
            rustix::event::PollFlags::IN,
        )];
        match rustix::event::poll(&mut input, Some(&wait)) {
            Err(Errno::INTR) => {}
            ready => break ready.unwrap(),
        }
    };
    assert_eq!(ready, 1);
    assert_eq!(lease.pending(), Pending::Reader);
}

#[test]
fn a_leaseholder_is_a_writer_and_the_look_does_not_wait() {
    let _alone = alone();
    for place in Place::all() {
        let mut other = Other::start("leaseholder", &place.path);
        let start = Instant::now();
        // It has the file open for reading only, so there is nobody to name.
        assert_eq!(in_use(&place.files()), Use::Writers(vec![]));
        assert!(start.elapsed() < DEADLINE);
        // SIGIO did not kill it, and it knows that we came.
        other.tell("who is there?");
        other.expect("Reader");
        assert!(other.end());
    }
}

/// A stranger (neither owner nor root) is told nothing by the kernel.
#[test]
fn to_a_stranger_the_kernel_says_nothing() {
    let _alone = alone();
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: only root can become another user");
        return;
    }
    let parent = std::env::temp_dir();
    let place = Place::under(&parent);
    let directory = place.path.parent().unwrap();
    let everybody = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory, everybody).unwrap();
    let _writer = Other::start("writer", &place.path);
    let nobody = 65534;
    let mut stranger = Other::command("stranger", &place.path);
    stranger.uid(nobody).gid(nobody);
    let stranger = match Other::spawn(&mut stranger) {
        Ok(stranger) => stranger,
        Err(error) => {
            eprintln!("NOT TESTED: no other user can run this test: {error}");
            return;
        }
    };
    for kind in ["Unknown", "Unknown", "Unknown { readers: [] }"] {
        let answer = stranger.answer();
        assert!(answer.starts_with(kind), "{answer}");
    }
    assert!(stranger.end());
}

/// Processes that come and go while we look.
#[test]
fn processes_that_vanish_do_no_harm() {
    let _alone = alone();
    let place = Place::under(&std::env::temp_dir());
    let other = Other::start("reader", &place.path);
    let start = Instant::now();
    let end = start + Duration::from_millis(300);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while Instant::now() < end {
                    let status = Command::new("true").status().unwrap();
                    assert!(status.success());
                }
            });
        }
        while Instant::now() < end {
            let users = place.users();
            assert!(
                users
                    .processes
                    .iter()
                    .any(|process| process.pid == other.child.id())
            );
        }
    });
}
