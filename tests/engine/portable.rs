//! What the portable twin promises: no process is seen, so each command that writes asks. Only
//! the lock tells of another proglog.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::process::Command;

use proglog::log::platform::Watch;
use proglog::log::processes::Unseen;
use proglog::{Appender, Error, Report};
use proglog_testkit::{Sandbox, nobody_can_tell, run_in};

const WHY: &str = "only Linux has file leases";

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_proglog"))
}

#[test]
fn each_command_that_writes_asks() {
    let _forks = crate::FORKS.write();
    let sandbox = Sandbox::of("killed-padding-only");
    nobody_can_tell(sandbox.path(), &binary, WHY);
    let held = File::open(sandbox.log()).unwrap();
    held.lock().unwrap();
    let before = sandbox.snapshot();
    let mut append = binary();
    append.args(["append", "log", "--assume-unused"]);
    let (status, said) = run_in(append, sandbox.path());
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("in use"), "{said}");
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn the_library_asks_too() {
    let _no_forks = crate::FORKS.read();
    let sandbox = Sandbox::of("killed-padding-only");
    let log = sandbox.log();
    let before = sandbox.snapshot();
    let plan = Report::scan(&log).unwrap().plan();
    for error in [
        Appender::open(&log).map(|_| ()).unwrap_err(),
        plan.apply().map(|_| ()).unwrap_err(),
    ] {
        let Error::UseUnknown { why, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(why, Unseen::NotTold(WHY.to_owned()));
    }
    assert_eq!(sandbox.snapshot(), before);
    let undo = plan.assume_unused(true).apply().unwrap();
    assert!(Report::scan(&log).unwrap().is_clean());
    undo.undo().unwrap();
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}

#[test]
fn nothing_is_watched() {
    assert!(Watch::on(std::path::Path::new("/")).is_none());
}
