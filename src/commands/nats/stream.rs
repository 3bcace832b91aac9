//! The stream on the server: its state, single messages, and its creation.

use async_nats::Client;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, Info, RawMessageErrorKind, State, StorageType, Stream as RemoteStream,
};

use super::link::{chain, context};
use super::message::Stamp;
use super::{Trouble, cannot};
use crate::commands::{Failure, Status};

/// A stream, and its state when it was inspected.
pub struct Stream {
    /// For consumers.
    pub remote: RemoteStream<Info>,
}

impl Stream {
    /// Inspects a stream; `None` where it does not exist.
    pub async fn look(client: &Client, name: &str) -> Result<Option<Self>, Trouble> {
        match context(client).get_stream(name).await {
            Ok(remote) => Ok(Some(Self { remote })),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(refused)
                    if refused.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                GetStreamErrorKind::JetStream(refused) => Err(refusal(name, &refused)),
                _ => Err(unanswered(client, name, &error)),
            },
        }
    }

    /// Makes a stream: on disk, without limits, on so many servers.
    pub async fn create(
        client: &Client,
        name: &str,
        subject: &str,
        replicas: u8,
    ) -> Result<(), Trouble> {
        let config = Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            storage: StorageType::File,
            num_replicas: usize::from(replicas),
            ..Config::default()
        };
        let Err(error) = context(client).create_stream(config).await else {
            return Ok(());
        };
        Err(match error.kind() {
            CreateStreamErrorKind::JetStream(refused) => refusal(name, &refused),
            _ => unanswered(client, name, &error),
        })
    }

    /// How it is set.
    pub fn config(&self) -> &Config {
        &self.remote.cached_info().config
    }

    /// Its first and last sequence, and how many messages it has.
    pub fn state(&self) -> &State {
        &self.remote.cached_info().state
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.config().name
    }

    /// One message and its headers; `None` where the stream does not hold it.
    pub async fn get(&self, sequence: u64) -> Result<Option<(Stamp, StreamMessage)>, Trouble> {
        match self.remote.get_raw_message(sequence).await {
            Ok(message) => Ok(Some((
                Stamp::of(Some(&message.headers), sequence)?,
                message,
            ))),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                RawMessageErrorKind::JetStream(refused) => Err(refusal(self.name(), &refused)),
                _ => Err(silent(self.name(), &error)),
            },
        }
    }

    /// The first sequence in the middle that is missing, if any.
    pub async fn hole(&self) -> Result<Option<u64>, Trouble> {
        let state = self.state();
        let span = state.last_sequence.saturating_sub(state.first_sequence);
        if state.messages == 0 || state.messages == span.saturating_add(1) {
            return Ok(None);
        }
        let info = self.remote.info_builder().with_deleted(true).fetch().await;
        let state = info
            .map_err(|error| silent(self.name(), &error))?
            .info
            .state;
        let inside = |it: &u64| (state.first_sequence..=state.last_sequence).contains(it);
        Ok(state.deleted.into_iter().flatten().filter(inside).min())
    }

    /// The subject to publish on: the given one, or the only possible one.
    pub fn subject(&self, asked: Option<&str>) -> Result<String, Failure> {
        match (asked, self.config().subjects.as_slice()) {
            (Some(subject), _) => Ok(subject.to_owned()),
            (None, [one]) if !one.contains(['*', '>']) => Ok(one.clone()),
            (None, subjects) => {
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
    /// The server is short of something, or the stream is full.
    const FULL: &[u64] = &[10002, 10023, 10028, 10047, 10077, 10120, 10122];
    let message = format!("stream {name}: {refused}");
    match refused.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            Failure::new(Status::Failed, message).hint(JETSTREAM).into()
        }
        ErrorCode::CLUSTER_NO_PEERS => Trouble::Passing(message),
        code if FULL.contains(&code.0) => Trouble::Passing(message),
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED | ErrorCode::STREAM_INVALID_CONFIG => {
            cannot(message)
        }
        // It is busy, or has no leader.
        _ if refused.code() >= 500 => Trouble::Passing(message),
        _ => cannot(message),
    }
}

/// No answer came, perhaps because there is no JetStream.
fn unanswered(client: &Client, name: &str, error: &dyn std::error::Error) -> Trouble {
    let why = chain(error);
    let info = client.server_info();
    if (why.contains("does not exist") || why.contains("no responders"))
        && !info.jetstream
        && info.cluster.is_none()
    {
        return Failure::new(Status::Failed, "the server runs without JetStream")
            .hint(JETSTREAM)
            .into();
    }
    silent(name, error)
}

fn silent(name: &str, error: &dyn std::error::Error) -> Trouble {
    let why = chain(error);
    Trouble::Passing(format!("stream {name}: JetStream does not respond: {why}"))
}
