//! A `proglog read` that runs while the test goes on.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proglog_testkit::{Sandbox, proglog};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A read in the background; dropping it ends it.
pub(crate) struct Reading {
    child: Child,
    out: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    err: Arc<Mutex<Vec<u8>>>,
}

/// How a read ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// `proglog read log` with these arguments, in the sandbox.
pub(crate) fn command(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = Command::new(proglog().get_program());
    command.current_dir(sandbox.path()).args(["read", "log"]);
    command.args(arguments);
    command
}

impl Reading {
    pub(crate) fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let mut child = command(sandbox, arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (Arc::default(), Arc::default());
        let readers = vec![
            gather(child.stdout.take().unwrap(), &out),
            gather(child.stderr.take().unwrap(), &err),
        ];
        Self {
            child,
            out,
            readers,
            err,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap()).into_owned()
    }

    /// Waits until so many bytes were printed.
    #[track_caller]
    pub(crate) fn prints_bytes(&self, bytes: usize) {
        let end = Instant::now() + DEADLINE;
        while self.out.lock().unwrap().len() < bytes && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        let err = String::from_utf8_lossy(&self.err.lock().unwrap()).into_owned();
        assert!(self.out.lock().unwrap().len() >= bytes, "{err}");
    }

    /// Waits until this is what was printed.
    #[track_caller]
    pub(crate) fn prints(&self, expected: &str) {
        self.prints_bytes(expected.len());
        assert_eq!(self.out(), expected);
    }

    /// Waits until this was said on stderr.
    #[track_caller]
    pub(crate) fn says(&self, expected: &str) {
        let end = Instant::now() + DEADLINE;
        let said = || String::from_utf8_lossy(&self.err.lock().unwrap()).into_owned();
        while !said().contains(expected) {
            assert!(Instant::now() < end, "no {expected:?} in {:?}", said());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Gives it time to do what it should not.
    #[track_caller]
    pub(crate) fn waits(&mut self) {
        std::thread::sleep(Duration::from_millis(200));
        let ended = self.child.try_wait().unwrap();
        assert_eq!(
            ended,
            None,
            "{}",
            String::from_utf8_lossy(&self.err.lock().unwrap())
        );
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        Ended {
            status,
            out: self.out(),
            err: String::from_utf8_lossy(&self.err.lock().unwrap()).into_owned(),
        }
    }
}

impl Ended {
    /// This status, and each of these words on stderr.
    #[track_caller]
    pub(crate) fn told(self, status: i32, words: &[&str]) -> Self {
        assert_eq!(self.status.code(), Some(status), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
        if words.is_empty() {
            assert_eq!(self.err, "");
        }
        self
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gather(mut from: impl Read + Send + 'static, to: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut bytes = vec![0; 65536];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            to.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    })
}
