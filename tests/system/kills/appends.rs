//! Appends of all shapes to one log, each killed at a random moment: whatever was
//! acknowledged stays, what is there is a prefix of what was sent, and the next append
//! simply goes on. The last one is left alone and must leave the log clean.

use std::time::Duration;

use proglog_testkit::{Life, memory_directory};

use crate::kills::lots::{Counts, until_killed};

/// Killed appends to one log.
const APPENDS: usize = 8;

/// No append takes so long.
const LONG: Duration = Duration::from_secs(60);

fn one(seed: u64, counts: &Counts) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let sandbox = memory_directory();
    let mut life = Life::new(sandbox.path().join("log"), &mut rng, false);
    for number in 0..=APPENDS {
        let append = life.next_append(&mut rng);
        let moment = match number {
            APPENDS => LONG,
            _ => counts.moment(&mut rng),
        };
        let ended = append.start(life.log(), sandbox.path()).end_within(moment);
        let about = format!(
            "seed {seed}: {}: append {number} ({}), killed after {:?}: {:?}: {}",
            life.kind(),
            append.shape(),
            ended.took,
            ended.status,
            ended.said()
        );
        if number < APPENDS {
            counts.count(&ended);
        }
        assert!(
            ended.is_ok() || number < APPENDS && ended.was_killed(),
            "{about}"
        );
        if let Err(what) = life
            .take_over(&append, &ended)
            .and_then(|()| life.check(true))
            .and_then(|_| life.verify(ended.is_ok()))
        {
            panic!("{what}: {about}");
        }
    }
}

#[test]
fn no_killed_append_loses_what_it_acknowledged() {
    until_killed("append", 6, one);
}
