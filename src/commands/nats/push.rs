//! `proglog push DIR URL`: every record of a log to a JetStream stream, in order,
//! exactly once.
//!
//! ```text
//! $ proglog push log nats://localhost/LOG --create
//! pushed 1000 records, offsets 0..999
//! ```
//!
//! It keeps no state: it asks the stream for its last message, compares it with the
//! record of the log, and continues after it. After every error it does so again.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::stream::RetentionPolicy;
use proglog::inspect::finding::OffsetRange;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::address::Address;
use super::compare::{OffsetMap, compare, continues, gap};
use super::headers::Headers;
use super::link::Link;
use super::sending::Sending;
use super::source::{Source, VALUE_BYTES_MAX};
use super::stream::{Stream, concrete_subject};
use super::transfer::{Both, TICK, Transfer};
use super::{Trouble, cannot, no, passing};
use crate::commands::offsets::not_yet;
use crate::commands::options::{number, within};
use crate::commands::signals::Signals;
use crate::commands::{Failure, Globals, Status, again, quote};

/// How long the server may take until a stream that another push creates is there.
const CREATED: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
proglog push log nats://localhost/LOG --create   all records, to a new stream
proglog push log nats://localhost/LOG            the records it lacks
proglog push log nats://me@a,b,c/LOG --password-file secret -f   to a cluster, as records arrive
proglog push log tls://host/LOG --creds me.creds";

const NOTES: &str = "\
After an interruption, the same command continues where the stream ends. A
stream with other records is refused. docs/scale.md describes the messages.";

/// Publish all records to a NATS JetStream stream, in order, exactly once
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    #[arg(help = super::address::HELP)]
    url: String,
    /// Create the stream if it does not exist: on disk, without limits
    #[arg(long)]
    create: bool,
    /// Keep a new stream on this many servers [default: 1]
    #[arg(long, value_name = "N", requires = "create",
          value_parser = within::<u8>(1, 5))]
    replicas: Option<u8>,
    /// Publish to this subject, without wildcards [default: the only one of the stream, or
    /// the name of a new stream]
    #[arg(long, value_parser = concrete_subject)]
    subject: Option<String>,
    /// Start a stream without messages at this offset; required if it had messages
    /// [default: the first of the log]
    #[arg(long, value_name = "N", value_parser = number)]
    from: Option<u64>,
    /// Send at most this many records before the first is acknowledged; to a server before
    /// 2.11.5 always 1
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = within::<u16>(1, 4096))]
    in_flight: u16,
    #[arg(long, value_name = "CODEC", help = crate::commands::options::CODEC)]
    codec: Option<Codec>,
    #[command(flatten)]
    both: Both,
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let address = Address::new(&arguments.url)?;
    let source = Source {
        path: &arguments.dir,
        codec: arguments.codec,
    };
    // A directory that is not a log is reported before the server is asked.
    source.bounds()?;
    let signals = Signals::install()?;
    let both = &arguments.both;
    let mut transfer = Transfer::new("push", &address, both, source, &signals, globals);
    let mut end = None;
    let ended = transfer.run(async |transfer, link| {
        loop {
            let next = round(arguments, transfer, link, &mut end).await?;
            if !both.follow {
                return Ok(());
            }
            // Whatever it is: the next round compares it with the stream.
            let mut news = source.reader(VALUE_BYTES_MAX)?.follow(next..);
            while news.next_within(Duration::ZERO).is_none() {
                tokio::select! {
                    trouble = link.lost() => return Err(trouble),
                    paused = transfer.sleep(TICK) => paused?,
                }
            }
        }
    })?;
    let holder = format!("stream {}", address.stream);
    transfer.conclude(ended, "pushed", &holder)
}

/// From asking the stream for its end to the end of the log, which is given, or to the next
/// error. `end` is the end of the log when the command began.
async fn round(
    arguments: &Arguments,
    transfer: &mut Transfer<'_>,
    link: &mut Link,
    end: &mut Option<Offset>,
) -> Result<Offset, Trouble> {
    let source = transfer.source;
    let log_has = source.bounds()?;
    let end = *end.get_or_insert(if arguments.both.follow {
        Offset::MAX
    } else {
        log_has.end
    });
    let stream = find(arguments, transfer, link, &log_has).await?;
    let subject = stream.subject(arguments.subject.as_deref())?;
    let map = match OffsetMap::read(&stream).await? {
        Some(map) => {
            resume(arguments, transfer, &stream, &map, &log_has).await?;
            map
        }
        None => begin(arguments, transfer, &stream, &log_has)?,
    };
    let (name, next) = (stream.name(), map.next);
    match transfer.next {
        Some(reached) if reached > next => transfer.talk.say(&format!(
            "note: stream {name} lost messages that it had acknowledged; they are sent again from \
             offset {next} on"
        )),
        Some(reached) if reached < next => transfer.progress(),
        _ => {}
    }
    transfer.reached(next);
    let last_sequence = stream.state().last_sequence;
    transfer.last_sequence = (last_sequence > 0).then_some(last_sequence);
    let server = link.client.max_payload();
    let own = usize::try_from(stream.config().max_message_size).unwrap_or(0);
    let bytes_max = if own == 0 { server } else { server.min(own) } as u64;
    let value_bytes_max = bytes_max.saturating_sub(Headers::bytes_max(name));
    // The end may be before what the stream has, or never have been reached so far.
    let end = end.min(log_has.end).max(next);
    let records = source.reader(value_bytes_max)?.records(next..end);
    let sending = Sending::new(link, &stream, subject, map, arguments.in_flight)?;
    sending.run(transfer, link, records).await?;
    if transfer.next != Some(end) {
        // It was cut; the next attempt compares it with the stream.
        return Err(source.changed());
    }
    Ok(end)
}

/// The stream, which may have to be created first.
async fn find(
    arguments: &Arguments,
    transfer: &Transfer<'_>,
    link: &Link,
    log_has: &Range<Offset>,
) -> Result<Stream, Trouble> {
    let (client, name) = (&link.client, &transfer.address.stream);
    let mut found = Stream::look(client, name).await?;
    if found.is_none() && arguments.create {
        first(arguments, log_has)?;
        let subject = arguments.subject.as_deref().unwrap_or(name);
        let replicas = arguments.replicas.unwrap_or(1);
        let created = Stream::create(client, name, subject, replicas).await;
        match &created {
            Ok(()) => transfer.talk.say(&format!("created stream {name}")),
            // Perhaps another push creates it.
            Err(_) => tokio::time::sleep(CREATED).await,
        }
        found = Stream::look(client, name).await?;
        if found.is_none() {
            created?;
            return Err(passing(name, "not there yet"));
        }
    }
    let stream = found.ok_or_else(|| {
        let failure = Failure::new(Status::Failed, format!("stream {name} does not exist"));
        failure.hint(again("--create"))
    })?;
    if stream.config().no_ack {
        return Err(cannot(format!(
            "stream {name} acknowledges nothing (no_ack)"
        )));
    }
    Ok(stream)
}

/// The offset at which a stream without messages starts.
fn first(arguments: &Arguments, log_has: &Range<Offset>) -> Result<Offset, Trouble> {
    let from = arguments.from.map_or(log_has.start, Offset);
    let (first, end) = (log_has.start, log_has.end);
    Err(no(if from < first {
        format!("offset {from} is no longer in the log, which begins at {first}")
    } else if from > end {
        not_yet(from, end)
    } else {
        return Ok(from);
    }))
}

/// Starts a stream without messages, perhaps after some that are gone.
fn begin(
    arguments: &Arguments,
    transfer: &Transfer<'_>,
    stream: &Stream,
    log_has: &Range<Offset>,
) -> Result<OffsetMap, Trouble> {
    let (name, last) = (stream.name(), stream.state().last_sequence);
    // In this run the numbering is known: what came since was in flight.
    let known = transfer.last_sequence.unwrap_or(0);
    let since = last.checked_sub(known).filter(|_| last > 0);
    let reached = transfer.next.zip(since);
    let reached = reached.map(|(next, since)| next.saturating_add(since));
    let next = match reached.filter(|reached| *reached <= log_has.end) {
        Some(reached) => reached,
        None => first(arguments, log_has)?,
    };
    let is_known = reached == Some(next) || arguments.from.is_some() && transfer.next.is_none();
    // Sequence 1 would be before offset 0.
    if last > 0 && (!is_known || next.0 < last) {
        let message = format!(
            "stream {name} is empty after {last} messages: which records these were is unknown"
        );
        let failure = Failure::new(Status::No, message).hint(format!(
            "if they were the first {last} records of this log: {}",
            again(&format!("--from {}", log_has.start.saturating_add(last)))
        ));
        return Err(failure.into());
    }
    OffsetMap::starting(next, stream, transfer.source)
}

/// Checks that a stream with messages belongs to the log and can be continued.
async fn resume(
    arguments: &Arguments,
    transfer: &Transfer<'_>,
    stream: &Stream,
    map: &OffsetMap,
    log_has: &Range<Offset>,
) -> Result<(), Trouble> {
    let (name, source, next) = (stream.name(), transfer.source, map.next);
    let (base, from) = (map.offset(1), arguments.from.map(Offset));
    if let Some(from) = from.filter(|_| transfer.next.is_none())
        && ![base, next].contains(&from)
    {
        return Err(cannot(format!(
            "--from {from} needs a stream without messages: {name} begins with offset {base}, and \
             its next offset is {next}"
        )));
    }
    let compared = compare(stream, map, source, log_has).await?;
    let (this, log) = (format!("stream {name}"), quote(source.path));
    continues((&this, next), (&log, log_has), compared)?;
    // Messages at the end that are missing may have been another client's.
    let limits = stream.config().retention == RetentionPolicy::Limits;
    let missing = map.held.end..next;
    if !missing.is_empty() && limits && ![from, transfer.next].contains(&Some(next)) {
        let (first, last) = (missing.start, Offset(next.0 - 1));
        let failure = gap(name, map.sequence(first), OffsetRange { first, last });
        let hint = again(&format!("--from {next}"));
        return Err(failure
            .hint(format!("if they were these records: {hint}"))
            .into());
    }
    Ok(())
}
