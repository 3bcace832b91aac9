//! The stream on the server: its state, single messages, its creation, and which errors
//! of the server are permanent.

use std::error::Error;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, Info, RawMessageErrorKind, State, StorageType, Stream as RemoteStream,
};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, Subject};

use super::headers::Headers;
use super::link::{chain, context};
use super::{Trouble, cannot, passing};
use crate::commands::{Failure, Status};

/// A stream, and its state when it was inspected.
pub struct Stream {
    /// For consumers.
    pub remote: RemoteStream<Info>,
    /// The sequences between the first and the last message that are missing, ascending.
    missing: Vec<u64>,
}

/// The refusal of the server inside an error of the client, if it is one.
macro_rules! refused {
    ($error:expr, $kind:path) => {
        match $error.kind() {
            $kind(refused) => Some(refused),
            _ => None,
        }
    };
}
pub(crate) use refused;

impl Stream {
    /// Inspects a stream; `None` if it does not exist.
    pub async fn look(client: &Client, name: &str) -> Result<Option<Self>, Trouble> {
        let remote = match context(client).get_stream(name).await {
            Ok(remote) => remote,
            Err(error) => {
                let refused = refused!(error, GetStreamErrorKind::JetStream);
                return match refused {
                    Some(it) if it.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
                    None if without_jetstream(client) => {
                        let failure =
                            Failure::new(Status::Failed, "the server runs without JetStream");
                        Err(failure.hint(JETSTREAM).into())
                    }
                    _ => Err(failed(name, refused.as_ref(), &error)),
                };
            }
        };
        let mut stream = Self {
            remote,
            missing: Vec::new(),
        };
        let state = stream.state();
        let span = state.last_sequence.saturating_sub(state.first_sequence);
        if state.messages > 0 && state.messages <= span {
            let info = stream.remote.info_builder().with_deleted(true).fetch();
            let info = info.await.map_err(|error| failed(name, None, &error))?;
            stream.missing = info.info.state.deleted.unwrap_or_default();
            stream.missing.sort_unstable();
        }
        Ok(Some(stream))
    }

    /// Creates a stream: on disk, without limits, on so many servers.
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
        match context(client).create_stream(config).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let refused = refused!(error, CreateStreamErrorKind::JetStream);
                Err(failed(name, refused.as_ref(), &error))
            }
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.remote.cached_info().config
    }

    /// Its first and last sequence, and the number of messages.
    pub fn state(&self) -> &State {
        &self.remote.cached_info().state
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config().name
    }

    /// The sequences of the first and the last message that it holds.
    pub fn ends(&self) -> Option<(u64, u64)> {
        let state = self.state();
        let mut last = state.last_sequence;
        for missing in self.missing.iter().rev() {
            last -= u64::from(*missing == last);
        }
        (state.messages > 0).then_some((state.first_sequence, last))
    }

    /// One message and its headers; `None` if the stream does not hold it.
    pub async fn get(&self, sequence: u64) -> Result<Option<(Headers, StreamMessage)>, Trouble> {
        match self.remote.get_raw_message(sequence).await {
            Ok(message) => Ok(Some((
                Headers::parse(Some(&message.headers), sequence)?,
                message,
            ))),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => {
                let refused = refused!(error, RawMessageErrorKind::JetStream);
                Err(failed(self.name(), refused.as_ref(), &error))
            }
        }
    }

    /// The subject to publish on: the given one, or the only possible one.
    pub fn subject(&self, given: Option<&str>) -> Result<String, Failure> {
        let (name, subjects) = (self.name(), &self.config().subjects);
        let message = match (given, subjects.as_slice()) {
            (Some(given), _) if subjects.iter().any(|it| matches(it, given)) => {
                return Ok(given.to_owned());
            }
            (None, [one]) if concrete_subject(one).is_ok() => return Ok(one.clone()),
            (Some(given), _) => format!("stream {name} does not take messages on {given}"),
            (None, _) => format!("stream {name} takes messages on several subjects"),
        };
        let failure = Failure::new(
            Status::Failed,
            format!("{message} ({})", subjects.join(", ")),
        );
        Err(failure.hint("choose one: --subject SUBJECT"))
    }
}

/// Parses a subject that messages are published on.
pub fn concrete_subject(text: &str) -> Result<String, String> {
    let is_wildcard = |token: &str| token == "*" || token == ">";
    if Subject::validated(text).is_err() {
        return Err("invalid subject".to_owned());
    }
    if text.split('.').any(is_wildcard) {
        return Err("a wildcard: records are published on one subject, such as LOG.a".to_owned());
    }
    Ok(text.to_owned())
}

/// Whether a subject matches a pattern with wildcards.
fn matches(pattern: &str, subject: &str) -> bool {
    let (mut patterns, mut tokens) = (pattern.split('.'), subject.split('.'));
    loop {
        match (patterns.next(), tokens.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(one), Some(other)) if one == "*" || one == other => {}
            _ => return false,
        }
    }
}

/// The hint for a server without JetStream.
const JETSTREAM: &str = "start the server with JetStream: options -js and -sd of nats-server";

/// Whether no waiting brings an answer from JetStream.
fn without_jetstream(client: &Client) -> bool {
    let info = client.server_info();
    !info.jetstream && info.cluster.is_none()
}

/// Why a request failed. Without an answer of the server it may pass; else its code tells.
pub fn failed(name: &str, refused: Option<&jetstream::Error>, error: &dyn Error) -> Trouble {
    /// Codes below 500 of what may pass: the stream is full, resources are short, another
    /// message came first, there are too few servers up.
    const PASSING: &[u64] = &[10002, 10005, 10026, 10070, 10071, 10164, 10167];
    /// Codes of what never passes, from 500 on.
    const PERMANENT: &[u64] = &[10010, 10035, 10036, 10039, 10052, 10074, 10076];
    let Some(refused) = refused else {
        let why = chain(error);
        return passing(name, format!("JetStream does not respond: {why}"));
    };
    let (code, message) = (refused.error_code().0, format!("stream {name}: {refused}"));
    let is_passing = PASSING.contains(&code) || refused.code() >= 500 && !PERMANENT.contains(&code);
    match refused.error_code() {
        _ if is_passing => Trouble::Passing(message),
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            Failure::new(Status::Failed, message).hint(JETSTREAM).into()
        }
        _ => cannot(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.>", "a.b.c", true),
            (">", "a", true),
            ("a.*", "a", false),
            ("a.>", "a", false),
            ("a", "a.b", false),
            ("*", "a.b", false),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
        assert!(concrete_subject("a.b*").is_ok());
        for wrong in ["V.*", ">", "a b", "", "a..b", ".a"] {
            assert!(concrete_subject(wrong).is_err(), "{wrong}");
        }
    }
}
