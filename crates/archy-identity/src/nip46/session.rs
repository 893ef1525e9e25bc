//! A conversation with one signer over its relays.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use nostr::event::{Event, EventId};
use nostr::key::{Keys, PublicKey};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::message::{Request, Response};
use super::{KIND, LinkError, message};
use crate::cipher::{Direction, Scheme};
use crate::event::{self, Template};
use crate::random;
use crate::relay::{self, Env, RelayLink, Status};

/// Most requests that wait for one signer.
const MAX_PENDING: usize = 64;
/// Ids of events that were seen, so that the same answer over two relays counts once.
const MAX_SEEN: usize = 512;
/// Messages that wait for the reader.
const QUEUE: usize = 64;

type Pending = Arc<Mutex<HashMap<String, oneshot::Sender<Response>>>>;

/// A conversation; it ends when dropped.
#[derive(Debug)]
pub struct Session {
    client: Keys,
    remote: PublicKey,
    links: Vec<RelayLink>,
    pending: Pending,
    env: Env,
    reader: AbortHandle,
}

/// Links to relays that listen for one key, and what they hear.
pub(crate) fn listen(
    client: &Keys,
    relays: &[String],
    since: Option<u64>,
    env: &Env,
) -> (Vec<RelayLink>, mpsc::Receiver<Event>) {
    let (heard, events) = mpsc::channel(QUEUE);
    let mut filter = json!({ "kinds": [KIND], "#p": [client.public_key().to_hex()] });
    filter["since"] = json!(since.unwrap_or_else(|| event::secs((env.clock)()).saturating_sub(10)));
    let start = |url: &String| {
        RelayLink::start(url.clone(), filter.clone(), client.clone(), heard.clone(), env.clone())
    };
    (relays.iter().map(start).collect(), events)
}

impl Session {
    /// Begins to connect to the signer's relays.
    #[must_use]
    pub fn open(client: Keys, remote: PublicKey, relays: &[String], env: &Env) -> Self {
        let (links, events) = listen(&client, relays, None, env);
        Self::over(client, remote, links, events, env)
    }

    /// A conversation over links that listen already.
    pub(crate) fn over(
        client: Keys,
        remote: PublicKey,
        links: Vec<RelayLink>,
        events: mpsc::Receiver<Event>,
        env: &Env,
    ) -> Self {
        let pending = Pending::default();
        let reader = tokio::spawn(read(client.clone(), remote, events, pending.clone()));
        let reader = reader.abort_handle();
        Self { client, remote, links, pending, env: env.clone(), reader }
    }

    /// Waits for a first relay.
    ///
    /// # Errors
    /// [`LinkError::Offline`].
    pub async fn ready(&self) -> Result<(), LinkError> {
        let within = self.env.timings.session_connect;
        relay::any_live(&self.links, within).await.map_err(LinkError::Offline)
    }

    /// Relays and where each stands.
    pub fn relays(&self) -> impl Iterator<Item = (&str, Status)> {
        self.links.iter().map(|link| (link.url(), link.status()))
    }

    /// Asks the signer and waits for its answer.
    ///
    /// # Errors
    /// No relay takes the request, or the signer says no or nothing.
    pub async fn request(&self, method: &str, params: Vec<String>) -> Result<String, LinkError> {
        self.ready().await?;
        let id = hex::encode(random::bytes::<16>().map_err(|_| LinkError::Bad("no request id"))?);
        let request = Request { id: id.clone(), method: method.to_owned(), params };
        let now = (self.env.clock)();
        let event = message::wrap(&self.client, self.remote, &request.text(), now)
            .map_err(|_| LinkError::Bad("the request is too long for it"))?;
        let (answered, answer) = oneshot::channel();
        let _waiting = Waiting::new(&self.pending, &id, answered)?;
        let deadline = tokio::time::sleep(self.env.timings.request);
        tokio::pin!(answer, deadline);
        let publish = self.publish(event);
        tokio::pin!(publish);
        let mut published = false;
        loop {
            tokio::select! {
                answer = &mut answer => {
                    return answer.map_err(|_| LinkError::Silent)?.outcome();
                }
                outcome = &mut publish, if !published => {
                    outcome?;
                    published = true;
                }
                () = &mut deadline => return Err(LinkError::Silent),
            }
        }
    }

    /// Publishes to all relays that are there; one that takes it suffices.
    async fn publish(&self, event: Event) -> Result<(), LinkError> {
        let live = self.links.iter().filter(|link| link.status() == Status::Live);
        let sent: Vec<_> = live.map(|link| Box::pin(link.publish(event.clone()))).collect();
        if sent.is_empty() {
            return Err(LinkError::Offline("no relay is connected".to_owned()));
        }
        let first = futures_util::future::select_ok(sent).await;
        first.map(drop).map_err(|error| LinkError::Offline(error.to_string()))
    }

    /// Lets the signer sign, and checks that it signed exactly this with this key.
    ///
    /// # Errors
    /// As [`Self::request`]; [`LinkError::Bad`] when the event is another one.
    pub async fn sign_event(
        &self,
        template: &Template,
        user: PublicKey,
    ) -> Result<Event, LinkError> {
        let unsigned = template
            .unsigned(user)
            .map_err(|_| LinkError::Bad("the event is not one that it can sign"))?;
        let asked = json!({
            "kind": template.kind,
            "created_at": template.created_at,
            "tags": template.tags,
            "content": template.content,
            "pubkey": unsigned.pubkey,
        });
        let answer = self.request("sign_event", vec![asked.to_string()]).await?;
        let value: Value = serde_json::from_str(&answer)
            .map_err(|_| LinkError::Bad("the signed event cannot be read"))?;
        let event: Event = serde_json::from_value(value)
            .map_err(|_| LinkError::Bad("the signed event cannot be read"))?;
        if template.is_signed_as(&event, user) {
            Ok(event)
        } else {
            Err(LinkError::Bad("it signed another event, or not with its key"))
        }
    }

    /// Lets the signer encrypt or decrypt.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn cipher(
        &self,
        peer: &PublicKey,
        direction: Direction,
        scheme: Scheme,
        text: &str,
    ) -> Result<String, LinkError> {
        let method = match (scheme, direction) {
            (Scheme::Nip04, Direction::Encrypt) => "nip04_encrypt",
            (Scheme::Nip04, Direction::Decrypt) => "nip04_decrypt",
            (Scheme::Nip44, Direction::Encrypt) => "nip44_encrypt",
            (Scheme::Nip44, Direction::Decrypt) => "nip44_decrypt",
        };
        self.request(method, vec![peer.to_hex(), text.to_owned()]).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A request that waits for its answer; taken out of the list however the wait ends.
struct Waiting<'a> {
    pending: &'a Pending,
    id: &'a str,
}

impl<'a> Waiting<'a> {
    fn new(
        pending: &'a Pending,
        id: &'a str,
        answered: oneshot::Sender<Response>,
    ) -> Result<Self, LinkError> {
        let mut all = pending.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_PENDING {
            return Err(LinkError::Full);
        }
        all.insert(id.to_owned(), answered);
        Ok(Self { pending, id })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(self.id);
    }
}

/// Events that were seen, the newest so many.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    known: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Seen {
    /// True the first time.
    pub(crate) fn is_new(&mut self, id: EventId) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Hands answers of the signer to those who wait; all else is passed over.
async fn read(
    client: Keys,
    remote: PublicKey,
    mut events: mpsc::Receiver<Event>,
    pending: Pending,
) {
    let mut seen = Seen::default();
    while let Some(event) = events.recv().await {
        if event.pubkey != remote || !seen.is_new(event.id) {
            continue;
        }
        let Some(response) = message::unwrap(&client, &event).and_then(|t| Response::read(&t))
        else {
            continue;
        };
        let waiting = pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&response.id);
        if let Some(waiting) = waiting {
            let _ = waiting.send(response);
        }
    }
}
