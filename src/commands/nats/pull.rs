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

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use proglog::log::config::Config;
use proglog::log::units::Offset;
use proglog::mend::session::OpenOptions;

use super::agree::{self, Chart};
use super::link::Link;
use super::pulling::Pulling;
use super::source::Source;
use super::stream::Stream;
use super::transfer::{Both, Transfer};
use super::url::StreamUrl;
use super::{Trouble, cannot, no};
use crate::commands::append::report::Talk;
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
    let words = Talk::new(false, false, globals.quiet);
    let (dir, options) = (&arguments.dir, arguments.open_options());
    let mut target = Target::new(dir, options, None, false, &signals, words)?;
    let source = Source {
        path: dir,
        codec: None,
    };
    let place = (&arguments.url, &arguments.both);
    let mut transfer = Transfer::new("pull", place, source, &signals, globals);
    let follow = arguments.both.follow;
    let ended =
        transfer.run(async |transfer, link| round(transfer, link, &mut target, follow).await)?;
    let finished = target.finish();
    let ended = ended.and(finished.map_err(Trouble::from));
    transfer.conclude(ended, "pulled", &quote(dir))
}

/// From the comparison of both sides to the end, or to the next error.
async fn round(
    transfer: &mut Transfer<'_>,
    link: &mut Link,
    target: &mut Target<'_>,
    follow: bool,
) -> Result<(), Trouble> {
    let (name, source) = (&transfer.url.stream, transfer.source);
    let (stream, chart) = loop {
        let stream = Stream::look(link, name).await?;
        let stream = stream.ok_or_else(|| cannot(format!("stream {name} does not exist")))?;
        match agree::chart(link, &stream).await? {
            Some(chart) => break (stream, chart),
            None if !follow => return Ok(()),
            None => transfer.progress(),
        }
        transfer.sleep(LOOK_AGAIN).await?;
    };
    let log_has = source.bounds_if_any()?;
    let end = chart.last.saturating_add(1);
    let next = match &log_has {
        None => chart.first,
        Some(log_has) => go_on(link, &stream, &chart, source, log_has).await?,
    };
    if next == end && !follow {
        transfer.begins_at(next);
        return Ok(());
    }
    let initial = log_has.is_none().then_some(chart.first);
    let is_empty = log_has.is_none_or(|log_has| log_has.is_empty());
    let locked = target.begin(initial, is_empty.then_some(chart.codec))?;
    let next = match (locked, source.bounds_if_any()?) {
        (Some(locked), _) if locked == next => next,
        // A crash had left more after the last record than it seemed.
        (Some(_), Some(log_has)) => go_on(link, &stream, &chart, source, &log_has).await?,
        _ => return Err(no("the log has no next offset")),
    };
    transfer.begins_at(next);
    Pulling {
        transfer,
        link,
        target,
        stream: &stream,
        chart: &chart,
        next,
        end: (!follow).then_some(end),
    }
    .run()
    .await
}

/// The next message for an existing log, if it agrees with the stream.
async fn go_on(
    link: &Link,
    stream: &Stream,
    chart: &Chart,
    source: Source<'_>,
    log_has: &Range<Offset>,
) -> Result<Offset, Trouble> {
    let (name, log, next) = (stream.name(), quote(source.path), log_has.end);
    let compared = agree::compare(link, stream, chart, source, log_has).await?;
    if next > chart.last.saturating_add(1) {
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
    if !compared && !log_has.is_empty() {
        return Err(no(format!(
            "{log} and stream {name} have no record in common: cannot tell whether they are the \
             same log"
        )));
    }
    Ok(next)
}
