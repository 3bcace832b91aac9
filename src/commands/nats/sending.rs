//! Sends records: many in flight, each stored at its sequence or not at all, until one of
//! them is not acknowledged as expected. Then only the stream knows its state, so every
//! error ends the sending.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::IntoFuture;
use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::subject::SubjectError;
use futures_util::FutureExt;
use proglog::log::record::{Codec, Record};
use proglog::log::units::Offset;

use super::agree::sequence;
use super::link::{ANSWER, Link, chain};
use super::message::{Stamp, log_name};
use super::source::Feed;
use super::stream::refusal;
use super::transfer::Transfer;
use super::{Trouble, cannot, no};

/// Values in flight, at most; one may be larger. Units: bytes.
const IN_FLIGHT_BYTES: usize = 8 * 1024 * 1024;

/// Interval at which the log is checked for new records, and everything else for errors.
const TICK: Duration = Duration::from_millis(50);

/// The acknowledgement of a record, awaited.
type Ack = <PublishAckFuture as IntoFuture>::IntoFuture;

/// The state of one sending.
pub struct Sending<'a, 'b> {
    /// The counters and the cancellation.
    pub transfer: &'a mut Transfer<'b>,
    /// The connection.
    pub link: &'a mut Link,
    /// Publishes; one of this sending's own, as it counts what earlier ones lost.
    pub context: Context,
    /// The stream's name.
    pub stream: &'a str,
    /// The subject to publish on.
    pub subject: Subject,
    /// The offset of sequence 1.
    pub base: Offset,
    /// The log's name; `None` until its first record is there.
    pub log: Option<String>,
    /// The log's codec.
    pub codec: Codec,
    /// The most records in flight.
    pub in_flight: usize,
    /// The most bytes that a value may have.
    pub value_bytes_max: u64,
    /// The records to send.
    pub feed: Feed<'b>,
    /// Records that were read and not sent yet.
    pub backlog: VecDeque<Record>,
    /// Records whose acknowledgement is awaited, with the sizes of their values.
    pub window: VecDeque<(Offset, usize, Ack)>,
    /// The bytes of their values.
    pub window_bytes: usize,
    /// The record sent before, in this sending.
    pub behind: Option<Offset>,
    /// Why nothing more is sent once everything in flight is acknowledged.
    pub ending: Option<Trouble>,
}

impl Sending<'_, '_> {
    /// Sends the records; returns when all are acknowledged.
    pub async fn run(mut self) -> Result<(), Trouble> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while self.window.len() < self.in_flight && self.window_bytes < IN_FLIGHT_BYTES {
                let Some(record) = self.next_record() else {
                    break;
                };
                self.publish(record).await?;
            }
            if self.window.is_empty() && self.is_idle() {
                // The error has passed.
                self.transfer.progress();
                match self.ending.take() {
                    Some(trouble) => return Err(trouble),
                    None if !self.transfer.both.follow => return Ok(()),
                    None => {}
                }
            }
            tokio::select! {
                biased;
                trouble = self.link.lost() => return Err(trouble),
                acked = first_of(&mut self.window) => {
                    self.acknowledged(acked)?;
                    // Together with those that came with it, so that many are sent at a time.
                    while let Some(acked) = first_of(&mut self.window).now_or_never() {
                        self.acknowledged(acked)?;
                    }
                }
                _ = tick.tick() => self.look()?,
            }
        }
    }

    /// Whether there is nothing more to send for now.
    fn is_idle(&self) -> bool {
        self.backlog.is_empty() && (self.ending.is_some() || self.feed.is_at_end())
    }

    fn next_record(&mut self) -> Option<Record> {
        if self.backlog.is_empty() && self.ending.is_none() {
            match self.feed.batch() {
                Ok(records) => self.backlog = records.into(),
                Err(trouble) => self.ending = Some(trouble),
            }
        }
        self.backlog.pop_front()
    }

    async fn publish(&mut self, record: Record) -> Result<(), Trouble> {
        // Only a stream's first record is sent before the log has a name.
        let log = self.log.get_or_insert_with(|| log_name(&record));
        let stamp = Stamp {
            offset: record.offset,
            term: record.term,
            record_type: record.record_type,
            codec: self.codec,
            log: log.clone(),
        };
        let sequence = sequence(self.base, record.offset);
        let headers = stamp.headers(self.stream, sequence, self.behind);
        let bytes = record.value.len();
        let sent = self
            .context
            .publish_with_headers(self.subject.clone(), headers, record.value.into())
            .await;
        let ack = sent.map_err(|error| self.unsent(record.offset, &error))?;
        self.behind = Some(record.offset);
        self.window_bytes += bytes;
        self.window
            .push_back((record.offset, bytes, ack.into_future()));
        Ok(())
    }

    /// Takes the acknowledgement of the first record in flight, or what came in its place.
    fn acknowledged(&mut self, acked: Result<PublishAck, PublishError>) -> Result<(), Trouble> {
        let Some((offset, bytes, _)) = self.window.pop_front() else {
            return Ok(());
        };
        let ack = acked.map_err(|error| self.unsent(offset, &error))?;
        let (name, sequence) = (self.stream, sequence(self.base, offset));
        if ack.stream != name {
            let (subject, other) = (&self.subject, ack.stream);
            let message = format!("subject {subject} belongs to stream {other}, not {name}");
            return Err(cannot(message));
        }
        if ack.sequence != sequence {
            let other = ack.sequence;
            return Err(no(format!(
                "stream {name} has offset {offset} as message {other}, not {sequence}"
            )));
        }
        self.window_bytes -= bytes;
        Transfer::count(bytes);
        self.transfer.next = offset.checked_add(1);
        self.transfer.last_sequence = Some(sequence);
        self.transfer.progress();
        Ok(())
    }

    /// Why a record was not stored, as far as known.
    fn unsent(&self, offset: Offset, error: &PublishError) -> Trouble {
        let (name, subject) = (self.stream, &self.subject);
        let (kind, source) = (error.kind(), error.source());
        if let Some(refused) = source.and_then(|it| it.downcast_ref::<jetstream::Error>()) {
            return match refused.error_code() {
                ErrorCode::STREAM_WRONG_LAST_SEQUENCE | ErrorCode::STREAM_WRONG_LAST_MESSAGE_ID => {
                    Trouble::Passing(format!(
                        "stream {name}: offset {offset} is not the next one: {refused}"
                    ))
                }
                ErrorCode::STREAM_NOT_MATCH => cannot(format!(
                    "subject {subject} belongs to another stream than {name}"
                )),
                _ => refusal(name, refused),
            };
        }
        if let Some(invalid) = source.and_then(|it| it.downcast_ref::<SubjectError>()) {
            return cannot(format!("offset {offset}: invalid subject: {invalid}"));
        }
        let why = chain(error);
        if kind == PublishErrorKind::MaxPayloadExceeded {
            return cannot(format!("offset {offset}: {why}"));
        }
        let why = match kind {
            PublishErrorKind::StreamNotFound => format!("no responders on subject {subject}"),
            PublishErrorKind::TimedOut => {
                format!(
                    "offset {offset} was not acknowledged in {} s",
                    ANSWER.as_secs()
                )
            }
            _ => format!("offset {offset}: {why}"),
        };
        Trouble::Passing(format!("stream {name}: {why}"))
    }

    /// Now and then: a signal, and new records.
    fn look(&mut self) -> Result<(), Trouble> {
        if let Some(signal) = self.transfer.signals.raised()
            && self.ending.is_none()
        {
            self.ending = Some(Trouble::Signal(signal));
            self.backlog.clear();
        }
        if self.transfer.both.follow
            && self.ending.is_none()
            && self.is_idle()
            && let Some(grown) = self.feed.grown()?
        {
            let (source, signals) = (self.transfer.source, self.transfer.signals);
            source.check_sizes(grown, self.value_bytes_max, signals)?;
            // The first record of a log identifies it.
            self.codec = source.codec()?;
        }
        Ok(())
    }
}

/// The acknowledgement of the first record in flight.
async fn first_of(window: &mut VecDeque<(Offset, usize, Ack)>) -> Result<PublishAck, PublishError> {
    match window.front_mut() {
        Some((_, _, ack)) => ack.await,
        None => std::future::pending().await,
    }
}
