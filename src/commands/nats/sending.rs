//! Sends records: many in flight, each stored at its sequence or not at all, until one of
//! them is not acknowledged as expected. Then only the stream knows its state, so every
//! error ends the sending.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{Message, StatusCode, Subject, Subscriber};
use futures_util::{FutureExt, StreamExt};
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::agree::sequence;
use super::feed::{Feed, Outgoing};
use super::link::{ANSWER, Link, chain};
use super::message::{LogDigest, LogId, Stamp};
use super::patience::Patience;
use super::source::Source;
use super::stream::refusal;
use super::talk::{MOVED, Totals};
use super::{Trouble, cannot, no};
use crate::commands::signals::Signals;

/// Values in flight, at most; one may be larger. Units: bytes.
const IN_FLIGHT_BYTES: usize = 8 * 1024 * 1024;

/// Interval at which the log is checked for new records, and everything else for errors.
const TICK: Duration = Duration::from_millis(50);

/// The target of the records, and the first offset.
pub struct Plan {
    /// The stream's name.
    pub stream: String,
    /// The events to check.
    pub subject: String,
    /// The offset of sequence 1.
    pub base: Offset,
    /// The log's name; `None` until its first record is there.
    pub log: Option<LogId>,
    /// The log's codec.
    pub codec: Codec,
    /// The next record.
    pub next: Offset,
    /// The records after `next` that are there now end here.
    pub end: Offset,
    /// Whether those that come later are sent too.
    pub follow: bool,
    /// The most records in flight.
    pub in_flight: usize,
    /// The most bytes that a value may have.
    pub value_bytes_max: u64,
}

/// The context of a push.
pub struct Part<'a, 'b> {
    /// The connection.
    pub link: &'a mut Link,
    /// The log.
    pub source: &'a mut Source,
    /// The cancellation.
    pub signals: &'a Signals,
    /// The progress line.
    pub patience: &'a mut Patience<'b>,
    /// The counters.
    pub totals: &'a mut Totals,
}

/// A record whose acknowledgement is awaited.
struct Sent {
    offset: Offset,
    bytes: usize,
    when: Instant,
    acknowledged: bool,
}

/// The state of one sending.
struct Sending<'a, 'b> {
    part: Part<'a, 'b>,
    plan: Plan,
    subject: Subject,
    inbox: String,
    acks: Subscriber,
    window: VecDeque<Sent>,
    window_bytes: usize,
    /// The record sent before, in this sending.
    behind: Option<Offset>,
    /// Records that were read and not sent yet.
    backlog: VecDeque<Outgoing>,
    feed: Option<Feed>,
    /// Everything before has been given to the feed.
    fed: Offset,
    /// Why nothing more is sent once everything in flight is acknowledged.
    ending: Option<Trouble>,
}

/// Sends the planned records; returns when all are acknowledged.
pub async fn send(part: Part<'_, '_>, plan: Plan) -> Result<(), Trouble> {
    let inbox = part.link.client.new_inbox();
    let acks = part.link.client.subscribe(format!("{inbox}.*")).await;
    let acks = acks.map_err(|error| Trouble::Passing(chain(&error)))?;
    let feed = Feed::begin(part.source, plan.next, plan.end)?;
    let sending = Sending {
        subject: plan.subject.as_str().into(),
        inbox,
        acks,
        window: VecDeque::new(),
        window_bytes: 0,
        behind: None,
        backlog: VecDeque::new(),
        feed: Some(feed),
        fed: plan.end,
        ending: None,
        part,
        plan,
    };
    sending.run().await
}

impl Sending<'_, '_> {
    async fn run(mut self) -> Result<(), Trouble> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while self.has_room()
                && let Some(record) = self.backlog.pop_front()
            {
                self.publish(record).await?;
            }
            if self.window.is_empty() && self.backlog.is_empty() && self.feed.is_none() {
                // The error has passed.
                self.part.patience.progress();
                match self.ending.take() {
                    Some(trouble) => return Err(trouble),
                    None if !self.plan.follow => return Ok(()),
                    None => {}
                }
            }
            let wanting = self.feed.is_some() && self.backlog.is_empty();
            tokio::select! {
                biased;
                lost = self.part.link.event() => {
                    if lost? {
                        return Err(self.part.link.lost());
                    }
                }
                ack = self.acks.next(), if !self.window.is_empty() => {
                    let ack = ack.ok_or_else(|| self.part.link.lost())?;
                    self.acknowledged(&ack)?;
                    while let Some(Some(ack)) = self.acks.next().now_or_never() {
                        self.acknowledged(&ack)?;
                    }
                }
                fed = next(&mut self.feed), if wanting => match fed {
                    Some(Ok(batch)) => self.backlog.extend(batch),
                    Some(Err(trouble)) => {
                        self.ending = Some(trouble);
                        self.feed = None;
                    }
                    None => self.feed = None,
                },
                _ = tick.tick() => self.look()?,
            }
        }
    }

    fn has_room(&self) -> bool {
        self.window.len() < self.plan.in_flight && self.window_bytes < IN_FLIGHT_BYTES
    }

    async fn publish(&mut self, record: Outgoing) -> Result<(), Trouble> {
        let plan = &mut self.plan;
        let log = plan.log.get_or_insert_with(|| {
            // Only a stream's first record is sent before the log has a name.
            let mut digest = LogDigest::new(record.offset, record.term, record.record_type);
            digest.update(&record.value);
            digest.finish()
        });
        let stamp = Stamp {
            offset: record.offset,
            term: record.term,
            record_type: record.record_type,
            codec: plan.codec,
            log: log.clone(),
        };
        let sequence = sequence(plan.base, record.offset);
        let headers = stamp.headers(&plan.stream, sequence, self.behind);
        let (bytes, value) = (record.value.len(), record.value.into());
        let reply = format!("{}.{sequence}", self.inbox);
        let subject = self.subject.clone();
        let client = &self.part.link.client;
        client
            .publish_with_reply_and_headers(subject, reply, headers, value)
            .await
            .map_err(|error| match error.kind() {
                async_nats::client::PublishErrorKind::MaxPayloadExceeded
                | async_nats::client::PublishErrorKind::InvalidSubject => {
                    cannot(format!("offset {}: {}", record.offset, chain(&error)))
                }
                async_nats::client::PublishErrorKind::Send => Trouble::Passing(chain(&error)),
            })?;
        self.behind = Some(record.offset);
        self.window_bytes += bytes;
        self.window.push_back(Sent {
            offset: record.offset,
            bytes,
            when: Instant::now(),
            acknowledged: false,
        });
        Ok(())
    }

    /// Takes an acknowledgement, or what came in its place.
    fn acknowledged(&mut self, message: &Message) -> Result<(), Trouble> {
        let plan = &self.plan;
        let asked = message.subject.rsplit('.').next();
        let Some(asked) = asked.and_then(|text| text.parse::<u64>().ok()) else {
            return Ok(());
        };
        let offset = plan.base.saturating_add(asked.saturating_sub(1));
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(Trouble::Passing(format!(
                "stream {}: no responders on subject {}",
                plan.stream, plan.subject
            )));
        }
        let answer = serde_json::from_slice::<Response<PublishAck>>(&message.payload);
        let ack = match answer {
            Ok(Response::Ok(ack)) => ack,
            Ok(Response::Err { error }) => {
                return Err(match error.error_code() {
                    ErrorCode::STREAM_WRONG_LAST_SEQUENCE
                    | ErrorCode::STREAM_WRONG_LAST_MESSAGE_ID => Trouble::Passing(format!(
                        "stream {}: offset {offset} is not the next one: {error}",
                        plan.stream
                    )),
                    ErrorCode::STREAM_NOT_MATCH => cannot(format!(
                        "subject {} belongs to another stream than {}",
                        plan.subject, plan.stream
                    )),
                    _ => refusal(&plan.stream, &error),
                });
            }
            Err(error) => {
                return Err(Trouble::Passing(format!(
                    "stream {}: invalid acknowledgement: {error}",
                    plan.stream
                )));
            }
        };
        if ack.stream != plan.stream {
            return Err(cannot(format!(
                "subject {} belongs to stream {}, not {}",
                plan.subject, ack.stream, plan.stream
            )));
        }
        if ack.sequence != asked {
            return Err(no(format!(
                "stream {} has offset {offset} as message {}, not {asked}",
                plan.stream, ack.sequence
            )));
        }
        self.count(offset);
        Ok(())
    }

    /// Counts the acknowledged records up to the first gap.
    fn count(&mut self, offset: Offset) {
        let Some(front) = self.window.front().map(|sent| sent.offset) else {
            return;
        };
        let at = offset
            .0
            .checked_sub(front.0)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(sent) = at.and_then(|at| self.window.get_mut(at)) {
            sent.acknowledged = true;
        }
        while let Some(sent) = self.window.front().filter(|sent| sent.acknowledged) {
            self.window_bytes -= sent.bytes;
            MOVED.add_records(1);
            MOVED.add_bytes(sent.bytes as u64);
            self.part.totals.next = sent.offset.checked_add(1);
            self.part.totals.last_sequence = Some(sequence(self.plan.base, sent.offset));
            self.part.patience.progress();
            self.window.pop_front();
        }
    }

    /// Now and then: a signal, an acknowledgement that does not come, new records.
    fn look(&mut self) -> Result<(), Trouble> {
        if let Some(signal) = self.part.signals.raised()
            && self.ending.is_none()
        {
            self.ending = Some(Trouble::Signal(signal));
            self.feed = None;
            self.backlog.clear();
        }
        if let Some(sent) = self.window.front()
            && sent.when.elapsed() >= ANSWER
        {
            return Err(Trouble::Passing(format!(
                "stream {}: offset {} was not acknowledged in {} s",
                self.plan.stream,
                sent.offset,
                ANSWER.as_secs()
            )));
        }
        let idle = self.feed.is_none() && self.backlog.is_empty() && self.ending.is_none();
        if self.plan.follow
            && idle
            && let Some(bounds) = self.part.source.grown()?
        {
            if bounds.next < self.fed {
                return Err(no(format!(
                    "the log ends before offset {} now; records up to {} were pushed",
                    bounds.next,
                    self.fed.0 - 1
                )));
            }
            if bounds.next > self.fed {
                let source = &self.part.source;
                let (max, signals) = (self.plan.value_bytes_max, self.part.signals);
                source.check_sizes(self.fed, bounds.next, max, signals)?;
                self.feed = Some(Feed::begin(source, self.fed, bounds.next)?);
                self.fed = bounds.next;
                // The first record of a log identifies it.
                self.plan.codec = source.codec()?;
            }
        }
        Ok(())
    }
}

async fn next(feed: &mut Option<Feed>) -> Option<super::feed::Fed> {
    feed.as_mut()?.next().await
}
