//! The other processes: this test binary over again, in a role that an environment
//! variable names. They end with their standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use proglog::log::lease::{Grant, Probe, WriteLease, probe_writer};
use proglog::log::processes::in_use;
use rustix::fs::OFlags;

use super::{DEADLINE, open};

const ROLE: &str = "PROGLOG_TEST_ROLE";

const FILE: &str = "PROGLOG_TEST_FILE";

/// Another process; dropping it ends it.
pub(crate) struct Other {
    pub(crate) child: Child,
    words: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Other {
    /// Starts one and waits until it has done what its role is.
    pub(crate) fn start(role: &str, file: &Path) -> Self {
        let other = Self::spawn(&mut Self::command(role, file)).unwrap();
        other.expect("ready");
        other
    }

    pub(crate) fn command(role: &str, file: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "processes::other::role",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, role)
            .env(FILE, file);
        command
    }

    pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Self> {
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

    pub(crate) fn tell(&mut self, word: &str) {
        writeln!(self.words.as_mut().unwrap(), "{word}").unwrap();
    }

    pub(crate) fn answer(&self) -> String {
        self.answers.recv_timeout(DEADLINE).unwrap()
    }

    pub(crate) fn expect(&self, answer: &str) {
        assert_eq!(self.answer(), answer);
    }

    pub(crate) fn has_said_nothing(&self) -> bool {
        self.answers.try_recv().is_err()
    }

    /// Waits for its end, and says whether it succeeded.
    pub(crate) fn end(mut self) -> bool {
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
