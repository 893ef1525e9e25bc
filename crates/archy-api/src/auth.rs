//! `auth.*`: passwords, second factors, sessions, tokens, what was done by whom.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::access::Role;
use crate::hidden::Hidden;

/// A password alone: what clients of the first version send to `auth.setup` and `auth.login`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PasswordParams {
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for PasswordParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordParams(…)")
    }
}

/// Parameters of `auth.setup`. The answer's cookies hold session and CSRF token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct SetupParams {
    /// The owner's password.
    pub password: Hidden,
    /// Name of the node for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Parameters of `auth.login`: a password, or a device's token.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct LoginParams {
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hidden>,
    /// The user; the owner when it is left out.
    #[serde(default, alias = "username", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A token of `auth.createDeviceToken`, in place of the password; asks for no second factor.
    #[serde(default, alias = "deviceToken", skip_serializing_if = "Option::is_none")]
    pub device_token: Option<Hidden>,
    /// Sets the cookie `remember` as well, which begins a new session when this one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<bool>,
}

/// Result of `auth.login` when the password alone does not do; it is null when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct LoginStep {
    /// `auth.login.totp` or `auth.login.backup` comes next, with the cookie that came along.
    pub requires_totp: bool,
    /// A linked signer may be asked in place of the code.
    pub signer: bool,
}

/// Parameters of `auth.login.totp` and `auth.login.backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct CodeParams {
    /// Six digits of the app, or a backup code.
    pub code: Hidden,
}

/// Parameters of `auth.changePassword`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ChangePasswordParams {
    /// The password until now.
    #[serde(alias = "currentPassword", alias = "old_password", alias = "oldPassword")]
    pub current_password: String,
    /// The password from now on.
    #[serde(alias = "newPassword")]
    pub new_password: String,
}

impl std::fmt::Debug for ChangePasswordParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangePasswordParams(…)")
    }
}

/// The caller's password, again, before something that could shut its owner out. It may be left
/// out over the unix socket.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct AgainParams {
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hidden>,
}

/// Result of `auth.whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct WhoAmI {
    /// Name of the user.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// The apps they may open; all of them when null.
    pub apps: Option<Vec<String>>,
}

/// An app that the caller may open; an element of `auth.apps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct OpenableApp {
    /// The app.
    pub id: String,
    /// Its name.
    pub title: String,
    /// It runs.
    pub running: bool,
    /// Its address on the network, when it has a page.
    pub address: Option<String>,
}

/// Result of `auth.totp.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct TotpStatus {
    /// A login asks for a code.
    pub enabled: bool,
    /// Backup codes that were not used yet.
    pub backup_codes_left: u32,
}

/// Result of `auth.totp.setup`. It counts when `auth.totp.enable` brings a code of it within ten minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct TotpSetup {
    /// The secret in base32, to be typed.
    pub secret: Hidden,
    /// The same as an `otpauth://` address, for a QR code.
    pub uri: Hidden,
}

/// Result of `auth.totp.enable` and `auth.totp.backupCodes`: shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct BackupCodes {
    /// Each works once in place of a code.
    pub backup_codes: Vec<Hidden>,
}

/// Parameters of `auth.createDeviceToken`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct CreateDeviceTokenParams {
    /// Name of the device for people, 1 to 64 characters.
    pub name: String,
    /// The caller's password; may be left out over the unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hidden>,
}

/// Result of `auth.createDeviceToken`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct CreatedDeviceToken {
    /// Names the token in the list.
    pub id: String,
    /// The token: shown once.
    pub token: Hidden,
}

/// A device's token; an element of `auth.listDeviceTokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct DeviceToken {
    /// Names the token.
    pub id: String,
    /// Name of the device.
    pub name: String,
    /// The user.
    pub user: String,
    /// When it was made (milliseconds since 1970).
    pub created: i64,
    /// When it last began a session.
    pub last_used: Option<i64>,
}

/// Names a token, a session or a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct IdParams {
    /// As the list shows it.
    pub id: String,
}

/// Parameters of `auth.sessions`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct SessionsParams {
    /// Those of all users; for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// A session; an element of `auth.sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SessionInfo {
    /// Names the session; it is not its token.
    pub id: String,
    /// The user.
    pub user: String,
    /// What it may do.
    pub role: Role,
    /// When it began (milliseconds since 1970).
    pub created: i64,
    /// When it was last used.
    pub last_seen: i64,
    /// When it ends if it is not used.
    pub expires: i64,
    /// Where it began: address, browser and system.
    pub remote: String,
    /// It is the caller's own.
    pub current: bool,
}

/// Parameters of `auth.revokeSession`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct RevokeSessionParams {
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// All of the caller's but this one, and whatever is remembered of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<bool>,
}

/// How many were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RevokedResult {
    /// How many.
    pub revoked: u32,
}

/// Parameters of `auth.audit`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct AuditParams {
    /// At most so many; 100 when left out, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only those with a smaller number: the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// Result of `auth.audit`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AuditResult {
    /// What was done.
    pub entries: Vec<AuditEntry>,
}

/// Something that somebody did, or was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AuditEntry {
    /// Its number: a later one has a greater.
    pub seq: u64,
    /// When (milliseconds since 1970).
    pub at: i64,
    /// The user, or who they said they are, or the user of the unix socket.
    pub who: String,
    /// Address and browser, or the unix socket.
    pub from: String,
    /// The method, or `gate.login` on an app's port.
    pub what: String,
    /// What it was about: an app, a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub target: Option<String>,
    /// `ok`, or the code of the refusal.
    pub outcome: String,
}

/// Parameters of `auth.passkey.registerStart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PasskeyStartParams {
    /// Name of the key for people, 1 to 64 characters.
    pub name: String,
    /// The caller's password.
    pub password: Hidden,
}

/// A question to the browser's authenticator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PasskeyQuestion {
    /// Names the attempt, for two minutes.
    pub attempt_id: String,
    /// What `navigator.credentials` takes, bytes in base64url.
    #[ts(type = "Record<string, unknown>")]
    pub options: serde_json::Value,
}

/// An answer of the browser's authenticator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PasskeyAnswer {
    /// The attempt.
    pub attempt_id: String,
    /// What `navigator.credentials` gave, bytes in base64url.
    #[ts(type = "Record<string, unknown>")]
    pub credential: serde_json::Value,
}

/// A passkey; an element of `auth.passkey.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PasskeyInfo {
    /// Names the key.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The name of the node that it works under.
    pub host: String,
    /// When it was registered (milliseconds since 1970).
    pub created: i64,
}

/// Parameters of `auth.login.passkey.start`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct PasskeyLoginParams {
    /// The user; the owner when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}
