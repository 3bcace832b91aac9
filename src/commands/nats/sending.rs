//! Sends records and takes their acknowledgements, until one of them is not stored as
//! expected. Then only the stream knows its state, so every error ends the sending.
//!
//! A server from 2.11.5 on gets many messages at a time, each with the sequence and the id
//! that the last one before it must have. An older server stores these expectations, and
//! the copies of the stream check them again and refuse the messages. It gets one message
//! at a time, with the sequence if copies do without it (from 2.10.14 on), and with an id
//! by which it detects a duplicate for a while.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::IntoFuture;
use std::time::Instant;

use async_nats::Subject;
use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, Context};
use futures_util::FutureExt;
use proglog::log::units::Offset;
use proglog::{Record, Records};

use super::compare::OffsetMap;
use super::headers::{Headers, name_of};
use super::link::{Link, chain, context};
use super::stream::{Stream, failed};
use super::transfer::{TICK, Transfer};
use super::{Trouble, cannot, no, passing};

/// Values in flight, at most; one may be larger. Units: bytes.
const IN_FLIGHT_BYTES: usize = 8 * 1024 * 1024;

/// The shortest duplicate window that is enough for a server without expectations: a
/// message that was not acknowledged may arrive so much later. Units: seconds.
const WINDOW_MIN: u64 = 30;

/// The acknowledgement of a record, awaited.
type Ack = <PublishAckFuture as IntoFuture>::IntoFuture;

/// The state of one sending.
pub struct Sending<'a> {
    /// Publishes; a context of its own, because it counts what earlier ones lost.
    context: Context,
    stream: &'a Stream,
    subject: Subject,
    map: OffsetMap,
    /// Whether messages expect the sequence of the one before, and its id too.
    expects: (bool, bool),
    /// The most records in flight.
    in_flight: usize,
    /// Records whose acknowledgement is awaited, with the sizes of their values.
    window: VecDeque<(Offset, usize, Ack)>,
    window_bytes: usize,
    /// The id of the message before, in this sending.
    behind: Option<String>,
    /// When the end of the stream was last known.
    known: Instant,
}

impl<'a> Sending<'a> {
    /// Sends to the end of a stream, as far as `map` knows it.
    pub fn new(
        link: &Link,
        stream: &'a Stream,
        subject: String,
        map: OffsetMap,
        in_flight: u16,
    ) -> Result<Self, Trouble> {
        let since = |minor, patch| link.client.is_server_compatible(2, minor, patch);
        // From these on sources do not check again, nor do mirrors.
        let expects = (since(10, 14), since(11, 5));
        let window = stream.config().duplicate_window.as_secs();
        if !expects.0 && window < WINDOW_MIN {
            return Err(cannot(format!(
                "stream {} detects duplicates for {window} s: with a server before 2.10.14 at \
                 least {WINDOW_MIN} s are needed (duplicate_window)",
                stream.name()
            )));
        }
        Ok(Self {
            context: context(&link.client),
            stream,
            subject: subject.into(),
            map,
            expects,
            in_flight: if expects.1 { in_flight.into() } else { 1 },
            window: VecDeque::new(),
            window_bytes: 0,
            behind: None,
            known: Instant::now(),
        })
    }

    /// Sends the records; returns when all are acknowledged.
    pub async fn run(
        mut self,
        transfer: &mut Transfer<'_>,
        link: &mut Link,
        mut records: Records,
    ) -> Result<(), Trouble> {
        // Why nothing more is sent once everything in flight is acknowledged.
        let mut ending = None;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while ending.is_none()
                && self.window.len() < self.in_flight
                && self.window_bytes < IN_FLIGHT_BYTES
                && let Some(record) = records.next()
            {
                match record {
                    Ok(record) => self.publish(record).await?,
                    Err(error) => ending = Some(transfer.source.unreadable(error)),
                }
            }
            if self.window.is_empty() {
                // Everything was sent, and the error has passed.
                transfer.progress();
                return ending.map_or(Ok(()), Err);
            }
            tokio::select! {
                biased;
                trouble = link.lost() => return Err(trouble),
                acked = first_of(&mut self.window) => {
                    self.acknowledged(transfer, acked)?;
                    // Together with those that came with it, so that many are sent at a time.
                    while let Some(acked) = first_of(&mut self.window).now_or_never() {
                        self.acknowledged(transfer, acked)?;
                    }
                }
                _ = tick.tick() => if let Some(signal) = transfer.signals.raised() {
                    ending.get_or_insert(Trouble::Signal(signal));
                }
            }
        }
    }

    async fn publish(&mut self, record: Record) -> Result<(), Trouble> {
        let (offset, bytes) = (record.offset(), record.value().len());
        let (stream, record_name) = (self.stream.name(), name_of(&record));
        let headers = Headers {
            offset,
            term: record.term(),
            record_type: record.record_type(),
            codec: self.map.codec,
            // The first record of a log gives it its name.
            log: (self.map.log.get_or_insert_with(|| record_name.clone())).clone(),
        };
        // In a chain, a record of another history has another id; without one, it must be
        // detected as a duplicate. One log may be in several streams, and these in another.
        let id = if self.expects.1 {
            record_name
        } else {
            offset.to_string()
        };
        let id = format!("{stream}-{}-{id}", headers.log);
        // A sequence alone is not enough: another client's message could take it, and the
        // next message of this log would follow that one.
        let behind = self.behind.as_deref().filter(|_| self.expects.1);
        let sequence = self.map.sequence(offset) - 1;
        let headers = headers.encode(&id, self.expects.0.then_some((sequence, behind)));
        let (subject, value) = (self.subject.clone(), record.into_value());
        // As late as can be: what is sent after a pause cannot be cancelled.
        let paused = self.known.elapsed();
        if !self.expects.0 && paused > self.stream.config().duplicate_window / 2 {
            // Another push may have gone on meanwhile: compare again.
            let seconds = paused.as_secs();
            return Err(Trouble::Passing(format!("nothing sent for {seconds} s")));
        }
        let sent = self
            .context
            .publish_with_headers(subject, headers, value.into());
        let ack = sent.await.map_err(|error| self.unsent(offset, &error))?;
        self.behind = Some(id);
        self.window_bytes += bytes;
        self.window.push_back((offset, bytes, ack.into_future()));
        Ok(())
    }

    /// Takes the acknowledgement of the first record in flight, or what came in its place.
    fn acknowledged(
        &mut self,
        transfer: &mut Transfer<'_>,
        acked: Result<PublishAck, PublishError>,
    ) -> Result<(), Trouble> {
        let Some((offset, bytes, _)) = self.window.pop_front() else {
            return Ok(());
        };
        let ack = acked.map_err(|error| self.unsent(offset, &error))?;
        let (name, sequence) = (self.stream.name(), self.map.sequence(offset));
        if ack.stream != name || ack.sequence != sequence {
            return Err(no(format!(
                "offset {offset} was stored as message {} of stream {}, not {sequence} of {name}: \
                 another client publishes there",
                ack.sequence, ack.stream
            )));
        }
        if ack.duplicate {
            // Perhaps not by this log: compare again.
            return Err(passing(name, format!("offset {offset} was there already")));
        }
        self.window_bytes -= bytes;
        self.known = Instant::now();
        Transfer::count(bytes);
        transfer.reached(offset.saturating_add(1));
        transfer.last_sequence = Some(sequence);
        transfer.progress();
        Ok(())
    }

    /// Why a record was not stored, as far as known.
    fn unsent(&self, offset: Offset, error: &PublishError) -> Trouble {
        let name = self.stream.name();
        match error
            .source()
            .and_then(|it| it.downcast_ref::<jetstream::Error>())
        {
            Some(refused) => failed(name, Some(refused), error),
            None => passing(name, format!("offset {offset}: {}", chain(error))),
        }
    }
}

/// The acknowledgement of the first record in flight.
async fn first_of(window: &mut VecDeque<(Offset, usize, Ack)>) -> Result<PublishAck, PublishError> {
    match window.front_mut() {
        Some((_, _, ack)) => ack.await,
        None => std::future::pending().await,
    }
}
