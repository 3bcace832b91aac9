//! The connection to the server, or to one server of a cluster; it reconnects by itself
//! when it is lost, and its user is notified.

use proglog::log::error::reason;
use std::path::Path;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::url::{Login, StreamUrl};
use super::{Trouble, cannot};
use crate::commands::{Failure, Status};

/// The longest that an answer, a connection or an acknowledgement is waited for.
pub const ANSWER: Duration = Duration::from_secs(5);

/// How often a silent server is asked whether it is there; two pings without an answer
/// are a lost connection.
const PING: Duration = Duration::from_secs(5);

/// The longest pause between two attempts to connect again.
const RECONNECT: Duration = Duration::from_secs(2);

/// The longest that a connection is waited for that is being made again.
const SETTLED: Duration = Duration::from_secs(1);

/// Messages that wait to be sent, at most: more than are ever in flight.
const OUTBOX: usize = 8192;

/// A connection.
pub struct Link {
    /// The client that publishes and subscribes.
    pub client: Client,
    /// The JetStream context.
    pub context: Context,
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
            .require_tls(url.tls)
            .reconnect_delay_callback(|attempt| {
                let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
                let pause = Duration::from_millis(50).saturating_mul(1 << doublings.min(8));
                if attempt <= 1 {
                    Duration::ZERO
                } else {
                    pause.min(RECONNECT)
                }
            })
            .event_callback(move |event| {
                // The receiver may be gone at the end.
                let _ = sender.send(event);
                std::future::ready(())
            });
        options = match &url.login {
            Some(Login::Token(token)) => options.token(token.clone()),
            Some(Login::User(user, pass)) => options.user_and_password(user.clone(), pass.clone()),
            None => options,
        };
        if let Some(creds) = creds {
            options = options.credentials_file(creds).await.map_err(|error| {
                cannot(format!(
                    "{}: no credentials: {}",
                    creds.display(),
                    reason(&error)
                ))
            })?;
        }
        let client = options
            .connect(url.servers.clone())
            .await
            .map_err(|error| unconnected(url, &error))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER);
        Ok(Self {
            client,
            context,
            events,
            complaint: None,
        })
    }

    /// Waits until there is a connection, and forgets what happened before.
    pub async fn settle(&mut self) -> Result<(), Trouble> {
        let begun = std::time::Instant::now();
        while self.client.connection_state() != State::Connected {
            if begun.elapsed() >= SETTLED {
                return Err(Trouble::Passing("not connected".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.note_events()?;
        }
        // Later events belong to this connection.
        let _ = self.note_events()?;
        Ok(())
    }

    /// Takes note of what happened; returns whether the connection was lost since.
    pub fn note_events(&mut self) -> Result<bool, Trouble> {
        let mut lost = false;
        while let Ok(event) = self.events.try_recv() {
            lost |= self.note(event)?;
        }
        Ok(lost)
    }

    /// Handles an event; returns whether the connection was lost by it.
    pub async fn event(&mut self) -> Result<bool, Trouble> {
        match self.events.recv().await {
            Some(event) => self.note(event),
            None => Ok(true),
        }
    }

    fn note(&mut self, event: Event) -> Result<bool, Trouble> {
        match event {
            Event::Disconnected | Event::Closed => return Ok(true),
            Event::ServerError(ServerError::Other(what)) => {
                if what.to_lowercase().contains("permissions violation") {
                    return Err(cannot(format!("the server denies permission: {what}")));
                }
                self.complaint = Some(what);
            }
            Event::ServerError(error) => self.complaint = Some(error.to_string()),
            _ => {}
        }
        Ok(false)
    }

    /// The error of a lost connection, with the last error of the server.
    pub fn lost(&mut self) -> Trouble {
        Trouble::Passing(match self.complaint.take() {
            Some(what) => format!("connection lost: {what}"),
            None => "connection lost".to_owned(),
        })
    }
}

/// Why the connection failed.
fn unconnected(url: &StreamUrl, error: &async_nats::ConnectError) -> Trouble {
    let why = chain(error);
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            Failure::new(
                Status::Failed,
                format!(
                    "{url}: the server refuses these credentials: {}",
                    error.kind()
                ),
            )
            .hint("nats://user:pass@host/STREAM, nats://token@host/STREAM, or --creds FILE")
            .into()
        }
        ConnectErrorKind::Tls | ConnectErrorKind::ServerParse => cannot(format!("{url}: {why}")),
        // The error text of rustls for an untrusted certificate, or a peer without TLS.
        _ if why.contains("peer certificate") => Failure::new(
            Status::Failed,
            format!("{url}: certificate not trusted: {why}"),
        )
        .hint(
            "SSL_CERT_FILE names a file of certificate authorities to trust instead \
                       of the system's",
        )
        .into(),
        _ if why.contains("corrupt message") => cannot(format!(
            "{url}: the server does not use \
                                                                TLS: {why}"
        )),
        _ => Trouble::Passing(format!("{url}: cannot connect: {why}")),
    }
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
