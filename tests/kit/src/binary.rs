//! How tests start the binary: the one built from this tree, in an environment that
//! says the same on every machine.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};
use std::time::Duration;

use assert_cmd::Command;

/// The longest that a command may run. Units: seconds.
const RUN_SECONDS_MAX: u64 = 60;

/// Runs `$0` with the arguments, and `--assume-unused` if it may write and is not told yet.
const ASSUMING: &str = r#"
case " $1 $* " in
  *" --assume-unused "* | *" --help "*) ;;
  " append "* | " repair "* | " trim "* | " truncate-index "* | " undo "*)
    command=$1
    shift
    set -- "$command" --assume-unused "$@"
    ;;
esac
exec "$0" "$@"
"#;

/// The binary, ready to be given arguments and run.
///
/// The locale is C and the time zone UTC; nothing is said about colour, width or
/// backtraces, but the terminal's type is one that has colour, so that only the pipe
/// itself can switch it off. A run of over a minute is killed.
///
/// Where the system never tells who else writes, commands that write are told that nobody does.
#[must_use]
pub fn proglog() -> Command {
    heed_signals();
    let binary = assert_cmd::cargo::cargo_bin("proglog");
    let mut command = if cfg!(proglog_portable) {
        let mut shell = Command::new("sh");
        shell.args(["-c", ASSUMING]).arg(binary);
        shell
    } else {
        Command::new(binary)
    };
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

/// SIGINT and the like as a shell in the foreground has them: what this process was started
/// with as ignored (by nohup, by some CI) its children would ignore too. A handler here is
/// the default for them.
pub fn heed_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        for signal in [1, 2, 15] {
            if ignored.is_some_and(|mask| mask & (1 << (signal - 1)) != 0) {
                let noted = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register(signal, noted).expect("a handler");
            }
        }
    });
}
