//! The connection to the server, or to one server of a cluster; it reconnects by itself
//! when it is lost, and its user is notified.

use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError};
use futures_util::FutureExt;
use proglog::log::error::reason;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::url::StreamUrl;
use super::{Trouble, cannot};
use crate::commands::{Failure, Status};

/// The longest that an answer, a connection or an acknowledgement is waited for.
pub const ANSWER: Duration = Duration::from_secs(5);

/// How often a silent server is asked whether it is there; two pings without an answer
/// are a lost connection.
const PING: Duration = Duration::from_secs(5);

/// The longest that a connection is waited for that is being made again.
const SETTLED: Duration = Duration::from_secs(1);

/// Messages that wait to be sent, at most: more than are ever in flight.
const OUTBOX: usize = 8192;

/// A connection.
pub struct Link {
    /// The client that publishes and subscribes.
    pub client: Client,
    events: UnboundedReceiver<Event>,
    /// The last error of the server.
    complaint: Option<String>,
}

impl Link {
    /// Connects.
    pub async fn connect(url: &StreamUrl, creds: Option<&Path>) -> Result<Self, Trouble> {
        let (sender, events) = unbounded_channel();
        let mut options = ConnectOptions::new()
            .name("proglog")
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER))
            .ping_interval(PING)
            .client_capacity(OUTBOX)
            .require_tls(url.servers.iter().any(ServerAddr::tls_required))
            .event_callback(move |event| {
                // The receiver may be gone at the end.
                let _ = sender.send(event);
                std::future::ready(())
            });
        options = match &url.login {
            Some((token, None)) => options.token(token.clone()),
            Some((user, Some(pass))) => options.user_and_password(user.clone(), pass.clone()),
            None => options,
        };
        if let Some(creds) = creds {
            options = options.credentials_file(creds).await.map_err(|error| {
                let (file, why) = (creds.display(), reason(&error));
                cannot(format!("{file}: no credentials: {why}"))
            })?;
        }
        let client = options
            .connect(url.servers.clone())
            .await
            .map_err(|error| unconnected(url, &error))?;
        Ok(Self {
            client,
            events,
            complaint: None,
        })
    }

    /// Waits until there is a connection, and forgets what happened before.
    pub async fn settle(&mut self) -> Result<(), Trouble> {
        let begun = Instant::now();
        while self.client.connection_state() != State::Connected {
            if begun.elapsed() >= SETTLED {
                return Err(Trouble::Passing("not connected".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while !self.events.is_empty() {
            if let Some(denied @ Trouble::Final(_)) = self.lost().now_or_never() {
                return Err(denied);
            }
        }
        Ok(())
    }

    /// Waits until the connection is lost or of no use, and says why.
    pub async fn lost(&mut self) -> Trouble {
        loop {
            match self.events.recv().await {
                Some(Event::ServerError(ServerError::Other(what)))
                    if what.to_lowercase().contains("permissions violation") =>
                {
                    return cannot(format!("the server denies permission: {what}"));
                }
                Some(Event::ServerError(ServerError::Other(what))) => self.complaint = Some(what),
                Some(Event::ServerError(error)) => self.complaint = Some(error.to_string()),
                Some(Event::Disconnected | Event::Closed) | None => {
                    return Trouble::Passing(match self.complaint.take() {
                        Some(what) => format!("connection lost: {what}"),
                        None => "connection lost".to_owned(),
                    });
                }
                Some(_) => {}
            }
        }
    }
}

/// The way to JetStream.
pub fn context(client: &Client) -> Context {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(ANSWER);
    context
}

/// Why the connection failed.
fn unconnected(url: &StreamUrl, error: &async_nats::ConnectError) -> Trouble {
    let (why, kind) = (chain(error), error.kind());
    let failure = |what: &str| Failure::new(Status::Failed, format!("{}: {what}", url.shown));
    match kind {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            failure(&format!("the server refuses these credentials: {kind}"))
                .hint("nats://user:pass@host/STREAM, nats://token@host/STREAM, or --creds FILE")
        }
        ConnectErrorKind::Tls | ConnectErrorKind::ServerParse => failure(&why),
        // The error text of rustls for an untrusted certificate, or a peer without TLS.
        _ if why.contains("peer certificate") => {
            failure(&format!("certificate not trusted: {why}")).hint(
                "SSL_CERT_FILE names a file of certificate authorities to trust instead of the \
                 system's",
            )
        }
        _ if why.contains("corrupt message") => {
            failure(&format!("the server does not use TLS: {why}"))
        }
        _ => return Trouble::Passing(format!("{}: cannot connect: {why}", url.shown)),
    }
    .into()
}

/// An error and its causes, each text once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = reason(error);
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = reason(cause);
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
