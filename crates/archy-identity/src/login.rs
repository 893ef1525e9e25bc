//! Login with a linked signer: the node shows four digits, the signer's owner compares them and
//! signs a challenge that is bound to the dashboard's address.
//!
//! Values only: time, ids and challenges are arguments, and the caller asks the signer. An attempt
//! is over after two minutes and can be approved once.

use std::collections::VecDeque;

use archy_types::{Timestamp, UserError};
use nostr::event::Event;
use nostr::key::PublicKey;
use zeroize::Zeroizing;

use crate::event::{KIND_RELAY_AUTH, Template, only_tag, secs};
use crate::random;

/// How long an attempt may take in all, in milliseconds.
pub const ATTEMPT_MILLIS: i64 = 120_000;
/// How far the signer's clock may be off, in seconds.
pub const SKEW_SECS: u64 = 60;
/// Starts that the whole node allows in [`BUDGET_MILLIS`].
pub const BUDGET: usize = 3;
/// Window of the budget, in milliseconds.
pub const BUDGET_MILLIS: i64 = 600_000;
/// Pauses after attempts that were not approved, in milliseconds: the first, the second, all others.
pub const PAUSES: [i64; 3] = [30_000, 120_000, 600_000];
/// Ends of attempts that are kept.
pub const KEPT: usize = 20;
/// An approval that came faster was hardly read by a person, in milliseconds.
pub const QUICK_MILLIS: i64 = 1000;

/// One attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 32 hex digits.
    pub id: String,
    /// 32 bytes in hex, for this attempt alone.
    pub challenge: String,
    /// Four digits that both sides show.
    pub code: String,
    /// The dashboard's origin that the attempt was begun from.
    pub origin: String,
    /// When it began.
    pub began: Timestamp,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Why an event does not approve an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The attempt is over.
    #[error("Session expired: the login took too long.")]
    Expired,
    /// The event is not the one that was asked for, or nobody's who may log in.
    #[error("Invalid login event.")]
    Event,
}

impl Unfit {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired => "signer-login-expired",
            Self::Event => "signer-login-invalid",
        }
    }
}

impl From<Unfit> for UserError {
    fn from(error: Unfit) -> Self {
        Self::new(error.code(), error.to_string()).hint("Begin the login again.")
    }
}

impl Attempt {
    /// A new attempt from this origin.
    ///
    /// # Errors
    /// `random-unavailable`.
    pub fn new(origin: &str, now: Timestamp) -> Result<Self, UserError> {
        Ok(Self {
            id: hex::encode(random::bytes::<16>()?),
            challenge: hex::encode(random::bytes::<32>()?),
            code: code()?,
            origin: origin.to_owned(),
            began: now,
        })
    }

    /// What the signer is to sign.
    #[must_use]
    pub fn template(&self, now: Timestamp) -> Template {
        let mut template = Template::new(KIND_RELAY_AUTH, now)
            .tag(&["challenge", &self.challenge])
            .tag(&["relay", &self.origin])
            .tag(&["code", &self.code]);
        template.content = format!("Log in at {} with code {}", self.origin, self.code);
        template
    }

    /// True when time is up.
    #[must_use]
    pub const fn is_over(&self, now: Timestamp) -> bool {
        now.0 - self.began.0 > ATTEMPT_MILLIS || now.0 < self.began.0
    }

    /// Says who of `enrolled` approved.
    ///
    /// # Errors
    /// Time is up, or the event does not fit; it does not tell which part.
    pub fn approved_by(
        &self,
        event: &Event,
        enrolled: &[PublicKey],
        now: Timestamp,
    ) -> Result<PublicKey, Unfit> {
        if self.is_over(now) {
            return Err(Unfit::Expired);
        }
        let tag = |name, value: &str| only_tag(&event.tags, name) == Some(value);
        let fits = event.kind.as_u16() == KIND_RELAY_AUTH
            && event.created_at.as_secs().abs_diff(secs(now)) <= SKEW_SECS
            && tag("challenge", &self.challenge)
            && tag("relay", &self.origin)
            && tag("code", &self.code)
            && enrolled.contains(&event.pubkey)
            && event.verify().is_ok();
        if fits { Ok(event.pubkey) } else { Err(Unfit::Event) }
    }
}

/// Four digits, each combination as likely as the others.
fn code() -> Result<String, UserError> {
    loop {
        let number = u16::from_le_bytes(random::bytes::<2>()?);
        // the greatest multiple of 10,000 below 65,536
        if number < 60_000 {
            return Ok(format!("{:04}", number % 10_000));
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    Pending,
    /// The signer's owner approved.
    Approved,
    /// The signer's owner said no.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// No signer could be reached.
    Offline,
    /// The signer answered something that does not fit.
    Refused,
    /// Something else went wrong.
    Failed,
    /// Another attempt is open.
    RefusedBusy,
    /// Too many attempts.
    RefusedBudget,
}

impl Outcome {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Offline => "offline",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::RefusedBusy => "refused-busy",
            Self::RefusedBudget => "refused-budget",
        }
    }
}

/// An attempt that was made, for the owner to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// When it began or was refused.
    pub at: Timestamp,
    /// From which address.
    pub ip: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The identity that approved.
    pub identity_id: Option<String>,
}

/// All attempts: one at a time, so many in ten minutes, longer pauses after each that fails.
#[derive(Debug, Default)]
pub struct Attempts {
    open: Option<(Attempt, Recent)>,
    starts: VecDeque<Timestamp>,
    failures: usize,
    paused_until: Option<Timestamp>,
    recent: VecDeque<Recent>,
}

impl Attempts {
    /// Begins an attempt.
    ///
    /// # Errors
    /// [`Outcome::RefusedBusy`] or [`Outcome::RefusedBudget`]; it is noted.
    pub fn start(&mut self, attempt: Attempt, ip: &str, now: Timestamp) -> Result<(), Outcome> {
        self.expire(now);
        let mut recent =
            Recent { at: now, ip: ip.to_owned(), outcome: Outcome::Pending, identity_id: None };
        self.starts.retain(|at| now.0 - at.0 < BUDGET_MILLIS);
        let paused = self.paused_until.is_some_and(|until| now < until);
        recent.outcome = match () {
            () if self.open.is_some() => Outcome::RefusedBusy,
            () if paused || self.starts.len() >= BUDGET => Outcome::RefusedBudget,
            () => Outcome::Pending,
        };
        if recent.outcome != Outcome::Pending {
            let outcome = recent.outcome;
            self.note(recent);
            return Err(outcome);
        }
        self.starts.push_back(now);
        self.open = Some((attempt, recent));
        Ok(())
    }

    /// The open attempt with this id.
    #[must_use]
    pub fn open(&mut self, id: &str, now: Timestamp) -> Option<&Attempt> {
        self.expire(now);
        self.open.as_ref().map(|(attempt, _)| attempt).filter(|attempt| attempt.id == id)
    }

    /// Ends an attempt. False when it is not open any more: an approval counts once.
    pub fn end(
        &mut self,
        id: &str,
        outcome: Outcome,
        identity_id: Option<String>,
        now: Timestamp,
    ) -> bool {
        self.expire(now);
        let Some((attempt, mut recent)) = self.open.take() else { return false };
        if attempt.id != id {
            self.open = Some((attempt, recent));
            return false;
        }
        recent.outcome = outcome;
        recent.identity_id = identity_id;
        if outcome == Outcome::Approved {
            self.failures = 0;
            self.paused_until = None;
        } else {
            self.fail(now);
        }
        self.note(recent);
        true
    }

    /// A login with the password shows that the owner is there: pauses and budget begin anew.
    pub fn forgive(&mut self) {
        self.failures = 0;
        self.paused_until = None;
        self.starts.clear();
    }

    /// Until when no attempt can begin because of failures.
    #[must_use]
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.paused_until.filter(|until| now < *until)
    }

    /// The last attempts, newest first.
    pub fn recent(&self) -> impl Iterator<Item = &Recent> {
        self.recent.iter().rev()
    }

    fn expire(&mut self, now: Timestamp) {
        if let Some((_, mut recent)) = self.open.take_if(|(attempt, _)| attempt.is_over(now)) {
            recent.outcome = Outcome::Expired;
            self.fail(now);
            self.note(recent);
        }
    }

    fn fail(&mut self, now: Timestamp) {
        let pause = PAUSES[self.failures.min(PAUSES.len() - 1)];
        self.failures += 1;
        self.paused_until = Some(now.plus_millis(pause));
    }

    fn note(&mut self, recent: Recent) {
        self.recent.push_back(recent);
        while self.recent.len() > KEPT {
            self.recent.pop_front();
        }
    }
}

/// The value of the cookie that binds an attempt to a browser, and the cookie's name.
///
/// # Errors
/// `random-unavailable`.
pub fn binding(attempt: &Attempt) -> Result<(String, Zeroizing<String>), UserError> {
    let name = format!("signer_login_{}", attempt.id.get(..8).unwrap_or_default());
    Ok((name, Zeroizing::new(hex::encode(random::bytes::<32>()?))))
}

#[cfg(test)]
mod tests;
