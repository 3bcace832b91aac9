//! An obstacle of a follower, and its state: beside a writer an entry may be half written
//! and a frame may be in a buffer, so damage is reported only if it persists, and if no
//! writer is left that could correct it.

use std::time::{Duration, Instant};

use proglog::inspect::awaited::{Awaited, awaited};
use proglog::log::directory::Directory;
use proglog::log::follow::Blocked;

use super::{doubt, obstacle};

/// How long something must be in the way before it is believed.
const GRACE: Duration = Duration::from_millis(300);

/// Interval between two checks for a writer that still holds the missing data.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The longest time between two such questions.
const ASK_AT_LEAST: Duration = Duration::from_secs(16);

/// An obstacle and its state.
pub struct Standing {
    pub blocked: Blocked,
    /// When to think of it again.
    pub due: Instant,
    /// How often it was found to be damage and not a buffer.
    convictions: u32,
    /// How long it is left alone before it is asked about once more.
    patience: Duration,
    /// Whether it was reported.
    pub told: bool,
}

impl Standing {
    /// An obstacle that was not there before; `told` if it is part of the previous one.
    pub fn new(blocked: Blocked, told: bool) -> Self {
        Self {
            blocked,
            due: Instant::now() + GRACE,
            convictions: 0,
            patience: ASK_AGAIN,
            told,
        }
    }

    /// Whether this obstacle was reported and is still there, or has grown into it.
    pub fn was_told(&self, blocked: &Blocked) -> bool {
        let first = |blocked: &Blocked| blocked.obstacles.first().map(|(_, first, _)| *first);
        self.told && first(&self.blocked).is_some() && first(&self.blocked) == first(blocked)
    }

    /// Whether it is certainly damage and not reported yet.
    pub fn is_convicted(&mut self, directory: &Directory) -> bool {
        let now = Instant::now();
        if now < self.due {
            return false;
        }
        if self.told {
            self.due = now + ASK_AT_LEAST;
            return false;
        }
        // A segment that is being made, or a file that shrank this instant, is nothing.
        let is_nothing =
            self.blocked.obstacles.iter().all(|(it, first, last)| {
                obstacle::describe(directory, it, *first, *last).is_none()
            });
        if is_nothing || may_wait_in_a_buffer(directory, &self.blocked) {
            self.convictions = 0;
            self.due = now + self.patience;
            self.patience = (self.patience * 2).min(ASK_AT_LEAST);
            return false;
        }
        // The writer may have ended this instant, with the rest written.
        self.convictions += 1;
        self.due = now + GRACE;
        self.told = self.convictions > 1;
        self.told
    }
}

/// Whether entries without frames are in the way that may wait for a writer's buffer.
fn may_wait_in_a_buffer(directory: &Directory, blocked: &Blocked) -> bool {
    let mut obstacles = blocked.obstacles.iter();
    let dangling = obstacles.find_map(|(obstacle, ..)| doubt::dangling(obstacle));
    dangling.is_some_and(|segment| awaited(directory, segment) != Awaited::Lost)
}
