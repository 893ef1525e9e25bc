//! Addresses of relays, and the links of NIP-46: `bunker://` and `nostrconnect://`.

use std::collections::BTreeSet;
use std::fmt;

use archy_types::UserError;
use http::Uri;
use nostr::key::PublicKey;
use zeroize::Zeroizing;

/// Most relays of a link.
pub const MAX_RELAYS: usize = 8;
/// Longest link, in bytes.
const MAX_URI: usize = 8 * 1024;
/// Longest address of a relay, in bytes.
const MAX_RELAY: usize = 512;
/// Longest secret of a link, in bytes.
const MAX_SECRET: usize = 256;
/// What a pairing asks for.
const PERMISSIONS: &str = "sign_event,nip04_encrypt,nip04_decrypt,nip44_encrypt,nip44_decrypt";
/// Name that signers show.
pub const CLIENT_NAME: &str = "Archipelago";

/// Why a link is refused. No message repeats the link: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Not a link of this kind.
    #[error("Invalid link: it does not begin with bunker://.")]
    NotBunker,
    /// A `nostrconnect://` link in the place of a `bunker://` one.
    #[error("Invalid link: a nostrconnect link is for the signer, not for this node.")]
    NostrConnect,
    /// Not a link of this kind.
    #[error("Invalid link: it does not begin with nostrconnect://.")]
    NotNostrConnect,
    /// The part before `?` is not a key.
    #[error("Invalid link: it names no key of 64 hex digits.")]
    Key,
    /// Too long, or with characters that no link has.
    #[error("Invalid link: it cannot be read.")]
    Text,
    /// No relay, or too many.
    #[error("Invalid relays: there must be 1 to {MAX_RELAYS}.")]
    RelayCount,
    /// An address is not one of a relay.
    #[error("Invalid relay: an address must begin with wss:// or ws:// and name a host.")]
    Relay,
    /// The secret is missing or too long.
    #[error("Invalid link: its secret is missing or too long.")]
    Secret,
}

impl UriError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotBunker | Self::NotNostrConnect | Self::Text => "link-uri-invalid",
            Self::NostrConnect => "link-uri-nostrconnect",
            Self::Key => "link-uri-key",
            Self::RelayCount => "relay-count",
            Self::Relay => "relay-url-invalid",
            Self::Secret => "link-uri-secret",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NostrConnect => {
                "Let this node make the link (pair with QR code), or copy a bunker:// link from the signer."
            }
            Self::RelayCount | Self::Relay => "Give addresses such as wss://relay.example.",
            _ => "Copy the whole link from the signer.",
        }
    }
}

impl From<UriError> for UserError {
    fn from(error: UriError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint())
    }
}

/// Reads the address of a relay and gives it in one spelling: host in lower case, no `/` at the end.
///
/// # Errors
/// [`UriError::Relay`].
pub fn relay_url(text: &str) -> Result<String, UriError> {
    let text = text.trim();
    if text.len() > MAX_RELAY || text.contains('#') {
        return Err(UriError::Relay);
    }
    let uri: Uri = text.parse().map_err(|_| UriError::Relay)?;
    let scheme = uri.scheme_str().map(str::to_ascii_lowercase);
    let scheme = scheme.filter(|s| s == "ws" || s == "wss").ok_or(UriError::Relay)?;
    let authority = uri.authority().ok_or(UriError::Relay)?;
    let wrong_port = authority.port().is_none() && authority.as_str().ends_with(':');
    if authority.host().is_empty() || authority.as_str().contains('@') || wrong_port {
        return Err(UriError::Relay);
    }
    let host = authority.as_str().to_ascii_lowercase();
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let path = if path == "/" { "" } else { path };
    Ok(format!("{scheme}://{host}{path}"))
}

/// Reads 1 to 8 addresses; the same one twice counts once.
///
/// # Errors
/// [`UriError::RelayCount`], [`UriError::Relay`].
pub fn relay_urls<S: AsRef<str>>(
    texts: impl IntoIterator<Item = S>,
) -> Result<Vec<String>, UriError> {
    let mut seen = BTreeSet::new();
    let mut urls = Vec::new();
    for text in texts {
        let url = relay_url(text.as_ref())?;
        if seen.insert(url.clone()) {
            urls.push(url);
        }
        if urls.len() > MAX_RELAYS {
            return Err(UriError::RelayCount);
        }
    }
    if urls.is_empty() { Err(UriError::RelayCount) } else { Ok(urls) }
}

/// A link that a signer gave: `bunker://<key>?relay=…&secret=…`.
#[derive(Clone, PartialEq, Eq)]
pub struct BunkerUri {
    /// Key of the signer.
    pub remote: PublicKey,
    /// Where it is met.
    pub relays: Vec<String>,
    /// Shows the signer that its owner gave the link to us.
    pub secret: Option<Zeroizing<String>>,
}

impl BunkerUri {
    /// Reads a link.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let text = text.trim();
        if strip_scheme(text, "nostrconnect://").is_some() {
            return Err(UriError::NostrConnect);
        }
        let parts = Parts::of(strip_scheme(text, "bunker://").ok_or(UriError::NotBunker)?)?;
        if parts.secret.as_ref().is_some_and(|secret| secret.len() > MAX_SECRET) {
            return Err(UriError::Secret);
        }
        let secret = parts.secret.filter(|secret| !secret.is_empty());
        Ok(Self { remote: parts.key, relays: relay_urls(&parts.relays)?, secret })
    }
}

impl fmt::Debug for BunkerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BunkerUri").field("relays", &self.relays).finish_non_exhaustive()
    }
}

/// A link that this node gives to a signer: `nostrconnect://<key>?relay=…&secret=…`.
#[derive(Clone, PartialEq, Eq)]
pub struct NostrConnectUri {
    /// Our key towards the signer.
    pub client: PublicKey,
    /// Where we listen.
    pub relays: Vec<String>,
    /// The signer repeats it.
    pub secret: Zeroizing<String>,
}

impl NostrConnectUri {
    /// Reads a link, as a signer does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let text = strip_scheme(text.trim(), "nostrconnect://").ok_or(UriError::NotNostrConnect)?;
        let parts = Parts::of(text)?;
        let secret = parts.secret.filter(|s| !s.is_empty() && s.len() <= MAX_SECRET);
        let secret = secret.ok_or(UriError::Secret)?;
        Ok(Self { client: parts.key, relays: relay_urls(&parts.relays)?, secret })
    }

    /// The link as a text; it holds the secret.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for relay in &self.relays {
            query.append_pair("relay", relay);
        }
        query.append_pair("secret", &self.secret);
        query.append_pair("perms", PERMISSIONS);
        query.append_pair("name", CLIENT_NAME);
        Zeroizing::new(format!("nostrconnect://{}?{}", self.client.to_hex(), query.finish()))
    }
}

impl fmt::Debug for NostrConnectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NostrConnectUri").field("relays", &self.relays).finish_non_exhaustive()
    }
}

/// The parts that both links have.
struct Parts {
    key: PublicKey,
    relays: Vec<String>,
    secret: Option<Zeroizing<String>>,
}

impl Parts {
    fn of(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_URI || text.contains('#') || text.chars().any(char::is_whitespace) {
            return Err(UriError::Text);
        }
        let (key, query) = text.split_once('?').unwrap_or((text, ""));
        if key.len() != 64 {
            return Err(UriError::Key);
        }
        let key = PublicKey::from_hex(key).map_err(|_| UriError::Key)?;
        key.xonly().map_err(|_| UriError::Key)?;
        let mut relays = Vec::new();
        let mut secret = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "relay" => relays.push(value.into_owned()),
                "secret" if secret.is_none() => secret = Some(Zeroizing::new(value.into_owned())),
                "secret" => return Err(UriError::Secret),
                _ => {}
            }
        }
        Ok(Self { key, relays, secret })
    }
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = text.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme).then_some(rest)
}

#[cfg(test)]
mod tests;
