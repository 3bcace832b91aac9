//! The connection to the server, or to one server of a cluster; it reconnects by itself
//! when it is lost, and its user is notified.

use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, Event};
use futures_util::FutureExt;
use proglog::log::error::reason;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::address::{Access, Address};
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
    pub async fn connect(address: &Address, access: &Access) -> Result<Self, Trouble> {
        let (sender, events) = unbounded_channel();
        let options = address.options(access).await?;
        let options = options
            .name("proglog")
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER))
            .ping_interval(PING)
            .client_capacity(OUTBOX)
            .event_callback(move |event| {
                // The receiver may be gone at the end.
                let _ = sender.send(event);
                std::future::ready(())
            });
        let client = options
            .connect(address.servers.clone())
            .await
            .map_err(|error| unconnected(address, &error))?;
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
                Some(Event::ServerError(error)) => {
                    let what = error.to_string();
                    if what.to_lowercase().contains("permissions violation") {
                        return cannot(format!("the server denies permission: {what}"));
                    }
                    self.complaint = Some(what);
                }
                Some(Event::Disconnected | Event::Closed) | None => {
                    let why = self.complaint.take().unwrap_or_default();
                    return Trouble::Passing(format!("connection lost {why}"));
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
fn unconnected(address: &Address, error: &async_nats::ConnectError) -> Trouble {
    let (why, kind) = (chain(error), error.kind());
    // The error text of rustls for an untrusted certificate, or a peer without TLS.
    let is_permanent = matches!(
        kind,
        ConnectErrorKind::Authentication
            | ConnectErrorKind::AuthorizationViolation
            | ConnectErrorKind::Tls
            | ConnectErrorKind::ServerParse
    ) || ["certificate", "corrupt message"]
        .iter()
        .any(|it| why.contains(it));
    let message = format!("{}: cannot connect: {why}", address.shown);
    if !is_permanent {
        return Trouble::Passing(message);
    }
    Failure::new(Status::Failed, message)
        .hint("login: nats://user:pass@host/STREAM, --password-file, --creds, --tls-cert")
        .hint("certificate authorities to trust: --tls-ca")
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
