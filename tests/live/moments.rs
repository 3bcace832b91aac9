//! Moments in the life of a service that are the same in each run.

use proglog_testkit::{Sandbox, Service};

/// A service that rolled, whose frames all wait in its buffers.
fn rolled() -> (Sandbox, Service) {
    let sandbox = Sandbox::empty();
    let mut service = Service::start(&sandbox.log(), 1024, 1024);
    while service.segments().len() < 2 {
        let value = service.next_offset().to_string();
        service.append(format!("record {value}").as_bytes());
    }
    (sandbox, service)
}

#[test]
fn sealed_frames_in_the_buffer_behind_which_the_log_is_empty() {
    let (sandbox, _service) = rolled();
    for command in ["read", "verify", "manifest", "info"] {
        let mut run = sandbox.proglog();
        let assert = run.args([command, "log"]).assert().success();
        let output = assert.get_output();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!err.contains("error"), "{command}: {err}");
    }
    sandbox
        .proglog()
        .args(["diff", "log", "log"])
        .assert()
        .success();
}

#[test]
fn sealed_frames_in_the_buffer_before_others_that_are_there() {
    let (sandbox, mut service) = rolled();
    service.append(b"behind the roll");
    service.segments()[1].flush();
    let last = service.next_offset() - 1;
    let mut run = sandbox.proglog();
    let assert = run.args(["read", "log"]).assert().success();
    let err = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(err.starts_with("note: index-dangling"), "{err}");
    assert!(err.contains(&format!("goes on at offset {last}")), "{err}");
    for arguments in [["verify", "-q", "log"], ["diff", "log", "log"]] {
        sandbox.proglog().args(arguments).assert().success();
    }
    let mut run = sandbox.proglog();
    run.args(["read", "log", "--on-error=skip"])
        .assert()
        .success();
}
