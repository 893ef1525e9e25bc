//! Passkeys: registered under one of the node's names, asked for in place of password and code.

use std::fmt;

use archy_types::UserError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use webauthn_rs::prelude::{
    Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder,
};

use super::Pending;
use super::totp::random;

/// Passkeys of one user.
pub const MAX_KEYS: usize = 20;
/// Seconds that a question waits for its answer.
const PATIENCE: u64 = 120;

/// A registered passkey.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptKey {
    /// Names it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The name of the node that it works under.
    pub host: String,
    /// When it was registered (milliseconds since 1970).
    pub created: i64,
    /// The public key with its counter, as the library keeps it.
    key: Value,
}

impl fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptKey").field("name", &self.name).field("host", &self.host).finish()
    }
}

/// A question to an authenticator.
#[derive(Debug)]
pub struct Question {
    /// Names the attempt.
    pub attempt: String,
    /// What the browser's authenticator is asked.
    pub options: Value,
}

/// What is waiting for an authenticator.
#[derive(Debug)]
pub struct Passkeys {
    registering: Pending<Registering>,
    asking: Pending<Asking>,
    /// Makes up the keys of users who have none.
    pretence: OnceCell<[u8; 32]>,
}

#[derive(Clone)]
struct Registering {
    user: String,
    name: String,
    site: Site,
    state: PasskeyRegistration,
}

#[derive(Clone)]
struct Asking {
    user: String,
    site: Site,
    /// Nothing for a user who has no passkey: no answer is right.
    state: Option<PasskeyAuthentication>,
}

/// The page that asks.
#[derive(Debug, Clone)]
pub struct Site {
    origin: Url,
    host: String,
}

impl Default for Passkeys {
    fn default() -> Self {
        Self {
            registering: Pending::new(PATIENCE, 1),
            asking: Pending::new(PATIENCE, 1),
            pretence: OnceCell::new(),
        }
    }
}

impl Site {
    /// The page at this origin.
    ///
    /// # Errors
    /// `passkey-needs-name`: browsers make no passkeys for addresses.
    pub fn new(origin: Option<&str>) -> Result<Self, UserError> {
        let origin = origin.and_then(|origin| Url::parse(origin).ok());
        let named = origin.and_then(|origin| {
            let host = origin.domain()?.to_owned();
            Some(Self { origin, host })
        });
        named.ok_or_else(|| {
            let message = "Invalid origin: passkeys need a page that is reached by name.";
            UserError::new("passkey-needs-name", message)
                .hint("Open the node by its name, for example https://<name>.local.")
        })
    }

    fn webauthn(&self) -> Result<Webauthn, UserError> {
        WebauthnBuilder::new(&self.host, &self.origin)
            .and_then(|builder| builder.rp_name("Archipelago").build())
            .map_err(|error| failed(&error))
    }
}

impl Passkeys {
    /// Begins to register a key of a user.
    ///
    /// # Errors
    /// `too-many-passkeys`, or the library refuses.
    pub fn register(
        &self,
        site: Site,
        user: &str,
        name: &str,
        known: &[KeptKey],
        now_millis: u64,
    ) -> Result<Question, UserError> {
        if known.len() >= MAX_KEYS {
            let message = format!("Invalid request: a user has at most {MAX_KEYS} passkeys.");
            return Err(UserError::new("too-many-passkeys", message)
                .hint("Remove one that is not used any more."));
        }
        let here = known.iter().filter(|key| key.host == site.host).filter_map(read);
        let exclude = here.map(|key| key.cred_id().clone()).collect();
        let digest = Sha256::digest(format!("archipelago user 1 {user}"));
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        let begun = site.webauthn()?.start_passkey_registration(
            Uuid::from_bytes(id),
            user,
            user,
            Some(exclude),
        );
        let (options, state) = begun.map_err(|error| failed(&error))?;
        let waiting = Registering { user: user.to_owned(), name: name.to_owned(), site, state };
        let attempt = self.registering.put(waiting, now_millis)?;
        Ok(Question { attempt, options: to_json(&options)? })
    }

    /// Ends a registration with the authenticator's answer.
    ///
    /// # Errors
    /// `passkey-refused`.
    pub fn registered(
        &self,
        user: &str,
        attempt: &str,
        answer: Value,
        at: i64,
        now_millis: u64,
    ) -> Result<KeptKey, UserError> {
        let waiting = self.registering.take(attempt, now_millis).filter(|one| one.user == user);
        let waiting = waiting.ok_or_else(refused)?;
        let answer: RegisterPublicKeyCredential =
            serde_json::from_value(answer).map_err(|_| refused())?;
        let webauthn = waiting.site.webauthn()?;
        let key =
            webauthn.finish_passkey_registration(&answer, &waiting.state).map_err(|error| {
                tracing::info!(%error, "a passkey was not registered");
                refused()
            })?;
        Ok(KeptKey {
            id: hex::encode(&Sha256::digest(key.cred_id().as_slice())[..8]),
            name: waiting.name,
            host: waiting.site.host,
            created: at,
            key: to_json(&key)?,
        })
    }

    /// Begins a login. A user without passkeys, or whom nobody knows, gets a question of the same
    /// kind.
    ///
    /// # Errors
    /// The library refuses, or the system has no randomness.
    pub async fn ask(
        &self,
        site: Site,
        user: &str,
        known: &[KeptKey],
        now_millis: u64,
    ) -> Result<Question, UserError> {
        let here: Vec<Passkey> =
            known.iter().filter(|key| key.host == site.host).filter_map(read).collect();
        let (options, state) = if here.is_empty() {
            (self.pretend(&site, user).await?, None)
        } else {
            let begun = site.webauthn()?.start_passkey_authentication(&here);
            let (options, state) = begun.map_err(|error| failed(&error))?;
            (to_json(&options)?, Some(state))
        };
        let asking = Asking { user: user.to_owned(), site, state };
        Ok(Question { attempt: self.asking.put(asking, now_millis)?, options })
    }

    /// The question to a user without passkeys: as if there were one, always the same.
    async fn pretend(&self, site: &Site, user: &str) -> Result<Value, UserError> {
        let secret = self.pretence.get_or_try_init(|| async { random::<32>() }).await?;
        let mut hash = Sha256::new();
        hash.update(secret);
        hash.update(site.host.as_bytes());
        hash.update([0]);
        hash.update(user.as_bytes());
        let id = URL_SAFE_NO_PAD.encode(hash.finalize());
        let challenge = URL_SAFE_NO_PAD.encode(random::<32>()?);
        Ok(json!({
            "publicKey": {
                "challenge": challenge,
                "timeout": 300_000,
                "rpId": site.host,
                "allowCredentials": [{ "type": "public-key", "id": id }],
                "userVerification": "required",
            },
        }))
    }

    /// Ends a login with the authenticator's answer; gives the user, and what is to be done to
    /// their keys.
    ///
    /// # Errors
    /// `passkey-refused`.
    pub fn answered(
        &self,
        attempt: &str,
        answer: Value,
        now_millis: u64,
    ) -> Result<Answered, UserError> {
        let asking = self.asking.take(attempt, now_millis).ok_or_else(refused)?;
        let state = asking.state.ok_or_else(refused)?;
        let answer: PublicKeyCredential = serde_json::from_value(answer).map_err(|_| refused())?;
        let webauthn = asking.site.webauthn()?;
        let result = webauthn.finish_passkey_authentication(&answer, &state).map_err(|error| {
            tracing::info!(%error, "a passkey was refused");
            refused()
        })?;
        if !result.user_verified() {
            return Err(refused());
        }
        Ok(Answered { user: asking.user, result })
    }
}

/// Who was recognized.
#[derive(Debug)]
pub struct Answered {
    /// The user.
    pub user: String,
    result: webauthn_rs::prelude::AuthenticationResult,
}

impl Answered {
    /// Notes the use of a key; false when it is not there any more.
    #[must_use]
    pub fn note(&self, keys: &mut [KeptKey]) -> bool {
        for kept in keys {
            let Some(mut key) = read(kept) else { continue };
            let Some(changed) = key.update_credential(&self.result) else { continue };
            if changed && let Ok(value) = to_json(&key) {
                kept.key = value;
            }
            return true;
        }
        false
    }
}

fn read(kept: &KeptKey) -> Option<Passkey> {
    serde_json::from_value(kept.key.clone()).ok()
}

fn to_json<T: Serialize>(value: &T) -> Result<Value, UserError> {
    serde_json::to_value(value).map_err(|error| failed(&error))
}

fn failed(error: &dyn fmt::Display) -> UserError {
    UserError::new("passkey-failed", format!("The passkey could not be asked for: {error}."))
        .hint("Log in with the password; the journal tells more.")
}

/// No passkey, not this one, too late, or a wrong answer: nobody is told which.
#[must_use]
pub fn refused() -> UserError {
    UserError::new("passkey-refused", "Invalid passkey: it is not known here, or took too long.")
        .hint("Try again, or log in with the password.")
}
