//! An obstacle of a follower, and its state: beside a writer an entry may be half written
//! and a frame may be in a buffer, so damage is reported only if it persists, and if no
//! writer is left that could correct it.

use std::time::{Duration, Instant};

use super::awaited::{Awaited, awaited};
use crate::log::directory::Directory;
use crate::log::follow::{Blocked, Follower};
use crate::log::items::Obstacle;
use crate::log::units::Offset;
use crate::log::window::ReadFile;

/// How long something must be in the way before it is believed.
const GRACE: Duration = Duration::from_millis(300);

/// Interval between two checks for a writer that still holds the missing data.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The longest time between two such questions.
const ASK_AT_LEAST: Duration = Duration::from_secs(16);

/// An obstacle and its state.
#[derive(Debug)]
pub struct Standing {
    blocked: Blocked,
    /// When to think of it again.
    pub due: Instant,
    /// How often it was found to be damage and not a buffer.
    convictions: u32,
    /// How long it is left alone before it is asked about once more.
    patience: Duration,
    /// Whether it was reported.
    told: bool,
}

/// What a follower does about an obstacle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It waits until it is due or the log changes.
    Wait,
    /// It is part of what was reported: the follower has passed it.
    Passed,
    /// It is certainly damage, and was not reported yet.
    Damage,
}

impl Standing {
    /// An obstacle that was not there before; `told` if it is part of the previous one.
    fn new(blocked: Blocked, told: bool) -> Self {
        Self {
            blocked,
            due: Instant::now() + GRACE,
            convictions: 0,
            patience: ASK_AGAIN,
            told,
        }
    }

    /// Decides about what a pass of a follower met last. `standing` is what it met before.
    pub fn meet(standing: &mut Option<Self>, blocked: &Blocked, follower: &mut Follower) -> Answer {
        if let Some(same) = standing.as_mut().filter(|it| it.blocked == *blocked) {
            return if same.is_convicted(follower.directory()) {
                Answer::Damage
            } else {
                Answer::Wait
            };
        }
        let told = standing.as_ref().is_some_and(|it| it.was_told(blocked));
        if let (true, Some(offset)) = (told, blocked.goes_on) {
            follower.skip_to(offset);
            return Answer::Passed;
        }
        follower.doubt_codec();
        *standing = Some(Self::new(blocked.clone(), told));
        Answer::Wait
    }

    /// Whether it is still to be decided if it is damage.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        !self.told && self.patience == ASK_AGAIN
    }

    /// Whether this obstacle was reported and is still there, or has grown into it.
    fn was_told(&self, blocked: &Blocked) -> bool {
        let first = |blocked: &Blocked| blocked.obstacles.first().map(|(_, first, _)| *first);
        self.told && first(&self.blocked).is_some() && first(&self.blocked) == first(blocked)
    }

    /// Whether it is certainly damage and not reported yet.
    fn is_convicted(&mut self, directory: &Directory) -> bool {
        let now = Instant::now();
        if now < self.due {
            return false;
        }
        if self.told {
            self.due = now + ASK_AT_LEAST;
            return false;
        }
        // A segment that is being made, or a file that shrank this instant, is nothing.
        let mut obstacles = self.blocked.obstacles.iter();
        let is_nothing = obstacles.all(|(it, _, last)| loses_nothing(directory, it, *last));
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

/// Whether nothing is lost by an obstacle: the other file of a pair that is being created, or
/// never got a record, is empty.
#[must_use]
pub fn loses_nothing(directory: &Directory, obstacle: &Obstacle, last: Option<Offset>) -> bool {
    let Obstacle::Unpaired { segment, missing } = obstacle else {
        return false;
    };
    let at = directory.segment_of(*segment);
    let Some(names) = at.and_then(|at| directory.segments.get(at)) else {
        return true;
    };
    let [path, other] = [*missing, missing.other()].map(|kind| directory.file(names, kind));
    let is_foreign = || path.link_metadata().is_ok_and(|it| !it.is_symlink());
    let is_empty = || other.metadata().map_or(0, |it| it.len()) == 0;
    last.is_none() && (ReadFile::open(&path).is_ok() || !is_foreign() && is_empty())
}

/// Whether entries without frames are in the way that may wait for a writer's buffer.
fn may_wait_in_a_buffer(directory: &Directory, blocked: &Blocked) -> bool {
    let mut obstacles = blocked.obstacles.iter();
    let dangling = obstacles.find_map(|(obstacle, ..)| obstacle.dangling());
    dangling.is_some_and(|segment| awaited(directory, segment) != Awaited::Lost)
}
