//! Who is logged in: kept in memory for every request, written through to the store.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use archy_store::{Session as Row, Store, StoreError};
use archy_types::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use super::{Role, role_name, role_of};

/// A session that is not used for so long ends (milliseconds).
const IDLE: i64 = 24 * 3600 * 1000;
/// A session ends after so long in any case (milliseconds).
const ABSOLUTE: i64 = 30 * 24 * 3600 * 1000;
/// Uses are written to the store at most this often (milliseconds).
const SAVE_EVERY: i64 = 5 * 60 * 1000;
/// What stays open is looked at this often at least, for sessions that expire (milliseconds).
const LOOK_EVERY: i64 = 60 * 1000;
/// Sessions at once; beyond that the longest unused one ends.
const MAX_SESSIONS: usize = 1000;

/// Parts what people read of a session's origin from the id of the token that began it.
const MARK: char = '\u{1f}';

/// Seconds that the cookies last.
pub const COOKIE_SECS: i64 = ABSOLUTE / 1000;

type Key = [u8; 32];

/// A new session's two tokens. They are given out once and not kept.
#[derive(Clone)]
pub struct Tokens {
    /// For the `session` cookie: 32 random bytes as hex.
    pub session: String,
    /// For the `csrf_token` cookie, derived from the former.
    pub csrf: String,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// A session that counts.
pub struct Session {
    key: Key,
    csrf: String,
    /// The user.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// Where it began, for people.
    pub remote: String,
    /// Id of the device's or browser's token that began it.
    pub token: Option<String>,
    /// When it began.
    pub created: Timestamp,
    seen: AtomicI64,
    saved: AtomicI64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("user", &self.user).field("role", &self.role).finish()
    }
}

impl Session {
    /// Names the session; who knows this cannot use it.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&self.key[..8])
    }

    /// When it was last used.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        Timestamp(self.seen.load(Ordering::Relaxed))
    }

    /// When it ends if it is not used.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        let seen = self.seen.load(Ordering::Relaxed);
        Timestamp((seen + IDLE).min(self.created.0 + ABSOLUTE))
    }

    /// True when the header echoes this session's token.
    #[must_use]
    pub fn csrf_matches(&self, given: &str) -> bool {
        self.csrf.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// Whose session begins, and where.
#[derive(Debug, Clone)]
pub struct Begin {
    /// The user.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// Where they are, for people.
    pub remote: String,
    /// Id of the token that lets them in, if one does.
    pub token: Option<String>,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    store: Store,
    live: RwLock<HashMap<Key, Arc<Session>>>,
    /// Told when sessions ended, or what users may do has changed.
    changed: watch::Sender<()>,
}

impl Sessions {
    /// Reads the sessions that still count.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn load(store: Store, now: Timestamp) -> Result<Self, StoreError> {
        if let Err(error) = store.prune_sessions(now).await {
            tracing::warn!(%error, "expired sessions were not removed");
        }
        let rows = store.sessions(now).await?;
        let live = rows.into_iter().take(MAX_SESSIONS).filter_map(from_row).collect();
        Ok(Self { store, live: RwLock::new(live), changed: watch::Sender::default() })
    }

    /// Begins a session.
    ///
    /// # Errors
    /// The system has no randomness, or the store cannot be written.
    pub async fn begin(&self, who: Begin, now: Timestamp) -> Result<Tokens, StoreError> {
        let mut bytes = [0_u8; 32];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|error| StoreError::Refused {
            what: "the session's token",
            reason: format!("cannot be made: {error}"),
        })?;
        let token = hex::encode(bytes);
        let (key, csrf) = (key_of(&token), csrf_of(&token));
        let session = Session {
            key,
            csrf: csrf.clone(),
            user: who.user.clone(),
            role: who.role,
            remote: who.remote.clone(),
            token: who.token.clone(),
            created: now,
            seen: AtomicI64::new(now.0),
            saved: AtomicI64::new(now.0),
        };
        let kept = self
            .store
            .put_session(Row {
                token_hash: hex::encode(key),
                csrf: csrf.clone(),
                user: who.user,
                role: role_name(who.role).to_owned(),
                created: now,
                last_seen: now,
                expires: session.expires(),
                remote: match who.token {
                    Some(token) => format!("{}{MARK}{token}", who.remote),
                    None => who.remote,
                },
            })
            .await;
        match kept {
            // who looks after a full disk must be able to log in
            Err(error) if error.is_of_the_disk() => {
                tracing::warn!(%error, "a session is not kept: it ends with the daemon");
            }
            kept => kept?,
        }
        let surplus = {
            let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
            live.insert(key, Arc::new(session));
            let oldest =
                live.values().min_by_key(|s| s.seen.load(Ordering::Relaxed)).map(|s| s.key);
            oldest.filter(|_| live.len() > MAX_SESSIONS).inspect(|key| {
                live.remove(key);
            })
        };
        if let Some(key) = surplus {
            self.reconsider();
            self.store.delete_session(&hex::encode(key)).await?;
        }
        Ok(Tokens { session: token, csrf })
    }

    /// The session of a token, if it counts; notes that it was used.
    #[must_use]
    pub fn find(&self, token: &str, now: Timestamp) -> Option<Arc<Session>> {
        // the table is keyed by the token's hash, so its order tells nothing about tokens
        let key = key_of(token);
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let session = live.get(&key)?.clone();
        drop(live);
        if session.expires() <= now {
            return None;
        }
        session.seen.fetch_max(now.0, Ordering::Relaxed);
        self.save_use(&session, now);
        Some(session)
    }

    /// The session of a token, if it counts. This is no use of it.
    #[must_use]
    pub fn look(&self, token: &str, now: Timestamp) -> Option<Arc<Session>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.get(&key_of(token)).filter(|session| session.expires() > now).cloned()
    }

    /// What was opened under sessions is to be looked at again.
    pub fn reconsider(&self) {
        self.changed.send_replace(());
    }

    /// Comes when a session counts no more, or `may` says so: whatever stays open ends then.
    pub async fn ended(
        &self,
        session: &Session,
        now: fn() -> Timestamp,
        may: impl Fn() -> bool + Send,
    ) {
        let mut changed = self.changed.subscribe();
        loop {
            let at = now();
            if !self.is_live(session, at) || !may() {
                return;
            }
            let left = (session.expires().0 - at.0).clamp(1, LOOK_EVERY);
            let wait = tokio::time::sleep(Duration::from_millis(left.unsigned_abs()));
            tokio::select! {
                _ = changed.changed() => {}
                () = wait => {}
            }
        }
    }

    /// True while a session counts; unlike [`Sessions::find`] this is no use of it.
    #[must_use]
    pub fn is_live(&self, session: &Session, now: Timestamp) -> bool {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.contains_key(&session.key) && session.expires() > now
    }

    /// Writes the last use, seldom, and without making anybody wait.
    fn save_use(&self, session: &Arc<Session>, now: Timestamp) {
        let saved = session.saved.load(Ordering::Relaxed);
        if now.0 - saved < SAVE_EVERY
            || session
                .saved
                .compare_exchange(saved, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let (store, session) = (self.store.clone(), session.clone());
        tokio::spawn(async move {
            let key = hex::encode(session.key);
            if let Err(error) = store.touch_session(&key, now, session.expires()).await {
                tracing::warn!(%error, "the use of a session was not noted");
            }
        });
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The store cannot be written; the session has ended in this process all the same.
    pub async fn end(&self, session: &Session) -> Result<(), StoreError> {
        self.live.write().unwrap_or_else(PoisonError::into_inner).remove(&session.key);
        self.reconsider();
        self.store.delete_session(&hex::encode(session.key)).await.map(drop)
    }

    /// The sessions that count, last used first.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<Arc<Session>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            live.values().filter(|session| session.expires() > now).cloned().collect();
        drop(live);
        all.sort_by_key(|session| (std::cmp::Reverse(session.last_seen()), session.key));
        all
    }

    /// Ends a user's sessions, except perhaps one.
    ///
    /// # Errors
    /// The store cannot be written; the sessions have ended in this process all the same.
    pub async fn end_others(&self, user: &str, keep: Option<&Session>) -> Result<(), StoreError> {
        self.end_where(|session| {
            session.user == user && keep.is_none_or(|kept| kept.key != session.key)
        })
        .await
        .map(drop)
    }

    /// Ends sessions; says how many.
    ///
    /// # Errors
    /// The store cannot be written; the sessions have ended in this process all the same.
    pub async fn end_where(&self, which: impl Fn(&Session) -> bool) -> Result<u32, StoreError> {
        let mut gone = Vec::new();
        self.live.write().unwrap_or_else(PoisonError::into_inner).retain(|key, session| {
            let ends = which(session);
            if ends {
                gone.push(*key);
            }
            !ends
        });
        self.reconsider();
        for key in &gone {
            self.store.delete_session(&hex::encode(key)).await?;
        }
        Ok(u32::try_from(gone.len()).unwrap_or(u32::MAX))
    }

    /// Forgets sessions that have expired.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        self.live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, session| session.expires() > now);
        self.store.prune_sessions(now).await.map(drop)
    }
}

fn key_of(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

/// HMAC-SHA-256 with the session's token as key: whoever has it cannot get the token back.
fn csrf_of(token: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(token.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length
    };
    mac.update(b"archipelago csrf 1");
    hex::encode(mac.finalize().into_bytes())
}

fn from_row(row: Row) -> Option<(Key, Arc<Session>)> {
    let mut key = [0; 32];
    hex::decode_to_slice(&row.token_hash, &mut key).ok()?;
    let (remote, token) = match row.remote.split_once(MARK) {
        Some((remote, token)) => (remote.to_owned(), Some(token.to_owned())),
        None => (row.remote, None),
    };
    let session = Session {
        key,
        csrf: row.csrf,
        user: row.user,
        role: role_of(&row.role)?,
        remote,
        token,
        created: row.created,
        seen: AtomicI64::new(row.last_seen.0),
        saved: AtomicI64::new(row.last_seen.0),
    };
    Some((key, Arc::new(session)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &std::path::Path) -> Store {
        Store::open(&archy_store::Options::new(dir)).unwrap()
    }

    fn who(role: Role) -> Begin {
        let token = Some("t1".to_owned());
        Begin { user: "owner".into(), role, remote: "here".into(), token }
    }

    #[tokio::test]
    async fn life_of_a_session() {
        let dir = tempfile::tempdir().unwrap();
        let start = Timestamp(1_000_000);
        let sessions = Sessions::load(store(dir.path()), start).await.unwrap();
        let tokens = sessions.begin(who(Role::Admin), start).await.unwrap();
        let found = sessions.find(&tokens.session, start.plus_millis(IDLE - 1)).unwrap();
        assert!(found.csrf_matches(&tokens.csrf) && !found.csrf_matches("x"));
        assert!(sessions.find("other", start).is_none());
        // used a moment before the idle limit, it lasts another day
        assert!(sessions.find(&tokens.session, start.plus_millis(2 * IDLE - 2)).is_some());
        assert!(sessions.find(&tokens.session, start.plus_millis(4 * IDLE)).is_none());
    }

    #[tokio::test]
    async fn nothing_outlives_the_absolute_limit() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = Sessions::load(store(dir.path()), Timestamp(0)).await.unwrap();
        let tokens = sessions.begin(who(Role::Admin), Timestamp(0)).await.unwrap();
        let mut at = Timestamp(0);
        while at.0 < ABSOLUTE {
            assert!(sessions.find(&tokens.session, at).is_some(), "{at:?}");
            at = at.plus_millis(IDLE / 2);
        }
        assert!(sessions.find(&tokens.session, at).is_none());
    }

    #[tokio::test]
    async fn sessions_survive_a_restart_and_end_together() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp(5);
        let (kept, other) = {
            let sessions = Sessions::load(store(dir.path()), now).await.unwrap();
            let begin = || sessions.begin(who(Role::Viewer), now);
            (begin().await.unwrap(), begin().await.unwrap())
        };
        let sessions = Sessions::load(store(dir.path()), now).await.unwrap();
        let keep = sessions.find(&kept.session, now).unwrap();
        assert_eq!(keep.role, Role::Viewer);
        assert_eq!((keep.remote.as_str(), keep.token.as_deref()), ("here", Some("t1")));
        assert_eq!(sessions.list(now).len(), 2);
        assert!(sessions.find(&other.session, now).is_some());
        sessions.end_others("owner", Some(&keep)).await.unwrap();
        assert!(sessions.find(&other.session, now).is_none());
        sessions.end(&keep).await.unwrap();
        assert!(sessions.find(&kept.session, now).is_none());
        drop(sessions);
        let again = Sessions::load(store(dir.path()), now).await.unwrap();
        assert!(again.find(&kept.session, now).is_none());
    }
}
