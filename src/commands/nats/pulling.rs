//! Receives messages: requested in batches of bounded size, each message the next offset
//! or an error, appended and committed before the next batch is requested.

use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use futures_util::StreamExt;
use proglog::log::units::Offset;
use proglog::log::writer::NewRecord;

use super::agree::{Chart, hole, sequence};
use super::link::{ANSWER, Link, chain};
use super::message::Stamp;
use super::stream::Stream;
use super::transfer::Transfer;
use super::{Trouble, no};
use crate::commands::append::target::Target;

/// Messages of a batch, and their bytes; one message may be larger.
const BATCH: (usize, usize) = (2048, 4 * 1024 * 1024);

/// How long the server waits for a batch to fill.
const EXPIRES: Duration = Duration::from_secs(5);

/// The server removes a consumer without requests after this time.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Messages between two checks for a due commit.
const BREATHS: u64 = 64;

/// Without a message for so long the records have paused.
const PAUSE: Duration = Duration::from_millis(10);

/// The state of one pull.
pub struct Pulling<'a, 'b, 't> {
    /// The counters and the cancellation.
    pub transfer: &'a mut Transfer<'b>,
    /// The connection.
    pub link: &'a mut Link,
    /// The log.
    pub target: &'a mut Target<'t>,
    /// The stream.
    pub stream: &'a Stream,
    /// Its numbering.
    pub chart: &'a Chart,
    /// The next offset.
    pub next: Offset,
    /// The offset after the last one; `None` without an end.
    pub end: Option<Offset>,
}

impl Pulling<'_, '_, '_> {
    /// Appends the messages; returns when they are committed.
    pub async fn run(mut self) -> Result<(), Trouble> {
        let pulled = self.take().await;
        // Complete records received before the error are kept; after an error of the log
        // nothing is committed.
        if let Err(Trouble::Log(error)) = &pulled {
            self.target.abandon(error);
            return pulled;
        }
        pulled.and(self.commit())
    }

    /// How many messages are missing; `None` without an end.
    fn left(&self) -> Option<u64> {
        self.end.map(|end| end.0.saturating_sub(self.next.0))
    }

    async fn take(&mut self) -> Result<(), Trouble> {
        let name = self.stream.name();
        let consumer = self.consumer().await?;
        let bytes = BATCH
            .1
            .max(self.link.client.max_payload().saturating_mul(2));
        while self.left() != Some(0) {
            let begun = self.next;
            let messages = self.left().and_then(|left| usize::try_from(left).ok());
            let mut batch = consumer
                .batch()
                .max_messages(messages.unwrap_or(BATCH.0).min(BATCH.0))
                .max_bytes(bytes)
                .expires(EXPIRES)
                .messages()
                .await
                .map_err(|error| Trouble::Passing(chain(&error)))?;
            let mut heard = Instant::now();
            // A batch that was sent whole says no more.
            while self.left() != Some(0) {
                if let Some(signal) = self.transfer.signals.raised() {
                    return Err(Trouble::Signal(signal));
                }
                let message = tokio::select! {
                    biased;
                    trouble = self.link.lost() => return Err(trouble),
                    message = batch.next() => message,
                    () = tokio::time::sleep(PAUSE) => {
                        if self.end.is_none() {
                            // Nothing of the log is held while nothing comes.
                            self.commit()?;
                        } else {
                            self.target.breathe()?;
                        }
                        if heard.elapsed() >= EXPIRES + ANSWER {
                            let why = format!("no answer from stream {name}");
                            return Err(Trouble::Passing(why));
                        }
                        continue;
                    }
                };
                heard = Instant::now();
                match message {
                    Some(Ok(message)) => self.append(&message)?,
                    Some(Err(error)) => {
                        let why = format!("stream {name}: {}", chain(&*error));
                        return Err(Trouble::Passing(why));
                    }
                    None => break,
                }
            }
            if self.end.is_none() {
                // It waited for new records and is alive.
                self.transfer.progress();
            } else if self.next == begun {
                let why = format!("stream {name} does not respond");
                return Err(Trouble::Passing(why));
            }
        }
        Ok(())
    }

    /// A consumer that expires by itself: it begins where the log ends, so a lost one costs
    /// nothing.
    async fn consumer(&self) -> Result<Consumer<Config>, Trouble> {
        let config = Config {
            description: Some("proglog pull".to_owned()),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: sequence(self.chart.base, self.next),
            },
            // The log itself shows which records it has.
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..Config::default()
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
        if stamp.offset != next {
            return Err(no(format!(
                "message {at} of stream {name} is offset {}, not {next}",
                stamp.offset
            )));
        }
        if stamp.log != self.chart.log {
            return Err(no(format!(
                "message {at} of stream {name} belongs to another log ({}, not {})",
                stamp.log, self.chart.log
            )));
        }
        self.target.append(NewRecord {
            value: &message.payload,
            term: stamp.term,
            record_type: stamp.record_type,
        })?;
        self.transfer.count(message.payload.len());
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
