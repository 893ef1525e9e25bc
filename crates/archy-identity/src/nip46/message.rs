//! Requests and answers of NIP-46, and the events that carry them.

use std::fmt;

use archy_types::{Timestamp, UserError};
use nostr::event::Event;
use nostr::key::{Keys, PublicKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{KIND, LinkError};
use crate::cipher::{self, Direction, Scheme};
use crate::event::Template;

/// Longest id of a request, in bytes.
const MAX_ID: usize = 128;

/// What a client asks. Its parameters do not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The answer repeats it.
    pub id: String,
    /// For example `sign_event`.
    pub method: String,
    /// Texts.
    pub params: Vec<String>,
}

/// What a signer answers. Its content does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// Id of the request.
    pub id: String,
    /// What came of it; empty where an error is told.
    pub result: String,
    /// Why nothing did.
    pub error: Option<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("failed", &self.error.is_some()).finish_non_exhaustive()
    }
}

impl Request {
    /// As JSON.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let value = json!({ "id": self.id, "method": self.method, "params": self.params });
        Zeroizing::new(value.to_string())
    }

    /// Reads a request, as a signer does. Parameters that are no texts are taken as JSON.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let params = match value.get("params") {
            None | Some(Value::Null) => Vec::new(),
            Some(params) => params.as_array()?.iter().map(plain).collect(),
        };
        let method = value.get("method")?.as_str()?.to_owned();
        Some(Self { id: id(&value)?, method, params })
    }
}

impl Response {
    /// As JSON.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let mut value = json!({ "id": self.id, "result": self.result });
        if let Some(error) = &self.error {
            value["error"] = json!(error);
        }
        Zeroizing::new(value.to_string())
    }

    /// Reads an answer. A result that is no text is taken as JSON.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        if value.get("method").is_some() {
            return None;
        }
        let result = value.get("result").filter(|result| !result.is_null()).map(plain);
        let error = value.get("error").filter(|error| !error.is_null()).map(plain);
        let error = error.filter(|error| !error.is_empty());
        if result.is_none() && error.is_none() {
            return None;
        }
        Some(Self { id: id(&value)?, result: result.unwrap_or_default(), error })
    }

    /// The result, or why there is none.
    ///
    /// # Errors
    /// [`LinkError::Denied`], [`LinkError::AuthUrl`].
    pub fn outcome(self) -> Result<String, LinkError> {
        match &self.error {
            _ if self.result == "auth_url" => Err(LinkError::AuthUrl),
            Some(error) => Err(LinkError::denied(error)),
            None => Ok(self.result),
        }
    }
}

fn id(value: &Value) -> Option<String> {
    value.get("id")?.as_str().filter(|id| !id.is_empty() && id.len() <= MAX_ID).map(str::to_owned)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Puts a text into an event for its reader, encrypted with NIP-44.
///
/// # Errors
/// The text is too long, or the reader's key is no key.
pub fn wrap(keys: &Keys, to: PublicKey, text: &str, now: Timestamp) -> Result<Event, UserError> {
    let mut template = Template::new(KIND, now).tag(&["p", &to.to_hex()]);
    template.content = cipher::run(keys, &to, Direction::Encrypt, Scheme::Nip44, text)?;
    template.sign(keys)
}

/// Takes the text out of an event: NIP-44, and NIP-04 as old signers write. Nothing when it is not
/// for us.
#[must_use]
pub fn unwrap(keys: &Keys, event: &Event) -> Option<Zeroizing<String>> {
    let own = keys.public_key().to_hex();
    let ours = event.tags.iter().any(|t| t.kind() == "p" && t.content() == Some(own.as_str()));
    if event.kind.as_u16() != KIND || !ours {
        return None;
    }
    let old = event.content.contains("?iv=");
    let scheme = if old { Scheme::Nip04 } else { Scheme::Nip44 };
    let text = cipher::run(keys, &event.pubkey, Direction::Decrypt, scheme, &event.content);
    text.ok().map(Zeroizing::new)
}
