//! Receives messages: requested in batches of bounded size, each message the next offset
//! or an error, appended and committed before the next batch is requested.

use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{Batch, Config};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use futures_util::StreamExt;
use proglog::log::units::Offset;
use proglog::log::writer::NewRecord;

use super::agree::{Chart, hole};
use super::link::{ANSWER, Link, chain};
use super::message::Stamp;
use super::patience::Patience;
use super::stream::Stream;
use super::talk::{MOVED, Totals};
use super::{Trouble, no};
use crate::commands::append::target::Target;
use crate::commands::signals::Signals;

/// Messages of a batch, and their bytes; one message may be larger.
const BATCH: (usize, usize) = (2048, 4 * 1024 * 1024);

/// How long the server waits for a batch to fill when records are followed.
const EXPIRES: Duration = Duration::from_secs(5);

/// The server removes a consumer without requests after this time.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Messages between two checks for a due commit.
const BREATHS: u64 = 64;

/// Without a message for so long the records have paused.
const PAUSE: Duration = Duration::from_millis(10);

/// The context of a pull.
pub struct Part<'a, 'b, 't> {
    /// The connection.
    pub link: &'a mut Link,
    /// The log.
    pub target: &'a mut Target<'t>,
    /// The cancellation.
    pub signals: &'a Signals,
    /// The progress line.
    pub patience: &'a mut Patience<'b>,
    /// The counters.
    pub totals: &'a mut Totals,
}

/// The range to receive.
pub struct Plan<'a> {
    /// The stream.
    pub stream: &'a Stream,
    /// Its numbering.
    pub chart: &'a Chart,
    /// The next offset.
    pub next: Offset,
    /// The offset after the last one; `None` without an end.
    pub end: Option<Offset>,
}

/// Appends the planned messages; returns when they are committed.
pub async fn pull(mut part: Part<'_, '_, '_>, plan: Plan<'_>) -> Result<(), Trouble> {
    let mut next = plan.next;
    let pulled = take(&mut part, &plan, &mut next).await;
    // Complete records received before the error are kept; after an error of the log
    // nothing is committed.
    let settled = match &pulled {
        Err(Trouble::Log(error)) => {
            part.target.abandon(error);
            Ok(())
        }
        _ => commit(&mut part, &plan),
    };
    pulled.and(settled)
}

async fn take(
    part: &mut Part<'_, '_, '_>,
    plan: &Plan<'_>,
    next: &mut Offset,
) -> Result<(), Trouble> {
    let left = |next: Offset| plan.end.map(|end| end.0.saturating_sub(next.0));
    let consumer = consumer(plan, *next).await?;
    while left(*next) != Some(0) {
        let begun = *next;
        let mut batch = ask(part.link, &consumer, left(begun)).await?;
        let mut heard = Instant::now();
        loop {
            if let Some(signal) = part.signals.raised() {
                return Err(Trouble::Signal(signal));
            }
            let message = tokio::select! {
                biased;
                lost = part.link.event() => {
                    if lost? {
                        return Err(part.link.lost());
                    }
                    continue;
                }
                message = batch.next() => message,
                () = tokio::time::sleep(PAUSE) => {
                    if plan.end.is_none() {
                        // Nothing of the log is held while nothing comes.
                        commit(part, plan)?;
                    } else {
                        part.target.breathe()?;
                    }
                    if heard.elapsed() >= EXPIRES + ANSWER {
                        return Err(Trouble::Passing(format!(
                            "no answer from stream {}", plan.stream.name()
                        )));
                    }
                    continue;
                }
            };
            heard = Instant::now();
            match message {
                Some(Ok(message)) => {
                    append(part, plan, &message, *next)?;
                    *next = Offset(next.0.saturating_add(1));
                    // A batch that was sent completely reports no more.
                    if left(*next) == Some(0) {
                        break;
                    }
                }
                Some(Err(error)) => {
                    let why = chain(&*error);
                    let name = plan.stream.name();
                    return Err(Trouble::Passing(format!("stream {name}: {why}")));
                }
                None => break,
            }
        }
        if plan.end.is_none() {
            // It waited for new records and is alive.
            part.patience.progress();
        } else if *next == begun {
            let name = plan.stream.name();
            return Err(Trouble::Passing(format!("stream {name} does not respond")));
        }
    }
    Ok(())
}

/// A consumer that expires by itself: it begins where the log ends, so a lost one costs
/// nothing.
async fn consumer(plan: &Plan<'_>, next: Offset) -> Result<Consumer<Config>, Trouble> {
    let config = Config {
        description: Some("proglog pull".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: plan.chart.sequence(next),
        },
        // The log itself shows which records it has.
        ack_policy: AckPolicy::None,
        inactive_threshold: FORGOTTEN,
        memory_storage: true,
        num_replicas: 1,
        ..Config::default()
    };
    let name = plan.stream.name();
    plan.stream
        .remote()
        .create_consumer(config)
        .await
        .map_err(|error| {
            Trouble::Passing(format!(
                "stream {name}: cannot create a consumer: {}",
                chain(&error)
            ))
        })
}

/// Asks for the next batch.
async fn ask(
    link: &Link,
    consumer: &Consumer<Config>,
    left: Option<u64>,
) -> Result<Batch, Trouble> {
    let bytes = BATCH.1.max(link.client.max_payload().saturating_mul(2));
    let batch = match left {
        Some(left) => {
            let messages = usize::try_from(left).unwrap_or(BATCH.0).min(BATCH.0);
            consumer
                .fetch()
                .max_messages(messages)
                .max_bytes(bytes)
                .messages()
                .await
        }
        None => {
            consumer
                .batch()
                .max_messages(BATCH.0)
                .max_bytes(bytes)
                .expires(EXPIRES)
                .messages()
                .await
        }
    };
    batch.map_err(|error| Trouble::Passing(chain(&error)))
}

/// Appends one message, if it is the next record.
fn append(
    part: &mut Part<'_, '_, '_>,
    plan: &Plan<'_>,
    message: &Message,
    next: Offset,
) -> Result<(), Trouble> {
    let name = plan.stream.name();
    let info = message.info();
    let info = info.map_err(|error| Trouble::Passing(format!("stream {name}: {error}")))?;
    let (sequence, expected) = (info.stream_sequence, plan.chart.sequence(next));
    if sequence > expected {
        let last = next.saturating_add(sequence - expected - 1);
        return Err(hole(name, expected, next, Some(last)));
    }
    if sequence < expected {
        return Err(Trouble::Passing(format!(
            "stream {name} returned message {sequence} instead of {expected}"
        )));
    }
    let stamp = Stamp::of(message.headers.as_ref(), sequence)?;
    if stamp.offset != next {
        return Err(no(format!(
            "message {sequence} of stream {name} is offset {}, not {next}",
            stamp.offset
        )));
    }
    if stamp.log != plan.chart.log {
        return Err(no(format!(
            "message {sequence} of stream {name} belongs to another log ({}, not {})",
            stamp.log, plan.chart.log
        )));
    }
    part.target.append(NewRecord {
        value: &message.payload,
        term: stamp.term,
        record_type: stamp.record_type,
    })?;
    MOVED.add_records(1);
    MOVED.add_bytes(message.payload.len() as u64);
    if next.0.is_multiple_of(BREATHS) {
        part.target.breathe()?;
    }
    Ok(())
}

/// Commits the received records and reports the progress.
fn commit(part: &mut Part<'_, '_, '_>, plan: &Plan<'_>) -> Result<(), Trouble> {
    part.target.pause()?;
    let reached = part.target.totals().next_offset;
    if part.target.totals().records > 0 && part.totals.next != reached {
        part.totals.next = reached;
        part.totals.last_sequence = reached
            .and_then(|next| next.0.checked_sub(1))
            .map(|last| plan.chart.sequence(Offset(last)));
        part.patience.progress();
    }
    Ok(())
}
