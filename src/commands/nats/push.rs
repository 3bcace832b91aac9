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

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::agree::{self, Chart};
use super::link::{Link, context};
use super::message::Stamp;
use super::sending::Sending;
use super::source::{Feed, Source};
use super::stream::Stream;
use super::transfer::{Both, Transfer};
use super::url::StreamUrl;
use super::{Trouble, cannot, no};
use crate::commands::options::{number, within};
use crate::commands::signals::Signals;
use crate::commands::{Failure, Globals, Status, again, quote};

/// How often, and how long apart, a stream is searched for that the server would not
/// make.
const LOOKS: usize = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
proglog push log nats://localhost/LOG --create   all records, to a new stream
proglog push log nats://localhost/LOG            the records it lacks
proglog push log nats://me:secret@a,b,c/LOG -f   to a cluster, as records arrive
proglog push log tls://host/LOG --creds me.creds";

const NOTES: &str = "\
After an interruption, the same command continues where the stream ends. A stream
with other records is refused. docs/scale.md describes the messages.";

/// Publish all records to a NATS JetStream stream, in order, exactly once
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    /// nats://[user:pass@]host[:port]/STREAM, or tls://; several hosts with commas
    url: StreamUrl,
    /// Create the stream if it does not exist: on disk, without limits
    #[arg(long)]
    create: bool,
    /// Keep a new stream on this many servers [default: 1]
    #[arg(long, value_name = "N", requires = "create",
          value_parser = within::<u8>(1, 5))]
    replicas: Option<u8>,
    /// Publish to this subject [default: the only one of the stream, or the name of a new
    /// stream]
    #[arg(long)]
    subject: Option<String>,
    /// Start a new stream at this offset [default: the first of the log]
    #[arg(long, value_name = "N", value_parser = number)]
    from: Option<u64>,
    /// Send at most this many records before the first is acknowledged
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
    let source = Source {
        path: &arguments.dir,
        codec: arguments.codec,
    };
    // A directory that is not a log is reported before the server is asked.
    source.bounds()?;
    let signals = Signals::install()?;
    let (url, both) = (&arguments.url, &arguments.both);
    let mut transfer = Transfer::new("push", url, both, source, &signals, globals);
    let mut push = Push {
        arguments,
        end: None,
        checked: None,
    };
    let ended = transfer.run(async |transfer, link| push.round(transfer, link).await)?;
    let holder = format!("stream {}", arguments.url.stream);
    transfer.conclude(ended, "pushed", &holder)
}

struct Push<'a> {
    arguments: &'a Arguments,
    /// The end of the log when the command began.
    end: Option<Offset>,
    /// The sizes of the records up to here have been compared with this limit.
    checked: Option<(Offset, u64)>,
}

impl Push<'_> {
    /// From asking the stream for its end to the end of the log, or to the next error.
    async fn round(&mut self, transfer: &mut Transfer<'_>, link: &mut Link) -> Result<(), Trouble> {
        let (arguments, source) = (self.arguments, transfer.source);
        let log_has = source.bounds()?;
        let begun = *self.end.get_or_insert(log_has.end);
        let end = if arguments.both.follow {
            log_has.end
        } else {
            begun.min(log_has.end)
        };
        let stream = self.find(transfer, link, &log_has).await?;
        let name = stream.name();
        let subject = stream.subject(arguments.subject.as_deref())?;
        let chart = agree::chart(&stream).await?;
        let (base, next, log) = if let Some(chart) = chart {
            let next = self.go_on(&stream, &chart, source, &log_has).await?;
            (chart.base, next, Some(chart.log))
        } else {
            let base = self.begin(&log_has)?;
            let log = log_has.contains(&base).then(|| source.name(base));
            (base, base, log.transpose()?.flatten())
        };
        let server = link.client.max_payload();
        let own = usize::try_from(stream.config().max_message_size).unwrap_or(0);
        let most = if own == 0 { server } else { server.min(own) };
        let value_bytes_max = beside_headers(most, name);
        if self.checked != Some((end, value_bytes_max)) {
            source.check_sizes(next..end, value_bytes_max, transfer.signals)?;
            self.checked = Some((end, value_bytes_max));
        }
        if transfer.next.is_some_and(|reached| reached > next) {
            transfer.talk.say(&format!(
                "note: stream {name} lost messages that it had acknowledged; they are sent again \
                 from offset {next} on",
            ));
        }
        if transfer.next.is_some_and(|reached| reached < next) {
            transfer.progress();
        }
        transfer.begins_at(next);
        let last_sequence = stream.state().last_sequence;
        transfer.last_sequence = (last_sequence > 0).then_some(last_sequence);
        // The end may be before what the stream has, or never have been reached so far.
        let feed = Feed::of(source, next..end.max(next))?;
        Sending {
            context: context(&link.client),
            transfer,
            link,
            stream: name,
            subject: subject.into(),
            base,
            log,
            codec: source.codec()?,
            in_flight: usize::from(arguments.in_flight),
            value_bytes_max,
            feed,
            backlog: VecDeque::new(),
            window: VecDeque::new(),
            window_bytes: 0,
            behind: None,
            ending: None,
        }
        .run()
        .await
    }

    /// The stream, which may have to be made first.
    async fn find(
        &self,
        transfer: &Transfer<'_>,
        link: &Link,
        log_has: &Range<Offset>,
    ) -> Result<Stream, Trouble> {
        let (arguments, name) = (self.arguments, &self.arguments.url.stream);
        let mut stream = Stream::look(&link.client, name).await?;
        if stream.is_none() && arguments.create {
            let first = self.begin(log_has)?;
            // Nothing is made for a log that cannot go there.
            let most = beside_headers(link.client.max_payload(), name);
            let source = transfer.source;
            source.check_sizes(first..log_has.end, most, transfer.signals)?;
            let subject = arguments.subject.as_deref().unwrap_or(name);
            let replicas = arguments.replicas.unwrap_or(1);
            match Stream::create(&link.client, name, subject, replicas).await {
                Ok(()) => transfer.talk.say(&format!("created stream {name}")),
                Err(refused) => made_by_another(link, name, refused).await?,
            }
            stream = Stream::look(&link.client, name).await?;
        }
        let Some(stream) = stream else {
            let message = format!("stream {name} does not exist");
            if arguments.create {
                return Err(Trouble::Passing(message + " yet"));
            }
            let failure = Failure::new(Status::Failed, message);
            return Err(failure.hint(again("--create")).into());
        };
        let config = stream.config();
        let unfit = [
            (config.no_ack, "acknowledges nothing (no_ack)"),
            (config.sealed, "is sealed"),
            (config.mirror.is_some(), "mirrors another stream"),
        ];
        match unfit.iter().find(|(unfit, _)| *unfit) {
            Some((_, why)) => Err(cannot(format!(
                "stream {name} cannot take records: it {why}"
            ))),
            None => Ok(stream),
        }
    }

    /// The first offset of a new stream.
    fn begin(&self, log_has: &Range<Offset>) -> Result<Offset, Trouble> {
        let (first, end) = (log_has.start, log_has.end);
        let from = self.arguments.from.map_or(first, Offset);
        Err(no(if from < first {
            format!("offset {from} is no longer in the log, which begins at {first}")
        } else if from > end {
            format!("offset {from} is not in the log yet: the next offset is {end}")
        } else {
            return Ok(from);
        }))
    }

    /// The next offset for a stream with messages, if it belongs to this log.
    async fn go_on(
        &self,
        stream: &Stream,
        chart: &Chart,
        source: Source<'_>,
        log_has: &Range<Offset>,
    ) -> Result<Offset, Trouble> {
        let (name, base, log) = (stream.name(), chart.base, quote(source.path));
        if let Some(from) = self.arguments.from.filter(|&from| from != base.0) {
            return Err(cannot(format!(
                "--from {from} needs a new stream: {name} begins with offset {base}"
            )));
        }
        let compared = agree::compare(stream, chart, source, log_has).await?;
        let (first, end, last) = (log_has.start, log_has.end, chart.last);
        let next = last.saturating_add(1);
        Err(no(if next > end {
            format!(
                "stream {name} is ahead of {log}: it has offset {last}, and the log's next offset \
                 is {end}"
            )
        } else if next < first {
            format!(
                "{log} begins with offset {first}, and stream {name} ends with {last}: the \
                 records between are gone"
            )
        } else if !compared {
            format!(
                "stream {name} and {log} have no record in common: cannot tell whether they are \
                 the same log"
            )
        } else {
            return Ok(next);
        }))
    }
}

/// Whether another push has made the stream since it was searched for, or is about to:
/// the server then refuses a second one, at times for the subjects of the first. Else
/// `refused` applies
async fn made_by_another(link: &Link, name: &str, refused: Trouble) -> Result<(), Trouble> {
    for _ in 0..LOOKS {
        if let Ok(Some(_)) = Stream::look(&link.client, name).await {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Err(refused)
}

/// The most bytes that a value may have in a message of so many.
fn beside_headers(bytes: usize, stream: &str) -> u64 {
    (bytes as u64).saturating_sub(Stamp::headers_bytes_max(stream))
}
