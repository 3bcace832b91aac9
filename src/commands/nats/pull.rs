//! `proglog pull URL DIR`: appends the messages of a JetStream stream to a log under the
//! offsets in their headers, exactly once.
//!
//! ```text
//! $ proglog pull nats://localhost/LOG copy
//! created copy (raw)
//! pulled 1000 records, offsets 0..999
//! ```
//!
//! The log itself shows where to continue; the common records are compared first. If the
//! stream has dropped messages at its front, a new log begins after them. A missing
//! message is an error, and no record is ever renumbered.

use std::path::PathBuf;
use std::time::Duration;

use proglog::log::config::Config;
use proglog::log::units::Offset;
use proglog::mend::session::OpenOptions;

use super::agree::{self, Chart};
use super::link::Link;
use super::options::{self, Both};
use super::patience::Patience;
use super::pulling::{Part, Plan, pull};
use super::source::{Bounds, Source};
use super::stream::Stream;
use super::talk::{Talk, Totals, Way};
use super::url::StreamUrl;
use super::{Trouble, cannot, no};
use crate::commands::append::report;
use crate::commands::append::target::Target;
use crate::commands::signals::Signals;
use crate::commands::waiting::Waiting;
use crate::commands::{Globals, Status, quote};

/// How often an empty stream is checked again when records are followed.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
proglog pull nats://localhost/LOG copy      all records, or those that copy lacks
proglog pull nats://localhost/LOG copy -f   and new ones
proglog pull tls://a,b,c/LOG copy --creds me.creds";

const NOTES: &str = "\
The stream must be one that proglog push created. An existing log must match it;
no other proglog can append while pull runs. See docs/scale.md.";

/// Append the messages of a NATS JetStream stream, exactly once
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    /// nats://[user:pass@]host[:port]/STREAM, or tls://; several hosts with commas
    url: StreamUrl,
    /// The log's directory
    pub dir: PathBuf,
    /// Start a new segment when a store has this size [default: as the log
    /// shows, or 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = crate::commands::options::size)]
    max_store_bytes: Option<u64>,
    /// Start a new segment when an index has this size [default: as the log
    /// shows, or 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = crate::commands::options::size)]
    max_index_bytes: Option<u64>,
    #[command(flatten)]
    both: Both,
    #[command(flatten)]
    waiting: Waiting,
}

impl Arguments {
    fn open_options(&self) -> OpenOptions {
        OpenOptions {
            config: Config {
                max_store_bytes: self.max_store_bytes,
                max_index_bytes: self.max_index_bytes,
                ..Config::default()
            },
            wait: self.waiting.for_proglog(),
            wait_for_others: self.waiting.for_others(),
            assume_unused: self.waiting.assume_unused,
            ..OpenOptions::default()
        }
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let signals = Signals::install()?;
    let words = report::Talk::new(false, false, globals.quiet);
    let options = arguments.open_options();
    let target = Target::new(&arguments.dir, options, None, false, &signals, words)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut pull = Pull {
        arguments,
        source: Source::new(&arguments.dir, None),
        target,
        signals: &signals,
        patience: Patience::new(arguments.both.timeout, &signals, globals.quiet),
        totals: Totals::default(),
        talk: Talk::new(Way::Pull, globals),
        link: None,
    };
    let ended = runtime.block_on(pull.run());
    let finished = pull.target.finish();
    let ended = ended.and(finished.map_err(Trouble::from));
    let (totals, retries) = (pull.totals, pull.patience.retries);
    let (stream, json) = (&arguments.url.stream, arguments.both.json);
    pull.talk.summary(
        &totals,
        retries,
        (&arguments.dir, stream),
        json,
        ended.is_ok(),
    );
    drop(pull);
    runtime.shutdown_background();
    options::conclude(ended, &totals, |last| {
        format!(
            "{} has the records up to offset {last}",
            quote(&arguments.dir)
        )
    })
}

struct Pull<'a> {
    arguments: &'a Arguments,
    source: Source,
    target: Target<'a>,
    signals: &'a Signals,
    patience: Patience<'a>,
    totals: Totals,
    talk: Talk,
    link: Option<Link>,
}

/// The outcome of one round without an error.
enum Round {
    /// It is done.
    Done,
    /// The stream has nothing yet.
    Empty,
}

impl Pull<'_> {
    async fn run(&mut self) -> Result<(), Trouble> {
        loop {
            match self.round().await {
                Ok(Round::Done) => return Ok(()),
                Ok(Round::Empty) => {
                    self.patience.progress();
                    if let Some(signal) = self.signals.raised() {
                        return Err(Trouble::Signal(signal));
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(Trouble::Passing(why)) => self.patience.again(why).await?,
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// From the comparison of both sides to the end, or to the next error.
    async fn round(&mut self) -> Result<Round, Trouble> {
        let arguments = self.arguments;
        let (name, follow) = (&arguments.url.stream, arguments.both.follow);
        if self.link.is_none() {
            let creds = arguments.both.creds.as_deref();
            self.link = Some(Link::connect(&arguments.url, creds).await?);
        }
        let Some(link) = &mut self.link else {
            return Ok(Round::Done);
        };
        link.settle().await?;
        let stream = Stream::look(link, name).await?;
        let stream = stream.ok_or_else(|| cannot(format!("stream {name} does not exist")))?;
        let Some(chart) = agree::chart(link, &stream).await? else {
            return Ok(if follow { Round::Empty } else { Round::Done });
        };
        let bounds = self.source.bounds_if_any()?;
        let end = Offset(chart.last.0.saturating_add(1));
        let next = match bounds {
            None => chart.first,
            Some(bounds) => go_on(link, &stream, &chart, &self.source, bounds).await?,
        };
        if next == end && !follow {
            self.totals.first.get_or_insert(next);
            self.totals.next = Some(next);
            return Ok(Round::Done);
        }
        let initial = bounds.is_none().then_some(chart.first);
        let codec = bounds.is_none_or(Bounds::is_empty).then_some(chart.codec);
        let locked = self.target.begin(initial, codec)?;
        let next = match (locked, self.source.bounds_if_any()?) {
            (Some(locked), _) if locked == next => next,
            // A crash had left more after the last record than it seemed.
            (Some(_), Some(bounds)) => go_on(link, &stream, &chart, &self.source, bounds).await?,
            _ => return Err(no("the log has no next offset")),
        };
        self.totals.first.get_or_insert(next);
        self.totals.next = Some(next);
        let plan = Plan {
            stream: &stream,
            chart: &chart,
            next,
            end: (!follow).then_some(end),
        };
        let part = Part {
            link,
            target: &mut self.target,
            signals: self.signals,
            patience: &mut self.patience,
            totals: &mut self.totals,
        };
        pull(part, plan).await?;
        Ok(Round::Done)
    }
}

/// The next message for an existing log, if it agrees with the stream.
async fn go_on(
    link: &Link,
    stream: &Stream,
    chart: &Chart,
    source: &Source,
    bounds: Bounds,
) -> Result<Offset, Trouble> {
    let (name, log, next) = (stream.name(), quote(source.path()), bounds.next);
    let compared = agree::compare(link, stream, chart, source, bounds).await?;
    if next.0 > chart.last.0.saturating_add(1) {
        return Err(no(format!(
            "{log} is ahead of stream {name}: its next offset is {next}, and the stream ends \
             with {}",
            chart.last
        )));
    }
    if next < chart.first {
        return Err(no(format!(
            "{log} ends before offset {next}, and stream {name} begins with {}: it has dropped \
             the records between",
            chart.first
        )));
    }
    if !compared && !bounds.is_empty() {
        return Err(no(format!(
            "{log} and stream {name} have no record in common: cannot tell whether they are the \
             same log"
        )));
    }
    Ok(next)
}
