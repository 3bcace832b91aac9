//! Retries: a back-off between attempts, a note on stderr for each, and an error after a
//! time without progress.

use std::time::{Duration, Instant};

use super::Trouble;
use crate::commands::signals::Signals;
use crate::commands::{Failure, Status, say};

/// The first pause, and the longest; each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Interval after which the same error is reported again.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// How often a pause searches for a signal.
const LOOK: Duration = Duration::from_millis(50);

/// The longest time without progress.
pub struct Patience<'a> {
    limit: Duration,
    signals: &'a Signals,
    quiet: bool,
    /// The start of the current failure.
    since: Option<Instant>,
    pause: Duration,
    told: Option<(String, Instant)>,
    /// How often something was tried again.
    pub retries: u64,
}

impl<'a> Patience<'a> {
    /// Patience for `limit` without any progress.
    pub fn new(limit: Duration, signals: &'a Signals, quiet: bool) -> Self {
        Self {
            limit,
            signals,
            quiet,
            since: None,
            pause: PAUSES.0,
            told: None,
            retries: 0,
        }
    }

    /// Something continued.
    pub fn progress(&mut self) {
        self.since = None;
        self.pause = PAUSES.0;
    }

    /// Reports the error and waits before the next attempt.
    pub async fn again(&mut self, why: String) -> Result<(), Trouble> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = self.limit.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(Failure::new(
                Status::Failed,
                format!("{why}; no progress for {} s", self.limit.as_secs_f32()),
            )
            .hint("the same command continues from there; --timeout waits longer")
            .into());
        }
        self.tell(why, left);
        self.retries += 1;
        let end = Instant::now() + self.pause.min(left);
        self.pause = (self.pause * 2).min(PAUSES.1);
        loop {
            if let Some(signal) = self.signals.raised() {
                return Err(Trouble::Signal(signal));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    fn tell(&mut self, why: String, left: Duration) {
        if self.quiet {
            return;
        }
        if let Some((told, when)) = &self.told
            && *told == why
            && when.elapsed() < TELL_AGAIN
        {
            return;
        }
        say(&format!(
            "note: {why}; retrying for {} s more",
            left.as_secs_f32().ceil()
        ));
        self.told = Some((why, Instant::now()));
    }
}
