//! Podman's events: hints that something changed.

use std::collections::BTreeMap;

use archy_types::{Health, Timestamp};
use futures_util::Stream;
use serde::Deserialize;

use crate::{
    Podman, PodmanError,
    body::{Chunks, JsonLines},
    call::Call,
    wire::{nullable, parse_health},
};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// A secret.
    Secret,
    /// A pod.
    Pod,
    /// Podman itself.
    System,
    /// A word newer than this program.
    #[serde(other)]
    Other,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub kind: EventKind,
    /// Podman's word: `create`, `start`, `died`, `remove`, `health_status`, `pull`, ….
    pub action: String,
    /// Id of the thing.
    pub id: String,
    /// Its name, empty when unknown.
    pub name: String,
    /// When, in nanoseconds since 1970: for [`Podman::events`] after a gap.
    pub time_nanos: i64,
    /// Exit code of a `died`.
    pub exit_code: Option<i32>,
    /// Health of a `health_status`.
    pub health: Option<Health>,
    /// Labels of a container, and Podman's own attributes.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawEvent {
    #[serde(rename = "Type")]
    kind: EventKind,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default, deserialize_with = "nullable")]
    actor: RawActor,
    #[serde(default)]
    time: i64,
    #[serde(rename = "timeNano", default)]
    time_nanos: i64,
    #[serde(rename = "HealthStatus", default)]
    health: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawActor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Attributes", deserialize_with = "nullable")]
    attributes: BTreeMap<String, String>,
}

/// Events as they come. Podman may hold back even the head of its answer until the first one, so
/// the request is sent with the first [`Events::next`]. It ends whenever Podman's service does:
/// list everything, then open it again.
#[derive(Debug)]
pub struct Events {
    state: State,
}

#[derive(Debug)]
enum State {
    Unopened(Podman, Call),
    Open(JsonLines),
    Ended,
}

impl From<RawEvent> for Event {
    fn from(raw: RawEvent) -> Self {
        let RawEvent { kind, action, actor: RawActor { id, attributes }, .. } = raw;
        let exit_code = attributes.get("containerExitCode").and_then(|c| c.parse().ok());
        let name = attributes.get("name").cloned().unwrap_or_default();
        let time_nanos = match raw.time_nanos {
            0 => raw.time.saturating_mul(1_000_000_000),
            nanos => nanos,
        };
        let health = match action.strip_prefix("health_status") {
            // other servers write "health_status: healthy"
            Some(rest) if raw.health.is_empty() => parse_health(rest.trim_matches([':', ' '])),
            Some(_) => parse_health(&raw.health),
            None => None,
        };
        Self { kind, action, id, name, time_nanos, exit_code, health, attributes }
    }
}

// === impl Event ===

impl Event {
    /// When it happened.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        Timestamp(self.time_nanos / 1_000_000)
    }
}

// === impl Events ===

impl Events {
    /// The next event; `None` at the end. Waits without deadline. Until the first event came, a
    /// call that is dropped asks anew.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn next(&mut self) -> Option<Result<Event, PodmanError>> {
        let item = match self.pull().await {
            Ok(item) => item.map(Ok),
            Err(e) => Some(Err(e)),
        };
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Ended;
        }
        item
    }

    /// The events as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, PodmanError>> + Send {
        futures_util::stream::unfold(self, |mut events| async move {
            let item = events.next().await?;
            Some((item, events))
        })
    }

    async fn pull(&mut self) -> Result<Option<Event>, PodmanError> {
        if let State::Unopened(podman, call) = &self.state {
            let answer = podman.open(call).await?;
            let chunks = Chunks::new(answer.into_body(), call.op.clone(), None);
            self.state = State::Open(JsonLines::new(chunks));
        }
        match &mut self.state {
            State::Open(lines) => Ok(lines.next::<RawEvent>().await?.map(Event::from)),
            State::Unopened(..) | State::Ended => Ok(None),
        }
    }
}

// === impl Podman ===

impl Podman {
    /// Events from `since` on (whole seconds, so some may come twice), or from now on.
    #[must_use]
    pub fn events(&self, since: Option<Timestamp>) -> Events {
        let mut call = Call::get(&["events"]).query("stream", "true");
        if let Some(since) = since {
            call = call.query("since", &since.0.div_euclid(1000).to_string());
        }
        Events { state: State::Unopened(self.clone(), call) }
    }
}
