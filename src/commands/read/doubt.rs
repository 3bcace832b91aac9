//! Checks an obstacle again: beside a writer an entry may be half written, a frame may be
//! in a buffer, and a file may be created or removed. The check reads it again, and uses
//! the judgement of verify for buffered frames.

use std::ops::ControlFlow;
use std::thread;

use proglog::inspect::awaited::{Awaited, awaited};
use proglog::inspect::usage::{Buffered, Usage};
use proglog::log::damage::DamageKind;
use proglog::log::directory::Directory;
use proglog::log::error::Error;
use proglog::log::live::PAUSES;
use proglog::log::reader::{Item, LogReader, Obstacle};
use proglog::log::record::Codec;
use proglog::log::units::Offset;

/// Things in the way that are read again: a bound, so that a log that is damaged in very
/// many places costs no more.
const TRIES_MAX: u32 = 64;

/// Things in the way beside a writer that are waited for.
const WAITS_MAX: u32 = 8;

/// The result of checking an obstacle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It stays, and is damage.
    Damage,
    /// It stays: frames wait in a writer's buffer.
    Buffered(Buffered),
    /// It is gone: the records can be read now, or were removed.
    Gone,
}

/// The state of the check.
pub struct Doubt {
    codec: Option<Codec>,
    tries_left: u32,
    waits_left: u32,
    may_be_written: Option<bool>,
    /// Facts about the frames of a segment.
    known: Option<(Offset, Awaited)>,
}

impl Doubt {
    /// The codec of the log, if given.
    pub fn new(codec: Option<Codec>) -> Self {
        Self {
            codec,
            tries_left: TRIES_MAX,
            waits_left: WAITS_MAX,
            may_be_written: None,
            known: None,
        }
    }

    /// Checks the obstacle at `first`.
    pub fn judge(&mut self, directory: &Directory, obstacle: &Obstacle, first: Offset) -> Outcome {
        if !may_pass(obstacle) {
            return Outcome::Damage;
        }
        let dangling = obstacle.dangling();
        if self.tries_left > 0 {
            self.tries_left -= 1;
            if self.is_gone(directory, obstacle, first) {
                return Outcome::Gone;
            }
        }
        if dangling.is_none() && self.waits_left > 0 && self.may_be_written(directory) {
            self.waits_left -= 1;
            if self.goes_away(directory, obstacle, first) {
                return Outcome::Gone;
            }
        }
        let Some(segment) = dangling else {
            return Outcome::Damage;
        };
        let awaited = match self.known {
            Some((known, awaited)) if known == segment => awaited,
            _ => awaited(directory, segment),
        };
        self.known = Some((segment, awaited));
        match awaited {
            Awaited::Buffered(buffered) => Outcome::Buffered(buffered),
            Awaited::There if self.goes_away(directory, obstacle, first) => {
                self.known = None;
                Outcome::Gone
            }
            Awaited::There | Awaited::Lost => Outcome::Damage,
        }
    }

    /// Whether a process may be writing, as far as known.
    fn may_be_written(&mut self, directory: &Directory) -> bool {
        let ask = || Usage::of(directory).in_use != Some(false);
        *self.may_be_written.get_or_insert_with(ask)
    }

    /// Whether the record at an offset can be read, or is trimmed, a moment later: a writer
    /// makes and removes the two files of a segment one after the other.
    fn goes_away(&self, directory: &Directory, obstacle: &Obstacle, offset: Offset) -> bool {
        PAUSES.into_iter().any(|pause| {
            thread::sleep(pause);
            self.is_gone(directory, obstacle, offset)
        })
    }

    /// Whether the record at an offset can be read now, or was trimmed.
    fn is_gone(&self, directory: &Directory, obstacle: &Obstacle, offset: Offset) -> bool {
        let Ok(mut log) = LogReader::open(&directory.path) else {
            return false;
        };
        let is_damage = matches!(obstacle, Obstacle::Damage { .. });
        // Whether there is a record at all does not depend on the codec. In a log without
        // records every segment would be searched for that.
        let codec = self.codec.or((!is_damage).then_some(Codec::Raw));
        if let Some(codec) = codec {
            log.set_codec(codec);
        }
        if log.lowest_offset() > offset {
            return true;
        }
        let mut first = None;
        let found = log.lookup::<Error>(offset, |item| {
            first.get_or_insert(matches!(item, Item::Record(_)));
            Ok(ControlFlow::Break(()))
        });
        found.is_ok() && first == Some(true)
    }
}

/// Whether a writer at work can be what makes it.
fn may_pass(obstacle: &Obstacle) -> bool {
    match obstacle {
        Obstacle::Damage { damage, .. } => {
            !matches!(damage.kind, DamageKind::Misaligned | DamageKind::Unreadable)
        }
        Obstacle::Gap | Obstacle::Unindexed { .. } | Obstacle::Unpaired { .. } => true,
        Obstacle::Overlap { .. } | Obstacle::Contested { .. } | Obstacle::Foreign { .. } => false,
    }
}
