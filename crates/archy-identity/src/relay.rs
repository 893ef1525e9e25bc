//! A client of Nostr relays: one task per relay that connects, listens, publishes, and comes back.

mod frame;
mod socket;
mod task;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use archy_types::Timestamp;
use nostr::event::Event;
use nostr::key::Keys;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

pub use socket::Roots;

/// Tells the time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// A connection to a relay, until its first message can be sent.
    pub connect: Duration,
    /// A linked signer's answer; a person may have to look for the telephone first.
    pub request: Duration,
    /// A first relay of a linked signer.
    pub session_connect: Duration,
    /// Silence after which a relay is asked whether it is there.
    pub ping_after: Duration,
    /// Its answer to that.
    pub pong: Duration,
    /// A session without requests is closed after this.
    pub idle: Duration,
    /// First wait before a relay is tried again; it doubles.
    pub retry_first: Duration,
    /// Longest wait.
    pub retry_most: Duration,
    /// How long a pairing stays open.
    pub pairing: Duration,
    /// How long the same answer is given to the same question.
    pub repeat: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(60),
            session_connect: Duration::from_secs(5),
            ping_after: Duration::from_secs(30),
            pong: Duration::from_secs(5),
            idle: Duration::from_secs(300),
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(60),
            pairing: Duration::from_secs(300),
            repeat: Duration::from_secs(60),
        }
    }
}

/// What connections need.
#[derive(Clone)]
pub struct Env {
    /// How long things may take.
    pub timings: Timings,
    /// Whom to trust with `wss://`.
    pub roots: Roots,
    /// The time of day.
    pub clock: Clock,
}

impl Env {
    /// The usual timings and the system's trust, with this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { timings: Timings::default(), roots: Roots::default(), clock }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("timings", &self.timings).finish_non_exhaustive()
    }
}

/// Where a link to a relay stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The first connection is being made.
    Connecting,
    /// Connected; what is asked for comes from now on.
    Live,
    /// Not connected; it is tried again. Holds the reason.
    Away(String),
}

/// Why a relay did not take an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no connection.
    #[error("the relay is not connected")]
    Offline,
    /// The relay said no.
    #[error("the relay refused the event: {0}")]
    Refused(String),
}

/// What is asked of a relay's task.
pub(crate) struct Publish {
    pub(crate) event: Event,
    pub(crate) done: oneshot::Sender<Result<(), PublishError>>,
}

/// A link to one relay; it ends when dropped.
#[derive(Debug)]
pub struct RelayLink {
    url: String,
    commands: mpsc::Sender<Publish>,
    status: watch::Receiver<Status>,
    task: AbortHandle,
}

impl RelayLink {
    /// Begins to connect. What fits `filter` (NIP-01) and is signed rightly goes to `events`; a
    /// relay that asks who we are is answered with `keys` (NIP-42).
    #[must_use]
    pub fn start(
        url: String,
        filter: Value,
        keys: Keys,
        events: mpsc::Sender<Event>,
        env: Env,
    ) -> Self {
        let (commands, asked) = mpsc::channel(64);
        let (told, status) = watch::channel(Status::Connecting);
        let task = task::Task { url: url.clone(), filter, keys, events, env, told };
        let task = tokio::spawn(task.run(asked)).abort_handle();
        Self { url, commands, status, task }
    }

    /// The relay's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the link stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Follows where the link stands.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Publishes an event; done when the relay has taken it. The caller sets the deadline.
    ///
    /// # Errors
    /// The relay is away or refuses it.
    pub async fn publish(&self, event: Event) -> Result<(), PublishError> {
        let (done, answer) = oneshot::channel();
        let sent = self.commands.send(Publish { event, done }).await;
        sent.map_err(|_| PublishError::Offline)?;
        answer.await.unwrap_or(Err(PublishError::Offline))
    }
}

impl Drop for RelayLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until one of the links is live.
///
/// # Errors
/// None was in this time; the reasons, one per relay.
pub async fn any_live(links: &[RelayLink], within: Duration) -> Result<(), String> {
    let waits = links.iter().map(|link| {
        let mut status = link.watch();
        Box::pin(async move { status.wait_for(|s| *s == Status::Live).await.map(drop) })
    });
    let first = futures_util::future::select_ok(waits.collect::<Vec<_>>());
    match tokio::time::timeout(within, first).await {
        Ok(Ok(_)) => Ok(()),
        _ => {
            let reason = |link: &RelayLink| match link.status() {
                Status::Away(reason) => format!("{}: {reason}", link.url),
                _ => format!("{}: no answer yet", link.url),
            };
            Err(links.iter().map(reason).collect::<Vec<_>>().join("; "))
        }
    }
}

/// Publishes an event on each of these relays, over connections of its own.
pub async fn publish_everywhere(
    relays: &[String],
    event: &Event,
    keys: &Keys,
    env: &Env,
) -> Vec<(String, Result<(), String>)> {
    let publish = |url: &String| {
        let (url, event, keys, env) = (url.clone(), event.clone(), keys.clone(), env.clone());
        async move {
            let nothing = serde_json::json!({ "ids": [event.id.to_hex()], "limit": 1 });
            let (heard, _events) = mpsc::channel(1);
            let link = RelayLink::start(url.clone(), nothing, keys, heard, env.clone());
            let links = [link];
            let outcome = match any_live(&links, env.timings.connect).await {
                Err(reason) => Err(reason),
                Ok(()) => {
                    let sent = links[0].publish(event);
                    match tokio::time::timeout(env.timings.connect, sent).await {
                        Ok(sent) => sent.map_err(|error| error.to_string()),
                        Err(_) => Err("the relay did not answer in time".to_owned()),
                    }
                }
            };
            (url, outcome)
        }
    };
    futures_util::future::join_all(relays.iter().map(publish)).await
}
