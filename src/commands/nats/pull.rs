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
//! stream has dropped messages at its front, a new log begins after them. No record is
//! ever renumbered: after a missing message a new segment begins, or the command ends.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{self, MessagesErrorKind};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::stream::ConsumerErrorKind;
use futures_util::StreamExt;
use proglog::inspect::finding::OffsetRange;
use proglog::log::config::Config;
use proglog::log::units::Offset;
use proglog::log::writer::NewRecord;
use proglog::mend::session::OpenOptions;

use super::address::Address;
use super::compare::{OffsetMap, compare, continues, gap};
use super::headers::Headers;
use super::link::{ANSWER, Link, chain};
use super::source::Source;
use super::stream::{Stream, failed, refused};
use super::transfer::{Both, Transfer};
use super::{Trouble, cannot, no, passing};
use crate::commands::append::report::Talk;
use crate::commands::append::target::Target;
use crate::commands::options::SegmentSizes;
use crate::commands::signals::Signals;
use crate::commands::waiting::Waiting;
use crate::commands::{Globals, Status, again, quote};

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
The stream must be one that proglog push created, or a mirror of one. An existing log
must match it; no other proglog can append while pull runs. See docs/scale.md.";

/// Append the messages of a NATS JetStream stream, exactly once
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    #[arg(help = super::address::HELP)]
    url: String,
    /// The log's directory
    pub dir: PathBuf,
    /// Where the stream lacks messages: stop, or leave a gap between two segments
    #[arg(long, value_enum, value_name = "WAY", default_value = "stop")]
    on_hole: OnHole,
    #[command(flatten)]
    sizes: SegmentSizes,
    #[command(flatten)]
    both: Both,
    #[command(flatten)]
    waiting: Waiting,
}

/// What to do where the stream lacks messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OnHole {
    Stop,
    Gap,
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
    let (address, dir) = (Address::new(&arguments.url)?, &arguments.dir);
    let signals = Signals::install()?;
    let words = Talk::new(false, false, globals.quiet);
    let options = arguments.open_options();
    let mut pull = Pull {
        target: Target::new(dir, options, None, false, &signals, words)?,
        leaves_gaps: arguments.on_hole == OnHole::Gap,
        next: Offset(0),
    };
    let source = Source {
        path: dir,
        codec: None,
    };
    let both = &arguments.both;
    let mut transfer = Transfer::new("pull", &address, both, source, &signals, globals);
    let ended = transfer.run(async |transfer, link| pull.round(transfer, link).await)?;
    let finished = pull.target.finish();
    transfer.records = pull.target.totals().records;
    let ended = ended.and(finished.map_err(Trouble::from));
    transfer.conclude(ended, "pulled", &quote(dir))
}

/// The log that messages are appended to.
struct Pull<'a> {
    target: Target<'a>,
    /// Whether missing messages become gaps.
    leaves_gaps: bool,
    /// The next offset.
    next: Offset,
}

impl Pull<'_> {
    /// From the comparison of both sides to the end, or to the next error.
    async fn round(&mut self, transfer: &mut Transfer<'_>, link: &mut Link) -> Result<(), Trouble> {
        let (name, source) = (&transfer.address.stream, transfer.source);
        let follow = transfer.both.follow;
        let (stream, map) = loop {
            let stream = Stream::look(&link.client, name).await?;
            let stream = stream.ok_or_else(|| cannot(format!("stream {name} does not exist")))?;
            let last = stream.state().last_sequence;
            match OffsetMap::read(&stream).await? {
                Some(map) => break (stream, map),
                None if follow => transfer.progress(),
                None if last == 0 => return Ok(()),
                None => return Err(no(format!("stream {name} is empty after {last} messages"))),
            }
            transfer.sleep(LOOK_AGAIN).await?;
        };
        let (log, log_has) = (quote(source.path), source.bounds_if_any()?);
        self.next = map.held.start;
        if let Some(log_has) = &log_has {
            self.next = log_has.end;
            let compared = compare(&stream, &map, source, log_has).await? || log_has.is_empty();
            let mut has = map.held.start..map.next;
            if self.leaves_gaps {
                has.start = has.start.min(self.next);
            }
            let name = format!("stream {name}");
            continues((&log, self.next), (&name, &has), compared)?;
        }
        transfer.reached(self.next);
        if self.next >= map.held.end && !follow {
            return Ok(());
        }
        // Before there is a directory: the server may refuse it.
        let consumer = consumer(&stream, map.sequence(self.next)).await?;
        let initial = log_has.is_none().then_some(self.next);
        let is_empty = log_has.is_none_or(|log_has| log_has.is_empty());
        let locked = self.target.begin(initial, is_empty.then_some(map.codec))?;
        if locked != Some(self.next) {
            // A crash had left more after the last record than it seemed.
            return Err(Trouble::Passing(format!("{log} has changed")));
        }
        let pulled = self.take(transfer, link, &map, consumer).await;
        // Complete records received before the error are kept; after an error of the log
        // nothing is committed.
        if let Err(Trouble::Log(error)) = &pulled {
            self.target.abandon(error);
            return pulled;
        }
        pulled.and(self.commit(transfer, &map))
    }

    /// Appends the messages.
    async fn take(
        &mut self,
        transfer: &mut Transfer<'_>,
        link: &mut Link,
        map: &OffsetMap,
        consumer: Consumer<pull::Config>,
    ) -> Result<(), Trouble> {
        let name = &transfer.address.stream;
        let silent = || passing(name, "no answer");
        let server = link.client.max_payload();
        let asked = consumer
            .stream()
            .max_messages_per_batch(BATCH.0)
            .max_bytes_per_batch(BATCH.1.max(server.saturating_mul(2)))
            .expires(ANSWER * 2)
            .heartbeat(ANSWER);
        let messages = asked.messages().await;
        let mut messages = messages.map_err(|error| passing(name, chain(&error)))?;
        let begun = Instant::now();
        let mut heard = begun;
        while transfer.both.follow || self.next < map.held.end {
            if let Some(signal) = transfer.signals.raised() {
                return Err(Trouble::Signal(signal));
            }
            let message = tokio::select! {
                biased;
                trouble = link.lost() => return Err(trouble),
                message = messages.next() => message,
                () = tokio::time::sleep(PAUSE) => {
                    if transfer.both.follow {
                        // Nothing of the log is held while nothing comes.
                        self.commit(transfer, map)?;
                        if begun.elapsed() >= GOOD {
                            transfer.progress();
                        }
                    } else if heard.elapsed() >= ANSWER {
                        return Err(silent());
                    } else {
                        self.target.breathe()?;
                    }
                    continue;
                }
            };
            heard = Instant::now();
            match message {
                Some(Ok(message)) => self.append(transfer, map, &message)?,
                Some(Err(error)) if error.kind() != MessagesErrorKind::MissingHeartbeat => {
                    return Err(passing(name, chain(&error)));
                }
                _ => return Err(silent()),
            }
        }
        Ok(())
    }

    /// Appends one message, if it is the next record.
    fn append(
        &mut self,
        transfer: &Transfer<'_>,
        map: &OffsetMap,
        message: &Message,
    ) -> Result<(), Trouble> {
        let (name, next) = (&transfer.address.stream, self.next);
        let info = message.info().map_err(|error| passing(name, error))?;
        let sequence = info.stream_sequence;
        let headers = Headers::parse(message.headers.as_ref(), sequence)?;
        let (offset, log) = (headers.offset, &headers.log);
        if map.offset(sequence) != offset || map.log.as_ref() != Some(log) {
            return Err(no(format!(
                "message {sequence} of stream {name} is offset {offset} of log {log}: it does not \
                 belong to the messages before it"
            )));
        }
        if offset < next {
            return Err(passing(name, format!("message {sequence} came again")));
        }
        if offset > next {
            let (first, last) = (next, Offset(offset.0 - 1));
            let missing = gap(name, map.sequence(next), OffsetRange { first, last });
            if !self.leaves_gaps {
                return Err(missing.hint(again("--on-hole gap")).into());
            }
            transfer.talk.say(&format!("note: {}", missing.message));
            self.target.skip_to(offset)?;
        }
        self.target.append(NewRecord {
            value: &message.payload,
            term: headers.term,
            record_type: headers.record_type,
        })?;
        Transfer::count(message.payload.len());
        if offset.0.is_multiple_of(BREATHS) {
            self.target.breathe()?;
        }
        self.next = offset.saturating_add(1);
        Ok(())
    }

    /// Commits the received records and reports the progress.
    fn commit(&mut self, transfer: &mut Transfer<'_>, map: &OffsetMap) -> Result<(), Trouble> {
        self.target.pause()?;
        let totals = self.target.totals();
        if totals.records > 0 && transfer.next != totals.next_offset {
            transfer.next = totals.next_offset;
            transfer.last_sequence = totals.last_offset.map(|last| map.sequence(last));
            transfer.progress();
        }
        Ok(())
    }
}

/// A consumer that expires by itself: it begins where the log ends, so a lost one costs
/// nothing.
async fn consumer(stream: &Stream, start_sequence: u64) -> Result<Consumer<pull::Config>, Trouble> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        // The log itself shows which records it has.
        ack_policy: AckPolicy::None,
        inactive_threshold: FORGOTTEN,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let created = stream.remote.create_consumer(config).await;
    created.map_err(|error| {
        let refused = refused!(error, ConsumerErrorKind::JetStream);
        failed(stream.name(), refused.as_ref(), &error)
    })
}
