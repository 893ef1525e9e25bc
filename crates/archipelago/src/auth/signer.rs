//! Login with a linked signer: attempts in memory, the signers that may approve in `user.json`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use archy_identity::Signer;
use archy_identity::login::{Attempt, Attempts, Outcome, Recent, binding};
use archy_types::{Timestamp, UserError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use super::Pending;
use super::user_file::Record;
use crate::clock;

/// Signers that may approve logins of one user.
pub const MAX_SIGNERS: usize = 5;
/// How long a call waits for a signer.
const WAIT: Duration = Duration::from_secs(10);
/// How long an attempt can be asked about, in seconds, and how often.
const KEPT_SECS: u64 = 150;
const LOOKS: u32 = 200;

/// A signer that may approve logins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSigner {
    /// The identity whose key it holds.
    pub identity_id: String,
    /// That key in hex.
    pub pubkey: String,
    /// When it was added (RFC 3339).
    pub added_at: String,
}

impl Record {
    /// The signers; what this version cannot read stays in the file and approves nothing.
    #[must_use]
    pub fn signers(&self) -> Vec<KeptSigner> {
        let read = |value: &Value| serde_json::from_value(value.clone()).ok();
        self.login_signers.iter().filter_map(read).collect()
    }

    /// Adds a signer, in place of one of the same identity.
    ///
    /// # Errors
    /// `signer-limit`.
    pub fn add_signer(&mut self, signer: &KeptSigner) -> Result<(), UserError> {
        self.remove_signer(&signer.identity_id);
        if self.signers().len() >= MAX_SIGNERS {
            let message = format!("Invalid request: at most {MAX_SIGNERS} signers approve logins.");
            return Err(
                UserError::new("signer-limit", message).hint("Remove one with auth.signer.remove.")
            );
        }
        self.login_signers.extend(serde_json::to_value(signer).ok());
        Ok(())
    }

    /// Removes the signer of an identity; false when there is none.
    pub fn remove_signer(&mut self, identity: &str) -> bool {
        let before = self.login_signers.len();
        self.login_signers.retain(|one| one["identity_id"].as_str() != Some(identity));
        self.login_signers.len() != before
    }
}

/// What an attempt is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A login without a second factor.
    Login,
    /// In place of a code: the token of the login that waits for it.
    Code(HiddenToken),
    /// The signer of this identity is to approve logins from now on.
    Enrol(String),
}

/// A token that nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenToken(pub String);

impl fmt::Debug for HiddenToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenToken(…)")
    }
}

/// How the signers answered, and after how many milliseconds.
pub type Verdict = (Result<String, Outcome>, i64);

/// An attempt that somebody will ask about.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whose login.
    pub user: String,
    /// What for.
    pub purpose: Purpose,
    bound: [u8; 32],
    verdict: watch::Receiver<Option<Verdict>>,
}

impl Asked {
    /// True for the browser that began the attempt.
    #[must_use]
    pub fn is_bound_to(&self, token: &str) -> bool {
        self.bound.ct_eq(&Sha256::digest(token.as_bytes())).into()
    }

    /// The verdict, waited for a while.
    pub async fn verdict(&self) -> Option<Verdict> {
        let mut verdict = self.verdict.clone();
        let waited = tokio::time::timeout(WAIT, verdict.wait_for(Option::is_some)).await;
        waited.ok()?.ok().and_then(|verdict| verdict.clone())
    }
}

/// What a browser is given when an attempt begins.
#[derive(Debug)]
pub struct Started {
    /// The attempt.
    pub attempt: Attempt,
    /// Name and value of the cookie that binds it.
    pub cookie: (String, HiddenToken),
}

/// All attempts.
#[derive(Debug)]
pub struct Signers {
    attempts: Arc<Mutex<Attempts>>,
    asked: Pending<Asked>,
}

impl Default for Signers {
    fn default() -> Self {
        Self { attempts: Arc::default(), asked: Pending::new(KEPT_SECS, LOOKS) }
    }
}

fn lock(attempts: &Mutex<Attempts>) -> MutexGuard<'_, Attempts> {
    attempts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Signers {
    /// Begins an attempt and asks these signers, each by its identity and key.
    ///
    /// # Errors
    /// `signer-busy`, `signer-unavailable` while there is a pause, or the system has no randomness.
    pub fn start(
        &self,
        signer: &Signer,
        whom: Vec<(String, String)>,
        user: &str,
        purpose: Purpose,
        origin: &str,
        ip: &str,
    ) -> Result<Started, UserError> {
        let began = clock::now();
        let attempt = Attempt::new(origin, began)?;
        let (name, token) = binding(&attempt)?;
        lock(&self.attempts).start(attempt.clone(), ip, began).map_err(
            |outcome| match outcome {
                Outcome::RefusedBusy => {
                    UserError::new("signer-busy", "Invalid request: another attempt is under way.")
                        .hint("Wait two minutes.")
                }
                _ => unavailable(),
            },
        )?;
        let (tell, verdict) = watch::channel(None);
        let bound = Sha256::digest(token.as_bytes()).into();
        let asked = Asked { user: user.to_owned(), purpose, bound, verdict };
        self.asked.put_under(&attempt.id, asked, clock::steady_millis());
        let (signer, attempts, open) = (signer.clone(), self.attempts.clone(), attempt.clone());
        tokio::spawn(async move {
            let mut answer = signer.approve(&open, &whom).await;
            let now = clock::now();
            let (outcome, id) = match &answer {
                Ok(id) => (Outcome::Approved, Some(id.clone())),
                Err(outcome) => (*outcome, None),
            };
            // an attempt that is over is not approved any more
            if !lock(&attempts).end(&open.id, outcome, id, now) && answer.is_ok() {
                answer = Err(Outcome::Expired);
            }
            tell.send_replace(Some((answer, now.0 - began.0)));
        });
        let cookie = (name, HiddenToken(token.as_str().to_owned()));
        Ok(Started { attempt, cookie })
    }

    /// The attempt of an id.
    #[must_use]
    pub fn asked(&self, attempt: &str) -> Option<Asked> {
        self.asked.look(attempt, clock::steady_millis())
    }

    /// Takes an attempt that has ended; only one of two who ask at once gets it.
    #[must_use]
    pub fn take(&self, attempt: &str) -> Option<Asked> {
        self.asked.take(attempt, clock::steady_millis())
    }

    /// The password was right: pauses are over.
    pub fn forgive(&self) {
        lock(&self.attempts).forgive();
    }

    /// Until when no attempt can begin, and the last ones.
    #[must_use]
    pub fn status(&self) -> (Option<Timestamp>, Vec<Recent>) {
        let attempts = lock(&self.attempts);
        (attempts.paused_until(clock::now()), attempts.recent().cloned().collect())
    }
}

/// No attempt can begin; it is not told why.
#[must_use]
pub fn unavailable() -> UserError {
    UserError::new("signer-unavailable", "Invalid request: no login with a signer can begin now.")
        .hint("Log in with the password.")
}
