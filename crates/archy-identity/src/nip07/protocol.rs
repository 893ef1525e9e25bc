//! Messages between an app's page and the dashboard, as they travel through `postMessage`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an app's page can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Method {
    /// The public key of the chosen identity.
    #[serde(rename = "getPublicKey")]
    GetPublicKey,
    /// A signature under an event.
    #[serde(rename = "signEvent")]
    SignEvent,
    /// The relays of the node.
    #[serde(rename = "getRelays")]
    GetRelays,
    /// NIP-04.
    #[serde(rename = "nip04.encrypt")]
    Nip04Encrypt,
    /// NIP-04.
    #[serde(rename = "nip04.decrypt")]
    Nip04Decrypt,
    /// NIP-44.
    #[serde(rename = "nip44.encrypt")]
    Nip44Encrypt,
    /// NIP-44.
    #[serde(rename = "nip44.decrypt")]
    Nip44Decrypt,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 7] = [
        Self::GetPublicKey,
        Self::SignEvent,
        Self::GetRelays,
        Self::Nip04Encrypt,
        Self::Nip04Decrypt,
        Self::Nip44Encrypt,
        Self::Nip44Decrypt,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetPublicKey => "getPublicKey",
            Self::SignEvent => "signEvent",
            Self::GetRelays => "getRelays",
            Self::Nip04Encrypt => "nip04.encrypt",
            Self::Nip04Decrypt => "nip04.decrypt",
            Self::Nip44Encrypt => "nip44.encrypt",
            Self::Nip44Decrypt => "nip44.decrypt",
        }
    }

    /// The method of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        if name == "sign" {
            return Some(Self::SignEvent);
        }
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// A message, told apart by its `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Message {
    /// App to dashboard.
    #[serde(rename = "nostr-request")]
    Request {
        /// The answer repeats it.
        id: Value,
        /// What is asked.
        method: String,
        /// An object: `{event}`, `{pubkey, plaintext}` or `{pubkey, ciphertext}`.
        #[serde(default)]
        params: Value,
    },
    /// Dashboard to app; either `result` or `error`.
    #[serde(rename = "nostr-response")]
    Response {
        /// Id of the request.
        id: Value,
        /// What came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
        /// Why nothing did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Embedded app to dashboard: let the owner choose.
    #[serde(rename = "archipelago:identity:request")]
    IdentityRequest {
        /// Also when an identity was chosen before.
        #[serde(default)]
        force: bool,
    },
    /// Dashboard to embedded app: the choice, flat.
    #[serde(rename = "archipelago:identity")]
    Identity(Chosen),
    /// Dashboard to embedded app: no choice.
    #[serde(rename = "archipelago:identity-cancelled")]
    IdentityCancelled,
    /// Signer frame to app: it listens.
    #[serde(rename = "archipelago:signer-ready")]
    SignerReady,
    /// Signer frame to app: show the frame, a person has to decide.
    #[serde(rename = "archipelago:signer-show")]
    SignerShow,
    /// Signer frame to app: hide it again.
    #[serde(rename = "archipelago:signer-hide")]
    SignerHide,
    /// App to frame, before any request.
    #[serde(rename = "archipelago:signer-init", rename_all = "camelCase")]
    SignerInit {
        /// The app.
        app_id: String,
        /// Its name.
        app_name: String,
    },
    /// App to frame: let the owner choose.
    #[serde(rename = "archipelago:signer-select-identity")]
    SignerSelectIdentity {
        /// Also when an identity was chosen before.
        #[serde(default)]
        force: bool,
    },
    /// Frame to app: the choice.
    #[serde(rename = "archipelago:signer-identity")]
    SignerIdentity {
        /// The identity.
        identity: Chosen,
    },
    /// Frame to app: no choice.
    #[serde(rename = "archipelago:signer-identity-cancelled")]
    SignerIdentityCancelled,
}

/// An identity as a page learns of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// Nostr key in hex.
    pub nostr_pubkey: String,
    /// Anything else that the dashboard tells.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
