//! A nats-server of the tests' own: on a free port of this machine, with a directory of
//! its own, gone at the end. Ended by its own process, never by name.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;

/// Whether there is a nats-server; says so if not.
#[expect(clippy::print_stderr, reason = "a skip is said")]
pub fn installed() -> bool {
    let found = program().is_some();
    if !found {
        eprintln!("SKIPPED: there is no nats-server here (Debian: apt install nats-server)");
    }
    found
}

/// The server to test with: `PROGLOG_NATS_SERVER`, or the installed one.
fn program() -> Option<PathBuf> {
    if let Some(chosen) = std::env::var_os("PROGLOG_NATS_SERVER") {
        return Some(chosen.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/bin")])
        .map(|directory| directory.join("nats-server"))
        .find(|program| program.is_file())
}

/// Whether the server is at least this version.
pub fn is_since(version: [u32; 3]) -> bool {
    let output = Command::new(program().unwrap()).arg("--version").output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let numbers = text.trim().rsplit('v').next().unwrap().split('.');
    let numbers: Vec<u32> = numbers.map(|it| it.parse().unwrap()).collect();
    numbers[..] >= version[..]
}

/// Records that keep a push busy while it is disturbed: a server that gets one message at
/// a time takes fewer.
pub fn many() -> u64 {
    if is_since([2, 10, 14]) {
        120_000
    } else {
        20_000
    }
}

/// A port that is free just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits for something.
pub fn eventually(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come in {seconds} s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// One server.
pub struct Server {
    pub port: u16,
    config: PathBuf,
    child: Option<Child>,
    /// Its files go with it.
    dir: Option<TempDir>,
}

impl Server {
    /// Starts one with JetStream; `more` are lines of its configuration.
    pub fn start(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut server = Self::configured(dir.path(), port, more);
        server.dir = Some(dir);
        server.run();
        server
    }

    /// The same where only clients with a certificate are let in.
    pub fn start_with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut server = Self::configured(dir.path(), port, more);
        server.dir = Some(dir);
        server.begin();
        eventually("the server", 20, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        server
    }

    /// One that is not running yet, with its files in `dir`.
    #[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
    pub fn configured(dir: &Path, port: u16, more: &str) -> Self {
        let config = dir.join("server.conf");
        let text = format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{}\" }}\n{more}\n",
            dir.join("store").display()
        );
        std::fs::write(&config, text).unwrap();
        Self {
            port,
            config,
            child: None,
            dir: None,
        }
    }

    /// Starts it, and does not wait.
    pub fn begin(&mut self) {
        let child = Command::new(program().unwrap())
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Starts it, and waits until it listens.
    pub fn run(&mut self) {
        self.begin();
        self.listens();
    }

    /// Waits until it listens.
    pub fn listens(&self) {
        let port = self.port;
        eventually("the server", 20, || Client::connect(port).is_ok());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it where it is, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap();
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Something to talk to it with.
    pub fn client(&self) -> Client {
        Client::connect(self.port).unwrap()
    }

    /// The address of a stream.
    pub fn url(&self, stream: &str) -> String {
        format!("nats://127.0.0.1:{}/{stream}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
