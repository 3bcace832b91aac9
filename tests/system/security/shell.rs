//! Lines of shell with `$proglog` in them, and logs to run them on.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use proglog_testkit::{LogBuilder, Sandbox};

/// A line for bash, run in a directory. Its descriptors are as the line says.
pub fn bash(dir: &Path, line: &str) -> Output {
    Command::new("bash")
        .args(["-c", line])
        .current_dir(dir)
        .env("proglog", env!("CARGO_BIN_EXE_proglog"))
        .env_remove("XDG_STATE_HOME")
        .output()
        .unwrap()
}

/// A program in mounts of its own: a script makes them, and runs it as `"$@"`.
pub fn in_mounts(script: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "sh", "-c", script, "sh"]);
    command.arg(program);
    command
}

/// The exit status of the last command of a line.
pub fn status(dir: &Path, line: &str) -> i32 {
    let output = bash(dir, line);
    output
        .status
        .code()
        .unwrap_or_else(|| panic!("{line}: {:?}", output.status))
}

/// `log`, whole; `cut`, whose last frame is not; `other`, whose third record differs.
pub fn logs() -> Sandbox {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["one", "two", "three", "four"]));
    let made = "cp -r log cut && truncate -s -1 cut/0.store && cp -r log other \
                && printf THREE | dd of=other/0.store bs=1 seek=30 conv=notrunc status=none";
    assert_eq!(status(sandbox.path(), made), 0);
    sandbox
}
