//! A temporary directory of a test's own, with a log under the plain name `log` in it.
//! It is removed at the end of the test. What damages the log is in `damage`.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

use crate::{LogBuilder, Snapshot, proglog, truth};

/// A temporary directory with a log in it. Whatever the umask, files of the log have
/// mode 0644 and its directory 0755.
#[derive(Debug)]
pub struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    /// A sandbox without a log: `log` does not exist.
    #[must_use]
    pub fn bare() -> Self {
        let directory = TempDir::with_prefix("proglog-test-").expect("a temporary directory");
        Self { directory }
    }

    /// A sandbox whose `log` is an empty directory.
    #[must_use]
    pub fn empty() -> Self {
        let sandbox = Self::bare();
        make_directory(&sandbox.log());
        sandbox
    }

    /// A sandbox with a copy of `fixtures/<case>/log`, empty directories included.
    #[must_use]
    pub fn of(case: &str) -> Self {
        let sandbox = Self::empty();
        let source = truth::case_path(case).join("log");
        for name in truth(case).files.keys() {
            match fs::read(source.join(name)) {
                Ok(bytes) => sandbox.write(name, &bytes),
                // What a checkout left out can only have been an empty directory.
                Err(error) if error.kind() == ErrorKind::NotFound => sandbox.make_directory(name),
                Err(error) if error.kind() == ErrorKind::IsADirectory => {
                    sandbox.make_directory(name);
                }
                Err(error) => panic!("{case}: {name}: {error}"),
            }
        }
        sandbox
    }

    /// A sandbox with the log that `builder` describes.
    #[must_use]
    pub fn built(builder: &LogBuilder) -> Self {
        let sandbox = Self::empty();
        for (name, bytes) in builder.files() {
            sandbox.write(&name, &bytes);
        }
        sandbox
    }

    /// The temporary directory itself, the parent of the log.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The log's directory.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path().join("log")
    }

    /// The path of one of the log's files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.log().join(name)
    }

    /// All bytes of one of the log's files.
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The size of one of the log's files. Units: bytes.
    #[must_use]
    pub fn bytes(&self, name: &str) -> u64 {
        fs::metadata(self.file(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .len()
    }

    /// Makes a file of the log, or gives it other bytes.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.file(name);
        let new = !path.exists();
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        if new {
            fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("a mode");
        }
    }

    /// Makes an empty directory among the log's files.
    pub fn make_directory(&self, name: &str) {
        make_directory(&self.file(name));
    }

    /// The names in the log's directory, sorted as text.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.log())
            .expect("the log's directory")
            .map(|entry| entry.expect("a name").file_name())
            .map(|name| name.into_string().expect("a name in UTF-8"))
            .collect();
        names.sort();
        names
    }

    /// All that can be seen of the log's directory.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.log())
    }

    /// The binary, run in the sandbox: to it the log's path is `log`.
    #[must_use]
    pub fn proglog(&self) -> Command {
        let mut command = proglog();
        command.current_dir(self.path());
        command
    }

    /// One of the log's files, open for reading and writing.
    pub(crate) fn open(&self, name: &str) -> File {
        File::options()
            .read(true)
            .write(true)
            .open(self.file(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn make_directory(path: &Path) {
    fs::create_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a mode");
}
