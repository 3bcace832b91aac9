//! What must hold of the program where nobody can tell whether another process writes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Snapshot;

/// All that write into a log, with what must have been done before.
pub const WRITING: [&[&str]; 5] = [
    &["append", "log"],
    &["repair", "log"],
    &["trim", "log", "--after=5"],
    &["truncate-index", "log"],
    &["undo", "log"],
];

/// All that say whether somebody writes, and write nothing.
const TELLING: [&[&str]; 6] = [
    &["verify", "log"],
    &["info", "log"],
    &["repair", "log", "--dry-run"],
    &["trim", "log", "--after=5", "--dry-run"],
    &["truncate-index", "log", "--dry-run"],
    &["undo", "log", "--dry-run"],
];

/// A run in a directory: its status, and all that it said.
#[must_use]
pub fn run_in(command: Command, directory: &Path) -> (Option<i32>, String) {
    let mut command = assert_cmd::Command::from_std(command);
    command.current_dir(directory).write_stdin("one more\n");
    let output = command
        .timeout(Duration::from_secs(60))
        .output()
        .expect("a run");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    (output.status.code(), said.concat())
}

/// What must hold in a directory with a `log` where nobody can tell: `start` makes the
/// command, `why` is the reason.
pub fn nobody_can_tell(directory: &Path, start: &dyn Fn() -> Command, why: &str) {
    let log = directory.join("log");
    let with = |arguments: &[&str]| {
        let mut command = start();
        command.args(arguments);
        run_in(command, directory)
    };
    // There is something to undo.
    let (status, said) = with(&["trim", "log", "--after=9", "--assume-unused"]);
    assert_eq!(status, Some(0), "{said}");
    let before = Snapshot::of(&log);
    for arguments in TELLING {
        let (status, said) = with(arguments);
        assert!(said.contains("cannot tell"), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
        let dry = arguments.contains(&"--dry-run");
        assert_eq!(status == Some(4), dry, "{arguments:?}: {said}");
        assert_eq!(Snapshot::of(&log), before, "{arguments:?}");
    }
    for command in ["verify", "info"] {
        let (_, said) = with(&[command, "log", "--json"]);
        let reason = "\"in_use\":null,\"in_use_reason\":\"";
        let mut lines = said.lines().filter_map(|line| line.split_once(reason));
        assert!(lines.next().is_some_and(|it| it.1.contains(why)), "{said}");
    }
    for arguments in WRITING {
        let (status, said) = with(arguments);
        assert_eq!(status, Some(4), "{arguments:?}: {said}");
        for part in ["cannot tell", why, "--assume-unused"] {
            assert!(said.contains(part), "{arguments:?}: {said}");
        }
        assert_eq!(Snapshot::of(&log), before, "{arguments:?}");
    }
    for arguments in WRITING {
        let (status, said) = with(&[arguments, &["--assume-unused"]].concat());
        assert_eq!(status, Some(0), "{arguments:?}: {said}");
    }
}
