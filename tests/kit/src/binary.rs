//! How tests start the binary: the one built from this tree, in an environment that
//! says the same on every machine.

use std::time::Duration;

use assert_cmd::Command;

/// The longest that a command may run. Units: seconds.
const RUN_SECONDS_MAX: u64 = 60;

/// The binary, ready to be given arguments and run.
///
/// The locale is C and the time zone UTC; nothing is said about colour, width or
/// backtraces, but the terminal's type is one that has colour, so that only the pipe
/// itself can switch it off. A run of over a minute is killed.
#[must_use]
pub fn proglog() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("proglog"));
    for name in [
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLORTERM",
        "COLUMNS",
        "FORCE_COLOR",
        "LANG",
        "LANGUAGE",
        "LINES",
        "NO_COLOR",
        "PAGER",
        "RUST_BACKTRACE",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command
        .env("LC_ALL", "C")
        .env("TERM", "xterm-256color")
        .env("TZ", "UTC")
        .timeout(Duration::from_secs(RUN_SECONDS_MAX));
    command
}
