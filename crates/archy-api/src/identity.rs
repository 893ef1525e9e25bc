//! `identity.*`, `node.nostr-*`, `nostr.*`: identities, the signer, linked signers, consent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use crate::hidden::Hidden;

/// An identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct IdentityRecord {
    /// Names it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `personal`, `business` or `anonymous`.
    pub purpose: String,
    /// Ed25519 key in hex.
    pub pubkey: String,
    /// The same as `did:key`.
    pub did: String,
    /// When it was made (RFC 3339); empty for the node's own.
    pub created_at: String,
    /// It is taken where none is named.
    pub is_default: bool,
    /// It is the node's own; apps never sign with it.
    pub is_node: bool,
    /// Nostr key in hex.
    pub nostr_pubkey: Option<String>,
    /// The same as `npub`.
    pub nostr_npub: Option<String>,
    /// What is published about it (content of its kind 0).
    #[ts(type = "unknown")]
    pub profile: Option<Value>,
    /// `seed`, `generated` or `linked`.
    pub origin: String,
    /// Index below the recovery seed, with which the identity can be got back.
    pub derivation_index: Option<u32>,
    /// The linked signer.
    pub signer: Option<SignerRecord>,
}

/// A linked signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SignerRecord {
    /// Key of the signer itself.
    pub remote_signer_pubkey: String,
    /// Where it is met.
    pub relays: Vec<String>,
}

/// Result of `identity.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct IdentityList {
    /// The node's own first, then all others by age.
    pub identities: Vec<IdentityRecord>,
    /// Files that could not be opened; they are left as they are.
    pub damaged: Vec<DamagedIdentity>,
}

/// A file of an identity that could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct DamagedIdentity {
    /// Name of the file.
    pub file: String,
    /// Stable code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Parameters that name an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct IdentityParams {
    /// The identity.
    pub id: String,
}

/// Parameters of `identity.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct CreateIdentityParams {
    /// Name for people, 1 to 100 characters.
    pub name: String,
    /// `personal`, `business` or `anonymous`; anything else means personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Index below the recovery seed, to get an identity back; the next free one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derivation_index: Option<u32>,
}

/// Parameters of `identity.import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ImportIdentityParams {
    /// Name for people.
    pub name: String,
    /// As in `identity.create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// `nsec1…` or 64 hex digits.
    pub nsec: Hidden,
}

/// Parameters of `identity.update`; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct UpdateIdentityParams {
    /// The identity.
    pub id: String,
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// Parameters of `identity.publish-profile`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct PublishProfileParams {
    /// The identity.
    pub id: String,
    /// An object as NIP-01 says for kind 0; the stored one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(type = "unknown")]
    pub profile: Option<Value>,
}

/// Result of `identity.publish-profile`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PublishedProfile {
    /// The signed event.
    pub event: SignedEvent,
    /// Relays that took it.
    pub published: Vec<String>,
    /// Relays that did not, and why.
    pub failed: Vec<RelayFailure>,
}

/// A relay that did not take an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RelayFailure {
    /// The relay.
    pub url: String,
    /// Why not.
    pub reason: String,
}

/// Parameters of `identity.export-keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ExportKeysParams {
    /// The identity.
    pub id: String,
    /// The caller's password; may be left out over the unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hidden>,
}

/// Result of `identity.export-keys`: show it, keep it nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ExportedKeys {
    /// Nostr key as `nsec1…`.
    pub nsec: Hidden,
    /// The same in hex.
    pub nostr_secret_hex: Hidden,
    /// Ed25519 key in hex.
    pub secret_key_hex: Hidden,
}

/// Result of what only succeeds or fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct OkResult {
    /// True.
    pub ok: bool,
}

impl OkResult {
    /// It succeeded.
    pub const YES: Self = Self { ok: true };
}

/// Result of `identity.affected-apps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AffectedApps {
    /// Apps that are handed the identities' keys.
    pub apps: Vec<AffectedApp>,
}

/// An app that is handed the identities' keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AffectedApp {
    /// The app.
    pub id: String,
    /// Its name.
    pub name: String,
    /// It runs with other keys than those of now: offer `package.restart`.
    pub restart_needed: bool,
}

/// Parameters of `identity.sign`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct DidSignParams {
    /// The identity; `node-identity` for the node.
    pub id: String,
    /// The text whose UTF-8 bytes are signed.
    pub message: String,
}

/// Result of `identity.sign`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct DidSignature {
    /// Whose it is.
    pub did: String,
    /// 64 bytes in hex (Ed25519).
    pub signature: String,
}

/// Parameters of `identity.verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct DidVerifyParams {
    /// `did:key` of an Ed25519 key.
    pub did: String,
    /// The text that was signed.
    pub message: String,
    /// 64 bytes in hex.
    pub signature: String,
}

/// Result of `identity.verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct DidVerified {
    /// The signature is this key's over this text.
    pub valid: bool,
}

/// For which app's page something is done; it must have been allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ConsentRef {
    /// The app.
    pub app_id: String,
    /// Origin of its page.
    pub origin: String,
    /// The prompt that was answered; not needed where the method was allowed for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_id: Option<String>,
}

/// Parameters of `identity.nostr-sign`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct NostrSignParams {
    /// The identity; the default one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The event: `kind` (1), `created_at` (now), `tags` (none), `content` (empty).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(type = "unknown")]
    pub event: Option<Value>,
    /// In place of the event: its id. Not for linked identities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_hash: Option<String>,
    /// The app's page that asked; left out for the owner's own doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentRef>,
}

/// A signed event (NIP-01).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SignedEvent {
    /// Digest of the others.
    pub id: String,
    /// Who signed.
    pub pubkey: String,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Kind.
    pub kind: u16,
    /// Tags.
    pub tags: Vec<Vec<String>>,
    /// Content.
    pub content: String,
    /// Signature (BIP-340).
    pub sig: String,
}

/// Result of `identity.nostr-sign`: the whole event, or for a hash the signature alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(untagged)]
pub enum NostrSigned {
    /// For `event`.
    Event(SignedEvent),
    /// For `event_hash`.
    Hash(HashSignature),
}

/// Signature under an event's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct HashSignature {
    /// Who signed.
    pub pubkey: String,
    /// Signature (BIP-340).
    pub sig: String,
}

/// Parameters of `identity.nostr-encrypt-nip04` and `identity.nostr-encrypt-nip44`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct NostrEncryptParams {
    /// The identity; the default one when left out.
    #[serde(default, alias = "identity_id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The reader's key, hex or `npub`.
    #[serde(alias = "peer_pubkey", alias = "peer", alias = "recipient_pubkey")]
    pub pubkey: String,
    /// The text.
    #[serde(alias = "text", alias = "content", alias = "message")]
    pub plaintext: Hidden,
    /// The app's page that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentRef>,
}

/// Parameters of `identity.nostr-decrypt-nip04` and `identity.nostr-decrypt-nip44`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct NostrDecryptParams {
    /// The identity; the default one when left out.
    #[serde(default, alias = "identity_id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The writer's key, hex or `npub`.
    #[serde(alias = "peer_pubkey", alias = "peer", alias = "sender_pubkey")]
    pub pubkey: String,
    /// What was written.
    #[serde(alias = "text", alias = "content", alias = "payload")]
    pub ciphertext: String,
    /// The app's page that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentRef>,
}

impl std::fmt::Debug for NostrEncryptParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NostrEncryptParams").field("pubkey", &self.pubkey).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NostrDecryptParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NostrDecryptParams").field("pubkey", &self.pubkey).finish_non_exhaustive()
    }
}

/// Result of encrypting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Encrypted {
    /// What the reader decrypts.
    pub ciphertext: String,
}

/// Result of decrypting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Decrypted {
    /// The text.
    pub plaintext: Hidden,
}

/// Parameters of `identity.link-nip46`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct LinkNip46Params {
    /// The signer's `bunker://` link.
    pub bunker_uri: Hidden,
    /// Name of the new identity.
    pub name: String,
    /// As in `identity.create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// Parameters of `identity.link-nostrconnect-start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct LinkStartParams {
    /// Name of the new identity.
    pub name: String,
    /// As in `identity.create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// 1 to 8 relays that the signer and the node both reach.
    pub relays: Vec<String>,
}

/// Result of `identity.link-nostrconnect-start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct LinkStarted {
    /// Names the pairing.
    pub pairing_id: String,
    /// The `nostrconnect://` link, to be shown as text and QR code; it holds a secret.
    pub uri: Hidden,
}

/// Parameters of `identity.link-nostrconnect-finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PairingParams {
    /// The pairing.
    pub pairing_id: String,
}

/// Result of `identity.link-nostrconnect-finish`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum LinkProgress {
    /// No signer came yet: ask again in two seconds.
    Pending,
    /// It came.
    Linked {
        /// The new identity.
        identity: Box<IdentityRecord>,
    },
}

/// Result of `node.nostr-pubkey`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NodePubkey {
    /// The node's discovery key in hex.
    pub nostr_pubkey: String,
    /// The same as `npub`.
    pub nostr_npub: String,
}

/// Parameters of `node.nostr-sign`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NodeSignParams {
    /// The event, as in `identity.nostr-sign`.
    #[ts(type = "unknown")]
    pub event: Value,
}

/// Result of `nostr.list-relays`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RelayRecords {
    /// The relays that the owner chose.
    pub relays: Vec<RelayRecord>,
}

/// A relay of the node's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RelayRecord {
    /// Address.
    pub url: String,
    /// A session of a linked signer is connected to it now.
    pub connected: bool,
    /// It is used.
    pub enabled: bool,
    /// When it was added (RFC 3339).
    pub added_at: String,
}

/// Parameters of `nostr.set-relay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct SetRelayParams {
    /// Address: `wss://…` or `ws://…`.
    pub url: String,
    /// Use it (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Parameters of `nostr.remove-relay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RelayParams {
    /// Address.
    pub url: String,
}

/// A decision about an app's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum ConsentDecision {
    /// Let it.
    Allow,
    /// Do not.
    Deny,
}

/// Parameters of `identity.consent-ask`.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ConsentAskParams {
    /// The app.
    pub app_id: String,
    /// Origin of its page, as the browser told it.
    pub origin: String,
    /// Method of NIP-07: `getPublicKey`, `signEvent`, `getRelays`, `nip04.encrypt`, ….
    pub method: String,
    /// The identity; the default one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
    /// Parameters of the request as they came; only their digest is kept.
    #[serde(default)]
    #[ts(type = "unknown")]
    pub params: Value,
}

impl std::fmt::Debug for ConsentAskParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentAskParams").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Where a request of an app's page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum ConsentState {
    /// It may be carried out.
    Allowed,
    /// It may not.
    Denied,
    /// A person decides.
    Open,
    /// Nobody decided in time.
    Gone,
}

/// Result of `identity.consent-ask`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ConsentAsked {
    /// `allowed`, `denied` or `open`.
    pub state: ConsentState,
    /// The prompt, when a person decides.
    pub prompt_id: Option<String>,
    /// The same request has a prompt already: wait for it, show no other.
    pub shared: bool,
}

/// Parameters of `identity.consent-wait`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PromptParams {
    /// The prompt.
    pub prompt_id: String,
}

/// Result of `identity.consent-wait`, after at most 20 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ConsentWaited {
    /// Where it stands; ask again while it is `open`.
    pub state: ConsentState,
}

/// Parameters of `identity.consent-answer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ConsentAnswerParams {
    /// The prompt.
    pub prompt_id: String,
    /// The decision.
    pub decision: ConsentDecision,
    /// It holds for this app, origin and method until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<bool>,
}

/// Result of `identity.consent-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ConsentList {
    /// Decisions that hold.
    pub grants: Vec<ConsentGrant>,
    /// Requests that wait for a person.
    pub open: Vec<OpenPrompt>,
}

/// A decision that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ConsentGrant {
    /// The app.
    pub app_id: String,
    /// Origin of its page.
    pub origin: String,
    /// The method.
    pub method: String,
    /// Allowed or denied.
    pub decision: ConsentDecision,
    /// When it was decided (milliseconds since 1970).
    pub since: i64,
}

/// A request that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct OpenPrompt {
    /// Names the prompt.
    pub prompt_id: String,
    /// The app.
    pub app_id: String,
    /// Origin of its page.
    pub origin: String,
    /// The method.
    pub method: String,
    /// The identity; the default one when null.
    pub identity_id: Option<String>,
    /// Since when (milliseconds since 1970).
    pub since: i64,
}

/// Parameters of `identity.consent-revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ConsentRevokeParams {
    /// The app.
    pub app_id: String,
    /// Only decisions about this origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Only decisions about this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// Result of `identity.consent-revoke`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ConsentRevoked {
    /// How many decisions were taken back.
    pub revoked: u32,
}
