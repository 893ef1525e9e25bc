//! Who let which app's page do what: a value, with time and ids as arguments.
//!
//! A decision holds for one app, one origin and one method. While a prompt is open the same request
//! gets the same prompt: a page that asks twice never makes two. A prompt waits long, since a person
//! has to come, read and decide.

use std::collections::BTreeMap;

use archy_types::{Timestamp, UserError};
use serde::{Deserialize, Serialize};

use super::protocol::Method;

/// How long a prompt stays open, in milliseconds.
pub const PROMPT_MILLIS: i64 = 600_000;
/// How long the answer to a prompt is kept for those who share it, in milliseconds.
pub const ANSWER_MILLIS: i64 = 60_000;
/// Most open prompts of one app.
pub const MAX_PER_APP: usize = 8;
/// Most open prompts.
pub const MAX_OPEN: usize = 64;
/// Most decisions that are kept.
pub const MAX_GRANTS: usize = 4096;

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Let it.
    Allow,
    /// Do not.
    Deny,
}

/// A request of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The app.
    pub app: String,
    /// Origin of its page.
    pub origin: String,
    /// What it asks.
    pub method: Method,
    /// The identity; none for the default one.
    pub identity: Option<String>,
    /// Digest of the parameters: tells requests apart, says nothing of them.
    pub digest: [u8; 32],
}

/// What is known at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was allowed for good.
    Allowed,
    /// It was denied for good.
    Denied,
    /// A person decides.
    Prompt {
        /// Names the prompt.
        id: u64,
        /// The same request is asking already: show nothing new.
        shared: bool,
    },
}

/// Where a prompt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptState {
    /// Nobody has decided yet.
    Open,
    /// A person decided.
    Decided(Decision),
    /// It is over, or never was.
    Gone,
}

/// A decision for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The app.
    pub app: String,
    /// Origin of its page.
    pub origin: String,
    /// What it may or may not.
    pub method: Method,
    /// Which of both.
    pub decision: Decision,
    /// When it was decided (milliseconds since 1970).
    pub since: i64,
}

/// An open prompt, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPrompt {
    /// Names the prompt.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
    /// Since when.
    pub since: Timestamp,
}

type Key = (String, String, Method);

#[derive(Debug)]
struct Prompt {
    ask: Ask,
    since: Timestamp,
    decided: Option<(Decision, Timestamp)>,
}

/// All decisions and prompts.
#[derive(Debug, Default)]
pub struct Consents {
    grants: BTreeMap<Key, Grant>,
    prompts: BTreeMap<u64, Prompt>,
    next: u64,
}

impl Consents {
    /// Decisions of earlier; prompts do not outlive the daemon.
    #[must_use]
    pub fn new(grants: Vec<Grant>) -> Self {
        let grants =
            grants.into_iter().map(|grant| (key(&grant.app, &grant.origin, grant.method), grant));
        Self { grants: grants.collect(), prompts: BTreeMap::new(), next: 1 }
    }

    /// A page asks.
    ///
    /// # Errors
    /// `consent-busy`: too many prompts are open.
    pub fn ask(&mut self, ask: Ask, now: Timestamp) -> Result<Verdict, UserError> {
        self.expire(now);
        if let Some(grant) = self.grants.get(&key(&ask.app, &ask.origin, ask.method)) {
            return Ok(match grant.decision {
                Decision::Allow => Verdict::Allowed,
                Decision::Deny => Verdict::Denied,
            });
        }
        let open = || self.prompts.iter().filter(|(_, prompt)| prompt.decided.is_none());
        if let Some((id, _)) = open().find(|(_, prompt)| prompt.ask == ask) {
            return Ok(Verdict::Prompt { id: *id, shared: true });
        }
        let of_app = open().filter(|(_, prompt)| prompt.ask.app == ask.app).count();
        if of_app >= MAX_PER_APP || open().count() >= MAX_OPEN {
            return Err(UserError::new(
                "consent-busy",
                "Too many requests of this app wait for you.",
            )
            .hint("Answer those that are open."));
        }
        let id = self.next;
        self.next += 1;
        self.prompts.insert(id, Prompt { ask, since: now, decided: None });
        Ok(Verdict::Prompt { id, shared: false })
    }

    /// A person decides. With `remember` it holds for this app, origin and method until revoked,
    /// and decides all open prompts of the same kind. Answering the same again is no error.
    ///
    /// # Errors
    /// `consent-gone`: the prompt is over; `consent-decided`: it was answered otherwise.
    pub fn answer(
        &mut self,
        id: u64,
        decision: Decision,
        remember: bool,
        now: Timestamp,
    ) -> Result<(), UserError> {
        self.expire(now);
        let prompt = self.prompts.get_mut(&id).ok_or_else(gone)?;
        match prompt.decided {
            Some((earlier, _)) if earlier == decision => return Ok(()),
            Some(_) => {
                return Err(UserError::new(
                    "consent-decided",
                    "Already exists: it was answered otherwise.",
                )
                .hint("Let the app ask again."));
            }
            None => prompt.decided = Some((decision, now)),
        }
        if !remember {
            return Ok(());
        }
        let (app, origin, method) = key(&prompt.ask.app, &prompt.ask.origin, prompt.ask.method);
        for other in self.prompts.values_mut().filter(|prompt| prompt.decided.is_none()) {
            let same = other.ask.app == app && other.ask.origin == origin;
            if same && other.ask.method == method {
                other.decided = Some((decision, now));
            }
        }
        if self.grants.len() >= MAX_GRANTS {
            let oldest = self.grants.iter().min_by_key(|(_, grant)| grant.since);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.grants.remove(&oldest);
            }
        }
        let grant = Grant { app, origin, method, decision, since: now.0 };
        self.grants.insert(key(&grant.app, &grant.origin, grant.method), grant);
        Ok(())
    }

    /// Where a prompt stands.
    pub fn state(&mut self, id: u64, now: Timestamp) -> PromptState {
        self.expire(now);
        match self.prompts.get(&id).map(|prompt| prompt.decided) {
            None => PromptState::Gone,
            Some(None) => PromptState::Open,
            Some(Some((decision, _))) => PromptState::Decided(decision),
        }
    }

    /// True when this request may be carried out: it was allowed for good, or by this prompt.
    pub fn permits(&mut self, id: Option<u64>, ask: &Ask, now: Timestamp) -> bool {
        self.expire(now);
        if let Some(grant) = self.grants.get(&key(&ask.app, &ask.origin, ask.method)) {
            return grant.decision == Decision::Allow;
        }
        let prompt = id.and_then(|id| self.prompts.get(&id));
        prompt.is_some_and(|prompt| {
            prompt.ask == *ask && prompt.decided.is_some_and(|(d, _)| d == Decision::Allow)
        })
    }

    /// Open prompts, oldest first.
    pub fn open(&mut self, now: Timestamp) -> Vec<OpenPrompt> {
        self.expire(now);
        let open = self.prompts.iter().filter(|(_, prompt)| prompt.decided.is_none());
        open.map(|(id, prompt)| OpenPrompt {
            id: *id,
            ask: prompt.ask.clone(),
            since: prompt.since,
        })
        .collect()
    }

    /// All decisions for good.
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values()
    }

    /// Takes decisions back: all of an app, or only those of an origin or a method. Says how many.
    pub fn revoke(&mut self, app: &str, origin: Option<&str>, method: Option<Method>) -> usize {
        let before = self.grants.len();
        self.grants.retain(|_, grant| {
            grant.app != app
                || origin.is_some_and(|origin| grant.origin != origin)
                || method.is_some_and(|method| grant.method != method)
        });
        // what was allowed once is not left over either
        self.prompts.retain(|_, prompt| prompt.ask.app != app || prompt.decided.is_none());
        before - self.grants.len()
    }

    fn expire(&mut self, now: Timestamp) {
        self.prompts.retain(|_, prompt| match prompt.decided {
            None => now.0 - prompt.since.0 < PROMPT_MILLIS,
            Some((_, at)) => now.0 - at.0 < ANSWER_MILLIS,
        });
    }
}

fn key(app: &str, origin: &str, method: Method) -> Key {
    (app.to_owned(), origin.to_owned(), method)
}

fn gone() -> UserError {
    UserError::new("consent-gone", "Not found: the request is over.").hint("Let the app ask again.")
}
