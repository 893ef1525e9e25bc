//! Consent with its file, and with those who wait for an answer.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use archy_types::{Timestamp, UserError};
use tokio::sync::watch;

use super::consent::{Ask, Consents, Decision, Grant, OpenPrompt, PromptState, Verdict};
use super::protocol::Method;
use crate::files;

const MAX_FILE: u64 = 4 * 1024 * 1024;

/// All decisions, kept in one file. Writing blocks on the disk.
#[derive(Debug)]
pub struct ConsentDesk {
    path: PathBuf,
    all: Mutex<Consents>,
    changed: watch::Sender<u64>,
}

impl ConsentDesk {
    /// Reads the decisions in this directory.
    ///
    /// # Errors
    /// `consents-file-damaged`; it is left as it is.
    pub fn open(dir: &std::path::Path) -> Result<Self, UserError> {
        let path = dir.join("consents.json");
        let grants: Vec<Grant> = match files::read(&path, MAX_FILE)? {
            None => Vec::new(),
            Some(text) => serde_json::from_slice(&text).map_err(|error| {
                let message = format!("The list of consents is damaged: consents.json: {error}.");
                UserError::new("consents-file-damaged", message)
                    .hint("Put the file back from a backup, or remove it: apps then ask again.")
            })?,
        };
        let all = Mutex::new(Consents::new(grants));
        Ok(Self { path, all, changed: watch::channel(0).0 })
    }

    /// A page asks.
    ///
    /// # Errors
    /// `consent-busy`.
    pub fn ask(&self, ask: Ask, now: Timestamp) -> Result<Verdict, UserError> {
        let verdict = self.lock().ask(ask, now);
        self.tell();
        verdict
    }

    /// A person decides; see [`Consents::answer`].
    ///
    /// # Errors
    /// `consent-gone`, `consent-decided`, or the file cannot be written.
    pub fn answer(
        &self,
        id: u64,
        decision: Decision,
        remember: bool,
        now: Timestamp,
    ) -> Result<(), UserError> {
        let mut all = self.lock();
        all.answer(id, decision, remember, now)?;
        self.tell();
        if remember { self.save(&all) } else { Ok(()) }
    }

    /// Where a prompt stands; waits for an answer.
    pub async fn wait(&self, id: u64, within: Duration, now: Timestamp) -> PromptState {
        let mut changed = self.changed.subscribe();
        let decided = async {
            loop {
                let state = self.lock().state(id, now);
                if state != PromptState::Open || changed.changed().await.is_err() {
                    return state;
                }
            }
        };
        tokio::time::timeout(within, decided).await.unwrap_or(PromptState::Open)
    }

    /// See [`Consents::permits`].
    #[must_use]
    pub fn permits(&self, id: Option<u64>, ask: &Ask, now: Timestamp) -> bool {
        self.lock().permits(id, ask, now)
    }

    /// Decisions that hold, and prompts that wait.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> (Vec<Grant>, Vec<OpenPrompt>) {
        let mut all = self.lock();
        (all.grants().cloned().collect(), all.open(now))
    }

    /// See [`Consents::revoke`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn revoke(
        &self,
        app: &str,
        origin: Option<&str>,
        method: Option<Method>,
    ) -> Result<usize, UserError> {
        let mut all = self.lock();
        let count = all.revoke(app, origin, method);
        self.tell();
        self.save(&all)?;
        Ok(count)
    }

    fn save(&self, all: &Consents) -> Result<(), UserError> {
        let grants: Vec<&Grant> = all.grants().collect();
        let text = serde_json::to_vec_pretty(&grants)
            .map_err(|error| UserError::new("internal", format!("consents.json: {error}.")))?;
        Ok(files::write(&self.path, &text)?)
    }

    fn tell(&self) {
        self.changed.send_modify(|round| *round = round.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Consents> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
