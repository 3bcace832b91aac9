//! The stream on the server: its state, single messages, and its creation.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, Info, RawMessageErrorKind, StorageType, Stream as RemoteStream,
};

use super::link::{Link, chain};
use super::{Trouble, cannot};
use crate::commands::{Failure, Status};

/// A stream and its state when it was inspected.
pub struct Stream {
    remote: RemoteStream<()>,
    /// How it is set.
    pub config: Config,
    /// The first sequence that it holds, if it holds any.
    pub first: u64,
    /// The last sequence that it gave.
    pub last: u64,
    /// Number of messages.
    pub messages: u64,
}

/// How a stream is made.
pub struct NewStream<'a> {
    /// Its subject.
    pub subject: &'a str,
    /// On how many servers it is kept.
    pub replicas: usize,
}

impl Stream {
    /// Inspects a stream; `None` where it does not exist.
    pub async fn look(link: &Link, name: &str) -> Result<Option<Self>, Trouble> {
        let info = match link.context.get_stream(name).await {
            Ok(stream) => stream.cached_info().clone(),
            Err(error) => {
                return match error.kind() {
                    GetStreamErrorKind::JetStream(refused)
                        if refused.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                    {
                        Ok(None)
                    }
                    GetStreamErrorKind::JetStream(refused) => Err(refusal(name, &refused)),
                    _ => Err(unanswered(link, name, &error)),
                };
            }
        };
        Ok(Some(Self::of(link, info).await?))
    }

    /// Makes a stream: on disk, without limits.
    pub async fn create(link: &Link, name: &str, new: &NewStream<'_>) -> Result<(), Trouble> {
        let config = Config {
            name: name.to_owned(),
            subjects: vec![new.subject.to_owned()],
            storage: StorageType::File,
            num_replicas: new.replicas,
            ..Config::default()
        };
        match link.context.create_stream(config).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.kind() {
                CreateStreamErrorKind::JetStream(refused) => refusal(name, &refused),
                CreateStreamErrorKind::EmptyStreamName
                | CreateStreamErrorKind::InvalidStreamName => {
                    cannot(format!("{name} is not a valid stream name"))
                }
                _ => unanswered(link, name, &error),
            }),
        }
    }

    async fn of(link: &Link, info: Info) -> Result<Self, Trouble> {
        let name = info.config.name.clone();
        let remote = link.context.get_stream_no_info(&name).await;
        let remote = remote.map_err(|error| unanswered(link, &name, &error))?;
        Ok(Self {
            remote,
            config: info.config,
            first: info.state.first_sequence,
            last: info.state.last_sequence,
            messages: info.state.messages,
        })
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// For consumers.
    pub fn remote(&self) -> &RemoteStream<()> {
        &self.remote
    }

    /// Whether it never got a message.
    pub fn is_new(&self) -> bool {
        self.last == 0
    }

    /// One message; `None` where the stream does not hold it.
    pub async fn get(&self, link: &Link, sequence: u64) -> Result<Option<StreamMessage>, Trouble> {
        match self.remote.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message)),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                RawMessageErrorKind::JetStream(refused) => Err(refusal(self.name(), &refused)),
                _ => Err(unanswered(link, self.name(), &error)),
            },
        }
    }

    /// The first sequence in the middle that is missing, if any.
    pub async fn hole(&self, link: &Link) -> Result<Option<u64>, Trouble> {
        let span = self.last.saturating_sub(self.first).saturating_add(1);
        if self.messages == 0 || self.messages == span {
            return Ok(None);
        }
        let info = self.remote.info_builder().with_deleted(true).fetch().await;
        let info = info.map_err(|error| unanswered(link, self.name(), &error))?;
        let state = &info.info.state;
        let inside =
            |sequence: &&u64| (state.first_sequence..=state.last_sequence).contains(*sequence);
        Ok(state.deleted.iter().flatten().filter(inside).min().copied())
    }

    /// The subject to publish on: the given one, or the only possible one.
    pub fn subject(&self, asked: Option<&str>) -> Result<String, Failure> {
        if let Some(subject) = asked {
            return Ok(subject.to_owned());
        }
        match self.config.subjects.as_slice() {
            [one] if !one.contains(['*', '>']) => Ok(one.clone()),
            subjects => {
                let message = format!(
                    "stream {} takes messages on several subjects ({})",
                    self.name(),
                    subjects.join(", ")
                );
                Err(Failure::new(Status::Failed, message).hint("choose one: --subject SUBJECT"))
            }
        }
    }
}

/// The hint for a server without JetStream.
const JETSTREAM: &str = "start the server with JetStream: options -js and -sd of nats-server";

/// The server refused: permanently, unless time changes it.
pub fn refusal(name: &str, refused: &async_nats::jetstream::Error) -> Trouble {
    let message = format!("stream {name}: {refused}");
    match refused.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            Failure::new(Status::Failed, message).hint(JETSTREAM).into()
        }
        _ if passes(refused) => Trouble::Passing(message),
        _ => cannot(message),
    }
}

/// Whether a refusal may be no more after a while: the server is busy, has no leader,
/// is short of something, or the stream is full.
fn passes(refused: &async_nats::jetstream::Error) -> bool {
    const FULL: &[u64] = &[10002, 10023, 10028, 10047, 10077, 10120, 10122];
    let alone = refused.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED;
    (refused.code() >= 500 && !alone)
        || FULL.contains(&refused.error_code().0)
        || refused.error_code() == ErrorCode::CLUSTER_NO_PEERS
}

/// No answer came.
fn unanswered(link: &Link, name: &str, error: &dyn std::error::Error) -> Trouble {
    let why = chain(error);
    if why.contains("does not exist") || why.contains("no responders") {
        let info = link.client.server_info();
        if !info.jetstream && info.cluster.is_none() {
            return Failure::new(
                Status::Failed,
                "the server runs without JetStream".to_owned(),
            )
            .hint(JETSTREAM)
            .into();
        }
    }
    Trouble::Passing(format!("stream {name}: JetStream does not respond: {why}"))
}
