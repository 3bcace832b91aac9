//! A Go service's way to write, and a follower beside it: every index padded and
//! mapped, its entries there before their frames, which wait in a buffer of 4096
//! bytes for each store, sealed ones too.

use proglog_testkit::{Sandbox, Service};

use crate::follow::lines;
use crate::follow::running::Reading;

fn start(sandbox: &Sandbox, index_bytes: usize) -> Service {
    Service::start(&sandbox.log(), u64::MAX, index_bytes)
}

/// Appends so many numbers.
fn append(service: &mut Service, records: u64) {
    for _ in 0..records {
        service.append(service.next_offset().to_string().as_bytes());
    }
}

#[test]
fn what_waits_in_a_buffer_is_waited_for() {
    let sandbox = Sandbox::empty();
    let mut service = start(&sandbox, 12 * 100);
    let mut reading = Reading::start(&sandbox, &["-f"]);
    append(&mut service, 40);
    // Longer than it takes to believe in damage.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    reading.waits();
    reading.prints("");
    service.segments()[0].flush();
    reading.prints(&lines(0..40));
    // A roll with records of the sealed segment still in the buffer.
    append(&mut service, 100);
    reading.waits();
    assert_eq!(service.segments().len(), 2);
    reading.prints(&lines(0..40));
    service.segments()[1].flush();
    reading.waits();
    reading.prints(&lines(0..40));
    service.segments()[0].flush();
    reading.prints(&lines(0..140));
    append(&mut service, 25);
    reading.waits();
    service.stop();
    reading.prints(&lines(0..165));
    reading.waits();
    // Then proglog writes on.
    crate::follow::append(&sandbox, 165..170, &[]);
    reading.prints(&lines(0..170));
}

#[test]
fn a_service_at_full_speed_is_followed_through_its_rolls() {
    let sandbox = Sandbox::empty();
    let mut service = start(&sandbox, 12 * 1000);
    let reading = Reading::start(&sandbox, &["-f", "-c", "20000"]);
    for _ in 0..200 {
        append(&mut service, 100);
        if service.next_offset().is_multiple_of(1000) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    service.stop();
    let ended = reading.end().told(0, &[]);
    assert!(ended.out == lines(0..20000), "{} bytes", ended.out.len());
}

#[test]
fn entries_of_a_killed_service_are_damage() {
    let sandbox = Sandbox::empty();
    let mut service = start(&sandbox, 12 * 100);
    append(&mut service, 40);
    service.segments()[0].flush();
    append(&mut service, 5);
    let reading = Reading::start(&sandbox, &["-f"]);
    reading.prints(&lines(0..40));
    drop(service);
    let ended = reading.end();
    ended.told(
        3,
        &[
            "index-dangling",
            "offsets 40..44",
            "nothing follows",
            "proglog verify log",
        ],
    );
}

#[test]
fn what_a_killed_service_left_is_passed_once_it_is_mended() {
    let sandbox = Sandbox::empty();
    let mut service = start(&sandbox, 12 * 100);
    append(&mut service, 40);
    service.segments()[0].flush();
    drop(service);
    let mut reading = Reading::start(&sandbox, &["-f"]);
    reading.prints(&lines(0..40));
    sandbox
        .proglog()
        .args(["repair", "log", "--wait=20"])
        .assert()
        .success();
    crate::follow::append(&sandbox, 40..60, &["--max-index-bytes=600"]);
    reading.prints(&lines(0..60));
    reading.waits();
}
