//! Pairings: this node shows a `nostrconnect://` link, and a signer comes to it.
//!
//! Listening begins before the link is shown, so that no early answer is lost, and the first answer
//! that repeats the secret wins, whichever relay brings it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archy_types::UserError;
use nostr::event::Event;
use nostr::key::{Keys, PublicKey};
use subtle::ConstantTimeEq as _;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::message::{self, Response};
use super::session::{self, Seen, Session};
use super::{LinkError, prove};
use crate::record::{LinkedSigner, Purpose};
use crate::relay::{self, Env, RelayLink};
use crate::store::{Identities, Identity};
use crate::uri::{NostrConnectUri, relay_urls};
use crate::{event, random};

/// Most pairings that are open at a time.
pub const MAX_OPEN: usize = 4;

/// What the new identity will be.
#[derive(Debug, Clone)]
pub struct Meta {
    /// Name for people.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
}

/// How far a pairing is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// No signer came yet.
    Pending,
    /// It came; this is the new identity.
    Linked(Box<Identity>),
}

/// All pairings. Cheap to clone.
#[derive(Clone)]
pub struct Pairings {
    identities: Arc<Identities>,
    env: Env,
    open: Arc<Mutex<HashMap<String, Pairing>>>,
}

impl fmt::Debug for Pairings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairings").finish_non_exhaustive()
    }
}

struct Pairing {
    outcome: Option<Result<Identity, UserError>>,
    /// When it is forgotten.
    until: Instant,
    task: Option<AbortHandle>,
}

impl Drop for Pairing {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Pairings {
    /// No pairings yet.
    #[must_use]
    pub fn new(identities: Arc<Identities>, env: Env) -> Self {
        Self { identities, env, open: Arc::default() }
    }

    /// Begins a pairing: its id, and the link to be shown to the signer as text and QR code.
    ///
    /// # Errors
    /// The relays are no relays or cannot be reached; `pairing-limit`.
    pub async fn start(
        &self,
        meta: Meta,
        relays: &[String],
    ) -> Result<(String, Zeroizing<String>), UserError> {
        let relays = relay_urls(relays)?;
        crate::store::valid_name(&meta.name)?;
        let id = hex::encode(random::bytes::<16>()?);
        self.reserve(&id)?;
        let begun = self.begin(&id, meta, relays).await;
        if begun.is_err() {
            self.lock().remove(&id);
        }
        Ok((id, begun?))
    }

    async fn begin(
        &self,
        id: &str,
        meta: Meta,
        relays: Vec<String>,
    ) -> Result<Zeroizing<String>, UserError> {
        let client = Keys::generate();
        let secret = Zeroizing::new(hex::encode(random::bytes::<16>()?));
        // an answer that a relay stored a moment ago counts
        let since = event::secs((self.env.clock)()).saturating_sub(10);
        let (links, events) = session::listen(&client, &relays, Some(since), &self.env);
        let live = relay::any_live(&links, self.env.timings.connect).await;
        live.map_err(LinkError::Offline)?;
        let uri = NostrConnectUri { client: client.public_key(), relays, secret: secret.clone() };
        let text = uri.expose();
        let waiting = Waiting { client, secret, relays: uri.relays, links, events };
        let (this, id) = (self.clone(), id.to_owned());
        let key = id.clone();
        let task = tokio::spawn(async move {
            let within = this.env.timings.pairing;
            let outcome = match tokio::time::timeout(within, this.pair(meta, waiting)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    Err(UserError::new("pairing-expired", "Session expired: no signer came.")
                        .hint("Begin again and scan the new code."))
                }
            };
            this.end(&key, outcome);
        });
        if let Some(pairing) = self.lock().get_mut(&id) {
            pairing.task = Some(task.abort_handle());
        }
        Ok(text)
    }

    /// How far a pairing is. Its end is told for a minute, whoever asks again.
    ///
    /// # Errors
    /// `pairing-not-found`, `pairing-expired`, or why the signer was not linked.
    pub fn finish(&self, id: &str) -> Result<Progress, UserError> {
        let mut open = self.lock();
        forget_old(&mut open);
        match open.get(id).map(|pairing| &pairing.outcome) {
            None => {
                Err(UserError::new("pairing-not-found", "Not found: there is no such pairing.")
                    .hint("Begin again; a pairing stays open for five minutes."))
            }
            Some(None) => Ok(Progress::Pending),
            Some(Some(Ok(identity))) => Ok(Progress::Linked(Box::new(identity.clone()))),
            Some(Some(Err(error))) => Err(error.clone()),
        }
    }

    /// Gives a pairing up.
    pub fn cancel(&self, id: &str) {
        self.lock().remove(id);
    }

    fn reserve(&self, id: &str) -> Result<(), UserError> {
        let mut open = self.lock();
        forget_old(&mut open);
        if open.values().filter(|pairing| pairing.outcome.is_none()).count() >= MAX_OPEN {
            let message = format!("There are {MAX_OPEN} open pairings already.");
            return Err(
                UserError::new("pairing-limit", message).hint("Finish one, or wait five minutes.")
            );
        }
        let timings = self.env.timings;
        let until = Instant::now() + timings.connect + timings.pairing + timings.repeat;
        open.insert(id.to_owned(), Pairing { outcome: None, until, task: None });
        Ok(())
    }

    fn end(&self, id: &str, outcome: Result<Identity, UserError>) {
        if let Some(pairing) = self.lock().get_mut(id) {
            pairing.until = Instant::now() + self.env.timings.repeat;
            pairing.outcome = Some(outcome);
        }
    }

    /// Waits for the signer, lets it prove its key, and adds the identity.
    async fn pair(&self, meta: Meta, waiting: Waiting) -> Result<Identity, UserError> {
        let Waiting { client, secret, relays, links, mut events } = waiting;
        let remote = first_answer(&client, &secret, &mut events).await.ok_or(LinkError::Silent)?;
        let session = Session::over(client.clone(), remote, links, events, &self.env);
        let user = prove(&session, &self.identities, &self.env).await?;
        let now = (self.env.clock)();
        let linked_at = crate::store::rfc3339(now);
        let link = LinkedSigner { remote, user, relays, client, secret: Some(secret), linked_at };
        let identities = self.identities.clone();
        let add = move || identities.link(&meta.name, meta.purpose, link, now);
        tokio::task::spawn_blocking(add).await.map_err(|error| {
            UserError::new("internal", format!("The identity was not added: {error}."))
        })?
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pairing>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pairing listens with.
struct Waiting {
    client: Keys,
    secret: Zeroizing<String>,
    relays: Vec<String>,
    links: Vec<RelayLink>,
    events: mpsc::Receiver<Event>,
}

fn forget_old(open: &mut HashMap<String, Pairing>) {
    let now = Instant::now();
    open.retain(|_, pairing| pairing.until > now);
}

/// The signer whose answer repeats the secret; all others are passed over.
async fn first_answer(
    client: &Keys,
    secret: &str,
    events: &mut mpsc::Receiver<Event>,
) -> Option<PublicKey> {
    let mut seen = Seen::default();
    while let Some(event) = events.recv().await {
        if !seen.is_new(event.id) {
            continue;
        }
        let response = message::unwrap(client, &event).and_then(|text| Response::read(&text));
        let Some(response) = response.filter(|response| response.error.is_none()) else { continue };
        if response.result.as_bytes().ct_eq(secret.as_bytes()).into() {
            return Some(event.pubkey);
        }
    }
    None
}
