//! What probes and leases do to those who come meanwhile.

use std::fs::File;
use std::time::{Duration, Instant};

use proglog::log::lease::{Grant, Pending, Probe, WriteLease, install_handler, probe_writer};
use proglog::log::processes::{Use, in_use};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::other::Other;
use super::{DEADLINE, Place, open};

#[test]
fn a_probe_leaves_nothing_behind() {
    let _alone = crate::FORKS.write();
    for place in Place::all() {
        let file = File::open(&place.path).unwrap();
        assert!(!matches!(probe_writer(&file), Probe::Writer));
        // With a lease on `file` this would have to wait.
        drop(open(&place.path, OFlags::RDWR | OFlags::NONBLOCK).unwrap());
        assert_eq!(in_use(&place.files()), Use::NoWriter);
    }
}

/// Writers come all the time, so some in the instant of a probe, whose process then
/// gets the signal.
#[test]
fn probes_and_writers_do_each_other_no_harm() {
    let _alone = crate::FORKS.write();
    for place in Place::all() {
        let prober = Other::start("prober", &place.path);
        let start = Instant::now();
        let mut slowest = Duration::ZERO;
        while start.elapsed() < Duration::from_millis(300) {
            let opening = Instant::now();
            drop(open(&place.path, OFlags::RDWR).unwrap());
            slowest = slowest.max(opening.elapsed());
        }
        assert!(slowest < DEADLINE, "{slowest:?}");
        assert!(prober.end());
    }
}

#[test]
fn a_lease_ends_with_its_value() {
    let _alone = crate::FORKS.write();
    for place in Place::all() {
        let come = |flags| open(&place.path, flags | OFlags::NONBLOCK);
        for flags in [OFlags::RDONLY, OFlags::RDWR] {
            // It outlives the file that it was taken on, and ends before it.
            let lease = place.lease();
            assert_eq!(come(flags).unwrap_err(), Errno::AGAIN);
            drop(lease);
            come(flags).unwrap();

            let file = open(&place.path, OFlags::RDWR).unwrap();
            let Grant::Held(lease) = WriteLease::take(&file) else {
                panic!("no lease");
            };
            assert_eq!(come(flags).unwrap_err(), Errno::AGAIN);
            drop(lease);
            come(flags).unwrap();
        }
    }
}

/// Asks again and again until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn who_comes_is_reported_and_waits_until_the_lease_is_let_go() {
    let _alone = crate::FORKS.write();
    let breaks = install_handler().unwrap();
    for place in Place::all() {
        for (role, pending) in [
            ("comes to read", Pending::Reader),
            ("comes to write", Pending::Writer),
        ] {
            let lease = place.lease();
            let mut other = Other::start(role, &place.path);
            assert_eq!(lease.pending(), Pending::None);
            let _ = breaks.take();
            other.tell("go");
            until(role, || lease.pending() != Pending::None);
            assert_eq!(lease.pending(), pending);
            until("the signal", || breaks.take());
            // It is in `open`, and stays there.
            std::thread::sleep(Duration::from_millis(20));
            assert!(other.has_said_nothing(), "{role}");
            drop(lease);
            other.expect("opened");
            assert!(other.end());
        }
    }
}

#[test]
fn the_signal_ends_a_wait() {
    let _alone = crate::FORKS.write();
    let breaks = install_handler().unwrap();
    let Some(place) = Place::all().pop() else {
        return;
    };
    let lease = place.lease();
    let _ = breaks.take();
    let mut other = Other::start("comes to read", &place.path);
    other.tell("go");
    let wait = rustix::time::Timespec::try_from(DEADLINE).unwrap();
    let ready = loop {
        let mut input = [rustix::event::PollFd::new(
            breaks,
            rustix::event::PollFlags::IN,
        )];
        match rustix::event::poll(&mut input, Some(&wait)) {
            Err(Errno::INTR) => {}
            ready => break ready.unwrap(),
        }
    };
    assert_eq!(ready, 1);
    assert_eq!(lease.pending(), Pending::Reader);
}

#[test]
fn a_leaseholder_is_a_writer_and_the_look_does_not_wait() {
    let _alone = crate::FORKS.write();
    for place in Place::all() {
        let mut other = Other::start("leaseholder", &place.path);
        let start = Instant::now();
        // It has the file open for reading only, so there is nobody to name.
        assert_eq!(in_use(&place.files()), Use::Writers(vec![]));
        assert!(start.elapsed() < DEADLINE);
        // SIGIO did not kill it, and it knows that we came.
        other.tell("who is there?");
        other.expect("Reader");
        assert!(other.end());
    }
}
