//! Sessions of linked identities: opened when asked, shared, closed when idle.
//!
//! A person answers at the other end, so a page that asks twice must not make two prompts: the
//! same request joins the one that waits, and its success is given again for a minute. Failures are
//! never kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{LinkError, Session};
use crate::record::LinkedSigner;
use crate::relay::{Env, Status};

/// Most sessions at a time.
pub const MAX_SESSIONS: usize = 32;
/// Most requests that are remembered.
pub const MAX_JOINED: usize = 256;

/// All sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Links(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    env: Env,
    sessions: Mutex<HashMap<String, Held>>,
    joined: Mutex<HashMap<[u8; 32], Joined>>,
}

#[derive(Debug)]
struct Held {
    session: Arc<Session>,
    client: String,
    used: Instant,
}

type Outcome = Result<String, LinkError>;

#[derive(Debug)]
struct Joined {
    outcome: watch::Receiver<Option<Outcome>>,
    ended: Option<Instant>,
}

impl Links {
    /// No sessions yet.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self(Arc::new(Inner { env, sessions: Mutex::default(), joined: Mutex::default() }))
    }

    /// What connections need.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.0.env
    }

    /// The session of a linked identity.
    #[must_use]
    pub fn session(&self, identity: &str, link: &LinkedSigner) -> Arc<Session> {
        let client = link.client.public_key().to_hex();
        let mut sessions = self.0.sessions();
        if let Some(held) = sessions.get_mut(identity).filter(|held| held.client == client) {
            held.used = Instant::now();
            return held.session.clone();
        }
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, held)| held.used);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                sessions.remove(&oldest);
            }
        }
        let session = Session::open(link.client.clone(), link.remote, &link.relays, &self.0.env);
        let session = Arc::new(session);
        let held = Held { session: session.clone(), client, used: Instant::now() };
        sessions.insert(identity.to_owned(), held);
        tokio::spawn(close_when_idle(Arc::downgrade(&self.0), self.0.env.timings.idle));
        session
    }

    /// Ends the session of an identity that was deleted.
    pub fn forget(&self, identity: &str) {
        self.0.sessions().remove(identity);
    }

    /// Addresses of relays that are connected now.
    #[must_use]
    pub fn connected(&self) -> Vec<String> {
        let sessions = self.0.sessions();
        let relays = sessions.values().flat_map(|held| held.session.relays());
        let live = relays.filter(|(_, status)| *status == Status::Live);
        live.map(|(url, _)| url.to_owned()).collect()
    }

    /// Does `work`, or joins the same request that is under way or has just succeeded. The work
    /// goes on when the caller goes away, so that a page that asks again finds the answer.
    ///
    /// # Errors
    /// The work's.
    pub async fn once<F>(&self, what: &[&str], work: F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let key = key(what);
        let mut waiting = {
            let mut joined = self.0.joined();
            let repeat = self.0.env.timings.repeat;
            joined.retain(|_, one| match one.ended {
                Some(ended) => ended.elapsed() < repeat,
                // work that broke off without an outcome is forgotten
                None => one.outcome.has_changed().is_ok(),
            });
            match joined.get(&key) {
                Some(one) => one.outcome.clone(),
                None if joined.len() >= MAX_JOINED => return Err(LinkError::Full),
                None => {
                    let (told, outcome) = watch::channel(None);
                    joined.insert(key, Joined { outcome: outcome.clone(), ended: None });
                    let inner = self.0.clone();
                    tokio::spawn(async move {
                        let outcome = work.await;
                        inner.ended(&key, outcome.is_ok());
                        told.send_replace(Some(outcome));
                    });
                    outcome
                }
            }
        };
        let outcome = waiting.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(LinkError::Silent))
    }
}

impl Inner {
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn joined(&self) -> MutexGuard<'_, HashMap<[u8; 32], Joined>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, key: &[u8; 32], well: bool) {
        let mut joined = self.joined();
        if well {
            if let Some(one) = joined.get_mut(key) {
                one.ended = Some(Instant::now());
            }
        } else {
            joined.remove(key);
        }
    }
}

/// A digest of a request: its parts are not kept.
fn key(what: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in what {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

/// Looks from time to time, until no session is left.
async fn close_when_idle(inner: Weak<Inner>, idle: Duration) {
    loop {
        tokio::time::sleep(idle).await;
        let Some(inner) = inner.upgrade() else { return };
        let mut sessions = inner.sessions();
        // one that a caller holds is at work
        sessions
            .retain(|_, held| held.used.elapsed() < idle || Arc::strong_count(&held.session) > 1);
        if sessions.is_empty() {
            return;
        }
    }
}
