//! Nostr events: what an app wants signed, signing it, checking what others signed.
//!
//! NIP-01 for events, NIP-42 for relays that ask who one is, NIP-98 for HTTP requests.

use archy_types::{Timestamp, UserError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub use nostr::event::Event as Signed;
use nostr::event::{Event, EventId, Kind, SignEvent as _, Tag, Tags, UnsignedEvent};
use nostr::key::{Keys, PublicKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Kind of an answer to a relay's question, and of a signer's login.
pub const KIND_RELAY_AUTH: u16 = 22_242;
/// Kind of a login over HTTP.
pub const KIND_HTTP_AUTH: u16 = 27_235;
/// Longest content, in bytes.
pub const MAX_CONTENT: usize = 512 * 1024;
/// Most tags.
pub const MAX_TAGS: usize = 5000;
/// Longest tag, all its parts together, in bytes.
const MAX_TAG: usize = 64 * 1024;
/// How old or new a login over HTTP may be, in seconds.
const HTTP_AUTH_WINDOW: u64 = 60;

/// What is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Kind.
    pub kind: u16,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Tags, none of them empty.
    pub tags: Vec<Vec<String>>,
    /// Content.
    pub content: String,
    /// The key that the app expects.
    pub pubkey: Option<PublicKey>,
}

fn invalid(what: &str) -> UserError {
    UserError::new("event-invalid", format!("Invalid event: {what}."))
        .hint("Send an object with kind, created_at, tags and content as NIP-01 says.")
}

impl Template {
    /// A template without tags and content.
    #[must_use]
    pub fn new(kind: u16, now: Timestamp) -> Self {
        Self { kind, created_at: secs(now), tags: Vec::new(), content: String::new(), pubkey: None }
    }

    /// With a tag.
    #[must_use]
    pub fn tag(mut self, parts: &[&str]) -> Self {
        self.tags.push(parts.iter().map(|part| (*part).to_owned()).collect());
        self
    }

    /// Reads what an app sent: kind 1, now, no tags and no content where it says nothing. A
    /// signature and an id of the app's own do not count.
    ///
    /// # Errors
    /// `event-invalid`, `event-too-large`.
    pub fn read(value: &Value, now: Timestamp) -> Result<Self, UserError> {
        let object = value.as_object().ok_or_else(|| invalid("it is not an object"))?;
        let given = |key: &str| object.get(key).filter(|value| !value.is_null());
        let kind = match given("kind") {
            None => 1,
            Some(kind) => kind
                .as_u64()
                .and_then(|kind| u16::try_from(kind).ok())
                .ok_or_else(|| invalid("kind is not a number from 0 to 65535"))?,
        };
        let created_at = match given("created_at") {
            None => secs(now),
            Some(at) => at
                .as_u64()
                .filter(|at| i64::try_from(*at).is_ok())
                .ok_or_else(|| invalid("created_at is not a number of seconds"))?,
        };
        let content = match given("content") {
            None => String::new(),
            Some(text) => text.as_str().ok_or_else(|| invalid("content is not a text"))?.to_owned(),
        };
        let tags = given("tags").map_or_else(|| Ok(Vec::new()), tags)?;
        let pubkey = match given("pubkey").map(Value::as_str) {
            None | Some(Some("")) => None,
            Some(Some(text)) => Some(public_key(text)?),
            Some(None) => return Err(invalid("pubkey is not a text")),
        };
        let template = Self { kind, created_at, tags, content, pubkey };
        template.check_size()?;
        Ok(template)
    }

    fn check_size(&self) -> Result<(), UserError> {
        let longest = |tag: &Vec<String>| tag.iter().map(String::len).sum::<usize>() > MAX_TAG;
        if self.content.len() > MAX_CONTENT
            || self.tags.len() > MAX_TAGS
            || self.tags.iter().any(longest)
        {
            return Err(UserError::new("event-too-large", "Invalid event: it is too large.")
                .hint(format!("At most {MAX_CONTENT} bytes of content and {MAX_TAGS} tags.")));
        }
        Ok(())
    }

    /// The event that this key would sign.
    ///
    /// # Errors
    /// `event-pubkey-mismatch`: the app expects another key; `event-invalid`.
    pub fn unsigned(&self, key: PublicKey) -> Result<UnsignedEvent, UserError> {
        if self.pubkey.is_some_and(|expected| expected != key) {
            let message = "Invalid event: its pubkey is not the chosen identity's.";
            return Err(UserError::new("event-pubkey-mismatch", message)
                .hint("Let the app ask for the public key again, or choose its identity."));
        }
        let tags: Result<Vec<Tag>, _> = self.tags.iter().map(Tag::parse).collect();
        let tags = tags.map_err(|_| invalid("a tag is empty"))?;
        let at = nostr::types::Timestamp::from_secs(self.created_at);
        Ok(UnsignedEvent::new(key, at, Kind::from_u16(self.kind), tags, self.content.clone()))
    }

    /// Signs with a local key.
    ///
    /// # Errors
    /// As [`Self::unsigned`].
    pub fn sign(&self, keys: &Keys) -> Result<Event, UserError> {
        let unsigned = self.unsigned(keys.public_key())?;
        keys.sign_event(unsigned).map_err(|error| invalid(&error.to_string()))
    }

    /// True when `event` is exactly this, signed by `key`.
    #[must_use]
    pub fn is_signed_as(&self, event: &Event, key: PublicKey) -> bool {
        let Ok(unsigned) = self.unsigned(key) else { return false };
        event.pubkey == key && event.id == unsigned.compute_id() && event.verify().is_ok()
    }
}

fn tags(value: &Value) -> Result<Vec<Vec<String>>, UserError> {
    let wrong = || invalid("tags is not a list of lists of texts");
    let list = value.as_array().ok_or_else(wrong)?;
    if list.len() > MAX_TAGS {
        return Err(UserError::new("event-too-large", "Invalid event: it has too many tags.")
            .hint(format!("At most {MAX_TAGS} tags.")));
    }
    let tag = |tag: &Value| {
        let parts = tag.as_array().filter(|parts| !parts.is_empty()).ok_or_else(wrong)?;
        parts.iter().map(|part| part.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    };
    list.iter().map(tag).collect()
}

/// Seconds of a moment.
#[must_use]
pub fn secs(at: Timestamp) -> u64 {
    u64::try_from(at.0.div_euclid(1000)).unwrap_or(0)
}

/// Reads a public key: 64 hex digits or `npub1…`.
///
/// # Errors
/// `pubkey-invalid`.
pub fn public_key(text: &str) -> Result<PublicKey, UserError> {
    use nostr::nips::nip19::FromBech32 as _;
    let invalid = || {
        UserError::new("pubkey-invalid", "Invalid public key.")
            .hint("Give 64 hex digits or an npub.")
    };
    let text = text.trim();
    let key = if text.len() == 64 {
        PublicKey::from_hex(text).map_err(|_| invalid())?
    } else if text.len() < 128 {
        PublicKey::from_bech32(text).map_err(|_| invalid())?
    } else {
        return Err(invalid());
    };
    // any 32 bytes parse; only half of them are a point of the curve
    key.xonly().map_err(|_| invalid())?;
    Ok(key)
}

/// Signs the id of an event that only its hash is known of.
///
/// # Errors
/// `event-hash-invalid`: not 64 hex digits.
pub fn sign_hash(keys: &Keys, hash: &str) -> Result<String, UserError> {
    let id = EventId::from_hex(hash).map_err(|_| {
        UserError::new("event-hash-invalid", "Invalid event_hash: it is not 64 hex digits.")
            .hint("Send the event itself in `event`.")
    })?;
    Ok(keys.sign_schnorr(id.as_bytes()).to_hex())
}

/// Reads an event that somebody else signed, and checks id and signature.
///
/// # Errors
/// `event-invalid`, `event-signature-wrong`.
pub fn verified(value: Value) -> Result<Event, UserError> {
    let event: Event =
        serde_json::from_value(value).map_err(|_| invalid("it is not a signed event"))?;
    if event.verify().is_err() {
        return Err(UserError::new(
            "event-signature-wrong",
            "Invalid event: id or signature is wrong.",
        )
        .hint("Sign it again."));
    }
    Ok(event)
}

/// The values of a tag, when the event has it exactly once.
#[must_use]
pub fn only_tag<'a>(tags: &'a Tags, name: &str) -> Option<&'a str> {
    let mut found = tags.iter().filter(|tag| tag.kind() == name);
    let tag = found.next()?;
    if found.next().is_some() { None } else { tag.content() }
}

/// The answer to a relay that asks who one is (NIP-42).
#[must_use]
pub fn relay_auth(relay: &str, challenge: &str, now: Timestamp) -> Template {
    Template::new(KIND_RELAY_AUTH, now).tag(&["relay", relay]).tag(&["challenge", challenge])
}

/// A login for one HTTP request (NIP-98).
#[must_use]
pub fn http_auth(url: &str, method: &str, body: Option<&[u8]>, now: Timestamp) -> Template {
    let template = Template::new(KIND_HTTP_AUTH, now)
        .tag(&["u", url])
        .tag(&["method", &method.to_uppercase()]);
    match body {
        Some(body) => template.tag(&["payload", &hex::encode(Sha256::digest(body))]),
        None => template,
    }
}

/// The `Authorization` header of a signed login.
#[must_use]
pub fn authorization(event: &Event) -> String {
    let text = serde_json::to_vec(event).unwrap_or_default();
    format!("Nostr {}", STANDARD.encode(text))
}

/// Checks an `Authorization` header for one request, and says whose it is.
///
/// # Errors
/// `http-auth-invalid`; it does not tell which part was wrong.
pub fn check_authorization(
    header: &str,
    url: &str,
    method: &str,
    body: Option<&[u8]>,
    now: Timestamp,
) -> Result<PublicKey, UserError> {
    let wrong = || {
        UserError::new("http-auth-invalid", "Invalid Authorization header.")
            .hint("Sign a fresh event of kind 27235 for exactly this address and method.")
    };
    let text = header.strip_prefix("Nostr ").filter(|text| text.len() <= 64 * 1024);
    let text = STANDARD.decode(text.ok_or_else(wrong)?.trim()).map_err(|_| wrong())?;
    let event = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let event = verified(event).map_err(|_| wrong())?;
    let fresh = event.created_at.as_secs().abs_diff(secs(now)) <= HTTP_AUTH_WINDOW;
    let payload = body.is_none_or(|body| {
        only_tag(&event.tags, "payload")
            .is_none_or(|payload| payload.eq_ignore_ascii_case(&hex::encode(Sha256::digest(body))))
    });
    let fits = event.kind.as_u16() == KIND_HTTP_AUTH
        && only_tag(&event.tags, "u") == Some(url)
        && only_tag(&event.tags, "method").is_some_and(|m| m.eq_ignore_ascii_case(method));
    if fresh && payload && fits { Ok(event.pubkey) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests;
