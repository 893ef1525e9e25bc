//! The task behind a link: connect, subscribe, serve, and again after a pause that grows.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use nostr::event::Event;
use nostr::key::Keys;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::frame::{self, Said};
use super::socket::{self, Socket};
use super::{Env, Publish, PublishError, Status};
use crate::event;

/// Most events that wait for a relay's answer.
const MAX_WAITING: usize = 256;
/// Longest reason of a relay that is kept, in characters.
const MAX_REASON: usize = 120;

pub(super) struct Task {
    pub(super) url: String,
    pub(super) filter: Value,
    pub(super) keys: Keys,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) env: Env,
    pub(super) told: watch::Sender<Status>,
}

/// Events that wait for the relay's answer.
type Waiting = HashMap<String, (Event, oneshot::Sender<Result<(), PublishError>>)>;

impl Task {
    pub(super) async fn run(self, mut asked: mpsc::Receiver<Publish>) {
        let timings = self.env.timings;
        let mut pause = timings.retry_first;
        loop {
            let began = Instant::now();
            let opened = timeout(timings.connect, socket::open(&self.url, &self.env.roots)).await;
            let reason = match opened {
                Ok(Ok(socket)) => {
                    let mut serving = Serving::new(&self, socket);
                    let ended = serving.run(&mut asked).await;
                    serving.give_up();
                    match ended {
                        Some(reason) => reason,
                        None => return,
                    }
                }
                Ok(Err(reason)) => reason,
                Err(_) => "it did not answer in time".to_owned(),
            };
            tracing::debug!(relay = self.url, reason, "a relay is away");
            self.told.send_replace(Status::Away(cut(&reason)));
            if began.elapsed() > timings.retry_most {
                pause = timings.retry_first;
            }
            if !offline(&mut asked, Instant::now() + jittered(pause)).await {
                return;
            }
            pause = (pause * 2).min(timings.retry_most);
        }
    }
}

/// Waits; what is to be published meanwhile is answered at once. False when nobody asks any more.
async fn offline(asked: &mut mpsc::Receiver<Publish>, until: Instant) -> bool {
    loop {
        tokio::select! {
            () = sleep_until(until) => return true,
            publish = asked.recv() => match publish {
                Some(publish) => { let _ = publish.done.send(Err(PublishError::Offline)); }
                None => return false,
            },
        }
    }
}

/// Between three quarters and all of a pause, so that nodes do not come back together.
fn jittered(pause: Duration) -> Duration {
    let [byte] = crate::random::bytes::<1>().unwrap_or([0]);
    pause.mul_f64(1.0 - f64::from(byte) / 1024.0)
}

fn cut(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

/// One connection.
struct Serving<'a> {
    task: &'a Task,
    socket: Socket,
    waiting: Waiting,
    /// Id of our answer to the relay's question, until it is taken.
    auth: Option<String>,
}

impl<'a> Serving<'a> {
    fn new(task: &'a Task, socket: Socket) -> Self {
        Self { task, socket, waiting: HashMap::new(), auth: None }
    }

    /// Serves until the connection ends (why) or nobody asks any more (nothing).
    async fn run(&mut self, asked: &mut mpsc::Receiver<Publish>) -> Option<String> {
        let timings = self.task.env.timings;
        if let Err(reason) = self.send(frame::subscribe(&self.task.filter)).await {
            return Some(reason);
        }
        let mut asked_for_life = false;
        let mut silent_at = Instant::now() + timings.ping_after;
        loop {
            let outcome = tokio::select! {
                publish = asked.recv() => match publish {
                    Some(publish) => self.publish(publish).await,
                    None => return None,
                },
                message = self.socket.next() => {
                    asked_for_life = false;
                    silent_at = Instant::now() + timings.ping_after;
                    self.heard(message).await
                }
                () = sleep_until(silent_at) => {
                    if asked_for_life {
                        Err("it fell silent".to_owned())
                    } else {
                        asked_for_life = true;
                        silent_at = Instant::now() + timings.pong;
                        self.raw(Message::Ping(Vec::new().into())).await
                    }
                }
            };
            if let Err(reason) = outcome {
                return Some(reason);
            }
        }
    }

    async fn publish(&mut self, publish: Publish) -> Result<(), String> {
        if self.waiting.len() >= MAX_WAITING {
            let _ = publish.done.send(Err(PublishError::Refused("too many events wait".into())));
            return Ok(());
        }
        let text = frame::publish(&publish.event);
        self.waiting.insert(publish.event.id.to_hex(), (publish.event, publish.done));
        self.send(text).await
    }

    async fn heard(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<(), String> {
        let text = match message {
            None | Some(Ok(Message::Close(_))) => return Err("it closed the connection".into()),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(_)) => return Ok(()),
        };
        match frame::read(&text) {
            Said::Event(event) => {
                // a reader that does not keep up loses events, not memory
                if self.task.events.try_send(*event).is_err() {
                    tracing::debug!(relay = self.task.url, "an event was dropped");
                }
                self.live();
            }
            Said::EndOfStored => self.live(),
            Said::Ok { id, taken, reason } => return self.answered(&id, taken, &reason).await,
            Said::Auth(challenge) => return self.authenticate(&challenge).await,
            Said::Closed(reason) if reason.starts_with("auth-required:") => {}
            Said::Closed(reason) => return Err(format!("it refused the subscription: {reason}")),
            Said::Other => {}
        }
        Ok(())
    }

    fn live(&self) {
        self.task.told.send_if_modified(|status| {
            let new = *status != Status::Live;
            *status = Status::Live;
            new
        });
    }

    async fn answered(&mut self, id: &str, taken: bool, reason: &str) -> Result<(), String> {
        if self.auth.as_deref() == Some(id) {
            self.auth = None;
            if !taken {
                return Err(format!("it does not let us in: {reason}"));
            }
            // what was refused before is asked for again
            self.send(frame::subscribe(&self.task.filter)).await?;
            let again: Vec<String> =
                self.waiting.values().map(|(event, _)| frame::publish(event)).collect();
            for text in again {
                self.send(text).await?;
            }
            return Ok(());
        }
        if !taken && reason.starts_with("auth-required:") {
            return Ok(());
        }
        if let Some((_, done)) = self.waiting.remove(id) {
            let _ = done.send(if taken { Ok(()) } else { Err(PublishError::Refused(cut(reason))) });
        }
        Ok(())
    }

    async fn authenticate(&mut self, challenge: &str) -> Result<(), String> {
        let now = (self.task.env.clock)();
        let answer = event::relay_auth(&self.task.url, challenge, now).sign(&self.task.keys);
        let answer = answer.map_err(|error| error.message)?;
        self.auth = Some(answer.id.to_hex());
        self.send(frame::authenticate(&answer)).await
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        self.raw(Message::Text(text.into())).await
    }

    async fn raw(&mut self, message: Message) -> Result<(), String> {
        let sent = timeout(self.task.env.timings.connect, self.socket.send(message)).await;
        match sent {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err("it takes nothing any more".to_owned()),
        }
    }

    /// Tells all who wait that the connection is gone.
    fn give_up(&mut self) {
        for (_, (_, done)) in self.waiting.drain() {
            let _ = done.send(Err(PublishError::Offline));
        }
    }
}
