//! Moments in the life of a service that are the same in each run.

use std::fs::File;
use std::os::unix::fs::FileExt;

use proglog::log::directory::Directory;
use proglog::log::live::Count;
use proglog::log::record::Codec;
use proglog::log::segment::Segment;
use proglog::log::units::Position;
use proglog_testkit::{LogBuilder, Sandbox, Service, entry};

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
fn a_full_index_whose_frames_all_wait_in_the_buffer() {
    let sandbox = Sandbox::empty();
    let mut service = Service::start(&sandbox.log(), 1024, 12 * 10);
    while service.segments().len() < 2 {
        service.append(b"record");
    }
    let mut run = sandbox.proglog();
    let assert = run.args(["verify", "log"]).assert().success();
    let out = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(out.contains("note     index-dangling"), "{out}");
    assert!(!out.contains("needs-decision"), "{out}");
    drop(service);
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
    assert!(
        err.contains(&format!("continues at offset {last}")),
        "{err}"
    );
    for arguments in [["verify", "-q", "log"], ["diff", "log", "log"]] {
        sandbox.proglog().args(arguments).assert().success();
    }
    let mut run = sandbox.proglog();
    run.args(["read", "log", "--on-error=skip"])
        .assert()
        .success();
}

#[test]
fn the_store_is_measured_after_the_entries_are_counted() {
    let sandbox = Sandbox::empty();
    let mut service = Service::start(&sandbox.log(), u64::MAX, 12 * 1000);
    service.append(b"before");
    let directory = Directory::list(&sandbox.log()).unwrap();
    let mut segment = Segment::open(&directory, &directory.segments[0]).unwrap();
    for _ in 0..500 {
        service.append(b"since it was opened");
    }
    service.segments()[0].flush();
    segment.fix(Some(Codec::Protobuf), Count::All).unwrap();
    assert_eq!(segment.entries, Some(501));
    assert_eq!(segment.whole_entries(501).unwrap(), 501);
    // From now on both stay as they are.
    service.append(b"later");
    assert_eq!(segment.count_entries(None).unwrap(), 501);
}

#[test]
fn a_frame_whose_entry_comes_a_moment_later_is_not_judged() {
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, ["a", "b", "c"]));
    let index = sandbox.read("0.index");
    let third = u64::from_be_bytes(index[28..36].try_into().unwrap());
    sandbox.write("0.index", &[&index[..24], &[0; 24]].concat());
    let directory = Directory::list(&sandbox.log()).unwrap();
    let mut segment = Segment::open(&directory, &directory.segments[0]).unwrap();
    segment.fix(Some(Codec::Protobuf), Count::All).unwrap();
    let end = Position(third);
    assert_eq!(segment.appended_since(2, end).unwrap(), None);
    let options = || File::options().write(true).open(sandbox.file("0.index"));
    options()
        .unwrap()
        .write_all_at(&entry(2, third), 24)
        .unwrap();
    assert_eq!(segment.appended_since(2, end).unwrap(), Some(end));
}
