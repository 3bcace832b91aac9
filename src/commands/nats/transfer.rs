//! What push and pull have in common: options, the attempts with pauses between them, and
//! what is said of progress, errors and the result.

use std::time::{Duration, Instant};

use proglog::inspect::finding::OffsetRange;
use proglog::log::progress::Progress;
use proglog::log::units::Offset;

use super::Trouble;
use super::address::{Access, Address};
use super::link::Link;
use super::source::Source;
use crate::commands::append::report::Talk;
use crate::commands::options::seconds;
use crate::commands::progress::{self, Bar};
use crate::commands::signals::{self, Signals};
use crate::commands::{Failure, Globals, Status, say, status_of};
use crate::render::json_line::JsonLine;
use crate::render::prose::{self, count};

/// The first pause after an error, and the longest; each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Interval after which the same error is reported again.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Interval at which signals and the log are checked.
pub const TICK: Duration = Duration::from_millis(50);

/// The transferred records, for the progress line.
static MOVED: Progress = Progress::new();

/// The options of both.
#[derive(Debug, clap::Args)]
pub struct Both {
    #[command(flatten)]
    pub access: Access,
    /// Continue as records arrive, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Exit with status 2 after SECONDS without progress; 0 tries once
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Print the summary as a JSON line
    #[arg(long)]
    pub json: bool,
}

/// A run of push or pull.
pub struct Transfer<'a> {
    /// The stream.
    pub address: &'a Address,
    /// The options.
    pub both: &'a Both,
    /// The log.
    pub source: Source<'a>,
    /// The cancellation.
    pub signals: &'a Signals,
    /// The words.
    pub talk: Talk,
    bar: Option<Bar>,
    /// The offset of the first record that had to be transferred.
    first: Option<Offset>,
    /// The number of records that were transferred.
    pub records: u64,
    /// The offset after the last one.
    pub next: Option<Offset>,
    /// The sequence of the last one that was.
    pub last_sequence: Option<u64>,
    /// The start of the current failure.
    failing_since: Option<Instant>,
    pause: Duration,
    told: Option<(String, Instant)>,
    retries: u64,
}

impl<'a> Transfer<'a> {
    /// Nothing was transferred yet.
    pub fn new(
        verb: &'static str,
        address: &'a Address,
        both: &'a Both,
        source: Source<'a>,
        signals: &'a Signals,
        globals: Globals,
    ) -> Self {
        let handled = progress::Signals::Handled;
        Self {
            address,
            both,
            source,
            signals,
            talk: Talk::new(false, both.json, globals.quiet),
            bar: Some(Bar::new(verb, &MOVED, || None, handled, globals)),
            first: None,
            records: 0,
            next: None,
            last_sequence: None,
            failing_since: None,
            pause: PAUSES.0,
            told: None,
            retries: 0,
        }
    }

    /// Attempts a round until one comes to its end.
    pub fn run(
        &mut self,
        mut round: impl AsyncFnMut(&mut Self, &mut Link) -> Result<(), Trouble>,
    ) -> std::io::Result<Result<(), Trouble>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let ended = runtime.block_on(async {
            let mut link = None;
            loop {
                let attempt = async {
                    let access = &self.both.access;
                    let link = match &mut link {
                        Some(link) => link,
                        None => link.insert(Link::connect(self.address, access).await?),
                    };
                    link.settle().await?;
                    round(self, link).await
                };
                match attempt.await {
                    Err(Trouble::Passing(why)) => self.wait_after(why).await?,
                    ended => return ended,
                }
            }
        });
        runtime.shutdown_background();
        Ok(ended)
    }

    /// The next record to be transferred has this offset; all before it were.
    pub fn reached(&mut self, next: Offset) {
        let first = *self.first.get_or_insert(next);
        self.next = Some(next);
        self.records = next.0.saturating_sub(first.0);
    }

    /// Counts a record for the progress line.
    pub fn count(bytes: usize) {
        MOVED.add_records(1);
        MOVED.add_bytes(bytes as u64);
    }

    /// Something continued.
    pub fn progress(&mut self) {
        self.failing_since = None;
        self.pause = PAUSES.0;
    }

    /// Reports an error and waits before the next attempt.
    async fn wait_after(&mut self, why: String) -> Result<(), Trouble> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let left = self.both.timeout.saturating_sub(since.elapsed());
        if left.is_zero() {
            let limit = self.both.timeout.as_secs_f32();
            let message = format!("{why}; no progress for {limit} s");
            return Err(Failure::new(Status::Failed, message)
                .hint("the same command continues from there; --timeout waits longer")
                .into());
        }
        let is_known =
            |(told, when): &(String, Instant)| *told == why && when.elapsed() < TELL_AGAIN;
        if !self.told.as_ref().is_some_and(is_known) {
            let seconds = left.as_secs_f32().ceil();
            self.talk
                .say(&format!("note: {why}; retrying for {seconds} s more"));
            self.told = Some((why, Instant::now()));
        }
        self.retries += 1;
        let pause = self.pause.min(left);
        self.pause = (self.pause * 2).min(PAUSES.1);
        self.sleep(pause).await
    }

    /// Waits so long, or until a signal comes.
    pub async fn sleep(&self, pause: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + pause;
        loop {
            if let Some(signal) = self.signals.raised() {
                return Err(Trouble::Signal(signal));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(TICK)).await;
        }
    }

    /// Says how a run ended, with the summary. `way` is `pushed` or `pulled`, and `holder`
    /// has the records then.
    pub fn conclude(
        mut self,
        ended: Result<(), Trouble>,
        way: &str,
        holder: &str,
    ) -> anyhow::Result<Status> {
        self.bar = None;
        self.summary(way, ended.is_ok());
        let reached = match self.next.and_then(|next| next.0.checked_sub(1)) {
            Some(last) => format!("; {holder} has the records up to offset {last}"),
            None => String::new(),
        };
        let failure = match ended {
            Ok(()) => return Ok(Status::Done),
            Err(Trouble::Final(failure)) => failure,
            Err(Trouble::Passing(why)) => Failure::new(Status::Failed, why),
            Err(Trouble::Log(error)) if reached.is_empty() => return Err(error.into()),
            Err(Trouble::Log(error)) => Failure::new(status_of(&error), error.to_string()),
            Err(Trouble::Signal(signal)) => {
                say(&format!("ended by {}{reached}", signals::name(signal)));
                signals::end_by(signal)?;
                return Ok(Status::Failed);
            }
        };
        let message = failure.message + &reached;
        Err(Failure { message, ..failure }.into())
    }

    /// The summary, as JSON and, if all went well, in words.
    fn summary(&mut self, way: &str, went_well: bool) {
        let range = self.first.zip(self.next).filter(|it| it.0 < it.1);
        let range = range.map(|(first, next)| OffsetRange {
            first,
            last: Offset(next.0 - 1),
        });
        let offsets = range.map_or_else(String::new, |range| {
            format!(", {}", prose::offsets(&[range]))
        });
        let words = format!("{way} {}{offsets}", count(self.records, "record"));
        let line = JsonLine::of("summary")
            .text("log", self.source.path.display().to_string())
            .text("stream", &self.address.stream)
            .number_if("first_offset", range.map(|range| range.first.0))
            .number_if("last_offset", range.map(|range| range.last.0))
            .number("records", self.records)
            .number_if("next_offset", self.next.map(|next| next.0))
            .number_if("last_sequence", self.last_sequence)
            .number("retries", self.retries);
        self.talk.end(&words, &line.to_string(), went_well);
    }
}
