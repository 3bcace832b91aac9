//! Other processes that come while the log's files are taken, and those that come and go
//! all the time: readers are held back, writers are let in and waited for.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proglog::forward_to_disk;
use proglog::log::dir::FilePath;
use proglog::log::disk::{Disk, DiskFile, RealDisk};
use proglog::log::error::Error;
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::log::writer::NewRecord;
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::exclusive::Others;
use proglog::mend::repair;
use proglog::mend::session::{OpenOptions, Session};
use proglog::mend::{saved, undo};
use proglog_testkit::{Codec, LogBuilder, Sandbox, whole_records};

use crate::mending::{library, run, said};

/// A disk on which another process comes for the first file that was opened, when the
/// second is opened: it has to wait, for the first one is leased by then.
struct Coming {
    script: &'static str,
    first: Mutex<Option<PathBuf>>,
    visitor: Mutex<Option<Child>>,
}

impl Disk for Coming {
    forward_to_disk! { |self| RealDisk =>
        create create_unnamed link create_dir write_at set_len sync_data sync_dir remove remove_dir rename
    }
    fn open(&self, path: &FilePath) -> io::Result<DiskFile> {
        let first = self
            .first
            .lock()
            .unwrap()
            .get_or_insert(path.to_path_buf())
            .clone();
        let mut visitor = self.visitor.lock().unwrap();
        if first != **path && visitor.is_none() {
            let mut shell = Command::new("sh");
            shell.args(["-c", self.script]).env("FILE", &first);
            let bytes = fs::metadata(&first)?.len().to_string();
            shell.env("BYTES", bytes);
            *visitor = Some(shell.spawn()?);
            waits_for(&first);
        }
        RealDisk.open(path)
    }
}

/// Returns when somebody waits for a lease on the file to be let go.
fn waits_for(path: &Path) {
    let inode = format!(":{} ", fs::metadata(path).unwrap().ino());
    let is_it = |line: &str| line.contains("LEASE  BREAKING") && line.contains(&inode);
    let end = Instant::now() + Duration::from_secs(20);
    while !fs::read_to_string("/proc/locks")
        .unwrap()
        .lines()
        .any(is_it)
    {
        assert!(Instant::now() < end, "nobody came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// It gets in when all is done.
const READS: &str = "exec 3<$FILE; test $(wc -c <&3) -ne $BYTES";
const WRITES_NOTHING: &str = "exec 3<>$FILE";
const WRITES: &str = "echo >>$FILE";

/// What repairs a log, or takes the repair back, while somebody comes.
type Change = fn(&Path, &Arc<dyn Disk>, &Others<'_>) -> Result<(), Error>;

fn repair(log: &Path, disk: &Arc<dyn Disk>, others: &Others<'_>) -> Result<(), Error> {
    let plan = repair::plan(&library::report(log));
    let options = ApplyOptions {
        disk,
        save: Save::Nowhere,
        others: Others {
            wait: others.wait,
            ..*others
        },
        command: "repair",
    };
    apply(&plan, &lock(log), &options).map(|_| ())
}

fn take_back(log: &Path, disk: &Arc<dyn Disk>, others: &Others<'_>) -> Result<(), Error> {
    let parent = saved::parent_for(&log.canonicalize().unwrap(), None).unwrap();
    let change = undo::list(&parent).unwrap().pop().unwrap();
    undo::undo(&change, &lock(log), disk, others)
}

fn lock(log: &Path) -> DirectoryLock {
    DirectoryLock::take(log, Wait::Forever, &|| false).unwrap()
}

#[test]
fn who_comes_before_the_first_change() {
    let wait = Wait::AtMost(Duration::from_secs(60));
    let no_wait = Wait::AtMost(Duration::ZERO);
    for (change, undoes) in [(repair as Change, false), (take_back, true)] {
        for (script, wait, words) in [
            (READS, wait, None),
            (WRITES_NOTHING, no_wait, Some("in use")),
            (WRITES_NOTHING, wait, None),
            (WRITES, wait, Some("change")),
        ] {
            let sandbox = Sandbox::of("killed-three-segments");
            if undoes {
                run(sandbox.path(), &["repair", "log"]);
            }
            let before = sandbox.snapshot();
            let (changed, mut visitor, first) = loop {
                let disk = Arc::new(Coming {
                    script,
                    first: Mutex::default(),
                    visitor: Mutex::default(),
                });
                let others = Others {
                    wait,
                    assume_unused: false,
                    interrupted: &|| false,
                };
                let as_disk: Arc<dyn Disk> = disk.clone();
                let changed = change(&sandbox.log(), &as_disk, &others);
                let visitor = disk.visitor.lock().unwrap().take();
                let first = disk.first.lock().unwrap().take();
                // A child of another test may have a file for the moment until it runs.
                if let (Some(visitor), Some(first)) = (visitor, first) {
                    break (changed, visitor, first);
                }
            };
            assert!(visitor.wait().unwrap().success(), "{script} {wait:?}");
            let said = changed.err().map(|error| error.to_string());
            match (&said, words) {
                (None, None) => assert_ne!(sandbox.snapshot().contents(), before.contents()),
                (Some(said), Some(words)) => {
                    assert!(said.contains(words), "{script} {wait:?}: {said}");
                    if script == WRITES {
                        let bytes = fs::metadata(&first).unwrap().len();
                        fs::File::options()
                            .write(true)
                            .open(first)
                            .unwrap()
                            .set_len(bytes - 1)
                            .unwrap();
                    }
                    assert_eq!(sandbox.snapshot().contents(), before.contents(), "{script}");
                }
                _ => panic!("{script} {wait:?}: {said:?}"),
            }
        }
    }
}

fn record(value: &[u8]) -> NewRecord<'_> {
    NewRecord {
        value,
        ..NewRecord::default()
    }
}

/// Opens the log for appending, appends a record, and has a writer come for the active
/// store, which is leased.
fn appending(log: &Path) -> (Session, Child) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    loop {
        let options = OpenOptions::default();
        let mut session = Session::open_locked(lock(log), &options, &disk, &|| false).unwrap();
        session.append(record(b"one")).unwrap();
        let store = session.writer().active_files()[0].path().to_path_buf();
        let leased = format!(":{} ", fs::metadata(&store).unwrap().ino());
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let is_it = |line: &str| line.contains("LEASE  ACTIVE") && line.contains(&leased);
        // A child of another test may have had a file for the moment until it ran.
        if !locks.lines().any(is_it) {
            continue;
        }
        let mut shell = Command::new("sh");
        let visitor = shell.args(["-c", WRITES_NOTHING]).env("FILE", &store);
        let visitor = visitor.spawn().unwrap();
        waits_for(&store);
        return (session, visitor);
    }
}

/// All that was appended is committed when it gets in. Behind the last record it is no
/// hindrance.
#[test]
fn a_writer_that_comes_during_an_append() {
    for last in [true, false] {
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["zero"]));
        let (mut session, mut visitor) = appending(&sandbox.log());
        session.append(record(b"two")).unwrap();
        let committed = if last {
            session.commit_last()
        } else {
            session.commit()
        };
        let said = committed.err().map(|error| error.to_string());
        assert_eq!(said.is_some_and(|it| it.contains("in use")), !last);
        assert!(session.has_let_in());
        assert!(visitor.wait().unwrap().success());
        drop(session);
        assert_eq!(whole_records(&sandbox.log(), Codec::Raw).len(), 3);
    }
}

/// Processes that open the log's files over and over; dropping it ends them.
struct Crowd(Vec<Child>);

impl Crowd {
    fn of(directory: &Path, scripts: &[&str]) -> Self {
        let start = |script: &&str| {
            let mut shell = Command::new("sh");
            shell.current_dir(directory);
            shell.args(["-c", &format!("while :; do {script}; done >/dev/null 2>&1")]);
            shell.spawn().unwrap()
        };
        Self(scripts.iter().map(start).collect())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn those_who_come_and_go_are_waited_for() {
    let crowds = [
        &["cat log/*", "cat log/*", "cat log/*"][..],
        &["cat log/*", "exec 3<>log/0.index; exec 3<&-"],
    ];
    for crowd in crowds {
        for command in [
            &["repair", "log"][..],
            &["trim", "log", "--after", "5"],
            &["truncate-index", "log"],
            &["undo", "log"],
            &["append", "log", "--max-index-bytes=12000000"],
        ] {
            let sandbox = Sandbox::of("killed-padding-only");
            if command[0] == "undo" {
                run(sandbox.path(), &["repair", "log"]);
            }
            let before = sandbox.snapshot();
            let crowd = Crowd::of(sandbox.path(), crowd);
            let mut proglog = sandbox.proglog();
            // More than is read at once, all of it for the one segment.
            let lines = "x\n".repeat(if command[0] == "append" { 300_000 } else { 0 });
            proglog.args(command).arg("--wait=60").write_stdin(lines);
            let (status, stdout, stderr) = said(proglog.output().unwrap());
            drop(crowd);
            assert_eq!(status, 0, "{command:?}: {stdout}{stderr}");
            assert_ne!(sandbox.snapshot().contents(), before.contents());
        }
    }
}

/// A disk on which a writer comes when the active index is opened, after it was asked who
/// is there, and stays.
#[derive(Default)]
struct Latecomer(Mutex<Option<fs::File>>);

impl Disk for Latecomer {
    forward_to_disk! { |self| RealDisk =>
        create create_unnamed link create_dir write_at set_len sync_data sync_dir remove remove_dir rename
    }
    fn open(&self, path: &FilePath) -> io::Result<DiskFile> {
        let came = fs::File::options().read(true).write(true).open(path)?;
        *self.0.lock().unwrap() = Some(came);
        RealDisk.open(path)
    }
}

#[test]
fn a_writer_that_comes_while_the_log_is_opened() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["zero"]));
    let before = sandbox.snapshot();
    let disk: Arc<dyn Disk> = Arc::new(Latecomer::default());
    let options = OpenOptions::default();
    let opened = Session::open(&sandbox.log(), &options, &disk, &|| false);
    let said = opened.err().map(|error| error.to_string());
    assert!(said.is_some_and(|it| it.contains("in use")));
    assert_eq!(sandbox.snapshot(), before);
}

/// The kernel gives no lease then, so that nothing holds the writer back.
#[test]
fn a_writer_that_comes_beside_a_reader_during_an_append() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["zero"]));
    let _reader = fs::File::open(sandbox.file("0.store")).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = OpenOptions::default();
    let mut session = Session::open(&sandbox.log(), &options, &disk, &|| false).unwrap();
    let pause = || std::thread::sleep(Duration::from_millis(300));
    pause();
    session.append(record(b"one")).unwrap();
    session.commit().unwrap();
    let holds = "exec 3<>0.store; echo; read end";
    let mut shell = Command::new("sh");
    shell.args(["-c", holds]).current_dir(sandbox.log());
    shell.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut writer = shell.spawn().unwrap();
    let mut ready = [0];
    writer
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    pause();
    session.append(record(b"two")).unwrap();
    let said = session.commit().map_err(|error| error.to_string());
    let process = format!("PID {}", writer.id());
    assert!(said.is_err_and(|it| it.contains(&process)));
    drop(writer.stdin.take());
    writer.wait().unwrap();
    drop(session);
    assert_eq!(whole_records(&sandbox.log(), Codec::Raw).len(), 3);
}
