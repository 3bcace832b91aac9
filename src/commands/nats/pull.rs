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
use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{self, MessagesErrorKind};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use futures_util::StreamExt;
use proglog::log::config::Config;
use proglog::log::units::Offset;
use proglog::log::writer::NewRecord;
use proglog::mend::session::OpenOptions;

use super::agree::{self, Chart, hole, sequence};
use super::link::{ANSWER, Link, chain};
use super::message::Stamp;
use super::source::Source;
use super::stream::Stream;
use super::transfer::{Both, Transfer};
use super::url::StreamUrl;
use super::{Trouble, cannot, no};
use crate::commands::append::report::Talk;
use crate::commands::append::target::Target;
use crate::commands::options::SegmentSizes;
use crate::commands::signals::Signals;
use crate::commands::waiting::Waiting;
use crate::commands::{Globals, Status, quote};

/// How often an empty stream is checked again when records are followed.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What the server sends before it is asked for more: messages, and their bytes; one
/// message may be larger.
const BATCH: (usize, usize) = (2048, 4 * 1024 * 1024);

/// The server removes a consumer without requests after this time.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// A connection is good that had no error for so long.
const GOOD: Duration = Duration::from_secs(15);

/// Messages between two checks for a due commit.
const BREATHS: u64 = 64;

/// Without a message for so long the records have paused.
const PAUSE: Duration = Duration::from_millis(10);

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
    #[command(flatten)]
    sizes: SegmentSizes,
    #[command(flatten)]
    both: Both,
    #[command(flatten)]
    waiting: Waiting,
}

impl Arguments {
    fn open_options(&self) -> OpenOptions {
        OpenOptions {
            config: Config {
                max_store_bytes: self.sizes.max_store_bytes,
                max_index_bytes: self.sizes.max_index_bytes,
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
    let (url, both) = (&arguments.url, &arguments.both);
    let mut transfer = Transfer::new("pull", url, both, source, &signals, globals);
    let ended = transfer.run(async |transfer, link| round(transfer, link, &mut target).await)?;
    let finished = target.finish();
    let ended = ended.and(finished.map_err(Trouble::from));
    transfer.conclude(ended, "pulled", &quote(dir))
}

/// From the comparison of both sides to the end, or to the next error.
async fn round(
    transfer: &mut Transfer<'_>,
    link: &mut Link,
    target: &mut Target<'_>,
) -> Result<(), Trouble> {
    let (name, source) = (&transfer.url.stream, transfer.source);
    let follow = transfer.both.follow;
    let (stream, chart) = loop {
        let stream = Stream::look(&link.client, name).await?;
        let stream = stream.ok_or_else(|| cannot(format!("stream {name} does not exist")))?;
        match agree::chart(&stream).await? {
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
        Some(log_has) => go_on(&stream, &chart, source, log_has).await?,
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
        (Some(_), Some(log_has)) => go_on(&stream, &chart, source, &log_has).await?,
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
    stream: &Stream,
    chart: &Chart,
    source: Source<'_>,
    log_has: &Range<Offset>,
) -> Result<Offset, Trouble> {
    let (name, log, next) = (stream.name(), quote(source.path), log_has.end);
    let compared = agree::compare(stream, chart, source, log_has).await?;
    let (first, last) = (chart.first, chart.last);
    Err(no(if next > last.saturating_add(1) {
        format!(
            "{log} is ahead of stream {name}: its next offset is {next}, and the stream ends with \
             {last}"
        )
    } else if next < first {
        format!(
            "{log} ends before offset {next}, and stream {name} begins with {first}: it has \
             dropped the records between"
        )
    } else if !compared && !log_has.is_empty() {
        format!(
            "{log} and stream {name} have no record in common: cannot tell whether they are the \
             same log"
        )
    } else {
        return Ok(next);
    }))
}

/// The state of one pull.
struct Pulling<'a, 'b, 't> {
    /// The counters and the cancellation.
    transfer: &'a mut Transfer<'b>,
    /// The connection.
    link: &'a mut Link,
    /// The log.
    target: &'a mut Target<'t>,
    /// The stream.
    stream: &'a Stream,
    /// Its numbering.
    chart: &'a Chart,
    /// The next offset.
    next: Offset,
    /// The offset after the last one; `None` without an end.
    end: Option<Offset>,
}

impl Pulling<'_, '_, '_> {
    /// Appends the messages; returns when they are committed.
    async fn run(mut self) -> Result<(), Trouble> {
        let pulled = self.take().await;
        // Complete records received before the error are kept; after an error of the log
        // nothing is committed.
        if let Err(Trouble::Log(error)) = &pulled {
            self.target.abandon(error);
            return pulled;
        }
        pulled.and(self.commit())
    }

    async fn take(&mut self) -> Result<(), Trouble> {
        let name = self.stream.name();
        let bytes = BATCH
            .1
            .max(self.link.client.max_payload().saturating_mul(2));
        let consumer = self.consumer().await?;
        let asked = consumer
            .stream()
            .max_messages_per_batch(BATCH.0)
            .max_bytes_per_batch(bytes)
            .expires(ANSWER * 2)
            .heartbeat(ANSWER);
        let mut messages = asked
            .messages()
            .await
            .map_err(|error| Trouble::Passing(chain(&error)))?;
        let begun = Instant::now();
        let mut heard = begun;
        while self.end.is_none_or(|end| self.next < end) {
            if let Some(signal) = self.transfer.signals.raised() {
                return Err(Trouble::Signal(signal));
            }
            let message = tokio::select! {
                biased;
                trouble = self.link.lost() => return Err(trouble),
                message = messages.next() => message,
                () = tokio::time::sleep(PAUSE) => {
                    if self.end.is_some() {
                        if heard.elapsed() >= ANSWER {
                            let why = format!("stream {name} does not respond");
                            return Err(Trouble::Passing(why));
                        }
                        self.target.breathe()?;
                        continue;
                    }
                    // Nothing of the log is held while nothing comes.
                    self.commit()?;
                    if begun.elapsed() >= GOOD {
                        self.transfer.progress();
                    }
                    continue;
                }
            };
            heard = Instant::now();
            match message {
                Some(Ok(message)) => self.append(&message)?,
                Some(Err(error)) if error.kind() != MessagesErrorKind::MissingHeartbeat => {
                    return Err(Trouble::Passing(format!("stream {name}: {error}")));
                }
                _ => return Err(Trouble::Passing(format!("no answer from stream {name}"))),
            }
        }
        Ok(())
    }

    /// A consumer that expires by itself: it begins where the log ends, so a lost one costs
    /// nothing.
    async fn consumer(&self) -> Result<Consumer<pull::Config>, Trouble> {
        let config = pull::Config {
            description: Some("proglog pull".to_owned()),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: sequence(self.chart.base, self.next),
            },
            // The log itself shows which records it has.
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let made = self.stream.remote.create_consumer(config).await;
        made.map_err(|error| {
            let (name, why) = (self.stream.name(), chain(&error));
            Trouble::Passing(format!("stream {name}: cannot create a consumer: {why}"))
        })
    }

    /// Appends one message, if it is the next record.
    fn append(&mut self, message: &Message) -> Result<(), Trouble> {
        let (name, next) = (self.stream.name(), self.next);
        let info = message.info();
        let info = info.map_err(|error| Trouble::Passing(format!("stream {name}: {error}")))?;
        let (at, expected) = (info.stream_sequence, sequence(self.chart.base, next));
        if at > expected {
            let last = next.saturating_add(at - expected - 1);
            return Err(hole(name, expected, next, last));
        }
        if at < expected {
            return Err(Trouble::Passing(format!(
                "stream {name} returned message {at} instead of {expected}"
            )));
        }
        let stamp = Stamp::of(message.headers.as_ref(), at)?;
        let (offset, other, log) = (stamp.offset, stamp.log, &self.chart.log);
        if offset != next {
            return Err(no(format!(
                "message {at} of stream {name} is offset {offset}, not {next}"
            )));
        }
        if other != *log {
            return Err(no(format!(
                "message {at} of stream {name} belongs to another log ({other}, not {log})"
            )));
        }
        self.target.append(NewRecord {
            value: &message.payload,
            term: stamp.term,
            record_type: stamp.record_type,
        })?;
        Transfer::count(message.payload.len());
        if next.0.is_multiple_of(BREATHS) {
            self.target.breathe()?;
        }
        self.next = next.saturating_add(1);
        Ok(())
    }

    /// Commits the received records and reports the progress.
    fn commit(&mut self) -> Result<(), Trouble> {
        self.target.pause()?;
        let (totals, transfer) = (self.target.totals(), &mut *self.transfer);
        if totals.records > 0 && transfer.next != totals.next_offset {
            transfer.next = totals.next_offset;
            let last = totals.next_offset.and_then(|next| next.0.checked_sub(1));
            transfer.last_sequence = last.map(|last| sequence(self.chart.base, Offset(last)));
            transfer.progress();
        }
        Ok(())
    }
}
