//! `auth.login.signer.*`, `auth.signer.*`: login with a linked signer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::hidden::Hidden;

/// Result of `auth.login.signer.start` and `auth.signer.enrol.start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SignerStarted {
    /// Names the attempt.
    pub attempt_id: String,
    /// Four digits: the signer shows the same.
    pub code: String,
}

/// Parameters of `auth.login.signer.finish` and `auth.signer.enrol.finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AttemptParams {
    /// The attempt.
    pub attempt_id: String,
}

/// Result of `auth.login.signer.finish`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum SignerProgress {
    /// Nobody has answered yet: ask again.
    Pending,
    /// The login is approved; cookies came along.
    Approved,
}

/// Parameters of `auth.signer.enrol.start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct SignerParams {
    /// An identity whose key a linked signer holds.
    pub identity_id: String,
    /// The caller's password; it may be left out over the unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hidden>,
}

/// Result of `auth.signer.enrol.finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum EnrolProgress {
    /// Nobody has answered yet: ask again.
    Pending,
    /// The signer can approve logins from now on.
    Enrolled {
        /// The identity.
        identity_id: String,
        /// Its Nostr key in hex.
        pubkey: String,
        /// When, in the words of RFC 3339.
        added_at: String,
        /// Milliseconds from the question to the answer.
        approval_ms: i64,
        /// So quick that hardly a person has read it: the signer seems to approve by itself.
        quick_approval: bool,
    },
}

/// A signer that can approve logins; an element of `auth.signer.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct LoginSigner {
    /// The identity.
    pub identity_id: String,
    /// Its Nostr key in hex.
    pub pubkey: String,
    /// When it was added, in the words of RFC 3339.
    pub added_at: String,
    /// The identity's name; null when it is not there any more.
    pub name: Option<String>,
}

/// Result of `auth.signer.remove`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SignerRemoved {
    /// It was there.
    pub removed: bool,
}

/// Result of `auth.signer.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SignerStatus {
    /// No attempt can begin before then (milliseconds since 1970); null when one can.
    pub paused_until: Option<i64>,
    /// The last attempts, newest first.
    pub recent: Vec<SignerAttempt>,
}

/// An attempt to log in with a signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SignerAttempt {
    /// When it began or was refused (milliseconds since 1970).
    pub at: i64,
    /// From which address.
    pub ip: String,
    /// `pending`, `approved`, `denied`, `expired`, `offline`, `refused`, `failed`, `refused-busy` or
    /// `refused-budget`.
    pub outcome: String,
    /// The identity that approved.
    pub identity_id: Option<String>,
}
