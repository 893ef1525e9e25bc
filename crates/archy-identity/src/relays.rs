//! The relays that the owner chose for the node. There is none until one is added: nothing of the
//! node goes to strangers unasked.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use archy_types::{Timestamp, UserError};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::store::rfc3339;
use crate::uri::relay_url;

/// Most relays.
pub const MAX_LISTED: usize = 64;
const MAX_FILE: u64 = 256 * 1024;

/// A relay of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRelay {
    /// Address.
    pub url: String,
    /// It is used.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When it was added (RFC 3339).
    #[serde(default)]
    pub added_at: String,
}

const fn yes() -> bool {
    true
}

/// The list and its file.
#[derive(Debug)]
pub struct RelayList {
    path: PathBuf,
    all: Mutex<Vec<ListedRelay>>,
}

impl RelayList {
    /// Reads the list in this directory.
    ///
    /// # Errors
    /// `relays-file-damaged`; it is left as it is.
    pub fn open(dir: &std::path::Path) -> Result<Self, UserError> {
        let path = dir.join("relays.json");
        let all = match files::read(&path, MAX_FILE)? {
            None => Vec::new(),
            Some(text) => serde_json::from_slice(&text).map_err(|error| {
                let message = format!("The list of relays is damaged: relays.json: {error}.");
                UserError::new("relays-file-damaged", message)
                    .hint("Put the file back from a backup, or remove it.")
            })?,
        };
        Ok(Self { path, all: Mutex::new(all) })
    }

    /// All relays.
    #[must_use]
    pub fn list(&self) -> Vec<ListedRelay> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a relay, or switches one that is there.
    ///
    /// # Errors
    /// `relay-url-invalid`, `relay-limit`, or the file cannot be written.
    pub fn put(&self, url: &str, enabled: bool, now: Timestamp) -> Result<(), UserError> {
        let url = relay_url(url)?;
        self.change(|all| {
            if let Some(relay) = all.iter_mut().find(|relay| relay.url == url) {
                relay.enabled = enabled;
                return Ok(());
            }
            if all.len() >= MAX_LISTED {
                let message = format!("There are {MAX_LISTED} relays already.");
                return Err(UserError::new("relay-limit", message).hint("Remove one first."));
            }
            all.push(ListedRelay { url, enabled, added_at: rfc3339(now) });
            Ok(())
        })
    }

    /// Takes a relay out.
    ///
    /// # Errors
    /// `relay-not-found`, or the file cannot be written.
    pub fn remove(&self, url: &str) -> Result<(), UserError> {
        let url = relay_url(url)?;
        self.change(|all| {
            let before = all.len();
            all.retain(|relay| relay.url != url);
            if all.len() == before {
                return Err(UserError::new(
                    "relay-not-found",
                    "Not found: no such relay is listed.",
                )
                .hint("nostr.list-relays shows them all."));
            }
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Vec<ListedRelay>) -> Result<(), UserError>,
    ) -> Result<(), UserError> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = all.clone();
        change(&mut new)?;
        let text = serde_json::to_vec_pretty(&new)
            .map_err(|error| UserError::new("internal", format!("relays.json: {error}.")))?;
        files::write(&self.path, &text)?;
        *all = new;
        Ok(())
    }
}
