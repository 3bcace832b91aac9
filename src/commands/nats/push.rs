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

use std::path::PathBuf;
use std::time::Duration;

use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::agree::{self, Chart};
use super::link::Link;
use super::message::Stamp;
use super::options::{self, Both};
use super::patience::Patience;
use super::sending::{Part, Plan, send};
use super::source::{Bounds, Source};
use super::stream::{NewStream, Stream};
use super::talk::{Talk, Totals, Way};
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
    let mut source = Source::new(&arguments.dir, arguments.codec);
    // A directory that is not a log is reported before the server is asked.
    source.bounds()?;
    let signals = Signals::install()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut push = Push {
        arguments,
        source: &mut source,
        signals: &signals,
        patience: Patience::new(arguments.both.timeout, &signals, globals.quiet),
        totals: Totals::default(),
        talk: Talk::new(Way::Push, globals),
        link: None,
        end: None,
        checked: None,
    };
    let ended = runtime.block_on(push.run());
    let (totals, retries) = (push.totals, push.patience.retries);
    let stream = &arguments.url.stream;
    let json = arguments.both.json;
    push.talk.summary(
        &totals,
        retries,
        (&arguments.dir, stream),
        json,
        ended.is_ok(),
    );
    drop(push);
    runtime.shutdown_background();
    options::conclude(ended, &totals, |last| {
        format!("stream {stream} has the records up to offset {last}")
    })
}

struct Push<'a> {
    arguments: &'a Arguments,
    source: &'a mut Source,
    signals: &'a Signals,
    patience: Patience<'a>,
    totals: Totals,
    talk: Talk,
    link: Option<Link>,
    /// The end of the log when the command began.
    end: Option<Offset>,
    /// The sizes of the records up to here have been compared with this limit.
    checked: Option<(Offset, u64)>,
}

impl Push<'_> {
    async fn run(&mut self) -> Result<(), Trouble> {
        loop {
            match self.round().await {
                Err(Trouble::Passing(why)) => self.patience.again(why).await?,
                other => return other,
            }
        }
    }

    /// From asking the stream for its end to the end of the log, or to the next error.
    async fn round(&mut self) -> Result<(), Trouble> {
        let arguments = self.arguments;
        if self.link.is_none() {
            let creds = arguments.both.creds.as_deref();
            self.link = Some(Link::connect(&arguments.url, creds).await?);
        }
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        link.settle().await?;
        let bounds = self.source.bounds()?;
        let end = *self.end.get_or_insert(bounds.next);
        let end = if arguments.both.follow {
            bounds.next
        } else {
            end
        };
        let look = (self.source as &Source, bounds, self.signals);
        let stream = find(link, arguments, look, &self.talk).await?;
        let subject = stream.subject(arguments.subject.as_deref())?;
        let chart = agree::chart(link, &stream).await?;
        let (base, next) = match &chart {
            None => begin(arguments, bounds).map(|base| (base, base))?,
            Some(chart) => {
                let next = go_on(arguments, link, &stream, chart, self.source, bounds).await?;
                (chart.base, next)
            }
        };
        let log = match chart {
            Some(chart) => Some(chart.log),
            None if bounds.hold(base) => self.source.id(base)?,
            None => None,
        };
        let value_bytes_max = value_bytes_max(link, &stream);
        if self.checked != Some((end, value_bytes_max)) {
            let signals = self.signals;
            self.source
                .check_sizes(next, end, value_bytes_max, signals)?;
            self.checked = Some((end, value_bytes_max));
        }
        if self.totals.next.is_some_and(|reached| reached > next) {
            self.talk.note(&format!(
                "note: stream {} lost messages that it had acknowledged; they are sent again \
                 from offset {next} on",
                stream.name()
            ));
        }
        if self.totals.next.is_some_and(|reached| reached < next) {
            self.patience.progress();
        }
        self.totals.first.get_or_insert(next);
        self.totals.next = Some(next);
        self.totals.last_sequence = (stream.last > 0).then_some(stream.last);
        let plan = Plan {
            stream: stream.name().to_owned(),
            subject,
            base,
            log,
            codec: self.source.codec()?,
            next,
            // One that was trimmed at its end meanwhile, or never reached so far.
            end: end.max(next),
            follow: arguments.both.follow,
            in_flight: usize::from(arguments.in_flight),
            value_bytes_max,
        };
        let part = Part {
            link,
            source: self.source,
            signals: self.signals,
            patience: &mut self.patience,
            totals: &mut self.totals,
        };
        send(part, plan).await
    }
}

/// Whether another push has made the stream since it was searched for, or is about to:
/// the server then refuses a second one, at times for the subjects of the first. Else
/// `refused` applies
async fn made_by_another(link: &Link, name: &str, refused: Trouble) -> Result<(), Trouble> {
    for _ in 0..LOOKS {
        if let Ok(Some(_)) = Stream::look(link, name).await {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Err(refused)
}

/// The stream, which may have to be made first.
async fn find(
    link: &Link,
    arguments: &Arguments,
    (source, bounds, signals): (&Source, Bounds, &Signals),
    talk: &Talk,
) -> Result<Stream, Trouble> {
    let name = &arguments.url.stream;
    let stream = match Stream::look(link, name).await? {
        Some(stream) => stream,
        None if arguments.create => {
            let first = begin(arguments, bounds)?;
            // Nothing is made for a log that cannot go there.
            let max = link.client.max_payload() as u64;
            let max = beside_headers(max, name);
            source.check_sizes(first, bounds.next, max, signals)?;
            let new = NewStream {
                subject: arguments.subject.as_deref().unwrap_or(name),
                replicas: usize::from(arguments.replicas.unwrap_or(1)),
            };
            match Stream::create(link, name, &new).await {
                Ok(()) => talk.note(&format!("created stream {name}")),
                Err(trouble) => made_by_another(link, name, trouble).await?,
            }
            Stream::look(link, name)
                .await?
                .ok_or_else(|| Trouble::Passing(format!("stream {name} does not exist yet")))?
        }
        None => {
            let message = format!("stream {name} does not exist");
            let failure = Failure::new(Status::Failed, message);
            return Err(failure.hint(again("--create")).into());
        }
    };
    let config = &stream.config;
    let unfit = if config.no_ack {
        Some("acknowledges nothing (no_ack)")
    } else if config.sealed {
        Some("is sealed")
    } else if config.mirror.is_some() {
        Some("mirrors another stream")
    } else {
        None
    };
    match unfit {
        Some(why) => Err(cannot(format!(
            "stream {name} cannot take records: it {why}"
        ))),
        None => Ok(stream),
    }
}

/// The first offset of a new stream.
fn begin(arguments: &Arguments, bounds: Bounds) -> Result<Offset, Trouble> {
    let Some(from) = arguments.from.map(Offset) else {
        return Ok(bounds.lowest);
    };
    if from < bounds.lowest {
        return Err(no(format!(
            "offset {from} is no longer in the log, which begins at {}",
            bounds.lowest
        )));
    }
    if from > bounds.next {
        return Err(no(format!(
            "offset {from} is not in the log yet: the next offset is {}",
            bounds.next
        )));
    }
    Ok(from)
}

/// The next offset for a stream with messages, if it belongs to this log.
async fn go_on(
    arguments: &Arguments,
    link: &Link,
    stream: &Stream,
    chart: &Chart,
    source: &Source,
    bounds: Bounds,
) -> Result<Offset, Trouble> {
    let (name, base) = (stream.name(), chart.base);
    if let Some(from) = arguments.from.filter(|&from| from != base.0) {
        return Err(cannot(format!(
            "--from {from} needs a new stream: {name} begins with offset {base}"
        )));
    }
    let compared = agree::compare(link, stream, chart, source, bounds).await?;
    let next = Offset(chart.last.0.saturating_add(1));
    let log = quote(source.path());
    if next > bounds.next {
        return Err(no(format!(
            "stream {name} is ahead of {log}: it has offset {}, and the log's next offset is {}",
            chart.last, bounds.next
        )));
    }
    if next < bounds.lowest {
        return Err(no(format!(
            "{log} begins with offset {}, and stream {name} ends with {}: the records between \
             are gone",
            bounds.lowest, chart.last
        )));
    }
    if !compared {
        return Err(no(format!(
            "stream {name} and {log} have no record in common: cannot tell whether they are the \
             same log"
        )));
    }
    Ok(next)
}

/// The most bytes that a value may have: for the server, and for the stream.
fn value_bytes_max(link: &Link, stream: &Stream) -> u64 {
    let server = link.client.max_payload() as u64;
    let own = u64::try_from(stream.config.max_message_size).unwrap_or(0);
    let most = if own == 0 { server } else { server.min(own) };
    beside_headers(most, stream.name())
}

fn beside_headers(bytes: u64, stream: &str) -> u64 {
    bytes.saturating_sub(Stamp::headers_bytes_max(stream))
}
