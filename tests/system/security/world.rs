//! A directory with a log in it, and two users who are not root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proglog_testkit::LogBuilder;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// The owner of the log, as a rule.
pub const BOB: u32 = 54_401;

/// Somebody else.
pub const EVE: u32 = 54_402;

pub const ROOT: u32 = 0;

/// No command may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether this is root, who can become another user; says so if not.
pub fn is_root() -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: security: only root can act as two users");
        return false;
    }
    let mut other = Command::new(binary());
    let runs = other.arg("--version").uid(EVE).gid(EVE).output();
    if let Err(error) = &runs {
        eprintln!("SKIPPED: security: no other user can run the binary: {error}");
    }
    runs.is_ok()
}

/// A run of the binary.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Ended with this status, and said this.
    #[track_caller]
    pub fn ended(&self, status: i32, said: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let all = format!("{}{}", self.out, self.err);
        assert!(all.contains(said), "{said:?} is not in {self:?}");
    }
}

/// A temporary directory that everybody may enter, with the home of BOB in it.
pub struct World {
    directory: TempDir,
}

impl World {
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("proglog-security-").unwrap();
        let world = Self { directory };
        set_mode(world.path(), 0o755);
        fs::create_dir(world.home()).unwrap();
        give(&world.home(), BOB);
        world
    }

    /// With a log of BOB's that lacks its index, which a repair makes again, and has half a
    /// frame at its end, which a repair cuts.
    pub fn damaged() -> Self {
        let world = Self::new();
        let log = LogBuilder::raw().segment(0, ["one", "two", "three"]);
        for (name, mut bytes) in log.files() {
            if name == "0.store" {
                bytes.extend([0, 0, 0, 0, 0, 0, 0, 9, b'x']);
                write(&world.log().join(name), &bytes, BOB);
            }
        }
        world
    }

    /// The same log, repaired, and nothing saved.
    pub fn whole() -> Self {
        let world = Self::damaged();
        world.run(BOB, &["repair", "log", "--no-save"]).ended(0, "");
        world
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub fn log(&self) -> PathBuf {
        self.home().join("log")
    }

    /// Where changes of the log are saved.
    pub fn parent(&self) -> PathBuf {
        self.home().join("log.proglog-saved")
    }

    /// A file of root's that nobody else may read.
    pub fn secret(&self) -> PathBuf {
        let path = self.path().join("secret");
        write(&path, b"only root may read this", ROOT);
        set_mode(&path, 0o600);
        path
    }

    /// Runs the binary in BOB's home as this user.
    pub fn run(&self, user: u32, arguments: &[&str]) -> Run {
        self.run_by(Command::new(binary()), user, arguments)
    }

    /// Appends a line as this user.
    pub fn append(&self, user: u32, line: &str, options: &[&str]) -> Run {
        write(&self.home().join("input"), line.as_bytes(), BOB);
        self.run(user, &[&["append", "log", "input"], options].concat())
    }

    /// Runs a command in BOB's home as this user.
    pub fn run_by(&self, mut command: Command, user: u32, arguments: &[&str]) -> Run {
        command.args(arguments).current_dir(self.home());
        command
            .env("HOME", self.home())
            .env_remove("XDG_STATE_HOME");
        if user != ROOT {
            command.uid(user).gid(user);
        }
        finish(command)
    }

    /// The newest saved directory.
    pub fn saved(&self) -> PathBuf {
        let mut all = entries(&self.parent());
        all.sort();
        all.pop().unwrap()
    }
}

pub fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin("proglog")
}

/// Runs a command that may wait for nothing.
fn finish(mut command: Command) -> Run {
    let output = tempfile::tempdir().unwrap();
    let place = |name: &str| output.path().join(name);
    let file = |name| fs::File::create(place(name)).unwrap();
    command.stdin(Stdio::null());
    command.stdout(file("out")).stderr(file("err"));
    let mut child = command.spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |name| String::from_utf8_lossy(&fs::read(place(name)).unwrap()).into_owned();
    Run {
        status: status.code().unwrap_or(-1),
        out: text("out"),
        err: text("err"),
    }
}

/// Writes a file of this user's, in directories of his.
pub fn write(path: &Path, bytes: &[u8], owner: u32) {
    let parent = path.parent().unwrap();
    if !parent.exists() {
        fs::create_dir_all(parent).unwrap();
        give(parent, owner);
        set_mode(parent, 0o755);
    }
    fs::write(path, bytes).unwrap();
    give(path, owner);
    set_mode(path, 0o644);
}

pub fn give(path: &Path, owner: u32) {
    lchown(path, Some(owner), Some(owner)).unwrap();
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A FIFO of this user's that nobody has open.
pub fn fifo(path: &Path, owner: u32) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    set_mode(path, 0o666);
    give(path, owner);
}

pub fn link(target: impl AsRef<Path>, path: &Path, owner: u32) {
    std::os::unix::fs::symlink(target, path).unwrap();
    give(path, owner);
}

/// Owner, group and mode.
pub fn owned(path: &Path) -> (u32, u32, u32) {
    let it = fs::symlink_metadata(path).unwrap();
    (it.uid(), it.gid(), it.mode() & 0o7777)
}

pub fn entries(directory: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(directory).unwrap();
    read.map(|entry| entry.unwrap().path()).collect()
}

/// What is below a directory: paths, what [`owned`] says, bytes.
pub type Tree = Vec<(PathBuf, (u32, u32, u32), Vec<u8>)>;

/// Names, bytes, owners and modes of all that is below a directory.
pub fn tree(directory: &Path) -> Tree {
    let mut all = Vec::new();
    let mut paths = vec![directory.to_path_buf()];
    while let Some(path) = paths.pop() {
        let it = fs::symlink_metadata(&path).unwrap();
        if it.is_dir() {
            paths.extend(entries(&path));
        }
        let bytes = if it.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        all.push((path.clone(), owned(&path), bytes));
    }
    all.sort();
    all
}
